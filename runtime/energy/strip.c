/*
** strip.c -- log Z of units on a strip, row by row (Kramers & Wannier 1941).
** The weights of a row's states are a vector; a row's bonds to the next are a product of small matrices, one per unit,
** so a step costs states · width · q.  A closed strip is a trace: it begins in each state and ends where it began,
** LANES beginnings at a time.  Invariant: vectors are kept at most 1, what was divided out is in a logarithm; blocks do
** not depend on threads, so neither does the result.
*/
#include "strip.h"
#include "log_sum.h"
#include <string.h>

enum { LANES = 8, BLOCKS = 16, CLOSED_STATES = 4096, OPEN_STATES = 1 << 20 };

typedef struct strip_job {
  const strip *s;
  bool closed;
  int64_t states, lanes, rows;             /* rows of weights: one where all are alike */
  double equal, differ;                    /* a bond's weights, the larger 1 */
  double *weight;                          /* [rows, states]: of the bonds within a row and of the field, at most 1 */
  double *vectors;                         /* [BLOCKS, 2, states * lanes] */
  int64_t first;                           /* the beginnings of this round */
  double scale;                            /* log of what was divided out of bonds and rows */
  log_sum sums[BLOCKS];
} strip_job;

static int64_t count_states (const strip *s, int64_t most) {
  int64_t n = 1;
  for (int64_t w = 0; w < s->width && n <= most; w++) n *= s->q;
  return n;
}

static bool is_closed (const strip *s) { return s->torus && s->length > 1; }

bool strip_fits (const strip *s) {
  bool closed = is_closed(s);
  int64_t most = closed ? CLOSED_STATES : OPEN_STATES, n = s->q <= most ? count_states(s, most) : most + 1;
  double work = (double)n * (double)s->length * (double)s->width * (double)s->q;
  return n <= most && work * (closed ? (double)n : 1) <= 1e11 && (double)n * (double)s->length <= 1e8;
}

/* ---- the weights of a row's own states ---- */

static double row_weight (const strip *s, int64_t row, int64_t state) {
  int64_t digit[64], joined = s->torus && s->width > 1 ? s->width : s->width - 1;
  double w = 0;
  for (int64_t k = 0; k < s->width; k++, state /= s->q) {
    digit[k] = state % s->q;
    if (s->field) w += s->field[row * s->width + k] * (double)digit[k];
  }
  for (int64_t k = 0; k < joined; k++) if (digit[k] == digit[(k + 1) % s->width]) w += s->bond;
  return w;
}

static void fill_row (strip_job *j, int64_t row) {
  double *w = j->weight + row * j->states, most = -INFINITY;
  for (int64_t i = 0; i < j->states; i++) most = fmax(most, w[i] = row_weight(j->s, row, i));
  for (int64_t i = 0; i < j->states; i++) w[i] = exp(w[i] - most);
  j->scale += most * (double)(j->rows == 1 ? j->s->length : 1);
}

static void fill (strip_job *j) {
  const strip *s = j->s;
  int64_t bonds = s->width * (j->closed ? s->length : s->length - 1);
  double most = fmax(s->bond, 0);
  j->equal = exp(s->bond - most);
  j->differ = exp(-most);
  j->scale = most * (double)bonds;
  for (int64_t r = 0; r < j->rows; r++) fill_row(j, r);
}

/* ---- from row to row ---- */

/* out = what the bond of one unit makes of v; run: elements between neighbours in that unit's value */
static void cross (const strip_job *j, int64_t run, const double *v, double *out) {
  int64_t q = j->s->q, total = j->states * j->lanes;
  for (int64_t base = 0; base < total; base += q * run)
    for (int64_t a = 0; a < q; a++) {
      double *o = out + base + a * run;
      memset(o, 0, (size_t)run * sizeof *o);
      for (int64_t b = 0; b < q; b++) {
        const double *in = v + base + b * run, w = a == b ? j->equal : j->differ;
        for (int64_t i = 0; i < run; i++) o[i] += w * in[i];
      }
    }
}

