/* Rows of the op table from C: lists and optional arguments, threads that change no result, failing allocations. */
#include "support.h"

static neap_tensor *ramp (neap_context *c, int64_t rows, int64_t columns) {
  return neap_reshape(c, neap_arange(c, NEAP_FLOAT64, 1, (double)(rows * columns), 1), 2,
                      (int64_t[]){ rows, columns });
}

static void lists_and_options (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *x = ramp(c, 2, 3);
  const int64_t first = 1, both[] = { 1, 2 }, shifts[] = { 1, -1 };
  assert_float_equal(item(c, neap_sum(c, x, -1, NULL, false)), 21, 0);
  assert_int_equal(neap_ndim(neap_sum(c, x, 0, NULL, false)), 2);       /* over no dimension */
  assert_float_equal(item(c, neap_select(c, neap_sum(c, x, 1, &first, false), 1, -1)), 9, 0);
  double rolled[6], want[] = { 5, 6, 4, 2, 3, 1 };
  assert_true(neap_read(c, neap_roll(c, x, 2, shifts, 2, both), NEAP_FLOAT64, rolled));
  assert_memory_equal(rolled, want, sizeof want);
  assert_float_equal(item(c, neap_norm(c, x, -1, NULL, false, NAN)), sqrt(91), 1e-12);
  assert_int_equal(neap_shape(neap_slice(c, x, 2, NEAP_NONE, NEAP_NONE, -2))[1], 2);
  assert_null(neap_softmax(c, NULL, 1));
  assert_int_equal(neap_status_of(c), NEAP_EARG);
  neap_close(c);
}

/* ---- the split of the work depends on sizes alone ---- */

enum { RESULTS = 9 };

static void reduce_all (int threads, double *out) {
  neap_context *c = neap_open(&(neap_config){ .threads = threads, .seed = 3 });
  neap_tensor *x = neap_rng_normal(c, neap_rng_default(c), NEAP_FLOAT32, 2, (int64_t[]){ 700, 300 });
  const int64_t dims[] = { 1, 2 };
  neap_tensor *flat = neap_flatten(c, x, 1, -1), *t = neap_t(c, x);
  neap_tensor *r[RESULTS] = {
    neap_sum(c, x, -1, NULL, false), neap_sum(c, neap_square(c, neap_sum(c, x, 1, &dims[0], false)), -1, NULL, false),
    neap_sum(c, neap_square(c, neap_sum(c, t, 1, &dims[0], false)), -1, NULL, false), neap_amax(c, x, -1, NULL, false),
    neap_argmin(c, x, NEAP_NONE, false), neap_logsumexp(c, flat, -1, NULL, false),
    neap_sum(c, neap_logsumexp(c, x, 1, &dims[1], false), -1, NULL, false),
    neap_select(c, neap_cumsum(c, flat, 1), 1, -1), neap_sum(c, neap_argsort(c, x, 1, false), -1, NULL, false)
  };
  for (int i = 0; i < RESULTS; i++) out[i] = item(c, r[i]);
  neap_close(c);
}

static void threads_change_nothing (void **state) {
  (void)state;
  double one[RESULTS], three[RESULTS];
  reduce_all(1, one);
  reduce_all(3, three);
  assert_memory_equal(one, three, sizeof one);
  assert_float_equal(one[0], one[7], 1e-3 * fabs(one[0]) + 1e-2);
}

/* ---- every allocation of a script of these rows fails once ---- */

/* a scalar that depends on x through many rows */
static neap_tensor *script (neap_context *c, neap_tensor *x) {
  const int64_t dim = 2, pads[] = { 1, 1, -1, 0 };
  neap_tensor *order = neap_argsort(c, x, 2, true), *sorted = neap_gather(c, x, 2, order);
  neap_tensor *rows = neap_argmax(c, x, 1, false);
  neap_tensor *parts[] = { neap_index_select(c, x, 1, rows), sorted, neap_pad(c, x, 4, pads, 2) };
  parts[2] = neap_pad(c, parts[2], 4, (const int64_t[]){ -1, -1, 0, 1 }, 0);
  neap_tensor *all = neap_cat(c, 3, parts, 1), *p = neap_softmax(c, all, 2);
  neap_tensor *mask = neap_gt(c, all, neap_scalar(c, NEAP_FLOAT64, 2));
  neap_tensor *some = neap_std(c, neap_masked_select(c, all, mask), -1, NULL, false, true);
  neap_tensor *length = neap_norm(c, neap_cumsum(c, neap_t(c, all), 1), -1, NULL, false, 3);
  neap_tensor *energy = neap_sum(c, neap_logsumexp(c, all, 1, &dim, false), -1, NULL, false);
  neap_tensor *largest = neap_amax(c, neap_tile(c, all, 2, (const int64_t[]){ 2, 1 }), -1, NULL, false);
  neap_tensor *sums[] = { neap_add(c, neap_prod(c, p, -1, NULL, false), length),
                          neap_mul(c, neap_add(c, energy, neap_median(c, all, NEAP_NONE, false)), largest) };
  return neap_add(c, some, neap_add(c, sums[0], sums[1]));
}

/* whether all went well; value and slope at an element are written then */
static bool attempt (failing *f, double *value, double *slope) {
  neap_context *c = failing_open(f);
  if (!c) return false;
  neap_tensor *x = ramp(c, 3, 4), *y, *g;
  bool ok = x && neap_requires_grad(c, x, true) && (y = script(c, x))
            && neap_gradients(c, y, 1, &x, NULL, NEAP_CREATE_GRAPH, &g) && neap_item(c, y, value)
            && neap_item(c, neap_sum(c, neap_square(c, g), -1, NULL, false), slope);
  if (!ok) assert_int_equal(neap_status_of(c), NEAP_EMEMORY);
  neap_close(c);
  return ok;
}

static void failing_allocations (void **state) {
  (void)state;
  failing f = { 0, 0 };
  double value = 0, slope = 0, v, s;
  assert_true(attempt(&f, &value, &slope));
  assert_int_equal(f.bytes, 0);
  assert_true(isfinite(value) && isfinite(slope) && slope > 0);
  long n = 1;
  for (;; n += failing_step(1)) {
    f.countdown = n;
    bool ok = attempt(&f, &v, &s);
    assert_int_equal(f.bytes, 0);
    if (ok && f.countdown > 0) break;
    assert_false(ok && (v != value || s != slope));
  }
  assert_true(n > 100);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(lists_and_options), cmocka_unit_test(threads_change_nothing),
    cmocka_unit_test(failing_allocations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
