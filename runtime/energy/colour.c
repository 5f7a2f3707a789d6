/*
** colour.c -- which units of a lattice or a graph may be drawn at once: those of one colour have no bond among them.
** Invariant: a unit, in their order, has the lowest colour that none of its neighbours before it has.  So a grid
** without odd rings has two colours, and no graph has more than a unit has neighbours, plus one.
*/
#include "lattice.h"

typedef struct graph {                     /* of E's bonds */
  const neap_energy *E;
  int64_t units, most;                     /* most neighbours of a unit */
  int64_t *first, *to;                     /* along edges: unit i's are to[first[i]] … to[first[i + 1] - 1] */
} graph;

static const int64_t *ends (const neap_energy *E, int side) { return neap_ptr(E->derived[side]); }
static int64_t edges (const graph *g) { return g->E->derived[0]->shape[0]; }
static size_t edge_bytes (const graph *g) { return (size_t)(g->units + 1 + 2 * edges(g)) * sizeof *g->first; }

/* each edge in both directions, by counting; first, all 0, holds ends until the places before them are filled */
static void fill_edges (graph *g) {
  const int64_t *a = ends(g->E, 0), *b = ends(g->E, 1), m = edges(g);
  for (int64_t i = 0; i < m; i++) { g->first[a[i] - 1]++; g->first[b[i] - 1]++; }
  for (int64_t i = 0; i < g->units; i++) {
    if (g->first[i] > g->most) g->most = g->first[i];
    if (i > 0) g->first[i] += g->first[i - 1];
  }
  g->first[g->units] = 2 * m;
  for (int64_t i = 0; i < m; i++) {
    g->to[--g->first[a[i] - 1]] = b[i] - 1;
    g->to[--g->first[b[i] - 1]] = a[i] - 1;
  }
}

static bool open_graph (neap_context *c, graph *g) {
  g->units = energy_event_numel(g->E);
  g->most = 2 * g->E->ndim;
  if (!g->E->derived[0]) return true;
  g->most = 0;
  g->first = neap_calloc(c, edge_bytes(g));
  if (!g->first) return false;
  g->to = g->first + g->units + 1;
  fill_edges(g);
  return true;
}

static void close_graph (neap_context *c, graph *g) {
  if (g->first) neap_free(c, g->first, edge_bytes(g));
}

/* a grid's neighbours of unit; their number */
static int64_t grid_near (const neap_energy *E, int64_t unit, int64_t *near) {
  bool open = E->num[0] != 0;
  int64_t n = 0, run = 1;
  for (int d = E->ndim - 1; d >= 0; run *= E->event[d--]) {
    int64_t size = E->event[d], at = unit / run % size;
    if (size == 1) continue;
    if (at > 0 || !open) near[n++] = unit + (at > 0 ? -1 : size - 1) * run;
    if (at < size - 1 || !open) near[n++] = unit + (at < size - 1 ? 1 : 1 - size) * run;
  }
  return n;
}

/* colour [units], −1 where there is none yet; seen [most + 2]: the unit that saw a colour last.  How many there are. */
static int fill (const graph *g, int64_t *colour, int64_t *seen) {
  int64_t around[2 * NEAP_MAX_DIMS], count = 0;
  for (int64_t i = 0; i < g->units; i++) {
    const int64_t *near = g->first ? g->to + g->first[i] : around;
    int64_t n = g->first ? g->first[i + 1] - g->first[i] : grid_near(g->E, i, around), k = 0;
    for (int64_t j = 0; j < n; j++) if (colour[near[j]] >= 0) seen[colour[near[j]]] = i;
    while (seen[k] == i) k++;
    colour[i] = k;
    if (k >= count) count = k + 1;
  }
  return (int)count;
}

static neap_tensor *make (neap_context *c, neap_energy *E, const graph *g, int *count) {
  neap_tensor *t = neap_tensor_new(c, NEAP_INT64, E->ndim, E->event);
  size_t bytes = (size_t)(g->most + 2) * sizeof(int64_t);
  int64_t *seen = t ? neap_malloc(c, bytes) : NULL, *colour = t ? neap_ptr(t) : NULL;
  if (!seen) return NULL;
  for (int64_t i = 0; i < g->units; i++) colour[i] = -1;
  for (int64_t i = 0; i < g->most + 2; i++) seen[i] = -1;
  *count = fill(g, colour, seen);
  neap_free(c, seen, bytes);
  return t;
}

neap_tensor *lattice_colours (neap_context *c, neap_energy *E, int *count) {
  if (!E->colours) {
    graph g = { .E = E };
    neap_scope s = neap_scope_open(c);
    if (open_graph(c, &g)) E->colours = neap_keep(make(c, E, &g, &E->ncolours));
    close_graph(c, &g);
    neap_scope_close(c, s);
  }
  *count = E->ncolours;
  return E->colours;
}
