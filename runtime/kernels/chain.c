/*
** chain.c -- runs a chain of tile kernels, tile by tile, block by block.
** Invariant: a kernel sees whole vectors: what a tile lacks to a multiple of NEAP_TILE_PAD is filled with copies of
** its last element, in scratch memory, and cut off again.
*/
#include "chain.h"
#include <string.h>

#define BLOCK (16 * NEAP_TILE)             /* elements one thread takes at a time */
#define PARALLEL_FROM (2 * BLOCK)

/* ---- filling ---- */

#if defined __GNUC__ && !defined __clang__
#pragma GCC push_options
#pragma GCC optimize ("O3")                /* these loops as vectors */
#endif

static void repeat (char *out, const char *value, int64_t n, size_t size) {
  switch (size) {
    case 8: { uint64_t v, *o = (uint64_t *)out; memcpy(&v, value, 8); for (int64_t i = 0; i < n; i++) o[i] = v; break; }
    case 4: { uint32_t v, *o = (uint32_t *)out; memcpy(&v, value, 4); for (int64_t i = 0; i < n; i++) o[i] = v; break; }
    default: memset(out, *value, (size_t)n);
  }
}

static void copy_line (char *out, const char *data, int64_t stride, int64_t n, size_t size) {
  if (stride == 1) { memcpy(out, data, (size_t)n * size); return; }
  if (stride == 0) { repeat(out, data, n, size); return; }
  switch (size) {
    case 8: for (int64_t i = 0; i < n; i++) memcpy(out + 8 * i, data + 8 * stride * i, 8); break;
    case 4: for (int64_t i = 0; i < n; i++) memcpy(out + 4 * i, data + 4 * stride * i, 4); break;
    default: for (int64_t i = 0; i < n; i++) out[i] = data[stride * i];
  }
}

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

static int64_t padded (int64_t n) { return (n + NEAP_TILE_PAD - 1) & -(int64_t)NEAP_TILE_PAD; }

static void pad (char *tile, int64_t n, size_t size) {
  repeat(tile + (size_t)n * size, tile + (size_t)(n - 1) * size, padded(n) - n, size);
}

/* ---- sources ---- */

void neap_tile_source_set (neap_tile_source *s, const neap_tensor *t) {
  int n = 0;
  for (int i = 0; i < t->ndim; i++) {
    if (t->shape[i] == 1) continue;
    if (n > 0 && s->strides[n - 1] == t->strides[i] * t->shape[i]) {
      s->shape[n - 1] *= t->shape[i];
      s->strides[n - 1] = t->strides[i];
    } else {
      s->shape[n] = t->shape[i];
      s->strides[n++] = t->strides[i];
    }
  }
  s->ndim = n;
  s->data = neap_ptr(t);
  s->size = neap_dtype_size(t->dtype);
  s->period = 0;
  s->kind = n == 0 || (n == 1 && s->strides[0] == 0) ? SOURCE_CONSTANT
          : n == 1 && s->strides[0] == 1 ? SOURCE_DIRECT : SOURCE_STRIDED;
  if (s->kind == SOURCE_STRIDED && s->strides[0] == 0) {
    s->period = 1;
    for (int i = 1; i < n; i++) s->period *= s->shape[i];
  }
}

enum { NARROW = 16 };

/* A column repeated along a narrow innermost dimension, [n, 1] -> [n, width]: each element width times. */
#define SPREAD(type) \
  static void spread_##type (const char *data, int64_t stride, int64_t width, int64_t first, int64_t n, char *out) { \
    const type *x = (const type *)data; \
    type *o = (type *)out; \
    int64_t row = first / width, at = first % width; \
    for (int64_t i = 0; i < n; row++, at = 0) { \
      type v = x[row * stride]; \
      for (; at < width && i < n; at++) o[i++] = v; \
    } \
  }
SPREAD(uint64_t)
SPREAD(uint32_t)
SPREAD(uint8_t)

static bool spread (const neap_tile_source *s, int64_t first, int64_t n, char *out) {
  if (s->ndim != 2 || s->strides[1] != 0 || s->shape[1] > NARROW) return false;
  switch (s->size) {
    case 8: spread_uint64_t(s->data, s->strides[0], s->shape[1], first, n, out); break;
    case 4: spread_uint32_t(s->data, s->strides[0], s->shape[1], first, n, out); break;
    default: spread_uint8_t(s->data, s->strides[0], s->shape[1], first, n, out);
  }
  return true;
}

