/*
** test_matmul.c -- products of every layout against plain loops, the same bits for any number of threads, and
** OpenBLAS's habits: its work buffer under a memory limit, many threads at once.
** Invariant: elements are small integers, so every product is exact and compared with ==.
*/
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "op.h"

enum { PLAIN, TRANSPOSED, WIDE, STEP, REVERSED, REPEATED, NLAYOUTS };

static uint64_t lcg = 1;
static int small_integer (void) {
  lcg = lcg * 6364136223846793005u + 1442695040888963407u;
  return (int)(lcg >> 33) % 4;
}

/* a [rows, cols] view with the strides of a layout, over storage filled with small integers */
static neap_tensor *make (neap_context *c, neap_dtype d, int64_t rows, int64_t cols, int layout) {
  int64_t n = 2 * rows * cols + 8 * (rows + cols) + 8, strides[2] = { cols, 1 }, offset = 3, shape[2] = { rows, cols };
  neap_tensor *base = neap_empty(c, NEAP_INT64, 1, &n);
  for (int64_t i = 0; i < n; i++) ((int64_t *)neap_data(base))[i] = small_integer();
  base = neap_cast(c, base, d);
  if (layout == TRANSPOSED) { strides[0] = 1; strides[1] = rows; }
  if (layout == WIDE) strides[0] = cols + 5;
  if (layout == STEP) { strides[0] = 2 * cols; strides[1] = 2; }
  if (layout == REVERSED) { strides[0] = -cols; offset = 3 + (rows > 0 ? rows - 1 : 0) * cols; }
  if (layout == REPEATED) strides[0] = 0;
  return neap_tensor_view(c, base->store, d, 2, shape, strides, offset);
}

static double *values (neap_context *c, neap_tensor *t) {
  double *v = malloc(((size_t)neap_numel(t) + 1) * sizeof *v);
  assert_true(neap_read(c, t, NEAP_FLOAT64, v));
  return v;
}

static void expect_product (neap_context *c, neap_tensor *x, neap_tensor *y, neap_tensor *out) {
  assert_non_null(out);
  int64_t m = x->shape[0], k = x->shape[1], n = y->shape[1];
  assert_int_equal(neap_numel(out), m * n);
  double *a = values(c, x), *b = values(c, y), *o = values(c, out);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double sum = 0;
      for (int64_t q = 0; q < k; q++) sum += a[i * k + q] * b[q * n + j];
      if (out->dtype == NEAP_UINT8) sum = (double)((int64_t)sum & 255);
      assert_true(sum == o[i * n + j]);
    }
  free(a); free(b); free(o);
}

static void one_pair (neap_context *c, neap_dtype d, const int64_t *mkn, int lx, int ly) {
  neap_scope s = neap_scope_open(c);
  neap_tensor *x = make(c, d, mkn[0], mkn[1], lx), *y = make(c, d, mkn[1], mkn[2], ly);
  expect_product(c, x, y, neap_matmul(c, x, y));
  neap_scope_close(c, s);
}

static void all_layouts (neap_dtype d) {
  static const int64_t size[] = { 0, 1, 2, 3, 7, 17, 40 };
  neap_context *c = neap_open(NULL);
  for (int i = 0; i < 7 * 7 * 7; i++) {
    int64_t mkn[] = { size[i % 7], size[i / 7 % 7], size[i / 49] };
    for (int l = 0; l < NLAYOUTS * NLAYOUTS; l++) one_pair(c, d, mkn, l % NLAYOUTS, l / NLAYOUTS);
  }
  neap_close(c);
}

static void test_layouts_float32 (void **state) { (void)state; all_layouts(NEAP_FLOAT32); }
static void test_layouts_float64 (void **state) { (void)state; all_layouts(NEAP_FLOAT64); }
static void test_layouts_int64 (void **state) { (void)state; all_layouts(NEAP_INT64); }
static void test_layouts_uint8 (void **state) { (void)state; all_layouts(NEAP_UINT8); }

