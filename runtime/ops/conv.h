/*
** conv.h -- windows over images, and convolution's sizes.
** Invariant: images have channels last, [N, H, W, C]; the window of output place (y, x) begins at y·stride − padding,
** may reach beyond the image, where it reads 0, and its elements lie dilation apart.
*/
#ifndef NEAP_OPS_CONV_H
#define NEAP_OPS_CONV_H

#include "ops/support.h"

/* Pairs are {height, width}. */
typedef struct conv_windows {
  int64_t n, size[2], c;                   /* images, their sides and channels */
  int64_t kernel[2], stride[2], padding[2], dilation[2];
  int64_t out[2];                          /* windows along each side */
} conv_windows;

enum { CONV_LONGEST = 1 << 15 };           /* kernels, strides, paddings, dilations: so that no size overflows */

typedef struct conv_shape {
  conv_windows w;
  int64_t o, groups;                       /* outputs; channels and outputs are cut into so many groups */
  int64_t cg, og, depth;                   /* channels and outputs of a group; elements of a window of it */
} conv_shape;

/* The shape of a call of convolve, convolve_input or convolve_weight, checked; false: error set. */
bool conv_of (neap_call *k, conv_shape *s);

typedef enum conv_kind { CONV_FORWARD, CONV_INPUT, CONV_WEIGHT } conv_kind;

static inline conv_kind conv_kind_of (const neap_call *k) {
  return k->op == &neap_ops[NEAP_OP_convolve] ? CONV_FORWARD
       : k->op == &neap_ops[NEAP_OP_convolve_input] ? CONV_INPUT : CONV_WEIGHT;
}

/* Of a call, row-major: images [N, H, W, C], outputs [N, H', W', O], filters [depth, O], backwards [O, depth].  The one
** that is made is NULL here, and out. */
typedef struct conv_operands { const void *x, *g, *w; void *out; } conv_operands;

/* conv_direct.c: whether the kernels for float32 can do it, and they do, the images cut into so many tasks.  No BLAS.
** false: no memory. */
bool conv_is_direct (const neap_call *k, const conv_shape *s, conv_kind kind);
bool conv_run_direct (neap_context *c, const conv_shape *s, conv_kind kind, int64_t tasks, const conv_operands *o);

/* conv_dnn.c: what oneDNN made for a call, the images cut into so many tasks, and the call done with it.  NULL: oneDNN
** is no faster, or not to be had, or (with an error) there is no memory; false: no memory, or oneDNN failed. */
typedef struct conv_made conv_made;
enum { CONV_MADE = 64 };
struct conv_store { uint64_t runs; conv_made *made[CONV_MADE]; };      /* a context's; runs: calls handed over so far */
conv_made *conv_dnn_of (neap_call *k, const conv_shape *s, conv_kind kind, int64_t tasks, const conv_operands *o);
bool conv_run_dnn (neap_context *c, conv_made *m, const conv_operands *o);
/* c's library, if call k, a convolution, may want it; else NULL.  For a frame, whose context shares it. */
struct neap_dnnl *conv_library (neap_context *c, neap_call *k);
/* Drops the library and all that was made with it. */
void conv_dnn_close (neap_context *c);

/* The windows of a call of pool_sum, unpool_sum or pool_argmax. */
bool conv_pool_of (neap_call *k, conv_windows *w);

#endif
