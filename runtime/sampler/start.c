/*
** start.c -- where chains start.
** Invariant: first positions are drawn from the caller's random stream, in one draw.
*/
#include "sampler/sampler.h"
#include "energy/states.h"

static bool is_normal (const neap_energy *E) { return energy_innermost(E)->cls == &energy_gaussian_rbm_class; }

neap_dtype sampler_start_dtype (neap_context *c, const neap_energy *E) {
  if (energy_labels(E)) return NEAP_INT64;
  return neap_energy_nparams(E) > 0 ? neap_energy_param(E, 0)->dtype : neap_default_dtype(c);
}

neap_start sampler_default_start (const neap_sampler *s, const neap_energy *E, neap_start start) {
  if (start.kind != NEAP_START_DEFAULT) return start;
  if (s->kernel) s = s->kernel;
  start.kind = s->kind->start == NEAP_START_BERNOULLI && is_normal(E) ? NEAP_START_NORMAL : s->kind->start;
  return start;
}

neap_tensor *sampler_start_units (neap_context *c, neap_energy *E, neap_rng *r, neap_dtype d, int ndim,
                                  const int64_t *shape) {
  energy_units u = energy_units_of(E);
  if (u.lo == 1) {
    neap_tensor *x = neap_rng_randint(c, r, 1, u.base, ndim, shape);
    return x ? neap_cast(c, x, d) : NULL;
  }
  neap_tensor *half = neap_full(c, d, ndim, shape, .5), *x = half ? neap_rng_bernoulli(c, r, half) : NULL;
  if (u.lo == 0 || !x) return x;
  return neap_add(c, rows_scale(c, x, u.step), neap_scalar(c, d, u.lo));
}

static neap_tensor *uniform (neap_context *c, const char *who, neap_start start, neap_tensor *u) {
  double lo = start.lo, hi = start.lo == 0 && start.hi == 0 ? 1 : start.hi;
  if (!(lo < hi))
    return neap_fail(c, NEAP_EARG, "%s: init: {\"uniform\", lower, upper} expected, got %g and %g", who, lo, hi);
  return u ? neap_add(c, rows_scale(c, u, hi - lo), neap_scalar(c, u->dtype, lo)) : NULL;
}

/* Labels, and what else is no float, follow neither law. */
static bool is_drawn (neap_context *c, const char *who, neap_start_kind kind, neap_dtype d) {
  if (neap_is_float(d) || !(kind == NEAP_START_NORMAL || kind == NEAP_START_UNIFORM)) return true;
  return neap_fail(c, NEAP_EDTYPE, "%s: init: first positions of dtype %s cannot be drawn from a %s law; give init, or "
                   "take a sampler of units: gibbs, gibbs_with_gradients, dmala", who, neap_dtype_name(d),
                   kind == NEAP_START_NORMAL ? "normal" : "uniform");
}

neap_tensor *sampler_start (neap_context *c, const char *who, neap_start start, neap_rng *r, neap_dtype d,
                            int ndim, const int64_t *shape, neap_tensor *data) {
  if (!is_drawn(c, who, start.kind, d)) return NULL;
  switch (start.kind) {
    case NEAP_START_UNIFORM:
      return uniform(c, who, start, neap_rng_uniform(c, r, d, ndim, shape));
    case NEAP_START_BERNOULLI: {
      neap_tensor *half = neap_full(c, d, ndim, shape, .5);
      return half ? neap_rng_bernoulli(c, r, half) : NULL;
    }
    case NEAP_START_DATA:
      if (data) return data;
      return neap_fail(c, NEAP_EARG, "%s: init: \"data\" is for losses only", who);
    default:
      return neap_rng_normal(c, r, d, ndim, shape);
  }
}
