/*
** rules_elementwise.c -- derivatives of elementwise rows that are too long for a column of the table.
** Invariant: each is made of ops, finite wherever the derivative is, and differentiable again to any order.
*/
#include "ops/rules.h"
#include <math.h>

static neap_tensor *number (neap_context *c, const neap_tensor *x, double v) {
  return x ? neap_scalar(c, x->dtype, v) : NULL;
}

neap_tensor *rule_pow_dx (neap_context *c, neap_tensor *x, neap_tensor *y) {
  if (!x || !y) return NULL;
  neap_tensor *zero = number(c, x, 0), *one = number(c, x, 1);
  neap_tensor *constant = neap_logical_and(c, neap_eq(c, x, zero), neap_eq(c, y, zero));   /* 0^0: no 0 · ∞ */
  neap_tensor *exponent = neap_where(c, constant, one, neap_sub(c, y, one));
  return neap_where(c, constant, zero, neap_mul(c, y, neap_pow(c, x, exponent)));
}

neap_tensor *rule_pow_dy (neap_context *c, neap_tensor *x, neap_tensor *y, neap_tensor *o) {
  if (!x || !y || !o) return NULL;
  neap_tensor *zero = number(c, x, 0), *one = number(c, x, 1);
  neap_tensor *at_zero = neap_logical_and(c, neap_eq(c, x, zero), neap_ge(c, y, zero));
  neap_tensor *base = neap_where(c, at_zero, one, x);        /* log 1 = 0: no infinity enters the product */
  return neap_where(c, at_zero, zero, neap_mul(c, o, neap_log(c, base)));
}

/* the fourth derivative of silu: u ((1 − 12u) (1 − 2s) x + 4 (1 − 6u)), s = sigmoid(x), u = s (1 − s); rows end at the
** third, since a loss on second derivatives of a network needs no more */
neap_tensor *rule_silu_d4 (neap_context *c, neap_tensor *x) {
  neap_tensor *s = neap_sigmoid(c, x), *one = number(c, x, 1), *u = neap_mul(c, s, neap_sub(c, one, s));
  neap_tensor *t = neap_sub(c, one, neap_mul(c, number(c, x, 2), s));
  neap_tensor *a = neap_mul(c, neap_sub(c, one, neap_mul(c, number(c, x, 12), u)), neap_mul(c, t, x));
  neap_tensor *b = neap_sub(c, number(c, x, 4), neap_mul(c, number(c, x, 24), u));
  return neap_mul(c, u, neap_add(c, a, b));
}

/* Φ(x) + x φ(x) */
static neap_tensor *gelu_exact_dx (neap_context *c, neap_tensor *x) {
  neap_tensor *half = number(c, x, .5), *one = number(c, x, 1);
  neap_tensor *cdf = neap_mul(c, half, neap_add(c, one, neap_erf(c, neap_mul(c, x, number(c, x, M_SQRT1_2)))));
  neap_tensor *bell = neap_exp(c, neap_mul(c, number(c, x, -.5), neap_square(c, x)));
  neap_tensor *pdf = neap_mul(c, number(c, x, .5 * M_SQRT1_2 * M_2_SQRTPI), bell);
  return neap_add(c, cdf, neap_mul(c, x, pdf));
}

/* of x/2 (1 + tanh u), u = √(2/π) (x + 0.044715 x³) */
static neap_tensor *gelu_tanh_dx (neap_context *c, neap_tensor *x) {
  const double k = M_SQRT1_2 * M_2_SQRTPI;
  neap_tensor *half = number(c, x, .5), *one = number(c, x, 1), *x2 = neap_square(c, x);
  neap_tensor *cubic = neap_add(c, one, neap_mul(c, number(c, x, .044715), x2));
  neap_tensor *th = neap_tanh(c, neap_mul(c, number(c, x, k), neap_mul(c, x, cubic)));
  neap_tensor *du = neap_mul(c, number(c, x, k), neap_add(c, one, neap_mul(c, number(c, x, 3 * .044715), x2)));
  neap_tensor *sech2 = neap_sub(c, one, neap_square(c, th));
  neap_tensor *slope = neap_mul(c, x, neap_mul(c, sech2, du));
  return neap_mul(c, half, neap_add(c, neap_add(c, one, th), slope));
}

neap_tensor *rule_gelu_dx (neap_context *c, neap_tensor *x, const neap_attrs *a) {
  return a->i[0] == 1 ? gelu_tanh_dx(c, x) : gelu_exact_dx(c, x);
}

neap_tensor *rule_clamp_inside (neap_context *c, neap_tensor *x, const neap_attrs *a) {
  bool low = !isnan(a->f[0]), high = !isnan(a->f[1]);
  neap_tensor *above = low ? neap_ge(c, x, number(c, x, a->f[0])) : NULL;
  neap_tensor *below = high ? neap_le(c, x, number(c, x, a->f[1])) : NULL;
  if (low && high) return neap_logical_and(c, above, below);
  return low ? above : high ? below : neap_eq(c, x, x);
}
