/*
** gather.c -- gather, scatter, scatter_add: an index for every element.
** Invariant: out (or src) and idx are walked in row-major order, so where indices repeat, scatter keeps the last
** and scatter_add adds in that order, whatever the number of threads.
*/
#include "ops/index.h"
#include <string.h>

/* idx [.., d, ..] over x: all sizes but dim's at most x's */
static bool check_index (neap_call *k, const neap_tensor *x, int *axis) {
  const neap_tensor *idx = k->in[1];
  if (x->ndim == 0) return neap_fail(k->c, NEAP_ESHAPE, "%s: at least 1 dimension expected, got shape []", k->op->name);
  if (!neap_axis(k->c, k->op->name, "dimension", k->a.i[0], x->ndim, axis)) return false;
  bool fits = idx->ndim == x->ndim;
  for (int d = 0; fits && d < x->ndim; d++) fits = d == *axis || idx->shape[d] <= x->shape[d];
  if (fits) return true;
  return neap_fail(k->c, NEAP_ESHAPE, "%s: indices of shape %s do not fit shape %s along dimension %d", k->op->name,
                   SHAPE_TEXT(idx), SHAPE_TEXT(x), *axis + 1);
}

/* One line of the last dimension of idx: element j of the line pairs list + j * list_step with
** table + j * table_step + idx[j] * pick.  All steps in elements. */
typedef struct walk walk;
typedef void line_fn (const walk *w, const int64_t *idx, int64_t table, int64_t list);
struct walk {
  const neap_tensor *idx, *table, *list;   /* list NULL: contiguous as idx */
  const int64_t *numbers;
  char *table_data, *list_data;
  int axis;
  int64_t n, lines, per, pick, table_step, list_step;
  line_fn *line;
};

static int64_t line_start (const walk *w, const neap_tensor *t, int64_t line, bool skip_axis) {
  int64_t at = 0;
  for (int d = w->idx->ndim - 2; d >= 0; d--) {
    if (!(skip_axis && d == w->axis)) at += line % w->idx->shape[d] * t->strides[d];
    line /= w->idx->shape[d];
  }
  return at;
}

static void walk_block (void *arg, int64_t block) {
  const walk *w = arg;
  int64_t end = (block + 1) * w->per < w->lines ? (block + 1) * w->per : w->lines;
  for (int64_t i = block * w->per; i < end; i++)
    w->line(w, w->numbers + i * w->n, line_start(w, w->table, i, true),
            w->list ? line_start(w, w->list, i, false) : i * w->n);
}

static void walk_setup (walk *w) {
  int last = w->idx->ndim - 1;
  w->n = w->idx->shape[last];
  w->lines = w->n ? neap_numel(w->idx) / w->n : 0;
  w->pick = w->table->strides[w->axis];
  w->table_step = w->axis == last ? 0 : w->table->strides[last];
  w->list_step = w->list ? w->list->strides[last] : 1;
  w->table_data = neap_ptr(w->table);
}

/* ---- lines: list[j] = table[…] and back ---- */

#define LINES(T) \
  static void get_##T (const walk *w, const int64_t *idx, int64_t table, int64_t list) { \
    const T *x = (const T *)w->table_data + table; \
    T *out = (T *)w->list_data + list; \
    for (int64_t j = 0; j < w->n; j++) out[j] = x[j * w->table_step + idx[j] * w->pick]; \
  } \
  static void put_##T (const walk *w, const int64_t *idx, int64_t table, int64_t list) { \
    T *x = (T *)w->table_data + table; \
    const T *src = (const T *)w->list_data + list; \
    for (int64_t j = 0; j < w->n; j++) x[j * w->table_step + idx[j] * w->pick] = src[j * w->list_step]; \
  }
LINES(uint8_t)
LINES(uint32_t)
LINES(uint64_t)
#undef LINES

#define ADD(T) \
  static void add_##T (const walk *w, const int64_t *idx, int64_t table, int64_t list) { \
    T *x = (T *)w->table_data + table; \
    const T *src = (const T *)w->list_data + list; \
    for (int64_t j = 0; j < w->n; j++) { \
      T *to = &x[j * w->table_step + idx[j] * w->pick]; \
      *to = (T)(*to + src[j * w->list_step]); \
    } \
  }
