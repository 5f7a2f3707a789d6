/* per-isa */
/*
** tile.c -- every tile kernel of one instruction set, made from the op table's value columns.
** Compiled once per instruction set with TILE_ISA set to its name; a kernel's only loop runs over whole vectors
** (see tile.h), and integer rows never pass through floating point.
*/
#if defined __GNUC__ && !defined __clang__
#pragma GCC optimize ("no-thread-jumps")   /* clipped arguments stay two instructions each */
#endif
#include "tile.h"
#include "philox.h"

#pragma GCC diagnostic ignored "-Wtype-limits"           /* x < 0 in a row that also serves uint8 */
#ifdef __clang__
#pragma GCC diagnostic ignored "-Wpass-failed"           /* loops that clang leaves scalar */
#endif

/* ---- the row's numbers as elements; of integers the lower bound rounds up, the upper down, NaN is no bound ---- */

static inline int64_t integer_param (double p, double missing, double lo, double hi) {
  if (!(p == p)) p = missing;
  return p <= lo ? (int64_t)lo : p >= hi ? (hi > 0x1p62 ? INT64_MAX : (int64_t)hi) : (int64_t)p;
}
#define LOW_f32(p) (float)(p)
#define HIGH_f32(p) (float)(p)
#define LOW_f64(p) (p)
#define HIGH_f64(p) (p)
#define LOW_i64(p) integer_param(__builtin_ceil(p), -0x1p63, -0x1p63, 0x1p63)
#define HIGH_i64(p) integer_param(__builtin_floor(p), 0x1p63, -0x1p63, 0x1p63)
#define LOW_u8(p) (uint8_t)integer_param(__builtin_ceil(p), 0, 0, 255)
#define HIGH_u8(p) (uint8_t)integer_param(__builtin_floor(p), 255, 0, 255)
#define LOW_b8 LOW_u8
#define HIGH_b8 HIGH_u8

#define T_f32 float
#define T_f64 double
#define T_i64 int64_t
#define T_u8 uint8_t
#define T_b8 uint8_t

/* A bool is stored as 0 or 1, whatever the expression gave. */
#define STORE_f32(v) (float)(v)
#define STORE_f64(v) (double)(v)
#define STORE_i64(v) (int64_t)(v)
#define STORE_u8(v) (uint8_t)(v)
#define STORE_b8(v) (uint8_t)((v) != 0)

/* ---- one kernel: row, element type t, result type r, arity ---- */

