/*
** test_elementwise.c -- elementwise kernels at the ends of their domains, on integers, at any place of any view.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "kernels/chain.h"

static const char *const isas[] = { "base", "avx2", "avx512" };

static int row (const char *name) { return (int)(neap_op_find(name) - neap_ops); }

/* one value through a kernel of one or two inputs */
static double value (const neap_tiles *t, const char *name, neap_dtype d, double x, double y, int64_t q) {
  float f[3][NEAP_TILE_PAD];
  double g[3][NEAP_TILE_PAD];
  for (int i = 0; i < NEAP_TILE_PAD; i++) { f[0][i] = (float)x; f[1][i] = (float)y; g[0][i] = x; g[1][i] = y; }
  bool single = d == NEAP_FLOAT32;
  const void *in[] = { single ? (void *)f[0] : g[0], single ? (void *)f[1] : g[1], single ? (void *)f[1] : g[1] };
  t->op[row(name)][d](NEAP_TILE_PAD, single ? (void *)f[2] : g[2], in, (double[]){ 1, 0 }, q);
  return single ? f[2][5] : g[2][5];
}

/* ---- ends ---- */

static const struct { const char *name; double x, want; } ends[] = {
  { "exp", INFINITY, INFINITY }, { "exp", -INFINITY, 0 }, { "exp", 1000, INFINITY }, { "exp", -1000, 0 },
  { "exp", 0, 1 },
  { "expm1", INFINITY, INFINITY }, { "expm1", -INFINITY, -1 }, { "expm1", -50, -1 }, { "expm1", 0, 0 },
  { "log", 0, -INFINITY }, { "log", -1, NAN }, { "log", INFINITY, INFINITY }, { "log", 1, 0 },
  { "log", -INFINITY, NAN },
  { "log1p", -1, -INFINITY }, { "log1p", -2, NAN }, { "log1p", INFINITY, INFINITY }, { "log1p", 0, 0 },
  { "sqrt", -1, NAN }, { "sqrt", INFINITY, INFINITY }, { "rsqrt", 0, INFINITY }, { "rsqrt", INFINITY, 0 },
  { "tanh", INFINITY, 1 }, { "tanh", -INFINITY, -1 }, { "tanh", 100, 1 }, { "tanh", 0, 0 },
  { "sigmoid", INFINITY, 1 }, { "sigmoid", -INFINITY, 0 }, { "sigmoid", 0, .5 },
  { "log_sigmoid", INFINITY, 0 }, { "log_sigmoid", -INFINITY, -INFINITY }, { "log_sigmoid", -1e4, -1e4 },
  { "softplus", INFINITY, INFINITY }, { "softplus", -INFINITY, 0 }, { "softplus", 1e4, 1e4 },
  { "silu", INFINITY, INFINITY }, { "silu", 0, 0 }, { "silu", 1e4, 1e4 }, { "silu", -1e4, 0 },
  { "gelu", INFINITY, INFINITY }, { "gelu", 0, 0 }, { "gelu", 1e4, 1e4 }, { "gelu", -1e4, 0 },
  { "relu", -INFINITY, 0 }, { "elu", -INFINITY, -1 }, { "abs", -INFINITY, INFINITY }, { "sign", -INFINITY, -1 },
  { "sign", 0, 0 },
  { "sin", INFINITY, NAN }, { "atan", INFINITY, 1.5707963267948966 }, { "asin", 2, NAN }, { "acos", 1, 0 },
  { "erf", INFINITY, 1 }, { "erf", -INFINITY, -1 }, { "erfinv", 1, INFINITY }, { "erfinv", -1, -INFINITY },
  { "erfinv", 1.5, NAN },
  { "erfinv", 0, 0 }, { "lgamma", 0, INFINITY }, { "lgamma", -3, INFINITY }, { "lgamma", 1, 0 }, { "lgamma", 2, 0 },
  { "lgamma", INFINITY, INFINITY }, { "digamma", INFINITY, INFINITY }, { "digamma", -2, NAN },
  { "digamma", -INFINITY, NAN },
  { "floor", -1.5, -2 }, { "ceil", -1.5, -1 }, { "round", 2.5, 2 }, { "round", -3.5, -4 }, { "floor", 1e30, 1e30 },
};

static void check_ends (const neap_tiles *t, neap_dtype d) {
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    double got = value(t, ends[i].name, d, ends[i].x, 0, 0);
    double want = d == NEAP_FLOAT32 ? (float)ends[i].want : ends[i].want;
    if (!(isnan(want) ? isnan(got) : got == want))
      fail_msg("%s(%g) = %g on %s, %g expected", ends[i].name, ends[i].x, got, t->name, want);
  }
}

