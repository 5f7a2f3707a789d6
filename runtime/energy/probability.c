/*
** probability.c -- what follows from p ∝ e^(−E): ratios, log densities, closed-form log Z, exact draws.
** Invariant: log Z and draws exist where the class gives them; where it does not, the error says what would do.
*/
#include "states.h"

neap_tensor *neap_energy_log_ratio (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *y,
                                    neap_tensor *cond) {
  neap_scope s = neap_scope_open(c);
  neap_tensor *ex = neap_energy_eval(c, E, x, cond), *ey = ex ? neap_energy_eval(c, E, y, cond) : NULL;
  if (ex && ey && ex->shape[0] != ey->shape[0] && ex->shape[0] != 1 && ey->shape[0] != 1)
    ey = neap_fail(c, NEAP_ESHAPE, "log_ratio: x has %lld rows, y %lld", (long long)ex->shape[0],
                   (long long)ey->shape[0]);
  return neap_scope_return(c, s, ey ? neap_sub(c, ey, ex) : NULL);
}

neap_tensor *neap_energy_log_z (neap_context *c, neap_energy *E) {
  if (!neap_ok(c) || !E) return NULL;
  if (!E->cls->log_z)
    return neap_fail(c, NEAP_EARG,
                     "log_z: no closed form is known for %s; give log_z, or use method \"quadrature\", \"enumerate\", "
                     "\"ais\" or \"smc\"", energy_title(E));
  neap_scope s = neap_scope_open(c);
  return neap_scope_return(c, s, E->cls->log_z(c, E));
}

neap_tensor *neap_energy_log_prob (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond,
                                   neap_tensor *log_z) {
  neap_scope s = neap_scope_open(c);
  bool number = E && !log_z && energy_log_z_is_large(E);   /* log Z would be missing from a derivative */
  neap_mode mode = neap_no_grad(c);
  if (!number) neap_mode_restore(c, mode);
  neap_tensor *e = neap_energy_eval(c, E, x, cond);
  neap_tensor *z = log_z ? log_z : neap_energy_log_z(c, E);
  if (e && z && neap_numel(z) != 1)
    z = neap_fail(c, NEAP_ESHAPE, "log_prob: log_z must be one number, got %s", SHAPE_TEXT(z));
  if (e && z) z = energy_reshape(c, energy_cast(c, z, e->dtype), 0, NULL);
  neap_tensor *p = e && z ? neap_neg(c, neap_add(c, e, z)) : NULL;
  neap_mode_restore(c, mode);
  return neap_scope_return(c, s, p);
}

neap_tensor *neap_energy_sample (neap_context *c, neap_energy *E, int64_t n, neap_rng *rng, neap_dtype d) {
  if (!neap_ok(c) || !E) return NULL;
  if (n < 0) return neap_fail(c, NEAP_EARG, "sample: a number of draws expected, got %lld", (long long)n);
  if (!neap_is_float(d))
    return neap_fail(c, NEAP_EDTYPE, "sample: dtype must be float32 or float64, got %s", neap_dtype_name(d));
  if (!E->cls->sample)
    return neap_fail(c, NEAP_EARG, "sample: %s has no exact sampler; use one of neap.sampler", energy_title(E));
  neap_mode mode = neap_no_grad(c);
  neap_scope s = neap_scope_open(c);
  neap_tensor *x = E->cls->sample(c, E, n, rng ? rng : neap_rng_default(c), d);
  x = neap_scope_return(c, s, x ? neap_detach(c, x) : NULL);
  neap_mode_restore(c, mode);
  return x;
}
