/*
** isa.c -- which set of tile kernels this processor runs.
** Invariant: a set is handed out only if the processor has every instruction it was compiled with.
*/
#include "tile.h"
#include <string.h>

extern const neap_tiles neap_tiles_base;

#if defined __x86_64__ && !defined NEAP_BASE_ONLY       /* make planted: one set is enough */
extern const neap_tiles neap_tiles_avx2, neap_tiles_avx512;

/* __builtin_cpu_supports asks the operating system's support for the wide registers, too */
static bool has_avx2 (void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static bool has_avx512 (void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
      && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
}

const neap_tiles *neap_tiles_best (void) {
  return has_avx512() ? &neap_tiles_avx512 : has_avx2() ? &neap_tiles_avx2 : &neap_tiles_base;
}

const neap_tiles *neap_tiles_named (const char *name) {
  if (strcmp(name, "avx512") == 0) return has_avx512() ? &neap_tiles_avx512 : NULL;
  if (strcmp(name, "avx2") == 0) return has_avx2() ? &neap_tiles_avx2 : NULL;
  return strcmp(name, "base") == 0 ? &neap_tiles_base : NULL;
}

#else

const neap_tiles *neap_tiles_best (void) { return &neap_tiles_base; }
const neap_tiles *neap_tiles_named (const char *name) { return strcmp(name, "base") == 0 ? &neap_tiles_base : NULL; }

#endif
