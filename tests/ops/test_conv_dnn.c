/* Convolution by oneDNN, where it is installed: against float64, which BLAS multiplies, and neap's own kernels. */
#include "support.h"
#include "dnnl.h"
#include "kernels/tile.h"
#include "ops/conv.h"

typedef struct shape { int64_t n, h, w, c, kernel[2], o, stride[2], padding[2], dilation[2], groups; } shape;

/* forward, by images, by filters: whether oneDNN does it with vectors of 16 */
typedef struct example { shape s; bool taken[3]; } example;

static const example examples[] = {
  { { 9, 16, 16, 16, { 3, 3 }, 32, { 2, 2 }, { 1, 1 }, { 1, 1 }, 1 }, { false, true, false } },
  { { 33, 7, 7, 32, { 3, 3 }, 64, { 2, 2 }, { 1, 1 }, { 1, 1 }, 1 }, { true, true, false } },
  { { 11, 28, 28, 1, { 5, 5 }, 16, { 2, 2 }, { 2, 2 }, { 1, 1 }, 1 }, { false, false, true } },
  { { 40, 13, 9, 3, { 3, 2 }, 32, { 1, 2 }, { 1, 0 }, { 1, 1 }, 1 }, { false, false, true } },
  { { 5, 9, 11, 64, { 3, 3 }, 3, { 1, 2 }, { 1, 0 }, { 1, 1 }, 1 }, { false, true, false } },
  { { 3, 10, 10, 32, { 4, 4 }, 32, { 3, 3 }, { 3, 3 }, { 1, 1 }, 1 }, { false, true, false } },
  { { 6, 15, 14, 16, { 2, 3 }, 16, { 5, 3 }, { 0, 1 }, { 2, 1 }, 1 }, { false, false, false } },
  { { 4, 12, 13, 32, { 3, 3 }, 32, { 1, 1 }, { 1, 1 }, { 1, 1 }, 32 }, { true, true, true } },
  { { 17, 12, 13, 20, { 3, 5 }, 20, { 2, 1 }, { 1, 2 }, { 1, 1 }, 20 }, { true, true, true } },
  { { 20, 9, 9, 32, { 3, 3 }, 32, { 2, 2 }, { 1, 1 }, { 1, 1 }, 2 }, { true, true, true } },
  { { 3, 8, 9, 12, { 3, 3 }, 24, { 1, 1 }, { 1, 1 }, { 1, 1 }, 2 }, { true, true, true } },
  { { 18, 16, 16, 20, { 3, 3 }, 20, { 1, 1 }, { 2, 2 }, { 2, 2 }, 1 }, { true, true, true } },
  { { 2, 17, 11, 3, { 3, 3 }, 5, { 1, 1 }, { 2, 2 }, { 2, 2 }, 1 }, { true, true, true } },
  /* no kernels of its own for two of these */
  { { 2, 19, 16, 16, { 3, 3 }, 32, { 2, 1 }, { 3, 2 }, { 3, 2 }, 2 }, { true, false, false } },
};
enum { EXAMPLES = sizeof examples / sizeof *examples, RESULTS = 3 };

static const char *const result_names[] = { "outputs", "gradient by images", "gradient by filters" };

static neap_tensor *normal (neap_context *c, uint64_t seed, int64_t n, int64_t h, int64_t w, int64_t k) {
  neap_rng *r = neap_rng_new(c, seed);
  neap_tensor *t = neap_rng_normal(c, r, NEAP_FLOAT64, 4, (int64_t[]){ n, h, w, k });
  neap_rng_release(r);
  return t;
}

static neap_tensor *one_of_three (neap_context *c, const shape *s, int i, neap_tensor *x, neap_tensor *w,
                                  neap_tensor *g) {
  const int64_t size[] = { s->h, s->w };
  if (i == 0) return neap_convolve(c, x, w, s->stride, s->padding, s->dilation, s->groups);
  if (i == 1) return neap_convolve_input(c, g, w, size, s->stride, s->padding, s->dilation, s->groups);
  return neap_convolve_weight(c, x, g, s->kernel, s->stride, s->padding, s->dilation, s->groups);
}

static int64_t windows (const shape *s, int d) {
  const int64_t size[] = { s->h, s->w };
  return (size[d] + 2 * s->padding[d] - s->dilation[d] * (s->kernel[d] - 1) - 1) / s->stride[d] + 1;
}

typedef struct operands { neap_tensor *x, *w, *g; } operands;

static operands draw (neap_context *c, const shape *s, neap_dtype d) {
  return (operands){ neap_cast(c, normal(c, 1, s->n, s->h, s->w, s->c), d),
                     neap_cast(c, normal(c, 2, s->kernel[0], s->kernel[1], s->c / s->groups, s->o), d),
                     neap_cast(c, normal(c, 3, s->n, windows(s, 0), windows(s, 1), s->o), d) };
}

static uint64_t runs (const neap_context *c) { return c->convolutions ? c->convolutions->runs : 0; }

