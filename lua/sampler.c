/*
** sampler.c -- neap.sampler: the makers and the sampler object.
** Invariant: a sampler box holds one reference; its user value holds what an interrupted run had.
*/
#include "sampler.h"
#include <math.h>
#include <stdlib.h>

#define SAMPLER "neap.sampler"

/* ---- the object ---- */

static int sampler_gc (lua_State *L) {
  neap_sampler **box = luaL_checkudata(L, 1, SAMPLER);
  neap_sampler_release(*box);
  *box = NULL;
  return 0;
}

neap_sampler **bind_samplerbox (lua_State *L) {
  neap_sampler **box = lua_newuserdatauv(L, sizeof *box, 1);
  *box = NULL;
  luaL_setmetatable(L, SAMPLER);
  return box;
}

neap_sampler *bind_tosampler (lua_State *L, int i) {
  neap_sampler **box = luaL_testudata(L, i, SAMPLER);
  return box ? *box : NULL;
}

neap_sampler *bind_checksampler (lua_State *L, int i) {
  neap_sampler *s = bind_tosampler(L, i);
  if (!s) luaL_typeerror(L, i, "sampler");
  return s;
}

neap_sampler *bind_needsampler (lua_State *L, int table, const char *fname, const char *name) {
  bind_field(L, table, name);
  neap_sampler *s = bind_tosampler(L, -1);
  if (!s) luaL_error(L, "%s: option '%s': a sampler expected, got %s", fname, name, luaL_typename(L, -1));
  return s;
}

static int sampler_tostring (lua_State *L) {
  neap_sampler *s = bind_checksampler(L, 1);
  double h = neap_sampler_step_size(s);
  if (isnan(h)) lua_pushfstring(L, "%s sampler", neap_sampler_name(s));
  else lua_pushfstring(L, "%s sampler, step size %f", neap_sampler_name(s), h);
  return 1;
}

/* pushes what s can be brought back to: its step size, and its kernel's */
static void push_state (lua_State *L, const neap_sampler *s) {
  neap_sampler *kernel = neap_sampler_kernel(s);
  lua_createtable(L, 0, 2);
  if (!isnan(neap_sampler_step_size(s))) {
    lua_pushnumber(L, neap_sampler_step_size(s));
    lua_setfield(L, -2, "step_size");
  }
  if (!kernel) return;
  push_state(L, kernel);
  lua_setfield(L, -2, "kernel");
}

static int sampler_state (lua_State *L) {
  push_state(L, bind_checksampler(L, 1));
  return 1;
}

/* s as the table at i says */
static void read_state (lua_State *L, neap_sampler *s, int i) {
  static const char *const names[] = { "step_size", "kernel", NULL };
  neap_context *c = bind_context(L);
  neap_sampler *kernel = neap_sampler_kernel(s);
  bind_options(L, i, "set_state", names);
  double h = bind_optnumber(L, i, "set_state", "step_size", NAN);
  neap_scope sc = neap_scope_open(c);
  if (!isnan(h)) neap_sampler_set_step_size(c, s, h);
  bind_close(L, sc);
  if (bind_field(L, i, "kernel") != LUA_TNIL) {
    if (!kernel || !lua_istable(L, -1))
      luaL_error(L, "set_state: option 'kernel': %s", kernel ? "table expected" : "the sampler has none");
    read_state(L, kernel, lua_gettop(L));
  }
  lua_pop(L, 1);
}

