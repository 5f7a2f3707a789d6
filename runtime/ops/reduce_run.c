/*
** reduce_run.c -- runs sums, maxima and minima over [outer, n, inner].
** Invariant: the work is split by outer, by tiles of columns and, when these are few, by at most 16 lanes of n;
** the split depends on the sizes alone and lanes are combined in their order, so threads never change a result.
*/
#include "ops/reduce.h"
#include <string.h>

#define LANES 16
#define SHORT_ROW 16                       /* rows up to this long are taken several at a time */
#define COLUMNS REDUCE_COLUMNS

#define T float
#define ACC double
#define BITS int32_t
#include "ops/reduce_tile.h"
#define T double
#define ACC double
#define BITS int64_t
#include "ops/reduce_tile.h"
#define T int64_t
#define ACC int64_t
#include "ops/reduce_tile.h"
#define T uint8_t
#define ACC int64_t
#include "ops/reduce_tile.h"

typedef void short_fn (const void *x, int64_t rows, int64_t n, void *out);

static reduce_tile_fn *const tiles[][3] = {
  [NEAP_FLOAT32] = { sum_float, max_float, min_float },
  [NEAP_FLOAT64] = { sum_double, max_double, min_double },
  [NEAP_INT64] = { sum_int64_t, max_int64_t, min_int64_t },
  [NEAP_UINT8] = { sum_uint8_t, max_uint8_t, min_uint8_t },
  [NEAP_BOOL] = { sum_uint8_t, max_uint8_t, min_uint8_t },
};

static short_fn *const short_rows[][3] = {
  [NEAP_FLOAT32] = { sum_short_float, max_short_float, min_short_float },
  [NEAP_FLOAT64] = { sum_short_double, max_short_double, min_short_double },
  [NEAP_INT64] = { sum_short_int64_t, max_short_int64_t, min_short_int64_t },
  [NEAP_UINT8] = { sum_short_uint8_t, max_short_uint8_t, min_short_uint8_t },
  [NEAP_BOOL] = { sum_short_uint8_t, max_short_uint8_t, min_short_uint8_t },
};

reduce_tile_fn *reduce_tile (neap_dtype d, reduce_fold fold) { return tiles[d][fold]; }

typedef struct job {
  const reduce_plan *p;
  reduce_tile_fn *f;
  short_fn *short_rows;                    /* NULL: rows are long, or not contiguous */
  int64_t lanes, tiles, per, units;
  char *out; neap_dtype out_dtype;         /* [outer, lanes, inner] */
} job;

typedef union accs { double f[COLUMNS]; int64_t i[COLUMNS]; } accs;

/* by eights, which a compiler takes at once */
#define STORE(T, member) { \
    T *to = (T *)out; \
    int64_t j = 0; \
    for (; j + 8 <= w; j += 8) for (int k = 0; k < 8; k++) to[j + k] = (T)a->member[j + k]; \
    for (; j < w; j++) to[j] = (T)a->member[j]; \
  } \
  break

static void store (const accs *a, int64_t w, neap_dtype d, char *out) {
  switch (d) {
    case NEAP_FLOAT32: STORE(float, f);
    case NEAP_FLOAT64: STORE(double, f);
    case NEAP_INT64: STORE(int64_t, i);
    default: STORE(uint8_t, i);
  }
}
#undef STORE

static void run_unit (const job *b, int64_t unit) {
  const reduce_plan *p = b->p;
  int64_t tile = unit % b->tiles, lane = unit / b->tiles % b->lanes, o = unit / b->tiles / b->lanes;
  int64_t col = tile * COLUMNS, w = p->inner - col < COLUMNS ? p->inner - col : COLUMNS;
  int64_t from = p->n * lane / b->lanes, to = p->n * (lane + 1) / b->lanes;
  accs a;
  const char *x = p->data + ((o * p->n + from) * p->inner + col) * (int64_t)neap_dtype_size(p->dtype);
  b->f(x, to - from, p->inner, w, &a);
  store(&a, w, b->out_dtype,
        b->out + ((o * b->lanes + lane) * p->inner + col) * (int64_t)neap_dtype_size(b->out_dtype));
}

