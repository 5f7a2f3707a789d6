/*
** create.c -- tensors made from numbers and memory.
** Invariant: a new tensor is row-major, owns its storage alone, and is lent by the innermost scope.
*/
#include "op.h"
#include "program/trace.h"
#include <math.h>
#include <string.h>

/* v truncated, held in int64's range; NaN gives 0: what casts do, too */
static int64_t to_integer (double v) {
  if (v != v) return 0;
  return v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 ? INT64_MIN : (int64_t)v;
}

void neap_store_number (neap_dtype d, void *p, int64_t i, double v) {
  switch (d) {
    case NEAP_FLOAT32: ((float *)p)[i] = (float)v; break;
    case NEAP_FLOAT64: ((double *)p)[i] = v; break;
    case NEAP_INT64: ((int64_t *)p)[i] = to_integer(v); break;
    case NEAP_UINT8: ((uint8_t *)p)[i] = (uint8_t)to_integer(v); break;
    default: ((uint8_t *)p)[i] = v != 0; break;
  }
}

/* copies the first element to all n, doubling what is there */
static void spread (char *p, int64_t n, size_t size) {
  for (int64_t have = 1; have < n; have *= 2)
    memcpy(p + (size_t)have * size, p, (size_t)(2 * have < n ? have : n - have) * size);
}

static neap_tensor *noted (neap_context *c, neap_tensor *t, double number) {
  if (t && c->trace) trace_number(c, t, number);
  return t;
}

/* made of nothing that is recorded */
static neap_tensor *constant (neap_context *c, neap_tensor *t) {
  if (t && c->trace) trace_constant(c, t);
  return t;
}

neap_tensor *neap_empty (neap_context *c, neap_dtype d, int ndim, const int64_t *shape) {
  return neap_tensor_new(c, d, ndim, shape);
}

neap_tensor *neap_full (neap_context *c, neap_dtype d, int ndim, const int64_t *shape, double value) {
  neap_tensor *t = noted(c, neap_tensor_new(c, d, ndim, shape), value);
  if (!t) return NULL;
  int64_t n = neap_numel(t);
  if (value == 0 && !signbit(value)) { memset(neap_ptr(t), 0, (size_t)n * neap_dtype_size(d)); return t; }
  if (n > 0) neap_store_number(d, neap_ptr(t), 0, value);
  spread(neap_ptr(t), n, neap_dtype_size(d));
  return t;
}

neap_tensor *neap_scalar (neap_context *c, neap_dtype d, double value) {
  neap_tensor *t = noted(c, neap_tensor_new(c, d, 0, NULL), value);
  if (t) neap_store_number(d, neap_ptr(t), 0, value);
  return t;
}

neap_tensor *neap_from (neap_context *c, neap_dtype d, int ndim, const int64_t *shape, const void *data) {
  neap_tensor *t = constant(c, neap_tensor_new(c, d, ndim, shape));
  if (t && neap_numel(t)) memcpy(neap_ptr(t), data, (size_t)neap_numel(t) * neap_dtype_size(d));
  return t;
}

neap_tensor *neap_zeros_like (neap_context *c, const neap_tensor *x) {
  return x ? neap_full(c, x->dtype, x->ndim, x->shape, 0) : NULL;
}

neap_tensor *neap_ones_like (neap_context *c, const neap_tensor *x) {
  return x ? neap_full(c, x->dtype, x->ndim, x->shape, 1) : NULL;
}

neap_tensor *neap_arange (neap_context *c, neap_dtype d, double first, double last, double step) {
  if (step == 0 || !isfinite(first) || !isfinite(last) || !isfinite(step))
    return neap_fail(c, NEAP_EARG, "arange: finite ends and a step other than 0 expected, got %g, %g, %g", first, last,
                     step);
  double count = floor((last - first) / step * (1 + 1e-12) + 1e-9) + 1;   /* a rounding error does not lose the end */
  if (count > 1e15) return neap_fail(c, NEAP_EARG, "arange: %g elements are too many", count);
  int64_t n = count > 0 ? (int64_t)count : 0;
  neap_tensor *t = constant(c, neap_tensor_new(c, d, 1, &n));
  for (int64_t i = 0; t && i < n; i++) neap_store_number(d, neap_ptr(t), i, first + (double)i * step);
  return t;
}

neap_tensor *neap_linspace (neap_context *c, neap_dtype d, double first, double last, int64_t n) {
  if (n < 1) return neap_fail(c, NEAP_EARG, "linspace: at least 1 element expected, got %lld", (long long)n);
  neap_tensor *t = constant(c, neap_tensor_new(c, d, 1, &n));
  for (int64_t i = 0; t && i < n; i++) {
    double u = n == 1 ? 0 : (double)i / (double)(n - 1);
    neap_store_number(d, neap_ptr(t), i, first * (1 - u) + last * u);
  }
  return t;
}

neap_tensor *neap_eye (neap_context *c, neap_dtype d, int64_t n, int64_t m) {
  neap_tensor *t = constant(c, neap_full(c, d, 2, (int64_t[]){ n, m }, 0));
  for (int64_t i = 0; t && i < n && i < m; i++) neap_store_number(d, neap_ptr(t), i * m + i, 1);
  return t;
}

bool neap_item (neap_context *c, const neap_tensor *t, double *value) {
  if (!t || !neap_ok(c)) return false;
  if (neap_numel(t) != 1)
    return neap_fail(c, NEAP_ESHAPE, "item: one element expected, got a tensor of shape %s", SHAPE_TEXT(t));
  return neap_read(c, t, NEAP_FLOAT64, value);
}