static int sampler_set_state (lua_State *L) {
  neap_sampler *s = bind_checksampler(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  read_state(L, s, 2);
  lua_settop(L, 1);
  return 1;
}

/* ---- makers: neap.sampler.NAME{…} ---- */

static int finish (lua_State *L, neap_scope sc) {
  bind_close(L, sc);
  return 1;
}

/* {lower, upper} at table.clamp */
static void read_clamp (lua_State *L, int table, neap_langevin_options *o) {
  int ok1 = 1, ok2 = 1;
  int type = bind_field(L, table, "clamp");
  if (type == LUA_TTABLE) {
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    o->clamp_min = lua_tonumberx(L, -2, &ok1);
    o->clamp_max = lua_tonumberx(L, -1, &ok2);
    lua_pop(L, 2);
  }
  bool good = type == LUA_TTABLE && ok1 && ok2 && o->clamp_min < o->clamp_max;
  if (type != LUA_TNIL && !good) luaL_error(L, "sampler.langevin: option 'clamp': {lower, upper} expected");
  lua_pop(L, 1);
}

static int make_langevin (lua_State *L) {
  static const char *const names[] = { "step_size", "noise_std", "clip", "clamp", NULL };
  static const char *const f = "sampler.langevin";
  bind_options(L, 1, f, names);
  double eps = bind_neednumber(L, 1, f, "step_size"), std = bind_optnumber(L, 1, f, "noise_std", NAN);
  neap_langevin_options o = { .clip = bind_optnumber(L, 1, f, "clip", 0) };
  if (!isnan(std)) o.noise_std = &std;
  if (bind_field(L, 1, "clip") != LUA_TNIL && o.clip == 0)
    return luaL_error(L, "%s: option 'clip': a positive number expected, got 0", f);
  lua_pop(L, 1);
  read_clamp(L, 1, &o);
  neap_context *c = bind_context(L);
  neap_sampler **box = bind_samplerbox(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_sampler_langevin(c, eps, &o);
  return finish(L, sc);
}

/* a sampler of one number, its scale, width or step size */
static int make_of_number (lua_State *L, const char *fname, const char *option,
                           neap_sampler *(*make) (neap_context *c, double v)) {
  bind_options(L, 1, fname, (const char *const[]){ option, NULL });
  double v = bind_neednumber(L, 1, fname, option);
  neap_context *c = bind_context(L);
  neap_sampler **box = bind_samplerbox(L);
  neap_scope sc = neap_scope_open(c);
  *box = make(c, v);
  return finish(L, sc);
}

static int make_random_walk (lua_State *L) {
  return make_of_number(L, "sampler.random_walk", "scale", neap_sampler_random_walk);
}

static int make_slice (lua_State *L) { return make_of_number(L, "sampler.slice", "width", neap_sampler_slice); }

static int make_underdamped (lua_State *L) {
  static const char *const names[] = { "step_size", "friction", NULL };
  bind_options(L, 1, "sampler.underdamped", names);
  double eps = bind_neednumber(L, 1, "sampler.underdamped", "step_size");
  double friction = bind_optnumber(L, 1, "sampler.underdamped", "friction", 1);
  neap_context *c = bind_context(L);
  neap_sampler **box = bind_samplerbox(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_sampler_underdamped(c, eps, friction);
  return finish(L, sc);
}

static int make_annealed_langevin (lua_State *L) {
  static const char *const names[] = { "sigmas", "step_size", "steps", NULL };
  static const char *const f = "sampler.annealed_langevin";
  bind_options(L, 1, f, names);
  double eps = bind_neednumber(L, 1, f, "step_size");
  int64_t steps = bind_optinteger(L, 1, f, "steps", 100);
  int n = 0;
  double *sigmas = bind_neednumbers(L, 1, f, "sigmas", &n);
  neap_context *c = bind_context(L);
  neap_sampler **box = bind_samplerbox(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_sampler_annealed_langevin(c, n, sigmas, eps, steps);
  return finish(L, sc);
}

/* a sampler without settings */
static int make_plain (lua_State *L, const char *fname, neap_sampler *(*make) (neap_context *c)) {
  bind_options(L, 1, fname, (const char *const[]){ NULL });
  neap_context *c = bind_context(L);
  neap_sampler **box = bind_samplerbox(L);
  neap_scope sc = neap_scope_open(c);
  *box = make(c);
  return finish(L, sc);
}

static int make_dmala (lua_State *L) { return make_of_number(L, "sampler.dmala", "step_size", neap_sampler_dmala); }
static int make_gibbs (lua_State *L) { return make_plain(L, "sampler.gibbs", neap_sampler_gibbs); }

static int make_gibbs_with_gradients (lua_State *L) {
  return make_plain(L, "sampler.gibbs_with_gradients", neap_sampler_gibbs_with_gradients);
}

/* ---- custom: a kernel in Lua ---- */

typedef struct lua_kernel { lua_State *main; int init, step; } lua_kernel;

/* one call of a kernel's function, for the protected half */
typedef struct kernel_call { neap_context *c; lua_kernel *k; neap_energy *E; neap_state *st; } kernel_call;

/* Raises where the table on top holds what is no tensor or number, or has no name. */
static void check_entries (lua_State *L, const char *what) {
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    int type = lua_type(L, -1);
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "custom: %s: tensors by name expected, got the key %s", what, luaL_tolstring(L, -2, NULL));
    if (type == LUA_TNUMBER || type == LUA_TUSERDATA) continue;
    luaL_error(L, "custom: %s: %s: a tensor or number expected, got %s", what, luaL_tolstring(L, -2, NULL),
               lua_typename(L, type));
  }
}

/* Takes the table on top into the state; what it lacks stays as it was. */
static int take_result (lua_State *L, kernel_call *a, const char *what) {
  if (!lua_istable(L, -1))
    return luaL_error(L, "custom: %s: a table of tensors expected, got %s", what, luaL_typename(L, -1));
  check_entries(L, what);
  neap_state **box = bind_statebox(L);
  if (!bind_readstate(L, -2, box)) return 0;
  for (int i = 0; i < neap_state_count(*box); i++) {
    const char *name = neap_state_name(*box, i);
    if (!neap_state_set(a->c, a->st, name, neap_state_get(*box, name))) return 0;
  }
  return 0;
}

/* init(E, x, rng) -> state */
static int call_init (lua_State *L) {
  kernel_call *a = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, a->k->init);
  bind_pushenergy(L, a->E);
  bind_pushtensor(L, neap_state_get(a->st, "x"));
  bind_pushrng(L, neap_state_rng(a->st));
  lua_call(L, 3, 1);
  return take_result(L, a, "init");
}

/* step(E, state, rng) -> state */
static int call_step (lua_State *L) {
  kernel_call *a = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, a->k->step);
  bind_pushenergy(L, a->E);
  lua_createtable(L, 0, 8);
  bind_writestate(L, -1, a->st);
  bind_pushrng(L, neap_state_rng(a->st));
  lua_call(L, 3, 1);
  return take_result(L, a, "step");
}

