/*
** create.c -- tensors made from numbers: neap.tensor, zeros, full, arange, rand and their like.
** Invariant: all of a function's arguments are checked into a recipe before its box is made; the recipe is then
** cooked inside a scope, a second time after a collection if memory was short.
*/
#include "state.h"
#include <math.h>
#include <string.h>

typedef struct recipe recipe;
typedef neap_tensor *make_fn (lua_State *L, neap_context *c, const recipe *r);
struct recipe {
  const char *fname;
  make_fn *make;
  int d;                                                /* a dtype; -1: the default one */
  int ndim;
  int64_t sizes[NEAP_MAX_DIMS], lo, hi;
  double a[3];
  neap_rng *rng;
  int from;                                             /* stack index of neap.tensor's value */
};

static neap_dtype dtype_of (neap_context *c, const recipe *r) {
  return r->d < 0 ? neap_default_dtype(c) : (neap_dtype)r->d;
}

static int cook (lua_State *L, const recipe *r) {
  bind_state *S = bind_state_of(L);
  bind_tbox *b = bind_newbox(L, S);
  neap_tensor *t;
  neap_scope s;
  int tries = 0;
  do {
    s = neap_scope_open(S->c);
    t = r->make(L, S->c, r);
  } while (!t && bind_again(L, S, s, &tries));
  bind_fill(L, b, s, t);
  return 1;
}

/* ---- arguments ---- */

static const char *const plain_options[] = { "dtype", NULL };
static const char *const random_options[] = { "dtype", "rng", NULL };

static bool is_options (lua_State *L, int i) {
  if (!lua_istable(L, i) || lua_rawlen(L, i) > 0) return false;
  lua_pushnil(L);
  if (!lua_next(L, i)) return false;
  lua_pop(L, 2);
  return true;
}

/* the trailing table of options, if there is one, into r; returns the index of the last argument before it.
** A lone table is the sizes, unless it has names only. */
static int take_options (lua_State *L, recipe *r, int first, const char *const *names) {
  int top = lua_gettop(L);
  while (top > first && lua_isnil(L, top)) top--;
  bool there = lua_istable(L, top) && top >= first && (top > first || is_options(L, top));
  int table = there ? top : 0;
  if (there) bind_options(L, table, r->fname, names);
  if (table) r->d = bind_optdtype(L, table, r->fname, "dtype", r->d);
  bool random = names == random_options;
  if (table && random) bind_field(L, table, "rng"); else lua_pushnil(L);
  if (random) r->rng = bind_optrng(L, lua_gettop(L));    /* stays on the stack: it must live */
  return there ? top - 1 : top;
}

/* fname(sizes [, options]) */
static int sized (lua_State *L, const char *fname, make_fn *make, double value, const char *const *names) {
  recipe r = { .fname = fname, .make = make, .d = -1, .a = { value } };
  int last = take_options(L, &r, 1, names);
  r.ndim = bind_sizes(L, 1, last, fname, r.sizes);
  return cook(L, &r);
}

/* ---- constants ---- */

static neap_tensor *make_full (lua_State *L, neap_context *c, const recipe *r) {
  (void)L;
  return neap_full(c, dtype_of(c, r), r->ndim, r->sizes, r->a[0]);
}

static neap_tensor *make_empty (lua_State *L, neap_context *c, const recipe *r) {
  (void)L;
  return neap_empty(c, dtype_of(c, r), r->ndim, r->sizes);
}

static int create_zeros (lua_State *L) { return sized(L, "zeros", make_full, 0, plain_options); }
static int create_ones (lua_State *L) { return sized(L, "ones", make_full, 1, plain_options); }
static int create_empty (lua_State *L) { return sized(L, "empty", make_empty, 0, plain_options); }

static double check_value (lua_State *L, recipe *r, int i) {
  if (lua_type(L, i) != LUA_TBOOLEAN) return luaL_checknumber(L, i);
  if (r->d < 0) r->d = NEAP_BOOL;
  return lua_toboolean(L, i);
}

/* full(sizes, v [, options]): sizes one table, or numbers before v */
static int create_full (lua_State *L) {
  recipe r = { .fname = "full", .make = make_full, .d = -1 };
  int last = take_options(L, &r, 2, plain_options);
  if (last < 2) return luaL_argerror(L, 2, "value expected");
  r.a[0] = check_value(L, &r, last);
  r.ndim = bind_sizes(L, 1, last - 1, r.fname, r.sizes);
  return cook(L, &r);
}

