/*
** simplify.c -- the same values with less work: identities, common subexpressions, dead code, hoisting.
** Invariant: in this file what is computed stays the same to the bit, but for the layout of a weight that BLAS reads;
** the passes it calls say what they keep.  Draws are never merged or dropped from the count of a step.
*/
#include "program/graph.h"
#include <math.h>
#include <string.h>

/* ---- replacing a value by a ref ---- */

/* g->uses: for each value its first ref, then for each ref the next one of its value; -1 ends a chain */
static void drop_uses (graph *g) {
  neap_free(g->c, g->uses, (size_t)(g->nvalues + g->nrefs) * sizeof *g->uses);
  g->uses = NULL;
}

static bool list_uses (graph *g) {
  if (g->nvalues + g->nrefs == 0) return true;
  g->uses = neap_malloc(g->c, (size_t)(g->nvalues + g->nrefs) * sizeof *g->uses);
  if (!g->uses) return false;
  for (int v = 0; v < g->nvalues; v++) g->uses[v] = -1;
  for (int i = g->nrefs - 1; i >= 0; i--) {
    int *first = &g->uses[g->refs[i].value];
    g->uses[g->nvalues + i] = *first;
    *first = i;
  }
  return true;
}

static int first_use (const graph *g, int v) { return g->uses[v]; }
static int next_use (const graph *g, int i) { return g->uses[g->nvalues + i]; }

static void replace_value (graph *g, int from, int to) {
  int last = -1;
  for (int i = first_use(g, from); i >= 0; i = next_use(g, i)) g->refs[last = i].value = to;
  if (last < 0 || from == to) return;
  g->uses[g->nvalues + last] = g->uses[to];
  g->uses[to] = g->uses[from];
  g->uses[from] = -1;
}

/* one number everywhere */
static bool is_uniform (const graph *g, const graph_ref *r) {
  const graph_value *v = &g->values[r->value];
  return v->kind == VALUE_NUMBER || (v->kind == VALUE_NODE && v->ndim == 0);
}

/* whatever a ref showed of `from`, it shows the one number `to` */
static void replace_uniform (graph *g, int from, int to) {
  for (int i = first_use(g, from); i >= 0; i = next_use(g, i)) {
    g->refs[i].offset = (row_size){ 0, false };
    memset(g->refs[i].strides, 0, sizeof g->refs[i].strides);
  }
  replace_value(g, from, to);
}

static bool all_uses_whole (const graph *g, int v) {
  for (int i = first_use(g, v); i >= 0; i = next_use(g, i)) if (!graph_is_whole(g, &g->refs[i])) return false;
  return true;
}

/* Every use of `from` sees what r shows.  Uses of all of it become r; other views need r to be a whole value. */
static bool replace (graph *g, int from, graph_ref r) {
  if (is_uniform(g, &r)) { replace_uniform(g, from, r.value); return true; }
  bool whole = graph_is_whole(g, &r);
  if (!whole && !all_uses_whole(g, from)) return false;
  for (int i = first_use(g, from); i >= 0 && !whole; i = next_use(g, i)) g->refs[i] = r;
  replace_value(g, from, r.value);
  return true;
}

/* ---- identities ---- */

static bool is_number (const graph *g, const graph_ref *r, double v) {
  const graph_value *x = &g->values[r->value];
  return x->kind == VALUE_NUMBER && !x->rate && x->number == v;
}

/* x·1 = 1·x = x/1 = x */
static void drop_ones (graph *g, graph_node *n) {
  if (n->op != NEAP_OP_mul && n->op != NEAP_OP_div) return;
  for (int i = n->op == NEAP_OP_mul ? 0 : 1; i < 2; i++)
    if (is_number(g, graph_in(g, n, i), 1) && replace(g, n->out, *graph_in(g, n, 1 - i))) return;
}

/* A copy of all of a value is that value, since nothing is written twice. */
static void drop_copy (graph *g, graph_node *n) {
  if (n->op == NEAP_OP_clone && graph_is_whole(g, graph_in(g, n, 0))) replace(g, n->out, *graph_in(g, n, 0));
}

/* x [.., M, 1] · y [.., 1, N] is an elementwise product */
static void outer_product (graph *g, graph_node *n) {
  if (n->op != NEAP_OP_bmm || !neap_is_float(g->values[n->out].dtype)) return;
  graph_ref *x = graph_in(g, n, 0), *y = graph_in(g, n, 1);
  int last = x->ndim - 1;
  if (x->shape[last].n != 1 || x->shape[last].rows) return;
  x->shape[last] = y->shape[last];
  x->strides[last] = (row_size){ 0, false };
  y->shape[last - 1] = x->shape[last - 1];
  y->strides[last - 1] = (row_size){ 0, false };
  n->op = NEAP_OP_mul;
  n->has_attrs = false;
}

