/*
** conv2d.c -- convolution and pooling of images with channels first, [N, C, H, W].
** Invariant: all of it is made of the rows that have channels last; what comes out is a view of what they give.
*/
#include "ops/conv.h"
#include "ops/linalg.h"

static neap_tensor *permuted (neap_context *c, neap_tensor *x, int a, int b, int d, int e) {
  return x ? neap_permute(c, x, 4, (int64_t[]){ a, b, d, e }) : NULL;
}

static neap_tensor *channels_last (neap_context *c, neap_tensor *x) { return permuted(c, x, 1, 3, 4, 2); }
static neap_tensor *channels_first (neap_context *c, neap_tensor *x) { return permuted(c, x, 1, 4, 2, 3); }

/* b [outputs] or none */
static bool good_bias (neap_context *c, const char *op, const neap_tensor *b, const neap_tensor *w, int64_t outputs) {
  if (!b || (b->ndim == 1 && b->shape[0] == outputs)) return true;
  return neap_fail(c, NEAP_ESHAPE, "%s: w is %s, so b must be [%lld], got %s", op, SHAPE_TEXT(w), (long long)outputs,
                   SHAPE_TEXT(b));
}

static bool good_images (neap_context *c, const char *op, const char *form, const neap_tensor *x,
                         const neap_tensor *w) {
  if (x->ndim == 4 && w->ndim == 4) return true;
  return neap_fail(c, NEAP_ESHAPE, "%s: x [N, C, H, W] and w %s expected, got %s and %s", op, form, SHAPE_TEXT(x),
                   SHAPE_TEXT(w));
}

/* y [N, H, W, O] + b, with channels first */
static neap_tensor *with_bias (neap_context *c, neap_tensor *y, neap_tensor *b) {
  return channels_first(c, y && b ? neap_add(c, y, b) : y);
}

/* x [N, C, H, W], w [O, C / groups, kh, kw] -> [N, O, H', W'] */
neap_tensor *build_conv2d (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  if (!linalg_given(c, "conv2d", in, 2)) return NULL;
  neap_tensor *x = in[0], *w = in[1], *b = in[2];
  const int64_t *d = a->dims, groups = a->i[0];
  if (!good_images(c, "conv2d", "[O, C / groups, kh, kw]", x, w)) return NULL;
  if (!good_bias(c, "conv2d", b, w, w->shape[0])) return NULL;
  neap_tensor *y = neap_convolve(c, channels_last(c, x), permuted(c, w, 3, 4, 2, 1), d, d + 2, d + 4, groups);
  return with_bias(c, y, b);
}

/* what a transposed convolution makes of a side of n places; d[0], d[2] …: stride, padding, output_padding, dilation */
static int64_t transposed_side (int64_t n, int64_t kernel, const int64_t *d) {
  return (n - 1) * d[0] - 2 * d[2] + d[6] * (kernel - 1) + d[4] + 1;
}

/* output_padding must be less than stride, else it would be another window; and what follows must not overflow */
static bool good_transpose (neap_context *c, const neap_tensor *x, const neap_tensor *w, const int64_t *d) {
  static const char *const names[] = { "stride", "padding", "output_padding", "dilation" };
  for (int i = 1; i < 4; i++)
    if (x->shape[i] > INT32_MAX || w->shape[i] > INT32_MAX)
      return neap_fail(c, NEAP_EARG, "conv_transpose2d: sizes up to %d expected, got %s and %s", INT32_MAX,
                       SHAPE_TEXT(x), SHAPE_TEXT(w));
  for (int i = 0; i < 8; i++) {
    int64_t low = i < 2 || i >= 6, high = i / 2 == 2 ? d[i % 2] - 1 : CONV_LONGEST;
    if (d[i] >= low && d[i] <= high) continue;
    return neap_fail(c, NEAP_EARG, "conv_transpose2d: %s must be %lld to %lld%s, got %lld", names[i / 2],
                     (long long)low, (long long)high, i / 2 == 2 ? ", less than stride" : "", (long long)d[i]);
  }
  return true;
}

