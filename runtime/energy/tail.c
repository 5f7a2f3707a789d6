/*
** tail.c -- can e^−E be normalised?  Decided from quadratic bounds of E far out, where that decides it.
** Invariant: never computes E; "yes" and "no" are proved by the bounds, anything else is "unknown".
*/
#include "tail.h"
#include <math.h>

enum { LARGEST = 1024 };                   /* numbers in x: beyond, forms are not looked at */

/* ---- forms ---- */

static tail_form add (neap_context *c, tail_form a, tail_form b) {
  tail_form out = { a.known && b.known, a.matrix ? a.matrix : b.matrix };
  if (out.known && a.matrix && b.matrix) out.matrix = neap_add(c, a.matrix, b.matrix);
  return out;
}

static tail_form times (neap_context *c, tail_form a, double w) {
  if (a.matrix) a.matrix = neap_mul(c, a.matrix, num(c, a.matrix, w));
  return a;
}

static double largest (neap_context *c, neap_tensor *A) {
  double v = 0;
  neap_tensor *m = neap_amax(c, neap_abs(c, A), -1, NULL, false);
  return m && neap_item(c, m, &v) ? v : 0;
}

bool tail_matrix (neap_context *c, energy_tail *t, neap_tensor *A, tail_rest rest) {
  if (A && A->shape[0] > LARGEST) return true;
  t->low = t->high = (tail_form){ true, A };
  t->rest = rest;
  t->size = A ? largest(c, A) : 0;
  return neap_ok(c);
}

bool tail_flat (energy_tail *t, tail_rest rest) {
  t->low = t->high = (tail_form){ true, NULL };
  t->rest = rest;
  return true;
}

bool tail_diagonal (neap_context *c, energy_tail *t, neap_tensor *v, tail_rest rest) {
  if (t->D > LARGEST) return true;
  return tail_matrix(c, t, neap_mul(c, neap_eye(c, NEAP_FLOAT64, t->D, t->D), v), rest);
}

bool tail_number (neap_context *c, energy_tail *t, double v, tail_rest rest) {
  return tail_diagonal(c, t, neap_scalar(c, NEAP_FLOAT64, v), rest);
}

bool tail_finite (neap_context *c, neap_energy *E, energy_tail *t) {
  (void)E;
  t->finite = true;
  return neap_ok(c);
}

bool tail_proper (neap_context *c, neap_energy *E, energy_tail *t) {
  (void)E;
  t->low = (tail_form){ true, NULL };
  t->integrable = 1;
  return neap_ok(c);
}

/* ---- wholes ---- */

/* E's tail; t->D is set.  False with a pending error. */
static bool tail_of (neap_context *c, neap_energy *E, energy_tail *t) {
  *t = (energy_tail){ .D = t->D };
  return !E->cls->tail || E->cls->tail(c, E, t);
}

static bool part (neap_context *c, neap_energy *E, int i, const energy_tail *whole, energy_tail *t) {
  t->D = whole->D;
  return tail_of(c, E->parts[i], t);
}

/* beside others, one part decides only if they do not go the other way */
static void join (neap_context *c, energy_tail *t, const energy_tail *p) {
  bool steep = (t->steep && p->low.known) || (p->steep && t->low.known);
  bool falls = (t->falls && p->high.known) || (p->falls && t->high.known);
  t->low = add(c, t->low, p->low);
  t->high = add(c, t->high, p->high);
  t->size += p->size;
  t->rest = p->rest > t->rest ? p->rest : t->rest;
  t->steep = steep;
  t->falls = falls;
  t->rises |= p->rises;
  t->finite |= p->finite;
  t->integrable = 0;
}

bool tail_sum (neap_context *c, neap_energy *E, energy_tail *t) {
  energy_tail p;
  if (!part(c, E, 0, t, t)) return false;
  for (int i = 1; i < E->nparts; i++) {
    if (!part(c, E, i, t, &p)) return false;
    join(c, t, &p);
  }
  return neap_ok(c);
}

static bool scaled (neap_context *c, neap_energy *E, energy_tail *t, double w) {
  energy_tail p;
  if (!part(c, E, 0, t, &p)) return false;
  t->finite = p.finite;
  if (w == 0) return tail_flat(t, REST_BOUNDED);
  t->low = times(c, w > 0 ? p.low : p.high, w);
  t->high = times(c, w > 0 ? p.high : p.low, w);
  t->size = fabs(w) * p.size;
  t->rest = p.rest;
  t->steep = w > 0 && p.steep;
  t->rises = w > 0 ? p.rises : p.falls;
  t->falls = w > 0 ? p.falls : p.rises;
  t->integrable = w == 1 ? p.integrable : 0;
  return neap_ok(c);
}

/* The one number in slot 0; NaN: one for each row. */
static double weight (neap_context *c, const neap_energy *E) {
  const neap_tensor *w = E->slots[0].value;
  double v = NAN;
  return neap_numel(w) == 1 && neap_read(c, w, NEAP_FLOAT64, &v) ? v : NAN;
}

bool tail_scale (neap_context *c, neap_energy *E, energy_tail *t) {
  double w = weight(c, E);
  return isfinite(w) ? scaled(c, E, t, w) : neap_ok(c);
}

