/*
** test_files.c -- files through the C API: contents, failing allocations, the memory cap.
*/
#include "support.h"
#include "core.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char folder[256], path[300];

static const char *file (const char *name) {
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static int make_folder (void **state) {
  (void)state;
  temporary_name(folder, sizeof folder, "");
  return mkdtemp(folder) == NULL;
}

static int remove_folder (void **state) {
  (void)state;
  const char *names[] = {"a.safetensors", "a.npy", "a.npz", "a.csv", "a.png", "b.png", "a.idx"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    remove(file(names[i]));
  return rmdir(folder);
}

static neap_tensor *floats (neap_context *c) {
  return neap_from(c, NEAP_FLOAT32, 2, (int64_t[]){2, 3}, (float[]){1, 2, 3, 4, 5, 6});
}

static neap_tensor *bytes (neap_context *c) {
  return neap_from(c, NEAP_UINT8, 2, (int64_t[]){2, 3}, (uint8_t[]){0, 50, 100, 150, 200, 255});
}

static bool save_all (neap_context *c) {
  neap_scope s = neap_scope_open(c);
  neap_tensor *x = floats(c), *y = bytes(c);
  bool ok = x && y && neap_save(c, file("a.safetensors"), 2, (const char *[]){"x", "y"}, (neap_tensor *[]){x, y},
                                (const char *[]){"key", "value", NULL}) &&
            neap_save(c, file("a.npz"), 2, (const char *[]){"x", "y"}, (neap_tensor *[]){x, y}, NULL) &&
            neap_npy_save(c, file("a.npy"), neap_transpose(c, x, 1, 2)) &&
            neap_csv_save(c, file("a.csv"), x, (const char *[]){"p", "q", "r"}) &&
            neap_png_save(c, file("a.png"), y) && neap_apng_save(c, file("b.png"), neap_unsqueeze(c, y, 1), 40);
  neap_scope_close(c, s);
  return ok;
}

static bool load_bundle (neap_context *c, const char *name) {
  neap_bundle *b = neap_load(c, file(name));
  bool ok = b != NULL;
  neap_bundle_release(b);
  return ok;
}

static bool load_all (neap_context *c) {
  neap_scope s = neap_scope_open(c);
  neap_bundle *columns = NULL;
  bool ok = load_bundle(c, "a.safetensors") && load_bundle(c, "a.npz") && load_bundle(c, "a.npy") &&
    load_bundle(c, "a.csv") &&
            neap_csv_load(c, file("a.csv"), NEAP_FLOAT64, &columns) && neap_png_load(c, file("a.png"));
  neap_bundle_release(columns);
  neap_scope_close(c, s);
  return ok;
}

static void test_contents (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  assert_true(save_all(c));
  neap_bundle *b = neap_load(c, file("a.safetensors"));
  assert_non_null(b);
  assert_int_equal(neap_bundle_count(b), 2);
  assert_string_equal(neap_bundle_metadata(b, "key"), "value");
  assert_null(neap_bundle_metadata(b, "other"));
  const char *value = NULL;
  assert_string_equal(neap_bundle_metadata_at(b, 0, &value), "key");
  assert_null(neap_bundle_metadata_at(b, 1, &value));
  neap_tensor *x = neap_bundle_find(b, "x");
  assert_memory_equal(neap_data(x), ((float[]){1, 2, 3, 4, 5, 6}), 24);
  assert_memory_equal(neap_data(neap_bundle_find(b, "y")), ((uint8_t[]){0, 50, 100, 150, 200, 255}), 6);
  assert_null(neap_bundle_find(b, "z"));
  neap_bundle_release(b);
  b = neap_load(c, file("a.npy"));
  assert_non_null(b);
  assert_memory_equal(neap_data(neap_bundle_tensor(b, 0)), ((float[]){1, 4, 2, 5, 3, 6}), 24);
  neap_close(c);
  neap_bundle_release(b);                  /* after the context */
}

static void test_columns_and_picture (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  assert_true(save_all(c));
  neap_scope s = neap_scope_open(c);
  neap_bundle *columns = NULL;
  double v = 0, q[2];
  neap_tensor *t = neap_csv_load(c, file("a.csv"), NEAP_FLOAT64, &columns);
  assert_int_equal(neap_shape(t)[0], 2);
  assert_int_equal(neap_shape(t)[1], 3);
  assert_string_equal(neap_bundle_name(columns, 2), "r");
  assert_true(neap_read(c, neap_bundle_find(columns, "q"), NEAP_FLOAT64, q));
  assert_true(q[0] == 2 && q[1] == 5);
  assert_false(neap_item(c, t, &v));
  neap_clear_error(c);
  neap_tensor *y = neap_png_load(c, file("a.png"));
  assert_int_equal(neap_ndim(y), 2);
  assert_memory_equal(neap_data(y), ((uint8_t[]){0, 50, 100, 150, 200, 255}), 6);
  neap_bundle_release(columns);
  neap_scope_close(c, s);
  neap_close(c);
}

static void test_single_tensors (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  assert_true(save_all(c));
  neap_tensor *t = neap_npy_load(c, file("a.npy"));
  assert_int_equal(neap_shape(t)[0], 3);
  assert_int_equal(neap_dtype_of(t), NEAP_FLOAT32);
  assert_memory_equal(neap_data(t), ((float[]){1, 4, 2, 5, 3, 6}), 24);
  assert_null(neap_npy_load(c, file("a.csv")));
  assert_int_equal(neap_status_of(c), NEAP_EIO);
  const char digits[] = "123456789";
  assert_int_equal(neap_crc32(0, digits, 9), 0xcbf43926);      /* the check value of CRC-32 */
  assert_int_equal(neap_crc32(neap_crc32(0, digits, 4), digits + 4, 5), 0xcbf43926);
  neap_close(c);
}

/* The n-th allocation fails, n = 1, 2, …: a clean error each time, nothing left behind, until all goes well. */
static void fail_each (bool (*work)(neap_context *)) {
  bool done = false;
  for (long n = 1; !done; n++) {
    failing f = {0};
    neap_context *c = failing_open(&f);
    assert_non_null(c);
    f.countdown = n;
    done = work(c);
    if (!done)
      assert_int_equal(neap_status_of(c), NEAP_EMEMORY);
    f.countdown = 0;
    neap_clear_error(c);
    assert_true(work(c));
    neap_close(c);
    assert_int_equal(f.bytes, 0);
    assert_true(n < 2000);
  }
}

static void test_failing_allocations (void **state) {
  (void)state;
  fail_each(save_all);
  fail_each(load_all);
}

static void test_memory_cap (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  neap_tensor *big = neap_full(c, NEAP_FLOAT32, 1, (int64_t[]){1 << 20}, 1);
  assert_true(neap_save(c, file("a.safetensors"), 1, (const char *[]){"big"}, &big, NULL));
  neap_scope_close(c, s);
  neap_set_memory_cap(c, 1 << 20);
  assert_null(neap_load(c, file("a.safetensors")));
  assert_int_equal(neap_status_of(c), NEAP_EMEMORY);
  neap_close(c);
}

/* A header of many empty lists makes jansson take far more than its bytes: that is counted too. */
static void test_header_memory_is_counted (void **state) {
  (void)state;
  enum { N = 1 << 20 };
  FILE *f = fopen(file("a.safetensors"), "wb");
  uint64_t length = N;
  fwrite(&length, sizeof length, 1, f);
  fputc('[', f);
  for (int i = 0; i < (N - 2) / 2; i++)
    fputs("0,", f);
  fputs("]", f);
  fputs(" ", f);
  fclose(f);
  neap_context *c = neap_open(NULL);
  neap_set_memory_cap(c, 16 << 20);
  assert_null(neap_load(c, file("a.safetensors")));
  assert_int_equal(neap_status_of(c), NEAP_EMEMORY);
  neap_close(c);
}

static void test_wrong_calls (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  neap_scope s = neap_scope_open(c);
  assert_false(neap_png_save(c, file("a.png"), floats(c)));
  assert_non_null(strstr(neap_error(c), "uint8 [H, W]"));
  neap_clear_error(c);
  assert_false(neap_apng_save(c, file("b.png"), bytes(c), 40));
  assert_non_null(strstr(neap_error(c), "[frames, H, W]"));
  neap_clear_error(c);
  assert_false(neap_apng_save(c, file("b.png"), neap_unsqueeze(c, bytes(c), 1), 0));
  assert_non_null(strstr(neap_error(c), "milliseconds"));
  neap_clear_error(c);
  assert_false(neap_save(c, file("a.npy"), 2, (const char *[]){"x", "y"}, (neap_tensor *[]){floats(c), bytes(c)},
                         NULL));
  assert_int_equal(neap_status_of(c), NEAP_EARG);
  neap_clear_error(c);
  assert_false(neap_save(c, file("a.safetensors"), 2, (const char *[]){"x", "x"},
                         (neap_tensor *[]){floats(c), bytes(c)}, NULL));
  assert_non_null(strstr(neap_error(c), "given twice"));
  neap_clear_error(c);
  assert_null(neap_idx_load(c, file("absent.idx")));
  assert_int_equal(neap_status_of(c), NEAP_EIO);
  assert_null(neap_idx_load(c, file("a.npy")));            /* an error is pending: nothing is tried */
  assert_non_null(strstr(neap_error(c), "absent.idx"));
  neap_scope_close(c, s);
  neap_close(c);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_contents), cmocka_unit_test(test_columns_and_picture), cmocka_unit_test(test_single_tensors),
      cmocka_unit_test(test_failing_allocations),
    cmocka_unit_test(test_memory_cap), cmocka_unit_test(test_header_memory_is_counted),
      cmocka_unit_test(test_wrong_calls),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
