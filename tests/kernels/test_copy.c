/*
** test_copy.c -- copies, casts, reads and writes against plain loops over indices.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "op.h"

static neap_context *open_one (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  assert_non_null(c);
  return c;
}

/* ---- conversion ---- */

static const double values[] = { 0, 1, -1, .5, -.5, 1.9, -1.9, 2.5, 255, 256, 300, -300, 1e10, -1e10, 1e30, -1e30 };
enum { NVALUES = sizeof values / sizeof *values };

/* what a value of `from` becomes in `to`, both seen as doubles */
static double converted (double v, neap_dtype from, neap_dtype to) {
  if (to == NEAP_FLOAT32) return (float)v;
  if (to == NEAP_FLOAT64) return v;
  if (to == NEAP_BOOL) return v != 0;
  if (v != v) return 0;
  if (to == NEAP_INT64) return v >= 0x1p63 ? 0x1p63 : v <= -0x1p63 ? -0x1p63 : trunc(v);
  if (neap_is_float(from)) return v <= 0 ? 0 : v >= 255 ? 255 : trunc(v);
  return (double)(uint8_t)(v >= 0x1p63 ? INT64_MAX : (int64_t)v);       /* integers wrap */
}

static void every_pair (void **state) {
  neap_context *c = open_one(state);
  for (int from = 0; from < NEAP_NDTYPES; from++)
    for (int to = 0; to < NEAP_NDTYPES; to++) {
      neap_tensor *x = neap_from(c, NEAP_FLOAT64, 1, (int64_t[]){ NVALUES }, values);
      x = neap_cast(c, x, (neap_dtype)from);
      double a[NVALUES], b[NVALUES];
      assert_true(neap_read(c, x, NEAP_FLOAT64, a));
      assert_true(neap_read(c, neap_cast(c, x, (neap_dtype)to), NEAP_FLOAT64, b));
      for (int i = 0; i < NVALUES; i++) assert_true(b[i] == converted(a[i], (neap_dtype)from, (neap_dtype)to));
    }
  neap_close(c);
}

static void odd_values (void **state) {
  neap_context *c = open_one(state);
  const double v[] = { NAN, INFINITY, -INFINITY, -0., 5e-324 };
  int64_t i[5];
  uint8_t u[5], b[5];
  float f[5];
  neap_tensor *x = neap_from(c, NEAP_FLOAT64, 1, (int64_t[]){ 5 }, v);
  assert_true(neap_read(c, x, NEAP_INT64, i) && neap_read(c, x, NEAP_UINT8, u) && neap_read(c, x, NEAP_BOOL, b));
  assert_true(neap_read(c, x, NEAP_FLOAT32, f));
  assert_memory_equal(i, ((int64_t[]){ 0, INT64_MAX, INT64_MIN, 0, 0 }), sizeof i);
  assert_memory_equal(u, ((uint8_t[]){ 0, 255, 0, 0, 0 }), sizeof u);
  assert_memory_equal(b, ((uint8_t[]){ 1, 1, 1, 0, 1 }), sizeof b);
  assert_true(isnan(f[0]) && isinf(f[1]) && f[3] == 0 && signbit(f[3]) && f[4] == 0);
  const int64_t big[] = { (int64_t)1 << 53 | 1, INT64_MAX, INT64_MIN };      /* int64 does not pass through double */
  int64_t back[3];
  x = neap_from(c, NEAP_INT64, 1, (int64_t[]){ 3 }, big);
  assert_true(neap_read(c, x, NEAP_INT64, back));
  assert_memory_equal(back, big, sizeof big);
  neap_close(c);
}

/* ---- strides ---- */

static int64_t at (const neap_tensor *t, int64_t flat) {
  int64_t offset = 0;
  for (int i = t->ndim - 1; i >= 0; i--) { offset += flat % t->shape[i] * t->strides[i]; flat /= t->shape[i]; }
  return offset;
}

/* a view of x with dimensions permuted, some flipped, some stepped */
static neap_tensor *random_view (neap_context *c, neap_tensor *x) {
  int64_t shape[NEAP_MAX_DIMS], strides[NEAP_MAX_DIMS], offset = 0;
  int order[NEAP_MAX_DIMS];
  for (int i = 0; i < x->ndim; i++) order[i] = i;
  for (int i = x->ndim - 1; i > 0; i--) { int j = rand() % (i + 1), t = order[i]; order[i] = order[j]; order[j] = t; }
  for (int i = 0; i < x->ndim; i++) {
    int d = order[i], step = rand() % 3 ? 1 : 2;
    shape[i] = (x->shape[d] + step - 1) / step;
    strides[i] = x->strides[d] * step;
    if (rand() % 4 == 0) { offset += (shape[i] - 1) * strides[i]; strides[i] = -strides[i]; }
    if (rand() % 6 == 0) strides[i] = 0;
  }
  return neap_tensor_view(c, x->store, x->dtype, x->ndim, shape, strides, offset);
}

