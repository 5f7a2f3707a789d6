/* Ready-made energies from C, each at a point where its formula is easily worked out. */
#include "support.h"
#include <string.h>

/* E at one point, which is released */
static double at_point (neap_context *c, neap_energy *E, int64_t n, const double *x) {
  assert_non_null(E);
  double e = element(c, neap_energy_eval(c, E, matrix(c, 1, n, x), NULL), 0);
  neap_energy_release(E);
  return e;
}

static void toys (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  assert_float_equal(at_point(c, neap_energy_double_well(c, 2, 1), 1, (double[]){ .5 }), 1.125, 1e-12);
  assert_float_equal(at_point(c, neap_energy_rosenbrock(c, 1, 100, 2), 2, (double[]){ 0, 1 }), 101, 1e-12);
  assert_float_equal(at_point(c, neap_energy_rastrigin(c, 10, 2), 2, (double[]){ .5, 0 }), 20.25, 1e-12);
  double a = 20 * (1 - exp(-.2 * sqrt(.5)));
  assert_float_equal(at_point(c, neap_energy_ackley(c, 20, .2, 2 * M_PI, 2), 2, (double[]){ 1, 0 }), a, 1e-12);
  assert_float_equal(at_point(c, neap_energy_ring(c, 2, .5, 2), 2, (double[]){ 3, 4 }), 18, 1e-12);
  assert_null(neap_energy_ring(c, 2, -1, 2));
  assert_int_equal(neap_status_of(c), NEAP_EARG);
  neap_close(c);
}

static neap_energy *normal (neap_context *c, double mean) {
  return neap_energy_gaussian(c, vector(c, 1, &mean), NULL, NULL, NULL);
}

static void mixtures (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *means = matrix(c, 2, 1, (double[]){ 0, 3 }), *weights = vector(c, 2, (double[]){ 1, 3 });
  double at0 = 0, far = exp(-4.5);
  neap_energy *gmm = neap_energy_gmm(c, means, NULL, neap_scalar(c, NEAP_FLOAT64, 1), weights);
  assert_float_equal(at_point(c, gmm, 1, &at0), -log((.25 + .75 * far) / sqrt(2 * M_PI)), 1e-12);
  neap_energy *parts[] = { normal(c, 0), normal(c, 3) };
  assert_float_equal(at_point(c, neap_energy_mixture(c, 2, parts, weights), 1, &at0), -log(1 + 3 * far), 1e-12);
  assert_float_equal(at_point(c, neap_energy_mixture(c, 2, parts, NULL), 1, &at0), -log((1 + far) / 2), 1e-12);
  neap_energy_release(parts[0]);
  neap_energy_release(parts[1]);
  neap_close(c);
}

static neap_tensor *number (neap_context *c, double v) { return neap_scalar(c, NEAP_FLOAT64, v); }

static double all_up (neap_context *c, neap_energy *E) {
  neap_tensor *x = neap_full(c, NEAP_FLOAT64, 3, (int64_t[]){ 1, 2, 2 }, 1);
  double e = element(c, neap_energy_eval(c, E, x, NULL), 0);
  neap_energy_release(E);
  return e;
}

static void lattices (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_lattice torus = { .ndim = 2, .shape = (int64_t[]){ 2, 2 } }, open = torus;
  open.open = true;
  assert_float_equal(all_up(c, neap_energy_ising(c, &torus, number(c, .5), NULL)), -4, 1e-12);     /* each bond twice */
  assert_float_equal(all_up(c, neap_energy_ising(c, &open, number(c, .5), number(c, .25))), -3, 1e-12);
  neap_lattice chain = { .ndim = 1, .shape = (int64_t[]){ 3 }, .open = true };
  neap_energy *potts = neap_energy_potts(c, &chain, 3, number(c, 2));
  int64_t x[] = { 1, 1, 2, 3, 3, 3 };
  neap_tensor *e = neap_energy_eval(c, potts, neap_from(c, NEAP_INT64, 2, (int64_t[]){ 2, 3 }, x), NULL);
  assert_float_equal(element(c, e, 0), -2, 1e-6);
  assert_float_equal(element(c, e, 1), -4, 1e-6);
  neap_energy_release(potts);
  neap_close(c);
}

/* one filter of one pixel, w = 2 and b = −1, relu, and the sum of what is left of two pixels */
static void images (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_conv_config cfg = { .input = (int64_t[]){ 1, 1, 2 }, .nlayers = 1, .channels = (int64_t[]){ 1 },
                           .kernels = (int64_t[]){ 1 }, .strides = (int64_t[]){ 1 }, .activation = "relu",
                           .dtype = NEAP_FLOAT64 };
  neap_energy *E = neap_energy_conv(c, &cfg);
  assert_non_null(E);
  assert_int_equal(neap_energy_nparams(E), 4);
  const int64_t one[] = { 1, 1, 1, 1 };
  neap_tensor *params[] = { neap_full(c, NEAP_FLOAT64, 4, one, 2), neap_full(c, NEAP_FLOAT64, 1, one, -1),
                            matrix(c, 1, 2, (double[]){ 1, 10 }), neap_full(c, NEAP_FLOAT64, 1, one, .5) };
  neap_energy *F = neap_energy_with(c, E, 4, params);
  const double x[] = { 1, 3, 0, 2 };                     /* relu(2x − 1) = 1, 5 and 0, 3 */
  neap_tensor *e = neap_energy_eval(c, F, neap_from(c, NEAP_FLOAT64, 4, (int64_t[]){ 2, 1, 1, 2 }, x), NULL);
  assert_float_equal(element(c, e, 0), 51.5, 1e-12);
  assert_float_equal(element(c, e, 1), 30.5, 1e-12);
  cfg.nlayers = 0;
  assert_null(neap_energy_conv(c, &cfg));
  assert_int_equal(neap_status_of(c), NEAP_EARG);
  neap_energy_release(E);
  neap_energy_release(F);
  neap_close(c);
}

