/*
** argreduce.c -- argmax and argmin: the 1-based index of the first largest or smallest element.
** Invariant: the first NaN wins; over all elements the index counts in row-major order.  The extreme is found first,
** by the kernel that amax and amin use, and then looked for.
*/
#include "ops/reduce.h"

typedef struct job {
  reduce_tile_fn *best;
  int64_t *out;
} job;

typedef union bests { double f[REDUCE_COLUMNS]; int64_t i[REDUCE_COLUMNS]; } bests;

/* x [n, w], rows ld apart; best [w] -> index from 1 of the first row that equals it (or is NaN, if it is) */
#define FIND(T, which) \
  static void find_##T (const void *data, int64_t n, int64_t ld, int64_t w, const bests *b, int64_t *out) { \
    const T *x = data; \
    for (int64_t j = 0; j < w; j++) { \
      T v = (T)b->which[j]; \
      int64_t k = 0; \
      if (v == v) while (k < n - 1 && x[k * ld + j] != v) k++; \
      else while (k < n - 1 && x[k * ld + j] == x[k * ld + j]) k++; \
      out[j] = k + 1; \
    } \
  }
FIND(float, f)
FIND(double, f)
FIND(int64_t, i)
FIND(uint8_t, i)
#undef FIND

static void run_tile (void *arg, const reduce_plan *p, reduce_tile_at t) {
  const job *b = arg;
  bests best;
  b->best(t.x, p->n, p->inner, t.w, &best);
  switch (p->dtype) {
    case NEAP_FLOAT32: find_float(t.x, p->n, p->inner, t.w, &best, b->out + t.out); break;
    case NEAP_FLOAT64: find_double(t.x, p->n, p->inner, t.w, &best, b->out + t.out); break;
    case NEAP_INT64: find_int64_t(t.x, p->n, p->inner, t.w, &best, b->out + t.out); break;
    default: find_uint8_t(t.x, p->n, p->inner, t.w, &best, b->out + t.out); break;
  }
}

/* the axes are kept in k->a.dims as a mask, for run */
static bool infer_arg (neap_call *k, neap_meta *out) {
  k->a.count = given(k->a.i[0]) ? 1 : -1;
  k->a.dims[0] = k->a.i[0];
  k->a.i[0] = k->a.i[1];
  if (!reduce_infer(k, out, NEAP_INT64)) return false;
  return reduce_nonempty(k);
}

static bool run_arg (neap_call *k, neap_tensor *out, reduce_fold fold) {
  neap_scope s = neap_scope_open(k->c);
  reduce_plan p;
  bool ok = reduce_plan_call(k, k->in[0], true, &p);
  if (ok) reduce_each(k->c, &p, 2, run_tile, &(job){ reduce_tile(p.dtype, fold), neap_ptr(out) });
  neap_scope_close(k->c, s);
  return ok;
}

bool infer_argmax (neap_call *k, neap_meta *out) { return infer_arg(k, out); }
bool run_argmax (neap_call *k, neap_tensor *out) { return run_arg(k, out, FOLD_MAX); }
bool infer_argmin (neap_call *k, neap_meta *out) { return infer_arg(k, out); }
bool run_argmin (neap_call *k, neap_tensor *out) { return run_arg(k, out, FOLD_MIN); }
