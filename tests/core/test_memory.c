/* Memory of tensors: what waits for reuse, what the cap gets back of it, and storages that other threads release. */
#include "support.h"
#include <pthread.h>

static size_t in_use (const neap_context *c) {
  neap_memory m = neap_memory_of(c);
  return m.live - m.cached;
}

/* ---- reuse ---- */

static void add_once (neap_context *c, neap_tensor *a) {
  neap_scope s = neap_scope_open(c);
  assert_non_null(neap_add(c, a, a));
  neap_scope_close(c, s);
}

static void memory_of_an_op_is_used_again (void **state) {
  (void)state;
  int64_t sizes[] = { 1, 10, 400, 2000, 100000 };
  for (int i = 0; i < 5; i++) {
    neap_context *c = neap_open(NULL);
    neap_tensor *a = neap_full(c, NEAP_FLOAT64, 1, &sizes[i], 1);
    add_once(c, a);
    neap_memory before = neap_memory_of(c);
    for (int k = 0; k < 100; k++) add_once(c, a);
    neap_memory after = neap_memory_of(c);
    if (c->reuse) assert_int_equal(after.allocations, before.allocations);
    assert_int_equal(after.live, before.live);
    assert_int_equal(after.cached, before.cached);
    neap_close(c);
  }
}

static void many_scalars (neap_context *c, int n) {
  neap_scope s = neap_scope_open(c);
  for (int i = 0; i < n; i++) assert_non_null(neap_scalar(c, NEAP_FLOAT32, i));
  neap_scope_close(c, s);
}

static void what_waits_is_counted_and_given_back (void **state) {
  (void)state;
  failing f = { 0, 0 };
  neap_context *c = neap_open(&(neap_config){ .alloc = failing_alloc, .alloc_arg = &f });
  many_scalars(c, 1000);                               /* the stack of scopes grows */
  size_t empty = in_use(c);
  many_scalars(c, 1000);
  assert_int_equal(in_use(c), empty);
  neap_storage_trim(c);
  assert_int_equal(neap_memory_of(c).cached, 0);
  assert_int_equal(neap_memory_of(c).live, empty);
  assert_int_equal(f.bytes, (long)(empty + sizeof *c));
  neap_close(c);
  assert_int_equal(f.bytes, 0);
}

static void blocks_that_wait_are_limited (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  many_scalars(c, 50000);
  assert_true(c->small <= 4 << 20);
  many_scalars(c, 50000);
  assert_true(c->small <= 4 << 20 && (!c->reuse || c->small > 3 << 20));
  assert_true(neap_memory_of(c).cached <= 64 << 20);
  neap_close(c);
}

/* a thousand small ones wait; one that needs their room gets it */
static void the_cap_takes_what_waits (void **state) {
  (void)state;
  neap_context *c = neap_open(&(neap_config){ .memory_cap = 1 << 20 });
  many_scalars(c, 1000);
  int64_t large = 655360;
  assert_non_null(neap_full(c, NEAP_UINT8, 1, &large, 1));
  assert_true(neap_memory_of(c).peak <= 1 << 20);
  assert_null(neap_full(c, NEAP_UINT8, 1, &large, 1));
  assert_int_equal(neap_status_of(c), NEAP_EMEMORY);
  neap_close(c);
}

/* sizes nobody asks for any more make way for others, even where they fill all that may wait */
static void stale_sizes_make_way (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  if (!c->reuse) { neap_close(c); skip(); }
  int64_t old = 1 << 20, now = 3 << 20;
  neap_scope s = neap_scope_open(c);
  for (int i = 0; i < 64; i++) assert_non_null(neap_empty(c, NEAP_UINT8, 1, &old));
  neap_scope_close(c, s);
  assert_true(neap_memory_of(c).cached > 60 << 20);
  for (int i = 0; i < 100; i++) {
    size_t before = neap_memory_of(c).cached;
    assert_non_null(neap_empty(c, NEAP_UINT8, 1, &now));
    if (i >= 50) assert_true(neap_memory_of(c).cached + (size_t)now <= before);      /* one that waited was taken */
    neap_scope_close(c, s);
    assert_true(neap_memory_of(c).cached <= 64 << 20);
  }
  neap_close(c);
}

/* A vector's width behind the last element belongs to the storage: the elements of its neighbours stay. */
static void small_results_leave_their_neighbours_alone (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  for (int64_t n = 1; n <= 17; n++) {
    neap_tensor *a = neap_full(c, NEAP_FLOAT64, 1, &n, 1), *row[20];
    for (int i = 0; i < 20; i++) row[i] = neap_add(c, a, neap_scalar(c, NEAP_FLOAT64, i));
    for (int i = 0; i < 20; i++)
      for (int64_t k = 0; k < n; k++) assert_float_equal(((double *)neap_data(row[i]))[k], 1 + i, 0);
  }
  neap_close(c);
}

