/*
** rbm.c -- restricted Boltzmann machine with units 0/1 (Smolensky 1986; Hinton 2002).
** Slots: W [V, H], b [V], c [H].  E(v) = −b·v − Σ softplus(c + vW) is −log Σₕ e^(b·v + c·h + vWh).
*/
#include "rbm.h"
#include "tail.h"
#include "states.h"
#include <math.h>

bool rbm_check (neap_context *c, neap_energy *E, int n) {
  const char *who = E->cls->name;
  if (E->nslots != n || energy_find(E, "W") != RBM_W || energy_find(E, "b") != RBM_B || energy_find(E, "c") != RBM_C)
    return neap_fail(c, NEAP_EARG, "%s: W, b and c expected", who);
  const neap_tensor *w = E->slots[RBM_W].value, *b = E->slots[RBM_B].value, *d = E->slots[RBM_C].value;
  bool fits = w->ndim == 2 && b->ndim == 1 && d->ndim == 1 && w->shape[0] == b->shape[0] && w->shape[1] == d->shape[0];
  if (!fits)
    return neap_fail(c, NEAP_ESHAPE, "%s: shapes do not fit: W %s, b %s, c %s", who, SHAPE_TEXT(w), SHAPE_TEXT(b),
                     SHAPE_TEXT(d));
  energy_set_event(E, 1, w->shape);
  return true;
}

static bool check (neap_context *c, neap_energy *E) { return rbm_check(c, E, 3); }

neap_tensor *rbm_to_hidden (neap_context *c, neap_energy *E, neap_tensor *v) {
  if (rbm_is_gaussian(E)) v = neap_div(c, v, energy_get(c, E, RBM_STD, v));
  return neap_add(c, neap_matmul(c, v, E->slots[RBM_W].value), E->slots[RBM_C].value);
}

/* h [B, H] -> hWᵀ [B, V] */
static neap_tensor *from_hidden (neap_context *c, neap_energy *E, neap_tensor *h) {
  return neap_matmul(c, h, energy_transpose(c, E->slots[RBM_W].value));
}

neap_tensor *rbm_from_hidden (neap_context *c, neap_energy *E, neap_tensor *h) {
  neap_tensor *r = from_hidden(c, E, h);
  return rbm_is_gaussian(E) ? neap_mul(c, r, energy_get(c, E, RBM_STD, h)) : r;
}

neap_tensor *rbm_to_visible (neap_context *c, neap_energy *E, neap_tensor *h) {
  return neap_add(c, rbm_from_hidden(c, E, h), E->slots[RBM_B].value);
}

neap_tensor *rbm_draw_visible (neap_context *c, neap_energy *E, neap_rng *rng, neap_tensor *r) {
  if (!rbm_is_gaussian(E)) return r ? neap_rng_bernoulli(c, rng, neap_sigmoid(c, r)) : NULL;
  neap_tensor *n = r ? neap_rng_normal(c, rng, r->dtype, r->ndim, r->shape) : NULL;
  return n ? neap_add(c, r, neap_mul(c, n, energy_get(c, E, RBM_STD, r))) : NULL;
}

/* v [B, V] -> [B] */
static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *v, neap_tensor *cond) {
  (void)cond;
  neap_tensor *s = energy_sum_last(c, neap_softplus(c, rbm_to_hidden(c, E, v), 1));
  return neap_neg(c, neap_add(c, neap_matmul(c, v, E->slots[RBM_B].value), s));
}

/* ---- log Z ---- */

enum { TAPE_ELEMENTS = 1 << 22 };          /* of all states by the other side: what a tape may hold */

bool rbm_is_machine (const neap_energy *E) { return neap_energy_is_rbm(E) || rbm_is_gaussian(E); }

bool energy_rbm_is_large (const neap_energy *E) {
  if (!rbm_is_machine(E)) return false;
  const int64_t *n = E->slots[RBM_W].value->shape;
  int64_t least = n[0] < n[1] && !rbm_is_gaussian(E) ? n[0] : n[1];
  return least > 22 || (n[0] + n[1] - least) << least > TAPE_ELEMENTS;
}

/* Σ r(b/std + r/2), r = Wh: what completing the square leaves */
static neap_tensor *completed (neap_context *c, neap_energy *E, neap_tensor *h) {
  neap_tensor *r = from_hidden(c, E, h), *b = neap_div(c, E->slots[RBM_B].value, energy_get(c, E, RBM_STD, h));
  neap_tensor *half = r ? neap_mul(c, r, num(c, r, .5)) : NULL;
  return half && b ? energy_sum_last(c, neap_mul(c, r, neap_add(c, b, half))) : NULL;
}

neap_tensor *rbm_hidden_weights (neap_context *c, neap_energy *E, neap_tensor *h) {
  neap_tensor *v = rbm_is_gaussian(E) ? completed(c, E, h)
                                      : energy_sum_last(c, neap_softplus(c, rbm_to_visible(c, E, h), 1));
  return neap_add(c, neap_matmul(c, h, E->slots[RBM_C].value), v);
}

neap_tensor *rbm_sum_hidden (neap_context *c, neap_energy *E) {
  const neap_tensor *w = E->slots[RBM_W].value;
  neap_tensor *h = energy_all_states(c, w->dtype, (energy_units){ 2, 0, 1 }, w->shape[1]);
  return h ? energy_logsumexp_last(c, rbm_hidden_weights(c, E, h)) : NULL;
}

