/*
** loss.c -- neap.loss: the makers and the loss object, loss(E, batch [, rng]) -> scalar, info.
** Invariant: a loss box holds one reference; Lua functions that a loss calls are in the registry as long as it lives.
*/
#include "sampler.h"
#include "core.h"
#include <math.h>
#include <stdlib.h>

#define LOSS "neap.loss"

/* ---- the object ---- */

static neap_loss **push_box (lua_State *L) {
  neap_loss **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, LOSS);
  return box;
}

static neap_loss *check_loss (lua_State *L, int i) {
  neap_loss **box = luaL_checkudata(L, i, LOSS);
  if (!*box) luaL_argerror(L, i, "the loss was closed");
  return *box;
}

static int loss_gc (lua_State *L) {
  neap_loss **box = luaL_checkudata(L, 1, LOSS);
  neap_loss_release(*box);
  *box = NULL;
  return 0;
}

static int loss_tostring (lua_State *L) {
  lua_pushfstring(L, "%s loss", neap_loss_name(check_loss(L, 1)));
  return 1;
}

/* ---- loss(E, batch [, rng]) ---- */

/* batch: x, or {x, c}; leaves both on the stack (c may be nil) */
static void read_batch (lua_State *L, int i, int *x, int *cond) {
  *x = i;
  *cond = 0;
  if (!lua_istable(L, i)) return;
  lua_rawgeti(L, i, 1);
  lua_rawgeti(L, i, 2);
  if (bind_totensor(L, -2)) {
    *x = lua_gettop(L) - 1;
    *cond = lua_isnil(L, -1) ? 0 : lua_gettop(L);
  }
}

/* info's tensors: of one element as numbers (not while a function is recorded), others as they are */
static void push_info (lua_State *L, neap_context *c, const neap_state *info) {
  lua_createtable(L, 0, 4);
  for (int i = 0; i < neap_state_count(info); i++) {
    neap_tensor *t = neap_state_get(info, neap_state_name(info, i));
    double v;
    if (neap_ndim(t) == 0 && !c->trace && neap_item(c, t, &v)) lua_pushnumber(L, v);
    else bind_pushtensor(L, t);
    lua_setfield(L, -2, neap_state_name(info, i));
  }
}

/* x and cond: stack indices, cond 0 when there is none.  The result is owned. */
static neap_tensor *eval (lua_State *L, neap_context *c, neap_loss *l, neap_energy *E, int x, int cond, neap_rng *rng,
                          neap_state **info) {
  neap_tensor *tx = bind_lendtensor(L, x), *tc = cond ? bind_lendtensor(L, cond) : NULL;
  neap_state_free(*info);
  *info = neap_state_new(c, NULL);
  return *info ? neap_keep(neap_loss_eval(c, l, E, tx, tc, rng, *info)) : NULL;
}

static int loss_call (lua_State *L) {
  int x, cond;
  neap_loss *l = check_loss(L, 1);
  neap_energy *E = bind_toenergy(L, 2);
  const char *name = neap_loss_name(l);
  if (!E) return luaL_error(L, "%s: loss(E, batch): E: an energy expected, got %s", name, luaL_typename(L, 2));
  if (lua_isnoneornil(L, 3))
    return luaL_error(L, "%s: loss(E, batch): batch: a tensor or {x, c} expected, got nil", name);
  neap_rng *rng = bind_optrng(L, 4);
  bind_state *S = bind_state_of(L);
  read_batch(L, 3, &x, &cond);
  neap_state **info = bind_statebox(L);
  neap_tensor **box = bind_box(L);
  int at = lua_gettop(L), tries = 0;
  neap_rng_state before = neap_rng_get(rng);
  neap_scope sc;
  do {
    sc = neap_scope_open(S->c);
    neap_rng_set(rng, before);
    *box = eval(L, S->c, l, E, x, cond, rng, info);
  } while (!*box && bind_again(L, S, sc, &tries));
  bind_close(L, sc);
  push_info(L, S->c, *info);
  lua_pushvalue(L, at);
  lua_insert(L, -2);
  return 2;
}

/* ---- methods ---- */

/* loss:params() -> tensors, names */
static int loss_params (lua_State *L) {
  neap_loss *l = check_loss(L, 1);
  int n = neap_loss_nparams(l);
  lua_createtable(L, n, 0);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    bind_pushtensor(L, neap_loss_param(l, i));
    lua_rawseti(L, -3, i + 1);
    lua_pushstring(L, neap_loss_param_name(l, i));
    lua_rawseti(L, -2, i + 1);
  }
  return 2;
}

