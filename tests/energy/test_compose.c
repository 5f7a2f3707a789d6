/*
** test_compose.c -- energies from C: composing, derivatives, functions, ownership, and every allocation failing in
** turn.
*/
#include "support.h"

static neap_energy *normal (neap_context *c, double m1, double m2, double std) {
  neap_tensor *mean = neap_from(c, NEAP_FLOAT64, 1, (int64_t[]){ 2 }, (double[]){ m1, m2 });
  return neap_energy_gaussian(c, mean, NULL, NULL, neap_scalar(c, NEAP_FLOAT64, std));
}

static void test_compose (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  neap_energy *a = normal(c, 0, 0, 1), *b = neap_energy_banana(c, 1, 1, .5), *half = neap_energy_scale(c, b, -.5);
  neap_energy *E = neap_energy_sum(c, 2, (neap_energy *[]){ a, half });
  neap_energy_release(half);                            /* the whole keeps its parts */
  neap_energy_release(b);
  neap_energy_release(a);
  neap_tensor *x = matrix(c, 2, 2, (double[]){ 1, 2, 0, -1 }), *e, *g;
  assert_true(neap_energy_value_and_grad(c, E, x, NULL, &e, &g));
  /* ½|x|² − ½ (x₁²/2 + 2(x₂ − x₁² + 1)²) */
  assert_float_equal(element(c, e, 0), 2.5 - .5 * (.5 + 8), 1e-12);
  assert_float_equal(element(c, e, 1), .5, 1e-12);
  /* by x₂: x₂ − 2(x₂ − x₁² + 1) */
  assert_float_equal(element(c, g, 1), 2 - 4, 1e-12);
  /* ΔE = 2 − ½ (1 + 12x₁² − 4(x₂ + 1) + 4): ∂²/∂x₁² of 2(x₂ − x₁² + 1)² is 24x₁² − 8(x₂ + 1) */
  assert_float_equal(element(c, neap_energy_laplacian(c, E, x, NULL), 0), 2 - .5 * (1 + 24 - 24 + 4), 1e-12);
  char text[64];
  assert_string_equal(neap_energy_text(E, text, sizeof text), "gaussian - 0.5 * banana");
  assert_string_equal(neap_energy_text(E, text, 9), "gaussian");
  neap_energy_release(E);
  neap_scope_close(c, s);
  neap_close(c);
}

/* params[0] · x² summed, counting its own life in *ud */
static neap_tensor *weighed (neap_context *c, void *ud, neap_tensor *const *params, neap_tensor *x, neap_tensor *cond) {
  (void)ud; (void)cond;
  return neap_matmul(c, neap_square(c, x), params[0]);
}
static void count_free (neap_context *c, void *ud) { (void)c; ++*(int *)ud; }

static void test_function (void **state) {
  (void)state;
  int freed = 0;
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  neap_tensor *w = neap_from(c, NEAP_FLOAT64, 1, (int64_t[]){ 2 }, (double[]){ 2, 3 });
  const char *name = "w";
  neap_function_config cfg = { .name = "weighed", .event_ndim = 1, .event = (int64_t[]){ 2 }, .nparams = 1,
                               .params = &w, .names = &name };
  neap_energy *E = neap_energy_from_function(c, weighed, &freed, count_free, &cfg);
  neap_tensor *other = neap_from(c, NEAP_FLOAT64, 1, (int64_t[]){ 2 }, (double[]){ 1, 1 });
  neap_energy *F = neap_energy_with(c, E, 1, &other), *G = neap_energy_clone(c, F);
  neap_tensor *x = matrix(c, 1, 2, (double[]){ 1, 2 });
  assert_float_equal(element(c, neap_energy_eval(c, E, x, NULL), 0), 14, 1e-12);
  assert_float_equal(element(c, neap_energy_eval(c, F, x, NULL), 0), 5, 1e-12);
  assert_float_equal(element(c, neap_energy_score(c, G, x, NULL), 1), -4, 1e-12);
  assert_string_equal(neap_energy_param_name(E, 0), "w");
  assert_true(neap_is_tracked(neap_energy_param(G, 0)));
  neap_energy_release(E);
  neap_energy_release(F);
  assert_int_equal(freed, 0);
  neap_energy_release(G);
  assert_int_equal(freed, 1);
  assert_null(neap_energy_from_function(c, weighed, &freed, count_free,
                                        &(neap_function_config){ .nparams = 1, .params = &(neap_tensor *){ NULL } }));
  assert_int_equal(freed, 2);                           /* taken even when it fails */
  assert_int_equal(neap_status_of(c), NEAP_EARG);
  neap_scope_close(c, s);
  neap_close(c);
}

static void test_errors_pass_through (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  neap_energy *E = normal(c, 0, 0, 1);
  assert_null(neap_energy_score(c, E, matrix(c, 1, 3, (double[]){ 1, 2, 3 }), NULL));
  assert_string_equal(neap_error(c), "gaussian: x must be [B, 2], got [1, 3]");
  assert_null(neap_energy_sum(c, 1, &E));               /* the first error wins */
  assert_string_equal(neap_error(c), "gaussian: x must be [B, 2], got [1, 3]");
  neap_clear_error(c);
  assert_null(neap_energy_any(c, 2, (neap_energy *[]){ E, NULL }));
  assert_string_equal(neap_error(c), "any: energy 2 is missing");
  neap_clear_error(c);
  assert_null(neap_energy_scale_by(c, E, NULL));
  neap_clear_error(c);
  assert_non_null(neap_energy_score(c, E, matrix(c, 1, 2, (double[]){ 1, 2 }), NULL));
  neap_energy_release(E);
  neap_energy_release(NULL);
  neap_scope_close(c, s);
  neap_close(c);
}

