/*
** rules.h -- helpers of derivative rules, over op constructors: a gradient is an ordinary graph.
** Invariant: every helper takes the context first, passes NULL through, and reads attributes as the user gave
** them (1-based).  The macros below give them the bare names that the rows' derivative columns use.
*/
#ifndef NEAP_OPS_RULES_H
#define NEAP_OPS_RULES_H

#include "ops/support.h"

/* ---- elementwise rows ---- */

/* d x^y / dx = y x^(y−1), and 0 where y = 0 (also at x = 0). */
neap_tensor *rule_pow_dx (neap_context *c, neap_tensor *x, neap_tensor *y);
/* d x^y / dy = x^y log x, and 0 where x = 0. */
neap_tensor *rule_pow_dy (neap_context *c, neap_tensor *x, neap_tensor *y, neap_tensor *o);
/* σ(x) (1 + x (1 − σ(x))) */
neap_tensor *rule_silu_d4 (neap_context *c, neap_tensor *x);
/* Φ(x) + x φ(x), or the derivative of the tanh approximation. */
neap_tensor *rule_gelu_dx (neap_context *c, neap_tensor *x, const neap_attrs *a);
/* min <= x <= max as bool; a bound that is not given holds. */
neap_tensor *rule_clamp_inside (neap_context *c, neap_tensor *x, const neap_attrs *a);

#define pow_dx(x, y) rule_pow_dx(c, x, y)
#define pow_dy(x, y, o) rule_pow_dy(c, x, y, o)
#define silu_d4(x) rule_silu_d4(c, x)
#define gelu_dx(x, a) rule_gelu_dx(c, x, a)
#define clamp_inside(x, a) rule_clamp_inside(c, x, a)

/* ---- reductions and shape ---- */

/* g, of the shape of x reduced over a's dims (keepdim in a->i[0]), with the reduced dimensions back as size 1. */
neap_tensor *rule_keepdim (neap_context *c, neap_tensor *g, const neap_tensor *x, const neap_attrs *a);
/* The transpose of a sum: rule_keepdim, expanded to x's shape. */
neap_tensor *rule_unreduce (neap_context *c, neap_tensor *g, const neap_tensor *x, const neap_attrs *a);
/* The transpose of expand: sums g over the dimensions along which x was repeated. */
neap_tensor *rule_unexpand (neap_context *c, neap_tensor *g, const neap_tensor *x);
/* The transpose of permute. */
neap_tensor *rule_unpermute (neap_context *c, neap_tensor *g, const neap_attrs *a);
/* The transpose of cumsum: sums from the end. */
neap_tensor *rule_cumsum_back (neap_context *c, neap_tensor *g, const neap_attrs *a);
/* The transposes of slice and select: g placed into zeros of x's shape. */
neap_tensor *rule_unslice (neap_context *c, neap_tensor *g, const neap_tensor *x, const neap_attrs *a);
neap_tensor *rule_unselect (neap_context *c, neap_tensor *g, const neap_tensor *x, const neap_attrs *a);
/* The transpose of unslice: takes the elements back out. */
neap_tensor *rule_slice_back (neap_context *c, neap_tensor *g, const neap_tensor *x, const neap_attrs *a);

#define unreduce(g, x, a) rule_unreduce(c, g, x, a)
#define unexpand(g, x) rule_unexpand(c, g, x)
#define unpermute(g, a) rule_unpermute(c, g, a)
#define reshape_like(g, x) op_reshape_like(c, g, x)
#define cumsum_back(g, a) rule_cumsum_back(c, g, a)
#define unslice_like(g, x, a) rule_unslice(c, g, x, a)
#define unselect(g, x, a) rule_unselect(c, g, x, a)
#define slice_back(g, x, a) rule_slice_back(c, g, x, a)
#define zeros_like(x) neap_zeros_like(c, x)

/* ---- convolution: attributes that end with stride, padding and dilation, and groups ---- */

#define conv_attrs(a) (a)->dims + (a)->count - 6, (a)->dims + (a)->count - 4, (a)->dims + (a)->count - 2, (a)->i[0]

/* ---- indexing ---- */

/* The part of g that input i of a cat gave. */
neap_tensor *rule_uncat (neap_rule *r, int i, neap_tensor *g);
/* Transposes of rows (x, idx, src) that write src into x at idx. */
neap_tensor *rule_index_copy (neap_rule *r, int i, neap_tensor *g);
neap_tensor *rule_scatter (neap_rule *r, int i, neap_tensor *g);
neap_tensor *rule_scatter_add (neap_rule *r, int i, neap_tensor *g);

#endif