/* An elementwise node of uniform operands makes one number. */
static void shrink (graph *g, graph_node *n) {
  graph_value *out = &g->values[n->out];
  if (!graph_elementwise(n) || n->n == 0 || out->ndim == 0) return;
  for (int i = 0; i < n->n; i++) if (!is_uniform(g, graph_in(g, n, i))) return;
  for (int i = 0; i < n->n; i++) graph_in(g, n, i)->ndim = 0;
  out->ndim = 0;
  replace_uniform(g, n->out, n->out);
}

/* Does no operand of n move along dimension d? */
static bool stands_still (graph *g, const graph_node *n, int d) {
  const graph_value *out = &g->values[n->out];
  if (out->shape[d].n == 1 && !out->shape[d].rows) return false;
  for (int i = 0; i < n->n; i++) {
    const graph_ref *r = graph_in(g, n, i);
    if (r->ndim != out->ndim || r->strides[d].n != 0) return false;
  }
  return true;
}

/* Along dimension d an elementwise node makes one element, and whoever reads it broadcasts. */
static void shrink_along (graph *g, graph_node *n, int d) {
  const row_size one = { 1, false };
  graph_value *out = &g->values[n->out];
  for (int i = 0; i < n->n; i++) graph_in(g, n, i)->shape[d] = one;
  out->shape[d] = one;
  graph_ref now = graph_whole(g, n->out);
  now.strides[d].n = 0;
  for (int i = first_use(g, n->out); i >= 0; i = next_use(g, i))
    memcpy(g->refs[i].strides, now.strides, sizeof now.strides);
}

/* A broadcast that all operands share comes after the node instead of before it, at most once. */
static void broadcast_later (graph *g, graph_node *n) {
  if (!graph_elementwise(n) || n->n == 0) return;
  for (int d = 0; d < g->values[n->out].ndim; d++)
    if (stands_still(g, n, d) && all_uses_whole(g, n->out)) { shrink_along(g, n, d); return; }
}

/* ---- common subexpressions ---- */

static bool same_node (graph *g, const graph_node *a, const graph_node *b) {
  if (a->op != b->op || a->op < 0 || a->n != b->n || a->has_attrs != b->has_attrs || a->attr_rows != b->attr_rows)
    return false;
  const graph_value *x = &g->values[a->out], *y = &g->values[b->out];
  if (x->dtype != y->dtype || x->ndim != y->ndim) return false;
  if (a->has_attrs) {
    int count = a->a.count > 0 ? a->a.count : 0;
    if (memcmp(a->a.f, b->a.f, sizeof a->a.f) || memcmp(a->a.i, b->a.i, sizeof a->a.i) || a->a.count != b->a.count ||
        memcmp(a->a.dims, b->a.dims, (size_t)count * sizeof *a->a.dims)) return false;
  }
  for (int i = 0; i < a->n; i++) if (!graph_same_ref(graph_in(g, a, i), graph_in(g, b, i))) return false;
  return true;
}

/* a number that is the same in every recording of the graph: 0 or 1 */
static bool is_constant (const graph_value *v) {
  return v->kind == VALUE_NUMBER && !v->rate && !signbit(v->number) && (v->number == 0 || v->number == 1);
}

/* constants that are equal are one value */
static void merge_numbers (graph *g) {
  int seen[NEAP_NDTYPES][2];                           /* the first 0 and the first 1 of a dtype */
  memset(seen, -1, sizeof seen);
  for (int i = 0; i < g->nvalues; i++) {
    const graph_value *v = &g->values[i];
    if (!is_constant(v)) continue;
    int *first = &seen[v->dtype][v->number == 1];
    if (*first < 0) *first = i;
    else replace_value(g, i, *first);
  }
}

/* equal for equal nodes */
static uint64_t node_hash (graph *g, const graph_node *n) {
  uint64_t h = (uint64_t)n->op;
  for (int i = 0; i < n->n; i++) {
    const graph_ref *r = graph_in(g, n, i);
    h = (h * 31 + (uint64_t)r->value) * 31 + (uint64_t)r->offset.n;
  }
  return h * 0x9e3779b97f4a7c15u >> 32;
}

