/*
** graph.h -- a recorded function: values, and the nodes that make them.
** Invariant: a value is a piece of storage, row-major from its first element; views are no values: an operand (ref)
** carries its own shape, strides and offset.  Nodes stand in an order in which they can be executed.
*/
#ifndef NEAP_PROGRAM_GRAPH_H
#define NEAP_PROGRAM_GRAPH_H

#include "kernels/draw.h"

/* n, or n for each row of the samples */
typedef struct row_size { int64_t n; bool rows; } row_size;
static inline int64_t size_at (row_size s, int64_t rows) { return s.rows ? s.n * rows : s.n; }

/* labels; 0 and above: the dimension that counts rows.  SUM: added up over rows, so blocks make parts of it; AFTER:
** made of sums, and of nothing that has rows. */
enum { AXIS_SHARED = -1, AXIS_MIXED = -2, AXIS_SUM = -3, AXIS_AFTER = -4 };
/* parts of a run: once before, in each block, once after on the sums of all blocks */
enum { PHASE_ONCE = 1, PHASE_BLOCK = 2, PHASE_AFTER = 4 };
enum { GRAPH_RNGS = 16 };

typedef enum value_kind { VALUE_INPUT, VALUE_LEAF, VALUE_NUMBER, VALUE_NODE } value_kind;

/* a number as it is, or times, over, or one over the number of rows times it */
typedef enum number_rate { NUMBER_PLAIN, NUMBER_TIMES, NUMBER_OVER, NUMBER_ONE_OVER } number_rate;

typedef struct graph_value {
  value_kind kind;
  neap_dtype dtype;
  int ndim; row_size shape[NEAP_MAX_DIMS];
  int maker;                               /* the node; the number of an input */
  neap_storage *store;                     /* leaf: counted */
  size_t bytes;                            /* leaf: what it holds if it was made while recording, else 0 */
  double number; number_rate rate;         /* the one number that every element is */
  double element;                          /* holds it in the value's dtype while a program runs */
  int axis;                                /* label */
  unsigned phases;                         /* of a node's value: where it is made */
  bool fixed;                              /* made of leaves and numbers alone: once per run is enough */
  bool used;
  bool weight;                             /* fixed, and read by a product */
  bool late;                               /* only late outputs are made of it */
} graph_value;

typedef struct graph_ref {
  int value;
  neap_dtype dtype;
  int ndim;
  row_size shape[NEAP_MAX_DIMS], strides[NEAP_MAX_DIMS], offset;   /* in elements, from the storage's first */
} graph_ref;

typedef struct graph_node {
  int op;                                  /* NEAP_OP_name, or the law of a draw, with lo and width in a.i */
  int n, first;                            /* operands: refs[first .. first + n) */
  int out;                                 /* value */
  int before;                              /* 1 + the node that makes part of the value, to which this one adds; or 0 */
  bool has_attrs;
  neap_attrs a; uint32_t attr_rows;        /* bits: i[0..4), dims[0..26) are per row */
  int rng, draw;                           /* which stream, and which of a step's draws from it */
} graph_node;

typedef struct graph {
  neap_context *c;
  graph_value *values; int nvalues, values_size;
  graph_node *nodes; int nnodes, nodes_size;
  graph_ref *refs; int nrefs, refs_size;
  int *uses;                               /* refs by value, while simplify.c replaces some */
  int ninputs, noutputs, outputs;          /* inputs are the first values; outputs: refs[outputs ..) */
  neap_rng *rng[GRAPH_RNGS]; int nrngs; uint64_t draws[GRAPH_RNGS];   /* counted; draws of one step */
  neap_tensor **vars; int nvars;           /* counted: the variables that the last nvars outputs are gradients by */
  uint64_t guards;                         /* hash of sizes that views were cut by: a part of what is compared */
  bool scans;                              /* a run takes many steps */
  uint64_t late;                           /* bits: outputs (of 64) that no step reads: the last one's will do */
  bool by_rows;                            /* sizes hold for every number of rows */
  bool blocks;                             /* each row depends on itself and on what is shared alone */
} graph;

