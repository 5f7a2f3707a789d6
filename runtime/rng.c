/*
** rng.c -- random streams and the draws made from them.
** Invariant: a draw of a tensor uses one step of its stream, and element i is a function of (seed, stream, step, i);
** so draws do not depend on threads, and three integers are the whole state.
*/
#include "core.h"
#include "kernels/draw.h"
#include "program/trace.h"
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

typedef struct job {
  neap_draw d;
  int64_t n, block;
  const char *in; size_t in_bytes;         /* the operand, and how much of it belongs to an element */
  char *out; size_t out_bytes;
  atomic_int refused;
} job;

static void run_block (void *arg, int64_t block) {
  job *j = arg;
  int64_t first = block * j->block, n = j->n - first < j->block ? j->n - first : j->block;
  const char *in = j->in ? j->in + (size_t)first * j->in_bytes : NULL;
  if (!neap_draw_fill(&j->d, first, n, in, j->out + (size_t)first * j->out_bytes))
    atomic_store_explicit(&j->refused, 1, memory_order_relaxed);
}

/* fills out with r's next step, which is taken if that goes well; in: the operand, row-major */
static bool run_draw (neap_context *c, neap_rng *r, neap_draw d, const neap_tensor *in, neap_tensor *out) {
  if (c->trace) trace_stream(c, r);
  if (c->trace && c->trace->blind) { r->state.step++; return true; }
  d.tiles = c->tiles;
  d.key = neap_stream_key(r->state.seed, r->state.stream);
  d.step = r->state.step;
  d.dtype = in ? in->dtype : out->dtype;
  job j = { .d = d, .n = neap_numel(out), .out = neap_ptr(out), .out_bytes = neap_dtype_size(out->dtype) };
  j.block = d.law == DRAW_PERMUTATION ? j.n + 1 : BLOCK;
  j.in = in ? neap_ptr(in) : NULL;
  j.in_bytes = neap_dtype_size(d.dtype) * (size_t)(d.law == DRAW_CATEGORICAL ? d.width : 1);
  neap_parallel(c, (j.n + j.block - 1) / j.block, run_block, &j);
  if (j.refused) return neap_draw_refuse(c, &d, j.n, j.in);
  r->state.step++;
  return true;
}

/* The law, its numbers, and the operand (or NULL) make a draw of this dtype and shape. */
static neap_tensor *drawn (neap_context *c, neap_rng *r, neap_draw d, neap_tensor *operand, neap_dtype t, int ndim,
                           const int64_t *shape) {
  if (!r) return NULL;
  neap_scope s = neap_scope_open(c);
  neap_tensor *in = operand ? neap_contiguous_data(c, operand) : NULL;
  neap_tensor *out = in || !operand ? neap_tensor_new(c, t, ndim, shape) : NULL;
  if (out && !run_draw(c, r, d, in, out)) out = NULL;
  if (out && c->trace) trace_draw(c, &d, r, operand, out);
  return neap_scope_return(c, s, out);
}

static bool float_wanted (neap_context *c, const char *what, neap_dtype d) {
  if (neap_is_float(d)) return true;
  return neap_fail(c, NEAP_EDTYPE, "%s: float32 or float64 expected, got %s", what, neap_dtype_name(d));
}

/* ---- one of each law ---- */

neap_tensor *neap_rng_normal (neap_context *c, neap_rng *r, neap_dtype t, int ndim, const int64_t *shape) {
  if (!float_wanted(c, "normal", t)) return NULL;
  return drawn(c, r, (neap_draw){ .law = DRAW_NORMAL }, NULL, t, ndim, shape);
}

neap_tensor *neap_rng_uniform (neap_context *c, neap_rng *r, neap_dtype t, int ndim, const int64_t *shape) {
  if (!float_wanted(c, "uniform", t)) return NULL;
  return drawn(c, r, (neap_draw){ .law = DRAW_UNIFORM }, NULL, t, ndim, shape);
}

neap_tensor *neap_rng_randint (neap_context *c, neap_rng *r, int64_t lo, int64_t hi, int ndim, const int64_t *shape) {
  if (!neap_ok(c)) return NULL;
  if (lo > hi)
    return neap_fail(c, NEAP_EARG, "randint: lo must not exceed hi, got %lld and %lld", (long long)lo, (long long)hi);
  neap_draw d = { .law = DRAW_INTEGERS, .lo = lo, .width = (int64_t)((uint64_t)hi - (uint64_t)lo + 1) };
  return drawn(c, r, d, NULL, NEAP_INT64, ndim, shape);
}

neap_tensor *neap_rng_bernoulli (neap_context *c, neap_rng *r, neap_tensor *p) {
  if (!neap_ok(c) || !p || !float_wanted(c, "bernoulli: p", p->dtype)) return NULL;
  return drawn(c, r, (neap_draw){ .law = DRAW_BERNOULLI }, p, p->dtype, p->ndim, p->shape);
}

neap_tensor *neap_rng_categorical (neap_context *c, neap_rng *r, neap_tensor *logits) {
  if (!neap_ok(c) || !logits || !float_wanted(c, "categorical: logits", logits->dtype)) return NULL;
  int last = logits->ndim - 1;
  if (last < 0 || logits->shape[last] == 0)
    return neap_fail(c, NEAP_ESHAPE, "categorical: at least one class expected in the last dimension, got shape %s",
                     SHAPE_TEXT(logits));
  neap_draw d = { .law = DRAW_CATEGORICAL, .width = logits->shape[last] };
  return drawn(c, r, d, logits, NEAP_INT64, last, logits->shape);
}

neap_tensor *neap_rng_permutation (neap_context *c, neap_rng *r, int64_t n) {
  if (!neap_ok(c)) return NULL;
  if (n < 0) return neap_fail(c, NEAP_EARG, "randperm: a size of 0 or more expected, got %lld", (long long)n);
  return drawn(c, r, (neap_draw){ .law = DRAW_PERMUTATION }, NULL, NEAP_INT64, 1, &n);
}
