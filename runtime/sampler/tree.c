/*
** tree.c -- the multinomial no-U-turn sampler's tree (Hoffman and Gelman 2014; Betancourt 2017), grown leaf by leaf.
** A trajectory doubles in a random direction of time until it turns back on itself: until the sum of its momenta points
** against that of one of its ends.  As in Stan from 2.21 on the same is asked of each half with the first state of the
** other, since a half may turn unseen.  A doubling's state replaces the old one with probability min(1, w_new / w_old),
** within a doubling in proportion to the weights.
** Invariant: a part that was joined to another is free for the next leaf; vectors change hands by their pointers.
*/
#include "sampler/tree.h"
#include <math.h>
#include <string.h>

#define DIVERGENCE 1000.                   /* an error of H beyond it ends the step */

/* ---- memory ---- */

enum { PART_VECTORS = 5, EDGE_VECTORS = 3 };

size_t tree_numbers (int64_t n, int max_depth) {
  return (size_t)n * (size_t)(PART_VECTORS * (max_depth + 2) + 2 * EDGE_VECTORS);
}

static double *lay_part (tree_part *p, int64_t n, double *at) {
  p->first = at;
  p->last = at + n;
  p->rho = at + 2 * n;
  p->x = at + 3 * n;
  p->g = at + 4 * n;
  return at + PART_VECTORS * n;
}

void tree_lay (tree *t, int64_t n, int max_depth, double *at) {
  t->n = n;
  t->max_depth = max_depth;
  for (int i = 0; i < 2; i++, at += EDGE_VECTORS * n) t->edge[i] = (tree_edge){ at, at + n, at + 2 * n };
  at = lay_part(&t->whole, n, at);
  for (int i = 0; i <= max_depth; i++) at = lay_part(&t->part[i], n, at);
}

/* ---- small things ---- */

static void copy (int64_t n, double *to, const double *from) { memcpy(to, from, (size_t)n * sizeof *to); }

static void swap (double **a, double **b) {
  double *t = *a;
  *a = *b;
  *b = t;
}

static double uniform (tree *t) {
  if (t->used == TREE_UNIFORMS) {
    neap_fill_uniform(t->tiles, t->key, t->step, t->at, TREE_UNIFORMS, NEAP_FLOAT64, t->uniform);
    t->at += TREE_UNIFORMS;
    t->used = 0;
  }
  return t->uniform[t->used++];
}

/* log(e^a + e^b); e^b / (e^a + e^b); e^b / e^a, 1 at most */
typedef struct odds { double total, of_all, of_old; } odds;

static odds odds_of (double a, double b) {
  double less = exp(-fabs(a - b));                     /* the smaller against the larger */
  if (a == b && a == -INFINITY) return (odds){ a, 0, 0 };
  if (a < b) return (odds){ b + log1p(less), 1 / (1 + less), 1 };
  return (odds){ a + log1p(less), less / (1 + less), less };
}

static double kinetic (int64_t n, const double *p) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += p[i] * p[i];
  return sum / 2;
}

/* ---- parts ---- */

/* b comes after a: a becomes both, of that weight, and b's state its own if it is taken.  Is there no U-turn in it? */
static bool join (int64_t n, tree_part *a, tree_part *b, double weight, bool take) {
  double whole[2] = { 0 }, left[2] = { 0 }, right[2] = { 0 };
  for (int64_t i = 0; i < n; i++) {
    double ra = a->rho[i], rb = b->rho[i];
    double first = a->first[i], near = a->last[i], next = b->first[i], last = b->last[i];
    whole[0] += first * (ra + rb);
    whole[1] += last * (ra + rb);
    left[0] += first * (ra + next);
    left[1] += next * (ra + next);
    right[0] += near * (rb + near);
    right[1] += last * (rb + near);
    a->rho[i] = ra + rb;
  }
  swap(&a->last, &b->last);
  if (take) {
    swap(&a->x, &b->x);
    swap(&a->g, &b->g);
    a->energy = b->energy;
  }
  a->weight = weight;
  a->level++;
  return whole[0] > 0 && whole[1] > 0 && left[0] > 0 && left[1] > 0 && right[0] > 0 && right[1] > 0;
}

/* a part that is one state: e, with its gradient g as the energy gives it */
static void set_leaf (int64_t n, tree_part *leaf, const tree_edge *e, const double *g, double weight) {
  double *restrict first = leaf->first, *restrict last = leaf->last, *restrict rho = leaf->rho;
  double *restrict x = leaf->x, *restrict to = leaf->g;
  for (int64_t i = 0; i < n; i++) {
    first[i] = last[i] = rho[i] = e->p[i];
    x[i] = e->x[i];
    to[i] = g[i];
  }
  leaf->weight = weight;
  leaf->level = 0;
}

/* ---- a step ---- */

static void choose (tree *t) {
  t->toward = uniform(t) < .5;
  if (t->toward == t->facing) return;
  swap(&t->whole.first, &t->whole.last);
  t->facing = t->toward;
}

void tree_begin (tree *t) {
  tree_edge *a = &t->edge[0], *b = &t->edge[1];
  double *momenta[3] = { t->whole.first, t->whole.last, t->whole.rho };
  copy(t->n, a->x, t->whole.x);
  copy(t->n, b->x, t->whole.x);
  copy(t->n, b->p, a->p);
  copy(t->n, b->g, a->g);
  for (int i = 0; i < 3; i++) copy(t->n, momenta[i], a->p);
  t->h0 = t->whole.energy + kinetic(t->n, a->p);
  if (isnan(t->h0)) t->h0 = INFINITY;
  t->whole.weight = t->h0 < INFINITY ? 0 : -INFINITY;
  t->whole.level = 0;
  t->height = t->depth = 0;
  t->facing = 1;
  t->leaves = 0;
  t->accepted = 0;
  t->diverged = false;
  t->used = TREE_UNIFORMS;
  choose(t);
}

/* the doubling is complete: it becomes part of the whole */
static bool grow (tree *t) {
  tree_part *doubling = &t->part[0];
  odds w = odds_of(t->whole.weight, doubling->weight);
  bool take = uniform(t) < w.of_old;
  t->height = 0;
  t->depth++;
  if (!join(t->n, &t->whole, doubling, w.total, take) || t->depth == t->max_depth) return false;
  choose(t);
  return true;
}

/* parts of one level become one of the next, as far as that goes */
static bool merge (tree *t) {
  while (t->height > 1) {
    tree_part *a = &t->part[t->height - 2], *b = a + 1;
    if (a->level != b->level) return true;
    odds w = odds_of(a->weight, b->weight);
    bool take = uniform(t) < w.of_all;
    if (!join(t->n, a, b, w.total, take)) return false;
    t->height--;
  }
  return t->part[0].level < t->depth || grow(t);
}

bool tree_add (tree *t, double energy, const double *g) {
  const tree_edge *e = &t->edge[t->toward];
  double h = energy + kinetic(t->n, e->p), gain = t->h0 - h;
  t->leaves++;
  if (gain >= 0) t->accepted += 1;
  else if (gain < 0) t->accepted += exp(gain);         /* NaN adds nothing */
  if (!(h - t->h0 <= DIVERGENCE)) {
    t->diverged = true;
    return false;
  }
  tree_part *leaf = &t->part[t->height++];
  set_leaf(t->n, leaf, e, g, t->h0 < INFINITY ? gain : -h);
  leaf->energy = energy;
  return merge(t);
}
