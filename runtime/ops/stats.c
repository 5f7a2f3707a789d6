/*
** stats.c -- reductions made of others: mean, prod, var, std, norm, softmax, and the values of max, min, sort, topk,
** median and quantile.
** Invariant: everything here is made of ops, so its derivatives are theirs.  A value taken at an index (max over a
** dimension, sort …) is a gather at the index the companion row argNAME gives, and its gradient goes to that element.
*/
#include "ops/support.h"
#include <math.h>
#include <string.h>

static neap_tensor *number (neap_context *c, const neap_tensor *x, double v) {
  return x ? neap_scalar(c, x->dtype, v) : NULL;
}

/* elements that fall into one result; -1 with an error */
static int64_t reduced_count (neap_context *c, const char *op, const neap_tensor *x, const neap_attrs *a) {
  bool axes[NEAP_MAX_DIMS];
  int64_t n = 1;
  if (!op_axes(c, op, a, x->ndim, axes)) return -1;
  for (int i = 0; i < x->ndim; i++) if (axes[i]) n *= x->shape[i];
  return n;
}

static neap_tensor *sum_over (neap_context *c, neap_tensor *x, const neap_attrs *a, bool keepdim) {
  return neap_sum(c, x, a->count, a->dims, keepdim);
}

neap_tensor *build_mean (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  neap_tensor *x = op_float(c, in[0]);
  int64_t count = x ? reduced_count(c, "mean", x, a) : -1;
  if (count < 0) return NULL;
  return neap_div(c, sum_over(c, x, a, is_set(a->i[0])), number(c, x, (double)count));
}

/* ---- prod: halves are multiplied pairwise, so a zero needs no case of its own at any order ---- */

/* x with the reduced dimensions flattened into a last one: [kept…] -> [kept product, n] */
static neap_tensor *reduced_last (neap_context *c, neap_tensor *x, const bool *axes) {
  int64_t order[NEAP_MAX_DIMS], sizes[2] = { 1, 1 };
  int n = 0;
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; i < x->ndim; i++) {
      if (axes[i] != (pass == 1)) continue;
      order[n++] = i + 1;
      sizes[pass] *= x->shape[i];
    }
  return neap_reshape(c, neap_permute(c, x, n, order), 2, sizes);
}

neap_tensor *build_prod (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  bool axes[NEAP_MAX_DIMS];
  neap_tensor *x = in[0];
  if (!op_axes(c, "prod", a, x->ndim, axes)) return NULL;
  if (!neap_is_float(x->dtype) && x->dtype != NEAP_INT64) x = neap_cast(c, x, NEAP_INT64);
  neap_meta m;
  op_meta_reduced(&m, in[0], axes, is_set(a->i[0]), NEAP_INT64);
  if (x) x = reduced_last(c, x, axes);
  if (x && x->shape[1] == 0) return neap_full(c, x->dtype, m.ndim, m.shape, 1);
  while (x && x->shape[1] > 1) {
    int64_t size = x->shape[1], half = size / 2;
    neap_tensor *p = neap_mul(c, neap_slice(c, x, 2, 1, half, 1), neap_slice(c, x, 2, half + 1, 2 * half, 1));
    neap_tensor *both[] = { p, size % 2 ? neap_slice(c, x, 2, size, size, 1) : NULL };
    x = size % 2 && both[1] ? neap_cat(c, 2, both, 2) : p;
  }
  return neap_reshape(c, x, m.ndim, m.shape);
}

/* ---- var, std, norm ---- */

/* √x with derivative 0 at 0: the root is taken of 1 there */
static neap_tensor *safe_sqrt (neap_context *c, neap_tensor *x) {
  neap_tensor *zero = neap_eq(c, x, number(c, x, 0));
  neap_tensor *root = neap_sqrt(c, neap_where(c, zero, number(c, x, 1), x));
  return neap_where(c, zero, number(c, x, 0), root);
}

