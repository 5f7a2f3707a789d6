/*
** minibatch.c -- posteriors from minibatches of the data: SGLD (Welling and Teh 2011) and SGHMC (Chen et al. 2014).
** Ũ(θ) = prior(θ) + (N/n) E(θ, y), with y [chains, n, …] n rows of the data for each chain: its mean over them is the
** energy of the posterior.  Nothing is rejected: the gradient's noise and the step size put the law of θ off.
** Invariant: "energy" and "grad" are Ũ's of "x" and one minibatch, drawn after x was; a step uses each minibatch once.
*/
#include "sampler/sampler.h"
#include "energy/energy.h"
#include <math.h>
#include <string.h>

typedef struct minibatch {
  neap_tensor *data;
  int64_t batch;                             /* 0: all rows */
  neap_energy *prior;                        /* or NULL */
  double power, delay, noise;
} minibatch;

/* ---- the energy of a minibatch ---- */

/* [N, …] -> [B, N, …] */
static neap_tensor *all_rows (neap_context *c, neap_tensor *data, int64_t B) {
  int64_t shape[NEAP_MAX_DIMS] = { B };
  memcpy(shape + 1, data->shape, (size_t)data->ndim * sizeof *shape);
  return neap_expand(c, data, data->ndim + 1, shape);
}

/* [N, …] -> [B, n, …], at random with replacement */
static neap_tensor *some_rows (neap_context *c, neap_state *st, neap_tensor *data, int64_t B, int64_t n) {
  int64_t shape[NEAP_MAX_DIMS] = { B, n };
  for (int i = 1; i < data->ndim; i++) shape[i + 1] = data->shape[i];
  neap_tensor *i = neap_rng_randint(c, st->rng, 1, data->shape[0], 2, shape);
  neap_tensor *rows = i ? neap_index_select(c, data, 1, neap_reshape(c, i, 1, (int64_t[]){ -1 })) : NULL;
  return rows ? neap_reshape(c, rows, data->ndim + 1, shape) : NULL;
}

static neap_tensor *draw (neap_context *c, const minibatch *m, neap_state *st, neap_tensor *x) {
  neap_tensor *data = neap_is_float(m->data->dtype) ? neap_cast(c, m->data, x->dtype) : m->data;
  if (!data) return NULL;
  return m->batch ? some_rows(c, st, data, x->shape[0], m->batch) : all_rows(c, data, x->shape[0]);
}

static bool set_gradient (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  const minibatch *m = s->own;
  neap_tensor *x = neap_state_get(st, "x"), *rows = draw(c, m, st, x), *e, *g, *pe, *pg;
  if (!rows || !neap_energy_value_and_grad(c, E, x, rows, &e, &g)) return false;
  if (m->batch) {
    double share = (double)m->data->shape[0] / (double)m->batch;
    e = rows_scale(c, e, share);
    g = rows_scale(c, g, share);
  }
  if (m->prior) {
    if (!neap_energy_value_and_grad(c, m->prior, x, NULL, &pe, &pg)) return false;
    e = neap_add(c, e, pe);
    g = neap_add(c, g, pg);
  }
  return e && g && neap_state_set(c, st, "energy", e) && neap_state_set(c, st, "grad", g);
}

static bool check_run (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  if (neap_energy_conditional(E) == 0)
    return neap_fail(c, NEAP_EARG, "%s: E: an energy of (x, rows of the data) expected, got %s, which takes no "
                     "condition", s->kind->name, energy_title(E));
  return !neap_state_get(st, "condition") ||
         neap_fail(c, NEAP_EARG, "%s: condition: none expected: E's condition is the minibatch", s->kind->name);
}

/* ---- sgld ---- */

static bool init_sgld (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  return check_run(c, s, E, st) && sampler_counter(c, st, "moves") && set_gradient(c, s, E, st);
}

/* step_size·(1 + t/delay)^−power [chains] after t moves */
static neap_tensor *step_sizes (neap_context *c, const neap_sampler *s, neap_tensor *moves) {
  const minibatch *m = s->own;
  neap_tensor *since = moves ? neap_log1p(c, rows_scale(c, moves, 1 / m->delay)) : NULL;
  return since ? rows_scale(c, neap_exp(c, rows_scale(c, since, -m->power)), s->step_size) : NULL;
}

