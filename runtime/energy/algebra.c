/*
** algebra.c -- sums, multiples, quotients and constants of energies.
** Slots: a multiple's weight, a quotient's temperature, a constant, each 0-d or [B]; numbers are 0-d float64
** constants.  A sum within a sum is taken apart, so that its parts stand side by side.
*/
#include "tail.h"

neap_tensor *energy_part (neap_context *c, neap_energy *E, int i, neap_tensor *x, neap_tensor *cond) {
  neap_energy *p = E->parts[i];
  return neap_energy_eval(c, p, x, p->wants ? cond : NULL);
}

/* ---- sum ---- */

/* What every part holds, the whole holds. */
static bool check_sum (neap_context *c, neap_energy *E) {
  (void)c;
  const neap_energy *first = E->parts[0];
  for (int i = 1; i < E->nparts; i++) if (E->parts[i]->mask != first->mask) return true;
  return energy_hold(E, first->mask, first->mask_values);
}

static neap_tensor *eval_sum (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *e = energy_part(c, E, 0, x, cond);
  for (int i = 1; e && i < E->nparts; i++) e = neap_add(c, e, energy_part(c, E, i, x, cond));
  return e;
}

const energy_class energy_sum_class = { "sum", 1, -1, 0, check_sum, eval_sum, NULL, NULL, tail_sum };

static int terms (const neap_energy *E) { return E && E->cls == &energy_sum_class ? E->nparts : 1; }

neap_energy *neap_energy_sum (neap_context *c, int n, neap_energy *const *Es) {
  if (!neap_ok(c)) return NULL;
  int total = 0, k = 0;
  for (int i = 0; i < n; i++) total += terms(Es[i]);
  size_t bytes = (size_t)(total + 1) * sizeof(neap_energy *);
  neap_energy **flat = neap_malloc(c, bytes);
  if (!flat) return NULL;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < terms(Es[i]); j++)
      flat[k++] = Es[i] && Es[i]->cls == &energy_sum_class ? Es[i]->parts[j] : Es[i];
  neap_energy *E = energy_new(c, &energy_sum_class, 0, total, flat);
  neap_free(c, flat, bytes);
  return energy_finish(c, E);
}

/* ---- one part and a number ---- */

static bool check_number (neap_context *c, neap_energy *E) {
  const energy_slot *s = &E->slots[0];
  if (E->nslots != 1) return neap_fail(c, NEAP_EARG, "%s: one number expected", E->cls->name);
  if (s->value->ndim <= 1) return energy_hold(E, E->parts[0]->mask, E->parts[0]->mask_values);
  return neap_fail(c, NEAP_ESHAPE, "%s: %s must be a number or [B], got %s", E->cls->name, s->name,
                   SHAPE_TEXT(s->value));
}

static neap_energy *with_number (neap_context *c, const energy_class *cls, neap_energy *E, const char *name,
                                 neap_tensor *t) {
  if (!neap_ok(c)) return NULL;
  if (!t) return neap_fail(c, NEAP_EARG, "%s: %s is missing", cls->name, name);
  neap_energy *out = energy_new(c, cls, 1, 1, &E);
  if (!out) return NULL;
  energy_set(out, 0, name, t);
  return energy_finish(c, out);
}

static neap_energy *with_constant (neap_context *c, const energy_class *cls, neap_energy *E, const char *name,
                                   double v) {
  neap_scope s = neap_scope_open(c);
  neap_tensor *t = neap_scalar(c, NEAP_FLOAT64, v);
  neap_energy *out = t ? with_number(c, cls, E, name, t) : NULL;
  neap_scope_close(c, s);
  return out;
}

static neap_tensor *eval_scale (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *e = energy_part(c, E, 0, x, cond);
  return neap_mul(c, e, energy_get(c, E, 0, e));
}

static neap_tensor *eval_divide (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *e = energy_part(c, E, 0, x, cond);
  return neap_div(c, e, energy_get(c, E, 0, e));
}

static neap_tensor *eval_offset (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *e = energy_part(c, E, 0, x, cond);
  return neap_add(c, e, energy_get(c, E, 0, e));
}

/* a constant changes neither the law nor its samples */
static neap_tensor *sample_offset (neap_context *c, neap_energy *E, int64_t n, neap_rng *rng, neap_dtype d) {
  return neap_energy_sample(c, E->parts[0], n, rng, d);
}

static neap_tensor *log_z_offset (neap_context *c, neap_energy *E) {
  neap_tensor *z = neap_energy_log_z(c, E->parts[0]);
  return z ? neap_sub(c, z, E->slots[0].value) : NULL;
}

const energy_class energy_scale_class = { "scale", 1, 1, 0, check_number, eval_scale, NULL, NULL, tail_scale };
const energy_class energy_divide_class = { "divide", 1, 1, 0, check_number, eval_divide, NULL, NULL,
                                           tail_divide };
const energy_class energy_offset_class = { "offset", 1, 1, 0, check_number, eval_offset, sample_offset,
                                           log_z_offset, tail_same };

neap_energy *neap_energy_scale (neap_context *c, neap_energy *E, double w) {
  return with_constant(c, &energy_scale_class, E, "weight", w);
}
neap_energy *neap_energy_scale_by (neap_context *c, neap_energy *E, neap_tensor *w) {
  return with_number(c, &energy_scale_class, E, "weight", w);
}
neap_energy *neap_energy_divide_by (neap_context *c, neap_energy *E, neap_tensor *T) {
  return with_number(c, &energy_divide_class, E, "temperature", T);
}
neap_energy *neap_energy_offset (neap_context *c, neap_energy *E, double constant) {
  return with_constant(c, &energy_offset_class, E, "constant", constant);
}
neap_energy *neap_energy_offset_by (neap_context *c, neap_energy *E, neap_tensor *constant) {
  return with_number(c, &energy_offset_class, E, "constant", constant);
}
