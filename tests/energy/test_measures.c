/* What follows from an energy, from C: compositions, derivatives, probabilities, log Z, text; all in closed form. */
#include "support.h"
#include <string.h>
#include <unistd.h>

static neap_tensor *number (neap_context *c, double v) { return neap_scalar(c, NEAP_FLOAT64, v); }

/* N(0, std² I) in the plane */
static neap_energy *normal (neap_context *c, double std) {
  return neap_energy_gaussian(c, vector(c, 2, (double[]){ 0, 0 }), NULL, NULL, number(c, std));
}

static neap_tensor *point (neap_context *c, double a, double b) { return matrix(c, 1, 2, (double[]){ a, b }); }

/* the energy of (1, 2); E is released */
static double at12 (neap_context *c, neap_energy *E) {
  assert_non_null(E);
  double e = element(c, neap_energy_eval(c, E, point(c, 1, 2), NULL), 0);
  neap_energy_release(E);
  return e;
}

static void compositions (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_energy *E = normal(c, 1);
  assert_float_equal(at12(c, neap_energy_offset(c, E, 3)), 5.5, 1e-12);
  assert_float_equal(at12(c, neap_energy_scale_by(c, E, number(c, -2))), -5, 1e-12);
  assert_float_equal(at12(c, neap_energy_divide_by(c, E, number(c, 2))), 1.25, 1e-12);
  assert_float_equal(at12(c, neap_energy_offset_by(c, E, vector(c, 1, (double[]){ 4 }))), 6.5, 1e-12);
  assert_float_equal(at12(c, neap_energy_translate(c, E, vector(c, 2, (double[]){ 1, 1 }))), .5, 1e-12);
  neap_tensor *mask = neap_gt(c, vector(c, 2, (double[]){ 1, 0 }), number(c, .5));
  neap_energy *F = neap_energy_fix(c, E, mask, vector(c, 2, (double[]){ 5, 0 }));
  neap_tensor *score = neap_energy_score(c, F, point(c, 1, 2), NULL);
  assert_float_equal(element(c, score, 0), 0, 0);       /* what is held does not count */
  assert_float_equal(element(c, score, 1), -2, 1e-12);
  assert_float_equal(at12(c, F), 14.5, 1e-12);
  neap_energy_release(E);
  neap_close(c);
}

/* ½ |x − cond|² */
static neap_tensor *around (neap_context *c, void *ud, neap_tensor *const *params, neap_tensor *x, neap_tensor *cond) {
  (void)ud; (void)params;
  neap_tensor *d = cond ? neap_square(c, neap_sub(c, x, cond)) : neap_square(c, x);
  return neap_mul(c, neap_sum(c, d, 1, (int64_t[]){ 2 }, false), number(c, .5));
}

static void conditions (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_energy *E = neap_energy_from_function(c, around, NULL, NULL, NULL), *plain = normal(c, 1);
  neap_energy *net = neap_energy_mlp(c, &(neap_mlp_config){ .nsizes = 2, .sizes = (int64_t[]){ 2, 3 } });
  neap_energy *levels = neap_energy_noise_conditional(c, net);
  assert_int_equal(neap_energy_conditional(E), -1);
  assert_int_equal(neap_energy_conditional(plain), 0);
  assert_int_equal(neap_energy_conditional(levels), 1);
  neap_energy *F = neap_energy_given(c, E, vector(c, 2, (double[]){ 1, 0 }));
  assert_int_equal(neap_energy_conditional(F), 0);
  assert_float_equal(at12(c, F), 2, 1e-12);
  assert_string_equal(neap_energy_name(plain), "gaussian");
  neap_energy *sum = neap_energy_sum(c, 2, (neap_energy *[]){ plain, E });
  assert_string_equal(neap_energy_name(sum), "sum");
  neap_energy *all[] = { E, plain, net, levels, sum };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) neap_energy_release(all[i]);
  neap_close(c);
}

static void second_derivatives (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_energy *E = normal(c, .5);                       /* its Hessian is 4 I */
  neap_tensor *x = point(c, 1, 2), *h = neap_energy_hvp(c, E, x, NULL, point(c, 3, -1));
  assert_float_equal(element(c, h, 0), 12, 1e-12);
  assert_float_equal(element(c, h, 1), -4, 1e-12);
  assert_float_equal(element(c, neap_energy_laplacian_hutchinson(c, E, x, NULL, 3, NULL), 0), 8, 1e-12);
  neap_energy_release(E);
  neap_close(c);
}

