/*
** transform.c -- an energy seen through its argument: shifted, given a condition, with coordinates held.
** Slots: translate's shift; given's condition; fix's mask (bool, event-shaped) and values.
*/
#include "tail.h"
#include <string.h>

static bool known_event (const neap_energy *E) { return E->ndim >= 0 && !E->any_event; }

/* t broadcasts to the event, or to it with rows before */
static bool broadcasts (const neap_energy *E, const neap_tensor *t) {
  if (t->ndim > E->ndim + 1) return false;
  for (int i = 1; i <= t->ndim && i <= E->ndim; i++) {
    int64_t n = t->shape[t->ndim - i];
    if (n != 1 && n != E->event[E->ndim - i]) return false;
  }
  return true;
}

static bool check_broadcast (neap_context *c, const neap_energy *E, const char *name, const neap_tensor *t) {
  char want[NEAP_SHAPE_BYTES];
  if (!known_event(E) || broadcasts(E, t)) return true;
  return neap_fail(c, NEAP_ESHAPE, "%s: %s %s does not broadcast to the event %s", E->cls->name, name, SHAPE_TEXT(t),
                   neap_shape_text(want, E->ndim, E->event));
}

/* ---- translate: E(x − v) ---- */

static bool check_translate (neap_context *c, neap_energy *E) {
  neap_energy *p = E->parts[0];
  if (E->nslots != 1) return neap_fail(c, NEAP_EARG, "translate: a shift expected");
  neap_tensor *v = E->slots[0].value;
  if (!check_broadcast(c, E, "the shift", v)) return false;
  return !p->mask || energy_hold(E, p->mask, neap_add(c, energy_cast(c, p->mask_values, v->dtype), v));
}

static neap_tensor *eval_translate (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  return energy_part(c, E, 0, neap_sub(c, x, energy_get(c, E, 0, x)), cond);
}

static neap_tensor *sample_translate (neap_context *c, neap_energy *E, int64_t n, neap_rng *rng, neap_dtype d) {
  neap_tensor *x = neap_energy_sample(c, E->parts[0], n, rng, d);
  return x ? neap_add(c, x, energy_cast(c, E->slots[0].value, d)) : NULL;
}

static neap_tensor *log_z_translate (neap_context *c, neap_energy *E) { return neap_energy_log_z(c, E->parts[0]); }

const energy_class energy_translate_class = { "translate", 1, 1, 0, check_translate, eval_translate, sample_translate,
                                              log_z_translate, tail_shifted };

neap_energy *neap_energy_translate (neap_context *c, neap_energy *E, neap_tensor *v) {
  if (!neap_ok(c)) return NULL;
  if (!v) return neap_fail(c, NEAP_EARG, "translate: the shift is missing");
  neap_energy *out = energy_new(c, &energy_translate_class, 1, 1, &E);
  if (out) energy_set(out, 0, "shift", v);
  return energy_finish(c, out);
}

/* ---- given: E(x, cond) with cond bound ---- */

static bool check_given (neap_context *c, neap_energy *E) {
  neap_energy *p = E->parts[0];
  if (E->nslots != 1) return neap_fail(c, NEAP_EARG, "given: a condition expected");
  if (p->wants == 0)
    return neap_fail(c, NEAP_EARG, "given: %s takes no condition%s", energy_title(p),
                     energy_is_classifier(p) ? "; E:class(k) is the energy of a class" : "");
  E->wants = 0;
  return !p->mask || energy_hold(E, p->mask, p->mask_values);
}

/* one condition [..] or one per row -> [B, ..] */
static neap_tensor *spread_rows (neap_context *c, neap_tensor *cond, int64_t B) {
  int64_t shape[NEAP_MAX_DIMS] = { B };
  if (cond->ndim >= 2 && cond->shape[0] == B) return cond;
  bool row = cond->ndim >= 2 && cond->shape[0] == 1;
  int rest = row ? cond->ndim - 1 : cond->ndim;
  if (rest + 1 > NEAP_MAX_DIMS)
    return neap_fail(c, NEAP_ESHAPE, "given: a condition of shape %s has too many dimensions", SHAPE_TEXT(cond));
  memcpy(shape + 1, cond->shape + row, (size_t)rest * sizeof *shape);
  return neap_expand(c, cond, rest + 1, shape);
}

