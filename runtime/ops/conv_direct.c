/*
** conv_direct.c -- convolution of float32 images without a matrix of windows: images are padded, and the kernels of
** conv_kernel.c read windows, or add to them, where they lie.
** Invariant: images are cut into tasks and tiles by their sizes only, and each image is computed whole by one task, so
** results are the same bits for any number of threads.
*/
#include "ops/conv.h"
#include "ops/conv_kernel.h"
#include "kernels/tile.h"
#include <string.h>

extern const conv_kernels neap_conv_base;
#if defined __x86_64__ && !defined NEAP_BASE_ONLY
extern const conv_kernels neap_conv_avx2, neap_conv_avx512;   /* not weak: an archive would leave them out */
static const conv_kernels *const sets[] = { &neap_conv_avx512, &neap_conv_avx2, &neap_conv_base };
#else
static const conv_kernels *const sets[] = { &neap_conv_base };
#endif

const conv_kernels *conv_kernels_of (const neap_context *c) {
  const conv_kernels *const *k = sets;
  while (*k != &neap_conv_base && strcmp((*k)->name, c->tiles->name) != 0) k++;
  return *k;
}

enum { TILE_FLOATS = 16 << 10,             /* of padded images: they stay in L2 beside the filters */
       MOST_FLOATS = 1 << 18,              /* of one padded image; larger ones are cut into windows */
       WASTE = 4 };                        /* what filling runs up to whole vectors may cost at most */

typedef struct direct_job {
  neap_context *c;
  const conv_kernels *kernels;
  conv_shape s;
  conv_reach r;
  int64_t side[2], image, images;          /* of a padded image: its sides, its floats; images of a tile */
  int64_t filled;                          /* a run, up to whole vectors */
  const float *in, *g, *w; float *out;      /* images or, backwards, outputs; of sums both */
  int64_t tasks;
  bool alone;
  int64_t *at;                             /* where the windows of a tile begin in it */
  float *packed, *rooms;                   /* filters with filled runs, or NULL; a tile for each task, or one for all */
  float *parts;                            /* sums of all tasks but the first, or NULL */
  size_t at_bytes, packed_bytes, room_bytes, parts_bytes;
} direct_job;

