/* Samplers from C that are made of others or of data, against moments and log Z in closed form: tempering, particles,
** minibatches, blocks, annealed importance sampling; and their settings. */
#include "support.h"
#include <string.h>

/* N((1, 1), ¼ I), whose log Z is log 2π/4 */
static neap_energy *normal (neap_context *c) {
  return neap_energy_gaussian(c, vector(c, 2, (double[]){ 1, 1 }), NULL, NULL, neap_scalar(c, NEAP_FLOAT64, .5));
}
static const double log_z = 0.4515827052894548;

static void settings (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_sampler *s = neap_sampler_hmc(c, .2, 4), *g = neap_sampler_gibbs(c);
  assert_ptr_equal(neap_sampler_keep(s), s);
  neap_sampler_release(s);
  assert_string_equal(neap_sampler_name(s), "hmc");
  assert_float_equal(neap_sampler_step_size(s), .2, 0);
  assert_true(neap_sampler_set_step_size(c, s, .1));
  assert_float_equal(neap_sampler_step_size(s), .1, 0);
  assert_null(neap_sampler_kernel(s));
  assert_false(neap_sampler_set_step_size(c, s, -1));
  neap_clear_error(c);
  assert_true(isnan(neap_sampler_step_size(g)));
  assert_false(neap_sampler_set_step_size(c, g, .1));
  assert_string_equal(neap_error(c), "gibbs: has no step size");
  neap_sampler_release(s);
  neap_sampler_release(g);
  neap_close(c);
}

/* each coordinate's mean and variance over all draws, within `most` of them */
static void expect_moments (neap_context *c, neap_tensor *draws, double mean, double var, double most) {
  assert_non_null(draws);
  const int64_t last = neap_shape(draws)[neap_ndim(draws) - 1];
  for (int64_t i = 1; i <= last; i++) {
    neap_tensor *x = neap_select(c, draws, -1, i);
    assert_true(fabs(item(c, neap_mean(c, x, -1, NULL, false)) - mean) < most * sqrt(var));
    assert_true(fabs(item(c, neap_var(c, x, -1, NULL, false, true)) - var) < most * var);
  }
}

static void tempering (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_energy *E = normal(c);
  neap_sampler *kernel = neap_sampler_random_walk(c, .6);
  neap_sampler *s = neap_sampler_parallel_tempering(c, kernel, 2, (double[]){ 1, 3 }, false, 2);
  assert_ptr_equal(neap_sampler_kernel(s), kernel);
  neap_sample_info info;
  neap_sample_config cfg = { .chains = 500, .steps = 100, .warmup = 40 };
  expect_moments(c, neap_sampler_sample(c, s, E, &cfg, &info), 1, .25, .1);
  assert_float_equal(element(c, info.temperatures, 1), 3, 0);
  double rate = element(c, info.swap_rates, 0);
  assert_true(rate > .3 && rate < 1);
  assert_null(neap_sampler_parallel_tempering(c, kernel, 2, (double[]){ 2, 3 }, false, 1));
  assert_int_equal(neap_status_of(c), NEAP_EARG);
  neap_sampler_release(s);
  neap_sampler_release(kernel);
  neap_energy_release(E);
  neap_close(c);
}

static void particles (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_energy *E = normal(c);
  neap_sampler *kernel = neap_sampler_hmc(c, .2, 4), *s = neap_sampler_smc(c, kernel, 4000, .5, 5);
  neap_sample_info info;
  expect_moments(c, neap_sampler_sample(c, s, E, &(neap_sample_config){ 0 }, &info), 1, .25, .12);
  assert_true(info.log_z_error > 0 && info.log_z_error < .1);
  assert_true(fabs(info.log_z - log_z) < 4 * info.log_z_error);
  neap_sampler_release(s);
  neap_sampler_release(kernel);
  neap_energy_release(E);
  neap_close(c);
}

/* ---- posteriors of a mean ---- */

/* Σ ½ (yᵢ − x)² over a chain's rows y [B, n] of x [B, 1] */
static neap_tensor *misfit (neap_context *c, void *ud, neap_tensor *const *params, neap_tensor *x, neap_tensor *y) {
  (void)ud; (void)params;
  neap_tensor *d = y ? neap_square(c, neap_sub(c, y, x)) : neap_square(c, x);
  return neap_mul(c, neap_sum(c, d, 1, (int64_t[]){ 2 }, false), neap_scalar(c, NEAP_FLOAT64, .5));
}

