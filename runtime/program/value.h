/*
** value.h -- a function to one number and its gradients by all variables that it reads, as one program.
** Invariant: the value stands on the tape as if it had been computed op by op, to any order of derivatives.
*/
#ifndef NEAP_PROGRAM_VALUE_H
#define NEAP_PROGRAM_VALUE_H

#include "program/program.h"

/* Computes the value once more, op by op, for derivatives of its derivatives. */
typedef struct value_again {
  neap_tensor *(*eval) (neap_context *c, void *arg);
  void (*release) (neap_context *c, void *arg);
  void *arg;
} value_again;

typedef struct value_call {
  capture w;                               /* fn: out[0] is the value; what else it gives has no derivative */
  value_again again;                       /* taken over when neap_program_value is called */
  int most;                                /* results that fn may give; 0: as many as a program may */
  uint64_t floor, start;                   /* while recording */
} value_call;

/* Runs k as a program: out[0 .. *nout), lent, out[0] on the tape.  False when it cannot be one: k->w.reason may say why,
** no stream has moved, and no error is pending but an interrupt. */
NEAP_API bool neap_program_value (neap_context *c, value_call *k, int *nout, neap_tensor **out);

#endif
