/*
** cumsum.c -- running sums along a dimension.
** Invariant: sums are carried in double (int64 for integers), so the error does not grow with the length.
*/
#include "ops/reduce.h"

/* x [n, w], rows ld apart -> out alike; one column keeps its sum in a register */
#define RUNNING(T, ACC) \
  static void single_##T (const T *x, T *out, int64_t n, int64_t ld) { \
    ACC s = 0; \
    for (int64_t k = 0; k < n; k++) { s += x[k * ld]; out[k * ld] = (T)s; } \
  } \
  static void running_##T (const T *x, T *out, int64_t n, int64_t ld, int64_t w) { \
    ACC s[REDUCE_COLUMNS]; \
    if (w == 1) { single_##T(x, out, n, ld); return; } \
    for (int64_t j = 0; j < w; j++) s[j] = 0; \
    for (int64_t k = 0; k < n; k++, x += ld, out += ld) \
      for (int64_t j = 0; j < w; j++) { s[j] += x[j]; out[j] = (T)s[j]; } \
  }
RUNNING(float, double)
RUNNING(double, double)
RUNNING(uint64_t, uint64_t)
#undef RUNNING

/* out is row-major, as the plan's data are */
static void run_tile (void *out, const reduce_plan *p, reduce_tile_at t) {
  void *to = (char *)out + (t.x - p->data);
  switch (p->dtype) {
    case NEAP_FLOAT32: running_float((const float *)t.x, to, p->n, p->inner, t.w); break;
    case NEAP_FLOAT64: running_double((const double *)t.x, to, p->n, p->inner, t.w); break;
    default: running_uint64_t((const uint64_t *)t.x, to, p->n, p->inner, t.w); break;
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

/* x as row-major data of out's dtype */
static neap_tensor *converted (neap_call *k, const neap_tensor *out) {
  neap_tensor *x = k->in[0];
  if (x->dtype == out->dtype) return neap_contiguous_data(k->c, x);
  neap_tensor *y = neap_tensor_new(k->c, out->dtype, x->ndim, x->shape);
  if (y) neap_copy_strided(y, x);
  return y;
}

bool run_cumsum (neap_call *k, neap_tensor *out) {
  int axis = (int)k->a.i[0];
  neap_scope s = neap_scope_open(k->c);
  neap_tensor *x = converted(k, out);
  if (x) {
    reduce_plan p = { neap_ptr(x), out->dtype, op_product(x->shape, axis), x->shape[axis],
                      op_product(x->shape + axis + 1, x->ndim - axis - 1) };
    reduce_each(k->c, &p, 1, run_tile, neap_ptr(out));
  }
  neap_scope_close(k->c, s);
  return x != NULL;
}
