/*
** gmm.c -- −log Σ wₖ N(x; μₖ, Σₖ), normalised.
** Slots: means [K, D], then covs [K, D, D] or std (0-d, [K], [K, D]), then weights [K], which are divided by
** their sum.  When none is a variable the precisions (derived 0) and the logarithms of what stands before the
** exponentials (derived 1) are made once, in float64.
*/
#include "energy.h"
#include "spread.h"
#include "tail.h"
#include <math.h>

static bool by_std (const neap_energy *E) { return E->slots[1].name[0] == 's'; }
static int64_t components (const neap_energy *E) { return E->slots[0].value->shape[0]; }

/* std as [K, 1, D], [K, 1, 1] or 0-d, to stand beside x − μ [K, B, D] */
static neap_tensor *std_beside (neap_context *c, neap_tensor *std) {
  if (!std || std->ndim == 0) return std;
  return energy_reshape(c, std, 3, (int64_t[]){ std->shape[0], 1, std->ndim == 2 ? std->shape[1] : 1 });
}

/* ½ log |Σₖ|, [K] or 0-d */
static neap_tensor *half_logdet (neap_context *c, const neap_energy *E, neap_tensor *spread) {
  if (!by_std(E)) return spread_half_logdet(c, spread);
  neap_tensor *l = spread ? neap_log(c, spread) : NULL;
  if (l && l->ndim == 2) return energy_sum_last(c, l);
  return l ? neap_mul(c, l, num(c, l, (double)E->event[0])) : NULL;
}

/* log wₖ / Σw − ½ log |Σₖ| − D/2 log 2π  [K] */
static neap_tensor *log_factors (neap_context *c, const neap_energy *E, neap_tensor *spread, neap_tensor *weights) {
  neap_tensor *logw = neap_log(c, neap_div(c, weights, energy_sum_all(c, weights)));
  neap_tensor *f = neap_sub(c, logw, half_logdet(c, E, spread));
  return f ? neap_sub(c, f, num(c, f, .5 * (double)E->event[0] * log(2 * M_PI))) : NULL;
}

static bool derive (neap_context *c, neap_energy *E) {
  if (!energy_constant(E, 3)) return true;
  neap_tensor *spread = energy_cast(c, E->slots[1].value, NEAP_FLOAT64);
  neap_tensor *weights = energy_cast(c, E->slots[2].value, NEAP_FLOAT64);
  if (!by_std(E) && !energy_derive(E, 0, spread_precision(c, spread))) return false;
  return energy_derive(E, 1, log_factors(c, E, spread, weights));
}

static bool check_spread (neap_context *c, neap_energy *E, const int64_t *means) {
  if (by_std(E)) return spread_check_std(c, "gmm", &E->slots[1], 2, means);
  return spread_check_matrix(c, "gmm", &E->slots[1], 3, (int64_t[]){ means[0], means[1], means[1] });
}

static bool check (neap_context *c, neap_energy *E) {
  if (E->nslots != 3 || energy_find(E, "means") != 0 || energy_find(E, "weights") != 2)
    return neap_fail(c, NEAP_EARG, "gmm: means, one of covs and std, and weights expected");
  const neap_tensor *means = E->slots[0].value, *w = E->slots[2].value;
  if (means->ndim != 2 || means->shape[0] < 1 || means->shape[1] < 1)
    return neap_fail(c, NEAP_ESHAPE, "gmm: means must be [K, D], got %s", SHAPE_TEXT(means));
  if (w->ndim != 1 || w->shape[0] != means->shape[0])
    return neap_fail(c, NEAP_ESHAPE, "gmm: weights must be [%lld], one per mean, got %s", (long long)means->shape[0],
                     SHAPE_TEXT(w));
  energy_set_event(E, 1, means->shape + 1);
  return check_spread(c, E, means->shape) && spread_check_positive(c, "gmm", &E->slots[2]) && derive(c, E);
}

/* (x−μₖ)ᵀΛₖ(x−μₖ) [K, B] */
static neap_tensor *squared_distances (neap_context *c, neap_energy *E, neap_tensor *x) {
  neap_tensor *d = neap_sub(c, x, neap_unsqueeze(c, energy_get(c, E, 0, x), 2));
  if (by_std(E)) return energy_sum_last(c, neap_square(c, neap_div(c, d, std_beside(c, energy_get(c, E, 1, x)))));
  neap_tensor *P = energy_get_derived(c, E, 0, x);
  if (!P) P = spread_precision(c, energy_get(c, E, 1, x));
  return energy_sum_last(c, neap_mul(c, d, neap_matmul(c, d, P)));
}

