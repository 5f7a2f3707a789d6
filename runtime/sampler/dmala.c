/*
** dmala.c -- the discrete Langevin proposal with a Metropolis choice (Zhang, Liu and Liu 2022).
** All units are drawn at once, each flipped with probability sigmoid(ℓᵢ), ℓᵢ = −½ δᵢ ∂E/∂xᵢ − δᵢ² / 2ε where δᵢ is what
** a flip adds; y is taken with probability min(1, e^(E(x) − E(y)) q(x | y) / q(y | x)).
** Invariant: "energy" and "grad" belong to "x".
*/
#include "sampler/binary.h"
#include "sampler/categorical.h"

/* ℓ, like x */
static neap_tensor *logits (neap_context *c, neap_sampler *s, neap_state *st, neap_tensor *x, neap_tensor *g) {
  neap_tensor *change = binary_change(c, st, x), *slope = neap_mul(c, change, g);
  neap_tensor *length = change ? rows_scale(c, neap_square(c, change), -.5 / s->step_size) : NULL;
  return slope && length ? rows_axpy(c, -.5, slope, length) : NULL;
}

/* log of the probability [chains] that the units of hit are flipped and the others are not */
static neap_tensor *log_q (neap_context *c, neap_tensor *hit, neap_tensor *l) {
  return l ? rows_sum(c, neap_log_sigmoid(c, neap_where(c, hit, l, neap_neg(c, l)))) : NULL;
}

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  if (categorical_is(E)) return categorical_step_all(c, s, E, st);
  neap_tensor *x = neap_state_get(st, "x"), *ey, *gy, *there = logits(c, s, st, x, neap_state_get(st, "grad"));
  neap_tensor *u = neap_rng_uniform(c, st->rng, x->dtype, x->ndim, x->shape);
  neap_tensor *hit = there && u ? binary_free(c, E, neap_lt(c, u, neap_sigmoid(c, there))) : NULL;
  neap_tensor *y = hit ? binary_flip(c, st, hit, x) : NULL;
  if (!sampler_gradient(c, E, st, y, &ey, &gy)) return false;
  neap_tensor *back = log_q(c, hit, logits(c, s, st, y, gy)), *q = neap_sub(c, back, log_q(c, hit, there));
  return q && sampler_metropolis(c, st, sampler_log_ratio(c, st, ey, q), y, ey, gy);
}

static bool init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  return categorical_is(E) ? categorical_init(c, s, E, st) : binary_init(c, s, E, st);
}

static const neap_sampler_kind dmala = { "dmala", false, NEAP_START_BERNOULLI, init, step };

neap_sampler *neap_sampler_dmala (neap_context *c, double step_size) {
  if (!sampler_positive(c, "dmala", "step_size", step_size)) return NULL;
  neap_sampler *s = sampler_new(c, &dmala);
  if (!s) return NULL;
  s->step_size = step_size;
  s->grads_init = s->grads_step = 1;
  return s;
}
