/*
** view.c -- rows whose result shares the storage of x: permute, expand, flip, slice, select, diagonal, reshape.
** Invariant: only shape, strides and offset change; an offset is moved only to an element that exists.
*/
#include "ops/support.h"

/* the sizes asked for, for messages */
#define SIZES_TEXT(a) \
  neap_shape_text((char[NEAP_SHAPE_BYTES]){0}, (a)->count > NEAP_MAX_DIMS ? NEAP_MAX_DIMS : (a)->count, (a)->dims)

bool infer_permute (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  bool seen[NEAP_MAX_DIMS];
  if (k->a.count != x->ndim)
    return neap_fail(k->c, NEAP_EARG, "permute: %d dimensions expected for shape %s, got %d", x->ndim, SHAPE_TEXT(x),
                     k->a.count);
  if (!op_axes(k->c, "permute", &k->a, x->ndim, seen)) return false;
  op_meta_like(out, x);
  for (int i = 0; i < x->ndim; i++) {
    int axis;
    if (!neap_axis(k->c, "permute", "dimension", k->a.dims[i], x->ndim, &axis)) return false;
    out->shape[i] = x->shape[axis];
    out->strides[i] = x->strides[axis];
  }
  return out->view = true;
}

static bool expand_fails (neap_call *k) {
  return neap_fail(k->c, NEAP_ESHAPE, "expand: shape %s cannot be expanded to %s", SHAPE_TEXT(k->in[0]),
                   SIZES_TEXT(&k->a));
}

bool infer_expand (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  int extra = k->a.count - x->ndim;
  if (k->a.count < 0 || extra < 0 || k->a.count > NEAP_MAX_DIMS) return expand_fails(k);
  op_meta_like(out, x);
  out->ndim = k->a.count;
  for (int i = 0; i < out->ndim; i++) {
    int64_t size = k->a.dims[i], from = i < extra ? 1 : x->shape[i - extra];
    if (size == -1 && i >= extra) size = from;
    if (size < 0 || (from != size && from != 1)) return expand_fails(k);
    out->shape[i] = size;
    out->strides[i] = from == 1 && size != 1 ? 0 : i < extra ? 0 : x->strides[i - extra];
  }
  return out->view = true;
}

bool infer_flip (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  bool axes[NEAP_MAX_DIMS];
  if (!op_axes(k->c, "flip", &k->a, x->ndim, axes)) return false;
  op_meta_like(out, x);
  for (int i = 0; i < x->ndim; i++) {
    if (!axes[i]) continue;
    if (x->shape[i] > 1) out->offset += (x->shape[i] - 1) * x->strides[i];
    out->strides[i] = -x->strides[i];
  }
  return out->view = true;
}

/* ---- slice: first, last, step with 1-based inclusive ends ---- */

typedef struct range { int64_t first, step, count; } range;    /* first from 0 */

/* Both ends are clamped, as in Lua's string.sub; 0 as first index is an error. */
static bool resolve (neap_call *k, int64_t n, range *r) {
  int64_t first = k->a.i[1], last = k->a.i[2], step = given(k->a.i[3]) ? k->a.i[3] : 1;
  if (step == 0) return neap_fail(k->c, NEAP_EARG, "slice: step is 0");
  if (first == 0) return neap_fail(k->c, NEAP_EARG, "slice: first index is 0, indices start at 1");
  first = !given(first) ? (step > 0 ? 1 : n) : first < 0 ? first + n + 1 : first;
  last = !given(last) ? (step > 0 ? n : 1) : last < 0 ? last + n + 1 : last;
  if (step > 0) { first = between(first, 1, n + 1); last = between(last, 0, n); }
  else { first = between(first, 0, n); last = between(last, 1, n + 1); }
  int64_t span = step > 0 ? last - first : first - last;
  uint64_t size = step > 0 ? (uint64_t)step : -(uint64_t)step;
  *r = (range){ first - 1, step, span < 0 ? 0 : (int64_t)((uint64_t)span / size) + 1 };
  return true;
}

bool infer_slice (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  int axis;
  range r = { 0, 1, 0 };
  if (!neap_axis(k->c, "slice", "dimension", k->a.i[0], x->ndim, &axis)) return false;
  if (!resolve(k, x->shape[axis], &r)) return false;
  op_meta_like(out, x);
  out->shape[axis] = r.count;
  if (r.count > 1) out->strides[axis] *= r.step;
  if (r.count > 0) out->offset += r.first * x->strides[axis];
  return out->view = true;
}

