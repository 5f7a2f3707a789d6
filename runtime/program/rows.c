/*
** rows.c -- sizes and numbers of a graph for any number of rows.
** Invariant: a size found in recordings at 2 and at 3 rows is the same in both, or in proportion to them, and a number
** also in inverse proportion; anything else makes the graph one for a single number of rows.
*/
#include "program/graph.h"
#include <math.h>
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

static bool same_double (double a, double b) { return memcmp(&a, &b, sizeof a) == 0; }

/* v, with its number at 2 rows, as one of this rate: k·rows, k/rows or 1/(k·rows), to the bit; false: it is none */
static bool set_rate (graph_value *v, number_rate r) {
  const double two = v->number, k[] = { two, two / 2, two * 2, rint(1 / two) / 2 };
  v->number = k[r];
  v->rate = r;
  return same_double(graph_number(v, 2), two);
}

/* a number of the recording at 2 rows, with that at 3 */
static bool join_number (graph_value *a, double three) {
  for (number_rate r = NUMBER_PLAIN; r <= NUMBER_ONE_OVER; r++) {
    graph_value v = { .number = a->number };
    if (!set_rate(&v, r) || !same_double(graph_number(&v, 3), three)) continue;
    a->number = v.number;
    a->rate = r;
    return true;
  }
  return false;
}

static bool join_value (graph_value *a, const graph_value *b) {
  if (a->kind != b->kind || a->dtype != b->dtype || a->ndim != b->ndim || a->maker != b->maker) return false;
  if (a->kind == VALUE_NUMBER && !join_number(a, b->number)) return false;
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

bool graph_counts_rows (const graph *g) {
  for (int i = 0; i < g->nvalues; i++) if (g->values[i].rate) return true;
  return false;
}

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
  if (a->kind != b->kind || a->dtype != b->dtype || a->ndim != b->ndim || a->maker != b->maker) return false;
  if (a->kind == VALUE_NUMBER && !same_double(graph_number(a, rows), b->number)) return false;
  if (a->kind == VALUE_LEAF && !same_leaf(a, b)) return false;
  return sizes_at(a->ndim, a->shape, b->shape, rows);
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
  if (graph_counts_rows(g)) return true;
  for (int i = 0; i < g->nrefs; i++)
    for (int d = 0; d < g->refs[i].ndim; d++) if (g->refs[i].shape[d].rows || g->refs[i].strides[d].rows) return true;
  return false;
}

bool graph_equal (graph *g, graph *other) { return join_all(g, other) && !any_rows(g); }