bool tail_divide (neap_context *c, neap_energy *E, energy_tail *t) {
  double T = weight(c, E);
  return isfinite(T) && T != 0 ? scaled(c, E, t, 1 / T) : neap_ok(c);
}

bool tail_same (neap_context *c, neap_energy *E, energy_tail *t) { return part(c, E, 0, t, t); }

bool tail_shifted (neap_context *c, neap_energy *E, energy_tail *t) {
  if (!part(c, E, 0, t, t)) return false;
  if (t->rest == REST_BOUNDED && t->size > 0) t->rest = REST_AFFINE;
  return true;
}

/* The integral is the sum of the parts'; above, any part bounds the whole. */
bool tail_any (neap_context *c, neap_energy *E, energy_tail *t) {
  energy_tail p;
  const char *why;
  int least = 1;
  for (int i = 0; i < E->nparts; i++) {
    int now = neap_energy_normalizable(c, E->parts[i], &why);
    if (!part(c, E, i, t, &p)) return false;
    if (i == 0) { t->high = p.high; t->size = p.size; t->finite = p.finite; }
    least = now < 0 || least < 0 ? -1 : now < least ? now : least;
  }
  t->rest = REST_LINEAR;
  t->integrable = least;
  return neap_ok(c);
}

/* What is held counts no more: its rows and columns of the form become those of the identity, times size. */
static tail_form freed (neap_context *c, tail_form a, neap_tensor *held, double size) {
  if (!a.known) return a;
  int64_t D = neap_numel(held);
  neap_tensor *own = neap_mul(c, neap_eye(c, NEAP_FLOAT64, D, D), neap_mul(c, held, num(c, held, size)));
  neap_tensor *open = neap_sub(c, num(c, held, 1), held);
  neap_tensor *rest = a.matrix ? neap_mul(c, neap_mul(c, a.matrix, open), neap_unsqueeze(c, open, 2)) : NULL;
  a.matrix = rest ? neap_add(c, rest, own) : own;
  return a;
}

bool tail_fixed (neap_context *c, neap_energy *E, energy_tail *t) {
  if (!part(c, E, 0, t, t)) return false;
  neap_tensor *mask = energy_cast(c, E->slots[0].value, NEAP_FLOAT64);
  t->integrable = 0;
  if (t->rest == REST_BOUNDED && t->size > 0) t->rest = REST_AFFINE;
  if (!mask || neap_numel(mask) != t->D || t->D > LARGEST) { t->low.known = t->high.known = false; return neap_ok(c); }
  if (t->size == 0) t->size = 1;
  mask = energy_reshape(c, mask, 1, &t->D);
  t->low = freed(c, t->low, mask, t->size);
  t->high = freed(c, t->high, mask, t->size);
  return neap_ok(c);
}

/* ---- the verdict ---- */

/* A + shift·1 is positive definite. */
static bool definite (neap_context *c, const energy_tail *t, neap_tensor *A, double shift) {
  if (!A) return shift > 0;
  neap_tensor *own = neap_eye(c, NEAP_FLOAT64, t->D, t->D);
  bool ok = neap_cholesky(c, neap_add(c, A, neap_mul(c, own, num(c, A, shift)))) != NULL;
  if (!ok && c->status != NEAP_EMEMORY) neap_clear_error(c);
  return ok;
}

static int say (const char **why, int verdict, const char *text) {
  *why = text;
  return verdict;
}

/* what the form above says */
static int judge_high (neap_context *c, const energy_tail *t, const char **why) {
  double small = t->size > 0 ? 1e-9 * t->size : 1;
  if (!t->high.known) return 0;
  if (t->high.matrix && !definite(c, t, t->high.matrix, small))
    return say(why, -1, "its quadratic part is not positive definite: it falls without end in some direction");
  if (t->rest == REST_LINEAR || definite(c, t, t->high.matrix, -small)) return 0;
  return say(why, -1, t->size > 0 ? "its quadratic part leaves some direction in which it does not grow"
                                  : "it stays bounded, or falls, far from the origin");
}

static int judge (neap_context *c, const energy_tail *t, const char **why) {
  if (t->finite) return say(why, 1, "its states are finitely many");
  if (t->integrable > 0) return say(why, 1, "its integral is known to be finite");
  if (t->integrable < 0) return say(why, -1, "a part's integral is infinite");
  if (t->falls) return say(why, -1, "it falls faster than any quadratic form in some direction");
  if (t->steep) return say(why, 1, "it grows faster than any quadratic form");
  if (t->low.known && t->low.matrix && definite(c, t, t->low.matrix, -1e-9 * t->size))
    return say(why, 1, "its quadratic part is positive definite");
  return judge_high(c, t, why);
}

int neap_energy_normalizable (neap_context *c, neap_energy *E, const char **why) {
  const char *ignored;
  if (!why) why = &ignored;
  *why = "how it grows far out is not known";
  energy_tail t = { .D = E->ndim < 0 ? LARGEST + 1 : energy_event_numel(E) };
  neap_mode mode = neap_no_grad(c);
  neap_scope s = neap_scope_open(c);
  int verdict = tail_of(c, E, &t) ? judge(c, &t, why) : 0;
  neap_scope_close(c, s);
  neap_mode_restore(c, mode);
  return neap_ok(c) ? verdict : 0;
}
