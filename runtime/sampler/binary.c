/*
** binary.c -- units of two values, 0 and 1 or −1 and 1, and their flips.
** A flip turns x into pair − x, so all else is arithmetic without a case.
** Invariant: which two values there are is found once, where chains start; held coordinates may have any.
*/
#include "sampler/binary.h"
#include "energy/states.h"

/* 0-d of x's dtype: 0 of −1 and 1, if E says so or there is a negative unit; else 1 */
static bool find_pair (neap_context *c, neap_energy *E, neap_state *st, neap_tensor *x) {
  energy_units u = energy_units_of(E);
  if (u.base != 2) return neap_fail(c, NEAP_EARG, "%s: units of 2 values expected, got %lld", energy_title(E),
                                    (long long)u.base);
  if (neap_state_get(st, "pair")) return true;
  if (u.lo < 0) return neap_state_set(c, st, "pair", neap_scalar(c, x->dtype, 0));
  neap_tensor *zero = neap_scalar(c, x->dtype, 0), *one = neap_scalar(c, x->dtype, 1);
  neap_tensor *spins = neap_any(c, neap_lt(c, x, zero), -1, NULL, false);
  return neap_state_set(c, st, "pair", neap_where(c, spins, zero, one));
}

/* x² = x of units 0 and 1, x² = 1 of −1 and 1; while a function is recorded there are no values to look at */
static bool check (neap_context *c, neap_sampler *s, neap_state *st, neap_tensor *x) {
  if (c->trace) return true;
  double all = 0, pair = 0;
  neap_tensor *sum = neap_state_get(st, "pair"), *one = neap_scalar(c, x->dtype, 1);
  neap_tensor *left = neap_sub(c, neap_square(c, x), neap_mul(c, sum, x)), *right = neap_sub(c, one, sum);
  if (!neap_item(c, neap_all(c, neap_eq(c, left, right), -1, NULL, false), &all) || !neap_item(c, sum, &pair))
    return false;
  if (all != 0) return true;
  return neap_fail(c, NEAP_EARG, "%s: x: units %s expected, got others in %s", s->kind->name,
                   pair == 1 ? "0 and 1, or -1 and 1" : "-1 and 1", SHAPE_TEXT(x));
}

bool binary_init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *x = neap_state_get(st, "x"), *mask = neap_energy_mask(E);
  if (!neap_is_float(x->dtype))
    return neap_fail(c, NEAP_EDTYPE, "%s: x: float32 or float64 expected, got %s; x:float() makes one", s->kind->name,
                     neap_dtype_name(x->dtype));
  neap_tensor *free = mask ? neap_where(c, mask, neap_scalar(c, x->dtype, 1), x) : x;
  return free && find_pair(c, E, st, free) && check(c, s, st, free) && sampler_init_gradient(c, s, E, st);
}

neap_tensor *binary_change (neap_context *c, neap_state *st, neap_tensor *x) {
  return neap_sub(c, neap_state_get(st, "pair"), rows_scale(c, x, 2));
}

neap_tensor *binary_flip (neap_context *c, neap_state *st, neap_tensor *hit, neap_tensor *x) {
  return neap_where(c, hit, neap_sub(c, neap_state_get(st, "pair"), x), x);
}

neap_tensor *binary_free (neap_context *c, neap_energy *E, neap_tensor *hit) {
  neap_tensor *mask = neap_energy_mask(E);
  return mask && hit ? neap_logical_and(c, hit, neap_logical_not(c, mask)) : hit;
}
