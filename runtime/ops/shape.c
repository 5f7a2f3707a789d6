/*
** shape.c -- shape rows made of views and copies: transpose, t, squeeze, unsqueeze, flatten, roll, pad, diag, tile …
** Invariant: no data are touched here; what shares storage and what does not follows from the rows used.
*/
#include "ops/support.h"
#include <math.h>
#include <string.h>

neap_tensor *build_transpose (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  neap_tensor *x = in[0];
  int d1, d2;
  if (x->ndim < 2 && !given(a->i[0]) && !given(a->i[1]))
    return neap_fail(c, NEAP_ESHAPE, "transpose: at least 2 dimensions expected, got shape %s", SHAPE_TEXT(x));
  if (!neap_axis(c, "transpose", "dimension", given(a->i[0]) ? a->i[0] : -2, x->ndim, &d1) ||
      !neap_axis(c, "transpose", "dimension", given(a->i[1]) ? a->i[1] : -1, x->ndim, &d2)) return NULL;
  int64_t order[NEAP_MAX_DIMS];
  for (int i = 0; i < x->ndim; i++) order[i] = i + 1;
  order[d1] = d2 + 1;
  order[d2] = d1 + 1;
  return neap_permute(c, x, x->ndim, order);
}

neap_tensor *build_t (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n; (void)a;
  if (in[0]->ndim > 2)
    return neap_fail(c, NEAP_ESHAPE, "t: at most 2 dimensions expected, got shape %s", SHAPE_TEXT(in[0]));
  return in[0]->ndim < 2 ? op_same(c, in[0]) : neap_permute(c, in[0], 2, (const int64_t[]){ 2, 1 });
}

neap_tensor *build_squeeze (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  const neap_tensor *x = in[0];
  bool axes[NEAP_MAX_DIMS];
  int64_t sizes[NEAP_MAX_DIMS];
  int m = 0;
  if (!op_axes(c, "squeeze", a, x->ndim, axes)) return NULL;
  for (int i = 0; i < x->ndim; i++) if (!axes[i] || x->shape[i] != 1) sizes[m++] = x->shape[i];
  return neap_reshape(c, in[0], m, sizes);
}

neap_tensor *build_unsqueeze (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  const neap_tensor *x = in[0];
  int64_t sizes[NEAP_MAX_DIMS];
  int axis;
  if (x->ndim == NEAP_MAX_DIMS)
    return neap_fail(c, NEAP_ESHAPE, "unsqueeze: shape %s has the most dimensions there can be", SHAPE_TEXT(x));
  if (!neap_axis(c, "unsqueeze", "dimension", a->i[0], x->ndim + 1, &axis)) return NULL;
  for (int i = 0; i <= x->ndim; i++) sizes[i] = i == axis ? 1 : x->shape[i - (i > axis)];
  return neap_reshape(c, in[0], x->ndim + 1, sizes);
}

neap_tensor *build_flatten (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  const neap_tensor *x = in[0];
  if (x->ndim == 0) return neap_reshape(c, in[0], 1, (const int64_t[]){ 1 });
  int first, last, m = 0;
  int64_t sizes[NEAP_MAX_DIMS];
  if (!neap_axis(c, "flatten", "first dimension", given(a->i[0]) ? a->i[0] : 1, x->ndim, &first) ||
      !neap_axis(c, "flatten", "last dimension", given(a->i[1]) ? a->i[1] : -1, x->ndim, &last)) return NULL;
  if (first > last)
    return neap_fail(c, NEAP_EARG, "flatten: first dimension %d lies behind the last, %d", first + 1, last + 1);
  for (int i = 0; i < first; i++) sizes[m++] = x->shape[i];
  sizes[m++] = op_product(x->shape + first, last - first + 1);
  for (int i = last + 1; i < x->ndim; i++) sizes[m++] = x->shape[i];
  return neap_reshape(c, in[0], m, sizes);
}

neap_tensor *build_contiguous (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n; (void)a;
  return neap_is_contiguous(in[0]) ? op_same(c, in[0]) : neap_clone(c, in[0]);
}

/* ---- roll: a->dims holds the shifts, then as many dimensions ---- */

static neap_tensor *roll_one (neap_context *c, neap_tensor *x, int64_t shift, int64_t dim) {
  int axis;
  if (!x || !neap_axis(c, "roll", "dimension", dim, x->ndim, &axis)) return NULL;
  int64_t size = x->shape[axis], by = size ? (shift % size + size) % size : 0;
  if (by == 0) return op_same(c, x);
  neap_tensor *tail = neap_slice(c, x, dim, size - by + 1, size, 1);
  neap_tensor *both[] = { tail, neap_slice(c, x, dim, 1, size - by, 1) };
  return both[1] ? neap_cat(c, 2, both, dim) : NULL;
}

neap_tensor *build_roll (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  neap_tensor *x = in[0];
  if (a->count < 2 || a->count % 2) return neap_fail(c, NEAP_EARG, "roll: as many dimensions as shifts expected");
  for (int i = 0; i < a->count / 2; i++) x = roll_one(c, x, a->dims[i], a->dims[a->count / 2 + i]);
  return x;
}

