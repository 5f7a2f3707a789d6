/*
** tensor.c -- scopes, the life of tensors, and what can be asked of them.
** Invariant: a tensor is freed when its last reference goes; freeing walks a list, never the C stack, so a tape of
** any length can be dropped.
*/
#include "tape_custom.h"
#include "program/trace.h"
#include <stdio.h>
#include <string.h>

/* ---- scopes ---- */

neap_scope neap_scope_open (neap_context *c) { return c->nlent; }

void neap_scope_close (neap_context *c, neap_scope s) {
  while (c->nlent > s) neap_release(c->lent[--c->nlent]);
}

static bool grow_scopes (neap_context *c) {
  if (c->closed) return neap_fail(c, NEAP_ESTATE, "the context was closed");
  size_t size = c->lent_size ? 2 * c->lent_size : 64;
  neap_tensor **lent = neap_realloc(c, c->lent, c->lent_size * sizeof *lent, size * sizeof *lent);
  if (!lent) return false;
  c->lent = lent; c->lent_size = size;
  return true;
}

/* a closed context has no slots */
static bool reserve_slot (neap_context *c) { return c->nlent < c->lent_size || grow_scopes(c); }

neap_tensor *neap_lend (neap_context *c, neap_tensor *t) {
  if (!t) return NULL;
  if (!reserve_slot(c)) { neap_release(t); return NULL; }
  return c->lent[c->nlent++] = t;
}

neap_tensor *neap_scope_return (neap_context *c, neap_scope s, neap_tensor *t) {
  if (c->nlent == s + 1 && c->lent[s] == t) return t;  /* the scope lends nothing else */
  neap_keep(t);
  neap_scope_close(c, s);
  return neap_lend(c, t);
}

/* ---- life ---- */

neap_tensor *neap_keep (neap_tensor *t) {
  if (t) t->refs++;
  return t;
}

/* puts t on the list of the dying (linked by grad) when this was its last reference, and so on with its gradient */
static void drop (neap_tensor *t, neap_tensor **dying) {
  while (t && --t->refs == 0) {
    neap_tensor *grad = t->grad;
    t->grad = *dying;
    *dying = t;
    t = grad;
  }
}

static size_t node_bytes (int n, const neap_attrs *a) {
  return sizeof(neap_node) + (size_t)n * (sizeof(neap_tensor *) + sizeof(uint32_t)) + (a ? neap_attr_bytes(a) : 0);
}

static void node_free (neap_context *c, neap_node *node, neap_tensor **dying) {
  for (int i = 0; i < node->n; i++) drop(node->in[i], dying);
  neap_custom_free(c, node->custom);
  neap_free(c, node, node_bytes(node->size, node->a));
}

/* t alone, which nothing holds and which holds nothing but its storage */
static void tensor_free (neap_tensor *t) {
  neap_context *c = t->ctx;
  neap_storage *store = t->store;
  neap_free(c, t, sizeof *t);
  neap_storage_release(c, store);
  neap_context_release(c);                             /* last: it may be the context's end */
}

static void bury (neap_tensor *dying) {
  while (dying) {
    neap_tensor *t = dying;
    dying = t->grad;
    if (t->node) node_free(t->ctx, t->node, &dying);
    tensor_free(t);
  }
}

void neap_release (neap_tensor *t) {
  if (!t || t->refs > 1) { if (t) t->refs--; return; }
  neap_tensor *dying = NULL;
  drop(t, &dying);
  bury(dying);
}

neap_node *neap_node_new (neap_context *c, int op, neap_tensor **in, int n, const neap_attrs *a) {
  neap_node *node = neap_malloc(c, node_bytes(n, a));
  if (!node) return NULL;
  *node = (neap_node){ .id = ++c->clock, .op = op, .n = n, .size = n };
  node->in = (neap_tensor **)(node + 1);
  char *rest = (char *)(node->in + n);
  if (a) { node->a = memcpy(rest, a, neap_attr_bytes(a)); rest += neap_attr_bytes(a); }
  node->versions = (uint32_t *)rest;
  for (int i = 0; i < n; i++) {
    node->in[i] = neap_keep(in[i]);
    node->versions[i] = in[i]->store->version;
  }
  return node;
}

