/*
** path.c -- differences of energies, and moves, along a path between two laws.
** Invariant: differences are made before they are summed, so that they keep their digits beside large energies; they
** are float64.  An energy of the path lives for one call only.
*/
#include "sampler/path.h"
#include "sampler/gibbs.h"
#include "energy/rbm.h"

bool path_takes (neap_context *c, const char *who, const neap_sampler *kernel) {
  if (!kernel) return neap_fail(c, NEAP_EARG, "%s: kernel: a sampler expected, got none", who);
  if (sampler_lacks_step(kernel))
    return neap_fail(c, NEAP_EARG, "%s: kernel: %s with a step_size expected, which no warm-up sets here", who,
                     kernel->kind->name);
  if (!kernel->kernel && kernel->schedule == 0) return true;
  return neap_fail(c, NEAP_EARG, "%s: kernel: a sampler of single moves expected, got %s", who, kernel->kind->name);
}

neap_energy *path_machine (const neap_sampler *s, neap_energy *E) {
  neap_energy *base = gibbs_base(E);
  return gibbs_is(s->kernel) && rbm_is_machine(base) ? base : NULL;
}

/* b [B] as weights of x's rows */
static neap_tensor *weights (neap_context *c, neap_tensor *b, const neap_tensor *like) {
  return b && like ? rows_expand(c, neap_cast(c, b, like->dtype), like->ndim) : NULL;
}

/* ---- machines ---- */

/* (1 − b) bias + b b [B, V]; b itself where they are one */
static neap_tensor *visible_bias (neap_context *c, neap_sampler *s, neap_energy *rbm, neap_tensor *b) {
  neap_tensor *own = rbm->slots[RBM_B].value, *bias = s->bias ? neap_cast(c, s->bias, own->dtype) : NULL;
  if (!s->bias || rbm_is_gaussian(rbm)) return own;
  b = b ? neap_reshape(c, neap_cast(c, b, own->dtype), 2, (int64_t[]){ b->shape[0], 1 }) : NULL;
  return bias && b ? neap_add(c, bias, neap_mul(c, b, neap_sub(c, own, bias))) : NULL;
}

/* (b1 − b0)(b − bias)·v [B]; NULL without error where they are one */
static neap_tensor *bias_drop (neap_context *c, neap_sampler *s, neap_energy *rbm, neap_tensor *v, neap_tensor *rise) {
  neap_tensor *own = rbm->slots[RBM_B].value;
  if (!s->bias || rbm_is_gaussian(rbm)) return NULL;
  neap_tensor *along = neap_matmul(c, v, neap_sub(c, own, neap_cast(c, s->bias, own->dtype)));
  return along ? neap_mul(c, rise, neap_cast(c, along, NEAP_FLOAT64)) : NULL;
}

static neap_tensor *machine_drop (neap_context *c, neap_sampler *s, neap_energy *rbm, neap_tensor *v, neap_tensor *b0,
                                  neap_tensor *b1) {
  neap_tensor *t = rbm_to_hidden(c, rbm, v), *w0 = weights(c, b0, t), *w1 = weights(c, b1, t);
  if (!w0 || !w1) return NULL;
  neap_tensor *after = neap_softplus(c, neap_mul(c, t, w1), 1), *before = neap_softplus(c, neap_mul(c, t, w0), 1);
  neap_tensor *sum = energy_sum_last(c, neap_sub(c, after, before));
  sum = sum ? neap_cast(c, sum, NEAP_FLOAT64) : NULL;
  neap_tensor *more = bias_drop(c, s, rbm, v, neap_sub(c, b1, b0));
  return more ? neap_add(c, sum, more) : neap_ok(c) ? sum : NULL;
}

