/*
** rules_shape.c -- transposes of reductions and of shape rows.
** Invariant: each is linear in g and made of ops; x is asked for its shape only.
*/
#include "ops/rules.h"

neap_tensor *rule_keepdim (neap_context *c, neap_tensor *g, const neap_tensor *x, const neap_attrs *a) {
  bool axes[NEAP_MAX_DIMS];
  if (!g || !op_axes(c, "sum", a, x->ndim, axes)) return NULL;
  neap_meta m;
  op_meta_reduced(&m, x, axes, true, x->dtype);
  return neap_reshape(c, g, m.ndim, m.shape);
}

neap_tensor *rule_unreduce (neap_context *c, neap_tensor *g, const neap_tensor *x, const neap_attrs *a) {
  return neap_expand(c, rule_keepdim(c, g, x, a), x->ndim, x->shape);
}

neap_tensor *rule_unexpand (neap_context *c, neap_tensor *g, const neap_tensor *x) {
  if (!g) return NULL;
  int64_t dims[NEAP_MAX_DIMS];
  int n = 0, extra = g->ndim - x->ndim;
  for (int i = 0; i < g->ndim; i++)
    if (i < extra || (x->shape[i - extra] == 1 && g->shape[i] != 1)) dims[n++] = i + 1;
  if (n == 0) return op_reshape_like(c, g, x);
  return op_reshape_like(c, neap_sum(c, g, n, dims, true), x);
}

neap_tensor *rule_unpermute (neap_context *c, neap_tensor *g, const neap_attrs *a) {
  if (!g) return NULL;
  int64_t back[NEAP_MAX_DIMS];
  for (int i = 0; i < g->ndim; i++) {
    int axis;
    if (!neap_axis(c, "permute", "dimension", a->dims[i], g->ndim, &axis)) return NULL;
    back[axis] = i + 1;
  }
  return neap_permute(c, g, g->ndim, back);
}

neap_tensor *rule_cumsum_back (neap_context *c, neap_tensor *g, const neap_attrs *a) {
  const int64_t dim = a->i[0];
  return neap_flip(c, neap_cumsum(c, neap_flip(c, g, 1, &dim), dim), 1, &dim);
}

/* the first index, from 1, that a slice of a dimension of n elements takes */
static int64_t slice_first (const neap_attrs *a, int64_t n, int64_t step) {
  int64_t first = a->i[1];
  if (!given(first)) return step > 0 ? 1 : n;
  if (first < 0) first += n + 1;
  return step > 0 ? between(first, 1, n + 1) : between(first, 0, n);
}

neap_tensor *rule_unslice (neap_context *c, neap_tensor *g, const neap_tensor *x, const neap_attrs *a) {
  int axis;
  if (!g || !neap_axis(c, "slice", "dimension", a->i[0], x->ndim, &axis)) return NULL;
  int64_t step = given(a->i[3]) ? a->i[3] : 1;
  return neap_unslice(c, g, axis + 1, slice_first(a, x->shape[axis], step), step, x->shape[axis]);
}

neap_tensor *rule_unselect (neap_context *c, neap_tensor *g, const neap_tensor *x, const neap_attrs *a) {
  int axis;
  if (!g || !neap_axis(c, "select", "dimension", a->i[0], x->ndim, &axis)) return NULL;
  int64_t n = x->shape[axis], index = a->i[1] < 0 ? a->i[1] + n + 1 : a->i[1];
  return neap_unslice(c, neap_unsqueeze(c, g, axis + 1), axis + 1, index, 1, n);
}

neap_tensor *rule_slice_back (neap_context *c, neap_tensor *g, const neap_tensor *x, const neap_attrs *a) {
  int axis;
  if (!g || !neap_axis(c, "unslice", "dimension", a->i[0], x->ndim, &axis)) return NULL;
  int64_t first = a->i[1], step = a->i[2], n = x->shape[axis], last = first + (n - 1) * step;
  if (n == 0) return neap_slice(c, g, axis + 1, 1, 0, 1);
  return neap_slice(c, g, axis + 1, first, last, step);
}
