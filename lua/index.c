/*
** index.c -- x[key] and x[key] = value.
** Invariant: numbers and ranges give views (select, slice), so reading and writing share one path; a key that holds
** tensors is read by index_select and written through the linear indices that the same reading gives.  Several index
** tensors go together, as in NumPy.
*/
#include "state.h"
#include "op.h"

typedef enum kind { PICK, RANGE, LOOKUP } kind;

typedef struct entry {
  kind kind;
  int64_t i[3];                                         /* the index; or first, last, step */
  neap_tensor *t;                                       /* LOOKUP: int64 indices or a mask */
} entry;

typedef struct spec {
  int n;
  bool lookup;
  entry e[NEAP_MAX_DIMS];
} spec;

/* ---- reading the key ---- */

static int64_t check_index (lua_State *L, int i) {
  int ok;
  int64_t v = lua_tointegerx(L, i, &ok);
  if (!ok) luaL_error(L, "index: integer expected, got %s", luaL_tolstring(L, i, NULL));
  return v;
}

/* {}, {first}, {first, last}, {first, last, step} */
static void read_range (lua_State *L, entry *e) {
  lua_Unsigned n = lua_rawlen(L, -1);
  if (n > 3) luaL_error(L, "index: a range is {first, last, step}, got %d numbers", (int)n);
  *e = (entry){ RANGE, { 1, -1, 1 }, NULL };
  for (int j = 0; j < (int)n; j++) {
    lua_rawgeti(L, -1, j + 1);
    e->i[j] = check_index(L, -1);
    lua_pop(L, 1);
  }
}

/* the value on top, pushed again when it is a tensor so that it lives */
static void read_entry (lua_State *L, spec *s) {
  entry *e = &s->e[s->n++];
  bind_tbox *b = bind_boxat(L, -1);
  if (b && !b->t) luaL_error(L, "index: the tensor was closed");
  if (b) { *e = (entry){ LOOKUP, { 0 }, b->t }; s->lookup = true; }
  else if (lua_istable(L, -1)) read_range(L, e);
  else if (lua_type(L, -1) == LUA_TNUMBER) *e = (entry){ PICK, { check_index(L, -1) }, NULL };
  else luaL_error(L, "index: number, range or tensor expected, got %s", luaL_typename(L, -1));
}

static spec read_key (lua_State *L, const neap_tensor *x) {
  spec s = { 0 };
  if (!lua_istable(L, 2)) {
    lua_pushvalue(L, 2);
    read_entry(L, &s);
    lua_pop(L, 1);
  } else {
    lua_Unsigned n = lua_rawlen(L, 2);
    if ((int64_t)n > neap_ndim(x))
      luaL_error(L, "index: %d indices for a tensor of shape %s", (int)n, SHAPE_TEXT(x));
    for (lua_Unsigned j = 1; j <= n; j++) {
      lua_rawgeti(L, 2, (lua_Integer)j);
      read_entry(L, &s);
      lua_pop(L, 1);                                    /* the key's table holds on to it */
    }
  }
  if (s.n > neap_ndim(x)) luaL_error(L, "index: a tensor of no dimensions cannot be indexed");
  return s;
}

/* ---- one entry ---- */

static neap_tensor *apply1 (neap_context *c, int op, neap_tensor *x, int64_t i0, int64_t i1, int64_t i2, int64_t i3) {
  neap_attrs a = { .i = { i0, i1, i2, i3 }, .count = -1 };
  return neap_apply(c, op, &x, 1, &a);
}

static neap_tensor *pick (neap_context *c, neap_tensor *x, int dim, int64_t i, int place) {
  int64_t n = neap_shape(x)[dim - 1];
  if (i == 0 || i > n || i < -n)
    return neap_fail(c, NEAP_EARG, "index %lld is out of range for dimension %d of size %lld", (long long)i, place,
                     (long long)n);
  return apply1(c, NEAP_OP_select, x, dim, i, 0, 0);
}

static neap_tensor *range (neap_context *c, neap_tensor *x, int dim, const int64_t *r, int place) {
  int64_t n = neap_shape(x)[dim - 1], first = r[0] < 0 ? r[0] + n + 1 : r[0], last = r[1] < 0 ? r[1] + n + 1 : r[1];
  if (r[0] == 1 && r[1] == -1 && r[2] == 1) return x;
  bool empty = r[2] > 0 ? last == first - 1 : last == first + 1;
  bool fits = first >= 1 && first <= n + empty && last >= 0 && last <= n;
  if (r[2] == 0 || !fits)
    return neap_fail(c, NEAP_EARG, "range {%lld, %lld, %lld} does not fit dimension %d of size %lld", (long long)r[0],
                     (long long)r[1], (long long)r[2], place, (long long)n);
  return apply1(c, NEAP_OP_slice, x, dim, first, last, r[2]);
}

