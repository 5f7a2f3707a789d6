/* Convolution by each instruction set's kernels of neap against float64, which BLAS multiplies; images do not touch. */
#include "support.h"
#include "kernels/tile.h"
#include "dnnl.h"

static const char *const isas[] = { "base", "avx2", "avx512" };

typedef struct shape { int64_t n, h, w, c, kernel[2], o, stride[2], padding[2], groups; } shape;

static const shape shapes[] = {
  { 7, 32, 32, 1, { 5, 5 }, 16, { 2, 2 }, { 2, 2 }, 1 },  { 33, 8, 8, 32, { 3, 3 }, 64, { 2, 2 }, { 1, 1 }, 1 },
  { 5, 9, 11, 16, { 3, 3 }, 48, { 1, 2 }, { 1, 0 }, 1 },  { 3, 6, 7, 3, { 3, 2 }, 112, { 2, 1 }, { 0, 1 }, 1 },
  { 40, 4, 4, 64, { 3, 3 }, 64, { 2, 2 }, { 1, 1 }, 1 },  { 2, 10, 10, 4, { 4, 4 }, 32, { 3, 3 }, { 3, 3 }, 1 },
  { 4, 7, 7, 8, { 1, 1 }, 16, { 1, 1 }, { 0, 0 }, 1 },    { 2, 9, 9, 32, { 3, 3 }, 32, { 2, 2 }, { 1, 1 }, 2 },
  { 3, 5, 70, 2, { 2, 5 }, 24, { 1, 1 }, { 1, 2 }, 1 },   { 1, 8, 8, 24, { 3, 3 }, 16, { 5, 5 }, { 0, 0 }, 1 },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static neap_context *own_kernels (void) {
  neap_context *c = neap_open(NULL);
  assert_non_null(neap_dnnl_load(c, "off"));
  return c;
}

static neap_tensor *normal (neap_context *c, uint64_t seed, int64_t n, int64_t h, int64_t w, int64_t k) {
  neap_rng *r = neap_rng_new(c, seed);
  neap_tensor *t = neap_rng_normal(c, r, NEAP_FLOAT64, 4, (int64_t[]){ n, h, w, k });
  neap_rng_release(r);
  return t;
}

/* outputs, gradient by images, gradient by filters, of dtype d */
static void all_three (neap_context *c, const shape *s, neap_dtype d, neap_tensor **out) {
  neap_tensor *x = neap_cast(c, normal(c, 1, s->n, s->h, s->w, s->c), d);
  neap_tensor *w = neap_cast(c, normal(c, 2, s->kernel[0], s->kernel[1], s->c / s->groups, s->o), d);
  out[0] = neap_convolve(c, x, w, s->stride, s->padding, NULL, s->groups);
  assert_non_null(out[0]);
  const int64_t *o = neap_shape(out[0]);
  neap_tensor *g = neap_cast(c, normal(c, 3, o[0], o[1], o[2], o[3]), d);
  out[1] = neap_convolve_input(c, g, w, (int64_t[]){ s->h, s->w }, s->stride, s->padding, NULL, s->groups);
  out[2] = neap_convolve_weight(c, x, g, s->kernel, s->stride, s->padding, NULL, s->groups);
}

/* the largest difference, in units of the wanted values' largest */
static double apart (neap_context *c, neap_tensor *a, neap_tensor *b) {
  neap_tensor *most = neap_amax(c, neap_abs(c, b), -1, NULL, false);
  return item(c, neap_amax(c, neap_abs(c, neap_sub(c, neap_cast(c, a, NEAP_FLOAT64), b)), -1, NULL, false)) /
         item(c, most);
}

static void instruction_sets_agree_with_float64 (void **state) {
  (void)state;
  for (int k = 0; k < 3; k++) {
    const neap_tiles *t = neap_tiles_named(isas[k]);
    if (!t) continue;
    for (int i = 0; i < SHAPES; i++) {
      neap_context *c = own_kernels();
      neap_tensor *want[3], *got[3];
      all_three(c, &shapes[i], NEAP_FLOAT64, want);
      c->tiles = t;
      all_three(c, &shapes[i], NEAP_FLOAT32, got);
      for (int j = 0; j < 3; j++)
        if (!(apart(c, got[j], want[j]) < 1e-6))
          fail_msg("%s, shape %d, result %d: %g", isas[k], i, j, apart(c, got[j], want[j]));
      neap_close(c);
    }
  }
}

/* an infinite gradient of one image leaves the others finite */
static void images_do_not_touch (void **state) {
  (void)state;
  for (int k = 0; k < 3; k++) {
    const neap_tiles *t = neap_tiles_named(isas[k]);
    for (int i = 0; t && i < SHAPES; i++) {
      const shape *s = &shapes[i];
      neap_context *c = own_kernels();
      c->tiles = t;
      neap_tensor *made[3];
      all_three(c, s, NEAP_FLOAT32, made);
      const int64_t filters[] = { s->kernel[0], s->kernel[1], s->c / s->groups, s->o }, size[] = { s->h, s->w };
      neap_tensor *g = neap_zeros_like(c, made[0]), *w = neap_full(c, NEAP_FLOAT32, 4, filters, 1);
      neap_tensor *one = neap_slice(c, g, 1, 1, 1, 1);
      assert_true(neap_write(c, one, neap_scalar(c, NEAP_FLOAT32, INFINITY)));
      neap_tensor *dx = neap_convolve_input(c, g, w, size, s->stride, s->padding, NULL, s->groups);
      neap_tensor *others = neap_abs(c, neap_slice(c, dx, 1, 2, s->n, 1));
      assert_float_equal(item(c, neap_sum(c, others, -1, NULL, false)), 0, 0);
      assert_false(isfinite(item(c, neap_sum(c, dx, -1, NULL, false))));
      neap_close(c);
    }
  }
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(instruction_sets_agree_with_float64), cmocka_unit_test(images_do_not_touch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
