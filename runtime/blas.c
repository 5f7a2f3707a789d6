/*
** blas.c -- OpenBLAS in its three flavours (serial, pthread, OpenMP): safe from any thread, one thread per call.
** Invariant: the two static variables below are all that neap shares between contexts.  The lock is needed because the
** serial flavour has process-wide work buffers; the flag remembers, per thread, that the buffer was mapped.
*/
#include "blas.h"
#include "core.h"
#include <dlfcn.h>
#include <pthread.h>
#include <strings.h>
#include <sys/mman.h>

int openblas_get_parallel (void);
int openblas_get_num_threads (void);
char *openblas_get_corename (void);
void openblas_set_num_threads (int n);

enum { SERIAL = 0, PTHREAD = 1, OPENMP = 2 };
enum { BUFFER = 129 << 20 };               /* OpenBLAS maps 32 MB per caller, on recent x86 128 MB and a page */

static pthread_mutex_t one_caller = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool buffer_mapped;

static void one_thread (void) {
  pthread_mutex_lock(&one_caller);
  if (openblas_get_num_threads() != 1) openblas_set_num_threads(1);
  pthread_mutex_unlock(&one_caller);
}

/* libgomp is BLAS's dependency, not neap's: its functions are found where the library already is */
static void find_openmp (neap_blas *b) {
  *(void **)&b->omp_get = dlsym(RTLD_DEFAULT, "omp_get_max_threads");
  *(void **)&b->omp_set = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
  if (!b->omp_get || !b->omp_set) { b->omp_get = NULL; b->omp_set = NULL; }
}

/* the sets of kernels that have some for small matrices */
static bool has_small_kernels (void) {
  static const char *const cores[] = { "SkylakeX", "Cooperlake", "SapphireRapids" };
  const char *core = openblas_get_corename();
  for (int i = 0; i < 3; i++) if (strcasecmp(core, cores[i]) == 0) return true;
  return false;
}

void neap_blas_prepare (neap_context *c) {
  neap_blas *b = &c->blas;
  if (b->ready) return;
  int flavour = openblas_get_parallel();
  b->serial = flavour == SERIAL;
  b->small = has_small_kernels();
  if (flavour == PTHREAD) one_thread();
  if (flavour == OPENMP) find_openmp(b);
  if (b->serial)
    neap_warn(c, "OpenBLAS is its serial flavour, which is not safe from two threads: neap calls it from one at a "
                 "time. Install libopenblas0-pthread for matrix products on all threads.");
  b->ready = true;
}

/* OpenBLAS asks for its buffer again and again, for ever, when it is refused: so ask first, then make it take the
** buffer at once, in a solve of one equation (a small product would not). */
static bool map_buffer (void) {
  void *p = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return false;
  munmap(p, BUFFER);
  float a = 1, b = 1;
  cblas_strsm(BLAS_ROWS, BLAS_LEFT, BLAS_LOWER, BLAS_N, BLAS_NONUNIT, 1, 1, 1, &a, 1, &b, 1);
  return buffer_mapped = true;
}

int neap_blas_enter (neap_context *c) {
  neap_blas *b = &c->blas;
  int token = 0;
  if (b->serial) pthread_mutex_lock(&one_caller);
  else if (b->omp_get && (token = b->omp_get()) != 1) b->omp_set(1);
  if (buffer_mapped || map_buffer()) return token;
  neap_blas_leave(c, token);
  return -1;
}

void neap_blas_leave (neap_context *c, int token) {
  neap_blas *b = &c->blas;
  if (b->serial) pthread_mutex_unlock(&one_caller);
  else if (b->omp_set && token != 1) b->omp_set(token);
}

bool neap_blas_refuse (neap_context *c, const char *op) {
  return neap_fail(c, NEAP_EMEMORY, "%s: not enough memory: OpenBLAS could not map its work buffer of 128 MB", op);
}

int neap_blas_begin (neap_context *c, const char *op) {
  neap_blas_prepare(c);
  int token = neap_blas_enter(c);
  if (token < 0) neap_blas_refuse(c, op);
  return token;
}

void neap_blas_stop_workers (void) {
  if (openblas_get_parallel() != PTHREAD) return;
  one_thread();
  int (*stop) (void);
  *(void **)&stop = dlsym(RTLD_DEFAULT, "blas_thread_shutdown_");
  if (stop) stop();
}
