/*
** philox.h -- Philox4x32-10 (Salmon et al. 2011) on vectors, and draws made of its words; part of tile.c.
**
** Invariant: element i of a draw is a function of (key, step, i).  Block b of a draw is Philox of the counter
** (b, step), two 64-bit halves; it gives four words.  Sixteen blocks at a time are computed side by side:
**   float32: elements 64g + 16w + l (l < 16, w < 4) use word w of block 16g + l
**   float64, uint64: elements 32g + 16w + l (w < 2) use words 2w, 2w+1 of block 16g + l
** Normals are Box and Muller's (1958): the elements l and 16 + l are radius · cos, radius · sin.
*/
#ifndef NEAP_PHILOX_H
#define NEAP_PHILOX_H

#include "tile_math.h"
#if defined __x86_64__
#include <immintrin.h>
#elif defined __aarch64__
#include <arm_neon.h>
#endif

#if defined __AVX512F__
#define LANES 8
#define COUNT_UP 0, 1, 2, 3, 4, 5, 6, 7
#elif defined __AVX2__
#define LANES 4
#define COUNT_UP 0, 1, 2, 3
#else
#define LANES 2
#define COUNT_UP 0, 1
#endif

/* One 32-bit word per 64-bit lane, in the low half; the high half may hold anything. */
typedef uint64_t lanes __attribute__((vector_size(8 * LANES)));
typedef uint32_t half_lanes __attribute__((vector_size(4 * LANES)));

/* low halves of a times m */
static inline lanes multiply (lanes a, uint32_t m) {
#if defined __AVX512F__
  return (lanes)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64((int64_t)m));
#elif defined __AVX2__
  return (lanes)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x((int64_t)m));
#elif defined __SSE2__
  return (lanes)_mm_mul_epu32((__m128i)a, _mm_set1_epi64x((int64_t)m));
#elif defined __aarch64__
  return (lanes)vmull_u32(vmovn_u64((uint64x2_t)a), vdup_n_u32(m));
#else
  return (a & 0xffffffffu) * (uint64_t)m;
#endif
}

/* what a whole draw shares: the keys of the ten rounds, and its step */
typedef struct philox { uint64_t keys[10][2], step; } philox;

static inline philox philox_of (neap_key key, uint64_t step) {
  philox s = { .step = step };
  for (int i = 0; i < 10; i++, key.k0 += 0x9E3779B9u, key.k1 += 0xBB67AE85u) {
    s.keys[i][0] = key.k0;
    s.keys[i][1] = key.k1;
  }
  return s;
}

/* one round on two vectors of blocks at once, which hides the multiplication's latency: x [word][vector] */
static inline void philox_round (const uint64_t *keys, lanes x[4][2]) {
  for (int v = 0; v < 2; v++) {
    lanes p = multiply(x[0][v], 0xD2511F53u), q = multiply(x[2][v], 0xCD9E8D57u);
    x[0][v] = (q >> 32) ^ x[1][v] ^ keys[0];
    x[2][v] = (p >> 32) ^ x[3][v] ^ keys[1];
    x[1][v] = q;
    x[3][v] = p;
  }
}

/* words of blocks block .. block+15, word by word: w [4][16] */
static inline void philox_16 (const philox *s, uint64_t block, uint32_t *w) {
  for (int i = 0; i < 16; i += 2 * LANES) {
    lanes x[4][2];
    for (int v = 0; v < 2; v++) {
      x[0][v] = (lanes){ COUNT_UP } + (block + (uint64_t)(i + v * LANES));
      x[1][v] = x[0][v] >> 32;
      x[2][v] = (lanes){ 0 } + s->step;
      x[3][v] = (lanes){ 0 } + (s->step >> 32);
    }
    for (int r = 0; r < 10; r++) philox_round(s->keys[r], x);
    for (int k = 0; k < 8; k++) {
      half_lanes low = __builtin_convertvector(x[k / 2][k % 2], half_lanes);
      memcpy(w + 16 * (k / 2) + i + LANES * (k % 2), &low, sizeof low);
    }
  }
}

/* ---- from words to uniforms ---- */

/* 27 bits of one word and 26 of the other, as an integer */
static inline double integer_53 (uint32_t hi, uint32_t lo) {
  return (double)(int32_t)(hi >> 5) * 0x1p26 + (double)(int32_t)(lo >> 6);
}

static void draw_uniform_f32 (neap_key key, uint64_t step, int64_t first, int64_t n, void *out) {
  const philox s = philox_of(key, step);
  uint32_t w[64];
  float *o = out;
  for (int64_t i = 0; i < n; i += 64, o += 64) {
    philox_16(&s, (uint64_t)(first + i) / 4, w);
    _Pragma("omp simd")
    for (int l = 0; l < 64; l++) o[l] = (float)(int32_t)(w[l] >> 8) * 0x1p-24f;
  }
}

static void draw_uniform_f64 (neap_key key, uint64_t step, int64_t first, int64_t n, void *out) {
  const philox s = philox_of(key, step);
  uint32_t w[64];
  double *o = out;
  for (int64_t i = 0; i < n; i += 32, o += 32) {
    philox_16(&s, (uint64_t)(first + i) / 2, w);
    _Pragma("omp simd")
    for (int l = 0; l < 16; l++) o[l] = integer_53(w[l], w[16 + l]) * 0x1p-53;
    _Pragma("omp simd")
    for (int l = 0; l < 16; l++) o[16 + l] = integer_53(w[32 + l], w[48 + l]) * 0x1p-53;
  }
}

