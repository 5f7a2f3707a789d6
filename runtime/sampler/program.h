/*
** program.h -- a sampler's step as a program.
** Invariant: what is recorded is the very step that runs eagerly, so both give the same draws; a step that cannot be
** recorded runs eagerly.
*/
#ifndef NEAP_SAMPLER_PROGRAM_H
#define NEAP_SAMPLER_PROGRAM_H

#include "program/program.h"
#include "sampler/sampler.h"

typedef struct sampler_layout {            /* which entries of the state the program takes and gives */
  int nin, nout;
  char in[NEAP_STATE_MAX][NEAP_STATE_NAME], out[NEAP_STATE_MAX][NEAP_STATE_NAME];
  int carry[NEAP_STATE_MAX];               /* the input that an output replaces, or -1 */
} sampler_layout;

struct sampler_program {
  neap_context *c;
  const sampler_walk *walk; void *walker;  /* of steps that are no graph; the rest is about those that are */
  neap_program *p;                         /* NULL: steps run eagerly */
  program_run run;
  sampler_layout layout;
  int64_t chunk;                           /* steps that take about 25 ms */
  bool adds;                               /* a host's step adds entries: one is to be made before it is recorded */
};

/* Records one step.  Without success k->p is NULL, and only an interrupt leaves an error. */
void sampler_program_open (sampler_program *k, neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st);
void sampler_program_close (sampler_program *k);
/* Warns, once for s, that it runs op by op, if that is the energy's or step's doing. */
void sampler_warn (neap_context *c, const capture *w, neap_sampler *s);
/* Up to n steps in whole chunks: how many were made.  Fewer than n: an error is pending (an interrupt, no memory), or a
** kernel failed in the next steps, which eager execution will tell. */
int64_t sampler_program_advance (sampler_program *k, neap_state *st, int64_t n);

#endif
