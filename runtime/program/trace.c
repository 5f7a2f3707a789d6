/*
** trace.c -- the recorder.
** Invariant: a storage is known by its address, which is unique because the trace holds it; a storage that was there
** before is a leaf, one made meanwhile is the result of what a hook told, or cannot be used.
*/
#include "program/trace.h"
#include <stdio.h>
#include <string.h>

void trace_refuse (neap_context *c, const char *what) {
  neap_recording *t = c->trace;
  if (!t || t->failed) return;
  t->failed = true;
  if (c->place) c->place(c, &t->place);
  snprintf(t->reason, sizeof t->reason, "%s", what);
}

/* the call is named, for many look at values */
static void refuse_reading (neap_context *c) {
  neap_recording *t = c->trace;
  if (t->failed) return;
  trace_refuse(c, "looks at values");
  if (t->place.call[0]) snprintf(t->reason, sizeof t->reason, "looks at values (%s)", t->place.call);
}

/* no reason: that is not the function's doing */
static void refuse_memory (neap_recording *t) { trace_refuse(t->c, ""); }

/* ---- storages ---- */

static int place (const neap_recording *t, const neap_storage *s) {
  uint64_t h = (uint64_t)(uintptr_t)s;
  h = (h ^ h >> 17) * 0x9e3779b97f4a7c15u;
  int i = (int)(h >> 40) & (t->map_size - 1);
  while (t->map[i].store && t->map[i].store != s) i = (i + 1) & (t->map_size - 1);
  return i;
}

static bool grow_map (neap_recording *t) {
  int size = t->map_size, want = size ? 2 * size : 256;
  trace_entry *old = t->map, *map = neap_calloc(t->c, (size_t)want * sizeof *map);
  if (!map) return false;
  t->map = map;
  t->map_size = want;
  for (int i = 0; i < size; i++) if (old[i].store) t->map[place(t, old[i].store)] = old[i];
  neap_free(t->c, old, (size_t)size * sizeof *old);
  return true;
}

/* notes that s is value v; holds s when it is new */
static bool note (neap_recording *t, neap_storage *s, int v) {
  if (2 * t->nmap >= t->map_size && !grow_map(t)) { refuse_memory(t); return false; }
  trace_entry *e = &t->map[place(t, s)];
  if (!e->store) {
    e->store = s;
    atomic_fetch_add(&s->refs, 1);
    t->nmap++;
  }
  e->value = v;
  return true;
}

static void describe (graph_value *v, const neap_tensor *t) {
  v->dtype = t->dtype;
  v->ndim = t->ndim;
  for (int i = 0; i < t->ndim; i++) v->shape[i] = (row_size){ t->shape[i], false };
}

static graph_value *new_value (neap_recording *t, const neap_tensor *x, value_kind kind) {
  int v = graph_value_new(t->g);
  if (v < 0) { refuse_memory(t); return NULL; }
  if (!note(t, x->store, v)) return NULL;
  describe(&t->g->values[v], x);
  t->g->values[v].kind = kind;
  return &t->g->values[v];
}

/* a leaf: only dtype and store count, since refs carry offsets from the storage's first element */
static int leaf (neap_recording *t, const neap_tensor *x) {
  graph_value *v = new_value(t, x, VALUE_LEAF);
  if (!v) return -1;
  v->store = x->store;
  v->ndim = 0;
  atomic_fetch_add(&x->store->refs, 1);
  return (int)(v - t->g->values);
}

static int value_of (neap_recording *t, const neap_tensor *x) {
  const trace_entry *e = &t->map[place(t, x->store)];
  if (e->store && e->value >= 0) return e->value;
  if (!e->store) return leaf(t, x);
  trace_refuse(t->c, "uses a tensor whose elements were written one by one");
  return -1;
}

