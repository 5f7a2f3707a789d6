/*
** steps.c -- a host's step as one loop: chunks of steps, between which an interrupt is seen.
** Invariant: what a chunk carries on lies in one of two sets of tensors, in turn, so a run's memory does not grow with
** its steps; an interrupted run gives nothing.
*/
#include "program/program.h"
#include "clock.h"
#include <string.h>

typedef struct step_run {
  program_run r;
  int n, carried, each;                    /* inputs: those carried, those with a row for each step, all others */
  neap_tensor *in[NEAP_PROGRAM_TENSORS], *out[NEAP_PROGRAM_TENSORS];   /* of all steps */
  neap_tensor *sets[2][NEAP_PROGRAM_TENSORS];
  neap_tensor *now[NEAP_PROGRAM_TENSORS], *next[NEAP_PROGRAM_TENSORS]; /* of a chunk */
  int carry[NEAP_PROGRAM_TENSORS];
  bool each_in[NEAP_PROGRAM_TENSORS], each_out[NEAP_PROGRAM_TENSORS];
} step_run;

/* ---- checks ---- */

/* t[step], counted from 0 */
static neap_tensor *row_of (neap_context *c, const neap_tensor *t, int64_t step) {
  return neap_tensor_view(c, t->store, t->dtype, t->ndim - 1, t->shape + 1, t->strides + 1,
                          t->offset + step * t->strides[0]);
}

/* inputs as one step sees them */
static bool first_step (neap_context *c, const step_run *s, int64_t steps, neap_tensor *const *in, neap_tensor **one) {
  for (int i = 0; i < s->n; i++) {
    one[i] = in[i];
    if (!in[i] || i < s->carried || i >= s->carried + s->each) continue;
    if (in[i]->ndim == 0 || in[i]->shape[0] != steps)
      return neap_fail(c, NEAP_ESHAPE, "scan: input %d has shape %s, but there are %lld steps", i + 1,
                       SHAPE_TEXT(in[i]), (long long)steps);
    if (!(one[i] = row_of(c, in[i], 0))) return false;
  }
  return true;
}

/* do the first outputs have the shapes of the inputs that they replace? */
static bool check_carry (neap_context *c, const graph *g, int carried) {
  if (carried > g->noutputs || carried > g->ninputs)
    return neap_fail(c, NEAP_ESHAPE, "scan: a step gives %d tensors for %d that it carries", g->noutputs, carried);
  for (int j = 0; j < carried; j++) {
    graph_ref in = graph_whole(g, j);
    const graph_ref *o = &g->refs[g->outputs + j];
    if (!graph_same_shape(&in, o) || in.dtype != o->dtype)
      return neap_fail(c, NEAP_ESHAPE, "scan: a step changes the shape or dtype of tensor %d of its carry", j + 1);
  }
  return true;
}

static bool check (neap_context *c, step_run *s, int64_t steps, neap_tensor *const *in) {
  neap_tensor *one[NEAP_PROGRAM_TENSORS];
  if (!neap_ok(c)) return false;
  if (steps < 1) return neap_fail(c, NEAP_EARG, "scan: at least 1 step expected, got %lld", (long long)steps);
  return first_step(c, s, steps, in, one) && program_check(c, s->r.p, s->n, one, &s->r.rows) &&
         check_carry(c, s->r.p->g, s->carried);
}

/* ---- memory ---- */

static neap_tensor *output_new (const step_run *s, int j, int64_t steps) {
  neap_context *c = s->r.p->c;
  const graph *g = s->r.p->g;
  const graph_ref *o = &g->refs[g->outputs + j];
  int64_t shape[NEAP_MAX_DIMS + 1] = { steps };
  int first = s->each_out[j];
  if (o->ndim + first > NEAP_MAX_DIMS)
    return neap_fail(c, NEAP_ESHAPE, "scan: what a step gives has %d dimensions, too many to be stacked", o->ndim);
  for (int d = 0; d < o->ndim; d++) shape[d + first] = size_at(o->shape[d], s->r.rows);
  return neap_tensor_new(c, o->dtype, o->ndim + first, shape);
}

/* what one set carries; made when it is needed */
static bool make_set (step_run *s, neap_tensor **set) {
  for (int j = 0; j < s->carried; j++) if (!set[j] && !(set[j] = output_new(s, j, 1))) return false;
  return true;
}

/* steps [from, from + n) of t */
static neap_tensor *part (neap_context *c, neap_tensor *t, int64_t from, int64_t n) {
  int64_t shape[NEAP_MAX_DIMS];
  memcpy(shape, t->shape, sizeof shape);
  shape[0] = n;
  return neap_tensor_view(c, t->store, t->dtype, t->ndim, shape, t->strides, t->offset + from * t->strides[0]);
}

