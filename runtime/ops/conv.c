/*
** conv.c -- convolution with channels last: windows become the rows of a matrix, tile by tile, and BLAS does the rest.
** Invariant: how images are cut into tasks and windows into tiles depends on sizes only, a task computes all of its
** images, and parts of a sum over images are added up in order; so results are the same bits for any number of threads.
*/
#include "ops/conv.h"
#include <string.h>

enum { MAX_TASKS = 16, LANES = 8, LANE_IMAGES = 8,     /* parts of a sum over images, and what one should have */
       UNIT = 12,                          /* windows that BLAS's kernels like */
       MOST_ROWS = 252,                    /* of a tile: sums over windows are sums of tiles' sums, and so more exact */
       TILE_BYTES = 192 << 10,             /* of windows: they stay in L2 beside the filters */
       STEP = 32, SLACK = 64 };            /* bytes copied at once; what copies may run over */
#define GRAIN 4e6                          /* multiplications a task should have, as in matmul.c */
#define SMALL 1e6                          /* multiplications up to which OpenBLAS may copy no operand */

/* out [m, n] (+)= x [m, k] or its transpose · y [k, n], each with a step from row to row */
typedef void gemm_fn (bool xt, int64_t m, int64_t n, int64_t k, const void *x, int64_t ldx, const void *y, int64_t ldy,
                      bool add, void *out, int64_t ldo);
typedef void add_fn (int64_t n, void *to, const void *from);

typedef struct conv_job {
  neap_context *c;
  conv_shape s;
  size_t size;                             /* of an element */
  gemm_fn *gemm; add_fn *add;
  conv_kind kind;
  const char *x, *g, *w;                   /* as in conv_operands */
  char *out;
  int64_t tasks, rows;                     /* rows: windows of a tile */
  char *tiles, *parts;                     /* a tile for each task, or one for all; sums of all tasks but the first */
  size_t tile_bytes, part_bytes;
  bool alone;                              /* tasks run one after the other */
  atomic_int failed;
} conv_job;

/* ---- element types ---- */

#if defined __GNUC__ && !defined __clang__
#pragma GCC push_options
#pragma GCC optimize ("O3")                /* additions as vectors */
#endif

#define CONV_TYPE(T, l) \
static void gemm_##l (bool xt, int64_t m, int64_t n, int64_t k, const void *x, int64_t ldx, const void *y, \
                      int64_t ldy, bool add, void *out, int64_t ldo) { \
  cblas_##l##gemm(BLAS_ROWS, xt ? BLAS_T : BLAS_N, BLAS_N, (int)m, (int)n, (int)k, 1, x, (int)ldx, y, (int)ldy, \
                  add, out, (int)ldo); \
} \
static void add_##l (int64_t n, void *to, const void *from) { \
  T *d = to; \
  const T *s = from; \
  for (int64_t i = 0; i < n; i++) d[i] += s[i]; \
}
CONV_TYPE(float, s)
CONV_TYPE(double, d)

#if defined __GNUC__ && !defined __clang__
#pragma GCC pop_options
#endif

/* ---- windows ---- */

/* Columns of a window that are next to each other: all, or one. */
static inline int64_t run_of (const conv_shape *s) {
  return s->groups == 1 && s->w.dilation[1] == 1 ? s->w.kernel[1] : 1;
}

/* of the window at (y, x), the run of `columns` columns at (ky, kx): those in [*from, *end) lie in the image, whose
** element the first of them is */
static inline int64_t find_run (const conv_windows *w, int64_t columns, const int64_t at[2], int64_t ky, int64_t kx,
                                int64_t *from, int64_t *end) {
  int64_t y = at[0] * w->stride[0] - w->padding[0] + ky * w->dilation[0];
  int64_t x = at[1] * w->stride[1] - w->padding[1] + kx * w->dilation[1];
  *from = x >= 0 ? 0 : -x < columns ? -x : columns;
  *end = x + columns <= w->size[1] ? columns : w->size[1] > x + *from ? w->size[1] - x : *from;
  if (y < 0 || y >= w->size[0]) *from = *end = columns;
  return (y * w->size[1] + x + *from) * w->c;
}

