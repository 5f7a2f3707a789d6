/*
** eval.c -- energies of x, and the derivatives by x.
** Invariant: every evaluation, of parts too, passes neap_energy_eval, which checks x and c before and the result after;
** so a class's eval may trust [B, event…].  Derivatives are taken with respect to a fresh variable that stays
** connected to x's own tape: differentiable again where something outside is tracked, and cheap where nothing is.
*/
#include "states.h"
#include "sweep.h"
#include <string.h>

/* ---- checks ---- */

/* "[B, 2]" for an event [2] */
static char *batch_text (char *buf, int ndim, const int64_t *event) {
  char rest[NEAP_SHAPE_BYTES];
  neap_shape_text(rest, ndim, event);
  size_t len = strlen(rest);
  memcpy(buf, "[B, ", 4);
  if (ndim > 0) memcpy(buf + 4, rest + 1, len);
  else memcpy(buf, "[B]", 4);
  return buf;
}

/* units 1 … q one-hot, [B, event…, q] */
static bool is_one_hot (const neap_energy *E, const neap_tensor *x) {
  int64_t q = x->ndim == E->ndim + 2 && neap_is_float(x->dtype) ? energy_labels(E) : 0;
  return q > 0 && x->shape[E->ndim + 1] == q;
}

static bool check_x (neap_context *c, const neap_energy *E, const neap_tensor *x) {
  char want[NEAP_SHAPE_BYTES + 8];
  if (E->ndim >= 0 && !E->any_event) {
    bool fits = x->ndim == E->ndim + 1 || is_one_hot(E, x);
    if (fits && memcmp(x->shape + 1, E->event, (size_t)E->ndim * sizeof *x->shape) == 0) return true;
    return neap_fail(c, NEAP_ESHAPE, "%s: x must be %s, got %s", energy_title(E), batch_text(want, E->ndim, E->event),
                     SHAPE_TEXT(x));
  }
  if (x->ndim >= 1) return true;
  return neap_fail(c, NEAP_ESHAPE, "%s: x must be [B, event...], got a tensor without dimensions", energy_title(E));
}

static bool check_cond (neap_context *c, const neap_energy *E, const neap_tensor *x, const neap_tensor *cond) {
  if (!cond && E->wants != 1) return true;
  if (!cond) return neap_fail(c, NEAP_EARG, "%s: a condition c is needed: E(x, c), or E:given(c)", energy_title(E));
  if (E->wants == 0)
    return neap_fail(c, NEAP_EARG, "%s: takes no condition, but one of shape %s was given", energy_title(E),
                     SHAPE_TEXT(cond));
  if (cond->ndim >= 1 && cond->shape[0] == x->shape[0]) return true;
  return neap_fail(c, NEAP_ESHAPE, "%s: the condition c must have one row per row of x, [%lld, ...], got %s",
                   energy_title(E), (long long)x->shape[0], SHAPE_TEXT(cond));
}

static neap_tensor *check_result (neap_context *c, const neap_energy *E, const neap_tensor *x, neap_tensor *e) {
  if (!e) return neap_ok(c) ? neap_fail(c, NEAP_ECALLBACK, "%s: the function gave no tensor", energy_title(E)) : NULL;
  if (!neap_is_float(e->dtype))
    return neap_fail(c, NEAP_EDTYPE, "%s: energies must be float32 or float64, got %s", energy_title(E),
                     neap_dtype_name(e->dtype));
  if (e->ndim == 1 && e->shape[0] == x->shape[0]) return e;
  return neap_fail(c, NEAP_ESHAPE, "%s: energies must be [B] = [%lld] for x %s, got %s", energy_title(E),
                   (long long)x->shape[0], SHAPE_TEXT(x), SHAPE_TEXT(e));
}

/* ready-made energies compute in floats; functions and compositions get x as it is */
static neap_tensor *as_float (neap_context *c, const neap_energy *E, neap_tensor *x) {
  if (neap_is_float(x->dtype) || E->function || E->nparts) return x;
  return energy_cast(c, x, c->default_dtype);
}

