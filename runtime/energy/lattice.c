/*
** lattice.c -- bonds between neighbours on a grid of any dimension, or along given edges.
** Invariant: on a torus each unit has a bond to the next along every dimension of more than one unit, so a dimension
** of two has each bond twice; edges count units from 1, row by row.
*/
#include "lattice.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_UNITS = 1 << 30 };

neap_tensor *lattice_find (const neap_energy *E, const char *name) {
  int i = energy_find(E, name);
  return i < 0 ? NULL : E->slots[i].value;
}

static bool is_open (const neap_energy *E) { return E->num[0] != 0; }

/* ---- what was given ---- */

static bool check_shape (neap_context *c, neap_energy *E) {
  const char *who = E->cls->name;
  const neap_tensor *t = E->slots[LATTICE_SHAPE].value;
  int64_t shape[NEAP_MAX_DIMS], n = 1;
  if (t->ndim != 1 || t->shape[0] < 1 || t->shape[0] >= NEAP_MAX_DIMS)
    return neap_fail(c, NEAP_ESHAPE, "%s: shape must hold 1 to %d sizes, got %s", who, NEAP_MAX_DIMS - 1,
                     SHAPE_TEXT(t));
  if (!neap_read(c, t, NEAP_INT64, shape)) return false;
  for (int i = 0; i < t->shape[0]; i++) {
    if (shape[i] < 1)
      return neap_fail(c, NEAP_EARG, "%s: shape[%d] must be at least 1, got %lld", who, i + 1, (long long)shape[i]);
    if (shape[i] > MOST_UNITS / n) return neap_fail(c, NEAP_EARG, "%s: more than %d units", who, (int)MOST_UNITS);
    n *= shape[i];
  }
  energy_set_event(E, (int)t->shape[0], shape);
  return true;
}

static bool check_edge_shape (neap_context *c, const char *who, const neap_tensor *t) {
  if (t->ndim == 2 && t->shape[0] >= 1 && t->shape[1] == 2) return true;
  return neap_fail(c, NEAP_ESHAPE, "%s: edges must be [M, 2], pairs of units, got %s", who, SHAPE_TEXT(t));
}

/* v [2 m]: pairs of different units of 1 … n */
static bool check_ends (neap_context *c, const char *who, const double *v, int64_t m, int64_t n) {
  for (int64_t i = 0; i < 2 * m; i++)
    if (!(v[i] >= 1 && v[i] <= (double)n && v[i] == floor(v[i])))
      return neap_fail(c, NEAP_EARG, "%s: edges[%lld][%lld] must be a unit from 1 to %lld, got %g", who,
                       (long long)(i / 2 + 1), (long long)(i % 2 + 1), (long long)n, v[i]);
  for (int64_t i = 0; i < m; i++)
    if (v[2 * i] == v[2 * i + 1])
      return neap_fail(c, NEAP_EARG, "%s: edges[%lld] joins unit %lld to itself", who, (long long)(i + 1),
                       (long long)v[2 * i]);
  return true;
}

static bool check_edges (neap_context *c, neap_energy *E) {
  const char *who = E->cls->name;
  neap_tensor *t = lattice_find(E, "edges");
  if (!t) return true;
  if (!check_edge_shape(c, who, t)) return false;
  size_t bytes = (size_t)neap_numel(t) * sizeof(double);
  double *v = neap_malloc(c, bytes);
  bool ok = v && neap_read(c, t, NEAP_FLOAT64, v) && check_ends(c, who, v, t->shape[0], energy_event_numel(E));
  if (v) neap_free(c, v, bytes);
  neap_tensor *ends = ok ? neap_detach(c, energy_cast(c, t, NEAP_INT64)) : NULL;
  return ends && energy_derive(E, 0, neap_contiguous(c, neap_select(c, ends, 2, 1))) &&
         energy_derive(E, 1, neap_contiguous(c, neap_select(c, ends, 2, 2)));
}

