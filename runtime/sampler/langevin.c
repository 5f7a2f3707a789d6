/*
** langevin.c -- the unadjusted Langevin algorithm.
** x ← x − ε∇E(x) + noise_std·n.  Its law differs from exp(−E) by O(ε): on N(0, 1) the variance is 1 / (1 − ε/2).
** Nothing is carried besides x, so parameters may change between any two steps; "energy_before" is that of the
** x which the last step left, a by-product of its gradient.
*/
#include "sampler/sampler.h"
#include <math.h>

static neap_tensor *clamp_to (neap_context *c, neap_tensor *x, double lo, double hi) {
  return lo < hi ? neap_clamp(c, x, lo, hi) : x;
}

/* x, g [chains, event…] -> [chains, event…] */
static neap_tensor *move (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, neap_tensor *x,
                          neap_tensor *g) {
  double std = isnan(s->noise_std) ? sqrt(2 * s->step_size) : s->noise_std;
  neap_tensor *y = rows_axpy(c, -s->step_size, clamp_to(c, g, -s->clip, s->clip), x);
  if (std != 0) y = rows_axpy(c, std, sampler_noise(c, E, st, x), y);
  return clamp_to(c, y, s->clamp_min, s->clamp_max);
}

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *e, *g;
  if (!sampler_gradient(c, E, st, x, &e, &g)) return false;
  x = move(c, s, E, st, x, g);
  return neap_state_set(c, st, "energy_before", e) && neap_state_set(c, st, "x", x);
}

static const neap_sampler_kind langevin = { "langevin", false, NEAP_START_NORMAL, NULL, step };

static bool check (neap_context *c, double step_size, const neap_langevin_options *o) {
  if (!sampler_positive(c, "langevin", "step_size", step_size)) return false;
  if (o->noise_std && !(isfinite(*o->noise_std) && *o->noise_std >= 0))
    return neap_fail(c, NEAP_EARG, "langevin: noise_std: a number from 0 up expected, got %g", *o->noise_std);
  if (o->clip != 0 && !sampler_positive(c, "langevin", "clip", o->clip)) return false;
  if ((o->clamp_min != 0 || o->clamp_max != 0) && !(o->clamp_min < o->clamp_max))
    return neap_fail(c, NEAP_EARG, "langevin: clamp: {lower, upper} expected, got {%g, %g}", o->clamp_min,
                     o->clamp_max);
  return true;
}

neap_sampler *neap_sampler_langevin (neap_context *c, double step_size, const neap_langevin_options *o) {
  static const neap_langevin_options none;
  if (!o) o = &none;
  if (!check(c, step_size, o)) return NULL;
  neap_sampler *s = sampler_new(c, &langevin);
  if (!s) return NULL;
  s->step_size = step_size;
  if (o->noise_std) s->noise_std = *o->noise_std;
  s->clip = o->clip;
  s->clamp_min = o->clamp_min;
  s->clamp_max = o->clamp_max;
  s->grads_step = 1;
  return s;
}
