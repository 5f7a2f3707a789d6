/*
** program.h -- a graph made ready to run: instructions in order, groups of elementwise nodes as one loop over tiles.
** Invariant: a program holds no number of rows; a frame (frame.h) is the program for one number of them, with memory
** of its own.  Fixed instructions run once per run, into memory that all frames read.
*/
#ifndef NEAP_PROGRAM_PROGRAM_H
#define NEAP_PROGRAM_PROGRAM_H

#include "program/graph.h"
#include "kernels/chain.h"
#include <pthread.h>

enum { GROUP_SLOTS = 40, GROUP_SOURCES = 16, STEP_INPUTS = 3, JOINT_RESULTS = 2, PROGRAM_COUNTS = 64 };

/* A node inside a group.  in: slots; slots below the group's sources hold those. */
typedef struct group_step {
  int node, n, in[STEP_INPUTS], slot;
  bool store;                              /* needed outside the group: the result lies in the arena */
  int joint;                               /* 1 + the joint (joint.c) that begins here; or 0 */
} group_step;

typedef struct instr {
  bool group, late;                        /* late: makes late values */
  unsigned phases;                         /* where it runs */
  int sum;                                 /* what it makes is a sum over rows, number so many; else -1 */
  bool last;                               /* wanted by the last step of a run only: set by program_prepare */
  int node;                                /* a call of this node's kernel */
  int steps, nsteps, sources, nsources;    /* a group: ranges of the program's lists */
} instr;

/* A sum over rows: n elements, from byte `at` of a lane. */
typedef struct row_sum { int value; int64_t n; size_t at; } row_sum;

typedef struct frame frame;

/* Who captures: serial numbers of an energy and of a sampler or loss, its version; all 0: nobody who asks again. */
typedef struct program_origin { uint64_t energy, by, version; } program_origin;

struct neap_program {
  int refs;
  neap_context *c;                         /* counted */
  graph *g;                                /* its leaves and numbers are those of the next run */
  graph_key key;
  program_origin origin; bool fixed;       /* of the capture that bound it last */
  void *note; size_t note_bytes;
  uint64_t ran;                            /* which run of the context's was its last one, from 1 on */
  int64_t pace, pace_rows;                 /* a sampler's: steps of so many rows that took as long as a chunk may */
  instr *instrs; int ninstrs, instrs_size;
  group_step *steps; int nsteps, steps_size;
  graph_ref *sources; int nsources, sources_size;
  int *instr_of, nodes;                    /* of each node */
  bool *stored; int values;                /* has memory: in an arena, or fixed */
  int slots;                               /* of the largest group */
  size_t weight_bytes;                     /* of leaves and fixed values that products read */
  bool convolves;                          /* rows are images, of which a convolution makes many windows */
  size_t row_bytes;                        /* of one row's values in memory */
  frame **frames; int nframes;             /* for `rows` and `rows` + 1 rows, in turn */
  int64_t rows;
  int64_t counts[PROGRAM_COUNTS]; int ncounts;         /* by rows: the numbers of rows that it was confirmed for last */
  unsigned phases; bool in_place, alone;   /* that those frames were made for; alone: of the one block there is */
  frame *prologue, *after;                 /* run what is made once before, and once after */
  row_sum *sums; int nsums; size_t lane_bytes;
  char *lanes; size_t lanes_bytes;         /* the sums of consecutive blocks, lane after lane */
  pthread_mutex_t lock;                    /* frames allocate */
};

/* Takes g and key over, also when it fails. */
neap_program *program_new (neap_context *c, graph *g, graph_key *key);
void program_keep (neap_program *p);
void program_release (neap_program *p);    /* NULL is ignored */
void program_drop_frames (neap_program *p);
/* Do n inputs have the dtypes and shapes that p takes, for *rows rows?  Whether it knows that number is not asked. */
bool program_fits (const neap_program *p, int n, neap_tensor *const *in, int64_t *rows);
/* Was it confirmed for so many rows, or holds it for one number of them alone?  learn: it is from now on. */
bool program_knows (const neap_program *p, int64_t rows);
void program_learn (neap_program *p, int64_t rows);
/* Drops all that it holds of others, and its frames. */
void program_let_go (neap_program *p);
/* fuse.c */
bool program_fuse (neap_program *p);

/* cost.c: what the instructions of these phases do in one step of so many rows: operations in products, other ones, bytes
** read and written. */
typedef struct program_cost { double products, others, bytes; } program_cost;
program_cost program_count (const neap_program *p, int64_t rows, unsigned phases);

/* The program as text into out[0 .. room), as snprintf does; its length. */
size_t program_explain (neap_program *p, char *out, size_t room);

/* One run: `steps` times the graph, outputs carried to inputs.
** in[i]: row-major; out[j]: row-major, written; carry[j]: the input that output j replaces, or -1.  Where each_in[i],
** in[i] has one more dimension, the first, and step t sees in[i][t]; where each_out[j], step t writes out[j][t]. */
typedef struct program_run {
  neap_program *p;
  int64_t rows, steps;
  neap_tensor *const *in; neap_tensor **out;
  const int *carry;
  const bool *each_in, *each_out;          /* or NULL; only with carry */
  neap_key key[GRAPH_RNGS]; uint64_t step[GRAPH_RNGS];
  /* of the split */
  int64_t nblocks, nlanes;
  atomic_int failed;
  neap_status status; char error[NEAP_ERROR_BYTES]; int64_t failed_block;
} program_run;

