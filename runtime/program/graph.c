/*
** graph.c -- building and comparing graphs.
** Invariant: indices stay valid while arrays grow; a key holds no pointer, no leaf and no number but 0 and 1.
*/
#include "program/graph.h"
#include <math.h>
#include <string.h>

graph *graph_new (neap_context *c) {
  graph *g = neap_calloc(c, sizeof *g);
  if (g) g->c = c;
  return g;
}

void graph_free (graph *g) {
  if (!g) return;
  neap_context *c = g->c;
  for (int i = 0; i < g->nvalues; i++) neap_storage_release(c, g->values[i].store);
  for (int i = 0; i < g->nrngs; i++) neap_rng_release(g->rng[i]);
  graph_set_vars(g, 0, NULL);
  neap_free(c, g->values, (size_t)g->values_size * sizeof *g->values);
  neap_free(c, g->nodes, (size_t)g->nodes_size * sizeof *g->nodes);
  neap_free(c, g->refs, (size_t)g->refs_size * sizeof *g->refs);
  neap_free(c, g, sizeof *g);
}

/* room for n + more entries of `each` bytes; the new ones zeroed */
static bool grow (neap_context *c, void **list, int *size, int n, int more, size_t each) {
  if (n + more > *size) {
    int want = 2 * *size > n + more ? 2 * *size : n + more + 32;
    void *p = neap_realloc(c, *list, (size_t)*size * each, (size_t)want * each);
    if (!p) return false;
    *list = p;
    *size = want;
  }
  memset((char *)*list + (size_t)n * each, 0, (size_t)more * each);
  return true;
}

int graph_value_new (graph *g) {
  void *p = g->values;
  if (!grow(g->c, &p, &g->values_size, g->nvalues, 1, sizeof *g->values)) return -1;
  g->values = p;
  return g->nvalues++;
}

int graph_node_new (graph *g) {
  void *p = g->nodes;
  if (!grow(g->c, &p, &g->nodes_size, g->nnodes, 1, sizeof *g->nodes)) return -1;
  g->nodes = p;
  return g->nnodes++;
}

int graph_refs_new (graph *g, int n) {
  void *p = g->refs;
  if (!grow(g->c, &p, &g->refs_size, g->nrefs, n, sizeof *g->refs)) return -1;
  g->refs = p;
  g->nrefs += n;
  return g->nrefs - n;
}

bool graph_set_vars (graph *g, int n, neap_tensor *const *vars) {
  for (int i = 0; i < g->nvars; i++) neap_release(g->vars[i]);
  neap_free(g->c, g->vars, (size_t)g->nvars * sizeof *g->vars);
  g->nvars = 0;
  g->vars = n > 0 ? neap_malloc(g->c, (size_t)n * sizeof *g->vars) : NULL;
  for (int i = 0; g->vars && i < n; i++) g->vars[g->nvars++] = neap_keep(vars[i]);
  return g->nvars == n;
}

/* ---- refs ---- */

static row_size times (row_size a, row_size b) { return (row_size){ a.n * b.n, a.rows || b.rows }; }

static void row_major (int ndim, const row_size *shape, row_size *strides) {
  row_size step = { 1, false };
  for (int i = ndim - 1; i >= 0; i--) { strides[i] = step; step = times(step, shape[i]); }
}

graph_ref graph_whole (const graph *g, int v) {
  const graph_value *val = &g->values[v];
  graph_ref r = { .value = v, .dtype = val->dtype, .ndim = val->ndim };
  memcpy(r.shape, val->shape, sizeof r.shape);
  row_major(r.ndim, r.shape, r.strides);
  return r;
}

static bool same_size (row_size a, row_size b) { return a.n == b.n && a.rows == b.rows; }
static bool is_one (row_size s) { return s.n == 1 && !s.rows; }

