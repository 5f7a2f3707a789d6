/*
** sweep.h -- what both derivative sweeps walk: the part of the tape between y and the targets, in order.
*/
#ifndef NEAP_SWEEP_H
#define NEAP_SWEEP_H

#include "op.h"

typedef struct neap_entry {
  neap_tensor *t;                          /* kept by what uses it, or by the caller */
  neap_tensor *d;                          /* its cotangent or tangent: an owned reference, NULL = zero so far */
  uint64_t age;                            /* t's */
  bool need, target;                       /* depends on a target, is one */
} neap_entry;

/* For neap_gradients: the sweep ends at the variables, so that derivatives by one hold the others fixed. */
#define NEAP_PARTIAL (1u << 16)

/* When t came to the tape: entries after variables made before them. */
static inline uint64_t neap_age (const neap_tensor *t) { return t->birth ? t->birth : t->node ? t->node->id : 0; }

typedef struct neap_sweep {
  neap_context *c;
  neap_entry *e; int n, size;              /* oldest first */
  uint64_t mark, oldest;                   /* of this sweep; no target is older than oldest */
  bool outside;                            /* y depends on a variable that is no target */
  bool partial;                            /* targets are not looked behind */
} neap_sweep;

/* Collects what y was computed from, up to the n targets.  All variables are targets when xs is NULL. */
NEAP_API bool neap_sweep_open (neap_sweep *s, neap_context *c, neap_tensor *y, int n, neap_tensor *const *xs);
NEAP_API void neap_sweep_close (neap_sweep *s);
/* The entry of t; NULL when y does not depend on it. */
neap_entry *neap_sweep_find (neap_sweep *s, const neap_tensor *t);
/* Makes entries findable again after another sweep went over their tensors. */
void neap_sweep_mark (neap_sweep *s);
/* Adds v (lent) to e's derivative. */
bool neap_sweep_add (neap_sweep *s, neap_entry *e, neap_tensor *v);
/* For a step of the sweep: an error when the tape behind t was released, or when an input that depends on a target was
** written between its making and its use. */
bool neap_sweep_check (neap_sweep *s, const neap_tensor *t);
/* The floor to sweep under, from NEAP_CREATE_GRAPH and NEAP_AUTO_GRAPH. */
uint64_t neap_sweep_floor (const neap_sweep *s, unsigned flags);

#endif
