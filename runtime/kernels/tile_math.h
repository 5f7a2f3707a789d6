/*
** tile_math.h -- the functions that value columns of the op table use, in a form compilers vectorise.
**
** Invariant: no branch depends on an element (polygamma of order >= 1 excepted), NaN and infinities follow the
** mathematics, and no function reads or writes anything but its argument.  Polynomials are minimax fits made for
** this file; reductions follow Cody and Waite (1980).  Functions without a polynomial here are SLEEF's (1 ulp),
** through the vector names that gcc derives from the declarations below; other compilers call libm.
** Bounds are measured by tests/kernels/test_accuracy.c.
*/
#ifndef NEAP_TILE_MATH_H
#define NEAP_TILE_MATH_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined __GNUC__ && !defined __clang__ && defined __x86_64__
#define VECTOR_F32 __attribute__((simd("notinbranch"), const, nothrow, leaf))
#define VECTOR_F64 VECTOR_F32
#define DECLARE_F32
#define DECLARE_F64
#elif defined __GNUC__ && !defined __clang__ && defined __aarch64__
#define VECTOR_F32 __attribute__((const, nothrow, leaf))
#define VECTOR_F64 VECTOR_F32
#define DECLARE_F32 _Pragma("omp declare simd notinbranch simdlen(4)")
#define DECLARE_F64 _Pragma("omp declare simd notinbranch simdlen(2)")
#else
#define VECTOR_F32
#define VECTOR_F64
#define DECLARE_F32
#define DECLARE_F64
#endif

#define VECTOR_1(name) DECLARE_F32 float name##f (float) VECTOR_F32; DECLARE_F64 double name (double) VECTOR_F64;
#define VECTOR_2(name) DECLARE_F32 float name##f (float, float) VECTOR_F32; \
  DECLARE_F64 double name (double, double) VECTOR_F64;
VECTOR_1(sin) VECTOR_1(cos) VECTOR_1(tan) VECTOR_1(asin) VECTOR_1(acos) VECTOR_1(atan)
VECTOR_1(sinh) VECTOR_1(cosh) VECTOR_1(erf) VECTOR_2(pow) VECTOR_2(atan2)

/* libm's lgamma stores the sign of Γ in a global; SLEEF's vector version, which carries its name, does not. */
#if defined __GNUC__ && !defined __clang__ && (defined __x86_64__ || defined __aarch64__)
DECLARE_F64 double lgamma (double) VECTOR_F64;
static inline double lgamma_f64 (double x) { return lgamma(x); }
#else
static inline double lgamma_f64 (double x) { int sign; return lgamma_r(x, &sign); }
#endif

/* ---- bits ---- */

static inline uint32_t bits_f32 (float x) { uint32_t u; memcpy(&u, &x, sizeof u); return u; }
static inline float from_bits_f32 (uint32_t u) { float x; memcpy(&x, &u, sizeof x); return x; }
static inline uint64_t bits_f64 (double x) { uint64_t u; memcpy(&u, &x, sizeof u); return u; }
static inline double from_bits_f64 (uint64_t u) { double x; memcpy(&x, &u, sizeof x); return x; }

/* Adding one of these rounds to an integer, which then stands in the low bits. */
#define ROUND_F32 12582912.f
#define ROUND_F64 6755399441055744.
static inline int32_t rounded_f32 (float t) { return (int32_t)(bits_f32(t) - 0x4b400000u); }
static inline int64_t rounded_f64 (double t) { return (int64_t)(bits_f64(t) - 0x4338000000000000u); }

static inline float two_to_f32 (int32_t n) { return from_bits_f32((uint32_t)(n + 127) << 23); }
static inline double two_to_f64 (int64_t n) { return from_bits_f64((uint64_t)(n + 1023) << 52); }
/* y · 2^n, in two steps so that n may pass the exponent's range at either end */
static inline float scale_f32 (float y, int32_t n) {
  int32_t half = (int32_t)((uint32_t)(n + 512) >> 1) - 256;
  return y * two_to_f32(half) * two_to_f32(n - half);
}
static inline double scale_f64 (double y, int64_t n) {
  int64_t half = (int64_t)((uint64_t)(n + 4096) >> 1) - 2048;
  return y * two_to_f64(half) * two_to_f64(n - half);
}

