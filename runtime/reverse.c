/*
** reverse.c -- reverse mode: one sweep owns accumulation, need-masks and the check of every rule's result.
** Invariant: entries are taken newest first, so an entry's cotangent is complete when its rule runs.
*/
#include "tape_custom.h"

static bool check_result (neap_context *c, const neap_op *op, const neap_tensor *in, const neap_tensor *d) {
  if (!d) return neap_ok(c) ? neap_fail(c, NEAP_ESTATE, "derivative of %s: the rule gave nothing", op->name) : false;
  if (neap_same_shape(in, d) && in->dtype == d->dtype) return true;
  return neap_fail(c, NEAP_ESHAPE, "derivative of %s: the rule gave %s %s for an input of %s %s", op->name,
                   neap_dtype_name(d->dtype), SHAPE_TEXT(d), neap_dtype_name(in->dtype), SHAPE_TEXT(in));
}

/* adds the cotangents of one entry's inputs */
static bool pull (neap_sweep *s, neap_entry *e) {
  neap_node *node = e->t->node;
  const neap_op *op = &neap_ops[node->op];
  neap_rule rule = { .c = s->c, .node = node, .out = e->t };
  for (int i = 0; i < node->n; i++) {
    neap_entry *in = neap_sweep_find(s, node->in[i]);
    if (!in || !in->need) continue;
    neap_scope scope = neap_scope_open(s->c);
    neap_tensor *d = op->vjp(&rule, i, e->d);
    bool ok = check_result(s->c, op, node->in[i], d) && neap_sweep_add(s, in, d);
    neap_scope_close(s->c, scope);
    if (!ok) return false;
  }
  return true;
}

static bool sweep (neap_sweep *s) {
  for (int i = s->n - 1; i >= 0; i--) {
    neap_entry *e = &s->e[i];
    if (!e->need || !e->d || !e->t->node || (s->partial && e->target)) continue;
    if (!neap_sweep_check(s, e->t) || !(e->t->node->custom ? neap_custom_pull(s, e) : pull(s, e))) return false;
    if (!e->target) { neap_release(e->d); e->d = NULL; }  /* used up: its memory serves the next */
  }
  return true;
}

static neap_tensor *check_seed (neap_context *c, neap_tensor *y, neap_tensor *seed) {
  if (!seed && neap_numel(y) != 1)
    return neap_fail(c, NEAP_ESHAPE,
                     "gradients: a value of one element expected, got shape %s; sum it, or give grad_outputs",
                     SHAPE_TEXT(y));
  if (!seed) return neap_ones_like(c, y);
  if (!neap_same_shape(y, seed))
    return neap_fail(c, NEAP_ESHAPE, "gradients: grad_outputs has shape %s, the value %s", SHAPE_TEXT(seed),
                     SHAPE_TEXT(y));
  return seed->dtype == y->dtype ? seed : neap_cast(c, seed, y->dtype);
}

/* oldest first, so that each entry is still held by a newer one */
static void release_tape (neap_sweep *s) {
  for (int i = 0; i < s->n; i++)
    if (s->e[i].need && s->e[i].t->node && !s->e[i].t->birth) neap_node_clear(s->e[i].t->node);
}

static bool untracked (neap_context *c, const neap_tensor *y) {
  return neap_fail(c, NEAP_ESTATE,
                   "gradients: the value, of shape %s, was not computed from any variable (requires_grad)",
                   SHAPE_TEXT(y));
}

static bool run (neap_sweep *s, neap_tensor *y, neap_tensor *seed, unsigned flags) {
  neap_context *c = s->c;
  neap_mode mode = c->floor;
  neap_scope scope = neap_scope_open(c);
  c->floor = neap_sweep_floor(s, flags);
  neap_entry *top = neap_sweep_find(s, y);
  seed = check_seed(c, y, seed);
  bool ok = seed && (!top || (neap_sweep_add(s, top, seed) && sweep(s)));
  c->floor = mode;
  neap_scope_close(c, scope);
  return ok;
}

/* out[i]: lent by the caller's scope */
static bool give (neap_sweep *s, neap_tensor *x, int i, unsigned flags, neap_tensor **out) {
  neap_context *c = s->c;
  neap_entry *e = neap_sweep_find(s, x);
  *out = NULL;
  if (e && e->d) return (*out = neap_lend(c, neap_keep(e->d))) != NULL;
  if (flags & NEAP_ZERO_UNUSED) return (*out = neap_zeros_like(c, x)) != NULL;
  if (flags & NEAP_ALLOW_UNUSED) return true;
  return neap_fail(c, NEAP_ESTATE,
                   "gradients: the value does not depend on variable %d, of shape %s (allow_unused permits that)",
                   i + 1, SHAPE_TEXT(x));
}

bool neap_gradients (neap_context *c, neap_tensor *y, int n, neap_tensor *const *xs, neap_tensor *seed,
                     unsigned flags, neap_tensor **out) {
  if (!neap_ok(c) || !y) return false;
  for (int i = 0; i < n; i++) if (!xs[i]) return neap_fail(c, NEAP_EARG, "gradients: variable %d is missing", i + 1);
  if (!y->level && !(flags & (NEAP_ALLOW_UNUSED | NEAP_ZERO_UNUSED))) return untracked(c, y);
  neap_sweep s;
  if (!neap_sweep_open(&s, c, y, n, xs)) return false;
  s.outside |= neap_tracked(c, seed);
  s.partial = flags & NEAP_PARTIAL;
  bool ok = run(&s, y, seed, flags);
  for (int i = 0; ok && i < n; i++) ok = give(&s, xs[i], i, flags, &out[i]);
  if (ok && !(flags & (NEAP_CREATE_GRAPH | NEAP_RETAIN | NEAP_AUTO_GRAPH))) release_tape(&s);
  neap_sweep_close(&s);
  return ok;
}

/* adds e's cotangent to its variable's gradient */
static bool accumulate (neap_sweep *s, neap_entry *e, unsigned flags) {
  neap_context *c = s->c;
  neap_mode mode = c->floor;
  neap_scope scope = neap_scope_open(c);
  c->floor = neap_sweep_floor(s, flags);
  neap_tensor *g = e->t->grad ? neap_add(c, e->t->grad, e->d) : e->d;
  if (g) neap_set_grad(e->t, g);
  c->floor = mode;
  neap_scope_close(c, scope);
  return g != NULL;
}

neap_tensor *neap_grad (neap_context *c, neap_tensor *y, neap_tensor *x) {
  neap_tensor *g = NULL;
  return neap_gradients(c, y, 1, &x, NULL, 0, &g) ? g : NULL;
}

bool neap_backward (neap_context *c, neap_tensor *y, neap_tensor *seed, unsigned flags) {
  if (!neap_ok(c) || !y) return false;
  if (!y->level) return untracked(c, y);
  neap_sweep s;
  if (!neap_sweep_open(&s, c, y, 0, NULL)) return false;
  bool ok = run(&s, y, seed, flags);
  for (int i = 0; ok && i < s.n; i++)
    if (s.e[i].t->level == 1 && !s.e[i].t->node && s.e[i].d) ok = accumulate(&s, &s.e[i], flags);
  if (ok && !(flags & (NEAP_CREATE_GRAPH | NEAP_RETAIN))) release_tape(&s);
  neap_sweep_close(&s);
  return ok;
}