static void draw_words (neap_key key, uint64_t step, int64_t first, int64_t n, void *out) {
  const philox s = philox_of(key, step);
  uint32_t w[64];
  uint64_t *o = out;
  for (int64_t i = 0; i < n; i += 32, o += 32) {
    philox_16(&s, (uint64_t)(first + i) / 2, w);
    for (int l = 0; l < 16; l++) o[l] = (uint64_t)w[l] << 32 | w[16 + l];
    for (int l = 0; l < 16; l++) o[16 + l] = (uint64_t)w[32 + l] << 32 | w[48 + l];
  }
}

/* "outside" counts, since a loop that may break is not made of vectors */
#define THRESHOLD(T, f) \
  static bool threshold_##f (int64_t n, const void *probabilities, void *uniforms) { \
    const T *restrict p = probabilities; \
    T *restrict u = uniforms; \
    int outside = 0; \
    _Pragma("omp simd reduction(|:outside)") \
    for (int64_t i = 0; i < n; i++) { \
      outside |= !(p[i] >= 0) | !(p[i] <= 1); \
      u[i] = u[i] < p[i] ? 1 : 0; \
    } \
    return !outside; \
  }
THRESHOLD(float, f32)
THRESHOLD(double, f64)

/* ---- normals ---- */

/* The angle is 2π·word/2³²: the nearest quarter turn k is split off exactly, |r| <= π/4 is left. */
static inline uint32_t quarter (uint32_t word) { return (word + 0x20000000u) >> 30; }

/* sin and cos of r + kπ/2, times radius */
static inline void turn_f32 (float radius, float r, uint32_t k, float *x, float *y) {
  float z = r * r;
  float s = r + r * z * (-.1666665491f + z * (8.332175942e-3f + z * -1.951698457e-4f));
  float c = 1 - .5f * z + z * z * (4.166664681e-2f + z * (-1.388736438e-3f + z * 2.443807907e-5f));
  float a = k & 1 ? s : c, b = k & 1 ? c : s;
  *x = radius * from_bits_f32(bits_f32(a) ^ ((k + 1) & 2) << 30);
  *y = radius * from_bits_f32(bits_f32(b) ^ (k & 2) << 30);
}
static inline void turn_f64 (double radius, double r, uint64_t k, double *x, double *y) {
  double s = sin_core_f64(r), c = cos_core_f64(r), a = k & 1 ? s : c, b = k & 1 ? c : s;
  *x = radius * from_bits_f64(bits_f64(a) ^ ((k + 1) & 2) << 62);
  *y = radius * from_bits_f64(bits_f64(b) ^ (k & 2) << 62);
}

/* √(−2 log u) for u in (0, 1]; never infinite, never NaN */
static inline float radius_f32 (float u) {
  int32_t e = exponent_f32(u);
  float f = from_bits_f32(bits_f32(u) - ((uint32_t)e << 23)) - 1;
  return sqrtf(-2 * log_core_f32(f, (float)e));
}
static inline double radius_f64 (double u) {
  int64_t e = exponent_f64(u);
  double f = from_bits_f64(bits_f64(u) - ((uint64_t)e << 52)) - 1;
  return __builtin_sqrt(-2 * log_core_f64(f, to_double(e)));
}

/* 31 bits make the radius, which reaches 6.6; 32 the angle */
static inline void box_muller_f32 (const uint32_t *w, float *o) {
  _Pragma("omp simd")
  for (int l = 0; l < 16; l++) {
    uint32_t k = quarter(w[16 + l]);
    float radius = radius_f32(((float)(int32_t)(w[l] >> 1) + .5f) * 0x1p-31f);
    float angle = (float)(int32_t)(w[16 + l] - (k << 30)) * 1.46291807926716e-9f;
    turn_f32(radius, angle, k, o + l, o + 16 + l);
  }
}
/* 53 bits make the radius, which reaches 8.6; 58 the angle */
static inline void box_muller_f64 (const uint32_t *w, double *o) {
  _Pragma("omp simd")
  for (int l = 0; l < 16; l++) {
    uint32_t k = quarter(w[32 + l]);
    double radius = radius_f64((integer_53(w[l], w[16 + l]) + .5) * 0x1p-53);
    double whole = (double)(int32_t)(w[32 + l] - (k << 30)), part = (double)(int32_t)(w[48 + l] >> 6);
    turn_f64(radius, (whole * 0x1p26 + part) * 2.179917811255395e-17, k, o + l, o + 16 + l);
  }
}

static void draw_normal_f32 (neap_key key, uint64_t step, int64_t first, int64_t n, void *out) {
  const philox s = philox_of(key, step);
  uint32_t w[64];
  float *o = out;
  for (int64_t i = 0; i < n; i += 64, o += 64) {
    philox_16(&s, (uint64_t)(first + i) / 4, w);
    box_muller_f32(w, o);
    box_muller_f32(w + 32, o + 32);
  }
}

static void draw_normal_f64 (neap_key key, uint64_t step, int64_t first, int64_t n, void *out) {
  const philox s = philox_of(key, step);
  uint32_t w[64];
  double *o = out;
  for (int64_t i = 0; i < n; i += 32, o += 32) {
    philox_16(&s, (uint64_t)(first + i) / 2, w);
    box_muller_f64(w, o);
  }
}

#endif
