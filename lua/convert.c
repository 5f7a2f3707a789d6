/*
** convert.c -- Lua values to tensors and back.
** Invariant: reading a table uses raw access only, so nothing raises while a scope is open; what is wrong with it
** becomes the context's pending error and says where.
*/
#include "state.h"
#include "show.h"
#include <math.h>
#include <string.h>

/* ---- numbers beside tensors ---- */

static bool is_integral (lua_State *L, int i, int64_t *v) {
  int ok;
  *v = lua_tointegerx(L, i, &ok);
  return ok;
}

neap_dtype bind_numberdtype (lua_State *L, int i, neap_dtype like, neap_dtype otherwise) {
  int64_t v;
  if (lua_type(L, i) == LUA_TBOOLEAN) return NEAP_BOOL;
  if (like == NEAP_FLOAT32 || like == NEAP_FLOAT64) return like;
  if (!is_integral(L, i, &v)) return otherwise;
  return like == NEAP_UINT8 && v >= 0 && v <= 255 ? NEAP_UINT8 : NEAP_INT64;
}

neap_tensor *bind_scalar (lua_State *L, neap_context *c, int i, neap_dtype d) {
  int64_t v;
  if (lua_type(L, i) == LUA_TBOOLEAN) return neap_scalar(c, d, lua_toboolean(L, i));
  if (d == NEAP_INT64 && is_integral(L, i, &v)) return neap_from(c, d, 0, NULL, &v);
  return neap_scalar(c, d, lua_tonumber(L, i));
}

/* where the cache keeps v as d: one slot per hash of both */
static unsigned slot_of (double v, neap_dtype d) {
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  return (unsigned)((bits ^ d) * UINT64_C(0x9e3779b97f4a7c15) >> 58);
}

neap_tensor *bind_constant (lua_State *L, bind_state *S, int i, neap_dtype d) {
  bool cached = (d == NEAP_FLOAT32 || d == NEAP_FLOAT64) && lua_type(L, i) == LUA_TNUMBER;
  if (!cached || S->c->trace) return bind_scalar(L, S->c, i, d);     /* equal numbers are not one to a recorder */
  double v = lua_tonumber(L, i);
  unsigned k = slot_of(v, d);
  neap_tensor *t = S->constants[k];
  if (t && memcmp(&S->values[k], &v, sizeof v) == 0 && neap_dtype_of(t) == d) return neap_lend(S->c, neap_keep(t));
  t = neap_keep(neap_scalar(S->c, d, v));
  if (!t) return NULL;
  neap_release(S->constants[k]);
  S->constants[k] = t;
  S->values[k] = v;
  return t;
}

/* ---- nested tables ---- */

typedef struct nest {
  lua_State *L;
  neap_context *c;
  const char *fname;
  neap_dtype d;
  int ndim;
  int64_t shape[NEAP_MAX_DIMS], at[NEAP_MAX_DIMS];       /* at: where the walk is, from 1 */
  char *data;
} nest;

/* "row 3", or "[2][3]" when deeper: depth indices of n->at */
static const char *place (const nest *n, int depth, char *text, size_t size) {
  size_t used = 0;
  if (depth == 1) { snprintf(text, size, "row %lld", (long long)n->at[0]); return text; }
  for (int i = 0; i < depth && used < size; i++)
    used += (size_t)snprintf(text + used, size - used, "[%lld]", (long long)n->at[i]);
  return depth ? text : "the value";
}
#define PLACE(n, depth) place(n, depth, (char[200]){0}, 200)

static neap_tensor *one_element (lua_State *L, int i) {
  neap_tensor *t = bind_totensor(L, i);
  return t && neap_numel(t) == 1 ? t : NULL;
}

/* the shape that the first elements give; leaves the first leaf on the stack */
static bool probe (nest *n, int i) {
  lua_State *L = n->L;
  lua_pushvalue(L, i);
  while (lua_istable(L, -1)) {
    if (n->ndim == NEAP_MAX_DIMS)
      return neap_fail(n->c, NEAP_ESHAPE, "%s: the table is nested deeper than %d levels", n->fname, NEAP_MAX_DIMS);
    n->shape[n->ndim++] = (int64_t)lua_rawlen(L, -1);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
    if (n->shape[n->ndim - 1] == 0) break;
  }
  return true;
}

