/*
** contract.c -- products of elements that are added: one pass over the elements less.  What is added to itself is made
** twice as large (squares have such gradients); what is only added to something else is added by the op that makes it,
** where the machine can with one rounding.
** Invariant: values stay what they were but for rounding, and what cancels exactly still does: something that was
** computed may be the same product, so only what a run is given is added to.
*/
#include "program/graph.h"
#include <string.h>

/* the product that operand `slot` of node n is, made for it alone; NULL: it is none */
static const graph_node *product (graph *g, const int *uses, const graph_node *n, int slot) {
  const graph_ref *r = graph_in(g, n, slot);
  const graph_value *v = &g->values[r->value];
  bool alone = v->kind == VALUE_NODE && uses[r->value] == 1 && v->fixed == g->values[n->out].fixed;
  if (!alone || g->values[graph_in(g, n, 1 - slot)->value].kind == VALUE_NODE || !graph_is_whole(g, r)) return NULL;
  return v->ndim == g->values[n->out].ndim && g->nodes[v->maker].op == NEAP_OP_mul ? &g->nodes[v->maker] : NULL;
}

/* node i becomes x·y + z; false: no memory */
static bool contract (graph *g, int i, const graph_node *xy, int other) {
  graph_ref x = *graph_in(g, xy, 0), y = *graph_in(g, xy, 1), z = *graph_in(g, &g->nodes[i], other);
  int first = graph_refs_new(g, 3);
  if (first < 0) return false;
  graph_node *n = &g->nodes[i];
  *n = (graph_node){ .op = NEAP_OP_fma, .n = 3, .first = first, .out = n->out };
  *graph_in(g, n, 0) = x;
  *graph_in(g, n, 1) = y;
  *graph_in(g, n, 2) = z;
  return true;
}

static bool contract_node (graph *g, const int *uses, int i) {
  const graph_node *n = &g->nodes[i];
  if (n->op != NEAP_OP_add || !neap_is_float(g->values[n->out].dtype)) return true;
  for (int slot = 0; slot < 2; slot++) {
    const graph_node *xy = product(g, uses, n, slot);
    if (xy) return contract(g, i, xy, 1 - slot);
  }
  return true;
}

/* the operand of a product, read by node n alone and twice, that is a number; -1: n adds no such product to itself */
static int doubled (graph *g, const int *uses, const graph_node *n) {
  if (n->op != NEAP_OP_add || !neap_is_float(g->values[n->out].dtype)) return -1;
  const graph_ref *r = graph_in(g, n, 0);
  const graph_value *v = &g->values[r->value];
  bool twice = v->kind == VALUE_NODE && uses[r->value] == 2 && graph_is_whole(g, r) &&
               graph_same_ref(r, graph_in(g, n, 1));
  if (!twice || v->ndim == 0 || g->nodes[v->maker].op != NEAP_OP_mul) return -1;
  for (int slot = 0; slot < 2; slot++)
    if (g->values[graph_in(g, &g->nodes[v->maker], slot)->value].kind == VALUE_NUMBER) return slot;
  return -1;
}

/* k·x + k·x = (k + k)·x, the same bits while k·x is a normal number: of the two nodes the first adds the numbers */
static void double_number (graph *g, graph_node *n, int slot) {
  graph_ref *twice = graph_in(g, n, 0), *x = graph_in(g, n, 1);
  graph_node *product = &g->nodes[g->values[twice->value].maker];
  graph_ref *k = graph_in(g, product, slot), *other = graph_in(g, product, 1 - slot);
  *x = *other;
  k->ndim = 0;
  *other = *k;
  product->op = NEAP_OP_add;
  g->values[product->out].ndim = 0;
  twice->offset = (row_size){ 0, false };
  memset(twice->strides, 0, sizeof twice->strides);
  n->op = NEAP_OP_mul;
}

static void double_numbers (graph *g, const int *uses) {
  for (int i = 0; i < g->nnodes; i++) {
    int slot = doubled(g, uses, &g->nodes[i]);
    if (slot >= 0) double_number(g, &g->nodes[i], slot);
  }
}

/* Where a run takes many steps, other additions stay as they are: single steps run op by op, and should not drift. */
bool graph_contract (graph *g) {
  size_t bytes = (size_t)(g->nvalues + 1) * sizeof(int);
  int *uses = neap_calloc(g->c, bytes);
  bool ok = uses != NULL;
  if (ok) {
    graph_count_uses(g, uses);
    double_numbers(g, uses);
  }
  for (int i = 0; ok && !g->scans && i < g->nnodes; i++) ok = contract_node(g, uses, i);
  neap_free(g->c, uses, bytes);
  return ok;
}
