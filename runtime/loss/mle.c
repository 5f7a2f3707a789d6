/*
** mle.c -- maximum likelihood of models whose normaliser is known: mean −log p = mean E + log Z.
** Invariant: log Z comes in closed form, from E and all its parts; an energy with a function of the host's in it is
** taken to be normalised as it is, for nothing can be known of it.
*/
#include "loss/loss.h"
#include "energy/energy.h"

static bool has_log_z (const neap_energy *E) {
  bool has = E->cls->log_z != NULL;
  for (int i = 0; has && i < E->nparts; i++) has = has_log_z(E->parts[i]);
  return has;
}

static neap_tensor *eval (neap_context *c, neap_loss *l, loss_batch *b) {
  neap_tensor *mean = rows_mean(c, neap_energy_eval(c, b->E, b->x, b->cond));
  if (!mean || !loss_tell(c, b, "positive", mean)) return NULL;
  if (has_log_z(b->E)) {
    neap_tensor *z = rows_mean(c, energy_cast(c, neap_energy_log_z(c, b->E), mean->dtype));
    return loss_tell(c, b, "log_z", z) ? neap_add(c, mean, z) : NULL;
  }
  if (!energy_is_fixed(b->E)) return mean;
  return neap_fail(c, NEAP_EARG, "%s: E: a model with a known log Z expected, got %s; cd, dsm, ssm, nce … need none",
                   l->kind->name, energy_title(b->E));
}

static const neap_loss_kind mle = { "mle", NULL, NULL, eval };

neap_loss *neap_loss_mle (neap_context *c) { return loss_new(c, &mle); }