/* Do rows run in blocks? */
bool program_splits (const program_run *r);
/* Sets the numbers of blocks and lanes. */
void program_split (program_run *r);
/* Makes frames for r->rows, runs what is fixed.  Then program_go may be called any number of times. */
bool program_prepare (program_run *r);
/* Runs, and moves the random streams on.  False with r->status set (and nothing pending in the context) when a kernel
** fails: out is then not whole, and the streams stand where they stood. */
bool program_go (program_run *r);

/* Fresh tensors for what r's program gives, lent. */
bool program_outputs (const program_run *r, neap_tensor **out);

/* Do n inputs fit, and is the number of rows known?  Else false with an error. */
bool program_check (neap_context *c, neap_program *p, int n, neap_tensor *const *in, int64_t *rows);
/* As neap_scan_over, with outputs of each step written to into, row-major tensors of their shapes, unless that is
** NULL. */
NEAP_API bool neap_program_scan (neap_program *p, int64_t steps, int carried, int each, int n, neap_tensor *const *in,
                                 neap_tensor *const *into, neap_tensor **out);

/* ---- making: capture.c ---- */

typedef struct capture {
  neap_program_fn fn; void *arg;
  int n; neap_tensor *const *in;           /* examples: their values are used while recording */
  const bool *by_rows;                     /* which inputs' first dimension counts rows */
  int64_t rows;
  bool fresh;                              /* the inputs are examples of the rows asked for, and may be recorded on */
  bool own;                                /* a program that nobody else finds */
  neap_program *const *have; int nhave;    /* own: those that fn has */
  const int *carry;                        /* fn sets it: a run takes many steps, and output j replaces input carry[j], or
                                           ** none (-1); or NULL */
  program_origin origin;
  bool fixed;                              /* for its origin, fn does the same for inputs like these: no host's function */
  neap_rng *rng;                           /* fixed: the one stream that fn draws from */
  neap_tensor *const *vars; int nvars;     /* fixed: the variables that it depends on */
  void *note; size_t note_bytes;           /* what fn leaves behind besides tensors: filled in also when it is not called */
  char reason[256]; bool blame;            /* why it cannot be recorded; whether that is the function's doing */
  neap_place place;                        /* of the host's call that cannot be */
} capture;

/* The program for w, made now or found in c's cache, holding the leaves and numbers of this recording: a counted
** reference, or NULL: with w->reason set and no error, or with an error (an interrupt). */
neap_program *program_capture (neap_context *c, capture *w);
/* The program of a function of the host's, which nobody else finds, for n inputs; as program_capture. */
NEAP_API neap_program *neap_program_capture (neap_context *c, capture *w, int n, neap_tensor *const *in);
/* Sets n, in, by_rows and rows of a function of the host's: inputs as long as the first one with dimensions carry
** rows.  by_rows: n entries. */
void capture_inputs (capture *w, int n, neap_tensor *const *in, bool *by_rows);
/* The joined recordings of a function that is its own, and their key; NULL as program_capture. */
graph *capture_graph (neap_context *c, capture *w, graph_key *key);
/* The same for w->rows alone. */
graph *capture_graph_at_rows (neap_context *c, capture *w, graph_key *key);
/* One recording, at so many rows; NULL with w->reason or an interrupt. */
graph *capture_record (neap_context *c, capture *w, int64_t rows);
/* Calls w's function on examples of so many rows with its tape below floor, float inputs as variables if asked for, and
** shows what it gives; start: what is older was there before.  Streams are put back.  False when either fails. */
typedef struct capture_watch {
  uint64_t floor; bool variables;
  bool (*see) (neap_context *c, void *arg, uint64_t start, neap_tensor *const *in, int nout, neap_tensor *const *out);
  void *arg;
} capture_watch;
bool capture_show (neap_context *c, const capture *w, int64_t rows, const capture_watch *v);
/* t with `rows` rows, its first ones, the last repeated; or all of it.  Fresh. */
neap_tensor *capture_example (neap_context *c, neap_tensor *t, bool by_rows, int64_t rows);
/* Warns that what `who` runs, which is named when no line is known, runs op by op. */
void capture_warn (neap_context *c, const capture *w, const char *who, const char *what);
/* Gives leaves and streams back until the next capture binds others; a fixed capture's are kept for the next. */
void program_unbind (neap_program *p);
/* The program of the store that ran last, if that was after so many runs; not counted. */
NEAP_API neap_program *neap_program_since (neap_context *c, uint64_t runs);
/* An energy, sampler or loss of this serial number is no more. */
NEAP_API void neap_program_forget (neap_context *c, uint64_t serial);
void program_cache_free (neap_context *c);

#endif
