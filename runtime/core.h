/*
** core.h -- what every part of the runtime may see: context, storage, tensor.
** A tensor is a view (shape, strides, offset) of a counted storage; a storage holds a counted
** reference to its context, so memory can be given back even after neap_close.
*/
#ifndef NEAP_CORE_H
#define NEAP_CORE_H

#include "neap.h"
#include "blas.h"
#include <stdatomic.h>

typedef struct neap_node neap_node;
typedef struct neap_tiles neap_tiles;      /* tile kernels of one instruction set: kernels/tile.h */
typedef struct neap_pool neap_pool;        /* worker threads: pool.h */
typedef struct neap_recording neap_recording;      /* a recording: program/trace.h */
typedef struct program_cache program_cache;            /* programs made so far: program/cache.h */
typedef struct conv_store conv_store;      /* what oneDNN made for convolutions: ops/conv_dnn.c */

/* Where a host's code stands: a line of its script, the function it called there; empty: unknown. */
typedef struct neap_place { char line[96], call[32]; } neap_place;

typedef struct neap_storage {
  atomic_int refs;
  uint32_t version;                        /* counts writes: a tape compares it */
  uint32_t marks;                          /* counts how often a tensor of it was made a variable, or no longer */
  size_t bytes;                            /* capacity as counted against the cap */
  neap_context *ctx;
  void *data;                              /* 64-byte aligned, whole cache lines; one more after them is its own */
  struct neap_storage *next;               /* in the free list */
} neap_storage;

struct neap_tensor {
  int refs;
  neap_dtype dtype;
  int ndim;
  int64_t shape[NEAP_MAX_DIMS], strides[NEAP_MAX_DIMS], offset;   /* in elements */
  neap_context *ctx;
  neap_storage *store;                     /* NULL while only recorded */
  neap_node *node;                         /* how it was made, if a tape holds it */
  uint64_t level;                          /* 0 = not tracked; else the level of its newest variable */
  uint64_t birth;                          /* a variable's time of marking: older values cannot depend on it */
  uint64_t frozen;                         /* a functional variable's: its storage's version then, + 1; else 0 */
  uint64_t mark; int slot;                 /* scratch of one derivative sweep */
  neap_tensor *grad;
};

#define NEAP_ERROR_BYTES 512
#define NEAP_LARGE_CLASSES 61            /* sizes of memory, see memory.c: four per doubling from 2 KB to 64 MB, */
#define NEAP_BLOCK_CLASSES (65 + NEAP_LARGE_CLASSES)         /* and multiples of 32 bytes below */

typedef struct neap_block { struct neap_block *next; } neap_block;

struct neap_context {
  size_t refs;                             /* the owner, and one per tensor, storage, sampler, loss … */
  atomic_bool closed;
  neap_alloc_fn alloc; void *alloc_arg;
  neap_log_fn log; void *log_arg;
  void (*place) (neap_context *c, neap_place *p);      /* or NULL */
  size_t live, peak, cap;                  /* bytes; cap 0 = none */
  size_t cached, small; bool reuse;        /* of live: waiting for reuse, of these small pieces; whether any may */
  uint64_t allocations;
  neap_block *blocks[NEAP_BLOCK_CLASSES];              /* what waits, by size */
  uint64_t asked, asked_at[NEAP_LARGE_CLASSES];        /* bytes of large pieces asked for; at the last of each size */
  _Atomic(neap_storage *) returned;        /* storages that other contexts' threads released, under the lock */
  atomic_flag free_lock;
  neap_status status;
  char error[NEAP_ERROR_BYTES];
  atomic_int interrupt;
  neap_tensor **lent; size_t nlent, lent_size;      /* the scopes: a stack of references */
  uint64_t clock, floor;                   /* a tensor is tracked when its level > floor */
  neap_dtype default_dtype;
  neap_rng *rng;
  const neap_tiles *tiles;
  neap_pool *pool; int threads;
  neap_context *workers;                   /* whose threads serve this context's kernels; NULL: its own */
  neap_recording *trace;                       /* what is made is being recorded */
  program_cache *programs;
  uint64_t programs_run;                   /* how often programs ran */
  uint64_t run;                            /* of a frame's context: which of these its frame is in; else 0 */
  uint64_t programs_made, serial;          /* serial: the last number given to an energy, sampler or loss */
  neap_blas blas;                          /* found at the first matrix product: blas.h */
  struct neap_dnnl *dnnl;                  /* looked for at the first convolution it is faster at: dnnl.h; or NULL */
  conv_store *convolutions;                /* or NULL */
};

