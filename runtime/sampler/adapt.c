/*
** adapt.c -- what a warm-up learns: a step size by dual averaging, a metric from moments in growing windows.
** Invariant: a window's moments hold all its points and no others; the constants are those of Hoffman and Gelman (2014)
** and of Stan.
*/
#include "sampler/adapt.h"
#include <math.h>
#include <string.h>

/* ---- dual averaging ---- */

#define GAMMA .05
#define T0 10.
#define KAPPA .75

dual_average dual_average_from (double target, double step) {
  return (dual_average){ .target = target, .mu = log(10 * step) };
}

double dual_average_next (dual_average *a, double accept) {
  double t = (double)++a->n, eta = 1 / (t + T0), weight = pow(t, -KAPPA);
  a->deficit = (1 - eta) * a->deficit + eta * (a->target - accept);
  double log_step = a->mu - a->deficit * sqrt(t) / GAMMA;
  a->log_mean = (1 - weight) * a->log_mean + weight * log_step;
  return exp(log_step);
}

double dual_average_result (const dual_average *a, double otherwise) {
  return a->n > 0 ? exp(a->log_mean) : otherwise;
}

/* ---- windows ---- */

enum { FIRST = 75, LAST = 50, SLOW = 25, SHORTEST = 20 };

windows windows_of (int64_t n) {
  int64_t first = FIRST, last = LAST, size = SLOW;
  if (n < SHORTEST) return (windows){ .n = n, .first = n, .last = n, .end = n };
  if (first + last + size > n) {
    first = n * 15 / 100;
    last = n / 10;
    size = n - first - last;
  }
  return (windows){ n, first, n - last, first + size - 1, size };
}

bool windows_hold (const windows *w, int64_t i) { return i >= w->first && i < w->last; }

/* One that would leave too little for another of twice its size takes all that is left. */
bool windows_end (windows *w, int64_t i) {
  if (i != w->end || i >= w->n) return false;
  if (i == w->last - 1) return true;
  w->size *= 2;
  w->end = i + w->size;
  if (w->end + 2 * w->size >= w->last) w->end = w->last - 1;
  return true;
}

/* ---- moments ---- */

static size_t squares (int64_t n, bool dense) { return (size_t)n * (size_t)(dense ? n : 1); }
static size_t bytes (const moments *m) { return (2 * (size_t)m->n + squares(m->n, m->dense)) * sizeof(double); }

bool moments_open (neap_context *c, moments *m, int64_t n, bool dense) {
  *m = (moments){ .n = n, .dense = dense };
  if (!(m->mean = neap_malloc(c, bytes(m) + 1))) return false;
  m->delta = m->mean + n;
  m->m2 = m->delta + n;
  moments_reset(m);
  return true;
}

void moments_close (neap_context *c, moments *m) {
  if (m->mean) neap_free(c, m->mean, bytes(m) + 1);
  m->mean = NULL;
}

void moments_reset (moments *m) {
  memset(m->mean, 0, bytes(m));
  m->count = 0;
}

void moments_add (moments *m, const double *x) {
  double share = 1 / (double)++m->count;
  for (int64_t i = 0; i < m->n; i++) {
    m->delta[i] = x[i] - m->mean[i];
    m->mean[i] += m->delta[i] * share;
  }
  for (int64_t i = 0; i < m->n; i++) {
    if (!m->dense) m->m2[i] += m->delta[i] * (x[i] - m->mean[i]);
    for (int64_t j = 0; m->dense && j < m->n; j++) m->m2[i * m->n + j] += m->delta[i] * (x[j] - m->mean[j]);
  }
}

bool moments_get (const moments *m, double *v) {
  double k = (double)m->count, share = k / (k + 5);
  if (m->count < 2) return false;
  for (size_t i = 0; i < squares(m->n, m->dense); i++) {
    bool variance = !m->dense || i % (size_t)(m->n + 1) == 0;
    v[i] = share * m->m2[i] / (k - 1) + (variance ? 1e-3 * 5 / (k + 5) : 0);
    if (!isfinite(v[i])) return false;
  }
  return true;
}
