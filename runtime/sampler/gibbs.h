/*
** gibbs.h -- what Gibbs sampling draws: machines whole sides at once, lattices units of one colour at once, other units
** one by one.
** Invariant: units that E:fix holds keep their values.
*/
#ifndef NEAP_SAMPLER_GIBBS_H
#define NEAP_SAMPLER_GIBBS_H

#include "sampler/sampler.h"

/* s is this sampler. */
bool gibbs_is (const neap_sampler *s);
/* E without fix, and without what multiplies, divides or shifts an energy of a lattice. */
neap_energy *gibbs_base (neap_energy *E);
/* Gibbs sampling knows E's conditional laws. */
bool gibbs_takes (neap_energy *E);
/* y in x's dtype, with the coordinates of x that E holds; NULL passes through. */
neap_tensor *gibbs_hold (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *y);
/* x holds states of E's lattice, base; held coordinates may be any. */
bool gibbs_check_lattice (neap_context *c, neap_energy *E, neap_energy *base, neap_tensor *x);
/* x [chains, event…] with each unit drawn once, one after the other. */
neap_tensor *gibbs_sweep_single (neap_context *c, neap_energy *E, neap_state *st);
/* x [chains, event…] with each unit drawn once, colour by colour. */
neap_tensor *gibbs_sweep (neap_context *c, neap_energy *E, neap_energy *base, neap_state *st);

#endif