/* x [N, C, H, W], w [C, O / groups, kh, kw] -> [N, O, H', W'] */
neap_tensor *build_conv_transpose2d (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  if (!linalg_given(c, "conv_transpose2d", in, 2)) return NULL;
  neap_tensor *x = in[0], *w = in[1], *b = in[2];
  const int64_t *d = a->dims, groups = a->i[0];
  if (!good_images(c, "conv_transpose2d", "[C, O / groups, kh, kw]", x, w) || !good_transpose(c, x, w, d)) return NULL;
  bool few = groups > 0 && groups <= INT32_MAX;        /* else convolve_input complains */
  if (few && !good_bias(c, "conv_transpose2d", b, w, w->shape[1] * groups)) return NULL;
  int64_t size[2];
  for (int i = 0; i < 2; i++) {
    size[i] = transposed_side(x->shape[2 + i], w->shape[2 + i], d + i);
    if (size[i] < 1)
      return neap_fail(c, NEAP_ESHAPE, "conv_transpose2d: nothing is left of x %s without padding %lld", SHAPE_TEXT(x),
                       (long long)d[2 + i]);
  }
  neap_tensor *images = channels_last(c, x), *filters = permuted(c, w, 3, 4, 2, 1);
  return with_bias(c, neap_convolve_input(c, images, filters, size, d, d + 2, d + 6, groups), b);
}

/* x with channels last, and the stride, which is the kernel's unless given */
static neap_tensor *pool_images (neap_context *c, const char *op, neap_tensor *x, const int64_t *d, int64_t *stride) {
  if (d[0] == NEAP_NONE || d[1] == NEAP_NONE) return neap_fail(c, NEAP_EARG, "%s: kernel is missing", op);
  if (x->ndim != 4) return neap_fail(c, NEAP_ESHAPE, "%s: images [N, C, H, W] expected, got %s", op, SHAPE_TEXT(x));
  for (int i = 0; i < 2; i++) stride[i] = d[2 + i] == NEAP_NONE ? d[i] : d[2 + i];
  return channels_last(c, x);
}

neap_tensor *build_avg_pool2d (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  int64_t stride[2];
  (void)n;
  neap_tensor *x = pool_images(c, "avg_pool2d", in[0], a->dims, stride);
  neap_tensor *sum = x ? neap_pool_sum(c, x, a->dims, stride, a->dims + 4) : NULL;
  double share = 1 / ((double)a->dims[0] * (double)a->dims[1]);
  return sum ? channels_first(c, neap_mul(c, sum, neap_scalar(c, sum->dtype, share))) : NULL;
}

/* the elements of x [N, H, W, C] that number [N, H', W', C] names */
static neap_tensor *elements_at (neap_context *c, neap_tensor *x, neap_tensor *number) {
  if (!x || !number) return NULL;
  int64_t windows = number->shape[1] * number->shape[2];
  neap_tensor *rows = neap_reshape(c, x, 3, (int64_t[]){ x->shape[0], x->shape[1] * x->shape[2], x->shape[3] });
  neap_tensor *at = neap_reshape(c, number, 3, (int64_t[]){ x->shape[0], windows, x->shape[3] });
  neap_tensor *found = rows && at ? neap_gather(c, rows, 2, at) : NULL;
  return found ? neap_reshape(c, found, 4, number->shape) : NULL;
}

neap_tensor *build_max_pool2d (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  int64_t stride[2];
  (void)n;
  neap_tensor *x = pool_images(c, "max_pool2d", in[0], a->dims, stride);
  neap_tensor *number = x ? neap_pool_argmax(c, x, a->dims, stride, a->dims + 4) : NULL;
  return channels_first(c, elements_at(c, x, number));
}