/* mask, any shape -> the 1-based positions where it holds, in row-major order */
static neap_tensor *positions (neap_context *c, neap_tensor *mask) {
  int64_t n = neap_numel(mask), count = 0, k = 0;
  neap_tensor *flat = neap_empty(c, NEAP_BOOL, 1, &n);
  if (!flat || !neap_read(c, mask, NEAP_BOOL, neap_data(flat))) return NULL;
  const uint8_t *holds = neap_data(flat);
  for (int64_t i = 0; i < n; i++) count += holds[i] != 0;
  neap_tensor *out = neap_empty(c, NEAP_INT64, 1, &count);
  if (!out) return NULL;
  int64_t *where = neap_data(out);
  for (int64_t i = 0; i < n; i++) if (holds[i]) where[k++] = i + 1;
  return out;
}

static neap_tensor *index_select (neap_context *c, neap_tensor *x, int dim, neap_tensor *idx) {
  neap_attrs a = { .i = { dim }, .count = -1 };
  return neap_apply(c, NEAP_OP_index_select, (neap_tensor *[]){ x, idx }, 2, &a);
}

/* x [.., s1..sm, ..] with the m dims from dim on as one -> [.., s1*..*sm, ..] */
static neap_tensor *merge_dims (neap_context *c, neap_tensor *x, int dim, int m) {
  int64_t shape[NEAP_MAX_DIMS], merged = 1;
  int n = 0;
  for (int i = 0; i < dim - 1; i++) shape[n++] = neap_shape(x)[i];
  for (int i = dim - 1; i < dim - 1 + m; i++) merged *= neap_shape(x)[i];
  shape[n++] = merged;
  for (int i = dim - 1 + m; i < neap_ndim(x); i++) shape[n++] = neap_shape(x)[i];
  return neap_reshape(c, x, n, shape);
}

static bool mask_fits (const neap_tensor *x, int dim, const neap_tensor *mask) {
  if (neap_ndim(mask) < 1 || neap_ndim(mask) > neap_ndim(x) - dim + 1) return false;
  for (int i = 0; i < neap_ndim(mask); i++) if (neap_shape(mask)[i] != neap_shape(x)[dim - 1 + i]) return false;
  return true;
}

static neap_tensor *by_mask (neap_context *c, neap_tensor *x, int dim, neap_tensor *mask) {
  if (!mask_fits(x, dim, mask))
    return neap_fail(c, NEAP_ESHAPE, "index: a mask of shape %s does not fit a tensor of shape %s from dimension %d on",
                     SHAPE_TEXT(mask), SHAPE_TEXT(x), dim);
  neap_tensor *rows = merge_dims(c, x, dim, neap_ndim(mask)), *where = positions(c, mask);
  return rows && where ? index_select(c, rows, dim, where) : NULL;
}

/* idx [a, b, ..]: its dims take the place of dimension dim */
static neap_tensor *by_index (neap_context *c, neap_tensor *x, int dim, neap_tensor *idx) {
  int64_t n = neap_numel(idx), shape[NEAP_MAX_DIMS];
  int k = 0;
  if (neap_ndim(idx) == 1) return index_select(c, x, dim, idx);
  if (neap_ndim(x) - 1 + neap_ndim(idx) > NEAP_MAX_DIMS)
    return neap_fail(c, NEAP_ESHAPE, "index: more than %d dimensions", NEAP_MAX_DIMS);
  neap_tensor *picked = index_select(c, x, dim, neap_reshape(c, idx, 1, &n));
  for (int i = 0; i < dim - 1; i++) shape[k++] = neap_shape(x)[i];
  for (int i = 0; i < neap_ndim(idx); i++) shape[k++] = neap_shape(idx)[i];
  for (int i = dim; i < neap_ndim(x); i++) shape[k++] = neap_shape(x)[i];
  return neap_reshape(c, picked, k, shape);
}