static bool step_sgld (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *g = neap_state_get(st, "grad"), *moves = neap_state_get(st, "moves");
  if (((const minibatch *)s->own)->power == 0) {
    x = rows_axpy(c, sqrt(2 * s->step_size), sampler_noise(c, E, st, x), rows_axpy(c, -s->step_size, g, x));
  } else {
    neap_tensor *eps = step_sizes(c, s, moves);
    eps = eps ? rows_expand(c, neap_cast(c, eps, x->dtype), x->ndim) : NULL;
    neap_tensor *noise = neap_mul(c, neap_sqrt(c, rows_scale(c, eps, 2)), sampler_noise(c, E, st, x));
    x = neap_add(c, neap_sub(c, x, neap_mul(c, eps, g)), noise);
  }
  moves = moves ? neap_add(c, moves, neap_scalar(c, moves->dtype, 1)) : NULL;
  return x && moves && neap_state_set(c, st, "x", x) && neap_state_set(c, st, "moves", moves) &&
         set_gradient(c, s, E, st);
}

static const neap_sampler_kind sgld = { "sgld", false, NEAP_START_NORMAL, init_sgld, step_sgld };

/* ---- sghmc ---- */

static bool init_sghmc (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *p = check_run(c, s, E, st) ? sampler_momentum(c, s, E, st) : NULL;
  return p && neap_state_set(c, st, "momentum", p) && set_gradient(c, s, E, st);
}

static bool step_sghmc (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  double eps = s->step_size, left = s->friction - ((const minibatch *)s->own)->noise;
  neap_tensor *p = neap_state_get(st, "momentum"), *x = rows_axpy(c, eps, p, neap_state_get(st, "x"));
  if (!x || !neap_state_set(c, st, "x", x) || !set_gradient(c, s, E, st)) return false;
  p = rows_axpy(c, -eps, neap_state_get(st, "grad"), rows_scale(c, p, 1 - eps * s->friction));
  p = rows_axpy(c, sqrt(2 * left * eps), sampler_noise(c, E, st, x), p);
  return p && neap_state_set(c, st, "momentum", p);
}

static const neap_sampler_kind sghmc = { "sghmc", false, NEAP_START_NORMAL, init_sghmc, step_sghmc };

/* ---- making ---- */

static void release (neap_context *c, void *own) {
  minibatch *m = own;
  neap_release(m->data);
  neap_energy_release(m->prior);
  neap_free(c, m, sizeof *m);
}

static bool check (neap_context *c, const char *name, const neap_minibatch_config *f) {
  if (!f->data || f->data->ndim < 1 || f->data->ndim >= NEAP_MAX_DIMS || f->data->shape[0] < 1)
    return neap_fail(c, NEAP_EARG, "%s: data: a tensor [N, …] of 1 to %d dimensions with rows expected, got %s", name,
                     NEAP_MAX_DIMS - 1, f->data ? SHAPE_TEXT(f->data) : "none");
  if (f->batch < 0)
    return neap_fail(c, NEAP_EARG, "%s: batch: a positive integer expected, got %lld", name, (long long)f->batch);
  if (!(f->power >= 0 && isfinite(f->power)))
    return neap_fail(c, NEAP_EARG, "%s: power: a number from 0 up expected, got %g", name, f->power);
  if (f->delay != 0 && !sampler_positive(c, name, "delay", f->delay)) return false;
  return sampler_positive(c, name, "step_size", f->step_size);
}

static neap_sampler *make (neap_context *c, const neap_sampler_kind *kind, const neap_minibatch_config *f) {
  neap_sampler *s = check(c, kind->name, f) ? sampler_new(c, kind) : NULL;
  minibatch *m = s ? neap_malloc(c, sizeof *m) : NULL;
  if (!m) {
    neap_sampler_release(s);
    return NULL;
  }
  *m = (minibatch){ neap_keep(f->data), f->batch, neap_energy_keep(f->prior), f->power, f->delay ? f->delay : 1,
                    f->noise };
  s->own = m;
  s->release_own = release;
  s->host = f->prior && !energy_is_fixed(f->prior);
  s->step_size = f->step_size;
  s->grads_init = s->grads_step = 1;
  return s;
}

neap_sampler *neap_sampler_sgld (neap_context *c, const neap_minibatch_config *cfg) { return make(c, &sgld, cfg); }

neap_sampler *neap_sampler_sghmc (neap_context *c, const neap_minibatch_config *cfg) {
  double friction = cfg->friction != 0 ? cfg->friction : 1;
  if (!sampler_positive(c, "sghmc", "friction", friction)) return NULL;
  if (!(cfg->noise >= 0 && cfg->noise <= friction))
    return neap_fail(c, NEAP_EARG, "sghmc: noise: a number from 0 to the friction %g expected, got %g", friction,
                     cfg->noise);
  neap_sampler *s = make(c, &sghmc, cfg);
  if (s) s->friction = friction;
  return s;
}
