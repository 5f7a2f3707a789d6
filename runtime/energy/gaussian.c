/*
** gaussian.c -- ½ (x−μ)ᵀΛ(x−μ).
** Slots: mean [D], then one of cov [D, D], precision [D, D], std (0-d or [D]), which its name tells.  A constant
** cov is inverted once, in float64 (derived 0 is Λ).
*/
#include "energy.h"
#include "spread.h"
#include "tail.h"
#include <math.h>

static const energy_slot *spread (const neap_energy *E) { return &E->slots[1]; }
static bool by_std (const neap_energy *E) { return spread(E)->name[0] == 's'; }
static bool by_cov (const neap_energy *E) { return spread(E)->name[0] == 'c'; }

static bool check (neap_context *c, neap_energy *E) {
  const neap_tensor *mean = E->slots[0].value;
  if (E->nslots != 2 || energy_find(E, "mean") != 0)
    return neap_fail(c, NEAP_EARG, "gaussian: a mean and one of cov, precision, std expected");
  if (mean->ndim != 1 || mean->shape[0] < 1)
    return neap_fail(c, NEAP_ESHAPE, "gaussian: mean must be [D], got %s", SHAPE_TEXT(mean));
  energy_set_event(E, 1, mean->shape);
  if (by_std(E)) return spread_check_std(c, "gaussian", &E->slots[1], 1, mean->shape);
  int64_t square[] = { mean->shape[0], mean->shape[0] };
  if (!spread_check_matrix(c, "gaussian", &E->slots[1], 2, square)) return false;
  if (!by_cov(E) || !energy_is_constant(spread(E))) return true;
  return energy_derive(E, 0, spread_precision(c, energy_cast(c, E->slots[1].value, NEAP_FLOAT64)));
}

static neap_tensor *precision (neap_context *c, neap_energy *E, neap_tensor *x) {
  if (!by_cov(E)) return energy_get(c, E, 1, x);
  neap_tensor *P = energy_get_derived(c, E, 0, x);
  return P ? P : neap_ok(c) ? spread_precision(c, energy_get(c, E, 1, x)) : NULL;
}

/* x [B, D] -> ½ (x−μ)ᵀΛ(x−μ) [B] */
static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  (void)cond;
  neap_tensor *d = neap_sub(c, x, energy_get(c, E, 0, x)), *q;
  if (by_std(E)) q = neap_square(c, neap_div(c, d, energy_get(c, E, 1, x)));
  else q = neap_mul(c, d, neap_matmul(c, d, precision(c, E, x)));
  return neap_mul(c, energy_sum_last(c, q), num(c, x, .5));
}

/* ½ log |Σ| */
static neap_tensor *half_logdet (neap_context *c, neap_energy *E) {
  neap_tensor *s = E->slots[1].value;
  int64_t D = E->event[0];
  if (!by_std(E)) {
    neap_tensor *h = spread_half_logdet(c, s);
    return by_cov(E) || !h ? h : neap_neg(c, h);
  }
  double times = neap_numel(s) == 1 ? (double)D : 1;
  return neap_mul(c, energy_sum_all(c, neap_log(c, s)), num(c, s, times));
}

/* D/2 log 2π + ½ log |Σ| */
static neap_tensor *log_z (neap_context *c, neap_energy *E) {
  neap_tensor *h = half_logdet(c, E);
  return h ? neap_add(c, h, num(c, h, .5 * (double)E->event[0] * log(2 * M_PI))) : NULL;
}

static neap_tensor *sample (neap_context *c, neap_energy *E, int64_t n, neap_rng *rng, neap_dtype d) {
  neap_tensor *z = neap_rng_normal(c, rng, d, 2, (int64_t[]){ n, E->event[0] });
  neap_tensor *s = energy_cast(c, E->slots[1].value, d), *y;
  if (!z || !s) return NULL;
  if (by_std(E)) y = neap_mul(c, z, s);
  else if (by_cov(E)) y = neap_matmul(c, z, energy_transpose(c, neap_cholesky(c, s)));
  else y = energy_transpose(c, neap_solve_triangular(c, neap_cholesky(c, s), energy_transpose(c, z), false, true,
                                                     false));
  return neap_add(c, y, energy_cast(c, E->slots[0].value, d));
}

/* ½Λ, and −μᵀΛx */
static bool tail (neap_context *c, neap_energy *E, energy_tail *t) {
  neap_tensor *s = energy_cast(c, E->slots[1].value, NEAP_FLOAT64), *half = neap_scalar(c, NEAP_FLOAT64, .5);
  if (by_std(E)) return s && tail_diagonal(c, t, neap_div(c, half, neap_square(c, s)), REST_AFFINE);
  if (by_cov(E)) s = spread_precision(c, s);
  return s && tail_matrix(c, t, neap_mul(c, s, half), REST_AFFINE);
}

const energy_class energy_gaussian_class = { "gaussian", 0, 0, 0, check, eval, sample, log_z, tail };

neap_energy *neap_energy_gaussian (neap_context *c, neap_tensor *mean, neap_tensor *cov, neap_tensor *precision,
                                   neap_tensor *std) {
  if (!neap_ok(c)) return NULL;
  if (!mean) return neap_fail(c, NEAP_EARG, "gaussian: mean is missing");
  if ((cov != NULL) + (precision != NULL) + (std != NULL) > 1)
    return neap_fail(c, NEAP_EARG, "gaussian: only one of cov, precision and std may be given");
  neap_energy *E = energy_new(c, &energy_gaussian_class, 2, 0, NULL);
  if (!E) return NULL;
  neap_scope s = neap_scope_open(c);
  energy_set(E, 0, "mean", mean);
  if (cov) energy_set(E, 1, "cov", cov);
  else if (precision) energy_set(E, 1, "precision", precision);
  else energy_set(E, 1, "std", std ? std : neap_scalar(c, NEAP_FLOAT64, 1));
  neap_scope_close(c, s);
  return energy_finish(c, E);
}
