/*
** matmul.c -- the matrix product: bmm, the bilinear row, and matmul, which makes every pair of shapes one of it.
** Invariant: how a product is cut into tasks depends on its sizes only, never on the number of threads, and each
** element is computed whole in one task; so results are the same bits for any number of threads.
*/
#include "linalg.h"
#include "matmul.h"
#include <limits.h>
#include <string.h>

enum { LOOPS = 64,                         /* products of up to so many multiplications are not worth a call of BLAS */
       MAX_SLABS = 16, SLAB = 128, WIDE_SLAB = 512, ROUND = 16 };
#define GRAIN 4e6                          /* multiplications a task should have: about 0.1 ms on one core */
#define CALL 1e3                           /* what a product costs besides, in multiplications */
#define IN_CACHE (1 << 16)                 /* elements of the shared operand that stay in L2 beside the rest */

#define SMALL 1e6                          /* multiplications up to which OpenBLAS may copy no operand */
enum { SMALL_T = 1200,                     /* with y transposed: results up to which it does not */
       DEEP = 128, FLAT = 24,              /* and k from where that pays; for up to so many rows it always does */
       STRIP = 64, UNIT = 12, TALL = 96 }; /* columns and rows its kernels like, rows that are enough */
#define NEAR (1 << 22)                     /* bytes of y that strips may lie in; those of larger ones are copied first */

typedef struct piece { int64_t m, n; } piece;

static int64_t round_down (int64_t n, int64_t unit) { return n > unit ? n / unit * unit : n; }

/* Is OpenBLAS's kernel for small matrices faster, called many times, than one call that copies operands? */
static bool has_pieces (const product *p, int64_t m) {
  size_t y = (size_t)(p->yt ? p->n : p->k) * (size_t)p->ldy * neap_dtype_size(p->out->dtype);
  return p->c->blas.small && (y <= NEAR || p->strips) && (!p->yt || (!p->xt && (p->k >= DEEP || m <= FLAT)));
}

/* What of [m, n] a call makes: strips of 64 columns, narrower ones where k leaves too few rows. */
static piece piece_of (const product *p, int64_t m, int64_t n) {
  int64_t most = (int64_t)(SMALL / (double)p->k), w = STRIP;
  if (p->yt && most > SMALL_T) most = SMALL_T;
  if (m * n <= most || !has_pieces(p, m)) return (piece){ m, n };
  while (w > ROUND && UNIT * w > most) w /= 2;
  int64_t rows = round_down(most / w < TALL ? most / w : TALL, UNIT);
  if (rows < UNIT / 2) return (piece){ m, n };
  if (rows < m) return (piece){ rows, w };
  int64_t wide = most / m;
  return (piece){ m, round_down(wide, wide < STRIP ? ROUND : STRIP) };
}

/* ---- kernels: x [m, k] · y [k, n] -> out [m, n], rows of out p->n apart ---- */

#define LOOP_KERNEL(T) \
static void loops_##T (const product *p, const void *xv, const void *yv, void *ov, int64_t m, int64_t n, \
                       void *strip) { \
  (void)strip; \
  const T *x = xv, *y = yv; \
  T *out = ov; \
  const int64_t *xs = p->x->strides + p->x->ndim - 2, *ys = p->y->strides + p->y->ndim - 2; \
  for (int64_t i = 0; i < m; i++) \
    for (int64_t j = 0; j < n; j++) { \
      T sum = p->add ? out[i * p->n + j] : 0; \
      for (int64_t q = 0; q < p->k; q++) sum = (T)(sum + x[i * xs[0] + q * xs[1]] * y[q * ys[0] + j * ys[1]]); \
      out[i * p->n + j] = sum; \
    } \
}

