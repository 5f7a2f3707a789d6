/*
** expand.c -- silu and its derivatives at the same x by the parts that they share: sigmoid, the one costly op, and
** products of it.
** Invariant: one that stands alone stays one op; the formulas are those of the rows' kernels (kernels/tile_math.h).
*/
#include "program/graph.h"

typedef struct builder { graph *g; int at; bool ok; } builder;       /* new nodes go before node at */

static graph_ref apply (builder *b, int op, int n, const graph_ref *in) {
  graph_node *node = b->ok ? graph_insert(b->g, b->at, op, in, n) : NULL;
  if (!node) { b->ok = false; return in[0]; }
  for (int i = 0; i < n; i++) *graph_in(b->g, node, i) = in[i];
  b->at++;
  return graph_whole(b->g, node->out);
}
#define APPLY(op, n, ...) apply(b, NEAP_OP_##op, n, (graph_ref[]){ __VA_ARGS__ })

static graph_ref sigmoid (builder *b, graph_ref x) { return APPLY(sigmoid, 1, x); }
static graph_ref mul (builder *b, graph_ref x, graph_ref y) { return APPLY(mul, 2, x, y); }
static graph_ref add (builder *b, graph_ref x, graph_ref y) { return APPLY(add, 2, x, y); }
static graph_ref sub (builder *b, graph_ref x, graph_ref y) { return APPLY(sub, 2, x, y); }
static graph_ref lerp (builder *b, graph_ref x, graph_ref y, graph_ref w) { return APPLY(lerp, 3, x, y, w); }

/* v everywhere in the shape of `like` */
static graph_ref number (builder *b, const graph_ref *like, double v) {
  graph_ref r = *like;
  int i = b->ok ? graph_value_new(b->g) : -1;
  if (i < 0) { b->ok = false; return r; }
  graph_value *n = &b->g->values[i];
  n->kind = VALUE_NUMBER;
  n->dtype = like->dtype;
  n->number = v;
  r.value = i;
  r.offset = (row_size){ 0, false };
  for (int d = 0; d < r.ndim; d++) r.strides[d] = (row_size){ 0, false };
  return r;
}

/* silu's n-th derivative at x, n <= 3 */
static graph_ref formula (builder *b, graph_ref x, int n) {
  graph_ref s = sigmoid(b, x);
  if (n == 0) return mul(b, x, s);
  graph_ref y = mul(b, x, s), first = lerp(b, s, number(b, &x, 1), y);
  if (n == 1) return first;
  graph_ref v = sub(b, number(b, &x, 1), s);
  if (n == 2) return mul(b, v, add(b, first, lerp(b, s, number(b, &x, 0), y)));
  graph_ref u = mul(b, s, v), t = sub(b, v, s);
  graph_ref rest = sub(b, number(b, &x, 1), mul(b, u, number(b, &x, 6)));
  return mul(b, u, add(b, mul(b, t, number(b, &x, 3)), mul(b, x, rest)));
}

/* which derivative of silu a node is; -1: none */
static int order (const graph_node *n) {
  switch (n->op) {
    case NEAP_OP_silu: return 0;
    case NEAP_OP_silu_d1: return 1;
    case NEAP_OP_silu_d2: return 2;
    case NEAP_OP_silu_d3: return 3;
    default: return -1;
  }
}

/* Does another node need sigmoid(x), or another of silu's derivatives at x, in the same steps? */
static bool shares (graph *g, int i) {
  graph_ref *x = graph_in(g, &g->nodes[i], 0);
  bool late = g->values[g->nodes[i].out].late;
  for (int j = 0; j < g->nnodes; j++) {
    const graph_node *n = &g->nodes[j];
    bool kin = n->op == NEAP_OP_sigmoid || order(n) >= 0;
    if (j == i || !kin || g->values[n->out].late != late) continue;
    if (graph_same_ref(graph_in(g, n, 0), x)) return true;
  }
  return false;
}

/* Node *i becomes a copy of what the formula makes, for identities to drop; *i follows it. */
static bool expand (graph *g, int *i) {
  builder b = { g, *i, true };
  graph_ref x = *graph_in(g, &g->nodes[*i], 0), r = formula(&b, x, order(&g->nodes[*i]));
  if (!b.ok) return false;
  graph_node *n = &g->nodes[*i = b.at];
  n->op = NEAP_OP_clone;
  *graph_in(g, n, 0) = r;
  return true;
}

bool graph_expand (graph *g) {
  int n = g->nnodes;
  bool *shared = neap_calloc(g->c, (size_t)n + 1), ok = shared != NULL;
  for (int i = 0; ok && i < n; i++) shared[i] = order(&g->nodes[i]) >= 0 && shares(g, i);
  for (int i = 0, old = 0; ok && old < n; i++, old++) if (shared[old]) ok = expand(g, &i);
  neap_free(g->c, shared, (size_t)n + 1);
  return ok;
}