bool graph_same_shape (const graph_ref *a, const graph_ref *b) {
  if (a->ndim != b->ndim) return false;
  for (int i = 0; i < a->ndim; i++) if (!same_size(a->shape[i], b->shape[i])) return false;
  return true;
}

bool graph_same_ref (const graph_ref *a, const graph_ref *b) {
  if (a->value != b->value || a->dtype != b->dtype || !same_size(a->offset, b->offset) || !graph_same_shape(a, b))
    return false;
  for (int i = 0; i < a->ndim; i++)
    if (!is_one(a->shape[i]) && !same_size(a->strides[i], b->strides[i])) return false;
  return true;
}

bool graph_is_whole (const graph *g, const graph_ref *r) {
  graph_ref w = graph_whole(g, r->value);
  return graph_same_ref(&w, r);
}

bool graph_elementwise (const graph_node *n) {
  return n->op >= 0 && !neap_ops[n->op].run && !neap_ops[n->op].infer;
}

bool graph_convolves (const graph_node *n) { return n->op == NEAP_OP_convolve || n->op == NEAP_OP_convolve_input; }

bool graph_is_sum (graph *g, const graph_node *n) {
  if (n->op != NEAP_OP_add || !neap_is_float(g->values[n->out].dtype)) return false;
  graph_ref out = graph_whole(g, n->out);
  return graph_same_shape(graph_in(g, n, 0), &out) && graph_same_shape(graph_in(g, n, 1), &out);
}

double graph_number (const graph_value *v, int64_t rows) {
  switch (v->rate) {
    case NUMBER_TIMES: return v->number * (double)rows;
    case NUMBER_OVER: return v->number / (double)rows;
    case NUMBER_ONE_OVER: return 1 / (v->number * (double)rows);
    default: return v->number;
  }
}

int64_t graph_numel (int ndim, const row_size *shape, int64_t rows) {
  int64_t n = 1;
  for (int i = 0; i < ndim; i++) n *= size_at(shape[i], rows);
  return n;
}

void graph_count_uses (const graph *g, int *uses) {
  for (int i = 0; i < g->nnodes; i++)
    for (int j = 0; j < g->nodes[i].n; j++) uses[g->refs[g->nodes[i].first + j].value]++;
  for (int j = 0; j < g->noutputs; j++) uses[g->refs[g->outputs + j].value]++;
}

/* ---- inserting ---- */

/* a node before node i */
static graph_node *insert (graph *g, int i) {
  if (graph_node_new(g) < 0) return NULL;
  memmove(&g->nodes[i + 1], &g->nodes[i], (size_t)(g->nnodes - 1 - i) * sizeof *g->nodes);
  memset(&g->nodes[i], 0, sizeof *g->nodes);
  return &g->nodes[i];
}

graph_node *graph_insert (graph *g, int i, int op, const graph_ref *like, int n) {
  int first = graph_refs_new(g, n), out = graph_value_new(g);
  graph_node *node = first < 0 || out < 0 ? NULL : insert(g, i);
  if (!node) return NULL;
  graph_value *v = &g->values[out];
  v->kind = VALUE_NODE;
  v->dtype = like->dtype;
  v->ndim = like->ndim;
  memcpy(v->shape, like->shape, sizeof v->shape);
  *node = (graph_node){ .op = op, .n = n, .first = first, .out = out };
  return node;
}

static bool reads (const graph *g, int value) {
  for (int i = 0; i < g->nnodes; i++)
    for (int j = 0; j < g->nodes[i].n; j++) if (g->refs[g->nodes[i].first + j].value == value) return true;
  for (int j = 0; j < g->noutputs; j++) if (g->refs[g->outputs + j].value == value) return true;
  return false;
}

void graph_set_carry (graph *g, const int *carry) {
  g->scans = true;
  for (int j = 0; j < g->noutputs; j++) if (j < 64 && (carry[j] < 0 || !reads(g, carry[j]))) g->late |= (uint64_t)1 << j;
}

