/*
** compiled_tape.c -- results of compiled functions on the tape, and their derivatives.
** Invariant: a derivative sees the inputs, tensors and draws that its value was computed from, or it is an error.
** First derivatives are programs' and are on the tape in turn; derivatives of these, and what is recorded, call the
** function.
*/
#include "program/compiled.h"
#include "tape_custom.h"
#include <string.h>

/* ---- a call on the tape ---- */

typedef struct taped_call {
  int refs;
  compiled *k; compiled_case *s; joint *j; /* counted; j or NULL */
  uint64_t versions;
  stream_states before;                    /* counted streams */
  int n, nkept; neap_tensor *in[];         /* counted: inputs, what j keeps */
} taped_call;

/* one of its results: input i of the entry is target of[i] */
typedef struct taped_output { int refs; taped_call *call; int out, n; int of[]; } taped_output;

static size_t output_bytes (int n) { return sizeof(taped_output) + (size_t)n * sizeof(int); }

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

static size_t call_bytes (int n, int nkept) { return sizeof(taped_call) + (size_t)(n + nkept) * sizeof(neap_tensor *); }

static void call_release (taped_call *t) {
  if (--t->refs > 0) return;
  compiled *k = t->k;
  neap_context *c = k->c;
  for (int i = 0; i < t->n + t->nkept; i++) neap_release(t->in[i]);
  for (int i = 0; i < t->before.n; i++) neap_rng_release(t->before.rng[i]);
  joint_release(t->j);
  case_release(k, t->s);
  neap_free(c, t, call_bytes(t->n, t->nkept));
  if (--k->taped == 0 && k->host.idle) k->host.idle(c, k->host.arg);
  neap_compiled_release(k);
}

static taped_call *call_new (compiled *k, compiled_case *s, joint *j, int n, neap_tensor *const *in,
                             neap_tensor *const *kept, const stream_states *before) {
  int nkept = j ? j->nkept : 0;
  taped_call *t = neap_calloc(k->c, call_bytes(n, nkept));
  if (!t) return NULL;
  *t = (taped_call){ .refs = 1, .k = k, .s = s, .j = j, .before = *before, .n = n, .nkept = nkept };
  t->versions = versions_of(s->p, n, in);
  for (int i = 0; i < n; i++) t->in[i] = neap_keep(in[i]);
  for (int i = 0; i < nkept; i++) t->in[n + i] = neap_keep(kept[i]);
  for (int i = 0; i < before->n; i++) neap_rng_keep(before->rng[i]);
  if (j) j->refs++;
  k->refs++;
  k->taped++;
  s->refs++;
  return t;
}

/* ---- pulling back ---- */

static neap_tensor *target (const taped_call *t, neap_tensor *const *vars, int i) {
  return i < t->n ? vars[i] : t->s->closed[i - t->n];
}

/* its inputs as variables of their own, so that what leads to them is left out */
static bool alias_inputs (neap_context *c, const taped_output *o, neap_tensor **vars) {
  for (int i = 0; i < o->n; i++)
    if (o->of[i] < o->call->n && !(vars[o->of[i]] = neap_variable(c, vars[o->of[i]]))) return false;
  return true;
}

/* the wanted targets; how many */
static int take_targets (const taped_output *o, const bool *want, neap_tensor *const *vars, neap_tensor **xs) {
  int n = 0;
  for (int i = 0; i < o->n; i++) if (want[i]) xs[n++] = target(o->call, vars, o->of[i]);
  return n;
}

enum { PARTIAL = NEAP_ZERO_UNUSED | NEAP_RETAIN | NEAP_PARTIAL };

/* vars: the inputs, of which variables are made; g: the cotangent; out: those of the wanted targets */
static bool differentiate (neap_context *c, const taped_output *o, const bool *want, neap_tensor **vars, neap_tensor *g,
                           unsigned flags, int *nout, neap_tensor **out) {
  neap_tensor *xs[2 * NEAP_PROGRAM_TENSORS], *ys[NEAP_PROGRAM_TENSORS];
  const compiled_host *h = &o->call->k->host;
  int m = 0;
  neap_mode mode = c->floor;
  c->floor = 0;                                        /* what was tracked when the value was made */
  bool ok = alias_inputs(c, o, vars) && h->fn(c, h->arg, vars, &m, ys) && neap_ok(c);
  if (ok && m <= o->out)
    ok = neap_fail(c, NEAP_ESTATE, "derivative of a compiled function: it gave more results before");
  *nout = take_targets(o, want, vars, xs);
  ok = ok && neap_gradients(c, ys[o->out], *nout, xs, g, flags | PARTIAL, out);
  c->floor = mode;
  return ok;
}

