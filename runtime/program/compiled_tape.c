/*
** compiled_tape.c -- derivatives of compiled functions: what results depend on, and programs that pull cotangents back.
** Invariant: a derivative sees the inputs, tensors and draws that its value was computed from, or it is an error; one
** that is to be differentiated again, or recorded, calls the function itself.
*/
#include "program/compiled.h"
#include "tape_custom.h"
#include <string.h>

/* ---- what results depend on ---- */

typedef struct search {
  neap_context *c;
  compiled_case *s;
  uint64_t start;                          /* what is older was not made by the function */
  int nin; neap_tensor *const *in;         /* fresh variables */
  neap_tensor **list; int n, size;         /* of one walk */
} search;

static bool push (neap_context *c, neap_tensor ***list, int *n, int *size, neap_tensor *t) {
  if (*n == *size) {
    int more = *size ? 2 * *size : 64;
    neap_tensor **p = neap_realloc(c, *list, (size_t)*size * sizeof *p, (size_t)more * sizeof *p);
    if (!p) return false;
    *list = p;
    *size = more;
  }
  (*list)[(*n)++] = t;
  return true;
}

static bool visit (search *f, neap_tensor *t, uint64_t mark) {
  if (t->level == 0 || t->mark == mark) return true;
  t->mark = mark;
  return push(f->c, &f->list, &f->n, &f->size, t);
}

static int index_of (neap_tensor *const *list, int n, const neap_tensor *t) {
  for (int i = 0; i < n; i++) if (list[i] == t) return i;
  return -1;
}

/* the target that t is; -1: it was made by the function; -2: no memory, or too many */
static int target_of (search *f, neap_tensor *t) {
  compiled_case *s = f->s;
  int i = index_of(f->in, f->nin, t);
  if (i >= 0) return i;
  if (neap_age(t) > f->start) return -1;
  i = index_of(s->closed, s->nclosed, t);
  if (i < 0 && (s->nclosed == NEAP_PROGRAM_TENSORS || !push(f->c, &s->closed, &s->nclosed, &s->closed_size, t)))
    return -2;
  if (i < 0) { neap_keep(t); i = s->nclosed - 1; }
  return f->nin + i;
}

/* walks the tape from y to what the function did not make */
static bool walk (search *f, neap_tensor *y, target_set *depends) {
  uint64_t mark = ++f->c->clock;
  f->n = 0;
  if (!visit(f, y, mark)) return false;
  for (int i = 0; i < f->n; i++) {                     /* the list grows while it is walked */
    int target = target_of(f, f->list[i]);
    const neap_node *node = f->list[i]->node;
    if (target == -2) return false;
    if (target >= 0) { target_add(depends, target); continue; }
    for (int j = 0; node && j < node->n; j++) if (!visit(f, node->in[j], mark)) return false;
  }
  return true;
}

static bool see_results (neap_context *c, void *arg, uint64_t start, neap_tensor *const *in, int nout,
                         neap_tensor *const *out) {
  search *f = arg;
  (void)c;
  f->start = start;
  f->in = in;
  bool ok = nout == f->s->p->g->noutputs;
  for (int j = 0; ok && j < nout; j++) ok = walk(f, out[j], &f->s->depends[j]);
  return ok;
}

static size_t depends_bytes (const compiled_case *s) {
  return (size_t)(s->p->g->noutputs + 1) * sizeof *s->depends;
}

void case_release (compiled *k, compiled_case *s) {
  if (!s || --s->refs > 0) return;
  for (int i = 0; i < s->npulls; i++) program_release(s->pulls[i].p);
  for (int i = 0; i < s->nclosed; i++) neap_release(s->closed[i]);
  neap_free(k->c, s->closed, (size_t)s->closed_size * sizeof *s->closed);
  if (s->depends) neap_free(k->c, s->depends, depends_bytes(s));
  program_release(s->p);
  neap_free(k->c, s, sizeof *s);
}

/* counts the times that what p reads was made a variable, or no longer */
static uint64_t marks_of (const neap_program *p) {
  uint64_t marks = 0;
  for (int i = 0; i < p->g->nvalues; i++) if (p->g->values[i].store) marks += p->g->values[i].store->marks;
  return marks;
}

