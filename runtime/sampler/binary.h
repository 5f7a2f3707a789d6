/*
** binary.h -- what samplers of binary units share.
** Invariant: a state's "pair" is the sum of the two values that units take: 1 for 0 and 1, 0 for −1 and 1.
*/
#ifndef NEAP_SAMPLER_BINARY_H
#define NEAP_SAMPLER_BINARY_H

#include "sampler/sampler.h"

/* init: finds "pair" in x unless the state has it, checks x, and makes "energy", "grad" and "accepted". */
bool binary_init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st);
/* What a flip adds to each unit, like x. */
neap_tensor *binary_change (neap_context *c, neap_state *st, neap_tensor *x);
/* x with the units of hit (bool, like x) flipped. */
neap_tensor *binary_flip (neap_context *c, neap_state *st, neap_tensor *hit, neap_tensor *x);
/* hit without the units that E holds fixed. */
neap_tensor *binary_free (neap_context *c, neap_energy *E, neap_tensor *hit);

#endif
