/*
** capture.c -- from a function to a program: recordings at 2 and 3 rows, and the context's store of programs.
** Invariant: a program is found by everything that was recorded but its leaves and numbers, and these are bound anew
** by every capture; so nothing that a function reads goes stale between two captures.
*/
#include "program/program.h"
#include "program/trace.h"
#include <stdio.h>
#include <string.h>

enum { CACHE = 32 };

struct program_cache {
  neap_program *p[CACHE];                  /* the newest first */
  int n;
};

/* ---- recording ---- */

neap_tensor *capture_example (neap_context *c, neap_tensor *t, bool by_rows, int64_t rows) {
  int64_t shape[NEAP_MAX_DIMS];
  memcpy(shape, t->shape, sizeof shape);
  if (by_rows) shape[0] = rows;
  neap_tensor *x = neap_tensor_new(c, t->dtype, t->ndim, shape);
  if (!x) return NULL;
  if (!by_rows || rows == t->shape[0]) { neap_copy_strided(x, t); return x; }
  for (int64_t i = 0; i < rows; i++) {
    neap_tensor to = *x, from = *t;
    to.shape[0] = from.shape[0] = 1;
    to.offset += i * x->strides[0];
    from.offset += (i < t->shape[0] ? i : t->shape[0] - 1) * t->strides[0];
    neap_copy_strided(&to, &from);
  }
  return x;
}

static void say (capture *w, const char *why, const neap_place *place, bool blame) {
  if (w->reason[0]) return;
  w->place = place ? *place : (neap_place){ 0 };
  snprintf(w->reason, sizeof w->reason, "%s", why);
  w->blame = blame;
}

/* what happened when the function failed: an interrupt stays, the rest is for eager execution to tell; a lack of memory
** says nothing about the function */
static void swallow (neap_context *c, capture *w) {
  if (neap_ok(c) || c->status == NEAP_EINTERRUPTED) return;
  if (c->status != NEAP_EMEMORY) say(w, neap_error(c), NULL, false);
  neap_clear_error(c);
}

static graph *trace (neap_context *c, capture *w, neap_tensor *const *in) {
  neap_recording *t = trace_begin(c, w->n, in);
  if (!t) return NULL;
  t->blind = w->fixed;
  neap_tensor *out[NEAP_PROGRAM_TENSORS];
  int nout = 0;
  bool ok = w->fn(c, w->arg, in, &nout, out) && neap_ok(c);
  graph *g = trace_end(t, nout, ok ? out : NULL);
  if (g && w->carry) graph_set_carry(g, w->carry);
  if (!g && ok && neap_ok(c) && t->reason[0]) say(w, t->reason, &t->place, true);
  trace_free(t);
  return g;
}

/* one recording, at so many rows */
graph *capture_record (neap_context *c, capture *w, int64_t rows) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  neap_mode m = neap_no_grad(c);
  neap_scope s = neap_scope_open(c);
  bool ok = true;
  for (int i = 0; ok && i < w->n; i++)
    ok = (in[i] = w->fresh ? w->in[i] : capture_example(c, w->in[i], w->by_rows[i], rows)) != NULL;
  graph *g = ok ? trace(c, w, in) : NULL;
  neap_scope_close(c, s);
  neap_mode_restore(c, m);
  if (!g) swallow(c, w);
  return g;
}

static bool show (neap_context *c, const capture *w, neap_tensor *const *in, const capture_watch *v) {
  neap_tensor *out[NEAP_PROGRAM_TENSORS];
  int nout = 0;
  uint64_t start = c->clock;
  neap_recording *t = trace_begin(c, w->n, in);        /* knows the streams that are drawn from */
  if (!t) return false;
  bool ok = w->fn(c, w->arg, in, &nout, out) && neap_ok(c) && v->see(c, v->arg, start, in, nout, out);
  trace_end(t, 0, NULL);
  trace_free(t);
  return ok;
}

bool capture_show (neap_context *c, const capture *w, int64_t rows, const capture_watch *v) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  neap_mode m = c->floor;
  neap_scope s = neap_scope_open(c);
  bool ok = true;
  c->floor = v->floor;
  for (int i = 0; ok && i < w->n; i++) {
    in[i] = capture_example(c, w->in[i], w->by_rows[i], rows);
    if (in[i] && v->variables && neap_is_float(in[i]->dtype)) in[i] = neap_variable(c, in[i]);
    ok = in[i] != NULL;
  }
  ok = ok && show(c, w, in, v);
  neap_scope_close(c, s);
  c->floor = m;
  return ok;
}

/* g joined by `join` with another recording; takes g over; NULL when one fails or they do not agree */
static graph *joined (neap_context *c, capture *w, graph *g, int64_t again, bool (*join) (graph *, graph *)) {
  graph *other = g ? capture_record(c, w, again) : NULL;
  bool agree = other && join(g, other);
  graph_free(other);
  if (agree) return g;
  graph_free(g);
  return NULL;
}