/* variables of any kind: those that are tracked are looked up later */
static bool search_case (compiled *k, compiled_case *s, const capture *w) {
  neap_context *c = k->c;
  search f = { .c = c, .s = s, .nin = w->n };
  capture_watch v = { .floor = 0, .variables = true, .see = see_results, .arg = &f };
  s->depends = neap_calloc(c, depends_bytes(s));
  bool ok = s->depends && capture_show(c, w, s->p->g->by_rows ? 2 : w->rows, &v);
  neap_free(c, f.list, (size_t)f.size * sizeof *f.list);
  return ok;
}

bool case_stale (const compiled_case *s) { return s->searched && s->marks != marks_of(s->p); }

bool case_search (compiled *k, compiled_case *s, const capture *w) {
  if (s->searched) return true;
  s->opaque = !search_case(k, s, w);
  if (k->c->status == NEAP_EINTERRUPTED) return false;
  neap_clear_error(k->c);
  s->searched = true;
  s->marks = marks_of(s->p);
  return true;
}

/* ---- a call on the tape ---- */

typedef struct taped_call {
  int refs;
  compiled *k; compiled_case *s;           /* counted */
  uint64_t versions;
  stream_states before;                    /* counted streams */
  int n; neap_tensor *in[];                /* counted */
} taped_call;

/* one of its results: input i of the entry is target of[i] */
typedef struct taped_output { taped_call *call; int out, n; int of[]; } taped_output;

static uint64_t versions_of (const neap_program *p, int n, neap_tensor *const *in) {
  uint64_t versions = 0;
  for (int i = 0; i < p->g->nvalues; i++) if (p->g->values[i].store) versions += p->g->values[i].store->version;
  for (int i = 0; i < n; i++) versions += in[i]->store->version;
  return versions;
}

void streams_note (stream_states *s, const neap_program *p) {
  s->n = p->g->nrngs;
  for (int i = 0; i < s->n; i++) {
    s->rng[i] = p->g->rng[i];
    s->at[i] = neap_rng_get(s->rng[i]);
  }
}

/* streams to where s says; gives where they stood */
static stream_states turn_streams (const stream_states *s) {
  stream_states now = *s;
  for (int i = 0; i < s->n; i++) {
    now.at[i] = neap_rng_get(s->rng[i]);
    neap_rng_set(s->rng[i], s->at[i]);
  }
  return now;
}

static void call_release (taped_call *t) {
  if (--t->refs > 0) return;
  compiled *k = t->k;
  neap_context *c = k->c;
  for (int i = 0; i < t->n; i++) neap_release(t->in[i]);
  for (int i = 0; i < t->before.n; i++) neap_rng_release(t->before.rng[i]);
  case_release(k, t->s);
  neap_free(c, t, sizeof *t + (size_t)t->n * sizeof *t->in);
  if (--k->taped == 0 && k->host.idle) k->host.idle(c, k->host.arg);
  neap_compiled_release(k);
}

static taped_call *call_new (compiled *k, compiled_case *s, int n, neap_tensor *const *in, const stream_states *before) {
  taped_call *t = neap_calloc(k->c, sizeof *t + (size_t)n * sizeof *in);
  if (!t) return NULL;
  *t = (taped_call){ .refs = 1, .k = k, .s = s, .versions = versions_of(s->p, n, in), .before = *before, .n = n };
  for (int i = 0; i < n; i++) t->in[i] = neap_keep(in[i]);
  for (int i = 0; i < before->n; i++) neap_rng_keep(before->rng[i]);
  k->refs++;
  k->taped++;
  s->refs++;
  return t;
}

/* ---- pulling back ---- */

static neap_tensor *target (const taped_call *t, neap_tensor *const *vars, int i) {
  return i < t->n ? vars[i] : t->s->closed[i - t->n];
}

/* the wanted targets, inputs as variables of their own, so that what leads to them is left out; how many, or -1 */
static int take_targets (neap_context *c, const taped_output *o, const bool *want, neap_tensor **vars,
                         neap_tensor **xs) {
  int n = 0;
  for (int i = 0; i < o->n; i++) {
    int at = o->of[i];
    if (!want[i]) continue;
    if (n == NEAP_PROGRAM_TENSORS || (at < o->call->n && !(vars[at] = neap_variable(c, vars[at])))) return -1;
    xs[n++] = target(o->call, vars, at);
  }
  return n;
}

