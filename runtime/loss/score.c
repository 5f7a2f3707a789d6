/*
** score.c -- losses on the score s = −∇E: exact, denoising, and against a known law.
** Invariant: each is a mean over rows of a sum over the event's dimensions; log Z never appears, since ∇ₓ log Z = 0.
*/
#include "loss/loss.h"
#include <math.h>

/* ---- exact (Hyvärinen 2005): ½|s|² + tr ∇s, with s = −∇E ---- */

static neap_tensor *eval_exact (neap_context *c, neap_loss *l, loss_batch *b) {
  (void)l;
  neap_tensor *g = neap_energy_grad(c, b->E, b->x, b->cond), *lap = neap_energy_laplacian(c, b->E, b->x, b->cond);
  return loss_hyvarinen(c, b, loss_half_square(c, g), lap);
}

static const neap_loss_kind exact = { "score_matching", NULL, NULL, eval_exact };

neap_loss *neap_loss_score_matching (neap_context *c) { return loss_new(c, &exact); }

/* ---- denoising (Vincent 2011): x̃ = x + σn has score −n/σ given x, so σs(x̃) + n has mean 0 at the truth ---- */

/* sigma: 0-d, or [B, 1, …]; x, n [B, event…] -> ½ mean |n − σ∇E(x + σn)|² */
static neap_tensor *residual (neap_context *c, loss_batch *b, neap_tensor *sigma, neap_tensor *n, neap_tensor *cond) {
  neap_tensor *noisy = neap_add(c, b->x, neap_mul(c, sigma, n));
  neap_tensor *g = noisy ? neap_energy_grad(c, b->E, noisy, cond) : NULL;
  return loss_half_square(c, neap_sub(c, n, neap_mul(c, sigma, g)));
}

/* the mean over noise n, or n and −n: what is odd in n, most of the noise in a gradient where σ is small, cancels */
static neap_tensor *denoise (neap_context *c, const neap_loss *l, loss_batch *b, neap_tensor *sigma,
                             neap_tensor *cond) {
  if (!loss_needs_float(c, l, b)) return NULL;
  neap_tensor *n = rows_normal(c, b->rng, b->x), *one = residual(c, b, sigma, n, cond);
  if (!l->antithetic || !one) return one;
  return rows_scale(c, neap_add(c, one, residual(c, b, sigma, neap_neg(c, n), cond)), .5);
}

static neap_tensor *eval_dsm (neap_context *c, neap_loss *l, loss_batch *b) {
  return denoise(c, l, b, neap_scalar(c, b->x->dtype, l->sigma), b->cond);
}

static const neap_loss_kind dsm = { "dsm", NULL, NULL, eval_dsm };

neap_loss *neap_loss_dsm (neap_context *c, double sigma) {
  if (!sampler_positive(c, "dsm", "sigma", sigma)) return NULL;
  neap_loss *l = loss_new(c, &dsm);
  if (l) l->sigma = sigma;
  return l;
}

neap_tensor *loss_join_sigma (neap_context *c, loss_batch *b, neap_tensor *sigma) {
  neap_tensor *column = rows_expand(c, sigma, 2);
  if (!b->cond || !column) return column;
  return neap_cat(c, 2, (neap_tensor *[]){ b->cond, column }, 2);
}

bool loss_takes_sigma (const neap_loss *l, const loss_batch *b) {
  return l->conditional > 0 || (l->conditional < 0 && !b->cond && neap_energy_conditional(b->E) != 0);
}

static neap_tensor *eval_multi (neap_context *c, neap_loss *l, loss_batch *b) {
  neap_tensor *level = neap_rng_randint(c, b->rng, 1, l->sigmas->shape[0], 1, b->x->shape);
  neap_tensor *sigma = level ? neap_cast(c, neap_index_select(c, l->sigmas, 1, level), b->x->dtype) : NULL;
  neap_tensor *cond = loss_takes_sigma(l, b) ? loss_join_sigma(c, b, sigma) : b->cond;
  return sigma ? denoise(c, l, b, rows_expand(c, sigma, b->x->ndim), cond) : NULL;
}

static const neap_loss_kind multi = { "multi_dsm", NULL, NULL, eval_multi };

neap_loss *neap_loss_multi_dsm (neap_context *c, int n, const double *sigmas, int conditional) {
  if (n < 1) return neap_fail(c, NEAP_EARG, "multi_dsm: sigmas: at least one expected, got %d", n);
  for (int i = 0; i < n; i++)
    if (!sampler_positive(c, "multi_dsm", "sigmas", sigmas[i])) return NULL;
  neap_loss *l = loss_new(c, &multi);
  if (!l) return NULL;
  neap_scope sc = neap_scope_open(c);
  l->sigmas = neap_keep(neap_from(c, NEAP_FLOAT64, 1, (int64_t[]){ n }, sigmas));
  neap_scope_close(c, sc);
  l->conditional = conditional;
  if (l->sigmas) return l;
  neap_loss_release(l);
  return NULL;
}

bool neap_loss_antithetic (neap_context *c, neap_loss *l, bool on) {
  if (!l || !neap_ok(c)) return false;
  if (l->kind != &dsm && l->kind != &multi)
    return neap_fail(c, NEAP_EARG, "%s: antithetic: dsm or multi_dsm expected", l->kind->name);
  l->antithetic = on;
  l->serial = ++c->serial;
  return true;
}

/* ---- Fisher divergence to a known law: ½|s − s*|² ---- */

/* ∇ log p at x, from f = log p */
static neap_tensor *score_of (neap_context *c, neap_loss *l, neap_tensor *x) {
  neap_tensor *v = neap_variable(c, x), *lp = v ? l->f(c, l->arg, v) : NULL, *s = NULL;
  if (!lp) return NULL;
  if (lp->ndim != 1 || lp->shape[0] != x->shape[0])
    return neap_fail(c, NEAP_ESHAPE, "fisher: log_prob: [%lld] expected for x %s, got %s", (long long)x->shape[0],
                     SHAPE_TEXT(x), SHAPE_TEXT(lp));
  return neap_gradients(c, lp, 1, &v, neap_ones_like(c, lp), NEAP_ZERO_UNUSED, &s) ? s : NULL;
}

static neap_tensor *target_score (neap_context *c, neap_loss *l, neap_tensor *x) {
  neap_mode m = neap_no_grad(c);
  neap_tensor *s = l->is_log_prob ? score_of(c, l, x) : l->f(c, l->arg, x);
  neap_mode_restore(c, m);
  if (s && !neap_same_shape(s, x))
    return neap_fail(c, NEAP_ESHAPE, "fisher: score: x's shape %s expected, got %s", SHAPE_TEXT(x), SHAPE_TEXT(s));
  return s ? neap_detach(c, s) : NULL;
}

static neap_tensor *eval_fisher (neap_context *c, neap_loss *l, loss_batch *b) {
  neap_tensor *target = target_score(c, l, b->x);
  neap_tensor *s = target ? neap_energy_score(c, b->E, b->x, b->cond) : NULL;
  return loss_half_square(c, neap_sub(c, s, target));
}

static const neap_loss_kind fisher = { "fisher", NULL, NULL, eval_fisher };

neap_loss *neap_loss_fisher (neap_context *c, neap_tensor_fn f, bool is_log_prob, void *arg,
                             void (*release) (void *arg)) {
  neap_loss *l = loss_new(c, &fisher);
  if (!l) {
    if (release) release(arg);
    return NULL;
  }
  l->f = f;
  l->is_log_prob = is_log_prob;
  l->arg = arg;
  l->release = release;
  return l;
}
