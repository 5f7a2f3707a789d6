/*
** integrate.c -- log Z by going through all states, or over a grid.
** Invariant: everything is computed in float64, with the parameters cast, block by block, so memory does not grow
** with the number of states; the running sum is kept relative to the largest term so far.
*/
#include "log_sum.h"
#include "rbm.h"
#include "states.h"

enum { ROWS = 4096, MOST_UNITS = LOG_SUM_UNITS, MOST_STATES = 1 << MOST_UNITS };

/* ---- E with parameters in float64 ---- */

static neap_energy *in_double (neap_context *c, neap_energy *E) {
  size_t bytes = (size_t)(E->nparams + 1) * sizeof(neap_tensor *);
  neap_tensor **p = neap_malloc(c, bytes);
  bool ok = p != NULL;
  for (int i = 0; ok && i < E->nparams; i++) ok = (p[i] = energy_cast(c, E->params[i].value, NEAP_FLOAT64)) != NULL;
  neap_energy *out = ok ? neap_energy_with(c, E, E->nparams, p) : NULL;
  if (p) neap_free(c, p, bytes);
  return out;
}

/* A job: E in float64, and how states of n coordinates and their log weights come from their numbers. */
typedef struct job {
  neap_context *c;
  neap_energy *E;
  bool hidden;                             /* an RBM, summed over its hidden units */
  int n, ndim; int64_t event[NEAP_MAX_DIMS];
  double lo[MOST_UNITS], step[MOST_UNITS]; /* coordinate k: lo + step · digit */
  int64_t base, count;                     /* digits of a state's number, least first; states */
  bool trapezoid;
  log_sum all, coarse;                     /* coarse: every second point */
} job;

/* the coordinates [n] of a state */
static void place (const job *j, int64_t state, double *x) {
  for (int k = 0; k < j->n; k++, state /= j->base) x[k] = j->lo[k] + j->step[k] * (double)(state % j->base);
}

/* log weight of a grid point, half for each end it lies on; whether it is on the coarse grid */
static double grid_weight (const job *j, int64_t state, bool *coarse) {
  double w = 0;
  *coarse = true;
  for (int k = 0; k < j->n; k++, state /= j->base) {
    int64_t digit = state % j->base;
    if (digit == 0 || digit == j->base - 1) w -= M_LN2;
    if (digit % 2) *coarse = false;
  }
  return w;
}

/* −log of what is summed, for states [m, n] */
static neap_tensor *energies (job *j, neap_tensor *x) {
  if (!j->hidden) return neap_energy_eval(j->c, j->E, energy_reshape(j->c, x, j->ndim, j->event), NULL);
  neap_tensor *w = rbm_hidden_weights(j->c, j->E, x);
  return w ? neap_neg(j->c, w) : NULL;
}

static void add_block (job *j, int64_t first, int64_t m, const double *e) {
  bool coarse = false;
  for (int64_t i = 0; i < m; i++) {
    double w = j->trapezoid ? grid_weight(j, first + i, &coarse) : 0;
    log_sum_add(&j->all, w - e[i]);
    if (coarse) log_sum_add(&j->coarse, w + j->n * M_LN2 - e[i]);
  }
}

/* states first … first+m−1; buffer holds m·(n+1) numbers */
static bool run_block (job *j, int64_t first, int64_t m, double *buffer) {
  double *e = buffer + m * j->n;
  for (int64_t i = 0; i < m; i++) place(j, first + i, buffer + i * j->n);
  neap_scope s = neap_scope_open(j->c);
  j->event[0] = m;
  neap_tensor *x = neap_from(j->c, NEAP_FLOAT64, 2, (int64_t[]){ m, j->n }, buffer);
  neap_tensor *v = x ? energies(j, x) : NULL;
  bool ok = v && neap_read(j->c, v, NEAP_FLOAT64, e) && neap_poll(j->c);
  if (ok) add_block(j, first, m, e);
  neap_scope_close(j->c, s);
  return ok;
}

static bool run_blocks (job *j) {
  size_t bytes = (size_t)ROWS * (size_t)(j->n + 1) * sizeof(double);
  double *buffer = neap_malloc(j->c, bytes);
  bool ok = buffer != NULL;
  for (int64_t i = 0; ok && i < j->count; i += ROWS)
    ok = run_block(j, i, j->count - i < ROWS ? j->count - i : ROWS, buffer);
  if (buffer) neap_free(j->c, buffer, bytes);
  return ok;
}

static bool run (job *j, neap_energy *E) {
  neap_mode mode = neap_no_grad(j->c);
  neap_scope s = neap_scope_open(j->c);
  j->all = j->coarse = LOG_SUM_NOTHING;
  j->E = in_double(j->c, E);
  bool ok = j->E && run_blocks(j);
  neap_energy_release(j->E);
  neap_scope_close(j->c, s);
  neap_mode_restore(j->c, mode);
  return ok;
}

