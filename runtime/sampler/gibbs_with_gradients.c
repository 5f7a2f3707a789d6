/*
** gibbs_with_gradients.c -- flips of single units that the gradient proposes (Grathwohl et al. 2021).
** Unit i is chosen with probability q(i | x) ∝ e^(dᵢ/2), dᵢ = −(what a flip adds)·∂E/∂xᵢ being about how far its flip
** lowers E; the flipped y is taken with probability min(1, e^(E(x) − E(y)) q(i | y) / q(i | x)).
** Invariant: "energy" and "grad" belong to "x".
*/
#include "sampler/binary.h"
#include "sampler/categorical.h"

#define NEVER -1e30                          /* the logit of a held unit; finite: where all are held none is hit */

/* log q(· | x) [chains, units] */
static neap_tensor *log_choice (neap_context *c, neap_energy *E, neap_state *st, neap_tensor *x, neap_tensor *g) {
  neap_tensor *d = rows_scale(c, neap_mul(c, binary_change(c, st, x), g), -.5), *mask = neap_energy_mask(E);
  if (mask && d) d = neap_where(c, mask, neap_scalar(c, d->dtype, NEVER), d);
  d = rows_flat(c, d);
  return d ? neap_log_softmax(c, d, 2) : NULL;
}

/* log_q [chains, units] at i [chains] */
static neap_tensor *pick (neap_context *c, neap_tensor *log_q, neap_tensor *i) {
  return log_q ? neap_select(c, neap_gather(c, log_q, 2, rows_expand(c, i, 2)), 2, 1) : NULL;
}

/* bool like x: the unit i [chains] of each row */
static neap_tensor *units_at (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *log_q, neap_tensor *i) {
  neap_tensor *one = neap_one_hot(c, i, log_q->shape[1]);
  one = one ? neap_ne(c, one, neap_scalar(c, one->dtype, 0)) : NULL;
  return binary_free(c, E, one ? neap_reshape(c, one, x->ndim, x->shape) : NULL);
}

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  (void)s;
  if (categorical_is(E)) return categorical_step_one(c, E, st);
  neap_tensor *x = neap_state_get(st, "x"), *ey, *gy;
  neap_tensor *there = log_choice(c, E, st, x, neap_state_get(st, "grad"));
  neap_tensor *i = there ? neap_rng_categorical(c, st->rng, there) : NULL;
  neap_tensor *y = i ? binary_flip(c, st, units_at(c, E, x, there, i), x) : NULL;
  if (!sampler_gradient(c, E, st, y, &ey, &gy)) return false;
  neap_tensor *back = pick(c, log_choice(c, E, st, y, gy), i), *q = neap_sub(c, back, pick(c, there, i));
  return q && sampler_metropolis(c, st, sampler_log_ratio(c, st, ey, q), y, ey, gy);
}

static bool init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  return categorical_is(E) ? categorical_init(c, s, E, st) : binary_init(c, s, E, st);
}

static const neap_sampler_kind kind = { "gibbs_with_gradients", false, NEAP_START_BERNOULLI, init, step };

neap_sampler *neap_sampler_gibbs_with_gradients (neap_context *c) {
  neap_sampler *s = sampler_new(c, &kind);
  if (s) s->grads_init = s->grads_step = 1;
  return s;
}
