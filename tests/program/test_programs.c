/* Programs from C: numbers of rows that are confirmed, scans over inputs, interrupts; and with an allocator that fails,
** a function that is compiled and differentiated gives what it gives, or a clean error. */
#include "support.h"
#include "neap_models.h"
#include "program/compiled.h"
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { D = 3 };

static neap_tensor *number (neap_context *c, double v) { return neap_scalar(c, NEAP_FLOAT64, v); }

static neap_tensor *ramp (neap_context *c, int ndim, const int64_t *shape) {
  neap_tensor *t = neap_empty(c, NEAP_FLOAT64, ndim, shape);
  double *p = t ? neap_data(t) : NULL;
  for (int64_t i = 0; t && i < neap_numel(t); i++) p[i] = sin((double)i);
  return t;
}

static neap_tensor *rows (neap_context *c, int64_t n) { return ramp(c, 2, (int64_t[]){ n, D }); }

static double apart (neap_context *c, neap_tensor *a, neap_tensor *b) {
  neap_tensor *d = neap_abs(c, neap_sub(c, a, b));
  return item(c, neap_amax(c, d, -1, NULL, false));
}

/* ---- numbers of rows ---- */

typedef struct fn { neap_tensor *w; int calls; } fn;

/* x·w, and doubled beyond 50 rows */
static bool branch (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out) {
  fn *f = arg;
  f->calls++;
  *nout = 1;
  out[0] = neap_mul(c, in[0], f->w);
  if (neap_shape(in[0])[0] > 50) out[0] = neap_mul(c, out[0], number(c, 2));
  return out[0] != NULL;
}

static void numbers_of_rows_are_confirmed (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  fn f = { .w = ramp(c, 1, (int64_t[]){ D }) };
  neap_tensor *few = rows(c, 7), *some = rows(c, 20), *many = rows(c, 60), *out[1];
  neap_program *p = neap_capture(c, branch, &f, 1, &few);
  assert_non_null(p);
  assert_true(neap_program_fits(p, 1, &few));
  assert_false(neap_program_fits(p, 1, &some));
  assert_false(neap_run(c, p, 1, &some, out));
  assert_string_equal(neap_error(c), "run: the program was not confirmed for 20 rows (neap_program_confirm)");
  neap_clear_error(c);
  assert_true(neap_program_confirm(c, p, branch, &f, 1, &some));
  int calls = f.calls;
  assert_true(neap_program_confirm(c, p, branch, &f, 1, &some));
  assert_int_equal(f.calls, calls);
  assert_true(neap_run(c, p, 1, &some, out));
  assert_true(apart(c, out[0], neap_mul(c, some, f.w)) == 0);
  assert_false(neap_program_confirm(c, p, branch, &f, 1, &many));
  assert_int_equal(neap_status_of(c), NEAP_OK);
  assert_false(neap_program_confirm(c, p, branch, &f, 1, &f.w));
  neap_program_release(p);
  neap_scope_close(c, s);
  neap_close(c);
}

static void inputs_that_do_not_fit (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  fn f = { .w = ramp(c, 1, (int64_t[]){ D }) };
  neap_tensor *x = rows(c, 7), *wide = ramp(c, 2, (int64_t[]){ 7, D + 1 }), *two[] = { x, x }, *none = NULL, *out[1];
  neap_program *p = neap_capture(c, branch, &f, 1, &x);
  const struct { int n; neap_tensor **in; const char *message; } wrong[] = {
    { 2, two, "run: 1 inputs expected, got 2" }, { 1, &none, "run: input 1 is missing" },
    { 1, &wide, "run: input 1 is float64 [7, 4], the program was recorded for float64 [7, 3]" },
  };
  for (int i = 0; i < 3; i++) {
    assert_false(neap_run(c, p, wrong[i].n, wrong[i].in, out));
    assert_string_equal(neap_error(c), wrong[i].message);
    neap_clear_error(c);
  }
  neap_program_release(p);
  neap_scope_close(c, s);
  neap_close(c);
}

/* ---- scans ---- */