/* out (+)= matrix · v, added to zeros: beta = 0 leaves it to BLAS whether NaN in unset memory survives */
#define VECTOR_KERNEL(T, l) \
static void blas_vector_##l (bool t, int rows, int cols, const T *a, int ld, const T *v, int incv, T *out, int inc, \
                             bool add) { \
  for (int64_t i = 0; i < rows && !add; i++) out[i * inc] = 0; \
  if (t) cblas_##l##gemv(BLAS_ROWS, BLAS_T, cols, rows, 1, a, ld, v, incv, 1, out, inc); \
  else cblas_##l##gemv(BLAS_ROWS, BLAS_N, rows, cols, 1, a, ld, v, incv, 1, out, inc); \
}

/* the columns of a strip, from y on, h rows at a time; and its copy */
#define STRIP_KERNEL(T, l) \
static void blas_##l##_strip (const product *p, const T *x, const T *y, int ldy, T *out, int64_t m, int64_t n, \
                              int64_t h) { \
  for (int64_t i = 0; i < m; i += h) \
    cblas_##l##gemm(BLAS_ROWS, p->xt ? BLAS_T : BLAS_N, p->yt ? BLAS_T : BLAS_N, (int)(m - i < h ? m - i : h), (int)n, \
                    (int)p->k, 1, x + (p->xt ? i : i * p->ldx), p->ldx, y, ldy, p->add, out + i * p->n, (int)p->n); \
} \
static const T *copy_strip_##l (const product *p, const T *y, int64_t n, T *strip) { \
  for (int64_t q = 0; q < p->k; q++) memcpy(strip + q * n, y + q * p->ldy, (size_t)n * sizeof(T)); \
  return strip; \
}

#define BLAS_KERNEL(T, l) \
static void blas_##l##_pieces (const product *p, const T *x, const T *y, T *out, int64_t m, int64_t n, T *strip) { \
  piece w = piece_of(p, m, n); \
  bool copies = strip && w.m < m && w.n <= STRIP; \
  for (int64_t j = 0; j < n; j += w.n) { \
    int64_t wide = n - j < w.n ? n - j : w.n; \
    const T *from = y + (p->yt ? j * p->ldy : j); \
    if (copies) from = copy_strip_##l(p, from, wide, strip); \
    blas_##l##_strip(p, x, from, copies ? (int)wide : p->ldy, out + j, m, wide, w.m); \
  } \
} \
static void blas_##l (const product *p, const void *x, const void *y, void *out, int64_t m, int64_t n, void *strip) { \
  int k = (int)p->k; \
  if (m == 1) blas_vector_##l(!p->yt, (int)n, k, y, p->ldy, x, p->xt ? p->ldx : 1, out, 1, p->add); \
  else if (n == 1) blas_vector_##l(p->xt, (int)m, k, x, p->ldx, y, p->yt ? 1 : p->ldy, out, (int)p->n, p->add); \
  else blas_##l##_pieces(p, x, y, out, m, n, strip); \
}
VECTOR_KERNEL(float, s)
VECTOR_KERNEL(double, d)
STRIP_KERNEL(float, s)
STRIP_KERNEL(double, d)
BLAS_KERNEL(float, s)
BLAS_KERNEL(double, d)
LOOP_KERNEL(float)
LOOP_KERNEL(double)
LOOP_KERNEL(uint64_t)                      /* int64 wraps around as unsigned does */
LOOP_KERNEL(uint8_t)

static multiply_fn loops_for (neap_dtype d) {
  switch (d) {
    case NEAP_FLOAT32: return loops_float;
    case NEAP_FLOAT64: return loops_double;
    case NEAP_INT64: return loops_uint64_t;
    default: return loops_uint8_t;
  }
}

/* ---- tasks ---- */

/* where item b of the batch begins in t, in elements */
static int64_t item_offset (const neap_tensor *t, int64_t b) {
  int64_t at = 0;
  for (int d = t->ndim - 3; d >= 0; d--) {
    at += b % t->shape[d] * t->strides[d];
    b /= t->shape[d];
  }
  return at;
}

