/*
** test_custom.c -- a value whose derivative the host computes: sum x³, told by its pullback alone.
*/
#include "support.h"
#include "tape_custom.h"
#include <string.h>

typedef struct cube { int pulled, released; } cube;

/* 3 x² g */
static bool pull (neap_rule *r, void *arg, int n, neap_tensor *const *in, const bool *want, neap_tensor *g,
                  neap_tensor **out) {
  neap_context *c = r->c;
  if (!neap_custom_stands(r)) return false;
  ((cube *)arg)->pulled++;
  for (int i = 0; i < n; i++)
    if (want[i]) out[i] = neap_mul(c, neap_mul(c, neap_scalar(c, NEAP_FLOAT64, 3), neap_square(c, in[i])), g);
  return neap_ok(c);
}

static void release (neap_context *c, void *arg) {
  (void)c;
  ((cube *)arg)->released++;
}

static neap_tensor *cubes (neap_context *c, neap_tensor *x, cube *k) {
  neap_mode m = neap_no_grad(c);
  neap_tensor *y = neap_sum(c, neap_mul(c, x, neap_square(c, x)), -1, NULL, false);
  neap_mode_restore(c, m);
  return neap_custom(c, y, 1, &x, (neap_pullback){ pull, release, k });
}

static neap_tensor *variable (neap_context *c) {
  neap_tensor *x = neap_from(c, NEAP_FLOAT64, 1, (int64_t[]){ 2 }, (double[]){ 2, -3 });
  assert_true(neap_requires_grad(c, x, true));
  return x;
}

static neap_tensor *derivative (neap_context *c, neap_tensor *y, neap_tensor *x) {
  neap_tensor *g = NULL;
  assert_true(neap_gradients(c, y, 1, &x, NULL, NEAP_CREATE_GRAPH, &g));
  return neap_sum(c, g, -1, NULL, false);
}

static void test_derivatives_of_all_orders (void **state) {
  (void)state;
  cube k = { 0 };
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  neap_tensor *x = variable(c), *y = cubes(c, x, &k);
  assert_float_equal(item(c, y), 8 - 27, 0);
  neap_tensor *d1 = derivative(c, y, x), *d2 = derivative(c, d1, x), *d3 = derivative(c, d2, x);
  assert_float_equal(item(c, d1), 12 + 27, 1e-12);
  assert_float_equal(item(c, d2), 12 - 18, 1e-12);
  assert_float_equal(item(c, d3), 12, 1e-12);
  assert_int_equal(k.pulled, 1);
  neap_scope_close(c, s);
  assert_int_equal(k.released, 1);
  neap_close(c);
}

/* sum 3 x² dx, in a forward sweep, and its derivative by x */
static neap_tensor *tangent (neap_context *c, neap_tensor *x, cube *k) {
  neap_tensor *v = neap_variable(c, x), *dx = neap_from(c, NEAP_FLOAT64, 1, (int64_t[]){ 2 }, (double[]){ 1, 10 });
  return neap_tangent(c, cubes(c, v, k), 1, &v, &dx, NEAP_AUTO_GRAPH);
}

static void test_tangents (void **state) {
  (void)state;
  cube k = { 0 };
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  neap_tensor *x = variable(c), *t = tangent(c, x, &k);
  assert_float_equal(item(c, t), 12 + 270, 1e-12);
  assert_float_equal(item(c, derivative(c, t, x)), 12 - 180, 1e-12);
  assert_float_equal(item(c, tangent(c, neap_detach(c, x), &k)), 12 + 270, 1e-12);
  neap_scope_close(c, s);
  assert_int_equal(k.released, 2);
  neap_close(c);
}

/* A derivative of the derivative must not see what was written since; the first one is what the host says. */
static void test_written_inputs (void **state) {
  (void)state;
  cube k = { 0 };
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  neap_tensor *x = variable(c), *y = cubes(c, x, &k), *g = NULL;
  assert_true(neap_write(c, x, neap_zeros_like(c, x)));
  assert_false(neap_gradients(c, y, 1, &x, NULL, NEAP_CREATE_GRAPH, &g));
  assert_non_null(strstr(neap_error(c), "written"));
  neap_clear_error(c);
  neap_scope_close(c, s);
  neap_close(c);
  assert_int_equal(k.released, 1);
}

static void test_untracked_and_failing (void **state) {
  (void)state;
  for (long n = 0; n < 40; n++) {
    cube k = { 0 };
    failing f = { 0, 0 };
    neap_context *c = failing_open(&f);
    neap_scope s = neap_scope_open(c);
    neap_tensor *x = variable(c);
    f.countdown = n;
    neap_tensor *y = cubes(c, n ? x : neap_detach(c, x), &k);
    f.countdown = 0;
    assert_true(y || neap_status_of(c) == NEAP_EMEMORY);
    neap_scope_close(c, s);
    assert_int_equal(k.released, 1);
    neap_close(c);
    assert_int_equal(f.bytes, 0);
  }
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_derivatives_of_all_orders), cmocka_unit_test(test_tangents),
    cmocka_unit_test(test_written_inputs), cmocka_unit_test(test_untracked_and_failing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
