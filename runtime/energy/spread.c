/*
** spread.c -- what normal densities share: checking covariances and standard deviations, inverting them.
** Invariant: constants are checked when the energy is made; variables, which change, when they are used.
*/
#include "spread.h"
#include <math.h>
#include <string.h>

static double *values (neap_context *c, const neap_tensor *t, size_t *bytes) {
  *bytes = ((size_t)neap_numel(t) + 1) * sizeof(double);
  double *v = neap_malloc(c, *bytes);
  if (v && neap_read(c, t, NEAP_FLOAT64, v)) return v;
  if (v) neap_free(c, v, *bytes);
  return NULL;
}

bool spread_check_positive (neap_context *c, const char *who, const energy_slot *s) {
  size_t bytes;
  if (!energy_is_constant(s)) return true;
  double *v = values(c, s->value, &bytes);
  if (!v) return false;
  int64_t i = 0, n = neap_numel(s->value);
  while (i < n && v[i] > 0) i++;
  double bad = v[i < n ? i : 0];
  neap_free(c, v, bytes);
  if (i == n) return true;
  return neap_fail(c, NEAP_EARG, "%s: %s must be positive, got %g", who, s->name, bad);
}

bool spread_check_std (neap_context *c, const char *who, const energy_slot *s, int ndim, const int64_t *shape) {
  const neap_tensor *t = s->value;
  bool fits = t->ndim <= ndim && memcmp(t->shape, shape, (size_t)t->ndim * sizeof *shape) == 0;
  char want[NEAP_SHAPE_BYTES];
  if (!fits)
    return neap_fail(c, NEAP_ESHAPE, "%s: std must be a number or %s, got %s", who, neap_shape_text(want, ndim, shape),
                     SHAPE_TEXT(t));
  return spread_check_positive(c, who, s);
}

/* the largest |A_ij − A_ji| relative to the largest |A_ij|, over m matrices of n rows */
static double asymmetry (const double *v, int64_t m, int64_t n) {
  double worst = 0, scale = 0;
  for (int64_t k = 0; k < m; k++, v += n * n)
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < n; j++) {
        worst = fmax(worst, fabs(v[i * n + j] - v[j * n + i]));
        scale = fmax(scale, fabs(v[i * n + j]));
      }
  return scale > 0 ? worst / scale : 0;
}

static bool check_definite (neap_context *c, const char *who, const energy_slot *s) {
  neap_scope scope = neap_scope_open(c);
  bool ok = neap_cholesky(c, energy_cast(c, s->value, NEAP_FLOAT64)) != NULL;
  neap_scope_close(c, scope);
  if (ok || c->status == NEAP_EMEMORY) return ok;
  neap_clear_error(c);
  return neap_fail(c, NEAP_EARG, "%s: %s must be positive definite", who, s->name);
}

bool spread_check_matrix (neap_context *c, const char *who, const energy_slot *s, int ndim, const int64_t *shape) {
  const neap_tensor *t = s->value;
  char want[NEAP_SHAPE_BYTES];
  if (t->ndim != ndim || memcmp(t->shape, shape, (size_t)ndim * sizeof *shape) != 0)
    return neap_fail(c, NEAP_ESHAPE, "%s: %s must be %s, got %s", who, s->name, neap_shape_text(want, ndim, shape),
                     SHAPE_TEXT(t));
  if (!energy_is_constant(s) || neap_numel(t) == 0) return true;
  size_t bytes;
  double *v = values(c, t, &bytes);
  if (!v) return false;
  int64_t n = shape[ndim - 1];
  double a = asymmetry(v, neap_numel(t) / (n * n), n);
  neap_free(c, v, bytes);
  if (a <= 1e-5) return check_definite(c, who, s);
  return neap_fail(c, NEAP_EARG, "%s: %s must be symmetric; entries differ by %g of the largest", who, s->name, a);
}

neap_tensor *spread_precision (neap_context *c, neap_tensor *cov) {
  if (!cov || neap_tracked(c, cov)) return cov ? neap_inverse(c, cov) : NULL;
  neap_tensor *exact = energy_cast(c, cov, NEAP_FLOAT64);
  bool definite = exact && neap_cholesky(c, exact);
  return definite ? energy_cast(c, neap_inverse(c, exact), cov->dtype) : NULL;
}

neap_tensor *spread_half_logdet (neap_context *c, neap_tensor *A) {
  neap_tensor *L = A ? neap_cholesky(c, A) : NULL;
  return L ? energy_sum_last(c, neap_log(c, energy_diagonal(c, L))) : NULL;
}
