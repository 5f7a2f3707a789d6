/*
** rng.c -- random streams and the draws made from them.
** Invariant: a draw of a tensor uses one step of its stream, and element i is a function of (seed, stream, step, i);
** so draws do not depend on threads, and three integers are the whole state.
*/
#include "core.h"
#include "kernels/tile.h"
#include "program/trace.h"
#include <math.h>
#include <string.h>

struct neap_rng {
  int refs;
  neap_context *ctx;                       /* counted */
  neap_rng_state state;
};

/* ---- life and state ---- */

static neap_rng *rng_make (neap_context *c, neap_rng_state state) {
  neap_rng *r = neap_object_new(c, sizeof *r);
  if (r) *r = (neap_rng){ .refs = 1, .ctx = c, .state = state };
  return r;
}

neap_rng *neap_rng_new (neap_context *c, uint64_t seed) { return rng_make(c, (neap_rng_state){ .seed = seed }); }

neap_rng *neap_rng_split (neap_context *c, neap_rng *r) {
  if (!r) return NULL;
  if (c->trace) trace_stream(c, r);
  trace_refuse(c, "splits a random stream");
  neap_rng_state child = { .seed = r->state.seed, .stream = neap_stream_mix(r->state.stream, r->state.step) };
  neap_rng *out = rng_make(c, child);
  if (out) r->state.step++;
  return out;
}

neap_rng *neap_rng_keep (neap_rng *r) {
  if (r) r->refs++;
  return r;
}

void neap_rng_release (neap_rng *r) {
  if (r && --r->refs == 0) neap_object_free(r->ctx, r, sizeof *r);
}

neap_rng *neap_rng_default (neap_context *c) { return c->rng; }
neap_rng_state neap_rng_get (const neap_rng *r) { return r->state; }
void neap_rng_set (neap_rng *r, neap_rng_state s) {
  if (memcmp(&r->state, &s, sizeof s) == 0) return;
  if (r->ctx->trace) trace_stream(r->ctx, r);
  trace_refuse(r->ctx, "sets a random stream");
  r->state = s;
}
void neap_seed (neap_context *c, uint64_t seed) {
  if (c->rng) neap_rng_set(c->rng, (neap_rng_state){ .seed = seed });
}

/* ---- draws in blocks ---- */

enum { BLOCK = 1 << 14 };                  /* elements; a multiple of NEAP_DRAW_GROUP */

typedef struct draw {
  const neap_tiles *tiles;
  neap_key key;
  uint64_t step;
  neap_dtype dtype;
  int64_t n;
  char *out;
  void (*fill)(const struct draw *d, int64_t first, int64_t n, void *out);
  const char *in;                          /* bernoulli: probabilities; categorical: logits */
  int64_t lo, width;                       /* randint: lowest value, how many; categorical: width classes */
  bool wide;                               /* categorical: the logits are float64 */
  atomic_int bad;                          /* a probability or a row of logits that is none */
} draw;

static void run_block (void *arg, int64_t block) {
  draw *d = arg;
  int64_t first = block * BLOCK, n = d->n - first < BLOCK ? d->n - first : BLOCK;
  d->fill(d, first, n, d->out + (size_t)first * neap_dtype_size(d->dtype));
}

/* takes a step of r and fills out */
static void run_draw (neap_context *c, neap_rng *r, draw *d, neap_tensor *out) {
  d->tiles = c->tiles;
  d->key = neap_stream_key(r->state.seed, r->state.stream);
  if (c->trace) trace_stream(c, r);
  d->step = r->state.step++;
  d->dtype = out->dtype;
  d->n = neap_numel(out);
  d->out = neap_ptr(out);
  neap_parallel(c, (d->n + BLOCK - 1) / BLOCK, run_block, d);
}

static neap_tensor *drawn (neap_context *c, neap_rng *r, draw *d, neap_dtype t, int ndim, const int64_t *shape) {
  if (!r) return NULL;
  neap_tensor *out = neap_tensor_new(c, t, ndim, shape);
  if (out) run_draw(c, r, d, out);
  return out;
}

static bool float_wanted (neap_context *c, const char *what, neap_dtype d) {
  if (neap_is_float(d)) return true;
  return neap_fail(c, NEAP_EDTYPE, "%s: float32 or float64 expected, got %s", what, neap_dtype_name(d));
}

/* ---- normal, uniform, integers ---- */

static void fill_normal (const draw *d, int64_t first, int64_t n, void *out) {
  neap_fill_normal(d->tiles, d->key, d->step, first, n, d->dtype, out);
}
static void fill_uniform (const draw *d, int64_t first, int64_t n, void *out) {
  neap_fill_uniform(d->tiles, d->key, d->step, first, n, d->dtype, out);
}