/* all bonds to the next row; v[0] holds the vector before and after */
static void cross_all (const strip_job *j, double *v[2]) {
  int64_t run = j->lanes;
  for (int64_t w = 0; w < j->s->width; w++, run *= j->s->q) {
    cross(j, run, v[0], v[1]);
    double *t = v[0]; v[0] = v[1]; v[1] = t;
  }
}

/* times the weights of a row; brought back to at most 1, the logarithm of that returned */
static double weigh (const strip_job *j, int64_t row, double *v) {
  const double *w = j->weight + (j->rows > 1 ? row * j->states : 0);
  double most = 0;
  for (int64_t i = 0; i < j->states; i++)
    for (int64_t l = 0; l < j->lanes; l++) most = fmax(most, v[i * j->lanes + l] *= w[i]);
  if (!(most > 0)) return 0;
  for (int64_t i = 0; i < j->states * j->lanes; i++) v[i] /= most;
  return log(most);
}

/* the first row, beginning in lane l with state k + l alone if closed, else with all states */
static void begin (const strip_job *j, int64_t k, double *v) {
  if (!j->closed) { memcpy(v, j->weight, (size_t)j->states * sizeof *v); return; }
  memset(v, 0, (size_t)(j->states * j->lanes) * sizeof *v);
  for (int64_t l = 0; l < j->lanes && k + l < j->states; l++) v[(k + l) * j->lanes + l] = j->weight[k + l];
}

static double finish (const strip_job *j, int64_t k, double *v[2]) {
  double total = 0;
  if (!j->closed) {
    for (int64_t i = 0; i < j->states; i++) total += v[0][i];
    return total;
  }
  cross_all(j, v);
  for (int64_t l = 0; l < j->lanes && k + l < j->states; l++) total += v[0][(k + l) * j->lanes + l];
  return total;
}

static void run_block (void *arg, int64_t block) {
  strip_job *j = arg;
  int64_t size = j->states * j->lanes, k = j->first + block * j->lanes;
  double *at = j->vectors + 2 * block * size, *v[2] = { at, at + size }, scale = j->scale;
  if (k >= j->states) return;
  begin(j, k, v[0]);
  for (int64_t r = 1; r < j->s->length; r++) {
    cross_all(j, v);
    scale += weigh(j, r, v[0]);
  }
  log_sum_add(&j->sums[block], scale + log(finish(j, k, v)));
}

static bool run (neap_context *c, strip_job *j, double *log_z) {
  log_sum all = LOG_SUM_NOTHING;
  int64_t blocks = j->closed ? BLOCKS : 1;
  fill(j);
  for (int b = 0; b < BLOCKS; b++) j->sums[b] = LOG_SUM_NOTHING;
  for (j->first = 0; j->first < (j->closed ? j->states : 1); j->first += blocks * j->lanes) {
    if (!neap_poll(c)) return false;
    neap_parallel(c, blocks, run_block, j);
  }
  for (int b = 0; b < BLOCKS; b++) if (j->sums[b].sum != 0) log_sum_add(&all, log_sum_total(&j->sums[b]));
  *log_z = log_sum_total(&all);
  if (*log_z != -INFINITY) return true;
  return neap_fail(c, NEAP_ENUMERIC, "log_z: bonds of %g are too strong to be summed in double precision", j->s->bond);
}

bool strip_log_z (neap_context *c, const strip *s, double *log_z) {
  strip_job j = { .s = s, .closed = is_closed(s), .states = count_states(s, OPEN_STATES) };
  j.lanes = j.closed ? LANES : 1;
  j.rows = s->field ? s->length : 1;
  size_t vectors = (size_t)(2 * j.states * j.lanes) * (j.closed ? BLOCKS : 1);
  size_t bytes = (vectors + (size_t)(j.rows * j.states)) * sizeof(double);
  double *memory = neap_malloc(c, bytes);
  if (!memory) return false;
  j.vectors = memory;
  j.weight = memory + vectors;
  bool ok = run(c, &j, log_z);
  neap_free(c, memory, bytes);
  return ok;
}
