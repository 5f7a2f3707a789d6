/*
** test_accuracy.c -- how exact elementwise kernels are, for every row and every instruction set.
** The promise: a float32 value is within 4 ulp of the float64 one, on the domain that the row's cases draw from, and
** both are within a few ulp of long double over the whole range.  Each entry of `ranges` states its bounds; where they
** are wide the entry says why.  NEAP_VERBOSE prints what was found.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernels/tile.h"

enum { N = 4096 };

static const char *const isas[] = { "base", "avx2", "avx512" };

/* distance of got from want, in units of the last place of want */
static double ulps (double got, long double want, int digits, int min_exp) {
  if (isnan(got) && isnan(want)) return 0;
  if (isinf(got) || isinf(want)) return (long double)got == want ? 0 : INFINITY;
  int e;
  frexpl(want, &e);
  if (e < min_exp) e = min_exp;
  return (double)(fabsl(got - want) / ldexpl(1, e - digits));
}
static double ulps_f32 (float got, long double want) {
  if (fabsl(want) > FLT_MAX) want = (float)want;
  return ulps(got, want, 24, -125);
}
static double ulps_f64 (double got, long double want) {
  if (fabsl(want) > DBL_MAX) want = (double)want;
  return ulps(got, want, 53, -1021);
}

static double unit (void) { return rand() / (RAND_MAX + 1.); }

/* ---- 1. every row, on the domain of its first case, float32 against float64 ---- */

typedef struct sample {
  float f[3][N];
  double d[3][N];
  uint8_t b[N], out_b[2][N];
  const void *in_f[3], *in_d[3];
} sample;

/* "u(lo, hi)" draws input k; "bits()" draws bools; what follows the last ")" are attributes: not used */
static int draw_inputs (const char *cases, sample *s) {
  int k = 0;
  for (const char *at = cases; k < 3 && *at && *at != ';'; at++) {
    double lo, hi;
    bool bits = strncmp(at, "bits()", 6) == 0;
    if (!bits && sscanf(at, "u(%lf, %lf)", &lo, &hi) != 2) continue;
    for (int i = 0; i < N; i++) {
      s->f[k][i] = bits ? 0 : (float)(lo + (hi - lo) * unit());
      s->d[k][i] = s->f[k][i];
      if (bits) s->b[i] = (uint8_t)(rand() & 1);
    }
    s->in_f[k] = bits ? (void *)s->b : s->f[k];
    s->in_d[k] = bits ? (void *)s->b : s->d[k];
    k++;
    at = strchr(at, ')');
  }
  return k;
}

/* numbers a row takes, as the binding would fill in */
static void numbers (const char *name, double *p, int64_t *q) {
  p[0] = strcmp(name, "softplus") == 0 || strcmp(name, "elu") == 0 ? 1 : .01;
  p[1] = NAN;
  if (strcmp(name, "clamp") == 0) { p[0] = -2.5; p[1] = 1.5; }
  *q = strcmp(name, "polygamma") == 0 ? 2 : 0;
}

static double worst_of_row (const neap_tiles *t, int op, sample *s) {
  static float f[N];
  static double d[N];
  double p[2], worst = 0;
  int64_t q;
  numbers(neap_ops[op].name, p, &q);
  bool test = neap_ops[op].out == NEAP_BOOL;
  t->op[op][NEAP_FLOAT32](N, test ? (void *)s->out_b[0] : f, s->in_f, p, q);
  t->op[op][NEAP_FLOAT64](N, test ? (void *)s->out_b[1] : d, s->in_d, p, q);
  for (int i = 0; i < N; i++) {
    if (test) { f[i] = s->out_b[0][i]; d[i] = s->out_b[1][i]; }
    double u = ulps_f32(f[i], d[i]);
    if (u > worst) worst = u;
  }
  return worst;
}

static void rows_float32_against_float64 (void **state) {
  (void)state;
  static sample s;
  int rows = 0;
  for (size_t k = 0; k < 3; k++) {
    const neap_tiles *t = neap_tiles_named(isas[k]);
    if (!t) continue;
    double all = 0;
    for (int op = 0; op < NEAP_OP_COUNT; op++) {
      if (!t->op[op][NEAP_FLOAT32]) continue;
      assert_true(draw_inputs(neap_ops[op].cases, &s) > 0);
      double worst = worst_of_row(t, op, &s);
      if (worst > all) all = worst;
      if (worst > 4) fail_msg("%s (%s): float32 is %g ulp from float64", neap_ops[op].name, isas[k], worst);
      rows++;
    }
    printf("  %-7s worst float32 against float64: %.2f ulp\n", isas[k], all);
  }
  assert_true(rows >= 50);
}

