/*
** rows.c -- what a graph says about rows: sizes for any number of them, and who depends on whom.
** Invariant: a size found in recordings at 2 and at 3 rows is the same in both, or in proportion to them; anything
** else, and any number that differs, makes the graph one for a single number of rows.  A label other than MIXED
** promises that a block of rows, run alone, gives what those rows give among all.
*/
#include "program/graph.h"
#include "ops/support.h"
#include <string.h>

/* ---- sizes ---- */

static bool join (row_size *a, row_size b) {
  if (a->n == b.n) return true;
  if (a->n * 3 != b.n * 2 || a->n % 2) return false;
  *a = (row_size){ a->n / 2, true };
  return true;
}

static bool join_sizes (int n, row_size *a, const row_size *b) {
  for (int i = 0; i < n; i++) if (!join(&a[i], b[i])) return false;
  return true;
}

/* an attribute: in proportion when it differs */
static bool join_attr (int64_t *a, int64_t b, uint32_t *mask, int bit) {
  row_size s = { *a, false };
  if (*a == b) return true;
  if (*a == NEAP_NONE || b == NEAP_NONE || !join(&s, (row_size){ b, false })) return false;
  *a = s.n;
  *mask |= 1u << bit;
  return true;
}

static bool join_attrs (graph_node *n, const graph_node *o) {
  if (!n->has_attrs) return true;
  if (memcmp(n->a.f, o->a.f, sizeof n->a.f) != 0 || n->a.count != o->a.count) return false;
  for (int i = 0; i < 4; i++) if (!join_attr(&n->a.i[i], o->a.i[i], &n->attr_rows, i)) return false;
  for (int i = 0; i < n->a.count; i++)
    if (!join_attr(&n->a.dims[i], o->a.dims[i], &n->attr_rows, 4 + i)) return false;
  return true;
}

static bool join_ref (graph_ref *a, const graph_ref *b) {
  return a->value == b->value && a->dtype == b->dtype && a->ndim == b->ndim && join(&a->offset, b->offset) &&
         join_sizes(a->ndim, a->shape, b->shape) && join_sizes(a->ndim, a->strides, b->strides);
}

/* a constant made anew by each recording must be the same one */
static bool same_leaf (const graph_value *a, const graph_value *b) {
  return a->store == b->store ||
         (a->bytes && a->bytes == b->bytes && memcmp(a->store->data, b->store->data, a->bytes) == 0);
}

static bool join_value (graph_value *a, const graph_value *b) {
  if (a->kind != b->kind || a->dtype != b->dtype || a->ndim != b->ndim || a->maker != b->maker) return false;
  if (a->kind == VALUE_NUMBER && memcmp(&a->number, &b->number, sizeof a->number) != 0) return false;
  if (a->kind == VALUE_LEAF && !same_leaf(a, b)) return false;
  return join_sizes(a->ndim, a->shape, b->shape);
}

static bool join_node (graph_node *a, const graph_node *b) {
  return a->op == b->op && a->n == b->n && a->first == b->first && a->out == b->out && a->rng == b->rng &&
         a->draw == b->draw && a->has_attrs == b->has_attrs && join_attrs(a, b);
}

static bool join_all (graph *g, const graph *o) {
  if (g->nvalues != o->nvalues || g->nnodes != o->nnodes || g->nrefs != o->nrefs || g->noutputs != o->noutputs ||
      g->nrngs != o->nrngs || g->nvars != o->nvars || g->guards != o->guards) return false;
  for (int i = 0; i < g->nvars; i++) if (g->vars[i] != o->vars[i]) return false;
  for (int i = 0; i < g->nrngs; i++) if (g->rng[i] != o->rng[i] || g->draws[i] != o->draws[i]) return false;
  for (int i = 0; i < g->nvalues; i++) if (!join_value(&g->values[i], &o->values[i])) return false;
  for (int i = 0; i < g->nnodes; i++) if (!join_node(&g->nodes[i], &o->nodes[i])) return false;
  for (int i = 0; i < g->nrefs; i++) if (!join_ref(&g->refs[i], &o->refs[i])) return false;
  return true;
}

bool graph_by_rows (graph *g, const graph *other) { return g->by_rows = join_all(g, other); }

/* ---- is o, recorded at so many rows, what g says for them? ---- */

static bool is_at (row_size s, row_size found, int64_t rows) { return size_at(s, rows) == found.n; }

static bool sizes_at (int n, const row_size *a, const row_size *b, int64_t rows) {
  for (int i = 0; i < n; i++) if (!is_at(a[i], b[i], rows)) return false;
  return true;
}

static bool ref_at (const graph_ref *a, const graph_ref *b, int64_t rows) {
  return a->value == b->value && a->dtype == b->dtype && a->ndim == b->ndim && is_at(a->offset, b->offset, rows) &&
         sizes_at(a->ndim, a->shape, b->shape, rows) && sizes_at(a->ndim, a->strides, b->strides, rows);
}

static bool value_at (const graph_value *a, const graph_value *b, int64_t rows) {
  graph_value x = *a, y = *b;
  bool ok = sizes_at(a->ndim, a->shape, b->shape, rows);
  x.ndim = y.ndim = a->ndim == b->ndim ? 0 : a->ndim;
  return ok && a->ndim == b->ndim && join_value(&x, &y);
}