static bool kernel_init (neap_context *c, void *arg, neap_energy *E, neap_state *st) {
  kernel_call a = { c, arg, E, st };
  return a.k->init == LUA_NOREF || bind_protected(c, call_init, &a);
}

static bool kernel_step (neap_context *c, void *arg, neap_energy *E, neap_state *st) {
  kernel_call a = { c, arg, E, st };
  return bind_protected(c, call_step, &a);
}

static void kernel_free (void *arg) {
  lua_kernel *k = arg;
  luaL_unref(k->main, LUA_REGISTRYINDEX, k->init);
  luaL_unref(k->main, LUA_REGISTRYINDEX, k->step);
  free(k);
}

static void check_function (lua_State *L, const char *name, bool needed) {
  int type = bind_field(L, 1, name);
  if (type != LUA_TFUNCTION && (needed || type != LUA_TNIL))
    luaL_error(L, "sampler.custom: option '%s': function expected, got %s", name, luaL_typename(L, -1));
  lua_pop(L, 1);
}

static int make_custom (lua_State *L) {
  static const char *const names[] = { "init", "step", NULL };
  bind_options(L, 1, "sampler.custom", names);
  check_function(L, "init", false);
  check_function(L, "step", true);
  neap_context *c = bind_context(L);
  neap_sampler **box = bind_samplerbox(L);
  lua_kernel *k = malloc(sizeof *k);
  if (!k) return luaL_error(L, "sampler.custom: not enough memory");
  *k = (lua_kernel){ bind_mainthread(L), LUA_NOREF, LUA_NOREF };
  neap_scope sc = neap_scope_open(c);
  neap_custom_sampler kernel = { kernel_init, kernel_step, kernel_free, k };
  *box = neap_sampler_custom(c, &kernel);               /* owns k from here on, even when it fails */
  bind_close(L, sc);
  if (bind_field(L, 1, "init") != LUA_TNIL) k->init = luaL_ref(L, LUA_REGISTRYINDEX);
  else lua_pop(L, 1);
  bind_field(L, 1, "step");
  k->step = luaL_ref(L, LUA_REGISTRYINDEX);
  return 1;
}

bool bind_protected (neap_context *c, lua_CFunction f, void *arg) {
  lua_State *L = bind_running(c);
  if (!lua_checkstack(L, 8)) return neap_fail(c, NEAP_EMEMORY, "not enough memory: Lua's stack");
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, arg);
  return bind_call(L, 1, 0) && neap_status_of(c) == NEAP_OK;
}

/* ---- the module ---- */

static const luaL_Reg makers[] = {
  { "langevin", make_langevin }, { "random_walk", make_random_walk }, { "mala", sampler_make_mala },
  { "hmc", sampler_make_hmc }, { "nuts", sampler_make_nuts },
  { "underdamped", make_underdamped }, { "slice", make_slice }, { "annealed_langevin", make_annealed_langevin },
  { "dmala", make_dmala }, { "gibbs", make_gibbs }, { "gibbs_with_gradients", make_gibbs_with_gradients },
  { "parallel_tempering", sampler_make_tempering }, { "smc", sampler_make_smc }, { "custom", make_custom },
  { "sgld", sampler_make_sgld }, { "sghmc", sampler_make_sghmc }, { "blocks", sampler_make_blocks }, { NULL, NULL }
};

static const luaL_Reg methods[] = {
  { "init", sampler_method_init }, { "step", sampler_method_step }, { "warmup", sampler_method_warmup },
  { "sample", sampler_method_sample },
  { "partial", sampler_method_partial }, { "state", sampler_state }, { "set_state", sampler_set_state }, { NULL, NULL }
};

void open_sampler (lua_State *L) {
  luaL_newmetatable(L, SAMPLER);
  lua_pushcfunction(L, sampler_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, sampler_tostring);
  lua_setfield(L, -2, "__tostring");
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  open_run(L);
  luaL_newlib(L, makers);
  lua_setfield(L, -2, "sampler");
}