void neap_node_clear (neap_node *node) {
  neap_tensor *dying = NULL;
  int n = node->n;
  if (n > 0) neap_custom_free(node->in[0]->ctx, node->custom);
  node->custom = NULL;
  node->n = 0;
  node->released = true;
  for (int i = 0; i < n; i++) drop(node->in[i], &dying);
  bury(dying);
}

/* ---- making ---- */

#define SIZES_TEXT(ndim, shape) neap_shape_text((char[NEAP_SHAPE_BYTES]){0}, ndim, shape)

/* How many elements, and whether bytes, sums and products of sizes stay far from overflow: a size 0 counts as 1 there,
** for parts of the shape are multiplied, too. */
static bool countable (int ndim, const int64_t *shape, neap_dtype d, size_t *numel) {
  size_t n = neap_size_of(d), count = 1;
  for (int i = 0; i < ndim; i++) {
    size_t size = (size_t)shape[i];
    if (shape[i] < 0 || __builtin_mul_overflow(n, size ? size : 1, &n) || n > SIZE_MAX / 256) return false;
    count *= size;
  }
  *numel = count;
  return true;
}

static bool refuse_shape (neap_context *c, int ndim, const int64_t *shape) {
  if (ndim < 0 || ndim > NEAP_MAX_DIMS)
    return neap_fail(c, NEAP_ESHAPE, "a tensor has 0 to %d dimensions, got %d", NEAP_MAX_DIMS, ndim);
  for (int i = 0; i < ndim; i++)
    if (shape[i] < 0)
      return neap_fail(c, NEAP_ESHAPE, "sizes must not be negative, got %s", SIZES_TEXT(ndim, shape));
  return neap_fail(c, NEAP_EMEMORY, "not enough memory: a tensor of shape %s is too large", SIZES_TEXT(ndim, shape));
}

static bool check_shape (neap_context *c, int ndim, const int64_t *shape, neap_dtype d, size_t *numel) {
  if ((unsigned)ndim <= NEAP_MAX_DIMS && countable(ndim, shape, d, numel)) return true;
  return refuse_shape(c, ndim, shape);
}

/* all but strides and store; sizes behind the last dimension are not set */
static neap_tensor *blank (neap_context *c, neap_dtype d, int ndim, const int64_t *shape) {
  neap_tensor *t = neap_malloc(c, sizeof *t);
  if (!t) return NULL;
  t->refs = 1;
  t->dtype = d;
  t->ndim = ndim;
  for (int i = 0; i < ndim; i++) t->shape[i] = shape[i];
  t->offset = 0;
  t->ctx = c;
  t->store = NULL;
  t->node = NULL;
  t->level = t->birth = t->frozen = t->mark = 0;
  t->slot = 0;
  t->grad = NULL;
  c->refs++;
  return t;
}

static void row_major (neap_tensor *t) {
  int64_t step = 1;
  for (int i = t->ndim - 1; i >= 0; i--) { t->strides[i] = step; step *= t->shape[i]; }
}

/* a pending lack of memory was that for t's elements */
static void name_shape (neap_context *c, const neap_tensor *t) {
  char text[NEAP_ERROR_BYTES];
  const char *what = "not enough memory";
  if (c->status != NEAP_EMEMORY || strncmp(c->error, what, strlen(what)) != 0) return;
  memcpy(text, c->error, sizeof text);
  neap_clear_error(c);
  neap_fail(c, NEAP_EMEMORY, "%s for a tensor of shape %s%s", what, SHAPE_TEXT(t), text + strlen(what));
}

/* lent: reserve_slot was called */
static neap_tensor *lend_reserved (neap_context *c, neap_tensor *t) { return c->lent[c->nlent++] = t; }

