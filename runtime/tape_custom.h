/*
** tape_custom.h -- tape entries whose derivatives the host computes, such as a program's.
** Invariant: such an entry stands on the tape as an `anchor` of the value and its inputs; only its pullback differs.
*/
#ifndef NEAP_TAPE_CUSTOM_H
#define NEAP_TAPE_CUSTOM_H

#include "sweep.h"

typedef struct neap_pullback {
  /* out[i], lent: the cotangent of in[i] from g, the value's, for those of the n inputs that are wanted; NULL stands for
  ** zero.  Where an input or g is tracked (neap_tracked), out must be taped, too, so that it can be differentiated
  ** again.  What is computed from the inputs' elements must ask neap_custom_stands first. */
  bool (*pull) (neap_rule *r, void *arg, int n, neap_tensor *const *in, const bool *want, neap_tensor *g,
                neap_tensor **out);
  void (*release) (neap_context *c, void *arg);        /* or NULL */
  void *arg;
} neap_pullback;

/* A view of value, which no tape knows, that depends on the n inputs by p.  value itself when no input is tracked.
** p.release is called once, in the end or when this fails. */
NEAP_API neap_tensor *neap_custom (neap_context *c, neap_tensor *value, int n, neap_tensor *const *in, neap_pullback p);

/* No input was written since the value was computed; else false with an error. */
bool neap_custom_stands (neap_rule *r);

/* For the sweeps: adds the cotangents of e's inputs; the value's tangent from those of the node's inputs. */
bool neap_custom_pull (neap_sweep *s, neap_entry *e);
neap_tensor *neap_custom_push (neap_rule *r, neap_tensor *const *dx);
void neap_custom_free (neap_context *c, neap_pullback *p);             /* NULL is ignored */

#endif
