/*
** cumsum.c -- running sums along a dimension.
** Invariant: sums are carried in double (int64 for integers), so the error does not grow with the length.
*/
#include "ops/support.h"

typedef struct job {
  const neap_tensor *x, *out;
  int64_t n, inner, per, units;            /* [outer, n, inner] */
} job;

/* column `at` of x [n, inner] -> its running sums */
#define RUNNING(T, ACC) \
  static void running_##T (const T *x, T *out, int64_t n, int64_t step) { \
    ACC s = 0; \
    for (int64_t i = 0; i < n; i++) { s += x[i * step]; out[i * step] = (T)s; } \
  }
RUNNING(float, double)
RUNNING(double, double)
RUNNING(uint64_t, uint64_t)
#undef RUNNING

static void cumsum_block (void *arg, int64_t block) {
  const job *b = arg;
  int64_t end = (block + 1) * b->per < b->units ? (block + 1) * b->per : b->units;
  for (int64_t u = block * b->per; u < end; u++) {
    int64_t at = u / b->inner * b->n * b->inner + u % b->inner;
    switch (b->out->dtype) {
      case NEAP_FLOAT32: running_float((const float *)neap_ptr(b->x) + at, (float *)neap_ptr(b->out) + at, b->n, b->inner); break;
      case NEAP_FLOAT64: running_double((const double *)neap_ptr(b->x) + at, (double *)neap_ptr(b->out) + at, b->n, b->inner); break;
      default: running_uint64_t((const uint64_t *)neap_ptr(b->x) + at, (uint64_t *)neap_ptr(b->out) + at, b->n, b->inner); break;
    }
  }
}

bool infer_cumsum (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  int axis;
  if (!neap_axis(k->c, "cumsum", "dimension", k->a.i[0], x->ndim, &axis)) return false;
  k->a.i[0] = axis;
  op_meta(out, neap_is_float(x->dtype) ? x->dtype : NEAP_INT64, x->ndim, x->shape);
  return true;
}

bool run_cumsum (neap_call *k, neap_tensor *out) {
  neap_scope s = neap_scope_open(k->c);
  neap_tensor *x = k->in[0];
  if (x->dtype != out->dtype) {
    x = neap_tensor_new(k->c, out->dtype, x->ndim, x->shape);
    if (x) neap_copy_strided(x, k->in[0]);
  } else x = neap_contiguous_data(k->c, x);
  if (x && neap_numel(x) > 0) {
    job b = { .x = x, .out = out, .n = x->shape[k->a.i[0]], .inner = x->ndim ? out->strides[k->a.i[0]] : 1 };
    b.units = neap_numel(x) / b.n;
    op_blocks(k->c, b.units, b.n, cumsum_block, &b, &b.per);
  }
  neap_scope_close(k->c, s);
  return x != NULL;
}
