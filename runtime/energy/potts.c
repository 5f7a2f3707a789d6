/*
** potts.c -- units of q states 1 … q with bonds between equal neighbours: −β Σ [x = x′] (Potts 1952).
** Slots: as lattice.h has them, without a field; choice is q.  A sum of steps: its derivative by x is 0; by x one-hot
** it is the field that the neighbours make.
*/
#include "lattice.h"
#include "tail.h"
#include "states.h"

static bool check (neap_context *c, neap_energy *E) {
  if (E->choice < 2 || E->choice > ENERGY_STATES)
    return neap_fail(c, NEAP_EARG, "potts: states must be 2 to %d, got %lld", ENERGY_STATES, (long long)E->choice);
  return lattice_check(c, E);
}

static neap_tensor *same (neap_context *c, neap_tensor *a, neap_tensor *b) {
  return energy_cast(c, neap_eq(c, a, b), a->dtype);
}

/* z [B, event…, q] -> [B]: Σ zᵢₖ zⱼₖ over the bonds, for each k as rows of its own */
static neap_tensor *eval_one_hot (neap_context *c, neap_energy *E, neap_tensor *z) {
  int64_t order[NEAP_MAX_DIMS], shape[NEAP_MAX_DIMS], B = z->shape[0], q = E->choice;
  for (int i = 0; i < z->ndim; i++) order[i] = i == 0 ? 1 : i == 1 ? z->ndim : i;
  for (int i = 1; i <= E->ndim; i++) shape[i] = E->event[i - 1];
  shape[0] = B * q;
  neap_tensor *rows = energy_reshape(c, neap_permute(c, z, z->ndim, order), E->ndim + 1, shape);
  neap_tensor *sum = rows ? lattice_bonds(c, E, rows, neap_mul) : NULL;
  return sum ? neap_neg(c, energy_sum_last(c, energy_reshape(c, sum, 2, (int64_t[]){ B, q }))) : NULL;
}

/* x [B, event…] -> [B] */
static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  (void)cond;
  if (x->ndim == E->ndim + 2) return eval_one_hot(c, E, x);
  neap_tensor *sum = lattice_bonds(c, E, x, same);
  return sum ? neap_neg(c, sum) : NULL;
}

static neap_tensor *log_z (neap_context *c, neap_energy *E) {
  strip s;
  double z = 0;
  bool across;
  if (energy_wants_ops(c, E) || !lattice_strip(c, E, E->choice, &s, &z, &across)) return energy_sum_states(c, E);
  s.bond = z;
  return strip_log_z(c, &s, &z) ? neap_scalar(c, NEAP_FLOAT64, z) : NULL;
}

const energy_class energy_potts_class = { "potts", 0, 0, 1, check, eval, NULL, log_z, tail_finite };

neap_energy *neap_energy_potts (neap_context *c, const neap_lattice *lattice, int64_t states, neap_tensor *beta) {
  return lattice_new(c, &energy_potts_class, lattice, beta, NULL, states);
}
