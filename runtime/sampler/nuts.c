/*
** nuts.c -- the no-U-turn sampler (Hoffman and Gelman 2014), multinomial (Betancourt 2017): a walk of many chains.
** Every chain has a tree (tree.h) and a row of one program that gives energies and gradients: each run makes a leapfrog
** step in all trees.  A chain whose step is over begins its next one in the same run, so none waits for another until a
** walk's end; rows of those that are done stand still.
** Invariant: a chain's step takes two of its stream's: momenta from the first, uniforms from the second, at places that
** are its own.  So its draws depend neither on the other chains nor on the length of walks.
*/
#include "sampler/slope.h"
#include "sampler/tree.h"
#include <math.h>
#include <string.h>

typedef struct walker walker;

typedef struct chain {
  walker *w;
  tree t;                                    /* t.whole: where it stands */
  int64_t row, done;                         /* steps of this walk */
  double accepted, diverged, depth, saturated, gradients;
  double *room;                              /* [n] */
} chain;

struct walker {
  neap_context *c; neap_sampler *s;
  slope q;
  int64_t chains, n, stride;                 /* stride: numbers of a chain's draw of momenta */
  chain *chain;
  double *memory, *all; size_t bytes;        /* all: [chains, n], for what comes from and goes to the state */
  const neap_tensor *mask; bool *held;       /* coordinates that do not move: [n]; or NULL */
  double *scale; size_t scale_bytes; bool dense;
  double step;
  neap_key key; uint64_t from;               /* the stream, as the walk found it */
  int64_t steps;
  sampler_sink *to;
};

/* ---- elements of float32 and float64 ---- */

static double read_one (const neap_tensor *t, int64_t at) {
  return t->dtype == NEAP_FLOAT64 ? ((double *)neap_ptr(t))[at] : (double)((float *)neap_ptr(t))[at];
}

/* n elements, where they lie or in `room` */
static const double *see_row (const neap_tensor *t, int64_t at, int64_t n, double *room) {
  if (t->dtype == NEAP_FLOAT64) return (double *)neap_ptr(t) + at;
  for (int64_t i = 0; i < n; i++) room[i] = (double)((float *)neap_ptr(t))[at + i];
  return room;
}

static void write_row (const neap_tensor *t, int64_t at, int64_t n, const double *from) {
  if (t->dtype == NEAP_FLOAT64) memcpy((double *)neap_ptr(t) + at, from, (size_t)n * sizeof *from);
  else for (int64_t i = 0; i < n; i++) ((float *)neap_ptr(t))[at + i] = (float)from[i];
}

/* x -> the chain's row; what does not fit its dtype is lost to x, too, so that energies belong to it */
static void show (const walker *w, const chain *k, double *x) {
  write_row(w->q.x, k->row * w->n, w->n, x);
  if (w->q.x->dtype != NEAP_FLOAT64) for (int64_t i = 0; i < w->n; i++) x[i] = (double)(float)x[i];
}

/* ---- leapfrog in white momenta ---- */

/* out = Sᵀ g */
static void whiten (const walker *w, const double *g, double *out) {
  int64_t n = w->n;
  if (!w->scale) { memcpy(out, g, (size_t)n * sizeof *g); return; }
  if (!w->dense) { for (int64_t i = 0; i < n; i++) out[i] = w->scale[i] * g[i]; return; }
  memset(out, 0, (size_t)n * sizeof *out);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) out[j] += w->scale[i * n + j] * g[i];
}

/* x += h·S·p */
static void drift (const walker *w, double h, const double *p, double *x) {
  int64_t n = w->n;
  if (!w->scale) { for (int64_t i = 0; i < n; i++) x[i] += h * p[i]; return; }
  if (!w->dense) { for (int64_t i = 0; i < n; i++) x[i] += h * w->scale[i] * p[i]; return; }
  for (int64_t i = 0; i < n; i++) {
    double v = 0;
    for (int64_t j = 0; j <= i; j++) v += w->scale[i * n + j] * p[j];
    x[i] += h * v;
  }
}

static double time_step (const walker *w, const tree *t) { return t->toward ? w->step : -w->step; }

static void kick (const walker *w, double h, tree_edge *e) {
  for (int64_t i = 0; i < w->n; i++) e->p[i] -= h / 2 * e->g[i];
}

static void leap (chain *k) {
  walker *w = k->w;
  double h = time_step(w, &k->t);
  tree_edge *e = &k->t.edge[k->t.toward];
  kick(w, h, e);
  drift(w, h, e->p, e->x);
  show(w, k, e->x);
}

/* ---- a chain's step ---- */

