/*
** compiled_search.c -- the life of a case of a compiled function, and what its results depend on.
** Invariant: a case's targets, the inputs and the tracked tensors that the function reads besides them, stay what they
** are from the first search on; when a tensor it reads becomes a variable, a new case takes its place.
*/
#include "program/compiled.h"
#include "sweep.h"

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
  for (int i = 0; i < s->njoints; i++) joint_release(s->joints[i]);
  for (int i = 0; i < s->nclosed; i++) neap_release(s->closed[i]);
  neap_free(k->c, s->closed, (size_t)s->closed_size * sizeof *s->closed);
  if (s->depends) neap_free(k->c, s->depends, depends_bytes(s));
  if (s->expected) neap_free(k->c, s->expected, depends_bytes(s));
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
  s->expected = s->depends ? neap_calloc(c, depends_bytes(s)) : NULL;
  bool ok = s->expected && capture_show(c, w, s->p->g->by_rows ? 2 : w->rows, &v);
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