neap_tensor *build_var (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  neap_tensor *x = op_float(c, in[0]);
  int64_t count = x ? reduced_count(c, "var", x, a) : -1, degrees = count - is_set(a->i[1]);
  if (count < 0) return NULL;
  neap_tensor *mean = neap_div(c, sum_over(c, x, a, true), number(c, x, (double)count));
  neap_tensor *squares = neap_square(c, neap_sub(c, x, mean));
  return neap_div(c, sum_over(c, squares, a, is_set(a->i[0])), number(c, x, degrees > 0 ? (double)degrees : 0));
}

neap_tensor *build_std (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  return safe_sqrt(c, build_var(c, in, n, a));
}

/* (Σ |x|^p)^(1/p), with derivative 0 where an element or the norm is 0 */
static neap_tensor *general_norm (neap_context *c, neap_tensor *size, double p, const neap_attrs *a) {
  neap_tensor *zero = number(c, size, 0), *one = number(c, size, 1);
  neap_tensor *nothing = neap_eq(c, size, zero);
  neap_tensor *powers = neap_pow(c, neap_where(c, nothing, one, size), number(c, size, p));
  neap_tensor *total = sum_over(c, neap_where(c, nothing, number(c, size, p < 0 ? INFINITY : 0), powers), a,
                                is_set(a->i[0]));
  nothing = neap_eq(c, total, zero);
  neap_tensor *root = neap_pow(c, neap_where(c, nothing, one, total), number(c, size, 1 / p));
  return neap_where(c, nothing, zero, root);
}

neap_tensor *build_norm (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  neap_tensor *x = op_float(c, in[0]);
  double p = isnan(a->f[0]) ? 2 : a->f[0];
  bool keepdim = is_set(a->i[0]);
  int64_t count = x ? reduced_count(c, "norm", x, a) : -1;
  if (count < 0) return NULL;
  if (p == 2) return safe_sqrt(c, sum_over(c, neap_square(c, x), a, keepdim));
  if (p == 1 || count == 0) return sum_over(c, neap_abs(c, x), a, keepdim);
  if (p == 0) return sum_over(c, neap_cast(c, neap_ne(c, x, number(c, x, 0)), x->dtype), a, keepdim);
  if (p == INFINITY) return neap_amax(c, neap_abs(c, x), a->count, a->dims, keepdim);
  if (p == -INFINITY) return neap_amin(c, neap_abs(c, x), a->count, a->dims, keepdim);
  return general_norm(c, neap_abs(c, x), p, a);
}

/* ---- softmax, log_softmax: of x − max x, which changes neither value nor derivative ---- */

/* x − max x; *dim becomes the dimension, or *ndims 0 for a 0-d x */
static neap_tensor *shifted (neap_context *c, const char *op, neap_tensor *x, const neap_attrs *a, int64_t *dim,
                             int *ndims) {
  int axis;
  if (!x || !op_last_axis(c, op, a->i[0], x->ndim, &axis)) return NULL;
  *dim = axis + 1;
  *ndims = x->ndim > 0;
  if (neap_numel(x) == 0) return x;
  return neap_sub(c, x, neap_amax(c, neap_detach(c, x), *ndims, dim, true));
}

neap_tensor *build_softmax (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  int64_t dim;
  int ndims;
  neap_tensor *x = shifted(c, "softmax", op_float(c, in[0]), a, &dim, &ndims);
  if (!x) return NULL;
  neap_tensor *e = neap_exp(c, x);
  return neap_div(c, e, neap_sum(c, e, ndims, &dim, true));
}

neap_tensor *build_log_softmax (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  int64_t dim;
  int ndims;
  neap_tensor *x = shifted(c, "log_softmax", op_float(c, in[0]), a, &dim, &ndims);
  if (!x) return NULL;
  return neap_sub(c, x, neap_log(c, neap_sum(c, neap_exp(c, x), ndims, &dim, true)));
}

/* ---- values at indices ---- */

/* idx has x's dimensions, of size 1 (or k) along dim */
static neap_tensor *take (neap_context *c, neap_tensor *x, int64_t dim, neap_tensor *idx, bool keepdim) {
  if (!x || !idx) return NULL;
  if (x->ndim == 0) return op_same(c, x);
  neap_tensor *v = neap_gather(c, x, dim, idx);
  return keepdim ? v : neap_squeeze(c, v, 1, &dim);
}

