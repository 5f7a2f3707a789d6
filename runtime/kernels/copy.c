/*
** copy.c -- copies and casts between tensors of any strides.
** Invariant: float to integer truncates toward zero, saturates, and takes NaN to 0; integers wrap into uint8; anything
** to bool is "not zero".  Lines run along the destination's fastest dimension; where the source's is another one,
** slabs of both are small enough that cache lines read are used whole.
*/
#include "op.h"
#include "program/trace.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* dst[i*ds] = src[i*ss] for i < n, strides in elements */
typedef void line_fn (int64_t n, void *dst, int64_t ds, const void *src, int64_t ss);

/* ---- conversion of one element ---- */

static inline int64_t to_int64 (double x) {
  if (!(x == x)) return 0;
  return x >= 0x1p63 ? INT64_MAX : x <= -0x1p63 ? INT64_MIN : (int64_t)x;
}
static inline uint8_t to_uint8 (double x) { return !(x > 0) ? 0 : x >= 255 ? 255 : (uint8_t)x; }

#define IS_REAL(x) _Generic((x), float: true, double: true, default: false)
#define TO_f32(x) ((float)(x))
#define TO_f64(x) ((double)(x))
#define TO_i64(x) (IS_REAL(x) ? to_int64((double)(x)) : (int64_t)(x))
#define TO_u8(x) (IS_REAL(x) ? to_uint8((double)(x)) : (uint8_t)(x))
#define TO_b8(x) ((uint8_t)((x) != 0))

#define T_f32 float
#define T_f64 double
#define T_i64 int64_t
#define T_u8 uint8_t
#define T_b8 uint8_t

#if defined __GNUC__ && !defined __clang__
#pragma GCC push_options
#pragma GCC optimize ("O3")                /* the loops of unit stride as vectors */
#endif

#define LINE(from, to) \
  static void from##_##to (int64_t n, void *dst, int64_t ds, const void *src, int64_t ss) { \
    T_##to *d = dst; \
    const T_##from *s = src; \
    if (ds == 1 && ss == 1) for (int64_t i = 0; i < n; i++) d[i] = TO_##to(s[i]); \
    else for (int64_t i = 0; i < n; i++, d += ds, s += ss) *d = TO_##to(*s); \
  }
#define LINES(from) LINE(from, f32) LINE(from, f64) LINE(from, i64) LINE(from, u8) LINE(from, b8)
LINES(f32) LINES(f64) LINES(i64) LINES(u8) LINES(b8)

#define SAME(bytes, type) \
  static void same_##bytes (int64_t n, void *dst, int64_t ds, const void *src, int64_t ss) { \
    type *d = dst; \
    const type *s = src; \
    if (ds == 1 && ss == 1) { memcpy(d, s, (size_t)n * bytes); return; } \
    for (int64_t i = 0; i < n; i++, d += ds, s += ss) *d = *s; \
  }
SAME(1, uint8_t) SAME(4, uint32_t) SAME(8, uint64_t)

/* dst[j*dstep + i] = src[i*sstep + j] for i, j < edge, steps in bytes: every line of either side is touched once, so
** that steps of a power of two, whose lines share a set of the cache, do no harm */
typedef void turn_fn (char *dst, int64_t dstep, const char *src, int64_t sstep);

#define TURN(bytes, type, edge) \
  static void turn_##bytes (char *dst, int64_t dstep, const char *src, int64_t sstep) { \
    type block[edge][edge], line[edge]; \
    for (int i = 0; i < edge; i++) memcpy(block[i], src + i * sstep, sizeof block[i]); \
    for (int j = 0; j < edge; j++) { \
      for (int i = 0; i < edge; i++) line[i] = block[i][j]; \
      memcpy(dst + j * dstep, line, sizeof line); \
    } \
  }
TURN(1, uint8_t, 32) TURN(4, uint32_t, 16) TURN(8, uint64_t, 8)

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

static line_fn *line_of (neap_dtype from, neap_dtype to) {
#define ROW(t) { t##_f32, t##_f64, t##_i64, t##_u8, t##_b8 }
  static line_fn *const lines[NEAP_NDTYPES][NEAP_NDTYPES] = { ROW(f32), ROW(f64), ROW(i64), ROW(u8), ROW(b8) };
  if (from != to) return lines[from][to];
  return neap_dtype_size(to) == 8 ? same_8 : neap_dtype_size(to) == 4 ? same_4 : same_1;
}

/* ---- a copy: dimensions by falling destination stride, merged where both sides allow ---- */

typedef struct copy {
  line_fn *line;
  int ndim;                                /* the last is the line; slab is the one of its partner, -1 = none */
  int64_t shape[NEAP_MAX_DIMS], ds[NEAP_MAX_DIMS], ss[NEAP_MAX_DIMS];
  char *dst; const char *src;
  int64_t dsize, ssize;                    /* bytes of an element */
  int slab;
  int64_t tile;                            /* lines are cut to this length */
  turn_fn *turn; int64_t edge;             /* the source runs along the slab, the destination along the line; or NULL */
  int64_t units, per_block;                /* a unit: SLAB entries of the slab dimension, at one outer index */
} copy;

