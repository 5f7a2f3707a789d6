/*
** classifier.c -- a classifier as an energy: E(x) = −log Σₖ e^(fₖ(x)) of its logits f (JEM: Grathwohl et al. 2020).
** Slots: the layers of an mlp without its head, so that the last of its sizes counts the classes; choice and num[0] are
** the mlp's.  An energy from a function whose choice is 1 is a classifier, too (function.c).
*/
#include "network.h"

bool energy_is_classifier (const neap_energy *E) {
  return E->cls == &energy_classifier_class || (E->cls == &energy_function_class && E->choice);
}

static bool check (neap_context *c, neap_energy *E) {
  int64_t classes;
  return network_check_stack(c, E, &classes) && network_set_event(c, E, (int64_t)E->num[0]);
}

neap_tensor *energy_logits (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  if (!E->function) return network_stack(c, E, x, cond, (int64_t)E->num[0]);
  neap_tensor *f = energy_call(c, E, x, cond);
  if (!f || (f->ndim == 2 && f->shape[0] == x->shape[0] && f->shape[1] > 0)) return f;
  return neap_fail(c, NEAP_ESHAPE, "%s: logits must be [B, K] with B = %lld, got %s", energy_title(E),
                   (long long)x->shape[0], SHAPE_TEXT(f));
}

/* x [B, D] -> [B] */
neap_tensor *energy_classify (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *f = energy_logits(c, E, x, cond), *log_sum = f ? energy_logsumexp_last(c, f) : NULL;
  return log_sum ? neap_neg(c, log_sum) : NULL;
}

const energy_class energy_classifier_class = { "classifier", 0, 0, 1, check, energy_classify, NULL, NULL,
                                               network_tail };

neap_energy *neap_energy_classifier (neap_context *c, neap_energy *net) {
  if (!neap_ok(c)) return NULL;
  if (!net || net->cls != &energy_mlp_class)
    return neap_fail(c, NEAP_EARG, "classifier: an mlp or a function that gives logits [B, K] expected, got %s",
                     net ? energy_title(net) : "none");
  if (net->nslots < 4)
    return neap_fail(c, NEAP_EARG, "classifier: the last of the mlp's sizes counts the classes; there is none");
  neap_energy *E = energy_new(c, &energy_classifier_class, net->nslots - 2, 0, NULL);
  if (!E) return NULL;
  E->choice = net->choice;
  E->num[0] = net->num[0];
  for (int i = 0; i < E->nslots; i++) {
    energy_set(E, i, net->slots[i].name, net->slots[i].value);
    E->slots[i].variable = net->slots[i].variable;
  }
  return energy_finish(c, E);
}
