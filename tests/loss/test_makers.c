/* Losses from C, each where its value is known: classifiers, recovery, noise in pairs, laws given by functions; what
** they learn and what they remember. */
#include "support.h"
#include <string.h>

/* ½ |x|² in the plane */
static neap_energy *normal (neap_context *c) {
  return neap_energy_gaussian(c, vector(c, 2, (double[]){ 0, 0 }), NULL, NULL, NULL);
}

/* the loss's value; both are released */
static double value (neap_context *c, neap_loss *l, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  assert_non_null(l);
  double v = item(c, neap_loss_eval(c, l, E, x, cond, NULL, NULL));
  neap_loss_release(l);
  neap_energy_release(E);
  return v;
}

static bool stay (neap_context *c, void *arg, neap_energy *E, neap_state *st) {
  (void)c; (void)arg; (void)E; (void)st;
  return true;
}

static neap_sampler *idle (neap_context *c) {
  return neap_sampler_custom(c, &(neap_custom_sampler){ .step = stay });
}

static void classifiers (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_mlp_config net = { .nsizes = 2, .sizes = (int64_t[]){ 2, 3 }, .dtype = NEAP_FLOAT64 };
  neap_energy *m = neap_energy_mlp(c, &net), *E = neap_energy_classifier(c, m);
  neap_sampler *s = idle(c);
  neap_tensor *x = matrix(c, 2, 2, (double[]){ 1, 2, -1, .5 });
  neap_tensor *labels = neap_from(c, NEAP_INT64, 1, (int64_t[]){ 2 }, (int64_t[]){ 3, 1 });
  double want = item(c, neap_cross_entropy(c, neap_energy_logits(c, E, x, NULL), labels));
  /* chains that stay where the batch is: the second half is 0 */
  neap_pcd_config cfg = { .sampler = s };
  assert_float_equal(value(c, neap_loss_jem(c, &cfg, 2), neap_energy_keep(E), x, labels), want, 1e-12);
  cfg.reinit = .5;
  assert_null(neap_loss_jem(c, &cfg, 2));
  assert_string_equal(neap_error(c), "jem: reinit: a buffer of chains expected with it");
  neap_sampler_release(s);
  neap_energy_release(m);
  neap_energy_release(E);
  neap_close(c);
}

/* Of rows at 0 and levels 1 and 0, with a sampler that stays: 0 − mean ½ |n|², of mean −1 and deviation 1/√rows. */
static void recovery (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_sampler *s = idle(c);
  neap_recovery_config cfg = { .n = 2, .sigmas = (double[]){ 1, 0 }, .sampler = s };
  neap_tensor *x = neap_full(c, NEAP_FLOAT64, 2, (int64_t[]){ 4000, 2 }, 0);
  double v = value(c, neap_loss_diffusion_recovery(c, &cfg), normal(c), x, NULL);
  assert_true(fabs(v + 1) < 4 / sqrt(4000));
  assert_true(v != -1);
  cfg.n = 1;
  assert_null(neap_loss_diffusion_recovery(c, &cfg));
  assert_string_equal(neap_error(c), "diffusion_recovery: sigmas: at least 2 expected, got 1");
  neap_sampler_release(s);
  neap_close(c);
}

/* ½ |σ s(x + σn) + n|² with s = −x, x = (10, 0), σ = ½ is ½ (−5 + ¾ n₁)² + ½ (¾ n₂)²: 12.5 or more in the mean over
** n and −n, and as often less where n comes alone. */
static void noise_in_pairs (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_energy *E = normal(c);
  neap_loss *l = neap_loss_dsm(c, .5);
  neap_tensor *x = matrix(c, 1, 2, (double[]){ 10, 0 });
  assert_true(neap_loss_antithetic(c, l, true));
  double least = INFINITY, most = 0;
  for (int i = 0; i < 50; i++) {
    double v = item(c, neap_loss_eval(c, l, E, x, NULL, NULL, NULL));
    least = fmin(least, v);
    most = fmax(most, v);
  }
  assert_true(least >= 12.5 - 1e-9 && most > least);
  neap_loss_release(l);
  l = neap_loss_score_matching(c);
  assert_false(neap_loss_antithetic(c, l, true));
  assert_string_equal(neap_error(c), "score_matching: antithetic: dsm or multi_dsm expected");
  neap_loss_release(l);
  neap_energy_release(E);
  neap_close(c);
}

