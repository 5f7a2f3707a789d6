/*
** tool_peak.c -- what this machine can do at most: fused multiply-adds of float32, and copying through memory.
**   tool_peak [THREADS [SECONDS]]     prints one line: isa threads flops_per_second bytes_per_second
** Every thread works on its own numbers and all start each round together; a rate is the sum over threads in the best
** round, because whatever else the machine does can only slow a round down.  A multiply-add counts as two operations;
** a copied byte counts twice, read and written, as in STREAM (McCalpin 1995).
*/
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 100, MAX_THREADS = 64, STREAM_MB = 64, CHAINS = 12, INNER = 4096 };

static double now (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- multiply-adds: CHAINS independent ones hide the latency of each, and fit in the registers ---- */

#define EACH(X) X(a) X(b) X(c) X(d) X(e) X(f) X(g) X(h) X(i) X(j) X(k) X(l)
#define START(v) vec v = m * (float)__LINE__ + s++;
#define STEP(v) v = v * m + n;
#define ADD(v) total += v;

/* Runs INNER · CHAINS multiply-adds of LANES lanes; the result depends on all of them. */
#define FMA(NAME, TARGET, LANES) \
  TARGET static float fma_##NAME (float s) { \
    typedef float vec __attribute__((vector_size(4 * LANES))); \
    vec m = { 0 }, n = { 0 }, total = { 0 }; \
    for (int q = 0; q < LANES; q++) { m[q] = .999f; n[q] = .001f * s; } \
    EACH(START) \
    for (int r = 0; r < INNER; r++) { EACH(STEP) } \
    EACH(ADD) \
    return total[0] + total[LANES - 1]; \
  }

typedef struct isa { const char *name; int lanes; float (*run) (float seed); } isa;

FMA(base, , 4)
#if defined __x86_64__
FMA(avx2, __attribute__((target("avx2,fma"))), 8)
FMA(avx512, __attribute__((target("avx512f"))), 16)
#endif

static isa best_isa (void) {
#if defined __x86_64__
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return (isa){ "avx512", 16, fma_avx512 };
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return (isa){ "avx2", 8, fma_avx2 };
#endif
  return (isa){ "base", 4, fma_base };
}

/* ---- rounds ---- */

typedef struct bench {
  isa isa;
  int threads;
  double seconds;                                    /* of a round */
  pthread_barrier_t barrier;
  double flops[MAX_THREADS][ROUNDS], bytes[MAX_THREADS][ROUNDS];
  atomic_bool failed;
} bench;

typedef struct worker { bench *b; int index; pthread_t thread; } worker;

static volatile float sink;                          /* keeps the compiler from dropping the work */

static double fma_rate (const bench *b) {
  double began = now(), t;
  long n = 0;
  do { sink = b->isa.run((float)++n); } while ((t = now() - began) < b->seconds);
  return 2. * INNER * CHAINS * b->isa.lanes * (double)n / t;
}

static double copy_rate (const bench *b, char *to, const char *from, size_t size) {
  double began = now(), t;
  long n = 0;
  do { memcpy(to, from, size); n++; sink = to[size / 2]; } while ((t = now() - began) < b->seconds);
  return 2. * (double)size * (double)n / t;
}

static void *work (void *arg) {
  worker *w = arg;
  bench *b = w->b;
  size_t size = (size_t)STREAM_MB << 20;
  char *from = malloc(size), *to = malloc(size);
  if (from && to) { memset(from, 1, size); memset(to, 2, size); } else atomic_store(&b->failed, true);
  pthread_barrier_wait(&b->barrier);
  for (int r = 0; r < ROUNDS && !atomic_load(&b->failed); r++) {
    b->flops[w->index][r] = fma_rate(b);
    pthread_barrier_wait(&b->barrier);
    b->bytes[w->index][r] = copy_rate(b, to, from, size);
    pthread_barrier_wait(&b->barrier);
  }
  free(from);
  free(to);
  return NULL;
}

static double best (int threads, double (*rate)[ROUNDS]) {
  double most = 0;
  for (int r = 0; r < ROUNDS; r++) {
    double sum = 0;
    for (int t = 0; t < threads; t++) sum += rate[t][r];
    if (sum > most) most = sum;
  }
  return most;
}

int main (int argc, char **argv) {
  static bench b;
  static worker workers[MAX_THREADS];
  b.isa = best_isa();
  b.threads = argc > 1 ? atoi(argv[1]) : 1;
  b.seconds = (argc > 2 ? atof(argv[2]) : 1) / (2 * ROUNDS);
  if (b.threads < 1 || b.threads > MAX_THREADS || !(b.seconds > 0)) {
    fprintf(stderr, "usage: tool_peak [THREADS (1 to %d) [SECONDS]]\n", MAX_THREADS);
    return 2;
  }
  pthread_barrier_init(&b.barrier, NULL, (unsigned)b.threads);
  for (int i = 0; i < b.threads; i++) {
    workers[i] = (worker){ .b = &b, .index = i };
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) return 1;
  }
  for (int i = 0; i < b.threads; i++) pthread_join(workers[i].thread, NULL);
  if (atomic_load(&b.failed)) return 1;
  printf("%s %d %.4g %.4g\n", b.isa.name, b.threads, best(b.threads, b.flops), best(b.threads, b.bytes));
  return 0;
}
