/*
** categorical.c -- steps for units of states 1 … q, by the gradient of E by x one-hot.
** With z = x one-hot and g = ∂E/∂z, unit i in state k instead of xᵢ changes E by about r[i, k] = g[i, k] − g[i, xᵢ]:
** exactly, where E has no products of a unit with itself.  The proposals are those of binary units: one change with
** probability ∝ e^(−r/2) (Grathwohl et al. 2021), or each unit by itself ∝ e^(−r/2 − [k ≠ xᵢ]/ε) (Zhang et al. 2022,
** |z − z′|² = 2); a Metropolis choice makes the law exact.
** Invariant: "energy" and "grad" belong to "x"; units that E:fix holds never change.
*/
#include "sampler/categorical.h"
#include "energy/states.h"

#define NEVER -1e30                          /* the logit of a change that is not to be */

bool categorical_is (const neap_energy *E) { return energy_labels(E) > 0; }

/* x [chains, event…] -> [chains, n, q] */
static neap_tensor *one_hot (neap_context *c, neap_energy *E, neap_tensor *x) {
  neap_tensor *z = x ? energy_one_hot_of(c, E, x) : NULL;
  return z ? neap_reshape(c, z, 3, (int64_t[]){ x->shape[0], neap_row_numel(x), energy_labels(E) }) : NULL;
}

/* E(x) [chains] and ∂E/∂z [chains, n, q] */
static bool gradient (neap_context *c, neap_energy *E, neap_state *st, neap_tensor *x, neap_tensor **e,
                      neap_tensor **g) {
  neap_tensor *z = x ? energy_one_hot_of(c, E, x) : NULL;
  if (!z || !sampler_gradient(c, E, st, z, e, g)) return false;
  *g = neap_reshape(c, *g, 3, (int64_t[]){ x->shape[0], neap_row_numel(x), energy_labels(E) });
  return *g != NULL;
}

/* x holds 1 … q; while a function is recorded there are no values to look at */
static bool check (neap_context *c, neap_sampler *s, neap_energy *E, neap_tensor *x) {
  double all = 0;
  if (c->trace) return true;
  neap_tensor *whole = neap_is_float(x->dtype) ? neap_eq(c, x, neap_floor(c, x)) : NULL;
  neap_tensor *least = neap_ge(c, x, num(c, x, 1)), *most = neap_le(c, x, num(c, x, (double)energy_labels(E)));
  neap_tensor *ok = neap_logical_and(c, least, most);
  if (whole) ok = neap_logical_and(c, ok, whole);
  if (!neap_item(c, neap_all(c, ok, -1, NULL, false), &all)) return false;
  if (all != 0) return true;
  return neap_fail(c, NEAP_EARG, "%s: x: whole numbers from 1 to %lld expected, got others in %s", s->kind->name,
                   (long long)energy_labels(E), SHAPE_TEXT(x));
}

bool categorical_init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *e, *g;
  return check(c, s, E, x) && gradient(c, E, st, x, &e, &g) && neap_state_set(c, st, "energy", e) &&
         neap_state_set(c, st, "grad", g) && sampler_counter(c, st, "accepted");
}

/* ½ (g[i, xᵢ] − g[i, k]), less cost for k ≠ xᵢ; a unit that E holds never changes */
static neap_tensor *logits (neap_context *c, neap_energy *E, neap_tensor *z, neap_tensor *g, double cost) {
  neap_tensor *own = neap_sum(c, neap_mul(c, z, g), 1, (int64_t[]){ 3 }, true), *mask = neap_energy_mask(E);
  neap_tensor *l = own ? rows_scale(c, neap_sub(c, own, g), .5) : NULL;
  if (!l) return NULL;
  neap_tensor *stays = neap_ne(c, z, num(c, z, 0));
  if (cost != 0) l = neap_where(c, stays, l, neap_sub(c, l, num(c, l, cost)));
  if (!mask) return l;
  mask = neap_reshape(c, mask, 3, (int64_t[]){ 1, -1, 1 });
  return neap_where(c, neap_logical_and(c, mask, neap_logical_not(c, stays)), num(c, l, NEVER), l);
}

