/*
** logsumexp.c -- log Σ e^x, as m + log Σ e^(x − m) with m = max x.
** Invariant: what is not finite stands for itself: −inf where every x is, +inf or NaN where one is.  Exponentials are
** taken by the tile kernel of exp, so they are those of the elementwise row.
*/
#include "ops/reduce.h"
#include "ops/rules.h"
#include "kernels/tile.h"
#include <math.h>

#define BUFFER 1024
#define PASSES 4                           /* exp costs about as much as reading an element so many times */
static const double none[3];                /* exp takes no numbers */

typedef struct job {
  const reduce_plan *p;
  reduce_tile_fn *max, *sum;
  neap_tile_kernel *exp;
  char *out;
  int64_t per, group;                      /* short rows of a block of work, and of one call of exp */
} job;

static int64_t rows_together (const reduce_plan *p) {
  if (p->inner != 1 || p->n > BUFFER / 2) return 1;
  return BUFFER / p->n < REDUCE_COLUMNS ? BUFFER / p->n : REDUCE_COLUMNS;
}

/* to [w] = x − shift, in vectors */
#define MINUS(T) \
  typedef T vec_##T __attribute__((vector_size(16), may_alias, aligned(sizeof(T)))); \
  static void minus_##T (const T *x, const T *shift, int64_t w, T *to) { \
    const int64_t width = 16 / sizeof(T); \
    int64_t j = 0; \
    for (; j + width <= w; j += width) \
      *(vec_##T *)(to + j) = *(const vec_##T *)(x + j) - *(const vec_##T *)(shift + j); \
    for (; j < w; j++) to[j] = x[j] - shift[j]; \
  } \
  static void pad_##T (T *to, int64_t n, int64_t padded) { for (; n < padded; n++) to[n] = (T)-INFINITY; }
MINUS(float)
MINUS(double)
#undef MINUS

static int64_t padded (int64_t n) { return (n + NEAP_TILE_PAD - 1) / NEAP_TILE_PAD * NEAP_TILE_PAD; }

/* x [rows, w], rows ld apart -> buffer [rows, w] of x − shift, then −inf up to whole vectors.  One contiguous column is
** taken as rows of REDUCE_COLUMNS. */
#define SHIFT(T) \
  static void shift_##T (const void *data, int64_t rows, int64_t ld, int64_t w, const double *shift, void *buffer) { \
    const T *x = data; \
    T *to = buffer, s[REDUCE_COLUMNS]; \
    int64_t n = rows * w; \
    pad_##T(to, n, padded(n)); \
    if (w == 1 && ld == 1) { \
      w = ld = n < REDUCE_COLUMNS ? n : REDUCE_COLUMNS; \
      for (int64_t j = 0; j < w; j++) s[j] = (T)shift[0]; \
    } else for (int64_t j = 0; j < w; j++) s[j] = (T)shift[j]; \
    for (int64_t k = 0; k < n; k += w, x += ld) minus_##T(x, s, n - k < w ? n - k : w, to + k); \
  }
SHIFT(float)
SHIFT(double)
#undef SHIFT

/* s [w] = Σ over n rows of e^(x − shift) */
static void sum_exp (const job *b, const char *x, int64_t w, const double *shift, double *s) {
  const reduce_plan *p = b->p;
  double buffer[BUFFER], part[REDUCE_COLUMNS];
  const void *in[] = { buffer };
  int64_t group = BUFFER / w, size = (int64_t)neap_dtype_size(p->dtype);
  bool single = p->dtype == NEAP_FLOAT32;
  for (int64_t j = 0; j < w; j++) s[j] = 0;
  for (int64_t k = 0; k < p->n; k += group) {
    int64_t rows = p->n - k < group ? p->n - k : group;
    const char *from = x + k * p->inner * size;
    if (single) shift_float(from, rows, p->inner, w, shift, buffer);
    else shift_double(from, rows, p->inner, w, shift, buffer);
    b->exp(padded(rows * w), buffer, in, none, 0);
    b->sum(buffer, rows, w, w, part);
    for (int64_t j = 0; j < w; j++) s[j] += part[j];
  }
}

static void put (const job *b, int64_t at, double m, double s) {
  double v = isfinite(m) ? m + log(s) : m;
  if (b->p->dtype == NEAP_FLOAT32) ((float *)b->out)[at] = (float)v;
  else ((double *)b->out)[at] = v;
}

static void run_tile (void *arg, const reduce_plan *p, reduce_tile_at t) {
  const job *b = arg;
  double m[REDUCE_COLUMNS], shift[REDUCE_COLUMNS], s[REDUCE_COLUMNS];
  b->max(t.x, p->n, p->inner, t.w, m);
  for (int64_t j = 0; j < t.w; j++) shift[j] = isfinite(m[j]) ? m[j] : 0;
  sum_exp(b, t.x, t.w, shift, s);
  for (int64_t j = 0; j < t.w; j++) put(b, t.out + j, m[j], s[j]);
}