neap_tensor *neap_energy_eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  if (!neap_ok(c) || !E || !x) return NULL;
  if (!check_x(c, E, x) || !check_cond(c, E, x, cond)) return NULL;
  neap_scope s = neap_scope_open(c);
  neap_tensor *y = as_float(c, E, x);
  neap_tensor *e = y ? check_result(c, E, x, E->cls->eval(c, E, y, cond)) : NULL;
  return neap_scope_return(c, s, e);
}

neap_tensor *neap_energy_logits (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  if (!neap_ok(c) || !E || !x) return NULL;
  if (!energy_is_classifier(E))
    return neap_fail(c, NEAP_EARG, "logits: a classifier expected, got %s", energy_title(E));
  if (!check_x(c, E, x) || !check_cond(c, E, x, cond)) return NULL;
  neap_scope s = neap_scope_open(c);
  neap_tensor *y = as_float(c, E, x);
  return neap_scope_return(c, s, y ? energy_logits(c, E, y, cond) : NULL);
}

/* ---- first derivatives ---- */

/* x as the variable of E's derivatives */
static neap_tensor *variable (neap_context *c, const neap_energy *E, neap_tensor *x) {
  if (neap_is_float(x->dtype)) return neap_variable(c, x);
  return neap_fail(c, NEAP_EDTYPE, "%s: x: float32 or float64 expected for a derivative, got %s; x:float() makes one",
                   energy_title(E), neap_dtype_name(x->dtype));
}

/* e as the world outside sees it: without the tape to x alone, which was only made for the derivative */
static neap_tensor *outside_view (neap_context *c, neap_tensor *e, neap_tensor *xv) {
  neap_sweep s;
  if (!neap_sweep_open(&s, c, e, 1, &xv)) return NULL;
  bool outside = s.outside;
  neap_sweep_close(&s);
  return outside ? e : neap_detach(c, e);
}

/* the value [B] and gradient at the variable xv; with flags for the gradient's own graph */
static bool value_grad_at (neap_context *c, neap_energy *E, neap_tensor *xv, neap_tensor *cond, unsigned flags,
                           neap_tensor **e, neap_tensor **g) {
  *e = neap_energy_eval(c, E, xv, cond);
  neap_tensor *ones = *e ? neap_ones_like(c, *e) : NULL;
  return ones && neap_gradients(c, *e, 1, &xv, ones, flags | NEAP_ZERO_UNUSED, g);
}

/* value may be NULL */
static bool value_and_grad (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond, neap_tensor **value,
                            neap_tensor **g) {
  neap_tensor *xv = variable(c, E, x), *e;
  if (!xv || !value_grad_at(c, E, xv, cond, NEAP_AUTO_GRAPH, &e, g)) return false;
  if (!(*g = energy_anchor(c, E, *g))) return false;
  if (!value) return true;
  *value = outside_view(c, e, xv);
  return *value != NULL;
}

bool neap_energy_value_and_grad (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond,
                                 neap_tensor **e, neap_tensor **g) {
  if (!neap_ok(c) || !E || !x) return false;
  neap_tensor *value = NULL, *grad = NULL;
  neap_scope s = neap_scope_open(c);
  bool ok = value_and_grad(c, E, x, cond, e ? &value : NULL, &grad);
  neap_keep(value); neap_keep(grad);
  neap_scope_close(c, s);
  if (!ok) { neap_release(value); neap_release(grad); return false; }
  *g = neap_lend(c, grad);
  if (e) *e = neap_lend(c, value);
  return *g && (!e || *e);
}

neap_tensor *neap_energy_grad (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *g = NULL;
  return neap_energy_value_and_grad(c, E, x, cond, NULL, &g) ? g : NULL;
}

neap_tensor *neap_energy_score (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_scope s = neap_scope_open(c);
  neap_tensor *g = neap_energy_grad(c, E, x, cond);
  return neap_scope_return(c, s, g ? neap_neg(c, g) : NULL);
}