graph *graph_new (neap_context *c);
void graph_free (graph *g);                            /* NULL is ignored */
/* New entries, zeroed; -1 without memory. */
int graph_value_new (graph *g);
int graph_node_new (graph *g);
int graph_refs_new (graph *g, int n);
/* Holds on to n variables; false without memory. */
bool graph_set_vars (graph *g, int n, neap_tensor *const *vars);
/* The ref that is all of value v. */
graph_ref graph_whole (const graph *g, int v);
bool graph_is_whole (const graph *g, const graph_ref *r);
bool graph_same_shape (const graph_ref *a, const graph_ref *b);
bool graph_same_ref (const graph_ref *a, const graph_ref *b);
bool graph_elementwise (const graph_node *n);          /* by tile kernels */
bool graph_convolves (const graph_node *n);            /* images with filters, forwards or back to images */
bool graph_is_sum (graph *g, const graph_node *n);     /* of two operands of its own shape, floats */
double graph_number (const graph_value *v, int64_t rows);
int64_t graph_numel (int ndim, const row_size *shape, int64_t rows);
void graph_count_uses (const graph *g, int *uses);     /* adds to uses[value] how often nodes and outputs read it */
static inline graph_ref *graph_in (graph *g, const graph_node *n, int i) { return &g->refs[n->first + i]; }

/* What the graph does, without the leaves and numbers it does it to: equal keys, equal programs.  Grows *buf. */
typedef struct graph_key { char *data; size_t n, size; uint64_t hash; } graph_key;
bool graph_make_key (graph *g, graph_key *key);
void graph_key_free (neap_context *c, graph_key *key);

/* rows.c: makes g, recorded at 2 rows, hold for any number by comparing with other, recorded at 3; false: it
** does not */
bool graph_by_rows (graph *g, const graph *other);
bool graph_counts_rows (const graph *g);               /* has it numbers that depend on how many they are? */
/* Is o, recorded at so many rows, what g (by rows) says for them? */
bool graph_holds_at (const graph *g, const graph *o, int64_t rows);
/* The same graph, with the same numbers? */
bool graph_equal (graph *g, graph *other);
static inline bool graph_is_late (const graph *g, int output) { return output < 64 && (g->late >> output & 1); }
/* A run takes many steps, and output j replaces input carry[j], or none (-1). */
void graph_set_carry (graph *g, const int *carry);
/* label.c: labels values and says where they are made; sets g->blocks. */
void graph_label (graph *g);

/* join.c: sums of a labelled graph that are only added up become one */
void graph_join (graph *g);
/* part.c: leaves and streams are counted once more, variables are left out */
graph *graph_copy (const graph *g);
/* g with the values in[0..nin) as its inputs, in place of its own, and other outputs.  Numbers that become inputs have
** one element. */
graph *graph_part (const graph *g, int nin, const int *in, int nout, const graph_ref *out);

/* A node before node i, of n operands, with a result like `like`; its index is i.  NULL without memory. */
graph_node *graph_insert (graph *g, int i, int op, const graph_ref *like, int n);

/* expand.c: activations and their derivatives by parts that they share.  False: no memory. */
bool graph_expand (graph *g);

/* pieces.c: sums of pieces that fill a dimension are these one after the other.  False: no memory. */
bool graph_pieces (graph *g);

/* factor.c: sums of products that share an operand are products of sums; has it found any?  False: no memory. */
bool graph_factor (graph *g, bool *found);

/* contract.c: x·y + z as one node; k·x + k·x as one product.  False: no memory. */
bool graph_contract (graph *g);

/* turn.c: matrices that are only read transposed are made so */
void graph_turn (graph *g);

/* order.c: operands are made right before their readers, so that few values live at a time: of a sum of energies one
** after the other, forwards and backwards.  False: no memory. */
bool graph_order (graph *g);

/* simplify.c: identities, common subexpressions, dead code, what is fixed, transposed weights.  False: no memory. */
bool graph_simplify (graph *g);

#endif
