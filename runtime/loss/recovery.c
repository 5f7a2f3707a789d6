/*
** recovery.c -- diffusion recovery likelihood (Gao et al. 2021): contrastive divergence on conditionals.
** Levels σ₁ > … > σₙ of noise on the data; E(·, σₖ) learns the data blurred by σₖ from the law of x, blurred by σₖ,
** given x̃, blurred by σₖ₋₁: p(y | x̃) ∝ exp(−E(y, σₖ) − |x̃ − y|²/2s²), s² = σₖ₋₁² − σₖ².  It has one mode where s
** is small, so short chains do.  In z = (y − x̃)/s its last part is ½|z|² at every level.
** Invariant: x, x̃ and the samples are constants; z's law comes from an energy of E as it is now, so E's parameters may
** change from call to call.
*/
#include "loss/loss.h"
#include "energy/energy.h"

/* ---- the energy of z: E(x̃ + sz) + ½|z|²; its condition [B, D + 1 + k] is x̃, s, and E's own of k columns ---- */

static neap_tensor *columns (neap_context *c, neap_tensor *t, int64_t first, int64_t last) {
  return last < first ? NULL : neap_slice(c, t, 2, first, last, 1);
}

static neap_tensor *eval_conditional (neap_context *c, neap_energy *E, neap_tensor *z, neap_tensor *cond) {
  int64_t D = neap_row_numel(z);
  neap_tensor *from = neap_reshape(c, columns(c, cond, 1, D), z->ndim, z->shape);
  neap_tensor *s = rows_expand(c, neap_reshape(c, columns(c, cond, D + 1, D + 1), 1, z->shape), z->ndim);
  neap_tensor *y = neap_add(c, from, neap_mul(c, s, z)), *rest = columns(c, cond, D + 2, cond->shape[1]);
  neap_tensor *e = y ? neap_energy_eval(c, E->parts[0], y, rest) : NULL;
  return e ? rows_axpy(c, .5, rows_dot(c, z, z), e) : NULL;
}

static bool check_conditional (neap_context *c, neap_energy *E) {
  (void)c;
  E->wants = 1;
  return true;
}

static const energy_class conditional_class = { .name = "diffusion_recovery", .min_parts = 1, .max_parts = 1,
                                                .check = check_conditional, .eval = eval_conditional };

/* E's, which lives on with the loss, as do the programs made of it. */
static neap_energy *conditional_of (neap_context *c, neap_loss *l, neap_energy *E) {
  if (l->law && l->law->parts[0] == E) return l->law;
  neap_energy_release(l->law);
  return l->law = energy_finish(c, energy_new(c, &conditional_class, 0, 1, &E));
}

/* ---- the loss ---- */

/* v [n] at the places i [B], like x */
static neap_tensor *levels (neap_context *c, neap_tensor *v, neap_tensor *i, neap_tensor *x) {
  return v && i ? neap_cast(c, neap_index_select(c, v, 1, i), x->dtype) : NULL;
}

/* x with noise of std sigma [B] more */
static neap_tensor *noisier (neap_context *c, loss_batch *b, neap_tensor *x, neap_tensor *sigma) {
  return x && sigma ? neap_add(c, x, neap_mul(c, rows_expand(c, sigma, x->ndim), rows_normal(c, b->rng, x))) : NULL;
}

/* x̃, s and E's condition side by side */
static neap_tensor *condition (neap_context *c, neap_tensor *from, neap_tensor *s, neap_tensor *own) {
  neap_tensor *parts[3] = { rows_flat(c, from), rows_expand(c, s, 2), own };
  if (!own) return neap_cat(c, 2, parts, 2);
  if (own->ndim != 2)
    return neap_fail(c, NEAP_ESHAPE, "diffusion_recovery: batch: a condition [B, k] expected, got %s", SHAPE_TEXT(own));
  parts[2] = neap_cast(c, own, from->dtype);
  return neap_cat(c, 3, parts, 2);
}

