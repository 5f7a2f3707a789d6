/*
** sampler.c -- the sampler object, and the expressions that every kernel is made of.
** Invariant: a sampler holds settings only, so one object may serve any number of chains and energies.
*/
#include "sampler/slope.h"
#include "energy/energy.h"
#include "program/program.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

neap_sampler *sampler_new (neap_context *c, const neap_sampler_kind *kind) {
  neap_sampler *s = neap_object_new(c, sizeof *s);
  if (!s) return NULL;
  s->kind = kind;
  s->ctx = c;
  s->refs = 1;
  s->serial = ++c->serial;
  s->step_size = s->noise_std = NAN;
  return s;
}

neap_sampler *neap_sampler_keep (neap_sampler *s) {
  if (s) s->refs++;
  return s;
}

void neap_sampler_release (neap_sampler *s) {
  if (!s || --s->refs > 0) return;
  neap_program_forget(s->ctx, s->serial);
  neap_release(s->sigmas);
  neap_release(s->bias);
  neap_release(s->betas);
  neap_sampler_release(s->kernel);
  neap_energy_release(s->base);
  if (s->custom.free) s->custom.free(s->custom.arg);
  if (s->release_own) s->release_own(s->ctx, s->own);
  neap_object_free(s->ctx, s, sizeof *s);
}

const char *neap_sampler_name (const neap_sampler *s) { return s->kind->name; }
neap_sampler *neap_sampler_kernel (const neap_sampler *s) { return s->kernel; }
double neap_sampler_step_size (const neap_sampler *s) { return s->step_size; }
bool sampler_lacks_step (const neap_sampler *s) { return s->adapt.on && isnan(s->step_size); }
bool sampler_calls_host (const neap_sampler *s) { return s->custom.step || s->host; }

bool sampler_positive (neap_context *c, const char *sampler, const char *option, double v) {
  if (isfinite(v) && v > 0) return true;
  return neap_fail(c, NEAP_EARG, "%s: %s: a positive number expected, got %g", sampler, option, v);
}

static int descending (const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x < y) - (x > y);
}

neap_tensor *sampler_levels (neap_context *c, int n, const double *sigmas) {
  size_t bytes = (size_t)n * sizeof *sigmas;
  double *v = neap_malloc(c, bytes);
  if (!v) return NULL;
  memcpy(v, sigmas, bytes);
  qsort(v, (size_t)n, sizeof *v, descending);
  neap_scope sc = neap_scope_open(c);
  neap_tensor *t = neap_keep(neap_from(c, NEAP_FLOAT64, 1, (int64_t[]){ n }, v));
  neap_scope_close(c, sc);
  neap_free(c, v, bytes);
  return t;
}

bool neap_sampler_set_step_size (neap_context *c, neap_sampler *s, double step_size) {
  if (isnan(s->step_size) && s->adapt.target == 0)
    return neap_fail(c, NEAP_EARG, "%s: has no step size", s->kind->name);
  if (!sampler_positive(c, s->kind->name, "step_size", step_size)) return false;
  s->step_size = step_size;
  s->serial = ++c->serial;
  return true;
}

/* ---- expressions of kernels ---- */

/* t, like x, with zeros at coordinates that E holds fixed */
static neap_tensor *free_part (neap_context *c, neap_energy *E, neap_tensor *t) {
  neap_tensor *mask = neap_energy_mask(E);
  return mask && t ? neap_where(c, mask, neap_scalar(c, t->dtype, 0), t) : t;
}

neap_tensor *sampler_noise (neap_context *c, neap_energy *E, neap_state *st, neap_tensor *x) {
  return free_part(c, E, rows_normal(c, st->rng, x));
}

neap_tensor *sampler_momentum (neap_context *c, const neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *p = neap_state_get(st, "momentum");
  if (!p) return sampler_noise(c, E, st, x);
  if (neap_same_shape(p, x)) return free_part(c, E, p);
  return neap_fail(c, NEAP_ESHAPE, "%s: state.momentum: x's shape %s expected, got %s", s->kind->name, SHAPE_TEXT(x),
                   SHAPE_TEXT(p));
}

