/*
** gibbs.c -- Gibbs sampling: a restricted Boltzmann machine's sides in turn (Smolensky 1986, Hinton 2002), a lattice's
** units by their colours (gibbs_lattice.c), other discrete units one by one (gibbs_single.c).
** A machine's hidden units are independent given x and the visible ones given h, so each side is drawn exactly; visible
** units of a Gaussian one are normal.
** Invariant: coordinates that E:fix holds keep their values: the rest is drawn from the conditional law.
*/
#include "sampler/gibbs.h"
#include "energy/rbm.h"

static bool is_lattice (const neap_energy *E) { return E->cls == &energy_ising_class || E->cls == &energy_potts_class; }

static bool is_layer (const neap_energy *E) {
  return E->cls == &energy_scale_class || E->cls == &energy_divide_class || E->cls == &energy_offset_class;
}

neap_energy *gibbs_base (neap_energy *E) {
  neap_energy *fixed = E, *base;
  while (fixed->cls == &energy_fix_class) fixed = fixed->parts[0];
  for (base = fixed; is_layer(base) || base->cls == &energy_fix_class; ) base = base->parts[0];
  return is_lattice(base) ? base : fixed;
}

bool gibbs_takes (neap_energy *E) {
  const neap_energy *base = gibbs_base(E);
  return is_lattice(base) || rbm_is_machine(base);
}

static bool init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  double first, step;
  neap_energy *base = gibbs_base(E);
  (void)s;
  if (is_lattice(base)) return gibbs_check_lattice(c, E, base, neap_state_get(st, "x"));
  if (gibbs_takes(E) || neap_energy_units(E, &first, &step) > 0) return true;
  return neap_fail(c, NEAP_EARG, "gibbs: a gaussian_rbm or an energy of discrete units (rbm, ising, potts, a function "
                   "with states) expected, got %s", neap_energy_name(E));
}

neap_tensor *gibbs_hold (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *y) {
  neap_tensor *mask = neap_energy_mask(E);
  y = energy_cast(c, y, x->dtype);
  return mask && y ? neap_where(c, mask, x, y) : y;
}

/* x [chains, visible] -> h [chains, hidden] -> x */
static bool step_machine (neap_context *c, neap_energy *rbm, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *ph = neap_rbm_hidden(c, rbm, x);
  neap_tensor *h = ph ? neap_rng_bernoulli(c, st->rng, ph) : NULL;
  neap_tensor *v = h ? rbm_draw_visible(c, rbm, st->rng, rbm_to_visible(c, rbm, h)) : NULL;
  v = gibbs_hold(c, E, x, v);
  return v && neap_state_set(c, st, "h", h) && neap_state_set(c, st, "x", v);
}

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  (void)s;
  neap_energy *base = gibbs_base(E);
  if (rbm_is_machine(base)) return step_machine(c, base, E, st);
  neap_tensor *x = is_lattice(base) ? gibbs_sweep(c, E, base, st) : gibbs_sweep_single(c, E, st);
  return x && neap_state_set(c, st, "x", x);
}

static const neap_sampler_kind gibbs = { "gibbs", false, NEAP_START_BERNOULLI, init, step };

bool gibbs_is (const neap_sampler *s) { return s->kind == &gibbs; }

neap_sampler *neap_sampler_gibbs (neap_context *c) { return sampler_new(c, &gibbs); }
