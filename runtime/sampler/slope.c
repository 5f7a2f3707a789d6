/*
** slope.c -- an energy and its gradient at one place after another, as a program if they can be one.
** Invariant: the program's inputs and outputs stay where they are, so a call is a run and nothing else.
*/
#include "sampler/slope.h"
#include "sampler/program.h"
#include "energy/energy.h"

static bool record (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out) {
  slope *q = arg;
  *nout = 2;
  return neap_energy_value_and_grad(c, q->E, in[0], q->cond ? in[1] : NULL, &out[0], &out[1]);
}

/* Nothing is carried, but values are those of single ops, as in a sampler's steps. */
static const int carry[2] = { -1, -1 };

static void make_program (slope *q, neap_sampler *s, neap_state *st) {
  bool by_rows[2] = { true, q->cond && q->cond->ndim > 0 && q->cond->shape[0] == q->x->shape[0] };
  capture w = { .fn = record, .arg = q, .n = q->cond ? 2 : 1, .in = q->in, .by_rows = by_rows };
  w.rows = q->x->shape[0];
  w.origin = (program_origin){ q->E->serial, s->serial, 1 };           /* 0 is a step's */
  w.fixed = energy_is_fixed(q->E);
  w.rng = st->rng;
  w.carry = carry;
  q->p = program_capture(q->c, &w);
  if (!q->p && neap_ok(q->c)) sampler_warn(q->c, &w, s);
}

static void drop_program (slope *q) {
  if (!q->p) return;
  program_unbind(q->p);
  program_release(q->p);
  q->p = NULL;
}

static bool prepare (slope *q) {
  q->run = (program_run){ .p = q->p, .rows = q->x->shape[0], .steps = 1, .in = q->in, .out = q->out };
  if (!program_prepare(&q->run) || !program_outputs(&q->run, q->out)) { q->out[0] = q->out[1] = NULL; return false; }
  for (int i = 0; i < 2; i++) neap_keep(q->out[i]);
  return true;
}

static bool make_inputs (slope *q, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *cond = neap_state_get(st, "condition");
  q->x = neap_keep(x ? neap_clone(q->c, x) : NULL);
  q->cond = neap_keep(cond ? neap_contiguous_data(q->c, cond) : NULL);
  q->in[0] = q->x;
  q->in[1] = q->cond;
  return q->x && (q->cond || !cond);
}

bool slope_open (slope *q, neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  *q = (slope){ .c = c, .E = E };
  neap_scope sc = neap_scope_open(c);
  bool ok = make_inputs(q, st);
  if (ok && q->x->ndim > 0 && q->x->shape[0] > 0) make_program(q, s, st);
  if (q->p && !prepare(q)) {
    drop_program(q);
    if (c->status != NEAP_EINTERRUPTED) neap_clear_error(c);           /* op by op it will tell */
  }
  neap_scope_close(c, sc);
  return ok && neap_ok(c);
}

static void hold (slope *q, neap_tensor *e, neap_tensor *g) {
  neap_keep(e);
  neap_keep(g);
  neap_release(q->e);
  neap_release(q->g);
  q->e = e;
  q->g = g;
}

static bool go_by_ops (slope *q) {
  neap_tensor *e, *g;
  neap_scope sc = neap_scope_open(q->c);
  bool ok = neap_energy_value_and_grad(q->c, q->E, q->x, q->cond, &e, &g);
  e = ok ? neap_contiguous_data(q->c, e) : NULL;
  g = ok ? neap_contiguous_data(q->c, g) : NULL;
  if (e && g) hold(q, e, g);
  neap_scope_close(q->c, sc);
  return e && g && neap_ok(q->c);
}

bool slope_go (slope *q) {
  if (!q->p || !program_go(&q->run)) return go_by_ops(q);
  if (q->e != q->out[0]) hold(q, q->out[0], q->out[1]);
  return true;
}

void slope_close (slope *q) {
  drop_program(q);
  hold(q, NULL, NULL);
  for (int i = 0; i < 2; i++) neap_release(q->out[i]);
  neap_release(q->x);
  neap_release(q->cond);
  *q = (slope){ 0 };
}

/* ---- for a state ---- */

enum { BLOCKS_FROM = 64 };                 /* fewer rows are one block, and as fast op by op */

static bool pays (neap_context *c, const neap_energy *E, const neap_tensor *x) {
  return !c->trace && energy_is_fixed(E) && neap_is_float(x->dtype) && x->shape[0] >= BLOCKS_FROM;
}

bool slope_set (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  slope q;
  if (!pays(c, E, neap_state_get(st, "x"))) return sampler_set_gradient(c, E, st);
  bool ok = slope_open(&q, c, s, E, st) && slope_go(&q) && neap_state_set(c, st, "energy", q.e) &&
            neap_state_set(c, st, "grad", q.g);
  slope_close(&q);
  return ok;
}