static void strided_copies (void **state) {
  neap_context *c = open_one(state);
  for (int trial = 0; trial < 400; trial++) {
    neap_scope s = neap_scope_open(c);
    int ndim = 1 + rand() % 4;
    int64_t shape[4], n = 1;
    for (int i = 0; i < ndim; i++) n *= shape[i] = 1 + rand() % (ndim < 3 ? 90 : 12);
    neap_tensor *base = neap_empty(c, rand() % 2 ? NEAP_FLOAT32 : NEAP_UINT8, ndim, shape);
    for (int64_t i = 0; i < n; i++)
      if (base->dtype == NEAP_UINT8) ((uint8_t *)neap_ptr(base))[i] = (uint8_t)rand();
      else ((float *)neap_ptr(base))[i] = (float)i;
    neap_tensor *x = random_view(c, base), *y = neap_contiguous_data(c, x);
    assert_true(neap_is_contiguous(y) && neap_same_shape(x, y));
    size_t size = neap_dtype_size(x->dtype);
    for (int64_t i = 0; i < neap_numel(x); i++)
      assert_memory_equal((char *)neap_ptr(y) + (size_t)i * size, (char *)neap_ptr(x) + at(x, i) * (int64_t)size, size);
    neap_scope_close(c, s);
  }
  neap_close(c);
}

/* large enough for slabs on several threads: a transposed, converting write into a permuted destination */
static void large_transpose (void **state) {
  (void)state;
  neap_context *c = neap_open(&(neap_config){ .threads = 3 });
  enum { R = 517, C = 301 };
  neap_tensor *x = neap_empty(c, NEAP_FLOAT64, 2, (int64_t[]){ R, C });
  neap_tensor *y = neap_empty(c, NEAP_FLOAT32, 2, (int64_t[]){ C, R });
  for (int i = 0; i < R * C; i++) ((double *)neap_ptr(x))[i] = i;
  neap_tensor *xt = neap_tensor_view(c, x->store, NEAP_FLOAT64, 2, (int64_t[]){ C, R }, (int64_t[]){ 1, C }, 0);
  assert_true(neap_write(c, y, xt));
  for (int i = 0; i < C * R; i++) assert_true(((float *)neap_ptr(y))[i] == (float)(i % R * C + i / R));
  neap_tensor *yt = neap_tensor_view(c, y->store, NEAP_FLOAT32, 2, (int64_t[]){ R, C }, (int64_t[]){ 1, R }, 0);
  assert_true(neap_write(c, yt, neap_full(c, NEAP_INT64, 0, NULL, 3)) && neap_write(c, yt, x));
  for (int i = 0; i < C * R; i++) assert_true(((float *)neap_ptr(y))[i] == (float)(i % R * C + i / R));
  neap_close(c);
}

/* blocks that are turned whole, and what is left of them at every edge: [r, c, 3] read as [c, 3, r], and backwards */
static void turned_blocks (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  const neap_dtype dtypes[] = { NEAP_FLOAT32, NEAP_FLOAT64, NEAP_UINT8 };
  const int64_t sizes[][2] = { { 32, 32 }, { 64, 33 }, { 31, 70 }, { 47, 96 }, { 100, 41 } };
  for (int i = 0; i < 15; i++) {
    neap_scope s = neap_scope_open(c);
    neap_dtype d = dtypes[i % 3];
    int64_t rows = sizes[i / 3][0], cols = sizes[i / 3][1];
    neap_tensor *x = neap_empty(c, d, 3, (int64_t[]){ rows, cols, 3 });
    for (int64_t k = 0; k < neap_numel(x); k++) neap_store_number(d, neap_ptr(x), k, (double)(k * 7 % 251));
    neap_tensor *turned = neap_permute(c, x, 3, (int64_t[]){ 2, 3, 1 });
    neap_tensor *reversed = neap_permute(c, x, 3, (int64_t[]){ 3, 2, 1 });
    neap_tensor *seen[] = { turned, reversed, neap_flip(c, turned, 1, (int64_t[]){ 3 }) };
    for (int v = 0; v < 3; v++) {
      neap_tensor *y = neap_contiguous_data(c, seen[v]);
      size_t size = neap_dtype_size(d);
      assert_true(neap_is_contiguous(y));
      for (int64_t k = 0; k < neap_numel(y); k++)
        assert_memory_equal((char *)neap_ptr(y) + (size_t)k * size,
                            (char *)neap_ptr(seen[v]) + at(seen[v], k) * (int64_t)size, size);
    }
    neap_scope_close(c, s);
  }
  neap_close(c);
}

