/*
** noise.c -- a network as an energy at every noise level: E(x, σ) = net(x)/σ, or net(x, log σ)/σ where the network
** takes a condition.
** The score of data with noise σ grows as 1/σ when σ falls, so a network that keeps its size serves all levels (Song
** and Ermon 2020, technique 3).  No slots; the part is the network, and σ, [B] or [B, 1], must be positive.
*/
#include "tail.h"

static bool check (neap_context *c, neap_energy *E) {
  neap_energy *p = E->parts[0];
  E->wants = 1;
  (void)c;
  return !p->mask || energy_hold(E, p->mask, p->mask_values);
}

static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *sigma) {
  if (neap_numel(sigma) != sigma->shape[0])
    return neap_fail(c, NEAP_ESHAPE, "noise_conditional: sigma must be [B] or [B, 1], got %s", SHAPE_TEXT(sigma));
  sigma = energy_cast(c, sigma, neap_is_float(x->dtype) ? x->dtype : c->default_dtype);
  neap_tensor *level = energy_reshape(c, sigma, 1, x->shape);
  neap_tensor *log = energy_reshape(c, level ? neap_log(c, level) : NULL, 2, (int64_t[]){ x->shape[0], 1 });
  neap_tensor *e = log ? energy_part(c, E, 0, x, log) : NULL;
  return e ? neap_div(c, e, level) : NULL;
}

/* of a network without a quadratic part the scale 1/σ changes nothing */
static bool tail (neap_context *c, neap_energy *E, energy_tail *t) {
  if (!tail_same(c, E, t)) return false;
  if (t->size > 0 || t->steep || t->rises || t->falls || t->integrable) *t = (energy_tail){ .D = t->D };
  return true;
}

const energy_class energy_noise_class = { "noise_conditional", 1, 1, 0, check, eval, NULL, NULL, tail };

neap_energy *neap_energy_noise_conditional (neap_context *c, neap_energy *net) {
  return neap_ok(c) ? energy_finish(c, energy_new(c, &energy_noise_class, 0, 1, &net)) : NULL;
}