static neap_tensor *log_density (neap_context *c, void *arg, neap_tensor *x) {
  (void)arg;
  neap_tensor *d = neap_square(c, neap_sub(c, x, neap_scalar(c, NEAP_FLOAT64, 1)));
  return neap_mul(c, neap_sum(c, d, 1, (int64_t[]){ 2 }, false), neap_scalar(c, NEAP_FLOAT64, -.5));
}
static neap_tensor *score (neap_context *c, void *arg, neap_tensor *x) {
  (void)arg;
  return neap_sub(c, neap_scalar(c, NEAP_FLOAT64, 1), x);
}
static void count (void *arg) { ++*(int *)arg; }

/* N(0, I) against N((1, 1), I): ½ |(1, 1)|² wherever x is */
static void known_laws (void **state) {
  (void)state;
  int released = 0;
  neap_context *c = neap_open(NULL);
  neap_tensor *x = matrix(c, 2, 2, (double[]){ 1, 2, -1, .5 });
  assert_float_equal(value(c, neap_loss_fisher(c, log_density, true, &released, count), normal(c), x, NULL), 1, 1e-12);
  assert_int_equal(released, 1);
  assert_float_equal(value(c, neap_loss_fisher(c, score, false, &released, count), normal(c), x, NULL), 1, 1e-12);
  assert_int_equal(released, 2);
  neap_close(c);
}

static void own_parameters (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_flow_config cfg = { .dim = 2, .layers = 2, .hidden = 3 };
  neap_energy *noise = normal(c), *flow = neap_energy_flow(c, &cfg);
  neap_loss *l = neap_loss_nce(c, &(neap_nce_config){ .noise = noise });
  assert_ptr_equal(neap_loss_keep(l), l);
  neap_loss_release(l);
  assert_string_equal(neap_loss_name(l), "nce");
  assert_int_equal(neap_loss_nparams(l), 1);
  assert_string_equal(neap_loss_param_name(l, 0), "log_z");
  assert_float_equal(item(c, neap_loss_param(l, 0)), 0, 0);
  assert_true(neap_is_tracked(neap_loss_param(l, 0)));
  neap_loss *f = neap_loss_flow_contrastive(c, flow);
  assert_int_equal(neap_loss_nparams(f), 1 + neap_energy_nparams(flow));
  neap_loss *cd = neap_loss_score_matching(c);
  assert_int_equal(neap_loss_nparams(cd), 0);
  neap_loss_release(cd);
  neap_loss_release(f);
  neap_loss_release(l);
  neap_energy_release(noise);
  neap_energy_release(flow);
  neap_close(c);
}

static void memories (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_energy *E = normal(c);
  neap_sampler *s = idle(c);
  neap_pcd_config cfg = { .sampler = s, .buffer = 3 };
  neap_loss *a = neap_loss_pcd(c, &cfg), *b = neap_loss_pcd(c, &cfg);
  neap_tensor *x = matrix(c, 2, 2, (double[]){ 1, 2, -1, .5 });
  assert_int_equal(neap_state_count(neap_loss_state(c, a)), 0);
  assert_non_null(neap_loss_eval(c, a, E, x, NULL, NULL, NULL));
  neap_tensor *buffer = neap_state_get(neap_loss_state(c, a), "buffer");
  assert_int_equal(neap_shape(buffer)[0], 3);
  assert_true(neap_loss_set_state(c, b, neap_loss_state(c, a)));
  neap_tensor *copy = neap_state_get(neap_loss_state(c, b), "buffer");
  for (int i = 0; i < 6; i++) assert_float_equal(element(c, copy, i), element(c, buffer, i), 0);
  neap_state *other = neap_state_new(c, NULL);
  assert_true(neap_state_set(c, other, "chains", x));
  assert_string_equal(neap_state_name(other, 0), "chains");
  assert_false(neap_loss_set_state(c, b, other));
  assert_string_equal(neap_error(c), "pcd: set_state: it remembers no 'chains'");
  neap_state_free(other);
  neap_loss_release(a);
  neap_loss_release(b);
  neap_sampler_release(s);
  neap_energy_release(E);
  neap_close(c);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(classifiers), cmocka_unit_test(recovery), cmocka_unit_test(noise_in_pairs),
    cmocka_unit_test(known_laws), cmocka_unit_test(own_parameters), cmocka_unit_test(memories),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