/* a constant is finite: read, not computed, so that a program can be made of what exchanges the others */
static bool check_finite (neap_context *c, const neap_energy *E, const energy_slot *s) {
  if (!energy_is_constant(s)) return true;
  size_t bytes = (size_t)(neap_numel(s->value) + 1) * sizeof(double);
  double *v = neap_malloc(c, bytes);
  bool ok = v && neap_read(c, s->value, NEAP_FLOAT64, v), finite = true;
  for (int64_t i = 0; ok && i < neap_numel(s->value); i++) finite = finite && isfinite(v[i]);
  if (v) neap_free(c, v, bytes);
  if (!finite) return neap_fail(c, NEAP_EARG, "%s: %s must be finite", E->cls->name, s->name);
  return ok;
}

static bool check_beta (neap_context *c, neap_energy *E) {
  const neap_tensor *t = E->slots[LATTICE_BETA].value, *edges = lattice_find(E, "edges");
  char want[64] = "a number";
  if (edges) snprintf(want, sizeof want, "a number or [%lld], one per edge", (long long)edges->shape[0]);
  bool fits = t->ndim == 0 || (edges && t->ndim == 1 && t->shape[0] == edges->shape[0]);
  if (!fits) return neap_fail(c, NEAP_ESHAPE, "%s: beta must be %s, got %s", E->cls->name, want, SHAPE_TEXT(t));
  return check_finite(c, E, &E->slots[LATTICE_BETA]);
}

static bool check_field (neap_context *c, neap_energy *E) {
  int i = energy_find(E, "field");
  char want[NEAP_SHAPE_BYTES];
  if (i < 0) return true;
  const neap_tensor *t = E->slots[i].value;
  size_t bytes = (size_t)E->ndim * sizeof *E->event;
  bool fits = t->ndim == 0 || (t->ndim == E->ndim && memcmp(t->shape, E->event, bytes) == 0);
  if (!fits)
    return neap_fail(c, NEAP_ESHAPE, "%s: field must be a number or %s, got %s", E->cls->name,
                     neap_shape_text(want, E->ndim, E->event), SHAPE_TEXT(t));
  return check_finite(c, E, &E->slots[i]);
}

bool lattice_check (neap_context *c, neap_energy *E) {
  if (E->nslots < 2 || energy_find(E, "shape") != LATTICE_SHAPE || energy_find(E, "beta") != LATTICE_BETA)
    return neap_fail(c, NEAP_EARG, "%s: shape and beta expected", E->cls->name);
  return check_shape(c, E) && check_edges(c, E) && check_beta(c, E) && check_field(c, E);
}

/* ---- making ---- */

/* the sizes; without them as many units as the edges name */
static neap_tensor *shape_tensor (neap_context *c, const char *who, const neap_lattice *l) {
  if (l->ndim > 0) return neap_from(c, NEAP_INT64, 1, (int64_t[]){ l->ndim }, l->shape);
  if (!l->edges) return neap_fail(c, NEAP_EARG, "%s: shape or edges is missing", who);
  if (!check_edge_shape(c, who, l->edges)) return NULL;
  neap_tensor *most = neap_amax(c, neap_detach(c, l->edges), -1, NULL, false);
  return energy_reshape(c, energy_cast(c, most, NEAP_INT64), 1, (int64_t[]){ 1 });
}

neap_energy *lattice_new (neap_context *c, const energy_class *cls, const neap_lattice *l, neap_tensor *beta,
                          neap_tensor *field, int64_t choice) {
  if (!neap_ok(c)) return NULL;
  if (!beta) return neap_fail(c, NEAP_EARG, "%s: beta is missing", cls->name);
  neap_energy *E = energy_new(c, cls, 2 + (l->edges != NULL) + (field != NULL), 0, NULL);
  if (!E) return NULL;
  int i = 2;
  neap_scope s = neap_scope_open(c);
  energy_set(E, LATTICE_SHAPE, "shape", shape_tensor(c, cls->name, l));
  energy_set(E, LATTICE_BETA, "beta", beta);
  if (l->edges) energy_set(E, i++, "edges", l->edges);
  if (field) energy_set(E, i, "field", field);
  neap_scope_close(c, s);
  E->num[0] = l->open;
  E->choice = choice;
  return energy_finish(c, E);
}

