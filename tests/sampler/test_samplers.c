/* Samplers and losses from C: composing, whole steps or none, custom kernels, and an allocator that fails. */
#include "support.h"
#include <string.h>

static neap_energy *normal (neap_context *c) {
  neap_scope s = neap_scope_open(c);
  neap_tensor *mean = neap_full(c, NEAP_FLOAT64, 1, (int64_t[]){ 2 }, 1);
  neap_energy *E = neap_energy_gaussian(c, mean, NULL, NULL, neap_scalar(c, NEAP_FLOAT64, .5));
  neap_scope_close(c, s);
  return E;
}

/* ---- a run ---- */

static bool count_calls (void *arg, int64_t done, int64_t total) {
  assert_int_equal(++*(int64_t *)arg, done);
  assert_int_equal(total, 70);
  return true;
}

static void a_run_and_its_info (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_scope sc = neap_scope_open(c);
  neap_energy *E = normal(c);
  neap_sampler *s = neap_sampler_hmc(c, .2, 4);
  int64_t calls = 0;
  neap_sample_config cfg = { .chains = 40, .steps = 50, .warmup = 20, .thin = 2, .progress = count_calls,
                             .progress_arg = &calls };
  neap_sample_info info;
  neap_tensor *draws = neap_sampler_sample(c, s, E, &cfg, &info);
  assert_non_null(draws);
  assert_int_equal(calls, 70);
  assert_int_equal(neap_shape(draws)[0], 25);
  assert_int_equal(neap_shape(draws)[1], 40);
  assert_int_equal(info.kept, 25);
  assert_int_equal(info.grad_evals, 40 * (1 + 4 * 70));
  assert_true(info.accept_rate > .9 && info.accept_rate <= 1);
  assert_true(fabs(item(c, neap_mean(c, draws, -1, NULL, false)) - 1) < .1);
  assert_true(fabs(item(c, neap_var(c, draws, -1, NULL, false, true)) - .25) < .05);
  neap_sampler_release(s);
  neap_energy_release(E);
  neap_scope_close(c, sc);
  neap_close(c);
}

static void bad_settings (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  assert_null(neap_sampler_mala(c, -1));
  assert_string_equal(neap_error(c), "mala: step_size: a positive number expected, got -1");
  neap_clear_error(c);
  assert_null(neap_loss_cd(c, &(neap_cd_config){ .sampler = NULL }));
  assert_string_equal(neap_error(c), "cd: sampler: a sampler expected, got none");
  neap_clear_error(c);
  assert_null(neap_loss_nce(c, &(neap_nce_config){ .ratio = 2 }));
  assert_int_equal(neap_status_of(c), NEAP_EARG);
  neap_close(c);
}

/* ---- a custom kernel; a step that fails leaves the chain where it was ---- */

typedef struct { int steps, fail_at, freed; } kernel;

static bool kernel_step (neap_context *c, void *arg, neap_energy *E, neap_state *st) {
  kernel *k = arg;
  (void)E;
  neap_tensor *x = neap_state_get(st, "x");
  neap_tensor *n = neap_rng_normal(c, neap_state_rng(st), neap_dtype_of(x), neap_ndim(x), neap_shape(x));
  if (!neap_state_set(c, st, "x", neap_add(c, x, n))) return false;
  if (++k->steps == k->fail_at) return neap_fail(c, NEAP_ENUMERIC, "planted");
  return neap_state_set(c, st, "extra", n);
}

static void kernel_free (void *arg) { ((kernel *)arg)->freed++; }

