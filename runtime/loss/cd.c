/*
** cd.c -- contrastive divergence (Hinton 2002), its persistent form (Tieleman 2008, Du and Mordatch 2019), and both
** beside a classifier (JEM).
** mean E(x⁺) − mean E(x⁻) has the likelihood's gradient in expectation when x⁻ follows exp(−E); x⁻ comes from
** a few steps of a sampler, from the data (cd) or from chains that go on from call to call (pcd).
** Invariant: x⁻ is a constant: no derivative passes through the sampler.
*/
#include "loss/loss.h"
#include "energy/energy.h"
#include <math.h>

neap_tensor *loss_negatives (neap_context *c, neap_loss *l, loss_batch *b, neap_energy *E, neap_tensor *x,
                             neap_tensor *cond) {
  neap_state *st = neap_sampler_init(c, l->sampler, E, x, cond, b->rng);
  if (!st) return NULL;
  bool ok = sampler_steps(c, l->sampler, E, st, l->steps);
  x = ok ? neap_lend(c, neap_keep(neap_state_get(st, "x"))) : NULL;
  neap_tensor *accepted = neap_state_get(st, "accepted");
  if (x && accepted) {
    neap_tensor *rate = rows_scale(c, rows_mean(c, accepted), 1. / (double)l->steps);
    if (!loss_tell(c, b, "accept_rate", rate)) x = NULL;
  }
  neap_state_free(st);
  return x;
}

neap_tensor *loss_contrast (neap_context *c, neap_loss *l, loss_batch *b, neap_tensor *y, neap_tensor *ycond) {
  neap_tensor *pos = neap_energy_eval(c, b->E, b->x, b->cond), *neg = y ? neap_energy_eval(c, b->E, y, ycond) : NULL;
  neap_tensor *mp = rows_mean(c, pos), *mn = rows_mean(c, neg), *loss = neap_sub(c, mp, mn);
  bool told = loss_tell(c, b, "positive", mp) && loss_tell(c, b, "negative", mn);
  if (!loss || !told) return NULL;
  if (l->reg == 0) return loss;
  return rows_axpy(c, l->reg, neap_add(c, rows_mean(c, neap_square(c, pos)), rows_mean(c, neap_square(c, neg))), loss);
}

/* ---- cd ---- */

/* x⁻ from the batch's x or from where chains start */
static neap_tensor *cd_negatives (neap_context *c, neap_loss *l, loss_batch *b) {
  neap_tensor *x = b->x;
  if (l->start.kind != NEAP_START_DATA)
    x = sampler_start(c, "cd", l->start, b->rng, x->dtype, x->ndim, x->shape, x);
  x = loss_negatives(c, l, b, b->E, x, b->cond);
  return x && loss_tell(c, b, "samples", x) ? x : NULL;
}

enum { FEW_STEPS = 3 };                    /* so few are recorded with the loss, which may share parts with them */

static bool prepare_cd (neap_context *c, neap_loss *l, loss_batch *b) {
  if (l->steps <= FEW_STEPS) return true;
  b->neg_cond = b->cond;
  return (b->neg = cd_negatives(c, l, b)) != NULL;
}

static neap_tensor *eval_cd (neap_context *c, neap_loss *l, loss_batch *b) {
  if (l->steps <= FEW_STEPS) return loss_contrast(c, l, b, cd_negatives(c, l, b), b->cond);
  return loss_contrast(c, l, b, b->neg, b->neg_cond);
}

static const neap_loss_kind cd = { "cd", NULL, prepare_cd, eval_cd };

neap_loss *loss_with_sampler (neap_context *c, const neap_loss_kind *kind, neap_sampler *s, int64_t steps,
                              neap_start start, double reg) {
  if (!s) return neap_fail(c, NEAP_EARG, "%s: sampler: a sampler expected, got none", kind->name);
  if (steps < 0)
    return neap_fail(c, NEAP_EARG, "%s: steps: a positive integer expected, got %lld", kind->name, (long long)steps);
  if (!(reg >= 0)) return neap_fail(c, NEAP_EARG, "%s: reg: a number from 0 up expected, got %g", kind->name, reg);
  neap_loss *l = loss_new(c, kind);
  if (!l) return NULL;
  l->sampler = neap_sampler_keep(s);
  l->steps = steps ? steps : 1;
  l->start = start;
  l->reg = reg;
  return l;
}

