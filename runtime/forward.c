/*
** forward.c -- forward mode over the recorded graph: tangents pushed oldest first.
** The rule follows from the row's kind: an elementwise row's derivative serves both modes, a linear row is applied to
** the tangents themselves, a bilinear one once for each side; only GENERAL rows carry a rule of their own.
*/
#include "tape_custom.h"
#include <string.h>

/* Σ_i d(i, dx_i) */
static neap_tensor *push_elementwise (neap_rule *r, const neap_op *op, neap_tensor *const *dx) {
  neap_tensor *sum = NULL;
  for (int i = 0; i < r->node->n; i++) {
    if (!dx[i]) continue;
    neap_tensor *v = op->vjp(r, i, dx[i]);
    sum = sum ? neap_add(r->c, sum, v) : v;
    if (!sum) return NULL;
  }
  return sum;
}

/* f(dx_1, dx_2, …), with zeros where there is no tangent; indices and masks stay as they are */
static neap_tensor *push_linear (neap_rule *r, neap_tensor *const *dx) {
  neap_context *c = r->c;
  int n = r->node->n;
  neap_tensor **in = neap_malloc(c, (size_t)n * sizeof *in);
  if (!in) return NULL;
  for (int i = 0; i < n; i++) {
    neap_tensor *x = r->node->in[i];
    in[i] = dx[i] ? dx[i] : neap_is_float(x->dtype) ? neap_zeros_like(c, x) : neap_rule_in(r, i);
  }
  neap_tensor *out = neap_apply(c, r->node->op, in, n, r->node->a);
  neap_free(c, in, (size_t)n * sizeof *in);
  return out;
}

/* f(dx_1, x_2) + f(x_1, dx_2) */
static neap_tensor *push_bilinear (neap_rule *r, neap_tensor *const *dx) {
  neap_tensor *sum = NULL;
  for (int i = 0; i < 2; i++) {
    if (!dx[i]) continue;
    neap_tensor *in[2] = { i == 0 ? dx[0] : neap_rule_in(r, 0), i == 1 ? dx[1] : neap_rule_in(r, 1) };
    neap_tensor *v = in[0] && in[1] ? neap_apply(r->c, r->node->op, in, 2, r->node->a) : NULL;
    sum = sum ? neap_add(r->c, sum, v) : v;
    if (!sum) return NULL;
  }
  return sum;
}

static neap_tensor *push (neap_rule *r, neap_tensor *const *dx) {
  const neap_op *op = &neap_ops[r->node->op];
  if (r->node->custom) return neap_custom_push(r, dx);
  switch (op->kind) {
    case KIND_ELEMENTWISE: return push_elementwise(r, op, dx);
    case KIND_LINEAR: return push_linear(r, dx);
    case KIND_BILINEAR: return push_bilinear(r, dx);
    default: return op->jvp(r, dx);
  }
}

static bool check_result (neap_context *c, const neap_op *op, const neap_tensor *t, const neap_tensor *d) {
  if (!d) return neap_ok(c) ? neap_fail(c, NEAP_ESTATE, "tangent of %s: the rule gave nothing", op->name) : false;
  if (neap_same_shape(t, d) && t->dtype == d->dtype) return true;
  return neap_fail(c, NEAP_ESHAPE, "tangent of %s: the rule gave %s for a result of %s", op->name, SHAPE_TEXT(d),
                   SHAPE_TEXT(t));
}

/* the tangent of e from those of its inputs; stays NULL (zero) when none has one */
static bool advance (neap_sweep *s, neap_entry *e) {
  neap_node *node = e->t->node;
  neap_context *c = s->c;
  neap_tensor **dx = neap_malloc(c, (size_t)node->n * sizeof *dx);
  if (!dx) return false;
  bool any = false;
  for (int i = 0; i < node->n; i++) {
    neap_entry *in = neap_sweep_find(s, node->in[i]);
    dx[i] = in ? in->d : NULL;
    any |= dx[i] != NULL;
  }
  neap_rule rule = { .c = c, .node = node, .out = e->t };
  neap_scope scope = neap_scope_open(c);
  neap_tensor *d = any ? push(&rule, dx) : NULL;
  if (node->custom) neap_sweep_mark(s);                /* its rule sweeps, too */
  bool ok = !any || (check_result(c, &neap_ops[node->op], e->t, d) && neap_sweep_add(s, e, d));
  neap_scope_close(c, scope);
  neap_free(c, dx, (size_t)node->n * sizeof *dx);
  return ok;
}

static bool seed (neap_sweep *s, int n, neap_tensor *const *xs, neap_tensor *const *dxs) {
  neap_context *c = s->c;
  for (int i = 0; i < n; i++) {
    if (!xs[i] || !dxs[i]) return neap_fail(c, NEAP_EARG, "jvp: tangent %d is missing", i + 1);
    if (!neap_same_shape(xs[i], dxs[i]))
      return neap_fail(c, NEAP_ESHAPE, "jvp: tangent %d has shape %s, its argument %s", i + 1, SHAPE_TEXT(dxs[i]),
                       SHAPE_TEXT(xs[i]));
    neap_entry *e = neap_sweep_find(s, xs[i]);
    neap_tensor *d = dxs[i]->dtype == xs[i]->dtype ? dxs[i] : neap_cast(c, dxs[i], xs[i]->dtype);
    if (!d || (e && !neap_sweep_add(s, e, d))) return false;
  }
  return true;
}

static bool sweep (neap_sweep *s, int n, neap_tensor *const *xs, neap_tensor *const *dxs) {
  if (!seed(s, n, xs, dxs)) return false;
  for (int i = 0; i < s->n; i++) {
    neap_entry *e = &s->e[i];
    if (e->d || !e->need || !e->t->node) continue;      /* a target has its tangent already */
    if (!neap_sweep_check(s, e->t) || !advance(s, e)) return false;
  }
  return true;
}

static bool tangent_outside (neap_context *c, int n, neap_tensor *const *dxs) {
  for (int i = 0; i < n; i++) if (neap_tracked(c, dxs[i])) return true;
  return false;
}

neap_tensor *neap_tangent (neap_context *c, neap_tensor *y, int n, neap_tensor *const *xs,
                           neap_tensor *const *dxs, unsigned flags) {
  if (!neap_ok(c) || !y) return NULL;
  neap_sweep s;
  if (!neap_sweep_open(&s, c, y, n, xs)) return NULL;
  s.outside |= tangent_outside(c, n, dxs);
  neap_mode mode = c->floor;
  neap_scope scope = neap_scope_open(c);
  c->floor = neap_sweep_floor(&s, flags);
  bool ok = sweep(&s, n, xs, dxs);
  c->floor = mode;
  neap_scope_close(c, scope);
  neap_entry *top = neap_sweep_find(&s, y);
  neap_tensor *out = !ok ? NULL : top && top->d ? neap_lend(c, neap_keep(top->d)) : neap_zeros_like(c, y);
  neap_sweep_close(&s);
  return out;
}
