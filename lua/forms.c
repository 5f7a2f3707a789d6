/*
** forms.c -- ops whose Lua form has several results: max, min, sort, topk, median, eigh, split, chunk.
** Invariant: all boxes exist before the scope opens.  Values are gathered at the indices, so both always agree.
*/
#include "sig.h"
#include <string.h>

/* ---- values and indices ---- */

typedef struct pair_form {
  const char *name;
  int values, indices;                                  /* rows */
  int dim, keepdim;                                     /* slots in attrs.i of the indices' row; -1: none */
  bool whole;                                           /* without a dimension: the values' row over everything */
} pair_form;

static const pair_form pairs[] = {
  { "max", NEAP_OP_max, NEAP_OP_argmax, 0, 1, true }, { "min", NEAP_OP_min, NEAP_OP_argmin, 0, 1, true },
  { "median", NEAP_OP_median, NEAP_OP_argmedian, 0, 1, true }, { "sort", NEAP_OP_sort, NEAP_OP_argsort, 0, -1, false },
  { "topk", NEAP_OP_topk, NEAP_OP_argtopk, 1, -1, false }
};

/* x [.., N, ..] -> values, indices, of the indices' shape, without dim unless keep */
static bool gather_pair (neap_context *c, neap_tensor *x, const bind_args *k, const pair_form *f, neap_tensor **out) {
  neap_attrs a = k->a, at = { .count = -1 };
  bool squeeze = f->keepdim >= 0 && a.i[f->keepdim] != 1;
  int64_t dim = a.i[f->dim] == NEAP_NONE ? -1 : a.i[f->dim];
  if (f->keepdim >= 0) a.i[f->keepdim] = 1;
  at.i[0] = a.i[f->dim] = dim;
  out[1] = neap_apply(c, f->indices, &x, 1, &a);
  out[0] = out[1] ? neap_apply(c, NEAP_OP_gather, (neap_tensor *[]){ x, out[1] }, 2, &at) : NULL;
  for (int i = 0; squeeze && out[0] && i < 2; i++) out[i] = neap_squeeze(c, out[i], 1, &dim);
  return out[0] && out[1];
}

static int call_pair (lua_State *L, const pair_form *f, const bind_op *d) {
  int where[BIND_FEW];
  neap_tensor *in[BIND_FEW], *out[2] = { NULL, NULL }, *x = bind_checktensor(L, 1);
  bind_args k = { .d = d, .name = f->name, .n = 1, .top = lua_gettop(L), .where = where, .in = in };
  bind_take(L, &k);
  bind_state *S = bind_state_of(L);
  bind_tbox *values = bind_newbox(L, S), *indices = bind_newbox(L, S);
  neap_scope s;
  int tries = 0;
  bool ok;
  do {
    s = neap_scope_open(S->c);
    ok = gather_pair(S->c, x, &k, f, out);
  } while (!ok && bind_again(L, S, s, &tries));
  if (!ok) bind_blame(S->c, f->name);
  indices->t = ok ? neap_keep(out[1]) : NULL;
  bind_fill(L, values, s, ok ? out[0] : NULL);
  return 2;
}

/* upvalues: the row of the values, the row of the indices, the form */
static int pair (lua_State *L) {
  const pair_form *f = lua_touserdata(L, lua_upvalueindex(3));
  if (f->whole && lua_type(L, 2) != LUA_TNUMBER) return bind_callrow(L, lua_touserdata(L, lua_upvalueindex(1)));
  return call_pair(L, f, lua_touserdata(L, lua_upvalueindex(2)));
}

/* ---- eigh: values [.., N], vectors [.., N, N] ---- */

static bool cut_eigh (neap_context *c, neap_tensor *x, neap_tensor **out) {
  neap_tensor *packed = neap_eigh_packed(c, x);
  if (!packed) return false;
  int64_t n = neap_shape(packed)[neap_ndim(packed) - 2];
  out[0] = neap_select(c, packed, -1, n + 1);
  out[1] = neap_slice(c, packed, -1, 1, n, 1);
  return out[0] && out[1];
}