/* ---- second derivatives: forward over reverse ---- */

/* xv and ∇E(xv) as a graph that can be differentiated along xv */
static neap_tensor *grad_graph (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond, neap_tensor **xv) {
  neap_tensor *e = NULL, *g = NULL;
  *xv = variable(c, E, x);
  return *xv && value_grad_at(c, E, *xv, cond, NEAP_CREATE_GRAPH, &e, &g) ? g : NULL;
}

/* v ↦ ∇²E v.  A gradient that does not depend on x has no curvature. */
static neap_tensor *along (neap_context *c, neap_tensor *g, neap_tensor *xv, neap_tensor *v) {
  return g && v ? neap_tangent(c, g, 1, &xv, &v, NEAP_AUTO_GRAPH) : NULL;
}

static bool check_direction (neap_context *c, const neap_tensor *x, const neap_tensor *v) {
  if (!v) return false;
  if (neap_same_shape(x, v)) return true;
  return neap_fail(c, NEAP_ESHAPE, "hvp: v must have x's shape %s, got %s", SHAPE_TEXT(x), SHAPE_TEXT(v));
}

neap_tensor *neap_energy_hvp (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond, neap_tensor *v) {
  if (!neap_ok(c) || !E || !x || !check_direction(c, x, v)) return NULL;
  neap_scope s = neap_scope_open(c);
  neap_tensor *xv, *g = grad_graph(c, E, x, cond, &xv);
  return neap_scope_return(c, s, along(c, g, xv, v));
}

/* column i of ∇²E e_i, added to sum [B] (NULL at first) */
static neap_tensor *add_curvature (neap_context *c, neap_tensor *g, neap_tensor *xv, int64_t D, int64_t i,
                                   neap_tensor *sum) {
  neap_scope s = neap_scope_open(c);
  neap_tensor *h = rows_flat(c, along(c, g, xv, energy_unit(c, xv, D, i)));
  neap_tensor *d = h ? energy_column(c, h, i) : NULL;
  return neap_scope_return(c, s, d && sum ? neap_add(c, sum, d) : d);
}

static neap_tensor *trace (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *xv, *sum = NULL, *g = grad_graph(c, E, x, cond, &xv);
  if (!g) return NULL;
  int64_t B = x->shape[0], D = neap_row_numel(x);
  if (B == 0 || D == 0) return neap_full(c, g->dtype, 1, &B, 0);
  for (int64_t i = 1; i <= D; i++)
    if (!neap_poll(c) || !(sum = add_curvature(c, g, xv, D, i, sum))) return NULL;
  return sum;
}

neap_tensor *neap_energy_laplacian (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  if (!neap_ok(c) || !E || !x || !check_x(c, E, x)) return NULL;
  neap_scope s = neap_scope_open(c);
  return neap_scope_return(c, s, trace(c, E, x, cond));
}

static neap_tensor *probe (neap_context *c, neap_tensor *g, neap_tensor *xv, neap_rng *rng) {
  neap_tensor *v = energy_signs(c, xv, rng), *h = along(c, g, xv, v);
  return h ? rows_sum(c, neap_mul(c, v, h)) : NULL;
}

neap_tensor *neap_energy_laplacian_hutchinson (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond,
                                               int samples, neap_rng *rng) {
  if (!neap_ok(c) || !E || !x || !check_x(c, E, x)) return NULL;
  if (samples < 1) return neap_fail(c, NEAP_EARG, "laplacian: samples must be at least 1, got %d", samples);
  neap_scope s = neap_scope_open(c);
  neap_tensor *xv, *g = grad_graph(c, E, x, cond, &xv), *sum = NULL;
  if (!rng) rng = neap_rng_default(c);
  for (int i = 0; g && i < samples; i++) {
    neap_tensor *q = probe(c, g, xv, rng);
    sum = sum && q ? neap_add(c, sum, q) : q;
    if (!sum) break;
  }
  return neap_scope_return(c, s, sum ? neap_div(c, sum, num(c, sum, samples)) : NULL);
}