/* loss:state() -> a table of copies */
static int loss_state (lua_State *L) {
  neap_loss *l = check_loss(L, 1);
  neap_context *c = bind_context(L);
  neap_state **box = bind_statebox(L);
  neap_scope sc = neap_scope_open(c);
  neap_state *memory = neap_loss_state(c, l);
  neap_mode m = neap_no_grad(c);
  *box = neap_state_new(c, NULL);
  for (int i = 0; *box && i < neap_state_count(memory); i++) {
    const char *name = neap_state_name(memory, i);
    if (!neap_state_set(c, *box, name, neap_clone(c, neap_state_get(memory, name)))) break;
  }
  neap_mode_restore(c, m);
  bind_close(L, sc);
  lua_newtable(L);
  bind_writestate(L, -1, *box);
  return 1;
}

static int loss_set_state (lua_State *L) {
  neap_loss *l = check_loss(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  neap_context *c = bind_context(L);
  neap_state **box = bind_statebox(L);
  neap_scope sc = neap_scope_open(c);
  if (bind_readstate(L, 2, box)) neap_loss_set_state(c, l, *box);
  bind_close(L, sc);
  lua_settop(L, 1);
  return 1;
}

/* ---- makers ---- */

static neap_sampler *need_sampler (lua_State *L, const char *fname) {
  bind_field(L, 1, "sampler");
  neap_sampler *s = bind_tosampler(L, -1);
  if (!s) luaL_error(L, "%s: option 'sampler': a sampler expected, got %s", fname, luaL_typename(L, -1));
  return s;                                  /* stays on the stack */
}

static int64_t steps (lua_State *L, const char *fname) {
  int64_t n = bind_optinteger(L, 1, fname, "steps", 1);
  if (n < 1) luaL_error(L, "%s: option 'steps': a positive integer expected, got %I", fname, (LUAI_UACINT)n);
  return n;
}

static neap_start start (lua_State *L, const char *fname) {
  bind_field(L, 1, "init");
  neap_start s = bind_start(L, -1, fname, ", \"data\"");
  lua_pop(L, 1);
  return s;
}

/* closes sc, raises what is pending, returns the box on top */
static int made (lua_State *L, neap_scope sc) {
  bind_close(L, sc);
  return 1;
}

static int make_cd (lua_State *L) {
  static const char *const names[] = { "sampler", "steps", "init", "reg", NULL };
  static const char *const f = "loss.cd";
  bind_options(L, 1, f, names);
  neap_cd_config cfg = { need_sampler(L, f), steps(L, f), start(L, f), bind_optnumber(L, 1, f, "reg", 0) };
  neap_context *c = bind_context(L);
  neap_loss **box = push_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_cd(c, &cfg);
  return made(L, sc);
}

static int make_pcd (lua_State *L) {
  static const char *const names[] = { "sampler", "steps", "buffer", "init", "reinit", "reg", NULL };
  static const char *const f = "loss.pcd";
  bind_options(L, 1, f, names);
  if (bind_field(L, 1, "buffer") != LUA_TNIL && bind_optinteger(L, 1, f, "buffer", 0) == 0)
    return luaL_error(L, "%s: option 'buffer': a positive integer expected, got 0", f);
  neap_pcd_config cfg = { need_sampler(L, f), steps(L, f), bind_optinteger(L, 1, f, "buffer", 0), start(L, f),
                          bind_optnumber(L, 1, f, "reinit", 0), bind_optnumber(L, 1, f, "reg", 0) };
  neap_context *c = bind_context(L);
  neap_loss **box = push_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_pcd(c, &cfg);
  return made(L, sc);
}

static int make_score_matching (lua_State *L) {
  static const char *const names[] = { NULL };
  bind_options(L, 1, "loss.score_matching", names);
  neap_context *c = bind_context(L);
  neap_loss **box = push_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_score_matching(c);
  return made(L, sc);
}

static int make_dsm (lua_State *L) {
  static const char *const names[] = { "sigma", NULL };
  bind_options(L, 1, "loss.dsm", names);
  double sigma = bind_neednumber(L, 1, "loss.dsm", "sigma");
  neap_context *c = bind_context(L);
  neap_loss **box = push_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_dsm(c, sigma);
  return made(L, sc);
}

/* The numbers of the table at i, as doubles in a userdata on the stack; at float64, which nested tables do not have. */
static double *table_numbers (lua_State *L, int i, const char *fname, int *n) {
  int ok = 1;
  *n = (int)lua_rawlen(L, i);
  double *v = lua_newuserdatauv(L, sizeof *v * (size_t)(*n + 1), 0);
  for (int k = 0; k < *n && ok; k++) {
    lua_rawgeti(L, i, k + 1);
    v[k] = lua_tonumberx(L, -1, &ok);
    lua_pop(L, 1);
  }
  if (!ok) luaL_error(L, "%s: option 'sigmas': numbers expected", fname);
  return v;
}

static double *tensor_numbers (lua_State *L, int i, const char *fname, int *n) {
  neap_context *c = bind_context(L);
  neap_tensor *t = bind_checktensor(L, i);
  if (neap_ndim(t) != 1 || neap_numel(t) > INT32_MAX)
    luaL_error(L, "%s: option 'sigmas': one dimension expected", fname);
  *n = (int)neap_numel(t);
  double *v = lua_newuserdatauv(L, sizeof *v * (size_t)(*n + 1), 0);
  neap_scope sc = neap_scope_open(c);
  neap_read(c, t, NEAP_FLOAT64, v);
  bind_close(L, sc);
  return v;
}

static double *read_sigmas (lua_State *L, int *n) {
  static const char *const f = "loss.multi_dsm";
  bind_field(L, 1, "sigmas");
  int at = lua_gettop(L);
  if (lua_istable(L, at)) return table_numbers(L, at, f, n);
  if (bind_totensor(L, at)) return tensor_numbers(L, at, f, n);
  luaL_error(L, "%s: option 'sigmas': a table of numbers or a tensor expected, got %s", f, luaL_typename(L, at));
  return NULL;
}

static int make_multi_dsm (lua_State *L) {
  static const char *const names[] = { "sigmas", "conditional", NULL };
  bind_options(L, 1, "loss.multi_dsm", names);
  neap_context *c = bind_context(L);
  int n = 0, conditional = bind_field(L, 1, "conditional") == LUA_TNIL ? -1 : 0;
  if (!conditional) conditional = bind_optboolean(L, 1, "loss.multi_dsm", "conditional", false);
  double *sigmas = read_sigmas(L, &n);
  neap_loss **box = push_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_multi_dsm(c, n, sigmas, conditional);
  return made(L, sc);
}

/* ---- losses that call Lua functions ---- */

typedef struct lua_functions { lua_State *main; int f, sample; } lua_functions;

/* one call for the protected half; out is owned by whoever called */
typedef struct tensor_call { int ref; neap_rng *rng; int64_t n; neap_tensor *x, *out; const char *what; } tensor_call;

static int take_tensor (lua_State *L, tensor_call *a) {
  neap_tensor *t = bind_totensor(L, -1);
  if (!t) return luaL_error(L, "%s: a tensor expected, got %s", a->what, luaL_typename(L, -1));
  a->out = neap_keep(t);
  return 0;
}

static int call_f (lua_State *L) {
  tensor_call *a = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, a->ref);
  bind_pushtensor(L, a->x);
  lua_call(L, 1, 1);
  return take_tensor(L, a);
}