typedef neap_tensor *arg_fn (neap_context *c, neap_tensor *x, int64_t dim, bool keepdim);
typedef neap_tensor *fold_fn (neap_context *c, neap_tensor *x, int ndims, const int64_t *dims, bool keepdim);

/* over one dimension the element at its index, otherwise over all of dims */
static neap_tensor *extreme (neap_context *c, neap_tensor *x, const neap_attrs *a, arg_fn *arg, fold_fn *fold) {
  bool keepdim = is_set(a->i[0]);
  if (a->count != 1) return fold(c, x, a->count, a->dims, keepdim);
  return take(c, x, a->dims[0], arg(c, x, a->dims[0], true), keepdim);
}

neap_tensor *build_max (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  return extreme(c, in[0], a, neap_argmax, neap_amax);
}

neap_tensor *build_min (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  return extreme(c, in[0], a, neap_argmin, neap_amin);
}

neap_tensor *build_sort (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  int64_t dim = given(a->i[0]) ? a->i[0] : -1;
  return take(c, in[0], dim, neap_argsort(c, in[0], a->i[0], is_set(a->i[1])), true);
}

neap_tensor *build_topk (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  int64_t dim = given(a->i[1]) ? a->i[1] : -1;
  neap_tensor *x = in[0];
  if (x->ndim == 0 && a->i[0] == 0) x = neap_unsqueeze(c, x, 1);
  return x ? take(c, x, dim, neap_argtopk(c, x, a->i[0], a->i[1]), true) : NULL;
}

neap_tensor *build_median (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  bool keepdim = is_set(a->i[1]);
  if (given(a->i[0])) return take(c, in[0], a->i[0], neap_argmedian(c, in[0], a->i[0], true), keepdim);
  neap_tensor *x = neap_flatten(c, in[0], 1, -1), *v = take(c, x, 1, neap_argmedian(c, x, 1, true), false);
  const int64_t ones[NEAP_MAX_DIMS] = { 1, 1, 1, 1, 1, 1, 1, 1 };
  return keepdim ? neap_reshape(c, v, in[0]->ndim, ones) : v;
}

/* x sorted along dim, at h = q (n − 1): between floor h and the next, linearly; NaN when the line holds one */
static neap_tensor *quantile_along (neap_context *c, neap_tensor *x, double q, int64_t dim, bool keepdim) {
  int axis;
  if (!x || !neap_axis(c, "quantile", "dimension", dim, x->ndim, &axis)) return NULL;
  int64_t size = x->shape[axis];
  if (size == 0) return neap_fail(c, NEAP_ESHAPE, "quantile: dimension %d of shape %s has no elements", axis + 1,
                                  SHAPE_TEXT(x));
  double h = q * (double)(size - 1), low = floor(h);
  int64_t at = (int64_t)low + 1, next = at < size ? at + 1 : at;
  x = neap_sort(c, x, dim, false);
  neap_tensor *a = neap_slice(c, x, dim, at, at, 1), *b = neap_slice(c, x, dim, next, next, 1);
  neap_tensor *last = neap_slice(c, x, dim, size, size, 1), *value = a;
  if (h > low) value = neap_add(c, a, neap_mul(c, number(c, x, h - low), neap_sub(c, b, a)));
  value = neap_where(c, neap_isnan(c, last), last, value);
  return keepdim ? value : neap_squeeze(c, value, 1, &dim);
}

neap_tensor *build_quantile (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  double q = a->f[0];
  if (!(q >= 0 && q <= 1)) return neap_fail(c, NEAP_EARG, "quantile: q is %g, expected a number from 0 to 1", q);
  neap_tensor *x = op_float(c, in[0]);
  bool keepdim = is_set(a->i[1]);
  if (given(a->i[0])) return quantile_along(c, x, q, a->i[0], keepdim);
  neap_tensor *v = quantile_along(c, neap_flatten(c, x, 1, -1), q, 1, false);
  const int64_t ones[NEAP_MAX_DIMS] = { 1, 1, 1, 1, 1, 1, 1, 1 };
  return keepdim && v ? neap_reshape(c, v, in[0]->ndim, ones) : v;
}