static bool by_rows (graph *g, graph *other) { return graph_by_rows(g, other); }

enum { AGAIN = 5 };                        /* rows; a host's count of calls would be 4 */

static bool holds_at (neap_context *c, capture *w, graph *g, int64_t rows) {
  graph *o = capture_record(c, w, rows);
  bool ok = o && graph_holds_at(g, o, rows);
  graph_free(o);
  return ok;
}

static bool is_known (neap_context *c, const capture *w, graph *g);

/* A function of the host's may do something else for its number of rows than for 2 and 3, or count its calls. */
static bool confirmed (neap_context *c, capture *w, graph *g) {
  bool asks_again = w->own || w->origin.by, counts = graph_counts_rows(g);
  if (w->fixed || is_known(c, w, g)) return true;
  return (!counts || holds_at(c, w, g, AGAIN)) && (!asks_again || holds_at(c, w, g, w->rows));
}

/* one that holds for w->rows alone */
static graph *record_at_rows (neap_context *c, capture *w) {
  w->reason[0] = '\0';
  graph *g = joined(c, w, capture_record(c, w, w->rows), w->rows, graph_equal);
  if (!g && neap_ok(c)) say(w, "does something else at every call", NULL, true);
  return g;
}

/* One that holds for all numbers of rows, else for w->rows alone; takes over g, recorded at two rows (or NULL, when
** that failed). */
static graph *record_graph (neap_context *c, capture *w, graph *g) {
  g = joined(c, w, g, 3, by_rows);
  if (g && !confirmed(c, w, g)) { graph_free(g); g = NULL; }
  if (g || !neap_ok(c) || w->blame) return g;
  return record_at_rows(c, w);                         /* shapes may not fit so few rows */
}

/* ---- the store ---- */

static void swap_vars (graph *to, graph *g) {
  neap_tensor **vars = to->vars;
  int n = to->nvars;
  to->vars = g->vars;
  to->nvars = g->nvars;
  g->vars = vars;
  g->nvars = n;
}

/* g's leaves, numbers, streams and variables become the program's */
static void bind (neap_program *p, graph *g) {
  graph *to = p->g;
  for (int i = 0; i < g->nvalues; i++) {
    graph_value *v = &to->values[i], *from = &g->values[i];
    neap_storage *old = v->store;
    v->store = from->store;
    from->store = old;
    v->number = from->number;
  }
  for (int i = 0; i < g->nrngs; i++) {
    neap_rng *old = to->rng[i];
    to->rng[i] = g->rng[i];
    g->rng[i] = old;
  }
  swap_vars(to, g);
}

static neap_program *to_front (program_cache *k, int i) {
  neap_program *p = k->p[i];
  memmove(k->p + 1, k->p, (size_t)i * sizeof *k->p);
  return k->p[0] = p;
}

static bool same_key (const graph_key *a, const graph_key *b) {
  return a->n > 0 && a->hash == b->hash && a->n == b->n && memcmp(a->data, b->data, a->n) == 0;
}

static bool same_origin (const program_origin *a, const program_origin *b) {
  return a->by != 0 && a->energy == b->energy && a->by == b->by && a->version == b->version;
}

/* A program that is in use keeps what it is bound to. */
static bool is_free (const neap_program *p) { return p->refs == 1; }

static neap_program *found (program_cache *k, const graph_key *key) {
  for (int i = 0; i < k->n; i++) 
    if (is_free(k->p[i]) && same_key(&k->p[i]->key, key)) return to_front(k, i);
  return NULL;
}

/* Is g the program that its origin had before, confirmed at w->rows then? */
static bool is_known (neap_context *c, const capture *w, graph *g) {
  graph_key key = { 0 };
  bool keyed = w->origin.by && graph_make_key(g, &key), yes = false;
  for (int i = 0; keyed && i < c->programs->n && !yes; i++) {
    const neap_program *p = c->programs->p[i];
    yes = same_origin(&p->origin, &w->origin) && program_knows(p, w->rows) && same_key(&p->key, &key);
  }
  graph_key_free(c, &key);
  return yes;
}

static bool same_vars (const graph *g, const capture *w) {
  if (g->nvars != w->nvars) return false;
  for (int i = 0; i < w->nvars; i++) if (g->vars[i] != w->vars[i]) return false;
  return true;
}

static bool same_inputs (const graph *g, const capture *w) {
  if (g->ninputs != w->n) return false;
  for (int i = 0; i < w->n; i++) {
    const graph_value *v = &g->values[i];
    if (v->dtype != w->in[i]->dtype || v->ndim != w->in[i]->ndim) return false;
    for (int d = 0; d < v->ndim; d++) if (w->in[i]->shape[d] != size_at(v->shape[d], w->rows)) return false;
  }
  return true;
}

