/*
** clock.h -- seconds of a clock that only goes forward, and how many steps fit between two looks for an interrupt.
** Invariant: times decide how long a run goes on undisturbed, never what it computes.
*/
#ifndef NEAP_CLOCK_H
#define NEAP_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_CHUNK .025                   /* seconds that a chunk of steps may take */
#define CLOCK_LONGEST (1 << 20)            /* steps of a chunk */

static inline double clock_now (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The next chunk's steps, where n of them took so many seconds. */
static inline int64_t clock_chunk (double seconds, int64_t n) {
  double fit = CLOCK_CHUNK / (seconds / (double)n + 1e-9);
  return fit < 1 ? 1 : fit < CLOCK_LONGEST ? (int64_t)fit : CLOCK_LONGEST;
}

#endif
