/*
** conv_kernel.h -- float32 convolution of several places at once, for one instruction set.
** Invariant: images are padded, so that every window lies inside memory; a group of CONV_PLACES places (of a weight's
** elements) is computed whole, and each one's numbers never depend on the others or on where it stands in its group.
*/
#ifndef NEAP_OPS_CONV_KERNEL_H
#define NEAP_OPS_CONV_KERNEL_H

#include "ops/support.h"

enum { CONV_PLACES = 6, CONV_BLOCKS = 4 };

/* A window: lines of run elements next to each other, pitch apart. */
typedef struct conv_reach { int64_t lines, run, pitch, outputs; } conv_reach;

/* out[i][o] = Σ window at x[i] · w[.., o], w [lines run, outputs], out [CONV_PLACES, outputs]; outputs: a multiple of
** lanes. */
typedef void conv_forward_fn (const conv_reach *r, const float *const *x, const float *w, float *out);
/* to[i][k] += Σ g[i][o] w[o step + k] for k < blocks · lanes, one place after the other. */
typedef void conv_input_fn (int64_t outputs, const float *const *g, float *const *to, const float *w, int64_t step);

/* to[i][o] += Σ x[i][at[p]] g[p step + o] over the places p, for o < blocks · lanes. */
typedef void conv_weight_fn (int64_t places, const int64_t *at, const float *const *x, const float *g, int64_t step,
                             float *const *to);

typedef struct conv_kernels {
  const char *name;
  int lanes, blocks;                       /* elements of a vector; the most vectors of a call; 0: no kernels */
  conv_forward_fn *forward;
  conv_input_fn *input[CONV_BLOCKS];       /* of 1 … blocks vectors */
  conv_weight_fn *weight[CONV_BLOCKS];
} conv_kernels;

/* Those of the context's instruction set, or NULL. */
const conv_kernels *conv_kernels_of (const neap_context *c);

#endif