/* runs along the innermost dimension, then carries into the outer ones */
static void gather_runs (const neap_tile_source *s, int64_t first, int64_t n, char *out) {
  int last = s->ndim - 1;
  int64_t at[NEAP_MAX_DIMS], offset = 0;
  for (int i = last; i >= 0; i--) {
    at[i] = first % s->shape[i];
    first /= s->shape[i];
    offset += at[i] * s->strides[i];
  }
  for (;;) {
    int64_t run = s->shape[last] - at[last] < n ? s->shape[last] - at[last] : n;
    copy_line(out, s->data + offset * (int64_t)s->size, s->strides[last], run, s->size);
    if (!(n -= run)) return;
    out += (size_t)run * s->size;
    offset -= at[last] * s->strides[last];
    at[last] = 0;
    for (int i = last - 1; i >= 0; i--) {
      offset += s->strides[i];
      if (++at[i] < s->shape[i]) break;
      offset -= s->shape[i] * s->strides[i];
      at[i] = 0;
    }
  }
}

void neap_tile_gather (const neap_tile_source *s, int64_t first, int64_t n, void *out) {
  if (s->kind == SOURCE_DIRECT) { memcpy(out, s->data + (size_t)first * s->size, (size_t)n * s->size); return; }
  if (s->kind == SOURCE_CONSTANT) { repeat(out, s->data, n, s->size); return; }
  if (spread(s, first, n, out)) return;
  if (!s->period || s->period >= n) { gather_runs(s, first, n, out); return; }
  gather_runs(s, first % s->period, s->period, out);
  for (int64_t have = s->period; have < n; have *= 2)
    memcpy((char *)out + (size_t)have * s->size, out, (size_t)(2 * have < n ? have : n - have) * s->size);
}

/* the source's tile at first, in place where it lies whole in memory, else in scratch */
static const void *source_tile (const neap_tile_source *s, int64_t first, int64_t n, char *scratch) {
  if (s->kind == SOURCE_CONSTANT) return scratch;      /* filled once */
  if (s->kind == SOURCE_DIRECT && n % NEAP_TILE_PAD == 0) return s->data + (size_t)first * s->size;
  neap_tile_gather(s, first, n, scratch);
  pad(scratch, n, s->size);
  return scratch;
}

/* ---- running ---- */

typedef char tile_memory[NEAP_TILE * sizeof(double)];

static void run_step (const neap_tile_step *step, int64_t n, const void **slot, void *out) {
  const void *in[NEAP_MAX_INPUTS];
  for (int i = 0; i < step->n; i++) in[i] = slot[step->in[i]];
  step->kernel(n, out, in, step->p, step->q);
  slot[step->out] = out;
}

static void run_tile (const neap_chain *c, int64_t first, int64_t n, tile_memory *scratch) {
  const void *slot[NEAP_CHAIN_SLOTS];
  char *out = c->out + (size_t)first * c->out_size;
  bool whole = n % NEAP_TILE_PAD == 0;
  for (int i = 0; i < c->nsources; i++) slot[i] = source_tile(&c->source[i], first, n, scratch[i]);
  for (int i = 0; i < c->nsteps - 1; i++) run_step(&c->steps[i], padded(n), slot, scratch[c->steps[i].out]);
  const neap_tile_step *last = &c->steps[c->nsteps - 1];
  run_step(last, padded(n), slot, whole ? out : scratch[last->out]);
  if (!whole) memcpy(out, scratch[last->out], (size_t)n * c->out_size);
}

static void run_range (const neap_chain *c, int64_t first, int64_t n) {
  _Alignas(64) tile_memory scratch[NEAP_CHAIN_SLOTS];  /* touched where used only */
  int64_t longest = n < NEAP_TILE ? padded(n) : NEAP_TILE;
  for (int i = 0; i < c->nsources; i++)
    if (c->source[i].kind == SOURCE_CONSTANT) repeat(scratch[i], c->source[i].data, longest, c->source[i].size);
  for (int64_t end = first + n; first < end; first += NEAP_TILE)
    run_tile(c, first, end - first < NEAP_TILE ? end - first : NEAP_TILE, scratch);
}

static void run_block (void *arg, int64_t block) {
  const neap_chain *c = arg;
  int64_t first = block * BLOCK;
  run_range(c, first, c->n - first < BLOCK ? c->n - first : BLOCK);
}

void neap_run_chain (neap_context *c, const neap_chain *chain) {
  if (chain->n < PARALLEL_FROM) run_range(chain, 0, chain->n);
  else neap_parallel(c, (chain->n + BLOCK - 1) / BLOCK, run_block, (void *)(uintptr_t)chain);
}
