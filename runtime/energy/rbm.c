/*
** rbm.c -- restricted Boltzmann machine with units 0/1 (Smolensky 1986; Hinton 2002).
** Slots: W [V, H], b [V], c [H].  E(v) = −b·v − Σ softplus(c + vW) is −log Σₕ e^(b·v + c·h + vWh).
*/
#include "energy.h"
#include <math.h>

enum { W, BV, BH };

static bool check (neap_context *c, neap_energy *E) {
  if (E->nslots != 3 || energy_find(E, "W") != W || energy_find(E, "b") != BV || energy_find(E, "c") != BH)
    return neap_fail(c, NEAP_EARG, "rbm: W, b and c expected");
  const neap_tensor *w = E->slots[W].value, *b = E->slots[BV].value, *d = E->slots[BH].value;
  bool fits = w->ndim == 2 && b->ndim == 1 && d->ndim == 1 && w->shape[0] == b->shape[0] && w->shape[1] == d->shape[0];
  if (!fits)
    return neap_fail(c, NEAP_ESHAPE, "rbm: shapes do not fit: W %s, b %s, c %s", SHAPE_TEXT(w), SHAPE_TEXT(b),
                     SHAPE_TEXT(d));
  energy_set_event(E, 1, w->shape);
  return true;
}

/* v [B, V] -> c + vW [B, H] */
static neap_tensor *to_hidden (neap_context *c, neap_energy *E, neap_tensor *v) {
  return neap_add(c, neap_matmul(c, v, E->slots[W].value), E->slots[BH].value);
}

/* h [B, H] -> b + hWᵀ [B, V] */
static neap_tensor *to_visible (neap_context *c, neap_energy *E, neap_tensor *h) {
  return neap_add(c, neap_matmul(c, h, energy_transpose(c, E->slots[W].value)), E->slots[BV].value);
}

/* [B, n] · [n] -> [B] */
static neap_tensor *dot_rows (neap_context *c, neap_tensor *x, neap_tensor *a) { return neap_matmul(c, x, a); }

/* v [B, V] -> [B] */
static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *v, neap_tensor *cond) {
  (void)cond;
  neap_tensor *s = energy_sum_last(c, neap_softplus(c, to_hidden(c, E, v), 1));
  return neap_neg(c, neap_add(c, dot_rows(c, v, E->slots[BV].value), s));
}

/* ---- log Z ---- */

enum { TAPE_ELEMENTS = 1 << 22 };          /* of all states by the other side: what a tape may hold */

bool energy_rbm_is_large (const neap_energy *E) {
  if (!neap_energy_is_rbm(E)) return false;
  const int64_t *n = E->slots[W].value->shape;
  int64_t least = n[0] < n[1] ? n[0] : n[1];
  return least > 22 || (n[0] + n[1] - least) << least > TAPE_ELEMENTS;
}

/* all states of n units [2^n, n] */
static neap_tensor *all_states (neap_context *c, neap_dtype d, int64_t n) {
  int64_t shape[2] = { (int64_t)1 << n, n };
  size_t bytes = (size_t)(shape[0] * n);
  uint8_t *v = neap_malloc(c, bytes);
  if (!v) return NULL;
  for (int64_t i = 0; i < shape[0]; i++) for (int64_t k = 0; k < n; k++) v[i * n + k] = i >> k & 1;
  neap_tensor *bits = neap_from(c, NEAP_UINT8, 2, shape, v);
  neap_free(c, v, bytes);
  return bits ? energy_cast(c, bits, d) : NULL;
}

/* differentiable where the RBM is small; a number, which only no_grad gets, where it is large */
static neap_tensor *log_z (neap_context *c, neap_energy *E) {
  const neap_tensor *w = E->slots[W].value;
  double z = 0;
  if (energy_rbm_is_large(E)) {
    if (neap_tracked(c, E->slots[W].value))
      return neap_fail(c, NEAP_EARG, "log_z: the RBM %s is too large for a tape; give log_z = E:log_z(), a number",
                       SHAPE_TEXT(w));
    return neap_energy_log_z_enumerate(c, E, 0, 1, &z) ? num(c, w, z) : NULL;
  }
  bool hidden = w->shape[1] <= w->shape[0];
  neap_tensor *s = all_states(c, w->dtype, w->shape[hidden]), *cells = s && hidden ? to_visible(c, E, s) : NULL;
  if (!hidden) return energy_logsumexp_last(c, neap_neg(c, eval(c, E, s, NULL)));
  cells = energy_sum_last(c, neap_softplus(c, cells, 1));
  return energy_logsumexp_last(c, neap_add(c, dot_rows(c, s, E->slots[BH].value), cells));
}

