/*
** random_walk.c -- Metropolis sampling with normal proposals (Metropolis et al. 1953).
** y = x + scale·n is as likely from x as x from y, so it is taken with probability min(1, e^(E(x) − E(y))).
** Invariant: "energy" is the energy of "x".
*/
#include "sampler/sampler.h"

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x");
  neap_tensor *y = rows_axpy(c, s->step_size, sampler_noise(c, E, st, x), x);
  neap_tensor *ey = sampler_energy(c, E, st, y);
  return sampler_metropolis(c, st, sampler_log_ratio(c, st, ey, NULL), y, ey, NULL);
}

static const neap_sampler_kind random_walk = { "random_walk", false, NEAP_START_NORMAL, sampler_init_energy, step };

neap_sampler *neap_sampler_random_walk (neap_context *c, double scale) {
  if (!sampler_positive(c, "random_walk", "scale", scale)) return NULL;
  neap_sampler *s = sampler_new(c, &random_walk);
  if (s) s->step_size = scale;
  return s;
}
