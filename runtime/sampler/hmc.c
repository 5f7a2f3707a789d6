/*
** hmc.c -- Hamiltonian Monte Carlo with a fixed number of steps (Duane et al. 1987, Neal 2011).
** A fresh momentum p ~ N(0, I), L leapfrog steps of H = E(x) + |p|²/2, then Metropolis on the error of H.  The state's
** scale S is the metric: x moves by S·p and p by Sᵀ∇E(x), as it would with a mass matrix (S Sᵀ)⁻¹.
** Invariant: "energy" and "grad" belong to "x".  A path whose error exceeds 1000 or is not a number is a divergence.
*/
#include "sampler/sampler.h"

#define DIVERGENCE 1000.

typedef struct phase { neap_tensor *x, *p, *e, *g; } phase;

/* p ← p + k·ε·Sᵀ∇E */
static void kick (neap_context *c, neap_sampler *s, neap_state *st, double k, phase *z) {
  z->p = sampler_move(c, s, st, k, sampler_scaled(c, s, st, z->g, true), z->p);
}

/* L leapfrog steps: half a kick, then drifts and kicks in turn, the last kick a half */
static bool leapfrog (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, phase *z) {
  kick(c, s, st, -.5, z);
  for (int64_t i = 1; i <= s->leapfrog_steps; i++) {
    z->x = sampler_move(c, s, st, 1, sampler_scaled(c, s, st, z->p, false), z->x);
    if (!neap_poll(c) || !sampler_gradient(c, E, st, z->x, &z->e, &z->g)) return false;
    kick(c, s, st, i < s->leapfrog_steps ? -1 : -.5, z);
  }
  return z->p != NULL;
}

/* H [chains] */
static neap_tensor *hamiltonian (neap_context *c, const phase *z) {
  return rows_axpy(c, .5, rows_dot(c, z->p, z->p), z->e);
}

/* !(error <= 1000): NaN diverges too */
static neap_tensor *diverged (neap_context *c, neap_tensor *error) {
  return neap_logical_not(c, neap_le(c, error, neap_scalar(c, error->dtype, DIVERGENCE)));
}

static bool init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  return sampler_init_gradient(c, s, E, st) && sampler_counter(c, st, "divergences") &&
         sampler_first_step(c, s, E, st);
}

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x");
  phase z = { x, sampler_noise(c, E, st, x), neap_state_get(st, "energy"), neap_state_get(st, "grad") };
  neap_tensor *h = hamiltonian(c, &z);
  if (!leapfrog(c, s, E, st, &z)) return false;
  neap_tensor *error = neap_sub(c, hamiltonian(c, &z), h);
  return error && sampler_metropolis(c, st, neap_neg(c, error), z.x, z.e, z.g) &&
         sampler_count(c, st, "divergences", diverged(c, error));
}

static const neap_sampler_kind hmc = { "hmc", false, NEAP_START_NORMAL, init, step };

#define TARGET .8

neap_sampler *neap_sampler_hmc (neap_context *c, double step_size, int64_t leapfrog_steps) {
  neap_sampler *s = sampler_new_adaptive(c, &hmc, step_size, TARGET);
  if (!s) return NULL;
  s->leapfrog_steps = s->grads_step = leapfrog_steps;
  if (leapfrog_steps >= 1) return s;
  neap_sampler_release(s);
  return neap_fail(c, NEAP_EARG, "hmc: leapfrog_steps: a positive integer expected, got %lld",
                   (long long)leapfrog_steps);
}