/* lists that grow and shrink keep what is in them, within a size and from one to another */
static void lists_keep_their_contents (void **state) {
  (void)state;
  failing f = { 0, 0 };
  neap_context *c = neap_open(&(neap_config){ .alloc = failing_alloc, .alloc_arg = &f });
  size_t sizes[] = { 1, 8, 40, 33, 100, 2000, 2048, 2049, 2241, 5000, 70000, 69000, 300, 100 << 20, 101 << 20, 10 };
  size_t had = 0;
  char *p = NULL;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    size_t n = sizes[i], kept = had < n ? had : n;
    assert_non_null(p = neap_realloc(c, p, had, n));
    for (size_t k = 0; k < kept; k += k < 5000 ? 1 : 4999) assert_int_equal(p[k], (char)(k * 31 % 127));
    for (size_t k = 0; k < n; k++) p[k] = (char)(k * 31 % 127);
    had = n;
  }
  neap_free(c, p, had);
  neap_storage_trim(c);
  assert_int_equal(neap_memory_of(c).cached, 0);
  neap_close(c);
  assert_int_equal(f.bytes, 0);
}

/* ---- two contexts, two threads ---- */

enum { VIEWS = 300, ROUNDS = 20 };

typedef struct other { neap_context *c; neap_tensor *view[VIEWS]; } other;

static void *drop_views (void *arg) {
  other *o = arg;
  for (int i = 0; i < VIEWS; i++) {
    neap_scope s = neap_scope_open(o->c);
    neap_tensor *twice = neap_add(o->c, o->view[i], neap_detach(o->c, o->view[i]));
    if (!twice || ((float *)neap_data(twice))[0] != (float)(2 * i)) neap_fail(o->c, NEAP_ESTATE, "wrong value");
    neap_release(o->view[i]);
    neap_scope_close(o->c, s);
  }
  return NULL;
}

/* tensors of 1 and of 2000 elements in c, kept by views in o->c */
static void make_views (neap_context *c, other *o, neap_tensor **mine) {
  neap_scope s = neap_scope_open(c), t = neap_scope_open(o->c);
  for (int i = 0; i < VIEWS; i++) {
    mine[i] = neap_keep(neap_full(c, NEAP_FLOAT32, 1, (int64_t[]){ i % 2 ? 2000 : 1 }, i));
    o->view[i] = neap_keep(neap_detach(o->c, mine[i]));
  }
  neap_scope_close(o->c, t);
  neap_scope_close(c, s);
}

static void storages_are_released_by_another_thread (void **state) {
  (void)state;
  failing f = { 0, 0 };
  neap_context *c = neap_open(&(neap_config){ .alloc = failing_alloc, .alloc_arg = &f });
  other o = { .c = neap_open(NULL) };
  neap_tensor *mine[VIEWS], *a = neap_scalar(c, NEAP_FLOAT32, 1);
  size_t before = 0;
  for (int round = 0; round < ROUNDS; round++) {
    pthread_t thread;
    make_views(c, &o, mine);
    assert_int_equal(pthread_create(&thread, NULL, drop_views, &o), 0);
    for (int i = 0; i < VIEWS; i++) { add_once(c, a); neap_release(mine[i]); }
    pthread_join(thread, NULL);
    assert_int_equal(neap_status_of(o.c), NEAP_OK);
    neap_storage_trim(c);                              /* takes what came back */
    if (round == 0) before = neap_memory_of(c).live;
    assert_int_equal(neap_memory_of(c).live, before);
  }
  neap_close(o.c);
  neap_close(c);
  assert_int_equal(f.bytes, 0);
}

/* the last views go after the context whose storages they see, from the other thread */
static void storages_outlive_their_context (void **state) {
  (void)state;
  failing f = { 0, 0 };
  neap_context *c = neap_open(&(neap_config){ .alloc = failing_alloc, .alloc_arg = &f });
  other o = { .c = neap_open(NULL) };
  neap_tensor *mine[VIEWS];
  pthread_t thread;
  make_views(c, &o, mine);
  for (int i = 0; i < VIEWS; i++) neap_release(mine[i]);
  neap_close(c);
  assert_int_equal(pthread_create(&thread, NULL, drop_views, &o), 0);
  pthread_join(thread, NULL);
  assert_int_equal(neap_status_of(o.c), NEAP_OK);
  assert_int_equal(f.bytes, 0);
  neap_close(o.c);
}

/* a tensor of a closed context may be the last to go, over the storage of one that is open */
static void views_outlive_their_own_context (void **state) {
  (void)state;
  failing f = { 0, 0 };
  neap_context *c = neap_open(NULL), *d = failing_open(&f);
  neap_tensor *x = neap_full(c, NEAP_FLOAT32, 1, (int64_t[]){ 3 }, 7), *view = neap_keep(neap_detach(d, x));
  neap_close(d);
  neap_release(view);
  assert_int_equal(f.bytes, 0);
  assert_float_equal(((float *)neap_data(x))[2], 7, 0);
  neap_close(c);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(memory_of_an_op_is_used_again), cmocka_unit_test(what_waits_is_counted_and_given_back),
    cmocka_unit_test(blocks_that_wait_are_limited), cmocka_unit_test(the_cap_takes_what_waits),
    cmocka_unit_test(stale_sizes_make_way), cmocka_unit_test(lists_keep_their_contents),
    cmocka_unit_test(small_results_leave_their_neighbours_alone),
    cmocka_unit_test(storages_are_released_by_another_thread), cmocka_unit_test(storages_outlive_their_context),
    cmocka_unit_test(views_outlive_their_own_context),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
