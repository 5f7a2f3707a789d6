/*
** chain.c -- a chain's state as a Lua table: s:init and s:step.
** Invariant: the table is the only state.  A step reads it into a boxed C state, runs, and writes the results back once
** the scope is closed; a step that fails leaves the table as it was.
*/
#include "sampler.h"
#include <math.h>
#include <string.h>

#define STATE "neap.state"

static int state_gc (lua_State *L) {
  neap_state **box = lua_touserdata(L, 1);
  neap_state_free(*box);
  *box = NULL;
  return 0;
}

neap_state **bind_statebox (lua_State *L) {
  neap_state **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  if (luaL_newmetatable(L, STATE)) {
    lua_pushcfunction(L, state_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return box;
}

/* ---- tables and states ---- */

static neap_rng *table_rng (lua_State *L, int i) {
  lua_pushliteral(L, "rng");
  lua_rawget(L, i);
  neap_rng **box = luaL_testudata(L, -1, "neap.rng");
  lua_pop(L, 1);
  return box ? *box : NULL;
}

/* key at -2, value at -1 */
static bool read_field (lua_State *L, neap_context *c, neap_state *st) {
  if (lua_type(L, -2) != LUA_TSTRING) return true;
  if (!bind_totensor(L, -1) && lua_type(L, -1) != LUA_TNUMBER) return true;
  return neap_state_set(c, st, lua_tostring(L, -2), bind_lendtensor(L, lua_gettop(L)));
}

bool bind_readstate (lua_State *L, int i, neap_state **box) {
  neap_context *c = bind_context(L);
  i = lua_absindex(L, i);
  if (!lua_checkstack(L, 6)) return neap_fail(c, NEAP_EMEMORY, "not enough memory: Lua's stack");
  *box = neap_state_new(c, table_rng(L, i));
  bool ok = *box != NULL;
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) ok = ok && read_field(L, c, *box);
  return ok;
}

void bind_pushtensor (lua_State *L, neap_tensor *t) {
  neap_tensor **box = bind_box(L);
  *box = neap_keep(t);
}

void bind_pushrng (lua_State *L, neap_rng *r) {
  neap_rng **box = bind_rngbox(L);
  *box = neap_rng_keep(r);
}

void bind_pushenergy (lua_State *L, neap_energy *E) {
  neap_energy **box = bind_energybox(L);
  *box = neap_energy_keep(E);
}

void bind_writestate (lua_State *L, int i, const neap_state *st) {
  i = lua_absindex(L, i);
  for (int k = 0; k < neap_state_count(st); k++) {
    bind_pushtensor(L, neap_state_get(st, neap_state_name(st, k)));
    lua_setfield(L, i, neap_state_name(st, k));
  }
}

/* ---- methods ---- */

/* s:init(E, x [, rng]) or s:init(E, x, c [, rng]) -> state */
int sampler_method_init (lua_State *L) {
  neap_sampler *s = bind_checksampler(L, 1);
  neap_energy *E = bind_checkenergy(L, 2);
  luaL_checkany(L, 3);
  neap_tensor *cond = bind_totensor(L, 4);
  neap_rng *rng = bind_optrng(L, cond ? 5 : 4);
  bind_state *S = bind_state_of(L);
  neap_state **box = bind_statebox(L);
  neap_rng_state before = neap_rng_get(rng);
  neap_scope sc;
  int tries = 0;
  do {
    sc = neap_scope_open(S->c);
    neap_rng_set(rng, before);
    *box = neap_sampler_init(S->c, s, E, bind_lendtensor(L, 3), cond, rng);
  } while (!*box && bind_again(L, S, sc, &tries));
  bind_close(L, sc);
  lua_createtable(L, 0, 8);
  bind_writestate(L, -1, *box);
  bind_pushrng(L, neap_state_rng(*box));
  lua_setfield(L, -2, "rng");
  return 1;
}

typedef bool stepper (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, int64_t n);

/* n steps of the chain in the table at 3, in *box */
static bool step_table (lua_State *L, neap_sampler *s, neap_energy *E, neap_state **box, int64_t n, stepper *step) {
  neap_state_free(*box);
  *box = NULL;
  return bind_readstate(L, 3, box) && step(bind_context(L), s, E, *box, n);
}

/* the state at 3, brought up to date in place by as many steps as 4 says */
static int run_steps (lua_State *L, stepper *step) {
  neap_sampler *s = bind_checksampler(L, 1);
  neap_energy *E = bind_checkenergy(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  int64_t n = luaL_optinteger(L, 4, 1);
  bind_state *S = bind_state_of(L);
  neap_state **box = bind_statebox(L);
  neap_rng *rng = table_rng(L, 3);
  if (!rng) rng = neap_rng_default(S->c);
  neap_rng_state before = neap_rng_get(rng);
  neap_scope sc;
  int tries = 0;
  bool ok;
  do {
    sc = neap_scope_open(S->c);
    neap_rng_set(rng, before);
    ok = step_table(L, s, E, box, n, step);
  } while (!ok && bind_again(L, S, sc, &tries));
  bind_close(L, sc);
  bind_writestate(L, 3, *box);
  lua_settop(L, 3);
  return 1;
}

/* s:step(E, state [, n]) -> state */
int sampler_method_step (lua_State *L) { return run_steps(L, neap_sampler_step); }

/* s:warmup(E, state, n) -> state, with the step_size and scale that n adapted steps led to */
int sampler_method_warmup (lua_State *L) {
  luaL_checkinteger(L, 4);
  return run_steps(L, neap_sampler_warmup);
}

/* ---- options that several makers take ---- */

double bind_neednumber (lua_State *L, int table, const char *fname, const char *name) {
  if (bind_field(L, table, name) == LUA_TNIL) luaL_error(L, "%s: option '%s': number expected, got none", fname, name);
  lua_pop(L, 1);
  return bind_optnumber(L, table, fname, name, NAN);
}

/* The numbers of the table at i, as doubles in a userdata on the stack; at float64, which nested tables do not have. */
static double *table_numbers (lua_State *L, int i, const char *fname, const char *name, int *n) {
  int ok = 1;
  *n = (int)lua_rawlen(L, i);
  double *v = lua_newuserdatauv(L, sizeof *v * (size_t)(*n + 1), 0);
  for (int k = 0; k < *n && ok; k++) {
    lua_rawgeti(L, i, k + 1);
    v[k] = lua_tonumberx(L, -1, &ok);
    lua_pop(L, 1);
  }
  if (!ok) luaL_error(L, "%s: option '%s': numbers expected", fname, name);
  return v;
}

static double *tensor_numbers (lua_State *L, int i, const char *fname, const char *name, int *n) {
  neap_context *c = bind_context(L);
  neap_tensor *t = bind_checktensor(L, i);
  if (neap_ndim(t) != 1 || neap_numel(t) > INT32_MAX)
    luaL_error(L, "%s: option '%s': one dimension expected", fname, name);
  *n = (int)neap_numel(t);
  double *v = lua_newuserdatauv(L, sizeof *v * (size_t)(*n + 1), 0);
  neap_scope sc = neap_scope_open(c);
  neap_read(c, t, NEAP_FLOAT64, v);
  bind_close(L, sc);
  return v;
}

double *bind_neednumbers (lua_State *L, int table, const char *f, const char *name, int *n) {
  bind_field(L, table, name);
  int at = lua_gettop(L);
  if (lua_istable(L, at)) return table_numbers(L, at, f, name, n);
  if (bind_totensor(L, at)) return tensor_numbers(L, at, f, name, n);
  luaL_error(L, "%s: option '%s': a table of numbers or a tensor expected, got %s", f, name, luaL_typename(L, at));
  return NULL;
}

static neap_start named_start (lua_State *L, int i, const char *fname, const char *also) {
  static const char *const names[] = { "normal", "uniform", "bernoulli", "data" };
  static const neap_start_kind kinds[] = { NEAP_START_NORMAL, NEAP_START_UNIFORM, NEAP_START_BERNOULLI,
                                           NEAP_START_DATA };
  const char *name = lua_tostring(L, i);
  for (int k = 0; k < 4; k++)
    if (strcmp(name, names[k]) == 0) return (neap_start){ kinds[k], 0, 0 };
  luaL_error(L, "%s: option 'init': \"normal\", \"uniform\", {\"uniform\", lower, upper}, \"bernoulli\"%s expected, "
             "got \"%s\"", fname, also, name);
  return (neap_start){ NEAP_START_DEFAULT, 0, 0 };
}

/* {"uniform", lower, upper} */
static neap_start bounds (lua_State *L, int i, const char *fname) {
  neap_start s = { NEAP_START_UNIFORM, 0, 0 };
  int ok1, ok2;
  lua_rawgeti(L, i, 1);
  bool named = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "uniform") == 0;
  lua_rawgeti(L, i, 2);
  s.lo = lua_tonumberx(L, -1, &ok1);
  lua_rawgeti(L, i, 3);
  s.hi = lua_tonumberx(L, -1, &ok2);
  lua_pop(L, 3);
  if (!named || !ok1 || !ok2 || !(s.lo < s.hi))
    luaL_error(L, "%s: option 'init': {\"uniform\", lower, upper} expected", fname);
  return s;
}

neap_start bind_start (lua_State *L, int i, const char *fname, const char *also) {
  i = lua_absindex(L, i);
  switch (lua_type(L, i)) {
    case LUA_TNIL: return (neap_start){ NEAP_START_DEFAULT, 0, 0 };
    case LUA_TSTRING: return named_start(L, i, fname, also);
    case LUA_TTABLE: return bounds(L, i, fname);
    default: break;
  }
  luaL_error(L, "%s: option 'init': a name or {\"uniform\", lower, upper}%s expected, got %s", fname, also,
             luaL_typename(L, i));
  return (neap_start){ NEAP_START_DEFAULT, 0, 0 };
}
