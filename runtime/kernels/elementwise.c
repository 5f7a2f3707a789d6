/*
** elementwise.c -- an eager elementwise op: a chain of one tile kernel.
** Invariant: inputs have the result's shape; each element of the result is a function of the elements that stand
** at its place.
*/
#include "chain.h"

#define SCATTERED_FROM 8192                /* from so many elements on, a transposed input is put in order first */

/* x, or a row-major copy of it where reading it line by line would touch a cache line per element */
static neap_tensor *readable (neap_context *c, neap_tensor *x, neap_tile_source *s) {
  neap_tile_source_set(s, x);
  if (s->kind != SOURCE_STRIDED || s->ndim < 2 || s->period) return x;
  int64_t inner = s->strides[s->ndim - 1];
  if (inner == 0 || inner == 1 || neap_numel(x) < SCATTERED_FROM) return x;
  x = neap_contiguous_data(c, x);
  if (x) neap_tile_source_set(s, x);
  return x;
}

bool neap_run_elementwise (neap_call *k, neap_tensor *out) {
  neap_dtype d = k->in[k->n - 1]->dtype;
  neap_tile_kernel *kernel = k->c->tiles->op[k->op - neap_ops][d];
  if (!kernel) return neap_fail(k->c, NEAP_EDTYPE, "%s: not defined for %s", k->op->name, neap_dtype_name(d));
  neap_tile_step step = { .kernel = kernel, .n = k->n, .in = { 0, 1, 2, 3 }, .out = k->n, .p = k->a.f, .q = k->a.i[0] };
  neap_chain chain;
  chain.n = neap_numel(out);
  if (chain.n == 0) return true;
  for (int i = 0; i < k->n; i++) if (!readable(k->c, k->in[i], &chain.source[i])) return false;
  chain.nsources = k->n; chain.nsteps = 1;
  chain.steps = &step;
  chain.out = neap_ptr(out); chain.out_size = neap_dtype_size(out->dtype);
  neap_run_chain(k->c, &chain);
  return true;
}
