/*
** op.h -- what a row of the op table (ops.def) becomes, and apply, the one constructor of values.
** Invariant: every value made by an op passes neap_apply; there a tape entry is made, and nowhere else.
*/
#ifndef NEAP_OP_H
#define NEAP_OP_H

#include "core.h"
#include <stddef.h>

#define NEAP_MAX_INPUTS 4                  /* of a row with fixed inputs; list rows (cat) take any number */
#define NEAP_ATTR_INTS 26

/* What an op takes besides tensors, in the order of its signature (see ops.def). */
typedef struct neap_attrs {
  double f[3];                             /* numbers (n);  NAN = not given */
  int64_t i[4];                            /* integers, booleans, dimension, choice (i b d s); NEAP_NONE = not given */
  const char *text;                        /* an equation (e); alive only during the call: composites */
  int count;                               /* entries of dims; -1 = not given */
  int64_t dims[NEAP_ATTR_INTS];            /* dimensions or sizes (D S); what follows the entries is not set */
} neap_attrs;

/* What is set of a: a tape entry keeps no more. */
static inline size_t neap_attr_bytes (const neap_attrs *a) {
  return offsetof(neap_attrs, dims) + (size_t)(a->count > 0 ? a->count : 0) * sizeof *a->dims;
}

/* All zero, and no list. */
static inline void neap_attrs_clear (neap_attrs *a) {
  a->f[0] = a->f[1] = a->f[2] = 0;
  a->i[0] = a->i[1] = a->i[2] = a->i[3] = 0;
  a->text = NULL;
  a->count = -1;
}

/* Appends a list to a->dims (n < 0: none was given); false with an error when it is too long. */
bool neap_attr_list (neap_context *c, const char *name, neap_attrs *a, int n, const int64_t *list);

typedef enum neap_kind {
  KIND_ELEMENTWISE,                        /* a scalar expression; d(i, g) serves both modes */
  KIND_LINEAR,                             /* jvp is the op itself; vjp(i, g) is the transpose */
  KIND_BILINEAR,                           /* linear in each of its two inputs */
  KIND_GENERAL,                            /* vjp and jvp by name */
  KIND_ZERO,                               /* derivative is zero: never taped */
  KIND_COMPOSITE                           /* made of other ops by build */
} neap_kind;

/* The result's meta data; a view also has strides and offset into input 0's storage. */
typedef struct neap_meta {
  neap_dtype dtype;
  int ndim;
  int64_t shape[NEAP_MAX_DIMS], strides[NEAP_MAX_DIMS], offset;
  bool view;
} neap_meta;

typedef struct neap_op neap_op;

/* One application of a row: inputs promoted and broadcast, attrs copied (infer may normalise them). */
typedef struct neap_call {
  neap_context *c;
  const neap_op *op;
  int n;
  neap_tensor **in;
  neap_attrs a;
  bool steady;                             /* a frame's: in[1] holds the same all through a run, c->run */
} neap_call;

/* A derivative rule's view of one tape entry. */
typedef struct neap_rule {
  neap_context *c;
  neap_node *node;
  neap_tensor *out;
} neap_rule;

struct neap_op {
  const char *name, *sig, *doc, *cases;
  neap_kind kind;
  const char *inputs;                      /* promotion per input, see ops.def; the last letter repeats for lists */
  neap_dtype out;                          /* NEAP_NDTYPES: as the promoted inputs */
  bool (*infer)(neap_call *k, neap_meta *out);       /* false: error set */
  bool (*run)(neap_call *k, neap_tensor *out);       /* NULL for views and elementwise rows */
  neap_tensor *(*vjp)(neap_rule *r, int i, neap_tensor *g);
  neap_tensor *(*jvp)(neap_rule *r, neap_tensor *const *dx);   /* dx[i] may be NULL */
  neap_tensor *(*build)(neap_context *c, neap_tensor **in, int n, const neap_attrs *a);
};

struct neap_node {
  uint64_t id;
  int op, n, size;                         /* n inputs held; size when it was made */
  bool released;                           /* inputs were dropped by a derivative without retain */
  uint32_t out_version;
  const neap_attrs *a;                     /* NULL when the row takes none */
  neap_tensor **in; uint32_t *versions;    /* of in[i]'s storage when recorded */
  struct neap_pullback *custom;            /* the host's derivatives in place of the row's: tape_custom.h; or NULL */
};

/* Keeps the inputs and notes their versions; freed with the tensor that holds it. */
neap_node *neap_node_new (neap_context *c, int op, neap_tensor **in, int n, const neap_attrs *a);
NEAP_API void neap_node_clear (neap_node *node);    /* drops the inputs: the tape behind it is released */

NEAP_API extern const neap_op neap_ops[];           /* indexed by NEAP_OP_name; NEAP_OP_COUNT of them */
NEAP_API const neap_op *neap_op_find (const char *name);

/* The one constructor: check -> promote -> broadcast -> shape -> run (or view) -> tape.
** in: n tensors (NULL only where the signature says optional); a NULL = no attributes. */
NEAP_API neap_tensor *neap_apply (neap_context *c, int op, neap_tensor **in, int n, const neap_attrs *a);

/* The shape all n inputs broadcast to; false with an error that names op and both shapes. */
bool neap_broadcast_shape (neap_context *c, const char *op, neap_tensor *const *in, int n, int *ndim, int64_t *shape);
/* x itself, or a view of it of that shape (taped when x is tracked). */
neap_tensor *neap_broadcast_to (neap_context *c, neap_tensor *x, int ndim, const int64_t *shape);

/* For rules.  A value that was written since it was recorded gives NULL and NEAP_ESTATE. */
neap_tensor *neap_rule_in (neap_rule *r, int i);
neap_tensor *neap_rule_out (neap_rule *r);

/* Elementwise execution: out (contiguous, fresh) from inputs of its shape, any strides, or of one element. */
bool neap_run_elementwise (neap_call *k, neap_tensor *out);

/* dst[...] = src[...] with conversion; same shape, any strides.  Does not touch versions. */
void neap_copy_strided (neap_tensor *dst, const neap_tensor *src);
/* x itself when row-major without gaps, else a lent copy.  Not taped: for kernels. */
neap_tensor *neap_contiguous_data (neap_context *c, neap_tensor *x);

#endif
