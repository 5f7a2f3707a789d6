/*
** rows.c -- small expressions over rows that energies, samplers and losses share.
** Invariant: every value comes from an op constructor; NULL passes through.
*/
#include "rows.h"

neap_tensor *rows_sum (neap_context *c, neap_tensor *x) {
  int64_t dims[NEAP_MAX_DIMS];
  if (!x || x->ndim <= 1) return x;
  for (int i = 1; i < x->ndim; i++) dims[i - 1] = i + 1;
  return neap_sum(c, x, x->ndim - 1, dims, false);
}

neap_tensor *rows_dot (neap_context *c, neap_tensor *a, neap_tensor *b) {
  return rows_sum(c, a == b ? neap_square(c, a) : neap_mul(c, a, b));
}

neap_tensor *rows_flat (neap_context *c, neap_tensor *x) {
  if (!x || x->ndim == 2) return x;
  return neap_reshape(c, x, 2, (int64_t[]){ x->shape[0], neap_row_numel(x) });
}

neap_tensor *rows_expand (neap_context *c, neap_tensor *v, int ndim) {
  int64_t shape[NEAP_MAX_DIMS];
  if (!v || ndim <= 1) return v;
  shape[0] = v->shape[0];
  for (int i = 1; i < ndim; i++) shape[i] = 1;
  return neap_reshape(c, v, ndim, shape);
}

neap_tensor *rows_where (neap_context *c, neap_tensor *accept, neap_tensor *a, neap_tensor *b) {
  if (!accept || !a || !b) return NULL;
  return neap_where(c, rows_expand(c, accept, b->ndim), a, b);
}

neap_tensor *rows_scale (neap_context *c, neap_tensor *x, double k) {
  return x ? neap_mul(c, x, neap_scalar(c, x->dtype, k)) : NULL;
}

neap_tensor *rows_axpy (neap_context *c, double k, neap_tensor *y, neap_tensor *x) {
  return y ? neap_fma(c, y, neap_scalar(c, y->dtype, k), x) : NULL;
}

neap_tensor *rows_mean (neap_context *c, neap_tensor *x) {
  return neap_mean(c, x, -1, NULL, false);
}

neap_tensor *rows_normal (neap_context *c, neap_rng *r, neap_tensor *x) {
  return x ? neap_rng_normal(c, r, x->dtype, x->ndim, x->shape) : NULL;
}

bool rows_same_event (const neap_tensor *a, const neap_tensor *b) {
  for (int i = 1; i < a->ndim; i++)
    if (a->shape[i] != b->shape[i]) return false;
  return true;
}
