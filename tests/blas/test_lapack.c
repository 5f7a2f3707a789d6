/*
** test_lapack.c -- factorisations and solvers against what defines them (L Lᵀ = A, A X = B, A V = V W), in both float
** dtypes, over batches, strided inputs and size 0; and the errors of matrices that have none.
*/
#include "support.h"
#include "op.h"

static const neap_dtype floats[] = { NEAP_FLOAT32, NEAP_FLOAT64 };
static double tolerance (neap_dtype d) { return d == NEAP_FLOAT32 ? 2e-4 : 1e-11; }

static neap_tensor *normal (neap_context *c, neap_dtype d, int ndim, const int64_t *shape) {
  return neap_rng_normal(c, neap_rng_default(c), d, ndim, shape);
}
static neap_tensor *turned (neap_context *c, neap_tensor *x) { return neap_transpose(c, x, -2, -1); }

/* x xᵀ / n + 1/2, positive definite */
static neap_tensor *positive (neap_context *c, neap_dtype d, int ndim, const int64_t *shape) {
  neap_tensor *x = normal(c, d, ndim, shape);
  int64_t n = shape[ndim - 1];
  neap_tensor *p = neap_mul(c, neap_matmul(c, x, turned(c, x)), neap_scalar(c, d, 1.0 / (double)(n ? n : 1)));
  return neap_add(c, p, neap_mul(c, neap_eye(c, d, n, n), neap_scalar(c, d, .5)));
}

/* the largest |a - b|, relative to the largest |b| */
static double distance (neap_context *c, neap_tensor *a, neap_tensor *b) {
  assert_non_null(a); assert_non_null(b);
  assert_true(neap_same_shape(a, b));
  double diff = 0, scale = 1e-30, *x, *y;
  size_t n = (size_t)neap_numel(a);
  x = malloc((n + 1) * sizeof *x); y = malloc((n + 1) * sizeof *y);
  assert_true(neap_read(c, a, NEAP_FLOAT64, x) && neap_read(c, b, NEAP_FLOAT64, y));
  for (size_t i = 0; i < n; i++) { diff = fmax(diff, fabs(x[i] - y[i])); scale = fmax(scale, fabs(y[i])); }
  for (size_t i = 0; i < n; i++) if (x[i] != x[i]) diff = INFINITY;
  free(x); free(y);
  return diff / scale;
}

typedef void (*check_fn) (neap_context *c, neap_dtype d, int ndim, const int64_t *shape);

/* both dtypes; sizes 0, 1, odd, larger than a block; batches */
static void everywhere (check_fn f) {
  static const int64_t shape[][3] = { { 1, 0, 0 }, { 1, 1, 1 }, { 1, 5, 5 }, { 1, 70, 70 }, { 4, 3, 3 }, { 0, 3, 3 },
                                      { 3, 0, 0 } };
  for (int t = 0; t < 2; t++)
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
      neap_context *c = neap_open(NULL);
      int skip = shape[i][0] == 1;
      f(c, floats[t], 3 - skip, shape[i] + skip);
      assert_string_equal(neap_error(c), "");
      neap_close(c);
    }
}

/* ---- cholesky ---- */

static void check_cholesky (neap_context *c, neap_dtype d, int ndim, const int64_t *shape) {
  neap_tensor *a = positive(c, d, ndim, shape), *L = neap_cholesky(c, a);
  assert_true(distance(c, neap_matmul(c, L, turned(c, L)), a) < tolerance(d));
  assert_true(distance(c, neap_tril(c, L, 0), L) == 0);
  neap_tensor *b = normal(c, d, ndim, shape);
  assert_true(distance(c, neap_matmul(c, a, neap_cholesky_solve(c, b, L)), b) < 10 * tolerance(d));
}
static void test_cholesky (void **state) { (void)state; everywhere(check_cholesky); }

/* cholesky reads (x + xᵀ)/2 */
static void test_cholesky_is_of_the_symmetric_part (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  double skewed[] = { 4, 3, 1, 5 };                            /* symmetric part [4 2; 2 5] */
  neap_tensor *L = neap_cholesky(c, neap_from(c, NEAP_FLOAT64, 2, (int64_t[]){ 2, 2 }, skewed));
  double expected[] = { 2, 0, 1, 2 };
  assert_true(distance(c, L, neap_from(c, NEAP_FLOAT64, 2, (int64_t[]){ 2, 2 }, expected)) < 1e-15);
  neap_close(c);
}

