/*
** random.c -- random streams: neap.seed, neap.rng(seed) and what such a stream draws.
** Invariant: a stream's whole state is three integers, so state and set_state resume it bit for bit.
*/
#include "state.h"

static const char RNG[] = "neap.rng";

neap_rng **bind_rngbox (lua_State *L) {
  neap_rng **b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = NULL;
  luaL_setmetatable(L, RNG);
  return b;
}

static neap_rng *check_rng (lua_State *L, int i) {
  neap_rng **b = luaL_testudata(L, i, RNG);
  if (!b || !*b) luaL_typeerror(L, i, "rng");
  return *b;
}

neap_rng *bind_optrng (lua_State *L, int i) {
  if (lua_isnoneornil(L, i)) return neap_rng_default(bind_state_of(L)->c);
  neap_rng **b = luaL_testudata(L, i, RNG);
  if (!b || !*b) luaL_error(L, "option 'rng': a stream made by neap.rng expected, got %s", luaL_typename(L, i));
  return *b;
}

static int rng_gc (lua_State *L) {
  neap_rng **b = luaL_checkudata(L, 1, RNG);
  neap_rng_release(*b);
  *b = NULL;
  return 0;
}

/* neap.rng([seed]): without one the new stream is split off the context's own */
static int rng_new (lua_State *L) {
  bool split = lua_isnoneornil(L, 1);
  uint64_t seed = split ? 0 : (uint64_t)luaL_checkinteger(L, 1);
  bind_state *S = bind_state_of(L);
  neap_rng **b = bind_rngbox(L);
  *b = split ? neap_rng_split(S->c, neap_rng_default(S->c)) : neap_rng_new(S->c, seed);
  return *b ? 1 : bind_raise(L, S);
}

static int rng_split (lua_State *L) {
  neap_rng *r = check_rng(L, 1);
  bind_state *S = bind_state_of(L);
  neap_rng **b = bind_rngbox(L);
  *b = neap_rng_split(S->c, r);
  return *b ? 1 : bind_raise(L, S);
}

static int seed (lua_State *L) {
  uint64_t n = (uint64_t)luaL_checkinteger(L, 1);
  neap_seed(bind_state_of(L)->c, n);
  return 0;
}

/* ---- draws ---- */

typedef struct draw {
  neap_rng *rng;
  neap_tensor *t;                                       /* p or logits */
  neap_dtype d;
  int ndim;
  int64_t sizes[NEAP_MAX_DIMS], lo, hi;
} draw;

typedef neap_tensor *draw_fn (neap_context *c, const draw *d);

static neap_tensor *draw_normal (neap_context *c, const draw *d) {
  return neap_rng_normal(c, d->rng, d->d, d->ndim, d->sizes);
}
static neap_tensor *draw_uniform (neap_context *c, const draw *d) {
  return neap_rng_uniform(c, d->rng, d->d, d->ndim, d->sizes);
}
static neap_tensor *draw_integers (neap_context *c, const draw *d) {
  return neap_rng_randint(c, d->rng, d->lo, d->hi, d->ndim, d->sizes);
}
static neap_tensor *draw_bernoulli (neap_context *c, const draw *d) { return neap_rng_bernoulli(c, d->rng, d->t); }
static neap_tensor *draw_categorical (neap_context *c, const draw *d) { return neap_rng_categorical(c, d->rng, d->t); }
static neap_tensor *draw_permutation (neap_context *c, const draw *d) { return neap_rng_permutation(c, d->rng, d->lo); }

/* the stream is where it was before a draw that failed for want of memory, so the second try draws the same */
static int run (lua_State *L, draw *d, draw_fn *f) {
  bind_state *S = bind_state_of(L);
  bind_tbox *b = bind_newbox(L, S);
  neap_rng_state before = neap_rng_get(d->rng);
  neap_tensor *t;
  neap_scope s;
  int tries = 0;
  do {
    neap_rng_set(d->rng, before);
    s = neap_scope_open(S->c);
    t = f(S->c, d);
  } while (!t && bind_again(L, S, s, &tries));
  bind_fill(L, b, s, t);
  return 1;
}

/* sizes from first on, then {dtype=} */
static void take_sizes (lua_State *L, draw *d, int first, const char *fname) {
  static const char *const options[] = { "dtype", NULL };
  int top = lua_gettop(L), table = top > first && lua_istable(L, top) ? top : 0;
  d->d = neap_default_dtype(bind_state_of(L)->c);
  if (table) {
    bind_options(L, table, fname, options);
    d->d = (neap_dtype)bind_optdtype(L, table, fname, "dtype", (int)d->d);
    top--;
  }
  d->ndim = bind_sizes(L, first, top, fname, d->sizes);
}

