/*
** chain.h -- elementwise execution: a list of tile kernels over tiles that stay in L1.
** Invariant: every value of a chain has the same number of elements; sources fill the first slots, a step writes
** one slot, and the last step's slot is the result.  An eager op is a chain of one step.
*/
#ifndef NEAP_CHAIN_H
#define NEAP_CHAIN_H

#include "tile.h"

#define NEAP_CHAIN_SLOTS 8

/* A tensor in the result's index space, adjacent dimensions merged where its strides allow. */
typedef struct neap_tile_source {
  enum { SOURCE_DIRECT, SOURCE_CONSTANT, SOURCE_STRIDED } kind;
  const char *data;
  size_t size;                             /* of an element */
  int ndim;                                /* strided: at least 1 */
  int64_t shape[NEAP_MAX_DIMS], strides[NEAP_MAX_DIMS];
  int64_t period;                          /* the values repeat every so many elements; 0 = they do not */
} neap_tile_source;

typedef struct neap_tile_step {
  neap_tile_kernel *kernel;
  int n, in[NEAP_MAX_INPUTS], out;         /* slots */
  const double *p;
  int64_t q;
} neap_tile_step;

typedef struct neap_chain {
  int64_t n;                               /* elements */
  int nsources, nsteps;
  neap_tile_source source[NEAP_MAX_INPUTS];            /* source i fills slot i */
  const neap_tile_step *steps;
  char *out; size_t out_size;              /* contiguous; the element size */
} neap_chain;

/* t has the result's shape, any strides */
void neap_tile_source_set (neap_tile_source *s, const neap_tensor *t);
/* Elements [first, first + n) of s, row-major, into out. */
void neap_tile_gather (const neap_tile_source *s, int64_t first, int64_t n, void *out);
void neap_run_chain (neap_context *c, const neap_chain *chain);

#endif
