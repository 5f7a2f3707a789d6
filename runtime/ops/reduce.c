/*
** reduce.c -- sum, amax, amin, any and all over any set of dimensions.
** Invariant: an empty sum is 0, any of nothing false, all of nothing true; an extreme of nothing is an error.
** A NaN wins every maximum and minimum.
*/
#include "ops/reduce.h"
#include "ops/rules.h"
#include <string.h>

bool reduce_infer (neap_call *k, neap_meta *out, neap_dtype d) {
  bool axes[NEAP_MAX_DIMS];
  if (!op_axes(k->c, k->op->name, &k->a, k->in[0]->ndim, axes)) return false;
  op_meta_reduced(out, k->in[0], axes, is_set(k->a.i[0]), d);
  for (int i = 0; i < NEAP_MAX_DIMS; i++) k->a.dims[i] = axes[i];
  return true;
}

static bool fold_over (neap_call *k, neap_tensor *x, reduce_fold fold, neap_tensor *out) {
  neap_scope s = neap_scope_open(k->c);
  reduce_plan p;
  bool ok = x && reduce_plan_call(k, x, false, &p);
  if (ok && p.n == 0) memset(neap_ptr(out), fold == FOLD_MIN, (size_t)neap_numel(out) * neap_dtype_size(out->dtype));
  else ok = ok && reduce_run(k->c, &p, fold, out);
  neap_scope_close(k->c, s);
  return ok;
}

bool infer_sum (neap_call *k, neap_meta *out) {
  return reduce_infer(k, out, neap_is_float(k->in[0]->dtype) ? k->in[0]->dtype : NEAP_INT64);
}

bool run_sum (neap_call *k, neap_tensor *out) { return fold_over(k, k->in[0], FOLD_SUM, out); }

bool reduce_nonempty (neap_call *k) {
  const neap_tensor *x = k->in[0];
  for (int i = 0; i < x->ndim; i++)
    if (k->a.dims[i] && x->shape[i] == 0)
      return neap_fail(k->c, NEAP_ESHAPE, "%s: dimension %d of shape %s has no elements", k->op->name, i + 1,
                       SHAPE_TEXT(x));
  return true;
}

/* ---- extremes: the gradient is shared evenly among ties ---- */

static bool infer_extreme (neap_call *k, neap_meta *out) {
  return reduce_infer(k, out, k->in[0]->dtype) && reduce_nonempty(k);
}

/* 1 / (number of ties) where x is the extreme, else 0; without a derivative of its own */
static neap_tensor *extreme_weights (neap_rule *r) {
  neap_context *c = r->c;
  const neap_attrs *a = r->node->a;
  neap_tensor *x = neap_rule_in(r, 0), *best = rule_unreduce(c, neap_rule_out(r), r->node->in[0], a);
  neap_tensor *ties = neap_cast(c, neap_eq(c, x, best), r->out->dtype);
  return neap_div(c, ties, neap_sum(c, ties, a->count < 0 ? -1 : a->count, a->dims, true));
}

static neap_tensor *extreme_vjp (neap_rule *r, neap_tensor *g) {
  return neap_mul(r->c, rule_unreduce(r->c, g, r->node->in[0], r->node->a), extreme_weights(r));
}

neap_tensor *reduce_weighted (neap_rule *r, neap_tensor *w, neap_tensor *dx) {
  const neap_attrs *a = r->node->a;
  return neap_sum(r->c, neap_mul(r->c, w, dx), a->count < 0 ? -1 : a->count, a->dims, is_set(a->i[0]));
}

bool infer_amax (neap_call *k, neap_meta *out) { return infer_extreme(k, out); }
bool run_amax (neap_call *k, neap_tensor *out) { return fold_over(k, k->in[0], FOLD_MAX, out); }
neap_tensor *vjp_amax (neap_rule *r, int i, neap_tensor *g) { (void)i; return extreme_vjp(r, g); }
neap_tensor *jvp_amax (neap_rule *r, neap_tensor *const *dx) { return reduce_weighted(r, extreme_weights(r), dx[0]); }

bool infer_amin (neap_call *k, neap_meta *out) { return infer_extreme(k, out); }
bool run_amin (neap_call *k, neap_tensor *out) { return fold_over(k, k->in[0], FOLD_MIN, out); }
neap_tensor *vjp_amin (neap_rule *r, int i, neap_tensor *g) { (void)i; return extreme_vjp(r, g); }
neap_tensor *jvp_amin (neap_rule *r, neap_tensor *const *dx) { return reduce_weighted(r, extreme_weights(r), dx[0]); }

/* ---- any, all ---- */

static bool truth_over (neap_call *k, reduce_fold fold, neap_tensor *out) {
  neap_tensor *x = k->in[0];
  neap_scope s = neap_scope_open(k->c);
  if (x->dtype != NEAP_BOOL) {
    x = neap_tensor_new(k->c, NEAP_BOOL, x->ndim, x->shape);
    if (x) neap_copy_strided(x, k->in[0]);
  }
  bool ok = fold_over(k, x, fold, out);
  neap_scope_close(k->c, s);
  return ok;
}

bool infer_any (neap_call *k, neap_meta *out) { return reduce_infer(k, out, NEAP_BOOL); }
bool run_any (neap_call *k, neap_tensor *out) { return truth_over(k, FOLD_MAX, out); }
bool infer_all (neap_call *k, neap_meta *out) { return reduce_infer(k, out, NEAP_BOOL); }
bool run_all (neap_call *k, neap_tensor *out) { return truth_over(k, FOLD_MIN, out); }
