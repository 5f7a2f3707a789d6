/*
** tempering.c -- parallel tempering (Geyer 1991): replicas of a chain at several temperatures, which swap places.
** A step moves every replica by the kernel under its own b = 1/T, then proposes swaps between neighbours, pairs (1, 2),
** (3, 4) … and (2, 3), (4, 5) … in turn, each taken with probability min(1, e^r), r what it adds to the joint log
** density.  Warm-up can place the temperatures so that all pairs swap equally often (Syed et al. 2022).
** Invariant: "replicas" is [chains, n, event…], "x" and "energy" are those of the first, at T = 1; nothing crosses
** chains, so blocks of them run through many steps alone.
*/
#include "sampler/path.h"
#include "sampler/binary.h"
#include "energy/energy.h"
#include <math.h>
#include <string.h>

static int64_t replicas (const neap_state *st) { return neap_numel(neap_state_get(st, "betas")); }

/* [chains · n, …] -> [chains, n, …] */
static neap_tensor *by_chain (neap_context *c, neap_tensor *t, int64_t n) {
  int64_t shape[NEAP_MAX_DIMS] = { t ? t->shape[0] / n : 0, n };
  if (!t) return NULL;
  for (int i = 1; i < t->ndim; i++) shape[i + 1] = t->shape[i];
  return neap_reshape(c, t, t->ndim + 1, shape);
}

/* [chains, n, …] -> [chains · n, …] */
static neap_tensor *flat (neap_context *c, neap_tensor *t) {
  int64_t shape[NEAP_MAX_DIMS] = { t ? t->shape[0] * t->shape[1] : 0 };
  if (!t) return NULL;
  for (int i = 2; i < t->ndim; i++) shape[i - 1] = t->shape[i];
  return neap_reshape(c, t, t->ndim - 1, shape);
}

/* t [chains, …] or [1, …] -> [chains, n, …], each n times */
static neap_tensor *repeat (neap_context *c, neap_tensor *t, int64_t chains, int64_t n) {
  int64_t shape[NEAP_MAX_DIMS], wide[NEAP_MAX_DIMS];
  if (!t) return NULL;
  for (int i = 0; i < t->ndim; i++) shape[i + (i > 0)] = wide[i + (i > 0)] = t->shape[i];
  shape[1] = 1;
  wide[0] = chains;
  wide[1] = n;
  return neap_expand(c, neap_reshape(c, t, t->ndim + 1, shape), t->ndim + 1, wide);
}

/* [chains, n] of [1, n] or [chains, n] */
static neap_tensor *rows_of (neap_context *c, neap_tensor *t, int64_t chains) {
  return t ? neap_expand(c, t, 2, (int64_t[]){ chains, t->shape[1] }) : NULL;
}

/* the first replica's of t [chains, n, …] */
static neap_tensor *first (neap_context *c, neap_tensor *t) {
  t = t ? neap_select(c, t, 2, 1) : NULL;
  return t ? neap_contiguous(c, t) : NULL;
}

/* ---- what the kernel carries for all replicas: entries "each.name" [chains, n, …] and "all.name" ---- */

/* counted for the first replica alone, or made anew */
static bool is_own (const char *name) {
  return strcmp(name, "accepted") == 0 || strcmp(name, "divergences") == 0 || state_is_made_anew(name);
}

/* the state of chains · n rows that the kernel works on, owned by the caller */
static neap_state *open_rows (neap_context *c, neap_state *st) {
  neap_state *in = neap_state_new(c, st->rng);
  neap_tensor *x = neap_state_get(st, "replicas"), *cond = neap_state_get(st, "condition");
  bool ok = in && neap_state_set(c, in, "x", flat(c, x));
  if (ok && cond) ok = neap_state_set(c, in, "condition", flat(c, repeat(c, cond, x->shape[0], x->shape[1])));
  for (int i = 0; ok && i < st->count; i++) {
    const char *name = st->entries[i].name;
    if (strncmp(name, "each.", 5) == 0) ok = neap_state_set(c, in, name + 5, flat(c, st->entries[i].t));
    if (strncmp(name, "all.", 4) == 0) ok = neap_state_set(c, in, name + 4, st->entries[i].t);
  }
  if (ok) return in;
  neap_state_free(in);
  return NULL;
}