/* NaN and infinity go through; memory that was not written does not */
static void test_special_values (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  for (int64_t n = 1; n < 200; n += 66) {
    neap_scope s = neap_scope_open(c);
    int64_t big[] = { 1, 200 * 200 }, sx[] = { n, 70 }, sy[] = { 70, 1 };
    neap_full(c, NEAP_FLOAT32, 2, big, 0.0 / 0.0);             /* left behind in the free list */
    neap_scope_close(c, s);
    neap_tensor *x = neap_full(c, NEAP_FLOAT32, 2, sx, 1), *y = neap_full(c, NEAP_FLOAT32, 2, sy, 2);
    double *v = values(c, neap_matmul(c, x, y));
    for (int64_t i = 0; i < n; i++) assert_true(v[i] == 140);
    free(v);
    ((float *)neap_data(x))[5] = 1.0f / 0.0f;
    v = values(c, neap_matmul(c, x, y));
    assert_true(v[0] == 1.0 / 0.0);
    free(v);
  }
  neap_close(c);
}

/* ---- batches ---- */

static neap_tensor *filled (neap_context *c, neap_dtype d, int ndim, const int64_t *shape) {
  neap_tensor *t = neap_empty(c, NEAP_INT64, ndim, shape);
  for (int64_t i = 0; i < neap_numel(t); i++) ((int64_t *)neap_data(t))[i] = small_integer();
  return neap_cast(c, t, d);
}

/* matrix b of t, whose batch of shape out[0 .. n-1] it broadcasts to */
static neap_tensor *matrix_of (neap_context *c, neap_tensor *t, int n, const int64_t *out, int64_t b) {
  int64_t offset = t->offset;
  for (int i = 1; i <= n; b /= out[n - i], i++) {
    int d = t->ndim - 2 - i;
    if (d >= 0 && t->shape[d] != 1) offset += b % out[n - i] * t->strides[d];
  }
  return neap_tensor_view(c, t->store, t->dtype, 2, t->shape + t->ndim - 2, t->strides + t->ndim - 2, offset);
}

static void batch_case (neap_context *c, int nx, const int64_t *sx, int ny, const int64_t *sy) {
  neap_tensor *x = filled(c, NEAP_FLOAT32, nx, sx), *y = filled(c, NEAP_FLOAT32, ny, sy), *out = neap_matmul(c, x, y);
  assert_non_null(out);
  int64_t count = 1;
  for (int i = 0; i < out->ndim - 2; i++) count *= out->shape[i];
  for (int64_t b = 0; b < count; b++)
    expect_product(c, matrix_of(c, x, out->ndim - 2, out->shape, b), matrix_of(c, y, out->ndim - 2, out->shape, b),
                   matrix_of(c, out, out->ndim - 2, out->shape, b));
}

static void test_batches (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  batch_case(c, 3, (int64_t[]){ 5, 3, 4 }, 2, (int64_t[]){ 4, 6 });
  batch_case(c, 2, (int64_t[]){ 3, 4 }, 3, (int64_t[]){ 5, 4, 6 });
  batch_case(c, 4, (int64_t[]){ 2, 1, 3, 4 }, 3, (int64_t[]){ 5, 4, 6 });
  batch_case(c, 4, (int64_t[]){ 2, 3, 30, 40 }, 4, (int64_t[]){ 1, 3, 40, 20 });
  batch_case(c, 3, (int64_t[]){ 1000, 2, 2 }, 3, (int64_t[]){ 1000, 2, 2 });
  batch_case(c, 3, (int64_t[]){ 0, 2, 2 }, 3, (int64_t[]){ 1, 2, 2 });
  assert_int_equal(neap_status_of(c), NEAP_OK);
  neap_close(c);
}