/* taken: how many calls of each kind went to oneDNN; or NULL */
static void all_three (neap_context *c, const shape *s, neap_dtype d, neap_tensor **out, bool *taken) {
  operands o = draw(c, s, d);
  for (int i = 0; i < RESULTS; i++) {
    uint64_t before = runs(c);
    out[i] = one_of_three(c, s, i, o.x, o.w, o.g);
    if (!out[i]) fail_msg("%s: %s", result_names[i], neap_error(c));
    if (taken) taken[i] = runs(c) > before;
  }
}

/* the largest difference, in units of the wanted values' largest; of contexts a and b, which may be the same */
static double apart (neap_context *a, neap_tensor *x, neap_context *b, neap_tensor *y) {
  int64_t n = neap_numel(y);
  double *u = calloc((size_t)n, sizeof *u), *v = calloc((size_t)n, sizeof *v), most = 0, far = 0;
  assert_true(u && v && neap_numel(x) == n && neap_read(a, x, NEAP_FLOAT64, u) && neap_read(b, y, NEAP_FLOAT64, v));
  for (int64_t i = 0; i < n; i++) {
    most = fmax(most, fabs(v[i]));
    far = isfinite(u[i]) ? fmax(far, fabs(u[i] - v[i])) : INFINITY;
  }
  free(u);
  free(v);
  return far / most;
}

/* a context in which oneDNN is usable; NULL where there is none */
static neap_context *open_with (int threads) {
  neap_context *c = neap_open(&(neap_config){ .threads = threads });
  assert_non_null(c);
  const neap_dnnl *d = neap_dnnl_of(c);
  assert_non_null(d);
  if (d->usable) return c;
  printf("skipped: oneDNN is %s\n", d->about);
  neap_close(c);
  return NULL;
}

static neap_context *open_without (void) {
  neap_context *c = neap_open(NULL);
  assert_non_null(c);
  assert_non_null(neap_dnnl_load(c, "off"));
  return c;
}

static void agrees_with_float64_and_own_kernels (void **state) {
  (void)state;
  for (int k = 0; k < EXAMPLES; k++) {
    neap_context *c = open_with(1), *plain = open_without();
    if (!c) { neap_close(plain); skip(); }
    neap_tensor *want[RESULTS], *got[RESULTS], *own[RESULTS];
    bool taken[RESULTS];
    all_three(c, &examples[k].s, NEAP_FLOAT64, want, NULL);
    assert_int_equal(runs(c), 0);
    all_three(c, &examples[k].s, NEAP_FLOAT32, got, taken);
    all_three(plain, &examples[k].s, NEAP_FLOAT32, own, NULL);
    assert_int_equal(runs(plain), 0);
    bool wide = strcmp(c->tiles->name, "avx512") == 0;
    for (int i = 0; i < RESULTS; i++) {
      if (wide && taken[i] != examples[k].taken[i])
        fail_msg("shape %d, %s: taken by %s", k + 1, result_names[i], taken[i] ? "oneDNN" : "neap's own");
      double far = apart(c, got[i], c, want[i]), apart_own = apart(c, got[i], plain, own[i]);
      if (!(far < 1e-5)) fail_msg("shape %d, %s: %g from float64", k + 1, result_names[i], far);
      if (!(apart_own < 1e-5)) fail_msg("shape %d, %s: %g from neap's own", k + 1, result_names[i], apart_own);
    }
    neap_close(plain);
    neap_close(c);
  }
}

static bool same_bits (neap_tensor *a, neap_tensor *b) {
  return memcmp(neap_data(a), neap_data(b), (size_t)neap_numel(a) * sizeof(float)) == 0;
}

/* and neither do calls before it, nor the sets of kernels that neap itself may use */
static void threads_change_no_bit (void **state) {
  (void)state;
  for (int k = 0; k < EXAMPLES; k++) {
    neap_context *one = open_with(1), *three = one ? open_with(3) : NULL;
    if (!three) skip();
    shape s = examples[k].s;
    s.n += 70;                             /* so that there are several tasks */
    neap_tensor *a[RESULTS], *b[RESULTS], *again[RESULTS];
    all_three(one, &s, NEAP_FLOAT32, a, NULL);
    all_three(three, &s, NEAP_FLOAT32, b, NULL);
    all_three(three, &s, NEAP_FLOAT32, again, NULL);
    for (int i = 0; i < RESULTS; i++) {
      assert_true(same_bits(a[i], b[i]));
      assert_true(same_bits(a[i], again[i]));
    }
    neap_close(one);
    neap_close(three);
  }
}

