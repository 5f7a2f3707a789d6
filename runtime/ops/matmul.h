/*
** matmul.h -- one matrix product, planned once and run many times.
** Invariant: a plan holds its tensors' addresses, and reads their storages anew at each run.
*/
#ifndef NEAP_OPS_MATMUL_H
#define NEAP_OPS_MATMUL_H

#include "op.h"

typedef struct matmul_product matmul_product;
typedef matmul_product product;
typedef void (*multiply_fn) (const product *p, const void *x, const void *y, void *out, int64_t m, int64_t n,
                             void *strip);

struct matmul_product {
  neap_context *c;
  const neap_tensor *x, *y;
  neap_tensor *out;
  int64_t m, n, k, batch;
  bool xt, yt; int ldx, ldy;               /* how BLAS reads x and y: transposed, and the leading dimension */
  bool blas;                               /* otherwise loops over strides */
  bool add;                                /* to what is in out */
  multiply_fn multiply;
  int64_t items, slabs, width; bool by_rows;   /* a task: items of the batch, or one slab of rows (columns) of one */
  char *strips; size_t strip_bytes;        /* room for a copied strip of y for each task, or NULL */
  atomic_int failed;
};

/* Plans bmm for a call whose result is one matrix, made from operands as they are, whose elements need not be there yet;
** false: it is not that.  whole: in one task, however big it is. */
bool matmul_plan (neap_call *k, neap_tensor *out, bool whole, matmul_product *p);
/* On any thread, with k->c of the plan its own.  add: to what is in out. */
bool matmul_run (matmul_product *p, bool add);

#endif