/* ---- sequences ---- */

static neap_tensor *make_arange (lua_State *L, neap_context *c, const recipe *r) {
  (void)L;
  return neap_arange(c, dtype_of(c, r), r->a[0], r->a[1], r->a[2]);
}

static int create_arange (lua_State *L) {
  recipe r = { .fname = "arange", .make = make_arange, .d = -1, .a = { 1, 0, 1 } };
  int last = take_options(L, &r, 2, plain_options);
  double first = luaL_checknumber(L, 1);
  if (last < 2) r.a[1] = first;
  else { r.a[0] = first; r.a[1] = luaL_checknumber(L, 2); }
  if (last >= 3) r.a[2] = luaL_checknumber(L, 3);
  return cook(L, &r);
}

static neap_tensor *make_linspace (lua_State *L, neap_context *c, const recipe *r) {
  (void)L;
  return neap_linspace(c, dtype_of(c, r), r->a[0], r->a[1], r->lo);
}

static int create_linspace (lua_State *L) {
  recipe r = { .fname = "linspace", .make = make_linspace, .d = -1 };
  r.a[0] = luaL_checknumber(L, 1);
  r.a[1] = luaL_checknumber(L, 2);
  r.lo = luaL_checkinteger(L, 3);
  take_options(L, &r, 4, plain_options);
  return cook(L, &r);
}

static neap_tensor *make_eye (lua_State *L, neap_context *c, const recipe *r) {
  (void)L;
  return neap_eye(c, dtype_of(c, r), r->lo, r->hi);
}

static int create_eye (lua_State *L) {
  recipe r = { .fname = "eye", .make = make_eye, .d = -1 };
  int last = take_options(L, &r, 2, plain_options);
  r.lo = luaL_checkinteger(L, 1);
  r.hi = last >= 2 ? luaL_checkinteger(L, 2) : r.lo;
  return cook(L, &r);
}

/* ---- random ---- */

static neap_tensor *make_normal (lua_State *L, neap_context *c, const recipe *r) {
  (void)L;
  return neap_rng_normal(c, r->rng, dtype_of(c, r), r->ndim, r->sizes);
}

static neap_tensor *make_uniform (lua_State *L, neap_context *c, const recipe *r) {
  (void)L;
  return neap_rng_uniform(c, r->rng, dtype_of(c, r), r->ndim, r->sizes);
}

static neap_tensor *make_randint (lua_State *L, neap_context *c, const recipe *r) {
  (void)L;
  neap_tensor *t = neap_rng_randint(c, r->rng, r->lo, r->hi, r->ndim, r->sizes);
  return t && r->d >= 0 && r->d != NEAP_INT64 ? neap_cast(c, t, r->d) : t;
}

static neap_tensor *make_randperm (lua_State *L, neap_context *c, const recipe *r) {
  (void)L;
  return neap_rng_permutation(c, r->rng, r->lo);
}

static int create_randn (lua_State *L) { return sized(L, "randn", make_normal, 0, random_options); }
static int create_rand (lua_State *L) { return sized(L, "rand", make_uniform, 0, random_options); }

static int create_randint (lua_State *L) {
  recipe r = { .fname = "randint", .make = make_randint, .d = -1 };
  r.lo = luaL_checkinteger(L, 1);
  r.hi = luaL_checkinteger(L, 2);
  int last = take_options(L, &r, 3, random_options);
  r.ndim = bind_sizes(L, 3, last, r.fname, r.sizes);
  return cook(L, &r);
}

static int create_randperm (lua_State *L) {
  static const char *const options[] = { "rng", NULL };
  recipe r = { .fname = "randperm", .make = make_randperm, .d = -1 };
  r.lo = luaL_checkinteger(L, 1);
  bind_options(L, 2, r.fname, options);
  bind_field(L, 2, "rng");
  r.rng = bind_optrng(L, lua_gettop(L));
  return cook(L, &r);
}

/* ---- like another ---- */

