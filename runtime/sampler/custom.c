/*
** custom.c -- a kernel of the host's own as a sampler.
** Invariant: arg is freed exactly once, by the sampler or by a failed creation.
*/
#include "sampler/sampler.h"
#include <string.h>

static bool init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  return !s->custom.init || s->custom.init(c, s->custom.arg, E, st);
}

/* The host's step must keep the number and shape of the chains: what draws hold depends on it. */
static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *old = neap_keep(neap_state_get(st, "x"));
  bool ok = s->custom.step(c, s->custom.arg, E, st);
  neap_tensor *x = neap_state_get(st, "x");
  if (ok && !neap_same_shape(x, old))
    ok = neap_fail(c, NEAP_ESHAPE, "custom: step changed state.x from %s to %s", SHAPE_TEXT(old), SHAPE_TEXT(x));
  neap_release(old);
  return ok;
}

static const neap_sampler_kind custom = { "custom", true, NEAP_START_NORMAL, init, step };

neap_sampler *neap_sampler_custom (neap_context *c, const neap_custom_sampler *k) {
  if (!k->step) neap_fail(c, NEAP_EARG, "custom: step: a function expected, got none");
  neap_sampler *s = sampler_new(c, &custom);
  if (s) s->custom = *k;
  else if (k->free) k->free(k->arg);
  return s;
}
