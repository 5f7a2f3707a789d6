/*
** capture.c -- from a function to a program: recordings at 2 and 3 rows, and the context's store of programs.
** Invariant: a program is found by everything that was recorded but its leaves and numbers, and these are bound anew
** by every capture; so nothing that a function reads goes stale between two captures.
*/
#include "program/program.h"
#include "program/trace.h"
#include <stdio.h>
#include <string.h>

enum { CACHE = 16 };

struct program_cache {
  neap_program *p[CACHE];                  /* the newest first */
  int n;
};

/* ---- recording ---- */

/* t with `rows` rows, its first ones, the last repeated; or all of it.  Fresh. */
static neap_tensor *example (neap_context *c, neap_tensor *t, bool by_rows, int64_t rows) {
  int64_t shape[NEAP_MAX_DIMS];
  memcpy(shape, t->shape, sizeof shape);
  if (by_rows) shape[0] = rows;
  neap_tensor *x = neap_tensor_new(c, t->dtype, t->ndim, shape);
  if (!x) return NULL;
  if (!by_rows) { neap_copy_strided(x, t); return x; }
  for (int64_t i = 0; i < rows; i++) {
    neap_tensor to = *x, from = *t;
    to.shape[0] = from.shape[0] = 1;
    to.offset += i * x->strides[0];
    from.offset += (i < t->shape[0] ? i : t->shape[0] - 1) * t->strides[0];
    neap_copy_strided(&to, &from);
  }
  return x;
}

static void say (capture *w, const char *why, bool blame) {
  if (w->reason[0]) return;
  snprintf(w->reason, sizeof w->reason, "%s", why);
  w->blame = blame;
}

/* what happened when the function failed: an interrupt stays, the rest is for eager execution to tell */
static void swallow (neap_context *c, capture *w) {
  if (neap_ok(c) || c->status == NEAP_EINTERRUPTED) return;
  say(w, neap_error(c), false);
  neap_clear_error(c);
}

static graph *trace (neap_context *c, capture *w, neap_tensor *const *in) {
  neap_recording *t = trace_begin(c, w->n, in);
  if (!t) return NULL;
  neap_tensor *out[NEAP_PROGRAM_TENSORS];
  int nout = 0;
  bool ok = w->fn(c, w->arg, in, &nout, out) && neap_ok(c);
  graph *g = trace_end(t, nout, ok ? out : NULL);
  if (!g && ok && neap_ok(c)) say(w, t->reason, true);
  trace_free(t);
  return g;
}

/* one recording, at so many rows */
static graph *record (neap_context *c, capture *w, int64_t rows) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  neap_mode m = neap_no_grad(c);
  neap_scope s = neap_scope_open(c);
  bool ok = true;
  for (int i = 0; ok && i < w->n; i++) ok = (in[i] = example(c, w->in[i], w->by_rows[i], rows)) != NULL;
  graph *g = ok ? trace(c, w, in) : NULL;
  neap_scope_close(c, s);
  neap_mode_restore(c, m);
  if (!g) swallow(c, w);
  return g;
}

/* a pair of recordings, joined by `join`; NULL when one fails or they do not agree */
static graph *joined (neap_context *c, capture *w, int64_t rows, int64_t again, bool (*join) (graph *, graph *)) {
  graph *g = record(c, w, rows), *other = g ? record(c, w, again) : NULL;
  bool agree = other && join(g, other);
  graph_free(other);
  if (agree) return g;
  graph_free(g);
  return NULL;
}

static bool by_rows (graph *g, graph *other) { return graph_by_rows(g, other); }

/* A function of the host's may do something else for its number of rows than for 2 and 3. */
static bool confirmed (neap_context *c, capture *w, graph *g) {
  graph *o = record(c, w, w->rows);
  bool ok = o && graph_holds_at(g, o, w->rows);
  graph_free(o);
  return ok;
}

/* one that holds for all numbers of rows, else for w->rows alone */
static graph *record_graph (neap_context *c, capture *w) {
  graph *g = joined(c, w, 2, 3, by_rows);
  if (g && w->own && !confirmed(c, w, g)) { graph_free(g); g = NULL; }
  if (g || !neap_ok(c) || w->blame) return g;
  w->reason[0] = '\0';                                 /* shapes may not fit so few rows */
  g = joined(c, w, w->rows, w->rows, graph_equal);
  if (!g && neap_ok(c)) say(w, "does something else at every call", true);
  return g;
}

/* ---- the store ---- */

static void bind (neap_program *p, graph *g) {
  graph *to = p->g;
  for (int i = 0; i < g->nvalues; i++) {
    graph_value *v = &to->values[i], *from = &g->values[i];
    neap_storage *old = v->store;
    v->store = from->store;
    from->store = old;
    if (from->kind == VALUE_NUMBER) neap_store_number(from->dtype, &v->number, 0, from->number);
  }
  for (int i = 0; i < g->nrngs; i++) {
    neap_rng *old = to->rng[i];
    to->rng[i] = g->rng[i];
    g->rng[i] = old;
  }
}

static neap_program *found (program_cache *k, const graph_key *key) {
  for (int i = 0; i < k->n; i++) {
    neap_program *p = k->p[i];
    if (p->key.hash != key->hash || p->key.n != key->n || memcmp(p->key.data, key->data, key->n) != 0) continue;
    memmove(k->p + 1, k->p, (size_t)i * sizeof *k->p);
    return k->p[0] = p;
  }
  return NULL;
}

static void enter (program_cache *k, neap_program *p) {
  if (k->n == CACHE) program_release(k->p[--k->n]);
  memmove(k->p + 1, k->p, (size_t)k->n++ * sizeof *k->p);
  k->p[0] = p;
}

/* takes g over */
static neap_program *program_of (neap_context *c, graph *g) {
  graph_key key = { 0 };
  if (!c->programs) c->programs = neap_calloc(c, sizeof *c->programs);
  neap_program *p = c->programs && graph_make_key(g, &key) ? found(c->programs, &key) : NULL;
  if (p) bind(p, g);
  if (p || !neap_ok(c)) { graph_free(g); graph_key_free(c, &key); }
  else if ((p = program_new(c, g, &key))) enter(c->programs, p);
  if (p) program_keep(p);
  return p;
}

void program_cache_free (neap_context *c) {
  if (!c->programs) return;
  for (int i = 0; i < c->programs->n; i++) program_release(c->programs->p[i]);
  neap_free(c, c->programs, sizeof *c->programs);
  c->programs = NULL;
}

neap_program *program_capture (neap_context *c, capture *w) {
  graph *g = neap_ok(c) && !c->trace ? record_graph(c, w) : NULL;
  graph_key none = { 0 };
  neap_program *p = !g ? NULL : w->own ? program_new(c, g, &none) : program_of(c, g);
  if (!p) swallow(c, w);
  return p;
}