/* the labels [chains, n] of one-hot rows, as x is */
static neap_tensor *labels (neap_context *c, neap_energy *E, neap_tensor *z, const neap_tensor *x) {
  neap_tensor *k = neap_arange(c, z->dtype, 1, (double)energy_labels(E), 1);
  neap_tensor *y = neap_sum(c, neap_mul(c, z, k), 1, (int64_t[]){ 3 }, false);
  return y ? neap_reshape(c, energy_cast(c, y, x->dtype), x->ndim, x->shape) : NULL;
}

/* Σ l over what pick marks [chains] */
static neap_tensor *at (neap_context *c, neap_tensor *l, neap_tensor *pick) { return rows_dot(c, l, pick); }

/* ---- one change ---- */

/* log q of each change, [chains, n, q] */
static neap_tensor *log_changes (neap_context *c, neap_energy *E, neap_tensor *z, neap_tensor *g) {
  neap_tensor *l = logits(c, E, z, g, 0);
  l = l ? neap_where(c, neap_ne(c, z, num(c, z, 0)), num(c, l, NEVER), l) : NULL;
  neap_tensor *flat = rows_flat(c, l);
  return flat ? neap_reshape(c, neap_log_softmax(c, flat, 2), 3, z->shape) : NULL;
}

/* one change drawn from log q, one-hot over all of them */
static neap_tensor *draw_change (neap_context *c, neap_state *st, neap_tensor *log_q) {
  neap_tensor *flat = rows_flat(c, log_q);
  neap_tensor *j = flat ? neap_rng_categorical(c, st->rng, flat) : NULL;
  neap_tensor *one = j ? energy_cast(c, neap_one_hot(c, j, flat->shape[1]), log_q->dtype) : NULL;
  return one ? neap_reshape(c, one, 3, log_q->shape) : NULL;
}

bool categorical_step_one (neap_context *c, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *z = one_hot(c, E, x), *ey, *gy;
  neap_tensor *there = z ? log_changes(c, E, z, neap_state_get(st, "grad")) : NULL;
  neap_tensor *pick = there ? draw_change(c, st, there) : NULL;
  neap_tensor *hit = pick ? neap_sum(c, pick, 1, (int64_t[]){ 3 }, true) : NULL;      /* [chains, n, 1] */
  neap_tensor *zy = hit ? neap_add(c, neap_mul(c, z, neap_sub(c, num(c, hit, 1), hit)), pick) : NULL;
  neap_tensor *y = zy ? labels(c, E, zy, x) : NULL;
  if (!gradient(c, E, st, y, &ey, &gy)) return false;
  neap_tensor *back = at(c, log_changes(c, E, zy, gy), neap_mul(c, hit, z)), *q = neap_sub(c, back, at(c, there, pick));
  return q && sampler_metropolis(c, st, sampler_log_ratio(c, st, ey, q), y, ey, gy);
}

/* ---- any changes ---- */

/* log q of each unit's state, [chains, n, q] */
static neap_tensor *log_states (neap_context *c, neap_sampler *s, neap_energy *E, neap_tensor *z, neap_tensor *g) {
  neap_tensor *l = logits(c, E, z, g, 1 / s->step_size);
  return l ? neap_log_softmax(c, l, 3) : NULL;
}

bool categorical_step_all (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *z = one_hot(c, E, x), *ey, *gy;
  neap_tensor *there = z ? log_states(c, s, E, z, neap_state_get(st, "grad")) : NULL;
  neap_tensor *k = there ? neap_rng_categorical(c, st->rng, there) : NULL;            /* [chains, n] */
  neap_tensor *zy = k ? energy_cast(c, neap_one_hot(c, k, energy_labels(E)), z->dtype) : NULL;
  neap_tensor *y = zy ? labels(c, E, zy, x) : NULL;
  if (!gradient(c, E, st, y, &ey, &gy)) return false;
  neap_tensor *back = at(c, log_states(c, s, E, zy, gy), z), *q = neap_sub(c, back, at(c, there, zy));
  return q && sampler_metropolis(c, st, sampler_log_ratio(c, st, ey, q), y, ey, gy);
}
