/*
** index_rules.c -- transposes of rows that write at indices, and the indexing rows made of others.
** Invariant: where indices repeat, the gradient of what was overwritten is zero.
*/
#include "ops/rules.h"
#include <math.h>
#include <string.h>

neap_tensor *rule_uncat (neap_rule *r, int i, neap_tensor *g) {
  const neap_node *node = r->node;
  int axis;
  if (!g || !neap_axis(r->c, "cat", "dimension", given(node->a->i[0]) ? node->a->i[0] : 1, g->ndim, &axis)) return NULL;
  int64_t before = 0, size = node->in[i]->shape[axis];
  for (int j = 0; j < i; j++) before += node->in[j]->shape[axis];
  return neap_slice(r->c, g, axis + 1, before + 1, before + size, 1);
}

/* 1 where entry j of a write survived, else 0: entries are numbered, written, and read back */
static neap_tensor *survivors (neap_context *c, neap_tensor *numbers, neap_tensor *back, neap_dtype d) {
  return neap_cast(c, neap_eq(c, numbers, back), d);
}

neap_tensor *rule_index_copy (neap_rule *r, int i, neap_tensor *g) {
  neap_context *c = r->c;
  int64_t dim = r->node->a->i[0];
  neap_tensor *idx = neap_rule_in(r, 1), *src = r->node->in[2];
  if (!g || !idx) return NULL;
  if (i == 0) return neap_index_copy(c, g, dim, idx, neap_zeros_like(c, src));
  int axis;
  if (!neap_axis(c, "index_copy", "dimension", dim, g->ndim, &axis)) return NULL;
  int64_t n = neap_numel(idx), sizes[NEAP_MAX_DIMS] = { 1, 1, 1, 1, 1, 1, 1, 1 };
  sizes[axis] = n;
  neap_tensor *numbers = neap_arange(c, NEAP_INT64, 1, (double)n, 1);
  neap_tensor *slots = neap_full(c, NEAP_INT64, 1, &g->shape[axis], 0);
  neap_tensor *back = neap_index_select(c, neap_index_copy(c, slots, 1, idx, numbers), 1, idx);
  neap_tensor *mask = neap_reshape(c, survivors(c, numbers, back, g->dtype), g->ndim, sizes);
  return neap_mul(c, neap_index_select(c, g, dim, idx), mask);
}

/* g, of idx's shape, as the gradient of src: zeros where src is larger, the sum where it is one number */
static neap_tensor *fit_source (neap_context *c, neap_tensor *g, const neap_tensor *src) {
  if (g && src->ndim == 0) return neap_sum(c, g, -1, NULL, false);
  for (int d = 0; g && d < src->ndim; d++)
    if (g->shape[d] < src->shape[d]) g = neap_unslice(c, g, d + 1, 1, 1, src->shape[d]);
  return g;
}

neap_tensor *rule_scatter (neap_rule *r, int i, neap_tensor *g) {
  neap_context *c = r->c;
  int64_t dim = r->node->a->i[0];
  neap_tensor *idx = neap_rule_in(r, 1);
  if (!g || !idx) return NULL;
  if (i == 0) return neap_scatter(c, g, dim, idx, neap_scalar(c, g->dtype, 0));
  int64_t n = neap_numel(idx);
  neap_tensor *numbers = neap_reshape(c, neap_arange(c, NEAP_INT64, 1, (double)n, 1), idx->ndim, idx->shape);
  neap_tensor *slots = neap_full(c, NEAP_INT64, g->ndim, g->shape, 0);
  neap_tensor *back = neap_gather(c, neap_scatter(c, slots, dim, idx, numbers), dim, idx);
  neap_tensor *kept = neap_mul(c, neap_gather(c, g, dim, idx), survivors(c, numbers, back, g->dtype));
  return fit_source(c, kept, r->node->in[2]);
}

neap_tensor *rule_scatter_add (neap_rule *r, int i, neap_tensor *g) {
  neap_tensor *idx = neap_rule_in(r, 1);
  if (!g || !idx || i == 0) return idx ? g : NULL;
  return fit_source(r->c, neap_gather(r->c, g, r->node->a->i[0], idx), r->node->in[2]);
}

/* ---- rows made of others ---- */

neap_tensor *build_masked_fill (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  neap_tensor *x = in[0], *mask = in[1];
  neap_tensor *out = neap_where(c, mask, neap_scalar(c, x->dtype, a->f[0]), x);
  if (out && !neap_same_shape(out, x))
    return neap_fail(c, NEAP_ESHAPE, "masked_fill: mask of shape %s does not fit shape %s", SHAPE_TEXT(mask),
                     SHAPE_TEXT(x));
  return out;
}

neap_tensor *build_stack (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  if (n == 0) return neap_fail(c, NEAP_EARG, "stack: at least one tensor expected");
  int64_t dim = given(a->i[0]) ? a->i[0] : 1;
  size_t bytes = (size_t)n * sizeof *in;
  neap_tensor **parts = neap_malloc(c, bytes), *out = NULL;
  if (!parts) return NULL;
  int i = 0;
  for (; i < n && (parts[i] = neap_unsqueeze(c, in[i], dim)); i++)
    if (!neap_same_shape(in[i], in[0])) {
      neap_fail(c, NEAP_ESHAPE, "stack: tensor %d of shape %s differs from %s", i + 1, SHAPE_TEXT(in[i]),
                SHAPE_TEXT(in[0]));
      break;
    }
  if (i == n) out = neap_cat(c, n, parts, dim);
  neap_free(c, parts, bytes);
  return out;
}

/* positions of a mask in row-major order, as a list */
static neap_tensor *positions (neap_context *c, neap_tensor *mask) {
  neap_tensor *at = neap_nonzero(c, neap_flatten(c, mask, 1, -1));
  return at ? neap_reshape(c, at, 1, at->shape) : NULL;
}

/* mask over the leading dimensions: x [m…, rest…] -> [n, rest…] */
static neap_tensor *select_leading (neap_context *c, neap_tensor *x, neap_tensor *mask) {
  int64_t sizes[NEAP_MAX_DIMS];
  int n = 0;
  sizes[n++] = neap_numel(mask);
  for (int d = mask->ndim; d < x->ndim; d++) sizes[n++] = x->shape[d];
  return neap_index_select(c, neap_reshape(c, x, n, sizes), 1, positions(c, mask));
}

neap_tensor *build_masked_select (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n; (void)a;
  neap_tensor *x = in[0], *mask = in[1];
  if (!mask) return neap_fail(c, NEAP_EARG, "masked_select: argument 2 is missing");
  if (mask->dtype != NEAP_BOOL)
    return neap_fail(c, NEAP_EDTYPE, "masked_select: a bool mask expected, got %s", neap_dtype_name(mask->dtype));
  bool leading = mask->ndim > 0 && mask->ndim <= x->ndim;
  for (int d = 0; leading && d < mask->ndim; d++) leading = mask->shape[d] == x->shape[d];
  if (leading) return select_leading(c, x, mask);
  int ndim;
  int64_t shape[NEAP_MAX_DIMS];
  if (!neap_broadcast_shape(c, "masked_select", in, 2, &ndim, shape)) return NULL;
  x = neap_flatten(c, neap_broadcast_to(c, x, ndim, shape), 1, -1);
  return neap_index_select(c, x, 1, positions(c, neap_broadcast_to(c, mask, ndim, shape)));
}