static void begin (chain *k) {
  walker *w = k->w;
  tree *t = &k->t;
  uint64_t step = w->from + 2 * (uint64_t)k->done;
  neap_fill_normal(t->tiles, w->key, step, k->row * w->stride, w->n, NEAP_FLOAT64, t->edge[0].p);
  for (int64_t i = 0; w->held && i < w->n; i++) if (w->held[i]) t->edge[0].p[i] = 0;
  whiten(w, t->whole.g, t->edge[0].g);
  t->step = step + 1;
  t->at = k->row << (TREE_DEPTH + 2);        /* more than a tree of that depth takes */
  tree_begin(t);
  leap(k);
}

static void keep (const chain *k) {
  const walker *w = k->w;
  sampler_sink *to = w->to;
  int64_t i = to ? to->at + k->done : 0;
  if (i <= 0 || i % to->thin != 0) return;
  int64_t place = (i / to->thin - 1) * w->chains + k->row;
  write_row(to->draws, place * w->n, w->n, k->t.whole.x);
  write_row(to->energy, place, 1, &k->t.whole.energy);
}

static void end (chain *k) {
  const tree *t = &k->t;
  k->accepted += t->accepted / (double)t->leaves;
  k->diverged += t->diverged;
  k->depth += t->depth;
  k->saturated += t->depth == t->max_depth;
  k->gradients += (double)t->leaves;
  k->done++;
  keep(k);
  if (k->done < k->w->steps) begin(k);
  else show(k->w, k, t->whole.x);
}

/* the gradient is there for where it leapt */
static void land (chain *k) {
  walker *w = k->w;
  tree_edge *e = &k->t.edge[k->t.toward];
  const double *g = see_row(w->q.g, k->row * w->n, w->n, k->room);
  whiten(w, g, e->g);
  kick(w, time_step(w, &k->t), e);
  if (tree_add(&k->t, read_one(w->q.e, k->row), g)) leap(k);
  else end(k);
}

/* ---- all chains ---- */

enum { TOGETHER = 16 };                      /* chains that a thread takes at once */

static void part (void *arg, int64_t b, void (*f) (chain *k)) {
  walker *w = arg;
  for (int64_t i = b * TOGETHER; i < (b + 1) * TOGETHER && i < w->chains; i++)
    if (w->chain[i].done < w->steps) f(&w->chain[i]);
}

static void begin_part (void *w, int64_t b) { part(w, b, begin); }
static void land_part (void *w, int64_t b) { part(w, b, land); }

static int64_t parts (const walker *w) { return (w->chains + TOGETHER - 1) / TOGETHER; }

/* the fewest steps that any chain has made */
static int64_t least_done (const walker *w) {
  int64_t least = w->steps;
  for (int64_t i = 0; i < w->chains; i++) if (w->chain[i].done < least) least = w->chain[i].done;
  return least;
}

static bool make_steps (walker *w) {
  bool ok = true;
  neap_parallel(w->c, parts(w), begin_part, w);
  while (ok && least_done(w) < w->steps) {
    ok = neap_poll(w->c) && slope_go(&w->q);
    if (ok) neap_parallel(w->c, parts(w), land_part, w);
  }
  return ok;
}

/* ---- from the state ---- */

static bool load_scale (walker *w, const neap_state *st) {
  neap_tensor *S = neap_state_get(st, "scale");
  int64_t n = sampler_scale_size(w->c, w->s, st, &w->dense);
  size_t bytes = S && n >= 0 ? (size_t)neap_numel(S) * sizeof(double) : 0;
  if (n < 0) return false;
  if (bytes != w->scale_bytes) {
    if (w->scale) neap_free(w->c, w->scale, w->scale_bytes);
    w->scale = bytes ? neap_malloc(w->c, bytes) : NULL;
    w->scale_bytes = w->scale ? bytes : 0;
  }
  return bytes == 0 || (w->scale && neap_read(w->c, S, NEAP_FLOAT64, w->scale));
}

static bool load_step (walker *w, const neap_state *st) {
  neap_tensor *h = neap_state_get(st, "step_size");
  w->step = w->s->step_size;
  return !h || neap_item(w->c, h, &w->step);
}

/* st[name], [chains] or [chains, event…], into w->all */
static bool fetch (walker *w, const neap_state *st, const char *name, int64_t n) {
  neap_tensor *t = neap_state_get(st, name);
  if (t && neap_numel(t) == w->chains * n) return neap_read(w->c, t, NEAP_FLOAT64, w->all);
  return neap_fail(w->c, NEAP_ESHAPE, "nuts: state.%s: one of %lld elements expected, got %s", name,
                   (long long)(w->chains * n), t ? SHAPE_TEXT(t) : "none");
}