static bool merge_common (graph *g) {
  size_t buckets = 64;
  while (buckets < (size_t)g->nnodes) buckets *= 2;
  size_t bytes = (buckets + (size_t)g->nnodes) * sizeof(int);
  int *head = neap_calloc(g->c, bytes);                /* chains of nodes, counted from 1 */
  if (!head) return false;
  int *next = head + buckets;
  for (int i = 0; i < g->nnodes; i++) {
    int *first = &head[node_hash(g, &g->nodes[i]) & (buckets - 1)], same = *first;
    while (same && !same_node(g, &g->nodes[i], &g->nodes[same - 1])) same = next[same - 1];
    if (same) { replace_value(g, g->nodes[i].out, g->nodes[same - 1].out); continue; }
    next[i] = *first;
    *first = i + 1;
  }
  neap_free(g->c, head, bytes);
  return true;
}

/* ---- dead code ---- */

static void use (graph *g, int first, int n) {
  for (int i = 0; i < n; i++) g->values[g->refs[first + i].value].used = true;
}

static void drop_dead (graph *g) {
  int kept = g->nnodes;
  for (int i = 0; i < g->nvalues; i++) g->values[i].used = false;
  use(g, g->outputs, g->noutputs);
  for (int i = g->nnodes - 1; i >= 0; i--)
    if (g->values[g->nodes[i].out].used) {
      use(g, g->nodes[i].first, g->nodes[i].n);
      g->nodes[--kept] = g->nodes[i];
    }
  g->nnodes -= kept;
  if (g->nnodes) memmove(g->nodes, g->nodes + kept, (size_t)g->nnodes * sizeof *g->nodes);
  for (int i = 0; i < g->nnodes; i++) g->values[g->nodes[i].out].maker = i;
}

/* ---- hoisting ---- */

static bool has_rows (const graph_ref *r) {
  for (int i = 0; i < r->ndim; i++) if (r->shape[i].rows || r->strides[i].rows) return true;
  return r->offset.rows;
}

static bool is_fixed (graph *g, const graph_node *n) {
  if (n->op < 0) return false;
  graph_ref out = graph_whole(g, n->out);
  bool ok = n->attr_rows == 0 && !has_rows(&out);
  for (int i = 0; ok && i < n->n; i++) ok = g->values[graph_in(g, n, i)->value].fixed && !has_rows(graph_in(g, n, i));
  return ok;
}

static void mark_fixed (graph *g) {
  for (int i = 0; i < g->nvalues; i++)
    g->values[i].fixed = g->values[i].kind == VALUE_LEAF || g->values[i].kind == VALUE_NUMBER;
  for (int i = 0; i < g->nnodes; i++) g->values[g->nodes[i].out].fixed = is_fixed(g, &g->nodes[i]);
}

#define COPY_ONCE (1 << 15)                /* elements: larger ones gain less by a step than their copy takes */

/* a fixed matrix read against its order, by a product that is not */
static bool wants_copy (graph *g, const graph_node *n) {
  if (n->op != NEAP_OP_bmm || g->values[n->out].fixed) return false;
  const graph_ref *y = graph_in(g, n, 1);
  int last = y->ndim - 1;
  if (!g->values[y->value].fixed || g->values[y->value].kind == VALUE_NUMBER || y->ndim != 2) return false;
  if (!g->scans && y->shape[0].n * y->shape[1].n > COPY_ONCE) return false;
  return y->strides[last].n != 1 && y->shape[last].n > 1 && y->shape[last - 1].n > 1 && !y->shape[last].rows &&
         !y->shape[last - 1].rows;
}

/* ---- filters: BLAS reads them as a matrix ---- */

static void turn_dims (graph_ref *r, int by) {
  graph_ref t = *r;
  for (int i = 0; i < 4; i++) { r->shape[(i + by) % 4] = t.shape[i]; r->strides[(i + by) % 4] = t.strides[i]; }
}

/* row by row, without gaps */
static bool lies_in_rows (const graph_ref *r) {
  int64_t step = 1;
  for (int i = r->ndim - 1; i >= 0; i--) {
    if (r->shape[i].rows || r->strides[i].rows || (r->shape[i].n != 1 && r->strides[i].n != step)) return false;
    step *= r->shape[i].n;
  }
  return true;
}

/* how far the kernel turns filters: forwards outputs are last, backwards first */
static int turns (const graph_node *n) { return n->op == NEAP_OP_convolve_input ? 1 : 0; }

