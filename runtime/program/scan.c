/*
** scan.c -- a run: blocks of rows, each taken through all its steps before the next one, on the context's threads.
** Invariant: the blocks depend on the program and the number of rows alone, and every block computes what it would
** compute on any thread, so results are the same bits for any number of threads.
*/
#include "program/frame.h"
#include <string.h>

/* 48: above it OpenBLAS leaves its small kernels */
enum { BLOCK_ROWS = 48, WIDE_ROWS = 256, LONG_BLOCK = 512, VALUES_IN_CACHE = 256 << 10, SPLIT_FROM = 64 };
#define WEIGHTS_IN_CACHE (512u << 10)      /* bytes: half of a common L2 */

/* Rows of a block.  Without products it is the values that should stay in cache, and instructions that should count. */
static int64_t block_rows (const neap_program *p) {
  if (p->weight_bytes > WEIGHTS_IN_CACHE) return WIDE_ROWS;
  if (p->weight_bytes > 0) return BLOCK_ROWS;
  int64_t fit = VALUES_IN_CACHE / (int64_t)(p->row_bytes + 1);
  return fit < BLOCK_ROWS ? BLOCK_ROWS : fit < LONG_BLOCK ? fit : LONG_BLOCK;
}

/* an even number of equal blocks from SPLIT_FROM rows on */
static int64_t count_blocks (const neap_program *p, int64_t rows) {
  int64_t each = block_rows(p);
  if (!p->g->blocks || rows < SPLIT_FROM || rows < each) return 1;
  int64_t n = (rows + each - 1) / each;
  return n + (n & 1);
}

static int64_t block_start (const program_run *r, int64_t b) { return r->rows * b / r->nblocks; }

/* ---- frames ---- */

void program_drop_frames (neap_program *p) {
  for (int i = 0; i < p->nframes; i++) frame_free(p->frames[i]);
  neap_free(p->c, p->frames, (size_t)p->nframes * sizeof *p->frames);
  p->frames = NULL;
  p->nframes = 0;
}

/* a pair of frames, for the smaller and the larger blocks, for each thread that may run */
static bool make_frames (neap_program *p, const program_run *r) {
  int64_t small = r->rows / r->nblocks, pairs = r->nblocks < p->c->threads ? r->nblocks : p->c->threads;
  int n = (int)(2 * pairs);
  bool even = r->rows % r->nblocks == 0;
  if (p->nframes != n || p->rows != small) program_drop_frames(p);
  if (!p->frames && !(p->frames = neap_calloc(p->c, (size_t)n * sizeof *p->frames))) return false;
  p->nframes = n;
  p->rows = small;
  for (int i = 0; i < n; i++) {
    if (p->frames[i] || (i % 2 == 1 && even)) continue;
    if (!(p->frames[i] = frame_new(p, small + i % 2, false))) return false;
  }
  return true;
}

