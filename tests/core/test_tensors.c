/* Tensors from C: dtypes, strides, scopes that hand on, warnings and interrupts, gradients that add up, streams. */
#include "support.h"
#include <stdio.h>
#include <string.h>

static void dtypes (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  assert_int_equal(neap_default_dtype(c), NEAP_FLOAT32);
  neap_tensor *four = neap_scalar(c, NEAP_INT64, 4);
  assert_int_equal(neap_dtype_of(neap_sqrt(c, four)), NEAP_FLOAT32);
  assert_true(neap_set_default_dtype(c, NEAP_FLOAT64));
  assert_int_equal(neap_default_dtype(c), NEAP_FLOAT64);
  assert_int_equal(neap_dtype_of(neap_sqrt(c, four)), NEAP_FLOAT64);
  assert_false(neap_set_default_dtype(c, NEAP_INT64));
  assert_int_equal(neap_status_of(c), NEAP_EDTYPE);
  assert_string_equal(neap_error(c), "default_dtype: float32 or float64 expected, got int64");
  static const char *const names[] = { "float32", "float64", "int64", "uint8", "bool" };
  static const size_t sizes[] = { 4, 8, 8, 1, 1 };
  for (int d = 0; d < NEAP_NDTYPES; d++) {
    assert_string_equal(neap_dtype_name((neap_dtype)d), names[d]);
    assert_int_equal(neap_dtype_size((neap_dtype)d), sizes[d]);
  }
  neap_close(c);
}

static void views_have_strides (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *x = matrix(c, 2, 3, (double[]){ 1, 2, 3, 4, 5, 6 }), *t = neap_t(c, x);
  assert_int_equal(neap_strides(x)[0], 3);
  assert_int_equal(neap_strides(t)[0], 1);
  assert_int_equal(neap_strides(t)[1], 3);
  assert_true(neap_is_contiguous(x) && !neap_is_contiguous(t));
  assert_ptr_equal(neap_data(t), neap_data(x));
  neap_tensor *back = neap_flip(c, x, 1, (int64_t[]){ 2 });
  assert_float_equal(((double *)neap_data(back))[neap_strides(back)[1]], 2, 0);
  assert_ptr_equal(neap_context_of(t), c);
  neap_close(c);
}

static void scopes_hand_on (void **state) {
  (void)state;
  failing f = { 0, 0 };
  neap_context *c = failing_open(&f);
  neap_scope outer = neap_scope_open(c), inner = neap_scope_open(c);
  neap_tensor *a = neap_scalar(c, NEAP_FLOAT64, 2), *b = neap_exp(c, a);
  b = neap_scope_return(c, inner, b);
  assert_float_equal(item(c, b), exp(2), 1e-12);        /* a is gone, b is the outer scope's */
  assert_null(neap_scope_return(c, neap_scope_open(c), NULL));
  neap_tensor *kept = neap_keep(b);
  neap_scope_close(c, outer);
  outer = neap_scope_open(c);
  assert_ptr_equal(neap_lend(c, kept), kept);
  assert_float_equal(item(c, kept), exp(2), 1e-12);
  assert_null(neap_lend(c, NULL));
  neap_scope_close(c, outer);                            /* gives back what was lent */
  neap_close(c);
  assert_int_equal(f.bytes, 0);
}

static void hear (void *arg, const char *message) { snprintf(arg, 64, "%s", message); }

static void warnings_and_interrupts (void **state) {
  (void)state;
  char heard[64] = "";
  neap_context *c = neap_open(&(neap_config){ .log = hear, .log_arg = heard });
  neap_warn(c, "%d of %d chains", 3, 4);
  assert_string_equal(heard, "3 of 4 chains");
  assert_true(neap_poll(c));
  neap_interrupt(c);
  assert_false(neap_poll(c));
  assert_int_equal(neap_status_of(c), NEAP_EINTERRUPTED);
  neap_clear_error(c);
  assert_true(neap_poll(c));                             /* the flag is lowered */
  neap_close(c);
}

static void gradients_add_up (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *x = vector(c, 2, (double[]){ 1, -3 });
  assert_null(neap_grad_of(x));
  assert_false(neap_backward(c, neap_sum(c, x, -1, NULL, false), NULL, 0));     /* no variable yet */
  neap_clear_error(c);
  assert_true(neap_requires_grad(c, x, true));
  for (int times = 1; times <= 2; times++) {
    assert_true(neap_backward(c, neap_sum(c, neap_square(c, x), -1, NULL, false), NULL, 0));
    assert_float_equal(element(c, neap_grad_of(x), 0), 2 * times, 1e-12);
    assert_float_equal(element(c, neap_grad_of(x), 1), -6 * times, 1e-12);
  }
  neap_set_grad(x, vector(c, 2, (double[]){ 10, 10 }));
  assert_true(neap_backward(c, neap_square(c, x), vector(c, 2, (double[]){ 0, 1 }), 0));
  assert_float_equal(element(c, neap_grad_of(x), 0), 10, 1e-12);
  assert_float_equal(element(c, neap_grad_of(x), 1), 4, 1e-12);
  neap_set_grad(x, NULL);
  assert_null(neap_grad_of(x));
  neap_tensor *g = neap_grad(c, neap_sum(c, neap_exp(c, x), -1, NULL, false), x);
  assert_float_equal(element(c, g, 1), exp(-3), 1e-12);
  assert_null(neap_grad(c, neap_exp(c, x), x));          /* two elements */
  assert_int_equal(neap_status_of(c), NEAP_ESHAPE);
  neap_close(c);
}

static void streams_are_counted (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_rng *r = neap_rng_new(c, 5), *same = neap_rng_keep(r);
  assert_ptr_equal(same, r);
  assert_null(neap_rng_keep(NULL));
  neap_rng_release(r);
  double first = element(c, neap_rng_uniform(c, same, NEAP_FLOAT64, 1, (int64_t[]){ 1 }), 0);
  assert_int_equal(neap_rng_get(same).step, 1);
  neap_rng_set(same, (neap_rng_state){ 5, neap_rng_get(same).stream, 0 });
  assert_float_equal(element(c, neap_rng_uniform(c, same, NEAP_FLOAT64, 1, (int64_t[]){ 1 }), 0), first, 0);
  neap_rng_release(same);
  neap_close(c);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(dtypes), cmocka_unit_test(views_have_strides), cmocka_unit_test(scopes_hand_on),
    cmocka_unit_test(warnings_and_interrupts), cmocka_unit_test(gradients_add_up),
    cmocka_unit_test(streams_are_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