static int eigh (lua_State *L) {
  neap_tensor *x = bind_checktensor(L, 1), *out[2] = { NULL, NULL };
  bind_state *S = bind_state_of(L);
  bind_tbox *values = bind_newbox(L, S), *vectors = bind_newbox(L, S);
  neap_scope s;
  int tries = 0;
  bool ok;
  do {
    s = neap_scope_open(S->c);
    ok = cut_eigh(S->c, x, out);
  } while (!ok && bind_again(L, S, s, &tries));
  if (!ok) bind_blame(S->c, "eigh");
  vectors->t = ok ? neap_keep(out[1]) : NULL;
  bind_fill(L, values, s, ok ? out[0] : NULL);
  return 2;
}

/* ---- pieces along a dimension ---- */

typedef struct cut { neap_tensor *x; int64_t n, dim; } cut;

static cut check_cut (lua_State *L, const char *fname) {
  neap_tensor *x = bind_checktensor(L, 1);
  int64_t dim = luaL_optinteger(L, 3, 1), ndim = neap_ndim(x), axis = dim < 0 ? dim + ndim : dim - 1;
  if (dim == 0 || axis < 0 || axis >= ndim)
    luaL_error(L, "%s: dim %I is out of range for a tensor of %d dimensions", fname, (lua_Integer)dim, (int)ndim);
  lua_settop(L, 3);
  return (cut){ x, neap_shape(x)[axis], axis + 1 };
}

/* appends x's elements first..last along dim to the table on top */
static void add_piece (lua_State *L, const cut *k, int64_t first, int64_t last) {
  bind_state *S = bind_state_of(L);
  bind_tbox *b = bind_newbox(L, S);
  neap_scope s = neap_scope_open(S->c);
  bind_fill(L, b, s, neap_slice(S->c, k->x, k->dim, first, last, 1));
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

static int split_by_size (lua_State *L, const cut *k, int64_t size) {
  lua_newtable(L);
  int64_t first = 1;
  do {
    add_piece(L, k, first, first + size - 1 < k->n ? first + size - 1 : k->n);
    first += size;
  } while (first <= k->n);
  return 1;
}

static int split_by_sizes (lua_State *L, const cut *k) {
  int64_t first = 1;
  lua_Integer pieces = (lua_Integer)lua_rawlen(L, 2);
  lua_newtable(L);
  for (lua_Integer j = 1; j <= pieces; j++) {
    lua_rawgeti(L, 2, j);
    int64_t size = luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    if (size < 0 || size > k->n - first + 1) break;
    add_piece(L, k, first, first + size - 1);
    first += size;
  }
  if (first != k->n + 1 || (lua_Integer)lua_rawlen(L, -1) != pieces)
    return luaL_error(L, "split: the sizes do not sum to %I, the size of dimension %I", (lua_Integer)k->n,
                      (lua_Integer)k->dim);
  return 1;
}

static int split (lua_State *L) {
  cut k = check_cut(L, "split");
  if (lua_istable(L, 2)) return split_by_sizes(L, &k);
  int64_t size = luaL_checkinteger(L, 2);
  if (size < 1) return luaL_argerror(L, 2, "size of at least 1 expected");
  return split_by_size(L, &k, size > k.n ? k.n + 1 : size);
}

/* n pieces, or fewer when the dimension is smaller */
static int chunk (lua_State *L) {
  cut k = check_cut(L, "chunk");
  int64_t n = luaL_checkinteger(L, 2);
  if (n < 1) return luaL_argerror(L, 2, "at least 1 chunk expected");
  int64_t size = k.n / n + (k.n % n != 0);
  return split_by_size(L, &k, size < 1 ? 1 : size);
}

static void install_pair (lua_State *L, const pair_form *f) {
  bind_parse(L, f->values);
  bind_parse(L, f->indices);
  lua_pushlightuserdata(L, (void *)f);
  lua_pushcclosure(L, pair, 3);
  bind_methods(L);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, f->name);
  lua_pop(L, 1);
  lua_setfield(L, -2, f->name);
}

void open_forms (lua_State *L) {
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) install_pair(L, &pairs[i]);
  bind_function(L, "eigh", eigh);
  bind_function(L, "split", split);
  bind_function(L, "chunk", chunk);
}