static int call_sample (lua_State *L) {
  tensor_call *a = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, a->ref);
  lua_pushinteger(L, (lua_Integer)a->n);
  bind_pushrng(L, a->rng);
  lua_call(L, 2, 1);
  return take_tensor(L, a);
}

static neap_tensor *run_call (neap_context *c, lua_CFunction f, tensor_call *a) {
  bool ok = bind_protected(c, f, a);
  neap_tensor *t = neap_lend(c, a->out);
  return ok ? t : NULL;
}

static neap_tensor *eval_f (neap_context *c, void *arg, neap_tensor *x) {
  tensor_call a = { .ref = ((lua_functions *)arg)->f, .x = x, .what = "loss: the given function's result" };
  return run_call(c, call_f, &a);
}

static neap_tensor *eval_sample (neap_context *c, void *arg, neap_rng *rng, neap_tensor *x, int64_t n) {
  tensor_call a = { .ref = ((lua_functions *)arg)->sample, .rng = rng, .n = n, .x = x,
                    .what = "loss.nce: noise.sample's result" };
  return run_call(c, call_sample, &a);
}

static void free_functions (void *arg) {
  lua_functions *k = arg;
  luaL_unref(k->main, LUA_REGISTRYINDEX, k->f);
  luaL_unref(k->main, LUA_REGISTRYINDEX, k->sample);
  free(k);
}