static void test_outlives_its_context (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  neap_energy *E = normal(c, 0, 0, 1);
  neap_scope_close(c, s);
  neap_close(c);
  neap_energy_release(E);
  assert_true(true);                                    /* the leak checker judges */
}

/* ---- every allocation fails in turn ---- */

/* a classifier of images and the energy of one class: made, saved, evaluated */
static void images (neap_context *c, const char *path) {
  neap_conv_config cfg = { .input = (int64_t[]){ 1, 3, 3 }, .nlayers = 1, .channels = (int64_t[]){ 2 },
                           .kernels = (int64_t[]){ 3 }, .strides = (int64_t[]){ 2 }, .nhidden = 1,
                           .hidden = (int64_t[]){ 2 } };
  neap_energy *net = neap_energy_conv(c, &cfg), *E = net ? neap_energy_classifier(c, net) : NULL, *opened = NULL;
  neap_tensor *k = E ? neap_scalar(c, NEAP_INT64, 2) : NULL;
  neap_energy *one = k ? neap_energy_of_class(c, E, k) : NULL;
  neap_tensor *x = one ? neap_full(c, NEAP_FLOAT32, 4, (int64_t[]){ 2, 1, 3, 3 }, .5) : NULL, *e, *g;
  if (x) neap_energy_value_and_grad(c, one, x, NULL, &e, &g);
  if (x && neap_energy_save(c, one, path)) opened = neap_energy_open(c, path);
  neap_energy *all[] = { net, E, one, opened };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) neap_energy_release(all[i]);
}

/* residual blocks at a noise level, a classifier, a flow */
static void networks (neap_context *c, const char *path) {
  neap_residual_config blocks = { .nsizes = 2, .sizes = (int64_t[]){ 2, 3 }, .condition = 1 };
  neap_energy *r = neap_energy_residual_mlp(c, &blocks), *noise = r ? neap_energy_noise_conditional(c, r) : NULL;
  neap_energy *m = neap_energy_mlp(c, &(neap_mlp_config){ .nsizes = 2, .sizes = (int64_t[]){ 2, 3 } });
  neap_energy *classes = m ? neap_energy_classifier(c, m) : NULL, *opened = NULL;
  neap_energy *flow = neap_energy_flow(c, &(neap_flow_config){ .dim = 2, .layers = 2, .hidden = 3 });
  neap_tensor *x = flow ? neap_energy_sample(c, flow, 2, NULL, NEAP_FLOAT32) : NULL, *e, *g;
  neap_tensor *sigma = x ? neap_full(c, NEAP_FLOAT32, 1, (int64_t[]){ 2 }, .5) : NULL;
  if (sigma && noise) neap_energy_value_and_grad(c, noise, x, sigma, &e, &g);
  if (x && classes) neap_energy_logits(c, classes, x, NULL);
  if (x && flow) neap_energy_laplacian(c, flow, x, NULL);
  if (classes && neap_energy_save(c, classes, path)) opened = neap_energy_open(c, path);
  neap_energy *all[] = { r, noise, m, classes, flow, opened };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) neap_energy_release(all[i]);
}

static void everything (neap_context *c, const char *path) {
  neap_scope s = neap_scope_open(c);
  neap_energy *a = normal(c, 0, 0, 1), *b = neap_energy_funnel(c, 2);
  neap_energy *m = neap_energy_mlp(c, &(neap_mlp_config){ .nsizes = 2, .sizes = (int64_t[]){ 2, 4 } });
  neap_energy *sum = neap_energy_sum(c, 3, (neap_energy *[]){ a, b, m }),
      *any = neap_energy_any(c, 2, (neap_energy *[]){ a, b });
  neap_energy *twin = neap_energy_clone(c, sum), *opened = NULL;
  neap_tensor *x = any ? neap_energy_sample(c, any, 4, NULL, NEAP_FLOAT32) : NULL, *e, *g;
  if (x && twin) neap_energy_value_and_grad(c, twin, x, NULL, &e, &g);
  if (x && twin) neap_energy_laplacian(c, twin, x, NULL);
  double z;
  if (any) neap_energy_log_z_quadrature(c, any, 2, (double[]){ -1, -1 }, (double[]){ 1, 1 }, 5, &z, NULL);
  if (twin && neap_energy_save(c, twin, path)) opened = neap_energy_open(c, path);
  neap_energy *all[] = { a, b, m, sum, any, twin, opened };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) neap_energy_release(all[i]);
  networks(c, path);
  images(c, path);
  neap_scope_close(c, s);
}

static void test_every_allocation_may_fail (void **state) {
  (void)state;
  char path[256];
  long step = failing_step(1), n = 1, failed = 0;
  temporary_file(path, sizeof path, ".safetensors");
  for (bool done = false; !done; n += step) {
    failing f = { n, 0 };
    neap_context *c = failing_open(&f);
    if (c) {
      everything(c, path);
      done = neap_status_of(c) == NEAP_OK;
      if (!done && neap_status_of(c) != NEAP_EMEMORY) print_error("allocation %ld: %s\n", n, neap_error(c));
      assert_true(done || neap_status_of(c) == NEAP_EMEMORY);
      neap_close(c);
    }
    assert_int_equal(f.bytes, 0);
    failed += !done;
  }
  unlink(path);
  assert_true(failed * step > 100);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_compose), cmocka_unit_test(test_function), cmocka_unit_test(test_errors_pass_through),
    cmocka_unit_test(test_outlives_its_context), cmocka_unit_test(test_every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
