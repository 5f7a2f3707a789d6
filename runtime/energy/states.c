/*
** states.c -- all states of discrete units, as a tensor where they are few.
** Invariant: what is summed with a tape has at most TAPE_ELEMENTS numbers; beyond that log Z is a number.  A unit has
** at most ENERGY_STATES values.
*/
#include "states.h"
#include "program/trace.h"

enum { TAPE_ELEMENTS = 1 << 22 };

static bool is_spins (const neap_energy *E) {
  return E->cls == &energy_ising_class || energy_is_classical_hopfield(E);
}

int64_t energy_labels (const neap_energy *E) {
  E = energy_innermost(E);
  if (E->cls == &energy_potts_class) return E->choice;
  return E->cls == &energy_function_class ? (int64_t)E->num[0] : 0;
}

energy_units energy_units_of (const neap_energy *E) {
  if (is_spins(energy_innermost(E))) return (energy_units){ 2, -1, 2 };
  if (energy_labels(E)) return (energy_units){ energy_labels(E), 1, 1 };
  return (energy_units){ 2, 0, 1 };
}

int64_t neap_energy_units (const neap_energy *E, double *first, double *step) {
  const neap_energy *own = energy_innermost(E);
  if (!neap_energy_is_rbm(own) && !is_spins(own) && !energy_labels(own)) return 0;
  energy_units u = energy_units_of(E);
  *first = u.lo;
  *step = u.step;
  return u.base;
}

int64_t energy_count_states (energy_units u, int64_t n, int64_t most) {
  int64_t count = 1;
  for (int64_t i = 0; i < n; i++) {
    if (count > most / u.base) return INT64_MAX;
    count *= u.base;
  }
  return count;
}

neap_tensor *energy_all_states (neap_context *c, neap_dtype d, energy_units u, int64_t n) {
  int64_t shape[2] = { energy_count_states(u, n, TAPE_ELEMENTS), n };
  size_t bytes = (size_t)(shape[0] * n);
  uint8_t *v = neap_malloc(c, bytes);
  if (!v) return NULL;
  for (int64_t i = 0; i < shape[0]; i++)
    for (int64_t k = 0, rest = i; k < n; k++, rest /= u.base) v[i * n + k] = (uint8_t)(rest % u.base);
  neap_tensor *x = energy_cast(c, neap_from(c, NEAP_UINT8, 2, shape, v), d);
  neap_free(c, v, bytes);
  if (u.step != 1) x = x ? neap_mul(c, x, num(c, x, u.step)) : NULL;
  return x && u.lo != 0 ? neap_add(c, x, num(c, x, u.lo)) : x;
}

static bool is_large (const neap_energy *E) {
  int64_t n = energy_event_numel(E);
  return energy_count_states(energy_units_of(E), n, TAPE_ELEMENTS / n) == INT64_MAX;
}

bool energy_log_z_is_large (const neap_energy *E) {
  return energy_rbm_is_large(E) || ((is_spins(E) || energy_labels(E) > 0) && E->nparams > 0 && is_large(E));
}

bool energy_slots_tracked (neap_context *c, const neap_energy *E) {
  for (int i = 0; i < E->nslots; i++) if (neap_tracked(c, E->slots[i].value)) return true;
  return false;
}

bool energy_wants_ops (neap_context *c, const neap_energy *E) {
  if (energy_slots_tracked(c, E)) return true;
  if (!c->trace || energy_constant(E, E->nslots)) return false;
  if (!is_large(E)) return true;
  trace_refuse(c, "sums over too many states to be recorded");
  return false;
}

neap_tensor *energy_sum_states (neap_context *c, neap_energy *E) {
  double z = 0;
  char event[NEAP_SHAPE_BYTES];
  energy_units u = energy_units_of(E);
  if (!energy_wants_ops(c, E)) return energy_enumerate(c, E, u, &z) ? neap_scalar(c, NEAP_FLOAT64, z) : NULL;
  if (is_large(E))
    return neap_fail(c, NEAP_EARG, "log_z: %s of %s has too many states for a tape; give log_z = E:log_z(), a number",
                     energy_title(E), neap_shape_text(event, E->ndim, E->event));
  int64_t shape[NEAP_MAX_DIMS] = { -1 };
  for (int i = 0; i < E->ndim; i++) shape[i + 1] = E->event[i];
  neap_tensor *x = energy_all_states(c, NEAP_FLOAT64, u, energy_event_numel(E));
  neap_tensor *e = x ? neap_energy_eval(c, E, energy_reshape(c, x, E->ndim + 1, shape), NULL) : NULL;
  return e ? energy_logsumexp_last(c, neap_neg(c, e)) : NULL;
}
