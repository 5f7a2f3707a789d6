/*
** net.c -- what networks are made of: affine maps, normalisation, dropout, tables, losses.
** Invariant: all but one_hot are composed of other ops, so their derivatives, of any order, come from there.
** The last dimension is the one of features or classes; labels and table indices start at 1.
*/
#include "linalg.h"
#include <math.h>
#include <string.h>

/* x [B…, in] · wᵀ + b, w [out, in], b [out] -> [B…, out] */
neap_tensor *build_linear (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n; (void)a;
  if (!linalg_given(c, "linear", in, 2)) return NULL;
  neap_tensor *x = in[0], *w = in[1], *b = in[2];
  if (w->ndim != 2 || x->ndim < 1 || x->shape[x->ndim - 1] != w->shape[1])
    return neap_fail(c, NEAP_ESHAPE,
                     "linear: x [batch…, in] and w [out, in] expected, got %s and %s", SHAPE_TEXT(x), SHAPE_TEXT(w));
  if (b && (b->ndim != 1 || b->shape[0] != w->shape[0]))
    return neap_fail(c, NEAP_ESHAPE,
        "linear: w is %s, so b must be [%lld], got %s", SHAPE_TEXT(w), (long long)w->shape[0], SHAPE_TEXT(b));
  neap_tensor *y = neap_matmul(c, x, linalg_transposed(c, w));
  return b ? neap_add(c, y, b) : y;
}

/* ---- normalisation ---- */

/* (x − mean) / √(var + eps) over the dimensions first..ndim (1-based) */
static neap_tensor *standardized (neap_context *c, neap_tensor *x, int first, double eps) {
  int64_t dims[NEAP_MAX_DIMS];
  int n = 0;
  if (!x) return NULL;
  for (int d = first; d <= x->ndim; d++) dims[n++] = d;
  neap_tensor *centred = neap_sub(c, x, neap_mean(c, x, n, dims, true));
  neap_tensor *var = neap_mean(c, neap_square(c, centred), n, dims, true);
  return var ? neap_mul(c, centred, neap_rsqrt(c, neap_add(c, var, neap_scalar(c, var->dtype, eps)))) : NULL;
}

static bool good_eps (neap_context *c, const char *op, double eps) {
  return eps >= 0 || neap_fail(c, NEAP_EARG, "%s: eps must be at least 0, got %g", op, eps);
}

static neap_tensor *affine (neap_context *c, neap_tensor *x, neap_tensor *weight, neap_tensor *bias) {
  if (weight) x = neap_mul(c, x, weight);
  return bias ? neap_add(c, x, bias) : x;
}

static bool fits_tail (neap_context *c, const char *name, const neap_tensor *p, const neap_tensor *x, int dims) {
  bool fits = !p || p->ndim == dims;
  for (int i = 0; p && fits && i < dims; i++) fits = p->shape[i] == x->shape[x->ndim - dims + i];
  return fits || neap_fail(c, NEAP_ESHAPE,
                           "layer_norm: %s must have the shape of x's last %d dimensions, got %s for x %s", name, dims,
                           SHAPE_TEXT(p), SHAPE_TEXT(x));
}

/* x [B…, event…] -> the same, over the last `dims` dimensions (Ba, Kiros, Hinton 2016) */
neap_tensor *build_layer_norm (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  if (!linalg_given(c, "layer_norm", in, 1)) return NULL;
  neap_tensor *x = op_float(c, in[0]), *weight = in[1], *bias = in[2];
  int64_t dims = a->i[0];
  if (!x) return NULL;
  if (!good_eps(c, "layer_norm", a->f[0])) return NULL;
  if (dims < 1 || dims > x->ndim)
    return neap_fail(c, NEAP_EARG,
                     "layer_norm: dims must be 1..%d for x %s, got %lld", x->ndim, SHAPE_TEXT(x), (long long)dims);
  if (!fits_tail(c, "weight", weight, x, (int)dims) || !fits_tail(c, "bias", bias, x, (int)dims)) return NULL;
  return affine(c, standardized(c, x, x->ndim - (int)dims + 1, a->f[0]), weight, bias);
}

/* p [C] as [C, 1, …], to meet x [N, C, …] */
static neap_tensor *per_channel (neap_context *c, const char *name, neap_tensor *p, const neap_tensor *x) {
  if (p->ndim != 1 || p->shape[0] != x->shape[1])
    return neap_fail(c, NEAP_ESHAPE,
        "group_norm: %s must be [%lld] for x %s, got %s", name, (long long)x->shape[1], SHAPE_TEXT(x), SHAPE_TEXT(p));
  int64_t shape[NEAP_MAX_DIMS] = { p->shape[0], 1, 1, 1, 1, 1, 1, 1 };
  return neap_reshape(c, p, x->ndim - 1, shape);
}

