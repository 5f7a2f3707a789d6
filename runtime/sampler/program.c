/*
** program.c -- records a sampler's step and runs it many times.
** Invariant: the state changes after whole chunks of steps only, tensors and random streams together.
*/
#include "sampler/program.h"
#include "energy/energy.h"
#include "clock.h"
#include <string.h>

enum { ALONE_FROM = 64 };

typedef struct recording {                 /* what the recorded function works on */
  sampler_program *k;
  neap_sampler *s; neap_energy *E; neap_state *st;
} recording;

static int find (const char names[][NEAP_STATE_NAME], int n, const char *name) {
  for (int i = 0; i < n; i++) if (strcmp(names[i], name) == 0) return i;
  return -1;
}

/* ---- recording ---- */

/* a state with the inputs as its tensors */
static neap_state *copy_state (neap_context *c, const recording *r, neap_tensor *const *in) {
  neap_state *st = neap_state_new(c, r->st->rng);
  for (int i = 0; st && i < r->k->layout.nin; i++)
    if (!neap_state_set(c, st, r->k->layout.in[i], in[i])) { neap_state_free(st); return NULL; }
  return st;
}

/* the entries that a step replaced are the outputs */
static bool collect (neap_context *c, sampler_layout *k, neap_state *st, neap_tensor *const *in, neap_tensor **out) {
  k->nout = 0;
  for (int i = 0; i < st->count; i++) {
    int from = find(k->in, k->nin, st->entries[i].name);
    neap_tensor *t = st->entries[i].t;
    if (from >= 0 && t == in[from]) continue;
    if (from >= 0 && (t->dtype != in[from]->dtype || !neap_same_shape(t, in[from])))
      return neap_fail(c, NEAP_ESTATE, "%s: a step changes its shape or dtype", st->entries[i].name);
    strcpy(k->out[k->nout], st->entries[i].name);
    k->carry[k->nout] = from;
    out[k->nout++] = neap_lend(c, neap_keep(t));
  }
  return true;
}

static bool record_step (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out) {
  recording *r = arg;
  neap_state *st = copy_state(c, r, in);
  bool ok = st && r->s->kind->step(c, r->s, r->E, st) && neap_ok(c) && collect(c, &r->k->layout, st, in, out);
  neap_state_free(st);
  *nout = r->k->layout.nout;
  return ok && *nout > 0;
}

void sampler_warn (neap_context *c, const capture *w, neap_sampler *s) {
  if (!w->blame || s->warned) return;
  s->warned = true;
  capture_warn(c, w, s->kind->name, "the energy or step");
}

/* what an adaptive kernel's chains have in common, however many there are */
static bool is_shared (const neap_sampler *s, const char *name) {
  return s->adapt.target > 0 && strcmp(name, "scale") == 0;
}

static void record (sampler_program *k, neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st,
                    int64_t rows) {
  neap_tensor *in[NEAP_STATE_MAX];
  bool by_rows[NEAP_STATE_MAX];
  recording r = { k, s, E, st };
  sampler_layout *to = &k->layout;
  to->nin = st->count;
  for (int i = 0; i < st->count; i++) {
    in[i] = st->entries[i].t;
    by_rows[i] = in[i]->ndim > 0 && in[i]->shape[0] == rows && !is_shared(s, st->entries[i].name);
    strcpy(to->in[i], st->entries[i].name);
  }
  capture w = { .fn = record_step, .arg = &r, .n = to->nin, .in = in, .by_rows = by_rows, .rows = rows };
  w.origin = (program_origin){ E->serial, s->serial, s->kernel ? s->kernel->serial : 0 };
  w.carry = to->carry;
  w.fixed = energy_is_fixed(E) && !sampler_calls_host(s);
  w.rng = st->rng;
  w.note = to;
  w.note_bytes = sizeof *to;
  k->p = program_capture(c, &w);
  if (!k->p && neap_ok(c)) sampler_warn(c, &w, s);
}

/* One block on several threads would be slower than ops that use them.  On one thread it would not, but what runs must
** not depend on their number: ops and programs may add up in another order. */
static bool worth_it (const sampler_program *k) {
  return program_splits(&k->run) || k->run.rows < ALONE_FROM;
}

/* What a step of the host's adds to the state the next one may read. */
static bool adds_entries (const sampler_program *k, const neap_sampler *s) {
  for (int j = 0; sampler_calls_host(s) && j < k->layout.nout; j++) if (k->layout.carry[j] < 0) return true;
  return false;
}

void sampler_program_open (sampler_program *k, neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x");
  k->c = c;
  k->p = NULL;
  k->chunk = 1;
  k->walk = s->walk;
  k->walker = neap_ok(c) && s->walk ? s->walk->open(c, s, E, st) : NULL;
  if (s->walk || !neap_ok(c) || !x || x->ndim < 1 || x->shape[0] == 0) return;
  record(k, c, s, E, st, x->shape[0]);
  if (!k->p) return;
  k->adds = adds_entries(k, s);
  if (k->adds) { sampler_program_close(k); return; }
  k->run = (program_run){ .p = k->p, .rows = x->shape[0], .carry = k->layout.carry };
  if (k->p->pace_rows == k->run.rows) k->chunk = k->p->pace;
  if (worth_it(k) && program_prepare(&k->run)) return;
  if (c->status != NEAP_EINTERRUPTED) neap_clear_error(c);             /* eager execution will tell */
  sampler_program_close(k);
}

void sampler_program_close (sampler_program *k) {
  if (k->walker) k->walk->close(k->walker);
  k->walker = NULL;
  if (!k->p) return;
  program_unbind(k->p);
  program_release(k->p);
  k->p = NULL;
}

/* ---- running ---- */

static bool inputs (sampler_program *k, neap_state *st, neap_tensor **in) {
  for (int i = 0; i < k->layout.nin; i++) {
    neap_tensor *t = neap_state_get(st, k->layout.in[i]);
    if (!t || !(in[i] = neap_contiguous_data(k->c, t))) return false;
  }
  return true;
}

static bool run_chunk (sampler_program *k, neap_state *st, int64_t n) {
  neap_tensor *in[NEAP_STATE_MAX], *out[NEAP_STATE_MAX];
  if (!inputs(k, st, in) || !program_outputs(&k->run, out)) return false;
  k->run.in = in;
  k->run.out = out;
  k->run.steps = n;
  double from = clock_now();
  if (!program_go(&k->run)) return false;
  k->chunk = k->p->pace = clock_chunk(clock_now() - from, n);
  k->p->pace_rows = k->run.rows;
  for (int j = 0; j < k->layout.nout; j++) if (!neap_state_set(k->c, st, k->layout.out[j], out[j])) return false;
  return true;
}

int64_t sampler_program_advance (sampler_program *k, neap_state *st, int64_t n) {
  int64_t done = 0;
  while (done < n && neap_poll(k->c)) {
    int64_t m = n - done < k->chunk ? n - done : k->chunk;
    neap_scope s = neap_scope_open(k->c);
    bool ok = run_chunk(k, st, m);
    neap_scope_close(k->c, s);
    if (!ok) break;
    done += m;
  }
  return done;
}
