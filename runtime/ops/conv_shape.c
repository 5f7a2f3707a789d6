/*
** conv_shape.c -- the sizes of convolutions and pools.
** Invariant: every call of a kernel passes conv_of or conv_pool_of; what they let pass fits its operands and 64 bits.
*/
#include "ops/conv.h"

static const char *const side_name[] = { "height", "width" };

/* ---- windows ---- */

static bool in_range (neap_call *k, const char *what, const int64_t *pair, int64_t low) {
  for (int i = 0; i < 2; i++) {
    if (pair[i] == NEAP_NONE) return neap_fail(k->c, NEAP_EARG, "%s: %s is missing", k->op->name, what);
    if (pair[i] < low || pair[i] > CONV_LONGEST)
      return neap_fail(k->c, NEAP_EARG, "%s: %s must be %lld to %d, got %lld", k->op->name, what, (long long)low,
                       CONV_LONGEST, (long long)pair[i]);
  }
  return true;
}

/* windows along side i; 0 when even one does not fit */
static int64_t count_windows (const conv_windows *w, int i) {
  int64_t span = w->size[i] + 2 * w->padding[i] - w->dilation[i] * (w->kernel[i] - 1) - 1;
  return span < 0 || w->size[i] == 0 ? 0 : span / w->stride[i] + 1;
}

/* Fills all but n and c for images of size[0..1] (dilation NULL: 1); windows may be none.  false: error set. */
static bool set_windows (neap_call *k, conv_windows *w, const int64_t *size, const int64_t *kernel,
                         const int64_t *stride, const int64_t *padding, const int64_t *dilation) {
  static const int64_t close[] = { 1, 1 };
  if (!dilation) dilation = close;
  if (!in_range(k, "kernel", kernel, 1) || !in_range(k, "stride", stride, 1) || !in_range(k, "padding", padding, 0) ||
      !in_range(k, "dilation", dilation, 1)) return false;
  for (int i = 0; i < 2; i++) {
    if (size[i] < 0 || size[i] > INT32_MAX)
      return neap_fail(k->c, NEAP_EARG, "%s: a %s from 0 to %d expected, got %lld", k->op->name, side_name[i],
                       INT32_MAX, (long long)size[i]);
    w->size[i] = size[i];
    w->kernel[i] = kernel[i];
    w->stride[i] = stride[i];
    w->padding[i] = padding[i];
    w->dilation[i] = dilation[i];
    w->out[i] = count_windows(w, i);
  }
  return true;
}

static bool has_windows (neap_call *k, const conv_windows *w) {
  for (int i = 0; i < 2; i++)
    if (w->out[i] == 0)
      return neap_fail(k->c, NEAP_ESHAPE, "%s: the kernel reaches over %lld, but %s %lld with padding %lld is less",
                       k->op->name, (long long)(w->dilation[i] * (w->kernel[i] - 1) + 1), side_name[i],
                       (long long)w->size[i], (long long)w->padding[i]);
  return true;
}

/* g [N, H', W', …] must be what windows over its images give. */
static bool is_of_windows (neap_call *k, const conv_windows *w, const neap_tensor *g) {
  if (!has_windows(k, w)) return false;
  for (int i = 0; i < 2; i++)
    if (g->shape[1 + i] != w->out[i])
      return neap_fail(k->c, NEAP_ESHAPE, "%s: %lld windows fit into %s %lld, but there are %lld of %s", k->op->name,
                       (long long)w->out[i], side_name[i], (long long)w->size[i], (long long)g->shape[1 + i],
                       SHAPE_TEXT(g));
  return true;
}

/* ---- convolution ---- */

static bool four_dims (neap_call *k, const char *what) {
  if (k->in[0]->ndim == 4 && k->in[1]->ndim == 4) return true;
  return neap_fail(k->c, NEAP_ESHAPE, "%s: %s expected, got %s and %s", k->op->name, what, SHAPE_TEXT(k->in[0]),
                   SHAPE_TEXT(k->in[1]));
}

/* c channels, o outputs, filters over cg channels (-1: any) */
static bool set_groups (neap_call *k, conv_shape *s, int64_t c, int64_t cg, int64_t o) {
  s->groups = k->a.i[0];
  if (c > INT32_MAX || o > INT32_MAX)
    return neap_fail(k->c, NEAP_EARG, "%s: at most %d channels expected", k->op->name, INT32_MAX);
  if (s->groups < 1 || c % s->groups || o % s->groups)
    return neap_fail(k->c, NEAP_EARG, "%s: groups = %lld must divide %lld channels and %lld outputs", k->op->name,
                     (long long)s->groups, (long long)c, (long long)o);
  s->w.c = c;
  s->o = o;
  s->cg = c / s->groups;
  s->og = o / s->groups;
  s->depth = s->w.kernel[0] * s->w.kernel[1] * s->cg;
  if (s->depth > INT32_MAX)
    return neap_fail(k->c, NEAP_EARG, "%s: a kernel of at most %d elements expected", k->op->name, INT32_MAX);
  if (cg < 0 || cg == s->cg) return true;
  return neap_fail(k->c, NEAP_ESHAPE, "%s: filters over %lld channels expected, %lld in %lld groups, got %lld",
                   k->op->name, (long long)s->cg, (long long)c, (long long)s->groups, (long long)cg);
}