/* x [N, C, …] -> the same; each group of C / groups channels standardized (Wu, He 2018) */
neap_tensor *build_group_norm (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)n;
  if (!linalg_given(c, "group_norm", in, 1)) return NULL;
  neap_tensor *x = op_float(c, in[0]), *weight = in[1], *bias = in[2];
  int64_t groups = a->i[0];
  if (!x) return NULL;
  if (x->ndim < 2 || groups < 1 || x->shape[1] % groups != 0)
    return neap_fail(c, NEAP_ESHAPE,
                     "group_norm: x [N, C, …] with C a multiple of groups = %lld expected, got %s", (long long)groups,
                     SHAPE_TEXT(x));
  if (!good_eps(c, "group_norm", a->f[0])) return NULL;
  if (weight && !(weight = per_channel(c, "weight", weight, x))) return NULL;
  if (bias && !(bias = per_channel(c, "bias", bias, x))) return NULL;
  int64_t each = op_product(x->shape + 1, x->ndim - 1) / groups, shape[] = { x->shape[0], groups, each };
  neap_tensor *y = standardized(c, neap_reshape(c, x, 3, shape), 3, a->f[0]);
  return affine(c, op_reshape_like(c, y, x), weight, bias);
}

/* Each element is 0 with probability p, else x / (1 − p); draws from the context's own stream. */
neap_tensor *build_dropout (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  if (!linalg_given(c, "dropout", in, n)) return NULL;
  double p = a->f[0];
  neap_tensor *x = op_float(c, in[0]);
  if (!(p >= 0 && p <= 1)) return neap_fail(c, NEAP_EARG, "dropout: a probability from 0 to 1 expected, got %g", p);
  if (!x) return NULL;
  if (p == 0) return op_same(c, x);
  neap_tensor *u = neap_rng_uniform(c, neap_rng_default(c), x->dtype, x->ndim, x->shape);
  neap_tensor *kept = neap_ge(c, u, neap_scalar(c, x->dtype, p)), *zero = neap_scalar(c, x->dtype, 0);
  double scale = p < 1 ? 1 / (1 - p) : 0;              /* nothing is kept at 1, and no infinity reaches the derivative */
  return neap_where(c, kept, neap_mul(c, x, neap_scalar(c, x->dtype, scale)), zero);
}

/* ---- tables ---- */

/* table [V, D…], idx [S…] -> [S…, D…] */
neap_tensor *build_embedding (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)a;
  if (!linalg_given(c, "embedding", in, n)) return NULL;
  neap_tensor *table = in[0], *idx = in[1];
  int total = idx->ndim + table->ndim - 1;
  if (table->ndim < 1 || total > NEAP_MAX_DIMS)
    return neap_fail(c, NEAP_ESHAPE,
        "embedding: a table [rows, …] and indices expected, got %s and %s", SHAPE_TEXT(table), SHAPE_TEXT(idx));
  int64_t shape[2 * NEAP_MAX_DIMS];
  memcpy(shape, idx->shape, sizeof idx->shape);
  memcpy(shape + idx->ndim, table->shape + 1, (size_t)(table->ndim - 1) * sizeof *shape);
  neap_tensor *flat = neap_reshape(c, idx, 1, (int64_t[]){ neap_numel(idx) });
  return neap_reshape(c, neap_index_select(c, table, 1, flat), total, shape);
}

/* idx [S…] -> [S…, n] of the default float */
bool infer_one_hot (neap_call *k, neap_meta *out) {
  const neap_tensor *idx = k->in[0];
  if (k->a.i[0] < 0)
    return neap_fail(k->c, NEAP_EARG, "one_hot: n must not be negative, got %lld", (long long)k->a.i[0]);
  if (idx->ndim == NEAP_MAX_DIMS)
    return neap_fail(k->c, NEAP_ESHAPE, "one_hot: at most %d dimensions, got %s", NEAP_MAX_DIMS - 1, SHAPE_TEXT(idx));
  op_meta(out, k->c->default_dtype, idx->ndim, idx->shape);
  out->shape[out->ndim++] = k->a.i[0];
  return true;
}