/* ---- keys ---- */

static bool put (neap_context *c, graph_key *k, const void *data, size_t n) {
  if (k->n + n > k->size) {
    size_t size = 2 * (k->n + n);
    char *p = neap_realloc(c, k->data, k->size, size);
    if (!p) return false;
    k->data = p;
    k->size = size;
  }
  memcpy(k->data + k->n, data, n);
  k->n += n;
  return true;
}

static bool put_int (neap_context *c, graph_key *k, int64_t v) { return put(c, k, &v, sizeof v); }
static int64_t packed (row_size s) { return s.n * 2 + s.rows; }

static bool put_ref (neap_context *c, graph_key *k, const graph_ref *r) {
  int64_t list[4 + 2 * NEAP_MAX_DIMS] = { r->value, r->dtype, r->ndim, packed(r->offset) };
  int n = 4;
  for (int i = 0; i < r->ndim; i++) {
    list[n++] = packed(r->shape[i]);
    list[n++] = packed(r->strides[i]);
  }
  return put(c, k, list, (size_t)n * sizeof *list);
}

static bool put_value (neap_context *c, graph_key *k, const graph_value *v) {
  int64_t special = v->kind != VALUE_NUMBER ? 0 : v->rate ? 3 + (int64_t)v->rate
                  : v->number == 1 ? 1 : v->number == 0 && !signbit(v->number) ? 2 : 3;
  int64_t list[4 + NEAP_MAX_DIMS] = { v->kind, v->dtype, v->ndim, special };
  for (int i = 0; i < v->ndim; i++) list[4 + i] = packed(v->shape[i]);
  return put(c, k, list, (size_t)(4 + v->ndim) * sizeof *list);
}

static bool put_node (neap_context *c, graph_key *k, graph *g, const graph_node *n) {
  const int64_t list[] = { n->op, n->n, n->out, n->attr_rows, n->rng, n->draw, n->has_attrs };
  bool ok = put(c, k, list, sizeof list);
  for (int i = 0; ok && i < n->n; i++) ok = put_ref(c, k, graph_in(g, n, i));
  if (!ok || !n->has_attrs) return ok;
  int count = n->a.count > 0 ? n->a.count : 0;
  return put(c, k, n->a.f, sizeof n->a.f) && put(c, k, n->a.i, sizeof n->a.i) && put_int(c, k, n->a.count) &&
         put(c, k, n->a.dims, (size_t)count * sizeof *n->a.dims);
}

/* of a key, which is a list of 8-byte numbers; equal hashes are compared whole */
static uint64_t hash (const char *p, size_t n) {
  uint64_t h = 0xcbf29ce484222325u, v;
  for (size_t i = 0; i + sizeof v <= n; i += sizeof v) {
    memcpy(&v, p + i, sizeof v);
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
  }
  return h;
}

bool graph_make_key (graph *g, graph_key *k) {
  neap_context *c = g->c;
  bool ok = put_int(c, k, g->ninputs) && put_int(c, k, g->noutputs) && put_int(c, k, g->by_rows) &&
            put_int(c, k, g->scans) && put_int(c, k, (int64_t)g->late) && put_int(c, k, g->nrngs) && put_int(c, k, g->nvars) &&
            put_int(c, k, (int64_t)g->guards) && put_int(c, k, g->nvalues);
  for (int i = 0; ok && i < g->nvalues; i++) ok = put_value(c, k, &g->values[i]);
  for (int i = 0; ok && i < g->nnodes; i++) ok = put_node(c, k, g, &g->nodes[i]);
  for (int i = 0; ok && i < g->noutputs; i++) ok = put_ref(c, k, &g->refs[g->outputs + i]);
  if (ok) k->hash = hash(k->data, k->n);
  return ok;
}

void graph_key_free (neap_context *c, graph_key *k) {
  neap_free(c, k->data, k->size);
  *k = (graph_key){ 0 };
}
