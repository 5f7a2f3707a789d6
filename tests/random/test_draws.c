/*
** test_draws.c -- draws of tensors: their laws, their streams, their errors, the same for any number of threads.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core.h"

enum { N = 200000 };

static neap_context *open_with (int threads) {
  neap_context *c = neap_open(&(neap_config){ .threads = threads, .seed = 42 });
  assert_non_null(c);
  return c;
}

/* ---- laws ---- */

/* z-score of the mean of f(x) against what is expected */
static double z_of (const double *x, int64_t n, double (*f)(double), double mean, double variance) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += f(x[i]);
  return (sum / (double)n - mean) / sqrt(variance / (double)n);
}
static double first (double x) { return x; }
static double second (double x) { return x * x; }
static double third (double x) { return x * x * x; }
static double fourth (double x) { return x * x * x * x; }
static double beyond_2 (double x) { return fabs(x) > 2; }
static double beyond_4 (double x) { return fabs(x) > 4; }
static double near_0 (double x) { return fabs(x) < .01; }

static void normal_moments (void **state) {
  (void)state;
  static double x[N];
  neap_context *c = open_with(1);
  for (int d = NEAP_FLOAT32; d <= NEAP_FLOAT64; d++) {
    neap_tensor *t = neap_rng_normal(c, neap_rng_default(c), (neap_dtype)d, 1, (int64_t[]){ N });
    assert_true(neap_read(c, t, NEAP_FLOAT64, x));
    assert_true(fabs(z_of(x, N, first, 0, 1)) < 4);
    assert_true(fabs(z_of(x, N, second, 1, 2)) < 4);
    assert_true(fabs(z_of(x, N, third, 0, 15)) < 4);
    assert_true(fabs(z_of(x, N, fourth, 3, 96)) < 4);
    assert_true(fabs(z_of(x, N, beyond_2, .0455002638963584, .0434299899)) < 4);
    assert_true(fabs(z_of(x, N, beyond_4, 6.33424836662e-5, 6.334e-5)) < 4);
    assert_true(fabs(z_of(x, N, near_0, .00797871302, .0079150531)) < 4);
  }
  neap_close(c);
}

/* neighbours, and the two halves of Box and Muller's pairs, are uncorrelated, and so are their squares */
static void normal_lags (void **state) {
  (void)state;
  static double x[N];
  static const int lags[] = { 1, 2, 4, 16, 32, 48, 64 };
  neap_context *c = open_with(1);
  neap_tensor *t = neap_rng_normal(c, neap_rng_default(c), NEAP_FLOAT32, 1, (int64_t[]){ N });
  assert_true(neap_read(c, t, NEAP_FLOAT64, x));
  for (size_t k = 0; k < sizeof lags / sizeof *lags; k++) {
    double plain = 0, squares = 0;
    int n = N - lags[k];
    for (int i = 0; i < n; i++) {
      plain += x[i] * x[i + lags[k]];
      squares += (x[i] * x[i] - 1) * (x[i + lags[k]] * x[i + lags[k]] - 1);
    }
    assert_true(fabs(plain / sqrt(n)) < 4);
    assert_true(fabs(squares / (2 * sqrt(n))) < 4);
  }
  neap_close(c);
}

static void uniform_moments (void **state) {
  (void)state;
  static double x[N];
  neap_context *c = open_with(1);
  for (int d = NEAP_FLOAT32; d <= NEAP_FLOAT64; d++) {
    neap_tensor *t = neap_rng_uniform(c, neap_rng_default(c), (neap_dtype)d, 2, (int64_t[]){ 2, N / 2 });
    assert_true(neap_read(c, t, NEAP_FLOAT64, x));
    double chi = 0;
    int count[100] = { 0 };
    for (int i = 0; i < N; i++) {
      assert_true(x[i] >= 0 && x[i] < 1);
      count[(int)(100 * x[i])]++;
    }
    for (int i = 0; i < 100; i++) chi += pow(count[i] - N / 100., 2) / (N / 100.);
    assert_true(fabs(chi - 99) < 4 * sqrt(2 * 99.));
    assert_true(fabs(z_of(x, N, first, .5, 1. / 12)) < 4);
    assert_true(fabs(z_of(x, N, second, 1. / 3, 4. / 45)) < 4);
  }
  neap_close(c);
}