/* ---- systems ---- */

static void check_triangular (neap_context *c, neap_dtype d, int ndim, const int64_t *shape) {
  for (int flags = 0; flags < 8; flags++) {
    bool upper = flags & 1, transpose = flags & 2, unit = flags & 4;
    neap_tensor *a = neap_add(c, neap_mul(c, normal(c, d, ndim, shape), neap_scalar(c, d, .1)),
                              neap_eye(c, d, shape[ndim - 1], shape[ndim - 1]));
    neap_tensor *t = upper ? neap_triu(c, a, unit) : neap_tril(c, a, unit ? -1 : 0), *b = normal(c, d, ndim, shape);
    if (unit) t = neap_add(c, t, neap_eye(c, d, shape[ndim - 1], shape[ndim - 1]));
    neap_tensor *x = neap_solve_triangular(c, a, b, upper, transpose, unit);
    assert_true(distance(c, neap_matmul(c, transpose ? turned(c, t) : t, x), b) < tolerance(d));
  }
}
static void test_triangular (void **state) { (void)state; everywhere(check_triangular); }

static void check_solve (neap_context *c, neap_dtype d, int ndim, const int64_t *shape) {
  int64_t n = shape[ndim - 1], wide[3] = { shape[0], n, 2 };
  if (ndim == 2) wide[1] = 2;
  neap_tensor *a = positive(c, d, ndim, shape), *b = normal(c, d, ndim, wide);
  a = neap_add(c, a, neap_triu(c, normal(c, d, ndim, shape), 1));
  assert_true(distance(c, neap_matmul(c, a, neap_solve(c, a, b)), b) < 20 * tolerance(d));
  assert_true(distance(c, neap_matmul(c, turned(c, a), neap_solve(c, turned(c, a), b)), b) < 20 * tolerance(d));
  neap_tensor *eye = neap_expand(c, neap_eye(c, d, n, n), ndim, shape);
  assert_true(distance(c, neap_matmul(c, a, neap_inverse(c, a)), eye) < 50 * tolerance(d));
}
static void test_solve (void **state) { (void)state; everywhere(check_solve); }

static void test_right_sides (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *a = positive(c, NEAP_FLOAT64, 2, (int64_t[]){ 3, 3 }), *v = normal(c, NEAP_FLOAT64, 1, (int64_t[]){ 3 });
  neap_tensor *x = neap_solve(c, a, v);
  assert_int_equal(x->ndim, 1);
  assert_true(distance(c, neap_matmul(c, a, x), v) < 1e-12);
  neap_tensor *many = normal(c, NEAP_FLOAT64, 3, (int64_t[]){ 4, 3, 2 });
  neap_tensor *y = neap_solve(c, a, many);                      /* a broadcasts */
  assert_true(distance(c, neap_matmul(c, a, y), many) < 1e-12);
  neap_tensor *as = positive(c, NEAP_FLOAT64, 3, (int64_t[]){ 2, 3, 3 });
  neap_tensor *bs = normal(c, NEAP_FLOAT64, 2, (int64_t[]){ 2, 3 });
  neap_tensor *z = neap_solve(c, as, bs);                       /* a batch of vectors */
  assert_int_equal(z->ndim, 2);
  neap_tensor *back = neap_sum(c, neap_mul(c, as, neap_unsqueeze(c, z, 2)), 1, (int64_t[]){ 3 }, false);
  assert_true(distance(c, back, bs) < 1e-12);
  neap_close(c);
}

/* ---- determinants ---- */

