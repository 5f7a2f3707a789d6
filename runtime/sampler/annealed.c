/*
** annealed.c -- annealed Langevin dynamics (Song and Ermon 2019).
** x ← x − ε∇E(x, σ) + √(2ε)·n with ε = step_size·(σ/σ_min)²: level_steps moves at each σ, the largest first; those
** of the last go on.  An energy that may take a condition, and has none, is given σ [chains, 1].
** Invariant: "moves" counts each chain's; "energy" and "grad" belong to "x" at the σ of the next move.
*/
#include "sampler/sampler.h"

/* σ [chains] of the next move */
static neap_tensor *sigma_of (neap_context *c, neap_sampler *s, neap_state *st) {
  neap_tensor *moves = neap_state_get(st, "moves"), *half = moves ? neap_scalar(c, moves->dtype, .5) : NULL;
  neap_tensor *i = neap_floor(c, rows_scale(c, neap_add(c, moves, half), 1 / (double)s->level_steps));
  if (!i) return NULL;
  i = neap_add(c, neap_clamp(c, i, 0, (double)(s->sigmas->shape[0] - 1)), neap_scalar(c, i->dtype, 1));
  neap_tensor *sigma = i ? neap_index_select(c, s->sigmas, 1, neap_cast(c, i, NEAP_INT64)) : NULL;
  return sigma ? neap_cast(c, sigma, neap_state_get(st, "x")->dtype) : NULL;
}

static bool set_gradient (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *cond = neap_state_get(st, "condition"), *e, *g;
  if (!cond && neap_energy_conditional(E) != 0 && !(cond = rows_expand(c, sigma_of(c, s, st), 2))) return false;
  return neap_energy_value_and_grad(c, E, x, cond, &e, &g) && neap_state_set(c, st, "energy", e) &&
         neap_state_set(c, st, "grad", g);
}

static bool init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  return sampler_counter(c, st, "moves") && set_gradient(c, s, E, st);
}

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *moves = neap_state_get(st, "moves"), *sigma = sigma_of(c, s, st);
  neap_tensor *eps = sigma ? rows_scale(c, neap_square(c, sigma), s->step_size / (s->sigma_min * s->sigma_min)) : NULL;
  if (!eps || !moves) return false;
  neap_tensor *drift = neap_mul(c, rows_expand(c, eps, x->ndim), neap_state_get(st, "grad"));
  neap_tensor *std = rows_expand(c, neap_sqrt(c, rows_scale(c, eps, 2)), x->ndim);
  x = neap_add(c, neap_sub(c, x, drift), neap_mul(c, std, sampler_noise(c, E, st, x)));
  moves = neap_add(c, moves, neap_scalar(c, moves->dtype, 1));
  return neap_state_set(c, st, "x", x) && neap_state_set(c, st, "moves", moves) && set_gradient(c, s, E, st);
}

static const neap_sampler_kind annealed = { "annealed_langevin", false, NEAP_START_NORMAL, init, step };

static bool check (neap_context *c, int n, const double *sigmas, double step_size, int64_t steps) {
  if (n < 1) return neap_fail(c, NEAP_EARG, "annealed_langevin: sigmas: at least one expected, got %d", n);
  for (int i = 0; i < n; i++)
    if (!sampler_positive(c, "annealed_langevin", "sigmas", sigmas[i])) return false;
  if (steps < 1)
    return neap_fail(c, NEAP_EARG, "annealed_langevin: steps: a positive integer expected, got %lld", (long long)steps);
  return sampler_positive(c, "annealed_langevin", "step_size", step_size);
}

neap_sampler *neap_sampler_annealed_langevin (neap_context *c, int n, const double *sigmas, double step_size,
                                              int64_t steps) {
  if (!check(c, n, sigmas, step_size, steps)) return NULL;
  neap_sampler *s = sampler_new(c, &annealed);
  if (!s) return NULL;
  s->step_size = step_size;
  s->sigma_min = sigmas[0];
  for (int i = 1; i < n; i++) if (sigmas[i] < s->sigma_min) s->sigma_min = sigmas[i];
  s->level_steps = steps;
  s->schedule = n * steps;
  s->grads_init = s->grads_step = 1;
  if ((s->sigmas = sampler_levels(c, n, sigmas))) return s;
  neap_sampler_release(s);
  return NULL;
}