/* vars: the inputs; g: the cotangent; out: those of the wanted targets */
static bool differentiate (neap_context *c, const taped_output *o, const bool *want, neap_tensor **vars, neap_tensor *g,
                           unsigned flags, int *nout, neap_tensor **out) {
  neap_tensor *xs[NEAP_PROGRAM_TENSORS], *ys[NEAP_PROGRAM_TENSORS];
  const compiled_host *h = &o->call->k->host;
  int m = 0;
  neap_mode mode = c->floor;
  c->floor = 0;                                        /* what was tracked when the value was made */
  bool ok = (*nout = take_targets(c, o, want, vars, xs)) >= 0 && h->fn(c, h->arg, vars, &m, ys) && neap_ok(c);
  if (ok && m <= o->out) ok = neap_fail(c, NEAP_ESTATE, "derivative of a compiled function: it gave more results before");
  ok = ok && neap_gradients(c, ys[o->out], *nout, xs, g, flags | NEAP_ZERO_UNUSED | NEAP_RETAIN | NEAP_PARTIAL, out);
  c->floor = mode;
  return ok;
}

static bool pull_by_function (neap_context *c, const taped_output *o, const bool *want, neap_tensor *g, bool graph,
                              neap_tensor **grads) {
  neap_tensor *vars[NEAP_PROGRAM_TENSORS];
  taped_call *t = o->call;
  int n;
  memcpy(vars, t->in, (size_t)t->n * sizeof *vars);
  stream_states now = turn_streams(&t->before);
  bool ok = differentiate(c, o, want, vars, g, graph ? NEAP_CREATE_GRAPH : 0, &n, grads);
  turn_streams(&now);
  return ok;
}

/* ---- by a program ---- */

typedef struct pull_recording { const taped_output *o; const bool *want; } pull_recording;

/* the function's inputs and a cotangent -> cotangents of what is wanted */
static bool record_pull (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out) {
  const pull_recording *r = arg;
  neap_tensor *vars[NEAP_PROGRAM_TENSORS];
  int n = r->o->call->n;
  memcpy(vars, in, (size_t)n * sizeof *vars);
  return differentiate(c, r->o, r->want, vars, in[n], 0, nout, out);
}

static bool same_pull (const pull_program *q, int out, const target_set *wanted) {
  return q->out == out && memcmp(&q->wanted, wanted, sizeof *wanted) == 0;
}

static neap_program *find_pull (const compiled_case *s, int out, const target_set *wanted, int n,
                                neap_tensor *const *in) {
  int64_t rows;
  for (int i = 0; i < s->npulls; i++) {
    neap_program *p = s->pulls[i].p;
    if (same_pull(&s->pulls[i], out, wanted) && program_fits(p, n, in, &rows) && program_knows(p, rows)) return p;
  }
  return NULL;
}

/* takes p over */
static void keep_pull (compiled_case *s, neap_program *p, int out, const target_set *wanted) {
  if (s->npulls == CASE_PULLS) program_release(s->pulls[--s->npulls].p);
  memmove(s->pulls + 1, s->pulls, (size_t)s->npulls++ * sizeof *s->pulls);
  s->pulls[0] = (pull_program){ p, out, *wanted };
}

static neap_program *make_pull (neap_context *c, const taped_output *o, const bool *want, const target_set *wanted,
                                int n, neap_tensor *const *in) {
  compiled_case *s = o->call->s;
  neap_program *have[CASE_PULLS];
  bool by_rows[NEAP_PROGRAM_TENSORS];
  pull_recording r = { o, want };
  capture w = { .fn = record_pull, .arg = &r, .own = true, .have = have };
  for (int i = 0; i < s->npulls; i++)
    if (same_pull(&s->pulls[i], o->out, wanted)) have[w.nhave++] = s->pulls[i].p;
  capture_inputs(&w, n, in, by_rows);
  neap_program *p = program_capture(c, &w);
  for (int i = 0; p && i < w.nhave; i++) if (have[i] == p) { program_release(p); return p; }
  if (p) keep_pull(s, p, o->out, wanted);
  return p;
}

