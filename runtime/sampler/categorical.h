/*
** categorical.h -- steps for units of states 1 … q, by the gradient of E by x one-hot.
** Invariant: a state's x holds whole numbers; "grad" is [chains, n, q], of the n units and their states.
*/
#ifndef NEAP_SAMPLER_CATEGORICAL_H
#define NEAP_SAMPLER_CATEGORICAL_H

#include "sampler/sampler.h"

/* The units of E are 1 … q. */
bool categorical_is (const neap_energy *E);
/* init: checks x, and makes "energy", "grad" and "accepted". */
bool categorical_init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st);
/* One unit changes: gibbs_with_gradients. */
bool categorical_step_one (neap_context *c, neap_energy *E, neap_state *st);
/* Any of them may: dmala. */
bool categorical_step_all (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st);

#endif
