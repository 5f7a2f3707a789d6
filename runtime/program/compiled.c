/*
** compiled.c -- calls of a host's function as programs.
** Invariant: a program serves inputs of its dtypes and shapes, and the numbers of rows that it was confirmed for; every
** other kind of inputs is recorded when it is met, and what was recorded stays as it was.
*/
#include "program/compiled.h"
#include <stdio.h>
#include <string.h>

/* ---- life ---- */

compiled *neap_compiled_new (neap_context *c, compiled_host host) {
  compiled *k = neap_object_new(c, sizeof *k);
  if (!k) {
    if (host.release) host.release(c, host.arg);
    return NULL;
  }
  k->refs = 1;
  k->c = c;
  k->host = host;
  return k;
}

void neap_compiled_release (compiled *k) {
  if (!k || --k->refs > 0) return;
  for (int i = 0; i < k->ncases; i++) case_release(k, k->cases[i]);
  if (k->host.release) k->host.release(k->c, k->host.arg);
  neap_object_free(k->c, k, sizeof *k);
}

/* ---- cases ---- */

static compiled_case *to_front (compiled *k, int i) {
  compiled_case *s = k->cases[i];
  memmove(k->cases + 1, k->cases, (size_t)i * sizeof *k->cases);
  return k->cases[0] = s;
}

static compiled_case *find_case (compiled *k, int n, neap_tensor *const *in) {
  int64_t rows;
  for (int i = 0; i < k->ncases; i++) {
    neap_program *p = k->cases[i]->p;
    if (program_fits(p, n, in, &rows) && program_knows(p, rows)) return to_front(k, i);
  }
  return NULL;
}

static compiled_case *case_of (compiled *k, const neap_program *p) {
  for (int i = 0; i < k->ncases; i++) if (k->cases[i]->p == p) return to_front(k, i);
  return NULL;
}

/* takes p over */
static compiled_case *case_new (compiled *k, neap_program *p) {
  compiled_case *s = neap_calloc(k->c, sizeof *s);
  if (!s) { program_release(p); return NULL; }
  s->refs = 1;
  s->p = p;
  return s;
}

static compiled_case *add_case (compiled *k, compiled_case *s) {
  if (!s) return NULL;
  k->cases[k->ncases++] = s;
  return to_front(k, k->ncases - 1);
}

/* A tensor that the first case's program reads became a variable: tapes keep what they know, calls learn it anew. */
static compiled_case *renew_case (compiled *k) {
  program_keep(k->cases[0]->p);
  compiled_case *s = case_new(k, k->cases[0]->p);
  if (!s) return NULL;
  case_release(k, k->cases[0]);
  return k->cases[0] = s;
}

/* recorded now: a new case, or one that serves so many rows from now on */
static compiled_case *make_case (compiled *k, capture *w) {
  neap_program *have[COMPILED_CASES];
  for (int i = 0; i < k->ncases; i++) have[i] = k->cases[i]->p;
  w->have = have;
  w->nhave = k->ncases;
  neap_program *p = program_capture(k->c, w);
  compiled_case *s = p ? case_of(k, p) : NULL;
  if (s) program_release(p);
  return s || !p ? s : add_case(k, case_new(k, p));
}

static compiled_case *get_case (compiled *k, capture *w) {
  compiled_case *s = find_case(k, w->n, w->in);
  if (s) return case_stale(s) ? renew_case(k) : s;
  if (k->ncases < COMPILED_CASES) return make_case(k, w);
  snprintf(w->reason, sizeof w->reason, "is called with inputs of more than %d kinds", COMPILED_CASES);
  w->blame = true;
  return NULL;
}

/* ---- calls ---- */

static bool any_tracked (const neap_context *c, int n, neap_tensor *const *in) {
  for (int i = 0; i < n; i++) if (neap_tracked(c, in[i])) return true;
  return false;
}

static bool run_case (compiled *k, compiled_case *s, const capture *w, int *nout, neap_tensor **out) {
  neap_context *c = k->c;
  stream_states before;
  bool taping = c->floor < c->clock;                   /* else nothing that is there is tracked */
  if (taping && (!case_search(k, s, w) || s->opaque)) return false;
  taping = taping && (s->nclosed > 0 || any_tracked(c, w->n, w->in));
  joint *j = taping ? case_joint(k, s, w) : NULL;
  if (!neap_ok(c)) return false;
  if (j) j->refs++;                                    /* a finaliser may call the function, too */
  streams_note(&before, s->p);
  bool ok = neap_run(c, j ? j->forward : s->p, w->n, w->in, out) &&
            (!taping || case_tape(k, s, j, w->n, w->in, &before, out));
  joint_release(j);
  *nout = s->p->g->noutputs;
  return ok;
}

static bool too_many (capture *w, int n) {
  if (n <= NEAP_PROGRAM_TENSORS) return false;
  snprintf(w->reason, sizeof w->reason, "takes more than %d tensors", NEAP_PROGRAM_TENSORS);
  return w->blame = true;
}

bool neap_compiled_call (compiled *k, int n, neap_tensor *const *in, int *nout, neap_tensor **out, capture *w) {
  bool by_rows[NEAP_PROGRAM_TENSORS];
  *w = (capture){ .fn = k->host.fn, .arg = k->host.arg, .own = true };
  if (!neap_ok(k->c) || k->c->trace || too_many(w, n)) return false;
  capture_inputs(w, n, in, by_rows);
  compiled_case *s = get_case(k, w);
  if (!s) return false;
  s->refs++;
  bool ok = run_case(k, s, w, nout, out);
  case_release(k, s);
  w->by_rows = NULL;
  return ok;
}