/* whole steps: what is too much is written over next, or slack; storages end with a line that may be read */
static inline char *put (char *to, const char *from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += STEP) memcpy(to + i, from + i, STEP);
  return to + bytes;
}

static inline char *put_zeros (char *to, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += STEP) memset(to + i, 0, STEP);
  return to + bytes;
}

/* the window of group q at (y, x) of an image, as a row of depth elements; what follows it */
static char *take_window (const conv_job *j, int64_t q, const char *image, const int64_t at[2], char *to) {
  int64_t columns = run_of(&j->s), bytes = j->s.cg * (int64_t)j->size, from, end;
  for (int64_t ky = 0; ky < j->s.w.kernel[0]; ky++)
    for (int64_t kx = 0; kx < j->s.w.kernel[1]; kx += columns) {
      int64_t first = find_run(&j->s.w, columns, at, ky, kx, &from, &end);
      to = put_zeros(to, from * bytes);
      if (end > from) to = put(to, image + q * bytes + first * (int64_t)j->size, (end - from) * bytes);
      to = put_zeros(to, (columns - end) * bytes);
    }
  return to;
}

/* adds such a row to the image it would have been taken from */
static const char *give_window (const conv_job *j, int64_t q, char *image, const int64_t at[2], const char *row) {
  int64_t columns = run_of(&j->s), bytes = j->s.cg * (int64_t)j->size, from, end;
  for (int64_t ky = 0; ky < j->s.w.kernel[0]; ky++)
    for (int64_t kx = 0; kx < j->s.w.kernel[1]; kx += columns, row += columns * bytes) {
      int64_t first = find_run(&j->s.w, columns, at, ky, kx, &from, &end);
      if (end > from)
        j->add((end - from) * j->s.cg, image + q * bytes + first * (int64_t)j->size, row + from * bytes);
    }
  return row;
}

typedef struct place { int64_t image, at[2]; } place;

static inline place place_of (const conv_windows *w, int64_t window) {
  int64_t line = window / w->out[1];
  return (place){ line / w->out[0], { line % w->out[0], window % w->out[1] } };
}

static inline void next_place (const conv_windows *w, place *p) {
  if (++p->at[1] < w->out[1]) return;
  p->at[1] = 0;
  if (++p->at[0] < w->out[0]) return;
  p->at[0] = 0;
  p->image++;
}

static int64_t image_bytes (const conv_job *j) {
  return j->s.w.size[0] * j->s.w.size[1] * j->s.w.c * (int64_t)j->size;
}

static void take_tile (const conv_job *j, int64_t q, int64_t first, int64_t n, char *tile) {
  place p = place_of(&j->s.w, first);
  for (int64_t i = 0; i < n; i++, next_place(&j->s.w, &p))
    tile = take_window(j, q, j->x + p.image * image_bytes(j), p.at, tile);
}

static void give_tile (const conv_job *j, int64_t q, int64_t first, int64_t n, const char *tile) {
  place p = place_of(&j->s.w, first);
  for (int64_t i = 0; i < n; i++, next_place(&j->s.w, &p))
    tile = give_window(j, q, j->out + p.image * image_bytes(j), p.at, tile);
}

/* ---- tasks: images [first, last), tile by tile ---- */

typedef void tile_fn (const conv_job *j, int64_t task, bool begins, int64_t first, int64_t n, char *tile);

static int64_t windows_of (const conv_job *j, int64_t images) { return images * j->s.w.out[0] * j->s.w.out[1]; }
static int64_t task_start (const conv_job *j, int64_t task) { return j->s.w.n * task / j->tasks; }

static void run_tiles (conv_job *j, int64_t task, tile_fn *run) {
  int token = neap_blas_enter(j->c);
  if (token < 0) { atomic_store(&j->failed, 1); return; }
  int64_t first = windows_of(j, task_start(j, task)), last = windows_of(j, task_start(j, task + 1));
  char *tile = j->tiles + (j->alone ? 0 : (size_t)task * j->tile_bytes);
  for (int64_t at = first; at < last; at += j->rows)
    run(j, task, at == first, at, last - at < j->rows ? last - at : j->rows, tile);
  neap_blas_leave(j->c, token);
}

/* outputs of group q in a [windows, O] array, from window first on */
static int64_t outputs_at (const conv_job *j, int64_t q, int64_t first) {
  return (first * j->s.o + q * j->s.og) * (int64_t)j->size;
}

