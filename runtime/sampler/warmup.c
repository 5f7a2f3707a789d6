/*
** warmup.c -- steps in which a chain's step size and scale are learnt.
** All chains of a state share both: a step's acceptance is the mean over them, and a window's moments hold all their
** points.  A new scale begins with a new search for a step size, since it changes what one is.
** Invariant: "accept_prob" is in the state exactly while warm-up runs; "step_size" is what the next step will take.
*/
#include "sampler/adapt.h"
#include "sampler/program.h"
#include "sampler/slope.h"
#include <math.h>
#include <string.h>

typedef struct warmup {
  neap_context *c; neap_sampler *s; neap_energy *E; neap_state *st;
  slope at;
  dual_average step;
  windows w;
  moments m;                                 /* mean NULL: the metric stays */
  int64_t chains, n;
  double *x; size_t bytes;                   /* [chains, n] */
  sampler_program program;
} warmup;

/* ---- one leapfrog step size ---- */

static bool set_step (neap_context *c, neap_sampler *s, neap_state *st, double h) {
  neap_scope sc = neap_scope_open(c);
  bool ok = neap_state_set(c, st, "step_size", neap_scalar(c, NEAP_FLOAT64, s->adapt.langevin ? h * h / 2 : h));
  neap_scope_close(c, sc);
  return ok;
}

static bool get_step (neap_context *c, const neap_sampler *s, const neap_state *st, double *h) {
  neap_tensor *t = neap_state_get(st, "step_size");
  *h = s->step_size;
  if (t && !neap_item(c, t, h)) return false;
  if (s->adapt.langevin) *h = sqrt(2 * *h);
  return true;
}

static neap_tensor *energy_plus_kinetic (neap_context *c, neap_tensor *e, neap_tensor *p) {
  return p ? rows_axpy(c, .5, rows_dot(c, p, p), e) : NULL;
}

/* one leapfrog step of h with fresh momenta -> mean acceptance; NAN with an error */
static double accepted_by (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, slope *q, double h) {
  neap_tensor *x = neap_state_get(st, "x"), *p = sampler_noise(c, E, st, x);
  neap_tensor *before = energy_plus_kinetic(c, neap_state_get(st, "energy"), p);
  p = rows_axpy(c, -h / 2, sampler_scaled(c, s, st, neap_state_get(st, "grad"), true), p);
  neap_tensor *y = p ? rows_axpy(c, h, sampler_scaled(c, s, st, p, false), x) : NULL;
  if (!y || !neap_write(c, q->x, y) || !slope_go(q)) return NAN;
  p = rows_axpy(c, -h / 2, sampler_scaled(c, s, st, q->g, true), p);
  neap_tensor *after = energy_plus_kinetic(c, q->e, p);
  neap_tensor *mean = after ? rows_mean(c, sampler_probability(c, neap_sub(c, before, after))) : NULL;
  double v = NAN;
  return mean && neap_item(c, mean, &v) ? v : NAN;
}

enum { DOUBLINGS = 60 };
#define ENOUGH .8

/* Doubles or halves *h until the acceptance crosses ENOUGH (Hoffman and Gelman 2014, algorithm 4; .8 as in Stan). */
static bool search (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, slope *q, double *h) {
  int way = 0;
  for (int i = 0; i < DOUBLINGS && q->x->shape[0] > 0; i++) {
    neap_scope sc = neap_scope_open(c);
    double a = neap_poll(c) ? accepted_by(c, s, E, st, q, *h) : NAN;
    neap_scope_close(c, sc);
    if (!neap_ok(c) || !sampler_add(c, st, "grad_evals", 1)) return false;
    if (way == 0) way = a > ENOUGH ? 1 : -1;
    else if (way > 0 ? !(a > ENOUGH) : !(a < ENOUGH)) return true;
    *h *= way > 0 ? 2 : .5;
  }
  return true;
}

bool sampler_first_step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  double h = 1;
  slope q;
  if (!isnan(s->step_size) || neap_state_get(st, "step_size")) return true;
  if (c->trace) return neap_fail(c, NEAP_ESTATE, "%s: step_size: a function that is recorded cannot search for one",
                                 s->kind->name);
  bool ok = slope_open(&q, c, s, E, st) && search(c, s, E, st, &q, &h) && set_step(c, s, st, h);
  slope_close(&q);
  return ok;
}

/* ---- metric ---- */

static bool set_scale (warmup *w, neap_tensor *t) {
  neap_dtype d = neap_state_get(w->st, "x")->dtype;
  return t && neap_state_set(w->c, w->st, "scale", neap_cast(w->c, t, d));
}

/* standard deviations in x's event shape, of variances v [n] */
static neap_tensor *deviations (warmup *w, const double *v) {
  neap_tensor *x = neap_state_get(w->st, "x");
  return neap_sqrt(w->c, neap_from(w->c, NEAP_FLOAT64, x->ndim - 1, x->shape + 1, v));
}

static neap_tensor *factor (warmup *w, const double *v) {
  return neap_cholesky(w->c, neap_from(w->c, NEAP_FLOAT64, 2, (int64_t[]){ w->n, w->n }, v));
}

