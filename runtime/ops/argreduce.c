/*
** argreduce.c -- argmax and argmin: the 1-based index of the first largest or smallest element.
** Invariant: the first NaN wins; over all elements the index counts in row-major order.
*/
#include "ops/reduce.h"

typedef struct job {
  const reduce_plan *p;
  int64_t *out, per;
  bool largest;
} job;

/* x [n], elements `step` apart -> index from 1 */
#define ARG(T) \
  static int64_t arg_##T (const T *x, int64_t n, int64_t step, bool largest) { \
    int64_t best = 0; \
    T b = x[0]; \
    for (int64_t i = 1; i < n && b == b; i++) { \
      T v = x[i * step]; \
      if ((largest ? v > b : v < b) || v != v) { b = v; best = i; } \
    } \
    return best + 1; \
  }
ARG(float)
ARG(double)
ARG(int64_t)
ARG(uint8_t)
#undef ARG

static int64_t arg_at (const reduce_plan *p, int64_t at, bool largest) {
  switch (p->dtype) {
    case NEAP_FLOAT32: return arg_float((const float *)p->data + at, p->n, p->inner, largest);
    case NEAP_FLOAT64: return arg_double((const double *)p->data + at, p->n, p->inner, largest);
    case NEAP_INT64: return arg_int64_t((const int64_t *)p->data + at, p->n, p->inner, largest);
    default: return arg_uint8_t((const uint8_t *)p->data + at, p->n, p->inner, largest);
  }
}

static void arg_block (void *arg, int64_t block) {
  const job *b = arg;
  const reduce_plan *p = b->p;
  int64_t units = p->outer * p->inner, end = (block + 1) * b->per < units ? (block + 1) * b->per : units;
  for (int64_t u = block * b->per; u < end; u++)
    b->out[u] = arg_at(p, u / p->inner * p->n * p->inner + u % p->inner, b->largest);
}

/* the axes are kept in k->a.dims as a mask, for run */
static bool infer_arg (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  bool axes[NEAP_MAX_DIMS];
  k->a.count = given(k->a.i[0]) ? 1 : -1;
  k->a.dims[0] = k->a.i[0];
  if (!op_axes(k->c, k->op->name, &k->a, x->ndim, axes)) return false;
  for (int i = 0; i < NEAP_MAX_DIMS; i++) {
    k->a.dims[i] = axes[i];
    if (axes[i] && x->shape[i] == 0)
      return neap_fail(k->c, NEAP_ESHAPE, "%s: dimension %d of shape %s has no elements", k->op->name, i + 1, SHAPE_TEXT(x));
  }
  op_meta_reduced(out, x, axes, is_set(k->a.i[1]), NEAP_INT64);
  return true;
}

static bool run_arg (neap_call *k, neap_tensor *out, bool largest) {
  bool axes[NEAP_MAX_DIMS];
  for (int i = 0; i < NEAP_MAX_DIMS; i++) axes[i] = k->a.dims[i] != 0;
  neap_scope s = neap_scope_open(k->c);
  reduce_plan p;
  bool ok = reduce_plan_make(k->c, k->in[0], axes, true, &p);
  job b = { .p = &p, .out = neap_ptr(out), .largest = largest };
  if (ok) op_blocks(k->c, p.outer * p.inner, p.n, arg_block, &b, &b.per);
  neap_scope_close(k->c, s);
  return ok;
}

bool infer_argmax (neap_call *k, neap_meta *out) { return infer_arg(k, out); }
bool run_argmax (neap_call *k, neap_tensor *out) { return run_arg(k, out, true); }
bool infer_argmin (neap_call *k, neap_meta *out) { return infer_arg(k, out); }
bool run_argmin (neap_call *k, neap_tensor *out) { return run_arg(k, out, false); }
