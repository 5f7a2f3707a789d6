/*
** trace.h -- recording: while a context has a trace, every op, draw and number it makes is noted in a graph.
** Invariant: recording changes no result; what cannot be recorded marks the trace as failed and says why, and
** execution goes on.  Storages made meanwhile are held, so a pointer names one value.
*/
#ifndef NEAP_PROGRAM_TRACE_H
#define NEAP_PROGRAM_TRACE_H

#include "program/graph.h"

#define TRACE_REASON 200

typedef struct trace_entry { neap_storage *store; int value; } trace_entry;   /* value -1: made, but not by an op */

struct neap_recording {
  neap_context *c;
  graph *g;
  trace_entry *map; int nmap, map_size;    /* open addressing; size is a power of 2 */
  neap_rng_state start[GRAPH_RNGS];
  bool failed;
  bool blind;                              /* no host will see what ops make: they are noted, not computed */
  char reason[TRACE_REASON]; neap_place place;         /* of the host's call that was refused */
};

/* Starts recording; the n inputs are fresh row-major tensors.  NULL: no memory, or c is recording already. */
neap_recording *trace_begin (neap_context *c, int n, neap_tensor *const *in);
/* Ends recording and puts random streams back.  The graph with those outputs; NULL, with t->reason set, when failed
** (or, with an error pending, no memory).  The trace itself stays until trace_free. */
graph *trace_end (neap_recording *t, int n, neap_tensor *const *out);
void trace_free (neap_recording *t);

/* ---- hooks, called where c->trace is set ---- */
void trace_op (neap_call *k, const neap_attrs *a, const neap_tensor *out);
void trace_view (neap_call *k);                                        /* op made a view */
int trace_stream (neap_context *c, neap_rng *r);                       /* r is about to change; its number, or -1 */
/* drawn just now from the operand (or NULL) by d's law and numbers */
void trace_draw (neap_context *c, const neap_draw *d, neap_rng *r, neap_tensor *operand, const neap_tensor *out);
void trace_new (neap_context *c, const neap_tensor *t);                /* some storage */
void trace_number (neap_context *c, const neap_tensor *t, double v);   /* every element is v */
void trace_constant (neap_context *c, const neap_tensor *t);           /* made of nothing recorded */
void trace_read (neap_context *c, const neap_tensor *t);               /* the host looks at t's elements */
void trace_pointer (neap_context *c, const neap_tensor *t);            /* the host reads or writes t's memory */
/* The last outputs will be gradients by these variables. */
void trace_variables (neap_context *c, int n, neap_tensor *const *vars);
/* What cannot be recorded: "reads values (item)", … */
void trace_refuse (neap_context *c, const char *what);

#endif
