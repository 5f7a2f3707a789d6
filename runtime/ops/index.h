/*
** index.h -- what rows with index tensors share: checked, 0-based indices.
** Invariant: no kernel sees an index that was not checked.
*/
#ifndef NEAP_OPS_INDEX_H
#define NEAP_OPS_INDEX_H

#include "ops/support.h"

/* idx (int64, any strides) as contiguous 0-based numbers below size, lent; NULL with an error that names op, index
** and size.  Negative indices count from the end. */
const int64_t *index_numbers (neap_context *c, const char *op, neap_tensor *idx, int64_t size, int dim);

#endif
