/*
** test_philox.c -- the Philox kernel against Random123, and draws that depend on nothing but their element.
*/
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "kernels/tile.h"
#include "kernels/philox.h"
#include <Random123/philox.h>

static const char *const isas[] = { "base", "avx2", "avx512" };

/* block of the counter (block, step) under key */
static void one_block (uint64_t block, uint64_t step, neap_key key, uint32_t *out) {
  uint32_t w[64];
  philox s = philox_of(key, step);
  philox_16(&s, block, w);
  for (int k = 0; k < 4; k++) out[k] = w[16 * k];
}

static void known_answers (void **state) {
  (void)state;
  static const struct { uint32_t counter[4], key[2], want[4]; } v[] = {
    { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
    { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff }, { 0xffffffff, 0xffffffff },
      { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
    { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, { 0xa4093822, 0x299f31d0 },
      { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
  };
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    uint32_t got[4];
    one_block(v[i].counter[0] | (uint64_t)v[i].counter[1] << 32, v[i].counter[2] | (uint64_t)v[i].counter[3] << 32,
              (neap_key){ v[i].key[0], v[i].key[1] }, got);
    assert_memory_equal(got, v[i].want, sizeof got);
  }
}

static void random123_word (uint64_t block, uint64_t step, neap_key key, uint32_t *out) {
  philox4x32_ctr_t c = { { (uint32_t)block, (uint32_t)(block >> 32), (uint32_t)step, (uint32_t)(step >> 32) } };
  philox4x32_key_t k = { { key.k0, key.k1 } };
  philox4x32_ctr_t r = philox4x32(c, k);
  memcpy(out, r.v, 4 * sizeof *out);
}

/* the layout that philox.h states, on every instruction set */
static void words_are_random123s (void **state) {
  (void)state;
  static uint64_t w[256];
  neap_key key = { 0xdeadbeef, 12345 };
  const uint64_t step = 0x123456789abcdefu;
  const int64_t first = (int64_t)1 << 40;              /* the counter's high half counts, too */
  for (size_t k = 0; k < 3; k++) {
    const neap_tiles *t = neap_tiles_named(isas[k]);
    if (!t) continue;
    t->words(key, step, first, 256, w);
    for (int i = 0; i < 256; i++) {
      uint32_t r[4];
      int64_t e = first + i;
      random123_word((uint64_t)(16 * (e / 32) + e % 16), step, key, r);
      int pair = (int)(e % 32 / 16);
      assert_true(w[i] == ((uint64_t)r[2 * pair] << 32 | r[2 * pair + 1]));
    }
  }
}

/* 27 bits of one word, 26 of the next */
static uint64_t top_53 (uint32_t hi, uint32_t lo) { return (uint64_t)(hi >> 5) << 26 | lo >> 6; }

static void uniforms_follow_the_words (void **state) {
  (void)state;
  static float f[256];
  static double d[256];
  neap_key key = { 7, 9 };
  for (size_t k = 0; k < 3; k++) {
    const neap_tiles *t = neap_tiles_named(isas[k]);
    if (!t) continue;
    t->uniform[0](key, 3, 0, 256, f);
    t->uniform[1](key, 3, 0, 256, d);
    for (int i = 0; i < 256; i++) {
      uint32_t r[4];
      random123_word((uint64_t)(16 * (i / 64) + i % 16), 3, key, r);
      assert_true(f[i] == (float)(r[i % 64 / 16] >> 8) / 16777216.f);
      random123_word((uint64_t)(16 * (i / 32) + i % 16), 3, key, r);
      int pair = i % 32 / 16 * 2;
      assert_true(d[i] == (double)top_53(r[pair], r[pair + 1]) / 9007199254740992.);
    }
  }
}

/* Box and Muller in long double from the same words */
static void check_normals (const float *f, const double *d, neap_key key, int n) {
  const long double pi = 3.141592653589793238463L;
  for (int i = 0; i < n; i++) {
    uint32_t r[4];
    random123_word((uint64_t)(16 * (i / 64) + i % 16), 5, key, r);
    int p = i % 64 / 32 * 2;
    long double u = ((r[p] >> 1) + .5L) / 2147483648.L, a = 2 * pi * r[p + 1] / 4294967296.L;
    long double want = sqrtl(-2 * logl(u)) * (i % 32 < 16 ? cosl(a) : sinl(a));
    assert_true(fabsl(f[i] - want) < 2e-6L);
    random123_word((uint64_t)(16 * (i / 32) + i % 16), 5, key, r);
    u = (top_53(r[0], r[1]) + .5L) / 9007199254740992.L;
    a = 2 * pi * ((((uint64_t)r[2] << 32 | r[3]) >> 6) / 288230376151711744.L);
    want = sqrtl(-2 * logl(u)) * (i % 32 < 16 ? cosl(a) : sinl(a));
    assert_true(fabsl(d[i] - want) < 1e-14L);
  }
}

static void normals_are_box_mullers (void **state) {
  (void)state;
  static float f[2048];
  static double d[2048];
  neap_key key = { 11, 13 };
  for (size_t k = 0; k < 3; k++) {
    const neap_tiles *t = neap_tiles_named(isas[k]);
    if (!t) continue;
    t->normal[0](key, 5, 0, 2048, f);
    t->normal[1](key, 5, 0, 2048, d);
    check_normals(f, d, key, 2048);
  }
}

/* The smallest and largest words give finite normals. */
static void normals_are_finite (void **state) {
  (void)state;
  static const uint32_t ends[] = { 0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
  uint32_t w[64];
  float f[32];
  double d[32];
  for (int i = 0; i < 6; i++)
    for (int j = 0; j < 6; j++) {
      for (int l = 0; l < 64; l++) w[l] = ends[l / 16 % 2 ? j : i];
      box_muller_f32(w, f);
      for (int l = 0; l < 64; l++) w[l] = ends[l < 32 ? i : j];
      box_muller_f64(w, d);
      for (int l = 0; l < 32; l++) assert_true(fabsf(f[l]) < 6.7f && fabs(d[l]) < 8.7);
    }
}

/* any range of a draw, in any pieces, is the same draw */
static void any_range_is_the_same_draw (void **state) {
  (void)state;
  static double whole[1000], part[1000];
  const neap_tiles *t = neap_tiles_best();
  neap_key key = neap_stream_key(1, 2);
  for (int d = NEAP_FLOAT32; d <= NEAP_FLOAT64; d++) {
    size_t size = neap_dtype_size((neap_dtype)d);
    neap_fill_normal(t, key, 0, 0, 1000, (neap_dtype)d, whole);
    for (int trial = 0; trial < 200; trial++) {
      int first = rand() % 1000, n = rand() % (1000 - first) + 1;
      neap_fill_normal(t, key, 0, first, n, (neap_dtype)d, part);
      assert_memory_equal(part, (char *)whole + (size_t)first * size, (size_t)n * size);
    }
  }
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(known_answers),
    cmocka_unit_test(words_are_random123s),
    cmocka_unit_test(uniforms_follow_the_words),
    cmocka_unit_test(normals_are_box_mullers),
    cmocka_unit_test(normals_are_finite),
    cmocka_unit_test(any_range_is_the_same_draw),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
