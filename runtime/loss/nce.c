/*
** nce.c -- noise contrastive estimation (Gutmann and Hyvärinen 2012), of a given noise or of a flow that learns.
** A logistic classifier of data against noise whose logit is log p(x) − log p_noise(x) − log ratio; at its optimum
** e^(−E − log Z) is the data's density.  With ratio 1 the minimum is 2 log 2 − 2 JSD(data, noise).
** Invariant: given noise's draws and their densities are constants; log_z is one variable for the loss's whole life.
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

/* the logit G(x) [n], where the noise's log density, with log ratio, is q [n] */
static neap_tensor *logit (neap_context *c, neap_loss *l, loss_batch *b, neap_tensor *x, neap_tensor *cond,
                           neap_tensor *q) {
  neap_tensor *e = q ? neap_energy_eval(c, b->E, x, cond) : NULL;
  return e ? neap_neg(c, neap_add(c, neap_add(c, e, l->log_z), q)) : NULL;
}

/* cond [B, …] -> [ratio·B, …], the batch's conditions over and over */
static neap_tensor *repeat (neap_context *c, neap_loss *l, neap_tensor *cond) {
  int64_t reps[NEAP_MAX_DIMS];
  if (!cond || l->ratio == 1) return cond;
  for (int i = 0; i < cond->ndim; i++) reps[i] = i == 0 ? l->ratio : 1;
  return neap_tile(c, cond, cond->ndim, reps);
}

/* −mean log σ(G(x)) − ratio·mean log σ(−G(y)), the noise's densities being qx and qy */
static neap_tensor *classify (neap_context *c, neap_loss *l, loss_batch *b, neap_tensor *qx, neap_tensor *y,
                              neap_tensor *qy) {
  neap_tensor *data = logit(c, l, b, b->x, b->cond, qx), *noise = logit(c, l, b, y, repeat(c, l, b->cond), qy);
  neap_tensor *right = rows_mean(c, neap_log_sigmoid(c, data));
  neap_tensor *wrong = rows_mean(c, neap_log_sigmoid(c, neap_neg(c, noise)));
  if (!loss_tell(c, b, "log_z", l->log_z)) return NULL;
  return neap_neg(c, rows_axpy(c, (double)l->ratio, wrong, right));
}

static neap_tensor *eval (neap_context *c, neap_loss *l, loss_batch *b) {
  neap_tensor *y = draw_noise(c, l, b, l->ratio * b->x->shape[0]);
  return y ? classify(c, l, b, noise_density(c, l, b->x), y, noise_density(c, l, y)) : NULL;
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

/* ---- flow contrastive (Gao et al. 2020): the noise is a flow, which learns to make the classifier's work hard ---- */

/* The flow, with parameters of the same values through which derivatives change sign: what the energy descends the
** flow climbs. */
static neap_energy *opponent (neap_context *c, neap_energy *flow) {
  int n = neap_energy_nparams(flow);
  size_t bytes = (size_t)(n + 1) * sizeof(neap_tensor *);
  neap_tensor **turned = neap_malloc(c, bytes);
  if (!turned) return NULL;
  for (int i = 0; i < n; i++) {
    neap_tensor *p = neap_energy_param(flow, i);
    turned[i] = neap_sub(c, rows_scale(c, neap_detach(c, p), 2), p);
  }
  neap_energy *out = neap_energy_with(c, flow, n, turned);
  neap_free(c, turned, bytes);
  return out;
}

static neap_tensor *eval_flow (neap_context *c, neap_loss *l, loss_batch *b) {
  if (!loss_needs_float(c, l, b)) return NULL;
  neap_energy *q = opponent(c, l->noise);
  neap_tensor *y = q ? q->cls->sample(c, q, b->x->shape[0], b->rng, b->x->dtype) : NULL;
  neap_tensor *qx = y ? neap_energy_log_prob(c, q, b->x, NULL, NULL) : NULL;
  neap_tensor *out = qx ? classify(c, l, b, qx, y, neap_energy_log_prob(c, q, y, NULL, NULL)) : NULL;
  neap_energy_release(q);
  return out;
}

static const neap_loss_kind flow_contrastive = { "flow_contrastive", memory, NULL, eval_flow };

/* Its draws are functions of its parameters, with derivatives. */
static bool is_flow (const neap_energy *E) {
  return E && (E->cls == &energy_flow_class || E->cls == &energy_gaussian_class);
}

neap_loss *neap_loss_flow_contrastive (neap_context *c, neap_energy *flow) {
  if (!is_flow(flow))
    return neap_fail(c, NEAP_EARG, "flow_contrastive: flow: a flow or a gaussian expected, got %s",
                     flow ? energy_title(flow) : "none");
  neap_loss *l = loss_new(c, &flow_contrastive);
  if (!l) return NULL;
  l->noise = neap_energy_keep(flow);
  l->trains_noise = true;
  l->ratio = 1;
  if (add_log_z(c, l)) return l;
  neap_loss_release(l);
  return NULL;
}
