/*
** op.c -- neap_apply, the one constructor: check, promote, broadcast, shape, run, tape.
** Invariant: what a tape entry holds are the promoted and broadcast inputs, so every rule sees equal shapes
** and dtypes; the casts and expansions before it are entries of their own.
*/
#include "op.h"
#include "program/trace.h"
#include <string.h>

/* ---- promotion, as NumPy: bool < uint8 < int64 < float32 < float64, and int64 with float32 is float64 ---- */

static neap_dtype common_dtype (neap_dtype a, neap_dtype b) {
  static const int rank[] = { 3, 4, 2, 1, 0 };
  if (a == b) return a;
  if (rank[a] < rank[b]) { neap_dtype t = a; a = b; b = t; }
  return a == NEAP_FLOAT32 && b == NEAP_INT64 ? NEAP_FLOAT64 : a;
}

static char letter (const neap_op *op, int i) {
  size_t n = strlen(op->inputs);
  return op->inputs[(size_t)i < n ? (size_t)i : n - 1];
}

/* the dtype that all inputs of this letter ('A' or 'F') become */
static neap_dtype joint_dtype (neap_call *k, char which) {
  bool any = false;
  neap_dtype d = NEAP_BOOL;
  for (int i = 0; i < k->n; i++)
    if (letter(k->op, i) == which) {
      d = any ? common_dtype(d, k->in[i]->dtype) : k->in[i]->dtype;
      any = true;
    }
  if (which == 'F' && !neap_is_float(d)) d = k->c->default_dtype;
  return d;
}

static bool cast_to (neap_call *k, int i, neap_dtype d) {
  if (k->in[i]->dtype != d) k->in[i] = neap_cast(k->c, k->in[i], d);
  return k->in[i] != NULL;
}

static bool promote_one (neap_call *k, int i, neap_dtype a, neap_dtype f) {
  switch (letter(k->op, i)) {
    case 'A': return cast_to(k, i, a);
    case 'F': return cast_to(k, i, f);
    case 'b': return cast_to(k, i, NEAP_BOOL);
    case 'i':
      if (k->in[i]->dtype == NEAP_INT64) return true;
      return neap_fail(k->c, NEAP_EDTYPE, "%s: an int64 tensor of indices expected as argument %d, got %s",
                       k->op->name, i + 1, neap_dtype_name(k->in[i]->dtype));
    default: return true;
  }
}

/* the common case: floats of one dtype, all of them promoted together */
static bool is_uniform (const neap_call *k) {
  neap_dtype d = k->in[0]->dtype;
  const char *s = k->op->inputs;
  for (int i = 0; i < k->n; i++) {
    if (k->in[i]->dtype != d || *s == 'b' || *s == 'i') return false;
    if (s[1]) s++;
  }
  return neap_is_float(d);
}

static bool promote (neap_call *k) {
  if (is_uniform(k)) return true;
  neap_dtype a = joint_dtype(k, 'A'), f = joint_dtype(k, 'F');
  for (int i = 0; i < k->n; i++) if (!promote_one(k, i, a, f)) return false;
  return true;
}

/* ---- broadcasting ---- */

/* grows shape (ndim from the right) by t's; false when a size differs and neither is 1 */
static bool join_shape (const neap_tensor *t, int *ndim, int64_t *shape) {
  int more = t->ndim - *ndim;
  if (more > 0) {
    for (int i = *ndim - 1; i >= 0; i--) shape[i + more] = shape[i];
    for (int i = 0; i < more; i++) shape[i] = 1;
    *ndim = t->ndim;
  }
  int64_t *at = shape + (*ndim - t->ndim);
  for (int i = 0; i < t->ndim; i++) {
    if (at[i] == t->shape[i] || t->shape[i] == 1) continue;
    if (at[i] != 1) return false;
    at[i] = t->shape[i];
  }
  return true;
}

bool neap_broadcast_shape (neap_context *c, const char *op, neap_tensor *const *in, int n, int *ndim,
                           int64_t *shape) {
  *ndim = in[0]->ndim;
  for (int i = 0; i < *ndim; i++) shape[i] = in[0]->shape[i];
  for (int i = 1; i < n; i++)
    if (!join_shape(in[i], ndim, shape))
      return neap_fail(c, NEAP_ESHAPE, "%s: shapes %s and %s cannot be broadcast together", op, SHAPE_TEXT(in[0]),
                       SHAPE_TEXT(in[i]));
  return true;
}

static bool is_of_shape (const neap_tensor *t, int ndim, const int64_t *shape) {
  if (t->ndim != ndim) return false;
  for (int i = 0; i < ndim; i++) if (t->shape[i] != shape[i]) return false;
  return true;
}

neap_tensor *neap_broadcast_to (neap_context *c, neap_tensor *x, int ndim, const int64_t *shape) {
  if (!x) return NULL;
  if (is_of_shape(x, ndim, shape)) return x;
  if (neap_tracked(c, x)) return neap_expand(c, x, ndim, shape);
  int64_t strides[NEAP_MAX_DIMS];
  for (int i = 0; i < ndim; i++) {
    int from = i - (ndim - x->ndim);
    strides[i] = from < 0 || (x->shape[from] == 1 && shape[i] != 1) ? 0 : x->strides[from];
  }
  return neap_tensor_view(c, x->store, x->dtype, ndim, shape, strides, x->offset);
}

static uint64_t newest_level (neap_call *k) {
  uint64_t level = 0;
  for (int i = 0; i < k->n; i++) if (k->in[i]->level > level) level = k->in[i]->level;
  return level;
}

