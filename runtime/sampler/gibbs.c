/*
** gibbs.c -- block Gibbs sampling of a restricted Boltzmann machine (Smolensky 1986, Hinton 2002).
** The hidden units are independent given x and the visible ones given h, so each side is drawn exactly in turn.
** Coordinates that E:fix holds keep their values: the rest is drawn from the conditional law.
*/
#include "sampler/sampler.h"
#include "energy/energy.h"

/* the machine under any number of fix layers; NULL with an error when E is something else */
static neap_energy *machine (neap_context *c, neap_energy *E) {
  neap_energy *base = E;
  while (base->cls == &energy_fix_class) base = base->parts[0];
  if (neap_energy_is_rbm(base)) return base;
  return neap_fail(c, NEAP_EARG, "gibbs: an rbm expected, got %s", neap_energy_name(E));
}

static bool init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  (void)s, (void)st;
  return machine(c, E) != NULL;
}

/* x [chains, visible] -> h [chains, hidden] -> x */
static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  (void)s;
  neap_energy *rbm = machine(c, E);
  if (!rbm) return false;
  neap_tensor *x = neap_state_get(st, "x"), *mask = neap_energy_mask(E);
  neap_tensor *ph = neap_rbm_hidden(c, rbm, x), *h = ph ? neap_rng_bernoulli(c, st->rng, ph) : NULL;
  neap_tensor *pv = h ? neap_rbm_visible(c, rbm, h) : NULL, *v = pv ? neap_rng_bernoulli(c, st->rng, pv) : NULL;
  if (v && v->dtype != x->dtype) v = energy_cast(c, v, x->dtype);
  if (mask && v) v = neap_where(c, mask, x, v);
  return v && neap_state_set(c, st, "h", h) && neap_state_set(c, st, "x", v);
}

static const neap_sampler_kind gibbs = { "gibbs", false, NEAP_START_BERNOULLI, init, step };

neap_sampler *neap_sampler_gibbs (neap_context *c) { return sampler_new(c, &gibbs); }