neap_loss *neap_loss_cd (neap_context *c, const neap_cd_config *cfg) {
  neap_start start = cfg->start;
  if (start.kind == NEAP_START_DEFAULT) start.kind = NEAP_START_DATA;
  return loss_with_sampler(c, &cd, cfg->sampler, cfg->steps, start, cfg->reg);
}

/* ---- pcd ---- */

/* n rows of t [B, …] at random, with replacement */
static neap_tensor *some_rows (neap_context *c, loss_batch *b, neap_tensor *t, int64_t n) {
  neap_tensor *i = neap_rng_randint(c, b->rng, 1, t->shape[0], 1, &n);
  return i ? neap_index_select(c, t, 1, i) : NULL;
}

/* n first positions [n, event…] */
static neap_tensor *fresh (neap_context *c, neap_loss *l, loss_batch *b, int64_t n) {
  int64_t shape[NEAP_MAX_DIMS];
  neap_start start = sampler_default_start(l->sampler, b->E, l->start);
  if (start.kind == NEAP_START_DATA) return some_rows(c, b, b->x, n);
  for (int i = 0; i < b->x->ndim; i++) shape[i] = b->x->shape[i];
  shape[0] = n;
  return sampler_start(c, "pcd", start, b->rng, b->x->dtype, b->x->ndim, shape, NULL);
}

/* The chains, and with a conditional batch the condition that each belongs to. */
static bool ensure_buffer (neap_context *c, neap_loss *l, loss_batch *b) {
  neap_tensor *buffer = neap_state_get(l->memory, "buffer");
  if (buffer) {
    if (buffer->ndim == b->x->ndim && rows_same_event(buffer, b->x)) return true;
    return neap_fail(c, NEAP_ESHAPE, "pcd: batch: x is %s, but the buffer holds %s", SHAPE_TEXT(b->x),
                     SHAPE_TEXT(buffer));
  }
  int64_t n = l->buffer ? l->buffer : b->x->shape[0];
  neap_tensor *x = fresh(c, l, b, n), *cond = b->cond && x ? some_rows(c, b, b->cond, n) : NULL;
  if (b->cond && !(cond && neap_state_set(c, l->memory, "condition", neap_detach(c, cond)))) return false;
  return x && neap_state_set(c, l->memory, "buffer", neap_detach(c, x));
}

/* int64 [n]: which of the buffer's rows are run now; NULL with no error: all of them */
static neap_tensor *turn (neap_context *c, loss_batch *b, int64_t have) {
  int64_t n = b->x->shape[0];
  if (n >= have) return NULL;
  neap_tensor *order = neap_rng_permutation(c, b->rng, have);
  return order ? neap_slice(c, order, 1, 1, n, 1) : NULL;
}

static neap_tensor *restart_some (neap_context *c, neap_loss *l, loss_batch *b, neap_tensor *x) {
  if (l->reinit == 0 || !x) return x;
  neap_tensor *p = neap_full(c, NEAP_FLOAT32, 1, x->shape, l->reinit);
  neap_tensor *hit = p ? neap_rng_bernoulli(c, b->rng, p) : NULL;
  return hit ? rows_where(c, neap_ne(c, hit, neap_scalar(c, NEAP_FLOAT32, 0)), fresh(c, l, b, x->shape[0]), x) : NULL;
}

static bool prepare_pcd (neap_context *c, neap_loss *l, loss_batch *b) {
  if (!ensure_buffer(c, l, b)) return false;
  neap_tensor *buffer = neap_state_get(l->memory, "buffer"), *cond = neap_state_get(l->memory, "condition");
  neap_tensor *rows = turn(c, b, buffer->shape[0]), *x = rows ? neap_index_select(c, buffer, 1, rows) : buffer;
  if (!neap_ok(c)) return false;
  b->neg_cond = rows && cond ? neap_index_select(c, cond, 1, rows) : cond;
  b->neg = x = loss_negatives(c, l, b, b->E, restart_some(c, l, b, x), b->neg_cond);
  if (x && !neap_state_set(c, l->memory, "buffer", rows ? neap_index_copy(c, buffer, 1, rows, x) : x)) return false;
  return x && loss_tell(c, b, "samples", x);
}

static neap_tensor *eval_pcd (neap_context *c, neap_loss *l, loss_batch *b) {
  return loss_contrast(c, l, b, b->neg, b->neg_cond);
}

static const char *const pcd_memory[] = { "buffer", "condition", NULL };
static const neap_loss_kind pcd = { "pcd", pcd_memory, prepare_pcd, eval_pcd };

