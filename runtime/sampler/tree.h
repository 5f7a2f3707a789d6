/*
** tree.h -- the trajectory of one chain's no-U-turn step, as a tree: what is drawn from it, and when it stops growing.
** Momenta are white: the metric is part of the coordinates, so a velocity is a momentum and every criterion a plain dot
** product.  Whoever drives a tree makes the leapfrog steps.
** Invariant: parts on the stack have falling levels, and a part of level l stands for 2^l states; a part's state was
** drawn from them with probabilities in proportion to e^(−H).
*/
#ifndef NEAP_SAMPLER_TREE_H
#define NEAP_SAMPLER_TREE_H

#include "kernels/tile.h"

enum { TREE_DEPTH = 20, TREE_UNIFORMS = 64 };          /* the deepest there may be; uniforms made at once */

typedef struct tree_edge { double *x, *p, *g; } tree_edge;         /* position, momentum, white gradient: [n] */

typedef struct tree_part {
  double *first, *last, *rho;              /* momenta where it begins and ends, as it grew; the sum of all: [n] */
  double *x, *g;                           /* the state drawn from it: position, gradient as the energy gives it */
  double energy, weight;                   /* of that state; log Σ e^(−H) over all, against where the step began */
  int level;
} tree_part;

typedef struct tree {
  int64_t n; int max_depth;
  tree_edge edge[2];                       /* the ends of the whole: backwards in time, forwards */
  tree_part whole, part[TREE_DEPTH + 1];
  int height, depth, toward, facing;       /* toward: the edge that grows; facing: the one where whole.last is */
  double h0;                               /* H where the step began */
  int64_t leaves; double accepted;         /* states tried; Σ min(1, e^(h0 − H)) */
  bool diverged;
  const neap_tiles *tiles; neap_key key; uint64_t step; int64_t at;   /* of its uniforms: elements from `at` on */
  int used; double uniform[TREE_UNIFORMS];
} tree;

/* How many numbers a tree's memory holds; lays it out in them. */
size_t tree_numbers (int64_t n, int max_depth);
void tree_lay (tree *t, int64_t n, int max_depth, double *memory);
/* Begins a step at whole.x, whole.g, whole.energy with the momentum and white gradient of edge[0]; chooses `toward`.
** What is drawn from whole, at the end, is where the chain goes. */
void tree_begin (tree *t);
/* edge[toward] made a leapfrog step, to a state of this energy and gradient.  False: the step is over; else `toward`
** says which edge is to make the next one. */
bool tree_add (tree *t, double energy, const double *g);

#endif