const energy_class energy_rbm_class = { "rbm", 0, 0, 0, check, eval, NULL, log_z };

static neap_tensor *zeros (neap_context *c, neap_dtype d, int64_t n) {
  neap_tensor *t = neap_full(c, d, 1, &n, 0);
  return t && neap_requires_grad(c, t, true) ? t : NULL;
}

static neap_tensor *weights (neap_context *c, neap_dtype d, int64_t nv, int64_t nh, neap_rng *rng) {
  neap_tensor *z = neap_rng_normal(c, rng ? rng : neap_rng_default(c), d, 2, (int64_t[]){ nv, nh });
  neap_tensor *w = z ? neap_mul(c, z, num(c, z, .01)) : NULL;
  return w && neap_requires_grad(c, w, true) ? w : NULL;
}

neap_energy *neap_energy_rbm (neap_context *c, int64_t visible, int64_t hidden, neap_dtype d, neap_rng *rng) {
  if (!neap_ok(c)) return NULL;
  if (visible < 1 || hidden < 1)
    return neap_fail(c, NEAP_EARG, "rbm: visible and hidden must be at least 1, got %lld and %lld", (long long)visible,
                     (long long)hidden);
  if (!neap_is_float(d))
    return neap_fail(c, NEAP_EDTYPE, "rbm: dtype must be float32 or float64, got %s", neap_dtype_name(d));
  neap_energy *E = energy_new(c, &energy_rbm_class, 3, 0, NULL);
  if (!E) return NULL;
  neap_scope s = neap_scope_open(c);
  energy_set(E, W, "W", weights(c, d, visible, hidden, rng));
  energy_set(E, BV, "b", zeros(c, d, visible));
  energy_set(E, BH, "c", zeros(c, d, hidden));
  neap_scope_close(c, s);
  return energy_finish(c, E);
}

/* ---- conditionals ---- */

/* x as [B, n] floats for slot W's side (0 visible, 1 hidden); NULL with an error that names who */
static neap_tensor *units (neap_context *c, neap_energy *E, const char *who, const char *arg, int side,
                           neap_tensor *x) {
  if (!neap_ok(c) || !E || !x) return NULL;
  if (!neap_energy_is_rbm(E)) return neap_fail(c, NEAP_EARG, "%s: an rbm expected, got %s", who, energy_title(E));
  int64_t n = E->slots[W].value->shape[side];
  if (x->ndim != 2 || x->shape[1] != n)
    return neap_fail(c, NEAP_ESHAPE, "%s: %s must be [B, %lld], got %s", who, arg, (long long)n, SHAPE_TEXT(x));
  return neap_is_float(x->dtype) ? x : energy_cast(c, x, E->slots[W].value->dtype);
}

neap_tensor *neap_rbm_hidden (neap_context *c, neap_energy *E, neap_tensor *v) {
  neap_scope s = neap_scope_open(c);
  v = units(c, E, "hidden", "v", 0, v);
  return neap_scope_return(c, s, v ? neap_sigmoid(c, to_hidden(c, E, v)) : NULL);
}

neap_tensor *neap_rbm_visible (neap_context *c, neap_energy *E, neap_tensor *h) {
  neap_scope s = neap_scope_open(c);
  h = units(c, E, "visible", "h", 1, h);
  return neap_scope_return(c, s, h ? neap_sigmoid(c, to_visible(c, E, h)) : NULL);
}

static neap_tensor *joint (neap_context *c, neap_energy *E, neap_tensor *v, neap_tensor *h) {
  v = units(c, E, "joint", "v", 0, v);
  h = units(c, E, "joint", "h", 1, h);
  if (!v || !h) return NULL;
  neap_tensor *inner = energy_sum_last(c, neap_mul(c, to_hidden(c, E, v), h));       /* (c + vW)·h */
  return neap_neg(c, neap_add(c, dot_rows(c, v, E->slots[BV].value), inner));
}

neap_tensor *neap_rbm_joint (neap_context *c, neap_energy *E, neap_tensor *v, neap_tensor *h) {
  neap_scope s = neap_scope_open(c);
  return neap_scope_return(c, s, joint(c, E, v, h));
}
