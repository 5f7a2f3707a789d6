/* per-isa
** conv_kernel.c -- the innermost loops of convolution: CONV_PLACES places by some vectors of outputs stay in registers.
** Invariant: sums are made in the order of a window's elements (or of outputs), by one multiply-add each.
*/
#include "ops/conv_kernel.h"
#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#if defined __AVX512F__
enum { LANES = 16, BLOCKS = 4 };
#define WIDE(f) f##_3, f##_4
#elif defined __AVX2__
enum { LANES = 8, BLOCKS = 2 };            /* 12 sums, 2 vectors and a number: 16 registers */
#define WIDE(f) NULL, NULL
#endif

#if defined __AVX2__
typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define LOAD(p) (*(const vec *)(p))
#define STORE(p, v) (*(vec *)(p) = (v))

/* F(place, vector) for n vectors of a place, and for all places, one after the other */
#define OF_1(F, i) F(i, 0)
#define OF_2(F, i) OF_1(F, i) F(i, 1)
#define OF_3(F, i) OF_2(F, i) F(i, 2)
#define OF_4(F, i) OF_3(F, i) F(i, 3)
#define EACH(n, F) OF_##n(F, 0) OF_##n(F, 1) OF_##n(F, 2) OF_##n(F, 3) OF_##n(F, 4) OF_##n(F, 5)
#define VECTORS_1(F) F(0)
#define VECTORS_2(F) VECTORS_1(F) F(1)
#define VECTORS_3(F) VECTORS_2(F) F(2)
#define VECTORS_4(F) VECTORS_3(F) F(3)

#define SUM(i, j) vec s##i##_##j = { 0 };
#define WEIGHT(j) vec v##j = LOAD(w + (j) * LANES);
#define ADD(i, j) s##i##_##j += v##j * b##i;
#define PLACE(i, j) const float *p##i = from[i];
#define NEXT(i, j) p##i += r->pitch;
#define OUTPUT(i, j) STORE(out + (i) * r->outputs + (j) * LANES, s##i##_##j);
#define GIVE(i, j) STORE(to[i] + (j) * LANES, LOAD(to[i] + (j) * LANES) + s##i##_##j);
/* a number is read right before it is used: with all of them there were not enough registers */
#define MULTIPLY(n, i) float b##i = p##i[t]; OF_##n(ADD, i)
#define MULTIPLY_ALL(n) MULTIPLY(n, 0) MULTIPLY(n, 1) MULTIPLY(n, 2) MULTIPLY(n, 3) MULTIPLY(n, 4) MULTIPLY(n, 5)

#define KERNELS(n) \
static void forward_##n (const conv_reach *r, const float *const *from, const float *w, float *out) { \
  EACH(1, PLACE) \
  EACH(n, SUM) \
  for (int64_t line = 0; line < r->lines; line++) { \
    for (int64_t t = 0; t < r->run; t++, w += r->outputs) { \
      VECTORS_##n(WEIGHT) \
      MULTIPLY_ALL(n) \
    } \
    EACH(1, NEXT) \
  } \
  EACH(n, OUTPUT) \
} \
static void input_##n (int64_t outputs, const float *const *from, float *const *to, const float *w, int64_t step) { \
  EACH(1, PLACE) \
  EACH(n, SUM) \
  for (int64_t t = 0; t < outputs; t++, w += step) { \
    VECTORS_##n(WEIGHT) \
    MULTIPLY_ALL(n) \
  } \
  EACH(n, GIVE)                            /* places may share elements: one is done before the next begins */ \
} \
static void weight_##n (int64_t places, const int64_t *at, const float *const *from, const float *w, int64_t step, \
                        float *const *to) { \
  EACH(1, PLACE) \
  EACH(n, SUM) \
  for (int64_t k = 0; k < places; k++, w += step) { \
    int64_t t = at[k]; \
    VECTORS_##n(WEIGHT) \
    MULTIPLY_ALL(n) \
  } \
  EACH(n, GIVE) \
}

KERNELS(1)
KERNELS(2)
#if defined __AVX512F__
KERNELS(3)
KERNELS(4)
#endif

static void forward (const conv_reach *r, const float *const *x, const float *w, float *out) {
  int64_t o = 0;
#if defined __AVX512F__
  for (; o + 4 * LANES <= r->outputs; o += 4 * LANES) forward_4(r, x, w + o, out + o);
  if (o + 3 * LANES <= r->outputs) { forward_3(r, x, w + o, out + o); o += 3 * LANES; }
#endif
  for (; o + 2 * LANES <= r->outputs; o += 2 * LANES) forward_2(r, x, w + o, out + o);
  if (o < r->outputs) forward_1(r, x, w + o, out + o);
}
#endif

extern const conv_kernels JOIN(neap_conv_, TILE_ISA);
const conv_kernels JOIN(neap_conv_, TILE_ISA) = {
  .name = TEXT(TILE_ISA),
#if defined __AVX2__
  .lanes = LANES, .blocks = BLOCKS, .forward = forward,
  .input = { input_1, input_2, WIDE(input) }, .weight = { weight_1, weight_2, WIDE(weight) },
#endif
};
