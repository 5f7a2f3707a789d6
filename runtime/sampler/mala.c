/*
** mala.c -- the Metropolis-adjusted Langevin algorithm (Roberts and Tweedie 1996).
** y = x + S·d, d = −ε·Sᵀ∇E(x) + √(2ε)·n, has density q(y | x) ∝ exp(−|d + ε·Sᵀ∇E(x)|² / 4ε), which is not symmetric;
** y is taken with probability min(1, e^(E(x) − E(y)) q(x | y) / q(y | x)).  S is the state's scale, or the identity.
** Invariant: "energy" and "grad" belong to "x".
*/
#include "sampler/sampler.h"
#include <math.h>

/* d [chains, event…] */
static neap_tensor *move (neap_context *c, neap_sampler *s, neap_state *st, neap_tensor *n) {
  neap_tensor *g = sampler_scaled(c, s, st, neap_state_get(st, "grad"), true);
  return sampler_move(c, s, st, -1, g, sampler_times_step(c, s, st, sqrt(2), .5, n));
}

/* log q(x | y) − log q(y | x) [chains]; d + ε·Sᵀ∇E(x) is √(2ε)·n */
static neap_tensor *log_q_ratio (neap_context *c, neap_sampler *s, neap_state *st, neap_tensor *d, neap_tensor *gy,
                                 neap_tensor *n) {
  neap_tensor *back = neap_sub(c, sampler_times_step(c, s, st, 1, 1, sampler_scaled(c, s, st, gy, true)), d);
  neap_tensor *square = back ? sampler_times_step(c, s, st, .25, -1, rows_dot(c, back, back)) : NULL;
  return square ? neap_sub(c, rows_scale(c, rows_dot(c, n, n), .5), square) : NULL;
}

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *n = sampler_noise(c, E, st, x), *ey, *gy;
  neap_tensor *d = n ? move(c, s, st, n) : NULL, *y = d ? neap_add(c, x, sampler_scaled(c, s, st, d, false)) : NULL;
  if (!sampler_gradient(c, E, st, y, &ey, &gy)) return false;
  neap_tensor *q = log_q_ratio(c, s, st, d, gy, n);
  return q && sampler_metropolis(c, st, sampler_log_ratio(c, st, ey, q), y, ey, gy);
}

static bool init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  return sampler_init_gradient(c, s, E, st) && sampler_first_step(c, s, E, st);
}

static const neap_sampler_kind mala = { "mala", false, NEAP_START_NORMAL, init, step };

#define TARGET .574                          /* the best in high dimensions (Roberts and Rosenthal 1998) */

neap_sampler *neap_sampler_mala (neap_context *c, double step_size) {
  neap_sampler *s = sampler_new_adaptive(c, &mala, step_size, TARGET);
  if (!s) return NULL;
  s->adapt.langevin = true;
  s->grads_step = 1;
  return s;
}