/* 100 data of mean 2 and all of them at each step: N(2, 1/100), which sgld widens by 1/(1 − 100 ε/2) */
static void minibatches (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_energy *E = neap_energy_from_function(c, misfit, NULL, NULL,
                     &(neap_function_config){ .event_ndim = 1, .event = (int64_t[]){ 1 } });
  neap_tensor *data = neap_linspace(c, NEAP_FLOAT64, 1, 3, 100);
  neap_minibatch_config cfg = { .step_size = .002, .data = data };
  neap_sampler *s = neap_sampler_sgld(c, &cfg);
  neap_dtype d = NEAP_FLOAT64;
  neap_sample_config run = { .chains = 100, .steps = 300, .warmup = 100, .dtype = &d };
  expect_moments(c, neap_sampler_sample(c, s, E, &run, NULL), 2, .01 / .9, .15);
  neap_sampler_release(s);
  cfg.step_size = .02;
  cfg.friction = 10;
  s = neap_sampler_sghmc(c, &cfg);
  expect_moments(c, neap_sampler_sample(c, s, E, &run, NULL), 2, .01, .25);
  neap_sampler_release(s);
  cfg.data = NULL;
  assert_null(neap_sampler_sghmc(c, &cfg));
  assert_int_equal(neap_status_of(c), NEAP_EARG);
  neap_energy_release(E);
  neap_close(c);
}

static void blocks (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_energy *E = normal(c);
  neap_sampler *parts[] = { neap_sampler_mala(c, .1), neap_sampler_random_walk(c, .8) };
  neap_tensor *dims[] = { neap_from(c, NEAP_INT64, 1, (int64_t[]){ 1 }, (int64_t[]){ 2 }),
                          neap_from(c, NEAP_INT64, 1, (int64_t[]){ 1 }, (int64_t[]){ 1 }) };
  neap_sampler *s = neap_sampler_blocks(c, 2, dims, parts);
  neap_sample_config run = { .chains = 500, .steps = 100, .warmup = 50 };
  expect_moments(c, neap_sampler_sample(c, s, E, &run, NULL), 1, .25, .1);
  neap_sampler_release(s);
  s = neap_sampler_blocks(c, 1, dims, parts);             /* nobody moves coordinate 1 */
  assert_null(neap_sampler_sample(c, s, E, &run, NULL));
  assert_int_equal(neap_status_of(c), NEAP_EARG);
  neap_sampler_release(s);
  neap_sampler_release(parts[0]);
  neap_sampler_release(parts[1]);
  neap_energy_release(E);
  neap_close(c);
}

/* ---- warm-up by hand ---- */

static bool has (const neap_state *st, const char *name) {
  for (int i = 0; i < neap_state_count(st); i++) if (strcmp(neap_state_name(st, i), name) == 0) return true;
  return false;
}

static void warmups (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_energy *E = normal(c);
  neap_sampler *s = neap_sampler_hmc(c, NAN, 4);
  neap_state *st = neap_sampler_init(c, s, E, neap_full(c, NEAP_FLOAT64, 2, (int64_t[]){ 20, 2 }, 0), NULL, NULL);
  assert_true(neap_sampler_warmup(c, s, E, st, 200));
  assert_true(has(st, "step_size") && has(st, "scale") && !has(st, "accept_prob"));
  double h = item(c, neap_state_get(st, "step_size"));
  assert_true(h > .2 && h < 4);                          /* in units of the scale, ½ in both dimensions */
  assert_true(fabs(element(c, neap_state_get(st, "scale"), 1) - .5) < .2);
  assert_true(neap_sampler_step(c, s, E, st, 10));
  neap_state_free(st);
  neap_sampler_release(s);
  neap_energy_release(E);
  neap_close(c);
}

/* ---- log Z along a path ---- */

static void expect_log_z (const neap_log_z_info *info) {
  assert_true(info->error > 0 && info->error < .2);
  assert_true(fabs(info->log_z - log_z) < 4 * info->error);
  assert_true(info->lower < info->log_z && info->log_z < info->upper);
}

static void paths (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_energy *E = normal(c);
  neap_log_z_config cfg = { .chains = 200, .temperatures = 100 };
  neap_log_z_info info;
  assert_true(neap_energy_log_z_ais(c, E, false, &cfg, &info));
  expect_log_z(&info);
  assert_int_equal(info.chains, 200);
  assert_int_equal(info.temperatures, 100);
  cfg.x = neap_energy_sample(c, E, 200, NULL, NEAP_FLOAT64);
  cfg.exact = true;
  assert_true(neap_energy_log_z_ais(c, E, true, &cfg, &info));
  expect_log_z(&info);
  assert_string_equal(info.starts, "exact");
  assert_true(neap_energy_log_z_smc(c, E, &(neap_log_z_config){ .chains = 1000, .moves = 5 }, &info));
  expect_log_z(&info);
  assert_false(neap_energy_log_z_ais(c, E, false, &(neap_log_z_config){ .chains = 1 }, &info));
  assert_int_equal(neap_status_of(c), NEAP_EARG);
  neap_energy_release(E);
  neap_close(c);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(settings), cmocka_unit_test(tempering), cmocka_unit_test(particles), cmocka_unit_test(minibatches),
    cmocka_unit_test(blocks), cmocka_unit_test(warmups), cmocka_unit_test(paths),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
