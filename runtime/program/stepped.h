/*
** stepped.h -- a host's step whose numbers may differ from step to step, as one loop.
** Invariant: each step that is run was recorded, on a few rows, and did what the first one did but for numbers.
*/
#ifndef NEAP_PROGRAM_STEPPED_H
#define NEAP_PROGRAM_STEPPED_H

#include "program/program.h"

typedef struct stepped {
  neap_context *c;                         /* counted */
  graph *g;                                /* of the first step */
  int64_t rows;
  int carried, nnumbers;                   /* the inputs that are carried come first */
  int *at;                                 /* the values that are numbers */
  bool *varies; int nvaries;               /* those that differ in some step */
  double *numbers; int64_t followed, room; /* of each step that was recorded and not run */
  neap_tensor **examples;                  /* counted: inputs to record on; NULL: to be made */
  neap_program *p;                         /* takes numbers that differ as further inputs; NULL: to be made */
} stepped;

/* Records w's function, whose first `carried` inputs are replaced by its first outputs, as the first step.  NULL with
** w->reason set, with an error, or with neither where derivatives are wanted of what it gives. */
NEAP_API stepped *neap_stepped_new (neap_context *c, capture *w, int carried, int n, neap_tensor *const *in);
NEAP_API void neap_stepped_free (stepped *s);          /* NULL is ignored */
/* Would following a step cost less than calling it? */
NEAP_API bool neap_stepped_pays (const stepped *s);
/* Records the next step, on examples made of n inputs as before.  False, without an error: it is another one.  A step for
** one number of rows alone is not followed. */
NEAP_API bool neap_stepped_follow (stepped *s, capture *w, int n, neap_tensor *const *in);
/* Runs steps that were recorded, or as many more of the first one.  in: what is carried, then what has a row for each
** step; into: where outputs of each step go; out: what is carried. */
NEAP_API bool neap_stepped_run (stepped *s, int64_t steps, int n, neap_tensor *const *in, neap_tensor *const *into,
                                neap_tensor **out);

#endif