/* x [B, D] -> −log p(x) [B] */
static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  (void)cond;
  neap_tensor *f = energy_get_derived(c, E, 1, x);
  if (!f) f = log_factors(c, E, energy_get(c, E, 1, x), energy_get(c, E, 2, x));
  neap_tensor *q = neap_mul(c, squared_distances(c, E, x), num(c, x, .5));
  neap_tensor *logits = neap_sub(c, neap_unsqueeze(c, f, 2), q);
  return neap_neg(c, neap_logsumexp(c, logits, 1, (int64_t[]){ 1 }, false));
}

static neap_tensor *log_z (neap_context *c, neap_energy *E) { return num(c, E->slots[0].value, 0); }

/* component k (from 1) of n rows: μₖ + z Lₖᵀ, or μₖ + stdₖ z */
static neap_tensor *draw_component (neap_context *c, neap_energy *E, int64_t k, neap_tensor *z) {
  neap_tensor *mean = neap_select(c, energy_cast(c, E->slots[0].value, z->dtype), 1, k);
  neap_tensor *s = energy_cast(c, E->slots[1].value, z->dtype), *y;
  if (s && s->ndim > 0) s = neap_select(c, s, 1, k);
  if (by_std(E)) y = neap_mul(c, z, s);
  else y = neap_matmul(c, z, energy_transpose(c, neap_cholesky(c, s)));
  return neap_add(c, y, mean);
}

static neap_tensor *sample (neap_context *c, neap_energy *E, int64_t n, neap_rng *rng, neap_dtype d) {
  int64_t K = components(E), wide[] = { n, K };
  neap_tensor *logits = neap_log(c, energy_cast(c, E->slots[2].value, d));
  neap_tensor *pick = neap_rng_categorical(c, rng, neap_expand(c, logits, 2, wide));
  neap_tensor *z = neap_rng_normal(c, rng, d, 2, (int64_t[]){ n, E->event[0] });
  neap_tensor *x = z, *column = pick ? neap_unsqueeze(c, pick, 2) : NULL;
  for (int64_t k = 1; x && column && k <= K; k++) {
    neap_tensor *here = neap_eq(c, column, neap_scalar(c, NEAP_INT64, (double)k));
    x = neap_where(c, here, draw_component(c, E, k, z), x);
  }
  return column ? x : NULL;
}

static bool extremes (neap_context *c, neap_tensor *x, double *least, double *most) {
  neap_tensor *lo = neap_amin(c, x, -1, NULL, false), *hi = neap_amax(c, x, -1, NULL, false);
  return lo && hi && neap_item(c, lo, least) && neap_item(c, hi, most);
}

/* Between the narrowest and the widest component; no variance of Σ exceeds its trace. */
static bool tail (neap_context *c, neap_energy *E, energy_tail *t) {
  double least, most;
  energy_tail wide = { .D = t->D };
  neap_tensor *s = energy_cast(c, E->slots[1].value, NEAP_FLOAT64);
  bool ok = extremes(c, by_std(E) ? neap_square(c, s) : energy_sum_last(c, energy_diagonal(c, s)), &least, &most);
  if (!ok || !tail_number(c, &wide, .5 / most, REST_LINEAR)) return false;
  if (by_std(E)) ok = tail_number(c, t, .5 / least, REST_LINEAR);
  else ok = tail_matrix(c, t, neap_mul(c, spread_precision(c, neap_select(c, s, 1, 1)), num(c, s, .5)), REST_LINEAR);
  t->low = wide.low;
  return ok;
}

const energy_class energy_gmm_class = { "gmm", 0, 0, 0, check, eval, sample, log_z, tail };

neap_energy *neap_energy_gmm (neap_context *c, neap_tensor *means, neap_tensor *covs, neap_tensor *std,
                              neap_tensor *weights) {
  if (!neap_ok(c)) return NULL;
  if (!means) return neap_fail(c, NEAP_EARG, "gmm: means is missing");
  if (covs && std) return neap_fail(c, NEAP_EARG, "gmm: only one of covs and std may be given");
  neap_energy *E = energy_new(c, &energy_gmm_class, 3, 0, NULL);
  if (!E) return NULL;
  neap_scope s = neap_scope_open(c);
  int64_t K = means->ndim ? means->shape[0] : 0;
  energy_set(E, 0, "means", means);
  if (covs) energy_set(E, 1, "covs", covs);
  else energy_set(E, 1, "std", std ? std : neap_scalar(c, NEAP_FLOAT64, 1));
  energy_set(E, 2, "weights", weights ? weights : neap_full(c, NEAP_FLOAT64, 1, &K, 1));
  neap_scope_close(c, s);
  return energy_finish(c, E);
}