/* out, drawn just now, as part of a recording */
static neap_tensor *noted (neap_context *c, neap_rng *r, int node, neap_tensor *out) {
  if (out && c->trace) trace_draw(c, node, r, out);
  return out;
}

neap_tensor *neap_rng_normal (neap_context *c, neap_rng *r, neap_dtype t, int ndim, const int64_t *shape) {
  draw d = { .fill = fill_normal };
  return float_wanted(c, "normal", t) ? noted(c, r, NODE_NORMAL, drawn(c, r, &d, t, ndim, shape)) : NULL;
}

neap_tensor *neap_rng_uniform (neap_context *c, neap_rng *r, neap_dtype t, int ndim, const int64_t *shape) {
  draw d = { .fill = fill_uniform };
  return float_wanted(c, "uniform", t) ? noted(c, r, NODE_UNIFORM, drawn(c, r, &d, t, ndim, shape)) : NULL;
}

/* The high half of word · width; a value's probability is off by less than width / 2^64 of itself. */
static void fill_randint (const draw *d, int64_t first, int64_t n, void *out) {
  uint64_t *w = out, width = (uint64_t)d->width;
  neap_fill_words(d->tiles, d->key, d->step, first, n, w);
  if (width == 0) return;                  /* all 2^64 values */
  for (int64_t i = 0; i < n; i++) w[i] = (uint64_t)d->lo + (uint64_t)((unsigned __int128)w[i] * width >> 64);
}

neap_tensor *neap_rng_randint (neap_context *c, neap_rng *r, int64_t lo, int64_t hi, int ndim, const int64_t *shape) {
  if (!neap_ok(c)) return NULL;
  if (lo > hi)
    return neap_fail(c, NEAP_EARG, "randint: lo must not exceed hi, got %lld and %lld", (long long)lo, (long long)hi);
  trace_refuse(c, "draws integers");
  draw d = { .fill = fill_randint, .lo = lo, .width = (int64_t)((uint64_t)hi - (uint64_t)lo + 1) };
  return drawn(c, r, &d, NEAP_INT64, ndim, shape);
}

/* ---- bernoulli: 1 where a uniform is less than p ---- */

enum { CHUNK = 1024 };

#define BERNOULLI(type, tag, one) \
  static bool bernoulli_##tag (const draw *d, int64_t first, int64_t n, type *out) { \
    type u[CHUNK]; \
    const type *p = (const type *)d->in + first; \
    bool ok = true; \
    neap_fill_uniform(d->tiles, d->key, d->step, first, n, d->dtype, u); \
    for (int64_t i = 0; i < n; i++) { \
      ok &= p[i] >= 0 && p[i] <= 1;                      /* false for NaN */ \
      out[i] = u[i] < p[i] ? one : 0; \
    } \
    return ok; \
  }
BERNOULLI(float, f32, 1.f)
BERNOULLI(double, f64, 1.)

static void fill_bernoulli (const draw *d, int64_t first, int64_t n, void *out) {
  bool ok = true;
  for (int64_t i = 0; i < n; i += CHUNK) {
    int64_t m = n - i < CHUNK ? n - i : CHUNK;
    ok &= d->dtype == NEAP_FLOAT32 ? bernoulli_f32(d, first + i, m, (float *)out + i)
                                   : bernoulli_f64(d, first + i, m, (double *)out + i);
  }
  if (!ok) atomic_store_explicit(&((draw *)(uintptr_t)d)->bad, 1, memory_order_relaxed);
}

static double first_improbable (const neap_tensor *p) {
  int64_t n = neap_numel(p);
  for (int64_t i = 0; i < n; i++) {
    double v = p->dtype == NEAP_FLOAT32 ? (double)((const float *)neap_ptr(p))[i] : ((const double *)neap_ptr(p))[i];
    if (!(v >= 0 && v <= 1)) return v;
  }
  return 0;
}

neap_tensor *neap_rng_bernoulli (neap_context *c, neap_rng *r, neap_tensor *p) {
  if (!neap_ok(c) || !p || !float_wanted(c, "bernoulli: p", p->dtype)) return NULL;
  trace_refuse(c, "draws from probabilities (bernoulli)");
  neap_scope s = neap_scope_open(c);
  p = neap_contiguous_data(c, p);
  draw d = { .fill = fill_bernoulli, .in = p ? neap_ptr(p) : NULL };
  neap_tensor *out = p ? drawn(c, r, &d, p->dtype, p->ndim, p->shape) : NULL;
  if (out && d.bad)
    out = neap_fail(c, NEAP_EARG, "bernoulli: probabilities must lie in 0..1, got %g", first_improbable(p));
  return neap_scope_return(c, s, out);
}