static bool attrs_at (const graph_node *a, const graph_node *b, int64_t rows) {
  if (!a->has_attrs) return true;
  if (memcmp(a->a.f, b->a.f, sizeof a->a.f) != 0 || a->a.count != b->a.count) return false;
  for (int i = 0; i < 4; i++)
    if (!is_at((row_size){ a->a.i[i], a->attr_rows >> i & 1 }, (row_size){ b->a.i[i], false }, rows)) return false;
  for (int i = 0; i < a->a.count; i++)
    if (!is_at((row_size){ a->a.dims[i], a->attr_rows >> (4 + i) & 1 }, (row_size){ b->a.dims[i], false }, rows))
      return false;
  return true;
}

static bool node_at (const graph_node *a, const graph_node *b, int64_t rows) {
  return a->op == b->op && a->n == b->n && a->first == b->first && a->out == b->out && a->rng == b->rng &&
         a->draw == b->draw && a->has_attrs == b->has_attrs && attrs_at(a, b, rows);
}

bool graph_holds_at (const graph *g, const graph *o, int64_t rows) {
  if (g->nvalues != o->nvalues || g->nnodes != o->nnodes || g->nrefs != o->nrefs || g->noutputs != o->noutputs ||
      g->nrngs != o->nrngs || g->guards != o->guards) return false;
  for (int i = 0; i < g->nvalues; i++) if (!value_at(&g->values[i], &o->values[i], rows)) return false;
  for (int i = 0; i < g->nnodes; i++) if (!node_at(&g->nodes[i], &o->nodes[i], rows)) return false;
  for (int i = 0; i < g->nrefs; i++) if (!ref_at(&g->refs[i], &o->refs[i], rows)) return false;
  return true;
}

static bool any_rows (const graph *g) {
  for (int i = 0; i < g->nrefs; i++)
    for (int d = 0; d < g->refs[i].ndim; d++) if (g->refs[i].shape[d].rows || g->refs[i].strides[d].rows) return true;
  return false;
}

bool graph_equal (graph *g, graph *other) { return join_all(g, other) && !any_rows(g); }

/* ---- labels ---- */

/* the one dimension of `rows` elements; SHARED without one, MIXED when there are more or it counts something else */
static int rows_axis (int ndim, const row_size *shape) {
  int axis = AXIS_SHARED;
  for (int i = 0; i < ndim; i++) {
    if (!shape[i].rows) continue;
    if (axis != AXIS_SHARED || shape[i].n != 1) return AXIS_MIXED;
    axis = i;
  }
  return axis;
}

/* where the rows of its value lie in a ref */
static int ref_axis (const graph *g, const graph_ref *r) {
  int label = g->values[r->value].axis, axis = rows_axis(r->ndim, r->shape);
  if (label == AXIS_MIXED || axis == AXIS_MIXED) return AXIS_MIXED;
  if (label == AXIS_SHARED) return axis;               /* the same for every row */
  graph_ref whole = graph_whole(g, r->value);
  bool along = axis >= 0 && r->strides[axis].n == whole.strides[label].n && !r->strides[axis].rows && !r->offset.rows;
  return along && r->offset.n < (r->strides[axis].n ? r->strides[axis].n : 1) ? axis : AXIS_MIXED;
}

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
  if (named(op, "cholesky eigh_packed solve_tri solve_lu det logdet tril triu")) return axis < x->ndim - 2;
  if (named(op, "reshape diag_embed one_hot")) return axis == 0;
  if (named(op, "cat cumsum unslice")) return dim_spares(n, x, axis, 1);
  if (named(op, "gather")) return dim_spares(n, x, axis, 1);
  if (named(op, "index_select index_add")) return i != 1 && dim_spares(n, x, axis, 1);
  if (named(op, "argmax argmin")) return dim_spares(n, x, axis, -2);
  if (named(op, "argsort argmedian")) return dim_spares(n, x, axis, -1);
  return false;
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
  if (axis == AXIS_MIXED) return AXIS_MIXED;
  if (n->op < 0) return draw_label(g, n, axis);
  for (int i = 0; i < n->n; i++) {
    const graph_ref *x = graph_in(g, n, i);
    int a = ref_axis(g, x);
    if (a == AXIS_MIXED || (a >= 0 && !op_spares(n, x, i, a)) || !agree(n, seen, a, x->ndim)) return AXIS_MIXED;
    if (a >= 0) seen = a;
  }
  if (seen >= 0 && axis < 0) return AXIS_MIXED;        /* rows went in and did not come out */
  if (seen >= 0 && n->op == NEAP_OP_reshape && axis != 0) return AXIS_MIXED;
  return axis;
}

static void label_sources (graph *g) {
  for (int i = 0; i < g->nvalues; i++) {
    graph_value *v = &g->values[i];
    v->axis = v->kind == VALUE_INPUT ? rows_axis(v->ndim, v->shape) : AXIS_SHARED;
    if (v->axis > 0) v->axis = AXIS_MIXED;
  }
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
    g->blocks &= a == AXIS_SHARED || a == 0;
  }
}