static neap_tensor *look_up (neap_context *c, neap_tensor *x, int *dim, neap_tensor *t) {
  int at = *dim;
  neap_dtype d = neap_dtype_of(t);
  if (d == NEAP_BOOL) { *dim += 1; return by_mask(c, x, at, t); }
  if (d != NEAP_INT64)
    return neap_fail(c, NEAP_EDTYPE, "index: a bool mask or an int64 tensor expected, got %s", neap_dtype_name(d));
  *dim += neap_ndim(t);
  return by_index(c, x, at, t);
}

/* ---- several index tensors: they are read side by side, x[{i, j}][n] = x[{i[n], j[n]}] ---- */

typedef struct places { int n, dim[NEAP_MAX_DIMS]; neap_tensor *idx[NEAP_MAX_DIMS]; } places;

/* idx with negative ones counted from 1; dimension place has n elements */
static neap_tensor *from_one (neap_context *c, neap_tensor *idx, int64_t n, int place) {
  int64_t count = neap_numel(idx);
  neap_tensor *t = neap_empty(c, NEAP_INT64, neap_ndim(idx), neap_shape(idx));
  if (!t || !neap_read(c, idx, NEAP_INT64, neap_data(t))) return NULL;
  int64_t *v = neap_data(t);
  for (int64_t i = 0; i < count; i++) {
    if (v[i] == 0 || v[i] > n || v[i] < -n)
      return neap_fail(c, NEAP_EARG, "index: index %lld (number %lld) is out of range for dimension %d of size %lld",
                       (long long)v[i], (long long)i + 1, place, (long long)n);
    if (v[i] < 0) v[i] += n + 1;
  }
  return t;
}

/* the places in the dimensions k->dim taken as one, row by row */
static neap_tensor *joined_index (neap_context *c, neap_tensor *x, const places *k) {
  neap_tensor *one = neap_scalar(c, NEAP_INT64, 1);
  neap_tensor *at = from_one(c, k->idx[0], neap_shape(x)[k->dim[0] - 1], k->dim[0]);
  for (int i = 1; at && i < k->n; i++) {
    int64_t n = neap_shape(x)[k->dim[i] - 1];
    at = neap_mul(c, neap_sub(c, at, one), neap_scalar(c, NEAP_INT64, (double)n));
    at = neap_add(c, at, from_one(c, k->idx[i], n, k->dim[i]));
  }
  return at;
}

/* x with the dimensions k->dim side by side, in front unless they are so already; *place: of the first */
static neap_tensor *brought_together (neap_context *c, neap_tensor *x, const places *k, int *place) {
  int64_t order[NEAP_MAX_DIMS];
  int n = 0;
  *place = k->dim[0];
  if (k->dim[k->n - 1] - k->dim[0] == k->n - 1) return x;
  *place = 1;
  for (int i = 0; i < k->n; i++) order[n++] = k->dim[i];
  for (int d = 1, i = 0; d <= neap_ndim(x); d++) {
    if (i < k->n && k->dim[i] == d) i++;
    else order[n++] = d;
  }
  return neap_permute(c, x, n, order);
}

static neap_tensor *look_up_together (neap_context *c, neap_tensor *x, const places *k) {
  int place;
  neap_tensor *at = x ? joined_index(c, x, k) : NULL, *y = at ? brought_together(c, x, k, &place) : NULL;
  return y ? by_index(c, merge_dims(c, y, place, k->n), place, at) : NULL;
}

static bool is_index (const entry *e) { return e->kind == LOOKUP && neap_dtype_of(e->t) == NEAP_INT64; }

static bool has_several (const spec *s) {
  int n = 0;
  for (int j = 0; j < s->n; j++) n += is_index(&s->e[j]);
  return n > 1;
}

static neap_tensor *follow (neap_context *c, neap_tensor *x, const spec *s) {
  bool together = has_several(s);
  places k = { 0 };
  int dim = 1;
  for (int j = 0; x && j < s->n; j++) {
    const entry *e = &s->e[j];
    if (dim > neap_ndim(x)) return neap_fail(c, NEAP_ESHAPE, "index: too many indices");
    if (e->kind == PICK) x = pick(c, x, dim, e->i[0], j + 1);
    else if (e->kind == RANGE) { x = range(c, x, dim, e->i, j + 1); dim++; }
    else if (together && is_index(e)) { k.idx[k.n] = e->t; k.dim[k.n++] = dim++; }
    else x = look_up(c, x, &dim, e->t);
  }
  return together ? look_up_together(c, x, &k) : x;
}

