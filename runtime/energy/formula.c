/*
** formula.c -- short names for what the energies' formulas use, and how a class reads its slots.
** Invariant: NULL passes through; results are lent by the open scope.
*/
#include "states.h"
#include <math.h>

neap_tensor *energy_cast (neap_context *c, neap_tensor *x, neap_dtype d) {
  return !x || x->dtype == d ? x : neap_cast(c, x, d);
}

/* 0 · v is NaN where v is not finite, and a sum keeps it */
bool energy_all_finite (neap_context *c, neap_tensor *x) {
  double sum = NAN;
  if (!x || !neap_is_float(x->dtype)) return x && neap_ok(c);
  neap_scope s = neap_scope_open(c);
  neap_tensor *t = neap_sum(c, neap_mul(c, neap_detach(c, x), num(c, x, 0)), -1, NULL, false);
  if (t) neap_item(c, t, &sum);
  neap_scope_close(c, s);
  return sum == 0;
}

neap_tensor *energy_sum_last (neap_context *c, neap_tensor *x) {
  return x ? neap_sum(c, x, 1, (int64_t[]){ -1 }, false) : NULL;
}

neap_tensor *energy_sum_all (neap_context *c, neap_tensor *x) { return x ? neap_sum(c, x, -1, NULL, false) : NULL; }

neap_tensor *energy_logsumexp_last (neap_context *c, neap_tensor *x) {
  return x ? neap_logsumexp(c, x, 1, (int64_t[]){ -1 }, false) : NULL;
}

neap_tensor *energy_column (neap_context *c, neap_tensor *x, int64_t i) { return x ? neap_select(c, x, 2, i) : NULL; }

neap_tensor *energy_columns (neap_context *c, neap_tensor *x, int64_t first, int64_t last) {
  return x ? neap_slice(c, x, 2, first, last, 1) : NULL;
}

neap_tensor *energy_transpose (neap_context *c, neap_tensor *x) { return x ? neap_transpose(c, x, -2, -1) : NULL; }

neap_tensor *energy_reshape (neap_context *c, neap_tensor *x, int n, const int64_t *shape) {
  return x ? neap_reshape(c, x, n, shape) : NULL;
}

neap_tensor *energy_diagonal (neap_context *c, neap_tensor *x) {
  if (!x) return NULL;
  neap_tensor *eye = neap_eye(c, x->dtype, x->shape[x->ndim - 2], x->shape[x->ndim - 1]);
  return eye ? energy_sum_last(c, neap_mul(c, x, eye)) : NULL;
}

neap_tensor *energy_get (neap_context *c, neap_energy *E, int i, const neap_tensor *like) {
  energy_slot *s = &E->slots[i];
  return s->variable || !like ? s->value : energy_cast(c, s->value, like->dtype);
}

neap_tensor *energy_get_derived (neap_context *c, neap_energy *E, int i, const neap_tensor *like) {
  return E->derived[i] && like ? energy_cast(c, E->derived[i], like->dtype) : E->derived[i];
}

bool energy_constant (const neap_energy *E, int n) {
  for (int i = 0; i < n && i < E->nslots; i++) if (!energy_is_constant(&E->slots[i])) return false;
  return true;
}

bool energy_derive (neap_energy *E, int i, neap_tensor *t) {
  if (!t) return false;
  neap_release(E->derived[i]);
  E->derived[i] = neap_keep(t);
  return true;
}

neap_tensor *energy_unit (neap_context *c, const neap_tensor *x, int64_t D, int64_t i) {
  int64_t shape[NEAP_MAX_DIMS];
  for (int d = 0; d < x->ndim; d++) shape[d] = d ? x->shape[d] : 1;
  neap_tensor *one = neap_full(c, x->dtype, 2, (int64_t[]){ 1, 1 }, 1);
  neap_tensor *row = energy_reshape(c, one ? neap_unslice(c, one, 2, i, 1, D) : NULL, x->ndim, shape);
  return row ? neap_expand(c, row, x->ndim, x->shape) : NULL;
}

neap_tensor *energy_signs (neap_context *c, const neap_tensor *x, neap_rng *rng) {
  neap_tensor *u = neap_rng_uniform(c, rng, x->dtype, x->ndim, x->shape), *half = num(c, x, .5);
  neap_tensor *up = u && half ? neap_ge(c, u, half) : NULL;
  return up ? neap_where(c, up, num(c, x, 1), num(c, x, -1)) : NULL;
}

neap_tensor *energy_one_hot_of (neap_context *c, const neap_energy *E, neap_tensor *x) {
  neap_dtype d = E->nparams > 0 ? E->params[0].value->dtype : neap_is_float(x->dtype) ? x->dtype : c->default_dtype;
  neap_tensor *labels = energy_cast(c, x, NEAP_INT64), *z = labels ? neap_one_hot(c, labels, energy_labels(E)) : NULL;
  return energy_cast(c, z, d);
}