static bool set_ref (neap_recording *t, graph_ref *r, const neap_tensor *x) {
  int v = value_of(t, x);
  if (v < 0) return false;
  bool number = t->g->values[v].kind == VALUE_NUMBER;
  *r = (graph_ref){ .value = v, .dtype = x->dtype, .ndim = x->ndim };
  r->offset.n = number ? 0 : x->offset;
  for (int i = 0; i < x->ndim; i++) {
    r->shape[i].n = x->shape[i];
    r->strides[i].n = number ? 0 : x->strides[i];
  }
  return true;
}

/* ---- hooks ---- */

static int new_refs (neap_recording *t, int n, neap_tensor *const *in) {
  int first = graph_refs_new(t->g, n);
  if (first < 0) { refuse_memory(t); return -1; }
  for (int i = 0; i < n; i++) if (!set_ref(t, &t->g->refs[first + i], in[i])) return -1;
  return first;
}

enum { LONGEST = 50000 };                  /* nodes; so many are planned in half a second */

static graph_node *new_node (neap_recording *t, int op, const neap_tensor *out) {
  if (t->g->nnodes == LONGEST) { trace_refuse(t->c, "is too long to be recorded"); return NULL; }
  int n = graph_node_new(t->g);
  if (n < 0) { refuse_memory(t); return NULL; }
  graph_value *v = new_value(t, out, VALUE_NODE);
  if (!v) return NULL;
  v->maker = n;
  t->g->nodes[n].op = op;
  t->g->nodes[n].out = (int)(v - t->g->values);
  return &t->g->nodes[n];
}

void trace_op (neap_call *k, const neap_attrs *a, const neap_tensor *out) {
  neap_recording *t = k->c->trace;
  if (t->failed) return;
  if (k->op == &neap_ops[NEAP_OP_nonzero]) trace_refuse(k->c, "makes a tensor whose size depends on values");
  if (t->failed) return;
  int first = new_refs(t, k->n, k->in);
  graph_node *n = first < 0 ? NULL : new_node(t, (int)(k->op - neap_ops), out);
  if (!n) return;
  n->n = k->n;
  n->first = first;
  n->has_attrs = a != NULL;
  if (a) memcpy(&n->a, a, neap_attr_bytes(a));
  n->a.text = NULL;
}

/* Where a view is cut may depend on sizes in other ways than in proportion: those are compared as they are. */
void trace_view (neap_call *k) {
  graph *g = k->c->trace->g;
  const neap_tensor *x = k->in[0];
  if (k->op == &neap_ops[NEAP_OP_slice]) {
    int64_t axis = k->a.i[0] < 0 ? k->a.i[0] + x->ndim : k->a.i[0] - 1;
    g->guards = g->guards * 31 + (uint64_t)x->shape[axis];
  } else if (k->op == &neap_ops[NEAP_OP_diagonal])
    g->guards = (g->guards * 31 + (uint64_t)x->shape[x->ndim - 2]) * 31 + (uint64_t)x->shape[x->ndim - 1];
}

/* also when recording has failed, for the stream must be put back */
int trace_stream (neap_context *c, neap_rng *r) {
  neap_recording *t = c->trace;
  graph *g = t->g;
  for (int i = 0; i < g->nrngs; i++) if (g->rng[i] == r) return i;
  if (g->nrngs == GRAPH_RNGS) { trace_refuse(t->c, "draws from too many random streams"); return -1; }
  t->start[g->nrngs] = neap_rng_get(r);
  g->rng[g->nrngs] = neap_rng_keep(r);
  return g->nrngs++;
}

void trace_draw (neap_context *c, const neap_draw *d, neap_rng *r, neap_tensor *operand, const neap_tensor *out) {
  neap_recording *t = c->trace;
  if (t->failed) return;
  int s = trace_stream(c, r), first = s < 0 ? -1 : operand ? new_refs(t, 1, &operand) : 0;
  graph_node *n = first < 0 ? NULL : new_node(t, d->law, out);
  if (!n) return;
  n->n = operand != NULL;
  n->first = first;
  n->has_attrs = true;
  n->a.i[0] = d->lo;
  n->a.i[1] = d->width;
  neap_rng_state before = neap_rng_get(r);
  before.step--;
  n->rng = s;
  n->draw = (int)(before.step - t->start[s].step);
  if (before.seed != t->start[s].seed || before.stream != t->start[s].stream || n->draw < 0)
    trace_refuse(c, "sets a random stream");
}

