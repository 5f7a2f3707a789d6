/*
** value.c -- values with their gradients as programs.
** Invariant: gradients are computed with the value, from the same draws; they are given away to the first derivative that
** asks, and any further one, or one that is to be differentiated itself, computes the value again op by op.
*/
#include "program/value.h"
#include "program/trace.h"
#include "tape_custom.h"
#include <string.h>

/* ---- recording ---- */

/* what y depends on from before the recording; -1: not variables alone, or too many */
static int find_variables (neap_context *c, const value_call *k, neap_tensor *y, neap_tensor **vars) {
  neap_sweep s;
  int n = 0;
  if (!neap_sweep_open(&s, c, y, 0, NULL)) return -1;
  for (int i = 0; i < s.n && n >= 0; i++) {
    neap_tensor *t = s.e[i].t;
    if (neap_age(t) > k->start || !neap_tracked(c, t)) continue;
    if (t->node || n == NEAP_PROGRAM_TENSORS / 2) n = -1;
    else vars[n++] = t;
  }
  neap_sweep_close(&s);
  return n;
}

/* No host's function runs in here, so values are not needed. */
static bool note_gradients (neap_context *c, neap_tensor *y, int n, neap_tensor *const *vars, neap_tensor **out) {
  bool blind = c->trace->blind;
  c->trace->blind = true;
  bool ok = neap_gradients(c, y, n, vars, NULL, NEAP_RETAIN | NEAP_ZERO_UNUSED, out);
  c->trace->blind = blind;
  return ok;
}

/* the gradients follow what fn gave */
static bool add_gradients (neap_context *c, value_call *k, int *nout, neap_tensor **out) {
  neap_tensor *vars[NEAP_PROGRAM_TENSORS];
  if (k->most > 0 && *nout > k->most) {
    trace_refuse(c, "tells too many tensors and numbers");
    *nout = 1;
    return true;
  }
  int n = *nout > 0 && neap_numel(out[0]) == 1 ? find_variables(c, k, out[0], vars) : 0;
  if (n < 0) trace_refuse(c, "depends on a tensor that is computed from variables outside of it");
  if (n <= 0 || *nout + n > NEAP_PROGRAM_TENSORS) return false;
  if (!note_gradients(c, out[0], n, vars, out + *nout)) return false;
  trace_variables(c, n, vars);
  out[0] = neap_detach(c, out[0]);
  *nout += n;
  return out[0] != NULL;
}

static bool record_value (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out) {
  value_call *k = arg;
  neap_mode m = c->floor;
  c->floor = k->floor;
  k->start = c->clock;
  bool ok = k->w.fn(c, k->w.arg, in, nout, out) && neap_ok(c) && add_gradients(c, k, nout, out);
  c->floor = m;
  return ok;
}

static neap_program *capture_value (neap_context *c, value_call *k) {
  capture w = k->w;
  w.fn = record_value;
  w.arg = k;
  neap_program *p = program_capture(c, &w);
  memcpy(k->w.reason, w.reason, sizeof w.reason);
  k->w.blame = w.blame;
  k->w.place = w.place;
  return p;
}

/* ---- the value on the tape ---- */

typedef struct value_tape {
  int n, nrngs;
  value_again again;
  neap_tensor *grads[NEAP_PROGRAM_TENSORS / 2];        /* counted; NULL when given away */
  neap_rng *rng[GRAPH_RNGS]; neap_rng_state before[GRAPH_RNGS];        /* counted; where the draws began */
} value_tape;

static void release (neap_context *c, void *arg) {
  value_tape *t = arg;
  for (int i = 0; i < t->n; i++) neap_release(t->grads[i]);
  for (int i = 0; i < t->nrngs; i++) neap_rng_release(t->rng[i]);
  if (t->again.release) t->again.release(c, t->again.arg);
  neap_free(c, t, sizeof *t);
}

/* the value from the same draws, streams as they are afterwards */
static neap_tensor *compute_again (neap_context *c, value_tape *t) {
  neap_rng_state now[GRAPH_RNGS];
  for (int i = 0; i < t->nrngs; i++) {
    now[i] = neap_rng_get(t->rng[i]);
    neap_rng_set(t->rng[i], t->before[i]);
  }
  neap_tensor *y = t->again.eval(c, t->again.arg);
  for (int i = 0; i < t->nrngs; i++) neap_rng_set(t->rng[i], now[i]);
  return y;
}