neap_tensor *neap_tensor_new (neap_context *c, neap_dtype d, int ndim, const int64_t *shape) {
  size_t numel;
  if (!neap_ok(c) || !reserve_slot(c) || !check_shape(c, ndim, shape, d, &numel)) return NULL;
  neap_tensor *t = blank(c, d, ndim, shape);
  if (!t) return NULL;
  t->store = neap_storage_new(c, numel * neap_size_of(d));
  if (!t->store) { name_shape(c, t); neap_release(t); return NULL; }
  row_major(t);
  if (c->trace) trace_new(c, t);
  return lend_reserved(c, t);
}

/* one more reference to s, of which the caller has one: while that is the only one no other thread counts */
static void share (neap_storage *s) {
  if (atomic_load_explicit(&s->refs, memory_order_relaxed) == 1)
    atomic_store_explicit(&s->refs, 2, memory_order_relaxed);
  else atomic_fetch_add(&s->refs, 1);
}

neap_tensor *neap_tensor_view (neap_context *c, neap_storage *store, neap_dtype d, int ndim,
                               const int64_t *shape, const int64_t *strides, int64_t offset) {
  size_t numel;
  if (!neap_ok(c) || !reserve_slot(c) || !check_shape(c, ndim, shape, d, &numel)) return NULL;
  neap_tensor *t = blank(c, d, ndim, shape);
  if (!t) return NULL;
  for (int i = 0; i < ndim; i++) t->strides[i] = strides[i];
  t->offset = offset;
  t->store = store;
  share(store);
  return lend_reserved(c, t);
}

/* ---- asking ---- */

neap_dtype neap_dtype_of (const neap_tensor *t) { return t->dtype; }
int neap_ndim (const neap_tensor *t) { return t->ndim; }
const int64_t *neap_shape (const neap_tensor *t) { return t->shape; }
const int64_t *neap_strides (const neap_tensor *t) { return t->strides; }
void *neap_data (const neap_tensor *t) {
  if (t->ctx->trace) trace_pointer(t->ctx, t);
  return neap_ptr(t);
}
neap_context *neap_context_of (const neap_tensor *t) { return t->ctx; }

int64_t neap_numel (const neap_tensor *t) {
  int64_t n = 1;
  for (int i = 0; i < t->ndim; i++) n *= t->shape[i];
  return n;
}

bool neap_is_contiguous (const neap_tensor *t) {
  int64_t step = 1;
  for (int i = t->ndim - 1; i >= 0; i--) {
    if (t->shape[i] == 0) return true;
    if (t->shape[i] != 1 && t->strides[i] != step) return false;
    step *= t->shape[i];
  }
  return true;
}

bool neap_same_shape (const neap_tensor *a, const neap_tensor *b) {
  if (a->ndim != b->ndim) return false;
  for (int i = 0; i < a->ndim; i++) if (a->shape[i] != b->shape[i]) return false;
  return true;
}

const char *neap_dtype_name (neap_dtype d) {
  static const char *const names[] = { "float32", "float64", "int64", "uint8", "bool" };
  return (unsigned)d < NEAP_NDTYPES ? names[d] : "?";
}

size_t neap_dtype_size (neap_dtype d) { return neap_size_of(d); }

char *neap_shape_text (char *buf, int ndim, const int64_t *shape) {
  size_t n = 0, size = NEAP_SHAPE_BYTES;
  n += (size_t)snprintf(buf + n, size - n, "[");
  for (int i = 0; i < ndim; i++) n += (size_t)snprintf(buf + n, size - n, i ? ", %lld" : "%lld", (long long)shape[i]);
  snprintf(buf + n, size - n, "]");
  return buf;
}

bool neap_axis (neap_context *c, const char *op, const char *arg, int64_t dim, int ndim, int *axis) {
  int64_t a = dim > 0 ? dim - 1 : dim + ndim;
  if (dim == 0 || a < 0 || a >= ndim)
    return ndim == 0
      ? neap_fail(c, NEAP_EARG, "%s: %s %lld: the tensor has no dimensions", op, arg, (long long)dim)
      : neap_fail(c, NEAP_EARG, "%s: %s %lld is out of range: 1..%d expected, or -1..-%d from the end", op, arg,
                  (long long)dim, ndim, ndim);
  *axis = (int)a;
  return true;
}