/* fixed filters that the kernel would copy each time */
static bool wants_filters (const graph *g, const graph_node *n) {
  if (!graph_convolves(n) || g->values[n->out].fixed) return false;
  graph_ref w = g->refs[n->first + 1];
  turn_dims(&w, turns(n));
  for (int i = 0; i < 4; i++) if (w.shape[i].rows) return false;
  return g->values[w.value].fixed && !lies_in_rows(&w);
}

/* They are copied once a run. */
static bool copy_filters (graph *g) {
  for (int i = 0; i < g->nnodes; i++) {
    if (!wants_filters(g, &g->nodes[i])) continue;
    int by = turns(&g->nodes[i]);
    graph_ref w = *graph_in(g, &g->nodes[i], 1);
    turn_dims(&w, by);
    graph_node *n = graph_insert(g, i++, NEAP_OP_clone, &w, 1);
    if (!n) return false;
    *graph_in(g, n, 0) = w;
    g->values[n->out].fixed = true;
    graph_ref copy = graph_whole(g, n->out);
    turn_dims(&copy, 4 - by);
    *graph_in(g, &g->nodes[i], 1) = copy;
  }
  return true;
}

static bool copy_weights (graph *g) {
  for (int i = 0; i < g->nnodes; i++) {
    if (!wants_copy(g, &g->nodes[i])) continue;
    graph_ref y = *graph_in(g, &g->nodes[i], 1);
    graph_node *n = graph_insert(g, i, NEAP_OP_clone, &y, 1);
    if (!n) return false;
    *graph_in(g, n, 0) = y;
    g->values[n->out].fixed = true;
    *graph_in(g, &g->nodes[i + 1], 1) = graph_whole(g, n->out);
    i++;
  }
  return true;
}

/* an output that shows an input is copied, for inputs are overwritten by the next step's */
static bool copy_inputs (graph *g) {
  for (int i = 0; i < g->noutputs; i++) {
    graph_ref r = g->refs[g->outputs + i];
    if (g->values[r.value].kind != VALUE_INPUT) continue;
    graph_node *n = graph_insert(g, g->nnodes, NEAP_OP_clone, &r, 1);
    if (!n) return false;
    *graph_in(g, n, 0) = r;
    g->refs[g->outputs + i] = graph_whole(g, n->out);
  }
  return true;
}

static void identities (graph *g) {
  for (int i = 0; i < g->nnodes; i++) {
    drop_copy(g, &g->nodes[i]);
    drop_ones(g, &g->nodes[i]);
    outer_product(g, &g->nodes[i]);
    shrink(g, &g->nodes[i]);
  }
  for (int i = 0; i < g->nnodes; i++) {
    drop_ones(g, &g->nodes[i]);
    broadcast_later(g, &g->nodes[i]);
  }
}

/* what only late outputs are made of, but for what is fixed */
static void mark_late (graph *g) {
  for (int v = 0; v < g->nvalues; v++) g->values[v].late = g->late != 0 && !g->values[v].fixed;
  for (int j = 0; j < g->noutputs; j++) if (!graph_is_late(g, j)) g->values[g->refs[g->outputs + j].value].late = false;
  for (int i = g->nnodes - 1; i >= 0; i--) {
    const graph_node *n = &g->nodes[i];
    for (int j = 0; j < n->n && !g->values[n->out].late; j++) g->values[graph_in(g, n, j)->value].late = false;
  }
}

static bool finish (graph *g) {
  bool ok = list_uses(g) && merge_common(g);
  drop_uses(g);
  drop_dead(g);
  mark_fixed(g);
  mark_late(g);
  return ok;
}

static bool tidy (graph *g) {
  if (!list_uses(g)) return false;
  merge_numbers(g);
  identities(g);
  drop_uses(g);
  return finish(g);
}

enum { ROUNDS = 8 };                       /* sums of products within products: each round finds those of one depth */

/* Where a run takes many steps additions stay as they are: single steps run op by op, and should not drift from it. */
static bool factor (graph *g) {
  bool found = !g->scans;
  for (int i = 0; found && i < ROUNDS; i++) if (!graph_factor(g, &found) || (found && !tidy(g))) return false;
  return true;
}

bool graph_simplify (graph *g) {
  if (!tidy(g) || !graph_pieces(g) || !graph_expand(g) || !tidy(g) || !factor(g)) return false;
  graph_turn(g);
  return graph_contract(g) && copy_weights(g) && copy_filters(g) && copy_inputs(g) && finish(g) &&
         graph_order(g);
}
