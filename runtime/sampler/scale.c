/*
** scale.c -- step size and scale of a chain's state, as the kernels use them: with ops, so that steps can be recorded.
** Invariant: a state without "step_size" and "scale" takes the sampler's step size in a unit metric, by the same ops as
** if neither existed.
*/
#include "sampler/sampler.h"
#include <math.h>

neap_sampler *sampler_new_adaptive (neap_context *c, const neap_sampler_kind *kind, double step_size, double target) {
  if (!isnan(step_size) && !sampler_positive(c, kind->name, "step_size", step_size)) return NULL;
  neap_sampler *s = sampler_new(c, kind);
  if (!s) return NULL;
  s->step_size = step_size;
  s->adapt = (sampler_adaptation){ isnan(step_size), target, NEAP_METRIC_DIAG, false };
  s->grads_init = 1;
  return s;
}

bool neap_sampler_adapt (neap_context *c, neap_sampler *s, double target, neap_metric metric) {
  if (s->adapt.target == 0) return neap_fail(c, NEAP_EARG, "%s: has nothing to adapt", s->kind->name);
  if (target != 0 && !(target > 0 && target < 1))
    return neap_fail(c, NEAP_EARG, "%s: target_accept: a number between 0 and 1 expected, got %g", s->kind->name,
                     target);
  if (metric < NEAP_METRIC_UNIT || metric > NEAP_METRIC_DENSE)
    return neap_fail(c, NEAP_EARG, "%s: metric: unit, diag or dense expected, got %d", s->kind->name, (int)metric);
  s->adapt.on = true;
  s->adapt.metric = metric;
  if (target != 0) s->adapt.target = target;
  return true;
}

/* ---- the state's entries ---- */

static neap_tensor *state_step (neap_context *c, neap_sampler *s, neap_state *st, neap_dtype d) {
  neap_tensor *e = neap_state_get(st, "step_size");
  if (neap_numel(e) == 1) return neap_cast(c, e->ndim ? neap_reshape(c, e, 0, NULL) : e, d);
  return neap_fail(c, NEAP_ESHAPE, "%s: state.step_size: one number expected, got shape %s", s->kind->name,
                   SHAPE_TEXT(e));
}

/* k·ε^power */
static neap_tensor *step_power (neap_context *c, neap_sampler *s, neap_state *st, double k, double power, neap_dtype d) {
  if (!neap_state_get(st, "step_size")) return neap_scalar(c, d, k * pow(s->step_size, power));
  neap_tensor *e = state_step(c, s, st, d);
  if (e && power != 1) e = neap_pow(c, e, neap_scalar(c, d, power));
  return rows_scale(c, e, k);
}

neap_tensor *sampler_times_step (neap_context *c, neap_sampler *s, neap_state *st, double k, double power,
                                 neap_tensor *t) {
  return t ? neap_mul(c, t, step_power(c, s, st, k, power, t->dtype)) : NULL;
}

neap_tensor *sampler_move (neap_context *c, neap_sampler *s, neap_state *st, double k, neap_tensor *v, neap_tensor *x) {
  return v && x ? neap_fma(c, v, step_power(c, s, st, k, 1, v->dtype), x) : NULL;
}

int64_t sampler_scale_size (neap_context *c, const neap_sampler *s, const neap_state *st, bool *dense) {
  neap_tensor *x = neap_state_get(st, "x"), *S = neap_state_get(st, "scale");
  int64_t n = neap_row_numel(x);
  bool event = S && S->ndim == x->ndim - 1;
  for (int i = 0; event && i < S->ndim; i++) event = S->shape[i] == x->shape[i + 1];
  *dense = S && !event;
  if (!*dense || (S->ndim == 2 && S->shape[0] == n && S->shape[1] == n)) return n;
  neap_fail(c, NEAP_ESHAPE, "%s: state.scale: the shape of one x or [%lld, %lld] expected, got %s", s->kind->name,
            (long long)n, (long long)n, SHAPE_TEXT(S));
  return -1;
}

/* v [B, event…] times a matrix [D, D], row by row */
static neap_tensor *times_matrix (neap_context *c, neap_tensor *v, neap_tensor *m) {
  neap_tensor *flat = rows_flat(c, v);
  neap_tensor *y = flat && m ? neap_matmul(c, flat, m) : NULL;
  return y ? neap_reshape(c, y, v->ndim, v->shape) : NULL;
}

neap_tensor *sampler_scaled (neap_context *c, neap_sampler *s, neap_state *st, neap_tensor *v, bool transposed) {
  neap_tensor *S = neap_state_get(st, "scale");
  bool dense;
  if (!S || !v) return v;
  if (sampler_scale_size(c, s, st, &dense) < 0 || !(S = neap_cast(c, S, v->dtype))) return NULL;
  if (!dense) return neap_mul(c, v, S);
  return times_matrix(c, v, transposed ? S : neap_t(c, S));
}

/* ---- acceptance ---- */

neap_tensor *sampler_probability (neap_context *c, neap_tensor *log_ratio) {
  if (!log_ratio) return NULL;
  neap_tensor *zero = neap_scalar(c, log_ratio->dtype, 0);
  neap_tensor *p = neap_exp(c, neap_minimum(c, log_ratio, zero));
  return p ? neap_where(c, neap_isnan(c, p), zero, p) : NULL;
}