/* ---- categorical: inverse distribution function of each row, in double ---- */

static double logit_at (const draw *d, int64_t i) {
  return d->wide ? ((const double *)d->in)[i] : (double)((const float *)d->in)[i];
}

/* the largest logit of a row; NaN when there is one, infinite when no distribution can be made */
static double top_logit (const draw *d, int64_t base) {
  double top = -INFINITY;
  for (int64_t j = 0; j < d->width; j++) {
    double v = logit_at(d, base + j);
    if (v != v) return v;
    if (v > top) top = v;
  }
  return top;
}

/* logits [width] of a row, u in [0, 1) -> class 1..width, 0 when the row is no distribution */
static int64_t pick (const draw *d, int64_t row, double u) {
  int64_t base = row * d->width, last = 0;
  double top = top_logit(d, base), total = 0, sum = 0, kept[CHUNK];
  if (!isfinite(top)) return 0;
  for (int64_t j = 0; j < d->width; j++) {
    double w = exp(logit_at(d, base + j) - top);
    if (j < CHUNK) kept[j] = w;
    total += w;
  }
  for (int64_t j = 0; j < d->width; j++) {
    double w = j < CHUNK ? kept[j] : exp(logit_at(d, base + j) - top);
    if (w == 0) continue;
    last = j + 1;
    sum += w;
    if (sum > u * total) break;
  }
  return last;
}

static void fill_categorical (const draw *d, int64_t first, int64_t n, void *out) {
  double u[CHUNK];
  int64_t *o = out;
  for (int64_t i = 0; i < n; i += CHUNK) {
    int64_t m = n - i < CHUNK ? n - i : CHUNK;
    neap_fill_uniform(d->tiles, d->key, d->step, first + i, m, NEAP_FLOAT64, u);
    for (int64_t j = 0; j < m; j++) {
      o[i + j] = pick(d, first + i + j, u[j]);
      if (!o[i + j]) atomic_store_explicit(&((draw *)(uintptr_t)d)->bad, 1, memory_order_relaxed);
    }
  }
}

neap_tensor *neap_rng_categorical (neap_context *c, neap_rng *r, neap_tensor *logits) {
  if (!neap_ok(c) || !logits || !float_wanted(c, "categorical: logits", logits->dtype)) return NULL;
  if (logits->ndim == 0 || logits->shape[logits->ndim - 1] == 0)
    return neap_fail(c, NEAP_ESHAPE, "categorical: at least one class expected in the last dimension, got shape %s",
                     SHAPE_TEXT(logits));
  trace_refuse(c, "draws from logits (categorical)");
  neap_scope s = neap_scope_open(c);
  neap_tensor *x = neap_contiguous_data(c, logits);
  draw d = { .fill = fill_categorical, .in = x ? neap_ptr(x) : NULL };
  d.wide = logits->dtype == NEAP_FLOAT64;
  d.width = logits->shape[logits->ndim - 1];
  neap_tensor *out = x ? drawn(c, r, &d, NEAP_INT64, x->ndim - 1, x->shape) : NULL;
  if (out && d.bad)
    out = neap_fail(c, NEAP_ENUMERIC, "categorical: a row of logits holds NaN or +inf, or nothing but -inf");
  return neap_scope_return(c, s, out);
}

/* ---- permutation (Fisher and Yates; Durstenfeld 1964) ---- */

neap_tensor *neap_rng_permutation (neap_context *c, neap_rng *r, int64_t n) {
  if (!neap_ok(c)) return NULL;
  if (n < 0) return neap_fail(c, NEAP_EARG, "randperm: a size of 0 or more expected, got %lld", (long long)n);
  trace_refuse(c, "draws a permutation");
  neap_scope s = neap_scope_open(c);
  draw d = { .fill = fill_randint, .lo = 0, .width = 0 };
  neap_tensor *words = drawn(c, r, &d, NEAP_INT64, 1, &n), *out = words ? neap_tensor_new(c, NEAP_INT64, 1, &n) : NULL;
  if (out) {
    const uint64_t *w = neap_ptr(words);
    int64_t *p = neap_ptr(out);
    for (int64_t i = 0; i < n; i++) {      /* inside out: place i takes j's value, j takes the new one */
      int64_t j = (int64_t)((unsigned __int128)w[i] * (uint64_t)(i + 1) >> 64);
      p[i] = p[j];
      p[j] = i + 1;
    }
  }
  return neap_scope_return(c, s, out);
}
