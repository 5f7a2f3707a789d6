/*
** tile_special.h -- erfinv, lgamma, digamma, mod, polygamma; part of tile_math.h.
** Everything is computed in double, so float32 results are as good as rounding allows.  Near a zero of lgamma,
** digamma or polygamma at negative x the error is bounded relative to the terms that cancel there, not to the value.
*/

/* ---- erfinv: a fit to 7e-7, then one step of Halley's method on erf, or on erfc for a >= 0.8 ---- */

/* w = −log(1 − a²) < 6.25:  a P(w);  beyond: Q(√w) */
static inline double erfinv_start_f64 (double a, double w) {
  double t = w - 2.5, p = 3.434860651e-7 + t * -3.353406896e-9;
  p = -3.093792665e-6 + t * p;
  p = -4.354835594e-6 + t * p;
  p = 2.167236654e-4 + t * p;
  p = -1.254027015e-3 + t * p;
  p = -4.175114822e-3 + t * p;
  p = .2466411842 + t * p;
  p = 1.501408884 + t * p;
  double s = sqrt(w) - 4, q = -9.866745371e-5 + s * 1.559032092e-5;
  q = 3.164209052e-4 + s * q;
  q = -8.374469299e-4 + s * q;
  q = 1.235621838e-3 + s * q;
  q = 1.009488697 + s * q;
  q = 3.839785673 + s * q;
  return w < 6.25 ? a * p : q;
}
static inline double erfinv_f64 (double x) {
  double a = abs_f64(x), y = erfinv_start_f64(a, -log_f64((1 - a) * (1 + a)));
  double near = erf(y) - a, far = (1 - a) - erfcx_f64(y) * exp_square_f64(y, 1);
  double step = (a < .8 ? near : far) * .88622692545275801365 * exp_f64(y * y);
  y -= step / (1 + y * step);
  return with_sign_f64(a < 1 ? y : a == 1 ? INFINITY : NAN, x);
}
static inline float erfinv_f32 (float x) { return (float)erfinv_f64(x); }

static inline float lgamma_f32 (float x) { return (float)lgamma_f64(x); }

/* ---- digamma: asymptotic series from 8 on, recurrence below, reflection for negative x ---- */

/* Σ_{k=0..7} 1/(y+k), with one division: pairs k, 7−k have the product w + k(7−k), w = y² + 7y */
static inline double eight_reciprocals_f64 (double y) {
  double w = y * (y + 7), ab = w * (w + 6), cd = (w + 10) * (w + 12);
  return (2 * y + 7) * ((2 * w + 6) * cd + (2 * w + 22) * ab) / (ab * cd);
}
/* log z − 1/(2z) − Σ B_2k / (2k z^2k), z >= 8 */
static inline double digamma_series_f64 (double z) {
  double r = 1 / z, v = r * r, p = 43867. / 14364 - v * (174611. / 6600);
  p = 3617. / 8160 - v * p;
  p = 1. / 12 - v * p;
  p = 691. / 32760 - v * p;
  p = 1. / 132 - v * p;
  p = 1. / 240 - v * p;
  p = 1. / 252 - v * p;
  p = 1. / 120 - v * p;
  p = 1. / 12 - v * p;
  return log_f64(z) - .5 * r - v * p;
}
static inline double sin_core_f64 (double r) {
  double z = r * r, p = -2.50507559621612677e-8 + z * 1.58966664792038463e-10;
  p = 2.75573136786883598e-6 + z * p;
  p = -1.98412698297713433e-4 + z * p;
  p = 8.33333333332237050e-3 + z * p;
  p = -.166666666666666319 + z * p;
  return r + r * z * p;
}
static inline double cos_core_f64 (double r) {
  double z = r * r, p = 2.087572161757022e-9 + z * -1.13595589663470496e-11;
  p = -2.75573143406230307e-7 + z * p;
  p = 2.48015872894433964e-5 + z * p;
  p = -1.38888888888740648e-3 + z * p;
  p = 4.16666666666665992e-2 + z * p;
  return 1 - .5 * z + z * z * p;
}
/* π cot(πx) */
static inline double cot_pi_f64 (double x) {
  double f = x - rint(x), a = abs_f64(f), b = 3.14159265358979323846 * (a > .25 ? .5 - a : a);
  double s = sin_core_f64(b), c = cos_core_f64(b);
  return with_sign_f64(3.14159265358979323846 * ((a > .25 ? s : c) / (a > .25 ? c : s)), f);
}
static inline double digamma_f64 (double x) {
  double y = x < .5 ? 1 - x : x, up = y < 8 ? y + 8 : y;
  double value = digamma_series_f64(up) - (y < 8 ? eight_reciprocals_f64(y) : 0);
  value -= x < .5 ? cot_pi_f64(x) : 0;
  return x < 0 && x == floor(x) ? NAN : value;
}