static int64_t least (int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t windows (const direct_job *j) { return j->s.w.out[0] * j->s.w.out[1]; }

/* ---- padded images ---- */

/* the lines of an image that its padded one holds, and how many elements of each */
typedef struct overlap { int64_t lines, bytes; } overlap;

static overlap overlap_of (const direct_job *j) {
  const conv_windows *w = &j->s.w;
  int64_t lines = least(w->size[0], j->side[0] - w->padding[0]);
  int64_t columns = least(w->size[1], j->side[1] - w->padding[1]);
  if (lines < 0 || columns < 0) return (overlap){ 0, 0 };
  return (overlap){ lines, columns * w->c * (int64_t)sizeof(float) };
}

static float *inside (const direct_job *j, float *padded) {
  return padded + (j->s.w.padding[0] * j->side[1] + j->s.w.padding[1]) * j->s.w.c;
}

static void pad (const direct_job *j, const float *image, float *padded) {
  overlap o = overlap_of(j);
  float *to = inside(j, padded);
  int64_t step = j->side[1] * j->s.w.c, line = j->s.w.size[1] * j->s.w.c;
  for (int64_t y = 0; y < o.lines; y++) memcpy(to + y * step, image + y * line, (size_t)o.bytes);
}

/* what no window reaches has no part in them */
static void unpad (const direct_job *j, float *padded, float *image) {
  overlap o = overlap_of(j);
  const float *from = inside(j, padded);
  int64_t step = j->side[1] * j->s.w.c, line = j->s.w.size[1] * j->s.w.c, all = line * (int64_t)sizeof(float);
  for (int64_t y = 0; y < j->s.w.size[0]; y++) {
    int64_t bytes = y < o.lines ? o.bytes : 0;
    if (bytes) memcpy(image + y * line, from + y * step, (size_t)bytes);
    if (bytes < all) memset((char *)(image + y * line) + bytes, 0, (size_t)(all - bytes));
  }
}

/* ---- tiles of images ---- */

typedef void tile_fn (const direct_job *j, int64_t task, int64_t image, int64_t n, float *padded, float *rest);

static int64_t task_start (const direct_job *j, int64_t task) { return j->s.w.n * task / j->tasks; }

/* rest: room for the outputs of a group, zeros as padded is */
static void run_tiles (const direct_job *j, int64_t task, tile_fn *run) {
  float *padded = j->rooms + (j->alone ? 0 : (size_t)task * j->room_bytes / sizeof(float));
  float *rest = padded + j->room_bytes / sizeof(float) - CONV_PLACES * j->s.o;
  int64_t last = task_start(j, task + 1);
  memset(padded, 0, (size_t)(least(j->images, last - task_start(j, task)) * j->image) * sizeof(float));
  memset(rest, 0, (size_t)(CONV_PLACES * j->s.o) * sizeof(float));
  for (int64_t i = task_start(j, task); i < last; i += j->images)
    run(j, task, i, least(j->images, last - i), padded, rest);
}

/* windows of images -> outputs */
static void tile_forward (const direct_job *j, int64_t task, int64_t image, int64_t n, float *padded, float *rest) {
  int64_t all = n * windows(j), o = j->s.o;
  float *out = j->out + image * windows(j) * o;
  (void)task;
  for (int64_t i = 0; i < n; i++)
    pad(j, j->in + (image + i) * j->s.w.size[0] * j->s.w.size[1] * j->s.w.c, padded + i * j->image);
  for (int64_t p = 0; p < all; p += CONV_PLACES) {
    const float *x[CONV_PLACES];
    int64_t group = least(CONV_PLACES, all - p);
    for (int64_t i = 0; i < CONV_PLACES; i++) x[i] = padded + j->at[p + (i < group ? i : 0)];
    j->kernels->forward(&j->r, x, j->w, group == CONV_PLACES ? out + p * o : rest);
    if (group < CONV_PLACES) memcpy(out + p * o, rest, (size_t)(group * o) * sizeof(float));
  }
}

/* outputs g of n images (zeros where a group is not full) · `blocks` vectors of filters from w on, added from `to` on.
** Windows are taken column by column: neighbours in a line share elements, and would wait for each other's. */
static void add_block (const direct_job *j, const float *g, int64_t n, float *to, const float *w, int blocks,
                       const float *zeros) {
  int64_t lines = n * j->s.w.out[0], columns = j->s.w.out[1], all = lines * columns, line = 0, column = 0;
  for (int64_t p = 0; p < all; p += CONV_PLACES) {
    const float *from[CONV_PLACES];
    float *places[CONV_PLACES];
    for (int64_t i = 0; i < CONV_PLACES; i++) {
      int64_t at = line * columns + column;
      bool real = p + i < all;
      from[i] = real ? g + at * j->s.o : zeros;
      places[i] = real ? to + j->at[at] : places[0];
      if (real && ++line == lines) { line = 0; column++; }
    }
    j->kernels->input[blocks - 1](j->s.o, from, places, w, j->r.lines * j->filled);
  }
}

/* outputs -> what is added to their windows' images */
static void tile_input (const direct_job *j, int64_t task, int64_t image, int64_t n, float *padded, float *rest) {
  const float *g = j->in + image * windows(j) * j->s.o, *w = j->packed ? j->packed : j->w;
  int64_t lanes = j->kernels->lanes;
  if (image > task_start(j, task)) memset(padded, 0, (size_t)(n * j->image) * sizeof(float));
  for (int64_t line = 0; line < j->r.lines; line++)
    for (int64_t at = 0; at < j->filled;) {
      int blocks = (int)least(j->kernels->blocks, (j->filled - at) / lanes);
      add_block(j, g, n, padded + line * j->r.pitch + at, w + line * j->filled + at, blocks, rest);
      at += blocks * lanes;
    }
  for (int64_t i = 0; i < n; i++)
    unpad(j, padded + i * j->image, j->out + (image + i) * j->s.w.size[0] * j->s.w.size[1] * j->s.w.c);
}

/* `blocks` vectors of the sums from output o on: of each line and element of a window, over all places */
static void sum_block (const direct_job *j, const float *padded, int64_t places, const float *g, float *sum,
                       float *sink, int64_t o, int blocks) {
  for (int64_t line = 0; line < j->r.lines; line++)
    for (int64_t t = 0; t < j->r.run; t += CONV_PLACES) {
      const float *from[CONV_PLACES];
      float *to[CONV_PLACES];
      for (int64_t i = 0; i < CONV_PLACES; i++) {
        bool real = t + i < j->r.run;
        from[i] = padded + line * j->r.pitch + (real ? t + i : 0);
        to[i] = real ? sum + (line * j->r.run + t + i) * j->s.o + o : sink;
      }
      j->kernels->weight[blocks - 1](places, j->at, from, g + o, j->s.o, to);
    }
}

/* images and outputs -> sums of this task */
static void tile_weight (const direct_job *j, int64_t task, int64_t image, int64_t n, float *padded, float *rest) {
  const float *g = j->g + image * windows(j) * j->s.o;
  float *sum = task ? j->parts + (task - 1) * j->r.lines * j->r.run * j->s.o : j->out;
  for (int64_t i = 0; i < n; i++)
    pad(j, j->in + (image + i) * j->s.w.size[0] * j->s.w.size[1] * j->s.w.c, padded + i * j->image);
  for (int64_t o = 0; o < j->s.o;) {
    int blocks = (int)least(j->kernels->blocks, (j->s.o - o) / j->kernels->lanes);
    sum_block(j, padded, n * windows(j), g, sum, rest, o, blocks);
    o += blocks * j->kernels->lanes;
  }
}

static void task_forward (void *arg, int64_t task) { run_tiles(arg, task, tile_forward); }
static void task_input (void *arg, int64_t task) { run_tiles(arg, task, tile_input); }

static void task_weight (void *arg, int64_t task) {
  const direct_job *j = arg;
  int64_t all = j->r.lines * j->r.run * j->s.o;
  memset(task ? j->parts + (task - 1) * all : j->out, 0, (size_t)all * sizeof(float));
  run_tiles(j, task, tile_weight);
}

/* ---- a job ---- */

/* false: images are too large for it */
static bool set_sizes (direct_job *j) {
  const conv_windows *w = &j->s.w;
  int64_t lanes = j->kernels->lanes, unit = 1;
  for (int i = 0; i < 2; i++) {
    j->side[i] = (w->out[i] - 1) * w->stride[i] + (w->kernel[i] - 1) * w->dilation[i] + 1;
    if (j->side[i] > MOST_FLOATS || w->c > MOST_FLOATS) return false;
  }
  j->image = j->side[0] * j->side[1] * w->c;
  if (j->image > MOST_FLOATS) return false;
  j->r = (conv_reach){ w->kernel[0], w->kernel[1] * w->c, w->dilation[0] * j->side[1] * w->c, j->s.o };
  j->filled = (j->r.run + lanes - 1) / lanes * lanes;
  j->image += j->filled - j->r.run;                    /* what a filled run reaches of the next image */
  while (windows(j) * unit % CONV_PLACES) unit++;      /* so many images fill their groups */
  j->images = TILE_FLOATS / j->image;
  if (j->images > unit) j->images = j->images / unit * unit;
  j->images = between(j->images, 1, w->n);
  return true;
}

bool conv_is_direct (const neap_call *k, const conv_shape *s, conv_kind kind) {
  direct_job j = { .kernels = conv_kernels_of(k->c), .s = *s };
  if (!j.kernels->lanes || k->in[0]->dtype != NEAP_FLOAT32 || s->groups != 1 || s->w.dilation[1] != 1) return false;
  if (!set_sizes(&j)) return false;
  return kind == CONV_INPUT ? j.filled <= WASTE * j.r.run : s->o % j.kernels->lanes == 0;
}

/* filters [O, lines, run] -> [O, lines, filled], zeros behind */
static void fill_runs (direct_job *j) {
  int64_t runs = j->s.o * j->r.lines;
  memset(j->packed, 0, j->packed_bytes);
  for (int64_t i = 0; i < runs; i++)
    memcpy(j->packed + i * j->filled, j->w + i * j->r.run, (size_t)j->r.run * sizeof(float));
}

static void list_windows (direct_job *j) {
  const conv_windows *w = &j->s.w;
  int64_t *at = j->at;
  for (int64_t i = 0; i < j->images; i++)
    for (int64_t y = 0; y < w->out[0]; y++)
      for (int64_t x = 0; x < w->out[1]; x++)
        *at++ = i * j->image + (y * w->stride[0] * j->side[1] + x * w->stride[1]) * w->c;
}

static bool get_memory (direct_job *j, conv_kind kind) {
  int64_t room = j->images * j->image + j->kernels->lanes + CONV_PLACES * j->s.o, filters = j->s.o * j->r.lines;
  bool packs = kind == CONV_INPUT && j->filled != j->r.run, sums = kind == CONV_WEIGHT && j->tasks > 1;
  j->at_bytes = (size_t)(j->images * windows(j)) * sizeof *j->at;
  j->room_bytes = ((size_t)room * sizeof(float) + 63) / 64 * 64;
  j->packed_bytes = (size_t)(filters * j->filled) * sizeof(float);
  j->parts_bytes = (size_t)((j->tasks - 1) * filters * j->r.run) * sizeof(float);
  j->at = neap_malloc(j->c, j->at_bytes);
  j->rooms = j->at ? neap_malloc(j->c, j->room_bytes * (size_t)(j->alone ? 1 : j->tasks)) : NULL;
  j->packed = j->rooms && packs ? neap_malloc(j->c, j->packed_bytes) : NULL;
  j->parts = j->rooms && sums ? neap_malloc(j->c, j->parts_bytes) : NULL;
  if (j->packed) fill_runs(j);
  if (j->at) list_windows(j);
  return j->rooms && (j->packed || !packs) && (j->parts || !sums);
}

static void drop_memory (direct_job *j) {
  neap_free(j->c, j->at, j->at_bytes);
  neap_free(j->c, j->rooms, j->room_bytes * (size_t)(j->alone ? 1 : j->tasks));
  neap_free(j->c, j->packed, j->packed_bytes);
  neap_free(j->c, j->parts, j->parts_bytes);
}

/* one task's sums after the other, into the first one's */
static void add_parts (direct_job *j) {
  int64_t all = j->r.lines * j->r.run * j->s.o;
  for (int64_t t = 0; j->parts && t < j->tasks - 1; t++)
    for (int64_t i = 0; i < all; i++) j->out[i] += j->parts[t * all + i];
}

bool conv_run_direct (neap_context *c, const conv_shape *s, conv_kind kind, int64_t tasks, const conv_operands *o) {
  static void (*const run[]) (void *arg, int64_t task) = { task_forward, task_input, task_weight };
  direct_job j = { .c = c, .kernels = conv_kernels_of(c), .s = *s, .w = o->w, .out = o->out, .tasks = tasks };
  j.in = kind == CONV_INPUT ? o->g : o->x;
  j.g = o->g;
  j.alone = neap_works_alone(c);
  set_sizes(&j);
  bool ok = get_memory(&j, kind);
  if (ok) neap_parallel(c, tasks, run[kind], &j);
  if (ok) add_parts(&j);
  drop_memory(&j);
  return ok;
}