/* differentiable where the RBM is small; a number, which only no_grad gets, where it is large */
static neap_tensor *log_z (neap_context *c, neap_energy *E) {
  const neap_tensor *w = E->slots[RBM_W].value;
  double z = 0;
  if (energy_rbm_is_large(E)) {
    if (neap_tracked(c, E->slots[RBM_W].value))
      return neap_fail(c, NEAP_EARG, "log_z: the RBM %s is too large for a tape; give log_z = E:log_z(), a number",
                       SHAPE_TEXT(w));
    return neap_energy_log_z_enumerate(c, E, 0, 1, &z) ? num(c, w, z) : NULL;
  }
  if (w->shape[1] <= w->shape[0]) return rbm_sum_hidden(c, E);
  neap_tensor *v = energy_all_states(c, w->dtype, (energy_units){ 2, 0, 1 }, w->shape[0]);
  return v ? energy_logsumexp_last(c, neap_neg(c, eval(c, E, v, NULL))) : NULL;
}

const energy_class energy_rbm_class = { "rbm", 0, 0, 0, check, eval, NULL, log_z, tail_finite };

static neap_tensor *zeros (neap_context *c, neap_dtype d, int64_t n) {
  neap_tensor *t = neap_full(c, d, 1, &n, 0);
  return t && neap_requires_grad(c, t, true) ? t : NULL;
}

static neap_tensor *weights (neap_context *c, neap_dtype d, int64_t nv, int64_t nh, neap_rng *rng) {
  neap_tensor *z = neap_rng_normal(c, rng ? rng : neap_rng_default(c), d, 2, (int64_t[]){ nv, nh });
  neap_tensor *w = z ? neap_mul(c, z, num(c, z, .01)) : NULL;
  return w && neap_requires_grad(c, w, true) ? w : NULL;
}

neap_energy *rbm_new (neap_context *c, const energy_class *cls, int nslots, int64_t visible, int64_t hidden,
                      neap_dtype d, neap_rng *rng) {
  const char *who = cls->name;
  if (!neap_ok(c)) return NULL;
  if (visible < 1 || hidden < 1)
    return neap_fail(c, NEAP_EARG, "%s: visible and hidden must be at least 1, got %lld and %lld", who,
                     (long long)visible, (long long)hidden);
  if (!neap_is_float(d))
    return neap_fail(c, NEAP_EDTYPE, "%s: dtype must be float32 or float64, got %s", who, neap_dtype_name(d));
  neap_energy *E = energy_new(c, cls, nslots, 0, NULL);
  if (!E) return NULL;
  neap_scope s = neap_scope_open(c);
  energy_set(E, RBM_W, "W", weights(c, d, visible, hidden, rng));
  energy_set(E, RBM_B, "b", zeros(c, d, visible));
  energy_set(E, RBM_C, "c", zeros(c, d, hidden));
  neap_scope_close(c, s);
  return E;
}

neap_energy *neap_energy_rbm (neap_context *c, int64_t visible, int64_t hidden, neap_dtype d, neap_rng *rng) {
  return energy_finish(c, rbm_new(c, &energy_rbm_class, 3, visible, hidden, d, rng));
}

/* ---- conditionals ---- */

/* x as [B, n] floats for slot W's side (0 visible, 1 hidden); NULL with an error that names who */
static neap_tensor *units (neap_context *c, neap_energy *E, const char *who, const char *arg, int side,
                           neap_tensor *x) {
  if (!neap_ok(c) || !E || !x) return NULL;
  if (!rbm_is_machine(E)) return neap_fail(c, NEAP_EARG, "%s: an rbm expected, got %s", who, energy_title(E));
  int64_t n = E->slots[RBM_W].value->shape[side];
  if (x->ndim != 2 || x->shape[1] != n)
    return neap_fail(c, NEAP_ESHAPE, "%s: %s must be [B, %lld], got %s", who, arg, (long long)n, SHAPE_TEXT(x));
  return neap_is_float(x->dtype) ? x : energy_cast(c, x, E->slots[RBM_W].value->dtype);
}

neap_tensor *neap_rbm_hidden (neap_context *c, neap_energy *E, neap_tensor *v) {
  neap_scope s = neap_scope_open(c);
  v = units(c, E, "hidden", "v", 0, v);
  return neap_scope_return(c, s, v ? neap_sigmoid(c, rbm_to_hidden(c, E, v)) : NULL);
}

neap_tensor *neap_rbm_visible (neap_context *c, neap_energy *E, neap_tensor *h) {
  neap_scope s = neap_scope_open(c);
  h = units(c, E, "visible", "h", 1, h);
  neap_tensor *r = h ? rbm_to_visible(c, E, h) : NULL;
  return neap_scope_return(c, s, r && !rbm_is_gaussian(E) ? neap_sigmoid(c, r) : r);
}

static neap_tensor *joint (neap_context *c, neap_energy *E, neap_tensor *v, neap_tensor *h) {
  v = units(c, E, "joint", "v", 0, v);
  h = units(c, E, "joint", "h", 1, h);
  if (!v || !h) return NULL;
  neap_tensor *inner = energy_sum_last(c, neap_mul(c, rbm_to_hidden(c, E, v), h));       /* (c + vW)·h */
  if (rbm_is_gaussian(E)) return neap_sub(c, rbm_half_square(c, E, v), inner);
  return neap_neg(c, neap_add(c, neap_matmul(c, v, E->slots[RBM_B].value), inner));
}

neap_tensor *neap_rbm_joint (neap_context *c, neap_energy *E, neap_tensor *v, neap_tensor *h) {
  neap_scope s = neap_scope_open(c);
  return neap_scope_return(c, s, joint(c, E, v, h));
}
