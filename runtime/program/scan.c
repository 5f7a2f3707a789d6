/*
** scan.c -- a run: blocks of rows, each taken through all its steps before the next one, on the context's threads.
** Invariant: blocks and lanes depend on the program and the number of rows alone, every block computes what it would
** compute on any thread, a lane adds up its blocks in their order, and lanes are added up in theirs; so results are the
** same bits for any number of threads.
*/
#include "program/frame.h"
#include "ops/support.h"
#include <string.h>

/* BLOCK_ROWS: loops and calls count, and a hundred chains are two blocks */
enum { BLOCK_ROWS = 64, WIDE_ROWS = 256, LONG_BLOCK = 512, VALUES_IN_CACHE = 256 << 10, SPLIT_FROM = 64,
       IMAGES_IN_CACHE = 1 << 20, FEW_IMAGES = 4, MANY_BLOCKS = 64, MIN_LANES = 4, MAX_LANES = 16, LANES_BYTES = 16 << 20 };
#define WEIGHTS_IN_CACHE (512u << 10)      /* bytes: half of a common L2 */

/* Rows of a block.  Without products it is the values that should stay in cache, and instructions that should count:
** from MANY_BLOCKS blocks on, these grow instead.  An image has windows enough for its products, so a few will do. */
static int64_t block_rows (const neap_program *p, int64_t rows) {
  if (p->convolves) return between(IMAGES_IN_CACHE / (int64_t)(p->row_bytes + 1), FEW_IMAGES, BLOCK_ROWS);
  if (p->weight_bytes > WEIGHTS_IN_CACHE) return WIDE_ROWS;
  if (p->weight_bytes > 0) return BLOCK_ROWS;
  int64_t longest = rows / MANY_BLOCKS > LONG_BLOCK ? rows / MANY_BLOCKS : LONG_BLOCK;
  return between(VALUES_IN_CACHE / (int64_t)(p->row_bytes + 1), BLOCK_ROWS, longest);
}

/* what is carried may depend on sums over all rows */
bool program_splits (const program_run *r) { return r->p->g->blocks && !(r->carry && r->p->nsums > 0); }

/* an even number of equal blocks from SPLIT_FROM rows on */
static int64_t count_blocks (const program_run *r) {
  int64_t each = block_rows(r->p, r->rows), rows = r->rows;
  if (!program_splits(r) || (rows < SPLIT_FROM && !r->p->convolves) || rows < each) return 1;
  int64_t n = (rows + each - 1) / each;
  return n + (n & 1);
}

/* Few enough that big sums are not added up more often than they are made. */
static int64_t count_lanes (const program_run *r) {
  int64_t most = between(LANES_BYTES / (int64_t)(r->p->lane_bytes + 1), MIN_LANES, MAX_LANES);
  return r->nblocks < most ? r->nblocks : most;
}

void program_split (program_run *r) {
  r->nblocks = count_blocks(r);
  r->nlanes = r->nblocks > 1 && r->p->nsums > 0 ? count_lanes(r) : 0;
}

static int64_t block_start (const program_run *r, int64_t b) { return r->rows * b / r->nblocks; }

/* ---- frames ---- */

void program_drop_frames (neap_program *p) {
  for (int i = 0; i < p->nframes; i++) frame_free(p->frames[i]);
  neap_free(p->c, p->frames, (size_t)p->nframes * sizeof *p->frames);
  neap_free(p->c, p->lanes, p->lanes_bytes);
  frame_free(p->after);
  p->frames = NULL;
  p->after = NULL;
  p->lanes = NULL;
  p->nframes = 0;
  p->lanes_bytes = 0;
}

/* a pair of frames, for the smaller and the larger blocks, for each thread that may run */
static bool make_frames (neap_program *p, const program_run *r, unsigned phases) {
  int64_t small = r->rows / r->nblocks, pairs = r->nblocks < p->c->threads ? r->nblocks : p->c->threads;
  int n = (int)(2 * pairs);
  bool even = r->rows % r->nblocks == 0;
  bool alone = r->nblocks == 1;
  bool fit = p->nframes == n && p->rows == small && p->phases == phases && p->in_place == !r->carry && p->alone == alone;
  if (!fit) program_drop_frames(p);
  if (!p->frames && !(p->frames = neap_calloc(p->c, (size_t)n * sizeof *p->frames))) return false;
  p->nframes = n;
  p->rows = small;
  p->phases = phases;
  p->in_place = !r->carry;
  p->alone = alone;
  for (int i = 0; i < n; i++) {
    if (p->frames[i] || (i % 2 == 1 && even)) continue;
    if (!(p->frames[i] = frame_new(p, small + i % 2, phases, !r->carry))) return false;
  }
  return true;
}

