/*
** tape.c -- which tensors a tape knows: variables, levels, modes.
** Invariant: the context's clock numbers variables and tape entries in the order they appear.  A tensor's level is
** the clock of its newest variable (1 for neap_requires_grad); it is tracked while that is above the context's floor.
** So nested derivatives never confuse each other, and neap_no_grad is one assignment: floor = clock.
*/
#include "ops/support.h"

bool infer_alias (neap_call *k, neap_meta *out) {
  op_meta_like(out, k->in[0]);
  return out->view = true;
}

bool infer_anchor (neap_call *k, neap_meta *out) { return infer_alias(k, out); }

static neap_tensor *same_view (neap_context *c, neap_tensor *x) {
  return neap_tensor_view(c, x->store, x->dtype, x->ndim, x->shape, x->strides, x->offset);
}

static bool check_float (neap_context *c, const char *what, const neap_tensor *t) {
  if (neap_is_float(t->dtype)) return true;
  return neap_fail(c, NEAP_EDTYPE, "%s: a float32 or float64 tensor expected, got %s (x:float() makes one)", what,
                   neap_dtype_name(t->dtype));
}

bool neap_requires_grad (neap_context *c, neap_tensor *t, bool on) {
  if (!t || !neap_ok(c) || (on && !check_float(c, "requires_grad", t))) return false;
  if (t->node) {
    if (on) return true;                               /* computed from variables: tracked already */
    return neap_fail(c, NEAP_ESTATE, "requires_grad: this tensor was computed from variables; use detach()");
  }
  if (on && t->level) return true;                     /* keeps its birth: what it entered stays reachable */
  t->level = on ? 1 : 0;
  t->store->marks++;
  t->birth = on ? ++c->clock : 0;
  return true;
}

bool neap_is_tracked (const neap_tensor *t) { return t->level > 0; }

neap_tensor *neap_detach (neap_context *c, neap_tensor *t) { return t ? same_view(c, t) : NULL; }

neap_tensor *neap_variable (neap_context *c, neap_tensor *x) {
  if (!x || !neap_ok(c) || !check_float(c, "a derivative's argument", x)) return NULL;
  neap_tensor *v = neap_tracked(c, x) ? neap_alias(c, x) : same_view(c, x);
  if (!v) return NULL;
  v->level = v->birth = ++c->clock;
  v->frozen = (uint64_t)v->store->version + 1;
  return v;
}

neap_tensor *neap_grad_of (const neap_tensor *t) { return t->grad; }

void neap_set_grad (neap_tensor *t, neap_tensor *grad) {
  neap_tensor *old = t->grad;
  t->grad = neap_keep(grad);
  neap_release(old);
}

neap_mode neap_no_grad (neap_context *c) {
  neap_mode m = c->floor;
  c->floor = c->clock;
  return m;
}

void neap_mode_restore (neap_context *c, neap_mode m) { c->floor = m; }
