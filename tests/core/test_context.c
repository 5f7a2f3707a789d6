/* Contexts: errors that pass through, scopes, the memory cap, closing, and an allocator that fails. */
#include "support.h"
#include <string.h>
#include <unistd.h>

static neap_tensor *ramp (neap_context *c, int64_t rows, int64_t columns) {
  neap_tensor *t = neap_linspace(c, NEAP_FLOAT64, -1, 1, rows * columns);
  return neap_reshape(c, t, 2, (int64_t[]){ rows, columns });
}

/* ---- errors and scopes ---- */

static void first_error_wins (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *a = ramp(c, 2, 3), *b = ramp(c, 4, 5);
  assert_non_null(a);
  assert_null(neap_add(c, neap_exp(c, neap_add(c, a, b)), a));
  assert_int_equal(neap_status_of(c), NEAP_ESHAPE);
  assert_string_equal(neap_error(c), "add: shapes [2, 3] and [4, 5] cannot be broadcast together");
  assert_null(neap_exp(c, a));                         /* everything fails while it is pending */
  neap_clear_error(c);
  assert_non_null(neap_exp(c, a));
  neap_close(c);
}

static void scopes_give_back (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_memory before = neap_memory_of(c);
  neap_scope s = neap_scope_open(c);
  neap_tensor *kept = neap_keep(neap_exp(c, ramp(c, 10, 10)));
  neap_scope_close(c, s);
  assert_int_equal(neap_numel(kept), 100);
  neap_release(kept);
  neap_memory after = neap_memory_of(c);
  size_t stack = 64 * sizeof(void *);                  /* of the scopes, which may have grown */
  assert_true(after.live - after.cached <= before.live + stack);
  neap_close(c);
}

static void cap_is_kept (void **state) {
  (void)state;
  neap_context *c = neap_open(&(neap_config){ .memory_cap = 1 << 20 });
  assert_null(neap_full(c, NEAP_FLOAT64, 1, (int64_t[]){ 1 << 20 }, 1));
  assert_int_equal(neap_status_of(c), NEAP_EMEMORY);
  neap_clear_error(c);
  assert_non_null(neap_full(c, NEAP_FLOAT64, 1, (int64_t[]){ 1 << 10 }, 1));
  assert_true(neap_memory_of(c).peak <= 1 << 20);
  assert_null(neap_full(c, NEAP_FLOAT64, 2, (int64_t[]){ INT64_MAX / 2, 16 }, 1));
  assert_int_equal(neap_status_of(c), NEAP_EMEMORY);
  neap_close(c);
}

static void closed_context (void **state) {
  (void)state;
  failing f = { 0, 0 };
  neap_context *c = failing_open(&f);
  neap_tensor *t = neap_keep(ramp(c, 3, 3));
  neap_close(c);
  assert_null(neap_exp(c, t));
  assert_int_equal(neap_status_of(c), NEAP_ESTATE);
  neap_release(t);                                     /* gives the context's last bytes back */
  assert_int_equal(f.bytes, 0);
}

static void interrupt_stops (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_interrupt(c);
  assert_null(neap_exp(c, neap_scalar(c, NEAP_FLOAT32, 1)));
  assert_int_equal(neap_status_of(c), NEAP_EINTERRUPTED);
  neap_clear_error(c);
  assert_non_null(neap_exp(c, neap_scalar(c, NEAP_FLOAT32, 1)));
  neap_close(c);
}

/* ---- derivatives ---- */

static void nested_derivatives (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  /* x³ at 2: 12, 12, 6 */
  neap_tensor *x = neap_variable(c, neap_scalar(c, NEAP_FLOAT64, 2));
  neap_tensor *y = neap_mul(c, x, neap_square(c, x)), *d = y;
  double want[] = { 12, 12, 6 }, got;
  for (int order = 0; order < 3; order++) {
    assert_true(neap_gradients(c, d, 1, &x, NULL, NEAP_CREATE_GRAPH, &d));
    assert_true(neap_item(c, d, &got));
    assert_float_equal(got, want[order], 1e-12);
  }
  neap_close(c);
}

