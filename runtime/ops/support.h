/*
** support.h -- what the non-elementwise rows share: dimensions out of attributes, shapes, views of a result.
** Invariant: attributes hold what the user gave (1-based, negative from the end); axes here are 0-based.
*/
#ifndef NEAP_OPS_SUPPORT_H
#define NEAP_OPS_SUPPORT_H

#include "op.h"

#define TILE_WORK 32768                    /* elements of one block of work: less runs on the caller's thread */

static inline bool given (int64_t i) { return i != NEAP_NONE; }
static inline int64_t between (int64_t v, int64_t low, int64_t high) { return v < low ? low : v > high ? high : v; }
/* a b? attribute: not given is false */
static inline bool is_set (int64_t b) { return b != NEAP_NONE && b != 0; }

/* Marks the axes a D argument names; all of them when it was not given.  Fails on a repeated dimension. */
bool op_axes (neap_context *c, const char *op, const neap_attrs *a, int ndim, bool axes[NEAP_MAX_DIMS]);
/* One d argument; not given means the last dimension (0 for a 0-d tensor, which then counts as shape [1]). */
bool op_last_axis (neap_context *c, const char *op, int64_t dim, int ndim, int *axis);

/* Fills dtype, ndim and shape of m. */
void op_meta (neap_meta *m, neap_dtype d, int ndim, const int64_t *shape);
/* As x: dtype, shape, strides, offset.  The start of every view. */
void op_meta_like (neap_meta *m, const neap_tensor *x);
/* The shape of x reduced over axes. */
void op_meta_reduced (neap_meta *m, const neap_tensor *x, const bool *axes, bool keepdim, neap_dtype d);

/* x itself with a reference of its own lent: what a composite returns when there is nothing to do. */
static inline neap_tensor *op_same (neap_context *c, neap_tensor *x) { return neap_lend(c, neap_keep(x)); }
static inline neap_tensor *op_reshape_like (neap_context *c, neap_tensor *x, const neap_tensor *like) {
  return x ? neap_reshape(c, x, like->ndim, like->shape) : NULL;
}
/* Integers and booleans become the default float. */
static inline neap_tensor *op_float (neap_context *c, neap_tensor *x) {
  return !x || neap_is_float(x->dtype) ? x : neap_cast(c, x, c->default_dtype);
}
static inline int64_t op_product (const int64_t *sizes, int n) {
  int64_t p = 1;
  for (int i = 0; i < n; i++) p *= sizes[i];
  return p;
}

/* Calls f(arg, block) for the blocks of about TILE_WORK elements that units of `work` elements each make up;
** *per receives the units of one block.  The split depends on the sizes alone. */
void op_blocks (neap_context *c, int64_t units, int64_t work, void (*f)(void *arg, int64_t block), void *arg,
                int64_t *per);

#endif