/* carry c, input x, constant k -> c·k + x, and (c + x)² */
static bool step (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out) {
  (void)arg;
  *nout = 2;
  out[0] = neap_add(c, neap_mul(c, in[0], in[2]), in[1]);
  out[1] = neap_square(c, neap_add(c, in[0], in[1]));
  return out[0] && out[1];
}

static void scan_over_inputs (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  for (int64_t n = 1; n <= 100; n += 33) {
    neap_tensor *c0 = rows(c, 70), *k = ramp(c, 1, (int64_t[]){ D }), *xs = ramp(c, 3, (int64_t[]){ n, 70, D });
    neap_tensor *one[] = { c0, neap_select(c, xs, 1, 1), k }, *in[] = { c0, xs, k }, *out[2], *want[2];
    neap_program *p = neap_capture(c, step, NULL, 3, one);
    assert_non_null(p);
    assert_true(neap_scan_over(c, p, n, 1, 1, 3, in, out));
    neap_tensor *carry = c0;
    int m;
    for (int64_t t = 1; t <= n; t++) {
      neap_tensor *now[] = { carry, neap_select(c, xs, 1, t), k };
      assert_true(step(c, NULL, now, &m, want));
      assert_true(apart(c, neap_select(c, out[1], 1, t), want[1]) <= 1e-12);
      carry = want[0];
    }
    assert_true(apart(c, out[0], carry) <= 1e-12);
    assert_int_equal(neap_shape(out[1])[0], n);
    assert_false(neap_scan_over(c, p, n + 1, 1, 1, 3, in, out));
    assert_int_equal(neap_status_of(c), NEAP_ESHAPE);
    neap_clear_error(c);
    assert_false(neap_scan_over(c, p, n, 3, 1, 3, in, out));
    assert_int_equal(neap_status_of(c), NEAP_EARG);
    neap_clear_error(c);
    neap_program_release(p);
  }
  neap_scope_close(c, s);
  neap_close(c);
}

/* what a program is, besides what it does */
static void plans (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  neap_tensor *in[] = { rows(c, 8), rows(c, 8), number(c, 2) }, *out[2];
  neap_program *p = neap_capture(c, step, NULL, 3, in);
  assert_int_equal(neap_program_outputs(p), 2);
  assert_ptr_equal(neap_program_keep(p), p);
  neap_program_release(p);
  assert_true(neap_run(c, p, 3, in, out));              /* one reference is left */
  size_t length = neap_program_text(p, NULL, 0);
  char *text = malloc(length + 1), part[9];
  assert_int_equal(neap_program_text(p, text, length + 1), length);
  assert_int_equal(strlen(text), length);
  assert_int_equal(neap_program_text(p, part, sizeof part), length);
  assert_int_equal(strlen(part), 8);
  assert_memory_equal(part, text, 8);
  free(text);
  neap_program_release(p);
  neap_scope_close(c, s);
  neap_close(c);
}

static void *interrupt_soon (void *arg) {
  usleep(60 * 1000);
  neap_interrupt(arg);
  return NULL;
}

static bool settle (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out) {
  (void)arg;
  *nout = 1;
  out[0] = neap_sin(c, neap_add(c, in[0], number(c, 1)));
  return out[0] != NULL;
}

static void interrupts (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  neap_tensor *x = rows(c, 500), *out[1], *again[1];
  neap_program *p = neap_capture(c, settle, NULL, 1, &x);
  assert_true(neap_scan(c, p, 20, 1, &x, out));
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, c), 0);
  assert_false(neap_scan(c, p, INT64_MAX, 1, &x, again));              /* it would take for ever */
  assert_int_equal(neap_status_of(c), NEAP_EINTERRUPTED);
  pthread_join(thread, NULL);
  neap_clear_error(c);
  assert_true(neap_scan(c, p, 20, 1, &x, again));
  assert_true(apart(c, out[0], again[0]) == 0);
  neap_program_release(p);
  neap_scope_close(c, s);
  neap_close(c);
}

/* ---- an allocator that fails ---- */