/* windows · filters -> outputs */
static void tile_forward (const conv_job *j, int64_t task, bool begins, int64_t first, int64_t n, char *tile) {
  const conv_shape *s = &j->s;
  (void)task; (void)begins;
  for (int64_t q = 0; q < s->groups; q++) {
    const char *w = j->w + q * s->og * (int64_t)j->size;
    take_tile(j, q, first, n, tile);
    j->gemm(false, n, s->og, s->depth, tile, s->depth, w, s->o, false, j->out + outputs_at(j, q, first), s->o);
  }
}

/* outputs · filters transposed -> windows, which are added to their images */
static void tile_input (const conv_job *j, int64_t task, bool begins, int64_t first, int64_t n, char *tile) {
  const conv_shape *s = &j->s;
  (void)task; (void)begins;
  for (int64_t q = 0; q < s->groups; q++) {
    const char *w = j->w + q * s->og * s->depth * (int64_t)j->size;
    j->gemm(false, n, s->depth, s->og, j->g + outputs_at(j, q, first), s->o, w, s->depth, false, tile, s->depth);
    give_tile(j, q, first, n, tile);
  }
}

/* windows transposed · outputs, added up */
static void tile_weight (const conv_job *j, int64_t task, bool begins, int64_t first, int64_t n, char *tile) {
  const conv_shape *s = &j->s;
  char *sum = task ? j->parts + (size_t)(task - 1) * j->part_bytes : j->out;
  for (int64_t q = 0; q < s->groups; q++) {
    take_tile(j, q, first, n, tile);
    j->gemm(true, s->depth, s->og, n, tile, s->depth, j->g + outputs_at(j, q, first), s->o, !begins,
            sum + q * s->og * (int64_t)j->size, s->o);
  }
}

static void task_forward (void *arg, int64_t task) { run_tiles(arg, task, tile_forward); }
static void task_weight (void *arg, int64_t task) { run_tiles(arg, task, tile_weight); }

static void task_input (void *arg, int64_t task) {
  conv_job *j = arg;
  int64_t first = task_start(j, task), last = task_start(j, task + 1);
  memset(j->out + first * image_bytes(j), 0, (size_t)((last - first) * image_bytes(j)));
  run_tiles(j, task, tile_input);
}

/* ---- operands ---- */

enum { LEAST_BYTES = 64 };                 /* of an operand that copies may read beyond: a number lies in no storage */

static const char *images (neap_context *c, neap_tensor *x) {
  if (neap_is_contiguous(x) && (size_t)neap_numel(x) * neap_size_of(x->dtype) >= LEAST_BYTES) return neap_ptr(x);
  neap_tensor *copy = neap_tensor_new(c, x->dtype, x->ndim, x->shape);
  if (!copy) return NULL;
  neap_copy_strided(copy, x);
  return neap_ptr(copy);
}

/* Filters [kh, kw, C / groups, O] as a matrix, with outputs last or, turned, first. */
static const char *filters (neap_context *c, neap_tensor *w, bool turned) {
  neap_tensor t = *w;
  t.shape[0] = w->shape[3];
  t.strides[0] = w->strides[3];
  for (int i = 1; i < 4; i++) { t.shape[i] = w->shape[i - 1]; t.strides[i] = w->strides[i - 1]; }
  return images(c, turned ? &t : w);
}

/* ---- running ---- */

/* Windows of a tile: few enough for BLAS's kernels that copy nothing, where it has some, and for the cache. */
static int64_t tile_rows (const conv_job *j) {
  const conv_shape *s = &j->s;
  int64_t rows = TILE_BYTES / (s->depth * (int64_t)j->size), all = windows_of(j, s->w.n);
  int64_t small = (int64_t)(SMALL / ((double)s->depth * (double)s->og));
  if (j->c->blas.small && small >= UNIT && small < rows) rows = small;
  if (rows > MOST_ROWS) rows = MOST_ROWS;
  rows = rows > UNIT ? rows / UNIT * UNIT : rows > 1 ? rows : 1;
  return rows < all ? rows : all;
}