static void a_failed_step_is_undone (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_scope sc = neap_scope_open(c);
  neap_energy *E = normal(c);
  kernel k = { 0, 3, 0 };
  neap_sampler *s = neap_sampler_custom(c, &(neap_custom_sampler){ NULL, kernel_step, kernel_free, &k });
  neap_rng *rng = neap_rng_new(c, 7);
  neap_state *st = neap_sampler_init(c, s, E, neap_full(c, NEAP_FLOAT64, 2, (int64_t[]){ 3, 2 }, 0), NULL, rng);
  assert_true(neap_sampler_step(c, s, E, st, 2));
  double before[6], after[6];
  assert_true(neap_read(c, neap_state_get(st, "x"), NEAP_FLOAT64, before));
  neap_rng_state r = neap_rng_get(rng);
  assert_false(neap_sampler_step(c, s, E, st, 1));
  assert_int_equal(neap_status_of(c), NEAP_ENUMERIC);
  neap_clear_error(c);
  assert_true(neap_read(c, neap_state_get(st, "x"), NEAP_FLOAT64, after));
  assert_memory_equal(before, after, sizeof before);
  assert_int_equal(neap_rng_get(rng).step, r.step);
  assert_true(neap_sampler_step(c, s, E, st, 1));       /* and it goes on */
  neap_state_free(st);
  neap_sampler_release(s);
  assert_int_equal(k.freed, 1);
  neap_rng_release(rng);
  neap_energy_release(E);
  neap_scope_close(c, sc);
  neap_close(c);
}

static void a_kernel_without_step_is_freed (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  kernel k = { 0 };
  assert_null(neap_sampler_custom(c, &(neap_custom_sampler){ .free = kernel_free, .arg = &k }));
  assert_int_equal(k.freed, 1);
  neap_close(c);
}

static bool stop_at_10 (void *arg, int64_t done, int64_t total) {
  (void)total;
  if (done == 10) neap_interrupt(arg);
  return true;
}

static void an_interrupted_run_has_what_it_had (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_scope sc = neap_scope_open(c);
  neap_energy *E = normal(c);
  neap_sampler *s = neap_sampler_langevin(c, .1, NULL);
  neap_sample_info info;
  neap_sample_config cfg = { .steps = 1000, .thin = 3, .progress = stop_at_10, .progress_arg = c };
  assert_null(neap_sampler_sample(c, s, E, &cfg, &info));
  assert_int_equal(neap_status_of(c), NEAP_EINTERRUPTED);
  neap_clear_error(c);
  assert_int_equal(info.kept, 3);
  assert_non_null(info.draws);
  neap_tensor *had = neap_slice(c, info.draws, 1, 1, 3, 1), *e = neap_slice(c, info.energy, 1, 1, 3, 1);
  assert_true(isfinite(item(c, neap_sum(c, had, -1, NULL, false))));
  assert_true(isfinite(item(c, neap_sum(c, e, -1, NULL, false))));
  assert_non_null(neap_sampler_sample(c, s, E, &(neap_sample_config){ .steps = 2 }, NULL));
  neap_sampler_release(s);
  neap_energy_release(E);
  neap_scope_close(c, sc);
  neap_close(c);
}

static bool stop_at_40 (void *arg, int64_t done, int64_t total) {
  (void)total;
  if (done == 40) neap_interrupt(arg);
  return true;
}

/* 1000 steps of nuts, or as many as there are before it is stopped: the draws [kept, 5, 2] that were kept */
static double *draws_of_nuts (neap_context *c, bool stopped, int64_t *kept) {
  neap_energy *E = normal(c);
  neap_sampler *s = neap_sampler_nuts(c, NAN, 6);
  neap_rng *rng = neap_rng_new(c, 3);
  neap_sample_info info;
  neap_sample_config cfg = { .chains = 5, .steps = 1000, .warmup = 30, .rng = rng, .progress_arg = c };
  if (stopped) cfg.progress = stop_at_40;
  assert_true((neap_sampler_sample(c, s, E, &cfg, &info) == NULL) == stopped);
  assert_int_equal(neap_status_of(c), stopped ? NEAP_EINTERRUPTED : NEAP_OK);
  neap_clear_error(c);
  *kept = info.kept;
  double *out = malloc((size_t)info.kept * 10 * sizeof *out);
  assert_true(neap_read(c, neap_slice(c, info.draws, 1, 1, info.kept, 1), NEAP_FLOAT64, out));
  neap_rng_release(rng);
  neap_sampler_release(s);
  neap_energy_release(E);
  return out;
}

static void an_interrupted_walk_has_whole_draws (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_scope sc = neap_scope_open(c);
  int64_t some, all;
  double *a = draws_of_nuts(c, true, &some), *b = draws_of_nuts(c, false, &all);
  assert_int_equal(all, 1000);
  assert_true(some >= 10 && some < 100);
  assert_memory_equal(a, b, (size_t)some * 10 * sizeof *a);
  free(a);
  free(b);
  neap_scope_close(c, sc);
  neap_close(c);
}