enum { SLAB = 32, BLOCK = 1 << 14, PARALLEL_FROM = 1 << 16 };

static bool before (const copy *k, int a, int b) {
  int64_t x = llabs(k->ds[a]), y = llabs(k->ds[b]);
  return x != y ? x > y : llabs(k->ss[a]) > llabs(k->ss[b]);
}

static void swap_dims (copy *k, int a, int b) {
  int64_t n = k->shape[a], d = k->ds[a], s = k->ss[a];
  k->shape[a] = k->shape[b]; k->ds[a] = k->ds[b]; k->ss[a] = k->ss[b];
  k->shape[b] = n; k->ds[b] = d; k->ss[b] = s;
}

static void order_and_merge (copy *k) {
  for (int i = 1; i < k->ndim; i++)
    for (int j = i; j > 0 && before(k, j, j - 1); j--) swap_dims(k, j, j - 1);
  int n = 0;
  for (int i = 1; i < k->ndim; i++) {
    if (k->ds[n] == k->ds[i] * k->shape[i] && k->ss[n] == k->ss[i] * k->shape[i]) {
      k->shape[n] *= k->shape[i];
      k->ds[n] = k->ds[i]; k->ss[n] = k->ss[i];
    } else {
      n++;
      swap_dims(k, n, i);
    }
  }
  k->ndim = n + 1;
}

static void choose_turn (copy *k) {
  int last = k->ndim - 1;
  k->turn = NULL;
  if (k->slab < 0 || k->tile != SLAB || k->ss[k->slab] != 1 || k->ds[last] != 1) return;
  if (k->line == same_4) { k->turn = turn_4; k->edge = 16; }
  else if (k->line == same_8) { k->turn = turn_8; k->edge = 8; }
  else if (k->line == same_1) { k->turn = turn_1; k->edge = 32; }
}

/* which dimension is taken in slabs: the one the source runs along, else the one next to the line */
static void choose_slabs (copy *k) {
  int last = k->ndim - 1;
  k->slab = last - 1;
  k->tile = k->shape[last];
  if (llabs(k->ss[last]) > 1)
    for (int i = 0; i < last; i++)
      if (llabs(k->ss[i]) == 1) { k->slab = i; k->tile = SLAB; }
  choose_turn(k);
  k->units = 1;
  int64_t unit = k->shape[last];
  for (int i = 0; i < last; i++) {
    if (i == k->slab) { k->units *= (k->shape[i] + SLAB - 1) / SLAB; unit *= SLAB; }
    else k->units *= k->shape[i];
  }
  k->per_block = unit < BLOCK ? BLOCK / unit : 1;
}

/* SLAB elements of as many rows as fill edges; returns how many */
static int64_t turn_slab (const copy *k, char *dst, int64_t drow, const char *src, int64_t scol, int64_t rows) {
  int64_t whole = rows / k->edge * k->edge;
  for (int64_t i = 0; i < SLAB; i += k->edge)
    for (int64_t j = 0; j < whole; j += k->edge)
      k->turn(dst + j * drow + i * k->dsize, drow, src + i * scol + j * k->ssize, scol);
  return whole;
}

static void lines (const copy *k, char *dst, const char *src, int64_t rows) {
  int last = k->ndim - 1;
  int64_t drow = k->slab < 0 ? 0 : k->ds[k->slab] * k->dsize, srow = k->slab < 0 ? 0 : k->ss[k->slab] * k->ssize;
  int64_t dcol = k->ds[last] * k->dsize, scol = k->ss[last] * k->ssize;
  for (int64_t i = 0; i < k->shape[last]; i += k->tile) {
    int64_t n = k->shape[last] - i < k->tile ? k->shape[last] - i : k->tile;
    int64_t done = k->turn && n == SLAB ? turn_slab(k, dst + i * dcol, drow, src + i * scol, scol, rows) : 0;
    for (int64_t j = done; j < rows; j++)
      k->line(n, dst + j * drow + i * dcol, k->ds[last], src + j * srow + i * scol, k->ss[last]);
  }
}

static void run_unit (const copy *k, int64_t unit) {
  char *dst = k->dst;
  const char *src = k->src;
  int64_t rows = 1;
  for (int i = k->ndim - 2; i >= 0; i--) {
    int64_t step = i == k->slab ? SLAB : 1, n = (k->shape[i] + step - 1) / step, at = unit % n * step;
    unit /= n;
    if (i == k->slab) rows = k->shape[i] - at < SLAB ? k->shape[i] - at : SLAB;
    dst += at * k->ds[i] * k->dsize;
    src += at * k->ss[i] * k->ssize;
  }
  lines(k, dst, src, rows);
}

static void run_block (void *arg, int64_t block) {
  const copy *k = arg;
  int64_t first = block * k->per_block, end = first + k->per_block < k->units ? first + k->per_block : k->units;
  for (int64_t u = first; u < end; u++) run_unit(k, u);
}