/* a host's tensor for output j of all steps */
static bool check_into (const step_run *s, int j, int64_t steps, neap_tensor *t) {
  neap_context *c = s->r.p->c;
  const graph_ref *o = &s->r.p->g->refs[s->r.p->g->outputs + j];
  bool fits = t->dtype == o->dtype && t->ndim == o->ndim + 1 && t->shape[0] == steps && neap_is_contiguous(t);
  for (int d = 0; fits && d < o->ndim; d++) fits = t->shape[d + 1] == size_at(o->shape[d], s->r.rows);
  if (!fits) return neap_fail(c, NEAP_ESHAPE, "scan: %s cannot hold result %d of each step", SHAPE_TEXT(t), j + 1);
  t->store->version++;
  return true;
}

/* ---- chunks ---- */

/* the inputs and outputs of r.steps steps from `from` on, which is chunk k */
static bool set_chunk (step_run *s, int64_t from, int k) {
  neap_context *c = s->r.p->c;
  neap_tensor **set = s->sets[k % 2], **before = s->sets[1 - k % 2];
  if (!make_set(s, set)) return false;
  for (int i = 0; i < s->n; i++) {
    s->now[i] = i < s->carried && k > 0 ? before[i] : s->in[i];
    if (s->each_in[i] && !(s->now[i] = part(c, s->in[i], from, s->r.steps))) return false;
  }
  for (int j = 0; j < s->r.p->g->noutputs; j++) {
    s->next[j] = j < s->carried ? set[j] : s->out[j];
    if (s->each_out[j] && !(s->next[j] = part(c, s->out[j], from, s->r.steps))) return false;
  }
  return true;
}

static bool run_chunk (step_run *s, int64_t from, int k) {
  neap_context *c = s->r.p->c;
  if (!neap_poll(c) || !set_chunk(s, from, k)) return false;
  s->r.in = s->now;
  s->r.out = s->next;
  return program_go(&s->r) || neap_fail(c, s->r.status, "%s", s->r.error);
}

static bool run_chunks (step_run *s, int64_t steps) {
  int64_t chunk = steps > 1 ? 1 : steps;
  int k = 0;
  for (int64_t done = 0; done < steps; done += s->r.steps, k++) {
    double from = clock_now();
    s->r.steps = chunk < steps - done ? chunk : steps - done;
    if (!run_chunk(s, done, k)) return false;
    chunk = clock_chunk(clock_now() - from, s->r.steps);
  }
  memcpy(s->out, s->sets[1 - k % 2], (size_t)s->carried * sizeof *s->out);
  return true;
}

static void set_roles (step_run *s) {
  for (int i = 0; i < s->n; i++) s->each_in[i] = i >= s->carried && i < s->carried + s->each;
  for (int j = 0; j < s->r.p->g->noutputs; j++) {
    s->each_out[j] = j >= s->carried;
    s->carry[j] = s->each_out[j] ? -1 : j;
  }
  s->r.carry = s->carry;
  s->r.each_in = s->each_in;
  s->r.each_out = s->r.p->g->noutputs > s->carried ? s->each_out : NULL;
}

static bool run_all (step_run *s, int64_t steps, neap_tensor *const *in, neap_tensor *const *into) {
  neap_context *c = s->r.p->c;
  set_roles(s);
  if (!check(c, s, steps, in)) return false;
  for (int i = 0; i < s->n; i++) if (!(s->in[i] = neap_contiguous_data(c, in[i]))) return false;
  for (int j = s->carried; j < s->r.p->g->noutputs; j++) {
    s->out[j] = into ? into[j - s->carried] : output_new(s, j, steps);
    if (!s->out[j] || (into && !check_into(s, j, steps, s->out[j]))) return false;
  }
  return program_prepare(&s->r) && run_chunks(s, steps);
}

bool neap_program_scan (neap_program *p, int64_t steps, int carried, int each, int n, neap_tensor *const *in,
                        neap_tensor *const *into, neap_tensor **out) {
  neap_context *c = p->c;
  step_run s = { .r = { .p = p }, .n = n, .carried = carried, .each = each };
  int m = p->g->noutputs;
  neap_mode mode = neap_no_grad(c);
  neap_scope scope = neap_scope_open(c);
  bool ok = run_all(&s, steps, in, into);
  for (int j = 0; ok && j < m; j++) neap_keep(s.out[j]);
  neap_scope_close(c, scope);
  neap_mode_restore(c, mode);
  for (int j = 0; ok && j < m; j++) out[j] = neap_lend(c, s.out[j]);
  return ok && neap_ok(c);
}

bool neap_scan (neap_context *c, neap_program *p, int64_t steps, int n, neap_tensor *const *in, neap_tensor **out) {
  return neap_scan_over(c, p, steps, p->g->noutputs, 0, n, in, out);
}

bool neap_scan_over (neap_context *c, neap_program *p, int64_t steps, int carried, int each, int n,
                     neap_tensor *const *in, neap_tensor **out) {
  if (!neap_ok(c)) return false;
  if (p->c != c) return neap_fail(c, NEAP_EARG, "scan: the program belongs to another context");
  if (n < 0 || n > NEAP_PROGRAM_TENSORS || carried < 0 || each < 0 || carried + each > n)
    return neap_fail(c, NEAP_EARG, "scan: %d inputs to carry and %d to go through expected, got %d", carried, each, n);
  return neap_program_scan(p, steps, carried, each, n, in, NULL, out);
}