/* Σ silu(x·w + noise)² and x·2, drawing from the context's stream */
static bool noisy (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out) {
  fn *f = arg;
  neap_tensor *h = neap_matmul(c, in[0], f->w);
  neap_tensor *n = h ? neap_rng_normal(c, neap_rng_default(c), NEAP_FLOAT64, 2, neap_shape(h)) : NULL;
  f->calls++;
  *nout = 2;
  out[0] = neap_sum(c, neap_square(c, neap_silu(c, neap_add(c, h, n))), -1, NULL, false);
  out[1] = neap_mul(c, in[0], number(c, 2));
  return out[0] && out[1];
}

static double value_or_nan (neap_context *c, neap_tensor *t) {
  double v = NAN;
  return t && neap_item(c, t, &v) ? v : NAN;
}

static double total_or_nan (neap_context *c, neap_tensor *t) {
  return t ? value_or_nan(c, neap_sum(c, t, -1, NULL, false)) : NAN;
}

/* value and gradient of 3 calls, by k or by the function; a sum over all of it, or NAN with an error */
static double digest (neap_context *c, compiled *k, fn *f) {
  double total = 0;
  neap_seed(c, 3);
  for (int i = 0; i < 3 && neap_status_of(c) == NEAP_OK; i++) {
    neap_tensor *x = rows(c, 4 + i), *out[NEAP_PROGRAM_TENSORS], *grad = NULL;
    int n;
    capture why;
    bool ok = x && (k ? neap_compiled_call(k, 1, &x, &n, out, &why) : noisy(c, f, &x, &n, out));
    if (!ok && neap_status_of(c) == NEAP_OK) ok = noisy(c, f, &x, &n, out);
    if (!ok || !neap_gradients(c, out[0], 1, &f->w, NULL, 0, &grad)) return NAN;
    total += value_or_nan(c, out[0]) + 2 * total_or_nan(c, grad) + 3 * total_or_nan(c, out[1]);
  }
  return neap_status_of(c) == NEAP_OK ? total : NAN;
}

/* 0: ran through; 1: an error, and all came back */
static int attempt (failing *a, double want) {
  neap_context *c = failing_open(a);
  if (!c) return 1;
  neap_set_threads(c, 1);
  fn f = { 0 };
  f.w = neap_keep(ramp(c, 2, (int64_t[]){ D, 2 }));
  compiled *k = f.w && neap_requires_grad(c, f.w, true) ?
                neap_compiled_new(c, (compiled_host){ .fn = noisy, .arg = &f }) : NULL;
  double got = NAN;
  neap_scope s = neap_scope_open(c);
  if (k) got = digest(c, k, &f);
  neap_status status = neap_status_of(c);
  neap_scope_close(c, s);
  neap_compiled_release(k);
  neap_release(f.w);
  neap_close(c);
  if (status == NEAP_OK && k) assert_true(fabs(got - want) < 1e-10);
  else assert_int_equal(status, NEAP_EMEMORY);
  return status != NEAP_OK;
}

static double digest_by_hand (void) {
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  fn f = { .w = ramp(c, 2, (int64_t[]){ D, 2 }) };
  neap_requires_grad(c, f.w, true);
  double v = digest(c, NULL, &f);
  neap_scope_close(c, s);
  neap_close(c);
  return v;
}

static void every_allocation_fails_once (void **state) {
  (void)state;
  double want = digest_by_hand();
  long n = 1, failed = 0;
  for (;; n++) {
    failing a = { n, 0 };
    int result = attempt(&a, want);
    if (a.bytes != 0) fail_msg("allocation %ld: %ld bytes did not come back", n, a.bytes);
    failed += result;
    if (a.countdown > 0) break;
  }
  print_message("%ld allocations failed in turn, %ld calls ended with an error\n", n, failed);
  assert_true(n > 500);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(numbers_of_rows_are_confirmed), cmocka_unit_test(inputs_that_do_not_fit),
    cmocka_unit_test(scan_over_inputs), cmocka_unit_test(plans), cmocka_unit_test(interrupts), cmocka_unit_test(every_allocation_fails_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