/* false without an error: the function must do it */
static bool pull_by_program (neap_context *c, const taped_output *o, const bool *want, neap_tensor *g,
                             neap_tensor **grads) {
  taped_call *t = o->call;
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  target_set wanted = { 0 };
  if (t->n + 1 > NEAP_PROGRAM_TENSORS) return false;
  for (int i = 0; i < o->n; i++) if (want[i]) target_add(&wanted, o->of[i]);
  memcpy(in, t->in, (size_t)t->n * sizeof *in);
  in[t->n] = g;
  neap_program *p = find_pull(t->s, o->out, &wanted, t->n + 1, in);
  if (!p) p = make_pull(c, o, want, &wanted, t->n + 1, in);
  if (!p) return false;
  stream_states now = turn_streams(&t->before);
  bool ok = neap_run(c, p, t->n + 1, in, grads);
  turn_streams(&now);
  return ok;
}

static bool unwritten (neap_context *c, const taped_call *t) {
  if (versions_of(t->s->p, t->n, t->in) == t->versions) return true;
  return neap_fail(c, NEAP_ESTATE, "derivative of a compiled function: a tensor that it read was written after it ran");
}

static bool pull (neap_rule *r, void *arg, int n, neap_tensor *const *in, const bool *want, neap_tensor *g,
                  neap_tensor **out) {
  neap_context *c = r->c;
  const taped_output *o = arg;
  neap_tensor *grads[NEAP_PROGRAM_TENSORS];
  bool graph = neap_tracked(c, g);
  int at = 0;
  for (int i = 0; i < n; i++) graph |= neap_tracked(c, in[i]);
  if (!unwritten(c, o->call)) return false;
  bool ok = !graph && !c->trace && pull_by_program(c, o, want, g, grads);
  if (!ok && neap_ok(c)) ok = pull_by_function(c, o, want, g, graph, grads);
  for (int i = 0; ok && i < n; i++) if (want[i]) out[i] = grads[at++];
  return ok;
}

static size_t output_bytes (int n) { return sizeof(taped_output) + (size_t)n * sizeof(int); }

static void output_release (neap_context *c, void *arg) {
  taped_output *o = arg;
  call_release(o->call);
  neap_free(c, o, output_bytes(o->n));
}

/* ---- putting results on the tape ---- */

/* the targets that result j depends on and that are tracked now; how many */
static int tracked_targets (neap_context *c, const compiled_case *s, int j, int n, neap_tensor *const *in, int *of,
                            neap_tensor **list) {
  int m = 0;
  for (int i = 0; i < n + s->nclosed; i++) {
    neap_tensor *t = i < n ? in[i] : s->closed[i - n];
    if (!target_in(&s->depends[j], i) || !neap_tracked(c, t)) continue;
    of[m] = i;
    list[m++] = t;
  }
  return m;
}

static neap_tensor *tape_output (taped_call *t, int j, neap_tensor *value) {
  int of[2 * NEAP_PROGRAM_TENSORS];
  neap_tensor *list[2 * NEAP_PROGRAM_TENSORS];
  neap_context *c = t->k->c;
  int n = tracked_targets(c, t->s, j, t->n, t->in, of, list);
  if (n == 0) return value;
  taped_output *o = neap_malloc(c, output_bytes(n));
  if (!o) return NULL;
  *o = (taped_output){ .call = t, .out = j, .n = n };
  memcpy(o->of, of, (size_t)n * sizeof *of);
  t->refs++;
  return neap_custom(c, value, n, list, (neap_pullback){ pull, output_release, o });
}

bool case_tape (compiled *k, compiled_case *s, int n, neap_tensor *const *in, const stream_states *before,
                neap_tensor **out) {
  taped_call *t = call_new(k, s, n, in, before);
  bool ok = t != NULL;
  for (int j = 0; ok && j < s->p->g->noutputs; j++) ok = (out[j] = tape_output(t, j, out[j])) != NULL;
  if (t) call_release(t);
  return ok;
}
