/*
** slice.c -- slice sampling along a random line (Neal 2003).
** A level is drawn below e^(−E(x)), an interval of length width is laid at random around x on a line of random
** direction, its ends step out while they are above the level, and points drawn from it are tried until one is above;
** each that is not becomes an end.  How often that may happen is bounded, so that a step is ops alone: OUT − 1 steps
** outwards, divided among the ends at random as Neal does, and SHRINKS points, after which x stays where it is.  Both
** keep detailed balance: the way back draws the same points.
** Invariant: "energy" is the energy of "x".
*/
#include "sampler/sampler.h"

enum { OUT = 8, SHRINKS = 12 };
enum { LEVEL = 1, PLACE, LEFT, POINT, DRAWS = LEFT + SHRINKS };  /* columns of a step's uniform numbers; points last */

typedef struct line {                        /* the points x + t·d of each row */
  neap_tensor *x, *d;                        /* [chains, event…], |d| = 1 */
  neap_tensor *level;                        /* [chains]: a point is in the slice if its energy is at most that */
  neap_tensor *u;                            /* [chains, DRAWS] */
  neap_tensor *lo, *hi;                      /* [chains]: the interval, in t */
} line;

static neap_tensor *column (neap_context *c, const line *l, int i) { return l->u ? neap_select(c, l->u, 2, i) : NULL; }

/* U on the unit sphere of the coordinates that E leaves free; 0 where there are none */
static neap_tensor *direction (neap_context *c, neap_energy *E, neap_state *st, neap_tensor *x) {
  neap_tensor *n = sampler_noise(c, E, st, x), *square = n ? rows_dot(c, n, n) : NULL;
  neap_tensor *norm = square ? neap_sqrt(c, neap_maximum(c, square, neap_scalar(c, n->dtype, 1e-30))) : NULL;
  return norm ? neap_div(c, n, rows_expand(c, norm, n->ndim)) : NULL;
}

static neap_tensor *point (neap_context *c, const line *l, neap_tensor *t) {
  return t && l->d ? neap_add(c, l->x, neap_mul(c, rows_expand(c, t, l->d->ndim), l->d)) : NULL;
}

static bool begin (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, line *l) {
  l->x = neap_state_get(st, "x");
  l->d = direction(c, E, st, l->x);
  l->u = neap_rng_uniform(c, st->rng, l->x->dtype, 2, (int64_t[]){ l->x->shape[0], DRAWS });
  neap_tensor *u = column(c, l, LEVEL), *place = column(c, l, PLACE);
  if (!u || !place) return false;
  l->level = neap_sub(c, neap_state_get(st, "energy"), neap_log1p(c, neap_neg(c, u)));
  l->lo = rows_scale(c, place, -s->step_size);
  l->hi = l->lo ? neap_add(c, l->lo, neap_scalar(c, l->lo->dtype, s->step_size)) : NULL;
  return l->level && l->hi;
}

/* OUT − 1 looks: at the lower end as often as the row's draw says, then at the upper one.  An end that was once found
** outside is found there again. */
static bool step_out (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, line *l) {
  neap_tensor *u = column(c, l, LEFT), *left = u ? neap_floor(c, rows_scale(c, u, OUT)) : NULL;
  for (int i = 0; left && i < OUT - 1; i++) {
    neap_tensor *lower = neap_gt(c, left, neap_scalar(c, left->dtype, i));
    neap_tensor *e = sampler_energy(c, E, st, point(c, l, neap_where(c, lower, l->lo, l->hi)));
    neap_tensor *inside = neap_le(c, e, l->level), *width = neap_scalar(c, left->dtype, s->step_size);
    l->lo = neap_where(c, neap_logical_and(c, inside, lower), neap_sub(c, l->lo, width), l->lo);
    l->hi = neap_where(c, neap_logical_and(c, inside, neap_logical_not(c, lower)), neap_add(c, l->hi, width), l->hi);
    if (!neap_poll(c) || !l->lo || !l->hi) return false;
  }
  return left != NULL;
}

/* The first of SHRINKS points that is in the slice: *t [chains] and its energy *e, which are x's where none is; bool
** [chains]: there is one */
static neap_tensor *shrink (neap_context *c, neap_energy *E, neap_state *st, line *l, neap_tensor **t,
                            neap_tensor **e) {
  neap_tensor *found = neap_full(c, NEAP_BOOL, 1, l->x->shape, 0);
  *t = neap_zeros_like(c, l->lo);
  *e = neap_state_get(st, "energy");
  for (int i = 0; found && i < SHRINKS; i++) {
    neap_tensor *u = column(c, l, POINT + i), *at = u ? neap_lerp(c, l->lo, l->hi, u) : NULL;
    neap_tensor *energy = sampler_energy(c, E, st, point(c, l, at)), *inside = neap_le(c, energy, l->level);
    neap_tensor *now = neap_logical_and(c, inside, neap_logical_not(c, found));
    *t = neap_where(c, now, at, *t);
    *e = neap_where(c, now, energy, *e);
    neap_tensor *below = at ? neap_lt(c, at, neap_scalar(c, at->dtype, 0)) : NULL;
    l->lo = neap_where(c, below, at, l->lo);
    l->hi = neap_where(c, below, l->hi, at);
    found = neap_logical_or(c, found, inside);
    if (!neap_poll(c)) return NULL;
  }
  return found;
}

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  line l;
  neap_tensor *t, *e;
  if (!begin(c, s, E, st, &l) || !step_out(c, s, E, st, &l)) return false;
  neap_tensor *found = shrink(c, E, st, &l, &t, &e), *x = found ? point(c, &l, t) : NULL;
  return x && neap_state_set(c, st, "x", x) && neap_state_set(c, st, "energy", e) &&
         sampler_count(c, st, "accepted", found);
}

static const neap_sampler_kind slice = { "slice", false, NEAP_START_NORMAL, sampler_init_energy, step };

neap_sampler *neap_sampler_slice (neap_context *c, double width) {
  if (!sampler_positive(c, "slice", "width", width)) return NULL;
  neap_sampler *s = sampler_new(c, &slice);
  if (s) s->step_size = width;
  return s;
}