static int like (lua_State *L, recipe *r, int options, const char *const *names) {
  neap_tensor *x = bind_checktensor(L, 1);
  r->d = neap_dtype_of(x);
  r->ndim = neap_ndim(x);
  memcpy(r->sizes, neap_shape(x), (size_t)r->ndim * sizeof *r->sizes);
  lua_settop(L, options);
  bind_options(L, options, r->fname, names);
  r->d = bind_optdtype(L, options, r->fname, "dtype", r->d);
  if (names != random_options) return cook(L, r);
  bool integers = r->d != NEAP_FLOAT32 && r->d != NEAP_FLOAT64;
  if (integers) r->d = -1;                               /* noise like an image of bytes has the default dtype */
  bind_field(L, options, "rng");
  r->rng = bind_optrng(L, lua_gettop(L));
  return cook(L, r);
}

static int create_zeros_like (lua_State *L) {
  return like(L, &(recipe){ .fname = "zeros_like", .make = make_full }, 2, plain_options);
}

static int create_ones_like (lua_State *L) {
  return like(L, &(recipe){ .fname = "ones_like", .make = make_full, .a = { 1 } }, 2, plain_options);
}

static int create_empty_like (lua_State *L) {
  return like(L, &(recipe){ .fname = "empty_like", .make = make_empty }, 2, plain_options);
}

static int create_randn_like (lua_State *L) {
  return like(L, &(recipe){ .fname = "randn_like", .make = make_normal }, 2, random_options);
}

static int create_rand_like (lua_State *L) {
  return like(L, &(recipe){ .fname = "rand_like", .make = make_uniform }, 2, random_options);
}

static int create_full_like (lua_State *L) {
  recipe r = { .fname = "full_like", .make = make_full };
  r.a[0] = check_value(L, &r, 2);
  return like(L, &r, 3, plain_options);
}

/* ---- from values ---- */

static neap_tensor *make_tensor (lua_State *L, neap_context *c, const recipe *r) {
  neap_tensor *t = bind_totensor(L, r->from);
  if (!t) return bind_nested(L, c, r->from, r->d, r->fname);
  neap_dtype d = r->d < 0 ? neap_dtype_of(t) : (neap_dtype)r->d;
  neap_tensor *copy = neap_empty(c, d, neap_ndim(t), neap_shape(t));
  return copy && neap_write(c, copy, t) ? copy : NULL;
}

static int create_tensor (lua_State *L) {
  recipe r = { .fname = "tensor", .make = make_tensor, .d = -1, .from = 1 };
  int type = lua_type(L, 1);
  if (bind_boxat(L, 1)) bind_checktensor(L, 1);
  else if (type != LUA_TNUMBER && type != LUA_TBOOLEAN && type != LUA_TTABLE)
    return luaL_typeerror(L, 1, "number, table or tensor");
  bind_options(L, 2, r.fname, plain_options);
  r.d = bind_optdtype(L, 2, r.fname, "dtype", -1);
  lua_settop(L, 2);
  return cook(L, &r);
}

/* ---- the default dtype ---- */

static int default_dtype (lua_State *L) {
  bind_state *S = bind_state_of(L);
  if (!lua_isnoneornil(L, 1)) {
    int d = bind_dtype(L, 1, "default_dtype", "argument 1");
    if (!neap_set_default_dtype(S->c, (neap_dtype)d)) return bind_raise(L, S);
  }
  lua_pushstring(L, neap_dtype_name(neap_default_dtype(S->c)));
  return 1;
}

static const luaL_Reg functions[] = {
  { "tensor", create_tensor }, { "zeros", create_zeros }, { "ones", create_ones }, { "empty", create_empty },
  { "full", create_full }, { "arange", create_arange }, { "linspace", create_linspace }, { "eye", create_eye },
  { "rand", create_rand }, { "randn", create_randn }, { "randint", create_randint }, { "randperm", create_randperm },
  { "default_dtype", default_dtype }, { NULL, NULL }
};
static const luaL_Reg alike[] = {
  { "zeros_like", create_zeros_like }, { "ones_like", create_ones_like }, { "empty_like", create_empty_like },
  { "full_like", create_full_like }, { "rand_like", create_rand_like }, { "randn_like", create_randn_like },
  { NULL, NULL }
};

void open_create (lua_State *L) {
  luaL_setfuncs(L, functions, 0);
  for (const luaL_Reg *f = alike; f->name; f++) bind_function(L, f->name, f->func);
}
