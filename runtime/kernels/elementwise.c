/*
** elementwise.c -- an eager elementwise op: a chain of one tile kernel.
** Invariant: inputs have the result's shape, or one element; each element of the result is a function of the elements
** that stand at its place.
*/
#include "chain.h"
#include <string.h>

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

/* ---- up to one vector of elements: nothing to plan ---- */

enum { FEW = NEAP_TILE_PAD };

static bool is_one_value (const neap_tensor *x) {
  for (int i = 0; i < x->ndim; i++) if (x->strides[i] != 0 && x->shape[i] != 1) return false;
  return true;
}

typedef uint32_t words __attribute__((vector_size(4 * FEW)));
typedef uint64_t long_words __attribute__((vector_size(8 * FEW)));

/* FEW times the element at value */
static void repeat_few (char *tile, const char *value, size_t size) {
  switch (size) {
    case 8: { uint64_t v; memcpy(&v, value, 8); *(long_words *)tile = (long_words){ 0 } + v; break; }
    case 4: { uint32_t v; memcpy(&v, value, 4); *(words *)tile = (words){ 0 } + v; break; }
    default: memset(tile, *value, FEW);
  }
}

/* x's n elements and copies of its last; false when they are neither in a row nor all one */
static bool fill_few (char *tile, const neap_tensor *x, int64_t n) {
  size_t size = neap_size_of(x->dtype);
  const char *data = neap_ptr(x);
  if (n == 1 || is_one_value(x)) { repeat_few(tile, data, size); return true; }
  if (!neap_is_contiguous(x)) return false;
  repeat_few(tile, data + (size_t)(n - 1) * size, size);
  memcpy(tile, data, (size_t)n * size);
  return true;
}

/* false: not done.  A storage has room for a vector, whatever its elements. */
static bool run_few (const neap_call *k, neap_tile_kernel *kernel, neap_tensor *out, int64_t n) {
  _Alignas(128) char tile[NEAP_MAX_INPUTS][FEW * sizeof(double)];
  const void *in[NEAP_MAX_INPUTS];
  for (int i = 0; i < k->n; i++) {
    in[i] = tile[i];
    if (!fill_few(tile[i], k->in[i], n)) return false;
  }
  kernel(FEW, neap_ptr(out), in, k->a.f, k->a.i[0]);
  return true;
}

bool neap_run_elementwise (neap_call *k, neap_tensor *out) {
  neap_dtype d = k->in[k->n - 1]->dtype;
  neap_tile_kernel *kernel = k->c->tiles->op[k->op - neap_ops][d];
  if (!kernel) return neap_fail(k->c, NEAP_EDTYPE, "%s: not defined for %s", k->op->name, neap_dtype_name(d));
  int64_t n = neap_numel(out);
  if (n == 0 || (n <= FEW && run_few(k, kernel, out, n))) return true;
  neap_tile_step step = { .kernel = kernel, .n = k->n, .in = { 0, 1, 2, 3 }, .out = k->n, .p = k->a.f, .q = k->a.i[0] };
  neap_chain chain;
  chain.n = n;
  for (int i = 0; i < k->n; i++) if (!readable(k->c, k->in[i], &chain.source[i])) return false;
  chain.nsources = k->n; chain.nsteps = 1;
  chain.steps = &step;
  chain.out = neap_ptr(out); chain.out_size = neap_dtype_size(out->dtype);
  neap_run_chain(k->c, &chain);
  return true;
}
