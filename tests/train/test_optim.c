/* The optimisers' updates from C, each against its formula worked out by hand for p = (1, 2) and g = (½, −1). */
#include "support.h"

typedef struct pair { neap_context *c; neap_tensor *p, *g, *v; } pair;

static pair start (neap_context *c) {
  return (pair){ c, vector(c, 2, (double[]){ 1, 2 }), vector(c, 2, (double[]){ .5, -1 }),
                 vector(c, 2, (double[]){ 0, 0 }) };
}

static void expect (pair *k, double a, double b) {
  assert_float_equal(element(k->c, k->p, 0), a, 1e-12);
  assert_float_equal(element(k->c, k->p, 1), b, 1e-12);
}

static void sgd (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  pair k = start(c);
  assert_true(neap_sgd_update(c, k.p, k.g, NULL, .1, 0, false, 0));
  expect(&k, .95, 2.1);
  k = start(c);
  assert_true(neap_sgd_update(c, k.p, k.g, k.v, .1, .9, false, 0));
  assert_true(neap_sgd_update(c, k.p, k.g, k.v, .1, .9, false, 0));       /* v = g, then 1.9 g */
  expect(&k, 1 - .1 * 2.9 * .5, 2 + .1 * 2.9);
  k = start(c);
  assert_true(neap_sgd_update(c, k.p, k.g, k.v, .1, .9, true, 0));        /* g + .9 v, v = g */
  expect(&k, 1 - .1 * 1.9 * .5, 2 + .1 * 1.9);
  k = start(c);
  assert_true(neap_sgd_update(c, k.p, k.g, NULL, .1, 0, false, .2));      /* g + .2 p = (.7, −.6) */
  expect(&k, .93, 2.06);
  neap_close(c);
}

static void adam (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  pair k = start(c);
  neap_tensor *m = vector(c, 2, (double[]){ 0, 0 });
  neap_adam o = { .lr = .1, .beta1 = .9, .beta2 = .99, .eps = 1e-3, .step = 1 };
  assert_true(neap_adam_update(c, k.p, k.g, m, k.v, &o));                 /* the corrected averages are g and g² */
  expect(&k, 1 - .1 * .5 / .501, 2 + .1 / 1.001);
  assert_float_equal(element(c, m, 0), .05, 1e-12);
  assert_float_equal(element(c, k.v, 1), .01, 1e-12);
  k = start(c);
  m = vector(c, 2, (double[]){ 0, 0 });
  o.wd = .5;
  o.decoupled = true;
  assert_true(neap_adam_update(c, k.p, k.g, m, k.v, &o));
  expect(&k, 1 - .05 - .1 * .5 / .501, 2 - .1 + .1 / 1.001);
  neap_close(c);
}

static void root_mean_squares (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  pair k = start(c);
  assert_true(neap_rmsprop_update(c, k.p, k.g, k.v, .1, .75, 1e-3, 0));   /* v = g²/4 */
  expect(&k, 1 - .1 * .5 / .251, 2 + .1 / .501);
  k = start(c);
  assert_true(neap_adagrad_update(c, k.p, k.g, k.v, .1, 1e-3, 0));
  assert_true(neap_adagrad_update(c, k.p, k.g, k.v, .1, 1e-3, 0));        /* v = g², then 2 g² */
  expect(&k, 1 - .1 * (.5 / .501 + .5 / (.5 * sqrt(2) + 1e-3)), 2 + .1 * (1 / 1.001 + 1 / (sqrt(2) + 1e-3)));
  neap_close(c);
}

static void averages_and_norms (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  pair k = start(c);
  assert_true(neap_ema_update(c, k.p, k.g, .75));
  expect(&k, .875, 1.25);
  assert_true(neap_ema_update(c, k.p, k.g, 0));
  expect(&k, .5, -1);
  neap_tensor *both[] = { vector(c, 1, (double[]){ 3 }), matrix(c, 2, 1, (double[]){ 0, -4 }) };
  double norm = 0;
  assert_true(neap_global_norm(c, 2, both, &norm));
  assert_float_equal(norm, 5, 1e-12);
  assert_false(neap_ema_update(c, k.p, both[0], .5));
  assert_int_equal(neap_status_of(c), NEAP_ESHAPE);
  neap_close(c);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(sgd), cmocka_unit_test(adam), cmocka_unit_test(root_mean_squares),
    cmocka_unit_test(averages_and_norms),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
