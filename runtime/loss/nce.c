/*
** nce.c -- noise contrastive estimation (Gutmann and Hyvärinen 2012).
** A logistic classifier of data against noise whose logit is log p(x) − log p_noise(x) − log ratio; at its optimum
** e^(−E − log Z) is the data's density.  With ratio 1 the minimum is 2 log 2 − 2 JSD(data, noise).
** Invariant: noise draws and their densities are constants; log_z is one variable for the loss's whole life.
*/
#include "loss/loss.h"
#include "energy/energy.h"
#include <math.h>

static neap_tensor *draw_noise (neap_context *c, neap_loss *l, loss_batch *b, int64_t n) {
  neap_mode m = neap_no_grad(c);
  neap_tensor *y = l->noise ? neap_energy_sample(c, l->noise, n, b->rng, b->x->dtype)
                            : l->sample(c, l->arg, b->rng, b->x, n);
  neap_mode_restore(c, m);
  if (y && (y->ndim != b->x->ndim || y->shape[0] != n || !rows_same_event(y, b->x)))
    return neap_fail(c, NEAP_ESHAPE, "nce: noise: %lld draws like x %s expected, got %s", (long long)n,
                     SHAPE_TEXT(b->x), SHAPE_TEXT(y));
  return y ? neap_detach(c, y) : NULL;
}

/* x [n, event…] -> log p_noise(x) + log ratio [n], a constant */
static neap_tensor *noise_density (neap_context *c, neap_loss *l, neap_tensor *x) {
  neap_mode m = neap_no_grad(c);
  neap_tensor *lp = l->noise ? neap_energy_log_prob(c, l->noise, x, NULL, NULL) : l->f(c, l->arg, x);
  neap_mode_restore(c, m);
  if (lp && (lp->ndim != 1 || lp->shape[0] != x->shape[0]))
    return neap_fail(c, NEAP_ESHAPE, "nce: noise: log_prob: [%lld] expected for x %s, got %s", (long long)x->shape[0],
                     SHAPE_TEXT(x), SHAPE_TEXT(lp));
  return lp ? neap_add(c, neap_detach(c, lp), neap_scalar(c, lp->dtype, log((double)l->ratio))) : NULL;
}

/* the logit G(x) [n] */
static neap_tensor *logit (neap_context *c, neap_loss *l, loss_batch *b, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *q = x ? noise_density(c, l, x) : NULL, *e = q ? neap_energy_eval(c, b->E, x, cond) : NULL;
  return e ? neap_neg(c, neap_add(c, neap_add(c, e, l->log_z), q)) : NULL;
}

/* cond [B, …] -> [ratio·B, …], the batch's conditions over and over */
static neap_tensor *repeat (neap_context *c, neap_loss *l, neap_tensor *cond) {
  int64_t reps[NEAP_MAX_DIMS];
  if (!cond || l->ratio == 1) return cond;
  for (int i = 0; i < cond->ndim; i++) reps[i] = i == 0 ? l->ratio : 1;
  return neap_tile(c, cond, cond->ndim, reps);
}

static neap_tensor *eval (neap_context *c, neap_loss *l, loss_batch *b) {
  neap_tensor *y = draw_noise(c, l, b, l->ratio * b->x->shape[0]);
  neap_tensor *data = logit(c, l, b, b->x, b->cond), *noise = logit(c, l, b, y, repeat(c, l, b->cond));
  neap_tensor *right = rows_mean(c, neap_log_sigmoid(c, data));
  neap_tensor *wrong = rows_mean(c, neap_log_sigmoid(c, neap_neg(c, noise)));
  if (!loss_tell(c, b, "log_z", l->log_z)) return NULL;
  return neap_neg(c, rows_axpy(c, (double)l->ratio, wrong, right));
}

static const char *const memory[] = { "log_z", NULL };
static const neap_loss_kind nce = { "nce", memory, NULL, eval };

static bool check (neap_context *c, const neap_nce_config *cfg) {
  if (cfg->ratio < 0)
    return neap_fail(c, NEAP_EARG, "nce: ratio: a positive integer expected, got %lld", (long long)cfg->ratio);
  const neap_energy *E = cfg->noise;
  if (E ? E->cls->sample && E->cls->log_z : cfg->sample && cfg->log_prob) return true;
  return neap_fail(c, NEAP_EARG, "nce: noise: an energy with an exact sampler and a known log Z, or sample and "
                   "log_prob, expected%s%s", E ? ", got " : "", E ? energy_title(E) : "");
}

/* log Z = 0, a variable */
static bool add_log_z (neap_context *c, neap_loss *l) {
  neap_scope sc = neap_scope_open(c);
  l->log_z = neap_keep(neap_scalar(c, neap_default_dtype(c), 0));
  bool ok = l->log_z && neap_requires_grad(c, l->log_z, true) && neap_state_set(c, l->memory, "log_z", l->log_z);
  neap_scope_close(c, sc);
  return ok;
}

neap_loss *neap_loss_nce (neap_context *c, const neap_nce_config *cfg) {
  neap_loss *l = check(c, cfg) ? loss_new(c, &nce) : NULL;
  if (!l) {
    if (cfg->release) cfg->release(cfg->arg);
    return NULL;
  }
  l->noise = neap_energy_keep(cfg->noise);
  l->sample = cfg->sample;
  l->f = cfg->log_prob;
  l->arg = cfg->arg;
  l->release = cfg->release;
  l->ratio = cfg->ratio ? cfg->ratio : 1;
  if (add_log_z(c, l)) return l;
  neap_loss_release(l);
  return NULL;
}
