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

/* Infers a reduction over the dims of k, keepdim in k->a.i[0]; leaves the axes in k->a.dims as a mask, from where
** reduce_plan_call takes them. */
bool reduce_infer (neap_call *k, neap_meta *out, neap_dtype d);
static inline bool reduce_plan_call (neap_call *k, neap_tensor *x, bool ordered, reduce_plan *p) {
  bool axes[NEAP_MAX_DIMS];
  for (int i = 0; i < NEAP_MAX_DIMS; i++) axes[i] = k->a.dims[i] != 0;
  return reduce_plan_make(k->c, x, axes, ordered, p);
}
/* After reduce_infer: fails when there is nothing to choose from. */
bool reduce_nonempty (neap_call *k);
/* For rules: Σ w dx over the dims of r, of the result's shape. */
neap_tensor *reduce_weighted (neap_rule *r, neap_tensor *w, neap_tensor *dx);

typedef enum reduce_fold { FOLD_SUM, FOLD_MAX, FOLD_MIN } reduce_fold;

/* out [outer, inner], contiguous: of p's dtype, or int64, or bool (sums of integers need int64).
** A maximum or minimum needs n >= 1. */
bool reduce_run (neap_context *c, const reduce_plan *p, reduce_fold fold, neap_tensor *out);

/* Sums of the rows of x [rows, n], row after row in memory and few enough for one thread: planned once and run many
** times, by the same additions as any other.  n = 0: nothing is planned. */
typedef struct reduce_rows { neap_dtype dtype; int64_t rows, n; } reduce_rows;
/* Of a call of sum after reduce_infer, whose elements need not be there yet; false: it is not that. */
bool reduce_rows_plan (const neap_call *k, reduce_rows *p);
void reduce_rows_run (const reduce_rows *p, const void *x, void *out);

/* The kernel of one tile: x [n, w], rows ld elements apart, w <= REDUCE_COLUMNS -> out [w] of double (floats) or
** int64.  Maxima and minima need n >= 1. */
#define REDUCE_COLUMNS 256
typedef void reduce_tile_fn (const void *x, int64_t n, int64_t ld, int64_t w, void *out);
reduce_tile_fn *reduce_tile (neap_dtype d, reduce_fold fold);

/* Tile u of a plan: REDUCE_COLUMNS columns of one outer index; there are outer * reduce_ntiles of them. */
typedef struct reduce_tile_at { const char *x; int64_t out, w; } reduce_tile_at;   /* first element, result, columns */
typedef void reduce_each_fn (void *arg, const reduce_plan *p, reduce_tile_at t);
static inline int64_t reduce_ntiles (const reduce_plan *p) { return (p->inner + REDUCE_COLUMNS - 1) / REDUCE_COLUMNS; }
static inline reduce_tile_at reduce_tile_of (const reduce_plan *p, int64_t u) {
  int64_t ntiles = reduce_ntiles(p), o = u / ntiles, col = u % ntiles * REDUCE_COLUMNS;
  int64_t w = p->inner - col < REDUCE_COLUMNS ? p->inner - col : REDUCE_COLUMNS;
  return (reduce_tile_at){ p->data + (o * p->n * p->inner + col) * (int64_t)neap_dtype_size(p->dtype),
                          o * p->inner + col, w };
}
/* Calls f for every tile of p, on the context's threads; passes: how often f reads it, for the split of the work. */
void reduce_each (neap_context *c, const reduce_plan *p, int64_t passes, reduce_each_fn *f, void *arg);

#endif