static void integers (void **state) {
  (void)state;
  static int64_t x[60000];
  neap_context *c = open_with(1);
  neap_rng *r = neap_rng_default(c);
  int count[6] = { 0 };
  double chi = 0;
  assert_true(neap_read(c, neap_rng_randint(c, r, -2, 3, 1, (int64_t[]){ 60000 }), NEAP_INT64, x));
  for (int i = 0; i < 60000; i++) {
    assert_in_range(x[i] + 2, 0, 5);
    count[x[i] + 2]++;
  }
  for (int i = 0; i < 6; i++) chi += pow(count[i] - 10000, 2) / 10000;
  assert_true(chi < 5 + 4 * sqrt(10.));
  assert_true(neap_read(c, neap_rng_randint(c, r, INT64_MIN, INT64_MAX, 1, (int64_t[]){ 1000 }), NEAP_INT64, x));
  int negative = 0;
  for (int i = 0; i < 1000; i++) negative += x[i] < 0;
  assert_in_range(negative, 430, 570);
  assert_true(neap_read(c, neap_rng_randint(c, r, 5, 5, 1, (int64_t[]){ 10 }), NEAP_INT64, x));
  for (int i = 0; i < 10; i++) assert_int_equal(x[i], 5);
  assert_null(neap_rng_randint(c, r, 3, 2, 1, (int64_t[]){ 1 }));
  assert_string_equal(neap_error(c), "randint: lo must not exceed hi, got 3 and 2");
  neap_close(c);
}

/* counts of n values in 16 classes that are as frequent */
static double chi_16 (const int *count, int n) {
  double chi = 0;
  for (int k = 0; k < 16; k++) chi += pow(count[k] - n / 16., 2) / (n / 16.);
  return chi;
}

/* of a wide range every part is hit as often, and so is every remainder: no low digit is left out */
static void integers_of_wide_ranges (void **state) {
  (void)state;
  static int64_t x[N];
  neap_context *c = open_with(1);
  for (int bits = 20; bits <= 52; bits += 8) {
    int64_t width = ((int64_t)1 << bits) / 3 * 16;
    int parts[16] = { 0 }, low[16] = { 0 };
    neap_tensor *t = neap_rng_randint(c, neap_rng_default(c), -5, width - 6, 1, (int64_t[]){ N });
    assert_true(neap_read(c, t, NEAP_INT64, x));
    for (int i = 0; i < N; i++) {
      assert_true(x[i] >= -5 && x[i] <= width - 6);
      parts[(x[i] + 5) / (width / 16)]++;
      low[(x[i] + 5) % 16]++;
    }
    assert_true(chi_16(parts, N) < 15 + 4 * sqrt(30.));
    assert_true(chi_16(low, N) < 15 + 4 * sqrt(30.));
  }
  neap_close(c);
}

static void bernoulli_frequencies (void **state) {
  (void)state;
  static double x[N];
  neap_context *c = open_with(1);
  neap_rng *r = neap_rng_default(c);
  for (int d = NEAP_FLOAT32; d <= NEAP_FLOAT64; d++) {
    neap_tensor *p = neap_full(c, (neap_dtype)d, 1, (int64_t[]){ N }, .3), *t = neap_rng_bernoulli(c, r, p);
    assert_int_equal(neap_dtype_of(t), d);
    assert_true(neap_read(c, t, NEAP_FLOAT64, x));
    for (int i = 0; i < N; i++) assert_true(x[i] == 0 || x[i] == 1);
    assert_true(fabs(z_of(x, N, first, .3, .21)) < 4);
  }
  double p[] = { 0, 1, 0, 1 };
  neap_tensor *sure = neap_from(c, NEAP_FLOAT64, 2, (int64_t[]){ 2, 2 }, p);
  for (int i = 0; i < 50; i++) {
    assert_true(neap_read(c, neap_rng_bernoulli(c, r, sure), NEAP_FLOAT64, x));
    assert_memory_equal(x, p, sizeof p);
  }
  neap_close(c);
}