static neap_tensor *eval_given (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *own = E->slots[0].value;
  (void)cond;
  if (neap_is_float(own->dtype) && neap_is_float(x->dtype)) own = energy_get(c, E, 0, x);
  own = own ? spread_rows(c, own, x->shape[0]) : NULL;
  return own ? energy_part(c, E, 0, x, own) : NULL;
}

const energy_class energy_given_class = { "given", 1, 1, 0, check_given, eval_given, NULL, NULL, tail_same };

neap_energy *neap_energy_given (neap_context *c, neap_energy *E, neap_tensor *cond) {
  if (!neap_ok(c)) return NULL;
  if (!cond) return neap_fail(c, NEAP_EARG, "given: the condition is missing");
  neap_energy *out = energy_new(c, &energy_given_class, 1, 1, &E);
  if (out) energy_set(out, 0, "condition", cond);
  return energy_finish(c, out);
}

/* ---- fix: E(where(mask, values, x)) ---- */

static bool check_mask (neap_context *c, neap_energy *E) {
  neap_tensor *mask = E->slots[0].value;
  char want[NEAP_SHAPE_BYTES];
  if (mask->dtype != NEAP_BOOL)
    return neap_fail(c, NEAP_EDTYPE, "fix: mask must be bool, got %s", neap_dtype_name(mask->dtype));
  if (!known_event(E)) {
    energy_set_event(E, mask->ndim, mask->shape);
    E->any_event = false;
  }
  if (mask->ndim == E->ndim && memcmp(mask->shape, E->event, (size_t)E->ndim * sizeof *E->event) == 0) return true;
  return neap_fail(c, NEAP_ESHAPE, "fix: mask must have the event's shape %s, got %s",
                   neap_shape_text(want, E->ndim, E->event), SHAPE_TEXT(mask));
}

/* Coordinates held by this fix or by its part; where both hold one, the part's value is what counts. */
static bool check_fix (neap_context *c, neap_energy *E) {
  neap_energy *p = E->parts[0];
  if (E->nslots != 2) return neap_fail(c, NEAP_EARG, "fix: a mask and values expected");
  neap_tensor *mask = E->slots[0].value, *v = E->slots[1].value;
  if (!check_mask(c, E) || !check_broadcast(c, E, "values", v)) return false;
  if (!p->mask) return energy_hold(E, mask, v);
  neap_tensor *both = neap_logical_or(c, mask, p->mask);
  return both && energy_hold(E, both, neap_where(c, p->mask, energy_cast(c, p->mask_values, v->dtype), v));
}

/* mask and values beside an x one-hot of the units 1 … q */
static neap_tensor *eval_fix_one_hot (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *mask = neap_unsqueeze(c, E->slots[0].value, -1), *v = energy_cast(c, E->slots[1].value, NEAP_INT64);
  neap_tensor *held = v ? energy_cast(c, neap_one_hot(c, v, x->shape[x->ndim - 1]), x->dtype) : NULL;
  return held ? energy_part(c, E, 0, neap_where(c, mask, held, x), cond) : NULL;
}

static neap_tensor *eval_fix (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  if (x->ndim == E->ndim + 2) return eval_fix_one_hot(c, E, x, cond);
  neap_tensor *v = energy_cast(c, E->slots[1].value, x->dtype);
  return energy_part(c, E, 0, neap_where(c, E->slots[0].value, v, x), cond);
}

const energy_class energy_fix_class = { "fix", 1, 1, 0, check_fix, eval_fix, NULL, NULL, tail_fixed };

neap_energy *neap_energy_fix (neap_context *c, neap_energy *E, neap_tensor *mask, neap_tensor *mask_values) {
  if (!neap_ok(c)) return NULL;
  if (!mask || !mask_values) return neap_fail(c, NEAP_EARG, "fix: %s missing", mask ? "the values are" : "the mask is");
  neap_energy *out = energy_new(c, &energy_fix_class, 2, 1, &E);
  if (!out) return NULL;
  neap_scope s = neap_scope_open(c);
  if (mask->dtype != NEAP_BOOL) mask = neap_ne(c, mask, num(c, mask, 0));
  energy_set(out, 0, "mask", mask);
  energy_set(out, 1, "values", mask_values);
  neap_scope_close(c, s);
  return energy_finish(c, out);
}