static bool load_places (walker *w, const neap_state *st) {
  size_t row = (size_t)w->n * sizeof(double);
  if (!fetch(w, st, "x", w->n)) return false;
  for (int64_t i = 0; i < w->chains; i++) memcpy(w->chain[i].t.whole.x, w->all + i * w->n, row);
  if (!fetch(w, st, "grad", w->n)) return false;
  for (int64_t i = 0; i < w->chains; i++) memcpy(w->chain[i].t.whole.g, w->all + i * w->n, row);
  if (!fetch(w, st, "energy", 1)) return false;
  for (int64_t i = 0; i < w->chains; i++) w->chain[i].t.whole.energy = w->all[i];
  return true;
}

static bool load (walker *w, const neap_state *st, int64_t steps, sampler_sink *to) {
  neap_rng_state r = neap_rng_get(st->rng);
  w->key = neap_stream_key(r.seed, r.stream);
  w->from = r.step;
  w->steps = steps;
  w->to = to;
  for (int64_t i = 0; i < w->chains; i++) {
    chain *k = &w->chain[i];
    k->done = 0;
    k->accepted = k->diverged = k->depth = k->saturated = k->gradients = 0;
    k->t.key = w->key;
  }
  return load_step(w, st) && load_scale(w, st) && load_places(w, st);
}

/* ---- to the state ---- */

static const struct { const char *name; size_t offset; } counts[] = {
  { "accepted", offsetof(chain, accepted) }, { "divergences", offsetof(chain, diverged) },
  { "depth", offsetof(chain, depth) }, { "saturated", offsetof(chain, saturated) },
  { "grad_evals", offsetof(chain, gradients) },
};
enum { COUNTS = sizeof counts / sizeof *counts };

/* Makes st[name], n numbers of each chain, a tensor that none but st, and what st was, sees. */
static bool own (walker *w, neap_state *st, const char *name, int64_t n) {
  neap_tensor *t = neap_state_get(st, name), *copy;
  bool fits = t && neap_numel(t) == w->chains * n && neap_is_float(t->dtype) && neap_is_contiguous(t);
  if (fits && t->refs == 2 && t->store->refs == 1) return true;
  if (!fetch(w, st, name, n) || !(copy = neap_from(w->c, NEAP_FLOAT64, t->ndim, t->shape, w->all))) return false;
  return neap_state_set(w->c, st, name, neap_cast(w->c, copy, neap_is_float(t->dtype) ? t->dtype : NEAP_FLOAT64));
}

static bool own_all (walker *w, neap_state *st) {
  bool ok = own(w, st, "x", w->n) && own(w, st, "grad", w->n) && own(w, st, "energy", 1);
  if (ok && neap_state_get(st, "accept_prob")) ok = own(w, st, "accept_prob", 1);
  for (int i = 0; ok && i < COUNTS; i++)
    ok = sampler_counter(w->c, st, counts[i].name) && own(w, st, counts[i].name, 1);
  return ok;
}

/* w->all into st[name] */
static void give (walker *w, neap_state *st, const char *name) {
  neap_tensor *t = neap_state_get(st, name);
  write_row(t, 0, neap_numel(t), w->all);
  t->store->version++;
}

static void give_places (walker *w, neap_state *st) {
  size_t row = (size_t)w->n * sizeof(double);
  for (int64_t i = 0; i < w->chains; i++) memcpy(w->all + i * w->n, w->chain[i].t.whole.x, row);
  give(w, st, "x");
  for (int64_t i = 0; i < w->chains; i++) memcpy(w->all + i * w->n, w->chain[i].t.whole.g, row);
  give(w, st, "grad");
  for (int64_t i = 0; i < w->chains; i++) w->all[i] = w->chain[i].t.whole.energy;
  give(w, st, "energy");
}

static void give_accept (walker *w, neap_state *st) {
  for (int64_t i = 0; i < w->chains; i++) w->all[i] = w->chain[i].accepted / (double)w->steps;
  if (neap_state_get(st, "accept_prob")) give(w, st, "accept_prob");
}

/* a number of each chain, on top of what the state has */
static void give_count (walker *w, neap_state *st, const char *name, size_t offset) {
  const neap_tensor *t = neap_state_get(st, name);
  for (int64_t i = 0; i < w->chains; i++) w->all[i] = read_one(t, i) + *(double *)((char *)&w->chain[i] + offset);
  give(w, st, name);
}

static void move_on (neap_rng *rng, uint64_t draws) {
  neap_rng_state r = neap_rng_get(rng);
  r.step += draws;
  neap_rng_set(rng, r);
}