bool sampler_gradient (neap_context *c, neap_energy *E, neap_state *st, neap_tensor *x, neap_tensor **e,
                       neap_tensor **g) {
  return x && neap_energy_value_and_grad(c, E, x, neap_state_get(st, "condition"), e, g);
}

neap_tensor *sampler_energy (neap_context *c, neap_energy *E, neap_state *st, neap_tensor *x) {
  return x ? neap_energy_eval(c, E, x, neap_state_get(st, "condition")) : NULL;
}

neap_tensor *sampler_log_ratio (neap_context *c, neap_state *st, neap_tensor *e, neap_tensor *log_q) {
  neap_tensor *drop = neap_sub(c, neap_state_get(st, "energy"), e);
  return log_q ? neap_add(c, drop, log_q) : drop;
}

static bool take (neap_context *c, neap_state *st, const char *name, neap_tensor *accept, neap_tensor *proposal) {
  neap_tensor *old = neap_state_get(st, name), *t = rows_where(c, accept, proposal, old);
  return t && neap_state_set(c, st, name, t);
}

/* for the warm-up, if there is one */
static bool note_accept (neap_context *c, neap_state *st, neap_tensor *log_ratio) {
  if (!neap_state_get(st, "accept_prob")) return true;
  neap_tensor *p = sampler_probability(c, log_ratio);
  return p && neap_state_set(c, st, "accept_prob", neap_cast(c, p, NEAP_FLOAT64));
}

bool sampler_metropolis (neap_context *c, neap_state *st, neap_tensor *log_ratio, neap_tensor *x, neap_tensor *e,
                         neap_tensor *g) {
  if (!log_ratio) return false;
  neap_tensor *u = neap_rng_uniform(c, st->rng, log_ratio->dtype, log_ratio->ndim, log_ratio->shape);
  neap_tensor *accept = neap_le(c, neap_log1p(c, neap_neg(c, u)), log_ratio);      /* u is in [0, 1), 1 − u in (0, 1] */
  return take(c, st, "x", accept, x) && take(c, st, "energy", accept, e) && (!g || take(c, st, "grad", accept, g)) &&
         sampler_count(c, st, "accepted", accept) && note_accept(c, st, log_ratio);
}

bool sampler_count (neap_context *c, neap_state *st, const char *name, neap_tensor *event) {
  neap_tensor *t = neap_add(c, neap_state_get(st, name), event);
  return t && neap_state_set(c, st, name, t);
}

bool sampler_counter (neap_context *c, neap_state *st, const char *name) {
  if (neap_state_get(st, name)) return true;
  neap_tensor *x = neap_state_get(st, "x");
  neap_tensor *t = neap_full(c, NEAP_FLOAT64, 1, x->shape, 0);
  return t && neap_state_set(c, st, name, t);
}

bool sampler_restart_count (neap_context *c, neap_state *st, const char *name) {
  neap_tensor *t = neap_state_get(st, name);
  return !t || neap_state_set(c, st, name, neap_zeros_like(c, t));
}

bool sampler_add (neap_context *c, neap_state *st, const char *name, double v) {
  return sampler_counter(c, st, name) && sampler_count(c, st, name, neap_scalar(c, NEAP_FLOAT64, v));
}

bool sampler_init_energy (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  (void)s;
  neap_tensor *e = sampler_energy(c, E, st, neap_state_get(st, "x"));
  return e && neap_state_set(c, st, "energy", e) && sampler_counter(c, st, "accepted");
}

bool sampler_set_gradient (neap_context *c, neap_energy *E, neap_state *st) {
  neap_tensor *e, *g;
  return sampler_gradient(c, E, st, neap_state_get(st, "x"), &e, &g) && neap_state_set(c, st, "energy", e) &&
         neap_state_set(c, st, "grad", g);
}

bool sampler_init_gradient (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  return slope_set(c, s, E, st) && sampler_counter(c, st, "accepted");
}
