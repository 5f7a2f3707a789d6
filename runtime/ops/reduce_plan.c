/*
** reduce_plan.c -- brings any reduction into the form [outer, n, inner] -> [outer, inner], and walks its tiles.
** Invariant: dimensions of size 1 play no part; a copy is made only when the reduced dimensions do not lie
** together in memory, or the kept ones lie in another order than the result's.
*/
#include "ops/reduce.h"
#include <string.h>

typedef struct order { int n, axis[NEAP_MAX_DIMS]; } order;

/* dimensions of more than one element, the largest stride first */
static order stride_order (const neap_tensor *x) {
  order o = { .n = 0 };
  for (int i = 0; i < x->ndim; i++) {
    if (x->shape[i] == 1) continue;
    int at = o.n++;
    for (; at > 0 && x->strides[o.axis[at - 1]] < x->strides[i]; at--) o.axis[at] = o.axis[at - 1];
    o.axis[at] = i;
  }
  return o;
}

static bool is_dense (const neap_tensor *x, const order *o) {
  int64_t step = 1;
  for (int i = o->n - 1; i >= 0; i--) {
    if (x->strides[o->axis[i]] != step) return false;
    step *= x->shape[o->axis[i]];
  }
  return true;
}

/* the reduced dimensions together, the kept (and, if asked, the reduced) in rising order */
static bool is_usable (const order *o, const bool *axes, bool ordered) {
  int last[2] = { -1, -1 }, runs = 0;
  for (int i = 0; i < o->n; i++) {
    int axis = o->axis[i], reduced = axes[axis];
    if (reduced && (i == 0 || !axes[o->axis[i - 1]])) runs++;
    if (axis < last[reduced] && (!reduced || ordered)) return false;
    last[reduced] = axis;
  }
  return runs <= 1;
}

static void fill (reduce_plan *p, const neap_tensor *x, const order *o, const bool *axes) {
  p->outer = p->n = p->inner = 1;
  bool seen = false;
  for (int i = 0; i < o->n; i++) {
    int64_t size = x->shape[o->axis[i]];
    if (axes[o->axis[i]]) { p->n *= size; seen = true; }
    else if (seen) p->inner *= size;
    else p->outer *= size;
  }
  p->data = neap_ptr(x);
  p->dtype = x->dtype;
}

/* a copy with the kept dimensions first */
static bool plan_copy (neap_context *c, neap_tensor *x, const bool *axes, reduce_plan *p) {
  neap_tensor v = *x;
  int n = 0;
  p->outer = p->n = p->inner = 1;
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; i < x->ndim; i++) {
      if (axes[i] != (pass == 1)) continue;
      v.shape[n] = x->shape[i];
      v.strides[n++] = x->strides[i];
      if (pass) p->n *= x->shape[i]; else p->outer *= x->shape[i];
    }
  neap_tensor *copy = neap_tensor_new(c, x->dtype, n, v.shape);
  if (!copy) return false;
  neap_copy_strided(copy, &v);
  p->data = neap_ptr(copy);
  p->dtype = x->dtype;
  return true;
}

bool reduce_plan_make (neap_context *c, neap_tensor *x, const bool *axes, bool ordered, reduce_plan *p) {
  order o = stride_order(x);
  bool empty = neap_numel(x) == 0;
  if (!empty && !(is_dense(x, &o) && is_usable(&o, axes, ordered))) return plan_copy(c, x, axes, p);
  if (empty) { o.n = x->ndim; for (int i = 0; i < o.n; i++) o.axis[i] = i; }
  fill(p, x, &o, axes);
  return true;
}

/* ---- tiles ---- */

typedef struct walk {
  const reduce_plan *p;
  reduce_each_fn *f;
  void *arg;
  int64_t per, units;
} walk;

static void walk_block (void *arg, int64_t block) {
  const walk *w = arg;
  int64_t end = (block + 1) * w->per < w->units ? (block + 1) * w->per : w->units;
  for (int64_t u = block * w->per; u < end; u++) w->f(w->arg, w->p, reduce_tile_of(w->p, u));
}

void reduce_each (neap_context *c, const reduce_plan *p, int64_t passes, reduce_each_fn *f, void *arg) {
  walk w = { .p = p, .f = f, .arg = arg, .units = p->outer * reduce_ntiles(p) };
  int64_t width = p->inner < REDUCE_COLUMNS ? p->inner : REDUCE_COLUMNS;
  op_blocks(c, w.units, passes * p->n * width, walk_block, &w, &w.per);
}
