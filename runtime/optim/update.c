/*
** update.c -- optimiser updates of whole tensors in place.
** Invariant: nothing is written before every tensor was checked; what was written counts as written (version).
*/
#include "update.h"
#include "../op.h"
#include "../kernels/tile.h"
#include <math.h>
#include <string.h>

#define BLOCK 16384                        /* elements: one thread's piece */

extern const neap_update_kernels neap_update_base;
#if defined __x86_64__ && !defined NEAP_BASE_ONLY
extern const neap_update_kernels neap_update_avx2, neap_update_avx512;   /* not weak: an archive would leave them out */
static const neap_update_kernels *const sets[] = { &neap_update_avx512, &neap_update_avx2, &neap_update_base };
#else
static const neap_update_kernels *const sets[] = { &neap_update_base };
#endif

static const neap_update_kernels *kernels (const neap_context *c) {
  const neap_update_kernels *const *k = sets;
  while (*k != &neap_update_base && strcmp((*k)->name, c->tiles->name) != 0) k++;
  return *k;
}

typedef struct job {
  neap_update_kernel *kernel;
  const neap_update_numbers *numbers;
  int64_t n;
  size_t size;
  char *p, *s, *v;
  const char *g;
} job;

static void run_block (void *arg, int64_t block) {
  const job *j = arg;
  size_t at = (size_t)block * BLOCK * j->size;
  int64_t left = j->n - block * BLOCK;
  j->kernel(left < BLOCK ? left : BLOCK, j->p + at, j->g + at, j->s ? j->s + at : NULL, j->v ? j->v + at : NULL,
            j->numbers);
}

/* p or a state tensor: written in place, so it must be dense. */
static bool check_written (neap_context *c, const char *op, const char *arg, const neap_tensor *p,
                           const neap_tensor *t) {
  if (t->dtype != p->dtype || !neap_same_shape(t, p))
    return neap_fail(c, NEAP_ESHAPE, "%s: %s is %s %s, expected %s %s as the parameter", op, arg,
                     neap_dtype_name(t->dtype),
                     SHAPE_TEXT(t), neap_dtype_name(p->dtype), SHAPE_TEXT(p));
  return neap_is_contiguous(t) || neap_fail(c, NEAP_ESHAPE,
                                            "%s: %s %s is a view with gaps, expected a contiguous tensor", op, arg,
                                            SHAPE_TEXT(t));
}

static bool check (neap_context *c, const char *op, neap_tensor *p, neap_tensor *g, neap_tensor *s, neap_tensor *v) {
  if (!p || !g || !neap_ok(c))
    return neap_ok(c) ? neap_fail(c, NEAP_EARG, "%s: parameter or gradient is NULL", op) : false;
  if (!neap_is_float(p->dtype))
    return neap_fail(c, NEAP_EDTYPE, "%s: a parameter of float dtype expected, got %s", op, neap_dtype_name(p->dtype));
  if (g->dtype != p->dtype || !neap_same_shape(g, p))
    return neap_fail(c, NEAP_ESHAPE, "%s: the gradient is %s %s, expected %s %s as the parameter", op,
                     neap_dtype_name(g->dtype),
                     SHAPE_TEXT(g), neap_dtype_name(p->dtype), SHAPE_TEXT(p));
  return check_written(c, op, "the parameter", p, p) && (!s || check_written(c, op, "the state", p, s)) &&
         (!v || check_written(c, op, "the state", p, v));
}

static bool update (neap_context *c, const char *op, neap_update_rule rule, neap_tensor *p, neap_tensor *g,
                    neap_tensor *s,
                    neap_tensor *v, const neap_update_numbers *k) {
  if (!check(c, op, p, g, s, v))
    return false;
  neap_scope scope = neap_scope_open(c);
  neap_tensor *flat = neap_contiguous_data(c, g);
  if (flat) {
    job j = {kernels(c)->rule[rule][p->dtype == NEAP_FLOAT64], k, neap_numel(p), neap_dtype_size(p->dtype), neap_ptr(p),
             s ? neap_ptr(s) : NULL, v ? neap_ptr(v) : NULL, neap_ptr(flat)};
    neap_parallel(c, (j.n + BLOCK - 1) / BLOCK, run_block, &j);
    p->store->version++;
    if (s) s->store->version++;
    if (v) v->store->version++;
  }
  neap_scope_close(c, scope);
  return flat != NULL;
}

