/*
** support.c -- what the non-elementwise rows share.
** Invariant: nothing here touches data.
*/
#include "ops/support.h"
#include <string.h>

bool op_axes (neap_context *c, const char *op, const neap_attrs *a, int ndim, bool axes[NEAP_MAX_DIMS]) {
  bool all = a == NULL || a->count < 0;
  for (int i = 0; i < NEAP_MAX_DIMS; i++) axes[i] = all && i < ndim;
  for (int i = 0; !all && i < a->count; i++) {
    int axis;
    if (!neap_axis(c, op, "dimension", a->dims[i], ndim, &axis)) return false;
    if (axes[axis]) return neap_fail(c, NEAP_EARG, "%s: dimension %d is given twice", op, axis + 1);
    axes[axis] = true;
  }
  return true;
}

bool op_last_axis (neap_context *c, const char *op, int64_t dim, int ndim, int *axis) {
  if (given(dim)) return neap_axis(c, op, "dimension", dim, ndim, axis);
  *axis = ndim > 0 ? ndim - 1 : 0;
  return true;
}

void op_meta (neap_meta *m, neap_dtype d, int ndim, const int64_t *shape) {
  m->dtype = d;
  m->ndim = ndim;
  if (ndim) memmove(m->shape, shape, (size_t)ndim * sizeof *shape);
}

void op_meta_like (neap_meta *m, const neap_tensor *x) {
  op_meta(m, x->dtype, x->ndim, x->shape);
  memcpy(m->strides, x->strides, sizeof m->strides);
  m->offset = x->offset;
}

void op_meta_reduced (neap_meta *m, const neap_tensor *x, const bool *axes, bool keepdim, neap_dtype d) {
  m->dtype = d;
  m->ndim = 0;
  for (int i = 0; i < x->ndim; i++) {
    if (!axes[i]) m->shape[m->ndim++] = x->shape[i];
    else if (keepdim) m->shape[m->ndim++] = 1;
  }
}

void op_blocks (neap_context *c, int64_t units, int64_t work, void (*f)(void *arg, int64_t block), void *arg,
                int64_t *per) {
  *per = work >= TILE_WORK ? 1 : TILE_WORK / (work > 0 ? work : 1);
  int64_t blocks = (units + *per - 1) / *per;
  if (blocks == 1) f(arg, 0);
  else if (blocks > 1) neap_parallel(c, blocks, f, arg);
}