static bool unwritten (neap_context *c, const taped_call *t) {
  if (versions_of(t->s->p, t->n, t->in) == t->versions) return true;
  return neap_fail(c, NEAP_ESTATE, "derivative of a compiled function: a tensor that it read was written after it ran");
}

/* ---- by the function ---- */

/* vars: becomes the inputs' variables */
static bool pull_by_function (neap_context *c, const taped_output *o, const bool *want, neap_tensor *g, bool graph,
                              neap_tensor **vars, neap_tensor **grads) {
  taped_call *t = o->call;
  int n;
  memcpy(vars, t->in, (size_t)t->n * sizeof *vars);
  stream_states now = turn_streams(&t->before);
  bool ok = differentiate(c, o, want, vars, g, graph ? NEAP_CREATE_GRAPH : 0, &n, grads);
  turn_streams(&now);
  return ok;
}

/* a derivative that stands on the tape: the one by target i, when those were wanted */
typedef struct taped_pull { taped_output *o; int i; bool want[]; } taped_pull;

/* of the gradient by target q->i; want, xs: the entry's inputs and, last, the cotangent g */
static bool pull_pulled (neap_context *c, const taped_pull *q, const bool *want, neap_tensor *g, neap_tensor *u,
                         bool graph, neap_tensor **out) {
  const taped_output *o = q->o;
  neap_tensor *vars[NEAP_PROGRAM_TENSORS], *xs[2 * NEAP_PROGRAM_TENSORS + 1], *grads[2 * NEAP_PROGRAM_TENSORS];
  neap_mode mode = c->floor;
  int at = 0;
  c->floor = 0;
  g = neap_variable(c, g);
  bool ok = g && pull_by_function(c, o, q->want, g, true, vars, grads);
  for (int i = 0; i < q->i; i++) at += q->want[i];
  int n = ok ? take_targets(o, want, vars, xs) : 0;
  if (want[o->n]) xs[n++] = g;
  ok = ok && neap_gradients(c, grads[at], n, xs, u, PARTIAL | (graph ? NEAP_CREATE_GRAPH : 0), out);
  c->floor = mode;
  return ok;
}

static bool any_tracked (const neap_context *c, int n, neap_tensor *const *in) {
  for (int i = 0; i < n; i++) if (neap_tracked(c, in[i])) return true;
  return false;
}

/* from a list of what is wanted to one with gaps */
static void spread (int n, const bool *want, neap_tensor *const *list, neap_tensor **out) {
  int at = 0;
  for (int i = 0; i < n; i++) if (want[i]) out[i] = list[at++];
}

