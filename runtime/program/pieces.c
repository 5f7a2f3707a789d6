/*
** pieces.c -- sums of pieces in zeros that fill a dimension without a gap: the pieces one after the other.  A gradient by
** a vector that was cut up, or gone through step by step, is such a sum, of as many terms as there are pieces and each as
** long as all of them.
** Invariant: values stay what they were, but for the sign of zeros.
*/
#include "program/graph.h"
#include <stdlib.h>
#include <string.h>

typedef struct piece { int64_t first, n; int node; } piece;

typedef struct search {
  graph *g;
  const int *uses;
  int *stack;                              /* additions to be looked at */
  piece *list; int n;
  int64_t dim, size;                       /* counted from 1; of all pieces */
} search;

/* the node whose result r is, made for it alone; NULL: there is none */
static const graph_node *maker (const search *s, const graph_ref *r) {
  const graph_value *v = &s->g->values[r->value];
  bool alone = v->kind == VALUE_NODE && s->uses[r->value] == 1 && graph_is_whole(s->g, r);
  return alone ? &s->g->nodes[v->maker] : NULL;
}

/* Takes n in if it is a piece of the dimension that the others are pieces of. */
static bool take (search *s, const graph_node *n) {
  if (n->op != NEAP_OP_unslice || n->attr_rows || n->a.i[0] < 1 || n->a.i[2] != 1) return false;
  row_size length = graph_in(s->g, n, 0)->shape[n->a.i[0] - 1];
  if (s->n == 0) { s->dim = n->a.i[0]; s->size = n->a.i[3]; }
  if (length.rows || n->a.i[0] != s->dim || n->a.i[3] != s->size) return false;
  s->list[s->n++] = (piece){ n->a.i[1], length.n, (int)(n - s->g->nodes) };
  return true;
}

/* the terms of what node i adds up; false: one is no piece */
static bool collect (search *s, int i) {
  int depth = 0;
  s->n = 0;
  s->stack[depth++] = i;
  while (depth > 0) {
    const graph_node *sum = &s->g->nodes[s->stack[--depth]];
    for (int slot = 0; slot < 2; slot++) {
      const graph_node *n = maker(s, graph_in(s->g, sum, slot));
      if (n && graph_is_sum(s->g, n)) s->stack[depth++] = (int)(n - s->g->nodes);
      else if (!n || !take(s, n)) return false;
    }
  }
  return true;
}

static int by_place (const void *a, const void *b) {
  int64_t x = ((const piece *)a)->first, y = ((const piece *)b)->first;
  return x < y ? -1 : x > y;
}

static bool is_full (search *s) {
  int64_t next = 1;
  qsort(s->list, (size_t)s->n, sizeof *s->list, by_place);
  for (int i = 0; i < s->n; i++) {
    if (s->list[i].first != next) return false;
    next += s->list[i].n;
  }
  return next == s->size + 1;
}

/* node i becomes what it added up; false: no memory */
static bool put_together (search *s, int i) {
  graph *g = s->g;
  int first = graph_refs_new(g, s->n);
  if (first < 0) return false;
  graph_node *n = &g->nodes[i];
  *n = (graph_node){ .op = NEAP_OP_cat, .n = s->n, .first = first, .out = n->out, .has_attrs = true };
  neap_attrs_clear(&n->a);
  n->a.i[0] = s->dim;
  for (int k = 0; k < s->n; k++) *graph_in(g, n, k) = *graph_in(g, &g->nodes[s->list[k].node], 0);
  return true;
}

bool graph_pieces (graph *g) {
  size_t bytes = (size_t)g->nnodes * (sizeof(piece) + sizeof(int)) + (size_t)g->nvalues * sizeof(int) + 1;
  piece *list = neap_calloc(g->c, bytes);
  bool ok = list != NULL;
  if (!ok) return false;
  int *stack = (int *)(list + g->nnodes), *uses = stack + g->nnodes;
  search s = { .g = g, .uses = uses, .stack = stack, .list = list };
  graph_count_uses(g, uses);
  for (int i = g->nnodes - 1; ok && i >= 0; i--)
    if (graph_is_sum(g, &g->nodes[i]) && collect(&s, i) && is_full(&s)) ok = put_together(&s, i);
  neap_free(g->c, list, bytes);
  return ok;
}
