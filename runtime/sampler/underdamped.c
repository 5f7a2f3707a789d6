/*
** underdamped.c -- underdamped Langevin dynamics, split as BAOAB (Leimkuhler and Matthews 2013).
** dx = p dt, dp = −∇E dt − γp dt + √(2γ) dW keeps exp(−E(x) − |p|²/2).  A step kicks p for half of ε and drifts x
** for half, lets friction and noise act on p, then drifts and kicks again.  Nothing is rejected: x's law is off by
** O(ε²), and exact where E is quadratic.
** Invariant: "energy" and "grad" belong to "x"; "momentum" goes on from step to step, 0 where E holds x fixed.
*/
#include "sampler/sampler.h"
#include <math.h>

static bool init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *p = sampler_momentum(c, s, E, st);
  return p && neap_state_set(c, st, "momentum", p) && sampler_set_gradient(c, E, st);
}

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  double half = s->step_size / 2, decay = s->friction * s->step_size;
  neap_tensor *x = neap_state_get(st, "x");
  neap_tensor *p = rows_axpy(c, -half, neap_state_get(st, "grad"), neap_state_get(st, "momentum"));
  x = rows_axpy(c, half, p, x);
  p = rows_axpy(c, sqrt(-expm1(-2 * decay)), sampler_noise(c, E, st, x), rows_scale(c, p, exp(-decay)));
  x = rows_axpy(c, half, p, x);
  if (!x || !neap_state_set(c, st, "x", x) || !sampler_set_gradient(c, E, st)) return false;
  p = rows_axpy(c, -half, neap_state_get(st, "grad"), p);
  return p && neap_state_set(c, st, "momentum", p);
}

static const neap_sampler_kind underdamped = { "underdamped", false, NEAP_START_NORMAL, init, step };

neap_sampler *neap_sampler_underdamped (neap_context *c, double step_size, double friction) {
  if (!sampler_positive(c, "underdamped", "step_size", step_size)) return NULL;
  if (!sampler_positive(c, "underdamped", "friction", friction)) return NULL;
  neap_sampler *s = sampler_new(c, &underdamped);
  if (!s) return NULL;
  s->step_size = step_size;
  s->friction = friction;
  s->grads_init = s->grads_step = 1;
  return s;
}