/* units from .. end are rows of p->n elements */
static void run_short (const job *b, int64_t from, int64_t end) {
  accs a;
  int64_t in = b->p->n * (int64_t)neap_dtype_size(b->p->dtype), to = (int64_t)neap_dtype_size(b->out_dtype);
  for (int64_t u = from; u < end; u += COLUMNS) {
    int64_t rows = end - u < COLUMNS ? end - u : COLUMNS;
    b->short_rows(b->p->data + u * in, rows, b->p->n, &a);
    store(&a, rows, b->out_dtype, b->out + u * to);
  }
}

static void run_block (void *arg, int64_t block) {
  const job *b = arg;
  int64_t end = (block + 1) * b->per < b->units ? (block + 1) * b->per : b->units;
  if (b->short_rows) { run_short(b, block * b->per, end); return; }
  for (int64_t u = block * b->per; u < end; u++) run_unit(b, u);
}

static void run_job (neap_context *c, job *b, reduce_fold fold) {
  b->f = tiles[b->p->dtype][fold];
  b->short_rows = b->p->inner == 1 && b->lanes == 1 && b->p->n <= SHORT_ROW ? short_rows[b->p->dtype][fold] : NULL;
  b->units = b->p->outer * b->lanes * b->tiles;
  int64_t width = b->p->inner < COLUMNS ? b->p->inner : COLUMNS;
  op_blocks(c, b->units, b->p->n / b->lanes * width, run_block, b, &b->per);
}

static int64_t count_lanes (const reduce_plan *p, int64_t ntiles) {
  if (p->outer * ntiles >= LANES) return 1;
  int64_t lanes = p->n * (p->inner < COLUMNS ? p->inner : COLUMNS) / TILE_WORK;
  return lanes < 1 ? 1 : lanes > LANES ? LANES : lanes;
}

bool reduce_run (neap_context *c, const reduce_plan *p, reduce_fold fold, neap_tensor *out) {
  if (p->outer * p->inner == 0) return true;
  job b = { .p = p, .out = neap_ptr(out), .out_dtype = out->dtype };
  b.tiles = (p->inner + COLUMNS - 1) / COLUMNS;
  b.lanes = count_lanes(p, b.tiles);
  if (b.lanes == 1) { run_job(c, &b, fold); return true; }
  neap_dtype wide = neap_is_float(p->dtype) ? NEAP_FLOAT64 : NEAP_INT64;
  const int64_t shape[] = { p->outer, b.lanes, p->inner };
  neap_tensor *partial = neap_tensor_new(c, wide, 3, shape);
  if (!partial) return false;
  b.out = neap_ptr(partial);
  b.out_dtype = wide;
  run_job(c, &b, fold);
  reduce_plan rest = { neap_ptr(partial), wide, p->outer, b.lanes, p->inner };
  job last = { .p = &rest, .lanes = 1, .tiles = b.tiles, .out = neap_ptr(out), .out_dtype = out->dtype };
  run_job(c, &last, fold);
  return true;
}

/* ---- rows, planned ---- */

bool reduce_rows_plan (const neap_call *k, reduce_rows *p) {
  const neap_tensor *x = k->in[0];
  bool ok = neap_is_float(x->dtype) && neap_is_contiguous(x), summed = false;
  *p = (reduce_rows){ x->dtype, 1, 1 };
  for (int i = 0; i < x->ndim; i++) {
    bool axis = k->a.dims[i] != 0;
    *(axis ? &p->n : &p->rows) *= x->shape[i];
    if (x->shape[i] == 1) continue;
    ok = ok && (axis || !summed);
    summed |= axis;
  }
  ok = ok && p->rows * p->n > 0 && p->rows * p->n < TILE_WORK;
  if (!ok) p->n = 0;
  return ok;
}

void reduce_rows_run (const reduce_rows *p, const void *x, void *out) {
  const reduce_plan all = { x, p->dtype, p->rows, p->n, 1 };
  job b = { .p = &all, .lanes = 1, .tiles = 1, .per = p->rows, .units = p->rows, .out = out, .out_dtype = p->dtype };
  b.f = tiles[p->dtype][FOLD_SUM];
  b.short_rows = p->n <= SHORT_ROW ? short_rows[p->dtype][FOLD_SUM] : NULL;
  run_block(&b, 0);
}