/* valgrind 3.19 takes vcmpeq_us, which sign compiles to, for an ordered comparison */
static bool valgrind_is_wrong (const char *name) { return getenv("NEAP_TEST_WRAP") && strcmp(name, "sign") == 0; }

/* every row of one float input keeps NaN, but for those that answer with a bool */
static void check_nan (const neap_tiles *t, neap_dtype d) {
  for (int op = 0; op < NEAP_OP_COUNT; op++) {
    const char *name = neap_ops[op].name;
    if (!t->op[op][d] || neap_ops[op].out == NEAP_BOOL || strcmp(name, "where") == 0 || valgrind_is_wrong(name)) continue;
    if (!isnan(value(t, name, d, NAN, 1, 0))) fail_msg("%s(NaN) is no NaN on %s", name, t->name);
  }
}

static void ends_of_domains (void **state) {
  (void)state;
  for (size_t k = 0; k < 3; k++) {
    const neap_tiles *t = neap_tiles_named(isas[k]);
    if (!t) continue;
    for (int d = NEAP_FLOAT32; d <= NEAP_FLOAT64; d++) { check_ends(t, (neap_dtype)d); check_nan(t, (neap_dtype)d); }
    assert_true(isnan(value(t, "maximum", NEAP_FLOAT32, 1, NAN, 0)));
    assert_true(isnan(value(t, "minimum", NEAP_FLOAT64, 1, NAN, 0)));
    assert_true(value(t, "exp", NEAP_FLOAT32, -100, 0, 0) == (double)expf(-100));         /* subnormal */
    assert_true(fabs(value(t, "exp", NEAP_FLOAT64, -740, 0, 0) / exp(-740) - 1) < 1e-2);
  }
  assert_null(neap_tiles_named("none"));
  assert_non_null(neap_tiles_best());
}

/* closed forms: ψ(1) = −γ, ψ(½) = −γ − 2 log 2, ψ₁(1) = π²/6, ψ₂(1) = −2ζ(3), ψ₃(½) = π⁴; others from mpmath */
static void polygamma_values (void **state) {
  (void)state;
  static const struct { int n; double x, want; } v[] = {
    { 0, 1, -0.57721566490153286061 }, { 0, .5, -1.9635100260214234794 }, { 0, 10, 2.2517525890667211077 },
    { 0, -.5, 0.036489973978576520559 }, { 0, -3.75, -1.6923885983113303432 }, { 0, 1e-5, -100000.57719921567289 },
    { 0, 1e6, 13.815510057964190771 },
    { 1, 1, 1.6449340668482264365 }, { 1, .5, 4.9348022005446793094 }, { 1, -.5, 8.9348022005446793094 },
    { 1, 100, 0.010050166663333571395 }, { 2, 1, -2.4041138063191885708 }, { 2, .5, -16.828796644234319996 },
    { 2, -.25, 122.69736678366236037 }, { 3, .5, 97.409091034002437236 }, { 10, 2, -1793.3116066287129906 },
    { 3, -2.5, 194.74787621918762242 },
  };
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    double got = value(neap_tiles_best(), v[i].n ? "polygamma" : "digamma", NEAP_FLOAT64, v[i].x, 0, v[i].n);
    if (fabs(got - v[i].want) > 4e-15 * fabs(v[i].want) + 4e-15)
      fail_msg("ψ%d(%g) = %.17g, %.17g expected", v[i].n, v[i].x, got, v[i].want);
  }
}

/* ψ_n(x+1) = ψ_n(x) + (−1)^n n! / x^(n+1), also at negative x, and ψ_n is the slope of ψ_(n−1) */
static void polygamma_relations (void **state) {
  (void)state;
  const neap_tiles *t = neap_tiles_best();
  for (int n = 0; n <= 8; n++)
    for (double x = -4.63; x < 40; x += .37) {
      double a = value(t, "polygamma", NEAP_FLOAT64, x, 0, n), b = value(t, "polygamma", NEAP_FLOAT64, x + 1, 0, n);
      double step = (n % 2 ? -1 : 1) * tgamma(n + 1) / pow(x, n + 1);
      assert_true(fabs(b - a - step) < 1e-13 * (fabs(a) + fabs(b) + fabs(step)));
      double h = 1e-5, right = value(t, "polygamma", NEAP_FLOAT64, x + h, 0, n);
      double slope = (right - value(t, "polygamma", NEAP_FLOAT64, x - h, 0, n)) / (2 * h);
      double next = value(t, "polygamma", NEAP_FLOAT64, x, 0, n + 1);
      assert_true(fabs(slope - next) < 1e-5 * (1 + fabs(next) + fabs(a) / 10));
    }
}