/* ---- 2. the whole range, against long double; 2 ulp where a build without vectors calls libm instead of SLEEF ---- */

static long double ref_sigmoid (long double x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }
static long double ref_log_sigmoid (long double x) { return x < 0 ? x - log1pl(expl(x)) : -log1pl(expl(-x)); }
static long double ref_silu (long double x) { return x * ref_sigmoid(x); }
static long double ref_gelu (long double x) { return x * erfcl(-x * M_SQRT1_2l) / 2; }
static long double ref_rsqrt (long double x) { return 1 / sqrtl(x); }
static long double ref_lgamma (long double x) { int s; return lgammal_r(x, &s); }
static long double ref_erfinv (long double x) {
  double start = sqrt(-log((1 - (double)x) * (1 + (double)x)));
  long double y = x < 0 ? -start : start;
  for (int i = 0; i < 200; i++) {
    long double a = fabsl(y), e = fabsl(x) < .5L ? erfl(a) - fabsl(x) : (1 - fabsl(x)) - erfcl(a);
    long double step = e * .886226925452758013649L * expl(a * a);
    a -= step / (1 + a * step);
    y = x < 0 ? -a : a;
    if (fabsl(step) < 1e-19L * a) break;
  }
  return y;
}

static long double ref_add (long double x, long double y) { return x + y; }
static long double ref_div (long double x, long double y) { return x / y; }
static long double ref_mod (long double x, long double y) { return x - floorl(x / y) * y; }

typedef struct range {
  const char *name;
  long double (*ref)(long double);
  double lo, hi;
  bool logarithmic;
  double f32, f64;                         /* ulps allowed */
} range;

static const range ranges[] = {
  { "exp", expl, -103, 88.7, false, 1.5, 2 },
  { "exp", expl, -1, 1, false, 1, 1 },
  { "exp", expl, 1e-30, 1e-3, true, 1, 1 },
  { "expm1", expm1l, -30, 88.7, false, 2, 2.1 },
  { "expm1", expm1l, -1, 1, false, 2, 2.1 },
  { "expm1", expm1l, 1e-30, .1, true, 1.5, 1.5 },
  { "log", logl, 1e-44, 3e38, true, 1, 1 },
  { "log", logl, .5, 2, false, 1.5, 1.5 },
  { "log1p", log1pl, -.999999, 2, false, 1.5, 1.5 },
  { "log1p", log1pl, 1e-30, 3e38, true, 1.5, 1.5 },
  { "tanh", tanhl, -10, 10, false, 3, 3 },
  { "tanh", tanhl, 1e-30, 1, true, 3, 3 },
  { "sigmoid", ref_sigmoid, -100, 30, false, 2.5, 2.5 },
  { "log_sigmoid", ref_log_sigmoid, -90, 90, false, 2, 2 },
  { "silu", ref_silu, -87, 30, false, 3.5, 3.5 },
  { "gelu", ref_gelu, -12, 12, false, 1.5, 10 },
  { "gelu", ref_gelu, -2, 2, false, 1.5, 7 },              /* sigmoid has 2.5, and its argument, up to 3.8, 1 to 1.5 */
  { "sqrt", sqrtl, 1e-40, 1e38, true, .51, .51 },
  { "rsqrt", ref_rsqrt, 1e-37, 1e38, true, 1.5, 1.5 },
  { "sin", sinl, -1e4, 1e4, false, 2, 2 },
  { "cos", cosl, -1e4, 1e4, false, 2, 2 },
  { "tan", tanl, -1e3, 1e3, false, 2, 2 },
  { "asin", asinl, -1, 1, false, 2, 2 },
  { "acos", acosl, -1, 1, false, 2, 2 },
  { "atan", atanl, -100, 100, false, 2, 2 },
  { "sinh", sinhl, -80, 80, false, 2, 2 },
  { "cosh", coshl, -80, 80, false, 2, 2 },
  { "erf", erfl, -6, 6, false, 2, 2 },
  { "erfinv", ref_erfinv, -1, 1, false, 1, 4 },
  { "erfinv", ref_erfinv, 1e-30, 1, true, 1, 4 },
  { "lgamma", ref_lgamma, 1e-30, 1e30, true, 1, 2 },
  { "lgamma", ref_lgamma, .5, 4, false, 1, 2 },
  { "lgamma", ref_lgamma, -20, -.01, false, 2, 1e6 },      /* float64: 1e-15 near its zeros is many ulp */
};

