/*
** slope.h -- an energy and its gradient at one place after another, as a program if they can be one.
** Invariant: x is written by whoever asks; rows never change their number or place, so what a row gives does not depend
** on what the others are.
*/
#ifndef NEAP_SAMPLER_SLOPE_H
#define NEAP_SAMPLER_SLOPE_H

#include "program/program.h"
#include "sampler/sampler.h"

typedef struct slope {
  neap_context *c; neap_energy *E;
  neap_tensor *x, *cond;                   /* x: row-major, its own; cond or NULL */
  neap_tensor *e, *g;                      /* what it gave last: [rows], like x; row-major */
  neap_program *p; program_run run;        /* NULL: op by op */
  neap_tensor *in[2], *out[2];
} slope;

/* For the rows of the state's x, of which q->x becomes a copy; q stays where it is afterwards.  Close it also when that
** fails. */
bool slope_open (slope *q, neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st);
bool slope_go (slope *q);                  /* e, g at x */
void slope_close (slope *q);
/* "energy" and "grad" of a state's x, by a program that blocks of its rows and later states share, if that pays. */
bool slope_set (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st);

#endif