static void multiply_slab (const product *p, int64_t item, int64_t slab, void *strip) {
  size_t size = neap_dtype_size(p->out->dtype);
  int64_t from = slab * p->width, end = from + p->width, all = p->by_rows ? p->m : p->n;
  if (end > all) end = all;
  int64_t row = p->by_rows ? from : 0, col = p->by_rows ? 0 : from;
  int64_t xo = item_offset(p->x, item) + row * p->x->strides[p->x->ndim - 2];
  int64_t yo = item_offset(p->y, item) + col * p->y->strides[p->y->ndim - 1];
  int64_t oo = item * p->m * p->n + row * p->n + col;
  p->multiply(p, (char *)neap_ptr(p->x) + xo * (int64_t)size, (char *)neap_ptr(p->y) + yo * (int64_t)size,
              (char *)neap_ptr(p->out) + oo * (int64_t)size, p->by_rows ? end - from : p->m,
              p->by_rows ? p->n : end - from, strip);
}

static void run_task (void *arg, int64_t t) {
  product *p = arg;
  int token = p->blas ? neap_blas_enter(p->c) : 0;
  if (token < 0) { atomic_store(&p->failed, 1); return; }
  int64_t first = t / p->slabs * p->items, last = first + p->items;
  if (last > p->batch) last = p->batch;
  char *strip = p->strips ? p->strips + (size_t)t * p->strip_bytes : NULL;
  for (int64_t i = first; i < last; i++) multiply_slab(p, i, t % p->slabs, strip);
  if (p->blas) neap_blas_leave(p->c, token);
}

/* Big products become slabs of the longer side; many small ones are put together.  BLAS packs the shared operand anew
** for each slab, which costs about 10 / width of the work where it does not stay in cache: hence WIDE_SLAB. */
static void cut (product *p) {
  double work = (double)p->m * (double)p->n * (double)p->k;
  p->by_rows = p->m >= p->n;
  int64_t side = p->by_rows ? p->m : p->n, shared = p->k * (p->by_rows ? p->n : p->m);
  int64_t least = shared <= IN_CACHE ? SLAB : WIDE_SLAB;
  int64_t slabs = side / least < MAX_SLABS ? side / least : MAX_SLABS;
  if ((double)slabs > work / GRAIN) slabs = (int64_t)(work / GRAIN);
  if (slabs < 1) slabs = 1;
  p->width = slabs == 1 ? side : ((side + slabs - 1) / slabs + ROUND - 1) / ROUND * ROUND;
  p->slabs = (side + p->width - 1) / p->width;
  p->items = p->slabs > 1 || work >= GRAIN ? 1 : (int64_t)(GRAIN / (work + CALL)) + 1;
}

enum { STRIP_ROWS = 128 };                 /* so many rows of x are worth a copy of each strip of y */

/* Room to copy strips of y: then lines of the whole matrix may lie apart in any way.  Without memory they are read
** where they lie. */
static void get_strips (product *p, int64_t tasks) {
  int64_t rows = p->by_rows && p->slabs > 1 ? p->width : p->m;
  if (!p->blas || !p->c->blas.small || p->yt || p->batch > 1 || rows < STRIP_ROWS || p->n < STRIP) return;
  if (p->k < DEEP || (double)p->k * ROUND * UNIT > SMALL) return;
  p->strip_bytes = (size_t)p->k * STRIP * neap_dtype_size(p->out->dtype);
  p->strips = neap_malloc(p->c, (size_t)tasks * p->strip_bytes);
  if (!p->strips) neap_clear_error(p->c);
}

/* ---- choosing a kernel ---- */

/* Can BLAS read a [rows, cols] matrix with these strides?  Then how. */
static bool layout (const neap_tensor *t, bool *transposed, int *ld) {
  int64_t rows = t->shape[t->ndim - 2], cols = t->shape[t->ndim - 1];
  int64_t rs = t->strides[t->ndim - 2], cs = t->strides[t->ndim - 1];
  if (cols == 1) cs = 1;                               /* a single row or column has no stride of its own */
  if (rows == 1) rs = cs == 1 ? cols : 1;
  *transposed = !(cs == 1 && rs >= cols);
  if (*transposed && !(rs == 1 && cs >= rows)) return false;
  int64_t step = *transposed ? cs : rs;
  if (step > INT_MAX) return false;
  *ld = (int)step;
  return true;
}

