/*
** order.c -- the order of a graph's nodes: each operand's right before its reader.
** Invariant: a node stands after all that it reads, whatever order outputs ask for; every node is asked for.
*/
#include "program/graph.h"
#include <string.h>

typedef struct walk { graph *g; graph_node *list; int n, *stack, depth, *seen; } walk;   /* seen: operands, and 1 */

static void push (walk *w, int v) {
  const graph_value *val = &w->g->values[v];
  if (val->kind != VALUE_NODE || w->seen[val->maker]) return;
  w->seen[val->maker] = 1;
  w->stack[w->depth++] = val->maker;
}

static void list_makers (walk *w, int v) {
  push(w, v);
  while (w->depth > 0) {
    int i = w->stack[w->depth - 1];
    const graph_node *n = &w->g->nodes[i];
    if (w->seen[i] <= n->n) push(w, graph_in(w->g, n, w->seen[i]++ - 1)->value);
    else { w->list[w->n++] = *n; w->depth--; }
  }
}

bool graph_order (graph *g) {
  size_t n = (size_t)g->nnodes, bytes = n * (sizeof *g->nodes + 2 * sizeof(int));
  graph_node *list = n ? neap_calloc(g->c, bytes) : NULL;
  if (!list) return n == 0;
  walk w = { .g = g, .list = list, .stack = (int *)(list + n), .seen = (int *)(list + n) + n };
  for (int late = 0; late < 2; late++)
    for (int j = 0; j < g->noutputs; j++)
      if (graph_is_late(g, j) == late) list_makers(&w, g->refs[g->outputs + j].value);
  memcpy(g->nodes, list, n * sizeof *list);
  for (int i = 0; i < g->nnodes; i++) g->values[g->nodes[i].out].maker = i;
  neap_free(g->c, list, bytes);
  return true;
}