static bool pull_again (neap_rule *r, void *arg, int n, neap_tensor *const *in, const bool *want, neap_tensor *u,
                        neap_tensor **out) {
  neap_context *c = r->c;
  const taped_pull *q = arg;
  neap_tensor *grads[2 * NEAP_PROGRAM_TENSORS + 1];
  bool graph = neap_tracked(c, u) || any_tracked(c, n, in);
  if (!unwritten(c, q->o->call) || !pull_pulled(c, q, want, in[n - 1], u, graph, grads)) return false;
  spread(n, want, grads, out);
  return true;
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

/* by what the value's program kept, if just that is wanted */
static neap_program *program_of_joint (const taped_output *o, const target_set *wanted) {
  const joint *j = o->call->j;
  return j && memcmp(&j->wanted[o->out], wanted, sizeof *wanted) == 0 ? j->back[o->out] : NULL;
}

/* false without an error: the function must do it */
static bool pull_by_program (neap_context *c, const taped_output *o, const bool *want, neap_tensor *g,
                             neap_tensor **grads) {
  taped_call *t = o->call;
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  target_set wanted = { 0 };
  if (t->n + 1 + t->nkept > NEAP_PROGRAM_TENSORS) return false;
  for (int i = 0; i < o->n; i++) if (want[i]) target_add(&wanted, o->of[i]);
  t->s->expected[o->out] = wanted;
  memcpy(in, t->in, (size_t)t->n * sizeof *in);
  in[t->n] = g;
  memcpy(in + t->n + 1, t->in + t->n, (size_t)t->nkept * sizeof *in);
  neap_program *back = program_of_joint(o, &wanted);
  if (back) return neap_run(c, back, t->n + 1 + t->nkept, in, grads);
  neap_program *p = find_pull(t->s, o->out, &wanted, t->n + 1, in);
  if (!p) p = make_pull(c, o, want, &wanted, t->n + 1, in);
  if (!p) return false;
  stream_states now = turn_streams(&t->before);
  bool ok = neap_run(c, p, t->n + 1, in, grads);
  turn_streams(&now);
  return ok;
}

/* ---- the entries ---- */

static void output_release (neap_context *c, void *arg) {
  taped_output *o = arg;
  if (--o->refs > 0) return;
  call_release(o->call);
  neap_free(c, o, output_bytes(o->n));
}

static size_t pull_bytes (int n) { return sizeof(taped_pull) + (size_t)n * sizeof(bool); }

static void pull_release (neap_context *c, void *arg) {
  taped_pull *q = arg;
  int n = q->o->n;
  output_release(c, q->o);
  neap_free(c, q, pull_bytes(n));
}

/* the gradient by target i, made by a program, on the tape as far as the n inputs of o's entry and the cotangent, which
** is in[n], are tracked */
static neap_tensor *tape_pull (neap_context *c, taped_output *o, int i, int n, neap_tensor *const *in, const bool *want,
                               neap_tensor *grad) {
  taped_pull *q = neap_malloc(c, pull_bytes(n));
  if (!q) return NULL;
  *q = (taped_pull){ .o = o, .i = i };
  memcpy(q->want, want, (size_t)n * sizeof *want);
  o->refs++;
  return neap_custom(c, grad, n + 1, in, (neap_pullback){ pull_again, pull_release, q });
}

static bool tape_pulls (neap_context *c, taped_output *o, int n, neap_tensor *const *in, const bool *want,
                        neap_tensor *g, neap_tensor **grads) {
  neap_tensor *list[2 * NEAP_PROGRAM_TENSORS + 1];
  int at = 0;
  memcpy(list, in, (size_t)n * sizeof *in);
  list[n] = g;
  for (int i = 0; i < n; i++) {
    if (!want[i]) continue;
    if (!(grads[at] = tape_pull(c, o, i, n, list, want, grads[at]))) return false;
    at++;
  }
  return true;
}

static bool pull (neap_rule *r, void *arg, int n, neap_tensor *const *in, const bool *want, neap_tensor *g,
                  neap_tensor **out) {
  neap_context *c = r->c;
  taped_output *o = arg;
  neap_tensor *grads[2 * NEAP_PROGRAM_TENSORS], *vars[NEAP_PROGRAM_TENSORS];
  bool graph = neap_tracked(c, g) || any_tracked(c, n, in);
  if (!unwritten(c, o->call)) return false;
  bool ok = !c->trace && pull_by_program(c, o, want, g, grads);
  if (ok) ok = !graph || tape_pulls(c, o, n, in, want, g, grads);
  else if (neap_ok(c)) ok = pull_by_function(c, o, want, g, graph, vars, grads);
  if (ok) spread(n, want, grads, out);
  return ok;
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
  *o = (taped_output){ .refs = 1, .call = t, .out = j, .n = n };
  memcpy(o->of, of, (size_t)n * sizeof *of);
  t->refs++;
  return neap_custom(c, value, n, list, (neap_pullback){ pull, output_release, o });
}

bool case_tape (compiled *k, compiled_case *s, joint *j, int n, neap_tensor *const *in, const stream_states *before,
                neap_tensor **out) {
  taped_call *t = call_new(k, s, j, n, in, out + s->p->g->noutputs, before);
  bool ok = t != NULL;
  for (int j = 0; ok && j < s->p->g->noutputs; j++) ok = (out[j] = tape_output(t, j, out[j])) != NULL;
  if (t) call_release(t);
  return ok;
}
