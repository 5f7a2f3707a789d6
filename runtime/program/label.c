/*
** label.c -- who depends on which rows, and in which part of a run each value is made.
** Invariant: a label of 0 or more promises that a block of rows, run alone, gives what those rows give among all; SUM,
** that what blocks give adds up to what all rows give.  Rows that would read such a sum, and whatever else mixes rows,
** make the graph one block.
*/
#include "program/graph.h"
#include "ops/support.h"
#include <string.h>

/* ---- dimensions that count rows ---- */

/* the one dimension of rows, or of so many for each row; SHARED without one, MIXED when there are more */
static int rows_axis (int ndim, const row_size *shape) {
  int axis = AXIS_SHARED;
  for (int i = 0; i < ndim; i++) {
    if (!shape[i].rows) continue;
    if (axis != AXIS_SHARED) return AXIS_MIXED;
    axis = i;
  }
  return axis;
}

static bool steps_by_rows (const graph_ref *r) {
  for (int i = 0; i < r->ndim; i++) if (r->strides[i].rows) return true;
  return r->offset.rows;
}

/* Does dimension axis of r go through the rows of its value, which lie along `label`, one by one? */
static bool along (const graph *g, const graph_ref *r, int label, int axis) {
  graph_ref whole = graph_whole(g, r->value);
  int64_t step = whole.strides[label].n * whole.shape[label].n;        /* from row to row */
  if (axis < 0 || r->strides[axis].rows || r->offset.rows) return false;
  return r->strides[axis].n * r->shape[axis].n == step && r->offset.n < (step ? step : 1);
}

/* where the rows of its value lie in a ref; AFTER: it shows a sum, or what was made of one */
static int ref_axis (const graph *g, const graph_ref *r) {
  int label = g->values[r->value].axis, axis = rows_axis(r->ndim, r->shape);
  if (label == AXIS_MIXED || axis == AXIS_MIXED) return AXIS_MIXED;
  if (label >= 0) return along(g, r, label, axis) ? axis : AXIS_MIXED;
  if (steps_by_rows(r) || (axis >= 0 && r->strides[axis].n != 0)) return AXIS_MIXED;
  if (label == AXIS_SHARED) return axis;               /* the same for every row */
  return axis >= 0 ? AXIS_MIXED : AXIS_AFTER;
}

/* ---- ops ---- */

static bool named (const neap_op *op, const char *list) {
  size_t n = strlen(op->name);
  for (const char *p = list; (p = strstr(p, op->name)); p += n)
    if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0')) return true;
  return false;
}

/* does an op over dims treat rows, which lie along axis of x, one by one? */
static bool dims_spare (const graph_node *n, const graph_ref *x, int axis) {
  bool axes[NEAP_MAX_DIMS];
  int count = n->has_attrs ? n->a.count : -1;
  for (int i = 0; i < x->ndim; i++) axes[i] = count < 0;
  for (int i = 0; i < count; i++) {
    int64_t d = n->a.dims[i] < 0 ? n->a.dims[i] + x->ndim : n->a.dims[i] - 1;
    if (d < 0 || d >= x->ndim) return false;
    axes[d] = true;
  }
  return !axes[axis];
}

/* the same for an op along the one dimension a.i[0], `otherwise` when it was not given (-1: the last; -2: all) */
static bool dim_spares (const graph_node *n, const graph_ref *x, int axis, int otherwise) {
  int64_t dim = n->has_attrs && given(n->a.i[0]) ? n->a.i[0] : otherwise == -1 ? x->ndim : otherwise;
  if (dim == -2 && !(n->has_attrs && given(n->a.i[0]))) return false;
  return (dim < 0 ? dim + x->ndim : dim - 1) != axis;
}

static bool op_spares (const graph_node *n, const graph_ref *x, int i, int axis) {
  const neap_op *op = &neap_ops[n->op];
  if (graph_elementwise(n) || named(op, "cast clone")) return true;
  if (named(op, "sum amax amin any all logsumexp")) return dims_spare(n, x, axis);
  if (named(op, "bmm")) return i == 0 ? axis != x->ndim - 1 : axis != x->ndim - 2;
  if (named(op, "convolve convolve_input")) return i == 0 && axis == 0;
  if (named(op, "pool_sum unpool_sum pool_argmax")) return axis == 0;
  if (named(op, "cholesky eigh_packed solve_tri solve_lu det logdet tril triu")) return axis < x->ndim - 2;
  if (named(op, "reshape diag_embed one_hot")) return axis == 0;
  if (named(op, "cat cumsum unslice")) return dim_spares(n, x, axis, 1);
  if (named(op, "gather")) return dim_spares(n, x, axis, 1);
  if (n->op == NEAP_OP_index_select && i == 1) return true;           /* a row's own choice of what all share */
  if (named(op, "index_select index_add")) return i != 1 && dim_spares(n, x, axis, 1);
  if (named(op, "argmax argmin")) return dim_spares(n, x, axis, -2);
  if (named(op, "argsort argmedian")) return dim_spares(n, x, axis, -1);
  return false;
}