static bool get_memory (conv_job *j, bool sums) {
  const conv_shape *s = &j->s;
  j->rows = tile_rows(j);
  j->tile_bytes = ((size_t)(j->rows * s->depth) * j->size + SLACK + 63) / 64 * 64;
  j->part_bytes = (size_t)(s->depth * s->o) * j->size;
  j->tiles = neap_malloc(j->c, j->tile_bytes * (size_t)(j->alone ? 1 : j->tasks));
  j->parts = j->tiles && sums ? neap_malloc(j->c, j->part_bytes * (size_t)(j->tasks - 1)) : NULL;
  return j->tiles && (j->parts || !sums);
}

static void drop_memory (conv_job *j) {
  neap_free(j->c, j->tiles, j->tile_bytes * (size_t)(j->alone ? 1 : j->tasks));
  neap_free(j->c, j->parts, j->part_bytes * (size_t)(j->tasks - 1));
}

static void choose_tasks (conv_job *j) {
  const conv_shape *s = &j->s;
  double work = (double)windows_of(j, s->w.n) * (double)s->depth * (double)s->o;
  bool sums = j->kind == CONV_WEIGHT;
  int64_t most = sums ? between(s->w.n / LANE_IMAGES, 1, LANES) : between(s->w.n, 1, MAX_TASKS);
  j->tasks = between((int64_t)(work / GRAIN), 1, most);
  j->alone = neap_works_alone(j->c);
}

static bool go (conv_job *j) {
  static void (*const run[]) (void *arg, int64_t task) = { task_forward, task_input, task_weight };
  bool sums = j->kind == CONV_WEIGHT;
  neap_blas_prepare(j->c);
  bool ok = get_memory(j, sums && j->tasks > 1);
  if (ok) neap_parallel(j->c, j->tasks, run[j->kind], j);
  for (int64_t i = 1; ok && sums && i < j->tasks; i++)
    j->add(j->s.depth * j->s.o, j->out, j->parts + (size_t)(i - 1) * j->part_bytes);
  drop_memory(j);
  return ok && (!j->failed || neap_blas_refuse(j->c, "convolve"));
}

static void fill_zero (neap_tensor *out) {
  memset(neap_ptr(out), 0, (size_t)neap_numel(out) * neap_size_of(out->dtype));
}

/* the operands of a call; there is something to multiply */
static bool open_job (neap_call *k, neap_tensor *out, conv_job *j) {
  bool real = out->dtype == NEAP_FLOAT32, weight = j->kind == CONV_WEIGHT;
  j->size = neap_size_of(out->dtype);
  j->gemm = real ? gemm_s : gemm_d;
  j->add = real ? add_s : add_d;
  j->out = neap_ptr(out);
  if (j->kind != CONV_INPUT) j->x = images(k->c, k->in[0]);
  if (j->kind != CONV_FORWARD) j->g = images(k->c, k->in[weight]);
  if (!weight) j->w = filters(k->c, k->in[1], j->kind == CONV_INPUT);
  return neap_ok(k->c);
}

static bool multiply (neap_call *k, conv_job *j) {
  conv_operands o = { j->x, j->g, j->w, j->out };
  choose_tasks(j);
  conv_made *made = conv_dnn_of(k, &j->s, j->kind, j->tasks, &o);
  if (made) return conv_run_dnn(k->c, made, &o);
  if (!neap_ok(k->c)) return false;
  return conv_is_direct(k, &j->s, j->kind) ? conv_run_direct(k->c, &j->s, j->kind, j->tasks, &o) : go(j);
}

static bool run (neap_call *k, neap_tensor *out) {
  conv_job j = { .c = k->c, .kind = conv_kind_of(k) };
  if (!conv_of(k, &j.s)) return false;
  if (neap_numel(out) == 0) return true;
  if (j.s.w.n == 0 || j.s.depth == 0 || j.s.o == 0) { fill_zero(out); return true; }
  neap_scope scope = neap_scope_open(k->c);
  bool ok = open_job(k, out, &j) && multiply(k, &j);
  neap_scope_close(k->c, scope);
  return ok;
}

bool run_convolve (neap_call *k, neap_tensor *out) { return run(k, out); }
bool run_convolve_input (neap_call *k, neap_tensor *out) { return run(k, out); }
bool run_convolve_weight (neap_call *k, neap_tensor *out) { return run(k, out); }
