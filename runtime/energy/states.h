/*
** states.h -- energies of discrete units: their values, all states, log Z by going through them.
** Invariant: the units of a whole are those of its first part.
*/
#ifndef NEAP_STATES_H
#define NEAP_STATES_H

#include "energy.h"

/* A hopfield of spins ±1. */
bool energy_is_classical_hopfield (const neap_energy *E);

typedef struct energy_units { int64_t base; double lo, step; } energy_units;    /* values lo, lo + step, … */

/* What a unit of E may be: −1 and 1 of spins, 1 … q of Potts, else 0 and 1; of a composition, as its first part's. */
energy_units energy_units_of (const neap_energy *E);
/* q of an energy of units 1 … q; 0 of others. */
int64_t energy_labels (const neap_energy *E);
/* How many states n units have; INT64_MAX when they are more than most. */
int64_t energy_count_states (energy_units u, int64_t n, int64_t most);
/* All states of n units [base^n, n], the first changing fastest. */
neap_tensor *energy_all_states (neap_context *c, neap_dtype d, energy_units u, int64_t n);

/* log Σ e^(−E) over all states: by block, without derivatives (integrate.c). */
bool energy_enumerate (neap_context *c, neap_energy *E, energy_units u, double *log_z);
/* The same over a Gaussian RBM's hidden states, without the constant of its integral over the visible units. */
bool energy_enumerate_hidden (neap_context *c, neap_energy *E, double *log_z);
/* log Σ e^(−E), differentiable where E's own slots are tracked; an error if they are and a tape cannot hold it all. */
neap_tensor *energy_sum_states (neap_context *c, neap_energy *E);
/* A slot of E itself is tracked. */
bool energy_slots_tracked (neap_context *c, const neap_energy *E);
/* E's log Z is to be made by ops: a slot is tracked, or a program is recorded, in which parameters may change.  One
** that cannot be, for its states are too many, is then not recorded. */
bool energy_wants_ops (neap_context *c, const neap_energy *E);
/* E has parameters, and too many states for a tape: its log Z is a number, without a derivative. */
bool energy_log_z_is_large (const neap_energy *E);

#endif