static inline float abs_f32 (float x) { return from_bits_f32(bits_f32(x) & 0x7fffffffu); }
static inline double abs_f64 (double x) { return from_bits_f64(bits_f64(x) & 0x7fffffffffffffffu); }
static inline float with_sign_f32 (float x, float sign) {
  return from_bits_f32((bits_f32(x) & 0x7fffffffu) | (bits_f32(sign) & 0x80000000u));
}
static inline double with_sign_f64 (double x, double sign) {
  return from_bits_f64((bits_f64(x) & 0x7fffffffffffffffu) | (bits_f64(sign) & 0x8000000000000000u));
}

/* ---- exponentials: x = n ln 2 + r, e^x = 2^n e^r ---- */

static inline float clip_f32 (float x, float lo, float hi) { x = hi < x ? hi : x; return lo > x ? lo : x; }
static inline double clip_f64 (double x, double lo, double hi) { x = hi < x ? hi : x; return lo > x ? lo : x; }

/* e^r − 1 for |r| <= ln(2)/2 */
static inline float expm1_core_f32 (float r) {
  float q = 8.368745450e-3f + r * 1.381454060e-3f;
  q = 4.166838900e-2f + r * q;
  q = 1.666652110e-1f + r * q;
  q = 4.999999400e-1f + r * q;
  return r + r * r * q;
}
static inline double expm1_core_f64 (double r) {
  double q = 2.763037862288913638e-7 + r * 2.499990808542791089e-8;
  q = 2.755758753007510752e-6 + r * q;
  q = 2.480149276311186652e-5 + r * q;
  q = 1.984126950454914834e-4 + r * q;
  q = 1.388888894392195061e-3 + r * q;
  q = 8.333333333495724632e-3 + r * q;
  q = 4.166666666652919291e-2 + r * q;
  q = 1.666666666666641008e-1 + r * q;
  q = 5.000000000000010720e-1 + r * q;
  return r + r * r * q;
}

static inline float reduce_exp_f32 (float x, int32_t *n) {
  float t = x * 1.442695041f + ROUND_F32, k = t - ROUND_F32;
  *n = rounded_f32(t);
  return (x - k * .693359375f) + k * 2.12194440e-4f;
}
static inline double reduce_exp_f64 (double x, int64_t *n) {
  double t = x * 1.4426950408889634074 + ROUND_F64, k = t - ROUND_F64;
  *n = rounded_f64(t);
  return (x - k * 6.93147180369123816490e-1) - k * 1.90821492927058770002e-10;
}

static inline float exp_f32 (float x) {
  int32_t n;
  float r = reduce_exp_f32(clip_f32(x, -104, 89), &n);
  return scale_f32(1 + expm1_core_f32(r), n);
}
static inline double exp_f64 (double x) {
  int64_t n;
  double r = reduce_exp_f64(clip_f64(x, -746, 710), &n);
  return scale_f64(1 + expm1_core_f64(r), n);
}

/* 2^n (e^r − 1 + (1 − 2^−n)) */
static inline float expm1_f32 (float x) {
  int32_t n;
  float p = expm1_core_f32(reduce_exp_f32(clip_f32(x, -18, 89), &n));
  return scale_f32(p + (1 - two_to_f32(n > 100 ? -100 : -n)), n);
}
static inline double expm1_f64 (double x) {
  int64_t n;
  double p = expm1_core_f64(reduce_exp_f64(clip_f64(x, -38, 710), &n));
  return scale_f64(p + (1 - two_to_f64(n > 100 ? -100 : -n)), n);
}

/* ---- logarithms: x = 2^e (1 + f), √½ <= 1 + f < √2 ---- */

