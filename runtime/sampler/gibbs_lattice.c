/*
** gibbs_lattice.c -- Gibbs sampling of single units on a lattice or a graph (Geman & Geman 1984).
** Units of one colour (energy/colour.c) are independent given the others, so they are drawn together; a step draws each
** unit once, colour after colour.  A weight or temperature of the energy multiplies what acts on a unit.
** Invariant: units that E:fix holds keep their values.
*/
#include "sampler/gibbs.h"
#include "energy/lattice.h"
#include "energy/states.h"

static bool is_spins (const neap_energy *base) { return base->cls == &energy_ising_class; }

/* field, with rows first, times the weights of E's layers, divided by their temperatures */
static neap_tensor *weigh (neap_context *c, neap_energy *E, neap_tensor *field) {
  for (; field && E->nparts; E = E->parts[0]) {
    bool times = E->cls == &energy_scale_class, over = E->cls == &energy_divide_class;
    if (!times && !over) continue;
    neap_tensor *w = energy_get(c, E, 0, field);
    if (w && w->ndim == 1) w = rows_expand(c, w, field->ndim);
    field = times ? neap_mul(c, field, w) : neap_div(c, field, w);
  }
  return field;
}

/* every unit's next state given the others, like x; u [chains, event…]: numbers of this sweep */
static neap_tensor *draw_spins (neap_context *c, neap_energy *E, neap_energy *base, neap_tensor *x, neap_tensor *u) {
  neap_tensor *slope = weigh(c, E, neap_energy_grad(c, base, x, NULL));
  neap_tensor *up = slope && u ? neap_lt(c, u, neap_sigmoid(c, rows_scale(c, slope, -2))) : NULL;
  return up ? neap_where(c, up, neap_scalar(c, x->dtype, 1), neap_scalar(c, x->dtype, -1)) : NULL;
}

static neap_tensor *draw_states (neap_context *c, neap_energy *E, neap_energy *base, neap_tensor *x, neap_rng *rng) {
  neap_tensor *z = energy_one_hot_of(c, base, x);
  neap_tensor *slope = z ? weigh(c, E, neap_energy_grad(c, base, z, NULL)) : NULL;
  neap_tensor *y = slope ? neap_rng_categorical(c, rng, neap_neg(c, slope)) : NULL;
  return y ? energy_cast(c, y, x->dtype) : NULL;
}

neap_tensor *gibbs_sweep (neap_context *c, neap_energy *E, neap_energy *base, neap_state *st) {
  int count;
  neap_tensor *x = neap_state_get(st, "x"), *colours = lattice_colours(c, base, &count), *mask = neap_energy_mask(E);
  neap_tensor *u = is_spins(base) ? neap_rng_uniform(c, st->rng, x->dtype, x->ndim, x->shape) : NULL;
  for (int k = 0; k < count && colours && neap_poll(c); k++) {
    neap_tensor *turn = neap_eq(c, colours, neap_scalar(c, NEAP_INT64, k));
    if (mask) turn = neap_logical_and(c, turn, neap_logical_not(c, mask));
    neap_tensor *y = is_spins(base) ? draw_spins(c, E, base, x, u) : draw_states(c, E, base, x, st->rng);
    if (!y || !(x = neap_where(c, turn, y, x))) return NULL;
  }
  return colours && neap_ok(c) ? x : NULL;
}

/* bool, like x: a value that a unit may have */
static neap_tensor *possible (neap_context *c, neap_energy *base, neap_tensor *x) {
  energy_units u = energy_units_of(base);
  if (is_spins(base)) return neap_eq(c, neap_square(c, x), neap_scalar(c, x->dtype, 1));
  neap_tensor *v = neap_cast(c, x, NEAP_FLOAT64);
  return v ? neap_eq(c, v, neap_clamp(c, neap_floor(c, v), 1, (double)u.base)) : NULL;
}

bool gibbs_check_lattice (neap_context *c, neap_energy *E, neap_energy *base, neap_tensor *x) {
  double all = 0;
  int count;
  if (is_spins(base) && !neap_is_float(x->dtype))
    return neap_fail(c, NEAP_EDTYPE, "gibbs: x: float32 or float64 expected, got %s; x:float() makes one",
                     neap_dtype_name(x->dtype));
  if (!lattice_colours(c, base, &count)) return false;
  if (c->trace) return true;                   /* while a function is recorded there are no values to look at */
  neap_tensor *mask = neap_energy_mask(E), *good = possible(c, base, x);
  if (mask && good) good = neap_logical_or(c, mask, good);
  if (!good || !neap_item(c, neap_all(c, good, -1, NULL, false), &all)) return false;
  if (all != 0) return true;
  if (is_spins(base))
    return neap_fail(c, NEAP_EARG, "gibbs: x: units -1 and 1 expected, got others in %s", SHAPE_TEXT(x));
  return neap_fail(c, NEAP_EARG, "gibbs: x: states 1 to %lld expected, got others in %s",
                   (long long)energy_units_of(base).base, SHAPE_TEXT(x));
}