static bool wrong_leaf (nest *n) {
  const char *expected = n->d == NEAP_BOOL ? "boolean" : "number";
  const char *got = lua_istable(n->L, -1) ? "a table" : luaL_typename(n->L, -1);
  char text[200];
  place(n, n->ndim, text, sizeof text);
  return neap_fail(n->c, NEAP_EARG, "%s: element %s: %s expected, got %s", n->fname,
                   n->ndim == 1 ? text + strlen("row ") : n->ndim ? text : "", expected, got);
}

static bool out_of_range (nest *n, double v) {
  return neap_fail(n->c, NEAP_EARG, "%s: %.14g at %s does not fit %s", n->fname, v, PLACE(n, n->ndim),
                   neap_dtype_name(n->d));
}

static bool store_integer (nest *n, int64_t k, int i) {
  int64_t v;
  if (!is_integral(n->L, i, &v)) return out_of_range(n, lua_tonumber(n->L, i));
  if (n->d == NEAP_UINT8 && (v < 0 || v > 255)) return out_of_range(n, (double)v);
  if (n->d == NEAP_UINT8) ((uint8_t *)n->data)[k] = (uint8_t)v;
  else ((int64_t *)n->data)[k] = v;
  return true;
}

/* the number on top of the stack into element k */
static bool store_number (nest *n, int64_t k) {
  double v = lua_tonumber(n->L, -1);
  switch (n->d) {
    case NEAP_FLOAT32: ((float *)n->data)[k] = (float)v; return true;
    case NEAP_FLOAT64: ((double *)n->data)[k] = v; return true;
    case NEAP_BOOL: ((uint8_t *)n->data)[k] = v != 0; return true;
    default: return store_integer(n, k, -1);
  }
}

static bool store_tensor (nest *n, int64_t k, neap_tensor *t) {
  return neap_read(n->c, t, n->d, n->data + (size_t)k * neap_dtype_size(n->d));
}

static bool store_leaf (nest *n, int64_t k, bool strict) {
  lua_State *L = n->L;
  if (lua_type(L, -1) == LUA_TNUMBER) return strict && n->d == NEAP_BOOL ? wrong_leaf(n) : store_number(n, k);
  neap_tensor *t = one_element(L, -1);
  if (t) return store_tensor(n, k, t);
  if (lua_type(L, -1) != LUA_TBOOLEAN || (strict && n->d != NEAP_BOOL)) return wrong_leaf(n);
  lua_pushinteger(L, lua_toboolean(L, -1));
  bool ok = store_number(n, k);
  lua_pop(L, 1);
  return ok;
}

static const char *count_text (int64_t count, const char *what, char *text, size_t size) {
  snprintf(text, size, "%lld %s%s", (long long)count, what, count == 1 ? "" : "s");
  return text;
}

static bool ragged (nest *n, int depth, int64_t got) {
  const char *what = depth + 1 == n->ndim ? "number" : "row";
  char here[200], first[200], a[64], b[64];
  place(n, depth, here, sizeof here);
  for (int i = 0; i < depth; i++) n->at[i] = 1;
  place(n, depth, first, sizeof first);
  return neap_fail(n->c, NEAP_ESHAPE, "%s: ragged table: %s has %s, %s has %s", n->fname, here,
                   count_text(got, what, a, sizeof a), first, count_text(n->shape[depth], what, b, sizeof b));
}

/* the value on top of the stack, depth levels down, into the elements from k on */
static bool fill (nest *n, int depth, int64_t k, bool strict) {
  if (depth == n->ndim) return store_leaf(n, k, strict);
  lua_State *L = n->L;
  if (!lua_istable(L, -1))
    return neap_fail(n->c, NEAP_ESHAPE, "%s: ragged table: %s is a %s, a table was expected there", n->fname,
                     PLACE(n, depth), luaL_typename(L, -1));
  int64_t count = (int64_t)lua_rawlen(L, -1), below = 1;
  if (count != n->shape[depth]) return ragged(n, depth, count);
  for (int i = depth + 1; i < n->ndim; i++) below *= n->shape[i];
  bool ok = true;
  for (int64_t i = 1; ok && i <= count; i++) {
    n->at[depth] = i;
    lua_rawgeti(L, -1, i);
    ok = fill(n, depth + 1, k + (i - 1) * below, strict);
    lua_pop(L, 1);
  }
  return ok;
}