bool run_one_hot (neap_call *k, neap_tensor *out) {
  neap_tensor *idx = neap_contiguous_data(k->c, k->in[0]);
  if (!idx) return false;
  int64_t classes = k->a.i[0], rows = neap_numel(idx);
  const int64_t *label = neap_ptr(idx);
  memset(neap_ptr(out), 0, (size_t)neap_numel(out) * neap_dtype_size(out->dtype));
  for (int64_t i = 0; i < rows; i++) {
    if (label[i] < 1 || label[i] > classes)
      return neap_fail(k->c, NEAP_EARG,
                       "one_hot: indices must be 1..%lld, got %lld", (long long)classes, (long long)label[i]);
    int64_t at = i * classes + label[i] - 1;
    if (out->dtype == NEAP_FLOAT64) ((double *)neap_ptr(out))[at] = 1;
    else ((float *)neap_ptr(out))[at] = 1;
  }
  return true;
}

/* ---- losses: means over all rows or elements ---- */

static neap_tensor *mean_all (neap_context *c, neap_tensor *x) { return neap_mean(c, x, -1, NULL, false); }

static bool same_shapes (neap_context *c, const char *op, const neap_tensor *a, const neap_tensor *b) {
  return neap_same_shape(a, b) || neap_fail(c, NEAP_ESHAPE,
      "%s: two tensors of one shape expected, got %s and %s", op, SHAPE_TEXT(a), SHAPE_TEXT(b));
}

/* labels, of any shape: all in 1..classes */
static bool check_labels (neap_context *c, neap_tensor *labels, int64_t classes) {
  neap_tensor *t = neap_contiguous_data(c, labels);
  const int64_t *label = t ? neap_ptr(t) : NULL;
  for (int64_t i = 0, n = t ? neap_numel(t) : 0; i < n; i++)
    if (label[i] < 1 || label[i] > classes)
      return neap_fail(c, NEAP_EARG, "cross_entropy: labels must be 1..%lld, got %lld (number %lld)", (long long)classes,
                       (long long)label[i], (long long)i + 1);
  return t != NULL;
}

/* logits [B…, C]; labels [B…] int64 1..C, or [B…, C] probabilities -> the mean of −log softmax(logits)[label] */
neap_tensor *build_cross_entropy (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)a;
  if (!linalg_given(c, "cross_entropy", in, n)) return NULL;
  neap_tensor *logits = in[0], *labels = in[1];
  bool soft = neap_is_float(labels->dtype) && neap_same_shape(logits, labels);
  bool fits = logits->ndim >= 1 && logits->ndim == labels->ndim + 1;
  for (int i = 0; fits && i < labels->ndim; i++) fits = logits->shape[i] == labels->shape[i];
  if (!soft && !fits)
    return neap_fail(c, NEAP_ESHAPE,
                     "cross_entropy: logits [batch…, classes] and labels [batch…] expected, got %s and %s",
                     SHAPE_TEXT(logits), SHAPE_TEXT(labels));
  if (!soft && labels->dtype != NEAP_INT64)
    return neap_fail(c, NEAP_EDTYPE, "cross_entropy: int64 labels expected, got %s", neap_dtype_name(labels->dtype));
  if (!soft && !check_labels(c, labels, logits->shape[logits->ndim - 1])) return NULL;
  neap_tensor *log_p = neap_log_softmax(c, logits, -1);
  if (soft) return neap_neg(c, mean_all(c, neap_sum(c, neap_mul(c, labels, log_p), 1, (int64_t[]){ -1 }, false)));
  return neap_neg(c, mean_all(c, neap_gather(c, log_p, -1, neap_unsqueeze(c, labels, labels->ndim + 1))));
}

/* mean (a − b)² */
neap_tensor *build_mse (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)a;
  if (!linalg_given(c, "mse", in, n)) return NULL;
  if (in[1]->ndim > 0 && !same_shapes(c, "mse", in[0], in[1])) return NULL;
  return mean_all(c, neap_square(c, neap_sub(c, in[0], in[1])));
}

/* mean −(t log σ(x) + (1 − t) log(1 − σ(x))): the two terms apart keep their relative precision at large |x| */
neap_tensor *build_bce_with_logits (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  (void)a;
  if (!linalg_given(c, "bce_with_logits", in, n)) return NULL;
  neap_tensor *x = op_float(c, in[0]), *t = in[1];
  if (!x || !same_shapes(c, "bce_with_logits", x, t)) return NULL;
  if (!(t = neap_cast(c, t, x->dtype))) return NULL;
  neap_tensor *yes = neap_mul(c, t, neap_log_sigmoid(c, x));
  neap_tensor *no = neap_mul(c, neap_sub(c, neap_scalar(c, x->dtype, 1), t), neap_log_sigmoid(c, neap_neg(c, x)));
  return neap_neg(c, mean_all(c, neap_add(c, yes, no)));
}