/* lanes for sums of blocks, and a frame for what is made of these */
static bool make_lanes (neap_program *p, const program_run *r) {
  size_t bytes = (size_t)r->nlanes * p->lane_bytes + 64;
  if (p->lanes_bytes != bytes) {
    neap_free(p->c, p->lanes, p->lanes_bytes);
    p->lanes = neap_calloc(p->c, bytes);
    p->lanes_bytes = p->lanes ? bytes : 0;
  }
  if (p->after && p->after->rows != r->rows) { frame_free(p->after); p->after = NULL; }
  if (p->lanes && !p->after) p->after = frame_new(p, r->rows, PHASE_AFTER, !r->carry);
  return p->lanes && p->after;
}

static bool run_prologue (program_run *r) {
  neap_program *p = r->p;
  if (!p->prologue && !(p->prologue = frame_new(p, 1, PHASE_ONCE, false))) return false;
  frame_bind(p->prologue);
  frame_refresh(p->prologue);
  p->prologue->run = r;
  p->prologue->ctx.workers = p->c;
  if (frame_execute(p->prologue, 0, true)) return true;
  neap_fail(p->c, p->prologue->ctx.status, "%s", p->prologue->ctx.error);
  neap_clear_error(&p->prologue->ctx);
  return false;
}

/* where this run's draws begin */
static void set_streams (program_run *r) {
  const graph *g = r->p->g;
  for (int i = 0; i < g->nrngs; i++) {
    neap_rng_state s = neap_rng_get(g->rng[i]);
    r->key[i] = neap_stream_key(s.seed, s.stream);
    r->step[i] = s.step;
  }
}

static bool is_each (const bool *each, int i) { return each && each[i]; }

static void want (neap_program *p, int v) {
  const graph_value *val = &p->g->values[v];
  if (val->kind == VALUE_NODE) p->instrs[p->instr_of[val->maker]].last = false;
}

/* Does the next step read what this one gives as output j?  Samplers carry more than they read: energies, say. */
static bool is_carried (const program_run *r, int j) {
  return r->carry && r->carry[j] >= 0 && r->p->g->values[r->carry[j]].used;
}

/* Instructions that nothing carried depends on need not run but in the last step. */
static void mark_last (program_run *r) {
  neap_program *p = r->p;
  graph *g = p->g;
  for (int k = 0; k < p->ninstrs; k++) p->instrs[k].last = r->carry != NULL;
  for (int j = 0; r->carry && j < g->noutputs; j++)
    if (is_carried(r, j) || is_each(r->each_out, j)) want(p, g->refs[g->outputs + j].value);
  for (int k = p->ninstrs - 1; k >= 0; k--) {
    const instr *in = &p->instrs[k];
    for (int i = 0; !in->last && i < (in->group ? in->nsteps : 1); i++) {
      const graph_node *n = &g->nodes[in->group ? p->steps[in->steps + i].node : in->node];
      for (int j = 0; j < n->n; j++) want(p, graph_in(g, n, j)->value);
      if (n->before) p->instrs[p->instr_of[n->before - 1]].last = false;
    }
  }
}

/* the element that each number is at this number of rows */
static void set_numbers (program_run *r) {
  graph *g = r->p->g;
  for (int i = 0; i < g->nvalues; i++) {
    graph_value *v = &g->values[i];
    if (v->kind == VALUE_NUMBER) neap_store_number(v->dtype, &v->element, 0, graph_number(v, r->rows));
  }
}

static void bind (frame *f) {
  if (!f) return;
  frame_bind(f);
  frame_refresh(f);
}

bool program_prepare (program_run *r) {
  neap_program *p = r->p;
  if (!neap_ok(p->c)) return false;
  neap_blas_prepare(p->c);
  program_split(r);
  mark_last(r);
  set_numbers(r);
  if (!make_frames(p, r, r->nlanes ? PHASE_BLOCK : PHASE_BLOCK | PHASE_AFTER)) return false;
  if ((r->nlanes && !make_lanes(p, r)) || !run_prologue(r)) return false;
  for (int i = 0; i < p->nframes; i++) bind(p->frames[i]);
  if (r->nlanes) bind(p->after);
  return true;
}

/* ---- one block ---- */

