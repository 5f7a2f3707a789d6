/* Many contexts in many threads, each with programs of its own: the same numbers as one alone, and no race (make check
** runs this under the thread sanitizer).  Only storages are shared. */
#include "support.h"
#include <pthread.h>
#include <string.h>

enum { CONTEXTS = 8, ROWS = 130, DIGEST = 6, SHARED_ROWS = 512 };

typedef struct job {
  int threads;                             /* of its own pool */
  neap_tensor *shared;                     /* another context's ones [SHARED_ROWS, 2], or NULL */
  pthread_barrier_t *held;                 /* reached when this context sees what is shared */
  bool ok;
  double digest[DIGEST];
} job;

static double total (neap_context *c, neap_tensor *t) {
  double v = NAN;
  return neap_item(c, neap_sum(c, t, -1, NULL, false), &v) ? v : NAN;
}

/* ---- an energy: a network and a normal around `mean` ---- */

static neap_energy *make_energy (neap_context *c, neap_tensor *mean) {
  neap_energy *net = neap_energy_mlp(c, &(neap_mlp_config){ .nsizes = 3, .sizes = (int64_t[]){ 2, 16, 16 } });
  neap_energy *normal = net ? neap_energy_gaussian(c, mean, NULL, NULL, neap_scalar(c, NEAP_FLOAT32, 2)) : NULL;
  neap_energy *both = normal ? neap_energy_sum(c, 2, (neap_energy *[]){ net, normal }) : NULL;
  neap_energy_release(net);
  neap_energy_release(normal);
  return both;
}

/* ---- sampling ---- */

static bool custom_step (neap_context *c, void *arg, neap_energy *E, neap_state *st) {
  (void)arg;
  neap_tensor *x = neap_state_get(st, "x"), *g = neap_energy_grad(c, E, x, NULL);
  neap_tensor *n = neap_rng_normal(c, neap_state_rng(st), neap_dtype_of(x), neap_ndim(x), neap_shape(x));
  neap_tensor *down = neap_mul(c, g, neap_scalar(c, NEAP_FLOAT32, .01));
  neap_tensor *noise = neap_mul(c, n, neap_scalar(c, NEAP_FLOAT32, .1));
  return neap_state_set(c, st, "x", neap_add(c, neap_sub(c, x, down), noise));
}

static double sample (neap_context *c, neap_sampler *s, neap_energy *E) {
  neap_scope sc = neap_scope_open(c);
  neap_sample_config cfg = { .chains = ROWS, .steps = 40, .thin = 10 };
  neap_tensor *draws = s ? neap_sampler_sample(c, s, E, &cfg, NULL) : NULL;
  double sum = draws ? total(c, draws) : NAN;
  neap_scope_close(c, sc);
  neap_sampler_release(s);
  return sum;
}

/* ---- training: denoising score matching by hand ---- */

enum { PARAMS = 6 };

static bool train_step (neap_context *c, neap_loss *l, neap_energy *E, int64_t step, neap_tensor **m, neap_tensor **v) {
  neap_tensor *params[PARAMS], *grads[PARAMS];
  neap_tensor *x = neap_rng_normal(c, neap_rng_default(c), NEAP_FLOAT32, 2, (int64_t[]){ 64, 2 });
  for (int i = 0; i < PARAMS; i++) params[i] = neap_energy_param(E, i);
  neap_tensor *value = neap_loss_eval(c, l, E, x, NULL, NULL, NULL);
  bool ok = neap_gradients(c, value, PARAMS, params, NULL, 0, grads);
  neap_adam o = { .lr = .01, .beta1 = .9, .beta2 = .999, .eps = 1e-8, .step = step };
  for (int i = 0; ok && i < PARAMS; i++) ok = neap_adam_update(c, params[i], grads[i], m[i], v[i], &o);
  return ok;
}

static double train (neap_context *c, neap_energy *E) {
  neap_tensor *m[PARAMS], *v[PARAMS];
  neap_scope outer = neap_scope_open(c);
  neap_loss *l = neap_loss_dsm(c, .3);
  bool ok = l && neap_energy_nparams(E) == PARAMS;
  for (int i = 0; ok && i < PARAMS; i++)
    ok = (m[i] = neap_zeros_like(c, neap_energy_param(E, i))) && (v[i] = neap_zeros_like(c, neap_energy_param(E, i)));
  for (int step = 1; ok && step <= 15; step++) {
    neap_scope s = neap_scope_open(c);
    ok = train_step(c, l, E, step, m, v);
    neap_scope_close(c, s);
  }
  double sum = 0;
  for (int i = 0; ok && i < PARAMS; i++) sum += total(c, neap_detach(c, neap_energy_param(E, i)));
  neap_loss_release(l);
  neap_scope_close(c, outer);
  return ok ? sum : NAN;
}