/* h [B, H] -> v [B, V] */
static neap_tensor *machine_visible (neap_context *c, neap_sampler *s, neap_energy *rbm, neap_state *st,
                                     neap_tensor *h, neap_tensor *b) {
  neap_tensor *r = rbm_from_hidden(c, rbm, h);
  r = neap_add(c, neap_mul(c, r, weights(c, b, r)), visible_bias(c, s, rbm, b));
  return rbm_draw_visible(c, rbm, st->rng, r);
}

static bool machine_move (neap_context *c, neap_sampler *s, neap_energy *rbm, neap_energy *E, neap_state *st,
                          neap_tensor *b) {
  neap_tensor *x = neap_state_get(st, "x"), *t = rbm_to_hidden(c, rbm, x);
  neap_tensor *p = t ? neap_sigmoid(c, neap_mul(c, t, weights(c, b, t))) : NULL;
  neap_tensor *h = p ? neap_rng_bernoulli(c, st->rng, p) : NULL;
  neap_tensor *v = gibbs_hold(c, E, x, h ? machine_visible(c, s, rbm, st, h, b) : NULL);
  return v && neap_state_set(c, st, "x", v);
}

/* ---- any energy ---- */

static neap_tensor *mixed_drop (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, neap_tensor *b0,
                                neap_tensor *b1) {
  neap_tensor *x = neap_state_get(st, "x"), *e = sampler_energy(c, E, st, x);
  neap_tensor *drop = e ? neap_neg(c, neap_cast(c, e, NEAP_FLOAT64)) : NULL;
  neap_tensor *from = s->base ? neap_energy_eval(c, s->base, x, NULL) : NULL;
  if (s->base) drop = from && drop ? neap_add(c, drop, neap_cast(c, from, NEAP_FLOAT64)) : NULL;
  return drop ? neap_mul(c, neap_sub(c, b1, b0), drop) : NULL;
}

/* (1 − b) base + b E, owned by the caller */
static neap_energy *between (neap_context *c, neap_sampler *s, neap_energy *E, neap_tensor *b) {
  if (!b) return NULL;
  neap_energy *to = neap_energy_scale_by(c, E, b);
  if (!s->base || !to) return to;
  neap_energy *parts[2] = { neap_energy_scale_by(c, s->base, neap_sub(c, neap_ones_like(c, b), b)), to };
  neap_energy *sum = parts[0] ? neap_energy_sum(c, 2, parts) : NULL;
  neap_energy_release(parts[0]);
  neap_energy_release(to);
  return sum;
}

/* init: what the kernel carries is made anew first */
static bool with_energy (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, neap_tensor *b, bool init,
                         int64_t moves) {
  neap_sampler *k = s->kernel;
  neap_energy *now = between(c, s, E, b);
  bool ok = now && (!init || !k->kind->init || k->kind->init(c, k, now, st));
  for (int64_t i = 0; ok && i < moves; i++) ok = k->kind->step(c, k, now, st) && neap_poll(c);
  neap_energy_release(now);
  return ok && neap_ok(c);
}

/* ---- either ---- */

neap_tensor *path_drop (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, neap_tensor *b0,
                        neap_tensor *b1) {
  neap_energy *rbm = path_machine(s, E);
  return rbm ? machine_drop(c, s, rbm, neap_state_get(st, "x"), b0, b1) : mixed_drop(c, s, E, st, b0, b1);
}

bool path_init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, neap_tensor *b) {
  return path_machine(s, E) ? true : with_energy(c, s, E, st, b, true, 0);
}

bool path_step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, neap_tensor *b) {
  neap_energy *rbm = path_machine(s, E);
  return rbm ? machine_move(c, s, rbm, E, st, b) : with_energy(c, s, E, st, b, false, 1);
}

bool path_move (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, neap_tensor *b) {
  neap_energy *rbm = path_machine(s, E);
  if (!rbm) return with_energy(c, s, E, st, b, true, s->moves);
  for (int64_t i = 0; i < s->moves; i++) if (!machine_move(c, s, rbm, E, st, b) || !neap_poll(c)) return false;
  return true;
}