/* Bookkeeping memory, counted in live, kept for reuse.  NULL with NEAP_EMEMORY set.  Not zeroed; size must be told
** again when freed. */
NEAP_API void *neap_malloc (neap_context *c, size_t size);
NEAP_API void *neap_calloc (neap_context *c, size_t size);
NEAP_API void *neap_realloc (neap_context *c, void *p, size_t osize, size_t nsize);
NEAP_API void neap_free (neap_context *c, void *p, size_t size);

/* An object that may be released after neap_close: zeroed, and it counts as a reference to c.  NULL with an error, or
** when one is pending. */
void *neap_object_new (neap_context *c, size_t size);
void neap_object_free (neap_context *c, void *p, size_t size);

void neap_reuse (neap_context *c, bool on);         /* whether memory given back waits; from the start it does */
neap_storage *neap_storage_new (neap_context *c, size_t bytes);
void neap_storage_release (neap_context *by, neap_storage *s);       /* by: the context whose thread this is */
void neap_storage_trim (neap_context *c);           /* gives all that waits for reuse back to the allocator */
void neap_context_shut (neap_context *c);           /* closed from here on, for all threads */
NEAP_API void neap_context_release (neap_context *c);

/* A lent tensor over new storage (strides row-major) or over store (a counted reference is taken). */
neap_tensor *neap_tensor_new (neap_context *c, neap_dtype d, int ndim, const int64_t *shape);
neap_tensor *neap_tensor_view (neap_context *c, neap_storage *store, neap_dtype d, int ndim,
                               const int64_t *shape, const int64_t *strides, int64_t offset);

/* neap_dtype_size for the runtime: a digit per dtype */
static inline size_t neap_size_of (neap_dtype d) { return 0x11884u >> 4 * d & 15; }

static inline void *neap_ptr (const neap_tensor *t) {
  return (char *)t->store->data + t->offset * (int64_t)neap_size_of(t->dtype);
}
/* Elements of a row of t [B, …]. */
static inline int64_t neap_row_numel (const neap_tensor *t) {
  int64_t n = 1;
  for (int i = 1; i < t->ndim; i++) n *= t->shape[i];
  return n;
}
static inline bool neap_is_float (neap_dtype d) { return d == NEAP_FLOAT32 || d == NEAP_FLOAT64; }
static inline bool neap_tracked (const neap_context *c, const neap_tensor *t) { return t && t->level > c->floor; }
static inline bool neap_ok (const neap_context *c) { return c->status == NEAP_OK; }

/* p[i] = v as an element of dtype d. */
void neap_store_number (neap_dtype d, void *p, int64_t i, double v);
bool neap_same_shape (const neap_tensor *a, const neap_tensor *b);
/* "[2, 3]" into buf (at least 24*NEAP_MAX_DIMS bytes); returns buf.  For messages. */
#define NEAP_SHAPE_BYTES (24 * NEAP_MAX_DIMS)
NEAP_API char *neap_shape_text (char *buf, int ndim, const int64_t *shape);
#define SHAPE_TEXT(t) neap_shape_text((char[NEAP_SHAPE_BYTES]){0}, (t)->ndim, (t)->shape)

/* dim 1..ndim or -1..-ndim  ->  0..ndim-1; false with an error that names op and argument. */
bool neap_axis (neap_context *c, const char *op, const char *arg, int64_t dim, int ndim, int *axis);

/* Calls f(arg, block) for block = 0..nblocks-1, on the context's threads.  The split never depends on the
** number of threads, so results do not either. */
void neap_parallel (neap_context *c, int64_t nblocks, void (*f)(void *arg, int64_t block), void *arg);
/* Whether it calls them one after the other, having no second thread. */
bool neap_works_alone (const neap_context *c);

#endif