static bool set_prefixed (neap_context *c, neap_state *st, const char *prefix, const char *name, neap_tensor *t) {
  char to[2 * NEAP_STATE_NAME];
  strcpy(to, prefix);
  strcat(to, name);
  return neap_state_set(c, st, to, t);
}

/* takes over what the kernel made, but x */
static bool keep_rows (neap_context *c, neap_state *st, neap_state *in) {
  int64_t rows = neap_state_get(in, "x")->shape[0], n = replicas(st);
  for (int i = 0; i < in->count; i++) {
    const char *name = in->entries[i].name;
    neap_tensor *t = in->entries[i].t;
    bool each = t->ndim > 0 && t->shape[0] == rows;
    if (is_own(name)) continue;
    if (!set_prefixed(c, st, each ? "each." : "all.", name, each ? by_chain(c, t, n) : t)) return false;
  }
  return true;
}

/* adds the first replica's count of the moves made now */
static bool count (neap_context *c, neap_sampler *s, neap_state *st, neap_state *in, const char *name) {
  neap_tensor *t = neap_state_get(in, name), *so_far = neap_state_get(st, name);
  if (!t || !so_far) return neap_ok(c);
  t = rows_scale(c, first(c, by_chain(c, t, replicas(st))), strcmp(name, "accepted") == 0 ? 1 / (double)s->moves : 1);
  return t && neap_state_set(c, st, name, neap_add(c, so_far, t));
}

/* ---- starting ---- */

/* x [chains, event…] in the first place; the others go on from where they are, or from x, too */
static neap_tensor *place (neap_context *c, neap_state *st, neap_tensor *x, int64_t n) {
  neap_tensor *old = neap_state_get(st, "replicas"), *all = repeat(c, x, x->shape[0], n);
  if (!all || !old) return all ? neap_contiguous(c, all) : NULL;
  if (!neap_same_shape(all, old))
    return neap_fail(c, NEAP_ESHAPE, "parallel_tempering: state.replicas: %s expected, got %s", SHAPE_TEXT(all),
                     SHAPE_TEXT(old));
  neap_tensor *pair[2] = { neap_slice(c, all, 2, 1, 1, 1), neap_slice(c, old, 2, 2, n, 1) };
  return pair[0] && pair[1] ? neap_cat(c, 2, pair, 2) : NULL;
}

/* [chains, n − 1] zeros under name */
static bool start_count (neap_context *c, neap_state *st, const char *name, int64_t chains) {
  if (neap_state_get(st, name)) return true;
  neap_tensor *t = neap_full(c, NEAP_FLOAT64, 2, (int64_t[]){ chains, replicas(st) - 1 }, 0);
  return t && neap_state_set(c, st, name, t);
}

static bool init_kernel (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_state *in = open_rows(c, st);
  neap_tensor *b = in ? flat(c, rows_of(c, neap_state_get(st, "betas"), neap_state_get(st, "x")->shape[0])) : NULL;
  bool ok = b && path_init(c, s, E, in, b) && keep_rows(c, st, in);
  if (ok && neap_state_get(in, "accepted")) ok = sampler_counter(c, st, "accepted");
  if (ok && neap_state_get(in, "divergences")) ok = sampler_counter(c, st, "divergences");
  neap_state_free(in);
  return ok;
}

static bool init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *betas = neap_state_get(st, "betas");
  int64_t n = s->betas->shape[0], chains = x->shape[0];
  if (x->ndim >= NEAP_MAX_DIMS)
    return neap_fail(c, NEAP_ESHAPE, "parallel_tempering: x: at most %d dimensions expected, got %s", NEAP_MAX_DIMS - 1,
                     SHAPE_TEXT(x));
  if (!betas) betas = neap_reshape(c, s->betas, 2, (int64_t[]){ 1, n });
  if (!betas || !neap_state_set(c, st, "betas", betas)) return false;
  neap_tensor *all = place(c, st, x, replicas(st)), *e = sampler_energy(c, E, st, x);
  return all && e && neap_state_set(c, st, "replicas", all) && neap_state_set(c, st, "energy", e) &&
         start_count(c, st, "swapped", chains) && start_count(c, st, "proposed", chains) &&
         sampler_counter(c, st, "turn") && init_kernel(c, s, E, st);
}