static void test_vectors (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *v = filled(c, NEAP_FLOAT64, 1, (int64_t[]){ 9 }), *m = filled(c, NEAP_FLOAT64, 2, (int64_t[]){ 9, 5 });
  neap_tensor *row = neap_matmul(c, v, m), *col = neap_matmul(c, neap_transpose(c, m, 1, 2), v);
  neap_tensor *dot = neap_matmul(c, v, v);
  assert_int_equal(row->ndim, 1); assert_int_equal(col->ndim, 1); assert_int_equal(dot->ndim, 0);
  expect_product(c, neap_unsqueeze(c, v, 1), m, neap_unsqueeze(c, row, 1));
  double *a = values(c, row), *b = values(c, col);
  assert_memory_equal(a, b, 5 * sizeof *a);
  free(a); free(b);
  neap_close(c);
}

/* ---- messages ---- */

static void expect_error (neap_context *c, neap_tensor *t, neap_status code, const char *message) {
  assert_null(t);
  assert_int_equal(neap_status_of(c), code);
  assert_string_equal(neap_error(c), message);
  neap_clear_error(c);
}

static void test_errors (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *a = filled(c, NEAP_FLOAT32, 2, (int64_t[]){ 2, 3 });
  neap_tensor *b = filled(c, NEAP_FLOAT32, 2, (int64_t[]){ 4, 5 });
  expect_error(c, neap_matmul(c, a, b), NEAP_ESHAPE, "matmul: inner sizes differ: [2, 3] x [4, 5]");
  expect_error(c, neap_matmul(c, a, neap_scalar(c, NEAP_FLOAT32, 1)), NEAP_ESHAPE,
               "matmul: at least one dimension each expected, got [2, 3] x []");
  neap_tensor *x = filled(c, NEAP_FLOAT32, 3, (int64_t[]){ 2, 3, 3 });
  neap_tensor *y = filled(c, NEAP_FLOAT32, 3, (int64_t[]){ 4, 3, 3 });
  expect_error(c, neap_matmul(c, x, y), NEAP_ESHAPE,
               "matmul: the batch dimensions of [2, 3, 3] and [4, 3, 3] cannot be broadcast together");
  expect_error(c, neap_dot(c, a, a), NEAP_ESHAPE, "dot: two vectors of one size expected, got [2, 3] and [2, 3]");
  expect_error(c, neap_matmul(c, a, NULL), NEAP_EARG, "matmul: argument 2 is missing");
  neap_close(c);
}

/* ---- threads ---- */

static float *with_threads (int threads, int ndim, const int64_t *sx, const int64_t *sy, size_t *bytes) {
  neap_context *c = neap_open(&(neap_config){ .threads = threads });
  neap_rng *r = neap_rng_new(c, 7);
  neap_tensor *x = neap_rng_normal(c, r, NEAP_FLOAT32, ndim, sx), *y = neap_rng_normal(c, r, NEAP_FLOAT32, ndim, sy);
  neap_tensor *out = neap_matmul(c, x, y);
  assert_non_null(out);
  *bytes = (size_t)neap_numel(out) * sizeof(float);
  float *copy = malloc(*bytes);
  memcpy(copy, neap_data(out), *bytes);
  neap_rng_release(r);
  neap_close(c);
  return copy;
}

static void same_bits (int ndim, const int64_t *sx, const int64_t *sy) {
  size_t bytes;
  float *one = with_threads(1, ndim, sx, sy, &bytes);
  for (int threads = 2; threads <= 3; threads++) {
    float *more = with_threads(threads, ndim, sx, sy, &bytes);
    assert_memory_equal(one, more, bytes);
    free(more);
  }
  free(one);
}

static void test_same_bits_for_any_threads (void **state) {
  (void)state;
  same_bits(2, (int64_t[]){ 1001, 300 }, (int64_t[]){ 300, 257 });
  same_bits(2, (int64_t[]){ 65, 300 }, (int64_t[]){ 300, 1999 });
  same_bits(3, (int64_t[]){ 50, 64, 64 }, (int64_t[]){ 50, 64, 64 });
  same_bits(2, (int64_t[]){ 1, 3000 }, (int64_t[]){ 3000, 3000 });
}