static void memories (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *pattern = matrix(c, 1, 3, (double[]){ 1, -1, 1 });
  const double up[] = { 1, 1, 1 }, same[] = { 1, -1, 1 };
  /* of spins −β/2D ((x·ξ)² − D) */
  assert_float_equal(at_point(c, neap_energy_hopfield(c, pattern, number(c, 2), true), 3, same), -2, 1e-12);
  assert_float_equal(at_point(c, neap_energy_hopfield(c, pattern, number(c, 2), true), 3, up), 2. / 3, 1e-12);
  assert_float_equal(at_point(c, neap_energy_hopfield(c, pattern, number(c, 2), false), 3, same), -1.5, 1e-12);
  neap_close(c);
}

/* ---- machines with W = (1, −1)ᵀ, b = (½, 0), c = .2, at v = (1, 0) and h = 1 ---- */

static neap_energy *with_numbers (neap_context *c, neap_energy *E) {
  assert_int_equal(neap_energy_nparams(E), 3);
  static const char *const names[] = { "W", "b", "c" };
  for (int i = 0; i < 3; i++) assert_string_equal(neap_energy_param_name(E, i), names[i]);
  neap_tensor *params[] = { matrix(c, 2, 1, (double[]){ 1, -1 }), vector(c, 2, (double[]){ .5, 0 }),
                            vector(c, 1, (double[]){ .2 }) };
  neap_energy *F = neap_energy_with(c, E, 3, params);
  neap_energy_release(E);
  return F;
}

static double sigmoid (double x) { return 1 / (1 + exp(-x)); }

static void machines (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *v = matrix(c, 1, 2, (double[]){ 1, 0 }), *h = matrix(c, 1, 1, (double[]){ 1 });
  neap_energy *E = with_numbers(c, neap_energy_rbm(c, 2, 1, NEAP_FLOAT64, NULL));
  assert_true(neap_energy_is_rbm(E));
  assert_float_equal(element(c, neap_energy_eval(c, E, v, NULL), 0), -.5 - log1p(exp(1.2)), 1e-12);
  assert_float_equal(element(c, neap_rbm_hidden(c, E, v), 0), sigmoid(1.2), 1e-12);
  assert_float_equal(element(c, neap_rbm_visible(c, E, h), 0), sigmoid(1.5), 1e-12);
  assert_float_equal(element(c, neap_rbm_visible(c, E, h), 1), sigmoid(-1), 1e-12);
  assert_float_equal(element(c, neap_rbm_joint(c, E, v, h), 0), -1.7, 1e-12);
  neap_energy_release(E);
  E = with_numbers(c, neap_energy_gaussian_rbm(c, 2, 1, number(c, .5), NEAP_FLOAT64, NULL));
  assert_false(neap_energy_is_rbm(E));
  assert_float_equal(element(c, neap_energy_eval(c, E, v, NULL), 0), .5 - log1p(exp(2.2)), 1e-12);
  assert_float_equal(element(c, neap_rbm_hidden(c, E, v), 0), sigmoid(2.2), 1e-12);
  assert_float_equal(element(c, neap_rbm_visible(c, E, h), 0), 1, 1e-12);
  assert_float_equal(element(c, neap_rbm_visible(c, E, h), 1), -.5, 1e-12);
  assert_float_equal(element(c, neap_rbm_joint(c, E, v, h), 0), -1.7, 1e-12);
  neap_energy_release(E);
  neap_close(c);
}

static void shapes_and_references (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_energy *E = neap_energy_funnel(c, 3);
  assert_ptr_equal(neap_energy_keep(E), E);
  neap_energy_release(E);
  int64_t event[NEAP_MAX_DIMS] = { 0 };
  assert_int_equal(neap_energy_event(E, event), 1);
  assert_int_equal(event[0], 3);
  assert_null(neap_energy_mask(E));
  assert_null(neap_energy_mask_values(E));
  neap_tensor *mask = neap_gt(c, vector(c, 3, (double[]){ 0, 1, 0 }), number(c, .5));
  neap_energy *F = neap_energy_fix(c, E, mask, number(c, 7));
  assert_float_equal(element(c, neap_energy_mask(F), 0), 0, 0);
  assert_float_equal(element(c, neap_energy_mask(F), 1), 1, 0);
  assert_float_equal(item(c, neap_energy_mask_values(F)), 7, 0);
  neap_energy_release(E);
  neap_energy_release(F);
  neap_close(c);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(toys), cmocka_unit_test(mixtures), cmocka_unit_test(lattices), cmocka_unit_test(memories),
    cmocka_unit_test(images),
    cmocka_unit_test(machines), cmocka_unit_test(shapes_and_references),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
