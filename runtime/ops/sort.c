/*
** sort.c -- argsort, argtopk and argmedian along a dimension: 1-based indices; values follow by gather.
** Invariant: orders are stable; a NaN counts as the largest value and −0 equals 0.  Every dtype is ordered through
** an unsigned 64-bit key, so there is one sort.
*/
#include "ops/support.h"
#include <string.h>

typedef struct entry { uint64_t key; int64_t index; } entry;

typedef struct job {
  const neap_tensor *x;
  int axis;
  int64_t n, keep, per, units;             /* units sorted lines of n, of which keep indices are taken */
  bool descending, median;
  entry *space;                            /* 2 n entries for each block */
  int64_t *out; int64_t out_inner;
} job;

/* ---- keys: unsigned order is the order of values ---- */

static uint64_t float_key (double v) {
  union { double f; uint64_t u; } b = { v == 0 ? 0 : v };
  if (v != v) return UINT64_MAX;
  return b.u >> 63 ? ~b.u : b.u | UINT64_C(1) << 63;
}

static uint64_t key_at (const neap_tensor *x, int64_t at) {
  switch (x->dtype) {
    case NEAP_FLOAT32: return float_key(((const float *)neap_ptr(x))[at]);
    case NEAP_FLOAT64: return float_key(((const double *)neap_ptr(x))[at]);
    case NEAP_INT64: return (uint64_t)((const int64_t *)neap_ptr(x))[at] ^ UINT64_C(1) << 63;
    default: return ((const uint8_t *)neap_ptr(x))[at];
  }
}

/* ---- a stable merge sort: runs of 16 by insertion, then merges between a and b ---- */

static void insertion (entry *a, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    entry e = a[i];
    int64_t j = i;
    for (; j > 0 && a[j - 1].key > e.key; j--) a[j] = a[j - 1];
    a[j] = e;
  }
}

static void merge (const entry *a, int64_t na, const entry *b, int64_t nb, entry *out) {
  while (na > 0 && nb > 0)
    if (a->key <= b->key) { *out++ = *a++; na--; }
    else { *out++ = *b++; nb--; }
  if (na > 0) memcpy(out, a, (size_t)na * sizeof *a);
  if (nb > 0) memcpy(out, b, (size_t)nb * sizeof *b);
}

/* returns whichever of a and b holds the result */
static entry *sort_entries (entry *a, entry *b, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) insertion(a + i, n - i < 16 ? n - i : 16);
  for (int64_t run = 16; run < n; run *= 2) {
    for (int64_t i = 0; i < n; i += 2 * run) {
      int64_t left = n - i < run ? n - i : run, right = n - i - left < run ? n - i - left : run;
      merge(a + i, left, a + i + left, right, b + i);
    }
    entry *t = a; a = b; b = t;
  }
  return a;
}

/* ---- lines ---- */

/* offset in elements of line u of x: all dimensions but the axis, in row-major order */
static int64_t line_offset (const neap_tensor *x, int axis, int64_t u) {
  int64_t at = 0;
  for (int d = x->ndim - 1; d >= 0; d--) {
    if (d == axis) continue;
    at += u % x->shape[d] * x->strides[d];
    u /= x->shape[d];
  }
  return at;
}

/* the lower middle, or the first NaN */
static int64_t median_of (const entry *e, int64_t n, bool nan_possible) {
  if (!nan_possible || e[n - 1].key != UINT64_MAX) return e[(n - 1) / 2].index;
  int64_t first = n - 1;
  while (first > 0 && e[first - 1].key == UINT64_MAX) first--;
  return e[first].index;
}

static void sort_line (const job *b, entry *space, int64_t u) {
  int64_t base = line_offset(b->x, b->axis, u), step = b->x->ndim ? b->x->strides[b->axis] : 0;
  for (int64_t i = 0; i < b->n; i++) {
    uint64_t key = key_at(b->x, base + i * step);
    space[i] = (entry){ b->descending ? ~key : key, i + 1 };
  }
  entry *e = sort_entries(space, space + b->n, b->n);
  int64_t *out = b->out + u / b->out_inner * b->keep * b->out_inner + u % b->out_inner;
  if (b->median) *out = median_of(e, b->n, neap_is_float(b->x->dtype));
  else for (int64_t i = 0; i < b->keep; i++) out[i * b->out_inner] = e[i].index;
}