static bool readable (product *p, const neap_tensor **t, bool *transposed, int *ld) {
  if (layout(*t, transposed, ld)) return true;
  *t = neap_contiguous_data(p->c, (neap_tensor *)*t);
  return *t && layout(*t, transposed, ld);
}

static bool choose (product *p) {
  bool fits = p->m <= INT_MAX && p->n <= INT_MAX && p->k <= INT_MAX;
  p->blas = neap_is_float(p->out->dtype) && fits && (double)p->m * (double)p->n * (double)p->k > LOOPS;
  if (!p->blas) { p->multiply = loops_for(p->out->dtype); return true; }
  p->multiply = p->out->dtype == NEAP_FLOAT32 ? blas_s : blas_d;
  neap_blas_prepare(p->c);
  return readable(p, &p->x, &p->xt, &p->ldx) && readable(p, &p->y, &p->yt, &p->ldy);
}

/* ---- bmm: x [B…, M, K] · y [B…, K, N] -> [B…, M, N] ---- */

bool infer_bmm (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0], *y = k->in[1];
  bool fits = x->ndim >= 2 && x->ndim == y->ndim && x->shape[x->ndim - 1] == y->shape[y->ndim - 2];
  for (int i = 0; fits && i < x->ndim - 2; i++) fits = x->shape[i] == y->shape[i];
  if (!fits)
    return neap_fail(k->c, NEAP_ESHAPE,
                     "bmm: [batch…, M, K] x [batch…, K, N] expected, got %s x %s", SHAPE_TEXT(x), SHAPE_TEXT(y));
  if (x->dtype == NEAP_BOOL) return neap_fail(k->c, NEAP_EDTYPE, "matmul: a number dtype expected, got bool");
  out->dtype = x->dtype;
  out->ndim = x->ndim;
  memcpy(out->shape, x->shape, sizeof out->shape);
  out->shape[x->ndim - 1] = y->shape[y->ndim - 1];
  return true;
}

static product product_of (neap_call *k, neap_tensor *out) {
  product p = { .c = k->c, .x = k->in[0], .y = k->in[1], .out = out };
  p.m = out->shape[out->ndim - 2];
  p.n = out->shape[out->ndim - 1];
  p.k = p.x->shape[out->ndim - 1];
  p.batch = linalg_batch(out);
  return p;
}

bool run_bmm (neap_call *k, neap_tensor *out) {
  product p = product_of(k, out);
  if (neap_numel(out) == 0) return true;
  if (p.k == 0) { memset(neap_ptr(out), 0, (size_t)neap_numel(out) * neap_dtype_size(out->dtype)); return true; }
  if (!choose(&p)) return false;
  cut(&p);
  int64_t tasks = (p.batch + p.items - 1) / p.items * p.slabs;
  get_strips(&p, tasks);
  neap_parallel(k->c, tasks, run_task, &p);
  neap_free(k->c, p.strips, (size_t)tasks * p.strip_bytes);
  return !p.failed || neap_blas_refuse(k->c, "matmul");
}

bool matmul_plan (neap_call *k, neap_tensor *out, bool whole, matmul_product *p) {
  bool t;
  int ld;
  *p = product_of(k, out);
  if (p->batch != 1 || p->m * p->n * p->k == 0) return false;
  if (!layout(p->x, &t, &ld) || !layout(p->y, &t, &ld) || !choose(p)) return false;    /* choose copies nothing then */
  cut(p);
  if (whole) p->slabs = 1;
  return true;
}

static bool run_slabs (matmul_product *p) {
  atomic_store(&p->failed, 0);
  neap_parallel(p->c, p->slabs, run_task, p);
  return !p->failed || neap_blas_refuse(p->c, "matmul");
}