/* an infinite gradient of one image leaves the others finite, and what no window reaches stays 0 */
static void images_do_not_touch (void **state) {
  (void)state;
  for (int k = 0; k < EXAMPLES; k++) {
    neap_context *c = open_with(1);
    if (!c) skip();
    const shape *s = &examples[k].s;
    const int64_t filters[] = { s->kernel[0], s->kernel[1], s->c / s->groups, s->o };
    operands o = draw(c, s, NEAP_FLOAT32);
    neap_tensor *g = neap_zeros_like(c, o.g), *w = neap_full(c, NEAP_FLOAT32, 4, filters, 1);
    assert_true(neap_write(c, neap_slice(c, g, 1, 1, 1, 1), neap_scalar(c, NEAP_FLOAT32, INFINITY)));
    neap_tensor *dx = one_of_three(c, s, 1, NULL, w, g);
    neap_tensor *others = neap_abs(c, neap_slice(c, dx, 1, 2, s->n, 1));
    assert_float_equal(item(c, neap_sum(c, others, -1, NULL, false)), 0, 0);
    assert_false(isfinite(item(c, neap_sum(c, dx, -1, NULL, false))));
    neap_close(c);
  }
}

/* nothing is made twice: the same calls again ask for nothing, and what many shapes leave is bounded */
static void what_is_kept_is_bounded (void **state) {
  (void)state;
  neap_context *c = open_with(1);
  if (!c) skip();
  shape s = { 1, 8, 8, 16, { 3, 3 }, 16, { 1, 1 }, { 1, 1 }, { 1, 2 }, 1 };
  for (int k = 1; k <= CONV_MADE + 10; k++) {
    s.n = k;
    neap_scope scope = neap_scope_open(c);
    operands o = draw(c, &s, NEAP_FLOAT32);
    assert_non_null(one_of_three(c, &s, 0, o.x, o.w, o.g));
    neap_scope_close(c, scope);
  }
  assert_int_equal(runs(c), CONV_MADE + 10);
  int before = 0, kept = 0;
  for (int i = 0; i < CONV_MADE; i++) before += c->convolutions->made[i] != NULL;
  assert_int_equal(before, CONV_MADE);
  const conv_made *first = c->convolutions->made[0];
  operands o = draw(c, &s, NEAP_FLOAT32);
  for (int k = 0; k < 3; k++) assert_non_null(one_of_three(c, &s, 0, o.x, o.w, o.g));
  for (int i = 0; i < CONV_MADE; i++) kept += c->convolutions->made[i] == first;
  assert_int_equal(kept, 1);
  assert_int_equal(runs(c), CONV_MADE + 13);
  neap_close(c);
}

/* ---- no memory ---- */

static bool attempt (failing *f, float *sum) {
  neap_context *c = failing_open(f);
  if (!c) return false;
  const shape *s = &examples[9].s;
  const int64_t filters[] = { 3, 3, 16, 32 }, images[] = { 20, 9, 9, 32 };
  neap_tensor *x = neap_full(c, NEAP_FLOAT32, 4, images, .5), *w = neap_full(c, NEAP_FLOAT32, 4, filters, .25);
  neap_tensor *y = x && w ? one_of_three(c, s, 0, x, w, NULL) : NULL, *dx = y ? one_of_three(c, s, 1, x, w, y) : NULL;
  neap_tensor *dw = dx ? one_of_three(c, s, 2, dx, w, y) : NULL;
  double v = 0;
  bool ok = dw && neap_item(c, neap_sum(c, dw, -1, NULL, false), &v);
  if (!ok) assert_int_equal(neap_status_of(c), NEAP_EMEMORY);
  *sum = (float)v;
  neap_close(c);
  return ok;
}

static void failing_allocations (void **state) {
  (void)state;
  failing f = { 0, 0 };
  float want, sum;
  assert_true(attempt(&f, &want));
  assert_int_equal(f.bytes, 0);
  assert_true(isfinite(want) && want > 0);
  long n = 1;
  for (;; n += failing_step(1)) {
    f.countdown = n;
    bool ok = attempt(&f, &sum);
    assert_int_equal(f.bytes, 0);
    if (ok && f.countdown > 0) break;
    assert_false(ok && sum != want);
  }
  assert_true(n > 5);
}

/* ---- libraries that are not it ---- */

static void refuses (const char *file, const char *why) {
  neap_context *c = neap_open(NULL);
  neap_dnnl *d = neap_dnnl_load(c, file);
  assert_non_null(d);
  assert_false(d->usable);
  if (!strstr(d->about, why)) fail_msg("%s: \"%s\" where \"%s\" was expected", file, d->about, why);
  neap_tensor *out[RESULTS];
  all_three(c, &examples[9].s, NEAP_FLOAT32, out, NULL);
  assert_int_equal(runs(c), 0);
  neap_close(c);
}

static void wrong_files_are_refused (void **state) {
  (void)state;
  refuses("off", "off");
#if !defined __SANITIZE_THREAD__                       /* which ends a program that loads a library: mk/check.sh */
  refuses("/nowhere/libdnnl.so.2", "refused: /nowhere/libdnnl.so.2: cannot open shared object file");
  refuses("Makefile", "refused: Makefile");
  refuses("libz.so.1", "refused: without dnnl_version: libz.so.1");
#endif
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(agrees_with_float64_and_own_kernels), cmocka_unit_test(threads_change_no_bit),
    cmocka_unit_test(images_do_not_touch), cmocka_unit_test(what_is_kept_is_bounded),
    cmocka_unit_test(failing_allocations), cmocka_unit_test(wrong_files_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
