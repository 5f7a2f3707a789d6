/*
** join.c -- products over all rows that are only added up: the second is added to the first one's value where it lies.
** Invariant: a value that several nodes make is read after the last of them, its maker, and by nothing before; all but
** the first are products that BLAS can add to it.
*/
#include "program/graph.h"
#include <string.h>

/* ---- what may be joined ---- */

static int uses (const graph *g, int v) {
  int n = 0;
  for (int i = 0; i < g->nnodes; i++)
    for (int j = 0; j < g->nodes[i].n; j++) n += g->refs[g->nodes[i].first + j].value == v;
  for (int i = 0; i < g->noutputs; i++) n += g->refs[g->outputs + i].value == v;
  return n;
}

/* Are the elements of a row, or those of a column, next to each other, and the rest apart, for any number of rows? */
static bool is_matrix (const graph_ref *r) {
  if (r->ndim != 2 || r->strides[0].rows || r->strides[1].rows) return false;
  for (int unit = 0; unit < 2; unit++)
    if (r->strides[unit].n == 1 && !r->shape[unit].rows && r->strides[1 - unit].n >= r->shape[unit].n) return true;
  return false;
}

/* a product that makes part of a sum over rows, for node n alone; NULL: it does not */
static graph_node *part (graph *g, const graph_node *n, int i) {
  const graph_ref *r = graph_in(g, n, i);
  const graph_value *v = &g->values[r->value];
  graph_ref out = graph_whole(g, n->out);
  bool sum = v->kind == VALUE_NODE && v->axis == AXIS_SUM && v->dtype == r->dtype && graph_is_whole(g, r);
  if (!sum || !graph_same_shape(r, &out) || g->nodes[v->maker].op != NEAP_OP_bmm || uses(g, r->value) != 1) return NULL;
  return &g->nodes[v->maker];
}

/* may n be added to what is there?  Not a product of nothing, which makes zeros. */
static bool can_add (graph *g, const graph_node *n) {
  const graph_ref *x = graph_in(g, n, 0), *y = graph_in(g, n, 1);
  return !n->before && is_matrix(x) && is_matrix(y) && x->shape[1].n > 0;
}

/* ---- joining ---- */

static void drop_node (graph *g, int i) {
  memmove(&g->nodes[i], &g->nodes[i + 1], (size_t)(--g->nnodes - i) * sizeof *g->nodes);
  for (int k = i; k < g->nnodes; k++) {
    if (g->nodes[k].before > i) g->nodes[k].before--;
    if (g->values[g->nodes[k].out].maker > i) g->values[g->nodes[k].out].maker = k;
  }
}

/* Node i, x + y, goes; the nodes that made x, and that which made y, make its value. */
static bool join (graph *g, int i) {
  const graph_node *n = &g->nodes[i];
  if (n->op != NEAP_OP_add || !neap_is_float(g->values[n->out].dtype)) return false;
  graph_node *x = part(g, n, 0), *y = part(g, n, 1);
  if (!x || !y) return false;
  graph_node *first = x < y ? x : y, *second = x < y ? y : x;
  if (!can_add(g, second)) return false;
  int v = n->out, old = first->out;
  second->before = 1 + (int)(first - g->nodes);
  second->out = v;
  for (int k = 0; k < i; k++) if (g->nodes[k].out == old) g->nodes[k].out = v;
  g->values[v].axis = AXIS_SUM;
  g->values[v].phases = PHASE_BLOCK;
  g->values[v].maker = (int)(second - g->nodes);
  drop_node(g, i);
  return true;
}

void graph_join (graph *g) {
  for (int i = 0; i < g->nnodes; i++) if (join(g, i)) i--;
}
