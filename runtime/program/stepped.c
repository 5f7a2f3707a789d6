/*
** stepped.c -- steps that differ in numbers alone: these become inputs that have an element for each step.
*/
#include "program/stepped.h"
#include <stdio.h>
#include <string.h>

/* ---- life ---- */

static bool find_numbers (stepped *s) {
  graph *g = s->g;
  for (int v = 0; v < g->nvalues; v++) s->nnumbers += g->values[v].kind == VALUE_NUMBER;
  s->at = neap_malloc(s->c, (size_t)(s->nnumbers + 1) * sizeof *s->at);
  s->varies = s->at ? neap_calloc(s->c, (size_t)(s->nnumbers + 1) * sizeof *s->varies) : NULL;
  int n = 0;
  for (int v = 0; s->at && v < g->nvalues; v++) if (g->values[v].kind == VALUE_NUMBER) s->at[n++] = v;
  return s->varies != NULL;
}

static bool carries (capture *w, const graph *g, int carried) {
  for (int j = 0; j < carried; j++) {
    graph_ref in = graph_whole(g, j);
    const graph_ref *o = j < g->noutputs ? &g->refs[g->outputs + j] : NULL;
    if (o && graph_same_shape(&in, o) && in.dtype == o->dtype) continue;
    snprintf(w->reason, sizeof w->reason, "changes the shape or dtype of tensor %d of its carry", j + 1);
    return false;
  }
  return true;
}

static bool note_numbers (stepped *s, const graph *g);

/* takes g over */
static stepped *stepped_of (neap_context *c, graph *g, int64_t rows, int carried) {
  stepped *s = neap_object_new(c, sizeof *s);
  if (!s) { graph_free(g); return NULL; }
  *s = (stepped){ .c = c, .g = g, .rows = rows, .carried = carried };
  if (find_numbers(s) && note_numbers(s, g)) return s;
  neap_stepped_free(s);
  return NULL;
}

static bool see_tracked (neap_context *c, void *arg, uint64_t start, neap_tensor *const *in, int nout,
                         neap_tensor *const *out) {
  bool *tracked = arg;
  (void)start;
  (void)in;
  for (int j = 0; j < nout; j++) *tracked |= neap_tracked(c, out[j]);
  return true;
}

/* Would what the step gives be taped?  Where that cannot be told it is. */
static bool is_taped (neap_context *c, const capture *w, const graph *g) {
  bool tracked = false;
  capture_watch v = { .floor = c->floor, .see = see_tracked, .arg = &tracked };
  bool told = capture_show(c, w, g->by_rows ? 2 : w->rows, &v);
  if (!told && c->status != NEAP_EINTERRUPTED) neap_clear_error(c);
  return !told || tracked;
}

/* A carry may be as long as a tensor that the step reads elsewhere, and then it has as many rows as this. */
static graph *record_step (neap_context *c, capture *w, int carried, graph_key *key) {
  graph *g = capture_graph(c, w, key);
  if (!g || !g->by_rows || carries(w, g, carried)) return g;
  graph_free(g);
  graph_key_free(c, key);
  return capture_graph_at_rows(c, w, key);
}

stepped *neap_stepped_new (neap_context *c, capture *w, int carried, int n, neap_tensor *const *in) {
  bool by_rows[NEAP_PROGRAM_TENSORS];
  graph_key key = { 0 };
  capture_inputs(w, n, in, by_rows);
  graph *g = record_step(c, w, carried, &key);
  bool ok = g && carries(w, g, carried) && !is_taped(c, w, g) && neap_ok(c);
  w->by_rows = NULL;
  graph_key_free(c, &key);
  if (ok) return stepped_of(c, g, w->rows, carried);
  graph_free(g);
  return NULL;
}

void neap_stepped_free (stepped *s) {
  if (!s) return;
  neap_context *c = s->c;
  neap_free(c, s->at, (size_t)(s->nnumbers + 1) * sizeof *s->at);
  neap_free(c, s->varies, (size_t)(s->nnumbers + 1) * sizeof *s->varies);
  neap_free(c, s->numbers, (size_t)(s->room * s->nnumbers) * sizeof *s->numbers);
  for (int i = 0; s->examples && i < s->g->ninputs; i++) neap_release(s->examples[i]);
  neap_free(c, s->examples, (size_t)s->g->ninputs * sizeof *s->examples);
  program_release(s->p);
  graph_free(s->g);
  neap_object_free(c, s, sizeof *s);
}

/* ---- following ---- */

static double number_of (const stepped *s, const graph *g, int i) {
  return graph_number(&g->values[s->at[i]], s->rows);
}

/* the numbers of one more step, of a graph that is s's but for these */
static bool note_numbers (stepped *s, const graph *g) {
  int k = s->nnumbers;
  if (s->followed == s->room && k > 0) {
    int64_t room = s->room ? 2 * s->room : 64;
    double *p = neap_realloc(s->c, s->numbers, (size_t)(s->room * k) * sizeof *p, (size_t)(room * k) * sizeof *p);
    if (!p) return false;
    s->numbers = p;
    s->room = room;
  }
  double *row = k ? s->numbers + s->followed * k : NULL;
  for (int i = 0; i < k; i++) {
    row[i] = number_of(s, g, i);
    double first = number_of(s, s->g, i);
    if (s->varies[i] || memcmp(&row[i], &first, sizeof first) == 0) continue;
    s->varies[i] = true;
    s->nvaries++;
    program_release(s->p);
    s->p = NULL;
  }
  s->followed++;
  return true;
}

enum { TELLING = 7 };                      /* rows of what is recorded to be compared: few functions have such sizes */