/* y = Σ x_i · x_(i+1), summed from both ends: entries far from the order in which they are met */
static void order_of_many_variables (void **state) {
  (void)state;
  enum { N = 300 };
  neap_context *c = neap_open(NULL);
  neap_tensor *x[N], *g[N], *y = neap_scalar(c, NEAP_FLOAT64, 0);
  double got;
  for (int i = 0; i < N; i++) assert_non_null(x[i] = neap_variable(c, neap_scalar(c, NEAP_FLOAT64, i)));
  for (int i = 0; i < N - 1; i++) {
    int k = i % 2 ? N - 2 - i / 2 : i / 2;
    y = i % 3 ? neap_add(c, y, neap_mul(c, x[k], x[k + 1])) : neap_add(c, neap_mul(c, x[k], x[k + 1]), y);
  }
  assert_true(neap_gradients(c, y, N, x, NULL, 0, g));
  for (int i = 0; i < N; i++) {
    assert_true(neap_item(c, g[i], &got));
    assert_float_equal(got, (i > 0 ? i - 1 : 0) + (i < N - 1 ? i + 1 : 0), 0);
  }
  neap_close(c);
}

static void released_tape_says_so (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *x = neap_scalar(c, NEAP_FLOAT64, 2), *g;
  assert_true(neap_requires_grad(c, x, true));
  neap_tensor *y = neap_square(c, neap_exp(c, x));
  assert_true(neap_gradients(c, y, 1, &x, NULL, 0, &g));
  assert_false(neap_gradients(c, y, 1, &x, NULL, 0, &g));
  assert_int_equal(neap_status_of(c), NEAP_ESTATE);
  assert_non_null(strstr(neap_error(c), "released"));
  neap_close(c);
}

static void written_value_is_an_error (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *x = neap_scalar(c, NEAP_FLOAT64, 2), *g;
  assert_true(neap_requires_grad(c, x, true));
  neap_tensor *y = neap_square(c, x), *z = neap_add(c, x, x);
  assert_true(neap_write(c, x, neap_scalar(c, NEAP_FLOAT64, 3)));
  assert_true(neap_gradients(c, z, 1, &x, NULL, 0, &g));    /* a sum does not read its arguments again */
  assert_false(neap_gradients(c, y, 1, &x, NULL, 0, &g));
  assert_non_null(strstr(neap_error(c), "written"));
  neap_close(c);
}

/* y = 2x with an element written: what is computed from it depends on x by what is left, which no tape knows */
static void written_between_making_and_use_is_an_error (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *x = neap_detach(c, ramp(c, 1, 3)), *g;
  assert_true(neap_requires_grad(c, x, true));
  neap_tensor *y = neap_add(c, x, x), *first = neap_slice(c, y, 2, 1, 1, 1);
  assert_true(neap_write(c, first, neap_scalar(c, NEAP_FLOAT64, 7)));
  assert_false(neap_gradients(c, neap_sum(c, y, -1, NULL, false), 1, &x, NULL, 0, &g));
  assert_non_null(strstr(neap_error(c), "derivative of sum: its argument 1, of shape [1, 3], was written"));
  neap_clear_error(c);
  assert_false(neap_gradients(c, y, 1, &x, neap_ones_like(c, y), 0, &g));
  assert_string_equal(neap_error(c), "the value, of shape [1, 3], was written after it was computed");
  neap_clear_error(c);
  neap_tensor *turned = neap_t(c, x);                  /* a view of the variable sees what is written to it */
  assert_true(neap_write(c, x, neap_scalar(c, NEAP_FLOAT64, 2)));
  double got[3], want[] = { 4, 4, 4 };
  assert_true(neap_gradients(c, neap_sum(c, neap_square(c, turned), -1, NULL, false), 1, &x, NULL, 0, &g));
  assert_true(neap_read(c, g, NEAP_FLOAT64, got));
  assert_memory_equal(got, want, sizeof want);
  neap_close(c);
}

static void long_tape_is_dropped (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *x = neap_scalar(c, NEAP_FLOAT64, 1);
  assert_true(neap_requires_grad(c, x, true));
  neap_tensor *y = neap_keep(x);
  for (int i = 0; i < 300000; i++) {
    neap_scope s = neap_scope_open(c);
    neap_tensor *next = neap_keep(neap_neg(c, y));
    neap_release(y);
    y = next;
    neap_scope_close(c, s);
  }
  neap_tensor *g;
  double got;
  assert_true(neap_gradients(c, y, 1, &x, NULL, NEAP_RETAIN, &g));
  assert_true(neap_item(c, g, &got));
  assert_float_equal(got, 1, 0);
  neap_release(y);
  neap_close(c);
}

/* ---- every allocation fails once ---- */