static bool are_of_one_shape (const neap_call *k) {
  for (int i = 1; i < k->n; i++) if (!is_of_shape(k->in[i], k->in[0]->ndim, k->in[0]->shape)) return false;
  return true;
}

static bool broadcast (neap_call *k, neap_meta *m) {
  m->dtype = k->op->out != NEAP_NDTYPES ? k->op->out : k->in[k->n - 1]->dtype;
  if (are_of_one_shape(k)) {
    m->ndim = k->in[0]->ndim;
    for (int i = 0; i < m->ndim; i++) m->shape[i] = k->in[0]->shape[i];
    return true;
  }
  if (!neap_broadcast_shape(k->c, k->op->name, k->in, k->n, &m->ndim, m->shape)) return false;
  bool noted = k->c->trace || newest_level(k) > k->c->floor;
  for (int i = 0; i < k->n; i++) {
    if (!noted && neap_numel(k->in[i]) == 1) continue;     /* kernels read it as it is */
    if (!(k->in[i] = neap_broadcast_to(k->c, k->in[i], m->ndim, m->shape))) return false;
  }
  return true;
}

bool neap_attr_list (neap_context *c, const char *name, neap_attrs *a, int n, const int64_t *list) {
  int have = a->count > 0 ? a->count : 0;              /* a second list follows the first */
  if (n < 0) return true;
  if (n > NEAP_ATTR_INTS - have)
    return neap_fail(c, NEAP_EARG, "%s: at most %d entries expected, got %d", name, NEAP_ATTR_INTS - have, n);
  if (n > 0) memcpy(a->dims + have, list, (size_t)n * sizeof *list);
  a->count = have + n;
  return true;
}

/* ---- running and taping ---- */

static neap_tensor *run (neap_call *k, neap_meta *m) {
  if (m->view) return neap_tensor_view(k->c, k->in[0]->store, m->dtype, m->ndim, m->shape, m->strides, m->offset);
  neap_tensor *out = neap_tensor_new(k->c, m->dtype, m->ndim, m->shape);
  if (!out) return NULL;
  neap_recording *t = k->c->trace;
  if (t && t->blind) return out;
  k->c->trace = NULL;                                  /* what a kernel makes for itself is not recorded */
  bool ok = k->op->run ? k->op->run(k, out) : neap_run_elementwise(k, out);
  k->c->trace = t;
  return ok ? out : NULL;
}

static neap_tensor *tape (neap_call *k, neap_tensor *out, const neap_attrs *a) {
  uint64_t level = newest_level(k);
  if (level <= k->c->floor || k->op->kind == KIND_ZERO || !neap_is_float(out->dtype)) return out;
  out->node = neap_node_new(k->c, (int)(k->op - neap_ops), k->in, k->n, a);
  if (!out->node) return NULL;
  out->node->out_version = out->store->version;
  out->level = level;
  return out;
}

/* the one row whose numbers may contradict each other; bounds left out are NaN */
static bool check_bounds (const neap_call *k) {
  if (k->op != &neap_ops[NEAP_OP_clamp] || !(k->a.f[0] > k->a.f[1])) return true;
  return neap_fail(k->c, NEAP_EARG, "clamp: min = %g is above max = %g", k->a.f[0], k->a.f[1]);
}

static neap_tensor *apply_primitive (neap_call *k, const neap_attrs *a) {
  neap_meta m;
  m.view = false;
  if (!check_bounds(k) || !promote(k)) return NULL;
  if (!(k->op->infer ? k->op->infer(k, &m) : broadcast(k, &m))) return NULL;
  neap_tensor *out = run(k, &m);
  if (out && k->c->trace) { if (m.view) trace_view(k); else trace_op(k, a, out); }
  return out ? tape(k, out, a) : NULL;
}

static bool all_given (neap_context *c, const neap_op *op, neap_tensor **in, int n) {
  if (n == 0) return neap_fail(c, NEAP_EARG, "%s: at least one tensor expected", op->name);
  for (int i = 0; i < n; i++)
    if (!in[i]) return neap_fail(c, NEAP_EARG, "%s: argument %d is missing", op->name, i + 1);
  return true;
}

static neap_tensor *apply_in_scope (neap_context *c, const neap_op *row, neap_tensor **in, int n, const neap_attrs *a) {
  if (row->kind == KIND_COMPOSITE)                     /* its first tensor, or all of a list, are never optional */
    return all_given(c, row, in, strchr(row->sig, '*') ? n : 1) ? row->build(c, in, n, a) : NULL;
  if (!all_given(c, row, in, n)) return NULL;
  neap_tensor *few[NEAP_MAX_INPUTS], **args = few;
  if (n > NEAP_MAX_INPUTS) args = neap_malloc(c, (size_t)n * sizeof *args);
  if (!args) return NULL;
  for (int i = 0; i < n; i++) args[i] = in[i];
  neap_call k;
  k.c = c; k.op = row; k.n = n; k.in = args; k.steady = false;
  if (a) memcpy(&k.a, a, neap_attr_bytes(a));
  else neap_attrs_clear(&k.a);
  neap_tensor *out = apply_primitive(&k, a);
  if (args != few) neap_free(c, args, (size_t)n * sizeof *args);
  return out;
}

neap_tensor *neap_apply (neap_context *c, int op, neap_tensor **in, int n, const neap_attrs *a) {
  if (!neap_ok(c) || !neap_poll(c)) return NULL;
  neap_scope s = neap_scope_open(c);
  return neap_scope_return(c, s, apply_in_scope(c, &neap_ops[op], in, n, a));
}
