/*
** compiled_joint.c -- a value's program and those of its derivatives, cut out of one recording.
** Invariant: what derivatives read is either kept by the value's program, or elementwise of what is kept, of inputs and
** of closed-over tensors, and computed again; draws are always kept.
*/
#include "program/compiled.h"
#include "sweep.h"
#include <string.h>

/* ---- life ---- */

static size_t sets_bytes (const joint *j) { return (size_t)(j->nout + 1) * sizeof *j->wanted; }
static size_t back_bytes (const joint *j) { return (size_t)(j->nout + 1) * sizeof *j->back; }

void joint_release (joint *j) {
  if (!j || --j->refs > 0) return;
  neap_context *c = j->c;
  for (int i = 0; j->back && i < j->nout; i++) program_release(j->back[i]);
  program_release(j->forward);
  graph_key_free(c, &j->key);
  if (j->back) neap_free(c, j->back, back_bytes(j));
  if (j->wanted) neap_free(c, j->wanted, sets_bytes(j));
  neap_free(c, j, sizeof *j);
}

static joint *joint_new (neap_context *c, int nout, const target_set *wanted) {
  joint *j = neap_calloc(c, sizeof *j);
  if (!j) return NULL;
  *j = (joint){ .refs = 1, .c = c, .nout = nout };
  j->wanted = neap_calloc(c, sets_bytes(j));
  j->back = j->wanted ? neap_calloc(c, back_bytes(j)) : NULL;
  if (j->back) {
    memcpy(j->wanted, wanted, (size_t)nout * sizeof *wanted);
    return j;
  }
  joint_release(j);
  return NULL;
}

/* ---- recording: inputs and cotangents -> results, then the cotangents of what is wanted ---- */

static bool is_empty (const target_set *s) {
  static const target_set none;
  return memcmp(s, &none, sizeof none) == 0;
}

typedef struct joint_recording { const compiled *k; const compiled_case *s; const joint *j; int n; } joint_recording;

/* the targets in s, in order, as tensors; how many */
static int list_targets (const joint_recording *r, const target_set *s, neap_tensor *const *vars, neap_tensor **xs) {
  int m = 0;
  for (int i = 0; i < r->n + r->s->nclosed && m < NEAP_PROGRAM_TENSORS; i++)
    if (target_in(s, i)) xs[m++] = i < r->n ? vars[i] : r->s->closed[i - r->n];
  return m;
}

static bool fresh_variables (neap_context *c, const joint_recording *r, neap_tensor **vars) {
  for (int i = 0; i < r->n; i++) {
    bool wanted = false;
    for (int j = 0; j < r->j->nout; j++) wanted |= target_in(&r->j->wanted[j], i);
    if (wanted && !(vars[i] = neap_variable(c, vars[i]))) return false;
  }
  return true;
}

static bool add_pulls (neap_context *c, const joint_recording *r, neap_tensor *const *vars, neap_tensor *const *g,
                       int *nout, neap_tensor **out) {
  neap_tensor *xs[NEAP_PROGRAM_TENSORS], *grads[NEAP_PROGRAM_TENSORS];
  for (int j = 0; j < r->j->nout; j++) {
    int m = list_targets(r, &r->j->wanted[j], vars, xs);
    if (m == 0) continue;
    if (*nout + m > NEAP_PROGRAM_TENSORS) return false;
    if (!neap_gradients(c, out[j], m, xs, *g++, NEAP_ZERO_UNUSED | NEAP_RETAIN | NEAP_PARTIAL, grads)) return false;
    memcpy(out + *nout, grads, (size_t)m * sizeof *grads);
    *nout += m;
  }
  return true;
}

static bool record_joint (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out) {
  const joint_recording *r = arg;
  const compiled_host *h = &r->k->host;
  neap_tensor *vars[NEAP_PROGRAM_TENSORS];
  neap_mode m = c->floor;
  memcpy(vars, in, (size_t)r->n * sizeof *vars);
  c->floor = 0;
  bool ok = fresh_variables(c, r, vars) && h->fn(c, h->arg, vars, nout, out) && neap_ok(c) && *nout == r->j->nout &&
            add_pulls(c, r, vars, in + r->n, nout, out);
  c->floor = m;
  return ok;
}

/* ---- cutting ---- */

typedef struct cut {
  graph *g;
  int n, ncots;                            /* inputs of the function; cotangents, the inputs after them */
  bool *later, *need, *keep;               /* of values: depends on a cotangent; is read by what does; is kept */
  int kept[NEAP_PROGRAM_TENSORS], nkept;
} cut;