static void categorical_frequencies (void **state) {
  (void)state;
  enum { ROWS = 40000 };
  static float logits[ROWS][4];
  static int64_t x[ROWS];
  const double p[] = { .1, .2, 0, .7 };
  for (int i = 0; i < ROWS; i++) for (int j = 0; j < 4; j++) logits[i][j] = (float)(log(p[j]) + 50);
  neap_context *c = open_with(1);
  neap_tensor *l = neap_from(c, NEAP_FLOAT32, 3, (int64_t[]){ 2, ROWS / 2, 4 }, logits);
  neap_tensor *t = neap_rng_categorical(c, neap_rng_default(c), l);
  assert_int_equal(neap_ndim(t), 2);
  assert_int_equal(neap_shape(t)[1], ROWS / 2);
  assert_true(neap_read(c, t, NEAP_INT64, x));
  int count[4] = { 0 };
  for (int i = 0; i < ROWS; i++) { assert_in_range(x[i], 1, 4); count[x[i] - 1]++; }
  assert_int_equal(count[2], 0);
  for (int j = 0; j < 4; j++)
    if (p[j] > 0) assert_true(fabs(count[j] - ROWS * p[j]) < 4 * sqrt(ROWS * p[j] * (1 - p[j])));
  neap_close(c);
}

static void permutations (void **state) {
  (void)state;
  neap_context *c = open_with(1);
  neap_rng *r = neap_rng_default(c);
  int count[6] = { 0 };
  int64_t p[1000];
  bool seen[1001] = { false };
  assert_true(neap_read(c, neap_rng_permutation(c, r, 1000), NEAP_INT64, p));
  for (int i = 0; i < 1000; i++) { assert_in_range(p[i], 1, 1000); assert_false(seen[p[i]]); seen[p[i]] = true; }
  for (int i = 0; i < 12000; i++) {                    /* all six orders of three are as frequent */
    neap_scope s = neap_scope_open(c);
    assert_true(neap_read(c, neap_rng_permutation(c, r, 3), NEAP_INT64, p));
    count[2 * (p[0] - 1) + (p[1] > p[2])]++;
    neap_scope_close(c, s);
  }
  for (int i = 0; i < 6; i++) assert_true(abs(count[i] - 2000) < 4 * 41);
  assert_int_equal(neap_numel(neap_rng_permutation(c, r, 0)), 0);
  neap_close(c);
}

/* ---- streams ---- */

static void same (neap_context *c, neap_tensor *a, neap_tensor *b, bool wanted) {
  assert_non_null(a);
  assert_non_null(b);
  static float x[4096], y[4096];
  assert_true(neap_numel(a) <= 4096 && neap_read(c, a, NEAP_FLOAT32, x) && neap_read(c, b, NEAP_FLOAT32, y));
  int equal = 0;
  for (int64_t i = 0; i < neap_numel(a); i++) equal += x[i] == y[i];
  if (wanted) assert_int_equal(equal, neap_numel(a));
  else assert_in_range(equal, 0, 3);
}

static neap_tensor *some (neap_context *c, neap_rng *r) {
  return neap_rng_normal(c, r, NEAP_FLOAT32, 1, (int64_t[]){ 300 });
}

static void streams (void **state) {
  (void)state;
  neap_context *c = open_with(1);
  neap_rng *r = neap_rng_new(c, 7), *again = neap_rng_new(c, 7), *other = neap_rng_new(c, 8);
  neap_tensor *a = some(c, r), *b = some(c, r);
  same(c, a, b, false);
  same(c, some(c, again), a, true);
  same(c, some(c, other), a, false);
  neap_rng_state s = neap_rng_get(r);
  neap_tensor *next = some(c, r);
  neap_rng_set(r, s);
  same(c, some(c, r), next, true);
  neap_rng *child = neap_rng_split(c, r), *second_child = neap_rng_split(c, r);
  neap_tensor *of_child = some(c, child);
  same(c, of_child, some(c, second_child), false);
  same(c, of_child, a, false);
  same(c, of_child, some(c, r), false);
  neap_seed(c, 7);
  same(c, some(c, neap_rng_default(c)), a, true);
  neap_rng *all[] = { r, again, other, child, second_child };
  for (int i = 0; i < 5; i++) neap_rng_release(all[i]);
  neap_close(c);
}

/* a prefix of a draw is the draw of the prefix */
static void shapes_do_not_matter (void **state) {
  (void)state;
  neap_context *c = open_with(1);
  float small[100], large[1000];
  neap_seed(c, 3);
  neap_tensor *x = neap_rng_normal(c, neap_rng_default(c), NEAP_FLOAT32, 1, (int64_t[]){ 100 });
  assert_true(neap_read(c, x, NEAP_FLOAT32, small));
  neap_seed(c, 3);
  x = neap_rng_normal(c, neap_rng_default(c), NEAP_FLOAT32, 2, (int64_t[]){ 10, 100 });
  assert_true(neap_read(c, x, NEAP_FLOAT32, large));
  assert_memory_equal(small, large, sizeof small);
  neap_close(c);
}

