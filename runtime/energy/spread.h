/*
** spread.h -- what normal densities share: checking covariances and standard deviations, inverting them.
*/
#ifndef NEAP_SPREAD_H
#define NEAP_SPREAD_H

#include "energy.h"

/* std is 0-d or has the first 1, 2 … dimensions of shape; a constant one is positive. */
bool spread_check_std (neap_context *c, const char *who, const energy_slot *s, int ndim, const int64_t *shape);
/* A float matrix (or stack of them) of that shape; a constant one is symmetric. */
bool spread_check_matrix (neap_context *c, const char *who, const energy_slot *s, int ndim, const int64_t *shape);
/* Σ [.., D, D] -> Σ⁻¹ in Σ's dtype; unless Σ is tracked it is made in float64, and fails if Σ is not positive definite. */
neap_tensor *spread_precision (neap_context *c, neap_tensor *cov);
/* ½ log |A| [..] of A [.., D, D], by Cholesky. */
neap_tensor *spread_half_logdet (neap_context *c, neap_tensor *A);
/* A constant slot holds only numbers > 0. */
bool spread_check_positive (neap_context *c, const char *who, const energy_slot *s);

#endif
