/*
** mala.c -- the Metropolis-adjusted Langevin algorithm (Roberts and Tweedie 1996).
** y = x − ε∇E(x) + √(2ε)·n has density q(y | x) ∝ exp(−|y − x + ε∇E(x)|² / 4ε), which is not symmetric; y is taken with
** probability min(1, e^(E(x) − E(y)) q(x | y) / q(y | x)).
** Invariant: "energy" and "grad" belong to "x".
*/
#include "sampler/sampler.h"
#include <math.h>

/* log q(x | y) − log q(y | x) [chains]; y − x + ε∇E(x) is √(2ε)·n */
static neap_tensor *log_q_ratio (neap_context *c, double eps, neap_tensor *x, neap_tensor *y, neap_tensor *gy,
                                 neap_tensor *n) {
  neap_tensor *back = rows_axpy(c, eps, gy, neap_sub(c, x, y));
  return neap_sub(c, rows_scale(c, rows_dot(c, n, n), .5), rows_scale(c, rows_dot(c, back, back), 1 / (4 * eps)));
}

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  double eps = s->step_size;
  neap_tensor *x = neap_state_get(st, "x"), *n = sampler_noise(c, E, st, x), *ey, *gy;
  neap_tensor *y = rows_axpy(c, sqrt(2 * eps), n, rows_axpy(c, -eps, neap_state_get(st, "grad"), x));
  if (!sampler_gradient(c, E, st, y, &ey, &gy)) return false;
  neap_tensor *drop = neap_sub(c, neap_state_get(st, "energy"), ey);
  neap_tensor *accept = sampler_accept(c, st, neap_add(c, drop, log_q_ratio(c, eps, x, y, gy, n)));
  return sampler_take(c, st, "x", accept, y) && sampler_take(c, st, "energy", accept, ey) &&
         sampler_take(c, st, "grad", accept, gy) && sampler_count(c, st, "accepted", accept);
}

static const neap_sampler_kind mala = { "mala", false, NEAP_START_NORMAL, sampler_init_gradient, step };

neap_sampler *neap_sampler_mala (neap_context *c, double step_size) {
  if (!sampler_positive(c, "mala", "step_size", step_size)) return NULL;
  neap_sampler *s = sampler_new(c, &mala);
  if (!s) return NULL;
  s->step_size = step_size;
  s->grads_init = s->grads_step = 1;
  return s;
}