static void threads_do_not_matter (void **state) {
  (void)state;
  enum { M = 300001 };
  neap_context *one = open_with(1), *two = open_with(2), *five = open_with(5);
  neap_context *all[] = { one, two, five };
  for (int d = NEAP_FLOAT32; d <= NEAP_FLOAT64; d++) {
    neap_tensor *t[3];
    for (int i = 0; i < 3; i++) {
      neap_rng *r = neap_rng_default(all[i]);
      neap_tensor *x = neap_rng_normal(all[i], r, (neap_dtype)d, 1, (int64_t[]){ M });
      x = neap_tanh(all[i], neap_mul(all[i], x, neap_rng_uniform(all[i], r, (neap_dtype)d, 1, (int64_t[]){ M })));
      t[i] = x;
    }
    size_t bytes = (size_t)M * neap_dtype_size((neap_dtype)d);
    assert_memory_equal(neap_data(t[0]), neap_data(t[1]), bytes);
    assert_memory_equal(neap_data(t[0]), neap_data(t[2]), bytes);
  }
  for (int i = 0; i < 3; i++) neap_close(all[i]);
}

/* ---- errors ---- */

static void fails (neap_context *c, neap_tensor *t, neap_status code, const char *message) {
  assert_null(t);
  assert_int_equal(neap_status_of(c), code);
  assert_string_equal(neap_error(c), message);
  neap_clear_error(c);
}

static void errors (void **state) {
  (void)state;
  neap_context *c = open_with(1);
  neap_rng *r = neap_rng_default(c);
  int64_t two[] = { 2 };
  fails(c, neap_rng_normal(c, r, NEAP_INT64, 1, two), NEAP_EDTYPE, "normal: float32 or float64 expected, got int64");
  fails(c, neap_rng_bernoulli(c, r, neap_from(c, NEAP_FLOAT32, 1, two, (float[]){ .5f, 1.5f })), NEAP_EARG,
        "bernoulli: probabilities must lie in 0..1, got 1.5");
  fails(c, neap_rng_bernoulli(c, r, neap_full(c, NEAP_FLOAT64, 1, two, NAN)), NEAP_EARG,
        "bernoulli: probabilities must lie in 0..1, got nan");
  fails(c, neap_rng_bernoulli(c, r, neap_full(c, NEAP_INT64, 1, two, 1)), NEAP_EDTYPE,
        "bernoulli: p: float32 or float64 expected, got int64");
  fails(c, neap_rng_categorical(c, r, neap_full(c, NEAP_FLOAT32, 1, two, -INFINITY)), NEAP_ENUMERIC,
        "categorical: a row of logits holds NaN or +inf, or nothing but -inf");
  fails(c, neap_rng_categorical(c, r, neap_full(c, NEAP_FLOAT32, 1, two, NAN)), NEAP_ENUMERIC,
        "categorical: a row of logits holds NaN or +inf, or nothing but -inf");
  fails(c, neap_rng_categorical(c, r, neap_empty(c, NEAP_FLOAT32, 2, (int64_t[]){ 3, 0 })), NEAP_ESHAPE,
        "categorical: at least one class expected in the last dimension, got shape [3, 0]");
  fails(c, neap_rng_permutation(c, r, -1), NEAP_EARG, "randperm: a size of 0 or more expected, got -1");
  assert_int_equal(neap_numel(neap_rng_normal(c, r, NEAP_FLOAT32, 2, (int64_t[]){ 0, 3 })), 0);
  assert_int_equal(neap_numel(neap_rng_categorical(c, r, neap_empty(c, NEAP_FLOAT32, 2, (int64_t[]){ 0, 3 }))), 0);
  assert_true(neap_ok(c));
  neap_close(c);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(normal_moments), cmocka_unit_test(normal_lags), cmocka_unit_test(uniform_moments),
    cmocka_unit_test(integers), cmocka_unit_test(integers_of_wide_ranges), cmocka_unit_test(bernoulli_frequencies),
    cmocka_unit_test(categorical_frequencies), cmocka_unit_test(permutations), cmocka_unit_test(streams),
    cmocka_unit_test(shapes_do_not_matter), cmocka_unit_test(threads_do_not_matter), cmocka_unit_test(errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
