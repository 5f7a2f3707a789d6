/*
** linalg.c -- shapes and kernels of the linear algebra rows, over LAPACK.
** Invariant: kernels work on row-major copies, one matrix of the batch after another, inside one visit to BLAS;
** a matrix that LAPACK refuses ends the op with NEAP_ENUMERIC and its number in the batch.
*/
#include "linalg.h"
#include <math.h>
#include <string.h>

typedef struct { bool upper, transpose, unit; } triangle;

enum { MOST_EIGH = 32766 };                /* rows: LAPACK counts eigh's scratch, 2 N² + 6 N + 1, in an int */

#define T float
#define FN(f) f##_s
#define LAPACK(f) s##f##_
#define CBLAS(f) cblas_s##f
#include "lapack.h"
#undef T
#undef FN
#undef LAPACK
#undef CBLAS
#define T double
#define FN(f) f##_d
#define LAPACK(f) d##f##_
#define CBLAS(f) cblas_d##f
#include "lapack.h"
#undef T
#undef FN
#undef LAPACK
#undef CBLAS

/* ---- shared ---- */

bool linalg_given (neap_context *c, const char *op, neap_tensor **in, int n) {
  for (int i = 0; i < n; i++)
    if (!in[i]) return neap_fail(c, NEAP_EARG, "%s: argument %d is missing", op, i + 1);
  return true;
}

/* x's matrices under the batch dimensions shape[0 .. batch-1] */
static neap_tensor *with_batch (neap_context *c, neap_tensor *x, int batch, const int64_t *shape) {
  int64_t full[NEAP_MAX_DIMS];
  if (batch) memcpy(full, shape, (size_t)batch * sizeof *full);
  memcpy(full + batch, x->shape + x->ndim - 2, 2 * sizeof *full);
  return neap_broadcast_to(c, x, batch + 2, full);
}

bool linalg_match (neap_context *c, const char *op, neap_tensor **in) {
  const neap_tensor *x = in[0], *y = in[1];
  int nx = x->ndim - 2, ny = y->ndim - 2, n = nx > ny ? nx : ny;
  int64_t shape[NEAP_MAX_DIMS];
  for (int i = 1; i <= n; i++) {                       /* i-th from the right */
    int64_t a = i <= nx ? x->shape[nx - i] : 1, b = i <= ny ? y->shape[ny - i] : 1;
    if (a != b && a != 1 && b != 1)
      return neap_fail(c, NEAP_ESHAPE,
          "%s: the batch dimensions of %s and %s cannot be broadcast together", op, SHAPE_TEXT(x), SHAPE_TEXT(y));
    shape[n - i] = a == 1 ? b : a;
  }
  in[0] = with_batch(c, in[0], n, shape);
  in[1] = with_batch(c, in[1], n, shape);
  return in[0] && in[1];
}

/* ---- shapes ---- */

/* what messages call a row: the op that users know it by */
static const char *known_as (const neap_call *k) {
  const char *name = k->op->name;
  return strcmp(name, "solve_lu") == 0 ? "solve" : strcmp(name, "solve_tri") == 0 ? "solve_triangular"
       : strcmp(name, "eigh_packed") == 0 ? "eigh" : name;
}

static bool square (neap_call *k) {
  const neap_tensor *x = k->in[0];
  if (x->ndim >= 2 && x->shape[x->ndim - 1] == x->shape[x->ndim - 2]) return true;
  return neap_fail(k->c, NEAP_ESHAPE, "%s: square matrices expected, got %s", known_as(k), SHAPE_TEXT(x));
}

/* a [B…, N, N], b [B…, N, M] -> [B…, N, M] */
static bool infer_system (neap_call *k, neap_meta *out) {
  if (!square(k)) return false;
  const neap_tensor *a = k->in[0], *b = k->in[1];
  if (b->ndim < 2 || b->shape[b->ndim - 2] != a->shape[a->ndim - 1])
    return neap_fail(k->c, NEAP_ESHAPE,
                     "%s: the matrix is %s, so the right side must be [batch…, %lld, columns], got %s", known_as(k),
                     SHAPE_TEXT(a), (long long)a->shape[a->ndim - 1], SHAPE_TEXT(b));
  if (!linalg_match(k->c, known_as(k), k->in)) return false;
  op_meta(out, k->in[1]->dtype, k->in[1]->ndim, k->in[1]->shape);
  return true;
}