/* No functions yet; the loss owns it as soon as its maker is called. */
static lua_functions *new_functions (lua_State *L, const char *fname) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  lua_functions *k = malloc(sizeof *k);
  if (!k) luaL_error(L, "%s: not enough memory", fname);
  else *k = (lua_functions){ main, LUA_NOREF, LUA_NOREF };
  return k;
}

/* table[name] is callable; raises otherwise */
static void check_callable (lua_State *L, int table, const char *fname, const char *name) {
  int type = bind_field(L, table, name);
  if (type != LUA_TFUNCTION && !luaL_getmetafield(L, -1, "__call"))
    luaL_error(L, "%s: option '%s': function expected, got %s", fname, name, luaL_typename(L, -1));
  lua_settop(L, table);
}

static int make_fisher (lua_State *L) {
  static const char *const names[] = { "log_prob", "score", NULL };
  static const char *const f = "loss.fisher";
  bind_options(L, 1, f, names);
  lua_settop(L, 1);
  bool is_log_prob = bind_field(L, 1, "log_prob") != LUA_TNIL, is_score = bind_field(L, 1, "score") != LUA_TNIL;
  if (is_log_prob == is_score) return luaL_error(L, "%s: one of the options 'log_prob' and 'score' expected", f);
  const char *name = is_log_prob ? "log_prob" : "score";
  check_callable(L, 1, f, name);
  neap_context *c = bind_context(L);
  neap_loss **box = push_box(L);
  lua_functions *k = new_functions(L, f);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_fisher(c, eval_f, is_log_prob, k, free_functions);
  bind_close(L, sc);
  bind_field(L, 1, name);
  k->f = luaL_ref(L, LUA_REGISTRYINDEX);
  return 1;
}

/* noise at 2: {sample = function(n, rng), log_prob = function(x)} */
static int make_nce_of_functions (lua_State *L, neap_context *c, neap_nce_config *cfg) {
  static const char *const names[] = { "sample", "log_prob", NULL };
  if (!lua_istable(L, 2))
    return luaL_error(L, "loss.nce: option 'noise': an energy or {sample = , log_prob = } expected, got %s",
                      luaL_typename(L, 2));
  bind_options(L, 2, "loss.nce: noise", names);
  check_callable(L, 2, "loss.nce: noise", "sample");
  check_callable(L, 2, "loss.nce: noise", "log_prob");
  neap_loss **box = push_box(L);
  lua_functions *k = new_functions(L, "loss.nce");
  cfg->sample = eval_sample;
  cfg->log_prob = eval_f;
  cfg->arg = k;
  cfg->release = free_functions;
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_nce(c, cfg);
  bind_close(L, sc);
  lua_getfield(L, 2, "log_prob");
  k->f = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_getfield(L, 2, "sample");
  k->sample = luaL_ref(L, LUA_REGISTRYINDEX);
  return 1;
}

static int make_nce (lua_State *L) {
  static const char *const names[] = { "noise", "ratio", NULL };
  bind_options(L, 1, "loss.nce", names);
  lua_settop(L, 1);
  neap_nce_config cfg = { .ratio = bind_optinteger(L, 1, "loss.nce", "ratio", 1) };
  if (cfg.ratio < 1)
    return luaL_error(L, "loss.nce: option 'ratio': a positive integer expected, got %I", (LUAI_UACINT)cfg.ratio);
  bind_field(L, 1, "noise");
  neap_context *c = bind_context(L);
  if (!(cfg.noise = bind_toenergy(L, 2))) return make_nce_of_functions(L, c, &cfg);
  neap_loss **box = push_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_nce(c, &cfg);
  return made(L, sc);
}

/* ---- the module ---- */

static const luaL_Reg makers[] = {
  { "cd", make_cd }, { "pcd", make_pcd }, { "score_matching", make_score_matching }, { "dsm", make_dsm },
  { "multi_dsm", make_multi_dsm }, { "fisher", make_fisher }, { "nce", make_nce }, { NULL, NULL }
};

static const luaL_Reg methods[] = {
  { "params", loss_params }, { "state", loss_state }, { "set_state", loss_set_state }, { NULL, NULL }
};

void open_loss (lua_State *L) {
  luaL_newmetatable(L, LOSS);
  lua_pushcfunction(L, loss_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, loss_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, loss_call);
  lua_setfield(L, -2, "__call");
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_newlib(L, makers);
  lua_setfield(L, -2, "loss");
}
