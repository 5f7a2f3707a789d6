/*
** index.c -- rows that take one list of indices for a dimension: index_select, index_add, index_copy, cat, nonzero.
** Invariant: indices are checked before anything is written; where they repeat, index_add adds in their order and
** index_copy keeps the last.
*/
#include "ops/cat.h"
#include "ops/index.h"
#include <string.h>

static void *index_fails (neap_context *c, const char *op, int64_t index, int64_t at, int64_t size, int dim) {
  return neap_fail(c, NEAP_EARG, "%s: index %lld (number %lld) is out of range for dimension %d of size %lld", op,
                   (long long)index, (long long)at + 1, dim + 1, (long long)size);
}

const int64_t *index_numbers (neap_context *c, const char *op, neap_tensor *idx, int64_t size, int dim) {
  int64_t n = neap_numel(idx);
  neap_tensor *flat = neap_tensor_new(c, NEAP_INT64, idx->ndim, idx->shape);
  if (!flat) return NULL;
  neap_copy_strided(flat, idx);
  int64_t *p = neap_ptr(flat);
  for (int64_t i = 0; i < n; i++) {
    int64_t v = p[i] < 0 ? p[i] + size : p[i] - 1;
    if (p[i] == 0 || v < 0 || v >= size) return index_fails(c, op, p[i], i, size, dim);
    p[i] = v;
  }
  return p;
}

/* x [outer, size, inner] in bytes */
typedef struct rows { int64_t outer, size, inner; } rows;

static rows rows_of (const neap_tensor *x, int axis) {
  return (rows){ op_product(x->shape, axis), x->shape[axis],
                 op_product(x->shape + axis + 1, x->ndim - axis - 1) * (int64_t)neap_dtype_size(x->dtype) };
}

/* one list of indices for dimension a.i[0]; leaves the axis there */
static bool check_list (neap_call *k) {
  const neap_tensor *x = k->in[0], *idx = k->in[1];
  int axis;
  if (!neap_axis(k->c, k->op->name, "dimension", k->a.i[0], x->ndim, &axis)) return false;
  if (idx->ndim > 1)
    return neap_fail(k->c, NEAP_ESHAPE, "%s: a list of indices expected, got shape %s", k->op->name, SHAPE_TEXT(idx));
  k->a.i[0] = axis;
  return true;
}

/* ---- index_select ---- */

typedef struct select_job {
  const char *x;
  char *out;
  const int64_t *idx;
  rows r;
  int64_t n, per;                          /* indices; units are outer * n */
} select_job;

static void select_block (void *arg, int64_t block) {
  const select_job *b = arg;
  int64_t units = b->r.outer * b->n, end = (block + 1) * b->per < units ? (block + 1) * b->per : units;
  for (int64_t u = block * b->per; u < end; u++) {
    int64_t from = u / b->n * b->r.size + b->idx[u % b->n];
    memcpy(b->out + u * b->r.inner, b->x + from * b->r.inner, (size_t)b->r.inner);
  }
}

bool infer_index_select (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  if (!check_list(k)) return false;
  op_meta(out, x->dtype, x->ndim, x->shape);
  out->shape[k->a.i[0]] = neap_numel(k->in[1]);
  return true;
}

/* the pieces are copied whole, so x is made contiguous first */
bool run_index_select (neap_call *k, neap_tensor *out) {
  int axis = (int)k->a.i[0];
  neap_scope s = neap_scope_open(k->c);
  neap_tensor *x = k->in[0];
  const int64_t *idx = index_numbers(k->c, "index_select", k->in[1], x->shape[axis], axis);
  if (idx) x = neap_contiguous_data(k->c, x);
  bool ok = idx && x;
  if (ok && neap_numel(out) > 0) {
    select_job b = { .x = neap_ptr(x), .out = neap_ptr(out), .idx = idx, .r = rows_of(x, axis),
                     .n = neap_numel(k->in[1]) };
    op_blocks(k->c, b.r.outer * b.n, b.r.inner / 4, select_block, &b, &b.per);
  }
  neap_scope_close(k->c, s);
  return ok;
}

/* ---- index_add, index_copy: src [outer, n, inner] into a copy of x [outer, size, inner] ---- */

static bool infer_index_write (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0], *src = k->in[2];
  if (!check_list(k)) return false;
  bool fits = src->ndim == x->ndim;
  for (int d = 0; fits && d < x->ndim; d++)
    fits = src->shape[d] == (d == k->a.i[0] ? neap_numel(k->in[1]) : x->shape[d]);
  if (!fits)
    return neap_fail(k->c, NEAP_ESHAPE,
                     "%s: source of shape %s does not fit %lld indices of dimension %lld of shape %s", k->op->name,
                     SHAPE_TEXT(src), (long long)neap_numel(k->in[1]), (long long)k->a.i[0] + 1, SHAPE_TEXT(x));
  op_meta(out, x->dtype, x->ndim, x->shape);
  return true;
}

#define ADD(T) \
  static void add_##T (T *to, const T *from, int64_t n) { \
    for (int64_t i = 0; i < n; i++) to[i] = (T)(to[i] + from[i]); \
  }
ADD(float)
ADD(double)
ADD(uint64_t)
ADD(uint8_t)
ADD(bool)
#undef ADD

static void add_row (neap_dtype d, void *to, const void *from, int64_t bytes) {
  int64_t n = bytes / (int64_t)neap_dtype_size(d);
  switch (d) {
    case NEAP_FLOAT32: add_float(to, from, n); break;
    case NEAP_FLOAT64: add_double(to, from, n); break;
    case NEAP_INT64: add_uint64_t(to, from, n); break;
    case NEAP_UINT8: add_uint8_t(to, from, n); break;
    default: add_bool(to, from, n); break;
  }
}