/* all of it or, on failure, nothing: what may fail comes first */
static bool store (walker *w, neap_state *st) {
  neap_state was = *st;
  for (int i = 0; i < was.count; i++) neap_keep(was.entries[i].t);
  bool ok = own_all(w, st);
  neap_state *dead = ok ? &was : st;
  for (int i = 0; i < dead->count; i++) neap_release(dead->entries[i].t);
  if (!ok) { *st = was; return false; }
  give_places(w, st);
  give_accept(w, st);
  for (int i = 0; i < COUNTS; i++) give_count(w, st, counts[i].name, counts[i].offset);
  move_on(st->rng, 2 * (uint64_t)w->steps);
  return true;
}

/* ---- a walk ---- */

static void close_walk (void *walker_) {
  walker *w = walker_;
  neap_context *c = w->c;
  slope_close(&w->q);
  if (w->scale) neap_free(c, w->scale, w->scale_bytes);
  if (w->memory) neap_free(c, w->memory, w->bytes);
  if (w->chain) neap_free(c, w->chain, (size_t)w->chains * sizeof *w->chain + 1);
  if (w->held) neap_free(c, w->held, (size_t)w->n + 1);
  neap_free(c, w, sizeof *w);
}

static bool open_memory (walker *w) {
  size_t each = tree_numbers(w->n, (int)w->s->max_depth) + (size_t)w->n;
  w->bytes = ((size_t)w->chains * (each + (size_t)w->n + 1)) * sizeof(double) + 1;
  w->chain = neap_calloc(w->c, (size_t)w->chains * sizeof *w->chain + 1);
  if (!w->chain || !(w->memory = neap_malloc(w->c, w->bytes))) return false;
  for (int64_t i = 0; i < w->chains; i++) {
    chain *k = &w->chain[i];
    double *at = w->memory + (size_t)i * each;
    *k = (chain){ .w = w, .row = i, .room = at };
    tree_lay(&k->t, w->n, (int)w->s->max_depth, at + w->n);
    k->t.tiles = w->c->tiles;
  }
  w->all = w->memory + (size_t)w->chains * each;
  return true;
}

/* mask [event…] as a bool for each coordinate */
static bool open_mask (walker *w, neap_energy *E, const neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *mask = neap_energy_mask(E);
  if (!mask) return true;
  if (!(w->held = neap_malloc(w->c, (size_t)w->n + 1))) return false;
  neap_scope sc = neap_scope_open(w->c);
  mask = neap_broadcast_to(w->c, mask, x->ndim - 1, x->shape + 1);
  bool ok = mask && neap_read(w->c, mask, NEAP_BOOL, w->held);
  neap_scope_close(w->c, sc);
  return ok;
}

static void *open_walk (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x");
  if (c->trace) return neap_fail(c, NEAP_ESTATE, "nuts: cannot be part of a function that is recorded");
  walker *w = neap_calloc(c, sizeof *w);
  if (!w) return NULL;
  w->c = c;
  w->s = s;
  w->chains = x->shape[0];
  w->n = w->chains > 0 ? neap_numel(x) / w->chains : 0;
  w->stride = (w->n + NEAP_DRAW_GROUP - 1) / NEAP_DRAW_GROUP * NEAP_DRAW_GROUP;
  if (slope_open(&w->q, c, s, E, st) && open_memory(w) && open_mask(w, E, st)) return w;
  close_walk(w);
  return NULL;
}

static bool go (void *walker_, neap_state *st, int64_t n, sampler_sink *to) {
  walker *w = walker_;
  neap_scope sc = neap_scope_open(w->c);
  bool ok = load(w, st, n, to) && make_steps(w) && store(w, st);
  if (to) to->whole = least_done(w);
  neap_scope_close(w->c, sc);
  return ok;
}

static const sampler_walk walk = { open_walk, go, close_walk };

/* ---- the kernel ---- */

static bool init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  return sampler_init_gradient(c, s, E, st) && sampler_first_step(c, s, E, st);
}

/* one that is not recorded with others: its energy is looked at anew */
static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  void *w = open_walk(c, s, E, st);
  bool ok = w && go(w, st, 1, NULL);
  if (w) close_walk(w);
  return ok;
}

static const neap_sampler_kind nuts = { "nuts", false, NEAP_START_NORMAL, init, step };

#define TARGET .8

neap_sampler *neap_sampler_nuts (neap_context *c, double step_size, int max_depth) {
  if (max_depth < 1 || max_depth > TREE_DEPTH)
    return neap_fail(c, NEAP_EARG, "nuts: max_depth: an integer from 1 to %d expected, got %d", TREE_DEPTH, max_depth);
  neap_sampler *s = sampler_new_adaptive(c, &nuts, step_size, TARGET);
  if (!s) return NULL;
  s->max_depth = max_depth;
  s->walk = &walk;
  return s;
}