static void *own_context (void *arg) {
  bool *good = arg;
  neap_context *c = neap_open(NULL);
  for (int i = 0; c && *good && i < 100; i++) {
    neap_scope s = neap_scope_open(c);
    int64_t shape[] = { 40 + i % 7, 40 + i % 7 };
    double v;
    neap_tensor *x = neap_full(c, NEAP_FLOAT32, 2, shape, 2), *p = neap_matmul(c, x, x);
    *good = neap_item(c, neap_amax(c, p, -1, NULL, false), &v) && v == 4.0 * (double)shape[0];
    *good = *good && neap_item(c, neap_amin(c, p, -1, NULL, false), &v) && v == 4.0 * (double)shape[0];
    neap_scope_close(c, s);
  }
  *good = *good && c;
  neap_close(c);
  return NULL;
}

static void test_many_contexts_at_once (void **state) {
  (void)state;
  pthread_t thread[4];
  bool good[4] = { true, true, true, true };
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, own_context, &good[i]), 0);
  for (int i = 0; i < 4; i++) { pthread_join(thread[i], NULL); assert_true(good[i]); }
}

/* ---- no room for OpenBLAS's work buffer: an error, not a loop for ever ---- */

static long address_space_kb (void) {
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%ld", &pages) != 1) pages = 0;
  if (f) fclose(f);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int starve (void) {
  alarm(20);
  neap_context *c = neap_open(NULL);
  rlim_t room = (rlim_t)(address_space_kb() + 30 * 1024) * 1024;
  if (setrlimit(RLIMIT_AS, &(struct rlimit){ room, room }) != 0) return 2;
  int64_t shape[] = { 100, 100 };
  neap_tensor *x = neap_full(c, NEAP_FLOAT32, 2, shape, 1);
  bool refused = !neap_matmul(c, x, x) && neap_status_of(c) == NEAP_EMEMORY && strstr(neap_error(c), "OpenBLAS");
  neap_clear_error(c);
  double v = 0;
  bool works_on = neap_item(c, neap_sum(c, x, -1, NULL, false), &v) && v == 10000;
  neap_close(c);
  return refused && works_on ? 0 : 1;
}

static bool sanitized (void) {
  const char *name = getenv("NEAP_SANITIZER");
  return name && *name;
}

static void test_no_room_for_the_buffer (void **state) {
  (void)state;
  if (sanitized()) skip();                                     /* a sanitizer's shadow needs all addresses */
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) _exit(starve());
  int status;
  waitpid(child, &status, 0);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- OpenBLAS's own workers ---- */

int openblas_get_parallel (void);

static int threads_now (void) {
  int n = 0;
  DIR *d = opendir("/proc/self/task");
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d)); ) n += e->d_name[0] != '.';
  closedir(d);
  return n;
}

static void test_stopping_the_workers (void **state) {
  (void)state;
  if (sanitized()) skip();                                     /* a sanitizer has threads of its own */
  for (int i = 0; i < 2; i++) {
    neap_blas_stop_workers();
    if (openblas_get_parallel() == 1) assert_int_equal(threads_now(), 1);
    neap_context *c = neap_open(NULL);
    neap_tensor *x = neap_full(c, NEAP_FLOAT32, 2, (int64_t[]){ 300, 300 }, 1);
    expect_product(c, x, x, neap_matmul(c, x, x));
    neap_close(c);
    if (openblas_get_parallel() == 1) assert_int_equal(threads_now(), 1);
  }
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_no_room_for_the_buffer),             /* first: a thread maps the buffer once */
    cmocka_unit_test(test_stopping_the_workers), cmocka_unit_test(test_layouts_float32),
    cmocka_unit_test(test_layouts_float64), cmocka_unit_test(test_layouts_int64),
    cmocka_unit_test(test_layouts_uint8), cmocka_unit_test(test_special_values), cmocka_unit_test(test_batches),
    cmocka_unit_test(test_vectors), cmocka_unit_test(test_errors), cmocka_unit_test(test_same_bits_for_any_threads),
    cmocka_unit_test(test_many_contexts_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