static bool run_prologue (program_run *r) {
  neap_program *p = r->p;
  if (!p->prologue && !(p->prologue = frame_new(p, 1, true))) return false;
  frame_bind(p->prologue);
  frame_refresh(p->prologue);
  p->prologue->run = r;
  if (frame_execute(p->prologue, true, 0, true)) return true;
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

static void want (neap_program *p, int v) {
  const graph_value *val = &p->g->values[v];
  if (val->kind == VALUE_NODE) p->instrs[p->instr_of[val->maker]].last = false;
}

/* Instructions that nothing carried depends on need not run but in the last step. */
static void mark_last (program_run *r) {
  neap_program *p = r->p;
  graph *g = p->g;
  for (int k = 0; k < p->ninstrs; k++) p->instrs[k].last = r->carry != NULL;
  for (int j = 0; r->carry && j < g->noutputs; j++) if (r->carry[j] >= 0) want(p, g->refs[g->outputs + j].value);
  for (int k = p->ninstrs - 1; k >= 0; k--) {
    const instr *in = &p->instrs[k];
    for (int i = 0; !in->last && i < (in->group ? in->nsteps : 1); i++) {
      const graph_node *n = &g->nodes[in->group ? p->steps[in->steps + i].node : in->node];
      for (int j = 0; j < n->n; j++) want(p, graph_in(g, n, j)->value);
    }
  }
}

bool program_prepare (program_run *r) {
  neap_program *p = r->p;
  if (!neap_ok(p->c)) return false;
  neap_blas_prepare(p->c);
  r->nblocks = count_blocks(p, r->rows);
  mark_last(r);
  if (!make_frames(p, r) || !run_prologue(r)) return false;
  for (int i = 0; i < p->nframes; i++) {
    if (!p->frames[i]) continue;
    frame_bind(p->frames[i]);
    frame_refresh(p->frames[i]);
  }
  return true;
}

/* ---- one block ---- */

/* rows [from, from + n) of t, a tensor whose first dimension counts rows, or all of it */
static char *rows_of (const neap_tensor *t, bool by_rows, int64_t from, int64_t n, size_t *bytes) {
  size_t all = (size_t)neap_numel(t) * neap_dtype_size(t->dtype);
  size_t row = by_rows && t->shape[0] ? all / (size_t)t->shape[0] : 0;
  *bytes = by_rows ? row * (size_t)n : all;
  return (char *)neap_ptr(t) + row * (size_t)from;
}

static bool has_rows (const frame *f, const row_size *shape, int ndim) {
  return f->p->g->by_rows && ndim > 0 && shape[0].rows;
}

static void load (frame *f) {
  const graph *g = f->p->g;
  for (int i = 0; i < g->ninputs; i++) {
    size_t bytes;
    bool by_rows = has_rows(f, g->values[i].shape, g->values[i].ndim);
    const char *from = rows_of(f->run->in[i], by_rows, f->row0, f->rows, &bytes);
    memcpy(f->stores[i].data, from, bytes);
  }
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
  for (int j = 0; j < f->p->g->noutputs; j++) if (r->carry && r->carry[j] >= 0) give(f, j, f->stores[r->carry[j]].data);
}

static void store (const frame *f) {
  const graph *g = f->p->g;
  for (int j = 0; j < g->noutputs; j++) {
    const graph_ref *o = &g->refs[g->outputs + j];
    size_t bytes;
    bool by_rows = has_rows(f, o->shape, o->ndim);
    if (!by_rows && f->row0 > 0) continue;             /* every block has it */
    give(f, j, rows_of(f->run->out[j], by_rows, f->row0, f->rows, &bytes));
  }
}

static bool run_steps (frame *f) {
  const program_run *r = f->run;
  load(f);
  for (int64_t t = 0; t < r->steps; t++) {
    if (!frame_execute(f, false, (uint64_t)t, t + 1 == r->steps)) return false;
    if (t + 1 < r->steps) carry(f);
  }
  store(f);
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

static void run_block (void *arg, int64_t b) {
  program_run *r = arg;
  int64_t from = block_start(r, b), to = block_start(r, b + 1);
  frame *f = take_frame(r->p, to - from);
  f->run = r;
  f->row0 = from;
  if (!run_steps(f)) {
    note_failure(r, b, &f->ctx);
    neap_clear_error(&f->ctx);
  }
  atomic_store(&f->busy, false);
}

bool program_go (program_run *r) {
  graph *g = r->p->g;
  set_streams(r);
  atomic_store(&r->failed, 0);
  neap_parallel(r->p->c, r->nblocks, run_block, r);
  if (atomic_load(&r->failed)) return false;
  for (int i = 0; i < g->nrngs; i++) {
    neap_rng_state s = neap_rng_get(g->rng[i]);
    s.step += (uint64_t)r->steps * g->draws[i];
    neap_rng_set(g->rng[i], s);
  }
  return true;
}
