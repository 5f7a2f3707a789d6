/*
** gibbs_single.c -- Gibbs sampling of single units of any energy (Geman & Geman 1984).
** A unit's law given the others needs E at each of its q values: chains × q rows at once, unit after unit.  A step
** draws each unit once.
** Invariant: units that E:fix holds keep their values.
*/
#include "sampler/gibbs.h"
#include "energy/states.h"

/* bool [n]: the unit i, from 1, unless mask [n] holds it */
static neap_tensor *unit (neap_context *c, int64_t n, int64_t i, neap_tensor *mask) {
  neap_tensor *at = neap_eq(c, neap_arange(c, NEAP_INT64, 1, (double)n, 1), neap_scalar(c, NEAP_INT64, (double)i));
  return mask && at ? neap_logical_and(c, at, neap_logical_not(c, mask)) : at;
}

/* x [chains, n] with each of the values [q] in the unit's place: [chains, q, n] */
static neap_tensor *candidates (neap_context *c, neap_tensor *x, neap_tensor *unit, neap_tensor *values) {
  return neap_where(c, unit, neap_unsqueeze(c, values, 2), neap_unsqueeze(c, x, 2));
}

/* E of y [chains, q, n], [chains, q]; like: x as E takes it */
static neap_tensor *energies (neap_context *c, neap_energy *E, neap_state *st, neap_tensor *y,
                              const neap_tensor *like) {
  int64_t shape[NEAP_MAX_DIMS], q = y->shape[1];
  neap_tensor *cond = neap_state_get(st, "condition");
  for (int i = 1; i < like->ndim; i++) shape[i] = like->shape[i];
  shape[0] = like->shape[0] * q;
  y = neap_reshape(c, y, like->ndim, shape);
  if (cond) cond = neap_repeat_interleave(c, cond, q, 1);
  neap_tensor *e = y && neap_ok(c) ? neap_energy_eval(c, E, y, cond) : NULL;
  return e ? neap_reshape(c, e, 2, (int64_t[]){ like->shape[0], q }) : NULL;
}

neap_tensor *gibbs_sweep_single (neap_context *c, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *mask = neap_energy_mask(E), *y;
  energy_units u = energy_units_of(E);
  neap_tensor *values = neap_arange(c, x->dtype, u.lo, u.lo + u.step * (double)(u.base - 1), u.step);
  if (mask) mask = neap_reshape(c, mask, 1, (int64_t[]){ -1 });
  y = rows_flat(c, x);
  for (int64_t i = 1; y && i <= y->shape[1] && neap_poll(c); i++) {
    neap_tensor *here = unit(c, y->shape[1], i, mask), *e = energies(c, E, st, candidates(c, y, here, values), x);
    neap_tensor *k = e ? neap_rng_categorical(c, st->rng, neap_neg(c, e)) : NULL;
    neap_tensor *now = k ? neap_index_select(c, values, 1, k) : NULL;
    y = now ? neap_where(c, here, neap_unsqueeze(c, now, 2), y) : NULL;
  }
  return y && neap_ok(c) ? neap_reshape(c, y, x->ndim, x->shape) : NULL;
}
