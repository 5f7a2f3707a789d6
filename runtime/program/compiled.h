/*
** compiled.h -- a host's function that runs as programs: one for each kind of inputs, and others for derivatives.
** Invariant: values, draws and derivatives of any order are those of the function; where a program would not give them
** the caller is told to call the function itself.
*/
#ifndef NEAP_PROGRAM_COMPILED_H
#define NEAP_PROGRAM_COMPILED_H

#include "program/program.h"

enum { COMPILED_CASES = 32, CASE_PULLS = 16, CASE_JOINTS = 4 };

typedef struct target_set { uint64_t bits[2 * NEAP_PROGRAM_TENSORS / 64]; } target_set;   /* inputs, then closed */

/* The cotangents of some targets from that of one output: inputs of the case and the cotangent in. */
typedef struct pull_program { neap_program *p; int out; target_set wanted; } pull_program;

/* compiled_joint.c: a value's program that keeps what its derivatives read, and the programs of these */
typedef struct joint {
  int refs;
  neap_context *c;
  int nout, nkept;
  target_set *wanted;                      /* of each result */
  graph_key key;
  neap_program *forward;                   /* results, then what is kept */
  neap_program **back;                     /* of each result: inputs, its cotangent, what is kept -> cotangents; or NULL */
} joint;

/* one kind of inputs */
typedef struct compiled_case {
  int refs;
  neap_program *p;
  bool searched, opaque;                   /* opaque: derivatives only by calling the function */
  uint64_t marks;                          /* of what p reads, when it was searched for variables */
  neap_tensor **closed; int nclosed, closed_size;      /* counted: tracked tensors that it reads besides inputs */
  target_set *depends;                     /* of each output */
  target_set *expected;                    /* of each output: what the last derivative wanted */
  bool alone;                              /* values and derivatives cannot be one recording */
  joint *joints[CASE_JOINTS]; int njoints;
  pull_program pulls[CASE_PULLS]; int npulls;
} compiled_case;

typedef struct compiled_host {
  neap_program_fn fn; void *arg;
  void (*idle) (neap_context *c, void *arg);           /* no tape needs fn any longer */
  void (*release) (neap_context *c, void *arg);
} compiled_host;

typedef struct compiled {
  int refs;
  neap_context *c;                         /* counted */
  compiled_host host;
  int taped;                               /* calls whose results are on a tape */
  compiled_case *cases[COMPILED_CASES]; int ncases;    /* the one used last first */
} compiled;

/* Takes host over, also when it fails. */
NEAP_API compiled *neap_compiled_new (neap_context *c, compiled_host host);
NEAP_API void neap_compiled_release (compiled *k);          /* NULL is ignored */

/* What fn gives, lent, by a program.  False with an error pending, or without one: call fn itself; when fn cannot be
** recorded why->reason says why. */
NEAP_API bool neap_compiled_call (compiled *k, int n, neap_tensor *const *in, int *nout, neap_tensor **out, capture *why);

/* compiled_tape.c */
static inline bool target_in (const target_set *s, int i) { return s->bits[i / 64] >> (i % 64) & 1; }
static inline void target_add (target_set *s, int i) { s->bits[i / 64] |= UINT64_C(1) << (i % 64); }

/* Finds out what results of s depend on, unless that is known; w: the call.  False with an interrupt pending. */
bool case_search (compiled *k, compiled_case *s, const capture *w);
bool case_stale (const compiled_case *s);  /* since then tensors that its program reads were made variables */

/* compiled_joint.c: the programs to call s by if what its last derivatives wanted is wanted again; NULL: nothing was, or
** that cannot be, or an interrupt is pending. */
joint *case_joint (compiled *k, compiled_case *s, const capture *w);
void joint_release (joint *j);                         /* NULL is ignored */

/* The streams of a program and where they stand. */
typedef struct stream_states { int n; neap_rng *rng[GRAPH_RNGS]; neap_rng_state at[GRAPH_RNGS]; } stream_states;
void streams_note (stream_states *s, const neap_program *p);
/* Puts results of s's program, or of j's, whose draws began at `before`, on the tape as far as they are tracked. */
bool case_tape (compiled *k, compiled_case *s, joint *j, int n, neap_tensor *const *in, const stream_states *before,
                neap_tensor **out);
void case_release (compiled *k, compiled_case *s);

#endif