bool infer_select (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  int axis;
  if (!neap_axis(k->c, "select", "dimension", k->a.i[0], x->ndim, &axis)) return false;
  int64_t n = x->shape[axis], i = k->a.i[1] < 0 ? k->a.i[1] + n : k->a.i[1] - 1;
  if (k->a.i[1] == 0 || i < 0 || i >= n)
    return neap_fail(k->c, NEAP_EARG, "select: index %lld is out of range for dimension %d of size %lld (shape %s)",
                     (long long)k->a.i[1], axis + 1, (long long)n, SHAPE_TEXT(x));
  op_meta_like(out, x);
  out->offset += i * x->strides[axis];
  out->ndim--;
  for (int d = axis; d < out->ndim; d++) {
    out->shape[d] = x->shape[d + 1];
    out->strides[d] = x->strides[d + 1];
  }
  return out->view = true;
}

/* of the last two dimensions: x [.., r, c] -> [.., len] */
bool infer_diagonal (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  int64_t off = given(k->a.i[0]) ? k->a.i[0] : 0;
  if (x->ndim < 2)
    return neap_fail(k->c, NEAP_ESHAPE, "diagonal: at least 2 dimensions expected, got shape %s", SHAPE_TEXT(x));
  int r = x->ndim - 2, c = x->ndim - 1;
  int64_t top = off < 0 ? -off : 0, left = off > 0 ? off : 0;
  int64_t rows = x->shape[r] - top, cols = x->shape[c] - left, len = rows < cols ? rows : cols;
  op_meta_like(out, x);
  out->ndim--;
  out->shape[r] = len > 0 ? len : 0;
  out->strides[r] = x->strides[r] + x->strides[c];
  if (len > 0) out->offset += top * x->strides[r] + left * x->strides[c];
  return out->view = true;
}

/* ---- reshape: a view when the strides allow, else a copy ---- */

static bool sizes_fail (neap_call *k) {
  return neap_fail(k->c, NEAP_ESHAPE, "%s: shape %s does not fit the sizes %s", k->op->name, SHAPE_TEXT(k->in[0]),
                   SIZES_TEXT(&k->a));
}

/* the sizes with one -1 worked out */
static bool infer_sizes (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0];
  int unknown = -1;
  int64_t known = 1, reach = 1, total = neap_numel(x);   /* reach: the sizes that are not 0, for strides */
  if (k->a.count < 0 || k->a.count > NEAP_MAX_DIMS) return sizes_fail(k);
  for (int i = 0; i < k->a.count; i++) {
    int64_t size = k->a.dims[i];
    if (size == -1 && unknown < 0) unknown = i;
    else if (size < 0 || __builtin_mul_overflow(reach, size ? size : 1, &reach)) return sizes_fail(k);
    else known *= size;
  }
  op_meta(out, x->dtype, k->a.count, k->a.dims);
  if (unknown < 0) return known == total || sizes_fail(k);
  if (known == 0 || total % known != 0) return sizes_fail(k);
  out->shape[unknown] = total / known;
  return true;
}

static void row_major (neap_meta *m) {
  int64_t step = 1;
  for (int i = m->ndim - 1; i >= 0; i--) { m->strides[i] = step; step *= m->shape[i]; }
}

/* Strides of x's storage read in m's shape; false when there are none.  Dimensions of x that lie together in memory
** are taken as one run, from the right, and must be made up by whole dimensions of m. */
static bool view_strides (const neap_tensor *x, neap_meta *m) {
  int to = m->ndim - 1;
  row_major(m);
  if (x->ndim == 0 || neap_numel(x) == 0) return true;
  int64_t base = x->strides[x->ndim - 1], run = 1, made = 1;
  for (int d = x->ndim - 1; d >= 0; d--) {
    run *= x->shape[d];
    if (d > 0 && (x->shape[d - 1] == 1 || x->strides[d - 1] == run * base)) continue;
    for (; to >= 0 && (made < run || m->shape[to] == 1); to--) { m->strides[to] = made * base; made *= m->shape[to]; }
    if (made != run) return false;
    run = made = 1;
    if (d > 0) base = x->strides[d - 1];
  }
  return true;
}

bool infer_reshape (neap_call *k, neap_meta *out) {
  if (!infer_sizes(k, out)) return false;
  out->offset = k->in[0]->offset;
  out->view = view_strides(k->in[0], out);
  return true;
}

bool run_reshape (neap_call *k, neap_tensor *out) {
  neap_tensor v = *out;                                /* the same memory in x's shape */
  const neap_tensor *x = k->in[0];
  int64_t step = 1;
  v.ndim = x->ndim;
  for (int i = x->ndim - 1; i >= 0; i--) { v.shape[i] = x->shape[i]; v.strides[i] = step; step *= x->shape[i]; }
  neap_copy_strided(&v, x);
  return true;
}

bool infer_view (neap_call *k, neap_meta *out) {
  if (!infer_reshape(k, out)) return false;
  if (out->view) return true;
  return neap_fail(k->c, NEAP_ESHAPE,
                   "view: the elements of shape %s do not lie in the order that sizes %s need; reshape copies them",
                   SHAPE_TEXT(k->in[0]), SIZES_TEXT(&k->a));
}