static void check_det (neap_context *c, neap_dtype d, int ndim, const int64_t *shape) {
  neap_tensor *a = positive(c, d, ndim, shape), *L = neap_cholesky(c, a), *det = neap_det(c, a);
  neap_tensor *log_det = neap_logdet(c, a);
  neap_tensor *half = neap_sum(c, neap_log(c, neap_diagonal(c, L, 0)), 1, (int64_t[]){ -1 }, false);
  neap_tensor *by_cholesky = neap_mul(c, half, neap_scalar(c, d, 2));
  assert_true(distance(c, log_det, by_cholesky) < 50 * tolerance(d));
  assert_true(distance(c, neap_exp(c, log_det), det) < 50 * tolerance(d));
}
static void test_determinants (void **state) { (void)state; everywhere(check_det); }

static void test_signs (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  double swap[] = { 0, 1, 1, 0 }, flat[] = { 1, 2, 2, 4 }, turn[] = { 0, 0, 1, 1, 0, 0, 0, 1, 0 };
  int64_t two[] = { 2, 2 }, three[] = { 3, 3 };
  assert_true(item(c, neap_det(c, neap_from(c, NEAP_FLOAT64, 2, two, swap))) == -1);
  assert_true(isnan(item(c, neap_logdet(c, neap_from(c, NEAP_FLOAT64, 2, two, swap)))));
  assert_true(item(c, neap_det(c, neap_from(c, NEAP_FLOAT64, 2, two, flat))) == 0);
  assert_true(item(c, neap_logdet(c, neap_from(c, NEAP_FLOAT64, 2, two, flat))) == -INFINITY);
  assert_true(item(c, neap_det(c, neap_from(c, NEAP_FLOAT64, 2, three, turn))) == 1);
  assert_true(item(c, neap_trace(c, neap_from(c, NEAP_FLOAT64, 2, two, flat))) == 5);
  neap_close(c);
}

/* ---- eigenvalues ---- */

static void check_eigh (neap_context *c, neap_dtype d, int ndim, const int64_t *shape) {
  neap_tensor *a = normal(c, d, ndim, shape), *v = neap_eigh_vectors(c, a), *w = neap_eigvalsh(c, a);
  int64_t n = shape[ndim - 1];
  a = neap_mul(c, neap_add(c, a, turned(c, a)), neap_scalar(c, d, .5));
  assert_true(distance(c, neap_matmul(c, a, v), neap_mul(c, v, neap_unsqueeze(c, w, -2))) < tolerance(d));
  neap_tensor *eye = neap_expand(c, neap_eye(c, d, n, n), ndim, shape);
  assert_true(distance(c, neap_matmul(c, turned(c, v), v), eye) < tolerance(d));
  if (neap_numel(w) < 2 || n < 2) return;
  neap_tensor *steps = neap_sub(c, neap_slice(c, w, -1, 2, n, 1), neap_slice(c, w, -1, 1, n - 1, 1));
  assert_true(item(c, neap_amin(c, steps, -1, NULL, false)) >= 0);
}
static void test_eigh (void **state) { (void)state; everywhere(check_eigh); }

/* values of equal eigenvalues have derivatives, Σ ∂w = I, although their vectors have none */
static void test_eigenvalue_gradient_at_ties (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *x = neap_eye(c, NEAP_FLOAT64, 3, 3), *g;
  assert_true(neap_requires_grad(c, x, true));
  assert_true(neap_gradients(c, neap_sum(c, neap_eigvalsh(c, x), -1, NULL, false), 1, &x, NULL, 0, &g));
  assert_true(distance(c, g, neap_eye(c, NEAP_FLOAT64, 3, 3)) < 1e-14);
  neap_close(c);
}

/* ---- errors ---- */

static void expect_error (neap_context *c, neap_tensor *t, neap_status code, const char *message) {
  assert_null(t);
  assert_string_equal(neap_error(c), message);
  assert_int_equal(neap_status_of(c), code);
  neap_clear_error(c);
}