void trace_new (neap_context *c, const neap_tensor *x) {
  if (!c->trace->failed) note(c->trace, x->store, -1);
}

void trace_number (neap_context *c, const neap_tensor *x, double number) {
  graph_value *v = c->trace->failed ? NULL : new_value(c->trace, x, VALUE_NUMBER);
  if (v) v->number = number;
}

void trace_constant (neap_context *c, const neap_tensor *x) {
  if (neap_numel(x) == 0) { trace_number(c, x, 0); return; }           /* nothing to compare */
  int v = c->trace->failed ? -1 : leaf(c->trace, x);
  if (v >= 0) c->trace->g->values[v].bytes = (size_t)neap_numel(x) * neap_dtype_size(x->dtype);
}

/* Leaves and numbers do not change while a program runs; what was computed does. */
void trace_read (neap_context *c, const neap_tensor *x) {
  neap_recording *t = c->trace;
  const trace_entry *e = &t->map[place(t, x->store)];
  value_kind kind = e->store && e->value >= 0 ? t->g->values[e->value].kind : VALUE_LEAF;
  if (e->store && (e->value < 0 || kind == VALUE_INPUT || kind == VALUE_NODE)) refuse_reading(c);
}

/* memory that no op filled is the host's to fill */
void trace_pointer (neap_context *c, const neap_tensor *x) {
  neap_recording *t = c->trace;
  const trace_entry *e = &t->map[place(t, x->store)];
  if (e->store && e->value < 0) trace_constant(c, x);
  else trace_read(c, x);
}

void trace_variables (neap_context *c, int n, neap_tensor *const *vars) {
  if (!c->trace->failed && !graph_set_vars(c->trace->g, n, vars)) refuse_memory(c->trace);
}

/* ---- begin and end ---- */

neap_recording *trace_begin (neap_context *c, int n, neap_tensor *const *in) {
  if (!neap_ok(c) || c->trace) return NULL;
  neap_recording *t = neap_calloc(c, sizeof *t);
  if (!t) return NULL;
  t->c = c;
  t->g = graph_new(c);
  if (!t->g || !grow_map(t)) { trace_free(t); return NULL; }
  c->trace = t;
  t->g->ninputs = n;
  for (int i = 0; i < n; i++) {
    graph_value *v = new_value(t, in[i], VALUE_INPUT);
    if (v) v->maker = i;
  }
  return t;
}

static void restore_streams (neap_recording *t) {
  t->c->trace = NULL;
  for (int i = 0; i < t->g->nrngs; i++) {
    neap_rng_state now = neap_rng_get(t->g->rng[i]);
    t->g->draws[i] = now.step - t->start[i].step;
    neap_rng_set(t->g->rng[i], t->start[i]);
  }
}

graph *trace_end (neap_recording *t, int n, neap_tensor *const *out) {
  int first = out && !t->failed ? new_refs(t, n, out) : -1;
  restore_streams(t);
  if (first < 0 || t->failed) return NULL;
  graph *g = t->g;
  g->noutputs = n;
  g->outputs = first;
  t->g = NULL;
  return g;
}

void trace_free (neap_recording *t) {
  if (!t) return;
  neap_context *c = t->c;
  if (c->trace == t) c->trace = NULL;
  for (int i = 0; i < t->map_size; i++) neap_storage_release(c, t->map[i].store);
  neap_free(c, t->map, (size_t)t->map_size * sizeof *t->map);
  graph_free(t->g);
  neap_free(c, t, sizeof *t);
}
