/*
** sweep.c -- collecting a part of the tape.
** Invariant: entries are in the order of the clock, so an entry's inputs stand before it; a tensor older than every
** target is not entered, for it cannot depend on one.
*/
#include "sweep.h"
#include <stdlib.h>
#include <string.h>

static bool push (neap_sweep *s, neap_tensor *t, uint64_t age) {
  if (s->n == s->size) {
    int size = s->size ? 2 * s->size : 64;
    neap_entry *e = neap_realloc(s->c, s->e, (size_t)s->size * sizeof *e, (size_t)size * sizeof *e);
    if (!e) return false;
    s->e = e; s->size = size;
  }
  t->mark = s->mark;
  s->e[s->n++] = (neap_entry){ .t = t, .age = age };
  return true;
}

/* visits t: enters it if it may depend on a target, else notes whether it is tracked all the same */
static bool visit (neap_sweep *s, neap_tensor *t) {
  if (t->mark == s->mark || t->level == 0) return true;
  uint64_t age = neap_age(t);
  if (age < s->oldest) { s->outside |= t->level > s->c->floor; return true; }
  return push(s, t, age);
}

static bool collect (neap_sweep *s, neap_tensor *y) {
  if (!visit(s, y)) return false;
  for (int i = 0; i < s->n; i++) {                     /* the list grows while it is walked */
    neap_node *node = s->e[i].t->node;
    for (int j = 0; node && j < node->n; j++) if (!visit(s, node->in[j])) return false;
  }
  return true;
}

static int by_age (const void *a, const void *b) {
  uint64_t x = ((const neap_entry *)a)->age, y = ((const neap_entry *)b)->age;
  return x < y ? -1 : x > y;
}

/* The walk comes from the newest and strays from that order in branches only: turned round, entries are near their
** places, and where they are not the library's sort takes over. */
static void order (neap_sweep *s) {
  for (int i = 0, j = s->n - 1; i < j; i++, j--) { neap_entry e = s->e[i]; s->e[i] = s->e[j]; s->e[j] = e; }
  int moves = 8 * s->n;
  for (int i = 1; i < s->n && moves > 0; i++) {
    neap_entry e = s->e[i];
    int at = i;
    for (; at > 0 && s->e[at - 1].age > e.age && moves > 0; at--, moves--) s->e[at] = s->e[at - 1];
    s->e[at] = e;
  }
  if (s->n > 1 && moves <= 0) qsort(s->e, (size_t)s->n, sizeof *s->e, by_age);
}

/* a released entry counts: what it depended on is gone, and a derivative through it is an error */
static bool depends (neap_sweep *s, const neap_tensor *t) {
  if (t->node && t->node->released) return true;
  for (int i = 0; t->node && i < t->node->n; i++) {
    neap_entry *in = neap_sweep_find(s, t->node->in[i]);
    if (in && in->need) return true;
  }
  return false;
}

static bool is_variable (const neap_tensor *t) { return t->birth != 0; }

void neap_sweep_mark (neap_sweep *s) {
  for (int i = 0; i < s->n; i++) {
    s->e[i].t->mark = s->mark;
    s->e[i].t->slot = i;
  }
}

static void mark_needed (neap_sweep *s, int n, neap_tensor *const *xs) {
  neap_sweep_mark(s);
  for (int i = 0; xs && i < n; i++) {
    neap_entry *e = xs[i] ? neap_sweep_find(s, xs[i]) : NULL;
    if (e) e->target = true;
  }
  for (int i = 0; i < s->n; i++) {
    neap_entry *e = &s->e[i];
    if (!xs && is_variable(e->t)) e->target = true;
    if (is_variable(e->t) && (e->target ? e->t->node != NULL : e->t->level > s->c->floor))
      s->outside = true;                               /* an alias of an outer value, or another variable */
    e->need = e->target || depends(s, e->t);
  }
}