static neap_dtype leaf_dtype (lua_State *L, neap_context *c) {
  neap_tensor *t = one_element(L, -1);
  if (t) return neap_dtype_of(t);
  return lua_type(L, -1) == LUA_TBOOLEAN ? NEAP_BOOL : neap_default_dtype(c);
}

neap_tensor *bind_nested (lua_State *L, neap_context *c, int i, int d, const char *fname) {
  nest n = { .L = L, .c = c, .fname = fname };
  int top = lua_gettop(L);
  neap_tensor *t = NULL;
  i = lua_absindex(L, i);
  if (!lua_checkstack(L, 2 * NEAP_MAX_DIMS + 4)) return neap_fail(c, NEAP_EMEMORY, "not enough memory: Lua's stack");
  if (probe(&n, i)) {
    n.d = d >= 0 ? (neap_dtype)d : leaf_dtype(L, c);
    t = neap_empty(c, n.d, n.ndim, n.shape);
  }
  lua_settop(L, top);
  if (!t) return NULL;
  n.data = neap_data(t);
  lua_pushvalue(L, i);
  bool ok = fill(&n, 0, 0, d < 0);
  lua_settop(L, top);
  return ok ? t : NULL;
}

/* called by methods: self is not counted */
neap_tensor *bind_lendtensor (lua_State *L, int i) {
  neap_context *c = bind_state_of(L)->c;
  bind_tbox *b = bind_boxat(L, i);
  if (b && b->t) return neap_lend(c, neap_keep(b->t));    /* held even if a callback closes it */
  if (b) return neap_fail(c, NEAP_EARG, "argument %d: the tensor was closed", i - 1);
  int type = lua_type(L, i);
  if (type == LUA_TNUMBER || type == LUA_TTABLE || type == LUA_TBOOLEAN) return bind_nested(L, c, i, -1, "tensor");
  return neap_fail(c, NEAP_EARG, "argument %d: tensor expected, got %s", i - 1, luaL_typename(L, i));
}

/* ---- tensors to Lua ---- */

static void push_element (lua_State *L, neap_dtype d, const void *data, int64_t i) {
  switch (d) {
    case NEAP_FLOAT32: lua_pushnumber(L, ((const float *)data)[i]); break;
    case NEAP_FLOAT64: lua_pushnumber(L, ((const double *)data)[i]); break;
    case NEAP_INT64: lua_pushinteger(L, ((const int64_t *)data)[i]); break;
    case NEAP_UINT8: lua_pushinteger(L, ((const uint8_t *)data)[i]); break;
    default: lua_pushboolean(L, ((const uint8_t *)data)[i]); break;
  }
}

void bind_pushitem (lua_State *L, bind_state *S, neap_tensor *t) {
  int64_t value = 0;                                    /* large enough for any dtype */
  neap_dtype d = neap_dtype_of(t);
  if (!neap_read(S->c, t, d, &value)) bind_raise(L, S);
  push_element(L, d, &value, 0);
}

void bind_pushshape (lua_State *L, const neap_tensor *t) { bind_pushsizes(L, neap_ndim(t), neap_shape(t)); }

/* the elements from k on, depth levels down; returns how many were taken */
static int64_t push_nested (lua_State *L, const neap_tensor *t, const void *data, int depth, int64_t k) {
  if (depth == neap_ndim(t)) { push_element(L, neap_dtype_of(t), data, k); return 1; }
  int64_t n = neap_shape(t)[depth], taken = 0;
  luaL_checkstack(L, 3, "totable");
  lua_createtable(L, n < INT32_MAX ? (int)n : 0, 0);
  for (int64_t i = 1; i <= n; i++) {
    taken += push_nested(L, t, data, depth + 1, k + taken);
    lua_rawseti(L, -2, i);
  }
  return taken;
}

void bind_totable (lua_State *L, bind_state *S, neap_tensor *t) {
  size_t bytes = (size_t)neap_numel(t) * neap_dtype_size(neap_dtype_of(t));
  void *data = lua_newuserdatauv(L, bytes ? bytes : 1, 0);      /* Lua's, because making tables may raise */
  if (!neap_read(S->c, t, neap_dtype_of(t), data)) bind_raise(L, S);
  push_nested(L, t, data, 0, 0);
  lua_remove(L, -2);
}