/* ---- an object that outlives its context gives the last bytes back ---- */

static void objects_after_closing (void **state) {
  (void)state;
  failing f = { 0, 0 };
  neap_context *c = failing_open(&f);
  neap_sampler *s = neap_sampler_gibbs(c);
  neap_loss *l = neap_loss_pcd(c, &(neap_pcd_config){ .sampler = s });
  neap_state *st = neap_state_new(c, NULL);
  neap_close(c);
  neap_sampler_release(s);
  neap_loss_release(l);
  neap_state_free(st);
  assert_int_equal(f.bytes, 0);
}

/* ---- every failing allocation ---- */

enum { KINDS = 12, OF_UNITS = 3 };            /* samplers below, the last of them for units 0 and 1 */

static neap_sampler *make_sampler (neap_context *c, int which) {
  switch (which) {
    case 0: return neap_sampler_langevin(c, .1, NULL);
    case 1: return neap_sampler_random_walk(c, .5);
    case 2: return neap_sampler_mala(c, .1);
    case 3: return neap_sampler_hmc(c, .1, 2);
    case 4: return neap_sampler_underdamped(c, .1, 1);
    case 5: return neap_sampler_slice(c, 1);
    case 6: return neap_sampler_annealed_langevin(c, 2, (double[]){ 1, .5 }, .1, 1);
    case 7: return neap_sampler_nuts(c, .4, 3);
    case 8: return neap_sampler_hmc(c, NAN, 2);
    case 9: return neap_sampler_gibbs_with_gradients(c);
    case 10: return neap_sampler_dmala(c, .4);
    default: return neap_sampler_gibbs(c);
  }
}

static bool sample_one (neap_context *c, int which) {
  neap_energy *E = which < KINDS - OF_UNITS ? normal(c) : neap_energy_rbm(c, 3, 2, NEAP_FLOAT32, NULL);
  neap_sampler *s = E ? make_sampler(c, which) : NULL;
  bool ok = s && neap_sampler_sample(c, s, E, &(neap_sample_config){ .steps = 3, .warmup = 1 }, NULL);
  neap_sampler_release(s);
  neap_energy_release(E);
  return ok;
}

enum { BITS_FROM = 10 };                    /* losses from here on are of bits */

static neap_tensor *points (neap_context *c, bool bits) {
  neap_tensor *x = neap_rng_normal(c, neap_rng_default(c), NEAP_FLOAT64, 2, (int64_t[]){ 4, 2 });
  return bits && x ? neap_cast(c, neap_gt(c, x, neap_scalar(c, NEAP_FLOAT64, 0)), NEAP_FLOAT64) : x;
}

static neap_loss *make_loss (neap_context *c, int which, neap_sampler *s, neap_energy *noise) {
  switch (which) {
    case 0: return neap_loss_cd(c, &(neap_cd_config){ .sampler = s, .steps = 2, .reg = .1 });
    case 1: return neap_loss_pcd(c, &(neap_pcd_config){ .sampler = s, .buffer = 6, .reinit = .5 });
    case 2: return neap_loss_score_matching(c);
    case 3: return neap_loss_dsm(c, .1);
    case 4: return neap_loss_multi_dsm(c, 2, (double[]){ .1, 1 }, 0);
    case 5: return neap_loss_ssm(c, 1, NULL);
    case 6: return neap_loss_ssm(c, 2, "plain");
    case 7: return neap_loss_fd_ssm(c, .1);
    case 8: return neap_loss_energy_discrepancy(c, .25, 2, 1);
    case 9: return neap_loss_flow_contrastive(c, noise);
    case 10: return neap_loss_pseudo_likelihood(c, NEAP_UNITS_BITS, 0, false);
    case 11: return neap_loss_ratio_matching(c, NEAP_UNITS_OPEN, false);
    default: return neap_loss_nce(c, &(neap_nce_config){ .noise = noise, .ratio = 2 });
  }
}

