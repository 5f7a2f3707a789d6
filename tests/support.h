/*
** support.h -- what C tests share: cmocka and what it asks for, an allocator that fails on purpose, a file to write to,
** numbers into a tensor and out of one.
** Invariant: all is static inline, so a test file includes it first and links nothing more.
*/
#ifndef NEAP_TESTS_SUPPORT_H
#define NEAP_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core.h"

/* Fails the countdown-th allocation from now (0: none) and knows how many bytes are out. */
typedef struct failing { long countdown, bytes; } failing;

static inline void *failing_alloc (void *arg, void *ptr, size_t osize, size_t nsize) {
  failing *f = arg;
  size_t had = ptr ? osize : 0;                        /* Lua tells a kind of object where there was none */
  if (nsize == 0) { f->bytes -= (long)had; free(ptr); return NULL; }
  if (nsize > had && f->countdown > 0 && --f->countdown == 0) return NULL;    /* Lua's shrinking must not fail */
  void *p = realloc(ptr, nsize);
  if (p) f->bytes += (long)nsize - (long)had;
  return p;
}

/* nothing small waits for reuse there, so that each thing asked for may be the one that fails */
static inline neap_context *failing_open (failing *f) {
  neap_context *c = neap_open(&(neap_config){ .alloc = failing_alloc, .alloc_arg = f });
  if (c) neap_reuse(c, false);
  return c;
}

/* Which allocations are tried: each, or each k-th with NEAP_ALLOC_STEP=k, for builds in which all take too long. */
static inline long failing_step (long otherwise) {
  const char *text = getenv("NEAP_ALLOC_STEP");
  long k = text ? atol(text) : otherwise;
  return k > 0 ? k : 1;
}

/* the pattern of a new name where temporary files go, with that ending */
static inline void temporary_name (char *path, size_t size, const char *ending) {
  const char *folder = getenv("TMPDIR");
  int n = snprintf(path, size, "%s/neap-test-XXXXXX%s", folder ? folder : P_tmpdir, ending);
  assert_in_range(n, 1, size - 1);
}

/* path becomes a new file's, which the caller removes */
static inline void temporary_file (char *path, size_t size, const char *ending) {
  temporary_name(path, size, ending);
  int fd = mkstemps(path, (int)strlen(ending));
  assert_true(fd >= 0);
  close(fd);
}

static inline double item (neap_context *c, neap_tensor *t) {
  double v = NAN;
  assert_true(neap_item(c, t, &v));
  return v;
}

/* element i from 0, row-major, of a small tensor */
static inline double element (neap_context *c, neap_tensor *t, int64_t i) {
  double v[256];
  assert_non_null(t);
  assert_true(i < neap_numel(t) && neap_numel(t) <= 256);
  assert_true(neap_read(c, t, NEAP_FLOAT64, v));
  return v[i];
}

static inline neap_tensor *vector (neap_context *c, int64_t n, const double *v) {
  return neap_from(c, NEAP_FLOAT64, 1, &n, v);
}

static inline neap_tensor *matrix (neap_context *c, int64_t rows, int64_t columns, const double *v) {
  return neap_from(c, NEAP_FLOAT64, 2, (int64_t[]){ rows, columns }, v);
}

#endif
