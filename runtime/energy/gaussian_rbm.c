/*
** gaussian_rbm.c -- restricted Boltzmann machine whose visible units are normal given the hidden ones (Hinton &
** Salakhutdinov 2006): E(v) = ½ |(v − b)/std|² − Σ softplus(c + (v/std)W).
** Slots: W, b, c, std.  The integral over v is a sum over the hidden states: with r = Wh,
** ∫ e^(−E) = Π std √2π Σₕ e^(c·h + Σ r(b/std + r/2)).
*/
#include "rbm.h"
#include "spread.h"
#include "states.h"
#include "tail.h"
#include <math.h>

static bool check (neap_context *c, neap_energy *E) {
  if (!rbm_check(c, E, 4)) return false;
  if (energy_find(E, "std") != RBM_STD) return neap_fail(c, NEAP_EARG, "gaussian_rbm: std expected");
  return spread_check_std(c, "gaussian_rbm", &E->slots[RBM_STD], 1, E->event);
}

neap_tensor *rbm_half_square (neap_context *c, neap_energy *E, neap_tensor *v) {
  neap_tensor *z = neap_div(c, neap_sub(c, v, E->slots[RBM_B].value), energy_get(c, E, RBM_STD, v));
  return z ? neap_mul(c, energy_sum_last(c, neap_square(c, z)), num(c, z, .5)) : NULL;
}

/* v [B, V] -> [B] */
static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *v, neap_tensor *cond) {
  (void)cond;
  neap_tensor *h = rbm_to_hidden(c, E, v);
  return h ? neap_sub(c, rbm_half_square(c, E, v), energy_sum_last(c, neap_softplus(c, h, 1))) : NULL;
}

/* Σ log(std √2π) */
static neap_tensor *constant (neap_context *c, neap_energy *E, const neap_tensor *like) {
  neap_tensor *s = energy_get(c, E, RBM_STD, like);
  double V = (double)E->event[0], times = s && s->ndim == 0 ? V : 1;
  neap_tensor *logs = neap_mul(c, energy_sum_all(c, neap_log(c, s)), num(c, s, times));
  return logs ? neap_add(c, logs, num(c, logs, .5 * V * log(2 * M_PI))) : NULL;
}

static neap_tensor *log_z (neap_context *c, neap_energy *E) {
  double z = 0;
  neap_tensor *sum;
  bool tracked = energy_slots_tracked(c, E);
  if ((tracked || c->trace) && !energy_rbm_is_large(E)) sum = rbm_sum_hidden(c, E);
  else if (!tracked) sum = energy_enumerate_hidden(c, E, &z) ? neap_scalar(c, NEAP_FLOAT64, z) : NULL;
  else return neap_fail(c, NEAP_EARG, "log_z: the gaussian_rbm %s is too large for a tape; give log_z = E:log_z(), a "
                        "number", SHAPE_TEXT(E->slots[RBM_W].value));
  return sum ? neap_add(c, sum, constant(c, E, sum)) : NULL;
}

static bool tail (neap_context *c, neap_energy *E, energy_tail *t) {
  neap_tensor *s = energy_cast(c, E->slots[RBM_STD].value, NEAP_FLOAT64), *half = neap_scalar(c, NEAP_FLOAT64, .5);
  return s && tail_diagonal(c, t, neap_div(c, half, neap_square(c, s)), REST_LINEAR);
}

const energy_class energy_gaussian_rbm_class = { "gaussian_rbm", 0, 0, 0, check, eval, NULL, log_z, tail };

neap_energy *neap_energy_gaussian_rbm (neap_context *c, int64_t visible, int64_t hidden, neap_tensor *std,
                                       neap_dtype d, neap_rng *rng) {
  neap_energy *E = rbm_new(c, &energy_gaussian_rbm_class, 4, visible, hidden, d, rng);
  if (!E) return NULL;
  neap_scope s = neap_scope_open(c);
  energy_set(E, RBM_STD, "std", std ? std : neap_scalar(c, NEAP_FLOAT64, 1));
  neap_scope_close(c, s);
  return energy_finish(c, E);
}