static inline float log_core_f32 (float f, float e) {
  float z = f * f, p = -.1167581482f + f * 6.746865332e-2f;
  p = .1188814679f + f * p;
  p = -.1240555824f + f * p;
  p = .1421955022f + f * p;
  p = -.1666799771f + f * p;
  p = .2000211886f + f * p;
  p = -.2500000956f + f * p;
  p = .333333126f + f * p;
  float y = f * z * p - e * 2.12194440e-4f;
  return (f + (y - .5f * z)) + e * .693359375f;
}
/* log(1+f) = f − f²/2 + s (f²/2 + W), s = f / (2+f), 2 atanh s = 2 s + s W */
static inline double log_core_f64 (double f, double e) {
  double s = f / (2 + f), z = s * s, half = .5 * f * f, w = .1531390282149868333 + z * .1479751251406559006;
  w = .1818356975519093996 + z * w;
  w = .2222219847567459477 + z * w;
  w = .2857142874326666702 + z * w;
  w = .3999999999941106275 + z * w;
  w = .6666666666666734904 + z * w;
  double low = s * (half + z * w) + e * 1.90821492927058770002e-10;
  return e * 6.93147180369123816490e-1 - ((half - low) - f);
}

static inline int32_t exponent_f32 (float x) { return (int32_t)(bits_f32(x) - 0x3f3504f3u) >> 23; }
static inline int64_t exponent_f64 (double x) {
  return (int64_t)((bits_f64(x) - 0x3fe6a09e667f3bcdu + 0x4000000000000000u) >> 52) - 1024;
}
static inline double to_double (int64_t n) { return from_bits_f64((uint64_t)n + 0x4338000000000000u) - ROUND_F64; }

/* y where x is positive and finite; else log's value there */
static inline float log_ends_f32 (float x, float y) {
  float other = x > 0 ? x : x == 0 ? -INFINITY : NAN;
  return x > 0 && x < INFINITY ? y : other;
}
static inline double log_ends_f64 (double x, double y) {
  double other = x > 0 ? x : x == 0 ? -INFINITY : NAN;
  return x > 0 && x < INFINITY ? y : other;
}

static inline float log_f32 (float x) {
  float big = x < FLT_MIN ? x * 0x1p23f : x;
  int32_t e = exponent_f32(big);
  float f = from_bits_f32(bits_f32(big) - ((uint32_t)e << 23)) - 1;
  return log_ends_f32(x, log_core_f32(f, (float)e - (x < FLT_MIN ? 23.f : 0.f)));
}
static inline double log_f64 (double x) {
  double big = x < DBL_MIN ? x * 0x1p52 : x;
  int64_t e = exponent_f64(big);
  double f = from_bits_f64(bits_f64(big) - ((uint64_t)e << 52)) - 1;
  return log_ends_f64(x, log_core_f64(f, to_double(e) - (x < DBL_MIN ? 52. : 0.)));
}

/* log of 1 + x, whose rounding error is added back to f; x > −1 and finite */
static inline float log1p_core_f32 (float x) {
  float u = 1 + x, lost = x > 1 ? 1 - (u - x) : x - (u - 1);
  int32_t e = exponent_f32(u);
  float f = from_bits_f32(bits_f32(u) - ((uint32_t)e << 23)) - 1;
  return log_core_f32(f + lost * two_to_f32(e > 100 ? -100 : -e), (float)e);
}
static inline double log1p_core_f64 (double x) {
  double u = 1 + x, lost = x > 1 ? 1 - (u - x) : x - (u - 1);
  int64_t e = exponent_f64(u);
  double f = from_bits_f64(bits_f64(u) - ((uint64_t)e << 52)) - 1;
  return log_core_f64(f + lost * two_to_f64(e > 100 ? -100 : -e), to_double(e));
}
static inline float log1p_f32 (float x) { return log_ends_f32(1 + x, log1p_core_f32(x)); }
static inline double log1p_f64 (double x) { return log_ends_f64(1 + x, log1p_core_f64(x)); }

