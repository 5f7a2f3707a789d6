/*
** hopfield.c -- energies with their low places at given patterns ξ [K, D].
** Slots: patterns, beta.  choice MODERN: ½ |x|² − log Σ e^(β ξ·x) / β, of any x (Ramsauer et al. 2020, without their
** constants).  choice CLASSICAL: −β/2D Σ_{i≠j} xᵢ xⱼ Σ ξᵢ ξⱼ, of spins ±1 (Hopfield 1982), whose states can be summed.
*/
#include "spread.h"
#include "states.h"
#include "tail.h"

enum { PATTERNS, BETA, CLASSICAL = 1, MODERN = 2 };

bool energy_is_classical_hopfield (const neap_energy *E) {
  return E->cls == &energy_hopfield_class && E->choice == CLASSICAL;
}

static bool check (neap_context *c, neap_energy *E) {
  if (E->nslots != 2 || energy_find(E, "patterns") != PATTERNS || energy_find(E, "beta") != BETA ||
      (E->choice != CLASSICAL && E->choice != MODERN))
    return neap_fail(c, NEAP_EARG, "hopfield: patterns, beta and a kind expected");
  const energy_slot *p = &E->slots[PATTERNS], *b = &E->slots[BETA];
  if (p->value->ndim != 2 || p->value->shape[0] < 1 || p->value->shape[1] < 1)
    return neap_fail(c, NEAP_ESHAPE, "hopfield: patterns must be [K, D], got %s", SHAPE_TEXT(p->value));
  if (b->value->ndim != 0)
    return neap_fail(c, NEAP_ESHAPE, "hopfield: beta must be a number, got %s", SHAPE_TEXT(b->value));
  energy_set_event(E, 1, p->value->shape + 1);
  return spread_check_positive(c, "hopfield", b);
}

/* Σᵢ xᵢ² Σ ξᵢ² [B]: what units have with themselves */
static neap_tensor *with_themselves (neap_context *c, neap_tensor *x, neap_tensor *p) {
  neap_tensor *own = p ? neap_sum(c, neap_square(c, p), 1, (int64_t[]){ 1 }, false) : NULL;
  return neap_matmul(c, neap_square(c, x), own);
}

/* x [B, D] -> [B] */
static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  (void)cond;
  neap_tensor *p = energy_get(c, E, PATTERNS, x), *beta = energy_get(c, E, BETA, x);
  neap_tensor *overlap = neap_matmul(c, x, energy_transpose(c, p));      /* [B, K] */
  if (E->choice == CLASSICAL) {
    neap_tensor *pairs = neap_sub(c, energy_sum_last(c, neap_square(c, overlap)), with_themselves(c, x, p));
    return neap_mul(c, neap_mul(c, pairs, beta), num(c, x, -.5 / (double)E->event[0]));
  }
  neap_tensor *half = neap_mul(c, energy_sum_last(c, neap_square(c, x)), num(c, x, .5));
  return neap_sub(c, half, neap_div(c, energy_logsumexp_last(c, neap_mul(c, overlap, beta)), beta));
}

static neap_tensor *log_z (neap_context *c, neap_energy *E) {
  if (E->choice == CLASSICAL) return energy_sum_states(c, E);
  return neap_fail(c, NEAP_EARG, "log_z: no closed form is known for a modern hopfield; give log_z, or use method "
                   "\"quadrature\", \"ais\" or \"smc\"");
}

static bool tail (neap_context *c, neap_energy *E, energy_tail *t) {
  return E->choice == CLASSICAL ? tail_finite(c, E, t) : tail_number(c, t, .5, REST_LINEAR);
}

const energy_class energy_hopfield_class = { "hopfield", 0, 0, 0, check, eval, NULL, log_z, tail };

neap_energy *neap_energy_hopfield (neap_context *c, neap_tensor *patterns, neap_tensor *beta, bool classical) {
  if (!neap_ok(c)) return NULL;
  if (!patterns || !beta) return neap_fail(c, NEAP_EARG, "hopfield: %s is missing", patterns ? "beta" : "patterns");
  neap_energy *E = energy_new(c, &energy_hopfield_class, 2, 0, NULL);
  if (!E) return NULL;
  energy_set(E, PATTERNS, "patterns", patterns);
  energy_set(E, BETA, "beta", beta);
  E->choice = classical ? CLASSICAL : MODERN;
  return energy_finish(c, E);
}