/* Gives numbers of o, recorded at TELLING rows, that are those of g the rates of these; false: one that depends on rows
** is another one. */
static bool match_numbers (graph *o, const graph *g) {
  for (int i = 0; i < o->nvalues; i++) {
    graph_value *v = &o->values[i];
    const graph_value *first = &g->values[i];
    double there = graph_number(first, TELLING);
    if (v->kind != VALUE_NUMBER) continue;
    if (memcmp(&there, &v->number, sizeof there) == 0) { v->number = first->number; v->rate = first->rate; }
    else if (first->rate) return false;
  }
  return true;
}

/* Is o, recorded at TELLING rows, s's graph but for numbers?  Notes these if so. */
static bool follow (stepped *s, graph *o) {
  const graph *g = s->g;
  if (o->nvalues != g->nvalues || !match_numbers(o, g)) return false;
  graph *first = graph_copy(o);                        /* with the first step's numbers */
  for (int i = 0; first && i < s->nnumbers; i++)
    first->values[s->at[i]].number = graph_number(&g->values[s->at[i]], TELLING);
  bool same = first && graph_holds_at(g, first, TELLING);
  graph_free(first);
  return same && note_numbers(s, o);
}

enum { PAYS_FROM = 1 << 16 };             /* elements; to make them takes longer than to record a step */

bool neap_stepped_pays (const stepped *s) {
  const graph *g = s->g;
  int64_t n = 0;
  for (int i = 0; i < g->nnodes; i++) {
    const graph_value *v = &g->values[g->nodes[i].out];
    n += graph_numel(v->ndim, v->shape, s->rows);
  }
  return g->by_rows && n >= PAYS_FROM;
}

static bool make_examples (stepped *s, int n, neap_tensor *const *in) {
  bool by_rows[NEAP_PROGRAM_TENSORS];
  capture w = { 0 };
  if (s->examples) return true;
  capture_inputs(&w, n, in, by_rows);
  if (n != s->g->ninputs || w.rows != s->rows) return false;
  if (!(s->examples = neap_calloc(s->c, (size_t)n * sizeof *in))) return false;
  neap_scope scope = neap_scope_open(s->c);
  for (int i = 0; i < n; i++) s->examples[i] = neap_keep(capture_example(s->c, in[i], by_rows[i], TELLING));
  neap_scope_close(s->c, scope);
  return neap_ok(s->c);
}

bool neap_stepped_follow (stepped *s, capture *w, int n, neap_tensor *const *in) {
  if (!s->g->by_rows || !make_examples(s, n, in)) return false;
  w->n = n;
  w->in = s->examples;
  w->fresh = true;
  graph *o = capture_record(s->c, w, TELLING);
  bool ok = o && follow(s, o);
  graph_free(o);
  return ok;
}

/* ---- running ---- */

/* the step with numbers that differ as its last inputs */
static neap_program *make_program (stepped *s) {
  graph *g = s->g;
  graph_key none = { 0 };
  int in[NEAP_PROGRAM_TENSORS], n = g->ninputs;
  if (n + s->nvaries > NEAP_PROGRAM_TENSORS)
    return neap_fail(s->c, NEAP_EARG, "scan: more than %d tensors and numbers that differ", NEAP_PROGRAM_TENSORS);
  for (int i = 0; i < n; i++) in[i] = i;
  for (int i = 0; i < s->nnumbers; i++) if (s->varies[i]) in[n++] = s->at[i];
  graph *part = graph_part(g, n, in, g->noutputs, g->refs + g->outputs);
  if (part) part->scans = true;
  neap_program *p = part ? program_new(s->c, part, &none) : NULL;
  if (p) program_learn(p, s->rows);
  if (p) s->c->programs_made++;
  return p;
}

/* number i of each step */
static neap_tensor *column (stepped *s, int i, int64_t steps) {
  neap_dtype d = s->g->values[s->at[i]].dtype;
  neap_tensor *t = neap_tensor_new(s->c, d, 1, &steps);
  for (int64_t k = 0; t && k < steps; k++) neap_store_number(d, neap_ptr(t), k, s->numbers[k * s->nnumbers + i]);
  return t;
}

static bool run (stepped *s, int64_t steps, int n, neap_tensor *const *in, neap_tensor *const *into,
                 neap_tensor **out) {
  neap_tensor *all[NEAP_PROGRAM_TENSORS];
  if (s->nvaries && steps > s->followed)
    return neap_fail(s->c, NEAP_EARG, "scan: %lld steps of %lld that were followed", (long long)steps,
                     (long long)s->followed);
  if (!s->p && !(s->p = make_program(s))) return false;
  memcpy(all, in, (size_t)n * sizeof *in);
  for (int i = 0; i < s->nnumbers; i++) if (s->varies[i] && !(all[n++] = column(s, i, steps))) return false;
  return neap_program_scan(s->p, steps, s->carried, n - s->carried, n, all, into, out);
}

bool neap_stepped_run (stepped *s, int64_t steps, int n, neap_tensor *const *in, neap_tensor *const *into,
                       neap_tensor **out) {
  neap_context *c = s->c;
  neap_tensor *all[NEAP_PROGRAM_TENSORS];
  if (n != s->g->ninputs) return neap_fail(c, NEAP_EARG, "scan: %d tensors expected, got %d", s->g->ninputs, n);
  neap_scope scope = neap_scope_open(c);
  bool ok = run(s, steps, n, in, into, all);
  for (int j = 0; ok && j < s->carried; j++) neap_keep(all[j]);
  neap_scope_close(c, scope);
  for (int j = 0; ok && j < s->carried; j++) out[j] = neap_lend(c, all[j]);
  if (ok) s->followed = 0;
  return ok && neap_ok(c);
}