/* the program of a fixed capture, still bound to what it reads */
static neap_program *found_fixed (program_cache *k, const capture *w) {
  for (int i = 0; k && i < k->n; i++) {
    neap_program *p = k->p[i];
    graph *g = p->g;
    if (!p->fixed || !is_free(p) || !same_origin(&p->origin, &w->origin) || g->nrngs > 1) continue;
    if (!same_vars(g, w) || !same_inputs(g, w)) continue;
    if (w->note) memcpy(w->note, p->note, w->note_bytes);
    if (g->nrngs == 1 && g->rng[0] != w->rng) {
      neap_rng_release(g->rng[0]);
      g->rng[0] = neap_rng_keep(w->rng);
    }
    return to_front(k, i);
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
  neap_program *p = graph_make_key(g, &key) ? found(c->programs, &key) : NULL;
  if (p) bind(p, g);
  if (p || !neap_ok(c)) { graph_free(g); graph_key_free(c, &key); }
  else if ((p = program_new(c, g, &key))) { enter(c->programs, p); c->programs_made++; }
  return p;
}

void program_cache_free (neap_context *c) {
  if (!c->programs) return;
  for (int i = 0; i < c->programs->n; i++) program_release(c->programs->p[i]);
  neap_free(c, c->programs, sizeof *c->programs);
  c->programs = NULL;
}

neap_program *neap_program_since (neap_context *c, uint64_t runs) {
  neap_program *last = NULL;
  for (int i = 0; c->programs && i < c->programs->n; i++) {
    neap_program *p = c->programs->p[i];
    if (p->ran > runs && (!last || p->ran > last->ran)) last = p;
  }
  return last;
}

void neap_program_forget (neap_context *c, uint64_t serial) {
  for (int i = 0; c->programs && i < c->programs->n; i++) {
    neap_program *p = c->programs->p[i];
    if (p->origin.by && (p->origin.energy == serial || p->origin.by == serial)) program_let_go(p);
  }
}

/* ---- capture ---- */

static bool keep_note (neap_program *p, const capture *w) {
  void *note = w->note_bytes ? neap_realloc(p->c, p->note, p->note_bytes, w->note_bytes) : NULL;
  if (!note) return w->note_bytes == 0;
  p->note = memcpy(note, w->note, w->note_bytes);
  p->note_bytes = w->note_bytes;
  return true;
}

static void mark (neap_program *p, const capture *w) {
  bool kept = keep_note(p, w);
  if (!kept) neap_clear_error(p->c);                   /* it can be recorded again */
  if (!same_origin(&p->origin, &w->origin)) p->ncounts = 0;
  program_learn(p, w->rows);
  p->origin = w->origin;
  p->fixed = w->fixed && kept;
}

static neap_program *record_program (neap_context *c, capture *w) {
  graph *g = record_graph(c, w, capture_record(c, w, 2));
  neap_program *p = g ? program_of(c, g) : NULL;
  if (p) mark(p, w);
  return p;
}

/* g, and its key; takes g over */
static graph *with_key (neap_context *c, capture *w, graph *g, graph_key *key) {
  if (g && graph_make_key(g, key)) return g;
  graph_free(g);
  graph_key_free(c, key);
  swallow(c, w);
  return NULL;
}

graph *capture_graph (neap_context *c, capture *w, graph_key *key) {
  return with_key(c, w, neap_ok(c) && !c->trace ? record_graph(c, w, capture_record(c, w, 2)) : NULL, key);
}

graph *capture_graph_at_rows (neap_context *c, capture *w, graph_key *key) {
  return with_key(c, w, neap_ok(c) && !c->trace ? record_at_rows(c, w) : NULL, key);
}

static neap_program *own_found (const capture *w, const graph_key *key) {
  for (int i = 0; i < w->nhave; i++) if (same_key(&w->have[i]->key, key)) return w->have[i];
  return NULL;
}

/* Leaves and numbers of one that is there already stay what they were. */
static neap_program *own_program (neap_context *c, capture *w) {
  graph_key key = { 0 };
  graph *g = capture_graph(c, w, &key);
  neap_program *p = g ? own_found(w, &key) : NULL;
  if (p) program_keep(p);
  if (p) { graph_free(g); graph_key_free(c, &key); }
  else if (g && (p = program_new(c, g, &key))) c->programs_made++;
  if (p) program_learn(p, w->rows);
  return p;
}

static bool open_cache (neap_context *c) {
  if (!c->programs) c->programs = neap_calloc(c, sizeof *c->programs);
  return c->programs != NULL;
}

void capture_warn (neap_context *c, const capture *w, const char *who, const char *what) {
  bool placed = w->place.line[0];
  neap_warn(c, "%s: %s%s %s, so it runs op by op, which is slower", who, placed ? w->place.line : what,
            placed ? ":" : "", w->reason);
}

neap_program *program_capture (neap_context *c, capture *w) {
  if (!neap_ok(c) || c->trace || !open_cache(c)) return NULL;
  neap_program *p = w->own ? own_program(c, w) : w->fixed ? found_fixed(c->programs, w) : NULL;
  if (!p && !w->own) p = record_program(c, w);
  if (p && !w->own) program_keep(p);
  if (!p) swallow(c, w);
  return p;
}
