/*
** linalg.h -- what the linear algebra rows share: batches of matrices.
** Invariant: a matrix is the last two dimensions; what comes before is the batch and broadcasts.
*/
#ifndef NEAP_OPS_LINALG_H
#define NEAP_OPS_LINALG_H

#include "ops/support.h"

/* For composites: fails unless all n inputs are there. */
bool linalg_given (neap_context *c, const char *op, neap_tensor **in, int n);
/* The number of matrices in t. */
static inline int64_t linalg_batch (const neap_tensor *t) { return op_product(t->shape, t->ndim - 2); }
/* Expands the batch dimensions of in[0] and in[1] (both of two dimensions or more) to what both broadcast to. */
bool linalg_match (neap_context *c, const char *op, neap_tensor **in);
static inline neap_tensor *linalg_transposed (neap_context *c, neap_tensor *x) { return neap_transpose(c, x, -2, -1); }

#endif
