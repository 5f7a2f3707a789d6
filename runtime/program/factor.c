/*
** factor.c -- sums of products that share an operand: x·w + y·w = (x + y)·w, of matrices and of elements.  Gradients
** of derivatives are full of them: what the derivatives have in common is gone back through once for each.
** Invariant: of two products one is left; values stay what they were but for rounding, and for what x + y overflows or
** is no number where its parts are none.
*/
#include "program/graph.h"
#include <string.h>

enum { TERMS = 32 };

typedef struct term { int node, slot; } term;          /* operand `slot` of an addition */

typedef struct search {
  graph *g;
  int *uses, nvalues;                                  /* of the first so many values */
  term terms[TERMS]; int n;                            /* of one sum */
} search;

/* the node whose result the term is and that nothing else reads, or NULL */
static graph_node *maker (const search *s, term t) {
  const graph_ref *r = graph_in(s->g, &s->g->nodes[t.node], t.slot);
  const graph_value *v = &s->g->values[r->value];
  bool alone = r->value < s->nvalues && s->uses[r->value] == 1 && v->kind == VALUE_NODE;
  return alone && graph_is_whole(s->g, r) ? &s->g->nodes[v->maker] : NULL;
}

/* the terms of what node i adds up, itself and in additions for it alone */
static void collect (search *s, int i, int depth) {
  for (int slot = 0; slot < 2; slot++) {
    term t = { i, slot };
    graph_node *n = maker(s, t);
    if (n && depth < TERMS && graph_is_sum(s->g, n)) collect(s, (int)(n - s->g->nodes), depth + 1);
    else if (s->n < TERMS) s->terms[s->n++] = t;
  }
}

/* Is operand j of p operand k of q, and can the others be added? */
static bool share (graph *g, const graph_node *p, int j, const graph_node *q, int k) {
  const graph_ref *x = graph_in(g, p, 1 - j), *y = graph_in(g, q, 1 - k);
  return graph_same_ref(graph_in(g, p, j), graph_in(g, q, k)) && graph_same_shape(x, y) && x->dtype == y->dtype &&
         graph_is_whole(g, x) && graph_is_whole(g, y);
}

static bool is_product (const graph_node *n) {
  return n && (n->op == NEAP_OP_bmm || n->op == NEAP_OP_mul);
}

/* finds which operands of the two terms are the same: of matrices it stands on one side */
static bool can_factor (const search *s, term a, term b, int *j, int *k) {
  const graph_node *p = maker(s, a), *q = maker(s, b);
  if (!is_product(p) || !is_product(q) || p->op != q->op) return false;
  if (s->g->values[p->out].fixed != s->g->values[q->out].fixed) return false;          /* one is made once a run */
  for (*j = 0; *j < 2; ++*j)
    for (*k = 0; *k < 2; ++*k)
      if ((p->op == NEAP_OP_mul || *j == *k) && share(s->g, p, *j, q, *k)) return true;
  return false;
}

static bool insert (graph *g, int i, const graph_node *like, graph_ref x, graph_ref y) {
  graph_ref out = like->op == NEAP_OP_add ? x : graph_whole(g, like->out);
  graph_node *n = graph_insert(g, i, like->op, &out, 2);
  if (!n) return false;
  n->has_attrs = like->has_attrs;
  n->a = like->a;
  n->attr_rows = like->attr_rows;
  *graph_in(g, n, 0) = x;
  *graph_in(g, n, 1) = y;
  return true;
}

/* An addition without operand `slot` is a copy of the other one. */
static void drop_term (graph *g, term t) {
  graph_node *n = &g->nodes[t.node];
  *graph_in(g, n, 0) = *graph_in(g, n, 1 - t.slot);
  n->op = NEAP_OP_clone;
  n->n = 1;
}

/* The later term becomes the product of the sum, made right before it is read; the earlier one goes. */
static bool factor (search *s, term a, term b, int j, int k) {
  graph *g = s->g;
  graph_node p = *maker(s, a), q = *maker(s, b), sum = { .op = NEAP_OP_add };
  term keep = a.node > b.node ? a : b, drop = a.node > b.node ? b : a;
  graph_ref same = *graph_in(g, &p, j);
  int at = keep.node;
  if (!insert(g, at, &sum, *graph_in(g, &p, 1 - j), *graph_in(g, &q, 1 - k))) return false;
  graph_ref total = graph_whole(g, g->nodes[at].out);
  if (!insert(g, at + 1, &p, j ? total : same, j ? same : total)) return false;
  if (drop.node == at) drop.node += 2;
  *graph_in(g, &g->nodes[at + 2], keep.slot) = graph_whole(g, g->nodes[at + 1].out);
  drop_term(g, drop);
  for (int i = at; i < g->nnodes; i++) g->values[g->nodes[i].out].maker = i;
  return true;
}

/* one pair of a sum's terms; false: no memory */
static bool factor_sum (search *s, int i, bool *found) {
  s->n = 0;
  collect(s, i, 0);
  for (int a = 0, j, k; a < s->n; a++)
    for (int b = a + 1; b < s->n; b++)
      if (can_factor(s, s->terms[a], s->terms[b], &j, &k)) {
        *found = true;
        return factor(s, s->terms[a], s->terms[b], j, k);
      }
  return true;
}

bool graph_factor (graph *g, bool *found) {
  int n = g->nvalues;
  search s = { .g = g, .nvalues = n, .uses = neap_calloc(g->c, (size_t)(n + 1) * sizeof(int)) };
  bool ok = s.uses != NULL;
  *found = false;
  if (ok) graph_count_uses(g, s.uses);
  for (int i = g->nnodes - 1; ok && i >= 0; i--) if (graph_is_sum(g, &g->nodes[i])) ok = factor_sum(&s, i, found);
  neap_free(g->c, s.uses, (size_t)(n + 1) * sizeof(int));
  return ok;
}
