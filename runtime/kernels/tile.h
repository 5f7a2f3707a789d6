/*
** tile.h -- tile kernels: one loop per elementwise row and element type, compiled for each instruction set.
** Invariant: a kernel is given whole vectors only (a multiple of NEAP_TILE_PAD elements), so a value depends on
** its inputs and on the instruction set, never on where in a tensor it stands.
*/
#ifndef NEAP_TILE_H
#define NEAP_TILE_H

#include "op.h"

#define NEAP_TILE_PAD 16                 /* kernels take multiples of it; the widest vector holds 16 floats */
#ifdef NEAP_HOSTILE
#define NEAP_TILE 32                     /* many tile edges */
#else
#define NEAP_TILE 1024                   /* elements of a tile: a few of them stay in L1 */
#endif

/* out[0..n) from in[k][0..n); p: the row's numbers, q: its first integer.  out may be one of the inputs. */
typedef void neap_tile_kernel (int64_t n, void *out, const void *const *in, const double *p, int64_t q);

/* Several rows in one pass over the elements, with the bits of one after the other.  x is in[0], with a bias in[0] +
** in[1];
**   silu: x sigmoid(x) and, with in[last] = 1, its slope, by lerp from sigmoid(x)
**   bias_back, bias_slope: x, and in[2] silu_d1(x) or silu_d1(x)
**   gate, gate_add: silu(x) in[1], and that + in[2]
** Of those that begin alike the longer one comes first. */
enum { NEAP_JOINT_BIAS_SILU, NEAP_JOINT_SILU, NEAP_JOINT_BIAS_BACK, NEAP_JOINT_BIAS_SLOPE, NEAP_JOINT_GATE,
       NEAP_JOINT_GATE_ADD, NEAP_JOINTS };
typedef void neap_joint_kernel (int64_t n, void *const *out, const void *const *in);

/* The Philox key of a stream; see philox.h for how words become elements. */
typedef struct neap_key { uint32_t k0, k1; } neap_key;

/* Fills whole groups: elements [first, first + n) of the draw (key, step), first and n multiples of NEAP_DRAW_GROUP. */
typedef void neap_draw_kernel (neap_key key, uint64_t step, int64_t first, int64_t n, void *out);
#define NEAP_DRAW_GROUP 64

/* u[0..n), uniforms, become 1 where u < p, else 0.  False: a p is not in 0..1. */
typedef bool neap_threshold_kernel (int64_t n, const void *p, void *u);

struct neap_tiles {
  const char *name;                      /* base, avx2 or avx512 */
  neap_tile_kernel *op[NEAP_OP_COUNT][NEAP_NDTYPES];   /* by the last input's dtype; NULL: no such kernel */
  neap_joint_kernel *joint[NEAP_JOINTS][2];            /* float32, float64 */
  neap_draw_kernel *normal[2], *uniform[2];            /* float32, float64; uniform in [0, 1) */
  neap_draw_kernel *words;                             /* uint64 */
  neap_threshold_kernel *threshold[2];                 /* float32, float64 */
};

/* The fastest set this processor can run. */
const neap_tiles *neap_tiles_best (void);
/* By name; NULL when there is none or this processor cannot run it. */
const neap_tiles *neap_tiles_named (const char *name);

/* Elements [first, first + n) of a draw, any first and n; d is float32 or float64. */
void neap_fill_normal (const neap_tiles *t, neap_key key, uint64_t step, int64_t first, int64_t n, neap_dtype d,
                       void *out);
void neap_fill_uniform (const neap_tiles *t, neap_key key, uint64_t step, int64_t first, int64_t n, neap_dtype d,
                        void *out);
void neap_fill_words (const neap_tiles *t, neap_key key, uint64_t step, int64_t first, int64_t n, uint64_t *out);

/* The key of stream `stream` of seed `seed`, and the hash it is made with. */
uint64_t neap_stream_mix (uint64_t a, uint64_t b);
neap_key neap_stream_key (uint64_t seed, uint64_t stream);

#endif