bool neap_sgd_update (neap_context *c, neap_tensor *p, neap_tensor *g, neap_tensor *v, double lr, double momentum,
                      bool nesterov, double wd) {
  neap_update_numbers k = {.lr = lr, .a = momentum, .nesterov = nesterov, .wd = wd};
  if (v == NULL && momentum != 0)
    return neap_ok(c) ? neap_fail(c, NEAP_EARG, "sgd: momentum needs a state tensor") : false;
  return update(c, "sgd", UPDATE_SGD, p, g, v, NULL, &k);
}

bool neap_adam_update (neap_context *c, neap_tensor *p, neap_tensor *g, neap_tensor *m, neap_tensor *v,
                       const neap_adam *o) {
  if (!m || !v || o->step < 1)
    return neap_ok(c) ? neap_fail(c, NEAP_EARG, "adam: two state tensors and a step from 1 expected") : false;
  neap_update_numbers k = {
    .lr = o->lr / (1 - pow(o->beta1, (double)o->step)), .root_scale = 1 / sqrt(1 - pow(o->beta2, (double)o->step)),
    .a = o->beta1, .b = o->beta2, .eps = o->eps,
    .wd = o->decoupled ? 0 : o->wd, .shrink = o->decoupled ? 1 - o->lr * o->wd : 1,
  };
  return update(c, "adam", UPDATE_ADAM, p, g, m, v, &k);
}

bool neap_rmsprop_update (neap_context *c, neap_tensor *p, neap_tensor *g, neap_tensor *v, double lr, double alpha,
                          double eps,
                          double wd) {
  neap_update_numbers k = {.lr = lr, .a = alpha, .b = 1 - alpha, .eps = eps, .wd = wd};
  if (v == NULL)
    return neap_ok(c) ? neap_fail(c, NEAP_EARG, "rmsprop: a state tensor expected") : false;
  return update(c, "rmsprop", UPDATE_RMSPROP, p, g, NULL, v, &k);
}

bool neap_adagrad_update (neap_context *c, neap_tensor *p, neap_tensor *g, neap_tensor *v, double lr, double eps,
                          double wd) {
  neap_update_numbers k = {.lr = lr, .a = 1, .b = 1, .eps = eps, .wd = wd};
  if (v == NULL)
    return neap_ok(c) ? neap_fail(c, NEAP_EARG, "adagrad: a state tensor expected") : false;
  return update(c, "adagrad", UPDATE_ADAGRAD, p, g, NULL, v, &k);
}

bool neap_ema_update (neap_context *c, neap_tensor *a, neap_tensor *p, double decay) {
  neap_update_numbers k = {.a = decay};
  return update(c, "ema", UPDATE_EMA, a, p, NULL, NULL, &k);
}

/* Block sums are added in order, so the norm does not depend on threads. */
static bool add_squares (neap_context *c, const neap_tensor *g, double *sum) {
  neap_scope scope = neap_scope_open(c);
  neap_tensor *flat = neap_contiguous_data(c, (neap_tensor *)g);
  for (int64_t at = 0, n = flat ? neap_numel(flat) : 0; at < n; at += BLOCK)
    *sum += kernels(c)->squares[g->dtype == NEAP_FLOAT64](
      n - at < BLOCK ? n - at : BLOCK, (char *)neap_ptr(flat) + (size_t)at * neap_dtype_size(g->dtype));
  neap_scope_close(c, scope);
  return flat != NULL;
}

bool neap_global_norm (neap_context *c, int n, neap_tensor *const *g, double *norm) {
  double sum = 0;
  for (int i = 0; i < n; i++) {
    if (!g[i] || !neap_ok(c) || !neap_is_float(g[i]->dtype))
      return neap_ok(c) ? neap_fail(c, NEAP_EDTYPE, "global_norm: tensor %d: float dtype expected", i + 1) : false;
    if (!add_squares(c, g[i], &sum))
      return false;
  }
  *norm = sqrt(sum);
  return true;
}
