/*
** draw.c -- the laws of draws, over the words, uniforms and normals of a stream (philox.h).
** Invariant: every element takes a fixed part of the stream, whatever values come out.
*/
#include "kernels/draw.h"
#include <math.h>

const char *neap_draw_name (int law) {
  static const char *const names[] = { "", "normal", "uniform", "randint", "bernoulli", "categorical", "randperm" };
  return names[-law];
}

enum { CHUNK = 1024 };                     /* elements that stay in L1 between two loops over them */

/* ---- integers ---- */

/* The high half of word · width; a value's probability is off by less than width / 2^64 of itself. */
static void fill_integers (const neap_draw *d, int64_t first, int64_t n, uint64_t *out) {
  uint64_t lo = (uint64_t)d->lo, width = (uint64_t)d->width;
  neap_fill_words(d->tiles, d->key, d->step, first, n, out);
  if (width == 0) return;                  /* all 2^64 values */
  for (int64_t i = 0; i < n; i++) out[i] = lo + (uint64_t)((unsigned __int128)out[i] * width >> 64);
}

/* Fisher and Yates (Durstenfeld 1964), inside out: place i takes j's value, j the new one */
static void fill_permutation (const neap_draw *d, int64_t n, int64_t *out) {
  uint64_t words[CHUNK];
  for (int64_t i = 0; i < n; i++) {
    int64_t at = i % CHUNK;
    if (at == 0) neap_fill_words(d->tiles, d->key, d->step, i, n - i < CHUNK ? n - i : CHUNK, words);
    int64_t j = (int64_t)((unsigned __int128)words[at] * (uint64_t)(i + 1) >> 64);
    out[i] = out[j];
    out[j] = i + 1;
  }
}

/* ---- bernoulli: 1 where a uniform is less than p ---- */

static bool fill_bernoulli (const neap_draw *d, int64_t first, int64_t n, const char *p, char *out) {
  size_t size = neap_dtype_size(d->dtype);
  neap_threshold_kernel *threshold = d->tiles->threshold[d->dtype == NEAP_FLOAT64];
  bool ok = true;
  for (int64_t i = 0; i < n; i += CHUNK) {
    int64_t m = n - i < CHUNK ? n - i : CHUNK;
    char *u = out + (size_t)i * size;
    neap_fill_uniform(d->tiles, d->key, d->step, first + i, m, d->dtype, u);
    ok &= threshold(m, p + (size_t)i * size, u);
  }
  return ok;
}

static double at (const neap_draw *d, const void *in, int64_t i) {
  return d->dtype == NEAP_FLOAT64 ? ((const double *)in)[i] : (double)((const float *)in)[i];
}

static double first_improbable (const neap_draw *d, int64_t n, const void *p) {
  for (int64_t i = 0; i < n; i++) {
    double v = at(d, p, i);
    if (!(v >= 0 && v <= 1)) return v;
  }
  return 0;
}

/* ---- categorical: inverse distribution function of each row, in double ---- */

/* the largest logit of a row; NaN when there is one, infinite when no distribution can be made */
static double top_logit (const neap_draw *d, const void *in, int64_t base) {
  double top = -INFINITY;
  for (int64_t j = 0; j < d->width; j++) {
    double v = at(d, in, base + j);
    if (v != v) return v;
    if (v > top) top = v;
  }
  return top;
}

/* logits [width] from element base on, u in [0, 1) -> class 1..width, 0 when they are no distribution */
static int64_t pick (const neap_draw *d, const void *in, int64_t base, double u) {
  int64_t last = 0;
  double top = top_logit(d, in, base), total = 0, sum = 0, kept[CHUNK];
  if (!isfinite(top)) return 0;
  for (int64_t j = 0; j < d->width; j++) {
    double w = exp(at(d, in, base + j) - top);
    if (j < CHUNK) kept[j] = w;
    total += w;
  }
  for (int64_t j = 0; j < d->width; j++) {
    double w = j < CHUNK ? kept[j] : exp(at(d, in, base + j) - top);
    if (w == 0) continue;
    last = j + 1;
    sum += w;
    if (sum > u * total) break;
  }
  return last;
}

static bool fill_categorical (const neap_draw *d, int64_t first, int64_t n, const void *in, int64_t *out) {
  double u[CHUNK];
  bool ok = true;
  for (int64_t i = 0; i < n; i += CHUNK) {
    int64_t m = n - i < CHUNK ? n - i : CHUNK;
    neap_fill_uniform(d->tiles, d->key, d->step, first + i, m, NEAP_FLOAT64, u);
    for (int64_t j = 0; j < m; j++) ok &= (out[i + j] = pick(d, in, (i + j) * d->width, u[j])) > 0;
  }
  return ok;
}

/* ---- any of them ---- */

bool neap_draw_fill (const neap_draw *d, int64_t first, int64_t n, const void *in, void *out) {
  switch (d->law) {
    case DRAW_NORMAL: neap_fill_normal(d->tiles, d->key, d->step, first, n, d->dtype, out); return true;
    case DRAW_UNIFORM: neap_fill_uniform(d->tiles, d->key, d->step, first, n, d->dtype, out); return true;
    case DRAW_INTEGERS: fill_integers(d, first, n, out); return true;
    case DRAW_BERNOULLI: return fill_bernoulli(d, first, n, in, out);
    case DRAW_CATEGORICAL: return fill_categorical(d, first, n, in, out);
    default: fill_permutation(d, n, out); return true;
  }
}

bool neap_draw_refuse (neap_context *c, const neap_draw *d, int64_t n, const void *in) {
  if (d->law == DRAW_BERNOULLI)
    return neap_fail(c, NEAP_EARG, "bernoulli: probabilities must lie in 0..1, got %g", first_improbable(d, n, in));
  return neap_fail(c, NEAP_ENUMERIC, "categorical: a row of logits holds NaN or +inf, or nothing but -inf");
}