/* ---- neap_write ---- */

static void writes_broadcast (void **state) {
  neap_context *c = open_one(state);
  neap_tensor *x = neap_full(c, NEAP_FLOAT32, 2, (int64_t[]){ 2, 3 }, 0);
  uint32_t version = x->store->version;
  float got[6];
  assert_true(neap_write(c, x, neap_from(c, NEAP_INT64, 1, (int64_t[]){ 3 }, (int64_t[]){ 1, 2, 3 })));
  assert_int_equal(x->store->version, version + 1);
  assert_true(neap_read(c, x, NEAP_FLOAT32, got));
  assert_memory_equal(got, ((float[]){ 1, 2, 3, 1, 2, 3 }), sizeof got);
  assert_true(neap_write(c, x, neap_from(c, NEAP_FLOAT32, 3, (int64_t[]){ 1, 2, 1 }, (float[]){ 5, 6 })));
  assert_true(neap_read(c, x, NEAP_FLOAT32, got));
  assert_memory_equal(got, ((float[]){ 5, 5, 5, 6, 6, 6 }), sizeof got);
  assert_false(neap_write(c, x, neap_full(c, NEAP_FLOAT32, 1, (int64_t[]){ 2 }, 1)));
  assert_int_equal(neap_status_of(c), NEAP_ESHAPE);
  assert_string_equal(neap_error(c), "write: a value of shape [2] does not fit into [2, 3]");
  neap_clear_error(c);
  neap_tensor *e = neap_tensor_view(c, x->store, NEAP_FLOAT32, 2, (int64_t[]){ 4, 3 }, (int64_t[]){ 0, 1 }, 0);
  assert_false(neap_write(c, e, x));
  assert_int_equal(neap_status_of(c), NEAP_EARG);
  neap_clear_error(c);
  assert_int_equal(x->store->version, version + 2);
  neap_tensor *none = neap_empty(c, NEAP_FLOAT32, 2, (int64_t[]){ 0, 3 });
  assert_true(neap_write(c, none, neap_full(c, NEAP_FLOAT32, 1, (int64_t[]){ 3 }, 1)));
  neap_close(c);
}

/* x[2..] = x[..n-1], x = its own transpose, x = x backwards: as if the source had been copied first */
static void writes_overlap (void **state) {
  neap_context *c = open_one(state);
  float v[100], got[100];
  for (int i = 0; i < 100; i++) v[i] = (float)i;
  neap_tensor *x = neap_from(c, NEAP_FLOAT32, 1, (int64_t[]){ 100 }, v);
  int64_t n99[] = { 99 }, one[] = { 1 }, minus[] = { -1 }, n100[] = { 100 };
  neap_tensor *to = neap_tensor_view(c, x->store, NEAP_FLOAT32, 1, n99, one, 1);
  neap_tensor *from = neap_tensor_view(c, x->store, NEAP_FLOAT32, 1, n99, one, 0);
  assert_true(neap_write(c, to, from) && neap_read(c, x, NEAP_FLOAT32, got));
  for (int i = 0; i < 100; i++) assert_true(got[i] == (float)(i ? i - 1 : 0));
  assert_true(neap_write(c, x, neap_from(c, NEAP_FLOAT32, 1, n100, v)));
  assert_true(neap_write(c, x, neap_tensor_view(c, x->store, NEAP_FLOAT32, 1, n100, minus, 99)));
  assert_true(neap_read(c, x, NEAP_FLOAT32, got));
  for (int i = 0; i < 100; i++) assert_true(got[i] == (float)(99 - i));
  int64_t square[] = { 10, 10 }, across[] = { 1, 10 };
  neap_tensor *m = neap_from(c, NEAP_FLOAT32, 2, square, v);
  assert_true(neap_write(c, m, neap_tensor_view(c, m->store, NEAP_FLOAT32, 2, square, across, 0)));
  assert_true(neap_read(c, m, NEAP_FLOAT32, got));
  for (int i = 0; i < 100; i++) assert_true(got[i] == (float)(i % 10 * 10 + i / 10));
  neap_close(c);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_pair), cmocka_unit_test(odd_values), cmocka_unit_test(strided_copies),
    cmocka_unit_test(large_transpose), cmocka_unit_test(turned_blocks),
    cmocka_unit_test(writes_broadcast), cmocka_unit_test(writes_overlap),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
