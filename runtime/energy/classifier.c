/*
** classifier.c -- a classifier as an energy: E(x) = −log Σₖ e^(fₖ(x)) of its logits f, and E(x, k) = −fₖ(x), x and its
** class together (JEM: Grathwohl et al. 2020).
** Slots: the layers of an mlp, or of a network of images, without its head, so that the last of its sizes counts the
** classes; choice and num are that network's.  An energy from a function whose choice is 1 is a classifier, too
** (function.c).  The energy of x and its class has no slots; its part is the classifier, its condition the class.
*/
#include "network.h"
#include <math.h>
#include <string.h>

bool energy_is_classifier (const neap_energy *E) {
  return E->cls == &energy_classifier_class || E->cls == &energy_conv_classifier_class ||
         (E->cls == &energy_function_class && E->choice);
}

/* f [B, K], as a function gave it */
static neap_tensor *checked (neap_context *c, const neap_energy *E, const neap_tensor *x, neap_tensor *f) {
  if (!f || (f->ndim == 2 && f->shape[0] == x->shape[0] && f->shape[1] > 0)) return f;
  return neap_fail(c, NEAP_ESHAPE, "%s: logits must be [B, K] with B = %lld, got %s", energy_title(E),
                   (long long)x->shape[0], SHAPE_TEXT(f));
}

neap_tensor *energy_logits (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  if (E->function) return checked(c, E, x, energy_call(c, E, x, cond));
  if (E->cls == &energy_conv_classifier_class) return network_images(c, E, x);
  return network_stack(c, E, x, cond, (int64_t)E->num[0]);
}

/* x [B, event…] -> [B] */
neap_tensor *energy_classify (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *f = energy_logits(c, E, x, cond), *log_sum = f ? energy_logsumexp_last(c, f) : NULL;
  return log_sum ? neap_neg(c, log_sum) : NULL;
}

static bool check_stack (neap_context *c, neap_energy *E) {
  int64_t classes;
  return network_check_stack(c, E, &classes) && network_set_event(c, E, (int64_t)E->num[0]);
}

static bool check_images (neap_context *c, neap_energy *E) {
  int64_t classes;
  return network_check_images(c, E, &classes);
}

const energy_class
  energy_classifier_class = { "classifier", 0, 0, 1, check_stack, energy_classify, NULL, NULL, network_tail },
  energy_conv_classifier_class = { "conv_classifier", 0, 0, 3, check_images, energy_classify, NULL, NULL,
                                   network_tail };

/* ---- making ---- */

/* the class of what a network becomes; NULL with an error when it has no size that counts classes */
static const energy_class *class_for (neap_context *c, const neap_energy *net) {
  bool mlp = net && net->cls == &energy_mlp_class;
  if (!mlp && !(net && net->cls == &energy_conv_class))
    return neap_fail(c, NEAP_EARG, "classifier: an mlp, a conv or a function that gives logits [B, K] expected, got %s",
                     net ? energy_title(net) : "none");
  if (mlp && net->nslots < 4)
    return neap_fail(c, NEAP_EARG, "classifier: the last of the mlp's sizes counts the classes; there is none");
  if (!mlp && net->slots[net->nslots - 4].value->ndim != 2)
    return neap_fail(c, NEAP_EARG, "classifier: the last of the conv's hidden sizes counts the classes; there is none");
  return mlp ? &energy_classifier_class : &energy_conv_classifier_class;
}

neap_energy *neap_energy_classifier (neap_context *c, neap_energy *net) {
  const energy_class *cls = neap_ok(c) ? class_for(c, net) : NULL;
  neap_energy *E = cls ? energy_new(c, cls, net->nslots - 2, 0, NULL) : NULL;
  if (!E) return NULL;
  E->choice = net->choice;
  memcpy(E->num, net->num, sizeof E->num);
  for (int i = 0; i < E->nslots; i++) {
    energy_set(E, i, net->slots[i].name, net->slots[i].value);
    E->slots[i].variable = net->slots[i].variable;
  }
  return energy_finish(c, E);
}

/* ---- x and its class ---- */

static bool check_class (neap_context *c, neap_energy *E) {
  neap_energy *p = E->parts[0];
  if (!energy_is_classifier(p))
    return neap_fail(c, NEAP_EARG, "class: a classifier expected, got %s", energy_title(p));
  if (p->wants == 1)
    return neap_fail(c, NEAP_EARG, "class: %s takes a condition, and none beside it is the class", energy_title(p));
  E->wants = 1;
  return true;
}

/* k as int64; what is recorded has no values to look at */
static neap_tensor *whole (neap_context *c, neap_tensor *k) {
  neap_tensor *y = energy_cast(c, k, NEAP_INT64);
  if (!y || c->trace || !neap_is_float(k->dtype)) return y;
  neap_tensor *off = energy_sum_all(c, neap_abs(c, neap_sub(c, k, energy_cast(c, y, k->dtype))));
  double v = NAN;
  if (!off || !neap_item(c, off, &v)) return NULL;
  return v == 0 ? y : neap_fail(c, NEAP_EARG, "class: whole numbers expected, got others among %s", SHAPE_TEXT(k));
}

/* classes [B] or [B, 1] -> int64 [B] */
static neap_tensor *classes_of (neap_context *c, const neap_tensor *x, neap_tensor *k) {
  int64_t B = x->shape[0];
  if (neap_numel(k) != B)
    return neap_fail(c, NEAP_ESHAPE, "class: one class for each of %lld rows expected, got %s", (long long)B,
                     SHAPE_TEXT(k));
  return energy_reshape(c, whole(c, k), 1, &B);
}

/* a sum of one term: its gradient stays in the row, which a program must know of every row to run in blocks of them */
neap_tensor *energy_logit_of (neap_context *c, neap_tensor *f, neap_tensor *k) {
  neap_tensor *hot = f && k ? neap_one_hot(c, k, f->shape[1]) : NULL;
  neap_tensor *own = hot ? neap_where(c, neap_ne(c, hot, num(c, hot, 0)), f, num(c, f, 0)) : NULL;
  return own ? energy_sum_last(c, own) : NULL;
}

/* x [B, event…], classes [B] -> [B] */
static neap_tensor *eval_class (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *k) {
  k = classes_of(c, x, k);
  neap_tensor *own = k ? energy_logit_of(c, neap_energy_logits(c, E->parts[0], x, NULL), k) : NULL;
  return own ? neap_neg(c, own) : NULL;
}

const energy_class energy_of_class_class = { "class", 1, 1, 0, check_class, eval_class, NULL, NULL, tail_same };

neap_energy *neap_energy_of_class (neap_context *c, neap_energy *E, neap_tensor *k) {
  neap_energy *all = neap_ok(c) ? energy_finish(c, energy_new(c, &energy_of_class_class, 0, 1, &E)) : NULL;
  if (!all || !k) return all;
  if (k->ndim == 1) k = neap_unsqueeze(c, k, 2);
  neap_energy *given = neap_energy_given(c, all, k);
  neap_energy_release(all);
  return given;
}