bool matmul_run (matmul_product *p, bool add) {
  p->add = add;
  if (p->slabs > 1) return run_slabs(p);
  int token = p->blas ? neap_blas_enter(p->c) : 0;
  if (token < 0) return neap_blas_refuse(p->c, "matmul");
  p->multiply(p, neap_ptr(p->x), neap_ptr(p->y), neap_ptr(p->out), p->m, p->n, NULL);
  if (p->blas) neap_blas_leave(p->c, token);
  return true;
}

/* ---- matmul: any two shapes with one dimension or more ---- */

/* x [batch…, M, K] · y [K, N]: all rows in one product */
static neap_tensor *fold (neap_context *c, neap_tensor *x, neap_tensor *y) {
  int64_t k = x->shape[x->ndim - 1], rows = 1, shape[NEAP_MAX_DIMS];
  memcpy(shape, x->shape, sizeof shape);
  for (int i = 0; i < x->ndim - 1; i++) rows *= shape[i];
  shape[x->ndim - 1] = y->shape[1];
  neap_tensor *flat = neap_bmm(c, neap_reshape(c, x, 2, (int64_t[]){ rows, k }), y);
  return neap_reshape(c, flat, x->ndim, shape);
}

/* batch dimensions broadcast as elementwise ops' do */
static neap_tensor *batched (neap_context *c, neap_tensor *x, neap_tensor *y) {
  neap_tensor *in[] = { x, y };
  return linalg_match(c, "matmul", in) ? neap_bmm(c, in[0], in[1]) : NULL;
}

static neap_tensor *matrices (neap_context *c, neap_tensor *x, neap_tensor *y) {
  if (x->ndim == 2 && y->ndim == 2) return neap_bmm(c, x, y);
  return y->ndim == 2 ? fold(c, x, y) : batched(c, x, y);
}

neap_tensor *build_matmul (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)a;
  if (!linalg_given(c, "matmul", in, n)) return NULL;
  neap_tensor *x = in[0], *y = in[1];
  if (x->ndim == 0 || y->ndim == 0)
    return neap_fail(c, NEAP_ESHAPE,
                     "matmul: at least one dimension each expected, got %s x %s", SHAPE_TEXT(x), SHAPE_TEXT(y));
  if (x->shape[x->ndim - 1] != y->shape[y->ndim > 1 ? y->ndim - 2 : 0])
    return neap_fail(c, NEAP_ESHAPE, "matmul: inner sizes differ: %s x %s", SHAPE_TEXT(x), SHAPE_TEXT(y));
  neap_tensor *mx = x->ndim == 1 ? neap_unsqueeze(c, x, 1) : x, *my = y->ndim == 1 ? neap_unsqueeze(c, y, 2) : y;
  neap_tensor *out = mx && my ? matrices(c, mx, my) : NULL;
  if (out && x->ndim == 1) out = neap_select(c, out, -2, 1);
  if (out && y->ndim == 1) out = neap_select(c, out, -1, 1);
  return out;
}

neap_tensor *build_dot (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)a;
  if (!linalg_given(c, "dot", in, n)) return NULL;
  if (in[0]->ndim != 1 || in[1]->ndim != 1 || in[0]->shape[0] != in[1]->shape[0])
    return neap_fail(c, NEAP_ESHAPE,
                     "dot: two vectors of one size expected, got %s and %s", SHAPE_TEXT(in[0]), SHAPE_TEXT(in[1]));
  return neap_matmul(c, in[0], in[1]);
}

neap_tensor *build_outer (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)a;
  if (!linalg_given(c, "outer", in, n)) return NULL;
  if (in[0]->ndim != 1 || in[1]->ndim != 1)
    return neap_fail(c, NEAP_ESHAPE,
                     "outer: two vectors expected, got %s and %s", SHAPE_TEXT(in[0]), SHAPE_TEXT(in[1]));
  return neap_mul(c, neap_unsqueeze(c, in[0], 2), neap_unsqueeze(c, in[1], 1));
}
