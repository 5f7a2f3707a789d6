/*
** tail.h -- how an energy grows far out, which tells whether e^−E has a finite integral.
** A tail bounds E by quadratic forms: xᵀAx − r <= E(x) <= xᵀBx + r, where the rest r is bounded, affine or grows like
** |x|.  Invariant: what is not set is not known; every bound holds for all x of D numbers.
*/
#ifndef NEAP_TAIL_H
#define NEAP_TAIL_H

#include "energy.h"

typedef enum tail_rest { REST_BOUNDED, REST_AFFINE, REST_LINEAR } tail_rest;

typedef struct tail_form {
  bool known;
  neap_tensor *matrix;                     /* [D, D] float64; NULL: 0 */
} tail_form;

typedef struct energy_tail {
  int64_t D;
  tail_form low, high;                     /* A and B */
  double size;                             /* of the forms' entries, before they cancel */
  tail_rest rest;
  bool steep;                              /* above every quadratic form, in all directions */
  bool rises, falls;                       /* above every one, below every one, in some direction */
  bool finite;                             /* x has finitely many states */
  int integrable;                          /* known otherwise: 1 yes, −1 no */
} energy_tail;

/* ---- what classes say of themselves ---- */
bool tail_finite (neap_context *c, neap_energy *E, energy_tail *t);
/* Bounded below and known to be normalised. */
bool tail_proper (neap_context *c, neap_energy *E, energy_tail *t);
/* No quadratic part. */
bool tail_flat (energy_tail *t, tail_rest rest);
/* xᵀ diag(v) x and a rest: v 0-d or [D]. */
bool tail_diagonal (neap_context *c, energy_tail *t, neap_tensor *v, tail_rest rest);
bool tail_number (neap_context *c, energy_tail *t, double v, tail_rest rest);
/* xᵀAx and a rest. */
bool tail_matrix (neap_context *c, energy_tail *t, neap_tensor *A, tail_rest rest);

/* ---- what wholes are made of ---- */
bool tail_sum (neap_context *c, neap_energy *E, energy_tail *t);
bool tail_scale (neap_context *c, neap_energy *E, energy_tail *t);
bool tail_divide (neap_context *c, neap_energy *E, energy_tail *t);
bool tail_same (neap_context *c, neap_energy *E, energy_tail *t);
bool tail_shifted (neap_context *c, neap_energy *E, energy_tail *t);
bool tail_any (neap_context *c, neap_energy *E, energy_tail *t);
bool tail_fixed (neap_context *c, neap_energy *E, energy_tail *t);

#endif
