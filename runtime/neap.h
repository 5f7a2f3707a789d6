/*
** neap.h -- energy-based models: tensors, derivatives of any order, energies, samplers, losses.
**
** Conventions, everywhere in this header:
**  - One context serves one thread at a time; many contexts may live in many threads.
**  - A function that fails returns NULL or false and leaves code and message in the context
**    (neap_status_of, neap_error).  The first error wins: while one is pending every call returns
**    failure at once, and NULL tensors pass through, so a chain of calls needs one check.
**  - Results are lent by the context's innermost open scope and live until it closes.
**    neap_keep takes a reference of your own, neap_release gives it back.
**  - Dimensions and indices start at 1; negative ones count from the end, as in Lua.
*/
#ifndef NEAP_H
#define NEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NEAP_VERSION "0.1.0"
#define NEAP_MAX_DIMS 8
#define NEAP_NONE INT64_MIN              /* an optional integer that was not given */

#define NEAP_API __attribute__((visibility("default")))

typedef struct neap_context neap_context;
typedef struct neap_tensor neap_tensor;
typedef struct neap_rng neap_rng;

typedef enum neap_dtype { NEAP_FLOAT32, NEAP_FLOAT64, NEAP_INT64, NEAP_UINT8, NEAP_BOOL, NEAP_NDTYPES } neap_dtype;

typedef enum neap_status {
  NEAP_OK,
  NEAP_EARG,          /* an argument is wrong: option, index, value */
  NEAP_ESHAPE,        /* shapes do not fit */
  NEAP_EDTYPE,        /* a dtype does not fit */
  NEAP_EMEMORY,       /* the allocator refused, or the memory cap was reached */
  NEAP_EIO,           /* a file is missing, truncated or malformed */
  NEAP_ENUMERIC,      /* a matrix that is not positive definite, a NaN where none may be */
  NEAP_EINTERRUPTED,  /* neap_interrupt was called, or the deadline passed */
  NEAP_ESTATE,        /* a released tape, a closed context, a value written since */
  NEAP_ECALLBACK      /* a callback of the host failed */
} neap_status;

/* ---- Context ------------------------------------------------------------------------------- */

/* As lua_Alloc: nsize 0 frees ptr, ptr NULL allocates; returns NULL when it cannot. */
typedef void *(*neap_alloc_fn)(void *arg, void *ptr, size_t osize, size_t nsize);
typedef void (*neap_log_fn)(void *arg, const char *message);

/* All fields may be zero: system allocator, no cap, threads = 1, seed = 0, silent. */
typedef struct neap_config {
  neap_alloc_fn alloc; void *alloc_arg;
  size_t memory_cap;                     /* bytes, tensors and bookkeeping together; 0 = no cap */
  int threads;                           /* worker threads of this context; 0 or 1 = none besides the caller */
  uint64_t seed;                         /* of the context's own random stream */
  neap_log_fn log; void *log_arg;        /* warnings; NULL = dropped */
} neap_config;

/* Opens a context; cfg may be NULL.  NULL when memory is short.  Close it with neap_close. */
NEAP_API neap_context *neap_open (const neap_config *cfg);
/* Closes it.  Tensors still held elsewhere stay valid to release; ops on them fail with NEAP_ESTATE. */
NEAP_API void neap_close (neap_context *c);

/* The pending error's code, NEAP_OK when there is none. */
NEAP_API neap_status neap_status_of (const neap_context *c);
/* The pending error's message, "" when there is none.  Owned by the context. */
NEAP_API const char *neap_error (const neap_context *c);
/* Forgets the pending error, so that calls do something again. */
NEAP_API void neap_clear_error (neap_context *c);
/* Records an error unless one is pending; always returns NULL. */
NEAP_API void *neap_fail (neap_context *c, neap_status code, const char *fmt, ...)
  __attribute__((format(printf, 3, 4)));