/* ---- modulo as Lua's: of y's sign, exact for any quotient, x or y itself when y is infinite ---- */

static inline double mod_f64 (double x, double y) {
  double r = __builtin_fmod(x, y);
  return r * y < 0 ? r + y : r;
}
static inline float mod_f32 (float x, float y) {
  float r = __builtin_fmodf(x, y);
  return r * y < 0 ? r + y : r;
}

/* ---- polygamma of order n >= 1: (−1)^(n+1) n! ζ(n+1, x), the sum by Euler and Maclaurin ---- */

enum { POLYGAMMA_MAX = 1000 };                       /* beyond, nearly all values are 0 or infinite */

/* n! / a^(n+1), without overflow on the way */
static double power_term_f64 (int64_t n, double a) {
  double t = 1 / a;
  for (int64_t j = 1; j <= n; j++) t *= (double)j / a;
  return t;
}
/* n! Σ_{k>=0} (x+k)^−(n+1), x > 0 */
static double zeta_sum_f64 (int64_t n, double x) {
  static const double b[] = {                       /* B_2j / (2j)! */
    1. / 12, -1. / 720, 1. / 30240, -1. / 1209600, 1. / 47900160, -691. / 1307674368000, 1. / 74724249600,
    -3617. / 10670622842880000, 43867. / 5109094217170944000, -174611. / 802857662698291200000. };
  double sum = 0, s = (double)n + 1, a = x;
  for (; a < 10 + (double)n; a++) {
    double t = power_term_f64(n, a);
    sum += t;
    if (t < sum * 0x1p-60) return sum;              /* high orders: the first terms are all */
  }
  double last = power_term_f64(n, a), t = last * s / a, tail = 0;
  for (int j = 0; j < 10; j++) {
    tail += b[j] * t;
    t *= (s + 2 * j + 1) * (s + 2 * j + 2) / (a * a);
  }
  return sum + (last * a / (double)n + .5 * last + tail);
}
/* Left of 0 the terms up to the fraction f = x − ⌊x⌋ are a difference of two sums to the right. */
static __attribute__((noinline)) double polygamma_high_f64 (int64_t n, double x) {
  double sign = n % 2 ? 1 : -1, f = x - floor(x);
  if (!(x == x)) return x;
  if (n < 0 || n > POLYGAMMA_MAX) return NAN;
  if (x == INFINITY) return 0 * sign;
  if (x > 0) return sign * zeta_sum_f64(n, x);
  if (!(f > 0)) return n % 2 ? INFINITY : NAN;
  return sign * (zeta_sum_f64(n, f) + sign * (zeta_sum_f64(n, 1 - f) - zeta_sum_f64(n, 1 - x)));
}
static inline double polygamma_f64 (int64_t n, double x) { return n == 0 ? digamma_f64(x) : polygamma_high_f64(n, x); }
static inline float polygamma_f32 (int64_t n, float x) { return (float)polygamma_f64(n, x); }
