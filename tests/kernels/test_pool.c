/*
** test_pool.c -- neap_parallel: every block once, from inside itself, in a forked child, with any number of threads.
*/
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core.h"

enum { BLOCKS = 5000 };

typedef struct tally { atomic_int count[BLOCKS]; neap_context *c; atomic_int inner; } tally;

static void count (void *arg, int64_t block) {
  tally *t = arg;
  atomic_fetch_add(&t->count[block], 1);
}

static void expect_each_once (neap_context *c, int blocks) {
  static tally t;
  for (int i = 0; i < BLOCKS; i++) atomic_store(&t.count[i], 0);
  neap_parallel(c, blocks, count, &t);
  for (int i = 0; i < BLOCKS; i++) assert_int_equal(atomic_load(&t.count[i]), i < blocks);
}

static void each_block_once (void **state) {
  (void)state;
  static const int sizes[] = { 0, 1, 2, 3, 7, 100, BLOCKS };
  for (int threads = 1; threads <= 9; threads += 2) {
    neap_context *c = neap_open(&(neap_config){ .threads = threads });
    for (int round = 0; round < 20; round++)
      for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) expect_each_once(c, sizes[i]);
    neap_close(c);
  }
}

static void nest (void *arg, int64_t block) {
  tally *t = arg;
  if (block < 4) neap_parallel(t->c, 1000, count, t);
  atomic_fetch_add(&t->inner, 1);
}

static void nested_calls_run_serially (void **state) {
  (void)state;
  neap_context *c = neap_open(&(neap_config){ .threads = 4 });
  static tally t;
  t.c = c;
  neap_parallel(c, 50, nest, &t);
  assert_int_equal(atomic_load(&t.inner), 50);
  for (int i = 0; i < 1000; i++) assert_int_equal(atomic_load(&t.count[i]), 4);
  neap_close(c);
}

static void threads_can_change (void **state) {
  (void)state;
  neap_context *c = neap_open(NULL);
  assert_int_equal(neap_threads(c), 1);
  for (int n = 1; n <= 6; n++) {
    assert_true(neap_set_threads(c, n));
    assert_int_equal(neap_threads(c), n);
    expect_each_once(c, 200);
  }
  assert_false(neap_set_threads(c, 0));
  assert_string_equal(neap_error(c), "set_threads: 1 to 1024 threads expected, got 0");
  neap_clear_error(c);
  assert_int_equal(neap_threads(c), 6);
  neap_close(c);
}

/* the child has none of its parent's workers */
static void a_forked_child_works (void **state) {
  (void)state;
#ifdef __SANITIZE_THREAD__
  skip();                                              /* it cannot follow threads made after a fork */
#endif
  neap_context *c = neap_open(&(neap_config){ .threads = 3 });
  expect_each_once(c, 500);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    alarm(20);                                         /* a lost worker would be waited for */
    static tally t;
    neap_parallel(c, 500, count, &t);
    int ok = 1;
    for (int i = 0; i < 500; i++) ok &= atomic_load(&t.count[i]) == 1;
    neap_close(c);
    _exit(ok ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  expect_each_once(c, 500);
  neap_close(c);
}

/* counts a worker's blocks and the caller's; waits for the other to come, which takes a busy machine a while */
static void see_mask (void *arg, int64_t block) {
  (void)block;
  sigset_t now;
  pthread_sigmask(SIG_BLOCK, NULL, &now);
  tally *t = arg;
  int mine = sigismember(&now, SIGINT) ? 0 : 1;
  atomic_fetch_add(&t->count[mine], 1);
  for (int ms = 0; ms < 20000 && atomic_load(&t->count[1 - mine]) == 0; ms++) usleep(1000);
}

/* signals go to the host's threads; the caller's mask stays as it was */
static void workers_block_signals (void **state) {
  (void)state;
  neap_context *c = neap_open(&(neap_config){ .threads = 2 });
  static tally t;
  neap_parallel(c, 40, see_mask, &t);
  assert_true(atomic_load(&t.count[0]) > 0 && atomic_load(&t.count[1]) > 0);
  assert_int_equal(atomic_load(&t.count[0]) + atomic_load(&t.count[1]), 40);
  sigset_t now;
  pthread_sigmask(SIG_BLOCK, NULL, &now);
  assert_false(sigismember(&now, SIGINT));
  neap_close(c);
}

/* memory for threads that cannot be had is no error: the caller works alone */
static void *no_threads (void *arg, void *ptr, size_t osize, size_t nsize) {
  (void)osize;
  if (!nsize) { free(ptr); return NULL; }
  return *(bool *)arg ? NULL : realloc(ptr, nsize);
}
static void without_memory (void **state) {
  (void)state;
  bool refuse = false;
  neap_context *c = neap_open(&(neap_config){ .threads = 4, .alloc = no_threads, .alloc_arg = &refuse });
  refuse = true;
  expect_each_once(c, 100);
  assert_int_equal(neap_status_of(c), NEAP_OK);
  refuse = false;
  expect_each_once(c, 100);
  neap_close(c);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_block_once), cmocka_unit_test(nested_calls_run_serially),
    cmocka_unit_test(threads_can_change),
    cmocka_unit_test(a_forked_child_works), cmocka_unit_test(workers_block_signals), cmocka_unit_test(without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
