/*
** api.c -- programs of a host's own functions: capture and run.
** Invariant: such a program is nobody else's, so what it holds by reference stays what it was recorded with.
*/
#include "program/program.h"

/* ---- capture ---- */

void capture_inputs (capture *w, int n, neap_tensor *const *in, bool *by_rows) {
  int64_t rows = -1;
  for (int i = 0; i < n; i++) {
    if (rows < 0 && in[i]->ndim > 0) rows = in[i]->shape[0];
    by_rows[i] = in[i]->ndim > 0 && in[i]->shape[0] == rows && rows > 0;
  }
  w->n = n;
  w->in = in;
  w->by_rows = by_rows;
  w->rows = rows > 0 ? rows : 0;
}

static bool check_list (neap_context *c, const char *fname, int n, neap_tensor *const *in) {
  if (!neap_ok(c)) return false;
  if (n < 0 || n > NEAP_PROGRAM_TENSORS)
    return neap_fail(c, NEAP_EARG, "%s: at most %d inputs expected, got %d", fname, NEAP_PROGRAM_TENSORS, n);
  for (int i = 0; i < n; i++) if (!in[i]) return neap_fail(c, NEAP_EARG, "%s: input %d is missing", fname, i + 1);
  return true;
}

neap_program *neap_program_capture (neap_context *c, capture *w, int n, neap_tensor *const *in) {
  bool by_rows[NEAP_PROGRAM_TENSORS];
  if (!check_list(c, "capture", n, in)) return NULL;
  capture_inputs(w, n, in, by_rows);
  w->own = true;
  neap_program *p = program_capture(c, w);
  w->by_rows = NULL;
  return p;
}

neap_program *neap_capture (neap_context *c, neap_program_fn fn, void *arg, int n, neap_tensor *const *in) {
  capture w = { .fn = fn, .arg = arg };
  neap_program *p = neap_program_capture(c, &w, n, in);
  if (!p && neap_ok(c) && !w.reason[0]) neap_fail(c, NEAP_EMEMORY, "capture: not enough memory");
  if (!p && neap_ok(c)) neap_fail(c, NEAP_ESTATE, "capture: the function cannot be recorded: it %s", w.reason);
  return p;
}

bool neap_program_confirm (neap_context *c, neap_program *p, neap_program_fn fn, void *arg, int n,
                           neap_tensor *const *in) {
  int64_t rows;
  if (!check_list(c, "program_confirm", n, in) || !program_fits(p, n, in, &rows)) return false;
  if (program_knows(p, rows)) return true;
  capture w = { .fn = fn, .arg = arg, .have = &p, .nhave = 1 };
  neap_program *again = neap_program_capture(c, &w, n, in);
  program_release(again);
  return again == p;
}

neap_program *neap_program_keep (neap_program *p) {
  if (p) p->refs++;
  return p;
}

void neap_program_release (neap_program *p) { program_release(p); }
int neap_program_outputs (const neap_program *p) { return p->g->noutputs; }
size_t neap_program_text (neap_program *p, char *buf, size_t room) { return program_explain(p, buf, room); }

/* ---- running ---- */

/* the number of rows that t gives an input; -1: it does not fit */
static bool fits (const graph *g, int i, const neap_tensor *t, int64_t *rows) {
  const graph_value *v = &g->values[i];
  if (t->dtype != v->dtype || t->ndim != v->ndim) return false;
  for (int d = 0; d < t->ndim; d++) {
    if (v->shape[d].rows && *rows < 0) *rows = t->shape[d];
    if (t->shape[d] != size_at(v->shape[d], *rows)) return false;
  }
  return true;
}

bool program_fits (const neap_program *p, int n, neap_tensor *const *in, int64_t *rows) {
  *rows = -1;
  if (n != p->g->ninputs) return false;
  for (int i = 0; i < n; i++) if (!in[i] || !fits(p->g, i, in[i], rows)) return false;
  if (*rows < 0) *rows = 1;
  return *rows > 0;
}

bool neap_program_fits (const neap_program *p, int n, neap_tensor *const *in) {
  int64_t rows;
  return program_fits(p, n, in, &rows) && program_knows(p, rows);
}

/* the first input that does not fit, told with what was expected */
static bool fail_input (neap_context *c, const neap_program *p, int n, neap_tensor *const *in) {
  const graph *g = p->g;
  int64_t rows = -1, shape[NEAP_MAX_DIMS];
  if (n != g->ninputs) return neap_fail(c, NEAP_EARG, "run: %d inputs expected, got %d", g->ninputs, n);
  for (int i = 0; i < n; i++) {
    const graph_value *v = &g->values[i];
    if (!in[i]) return neap_fail(c, NEAP_EARG, "run: input %d is missing", i + 1);
    if (fits(g, i, in[i], &rows)) continue;
    for (int d = 0; d < v->ndim; d++) shape[d] = size_at(v->shape[d], rows < 0 ? 1 : rows);
    return neap_fail(c, NEAP_ESHAPE, "run: input %d is %s %s, the program was recorded for %s %s", i + 1,
                     neap_dtype_name(in[i]->dtype), SHAPE_TEXT(in[i]), neap_dtype_name(v->dtype),
                     neap_shape_text((char[NEAP_SHAPE_BYTES]){0}, v->ndim, shape));
  }
  return neap_fail(c, NEAP_ESHAPE, "run: inputs of no rows");
}

bool program_check (neap_context *c, neap_program *p, int n, neap_tensor *const *in, int64_t *rows) {
  if (!neap_ok(c)) return false;
  if (p->c != c) return neap_fail(c, NEAP_EARG, "run: the program belongs to another context");
  if (!program_fits(p, n, in, rows)) return fail_input(c, p, n, in);
  return program_knows(p, *rows) ||
         neap_fail(c, NEAP_ESTATE, "run: the program was not confirmed for %lld rows (neap_program_confirm)",
                   (long long)*rows);
}

/* ---- runs of one step ---- */

static bool run_once (program_run *r, int n, neap_tensor *const *from, neap_tensor **out) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  for (int i = 0; i < n; i++) if (!(in[i] = neap_contiguous_data(r->p->c, from[i]))) return false;
  r->in = in;
  r->out = out;
  r->steps = 1;
  if (!program_prepare(r) || !program_outputs(r, out)) return false;
  return program_go(r) || neap_fail(r->p->c, r->status, "%s", r->error);
}

bool neap_run (neap_context *c, neap_program *p, int n, neap_tensor *const *in, neap_tensor **out) {
  program_run r = { .p = p };
  if (!program_check(c, p, n, in, &r.rows) || !neap_poll(c)) return false;
  neap_mode m = neap_no_grad(c);
  neap_scope s = neap_scope_open(c);
  bool ok = run_once(&r, n, in, out);
  for (int j = 0; ok && j < p->g->noutputs; j++) neap_keep(out[j]);
  neap_scope_close(c, s);
  neap_mode_restore(c, m);
  for (int j = 0; ok && j < p->g->noutputs; j++) out[j] = neap_lend(c, out[j]);
  return ok && neap_ok(c);
}