/* dst and src of t's shape; the sizes are positive */
static void run_copy (neap_context *c, copy *k, int64_t n) {
  if (k->ndim == 0) { k->line(1, k->dst, 1, k->src, 1); return; }
  order_and_merge(k);
  choose_slabs(k);
  if (n >= PARALLEL_FROM) neap_parallel(c, (k->units + k->per_block - 1) / k->per_block, run_block, k);
  else for (int64_t u = 0; u < k->units; u++) run_unit(k, u);
}

/* elements of src, of dtype d, to memory whose strides are given */
static void copy_to (void *dst, neap_dtype d, const int64_t *strides, const neap_tensor *src) {
  copy k = { .line = line_of(src->dtype, d), .dst = dst, .src = neap_ptr(src) };
  k.dsize = (int64_t)neap_dtype_size(d); k.ssize = (int64_t)neap_dtype_size(src->dtype);
  int64_t n = 1;
  for (int i = 0; i < src->ndim; i++) {
    n *= src->shape[i];
    if (src->shape[i] == 1) continue;
    k.shape[k.ndim] = src->shape[i];
    k.ds[k.ndim] = strides[i];
    k.ss[k.ndim++] = src->strides[i];
  }
  if (n > 0) run_copy(src->ctx, &k, n);
}

/* ---- what others call ---- */

void neap_copy_strided (neap_tensor *dst, const neap_tensor *src) {
  copy_to(neap_ptr(dst), dst->dtype, dst->strides, src);
}

static neap_tensor *copy_of (neap_context *c, neap_tensor *x) {
  neap_tensor *out = neap_tensor_new(c, x->dtype, x->ndim, x->shape);
  if (out) neap_copy_strided(out, x);
  return out;
}

neap_tensor *neap_contiguous_data (neap_context *c, neap_tensor *x) {
  return !x || neap_is_contiguous(x) ? x : copy_of(c, x);
}

bool neap_read (neap_context *c, const neap_tensor *t, neap_dtype d, void *out) {
  if (!neap_ok(c) || !t) return false;
  if (c->trace) trace_read(c, t);
  int64_t strides[NEAP_MAX_DIMS], step = 1;
  for (int i = t->ndim - 1; i >= 0; i--) { strides[i] = step; step *= t->shape[i]; }
  copy_to(out, d, strides, t);
  return true;
}

/* first and last byte + 1 that x's elements take in its storage */
static void extent (const neap_tensor *x, int64_t *first, int64_t *end) {
  int64_t lo = x->offset, hi = x->offset;
  for (int i = 0; i < x->ndim; i++) {
    int64_t reach = (x->shape[i] - 1) * x->strides[i];
    if (reach < 0) lo += reach; else hi += reach;
  }
  int64_t size = (int64_t)neap_dtype_size(x->dtype);
  *first = lo * size;
  *end = (hi + 1) * size;
}

static bool may_overlap (const neap_tensor *a, const neap_tensor *b) {
  if (a->store->data != b->store->data) return false;
  int64_t a0, a1, b0, b1;
  extent(a, &a0, &a1);
  extent(b, &b0, &b1);
  return a0 < b1 && b0 < a1;
}

/* src seen in dst's shape */
static bool broadcast_to (neap_context *c, const neap_tensor *dst, const neap_tensor *src, neap_tensor *view) {
  *view = *src;
  view->ndim = dst->ndim;
  for (int i = 0; i < dst->ndim; i++) {
    int from = i - (dst->ndim - src->ndim);
    int64_t n = from < 0 ? 1 : src->shape[from];
    if (n != 1 && n != dst->shape[i]) goto misfit;
    view->shape[i] = dst->shape[i];
    view->strides[i] = n == 1 ? 0 : src->strides[from];
  }
  for (int i = 0; i < src->ndim - dst->ndim; i++) if (src->shape[i] != 1) goto misfit;
  return true;
misfit:
  return neap_fail(c, NEAP_ESHAPE, "write: a value of shape %s does not fit into %s", SHAPE_TEXT(src), SHAPE_TEXT(dst));
}

static bool writable (neap_context *c, const neap_tensor *dst) {
  for (int i = 0; i < dst->ndim; i++)
    if (dst->strides[i] == 0 && dst->shape[i] > 1)
      return neap_fail(c, NEAP_EARG, "write: elements of an expanded tensor of shape %s share memory; write to a copy",
                       SHAPE_TEXT(dst));
  return true;
}

bool neap_write (neap_context *c, neap_tensor *dst, const neap_tensor *src) {
  if (!neap_ok(c) || !dst || !src || !writable(c, dst)) return false;
  trace_refuse(c, "writes into a tensor in place");
  neap_tensor view;
  if (!broadcast_to(c, dst, src, &view)) return false;
  if (neap_numel(dst) == 0) return true;
  neap_scope s = neap_scope_open(c);
  const neap_tensor *from = may_overlap(dst, src) ? copy_of(c, &view) : &view;
  if (from) neap_copy_strided(dst, from);
  neap_scope_close(c, s);
  if (!from) return false;
  dst->store->version++;
  return true;
}