/* ---- swaps ---- */

typedef struct swap {                        /* all [chains, n] */
  neap_tensor *self, *partner, *low, *high;  /* int64: a replica's place, its partner's (or its own), both in order */
  neap_tensor *accept;                       /* bool, the same for both */
  neap_tensor *log_ratio;                    /* float64, the same for both */
} swap;

/* int64 [1, n]: partners in the pairs (1 + odd, 2 + odd) … */
static neap_tensor *partners (neap_context *c, int64_t n, bool odd) {
  size_t bytes = (size_t)n * sizeof(int64_t);
  int64_t *v = neap_malloc(c, bytes);
  for (int64_t i = 0; v && i < n; i++) {
    int64_t k = (i + odd) % 2 == 0 ? i + 1 : i - 1;
    v[i] = (k < 0 || k >= n ? i : k) + 1;
  }
  neap_tensor *t = v ? neap_from(c, NEAP_INT64, 2, (int64_t[]){ 1, n }, v) : NULL;
  if (v) neap_free(c, v, bytes);
  return t;
}

static bool pair_up (neap_context *c, neap_state *st, swap *w) {
  int64_t n = replicas(st), chains = neap_state_get(st, "x")->shape[0];
  neap_tensor *turn = neap_state_get(st, "turn"), *one = neap_scalar(c, turn->dtype, 1);
  neap_tensor *odd = rows_expand(c, neap_eq(c, turn, one), 2), *even_pairs = partners(c, n, false);
  neap_tensor *odd_pairs = partners(c, n, true), *places = neap_arange(c, NEAP_INT64, 1, (double)n, 1);
  w->partner = odd && even_pairs && odd_pairs ? neap_where(c, odd, odd_pairs, even_pairs) : NULL;
  w->self = places ? rows_of(c, neap_reshape(c, places, 2, (int64_t[]){ 1, n }), chains) : NULL;
  w->low = neap_minimum(c, w->self, w->partner);
  w->high = neap_maximum(c, w->self, w->partner);
  return w->low && w->high && neap_state_set(c, st, "turn", neap_sub(c, one, turn));
}

static bool decide (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, neap_state *in, swap *w) {
  int64_t n = replicas(st), chains = neap_state_get(st, "x")->shape[0];
  neap_tensor *betas = rows_of(c, neap_state_get(st, "betas"), chains);
  neap_tensor *cold = flat(c, neap_gather(c, betas, 2, w->low)), *hot = flat(c, neap_gather(c, betas, 2, w->high));
  neap_tensor *own = cold && hot ? by_chain(c, path_drop(c, s, E, in, cold, hot), n) : NULL;
  neap_tensor *other = own ? neap_gather(c, own, 2, w->partner) : NULL;
  neap_tensor *first_of = neap_eq(c, w->self, w->low), *gain = neap_sub(c, own, other);
  w->log_ratio = neap_where(c, first_of, gain, neap_neg(c, gain));
  neap_tensor *u = neap_rng_uniform(c, st->rng, NEAP_FLOAT64, 2, (int64_t[]){ chains, n });
  u = u ? neap_gather(c, u, 2, w->low) : NULL;
  neap_tensor *ok = u ? neap_le(c, neap_log1p(c, neap_neg(c, u)), w->log_ratio) : NULL;
  w->accept = ok ? neap_logical_and(c, ok, neap_ne(c, w->self, w->partner)) : NULL;
  return w->accept != NULL;
}

