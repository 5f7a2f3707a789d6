/*
** draw.h -- the laws of draws: what stands at element i, given a stream's step and an operand.
** Invariant: elements [first, first + n) depend on (key, step), on their own part of the operand and on the law's numbers,
** never on how a draw is cut; so a draw is the same bits whether it is made at once or by a program, tile by tile.
*/
#ifndef NEAP_KERNELS_DRAW_H
#define NEAP_KERNELS_DRAW_H

#include "kernels/tile.h"

enum {                                     /* negative, so that they may stand where the number of an op does */
  DRAW_NORMAL = -1, DRAW_UNIFORM = -2,
  DRAW_INTEGERS = -3,                      /* lo .. lo + width - 1; width 0: all of 2^64 */
  DRAW_BERNOULLI = -4,                     /* operand: probabilities, of the result's dtype and shape */
  DRAW_CATEGORICAL = -5,                   /* operand: logits, width to an element of the result */
  DRAW_PERMUTATION = -6                    /* made whole: first = 0, n all there are */
};

typedef struct neap_draw {
  int law;
  neap_dtype dtype;                        /* of the operand, else of the result */
  const neap_tiles *tiles;
  neap_key key; uint64_t step;
  int64_t lo, width;
} neap_draw;

const char *neap_draw_name (int law);
/* Is element i of the result made of element i of the operand, if there is one? */
static inline bool neap_draw_elementwise (int law) { return law >= DRAW_BERNOULLI; }

/* in: what of the operand belongs to elements [first, first + n), row-major.  False: it is no distribution. */
bool neap_draw_fill (const neap_draw *d, int64_t first, int64_t n, const void *in, void *out);
/* The error for such an operand, of n elements of the result.  False. */
bool neap_draw_refuse (neap_context *c, const neap_draw *d, int64_t n, const void *in);

#endif