/* ---- integers and bools ---- */

static neap_tensor *ints (neap_context *c, int64_t n, const int64_t *v) { return neap_from(c, NEAP_INT64, 1, &n, v); }

static void expect_ints (neap_context *c, neap_tensor *x, int n, const int64_t *want) {
  int64_t got[8];
  assert_non_null(x);
  assert_true(neap_read(c, x, NEAP_INT64, got));
  for (int i = 0; i < n; i++) assert_true(got[i] == want[i]);
}
#define INTS(...) (int64_t[]){ __VA_ARGS__ }

static void integers_are_exact (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  const int64_t big = ((int64_t)1 << 60) + 1;
  neap_tensor *x = ints(c, 4, INTS(big, -big, 7, INT64_MAX)), *y = ints(c, 4, INTS(3, 2, -7, 1));
  expect_ints(c, neap_add(c, x, y), 4, INTS(big + 3, -big + 2, 0, INT64_MIN));
  expect_ints(c, neap_mul(c, x, y), 3, INTS(3 * big, -2 * big, -49));
  expect_ints(c, neap_maximum(c, x, neap_neg(c, x)), 3, INTS(big, big, 7));
  expect_ints(c, neap_abs(c, x), 4, INTS(big, big, 7, INT64_MAX));
  expect_ints(c, neap_sign(c, x), 4, INTS(1, -1, 1, 1));
  expect_ints(c, neap_square(c, y), 4, INTS(9, 4, 49, 1));
  expect_ints(c, neap_clamp(c, y, -1.5, NAN), 4, INTS(3, 2, -1, 1));
  expect_ints(c, neap_clamp(c, y, NAN, 1.5), 4, INTS(1, 1, -7, 1));
  expect_ints(c, neap_eq(c, x, ints(c, 4, INTS(big, -big + 1, 7, 0))), 4, INTS(1, 0, 1, 0));
  neap_tensor *bytes = neap_cast(c, ints(c, 3, INTS(200, 100, 3)), NEAP_UINT8);
  expect_ints(c, neap_add(c, bytes, bytes), 3, INTS(144, 200, 6));
  expect_ints(c, neap_clamp(c, bytes, 4, 150), 3, INTS(150, 100, 4));
  expect_ints(c, neap_abs(c, bytes), 3, INTS(200, 100, 3));
  neap_tensor *flags = neap_cast(c, ints(c, 4, INTS(1, 1, 0, 0)), NEAP_BOOL);
  neap_tensor *others = neap_cast(c, ints(c, 4, INTS(1, 0, 1, 0)), NEAP_BOOL);
  expect_ints(c, neap_logical_and(c, flags, others), 4, INTS(1, 0, 0, 0));
  expect_ints(c, neap_logical_or(c, flags, others), 4, INTS(1, 1, 1, 0));
  expect_ints(c, neap_logical_not(c, flags), 4, INTS(0, 0, 1, 1));
  expect_ints(c, neap_add(c, flags, others), 4, INTS(1, 1, 1, 0));
  expect_ints(c, neap_where(c, flags, x, y), 4, INTS(big, -big, -7, 1));
  assert_int_equal(neap_dtype_of(neap_add(c, flags, others)), NEAP_BOOL);
  neap_close(c);
}

/* ---- position ---- */

/* the same inputs give the same bits wherever they stand, in tensors of any length */
static void place_does_not_matter (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  static const char *const names[] = { "exp", "tanh", "gelu", "lgamma", "sin", "silu", "erfinv" };
  for (size_t k = 0; k < sizeof names / sizeof *names; k++)
    for (int d = NEAP_FLOAT32; d <= NEAP_FLOAT64; d++)
      for (int64_t n = 1; n < 5000; n = n * 3 + 1) {
        neap_scope s = neap_scope_open(c);
        neap_tensor *x = neap_full(c, (neap_dtype)d, 1, &n, .737), *one = neap_full(c, (neap_dtype)d, 0, NULL, .737);
        neap_tensor *in[] = { x }, *alone[] = { one };
        neap_attrs a = { .count = -1 };
        double want, *got = neap_data(neap_cast(c, neap_apply(c, row(names[k]), in, 1, &a), NEAP_FLOAT64));
        assert_true(neap_item(c, neap_apply(c, row(names[k]), alone, 1, &a), &want));
        for (int64_t i = 0; i < n; i++) assert_true(got[i] == want);
        neap_scope_close(c, s);
      }
  neap_close(c);
}