/* ---- activations ---- */

static inline float tanh_f32 (float x) {
  float t = expm1_f32(-2 * abs_f32(x));
  return with_sign_f32(t / (2 + t), x);
}
static inline double tanh_f64 (double x) {
  double t = expm1_f64(-2 * abs_f64(x));
  return with_sign_f64(t / (2 + t), x);
}
/* c e^−x, c a power of 2 for which it is finite and normal where it counts; x is clipped */
static inline float scaled_exp_f32 (float x) {
  int32_t n;
  float r = reduce_exp_f32(-x, &n), s = two_to_f32(n - 24);
  return expm1_core_f32(r) * s + s;
}
static inline double scaled_exp_f64 (double x) {
  int64_t n;
  double r = reduce_exp_f64(-x, &n), s = two_to_f64(n - 53);
  return expm1_core_f64(r) * s + s;
}
#define C_f32 0x1p-24f
#define C_f64 0x1p-53
#define SIGMOID_CLIP_f32(x) clip_f32(x, -104, 30)
#define SIGMOID_CLIP_f64(x) clip_f64(x, -746, 40)
/* The same where x is no NaN, by adding to the exponent. */
static inline float shifted_exp_f32 (float x) {
  int32_t n;
  float r = reduce_exp_f32(-x, &n);
  return from_bits_f32(bits_f32(1 + expm1_core_f32(r)) + ((uint32_t)(n - 24) << 23));
}
static inline double shifted_exp_f64 (double x) {
  int64_t n;
  double r = reduce_exp_f64(-x, &n);
  return from_bits_f64(bits_f64(1 + expm1_core_f64(r)) + ((uint64_t)(n - 53) << 52));
}

/* SIGMOID_CLIP for an x whose NaN is not needed, by its bits: above hi as signed numbers, below lo as unsigned ones.
** Integer minima are one instruction each, and leave the floating-point units to the rest. */
static inline float clip_bits_f32 (float x) {
  int32_t top = (int32_t)bits_f32(30), i = (int32_t)bits_f32(x);
  uint32_t bottom = bits_f32(-104), u = (uint32_t)(i < top ? i : top);
  return from_bits_f32(u < bottom ? u : bottom);
}
static inline double clip_bits_f64 (double x) {
  int64_t top = (int64_t)bits_f64(40), i = (int64_t)bits_f64(x);
  uint64_t bottom = bits_f64(-746), u = (uint64_t)(i < top ? i : top);
  return from_bits_f64(u < bottom ? u : bottom);
}
static inline float sigmoid_f32 (float x) { return C_f32 / (C_f32 + scaled_exp_f32(SIGMOID_CLIP_f32(x))); }
static inline double sigmoid_f64 (double x) { return C_f64 / (C_f64 + scaled_exp_f64(SIGMOID_CLIP_f64(x))); }
static inline float silu_f32 (float x) { return x * (C_f32 / (C_f32 + shifted_exp_f32(clip_bits_f32(x)))); }
static inline double silu_f64 (double x) { return x * (C_f64 / (C_f64 + shifted_exp_f64(clip_bits_f64(x)))); }
/* log(1 + e) = e − e² q for 0 <= e <= 1 */
static inline float log1p_unit_f32 (float e) {
  float q = 1.718426698e-2f + e * -2.801641993e-3f;
  q = -4.930997343e-2f + e * q;
  q = 9.139413774e-2f + e * q;
  q = -.1303336424f + e * q;
  q = .1636515287f + e * q;
  q = -.1995670795f + e * q;
  q = .2499675991f + e * q;
  q = -.3333323735f + e * q;
  q = .4999999952f + e * q;
  return e - e * e * q;
}
static inline float log_sigmoid_f32 (float x) { return (x < 0 ? x : 0) - log1p_unit_f32(exp_f32(-abs_f32(x))); }
static inline double log_sigmoid_f64 (double x) { return (x < 0 ? x : 0) - log1p_core_f64(exp_f64(-abs_f64(x))); }