static bool pull_again (neap_context *c, value_tape *t, neap_tensor *const *in, neap_tensor *g, bool graph,
                        neap_tensor **out) {
  neap_mode m = c->floor;
  if (!graph) c->floor = 0;                            /* a tape for this derivative alone */
  neap_tensor *y = compute_again(c, t);
  bool ok = y && neap_gradients(c, y, t->n, in, neap_reshape(c, g, y->ndim, y->shape),
                                NEAP_ZERO_UNUSED | (graph ? NEAP_CREATE_GRAPH : 0), out);
  c->floor = m;
  return ok;
}

static bool is_one (neap_context *c, const neap_tensor *g) {
  double v;
  return !c->trace && !neap_tracked(c, g) && neap_item(c, g, &v) && v == 1;
}

static bool pull (neap_rule *r, void *arg, int n, neap_tensor *const *in, const bool *want, neap_tensor *g,
                  neap_tensor **out) {
  neap_context *c = r->c;
  value_tape *t = arg;
  bool graph = false, given = false, one = is_one(c, g);
  for (int i = 0; i < n; i++) {
    graph |= neap_tracked(c, in[i]);
    given |= want[i] && !t->grads[i];
  }
  if (graph || given) return neap_custom_stands(r) && pull_again(c, t, in, g, graph, out);
  for (int i = 0; i < n; i++) {
    if (!want[i]) continue;
    out[i] = one ? neap_lend(c, t->grads[i]) : neap_mul(c, t->grads[i], g);
    if (one) t->grads[i] = NULL;
    if (!out[i]) return false;
  }
  return true;
}

/* takes k->again over */
static neap_tensor *tape (neap_context *c, value_call *k, const graph *g, const program_run *r, neap_tensor **out) {
  value_tape *t = neap_calloc(c, sizeof *t);
  int first = g->noutputs - g->nvars;
  if (!t) return NULL;
  t->again = k->again;
  k->again = (value_again){ 0 };
  for (; t->n < g->nvars; t->n++) t->grads[t->n] = neap_keep(out[first + t->n]);
  for (; t->nrngs < g->nrngs; t->nrngs++) {
    t->rng[t->nrngs] = neap_rng_keep(g->rng[t->nrngs]);
    t->before[t->nrngs] = neap_rng_get(g->rng[t->nrngs]);
    t->before[t->nrngs].step = r->step[t->nrngs];
  }
  return neap_custom(c, out[0], g->nvars, g->vars, (neap_pullback){ pull, release, t });
}

/* ---- running ---- */

static bool run (neap_context *c, value_call *k, program_run *r, neap_tensor **out) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  for (int i = 0; i < k->w.n; i++) if (!(in[i] = neap_contiguous_data(c, k->w.in[i]))) return false;
  r->in = in;
  r->out = out;
  return program_prepare(r) && program_outputs(r, out) && program_go(r);
}

static bool run_program (neap_context *c, value_call *k, neap_program *p, int *nout, neap_tensor **out) {
  program_run r = { .p = p, .rows = k->w.rows, .steps = 1 };
  neap_mode m = neap_no_grad(c);
  bool ok = run(c, k, &r, out);
  neap_mode_restore(c, m);
  if (!ok && c->status != NEAP_EINTERRUPTED) neap_clear_error(c);      /* eager execution will tell */
  if (!ok) return false;
  *nout = p->g->noutputs - p->g->nvars;
  out[0] = tape(c, k, p->g, &r, out);
  return out[0] != NULL;
}

bool neap_program_value (neap_context *c, value_call *k, int *nout, neap_tensor **out) {
  neap_tensor *all[NEAP_PROGRAM_TENSORS];
  k->floor = c->floor;
  neap_program *p = neap_ok(c) ? capture_value(c, k) : NULL;
  bool ok = p && run_program(c, k, p, nout, all);
  for (int i = 0; ok && i < *nout; i++) out[i] = all[i];
  if (p) {
    program_unbind(p);
    program_release(p);
  }
  if (k->again.release) k->again.release(c, k->again.arg);
  k->again = (value_again){ 0 };
  return ok;
}