bool infer_solve_tri (neap_call *k, neap_meta *out) { return infer_system(k, out); }
bool infer_solve_lu (neap_call *k, neap_meta *out) { return infer_system(k, out); }

/* x [B…, N, N] -> [B…, N, N] */
bool infer_cholesky (neap_call *k, neap_meta *out) {
  op_meta(out, k->in[0]->dtype, k->in[0]->ndim, k->in[0]->shape);
  return square(k);
}

/* x [B…, N, N] -> [B…, N, N + 1] */
bool infer_eigh_packed (neap_call *k, neap_meta *out) {
  if (!square(k)) return false;
  op_meta(out, k->in[0]->dtype, k->in[0]->ndim, k->in[0]->shape);
  if (out->shape[out->ndim - 1]++ <= MOST_EIGH) return true;
  return neap_fail(k->c, NEAP_ESHAPE, "eigh: at most %d rows expected, got %s", MOST_EIGH, SHAPE_TEXT(k->in[0]));
}

/* x [B…, N, N] -> [B…] */
bool infer_det (neap_call *k, neap_meta *out) {
  if (!square(k)) return false;
  op_meta(out, k->in[0]->dtype, k->in[0]->ndim - 2, k->in[0]->shape);
  return true;
}
bool infer_logdet (neap_call *k, neap_meta *out) { return infer_det(k, out); }

/* ---- one visit to LAPACK for a whole batch ---- */

typedef struct job {
  bool twice;                              /* float64 */
  int n, m;
  const char *a, *b; char *out;            /* of the matrix at hand; b may be NULL */
  void *work; int *integers;
  triangle t;
  bool logarithm;
} job;

typedef int (*matrix_fn) (job *j);

static int do_cholesky (job *j) {
  return j->twice ? cholesky_d((const double *)j->a, (double *)j->out, j->n)
                  : cholesky_s((const float *)j->a, (float *)j->out, j->n);
}
static int do_solve_tri (job *j) {
  return j->twice ? solve_tri_d((const double *)j->a, (double *)j->out, j->n, j->m, &j->t)
                  : solve_tri_s((const float *)j->a, (float *)j->out, j->n, j->m, &j->t);
}
static int do_solve_lu (job *j) {
  int n = j->n, m = j->m, *p = j->integers;
  return j->twice ? solve_lu_d((const double *)j->a, (const double *)j->b, (double *)j->out, n, m, j->work, p)
                  : solve_lu_s((const float *)j->a, (const float *)j->b, (float *)j->out, n, m, j->work, p);
}
static int do_det (job *j) {
  if (j->twice) *(double *)j->out = det_d((const double *)j->a, j->n, j->logarithm, j->work, j->integers);
  else *(float *)j->out = det_s((const float *)j->a, j->n, j->logarithm, j->work, j->integers);
  return 0;
}
static int do_eigh (job *j) {
  return j->twice ? eigh_d((const double *)j->a, (double *)j->out, j->n, j->work, j->integers)
                  : eigh_s((const float *)j->a, (float *)j->out, j->n, j->work, j->integers);
}

static int each_matrix (neap_call *k, neap_tensor *out, job *j, matrix_fn f, int64_t batch, int64_t *which) {
  int64_t size = (int64_t)neap_dtype_size(out->dtype), step = neap_numel(out) / batch;
  const char *a = j->a, *b = j->b;
  char *to = neap_ptr(out);
  int info = 0;
  for (int64_t i = 0; i < batch && info == 0; i++) {
    j->a = a + i * j->n * j->n * size;
    j->b = b ? b + i * j->n * j->m * size : NULL;
    j->out = to + i * step * size;
    info = f(j);
    *which = i + 1;
    if (info == 0 && !neap_poll(k->c)) return 0;
  }
  return info;
}