/* does an op add up along axis of its operand i? */
static bool op_sums (const graph_node *n, const graph_ref *x, int i, int axis) {
  if (n->op == NEAP_OP_bmm) return axis == x->ndim - 1 - i;
  if (n->op == NEAP_OP_convolve_weight) return axis == 0;
  return n->op == NEAP_OP_sum && !dims_spare(n, x, axis);
}

/* bmm: rows of two operands must be the same batch; gather: the same dimension */
static bool agree (const graph_node *n, int a, int b, int ndim) {
  if (a == AXIS_SHARED || b == AXIS_SHARED) return true;
  return a == b && (n->op != NEAP_OP_bmm || a < ndim - 2);
}

/* Element i of a draw counts rows first, and so does its operand. */
static int draw_label (graph *g, const graph_node *n, int axis) {
  int from = n->n ? ref_axis(g, graph_in(g, n, 0)) : AXIS_SHARED;
  bool whole = n->op == DRAW_PERMUTATION && axis == 0;
  return axis > 0 || whole || n->attr_rows || (from != AXIS_SHARED && from != axis) ? AXIS_MIXED : axis;
}

static int node_label (graph *g, const graph_node *n) {
  const graph_value *out = &g->values[n->out];
  int axis = rows_axis(out->ndim, out->shape), seen = AXIS_SHARED;
  int64_t each = 0;                                    /* elements of a row along it */
  bool sums = false, after = false;
  if (axis == AXIS_MIXED) return AXIS_MIXED;
  if (n->op < 0) return draw_label(g, n, axis);
  for (int i = 0; i < n->n; i++) {
    const graph_ref *x = graph_in(g, n, i);
    int a = ref_axis(g, x);
    if (a == AXIS_MIXED) return AXIS_MIXED;
    after |= a == AXIS_AFTER;
    if (a < 0) continue;
    bool adds = op_sums(n, x, i, a);
    if (!adds && (!op_spares(n, x, i, a) || !agree(n, seen, a, x->ndim))) return AXIS_MIXED;
    if (seen >= 0 && each != x->shape[a].n) return AXIS_MIXED;
    sums |= adds;
    seen = a;
    each = x->shape[a].n;
  }
  if (after) return seen >= 0 || axis >= 0 ? AXIS_MIXED : AXIS_AFTER;
  if (sums) return axis >= 0 ? AXIS_MIXED : AXIS_SUM;
  if (seen >= 0 && axis < 0) return AXIS_MIXED;        /* rows went in and did not come out */
  if (seen >= 0 && n->op == NEAP_OP_reshape && axis != 0) return AXIS_MIXED;
  return axis;
}

/* ---- the graph ---- */

static void label_sources (graph *g) {
  for (int i = 0; i < g->nvalues; i++) {
    graph_value *v = &g->values[i];
    v->axis = v->kind == VALUE_INPUT ? rows_axis(v->ndim, v->shape) : AXIS_SHARED;
    if (v->axis > 0) v->axis = AXIS_MIXED;
  }
}

/* what is the same for all rows is made in each part that may read it */
static unsigned phases_of (const graph *g, const graph_value *v, bool sums) {
  if (v->fixed) return PHASE_ONCE;
  if (!g->blocks || !sums) return PHASE_BLOCK;
  return v->axis == AXIS_AFTER ? PHASE_AFTER : v->axis == AXIS_SHARED ? PHASE_BLOCK | PHASE_AFTER : PHASE_BLOCK;
}

void graph_label (graph *g) {
  g->blocks = g->by_rows;
  label_sources(g);
  for (int i = 0; i < g->nnodes; i++) {
    graph_value *v = &g->values[g->nodes[i].out];
    v->axis = node_label(g, &g->nodes[i]);
    g->blocks &= v->axis != AXIS_MIXED;
  }
  for (int i = 0; i < g->noutputs; i++) {
    int a = ref_axis(g, &g->refs[g->outputs + i]);
    g->blocks &= a == AXIS_SHARED || a == AXIS_AFTER || a == 0;
  }
  bool sums = false;
  for (int i = 0; i < g->nvalues; i++) sums |= g->values[i].axis == AXIS_SUM;
  for (int i = 0; i < g->nvalues; i++) g->values[i].phases = phases_of(g, &g->values[i], sums);
}