/* the event with rows before it, and its number of coordinates; [n] when E does not say */
static int64_t set_event (job *j, const neap_energy *E, int64_t n) {
  bool known = E->ndim >= 0 && !(E->any_event && n > 0);
  j->ndim = 1 + (known ? E->ndim : 1);
  int64_t numel = 1;
  for (int i = 1; i < j->ndim; i++) numel *= j->event[i] = known ? E->event[i - 1] : n;
  return numel;
}

/* ---- all states ---- */

#define ESTIMATES "; methods \"ais\" and \"smc\" estimate"

static bool too_many (neap_context *c, const neap_energy *E, energy_units u, int64_t n, const char *where) {
  if (u.base == 2)
    return neap_fail(c, NEAP_EARG, "log_z: enumerate goes through at most %d units, %s has %lld%s" ESTIMATES, MOST_UNITS,
                     energy_title(E), (long long)n, where);
  return neap_fail(c, NEAP_EARG, "log_z: enumerate goes through at most 2^%d states, %s has %lld^%lld" ESTIMATES,
                   MOST_UNITS, energy_title(E), (long long)u.base, (long long)n);
}

/* all states of n units, of which E has so many where */
static bool sum_states (job *j, neap_energy *E, energy_units u, int64_t n, const char *where, double *log_z) {
  j->base = u.base;
  j->count = energy_count_states(u, n, MOST_STATES);
  if (j->count == INT64_MAX) return too_many(j->c, E, u, n, where);
  j->n = (int)n;
  for (int k = 0; k < j->n; k++) { j->lo[k] = u.lo; j->step[k] = u.step; }
  if (!run(j, E)) return false;
  *log_z = log_sum_total(&j->all);
  return true;
}

bool energy_enumerate_hidden (neap_context *c, neap_energy *E, double *log_z) {
  job j = { .c = c, .hidden = true };
  return sum_states(&j, E, (energy_units){ 2, 0, 1 }, E->slots[RBM_C].value->shape[0], " hidden ones", log_z);
}

bool energy_enumerate (neap_context *c, neap_energy *E, energy_units u, double *log_z) {
  if (!neap_ok(c) || !E) return false;
  job j = { .c = c };
  if (E->ndim < 0)
    return neap_fail(c, NEAP_EARG, "log_z: enumerate needs the event's shape, which %s does not know", energy_title(E));
  int64_t n = set_event(&j, E, 0);
  bool rbm = neap_energy_is_rbm(E) && u.base == 2 && u.lo == 0 && u.step == 1;
  int64_t H = rbm ? E->slots[2].value->shape[0] : n;
  if (H < n) { j.hidden = true; n = H; }
  bool done = false;
  if (rbm && n <= MOST_UNITS && (!energy_rbm_log_z(c, E, log_z, &done) || done)) return done;
  return sum_states(&j, E, u, n, rbm ? " on its smaller side" : "", log_z);
}

bool neap_energy_log_z_enumerate (neap_context *c, neap_energy *E, double lo, double hi, double *log_z) {
  return energy_enumerate(c, E, (energy_units){ 2, lo, hi - lo }, log_z);
}

bool neap_energy_log_z_states (neap_context *c, neap_energy *E, double *log_z) {
  return neap_ok(c) && E && energy_enumerate(c, E, energy_units_of(E), log_z);
}

/* ---- a grid ---- */

static bool set_grid (job *j, int n, const double *lower, const double *upper, int64_t points) {
  j->n = n;
  j->base = points % 2 ? points : points + 1;
  j->count = 1;
  j->trapezoid = true;
  for (int k = 0; k < n; k++) {
    if (!(lower[k] < upper[k]) || !isfinite(upper[k] - lower[k]))
      return neap_fail(j->c, NEAP_EARG, "log_z: lower must lie below upper, got %g and %g", lower[k], upper[k]);
    j->lo[k] = lower[k];
    j->step[k] = (upper[k] - lower[k]) / (double)(j->base - 1);
    j->count *= j->base;
  }
  return true;
}

bool neap_energy_log_z_quadrature (neap_context *c, neap_energy *E, int n, const double *lower, const double *upper,
                                   int64_t points, double *log_z, double *error) {
  if (!neap_ok(c) || !E) return false;
  job j = { .c = c };
  if (n < 1 || n > 3) return neap_fail(c, NEAP_EARG, "log_z: quadrature goes over 1 to 3 dimensions, got %d", n);
  if (points < 3 || points > 1000000)
    return neap_fail(c, NEAP_EARG, "log_z: points must be 3 to 1000000, got %lld", (long long)points);
  int64_t D = set_event(&j, E, n);
  if (D != n)
    return neap_fail(c, NEAP_EARG, "log_z: %s has %lld coordinates, the grid %d", energy_title(E), (long long)D, n);
  if (!set_grid(&j, n, lower, upper, points) || !run(&j, E)) return false;
  double volume = 0;
  for (int k = 0; k < n; k++) volume += log(j.step[k]);
  *log_z = log_sum_total(&j.all) + volume;
  if (error) *error = fabs(log_sum_total(&j.all) - log_sum_total(&j.coarse));
  return true;
}