static void mark_later (cut *k) {
  graph *g = k->g;
  for (int i = 0; i < k->ncots; i++) k->later[k->n + i] = true;
  for (int i = 0; i < g->nnodes; i++) {
    const graph_node *n = &g->nodes[i];
    for (int j = 0; j < n->n; j++) k->later[n->out] |= k->later[graph_in(g, n, j)->value];
  }
}

/* what is read of what does not depend on a cotangent: by nodes that do, and as what they give */
static void mark_needed (cut *k, int nout) {
  graph *g = k->g;
  for (int j = nout; j < g->noutputs; j++) k->need[g->refs[g->outputs + j].value] = true;
  for (int i = g->nnodes - 1; i >= 0; i--) {
    const graph_node *n = &g->nodes[i];
    bool again = !k->later[n->out] && k->need[n->out] && graph_elementwise(n);
    if (!k->later[n->out] && !again) continue;
    for (int j = 0; j < n->n; j++) k->need[graph_in(g, n, j)->value] = true;
  }
}

static bool choose_kept (cut *k) {
  graph *g = k->g;
  for (int i = 0; i < g->nnodes; i++) {
    const graph_node *n = &g->nodes[i];
    if (k->later[n->out] || !k->need[n->out] || graph_elementwise(n)) continue;
    if (k->nkept == NEAP_PROGRAM_TENSORS) return false;
    k->kept[k->nkept++] = n->out;
  }
  return true;
}

/* results, and what is kept, from the function's inputs */
static neap_program *cut_forward (cut *k, int nout) {
  graph *g = k->g;
  graph_ref out[2 * NEAP_PROGRAM_TENSORS];
  int in[NEAP_PROGRAM_TENSORS];
  graph_key none = { 0 };
  if (nout + k->nkept > NEAP_PROGRAM_TENSORS) return NULL;
  for (int i = 0; i < k->n; i++) in[i] = i;
  memcpy(out, &g->refs[g->outputs], (size_t)nout * sizeof *out);
  for (int i = 0; i < k->nkept; i++) out[nout + i] = graph_whole(g, k->kept[i]);
  graph *part = graph_part(g, k->n, in, nout + k->nkept, out);
  return part ? program_new(g->c, part, &none) : NULL;
}

/* cotangents from inputs, the cotangent that is input `cot`, and what is kept; draws are no part of it */
static neap_program *cut_back (cut *k, int cot, int first, int count) {
  graph *g = k->g;
  int in[3 * NEAP_PROGRAM_TENSORS], n = k->n;
  graph_key none = { 0 };
  for (int i = 0; i < n; i++) in[i] = i;
  in[n++] = cot;
  for (int i = 0; i < k->nkept; i++) in[n++] = k->kept[i];
  if (n > NEAP_PROGRAM_TENSORS) return NULL;
  graph *part = graph_part(g, n, in, count, &g->refs[g->outputs + first]);
  for (int i = 0; part && i < part->nrngs; i++) neap_rng_release(part->rng[i]);
  if (part) part->nrngs = 0;
  return part ? program_new(g->c, part, &none) : NULL;
}

static int count_targets (const target_set *s) {
  int n = 0;
  for (size_t i = 0; i < sizeof s->bits / sizeof *s->bits; i++) n += __builtin_popcountll(s->bits[i]);
  return n;
}

static bool cut_programs (cut *k, joint *j) {
  int cot = k->n, first = j->nout;
  mark_later(k);
  mark_needed(k, j->nout);
  if (!choose_kept(k) || !(j->forward = cut_forward(k, j->nout))) return false;
  j->nkept = k->nkept;
  for (int i = 0; i < j->nout; i++) {
    int count = count_targets(&j->wanted[i]);
    if (count == 0) continue;
    if (!(j->back[i] = cut_back(k, cot++, first, count))) return false;
    first += count;
  }
  return true;
}

static bool cut_graph (graph *g, joint *j, int n) {
  neap_context *c = g->c;
  size_t bytes = 3 * (size_t)g->nvalues * sizeof(bool);
  bool *marks = neap_calloc(c, bytes);
  if (!marks) return false;
  cut k = { .g = g, .n = n, .ncots = g->ninputs - n };
  k.later = marks;
  k.need = marks + g->nvalues;
  bool ok = cut_programs(&k, j);
  neap_free(c, marks, bytes);
  return ok;
}

/* ---- the joint of a call ---- */

static void learn (joint *j, int64_t rows) {
  program_learn(j->forward, rows);
  for (int i = 0; i < j->nout; i++) if (j->back[i]) program_learn(j->back[i], rows);
}

static bool serves (const joint *j, const target_set *wanted) {
  return memcmp(j->wanted, wanted, (size_t)j->nout * sizeof *wanted) == 0;
}

