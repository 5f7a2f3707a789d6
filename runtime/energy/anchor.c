/*
** anchor.c -- zero gradients for parameters that a value does not depend on.
** A score knows nothing of a network's last bias, and a user who asks for the gradients by all parameters should not have
** to know that.  Invariant: the values stay as they are; only the tape learns of the parameters.
*/
#include "energy.h"
#include "sweep.h"

/* collects in loose those of E's n parameters that value does not depend on; returns how many, -1 on failure */
static int untouched (neap_context *c, neap_energy *E, neap_tensor *value, int n, neap_tensor **params, neap_tensor **loose) {
  neap_sweep s;
  int m = 0;
  for (int i = 0; i < n; i++) params[i] = neap_energy_param(E, i);
  if (!neap_sweep_open(&s, c, value, n, params)) return -1;
  for (int i = 0; i < n; i++)
    if (neap_tracked(c, params[i]) && !neap_sweep_find(&s, params[i])) loose[m++] = params[i];
  neap_sweep_close(&s);
  return m;
}

static bool any_tracked (neap_context *c, neap_energy *E, int n) {
  for (int i = 0; i < n; i++) if (neap_tracked(c, neap_energy_param(E, i))) return true;
  return false;
}

neap_tensor *energy_anchor (neap_context *c, neap_energy *E, neap_tensor *value) {
  int n = neap_energy_nparams(E);
  if (!value || !any_tracked(c, E, n)) return value;
  size_t bytes = (size_t)(2 * n + 1) * sizeof(neap_tensor *);
  neap_tensor **list = neap_malloc(c, bytes);
  if (!list) return NULL;
  list[0] = value;
  int m = untouched(c, E, value, n, list + n + 1, list + 1);
  neap_tensor *out = m < 0 ? NULL : m == 0 ? value : neap_anchor(c, m + 1, list);
  neap_free(c, list, bytes);
  return out;
}