/* what made t's elements: its own entry, or that of what it is a view of; NULL for a view of a variable, whose
** elements may be written at any time */
static const neap_node *maker (const neap_tensor *t) {
  while (t->node && t->node->n > 0 && t->node->in[0]->store == t->store) t = t->node->in[0];
  return t->node && !t->node->released ? t->node : NULL;
}

/* the value itself: what was written to it since has no derivative */
static bool current (neap_sweep *s, const neap_tensor *y) {
  neap_entry *e = neap_sweep_find(s, y);
  const neap_node *m = e && e->need && !e->target ? maker(y) : NULL;
  if (!m || m->out_version == y->store->version) return true;
  return neap_fail(s->c, NEAP_ESTATE, "the value, of shape %s, was written after it was computed", SHAPE_TEXT(y));
}

/* no functional derivative's argument was written since it was given: what was computed before had other values */
static bool unchanged (neap_context *c, int n, neap_tensor *const *xs) {
  for (int i = 0; xs && i < n; i++)
    if (xs[i] && xs[i]->frozen && xs[i]->frozen != (uint64_t)xs[i]->store->version + 1)
      return neap_fail(c, NEAP_ESTATE, "the argument of a derivative, of shape %s, was written while it was computed; "
                       "write to a copy (x:clone())", SHAPE_TEXT(xs[i]));
  return true;
}

bool neap_sweep_open (neap_sweep *s, neap_context *c, neap_tensor *y, int n, neap_tensor *const *xs) {
  *s = (neap_sweep){ .c = c, .mark = ++c->clock, .oldest = xs ? UINT64_MAX : 0 };
  if (!unchanged(c, n, xs)) return false;
  for (int i = 0; xs && i < n; i++) {
    uint64_t a = xs[i] ? neap_age(xs[i]) : UINT64_MAX;
    if (a && a < s->oldest) s->oldest = a;
  }
  if (!collect(s, y)) { neap_sweep_close(s); return false; }
  order(s);
  mark_needed(s, n, xs);
  if (current(s, y)) return true;
  neap_sweep_close(s);
  return false;
}

void neap_sweep_close (neap_sweep *s) {
  for (int i = 0; i < s->n; i++) neap_release(s->e[i].d);
  neap_free(s->c, s->e, (size_t)s->size * sizeof *s->e);
  s->e = NULL; s->n = s->size = 0;
}

neap_entry *neap_sweep_find (neap_sweep *s, const neap_tensor *t) {
  return t->mark == s->mark ? &s->e[t->slot] : NULL;
}

bool neap_sweep_add (neap_sweep *s, neap_entry *e, neap_tensor *v) {
  if (v && e->d) v = neap_add(s->c, e->d, v);
  if (!v) return false;
  neap_keep(v);
  neap_release(e->d);
  e->d = v;
  return true;
}

static bool unwritten (neap_sweep *s, const neap_node *node, int i) {
  neap_entry *in = neap_sweep_find(s, node->in[i]);
  const neap_node *m = in && in->need ? maker(in->t) : NULL;
  if (!m || m->out_version == node->versions[i]) return true;
  return neap_fail(s->c, NEAP_ESTATE, "derivative of %s: its argument %d, of shape %s, was written after it was computed",
                   neap_ops[node->op].name, i + 1, SHAPE_TEXT(in->t));
}

bool neap_sweep_check (neap_sweep *s, const neap_tensor *t) {
  if (!t->node) return true;
  if (t->node->released)
    return neap_fail(s->c, NEAP_ESTATE, "the tape of this value was released by an earlier derivative; "
                     "ask that one for retain = true or create_graph = true");
  for (int i = 0; i < t->node->n; i++) if (!unwritten(s, t->node, i)) return false;
  return true;
}

uint64_t neap_sweep_floor (const neap_sweep *s, unsigned flags) {
  bool graph = flags & NEAP_CREATE_GRAPH || (flags & NEAP_AUTO_GRAPH && s->outside);
  return graph ? s->c->floor : UINT64_MAX;
}