/* Where the rows of a frame begin in t, a row-major tensor whose first dimension counts rows, or all of it; or in what
** step has of it. */
static char *rows_of (const frame *f, const neap_tensor *t, bool by_rows, bool each, int64_t step, size_t *bytes) {
  size_t all = (size_t)neap_numel(t) * neap_dtype_size(t->dtype) / (size_t)(each ? f->run->steps : 1);
  size_t row = by_rows && f->run->rows ? all / (size_t)f->run->rows : 0;
  *bytes = by_rows ? row * (size_t)f->rows : all;
  return (char *)neap_ptr(t) + row * (size_t)f->row0 + (each ? (size_t)step * all : 0);
}

static bool has_rows (const frame *f, const row_size *shape, int ndim) {
  return f->p->g->by_rows && ndim > 0 && shape[0].rows;
}

static void load_input (frame *f, int i, bool each, int64_t step) {
  const graph_value *v = &f->p->g->values[i];
  size_t bytes;
  char *from = rows_of(f, f->run->in[i], has_rows(f, v->shape, v->ndim), each, step, &bytes);
  if (f->outside[i]) f->stores[i].data = from;
  else if (f->stores[i].data) memcpy(f->stores[i].data, from, bytes);
}

/* inputs are copied into the arena, or found where they lie, as places for outputs are */
static void load (frame *f) {
  const graph *g = f->p->g;
  size_t bytes;
  for (int i = 0; i < g->ninputs; i++) if (!is_each(f->run->each_in, i)) load_input(f, i, false, 0);
  for (int j = 0; j < g->noutputs; j++) {
    const graph_ref *o = &g->refs[g->outputs + j];
    if (f->outside[o->value] != 1 + j) continue;
    f->stores[o->value].data = rows_of(f, f->run->out[j], has_rows(f, o->shape, o->ndim), false, 0, &bytes);
  }
  frame_move_all(f);
}

/* output j -> row-major memory */
static void give (const frame *f, int j, void *to) {
  const neap_tensor *t = &f->outputs[j];
  if (neap_is_contiguous(t)) { memcpy(to, neap_ptr(t), (size_t)neap_numel(t) * neap_dtype_size(t->dtype)); return; }
  neap_storage store = { .data = to };
  neap_tensor out = *t;
  int64_t step = 1;
  for (int i = t->ndim - 1; i >= 0; i--) { out.strides[i] = step; step *= t->shape[i]; }
  out.offset = 0;
  out.store = &store;
  neap_copy_strided(&out, t);
}

static void carry (const frame *f) {
  const program_run *r = f->run;
  for (int j = 0; j < f->p->g->noutputs; j++) if (is_carried(r, j)) give(f, j, f->stores[r->carry[j]].data);
}

/* Is this frame to copy output j, or its rows of it?  What every block has, the first one gives. */
static bool gives (const frame *f, int j) {
  const graph *g = f->p->g;
  const graph_ref *o = &g->refs[g->outputs + j];
  const graph_value *v = &g->values[o->value];
  if (f->outside[o->value] == 1 + j) return false;
  if (has_rows(f, o->shape, o->ndim)) return f->phases & PHASE_BLOCK;
  bool whole = v->axis == AXIS_SUM || v->axis == AXIS_AFTER;
  return f->phases & (whole ? PHASE_AFTER : PHASE_BLOCK) && (whole || f->row0 == 0);
}

/* the outputs of one step, or of all */
static void store (const frame *f, bool each, int64_t step) {
  const graph *g = f->p->g;
  for (int j = 0; j < g->noutputs; j++) {
    const graph_ref *o = &g->refs[g->outputs + j];
    size_t bytes;
    if (is_each(f->run->each_out, j) != each || !gives(f, j)) continue;
    give(f, j, rows_of(f, f->run->out[j], has_rows(f, o->shape, o->ndim), each, step, &bytes));
  }
}

static void load_step (frame *f, int64_t step) {
  for (int i = 0; f->run->each_in && i < f->p->g->ninputs; i++) if (f->run->each_in[i]) load_input(f, i, true, step);
}

static bool run_steps (frame *f) {
  const program_run *r = f->run;
  load(f);
  for (int64_t t = 0; t < r->steps; t++) {
    load_step(f, t);
    if (!frame_execute(f, (uint64_t)t, t + 1 == r->steps)) return false;
    if (r->each_out) store(f, true, t);
    if (t + 1 < r->steps) carry(f);
  }
  store(f, false, 0);
  return true;
}

