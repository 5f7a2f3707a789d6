/* per-isa
** kernel.c -- one loop per optimiser and float type; see neap_optim.h for the formulas.
** Invariant: no branch on data inside a loop, so that every loop becomes vector code.
*/
#include "update.h"
#include <math.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

/* p, g, s, v [n] of type T.  s may be NULL where the rule has one state or none. */
#define KERNELS(T, sqrt_)                                                                                           \
  static void sgd_##T (int64_t n, void *p_, const void *g_, void *s_, void *v_, const neap_update_numbers *k) {     \
    T *restrict p = p_, *restrict s = s_;                                                                           \
    const T *restrict g = g_;                                                                                       \
    T lr = (T)k->lr, wd = (T)k->wd, a = (T)k->a, on_g = k->nesterov, on_s = k->nesterov ? a : 1;                    \
    (void)v_;                                                                                                       \
    if (s == NULL)                                                                                                  \
      for (int64_t i = 0; i < n; i++) p[i] -= lr * (g[i] + wd * p[i]);                                              \
    else                                                                                                            \
      for (int64_t i = 0; i < n; i++) {                                                                             \
        T d = g[i] + wd * p[i];                                                                                     \
        s[i] = a * s[i] + d;                                                                                        \
        p[i] -= lr * (on_g * d + on_s * s[i]);                                                                      \
      }                                                                                                             \
  }                                                                                                                 \
  static void adam_##T (int64_t n, void *p_, const void *g_, void *s_, void *v_, const neap_update_numbers *k) {    \
    T *restrict p = p_, *restrict s = s_, *restrict v = v_;                                                         \
    const T *restrict g = g_;                                                                                       \
    T lr = (T)k->lr, wd = (T)k->wd, a = (T)k->a, b = (T)k->b, eps = (T)k->eps;                                      \
    T shrink = (T)k->shrink, root_scale = (T)k->root_scale, one_a = (T)(1 - k->a), one_b = (T)(1 - k->b);           \
    for (int64_t i = 0; i < n; i++) {                                                                               \
      T d = g[i] + wd * p[i];                                                                                       \
      s[i] = a * s[i] + one_a * d;                                                                                  \
      v[i] = b * v[i] + one_b * d * d;                                                                              \
      p[i] = shrink * p[i] - lr * s[i] / (sqrt_(v[i]) * root_scale + eps);                                          \
    }                                                                                                               \
  }                                                                                                                 \
  static void rmsprop_##T (int64_t n, void *p_, const void *g_, void *s_, void *v_, const neap_update_numbers *k) { \
    T *restrict p = p_, *restrict v = v_;                                                                           \
    const T *restrict g = g_;                                                                                       \
    T lr = (T)k->lr, wd = (T)k->wd, a = (T)k->a, eps = (T)k->eps, one_a = (T)k->b;                                  \
    (void)s_;                                                                                                       \
    for (int64_t i = 0; i < n; i++) {                                                                               \
      T d = g[i] + wd * p[i];                                                                                       \
      v[i] = a * v[i] + one_a * d * d;                                                                              \
      p[i] -= lr * d / (sqrt_(v[i]) + eps);                                                                         \
    }                                                                                                               \
  }                                                                                                                 \
  static void ema_##T (int64_t n, void *p_, const void *g_, void *s_, void *v_, const neap_update_numbers *k) {     \
    T *restrict p = p_;                                                                                             \
    const T *restrict g = g_;                                                                                       \
    T a = (T)k->a, one_a = (T)(1 - k->a);                                                                           \
    (void)s_; (void)v_;                                                                                             \
    for (int64_t i = 0; i < n; i++) p[i] = a * p[i] + one_a * g[i];                                                 \
  }                                                                                                                 \
  static double squares_##T (int64_t n, const void *x_) {                                                           \
    const T *restrict x = x_;                                                                                       \
    double sum = 0;                                                                                                 \
    _Pragma("omp simd reduction(+:sum)")                                                                            \
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];                                             \
    return sum;                                                                                                     \
  }

KERNELS(float, sqrtf)
KERNELS(double, sqrt)

extern const neap_update_kernels JOIN(neap_update_, TILE_ISA);
const neap_update_kernels JOIN(neap_update_, TILE_ISA) = {
  .name = TEXT(TILE_ISA),
  .rule = {[UPDATE_SGD] = {sgd_float, sgd_double}, [UPDATE_ADAM] = {adam_float, adam_double},
           [UPDATE_RMSPROP] = {rmsprop_float, rmsprop_double}, [UPDATE_ADAGRAD] = {rmsprop_float, rmsprop_double},
           [UPDATE_EMA] = {ema_float, ema_double}},
  .squares = {squares_float, squares_double},
};