/* x⁻ given x̃ [B, event…], from x̃ or x on */
static neap_tensor *recover (neap_context *c, neap_loss *l, loss_batch *b, neap_tensor *x, neap_tensor *from,
                             neap_tensor *s, neap_tensor *own) {
  neap_energy *E = conditional_of(c, l, b->E);
  neap_tensor *each = rows_expand(c, s, from->ndim), *z = NULL;
  if (l->start.kind == NEAP_START_DATA) z = neap_div(c, neap_sub(c, x, from), each);
  else z = neap_zeros_like(c, from);
  z = E && z ? loss_negatives(c, l, b, E, z, condition(c, from, s, own)) : NULL;
  return z ? neap_add(c, from, neap_mul(c, each, z)) : NULL;
}

static bool prepare (neap_context *c, neap_loss *l, loss_batch *b) {
  if (!loss_needs_float(c, l, b)) return false;
  neap_tensor *k = neap_rng_randint(c, b->rng, 1, l->sigmas->shape[0] - 1, 1, b->x->shape);
  neap_tensor *above = levels(c, l->sigmas, k, b->x);
  neap_tensor *sigma = k ? levels(c, l->sigmas, neap_add(c, k, neap_scalar(c, NEAP_INT64, 1)), b->x) : NULL;
  if (!above || !sigma) return false;
  neap_tensor *s = neap_sqrt(c, neap_sub(c, neap_square(c, above), neap_square(c, sigma)));
  neap_tensor *own = loss_takes_sigma(l, b) ? loss_join_sigma(c, b, sigma) : b->cond;
  neap_tensor *x = noisier(c, b, b->x, sigma), *from = noisier(c, b, x, s);
  b->x = x;
  b->cond = b->neg_cond = own;
  b->neg = from ? recover(c, l, b, x, from, s, own) : NULL;
  return b->neg && loss_tell(c, b, "samples", b->neg);
}

static neap_tensor *eval (neap_context *c, neap_loss *l, loss_batch *b) {
  return loss_contrast(c, l, b, b->neg, b->neg_cond);
}

static const neap_loss_kind recovery = { "diffusion_recovery", NULL, prepare, eval };

/* ---- making ---- */

/* all differ, and one may be 0 */
static bool check_levels (neap_context *c, int n, const double *sigmas) {
  if (n < 2) return neap_fail(c, NEAP_EARG, "diffusion_recovery: sigmas: at least 2 expected, got %d", n);
  for (int i = 0; i < n; i++) {
    if (sigmas[i] != 0 && !sampler_positive(c, "diffusion_recovery", "sigmas", sigmas[i])) return false;
    for (int j = 0; j < i; j++)
      if (sigmas[i] == sigmas[j])
        return neap_fail(c, NEAP_EARG, "diffusion_recovery: sigmas: different levels expected, got %g twice",
                         sigmas[i]);
  }
  return true;
}

neap_loss *neap_loss_diffusion_recovery (neap_context *c, const neap_recovery_config *cfg) {
  if (!check_levels(c, cfg->n, cfg->sigmas)) return NULL;
  if (cfg->start.kind != NEAP_START_DEFAULT && cfg->start.kind != NEAP_START_DATA)
    return neap_fail(c, NEAP_EARG, "diffusion_recovery: init: \"data\" or nothing expected");
  neap_sampler *s = cfg->sampler ? neap_sampler_keep(cfg->sampler) : neap_sampler_langevin(c, .1, NULL);
  neap_loss *l = s ? loss_with_sampler(c, &recovery, s, cfg->steps ? cfg->steps : 30, cfg->start, cfg->reg) : NULL;
  neap_sampler_release(s);
  if (!l) return NULL;
  l->conditional = cfg->conditional;
  if ((l->sigmas = sampler_levels(c, cfg->n, cfg->sigmas))) return l;
  neap_loss_release(l);
  return NULL;
}