ADD(float)
ADD(double)
ADD(uint64_t)
ADD(uint8_t)
ADD(bool)
#undef ADD

/* ---- gather ---- */

bool infer_gather (neap_call *k, neap_meta *out) {
  int axis;
  if (!check_index(k, k->in[0], &axis)) return false;
  op_meta(out, k->in[0]->dtype, k->in[1]->ndim, k->in[1]->shape);
  k->a.i[0] = axis;
  return true;
}

bool run_gather (neap_call *k, neap_tensor *out) {
  neap_tensor *x = k->in[0];
  neap_scope s = neap_scope_open(k->c);
  walk w = { .idx = k->in[1], .table = x, .axis = (int)k->a.i[0] };
  w.numbers = index_numbers(k->c, "gather", k->in[1], x->shape[w.axis], w.axis);
  if (w.numbers && neap_numel(out) > 0) {
    walk_setup(&w);
    w.list_data = neap_ptr(out);
    size_t size = neap_dtype_size(x->dtype);
    w.line = size == 1 ? get_uint8_t : size == 4 ? get_uint32_t : get_uint64_t;
    op_blocks(k->c, w.lines, w.n, walk_block, &w, &w.per);
  }
  neap_scope_close(k->c, s);
  return w.numbers != NULL;
}

/* ---- scatter: src has at least idx's sizes, or is one number ---- */

static bool infer_scatter_into (neap_call *k, neap_meta *out) {
  const neap_tensor *x = k->in[0], *idx = k->in[1], *src = k->in[2];
  int axis;
  if (!check_index(k, x, &axis)) return false;
  bool fits = src->ndim == 0 || src->ndim == idx->ndim;
  for (int d = 0; fits && d < src->ndim; d++) fits = idx->shape[d] <= src->shape[d];
  if (!fits)
    return neap_fail(k->c, NEAP_ESHAPE, "%s: source of shape %s is smaller than the indices, %s", k->op->name,
                     SHAPE_TEXT(src), SHAPE_TEXT(idx));
  op_meta(out, x->dtype, x->ndim, x->shape);
  k->a.i[0] = axis;
  return true;
}

static line_fn *put_line (neap_dtype d) {
  size_t size = neap_dtype_size(d);
  return size == 1 ? put_uint8_t : size == 4 ? put_uint32_t : put_uint64_t;
}

static line_fn *add_line (neap_dtype d) {
  switch (d) {
    case NEAP_FLOAT32: return add_float;
    case NEAP_FLOAT64: return add_double;
    case NEAP_INT64: return add_uint64_t;
    case NEAP_UINT8: return add_uint8_t;
    default: return add_bool;
  }
}

/* one block: lines may write to the same element */
static bool scatter_into (neap_call *k, neap_tensor *out, line_fn *line) {
  neap_scope s = neap_scope_open(k->c);
  neap_tensor src = *k->in[2];                         /* one number: a list whose steps are 0 */
  if (src.ndim == 0) memset(src.strides, 0, sizeof src.strides);
  walk w = { .idx = k->in[1], .table = out, .list = &src, .axis = (int)k->a.i[0] };
  w.numbers = index_numbers(k->c, k->op->name, k->in[1], out->shape[w.axis], w.axis);
  if (w.numbers) neap_copy_strided(out, k->in[0]);
  if (w.numbers && neap_numel(w.idx) > 0) {
    walk_setup(&w);
    w.list_data = neap_ptr(&src);
    w.line = line;
    w.per = w.lines;
    walk_block(&w, 0);
  }
  neap_scope_close(k->c, s);
  return w.numbers != NULL;
}

bool infer_scatter (neap_call *k, neap_meta *out) { return infer_scatter_into(k, out); }
bool run_scatter (neap_call *k, neap_tensor *out) { return scatter_into(k, out, put_line(out->dtype)); }
bool infer_scatter_add (neap_call *k, neap_meta *out) { return infer_scatter_into(k, out); }
bool run_scatter_add (neap_call *k, neap_tensor *out) { return scatter_into(k, out, add_line(out->dtype)); }