/* min(1, e^r), 0 where r is no number, of the pairs that were proposed, and their number: [chains, n − 1] */
static bool note (neap_context *c, neap_state *st, const swap *w) {
  int64_t n = replicas(st);
  neap_tensor *zero = neap_scalar(c, NEAP_FLOAT64, 0), *one = neap_scalar(c, NEAP_FLOAT64, 1), *r = w->log_ratio;
  neap_tensor *p = neap_where(c, neap_gt(c, r, zero), one,
                              neap_where(c, neap_le(c, r, zero), neap_exp(c, r), zero));
  neap_tensor *made = neap_cast(c, neap_lt(c, w->self, w->partner), NEAP_FLOAT64);
  neap_tensor *sum = made ? neap_slice(c, neap_mul(c, p, made), 2, 1, n - 1, 1) : NULL;
  neap_tensor *tries = made ? neap_slice(c, made, 2, 1, n - 1, 1) : NULL;
  if (!sum || !tries) return false;
  return neap_state_set(c, st, "swapped", neap_add(c, neap_state_get(st, "swapped"), sum)) &&
         neap_state_set(c, st, "proposed", neap_add(c, neap_state_get(st, "proposed"), tries));
}

/* t [chains · n, …] with accepted pairs exchanged -> [chains, n, …] */
static neap_tensor *exchange (neap_context *c, neap_tensor *t, const swap *w, int64_t n) {
  neap_tensor *order = neap_where(c, w->accept, w->partner, w->self), *all = by_chain(c, t, n);
  if (!order || !all) return NULL;
  int64_t width = 1, shape[3] = { order->shape[0], n, 1 };
  for (int i = 2; i < all->ndim; i++) width *= all->shape[i];
  neap_tensor *wide = neap_reshape(c, all, 3, (int64_t[]){ all->shape[0], n, width });
  order = neap_reshape(c, order, 3, shape);
  shape[2] = width;
  neap_tensor *y = wide && order ? neap_gather(c, wide, 2, neap_expand(c, order, 3, shape)) : NULL;
  return y ? neap_reshape(c, y, all->ndim, all->shape) : NULL;
}

static bool swap_all (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, neap_state *in) {
  swap w;
  int64_t n = replicas(st);
  neap_tensor *x = neap_state_get(in, "x"), *e = sampler_energy(c, E, in, x);
  if (!e || !pair_up(c, st, &w) || !decide(c, s, E, st, in, &w) || !note(c, st, &w)) return false;
  neap_tensor *all = exchange(c, x, &w, n), *energies = exchange(c, e, &w, n);
  return all && energies && neap_state_set(c, st, "replicas", all) && neap_state_set(c, st, "x", first(c, all)) &&
         neap_state_set(c, st, "energy", first(c, energies));
}

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_state *in = open_rows(c, st);
  neap_tensor *b = in ? flat(c, rows_of(c, neap_state_get(st, "betas"), neap_state_get(st, "x")->shape[0])) : NULL;
  bool ok = b && path_move(c, s, E, in, b) && keep_rows(c, st, in) && count(c, s, st, in, "accepted") &&
            count(c, s, st, in, "divergences") && swap_all(c, s, E, st, in);
  neap_state_free(in);
  return ok;
}

/* ---- the ladder ---- */

/* mean acceptance of each pair, over chains; NaN where none was proposed.  Read by hand, as an error may be pending. */
static double rate (const neap_state *st, int64_t pair) {
  const neap_tensor *sum = neap_state_get(st, "swapped"), *tries = neap_state_get(st, "proposed");
  double a = 0, b = 0;
  for (int64_t i = 0; i < sum->shape[0]; i++) {
    a += ((const double *)neap_ptr(sum))[i * sum->strides[0] + pair * sum->strides[1]];
    b += ((const double *)neap_ptr(tries))[i * tries->strides[0] + pair * tries->strides[1]];
  }
  return a / b;
}

static double beta (const neap_state *st, int64_t i) {
  const neap_tensor *t = neap_state_get(st, "betas");
  return ((const double *)neap_ptr(t))[i * t->strides[1]];
}

enum { LEAST = 8 };                          /* proposals of a pair before its rate counts */
#define LEAST_REJECTED .001