/* a free frame for so many rows; there is one for each thread */
static frame *take_frame (neap_program *p, int64_t rows) {
  for (;;)
    for (int i = 0; i < p->nframes; i++) {
      frame *f = p->frames[i];
      if (f && f->rows == rows && !atomic_exchange(&f->busy, true)) return f;
    }
}

/* the error of the first block counts, whichever fails first */
static void note_failure (program_run *r, int64_t block, const neap_context *c) {
  pthread_mutex_lock(&r->p->lock);
  if (!atomic_load(&r->failed) || block < r->failed_block) {
    r->status = c->status;
    r->failed_block = block;
    memcpy(r->error, c->error, sizeof r->error);
    atomic_store(&r->failed, 1);
  }
  pthread_mutex_unlock(&r->p->lock);
}

/* A frame that runs alone shares its products among all threads. */
static void run_frame (program_run *r, frame *f, int64_t block) {
  f->run = r;
  f->ctx.run = r->p->ran;
  f->ctx.workers = r->nblocks == 1 || block == r->nblocks ? r->p->c : NULL;
  f->row0 = block_start(r, block);
  if (run_steps(f)) return;
  note_failure(r, block, &f->ctx);
  neap_clear_error(&f->ctx);
}

/* lane: where sums are added up; NULL: nowhere */
static void run_rows (program_run *r, int64_t b, char *lane, bool first) {
  frame *f = take_frame(r->p, block_start(r, b + 1) - block_start(r, b));
  f->lane = lane;
  f->first = first;
  run_frame(r, f, b);
  atomic_store(&f->busy, false);
}

static void run_block (void *arg, int64_t b) { run_rows(arg, b, NULL, false); }

/* ---- sums ---- */

static void run_lane (void *arg, int64_t l) {
  program_run *r = arg;
  char *lane = frame_align(r->p->lanes) + (size_t)l * r->p->lane_bytes;
  int64_t from = r->nblocks * l / r->nlanes, to = r->nblocks * (l + 1) / r->nlanes;
  for (int64_t b = from; b < to; b++) run_rows(r, b, lane, b == from);
}

enum { TOTAL_PART = 16 * NEAP_TILE };      /* elements that a thread adds up */

static int64_t parts_of (const row_sum *s) { return (s->n + TOTAL_PART - 1) / TOTAL_PART; }

/* a part of a sum, counted through all of them: all lanes into the first, tile by tile */
static void add_lanes (void *arg, int64_t part) {
  const program_run *r = arg;
  const neap_program *p = r->p;
  const row_sum *s = p->sums;
  for (; part >= parts_of(s); s++) part -= parts_of(s);
  neap_dtype d = p->g->values[s->value].dtype;
  size_t size = neap_dtype_size(d);
  char *lanes = frame_align(p->lanes) + s->at;
  int64_t end = (part + 1) * TOTAL_PART < s->n ? (part + 1) * TOTAL_PART : s->n;
  for (int64_t at = part * TOTAL_PART; at < end; at += NEAP_TILE) {
    int64_t n = end - at < NEAP_TILE ? end - at : NEAP_TILE;
    char *to = lanes + (size_t)at * size;
    for (int64_t l = 1; l < r->nlanes; l++) frame_add(p->after, d, n, to, to + (size_t)l * p->lane_bytes);
  }
}

/* Sums of one part each are not worth waking threads. */
static void add_up (program_run *r) {
  const neap_program *p = r->p;
  int64_t n = 0;
  for (int i = 0; i < p->nsums; i++) n += parts_of(&p->sums[i]);
  if (n > p->nsums) neap_parallel(p->c, n, add_lanes, r);
  else for (int64_t part = 0; part < n; part++) add_lanes(r, part);
}

static void run_after (program_run *r) {
  add_up(r);
  run_frame(r, r->p->after, r->nblocks);
}

/* ---- a run ---- */

bool program_go (program_run *r) {
  graph *g = r->p->g;
  set_streams(r);
  r->p->ran = ++r->p->c->programs_run;
  atomic_store(&r->failed, 0);
  neap_parallel(r->p->c, r->nlanes ? r->nlanes : r->nblocks, r->nlanes ? run_lane : run_block, r);
  if (r->nlanes && !atomic_load(&r->failed)) run_after(r);
  if (atomic_load(&r->failed)) return false;
  for (int i = 0; i < g->nrngs; i++) {
    neap_rng_state s = neap_rng_get(g->rng[i]);
    s.step += (uint64_t)r->steps * g->draws[i];
    neap_rng_set(g->rng[i], s);
  }
  return true;
}