static bool write_rows (neap_call *k, neap_tensor *out, bool add) {
  int axis = (int)k->a.i[0];
  neap_scope s = neap_scope_open(k->c);
  const int64_t *idx = index_numbers(k->c, k->op->name, k->in[1], out->shape[axis], axis);
  const neap_tensor *src = idx ? neap_contiguous_data(k->c, k->in[2]) : NULL;
  rows r = rows_of(out, axis);
  int64_t n = neap_numel(k->in[1]);
  if (src) neap_copy_strided(out, k->in[0]);
  for (int64_t u = 0; src && r.inner > 0 && u < r.outer * n; u++) {
    char *to = (char *)neap_ptr(out) + (u / n * r.size + idx[u % n]) * r.inner;
    const char *from = (const char *)neap_ptr(src) + u * r.inner;
    if (add) add_row(out->dtype, to, from, r.inner);
    else memcpy(to, from, (size_t)r.inner);
  }
  neap_scope_close(k->c, s);
  return src != NULL;
}

bool infer_index_add (neap_call *k, neap_meta *out) { return infer_index_write(k, out); }
bool run_index_add (neap_call *k, neap_tensor *out) { return write_rows(k, out, true); }
bool infer_index_copy (neap_call *k, neap_meta *out) { return infer_index_write(k, out); }
bool run_index_copy (neap_call *k, neap_tensor *out) { return write_rows(k, out, false); }

/* ---- cat ---- */

static bool cat_fits (const neap_tensor *a, const neap_tensor *b, int axis) {
  if (a->ndim != b->ndim) return false;
  for (int d = 0; d < a->ndim; d++) if (d != axis && a->shape[d] != b->shape[d]) return false;
  return true;
}

bool infer_cat (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  int axis;
  if (!neap_axis(k->c, "cat", "dimension", given(k->a.i[0]) ? k->a.i[0] : 1, x->ndim, &axis)) return false;
  op_meta(out, x->dtype, x->ndim, x->shape);
  for (int i = 1; i < k->n; i++) {
    if (!cat_fits(x, k->in[i], axis))
      return neap_fail(k->c, NEAP_ESHAPE, "cat: tensor %d of shape %s does not fit %s along dimension %d", i + 1,
                       SHAPE_TEXT(k->in[i]), SHAPE_TEXT(x), axis + 1);
    out->shape[axis] += k->in[i]->shape[axis];
  }
  k->a.i[0] = axis;
  return true;
}

bool run_cat (neap_call *k, neap_tensor *out) {
  int axis = (int)k->a.i[0];
  neap_tensor v = *out;
  for (int i = 0; i < k->n; i++) {
    v.shape[axis] = k->in[i]->shape[axis];
    if (neap_numel(&v) > 0) neap_copy_strided(&v, k->in[i]);
    v.offset += v.shape[axis] * out->strides[axis];
  }
  return true;
}

bool cat_plan (const neap_call *k, const neap_tensor *out, cat_rows *p) {
  int64_t n = neap_numel(out), rows = op_product(out->shape, (int)k->a.i[0]);
  bool ok = n > 0 && n < TILE_WORK;
  for (int i = 0; ok && i < k->n; i++) ok = neap_is_contiguous(k->in[i]);
  *p = (cat_rows){ ok ? rows : 0, ok ? (size_t)(n / rows) * neap_dtype_size(out->dtype) : 0 };
  return ok;
}

void cat_run (const cat_rows *p, const neap_call *k, const neap_tensor *out) {
  char *to = neap_ptr(out);
  for (int i = 0; i < k->n; i++) {
    const char *from = neap_ptr(k->in[i]);
    size_t piece = (size_t)(neap_numel(k->in[i]) / p->rows) * neap_dtype_size(out->dtype);
    for (int64_t r = 0; r < p->rows; r++) memcpy(to + (size_t)r * p->bytes, from + (size_t)r * piece, piece);
    to += piece;
  }
}

/* ---- nonzero: positions, in row-major order, of what is not 0 ---- */

static neap_tensor *as_bool (neap_context *c, neap_tensor *x) {
  neap_tensor *b = neap_tensor_new(c, NEAP_BOOL, x->ndim, x->shape);
  if (b) neap_copy_strided(b, x);
  return b;
}

/* the number of rows depends on values, so infer counts */
bool infer_nonzero (neap_call *k, neap_meta *out) {
  neap_scope s = neap_scope_open(k->c);
  const neap_tensor *b = as_bool(k->c, k->in[0]);
  int64_t n = 0, total = neap_numel(k->in[0]);
  for (int64_t i = 0; b && i < total; i++) n += ((const bool *)neap_ptr(b))[i];
  op_meta(out, NEAP_INT64, 2, (const int64_t[]){ n, k->in[0]->ndim });
  neap_scope_close(k->c, s);
  return b != NULL;
}

bool run_nonzero (neap_call *k, neap_tensor *out) {
  const neap_tensor *x = k->in[0];
  neap_scope s = neap_scope_open(k->c);
  const neap_tensor *b = as_bool(k->c, k->in[0]);
  int64_t *to = neap_ptr(out), total = neap_numel(x);
  for (int64_t i = 0; b && i < total; i++) {
    if (!((const bool *)neap_ptr(b))[i]) continue;
    int64_t rest = i;
    for (int d = x->ndim - 1; d >= 0; rest /= x->shape[d], d--) to[d] = rest % x->shape[d] + 1;
    to += x->ndim;
  }
  neap_scope_close(k->c, s);
  return b != NULL;
}
