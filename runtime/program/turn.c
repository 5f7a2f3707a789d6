/*
** turn.c -- matrices that are only read transposed are made so: (x y)ᵀ = yᵀ xᵀ, and elementwise nodes of such.
** Invariant: values stay what they were but for the order in which BLAS takes a product's operands; only matrices without
** rows are turned, gradients by weights above all.
*/
#include "program/graph.h"

static bool same (row_size a, row_size b) { return a.n == b.n && a.rows == b.rows; }
static bool is_plain (row_size s, int64_t n) { return s.n == n && !s.rows; }

static void swap (row_size *s) {
  row_size t = s[0];
  s[0] = s[1];
  s[1] = t;
}

static void turn (graph_ref *r) {
  swap(r->shape);
  swap(r->strides);
}

/* does r show all of its value, a matrix, transposed? */
static bool is_turned (const graph *g, const graph_ref *r) {
  const graph_value *v = &g->values[r->value];
  return r->ndim == 2 && v->ndim == 2 && r->dtype == v->dtype && is_plain(r->offset, 0) &&
         same(r->shape[0], v->shape[1]) && same(r->shape[1], v->shape[0]) && is_plain(r->strides[0], 1) &&
         is_plain(r->strides[1], v->shape[1].n);
}

typedef struct tally { int turned, other; } tally;     /* how a value is read */

static tally count_uses (graph *g, int v) {
  tally t = { 0, 0 };
  for (int i = 0; i <= g->nnodes; i++) {
    graph_ref *r = i < g->nnodes ? &g->refs[g->nodes[i].first] : &g->refs[g->outputs];
    for (int j = 0, n = i < g->nnodes ? g->nodes[i].n : g->noutputs; j < n; j++) {
      if (r[j].value != v) continue;
      if (is_turned(g, &r[j])) t.turned++; else t.other++;
    }
  }
  return t;
}

static bool is_product (graph *g, const graph_node *n) {
  return n->op == NEAP_OP_bmm && graph_in(g, n, 0)->ndim == 2 && neap_is_float(g->values[n->out].dtype);
}

enum { DEPTH = 8 };                        /* of elementwise nodes that are turned together */

static bool can_turn (graph *g, const graph_node *n, int depth);

/* would a reader that is turned read r as well as before? */
static bool may_turn (graph *g, const graph_ref *r, int depth) {
  const graph_value *v = &g->values[r->value];
  bool uniform = is_plain(r->strides[0], 0) && is_plain(r->strides[1], 0);
  if (uniform || is_turned(g, r)) return true;
  if (v->kind != VALUE_NODE || !graph_is_whole(g, r) || !can_turn(g, &g->nodes[v->maker], depth - 1)) return false;
  tally t = count_uses(g, r->value);
  return t.turned + t.other == 1;
}

static bool can_turn (graph *g, const graph_node *n, int depth) {
  const graph_value *v = &g->values[n->out];
  if (v->ndim != 2 || v->shape[0].rows || v->shape[1].rows || v->shape[0].n == 1 || v->shape[1].n == 1) return false;
  if (is_product(g, n)) return true;
  bool ok = graph_elementwise(n) && n->n > 0 && depth > 0;
  for (int i = 0; ok && i < n->n; i++) ok = may_turn(g, graph_in(g, n, i), depth);
  return ok;
}

/* the node's value transposed, and all that read it */
static void turn_node (graph *g, const graph_node *n) {
  if (n->op == NEAP_OP_bmm) {
    graph_ref *in = graph_in(g, n, 0), x = in[0];
    in[0] = in[1];
    in[1] = x;
  }
  for (int i = 0; i < n->n; i++) turn(graph_in(g, n, i));
  swap(g->values[n->out].shape);
  graph_ref whole = graph_whole(g, n->out);
  for (int i = 0; i < g->nrefs; i++) if (g->refs[i].value == n->out) g->refs[i] = whole;
}

void graph_turn (graph *g) {
  for (int i = g->nnodes - 1; i >= 0; i--) {
    const graph_node *n = &g->nodes[i];
    if (!can_turn(g, n, DEPTH)) continue;
    tally t = count_uses(g, n->out);
    if (t.turned > 0 && t.other == 0) turn_node(g, n);
  }
}