/* ---- a function of the host's ---- */

static bool turn (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out) {
  neap_tensor *n = neap_rng_normal(c, neap_rng_default(c), NEAP_FLOAT32, neap_ndim(in[0]), neap_shape(in[0]));
  *nout = 1;
  return (out[0] = neap_tanh(c, neap_add(c, neap_matmul(c, in[0], arg), n))) != NULL;
}

static double compiled (neap_context *c) {
  neap_scope s = neap_scope_open(c);
  neap_tensor *w = neap_eye(c, NEAP_FLOAT32, 3, 3), *y, *z;
  neap_tensor *x = neap_full(c, NEAP_FLOAT32, 2, (int64_t[]){ ROWS, 3 }, .5);
  neap_program *p = w && x ? neap_capture(c, turn, w, 1, &x) : NULL;
  bool ok = p && neap_run(c, p, 1, &x, &y) && neap_scan(c, p, 60, 1, &y, &z);
  double sum = ok ? total(c, z) : NAN;
  neap_program_release(p);
  neap_scope_close(c, s);
  return sum;
}

/* ---- all of it in one context ---- */

static neap_tensor *ones (neap_context *c) { return neap_full(c, NEAP_FLOAT32, 2, (int64_t[]){ SHARED_ROWS, 2 }, 1); }

static bool work (neap_context *c, job *j) {
  neap_tensor *t = j->shared ? neap_detach(c, j->shared) : ones(c);
  if (j->held) pthread_barrier_wait(j->held);
  neap_energy *E = t ? make_energy(c, neap_select(c, t, 1, 3)) : NULL;
  if (!E) return false;
  double *d = j->digest;
  d[0] = sample(c, neap_sampler_langevin(c, .01, NULL), E);
  d[1] = sample(c, neap_sampler_hmc(c, .1, 3), E);
  d[2] = sample(c, neap_sampler_custom(c, &(neap_custom_sampler){ .step = custom_step }), E);
  d[3] = train(c, E);
  d[4] = sample(c, neap_sampler_mala(c, .01), E);
  d[5] = compiled(c);
  neap_energy_release(E);
  return neap_status_of(c) == NEAP_OK;
}

static void *run (void *arg) {
  job *j = arg;
  neap_context *c = neap_open(&(neap_config){ .threads = j->threads, .seed = 5 });
  j->ok = c && work(c, j);
  neap_close(c);
  return NULL;
}

static void expect_same (const job *jobs, const job *alone) {
  for (int i = 0; i < CONTEXTS; i++) {
    assert_true(jobs[i].ok);
    assert_memory_equal(jobs[i].digest, alone->digest, sizeof alone->digest);
  }
  for (int k = 0; k < DIGEST; k++) assert_true(isfinite(alone->digest[k]));
}

static void each_on_its_own (void **state) {
  (void)state;
  job alone = { .threads = 1 }, jobs[CONTEXTS] = { 0 };
  pthread_t thread[CONTEXTS];
  run(&alone);
  assert_true(alone.ok);
  for (int i = 0; i < CONTEXTS; i++) {
    jobs[i].threads = 1 + i % 2;
    assert_int_equal(pthread_create(&thread[i], NULL, run, &jobs[i]), 0);
  }
  for (int i = 0; i < CONTEXTS; i++) pthread_join(thread[i], NULL);
  expect_same(jobs, &alone);
}

/* The storage outlives its context, which is closed while the others use it; the last of them gives it back. */
static void one_storage_in_all (void **state) {
  (void)state;
  job alone = { .threads = 1 }, jobs[CONTEXTS] = { 0 };
  pthread_t thread[CONTEXTS];
  pthread_barrier_t held;
  run(&alone);
  neap_context *owner = neap_open(NULL);
  neap_tensor *shared = ones(owner);
  pthread_barrier_init(&held, NULL, CONTEXTS + 1);
  for (int i = 0; i < CONTEXTS; i++) {
    jobs[i] = (job){ .threads = 1 + i % 2, .shared = shared, .held = &held };
    assert_int_equal(pthread_create(&thread[i], NULL, run, &jobs[i]), 0);
  }
  pthread_barrier_wait(&held);
  neap_close(owner);
  for (int i = 0; i < CONTEXTS; i++) pthread_join(thread[i], NULL);
  pthread_barrier_destroy(&held);
  expect_same(jobs, &alone);
}

int main (void) {
  const struct CMUnitTest tests[] = { cmocka_unit_test(each_on_its_own), cmocka_unit_test(one_storage_in_all) };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