/* those that take no network */
static bool likelihood (neap_context *c, int which) {
  neap_energy *E = neap_energy_rbm(c, 2, which, NEAP_FLOAT64, NULL);
  neap_loss *l = E ? neap_loss_mle(c) : NULL;
  neap_tensor *x = l ? points(c, true) : NULL, *loss = x ? neap_loss_eval(c, l, E, x, NULL, NULL, NULL) : NULL;
  neap_tensor *grads[3], *params[3];
  for (int i = 0; E && i < 3; i++) params[i] = neap_energy_param(E, i);
  bool ok = loss && neap_gradients(c, loss, 3, params, NULL, 0, grads);
  neap_loss_release(l);
  neap_energy_release(E);
  return ok;
}

static bool train_one (neap_context *c, int which) {
  neap_energy *noise = normal(c);
  neap_mlp_config net = { 2, (int64_t[]){ 2, 3 }, NULL, 0, NEAP_FLOAT64, NULL };
  neap_energy *E = noise ? neap_energy_mlp(c, &net) : NULL;
  neap_sampler *s = E ? neap_sampler_mala(c, .1) : NULL;
  neap_loss *l = s ? make_loss(c, which, s, noise) : NULL;
  neap_tensor *x = l ? points(c, which >= BITS_FROM) : NULL;
  neap_tensor *loss = x ? neap_loss_eval(c, l, E, x, NULL, NULL, NULL) : NULL;
  neap_tensor *params[4], *grads[4];
  for (int i = 0; E && i < 4; i++) params[i] = neap_energy_param(E, i);
  bool ok = loss && neap_gradients(c, loss, 4, params, NULL, NEAP_ALLOW_UNUSED, grads);
  neap_loss_release(l);
  neap_sampler_release(s);
  neap_energy_release(E);
  neap_energy_release(noise);
  return ok;
}

/* Fails allocation n for n = 1, 2, … until run(which) succeeds: always a clean error, and no byte is left. */
static void fail_each (bool (*run) (neap_context *c, int which), int which) {
  bool done = false;
  for (long n = 1; !done; n += failing_step(1)) {
    failing f = { 0, 0 };
    neap_context *c = failing_open(&f);
    assert_non_null(c);
    f.countdown = n;
    neap_scope sc = neap_scope_open(c);
    bool ok = run(c, which);
    done = f.countdown > 0;
    if (!ok) assert_int_equal(neap_status_of(c), NEAP_EMEMORY);
    if (done) assert_true(ok);
    neap_scope_close(c, sc);
    neap_close(c);
    assert_int_equal(f.bytes, 0);
    assert_true(n < 100000);
  }
}

static void failing_samplers (void **state) {
  (void)state;
  for (int i = 0; i < KINDS; i++) fail_each(sample_one, i);
}

/* a warm-up with a window */
static bool adapt_one (neap_context *c, int which) {
  neap_energy *E = normal(c);
  neap_sampler *s = E ? which == 0 ? neap_sampler_nuts(c, NAN, 3) : neap_sampler_mala(c, NAN) : NULL;
  bool ok = s && neap_sampler_adapt(c, s, 0, which == 0 ? NEAP_METRIC_DENSE : NEAP_METRIC_DIAG);
  neap_sample_info info;
  ok = ok && neap_sampler_sample(c, s, E, &(neap_sample_config){ .chains = 2, .steps = 2, .warmup = 20 }, &info);
  if (ok) assert_non_null(info.scale);
  neap_sampler_release(s);
  neap_energy_release(E);
  return ok;
}

static void failing_warmups (void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) fail_each(adapt_one, i);
}

static void failing_losses (void **state) {
  (void)state;
  for (int i = 0; i < 12; i++) fail_each(train_one, i);
  for (int hidden = 1; hidden < 4; hidden += 2) fail_each(likelihood, hidden);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_run_and_its_info), cmocka_unit_test(bad_settings), cmocka_unit_test(a_failed_step_is_undone),
    cmocka_unit_test(a_kernel_without_step_is_freed), cmocka_unit_test(an_interrupted_run_has_what_it_had),
    cmocka_unit_test(an_interrupted_walk_has_whole_draws),
    cmocka_unit_test(objects_after_closing), cmocka_unit_test(failing_samplers), cmocka_unit_test(failing_warmups),
    cmocka_unit_test(failing_losses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