/* b at equal parts of the rejections summed up along the ladder, which grow like its length */
static void place_betas (const neap_state *st, int64_t n, double *out) {
  double total = 0, upto = 0, left = 0;
  for (int64_t k = 0; k < n - 1; k++) total += fmax(1 - rate(st, k), LEAST_REJECTED);
  out[0] = beta(st, 0);
  out[n - 1] = beta(st, n - 1);
  for (int64_t i = 1, k = -1; i < n - 1; i++) {
    double want = total * (double)i / (double)(n - 1);
    while (upto < want && k < n - 2) { k++; left = upto; upto += fmax(1 - rate(st, k), LEAST_REJECTED); }
    out[i] = beta(st, k) + (beta(st, k + 1) - beta(st, k)) * (want - left) / (upto - left);
  }
}

static bool tune (neap_context *c, neap_sampler *s, neap_state *st) {
  int64_t n = replicas(st);
  neap_tensor *tries = neap_state_get(st, "proposed"), *t = neap_tensor_new(c, NEAP_FLOAT64, 2, (int64_t[]){ 1, n });
  double least = 0;
  (void)s;
  if (n < 3) return true;
  if (!t || !neap_item(c, neap_amin(c, neap_sum(c, tries, 1, (int64_t[]){ 1 }, false), -1, NULL, false), &least))
    return false;
  if (least < LEAST) return true;
  place_betas(st, n, neap_ptr(t));
  return neap_state_set(c, st, "betas", t) && sampler_restart_count(c, st, "swapped") &&
         sampler_restart_count(c, st, "proposed");
}

static void tell (const neap_state *st, neap_sample_info *info) {
  for (int64_t i = 0; i < replicas(st); i++) ((double *)neap_ptr(info->temperatures))[i] = 1 / beta(st, i);
  for (int64_t i = 0; i < replicas(st) - 1; i++) ((double *)neap_ptr(info->swap_rates))[i] = rate(st, i);
}

static const neap_sampler_kind tempering = { "parallel_tempering", false, NEAP_START_NORMAL, init, step };

/* ---- making ---- */

static bool check (neap_context *c, int n, const double *T) {
  if (n < 2) return neap_fail(c, NEAP_EARG, "parallel_tempering: at least 2 temperatures expected, got %d", n);
  if (T[0] != 1) return neap_fail(c, NEAP_EARG, "parallel_tempering: temperatures: the first must be 1, got %g", T[0]);
  for (int i = 1; i < n; i++)
    if (!(T[i] > T[i - 1]) || isnan(T[i]))
      return neap_fail(c, NEAP_EARG, "parallel_tempering: temperatures: rising ones expected, got %g after %g", T[i],
                       T[i - 1]);
  return true;
}

neap_sampler *neap_sampler_parallel_tempering (neap_context *c, neap_sampler *kernel, int n, const double *temperatures,
                                               bool tune_them, int64_t moves) {
  if (!neap_ok(c) || !path_takes(c, "parallel_tempering", kernel) || !check(c, n, temperatures)) return NULL;
  if (moves < 1)
    return neap_fail(c, NEAP_EARG, "parallel_tempering: moves: a positive integer expected, got %lld",
                     (long long)moves);
  neap_sampler *s = sampler_new(c, &tempering);
  if (!s) return NULL;
  s->kernel = neap_sampler_keep(kernel);
  s->hooks.tune = tune_them ? tune : NULL;
  s->hooks.tell = tell;
  s->host = sampler_calls_host(kernel);
  s->moves = moves;
  s->grads_init = n * kernel->grads_init;
  s->grads_step = n * (kernel->grads_init + moves * kernel->grads_step);
  s->betas = neap_keep(neap_tensor_new(c, NEAP_FLOAT64, 1, (int64_t[]){ n }));
  for (int i = 0; s->betas && i < n; i++) ((double *)neap_ptr(s->betas))[i] = 1 / temperatures[i];
  if (s->betas) return s;
  neap_sampler_release(s);
  return NULL;
}
