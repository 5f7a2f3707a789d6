/*
** rbm_sum.c -- an RBM's log Z: Σ over the states s of one side of e^(a·s) Π (1 + e^(dᵢ + Σⱼ Aⱼᵢ sⱼ)).
** The last LOW units' factors e^(Σ A) are tabulated, those of the other units change once per 2^LOW states; so a state
** costs two multiplications and an addition per unit of the other side, and a logarithm per many.  Invariant: groups
** are so small that no product overflows.  Blocks of states do not depend on threads, so neither does the result.
*/
#include "log_sum.h"
#include "program/trace.h"
#include <string.h>

enum { LOW = 6, LANES = 8, BLOCKS = 16, HIGHS = 32 };   /* HIGHS states of the high units a block */

typedef struct rbm_job {
  int n, low; int64_t m, padded;           /* units summed over; those tabulated; units of the other side, in lanes */
  double *A, *a, *d;                       /* [n, padded], [n], [padded] */
  double *table, *high;                    /* [2^low, padded], [BLOCKS, padded] */
  double low_bias[1 << LOW];               /* a·s of the tabulated units */
  int64_t group, first, states;            /* elements a lane may multiply; high states: where this round begins, all */
  log_sum sums[BLOCKS];
} rbm_job;

/* ---- reading the parameters ---- */

/* E's W, b, c as A, a, d, summed over the hidden units if hidden, else over the visible ones */
static bool read_params (neap_context *c, const neap_energy *E, bool hidden, rbm_job *j, double *w) {
  const neap_tensor *b = E->slots[1].value, *h = E->slots[2].value;
  if (!neap_read(c, E->slots[0].value, NEAP_FLOAT64, w)) return false;
  int64_t V = b->shape[0], H = h->shape[0];
  for (int64_t i = 0; i < V; i++)
    for (int64_t k = 0; k < H; k++) j->A[hidden ? k * j->padded + i : i * j->padded + k] = w[i * H + k];
  for (int64_t i = j->m; i < j->padded; i++) j->d[i] = -INFINITY;       /* a factor of 1 */
  return neap_read(c, hidden ? b : h, NEAP_FLOAT64, j->d) && neap_read(c, hidden ? h : b, NEAP_FLOAT64, j->a);
}

/* how many factors 1 + e^t, |t| ≤ the largest there can be, a double holds; 0 = too few, or NaN */
static int64_t group_size (const rbm_job *j) {
  double most = 0;
  for (int64_t i = 0; i < j->m; i++) {
    double t = fabs(j->d[i]);
    for (int k = 0; k < j->n; k++) t += fabs(j->A[k * j->padded + i]);
    if (!(t <= 300)) return 0;
    most = fmax(most, t);
  }
  return (int64_t)(690 / (most + 1));
}

/* out [padded] = e^(start + Σ A over the count units from first whose bits are set) */
static void factors (const rbm_job *j, const double *start, int first, int count, int64_t bits, double *out) {
  if (start) memcpy(out, start, (size_t)j->padded * sizeof *out);
  else memset(out, 0, (size_t)j->padded * sizeof *out);
  for (int k = 0; k < count; k++)
    if (bits >> k & 1)
      for (int64_t i = 0; i < j->m; i++) out[i] += j->A[(first + k) * j->padded + i];
  for (int64_t i = 0; i < j->padded; i++) out[i] = exp(out[i]);
}

static double bias (const rbm_job *j, int first, int count, int64_t bits) {
  double s = 0;
  for (int k = 0; k < count; k++) if (bits >> k & 1) s += j->a[first + k];
  return s;
}

/* ---- summing ---- */

/* Σ log(1 + u w) over [padded] */
static double log_product (const rbm_job *j, const double *u, const double *w) {
  double total = 0;
  for (int64_t from = 0; from < j->padded; from += j->group * LANES) {
    int64_t to = from + j->group * LANES < j->padded ? from + j->group * LANES : j->padded;
    double p[LANES] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    for (int64_t i = from; i < to; i += LANES)
      for (int l = 0; l < LANES; l++) p[l] *= 1 + u[i + l] * w[i + l];
    for (int l = 0; l < LANES; l++) total += log(p[l]);
  }
  return total;
}

static void run_block (void *arg, int64_t block) {
  rbm_job *j = arg;
  double *u = j->high + block * j->padded;
  for (int64_t k = 0; k < HIGHS; k++) {
    int64_t state = j->first + block * HIGHS + k;
    if (state >= j->states) return;
    factors(j, j->d, j->low, j->n - j->low, state, u);
    double s = bias(j, j->low, j->n - j->low, state);
    for (int64_t l = 0; l < (int64_t)1 << j->low; l++)
      log_sum_add(&j->sums[block], s + j->low_bias[l] + log_product(j, u, j->table + l * j->padded));
  }
}

static bool sum_states (neap_context *c, rbm_job *j, double *log_z) {
  log_sum all = LOG_SUM_NOTHING;
  for (int64_t l = 0; l < (int64_t)1 << j->low; l++) {
    factors(j, NULL, 0, j->low, l, j->table + l * j->padded);
    j->low_bias[l] = bias(j, 0, j->low, l);
  }
  for (int b = 0; b < BLOCKS; b++) j->sums[b] = LOG_SUM_NOTHING;
  for (j->first = 0; j->first < j->states; j->first += BLOCKS * HIGHS) {
    if (!neap_poll(c)) return false;
    neap_parallel(c, BLOCKS, run_block, j);
  }
  for (int b = 0; b < BLOCKS; b++) if (j->sums[b].sum > 0) log_sum_add(&all, log_sum_total(&j->sums[b]));
  *log_z = log_sum_total(&all);
  return true;
}

bool energy_rbm_log_z (neap_context *c, const neap_energy *E, double *log_z, bool *done) {
  int64_t V = E->slots[1].value->shape[0], H = E->slots[2].value->shape[0];
  bool hidden = H <= V;
  trace_refuse(c, "sums over too many states to be recorded");
  rbm_job j = { .n = (int)(hidden ? H : V), .m = hidden ? V : H };
  j.padded = (j.m + LANES - 1) / LANES * LANES;
  j.low = j.n < LOW ? j.n : LOW;
  j.states = (int64_t)1 << (j.n - j.low);
  size_t rows = (size_t)j.n + 1 + ((size_t)1 << j.low) + BLOCKS;
  size_t bytes = (rows * (size_t)j.padded + LOG_SUM_UNITS) * sizeof(double);
  double *memory = neap_calloc(c, bytes), *w = memory ? neap_malloc(c, (size_t)(V * H) * sizeof *w) : NULL;
  if (w) {
    j.A = memory; j.d = j.A + j.n * j.padded; j.table = j.d + j.padded;
    j.high = j.table + ((int64_t)1 << j.low) * j.padded; j.a = j.high + BLOCKS * j.padded;
  }
  bool ok = w && read_params(c, E, hidden, &j, w);
  if (w) neap_free(c, w, (size_t)(V * H) * sizeof *w);
  j.group = ok ? group_size(&j) : 0;
  *done = j.group > 0;
  ok = ok && (!*done || sum_states(c, &j, log_z));
  if (memory) neap_free(c, memory, bytes);
  return ok;
}
