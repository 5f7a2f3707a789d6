/*
** reduce.h -- a reduction as [outer, n, inner] -> [outer, inner].
** Invariant: a plan's data are row-major in that order, whatever the strides of the tensor it was made from.
*/
#ifndef NEAP_OPS_REDUCE_H
#define NEAP_OPS_REDUCE_H

#include "ops/support.h"

typedef struct reduce_plan {
  const char *data;
  neap_dtype dtype;
  int64_t outer, n, inner;
} reduce_plan;

/* Plans the reduction of x over axes.  When `ordered`, n runs in row-major order of the reduced axes (argmax of
** several); otherwise in any order that saves a copy.  May lend a copy of x to the innermost scope. */
bool reduce_plan_make (neap_context *c, neap_tensor *x, const bool *axes, bool ordered, reduce_plan *p);

typedef enum reduce_fold { FOLD_SUM, FOLD_MAX, FOLD_MIN } reduce_fold;

/* out [outer, inner], contiguous: of p's dtype, or int64, or bool (sums of integers need int64).
** A maximum or minimum needs n >= 1. */
bool reduce_run (neap_context *c, const reduce_plan *p, reduce_fold fold, neap_tensor *out);

#endif