static neap_loss *persistent (neap_context *c, const neap_loss_kind *kind, const neap_pcd_config *cfg) {
  if (cfg->buffer < 0)
    return neap_fail(c, NEAP_EARG, "%s: buffer: a positive integer expected, got %lld", kind->name,
                     (long long)cfg->buffer);
  if (!(cfg->reinit >= 0 && cfg->reinit <= 1))
    return neap_fail(c, NEAP_EARG, "%s: reinit: a probability expected, got %g", kind->name, cfg->reinit);
  neap_loss *l = loss_with_sampler(c, kind, cfg->sampler, cfg->steps, cfg->start, cfg->reg);
  if (!l) return NULL;
  l->buffer = cfg->buffer;
  l->reinit = cfg->reinit;
  return l;
}

neap_loss *neap_loss_pcd (neap_context *c, const neap_pcd_config *cfg) { return persistent(c, &pcd, cfg); }

/* ---- jem (Grathwohl et al. 2020): log p(x, y) = log p(y | x) + log p(x), the second half by cd or pcd ---- */

static bool check_labels (neap_context *c, loss_batch *b) {
  neap_tensor *y = b->cond;
  if (!y)
    return neap_fail(c, NEAP_EARG, "jem: batch: {x, labels} expected, got x alone");
  if (y->dtype != NEAP_INT64 || y->ndim != 1 || y->shape[0] != b->x->shape[0])
    return neap_fail(c, NEAP_ESHAPE, "jem: batch: labels int64 [%lld], 1 … K, expected, got %s %s",
                     (long long)b->x->shape[0], neap_dtype_name(y->dtype), SHAPE_TEXT(y));
  return energy_is_classifier(b->E) ||
         neap_fail(c, NEAP_EARG, "jem: E: neap.energy.classifier(…) expected, got %s", energy_title(b->E));
}

/* What the marginal energy is trained on: x alone. */
static loss_batch without_labels (const loss_batch *b) {
  loss_batch m = *b;
  m.cond = m.neg_cond = NULL;
  return m;
}

static bool prepare_jem (neap_context *c, neap_loss *l, loss_batch *b) {
  if (!check_labels(c, b)) return false;
  loss_batch m = without_labels(b);
  if (l->buffer) {
    if (!prepare_pcd(c, l, &m)) return false;
    b->neg = m.neg;
  } else b->neg = cd_negatives(c, l, &m);
  return b->neg != NULL;
}

static neap_tensor *accuracy (neap_context *c, neap_tensor *logits, neap_tensor *labels) {
  neap_tensor *guess = neap_argmax(c, logits, 2, false);
  return guess ? rows_mean(c, neap_cast(c, neap_eq(c, guess, labels), logits->dtype)) : NULL;
}

/* in blocks of rows, as the rest of the loss: energy_logit_of */
static neap_tensor *cross_entropy (neap_context *c, neap_tensor *logits, neap_tensor *labels) {
  neap_tensor *own = energy_logit_of(c, logits, labels), *all = own ? energy_logsumexp_last(c, logits) : NULL;
  return all ? rows_mean(c, neap_sub(c, all, own)) : NULL;
}

static neap_tensor *eval_jem (neap_context *c, neap_loss *l, loss_batch *b) {
  loss_batch m = without_labels(b);
  neap_tensor *logits = energy_logits(c, b->E, b->x, NULL);
  neap_tensor *wrong = logits ? cross_entropy(c, logits, b->cond) : NULL;
  neap_tensor *right = accuracy(c, logits, b->cond);
  if (!loss_tell(c, b, "cross_entropy", wrong) || !loss_tell(c, b, "accuracy", right)) return NULL;
  neap_tensor *marginal = loss_contrast(c, l, &m, b->neg, NULL);
  return wrong && marginal ? rows_axpy(c, l->w, marginal, wrong) : NULL;
}

static const neap_loss_kind jem = { "jem", pcd_memory, prepare_jem, eval_jem };

neap_loss *neap_loss_jem (neap_context *c, const neap_pcd_config *cfg, double weight) {
  if (!(weight >= 0 && isfinite(weight)))
    return neap_fail(c, NEAP_EARG, "jem: weight: a number from 0 up expected, got %g", weight);
  if (cfg->reinit != 0 && cfg->buffer == 0)
    return neap_fail(c, NEAP_EARG, "jem: reinit: a buffer of chains expected with it");
  neap_pcd_config own = *cfg;
  if (!own.buffer && own.start.kind == NEAP_START_DEFAULT) own.start.kind = NEAP_START_DATA;
  neap_loss *l = persistent(c, &jem, &own);
  if (l) l->w = weight;
  return l;
}
