/*
** conv_pool.c -- sums over windows of images with channels last, their transpose, and where the largest elements are.
** Invariant: what lies outside of an image counts as nothing; every window has at least one element inside (padding is
** at most half of the kernel); a window's elements are visited line by line, so of equal ones the first is found.
*/
#include "ops/conv.h"
#include <string.h>

typedef struct pool_job pool_job;
typedef struct box { int64_t image, from[2], end[2]; } box;            /* the part of a window inside its image */

struct pool_job {
  conv_windows w;
  const char *in; char *out;
  size_t size;                             /* of an element of in */
  void (*window) (const pool_job *j, const box *b, int64_t window);
  int64_t units, lines, per;               /* lines of windows, or images: of a unit; units of a block */
};

static box box_of (const conv_windows *w, int64_t image, int64_t y, int64_t x) {
  box b = { .image = image };
  int64_t at[] = { y, x };
  for (int i = 0; i < 2; i++) {
    int64_t first = at[i] * w->stride[i] - w->padding[i], end = first + w->kernel[i];
    b.from[i] = first > 0 ? first : 0;
    b.end[i] = end < w->size[i] ? end : w->size[i];
  }
  return b;
}

/* the windows of a line, one of all images' */
static void run_line (const pool_job *j, int64_t line) {
  for (int64_t x = 0; x < j->w.out[1]; x++) {
    box b = box_of(&j->w, line / j->w.out[0], line % j->w.out[0], x);
    j->window(j, &b, line * j->w.out[1] + x);
  }
}

static void run_units (void *arg, int64_t block) {
  const pool_job *j = arg;
  int64_t first = block * j->per, end = first + j->per < j->units ? first + j->per : j->units;
  for (int64_t line = first * j->lines; line < end * j->lines; line++) run_line(j, line);
}

/* the channels at (y, x) of the box's image, in elements */
static int64_t pixel (const conv_windows *w, const box *b, int64_t y, int64_t x) {
  return ((b->image * w->size[0] + y) * w->size[1] + x) * w->c;
}

#define EACH_PIXEL(b, y, x) \
  for (int64_t y = (b)->from[0]; y < (b)->end[0]; y++) for (int64_t x = (b)->from[1]; x < (b)->end[1]; x++)

/* ---- kernels: one window ---- */

#if defined __GNUC__ && !defined __clang__
#pragma GCC push_options
#pragma GCC optimize ("O3")                /* channels as vectors */
#endif

#define SUM_KERNELS(T) \
static void add_##T (int64_t n, T *to, const T *from) { for (int64_t i = 0; i < n; i++) to[i] += from[i]; } \
static void sum_##T (const pool_job *j, const box *b, int64_t window) { \
  T *to = (T *)j->out + window * j->w.c; \
  memset(to, 0, (size_t)j->w.c * sizeof(T)); \
  EACH_PIXEL(b, y, x) add_##T(j->w.c, to, (const T *)j->in + pixel(&j->w, b, y, x)); \
} \
static void spread_##T (const pool_job *j, const box *b, int64_t window) { \
  const T *from = (const T *)j->in + window * j->w.c; \
  EACH_PIXEL(b, y, x) add_##T(j->w.c, (T *)j->out + pixel(&j->w, b, y, x), from); \
}
SUM_KERNELS(float)
SUM_KERNELS(double)

/* a NaN counts as the largest */
#define MAX_KERNEL(T) \
static void max_##T (const pool_job *j, const box *b, int64_t window) { \
  int64_t *to = (int64_t *)j->out + window * j->w.c; \
  const T *image = (const T *)j->in + pixel(&j->w, b, 0, 0); \
  for (int64_t i = 0; i < j->w.c; i++) to[i] = b->from[0] * j->w.size[1] + b->from[1] + 1; \
  EACH_PIXEL(b, y, x) { \
    int64_t here = y * j->w.size[1] + x; \
    for (int64_t i = 0; i < j->w.c; i++) { \
      T v = image[here * j->w.c + i], best = image[(to[i] - 1) * j->w.c + i]; \
      if (v > best || (v != v && best == best)) to[i] = here + 1; \
    } \
  } \
}
MAX_KERNEL(float)
MAX_KERNEL(double)
MAX_KERNEL(int64_t)
MAX_KERNEL(uint8_t)

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

/* ---- rows ---- */

typedef void (*kernel) (const pool_job *j, const box *b, int64_t window);

static kernel max_of (neap_dtype d) {
  switch (d) {
    case NEAP_FLOAT32: return max_float;
    case NEAP_FLOAT64: return max_double;
    case NEAP_INT64: return max_int64_t;
    default: return max_uint8_t;
  }
}

/* by images: windows of one share its elements, and one thread adds them up */
static void run_blocks (neap_call *k, pool_job *j, bool by_images) {
  int64_t work = j->w.out[1] * j->w.kernel[0] * j->w.kernel[1] * j->w.c;
  j->lines = by_images ? j->w.out[0] : 1;
  j->units = by_images ? j->w.n : j->w.n * j->w.out[0];
  op_blocks(k->c, j->units, work * j->lines, run_units, j, &j->per);
}

static bool run (neap_call *k, neap_tensor *out, kernel window, bool by_images) {
  pool_job j = { .window = window, .out = neap_ptr(out) };
  if (!conv_pool_of(k, &j.w)) return false;
  if (by_images) memset(j.out, 0, (size_t)neap_numel(out) * neap_size_of(out->dtype));
  if (neap_numel(out) == 0) return true;
  neap_scope s = neap_scope_open(k->c);
  neap_tensor *x = neap_contiguous_data(k->c, k->in[0]);
  if (x) {
    j.in = neap_ptr(x);
    run_blocks(k, &j, by_images);
  }
  neap_scope_close(k->c, s);
  return x != NULL;
}

bool run_pool_sum (neap_call *k, neap_tensor *out) {
  return run(k, out, out->dtype == NEAP_FLOAT32 ? sum_float : sum_double, false);
}

bool run_unpool_sum (neap_call *k, neap_tensor *out) {
  return run(k, out, out->dtype == NEAP_FLOAT32 ? spread_float : spread_double, true);
}

bool run_pool_argmax (neap_call *k, neap_tensor *out) { return run(k, out, max_of(k->in[0]->dtype), false); }