/* builds, differentiates to second order both ways, samples, saves */
static bool scenario (neap_context *c, const char *path) {
  neap_tensor *mean = neap_full(c, NEAP_FLOAT64, 1, (int64_t[]){ 2 }, 1), *x = neap_variable(c, ramp(c, 8, 2)), *g, *h;
  neap_energy *E = neap_energy_gaussian(c, mean, NULL, NULL, NULL);
  neap_energy *net = neap_energy_mlp(c, &(neap_mlp_config){ .nsizes = 2, .sizes = (int64_t[]){ 2, 4 } });
  neap_energy *both = E && net ? neap_energy_sum(c, 2, (neap_energy *[]){ E, net }) : NULL;
  bool ok = both != NULL;
  neap_tensor *e = ok ? neap_sum(c, neap_energy_eval(c, both, x, NULL), -1, NULL, false) : NULL;
  ok = ok && neap_gradients(c, e, 1, &x, NULL, NEAP_CREATE_GRAPH, &g);
  ok = ok && neap_gradients(c, neap_sum(c, neap_square(c, g), -1, NULL, false), 1, &x, NULL, NEAP_CREATE_GRAPH, &h);
  ok = ok && neap_tangent(c, e, 1, &x, &g, NEAP_AUTO_GRAPH);
  neap_sampler *hmc = ok ? neap_sampler_hmc(c, .1, 2) : NULL;
  neap_sample_config cfg = { .chains = 3, .steps = 4 };
  ok = ok && hmc && neap_sampler_sample(c, hmc, both, &cfg, NULL) && neap_energy_save(c, both, path);
  neap_sampler_release(hmc);
  neap_energy_release(both);
  neap_energy_release(net);
  neap_energy_release(E);
  return ok;
}

static void every_allocation_fails_once (void **state) {
  (void)state;
  char path[256];
  temporary_file(path, sizeof path, ".safetensors");
  bool done = false;
  long n;
  for (n = 1; !done && n < 20000; n++) {
    failing f = { n, 0 };
    neap_context *c = failing_open(&f);
    if (!c) { assert_int_equal(f.bytes, 0); continue; }
    done = scenario(c, path);
    if (done) assert_true(f.countdown > 0 || neap_status_of(c) == NEAP_OK);
    else if (neap_status_of(c) != NEAP_EMEMORY) fail_msg("allocation %ld: %s", n, neap_error(c));
    neap_close(c);
    assert_int_equal(f.bytes, 0);
    done = done && f.countdown > 0;
  }
  unlink(path);
  print_message("%ld allocations failed in turn\n", n - 1);
  assert_true(done);
}

static void written_argument_is_an_error (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_tensor *x = neap_full(c, NEAP_FLOAT64, 1, (int64_t[]){ 2 }, 2), *v = neap_variable(c, x), *g = NULL;
  neap_tensor *y = neap_sum(c, neap_mul(c, v, neap_scalar(c, NEAP_FLOAT64, 4)), -1, NULL, false);
  assert_true(neap_gradients(c, y, 1, &v, NULL, NEAP_RETAIN, &g));
  assert_true(((double *)neap_data(g))[0] == 4);
  assert_true(neap_write(c, x, neap_zeros_like(c, x)));    /* the variable shares its elements */
  assert_false(neap_gradients(c, y, 1, &v, NULL, NEAP_RETAIN, &g));
  assert_int_equal(neap_status_of(c), NEAP_ESTATE);
  assert_non_null(strstr(neap_error(c), "the argument of a derivative, of shape [2], was written"));
  neap_clear_error(c);
  assert_true(neap_requires_grad(c, x, true));             /* a parameter may be written */
  y = neap_sum(c, x, -1, NULL, false);
  assert_true(neap_write(c, x, neap_detach(c, neap_ones_like(c, x))));
  assert_true(neap_gradients(c, y, 1, &x, NULL, 0, &g));
  neap_close(c);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(first_error_wins), cmocka_unit_test(scopes_give_back), cmocka_unit_test(cap_is_kept),
    cmocka_unit_test(closed_context), cmocka_unit_test(interrupt_stops), cmocka_unit_test(nested_derivatives),
    cmocka_unit_test(order_of_many_variables), cmocka_unit_test(released_tape_says_so),
    cmocka_unit_test(written_argument_is_an_error),
    cmocka_unit_test(written_value_is_an_error), cmocka_unit_test(written_between_making_and_use_is_an_error),
    cmocka_unit_test(long_tape_is_dropped), cmocka_unit_test(every_allocation_fails_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
