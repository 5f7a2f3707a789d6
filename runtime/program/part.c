/*
** part.c -- a part of a graph as a graph of its own.
** Invariant: a part has the values of its whole in another order; what became an input is made by no node.
*/
#include "program/graph.h"
#include <string.h>

static void *copy_list (neap_context *c, const void *list, int n, size_t each) {
  void *p = n ? neap_malloc(c, (size_t)n * each) : NULL;
  return p ? memcpy(p, list, (size_t)n * each) : NULL;
}

static void hold_all (graph *g) {
  for (int i = 0; i < g->nvalues; i++) if (g->values[i].store) atomic_fetch_add(&g->values[i].store->refs, 1);
  for (int i = 0; i < g->nrngs; i++) neap_rng_keep(g->rng[i]);
}

graph *graph_copy (const graph *from) {
  neap_context *c = from->c;
  graph *g = graph_new(c);
  if (!g) return NULL;
  *g = *from;
  g->vars = NULL;
  g->nvars = 0;
  g->values = copy_list(c, from->values, from->nvalues, sizeof *g->values);
  g->nodes = copy_list(c, from->nodes, from->nnodes, sizeof *g->nodes);
  g->refs = copy_list(c, from->refs, from->nrefs, sizeof *g->refs);
  g->values_size = g->values ? g->nvalues : 0;
  g->nodes_size = g->nodes ? g->nnodes : 0;
  g->refs_size = g->refs ? g->nrefs : 0;
  bool ok = g->values_size == g->nvalues && g->nodes_size == g->nnodes && g->refs_size == g->nrefs;
  if (!ok) g->nvalues = g->nrngs = 0;                  /* nothing is held yet */
  else hold_all(g);
  if (!ok) { graph_free(g); return NULL; }
  return g;
}

/* places[v]: where value v goes: the inputs first, the others in their order */
static void set_places (const graph *g, int n, const int *in, int *places) {
  int next = n;
  for (int v = 0; v < g->nvalues; v++) places[v] = -1;
  for (int i = 0; i < n; i++) places[in[i]] = i;
  for (int v = 0; v < g->nvalues; v++) if (places[v] < 0) places[v] = next++;
}

static bool move_values (graph *g, const int *places) {
  graph_value *values = copy_list(g->c, g->values, g->nvalues, sizeof *values);
  if (!values) return false;
  for (int v = 0; v < g->nvalues; v++) g->values[places[v]] = values[v];
  neap_free(g->c, values, (size_t)g->nvalues * sizeof *values);
  for (int i = 0; i < g->nrefs; i++) g->refs[i].value = places[g->refs[i].value];
  for (int i = 0; i < g->nnodes; i++) g->nodes[i].out = places[g->nodes[i].out];
  return true;
}

/* nodes that make inputs go; former inputs that are none now are read by nobody */
static void make_inputs (graph *g, int n) {
  int kept = 0;
  for (int i = 0; i < g->nnodes; i++) if (g->nodes[i].out >= n) g->nodes[kept++] = g->nodes[i];
  g->nnodes = kept;
  for (int i = 0; i < kept; i++) g->values[g->nodes[i].out].maker = i;
  for (int v = n; v < g->nvalues; v++)
    if (g->values[v].kind == VALUE_INPUT)
      g->values[v] = (graph_value){ .kind = VALUE_NUMBER, .dtype = g->values[v].dtype };
  for (int v = 0; v < n; v++) {
    if (g->values[v].kind == VALUE_NUMBER) g->values[v].ndim = 0;        /* refs look at one element, without strides */
    g->values[v].kind = VALUE_INPUT;
    g->values[v].maker = v;
  }
  g->ninputs = n;
}

static bool set_outputs (graph *g, int n, const graph_ref *out, const int *places) {
  int first = graph_refs_new(g, n);
  if (first < 0) return false;
  for (int j = 0; j < n; j++) {
    g->refs[first + j] = out[j];
    g->refs[first + j].value = places[out[j].value];
  }
  g->outputs = first;
  g->noutputs = n;
  return true;
}

graph *graph_part (const graph *whole, int nin, const int *in, int nout, const graph_ref *out) {
  neap_context *c = whole->c;
  size_t bytes = (size_t)whole->nvalues * sizeof(int);
  int *places = neap_malloc(c, bytes);
  graph *g = places ? graph_copy(whole) : NULL;
  if (g) set_places(g, nin, in, places);
  bool ok = g && move_values(g, places) && set_outputs(g, nout, out, places);
  if (ok) make_inputs(g, nin);
  neap_free(c, places, bytes);
  if (ok) return g;
  graph_free(g);
  return NULL;
}