static void test_errors (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  double m[] = { 1, 0, 0, 1, 4, 2, 2, 1 }, nan[] = { 1, NAN, 0, 1 }, zero[] = { 1, 0, 1, 0 };
  int64_t two[] = { 2, 2 };
  neap_tensor *batch = neap_from(c, NEAP_FLOAT64, 3, (int64_t[]){ 2, 2, 2 }, m);
  neap_tensor *bad = neap_from(c, NEAP_FLOAT64, 2, two, nan);
  neap_tensor *flat = neap_from(c, NEAP_FLOAT64, 2, two, zero);
  neap_tensor *wide = neap_full(c, NEAP_FLOAT64, 2, (int64_t[]){ 2, 3 }, 1);
  expect_error(c, neap_cholesky(c, batch), NEAP_ENUMERIC,
               "cholesky: matrix 2 of [2, 2, 2] is not positive definite: it fails at the leading minor of order 2");
  expect_error(c, neap_cholesky(c, bad), NEAP_ENUMERIC,
               "cholesky: matrix 1 of [2, 2] is not positive definite: it fails at the leading minor of order 2");
  expect_error(c, neap_cholesky(c, wide), NEAP_ESHAPE, "cholesky: square matrices expected, got [2, 3]");
  expect_error(c, neap_eigvalsh(c, bad), NEAP_ENUMERIC, "eigh: matrix 1 of [2, 2] holds NaN or infinity");
  expect_error(c, neap_solve(c, flat, wide), NEAP_ENUMERIC,
               "solve: matrix 1 of [2, 2] is singular: elimination finds a zero pivot at 2");
  expect_error(c, neap_solve_triangular(c, flat, wide, false, false, false), NEAP_ENUMERIC,
               "solve_triangular: matrix 1 of [2, 2] is singular: zero on the diagonal at 2");
  expect_error(c, neap_solve(c, flat, neap_full(c, NEAP_FLOAT64, 2, (int64_t[]){ 3, 2 }, 1)), NEAP_ESHAPE,
               "solve: the matrix is [2, 2], so the right side must be [batch…, 2, columns], got [3, 2]");
  expect_error(c, neap_inverse(c, wide), NEAP_ESHAPE, "inverse: square matrices expected, got [2, 3]");
  neap_close(c);
}

/* every kernel and rule of the family, with gradients; NULL when anything failed */
static neap_tensor *much (neap_context *c) {
  neap_tensor *x = neap_linspace(c, NEAP_FLOAT64, -1, 1, 9), *g;
  x = neap_reshape(c, x, 2, (int64_t[]){ 3, 3 });
  if (!x || !neap_requires_grad(c, x = neap_detach(c, x), true)) return NULL;
  neap_tensor *a = neap_add(c, neap_matmul(c, x, turned(c, x)), neap_eye(c, NEAP_FLOAT64, 3, 3));
  neap_tensor *L = neap_cholesky(c, a);
  neap_tensor *e = neap_einsum(c, "ij,jk,kk->i", 3, (neap_tensor *[]){ a, neap_solve(c, a, x), neap_inverse(c, a) });
  neap_tensor *y = neap_add(c, neap_add(c, e, neap_logdet(c, a)), neap_solve_triangular(c, L, x, false, true, false));
  y = neap_add(c, neap_add(c, y, neap_det(c, a)), neap_eigvalsh(c, a));
  y = neap_add(c, y, neap_layer_norm(c, x, 1, NULL, NULL, 1e-5));
  y = neap_sum(c, y, -1, NULL, false);
  return y && neap_gradients(c, y, 1, &x, NULL, 0, &g) ? g : NULL;
}

static void test_every_allocation_may_fail (void **state) {
  (void)state;
  long n = 1;
  for (bool done = false; !done; n++) {
    failing f = { .countdown = n };
    neap_context *c = failing_open(&f);
    if (!c) { assert_int_equal(f.bytes, 0); continue; }
    neap_scope s = neap_scope_open(c);
    done = much(c) != NULL;
    if (!done) assert_int_equal(neap_status_of(c), NEAP_EMEMORY);
    neap_scope_close(c, s);
    neap_close(c);
    assert_int_equal(f.bytes, 0);
  }
  assert_true(n > 300);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_cholesky), cmocka_unit_test(test_cholesky_is_of_the_symmetric_part),
    cmocka_unit_test(test_triangular), cmocka_unit_test(test_solve), cmocka_unit_test(test_right_sides),
    cmocka_unit_test(test_determinants), cmocka_unit_test(test_signs),
    cmocka_unit_test(test_eigh), cmocka_unit_test(test_eigenvalue_gradient_at_ties), cmocka_unit_test(test_errors),
    cmocka_unit_test(test_every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
