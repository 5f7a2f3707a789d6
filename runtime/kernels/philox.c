/*
** philox.c -- any range of a draw, from kernels that make whole groups; the keys of streams.
** Invariant: what stands at element i does not depend on the range it was asked in.
*/
#include "tile.h"
#include <string.h>

/* MurmurHash3's 64-bit finalizer: a bijection in which every input bit reaches every output bit */
static uint64_t mix (uint64_t x) {
  x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
  x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
  return x ^ x >> 33;
}

uint64_t neap_stream_mix (uint64_t a, uint64_t b) { return mix(mix(a + 0x9e3779b97f4a7c15u) + b); }

neap_key neap_stream_key (uint64_t seed, uint64_t stream) {
  uint64_t k = neap_stream_mix(seed, stream);
  return (neap_key){ (uint32_t)k, (uint32_t)(k >> 32) };
}

typedef struct draw { neap_draw_kernel *kernel; neap_key key; uint64_t step; size_t size; } draw;

/* elements [first, first + n) of one group */
static void part (const draw *d, int64_t first, int64_t n, char *out) {
  double group[NEAP_DRAW_GROUP];
  int64_t skip = first % NEAP_DRAW_GROUP;
  d->kernel(d->key, d->step, first - skip, NEAP_DRAW_GROUP, group);
  memcpy(out, (char *)group + (size_t)skip * d->size, (size_t)n * d->size);
}

static void fill (const draw *d, int64_t first, int64_t n, char *out) {
  int64_t to_group = -first & (NEAP_DRAW_GROUP - 1), head = to_group < n ? to_group : n;
  int64_t whole = (n - head) & -(int64_t)NEAP_DRAW_GROUP, tail = n - head - whole;
  if (head) part(d, first, head, out);
  if (whole) d->kernel(d->key, d->step, first + head, whole, out + (size_t)head * d->size);
  if (tail) part(d, first + head + whole, tail, out + (size_t)(head + whole) * d->size);
}

void neap_fill_normal (const neap_tiles *t, neap_key key, uint64_t step, int64_t first, int64_t n, neap_dtype d,
                       void *out) {
  fill(&(draw){ t->normal[d == NEAP_FLOAT64], key, step, neap_dtype_size(d) }, first, n, out);
}
void neap_fill_uniform (const neap_tiles *t, neap_key key, uint64_t step, int64_t first, int64_t n, neap_dtype d,
                        void *out) {
  fill(&(draw){ t->uniform[d == NEAP_FLOAT64], key, step, neap_dtype_size(d) }, first, n, out);
}
void neap_fill_words (const neap_tiles *t, neap_key key, uint64_t step, int64_t first, int64_t n, uint64_t *out) {
  fill(&(draw){ t->words, key, step, sizeof *out }, first, n, (char *)out);
}