/* rows of two inputs: x from [lo, hi], y from [ylo, yhi] */
static const struct {
  const char *name;
  long double (*ref)(long double, long double);
  double lo, hi, ylo, yhi, f32, f64;
} pairs[] = {
  { "pow", powl, 0, 50, -20, 20, 2, 2 },
  { "pow", powl, .99, 1.01, -5000, 5000, 2, 2 },
  { "atan2", atan2l, -5, 5, -5, 5, 2, 2 },
  { "add", ref_add, -5, 5, -5, 5, .51, .51 },
  { "div", ref_div, -5, 5, 1e-3, 5, .51, .51 },
  { "mod", ref_mod, -5, 5, 5.5, 9, 2, 2 },            /* one period away; further off the error is that of ⌊x/y⌋ y */
};

static void worst_in_range (const neap_tiles *t, const range *r, double *f32, double *f64) {
  static float x32[N], y32[N];
  static double x64[N], y64[N];
  int op = (int)(neap_op_find(r->name) - neap_ops);
  for (int i = 0; i < N; i++) {
    x64[i] = r->logarithmic ? r->lo * pow(r->hi / r->lo, unit()) : r->lo + (r->hi - r->lo) * unit();
    x32[i] = (float)x64[i];
  }
  t->op[op][NEAP_FLOAT32](N, y32, (const void *[]){ x32 }, (double[]){ 0, 0 }, 0);
  t->op[op][NEAP_FLOAT64](N, y64, (const void *[]){ x64 }, (double[]){ 0, 0 }, 0);
  for (int i = 0; i < N; i++) {
    double a = ulps_f32(y32[i], r->ref(x32[i])), b = ulps_f64(y64[i], r->ref(x64[i]));
    if (a > *f32) *f32 = a;
    if (b > *f64) *f64 = b;
  }
}

static void whole_range_against_long_double (void **state) {
  (void)state;
  int bad = 0;
  for (size_t k = 0; k < 3; k++) {
    const neap_tiles *t = neap_tiles_named(isas[k]);
    if (!t) continue;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
      const range *r = &ranges[i];
      double f32 = 0, f64 = 0;
      worst_in_range(t, r, &f32, &f64);
      if (getenv("NEAP_VERBOSE") || f32 > r->f32 || f64 > r->f64)
        printf("  %-7s %-12s %8.3g..%-8.3g %.2f ulp (%g)  %.2f ulp (%g)\n", isas[k], r->name, r->lo, r->hi,
               f32, r->f32, f64, r->f64);
      bad += f32 > r->f32 || f64 > r->f64;
    }
  }
  assert_int_equal(bad, 0);
}

static void pairs_against_long_double (void **state) {
  (void)state;
  static float x32[N], y32[N], z32[N];
  static double x64[N], y64[N], z64[N];
  for (size_t k = 0; k < 3; k++)
    for (size_t j = 0; j < sizeof pairs / sizeof *pairs; j++) {
      const neap_tiles *t = neap_tiles_named(isas[k]);
      if (!t) continue;
      int op = (int)(neap_op_find(pairs[j].name) - neap_ops);
      for (int i = 0; i < N; i++) {
        x32[i] = (float)(x64[i] = pairs[j].lo + (pairs[j].hi - pairs[j].lo) * unit());
        y32[i] = (float)(y64[i] = pairs[j].ylo + (pairs[j].yhi - pairs[j].ylo) * unit());
      }
      t->op[op][NEAP_FLOAT32](N, z32, (const void *[]){ x32, y32 }, (double[]){ 0, 0 }, 0);
      t->op[op][NEAP_FLOAT64](N, z64, (const void *[]){ x64, y64 }, (double[]){ 0, 0 }, 0);
      for (int i = 0; i < N; i++) {
        double a = ulps_f32(z32[i], pairs[j].ref(x32[i], y32[i])), b = ulps_f64(z64[i], pairs[j].ref(x64[i], y64[i]));
        if (!(a <= pairs[j].f32 && b <= pairs[j].f64))
          fail_msg("%s(%.17g, %.17g) on %s: %g and %g ulp", pairs[j].name, x64[i], y64[i], isas[k], a, b);
      }
    }
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(rows_float32_against_float64),
    cmocka_unit_test(whole_range_against_long_double),
    cmocka_unit_test(pairs_against_long_double),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
