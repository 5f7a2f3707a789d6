/*
** copy.c -- linear rows that move elements into new storage: clone, cast, unslice, diag_embed, tril, triu.
** Invariant: a result is zeros, or fresh memory of which every element is written; placing elements is a strided
** copy into a view of the result.
*/
#include "ops/support.h"
#include <string.h>

static void fill_zero (neap_tensor *out) {
  memset(neap_ptr(out), 0, (size_t)neap_numel(out) * neap_dtype_size(out->dtype));
}

bool infer_clone (neap_call *k, neap_meta *out) {
  op_meta_like(out, k->in[0]);
  return true;
}

bool run_clone (neap_call *k, neap_tensor *out) {
  neap_copy_strided(out, k->in[0]);
  return true;
}

bool infer_cast (neap_call *k, neap_meta *out) {
  int64_t d = k->a.i[0];
  if (d < 0 || d >= NEAP_NDTYPES) return neap_fail(k->c, NEAP_EDTYPE, "cast: there is no dtype %lld", (long long)d);
  op_meta_like(out, k->in[0]);
  out->view = out->dtype == (neap_dtype)d;
  out->dtype = (neap_dtype)d;
  return true;
}

bool run_cast (neap_call *k, neap_tensor *out) {
  neap_copy_strided(out, k->in[0]);
  return true;
}

/* ---- unslice: zeros with x at first, first + step, … of dim ---- */

static bool unslice_fits (int64_t first, int64_t step, int64_t count, int64_t size) {
  int64_t last;
  if (count == 0) return size >= 0;
  if (step == 0 || first < 1 || first > size) return false;
  if (__builtin_mul_overflow(step, count - 1, &last) || __builtin_add_overflow(last, first, &last)) return false;
  return last >= 1 && last <= size;
}

bool infer_unslice (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  const int64_t *i = k->a.i;
  int axis;
  if (!neap_axis(k->c, "unslice", "dimension", i[0], x->ndim, &axis)) return false;
  if (!unslice_fits(i[1], i[2], x->shape[axis], i[3]))
    return neap_fail(k->c, NEAP_ESHAPE, "unslice: dimension %d of shape %s does not fit size %lld from %lld by %lld",
                     axis + 1, SHAPE_TEXT(x), (long long)i[3], (long long)i[1], (long long)i[2]);
  op_meta(out, x->dtype, x->ndim, x->shape);
  out->shape[axis] = i[3];
  k->a.i[0] = axis;
  return true;
}

bool run_unslice (neap_call *k, neap_tensor *out) {
  const neap_tensor *x = k->in[0];
  int axis = (int)k->a.i[0];
  fill_zero(out);
  if (neap_numel(x) == 0) return true;
  neap_tensor v = *out;
  v.shape[axis] = x->shape[axis];
  v.offset += (k->a.i[1] - 1) * out->strides[axis];
  v.strides[axis] *= k->a.i[2];
  neap_copy_strided(&v, x);
  return true;
}

#define FAR (INT64_C(1) << 60)             /* farther than any diagonal that fits in memory, and no sum overflows */

/* ---- diag_embed: x [.., n] on the diagonal `offset` of zeros [.., rows, cols] ---- */

bool infer_diag_embed (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  if (x->ndim < 1 || x->ndim >= NEAP_MAX_DIMS)
    return neap_fail(k->c, NEAP_ESHAPE, "diag_embed: 1 to %d dimensions expected, got shape %s", NEAP_MAX_DIMS - 1,
                     SHAPE_TEXT(x));
  int64_t off = given(k->a.i[0]) ? k->a.i[0] : 0, n = x->shape[x->ndim - 1];
  off = between(off, -FAR, FAR);
  int64_t top = off < 0 ? -off : 0, left = off > 0 ? off : 0;
  int64_t rows = given(k->a.i[1]) ? k->a.i[1] : n + top + left, cols = given(k->a.i[2]) ? k->a.i[2] : n + top + left;
  int64_t fit = rows - top < cols - left ? rows - top : cols - left;
  if (n != (fit > 0 ? fit : 0) || rows < 0 || cols < 0)
    return neap_fail(k->c, NEAP_ESHAPE, "diag_embed: %lld elements do not fill diagonal %lld of [%lld, %lld]",
                     (long long)n, (long long)off, (long long)rows, (long long)cols);
  op_meta(out, x->dtype, x->ndim, x->shape);
  out->shape[out->ndim - 1] = rows;
  out->shape[out->ndim++] = cols;
  k->a.i[1] = top;
  k->a.i[2] = left;
  return true;
}

bool run_diag_embed (neap_call *k, neap_tensor *out) {
  const neap_tensor *x = k->in[0];
  fill_zero(out);
  if (neap_numel(x) == 0) return true;
  neap_tensor v = *out;
  int r = x->ndim - 1;
  v.ndim = x->ndim;
  v.shape[r] = x->shape[r];
  v.offset += k->a.i[1] * out->strides[r] + k->a.i[2] * out->strides[r + 1];
  v.strides[r] = out->strides[r] + out->strides[r + 1];
  neap_copy_strided(&v, x);
  return true;
}

/* ---- tril, triu: x [.., r, c] with zeros above or below the diagonal `offset` ---- */

static bool infer_triangle (neap_call *k, neap_meta *out) {
  if (k->in[0]->ndim < 2)
    return neap_fail(k->c, NEAP_ESHAPE, "%s: at least 2 dimensions expected, got shape %s", k->op->name,
                     SHAPE_TEXT(k->in[0]));
  op_meta_like(out, k->in[0]);
  return true;
}

static bool run_triangle (neap_call *k, neap_tensor *out, bool lower) {
  neap_scope s = neap_scope_open(k->c);
  const neap_tensor *x = neap_contiguous_data(k->c, k->in[0]);
  int64_t rows = out->shape[out->ndim - 2], cols = out->shape[out->ndim - 1], off = given(k->a.i[0]) ? k->a.i[0] : 0;
  int64_t lines = neap_numel(out) ? neap_numel(out) / cols : 0;
  size_t size = neap_dtype_size(out->dtype);
  if (x) fill_zero(out);
  off = between(off, -rows - 1, cols + 1);
  for (int64_t i = 0; x && i < lines; i++) {
    int64_t row = i % rows, edge = between(row + off + lower, 0, cols);
    int64_t from = lower ? 0 : edge, to = lower ? edge : cols;
    size_t at = (size_t)(i * cols + from) * size;
    memcpy((char *)neap_ptr(out) + at, (const char *)neap_ptr(x) + at, (size_t)(to - from) * size);
  }
  neap_scope_close(k->c, s);
  return x != NULL;
}

bool infer_tril (neap_call *k, neap_meta *out) { return infer_triangle(k, out); }
bool run_tril (neap_call *k, neap_tensor *out) { return run_triangle(k, out, true); }
bool infer_triu (neap_call *k, neap_meta *out) { return infer_triangle(k, out); }
bool run_triu (neap_call *k, neap_tensor *out) { return run_triangle(k, out, false); }