static joint *to_front (compiled_case *s, int i) {
  joint *j = s->joints[i];
  memmove(s->joints + 1, s->joints, (size_t)i * sizeof *s->joints);
  return s->joints[0] = j;
}

static joint *find_joint (compiled_case *s, const target_set *wanted, const capture *w) {
  int64_t rows;
  for (int i = 0; i < s->njoints; i++) {
    const neap_program *p = s->joints[i]->forward;
    if (serves(s->joints[i], wanted) && program_fits(p, w->n, w->in, &rows) && program_knows(p, rows))
      return to_front(s, i);
  }
  return NULL;
}

/* zeros in the shapes of the results that cotangents are wanted of, after the inputs; how many tensors, or -1 */
static int add_cotangents (neap_context *c, const compiled_case *s, const joint *j, const capture *w, neap_tensor **in,
                           bool *by_rows) {
  const graph *g = s->p->g;
  int n = w->n;
  for (int i = 0; i < j->nout; i++) {
    const graph_ref *o = &g->refs[g->outputs + i];
    int64_t shape[NEAP_MAX_DIMS];
    if (is_empty(&j->wanted[i])) continue;
    for (int d = 0; d < o->ndim; d++) shape[d] = size_at(o->shape[d], w->rows);
    if (n == NEAP_PROGRAM_TENSORS || !(in[n] = neap_full(c, o->dtype, o->ndim, shape, 0))) return -1;
    by_rows[n++] = o->ndim > 0 && o->shape[0].rows;
  }
  return n;
}

static graph *record (compiled *k, compiled_case *s, joint *j, const capture *call, graph_key *key) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  bool by_rows[NEAP_PROGRAM_TENSORS];
  joint_recording r = { k, s, j, call->n };
  capture w = { .fn = record_joint, .arg = &r, .in = in, .by_rows = by_rows, .rows = call->rows, .own = true };
  memcpy(in, call->in, (size_t)call->n * sizeof *in);
  memcpy(by_rows, call->by_rows, (size_t)call->n * sizeof *by_rows);
  neap_scope scope = neap_scope_open(k->c);
  w.n = add_cotangents(k->c, s, j, call, in, by_rows);
  graph *g = w.n < 0 ? NULL : capture_graph(k->c, &w, key);
  neap_scope_close(k->c, scope);
  return g;
}

static joint *joint_like (compiled_case *s, const joint *j) {
  for (int i = 0; i < s->njoints; i++) {
    joint *o = s->joints[i];
    bool same = o->key.hash == j->key.hash && o->key.n == j->key.n && memcmp(o->key.data, j->key.data, j->key.n) == 0;
    if (same && serves(o, j->wanted)) return to_front(s, i);
  }
  return NULL;
}

/* takes j over */
static joint *keep_joint (compiled_case *s, joint *j) {
  if (s->njoints == CASE_JOINTS) joint_release(s->joints[--s->njoints]);
  s->joints[s->njoints++] = j;
  return to_front(s, s->njoints - 1);
}

static joint *make_joint (compiled *k, compiled_case *s, const target_set *wanted, const capture *w) {
  joint *j = joint_new(k->c, s->p->g->noutputs, wanted);
  graph *g = j ? record(k, s, j, w, &j->key) : NULL;
  joint *known = g ? joint_like(s, j) : NULL;
  bool ok = known || (g && cut_graph(g, j, w->n));
  graph_free(g);
  if (ok) learn(known ? known : j, w->rows);
  if (ok && !known) { k->c->programs_made++; return keep_joint(s, j); }
  joint_release(j);
  return known;
}

/* what was wanted of result i the last time, as far as it is tracked now */
static void expect (const compiled *k, const compiled_case *s, const capture *w, int i, target_set *wanted) {
  for (int t = 0; t < w->n + s->nclosed; t++) {
    const neap_tensor *x = t < w->n ? w->in[t] : s->closed[t - w->n];
    if (target_in(&s->expected[i], t) && neap_tracked(k->c, x)) target_add(wanted, t);
  }
}

joint *case_joint (compiled *k, compiled_case *s, const capture *w) {
  target_set wanted[NEAP_PROGRAM_TENSORS] = { 0 };
  bool any = false;
  for (int i = 0; i < s->p->g->noutputs; i++) {
    if (is_empty(&s->expected[i])) continue;
    expect(k, s, w, i, &wanted[i]);
    any |= !is_empty(&wanted[i]);
  }
  if (!any || s->alone) return NULL;
  joint *j = find_joint(s, wanted, w);
  if (!j) j = make_joint(k, s, wanted, w);
  if (j || k->c->status == NEAP_EINTERRUPTED) return j;
  neap_clear_error(k->c);
  s->alone = true;                                     /* its derivatives go their own way */
  return NULL;
}