/* e^x for −700 <= x <= 0 in double, as exact as float32 needs */
static inline double exp_short_f64 (double x) {
  int64_t n;
  double r = reduce_exp_f64(x, &n), q = 1.394475859e-3 + r * 1.979015102e-4;
  q = 8.333497858e-3 + r * q;
  q = 4.166629364e-2 + r * q;
  q = 1.666666586e-1 + r * q;
  q = 5.000000068e-1 + r * q;
  return (1 + r + r * r * q) * two_to_f64(n);
}

/* x sigmoid(2 √(2/π) (x + 0.044715 x³)), which is ½ x (1 + tanh …) without its cancellation */
static inline double gelu_tanh_f64 (double x) {
  return x * sigmoid_f64(1.5957691216057307 * x * (1 + .044715 * x * x));
}
static inline float gelu_tanh_f32 (float x) {
  double d = x, u = 1.5957691216057307 * d * (1 + .044715 * d * d), e = exp_short_f64(clip_f64(-abs_f64(u), -700, 0));
  return (float)(d * ((u < 0 ? e : 1) / (1 + e)));
}

/* ---- the normal distribution: Φ(−a) = ½ erfcx(a/√2) e^(−a²/2), erfcx(z) = erfc(z) e^(z²) a rational fit ---- */

/* 0 <= z <= 10.3, as exact as float32 needs */
static inline double erfcx_short_f64 (double z) {
  double n = .2300565016 + z * .03297272165, d = .4077901331 + z * .05844195657;
  n = .7333595007 + z * n;
  d = 1.328645742 + z * d;
  n = 1.240083932 + z * n;
  d = 2.405874937 + z * d;
  d = 2.368463699 + z * d;
  return (1 + z * n) / (1 + z * d);
}
/* 0 <= z <= 27.5 */
static inline double erfcx_f64 (double z) {
  double n = 3.1552283386805441078e-4 + z * 1.433844006483083458e-5;
  double d = 5.5924966193901838935e-4 + z * 2.5414223308881476422e-5;
  n = 3.4087329270638518474e-3 + z * n;
  d = 6.0545289148649984198e-3 + z * d;
  n = 2.3516763837639007612e-2 + z * n;
  d = 4.1962003459118717383e-2 + z * d;
  n = .1139281422176299844 + z * n;
  d = .20494057808735358697 + z * d;
  n = .40342431716673833514 + z * n;
  d = .73561255134271636015 + z * d;
  n = 1.0561364940400766883 + z * n;
  d = 1.9699301989636594242 + z * d;
  n = 2.0211078392552729457 + z * n;
  d = 3.919704302524647026 + z * d;
  n = 2.7181204901943951541 + z * n;
  d = 5.6601820268574559715 + z * d;
  n = 2.3415799223250631288 + z * n;
  d = 5.6335500373702722812 + z * d;
  d = 3.469959089420576 + z * d;
  return (1 + z * n) / (1 + z * d);
}

/* e^(−s a²), s a power of 2: a² is split so that the part to be reduced is exact */
static inline double exp_square_f64 (double a, double s) {
  double hi = from_bits_f64(bits_f64(a) & 0xfffffffff8000000u);
  int64_t n;
  double r = reduce_exp_f64(-s * hi * hi, &n) - s * (a - hi) * (a + hi);
  return scale_f64(1 + expm1_core_f64(r), n);
}

static inline float normal_cdf_f32 (float x) {
  double a = clip_f64(abs_f64(x), 0, 14.5);
  double tail = .5 * erfcx_short_f64(a * .70710678118654752440) * exp_short_f64(-.5 * a * a);
  return (float)(x < 0 ? tail : 1 - tail);
}
static inline double normal_cdf_f64 (double x) {
  double a = clip_f64(abs_f64(x), 0, 38.8), tail = .5 * erfcx_f64(a * .70710678118654752440) * exp_square_f64(a, .5);
  return x < 0 ? tail : 1 - tail;
}