/* Runs f on every matrix of the batch, with nwork elements and nints integers of scratch; why: what info > 0 means. */
static bool run_matrices (neap_call *k, neap_tensor *out, job *j, matrix_fn f, size_t nwork, size_t nints,
                          const char *why) {
  int64_t batch = linalg_batch(k->in[0]), which = 0;
  if (neap_numel(out) == 0) return true;
  neap_tensor *a = neap_contiguous_data(k->c, k->in[0]);
  size_t bytes = nwork * neap_dtype_size(out->dtype), all = bytes + nints * sizeof(int);
  char *scratch = a ? neap_malloc(k->c, all) : NULL;
  if (!scratch) return false;
  j->a = neap_ptr(a); j->work = scratch; j->integers = (int *)(scratch + bytes);
  int token = neap_blas_begin(k->c, known_as(k)), info = 0;
  if (token >= 0) {
    info = each_matrix(k, out, j, f, batch, &which);
    neap_blas_leave(k->c, token);
  }
  neap_free(k->c, scratch, all);
  if (info < 0)
    return neap_fail(k->c, NEAP_ENUMERIC,
                     "%s: matrix %lld of %s holds NaN or infinity", known_as(k), (long long)which, SHAPE_TEXT(a));
  if (info > 0)
    return neap_fail(k->c, NEAP_ENUMERIC,
                     "%s: matrix %lld of %s %s %d", known_as(k), (long long)which, SHAPE_TEXT(a), why, info);
  return neap_ok(k->c);
}

static job new_job (neap_call *k) {
  const neap_tensor *x = k->in[0];
  return (job){ .twice = x->dtype == NEAP_FLOAT64, .n = (int)x->shape[x->ndim - 1] };
}

/* ---- kernels ---- */

bool run_cholesky (neap_call *k, neap_tensor *out) {
  job j = new_job(k);
  return run_matrices(k, out, &j, do_cholesky, 0, 0,
                      "is not positive definite: it fails at the leading minor of order");
}

bool run_solve_tri (neap_call *k, neap_tensor *out) {
  job j = new_job(k);
  j.m = (int)out->shape[out->ndim - 1];
  j.t = (triangle){ .upper = is_set(k->a.i[0]), .transpose = is_set(k->a.i[1]), .unit = is_set(k->a.i[2]) };
  neap_copy_strided(out, k->in[1]);
  return run_matrices(k, out, &j, do_solve_tri, 0, 0, "is singular: zero on the diagonal at");
}

bool run_solve_lu (neap_call *k, neap_tensor *out) {
  job j = new_job(k);
  neap_tensor *b = neap_contiguous_data(k->c, k->in[1]);
  if (!b) return false;
  j.m = (int)out->shape[out->ndim - 1];
  j.b = neap_ptr(b);
  size_t n = (size_t)j.n;
  return run_matrices(k, out, &j, do_solve_lu, n * n + n * (size_t)j.m, n,
                      "is singular: elimination finds a zero pivot at");
}

static bool run_determinant (neap_call *k, neap_tensor *out, bool logarithm) {
  job j = new_job(k);
  j.logarithm = logarithm;
  return run_matrices(k, out, &j, do_det, (size_t)j.n * (size_t)j.n, (size_t)j.n, "");
}

bool run_det (neap_call *k, neap_tensor *out) { return run_determinant(k, out, false); }
bool run_logdet (neap_call *k, neap_tensor *out) { return run_determinant(k, out, true); }

bool run_eigh_packed (neap_call *k, neap_tensor *out) {
  job j = new_job(k);
  size_t n = (size_t)j.n;
  return run_matrices(k, out, &j, do_eigh, 3 * n * n + 7 * n + 1, 3 + 5 * n, "did not converge: LAPACK's syevd says");
}