/* ---- pad: a->dims holds before and after of every dimension ---- */

#define MOST_PADS (INT64_C(1) << 60)       /* more than fit in memory, and no sum overflows */

static neap_tensor *pad_one (neap_context *c, neap_tensor *x, int64_t dim, int64_t before, int64_t after,
                             double value) {
  if (!x) return NULL;
  before = between(before, -MOST_PADS, MOST_PADS);
  after = between(after, -MOST_PADS, MOST_PADS);
  int64_t size = x->shape[dim - 1], first = before < 0 ? 1 - before : 1, last = after < 0 ? size + after : size;
  if (last < first - 1)
    return neap_fail(c, NEAP_ESHAPE, "pad: {%lld, %lld} crops more than dimension %lld of shape %s holds",
                     (long long)before, (long long)after, (long long)dim, SHAPE_TEXT(x));
  if (before < 0 || after < 0) x = last ? neap_slice(c, x, dim, first, last, 1) : neap_slice(c, x, dim, 1, 0, 1);
  before = before < 0 ? 0 : before;
  after = after < 0 ? 0 : after;
  if (!x || before + after == 0) return x;
  if (value == 0) return neap_unslice(c, x, dim, before + 1, 1, before + x->shape[dim - 1] + after);
  int64_t shape[NEAP_MAX_DIMS];
  memcpy(shape, x->shape, sizeof shape);
  shape[dim - 1] = before;
  neap_tensor *front = neap_full(c, x->dtype, x->ndim, shape, value);
  shape[dim - 1] = after;
  neap_tensor *parts[] = { front, x, neap_full(c, x->dtype, x->ndim, shape, value) };
  return parts[0] && parts[2] ? neap_cat(c, 3, parts, dim) : NULL;
}

neap_tensor *build_pad (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  neap_tensor *x = in[0];
  if (a->count != 2 * x->ndim)
    return neap_fail(c, NEAP_EARG,
                     "pad: {before, after} expected for each of the %d dimensions of shape %s, got %d numbers",
                     x->ndim, SHAPE_TEXT(x), a->count);
  for (int i = 0; i < a->count / 2; i++)
    x = pad_one(c, x, i + 1, a->dims[2 * i], a->dims[2 * i + 1], isnan(a->f[0]) ? 0 : a->f[0]);
  return x == in[0] ? op_same(c, x) : x;
}

neap_tensor *build_diag (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  int64_t k = given(a->i[0]) ? a->i[0] : 0;
  if (in[0]->ndim == 0) return neap_fail(c, NEAP_ESHAPE, "diag: at least 1 dimension expected, got shape []");
  return in[0]->ndim == 1 ? neap_diag_embed(c, in[0], k, NEAP_NONE, NEAP_NONE) : neap_diagonal(c, in[0], k);
}

/* ---- repetition: x as [outer, size, inner], a dimension of repeats put in, then x's shape again ---- */

/* each element (or, if whole, the whole dimension) `times` times */
static neap_tensor *repeat (neap_context *c, neap_tensor *x, int axis, int64_t times, bool whole) {
  if (!x) return NULL;
  int64_t outer = op_product(x->shape, axis), size = x->shape[axis], shape[NEAP_MAX_DIMS];
  int64_t inner = op_product(x->shape + axis + 1, x->ndim - axis - 1);
  const int64_t flat[] = { whole ? outer : outer * size, 1, whole ? size * inner : inner };
  const int64_t wide[] = { flat[0], times, flat[2] };
  neap_tensor *all = neap_expand(c, neap_reshape(c, x, 3, flat), 3, wide);
  if (!all) return NULL;
  memcpy(shape, x->shape, sizeof shape);
  shape[axis] = size * times;                          /* fits, since all does */
  return neap_reshape(c, all, x->ndim, shape);
}

neap_tensor *build_repeat_interleave (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  neap_tensor *x = given(a->i[1]) ? in[0] : neap_flatten(c, in[0], 1, -1);
  int axis;
  if (a->i[0] < 0)
    return neap_fail(c, NEAP_EARG, "repeat_interleave: n is %lld, expected 0 or more", (long long)a->i[0]);
  if (!x || !neap_axis(c, "repeat_interleave", "dimension", given(a->i[1]) ? a->i[1] : 1, x->ndim, &axis)) return NULL;
  return repeat(c, x, axis, a->i[0], false);
}

neap_tensor *build_tile (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  neap_tensor *x = in[0];
  int extra = a->count - x->ndim;
  for (int i = 0; i < a->count; i++)
    if (a->dims[i] < 0)
      return neap_fail(c, NEAP_EARG, "tile: repeat %d is %lld, expected 0 or more", i + 1, (long long)a->dims[i]);
  for (int i = 0; i < extra && x; i++) x = neap_unsqueeze(c, x, 1);
  for (int i = 0; i < a->count && x; i++)
    if (a->dims[i] != 1) x = repeat(c, x, i - (extra < 0 ? extra : 0), a->dims[i], true);
  return x == in[0] ? op_same(c, x) : x;
}