static int rng_normal (lua_State *L) {
  draw d = { .rng = check_rng(L, 1) };
  take_sizes(L, &d, 2, "normal");
  return run(L, &d, draw_normal);
}

static int rng_uniform (lua_State *L) {
  draw d = { .rng = check_rng(L, 1) };
  take_sizes(L, &d, 2, "uniform");
  return run(L, &d, draw_uniform);
}

static int rng_randint (lua_State *L) {
  draw d = { .rng = check_rng(L, 1), .lo = luaL_checkinteger(L, 2), .hi = luaL_checkinteger(L, 3) };
  d.ndim = bind_sizes(L, 4, lua_gettop(L), "randint", d.sizes);
  return run(L, &d, draw_integers);
}

/* the argument at i; a number or table becomes a tensor in its place */
static neap_tensor *tensor_at (lua_State *L, int i) {
  int type = lua_type(L, i);
  if (type != LUA_TNUMBER && type != LUA_TTABLE) return bind_checktensor(L, i);
  neap_tensor **box = bind_box(L);
  neap_scope s = neap_scope_open(bind_context(L));
  *box = neap_keep(bind_lendtensor(L, i));
  bind_close(L, s);
  lua_replace(L, i);
  return *box;
}

static int rng_bernoulli (lua_State *L) {
  draw d = { .rng = check_rng(L, 1), .t = tensor_at(L, 2) };
  return run(L, &d, draw_bernoulli);
}

static int rng_categorical (lua_State *L) {
  draw d = { .rng = check_rng(L, 1), .t = tensor_at(L, 2) };
  return run(L, &d, draw_categorical);
}

static int rng_randperm (lua_State *L) {
  draw d = { .rng = check_rng(L, 1), .lo = luaL_checkinteger(L, 2) };
  return run(L, &d, draw_permutation);
}

/* ---- state ---- */

static void set_integer (lua_State *L, const char *name, uint64_t v) {
  lua_pushinteger(L, (lua_Integer)v);
  lua_setfield(L, -2, name);
}

static int push_state (lua_State *L, const neap_rng *r) {
  neap_rng_state s = neap_rng_get(r);
  lua_createtable(L, 0, 3);
  set_integer(L, "seed", s.seed);
  set_integer(L, "stream", s.stream);
  set_integer(L, "step", s.step);
  return 1;
}

static int restore (lua_State *L, neap_rng *r, int i) {
  static const char *const names[] = { "seed", "stream", "step", NULL };
  luaL_checktype(L, i, LUA_TTABLE);
  bind_options(L, i, "set_state", names);
  neap_rng_state now = neap_rng_get(r);
  now.seed = (uint64_t)bind_optinteger(L, i, "set_state", "seed", (int64_t)now.seed);
  now.stream = (uint64_t)bind_optinteger(L, i, "set_state", "stream", (int64_t)now.stream);
  now.step = (uint64_t)bind_optinteger(L, i, "set_state", "step", (int64_t)now.step);
  neap_rng_set(r, now);
  return 0;
}

static int rng_state (lua_State *L) { return push_state(L, check_rng(L, 1)); }
static int rng_set_state (lua_State *L) { return restore(L, check_rng(L, 1), 2); }
static int own_state (lua_State *L) { return push_state(L, neap_rng_default(bind_state_of(L)->c)); }
static int set_own_state (lua_State *L) { return restore(L, neap_rng_default(bind_state_of(L)->c), 1); }

static int rng_tostring (lua_State *L) {
  neap_rng_state s = neap_rng_get(check_rng(L, 1));
  lua_pushfstring(L, "rng (seed %I, stream %I, step %I)", (lua_Integer)s.seed, (lua_Integer)s.stream,
                  (lua_Integer)s.step);
  return 1;
}

static const luaL_Reg methods[] = {
  { "normal", rng_normal }, { "uniform", rng_uniform }, { "randint", rng_randint }, { "bernoulli", rng_bernoulli },
  { "categorical", rng_categorical }, { "randperm", rng_randperm }, { "split", rng_split }, { "state", rng_state },
  { "set_state", rng_set_state }, { NULL, NULL }
};
static const luaL_Reg metamethods[] = { { "__gc", rng_gc }, { "__tostring", rng_tostring }, { NULL, NULL } };
static const luaL_Reg functions[] = {
  { "rng", rng_new }, { "seed", seed }, { "rng_state", own_state }, { "set_rng_state", set_own_state }, { NULL, NULL }
};

void open_random (lua_State *L) {
  luaL_newmetatable(L, RNG);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  bind_setname(L, "rng");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