static int64_t offset_of (const neap_tensor *t, int64_t flat) {
  int64_t offset = 0;
  for (int i = t->ndim - 1; i >= 0; i--) { offset += flat % t->shape[i] * t->strides[i]; flat /= t->shape[i]; }
  return offset;
}

static neap_tensor *random_view (neap_context *c, int ndim, const int64_t *shape, const neap_tensor *base) {
  int64_t strides[NEAP_MAX_DIMS], step = 1;
  int order[NEAP_MAX_DIMS];
  for (int i = 0; i < ndim; i++) order[i] = i;
  bool shuffled = rand() % 2;
  for (int i = ndim - 1; shuffled && i > 0; i--) {
    int j = rand() % (i + 1), t = order[i];
    order[i] = order[j];
    order[j] = t;
  }
  for (int i = ndim - 1; i >= 0; i--) {
    strides[order[i]] = rand() % 3 ? step : 0;
    step *= shape[order[i]] + (rand() % 4 == 0);
  }
  return neap_tensor_view(c, base->store, base->dtype, ndim, shape, strides, rand() % 5);
}

/* x − y over views of every kind against a loop over indices */
static void any_strides (void **state) {
  (void)state;
  neap_context *c = neap_open(&(neap_config){ .threads = 2 });
  int64_t room = 400000;
  neap_tensor *base = neap_rng_normal(c, neap_rng_default(c), NEAP_FLOAT32, 1, &room);
  for (int trial = 0; trial < 300; trial++) {
    neap_scope s = neap_scope_open(c);
    int ndim = rand() % 5;
    int64_t shape[5];
    for (int i = 0; i < ndim; i++) shape[i] = rand() % (ndim < 3 ? 300 : 9) + (rand() % 20 != 0);
    neap_tensor *x = random_view(c, ndim, shape, base), *y = random_view(c, ndim, shape, base), *in[] = { x, y };
    neap_tensor *z = neap_apply(c, NEAP_OP_sub, in, 2, NULL);
    assert_non_null(z);
    const float *px = neap_ptr(x), *py = neap_ptr(y), *pz = neap_ptr(z);
    for (int64_t i = 0; i < neap_numel(z); i++) assert_true(pz[i] == px[offset_of(x, i)] - py[offset_of(y, i)]);
    neap_scope_close(c, s);
  }
  neap_close(c);
}

/* a chain of two kernels over one tile: exp(x) · y, the form that programs run */
static void chains (void **state) {
  (void)state;
  neap_context *c = neap_open(&(neap_config){ .threads = 2 });
  int64_t n = 70001;
  neap_tensor *x = neap_rng_normal(c, neap_rng_default(c), NEAP_FLOAT64, 1, &n);
  neap_tensor *y = neap_full(c, NEAP_FLOAT64, 0, NULL, 3);
  neap_tensor *out = neap_tensor_new(c, NEAP_FLOAT64, 1, &n), *want = neap_mul(c, neap_exp(c, x), y);
  const neap_tile_step steps[] = {
    { .kernel = c->tiles->op[NEAP_OP_exp][NEAP_FLOAT64], .n = 1, .in = { 0 }, .out = 2, .p = (double[2]){ 0 } },
    { .kernel = c->tiles->op[NEAP_OP_mul][NEAP_FLOAT64], .n = 2, .in = { 2, 1 }, .out = 3, .p = (double[2]){ 0 } },
  };
  neap_chain chain = { .n = n, .nsources = 2, .nsteps = 2, .steps = steps, .out = neap_ptr(out), .out_size = 8 };
  neap_tile_source_set(&chain.source[0], x);
  neap_tile_source_set(&chain.source[1], y);
  neap_run_chain(c, &chain);
  assert_memory_equal(neap_ptr(out), neap_ptr(want), (size_t)n * 8);
  neap_close(c);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(ends_of_domains), cmocka_unit_test(polygamma_values), cmocka_unit_test(polygamma_relations),
    cmocka_unit_test(integers_are_exact), cmocka_unit_test(place_does_not_matter), cmocka_unit_test(any_strides),
    cmocka_unit_test(chains),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