/* the letter of input i in the row's inputs column: b is stored as bool, any other as the element type */
#define LETTER(inputs, i) ((inputs)[(i) < (int)sizeof(inputs) - 1 ? (i) : (int)sizeof(inputs) - 2])
#define LOAD(t, inputs, k) \
  (LETTER(inputs, k) == 'b' ? (T_##t)((const uint8_t *)in##k)[i] : ((const T_##t *)in##k)[i])
#define LOADS_1(t, inputs) T_##t x = LOAD(t, inputs, 0);
#define LOADS_2(t, inputs) LOADS_1(t, inputs) T_##t y = LOAD(t, inputs, 1);
#define LOADS_3(t, inputs) LOADS_2(t, inputs) T_##t z = LOAD(t, inputs, 2);
#define POINTERS_1 const void *in0 = in[0];              /* read once: a store of bytes might change in */
#define POINTERS_2 POINTERS_1 const void *in1 = in[1];
#define POINTERS_3 POINTERS_2 const void *in2 = in[2];

#define LOOP(t, r, arity, inputs, value) \
    _Pragma("omp simd") \
    for (int64_t i = 0; i < n; i++) { \
      LOADS_##arity(t, inputs) \
      ((T_##r *)out)[i] = STORE_##r(value); \
    }
/* A value that looks at q0 gets a second loop for q0 = 0, in which the choice it makes is settled. */
#define KERNEL(name, t, r, arity, inputs, value, text) \
  static void tile_##name##_##t (int64_t n, void *out, const void *const *in, const double *p, int64_t q) { \
    const T_##t p0 = LOW_##t(p[0]), p1 = HIGH_##t(p[1]); \
    POINTERS_##arity \
    (void)p0; (void)p1; \
    n &= -NEAP_TILE_PAD; \
    if (__builtin_strstr(text, "q0") && q == 0) { \
      const int64_t q0 = 0; (void)q0; \
      LOOP(t, r, arity, inputs, value) \
    } else { \
      const int64_t q0 = q; (void)q0; \
      LOOP(t, r, arity, inputs, value) \
    } \
  }
#define EVERY_TYPE(name, arity, inputs, value, text) \
  KERNEL(name, f32, f32, arity, inputs, value, text) KERNEL(name, f64, f64, arity, inputs, value, text) \
  KERNEL(name, i64, i64, arity, inputs, value, text) KERNEL(name, u8, u8, arity, inputs, value, text) \
  KERNEL(name, b8, b8, arity, inputs, value, text)
#define EVERY_TEST(name, arity, inputs, value, text) \
  KERNEL(name, f32, b8, arity, inputs, value, text) KERNEL(name, f64, b8, arity, inputs, value, text) \
  KERNEL(name, i64, b8, arity, inputs, value, text) KERNEL(name, u8, b8, arity, inputs, value, text) \
  KERNEL(name, b8, b8, arity, inputs, value, text)

#define EW1(name, sig, inputs, value, ...) EVERY_TYPE(name, 1, inputs, value, #value)
#define EW2(name, sig, inputs, value, ...) EVERY_TYPE(name, 2, inputs, value, #value)
#define EW3(name, sig, inputs, value, ...) EVERY_TYPE(name, 3, inputs, value, #value)
#define STEP1(name, sig, inputs, value, ...) EVERY_TYPE(name, 1, inputs, value, #value)
#define STEP2(name, sig, inputs, value, ...) EVERY_TYPE(name, 2, inputs, value, #value)
#define TEST1(name, sig, inputs, value, ...) EVERY_TEST(name, 1, inputs, value, #value)
#define TEST2(name, sig, inputs, value, ...) EVERY_TEST(name, 2, inputs, value, #value)
#include "ops.def"

/* ---- several rows in one pass ---- */

#define JOINT(name, t, before, after) \
  static void joint_##name##_##t (int64_t n, void *const *out, const void *const *in) { \
    const T_##t *a = in[0], *b = in[1], *c = in[2]; \
    T_##t *y = out[0], *d = out[1]; \
    (void)b; (void)c; (void)d; \
    n &= -NEAP_TILE_PAD; \
    _Pragma("omp simd") \
    for (int64_t i = 0; i < n; i++) { T_##t x = before; after } \
  }
#define SILU_AND_SLOPE(t, one) T_##t s = SIGMOID(x), v = x * s; y[i] = v; d[i] = s + v * (one[i] - s);
#define JOINTS(t) \
  JOINT(bias_silu, t, a[i] + b[i], SILU_AND_SLOPE(t, c)) \
  JOINT(silu, t, a[i], SILU_AND_SLOPE(t, b)) \
  JOINT(bias_back, t, a[i] + b[i], y[i] = x; d[i] = c[i] * SILU_D1(x);) \
  JOINT(bias_slope, t, a[i] + b[i], y[i] = x; d[i] = SILU_D1(x);) \
  JOINT(gate, t, a[i], y[i] = SILU(x) * b[i];) \
  JOINT(gate_add, t, a[i], y[i] = SILU(x) * b[i] + c[i];)
JOINTS(f32)
JOINTS(f64)

/* ---- the table: a row of class F has float kernels, of class A all, of class b bool ---- */

#define LAST(inputs) LETTER(inputs, 8)
#define FOR_CLASS(inputs, classes, f) ((LAST(inputs) == (classes)[0] || LAST(inputs) == (classes)[1]) ? (f) : NULL)
#define ENTRY(name, inputs) [NEAP_OP_##name] = { \
    [NEAP_FLOAT32] = FOR_CLASS(inputs, "AF", tile_##name##_f32), \
    [NEAP_FLOAT64] = FOR_CLASS(inputs, "AF", tile_##name##_f64), \
    [NEAP_INT64] = FOR_CLASS(inputs, "AA", tile_##name##_i64), \
    [NEAP_UINT8] = FOR_CLASS(inputs, "AA", tile_##name##_u8), \
    [NEAP_BOOL] = FOR_CLASS(inputs, "Ab", tile_##name##_b8) },
#define EW1(name, sig, inputs, ...) ENTRY(name, inputs)
#define EW2 EW1
#define EW3 EW1
#define STEP1 EW1
#define STEP2 EW1
#define TEST1 EW1
#define TEST2 EW1

#define JOINT_ENTRY(NAME, name) [NEAP_JOINT_##NAME] = { joint_##name##_f32, joint_##name##_f64 }

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

extern const neap_tiles JOIN(neap_tiles_, TILE_ISA);
const neap_tiles JOIN(neap_tiles_, TILE_ISA) = {
  .name = TEXT(TILE_ISA),
  .joint = { JOINT_ENTRY(BIAS_SILU, bias_silu), JOINT_ENTRY(SILU, silu), JOINT_ENTRY(BIAS_BACK, bias_back),
             JOINT_ENTRY(BIAS_SLOPE, bias_slope), JOINT_ENTRY(GATE, gate), JOINT_ENTRY(GATE_ADD, gate_add) },
  .normal = { draw_normal_f32, draw_normal_f64 },
  .uniform = { draw_uniform_f32, draw_uniform_f64 },
  .words = draw_words,
  .threshold = { threshold_f32, threshold_f64 },
  .op = {
#include "ops.def"
  }
};