static size_t scale_bytes (const warmup *w) {
  return (size_t)w->n * (size_t)(w->m.dense ? w->n : 1) * sizeof(double) + 1;
}

/* The window's moments become the scale, if they make one. */
static bool take_moments (warmup *w) {
  double *v = neap_malloc(w->c, scale_bytes(w));
  if (!v) return false;
  neap_scope sc = neap_scope_open(w->c);
  bool ok = true;
  if (moments_get(&w->m, v)) ok = set_scale(w, w->m.dense ? factor(w, v) : deviations(w, v));
  neap_scope_close(w->c, sc);
  neap_free(w->c, v, scale_bytes(w));
  moments_reset(&w->m);
  return ok;
}

/* ones, or the identity, so that a recorded step has a scale from the start */
static bool first_scale (warmup *w) {
  bool dense;
  if (w->s->adapt.metric == NEAP_METRIC_UNIT || neap_state_get(w->st, "scale"))
    return sampler_scale_size(w->c, w->s, w->st, &dense) >= 0;
  neap_tensor *x = neap_state_get(w->st, "x");
  neap_scope sc = neap_scope_open(w->c);
  bool ok = set_scale(w, w->m.dense ? neap_eye(w->c, NEAP_FLOAT64, w->n, w->n)
                                    : neap_full(w->c, NEAP_FLOAT64, x->ndim - 1, x->shape + 1, 1));
  neap_scope_close(w->c, sc);
  return ok;
}

/* ---- steps ---- */

/* mean of the chains' acceptance */
static bool read_accept (warmup *w, double *mean) {
  neap_tensor *t = neap_state_get(w->st, "accept_prob");
  if (!t || !neap_read(w->c, t, NEAP_FLOAT64, w->x)) return false;
  *mean = 0;
  for (int64_t i = 0; i < w->chains; i++) *mean += w->x[i] / (double)w->chains;
  return true;
}

static bool add_points (warmup *w) {
  if (!neap_read(w->c, neap_state_get(w->st, "x"), NEAP_FLOAT64, w->x)) return false;
  for (int64_t i = 0; i < w->chains; i++) moments_add(&w->m, w->x + i * w->n);
  return true;
}

/* step i, from 0, was made */
static bool learn (warmup *w, int64_t i) {
  double accept, h;
  if (!read_accept(w, &accept)) return false;
  h = dual_average_next(&w->step, accept);
  if (w->m.mean && windows_hold(&w->w, i) && !add_points(w)) return false;
  if (w->m.mean && windows_end(&w->w, i)) {
    if (!take_moments(w) || !search(w->c, w->s, w->E, w->st, &w->at, &h)) return false;
    w->step = dual_average_from(w->s->adapt.target, h);
  }
  return set_step(w->c, w->s, w->st, i + 1 < w->w.n ? h : dual_average_result(&w->step, h));
}

static bool prepare (warmup *w, int64_t n) {
  neap_tensor *x = neap_state_get(w->st, "x");
  w->chains = x->shape[0];
  w->n = x->shape[0] > 0 ? neap_numel(x) / x->shape[0] : 0;
  w->bytes = ((size_t)neap_numel(x) + (size_t)w->chains) * sizeof *w->x + 1;
  w->w = windows_of(n);
  w->m.dense = w->s->adapt.metric == NEAP_METRIC_DENSE;
  if (!(w->x = neap_malloc(w->c, w->bytes))) return false;
  if (w->s->adapt.metric != NEAP_METRIC_UNIT && !moments_open(w->c, &w->m, w->n, w->m.dense)) return false;
  double h;
  if (!slope_open(&w->at, w->c, w->s, w->E, w->st) || !first_scale(w) || !get_step(w->c, w->s, w->st, &h)) return false;
  w->step = dual_average_from(w->s->adapt.target, h);
  return set_step(w->c, w->s, w->st, h) && sampler_counter(w->c, w->st, "accept_prob");
}

static bool run (warmup *w, bool recorded, bool (*after) (void *arg), void *arg) {
  if (recorded) sampler_program_open(&w->program, w->c, w->s, w->E, w->st);
  for (int64_t i = 0; i < w->w.n; i++) {
    bool ok = sampler_advance(w->c, w->s, w->E, w->st, &w->program, 1) == 1;
    neap_scope sc = neap_scope_open(w->c);
    ok = ok && learn(w, i) && (!after || after(arg)) && neap_ok(w->c);
    neap_scope_close(w->c, sc);
    if (!ok) return false;
  }
  return true;
}

bool sampler_warmup (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, int64_t n, bool recorded,
                     bool (*after) (void *arg), void *arg) {
  warmup w = { .c = c, .s = s, .E = E, .st = st };
  neap_mode m = neap_no_grad(c);
  neap_scope sc = neap_scope_open(c);
  bool ok = neap_state_get(st, "x")->shape[0] == 0 || (prepare(&w, n) && run(&w, recorded, after, arg));
  neap_scope_close(c, sc);
  sampler_program_close(&w.program);
  slope_close(&w.at);
  moments_close(c, &w.m);
  if (w.x) neap_free(c, w.x, w.bytes);
  state_drop(st, "accept_prob");
  neap_mode_restore(c, m);
  return ok;
}