static bool shape_of_convolve (neap_call *k, conv_shape *s) {
  const neap_tensor *x = k->in[0], *w = k->in[1];
  const int64_t *d = k->a.dims;
  s->w.n = x->shape[0];
  return set_windows(k, &s->w, x->shape + 1, w->shape, d, d + 2, d + 4) &&
         set_groups(k, s, x->shape[3], w->shape[2], w->shape[3]) && has_windows(k, &s->w);
}

static bool shape_of_input (neap_call *k, conv_shape *s) {
  const neap_tensor *g = k->in[0], *w = k->in[1];
  const int64_t *d = k->a.dims;
  s->w.n = g->shape[0];
  if (w->shape[3] != g->shape[3])
    return neap_fail(k->c, NEAP_ESHAPE, "%s: %lld outputs in g %s, but w is %s", k->op->name, (long long)g->shape[3],
                     SHAPE_TEXT(g), SHAPE_TEXT(w));
  bool few = k->a.i[0] >= 1 && k->a.i[0] <= INT32_MAX && w->shape[2] <= INT32_MAX;       /* else set_groups complains */
  return set_windows(k, &s->w, d, w->shape, d + 2, d + 4, d + 6) &&
         set_groups(k, s, few ? w->shape[2] * k->a.i[0] : w->shape[2], w->shape[2], w->shape[3]) &&
         is_of_windows(k, &s->w, g);
}

static bool shape_of_weight (neap_call *k, conv_shape *s) {
  const neap_tensor *x = k->in[0], *g = k->in[1];
  const int64_t *d = k->a.dims;
  s->w.n = x->shape[0];
  if (g->shape[0] != x->shape[0])
    return neap_fail(k->c, NEAP_ESHAPE, "%s: as many images in x as in g expected, got %s and %s", k->op->name,
                     SHAPE_TEXT(x), SHAPE_TEXT(g));
  return set_windows(k, &s->w, x->shape + 1, d, d + 2, d + 4, d + 6) &&
         set_groups(k, s, x->shape[3], -1, g->shape[3]) && is_of_windows(k, &s->w, g);
}

bool conv_of (neap_call *k, conv_shape *s) {
  if (k->op == &neap_ops[NEAP_OP_convolve])
    return four_dims(k, "x [N, H, W, C] and w [kh, kw, C / groups, O]") && shape_of_convolve(k, s);
  if (k->op == &neap_ops[NEAP_OP_convolve_input])
    return four_dims(k, "g [N, H, W, O] and w [kh, kw, C / groups, O]") && shape_of_input(k, s);
  return four_dims(k, "x [N, H, W, C] and g [N, H, W, O]") && shape_of_weight(k, s);
}

static void meta4 (neap_call *k, neap_meta *out, int64_t a, int64_t b, int64_t c, int64_t d) {
  op_meta(out, k->in[0]->dtype, 4, (int64_t[]){ a, b, c, d });
}

bool infer_convolve (neap_call *k, neap_meta *out) {
  conv_shape s;
  if (!conv_of(k, &s)) return false;
  meta4(k, out, s.w.n, s.w.out[0], s.w.out[1], s.o);
  return true;
}

bool infer_convolve_input (neap_call *k, neap_meta *out) {
  conv_shape s;
  if (!conv_of(k, &s)) return false;
  meta4(k, out, s.w.n, s.w.size[0], s.w.size[1], s.w.c);
  return true;
}

bool infer_convolve_weight (neap_call *k, neap_meta *out) {
  conv_shape s;
  if (!conv_of(k, &s)) return false;
  meta4(k, out, s.w.kernel[0], s.w.kernel[1], s.cg, s.o);
  return true;
}

/* ---- pools ---- */

static bool pads_less_than_half (neap_call *k, const conv_windows *w) {
  for (int i = 0; i < 2; i++)
    if (w->padding[i] > w->kernel[i] / 2)
      return neap_fail(k->c, NEAP_EARG, "%s: padding must be at most half of the kernel, got %lld for %lld",
                       k->op->name, (long long)w->padding[i], (long long)w->kernel[i]);
  return true;
}

bool conv_pool_of (neap_call *k, conv_windows *w) {
  const neap_tensor *x = k->in[0];
  const int64_t *d = k->a.dims;
  bool back = k->op == &neap_ops[NEAP_OP_unpool_sum];
  if (x->ndim != 4)
    return neap_fail(k->c, NEAP_ESHAPE, "%s: images [N, H, W, C] expected, got %s", k->op->name, SHAPE_TEXT(x));
  w->n = x->shape[0];
  w->c = x->shape[3];
  const int64_t *size = back ? d : x->shape + 1, *windows = back ? d + 2 : d;
  if (!set_windows(k, w, size, windows, windows + 2, windows + 4, NULL)) return false;
  return pads_less_than_half(k, w) && (back ? is_of_windows(k, w, x) : has_windows(k, w));
}

bool infer_pool_sum (neap_call *k, neap_meta *out) {
  conv_windows w;
  if (!conv_pool_of(k, &w)) return false;
  meta4(k, out, w.n, w.out[0], w.out[1], w.c);
  return true;
}

bool infer_unpool_sum (neap_call *k, neap_meta *out) {
  conv_windows w;
  if (!conv_pool_of(k, &w)) return false;
  meta4(k, out, w.n, w.size[0], w.size[1], w.c);
  return true;
}

bool infer_pool_argmax (neap_call *k, neap_meta *out) {
  if (k->in[0]->dtype == NEAP_BOOL)
    return neap_fail(k->c, NEAP_EDTYPE, "pool_argmax: a number dtype expected, got bool");
  if (!infer_pool_sum(k, out)) return false;
  out->dtype = NEAP_INT64;
  return true;
}
