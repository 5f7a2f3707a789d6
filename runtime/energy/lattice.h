/*
** lattice.h -- what energies of units on a lattice or a graph share: shape, bonds, strips.
** Invariant: slots are shape [ndim], beta, then edges and field where there are such; num[0] is 1 if the lattice has
** open ends.
*/
#ifndef NEAP_LATTICE_H
#define NEAP_LATTICE_H

#include "energy.h"
#include "strip.h"

enum { LATTICE_SHAPE, LATTICE_BETA };

/* An energy of that class; field NULL: none; choice as the class means it. */
neap_energy *lattice_new (neap_context *c, const energy_class *cls, const neap_lattice *l, neap_tensor *beta,
                          neap_tensor *field, int64_t choice);
/* The slots fit; sets event and derived (the ends of the edges). */
bool lattice_check (neap_context *c, neap_energy *E);

/* Σ beta pair(xᵢ, xⱼ) over the bonds [B]; x [B, event…] */
neap_tensor *lattice_bonds (neap_context *c, neap_energy *E, neap_tensor *x,
                            neap_tensor *(*pair)(neap_context *c, neap_tensor *a, neap_tensor *b));
/* int64 [event…], from 0: units of one colour have no bond among them (colour.c).  Lent by E. */
neap_tensor *lattice_colours (neap_context *c, neap_energy *E, int *count);
/* The slot of that name; NULL without error when there is none. */
neap_tensor *lattice_find (const neap_energy *E, const char *name);

/* E's lattice as rows of q values, of one beta; false if it is none or too wide.  The units of row r stand at
** (r * s->width + k) if across, else at (k * s->length + r). */
bool lattice_strip (neap_context *c, const neap_energy *E, int64_t q, strip *s, double *beta, bool *across);
int64_t lattice_bond_count (const neap_energy *E);

#endif