static void probabilities (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_energy *E = normal(c, .5);
  neap_tensor *x = point(c, 0, 0), *y = point(c, .5, 1);
  const double z = log(2 * M_PI * .25);
  assert_float_equal(element(c, neap_energy_log_ratio(c, E, x, y, NULL), 0), 2.5, 1e-12);
  assert_float_equal(item(c, neap_energy_log_z(c, E)), z, 1e-12);
  assert_float_equal(element(c, neap_energy_log_prob(c, E, y, NULL, NULL), 0), -2.5 - z, 1e-12);
  assert_float_equal(element(c, neap_energy_log_prob(c, E, y, NULL, number(c, 1)), 0), -3.5, 1e-12);
  neap_energy *well = neap_energy_double_well(c, 1, 1);
  assert_null(neap_energy_log_z(c, well));
  assert_int_equal(neap_status_of(c), NEAP_EARG);
  neap_energy_release(well);
  neap_energy_release(E);
  neap_close(c);
}

static void sums_over_states (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_lattice chain = { .ndim = 1, .shape = (int64_t[]){ 3 }, .open = true };
  neap_energy *E = neap_energy_ising(c, &chain, number(c, .7), NULL);
  const double want = log(2) + 2 * log(2 * cosh(.7));
  double z = 0, first = 0, step = 0;
  assert_true(neap_energy_log_z_enumerate(c, E, -1, 1, &z));
  assert_float_equal(z, want, 1e-12);
  assert_true(neap_energy_log_z_states(c, E, &z));
  assert_float_equal(z, want, 1e-12);
  assert_float_equal(item(c, neap_energy_log_z(c, E)), want, 1e-12);
  assert_int_equal(neap_energy_units(E, &first, &step), 2);
  assert_true(first == -1 && step == 2);
  neap_energy *potts = neap_energy_potts(c, &chain, 4, number(c, 1)), *plain = normal(c, 1);
  assert_int_equal(neap_energy_units(potts, &first, &step), 4);
  assert_true(first == 1 && step == 1);
  assert_int_equal(neap_energy_units(plain, &first, &step), 0);
  neap_energy *all[] = { E, potts, plain };
  for (size_t i = 0; i < 3; i++) neap_energy_release(all[i]);
  neap_close(c);
}

static void what_can_be_normalised (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_energy *E = normal(c, 1), *away = neap_energy_scale(c, E, -1);
  neap_energy *f = neap_energy_from_function(c, around, NULL, NULL, NULL);
  const char *why = NULL;
  assert_int_equal(neap_energy_normalizable(c, E, &why), 1);
  assert_non_null(why);
  assert_int_equal(neap_energy_normalizable(c, away, &why), -1);
  assert_non_null(why);
  assert_int_equal(neap_energy_normalizable(c, f, NULL), 0);
  assert_int_equal(neap_status_of(c), NEAP_OK);
  neap_energy *all[] = { E, away, f };
  for (size_t i = 0; i < 3; i++) neap_energy_release(all[i]);
  neap_close(c);
}

static void parameters_from_a_file (void **state) {
  (void)state;
  char path[256];
  temporary_file(path, sizeof path, ".safetensors");
  neap_context *c = neap_open(NULL);
  neap_mlp_config cfg = { .nsizes = 2, .sizes = (int64_t[]){ 2, 3 }, .dtype = NEAP_FLOAT64 };
  neap_energy *a = neap_energy_mlp(c, &cfg), *b = neap_energy_mlp(c, &cfg);
  neap_tensor *x = point(c, 1, 2);
  double want = element(c, neap_energy_eval(c, a, x, NULL), 0);
  assert_true(fabs(element(c, neap_energy_eval(c, b, x, NULL), 0) - want) > 1e-6);
  assert_true(neap_energy_save(c, a, path));
  assert_true(neap_energy_load(c, b, path));
  assert_float_equal(element(c, neap_energy_eval(c, b, x, NULL), 0), want, 0);
  unlink(path);
  assert_false(neap_energy_load(c, b, path));
  assert_int_equal(neap_status_of(c), NEAP_EIO);
  neap_energy_release(a);
  neap_energy_release(b);
  neap_close(c);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(compositions), cmocka_unit_test(conditions), cmocka_unit_test(second_derivatives),
    cmocka_unit_test(probabilities), cmocka_unit_test(sums_over_states), cmocka_unit_test(what_can_be_normalised),
    cmocka_unit_test(parameters_from_a_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