/* ---- short contiguous rows: many share one call of exp ---- */

/* x [rows, n] -> buffer of x − shift, padded */
#define SHIFT_ROWS(T) \
  static void shift_rows_##T (const void *data, int64_t rows, int64_t n, const double *shift, void *buffer) { \
    const T *x = data; \
    T *to = buffer; \
    for (int64_t r = 0; r < rows; r++) for (int64_t k = 0; k < n; k++) to[r * n + k] = x[r * n + k] - (T)shift[r]; \
    pad_##T(to, rows * n, padded(rows * n)); \
  }
SHIFT_ROWS(float)
SHIFT_ROWS(double)
#undef SHIFT_ROWS

/* rows from .. from + rows of a plan whose inner is 1, rows <= REDUCE_COLUMNS and rows n <= BUFFER */
static void run_rows (const job *b, int64_t from, int64_t rows) {
  const reduce_plan *p = b->p;
  int64_t size = (int64_t)neap_dtype_size(p->dtype);
  const char *x = p->data + from * p->n * size;
  double m[REDUCE_COLUMNS], shift[REDUCE_COLUMNS], s[REDUCE_COLUMNS], buffer[BUFFER];
  const void *in[] = { buffer };
  for (int64_t r = 0; r < rows; r++) b->max(x + r * p->n * size, p->n, 1, 1, &m[r]);
  for (int64_t r = 0; r < rows; r++) shift[r] = isfinite(m[r]) ? m[r] : 0;
  bool single = p->dtype == NEAP_FLOAT32;
  if (single) shift_rows_float(x, rows, p->n, shift, buffer);
  else shift_rows_double(x, rows, p->n, shift, buffer);
  b->exp(padded(rows * p->n), buffer, in, none, 0);
  for (int64_t r = 0; r < rows; r++) b->sum((char *)buffer + r * p->n * size, p->n, 1, 1, &s[r]);
  for (int64_t r = 0; r < rows; r++) put(b, from + r, m[r], s[r]);
}

static void run_block (void *arg, int64_t block) {
  const job *b = arg;
  int64_t rows = b->p->outer, end = (block + 1) * b->per < rows ? (block + 1) * b->per : rows;
  for (int64_t r = block * b->per; r < end; r += b->group) run_rows(b, r, end - r < b->group ? end - r : b->group);
}

bool infer_logsumexp (neap_call *k, neap_meta *out) { return reduce_infer(k, out, k->in[0]->dtype); }

static void nothing (neap_tensor *out) {
  for (int64_t i = 0, n = neap_numel(out); i < n; i++)
    if (out->dtype == NEAP_FLOAT32) ((float *)neap_ptr(out))[i] = -INFINITY;
    else ((double *)neap_ptr(out))[i] = -INFINITY;
}

bool run_logsumexp (neap_call *k, neap_tensor *out) {
  neap_scope s = neap_scope_open(k->c);
  reduce_plan p;
  bool ok = reduce_plan_call(k, k->in[0], false, &p);
  if (ok && p.n == 0) nothing(out);
  else if (ok) {
    job b = { .p = &p, .max = reduce_tile(p.dtype, FOLD_MAX), .sum = reduce_tile(p.dtype, FOLD_SUM),
              .exp = k->c->tiles->op[NEAP_OP_exp][p.dtype], .out = neap_ptr(out), .group = rows_together(&p) };
    if (b.group > 1) op_blocks(k->c, p.outer, PASSES * p.n, run_block, &b, &b.per);
    else reduce_each(k->c, &p, PASSES, run_tile, &b);
  }
  neap_scope_close(k->c, s);
  return ok;
}

/* e^(x − logsumexp x), and 0 where every x is −inf */
static neap_tensor *weights (neap_rule *r) {
  neap_context *c = r->c;
  neap_tensor *o = rule_keepdim(c, neap_rule_out(r), r->node->in[0], r->node->a);
  neap_tensor *empty = neap_eq(c, o, neap_scalar(c, r->out->dtype, -INFINITY));
  o = neap_where(c, empty, neap_scalar(c, r->out->dtype, 0), o);
  return neap_exp(c, neap_sub(c, neap_rule_in(r, 0), o));
}

neap_tensor *vjp_logsumexp (neap_rule *r, int i, neap_tensor *g) {
  (void)i;
  return neap_mul(r->c, rule_keepdim(r->c, g, r->node->in[0], r->node->a), weights(r));
}

neap_tensor *jvp_logsumexp (neap_rule *r, neap_tensor *const *dx) { return reduce_weighted(r, weights(r), dx[0]); }
