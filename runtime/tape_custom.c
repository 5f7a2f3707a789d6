/*
** tape_custom.c -- tape entries whose derivatives the host computes.
** Forward mode needs no rule of its own: the pullback is linear in the cotangent u, so the tangent is
** the gradient by u of sum_i <pull_i(u), dx_i>.
*/
#include "tape_custom.h"
#include <string.h>

void neap_custom_free (neap_context *c, neap_pullback *p) {
  if (!p) return;
  if (p->release) p->release(c, p->arg);
  neap_free(c, p, sizeof *p);
}

static bool any_tracked (neap_context *c, int n, neap_tensor *const *in) {
  for (int i = 0; i < n; i++) if (neap_tracked(c, in[i])) return true;
  return false;
}

/* the entry: the value and its inputs under an anchor */
static neap_tensor *enter (neap_context *c, neap_tensor *value, int n, neap_tensor *const *in) {
  size_t bytes = (size_t)(n + 1) * sizeof *in;
  neap_tensor **list = value && neap_ok(c) ? neap_malloc(c, bytes) : NULL;
  if (!list) return NULL;
  list[0] = value;
  memcpy(list + 1, in, (size_t)n * sizeof *in);
  neap_tensor *out = neap_anchor(c, n + 1, list);
  neap_free(c, list, bytes);
  return out;
}

neap_tensor *neap_custom (neap_context *c, neap_tensor *value, int n, neap_tensor *const *in, neap_pullback p) {
  neap_tensor *out = !value || any_tracked(c, n, in) ? enter(c, value, n, in) : value;
  neap_pullback *kept = out && out->node && out != value ? neap_malloc(c, sizeof *kept) : NULL;
  if (kept) {
    *kept = p;
    out->node->custom = kept;
    return out;
  }
  if (p.release) p.release(c, p.arg);
  return neap_ok(c) ? out : NULL;
}

/* ---- derivatives ---- */

bool neap_custom_stands (neap_rule *r) {
  for (int i = 1; i < r->node->n; i++) if (!neap_rule_in(r, i)) return false;
  return true;
}

static bool pull_all (neap_rule *r, const bool *want, neap_tensor *g, neap_tensor **out) {
  neap_node *node = r->node;
  int n = node->n - 1;
  memset(out, 0, (size_t)n * sizeof *out);
  return node->custom->pull(r, node->custom->arg, n, node->in + 1, want, g, out) && neap_ok(r->c);
}

/* lists of n: what is wanted, and what comes back */
typedef struct lists { neap_tensor **out; bool *want; size_t bytes; } lists;

static bool make_lists (neap_context *c, lists *l, int n) {
  l->bytes = (size_t)(n ? n : 1) * (sizeof *l->out + sizeof *l->want);
  l->out = neap_calloc(c, l->bytes);
  l->want = (bool *)(l->out + n);
  return l->out != NULL;
}

static neap_tensor *in_shape (neap_context *c, const neap_tensor *in, neap_tensor *d) {
  if (!d || (neap_same_shape(in, d) && in->dtype == d->dtype)) return d;
  return neap_fail(c, NEAP_ESHAPE, "derivative of a host's value: %s %s given for an input of %s %s",
                   neap_dtype_name(d->dtype), SHAPE_TEXT(d), neap_dtype_name(in->dtype), SHAPE_TEXT(in));
}

bool neap_custom_pull (neap_sweep *s, neap_entry *e) {
  neap_context *c = s->c;
  neap_node *node = e->t->node;
  neap_rule r = { .c = c, .node = node, .out = e->t };
  lists l;
  if (!make_lists(c, &l, node->n - 1)) return false;
  for (int i = 1; i < node->n; i++) {
    neap_entry *in = neap_sweep_find(s, node->in[i]);
    l.want[i - 1] = in && in->need;
  }
  neap_scope scope = neap_scope_open(c);
  bool ok = pull_all(&r, l.want, e->d, l.out);
  neap_sweep_mark(s);                                  /* the pullback may have swept, too */
  for (int i = 1; ok && i < node->n; i++) {
    if (!l.want[i - 1] || !l.out[i - 1]) continue;
    neap_tensor *d = in_shape(c, node->in[i], l.out[i - 1]);
    ok = d && neap_sweep_add(s, neap_sweep_find(s, node->in[i]), d);
  }
  neap_scope_close(c, scope);
  neap_free(c, l.out, l.bytes);
  return ok;
}

/* sum_i <pull_i(u), dx_i>; NULL without an error: nothing depends on u */
static neap_tensor *paired (neap_rule *r, neap_tensor *u, lists *l, neap_tensor *const *dx) {
  neap_context *c = r->c;
  neap_tensor *sum = NULL;
  for (int i = 1; i < r->node->n; i++) l->want[i - 1] = dx[i] != NULL;
  if (!pull_all(r, l->want, u, l->out)) return NULL;
  for (int i = 1; i < r->node->n && neap_ok(c); i++) {
    if (!dx[i] || !l->out[i - 1]) continue;
    neap_tensor *v = neap_sum(c, neap_mul(c, l->out[i - 1], dx[i]), -1, NULL, false);
    sum = sum ? neap_add(c, sum, v) : v;
  }
  return sum;
}

/* the tangent, with a tape behind it only as far as the sweep's floor wants one */
static neap_tensor *push (neap_rule *r, neap_tensor *const *dx, lists *l) {
  neap_context *c = r->c;
  neap_tensor *u = neap_variable(c, neap_ones_like(c, r->out)), *sum = u ? paired(r, u, l, dx) : NULL, *out = NULL;
  if (!sum) return neap_ok(c) ? neap_zeros_like(c, r->out) : NULL;
  return neap_gradients(c, sum, 1, &u, NULL, NEAP_ZERO_UNUSED | NEAP_CREATE_GRAPH, &out) ? out : NULL;
}

neap_tensor *neap_custom_push (neap_rule *r, neap_tensor *const *dx) {
  neap_context *c = r->c;
  neap_mode mode = c->floor;
  bool untaped = mode == UINT64_MAX;
  lists l;
  if (!make_lists(c, &l, r->node->n - 1)) return NULL;
  if (untaped) c->floor = c->clock;                    /* the cotangent is a variable all the same */
  neap_tensor *out = push(r, dx, &l);
  c->floor = mode;
  neap_free(c, l.out, l.bytes);
  return untaped ? neap_detach(c, out) : out;
}