/* Asks whatever runs in c to stop soon with NEAP_EINTERRUPTED.  Safe from signal handlers and other threads. */
NEAP_API void neap_interrupt (neap_context *c);
/* Fails with NEAP_EINTERRUPTED (and lowers the flag) if neap_interrupt was called: long loops poll it. */
NEAP_API bool neap_poll (neap_context *c);
/* Tells the host's log a line, formatted as printf does; nothing without a log. */
NEAP_API void neap_warn (neap_context *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* How many threads share the work from now on, the caller included, at least 1 (else NEAP_EARG); no result depends on
** it. */
NEAP_API bool neap_set_threads (neap_context *c, int n);
/* As set; 1 at first, or config.threads. */
NEAP_API int neap_threads (const neap_context *c);
/* What needs more than so many bytes from now on fails with NEAP_EMEMORY; 0: no cap.  What is held already stays. */
NEAP_API void neap_set_memory_cap (neap_context *c, size_t bytes);

typedef struct neap_memory { size_t live, peak, cached; uint64_t allocations, programs; } neap_memory;
/* Bytes held (those kept for reuse included), the most there ever were, and kept for reuse; blocks asked for and
** programs made so far. */
NEAP_API neap_memory neap_memory_of (const neap_context *c);

/* What integers become in functions of floats, and Lua's numbers: NEAP_FLOAT32 at first. */
NEAP_API neap_dtype neap_default_dtype (const neap_context *c);
/* d: NEAP_FLOAT32 or NEAP_FLOAT64, else NEAP_EDTYPE. */
NEAP_API bool neap_set_default_dtype (neap_context *c, neap_dtype d);

/* ---- Scopes and ownership ------------------------------------------------------------------ */

typedef size_t neap_scope;
/* What is made from here on is lent by the new scope.  Never fails; close scopes in the reverse of their order. */
NEAP_API neap_scope neap_scope_open (neap_context *c);
/* Gives back what s lent, and closes scopes that were opened since and left open. */
NEAP_API void neap_scope_close (neap_context *c, neap_scope s);
/* Closes s but hands t on to the enclosing scope; returns t (NULL passes through). */
NEAP_API neap_tensor *neap_scope_return (neap_context *c, neap_scope s, neap_tensor *t);
NEAP_API neap_tensor *neap_keep (neap_tensor *t);       /* NULL passes through */
NEAP_API void neap_release (neap_tensor *t);            /* NULL is ignored */
/* Lends an owned reference to the innermost scope: the scope releases it.  Returns t; NULL if memory is short, and then
** t was released. */
NEAP_API neap_tensor *neap_lend (neap_context *c, neap_tensor *t);

/* ---- Tensors ------------------------------------------------------------------------------- */

NEAP_API neap_tensor *neap_empty (neap_context *c, neap_dtype d, int ndim, const int64_t *shape);  /* uninitialised */
/* value, rounded to d, everywhere. */
NEAP_API neap_tensor *neap_full (neap_context *c, neap_dtype d, int ndim, const int64_t *shape, double value);
NEAP_API neap_tensor *neap_scalar (neap_context *c, neap_dtype d, double value);                   /* 0-d */
/* Copies numel elements of dtype d from data, row-major. */
NEAP_API neap_tensor *neap_from (neap_context *c, neap_dtype d, int ndim, const int64_t *shape, const void *data);
/* Zeros of x's shape and dtype; x is not read. */
NEAP_API neap_tensor *neap_zeros_like (neap_context *c, const neap_tensor *x);
/* Ones of x's shape and dtype; x is not read. */
NEAP_API neap_tensor *neap_ones_like (neap_context *c, const neap_tensor *x);
/* first, first + step, … up to last, which is included; a step of 0 and what is not finite fail with NEAP_EARG. */
NEAP_API neap_tensor *neap_arange (neap_context *c, neap_dtype d, double first, double last, double step);
/* n ≥ 1 numbers from first to last, both included, evenly spaced. */
NEAP_API neap_tensor *neap_linspace (neap_context *c, neap_dtype d, double first, double last, int64_t n);
/* [n, m], ones on the diagonal, else zeros. */
NEAP_API neap_tensor *neap_eye (neap_context *c, neap_dtype d, int64_t n, int64_t m);

NEAP_API neap_dtype neap_dtype_of (const neap_tensor *t);      /* t is not NULL, here and below */
NEAP_API int neap_ndim (const neap_tensor *t);                 /* 0 to NEAP_MAX_DIMS */
NEAP_API const int64_t *neap_shape (const neap_tensor *t);     /* neap_ndim sizes, t's */
NEAP_API const int64_t *neap_strides (const neap_tensor *t);   /* in elements; may be 0 or negative */
NEAP_API int64_t neap_numel (const neap_tensor *t);            /* the product of the sizes */
NEAP_API bool neap_is_contiguous (const neap_tensor *t);       /* whether its elements lie row by row, without gaps */
NEAP_API void *neap_data (const neap_tensor *t);               /* the element at index 1, 1, …; follow the strides */
NEAP_API neap_context *neap_context_of (const neap_tensor *t); /* that it was made in */
NEAP_API const char *neap_dtype_name (neap_dtype d);           /* "float32"; a constant */
NEAP_API size_t neap_dtype_size (neap_dtype d);                /* bytes of an element */

/* The one element of t as a number; fails unless numel is 1. */
NEAP_API bool neap_item (neap_context *c, const neap_tensor *t, double *value);
/* Copies t's elements, row-major, converted to dtype d, into out (numel elements). */
NEAP_API bool neap_read (neap_context *c, const neap_tensor *t, neap_dtype d, void *out);
/* Writes src (broadcast and converted) into the elements of dst, and marks dst's storage as written. */
NEAP_API bool neap_write (neap_context *c, neap_tensor *dst, const neap_tensor *src);

#define NEAP_OPS_HEADER
#include "neap_ops.h"                                          /* every op as a function, made from the op table */

/* ---- Derivatives --------------------------------------------------------------------------- */

/* Marks t as a variable (or not): values computed from it are taped.  Float tensors only. */
NEAP_API bool neap_requires_grad (neap_context *c, neap_tensor *t, bool on);
NEAP_API bool neap_is_tracked (const neap_tensor *t);          /* a variable, or computed from one */
/* A tensor with t's values and storage that no tape knows. */
NEAP_API neap_tensor *neap_detach (neap_context *c, neap_tensor *t);
/* A fresh variable with x's values, for functional derivatives: y = f(neap_variable(x)), then
** neap_gradients(y, it) with NEAP_AUTO_GRAPH.  What is computed from it stays connected to x's own tape. */
NEAP_API neap_tensor *neap_variable (neap_context *c, neap_tensor *x);

enum {
  NEAP_CREATE_GRAPH = 1,   /* results can be differentiated again (implies NEAP_RETAIN) */
  NEAP_RETAIN = 2,         /* keep the tape for another call */
  NEAP_ALLOW_UNUSED = 4,   /* out[i] = NULL where y does not depend on xs[i]; otherwise an error */
  NEAP_AUTO_GRAPH = 8,     /* NEAP_RETAIN, and create the graph only if y depends on another variable than xs */
  NEAP_ZERO_UNUSED = 16    /* out[i] = zeros where y does not depend on xs[i] */
};
/* Reverse mode: out[i] = Σ_j seed_j ∂y_j/∂xs[i], of xs[i]'s shape and dtype.  seed NULL: y must have one element. */
NEAP_API bool neap_gradients (neap_context *c, neap_tensor *y, int n, neap_tensor *const *xs, neap_tensor *seed,
                              unsigned flags, neap_tensor **out);
/* dy/dx, lent, of x's shape and dtype, of a y of one element: neap_gradients of one variable, without flags. */
NEAP_API neap_tensor *neap_grad (neap_context *c, neap_tensor *y, neap_tensor *x);
/* Forward mode over the recorded graph: out = Σ_i ∂y/∂xs[i] · dxs[i], of y's shape and dtype. */
NEAP_API neap_tensor *neap_tangent (neap_context *c, neap_tensor *y, int n, neap_tensor *const *xs,
                                    neap_tensor *const *dxs, unsigned flags);
/* neap_gradients of every variable y depends on, added into its .grad (neap_grad_of). */
NEAP_API bool neap_backward (neap_context *c, neap_tensor *y, neap_tensor *seed, unsigned flags);
NEAP_API neap_tensor *neap_grad_of (const neap_tensor *t);                 /* NULL until neap_backward reached t */
NEAP_API void neap_set_grad (neap_tensor *t, neap_tensor *grad);           /* NULL clears */

typedef uint64_t neap_mode;
/* From here to neap_mode_restore, which takes what this gives, nothing outside is taped.  Functional derivatives inside
** still work. */
NEAP_API neap_mode neap_no_grad (neap_context *c);
/* The mode as it was when neap_no_grad gave m. */
NEAP_API void neap_mode_restore (neap_context *c, neap_mode m);

/* ---- Random numbers: Philox4x32-10 (Salmon et al. 2011) ------------------------------------ */

/* A stream is (seed, stream, step): each draw of a tensor takes one step, and element i of it depends on
** (seed, stream, step, i) alone, so results do not depend on threads or blocks. */
typedef struct neap_rng_state { uint64_t seed, stream, step; } neap_rng_state;

NEAP_API neap_rng *neap_rng_default (neap_context *c);                     /* the context's own; do not release */
NEAP_API neap_rng *neap_rng_new (neap_context *c, uint64_t seed);          /* yours: neap_rng_release */
NEAP_API neap_rng *neap_rng_split (neap_context *c, neap_rng *r);          /* an independent stream; advances r */
NEAP_API neap_rng *neap_rng_keep (neap_rng *r);                            /* one reference more; NULL passes through */
NEAP_API void neap_rng_release (neap_rng *r);                              /* NULL is ignored */
NEAP_API neap_rng_state neap_rng_get (const neap_rng *r);                  /* where it stands */
NEAP_API void neap_rng_set (neap_rng *r, neap_rng_state s);                /* stands there from now on */
NEAP_API void neap_seed (neap_context *c, uint64_t seed);                  /* restarts the context's own stream */

/* N(0, 1), of float dtype d. */
NEAP_API neap_tensor *neap_rng_normal (neap_context *c, neap_rng *r, neap_dtype d, int ndim, const int64_t *shape);
/* In [0, 1), of float dtype d. */
NEAP_API neap_tensor *neap_rng_uniform (neap_context *c, neap_rng *r, neap_dtype d, int ndim, const int64_t *shape);
/* int64 lo..hi. */
NEAP_API neap_tensor *neap_rng_randint (neap_context *c, neap_rng *r, int64_t lo, int64_t hi, int ndim,
                                        const int64_t *shape);
/* 0 or 1, of p's dtype. */
NEAP_API neap_tensor *neap_rng_bernoulli (neap_context *c, neap_rng *r, neap_tensor *p);
/* int64 1..n, over the last dimension of logits. */
NEAP_API neap_tensor *neap_rng_categorical (neap_context *c, neap_rng *r, neap_tensor *logits);
/* int64 1..n, shuffled. */
NEAP_API neap_tensor *neap_rng_permutation (neap_context *c, neap_rng *r, int64_t n);

#include "neap_models.h"                                       /* energies, samplers, losses */
#include "neap_files.h"                                        /* safetensors, npy, csv, idx, png */

#ifdef __cplusplus
}
#endif
#endif