int bind_getindex (lua_State *L, bind_state *S, neap_tensor *x) {
  spec key = read_key(L, x);
  bind_tbox *b = bind_newbox(L, S);
  neap_tensor *t;
  neap_scope s;
  int tries = 0;
  do {
    s = neap_scope_open(S->c);
    t = follow(S->c, x, &key);
    if (t == x) t = neap_alias(S->c, x);                /* x[{}]: a view of all */
  } while (!t && bind_again(L, S, s, &tries));
  bind_fill(L, b, s, t);
  return 1;
}

/* ---- writing ---- */

static bool number_fits (lua_State *L, int i, neap_dtype d) {
  int ok;
  lua_Integer v = lua_tointegerx(L, i, &ok);
  if (d == NEAP_UINT8) return ok && v >= 0 && v <= 255;
  return ok || d != NEAP_INT64;
}

static void check_value (lua_State *L, bind_state *S, const neap_tensor *x) {
  bind_tbox *b = bind_boxat(L, 3);
  int type = lua_type(L, 3);
  if (b) {
    neap_tensor *v = bind_checktensor(L, 3);
    if (neap_tracked(S->c, v))
      luaL_error(L, "x[...] = v: v is on a tape, and writing its elements would lose the derivative; "
                    "write v:detach(), or build a new tensor with neap.where, index_copy or neap.cat");
  } else if (type != LUA_TNUMBER && type != LUA_TBOOLEAN && type != LUA_TTABLE)
    luaL_error(L, "x[...] = v: number, table or tensor expected, got %s", luaL_typename(L, 3));
  neap_dtype d = neap_dtype_of(x);
  if (type == LUA_TNUMBER && !number_fits(L, 3, d))
    luaL_error(L, "x[...] = v: %s does not fit %s", luaL_tolstring(L, 3, NULL), neap_dtype_name(d));
}

static neap_tensor *lend_value (lua_State *L, neap_context *c, neap_dtype d) {
  neap_tensor *v = bind_totensor(L, 3);
  if (v) return v;
  return lua_istable(L, 3) ? bind_nested(L, c, 3, (int)d, "x[...] = v") : bind_scalar(L, c, 3, d);
}

static neap_tensor *flat (neap_context *c, neap_tensor *x) {
  if (!x) return NULL;
  int64_t n = neap_numel(x);
  return neap_reshape(c, x, 1, &n);
}

/* the elements at the key's linear indices get v's: a copy of x with them, written back */
static bool write_lookup (neap_context *c, neap_tensor *x, const spec *key, neap_tensor *v) {
  neap_tensor *all = neap_arange(c, NEAP_INT64, 1, (double)neap_numel(x), 1);
  neap_tensor *at = all ? follow(c, neap_reshape(c, all, neap_ndim(x), neap_shape(x)), key) : NULL;
  if (!at) return false;
  if (neap_dtype_of(v) != neap_dtype_of(x)) v = neap_cast(c, v, neap_dtype_of(x));
  v = v ? neap_expand(c, v, neap_ndim(at), neap_shape(at)) : NULL;
  neap_tensor *in[] = { flat(c, x), flat(c, at), flat(c, v) };
  neap_attrs a = { .i = { 1 }, .count = -1 };
  neap_tensor *copy = in[0] && in[1] && in[2] ? neap_apply(c, NEAP_OP_index_copy, in, 3, &a) : NULL;
  copy = neap_reshape(c, copy, neap_ndim(x), neap_shape(x));
  return copy && neap_write(c, x, copy);
}

static bool write_key (lua_State *L, neap_context *c, neap_tensor *x, const spec *key) {
  neap_tensor *v = lend_value(L, c, neap_dtype_of(x)), *raw = neap_detach(c, x);
  if (!v || !raw) return false;
  if (key->lookup) return write_lookup(c, raw, key, v);
  neap_tensor *view = follow(c, raw, key);
  return view && neap_write(c, view, v);
}

int bind_setindex (lua_State *L) {
  neap_tensor *x = bind_checktensor(L, 1);
  bind_state *S = bind_state_of(L);
  spec key = read_key(L, x);
  check_value(L, S, x);
  int tries = 0;
  bool ok;
  neap_scope s;
  do {
    s = neap_scope_open(S->c);
    neap_mode mode = neap_no_grad(S->c);
    ok = write_key(L, S->c, x, &key);
    neap_mode_restore(S->c, mode);
  } while (!ok && bind_again(L, S, s, &tries));
  bind_close(L, s);
  return 0;
}
