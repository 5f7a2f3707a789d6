/*
** frame.h -- a program for one number of rows: memory, and instructions with every address filled in.
** Invariant: a frame is used by one thread at a time and touches no other; its kernels run in a context of its own,
** whose allocator keeps what it once got, so that a run allocates nothing after the first.
*/
#ifndef NEAP_PROGRAM_FRAME_H
#define NEAP_PROGRAM_FRAME_H

#include "program/program.h"
#include "ops/cat.h"
#include "ops/matmul.h"
#include "ops/reduce.h"

typedef struct frame_source {
  neap_tile_source s;
  bool whole;                              /* in the arena as it is: tiles are read in place, tails too */
  char *ready;                             /* one tile that serves every tile; filled by frame_refresh when fixed */
  size_t ready_at;                         /* NO_TILE: none is wanted */
  bool fixed;
} frame_source;

typedef struct frame_draw {
  const graph_node *node;
  neap_draw d;                             /* without key and step, which are the run's */
  int64_t width;                           /* elements of a row; 0: the same for all rows */
} frame_draw;

typedef struct frame_step {
  neap_tile_kernel *kernel;                /* NULL: a draw */
  int n, in[STEP_INPUTS], slot;
  char *store; size_t size;                /* store NULL: in scratch */
  bool outside;                            /* store ends with the value: tails go through scratch */
  const double *p; int64_t q;
  frame_draw draw;
  neap_joint_kernel *joint;                /* NULL: a step by itself; else it makes `joined` ones, in: that kernel's */
  int joined, nresults; const int *results;            /* and of these gives the results, by number */
} frame_step;

typedef struct frame_instr {
  const instr *of;
  int64_t n, tile; size_t tile_bytes;      /* elements of a group's values and of a tile; bytes of a slot */
  frame_step *steps; frame_source *sources;
  neap_call call; neap_tensor **in, *out;
  frame_draw draw;                         /* of a draw that is no part of a group */
  bool product; matmul_product plan;       /* a call of bmm for one matrix */
  bool adds;                               /* to its value, which an earlier one made */
  reduce_rows sum; cat_rows cat;           /* such a call, planned; sum.n = 0, cat.rows = 0: it is not */
} frame_instr;

#define NO_TILE SIZE_MAX
enum { ARENA_PAD = 128 };                  /* NEAP_TILE_PAD doubles */

/* An address that changes with the block: where a value outside the arena is read or written. */
typedef struct frame_move { char **address; int value; size_t offset; } frame_move;

typedef struct frame_chunk { struct frame_chunk *next; size_t size; } frame_chunk;

struct frame {
  neap_program *p;
  int64_t rows;
  unsigned phases;                         /* what it runs */
  neap_context ctx;                        /* of its kernels */
  frame_chunk *free;
  bool in_place;                           /* inputs and outputs lie in the run's tensors, where they can */
  neap_storage *stores;                    /* of each value; data NULL: in a group only */
  int *outside;                            /* of each value: 1 + the input or output that holds it; or 0 */
  frame_move *moves; int nmoves;
  neap_storage *arena; size_t arena_bytes; /* a storage: large ones wait for the next run */
  char *ready; size_t ready_bytes;
  char *scratch; size_t scratch_bytes;
  frame_instr *instrs; frame_step *steps; frame_source *sources;
  neap_tensor *tensors; neap_tensor **pointers; int ntensors;
  neap_tensor *outputs;                    /* views of what the graph gives */
  atomic_bool busy;
  char *spill; size_t spill_bytes;         /* a block's part of a sum that cannot be added up where it is made */
  int64_t row0;                            /* of the block that runs */
  char *lane; bool first;                  /* where it adds up sums; is it the first one there?  NULL: all rows run */
  const program_run *run;
};

/* For the instructions of those phases; with BLOCK and AFTER, all rows are one block.  in_place: for runs of one step.
** NULL with an error. */
frame *frame_new (neap_program *p, int64_t rows, unsigned phases, bool in_place);
/* Is sum v of the program kept outside the frame, in a lane? */
static inline bool frame_adds (const frame *f) { return f->p->nsums > 0 && f->phases != (PHASE_BLOCK | PHASE_AFTER); }
/* The memory of a value of n bytes, a multiple of what tile kernels work on. */
static inline size_t frame_room (size_t n) { return (n + ARENA_PAD) / ARENA_PAD * ARENA_PAD + ARENA_PAD; }
static inline char *frame_align (char *p) { return (char *)(((uintptr_t)p + 63) & ~(uintptr_t)63); }
void frame_free (frame *f);
/* The memory of everything of one frame, in bytes. */
size_t frame_bytes (const frame *f);
/* How source i of an instruction is read; its data may still be missing. */
void frame_set_source (frame *f, frame_instr *in, int i);
/* Takes up the addresses of values outside. */
void frame_move_all (frame *f);
/* Takes up the leaves and numbers of p->g and what the prologue made. */
void frame_bind (frame *f);
/* Tiles of what is fixed; after the prologue ran. */
void frame_refresh (frame *f);
/* Runs the frame's instructions as step t of a run, those for the last step only if it is; false with an error in
** f->ctx. */
bool frame_execute (frame *f, uint64_t t, bool last);
/* to[0..n) += from[0..n), memory as frame_room gives */
void frame_add (const frame *f, neap_dtype d, int64_t n, char *to, const char *from);

#endif
