/*
** execute.c -- runs a frame: groups tile by tile, everything else by the row's own kernel.
** Invariant: a value's elements depend on its inputs and its place alone, as in eager execution: the same tile kernels,
** the same draws.
*/
#include "program/frame.h"
#include <string.h>

enum { LINE = 64, FAR = 512 << 10 };       /* bytes of a cache's line; of a result that the near caches do not hold */

static int64_t padded (int64_t n) { return (n + NEAP_TILE_PAD - 1) & -(int64_t)NEAP_TILE_PAD; }
static int64_t least (int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- binding ---- */

static void bind_value (frame *f, int v) {
  graph_value *val = &f->p->g->values[v];
  const frame *made = f->p->prologue;
  if (val->kind == VALUE_LEAF) f->stores[v].data = val->store->data;
  else if (val->kind == VALUE_NUMBER) f->stores[v].data = &val->element;
  else if (val->fixed && made && made != f) f->stores[v].data = made->stores[v].data;
}

void frame_set_source (frame *f, frame_instr *in, int i) {
  graph *g = f->p->g;
  frame_source *s = &in->sources[i];
  const graph_ref *r = &f->p->sources[in->of->sources + i];
  const graph_value *v = &g->values[r->value];
  neap_tensor t = { .dtype = r->dtype, .ndim = r->ndim, .store = &f->stores[r->value] };
  for (int d = 0; d < r->ndim; d++) {
    t.shape[d] = size_at(r->shape[d], f->rows);
    t.strides[d] = size_at(r->strides[d], f->rows);
  }
  t.offset = size_at(r->offset, f->rows);
  neap_tile_source_set(&s->s, &t);
  bool owned = (v->kind == VALUE_NODE || v->kind == VALUE_INPUT) && !f->outside[r->value];
  bool same = s->s.kind == SOURCE_CONSTANT || (s->s.period && in->tile % s->s.period == 0) || in->n <= in->tile;
  s->whole = s->s.kind == SOURCE_DIRECT && (owned || in->n % NEAP_TILE_PAD == 0);
  s->fixed = f->phases == PHASE_ONCE ? v->kind != VALUE_NODE : v->fixed;           /* there before this frame runs */
  if (!same || s->whole) s->ready_at = NO_TILE;
  s->ready = s->ready_at == NO_TILE || !f->ready ? NULL
           : frame_align(f->ready) + s->ready_at;
}

void frame_bind (frame *f) {
  neap_program *p = f->p;
  for (int v = 0; v < p->g->nvalues; v++) bind_value(f, v);
  for (int i = 0; f->phases == PHASE_AFTER && i < p->nsums; i++)
    f->stores[p->sums[i].value].data = frame_align(p->lanes) + p->sums[i].at;
  for (int k = 0; k < p->ninstrs; k++)
    for (int i = 0; f->instrs[k].steps && i < p->instrs[k].nsources; i++) frame_set_source(f, &f->instrs[k], i);
}

void frame_move_all (frame *f) {
  for (int i = 0; i < f->nmoves; i++)
    *f->moves[i].address = (char *)f->stores[f->moves[i].value].data + f->moves[i].offset;
}

/* ---- tiles ---- */

static void gather (const frame_source *s, int64_t first, int64_t n, char *out) {
  neap_tile_gather(&s->s, first, n, out);
  for (int64_t i = n; i < padded(n); i++) memcpy(out + (size_t)i * s->s.size, out, s->s.size);
}

void frame_refresh (frame *f) {
  for (int k = 0; k < f->p->ninstrs; k++)
    for (int i = 0; f->instrs[k].steps && i < f->p->instrs[k].nsources; i++) {
      frame_source *s = &f->instrs[k].sources[i];
      if (s->ready && s->fixed && f->instrs[k].n) gather(s, 0, least(f->instrs[k].n, f->instrs[k].tile), s->ready);
    }
}

static const void *source_tile (const frame_source *s, int64_t first, int64_t n, char *scratch) {
  bool there = s->whole || (s->s.kind == SOURCE_DIRECT && n % NEAP_TILE_PAD == 0);
  if (there) return s->s.data + (size_t)first * s->s.size;
  if (s->ready) {
    if (!s->fixed && first == 0) gather(s, 0, n, s->ready);
    return s->ready;
  }
  gather(s, first, n, scratch);
  return scratch;
}

/* elements [first, first + n) of the block's part of a draw, whose operand begins there too */
static bool draw (frame *f, const frame_draw *s, uint64_t t, int64_t first, int64_t n, const void *in, void *out) {
  const program_run *r = f->run;
  const graph_node *node = s->node;
  neap_draw d = s->d;
  d.key = r->key[node->rng];
  d.step = r->step[node->rng] + t * f->p->g->draws[node->rng] + (uint64_t)node->draw;
  return neap_draw_fill(&d, first + f->row0 * s->width, n, in, out) || neap_draw_refuse(&f->ctx, &d, n, in);
}

typedef struct tile { int64_t first, n; const void **slot; char *scratch; } tile;      /* of a group's values */

/* where the tile of a step's result is made, whose slot it takes: in its place, unless that ends with the value */
static char *make_at (const frame_instr *in, const frame_step *s, const tile *t) {
  bool there = s->store && !(s->outside && t->n % NEAP_TILE_PAD != 0);
  char *out = there ? s->store + (size_t)t->first * s->size : t->scratch + (size_t)s->slot * in->tile_bytes;
  t->slot[s->slot] = out;
  return out;
}

static void put_back (const frame_step *s, const tile *t, const char *made) {
  char *store = s->store ? s->store + (size_t)t->first * s->size : NULL;
  if (store && store != made) memcpy(store, made, (size_t)t->n * s->size);
}

static bool run_step (frame *f, const frame_instr *of, const frame_step *s, uint64_t step, const tile *t) {
  bool ok = true;
  const void *in[STEP_INPUTS];
  for (int i = 0; i < s->n; i++) in[i] = t->slot[s->in[i]];
  char *out = make_at(of, s, t);
  if (s->kernel) s->kernel(padded(t->n), out, in, s->p, s->q);
  else {
    ok = draw(f, &s->draw, step, t->first, t->n, s->n ? in[0] : NULL, out);
    memset(out + (size_t)t->n * s->size, 0, (size_t)(padded(t->n) - t->n) * s->size);
  }
  put_back(s, t, out);
  return ok;
}

static void run_joint (const frame_instr *of, const frame_step *s, const tile *t) {
  const void *in[STEP_INPUTS];
  void *out[JOINT_RESULTS];
  for (int i = 0; i < s->n; i++) in[i] = t->slot[s->in[i]];
  for (int i = 0; i < s->nresults; i++) out[i] = make_at(of, s + s->results[i], t);
  s->joint(padded(t->n), out, in);
  for (int i = 0; i < s->nresults; i++) put_back(s + s->results[i], t, out[i]);
}

/* bytes of a step's result: of all blocks where it is the run's, of this one where it lies in the arena */
static int64_t result_bytes (const frame *f, const frame_instr *in, const frame_step *s) {
  return in->n * (int64_t)s->size * (s->outside ? f->run->nblocks : 1);
}

/* Asks for the lines of the tile's results, so that they come while the first steps compute.  What is read is asked for
** by the processor itself, which sees where a loop goes; a tile's last step comes too late for that. */
static void ask_for_stores (const frame *f, const frame_instr *in, int64_t first, int64_t n) {
  for (int i = 0; i < in->of->nsteps; i++) {
    const frame_step *s = &in->steps[i];
    if (!s->store || result_bytes(f, in, s) < FAR) continue;
    const char *line = s->store + (size_t)first * s->size, *end = line + (size_t)n * s->size;
    for (; line < end; line += LINE) __builtin_prefetch(line, 1);
  }
}

static bool run_group (frame *f, const frame_instr *in, uint64_t t) {
  const void *slot[GROUP_SLOTS];
  char *base = frame_align(f->scratch);
  for (int64_t first = 0; first < in->n; first += in->tile) {
    int64_t n = least(in->n - first, in->tile);
    ask_for_stores(f, in, first, n);
    for (int i = 0; i < in->of->nsources; i++)
      slot[i] = source_tile(&in->sources[i], first, n, base + (size_t)i * in->tile_bytes);
    const tile at = { first, n, slot, base };
    for (const frame_step *s = in->steps, *end = s + in->of->nsteps; s < end; s += s->joint ? s->joined : 1)
      if (s->joint) run_joint(in, s, &at);
      else if (!run_step(f, in, s, t, &at)) return false;
  }
  return true;
}

/* ---- instructions ---- */

static bool run_draw (frame *f, const frame_instr *in, uint64_t t) {
  neap_scope s = neap_scope_open(&f->ctx);
  neap_tensor *x = in->call.n ? neap_contiguous_data(&f->ctx, in->in[0]) : NULL;
  bool ok = x || !in->call.n;
  ok = ok && draw(f, &in->draw, t, 0, neap_numel(in->out), x ? neap_ptr(x) : NULL, neap_ptr(in->out));
  neap_scope_close(&f->ctx, s);
  return ok;
}

/* Calls that are planned take less time than to look at their shapes anew. */
static bool run_kernel (frame *f, const frame_instr *in) {
  if (in->sum.n) { reduce_rows_run(&in->sum, neap_ptr(in->in[0]), neap_ptr(in->out)); return true; }
  if (in->cat.rows) { cat_run(&in->cat, &in->call, in->out); return true; }
  neap_call k = in->call;                              /* kernels may use it up */
  neap_scope s = neap_scope_open(&f->ctx);
  bool ok = k.op->run(&k, in->out);
  neap_scope_close(&f->ctx, s);
  return ok;
}

void frame_add (const frame *f, neap_dtype d, int64_t n, char *to, const char *from) {
  const void *in[] = { to, from };
  const double numbers[3] = { 0 };
  f->ctx.tiles->op[NEAP_OP_add][d](padded(n), to, in, numbers, 0);
}

/* adds the block's part to the lane, where the first block's part lies as it is */
static bool run_sum (frame *f, frame_instr *in) {
  const row_sum *s = &f->p->sums[in->of->sum];
  char *lane = f->lane + s->at, *spill = frame_align(f->spill);
  in->out->store->data = f->first || in->product ? lane : spill;
  if (in->product) return matmul_run(&in->plan, in->adds || !f->first);
  if (!run_kernel(f, in)) return false;
  if (!f->first) frame_add(f, in->out->dtype, s->n, lane, spill);
  return true;
}

static bool run_call (frame *f, frame_instr *in, uint64_t t) {
  if (f->lane && in->of->sum >= 0) return run_sum(f, in);
  if (in->draw.node) return run_draw(f, in, t);
  return in->product ? matmul_run(&in->plan, in->adds) : run_kernel(f, in);
}

bool frame_execute (frame *f, uint64_t t, bool last) {
  for (int k = 0; k < f->p->ninstrs; k++) {
    frame_instr *in = &f->instrs[k];
    if (!(in->of->phases & f->phases) || (in->of->last && !last)) continue;
    if (in->of->group ? !run_group(f, in, t) : !run_call(f, in, t)) return false;
  }
  return true;
}