static void sort_block (void *arg, int64_t block) {
  const job *b = arg;
  int64_t end = (block + 1) * b->per < b->units ? (block + 1) * b->per : b->units;
  for (int64_t u = block * b->per; u < end; u++) sort_line(b, b->space + block * 2 * b->n, u);
}

/* out_inner: the product of sizes behind the axis */
static bool sort_lines (neap_call *k, neap_tensor *out, job b) {
  const neap_tensor *x = b.x = k->in[0];
  b.axis = (int)k->a.i[3];
  b.n = x->ndim ? x->shape[b.axis] : 1;
  b.out = neap_ptr(out);
  b.out_inner = x->ndim ? op_product(x->shape + b.axis + 1, x->ndim - b.axis - 1) : 1;
  if (neap_numel(x) == 0 || b.keep == 0) return true;
  b.units = neap_numel(x) / b.n;
  int64_t blocks = b.units < 16 ? b.units : 16;
  if (b.units * b.n < TILE_WORK) blocks = 1;
  b.per = (b.units + blocks - 1) / blocks;
  blocks = (b.units + b.per - 1) / b.per;
  size_t bytes = (size_t)(blocks * 2 * b.n) * sizeof(entry);
  if (!(b.space = neap_malloc(k->c, bytes))) return false;
  neap_parallel(k->c, blocks, sort_block, &b);
  neap_free(k->c, b.space, bytes);
  return true;
}

/* ---- rows; infer leaves the axis in k->a.i[3] ---- */

static bool line_axis (neap_call *k, int64_t dim) {
  int axis;
  if (!op_last_axis(k->c, k->op->name, dim, k->in[0]->ndim, &axis)) return false;
  k->a.i[3] = axis;
  return true;
}

bool infer_argsort (neap_call *k, neap_meta *out) {
  if (!line_axis(k, k->a.i[0])) return false;
  op_meta(out, NEAP_INT64, k->in[0]->ndim, k->in[0]->shape);
  return true;
}

bool run_argsort (neap_call *k, neap_tensor *out) {
  const neap_tensor *x = k->in[0];
  return sort_lines(k, out, (job){ .descending = is_set(k->a.i[1]), .keep = x->ndim ? x->shape[k->a.i[3]] : 1 });
}

bool infer_argtopk (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  if (!line_axis(k, k->a.i[1])) return false;
  int64_t n = x->ndim ? x->shape[k->a.i[3]] : 1;
  if (k->a.i[0] < 0 || k->a.i[0] > n)
    return neap_fail(k->c, NEAP_EARG, "topk: k is %lld, expected 0 to %lld (shape %s)", (long long)k->a.i[0],
                     (long long)n, SHAPE_TEXT(x));
  op_meta(out, NEAP_INT64, x->ndim, x->shape);
  if (x->ndim) out->shape[k->a.i[3]] = k->a.i[0];
  else if (k->a.i[0] == 0) { out->ndim = 1; out->shape[0] = 0; }
  return true;
}

bool run_argtopk (neap_call *k, neap_tensor *out) {
  return sort_lines(k, out, (job){ .descending = true, .keep = k->a.i[0] });
}

bool infer_argmedian (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  if (!line_axis(k, k->a.i[0])) return false;
  if (x->ndim && x->shape[k->a.i[3]] == 0)
    return neap_fail(k->c, NEAP_ESHAPE, "median: dimension %lld of shape %s has no elements", (long long)k->a.i[3] + 1,
                     SHAPE_TEXT(x));
  bool axes[NEAP_MAX_DIMS] = { false };
  axes[k->a.i[3]] = true;
  op_meta_reduced(out, x, axes, is_set(k->a.i[1]), NEAP_INT64);
  return true;
}

bool run_argmedian (neap_call *k, neap_tensor *out) {
  return sort_lines(k, out, (job){ .median = true, .keep = 1 });
}