/* Sigmoid's derivatives are s' = s (1 − s) = u, s'' = u t, s''' = u (1 − 6u), t = 1 − 2s; silu's s + x s', 2 s' + x
** s'', 3 s'' + x s'''.  The first is s + x s e/(1+e), e = e^−x, and NaN at infinities as programs' products have it
** (program/expand.c); the others take e = e^−|x|, so that u keeps all its digits. */
#define SILU_FIRST(T, name) \
  static inline T silu_d1_##name (T x) { \
    T at = clip_bits_##name(x), e = shifted_exp_##name(at), r = 1 / (C_##name + e), s = C_##name * r; \
    return s + at * s * (e * r) + 0 * x; \
  }
SILU_FIRST(float, f32)
SILU_FIRST(double, f64)
#define SILU_PARTS(name) e = exp_##name(-abs_##name(x)), d = 1 + e, u = e / (d * d), t = (x < 0 ? 1 - e : e - 1) / d
static inline float silu_d2_f32 (float x) { float SILU_PARTS(f32); return u * (2 + x * t); }
static inline double silu_d2_f64 (double x) { double SILU_PARTS(f64); return u * (2 + x * t); }
static inline double silu_d3_f64 (double x) { double SILU_PARTS(f64); return u * (3 * t + x * (1 - 6 * u)); }
static inline float silu_d3_f32 (float x) { return (float)silu_d3_f64(x); }        /* its terms cancel */
#undef SILU_FIRST
#undef SILU_PARTS

#include "tile_special.h"

/* ---- the names that value columns use, by the argument's type (an integer only where no kernel is made) ---- */

#define BY_TYPE(name, x) _Generic((x), float: name##_f32, default: name##_f64)
#define exp(x) BY_TYPE(exp, x)(x)
#define expm1(x) BY_TYPE(expm1, x)(x)
#define log(x) BY_TYPE(log, x)(x)
#define log1p(x) BY_TYPE(log1p, x)(x)
#define tanh(x) BY_TYPE(tanh, x)(x)
#define SIGMOID(x) BY_TYPE(sigmoid, x)(x)
#define LOG_SIGMOID(x) BY_TYPE(log_sigmoid, x)(x)
#define SILU(x) BY_TYPE(silu, x)(x)
#define SILU_D1(x) BY_TYPE(silu_d1, x)(x)
#define SILU_D2(x) BY_TYPE(silu_d2, x)(x)
#define SILU_D3(x) BY_TYPE(silu_d3, x)(x)
#define GELU_TANH(x) BY_TYPE(gelu_tanh, x)(x)
#define NORMAL_CDF(x) BY_TYPE(normal_cdf, x)(x)
#define MOD(x, y) BY_TYPE(mod, x)(x, y)
#define erfinv(x) BY_TYPE(erfinv, x)(x)
#define lgamma(x) BY_TYPE(lgamma, x)(x)
#define polygamma(n, x) BY_TYPE(polygamma, x)(n, x)

#define LIBM(name, x) _Generic((x), float: name##f, default: name)
#define sqrt(x) LIBM(sqrt, x)(x)
#define floor(x) LIBM(floor, x)(x)
#define ceil(x) LIBM(ceil, x)(x)
#define rint(x) LIBM(rint, x)(x)
#define sin(x) LIBM(sin, x)(x)
#define cos(x) LIBM(cos, x)(x)
#define tan(x) LIBM(tan, x)(x)
#define asin(x) LIBM(asin, x)(x)
#define acos(x) LIBM(acos, x)(x)
#define atan(x) LIBM(atan, x)(x)
#define sinh(x) LIBM(sinh, x)(x)
#define cosh(x) LIBM(cosh, x)(x)
#define erf(x) LIBM(erf, x)(x)
#define pow(x, y) LIBM(pow, x)(x, y)
#define atan2(x, y) LIBM(atan2, x)(x, y)

/* One of two values; both sides may be computed. */
#define SEL(c, a, b) ((c) ? (a) : (b))

#endif