/* ---- bonds ---- */

typedef neap_tensor *(*pair_fn) (neap_context *c, neap_tensor *a, neap_tensor *b);

/* x [B, event…] -> pair over the edges, [B, M] */
static neap_tensor *edge_pairs (neap_context *c, neap_energy *E, neap_tensor *x, pair_fn pair) {
  neap_tensor *flat = energy_reshape(c, x, 2, (int64_t[]){ x->shape[0], energy_event_numel(E) });
  neap_tensor *a = flat ? neap_index_select(c, flat, 2, E->derived[0]) : NULL;
  neap_tensor *b = a ? neap_index_select(c, flat, 2, E->derived[1]) : NULL;
  return b ? pair(c, a, b) : NULL;
}

/* Σ pair of neighbours along dimension d of x [B] */
static neap_tensor *along (neap_context *c, const neap_energy *E, neap_tensor *x, int64_t d, pair_fn pair) {
  int64_t n = x->shape[d - 1], back = -1;
  neap_tensor *a = x, *b;
  if (is_open(E)) {
    a = neap_slice(c, x, d, 1, n - 1, 1);
    b = neap_slice(c, x, d, 2, n, 1);
  } else b = neap_roll(c, x, 1, &back, 1, &d);
  return a && b ? rows_sum(c, pair(c, a, b)) : NULL;
}

/* Σ pair over the neighbours on the grid [B] */
static neap_tensor *grid_sum (neap_context *c, neap_energy *E, neap_tensor *x, pair_fn pair) {
  neap_tensor *sum = NULL;
  for (int i = 0; i < E->ndim; i++) {
    if (E->event[i] == 1) continue;
    neap_tensor *t = along(c, E, x, i + 2, pair);
    sum = t && sum ? neap_add(c, sum, t) : t;
    if (!sum) return NULL;
  }
  return sum ? sum : neap_mul(c, rows_sum(c, x), num(c, x, 0));      /* a single unit */
}

neap_tensor *lattice_bonds (neap_context *c, neap_energy *E, neap_tensor *x, pair_fn pair) {
  neap_tensor *beta = energy_get(c, E, LATTICE_BETA, x);
  if (!E->derived[0]) return neap_mul(c, grid_sum(c, E, x, pair), beta);
  neap_tensor *p = edge_pairs(c, E, x, pair);
  if (beta && beta->ndim == 1) return neap_matmul(c, p, beta);
  return neap_mul(c, energy_sum_last(c, p), beta);
}

int64_t lattice_bond_count (const neap_energy *E) {
  int64_t n = energy_event_numel(E), bonds = 0;
  for (int i = 0; i < E->ndim; i++)
    if (E->event[i] > 1) bonds += is_open(E) ? n / E->event[i] * (E->event[i] - 1) : n;
  return bonds;
}

/* ---- strips ---- */

bool lattice_strip (neap_context *c, const neap_energy *E, int64_t q, strip *s, double *beta, bool *across) {
  int64_t size[2] = { 1, 1 };
  int n = 0;
  for (int i = 0; i < E->ndim; i++) {
    if (E->event[i] == 1) continue;
    if (n == 2) return false;
    size[n++] = E->event[i];
  }
  if (lattice_find(E, "edges") || !neap_item(c, E->slots[LATTICE_BETA].value, beta)) return false;
  *across = size[1] <= size[0];
  *s = (strip){ .q = q, .width = size[*across], .length = size[!*across], .torus = !is_open(E) };
  return strip_fits(s);
}
