/*
** plan.c -- frames: where each value lies, and instructions with addresses.
** Invariant: two values share memory only if the last instruction that reads one comes before the one that makes the
** other.  Every value's memory is a multiple of ARENA_PAD bytes, so tile kernels may work on whole vectors.
*/
#include "program/joint.h"
#include "ops/conv.h"
#include "dnnl.h"
#include <string.h>

typedef struct life { int value, from, to; size_t size, at; } life;

static size_t value_bytes (const frame *f, int v) {
  const graph_value *val = &f->p->g->values[v];
  return frame_room((size_t)graph_numel(val->ndim, val->shape, f->rows) * neap_dtype_size(val->dtype));
}

/* ---- lifetimes ---- */

typedef struct span { int first, last; } span;         /* instructions */

static void use (span *s, int v, int at) {
  if (s[v].first > at) s[v].first = at;
  if (s[v].last < at) s[v].last = at;
}

/* s[v]: the first and the last instruction that makes or reads value v */
static void find_uses (const neap_program *p, span *s) {
  graph *g = p->g;
  for (int v = 0; v < g->nvalues; v++) s[v] = (span){ p->ninstrs, -1 };
  for (int i = 0; i < g->nnodes; i++) {
    use(s, g->nodes[i].out, p->instr_of[i]);
    for (int j = 0; j < g->nodes[i].n; j++) use(s, graph_in(g, &g->nodes[i], j)->value, p->instr_of[i]);
  }
  for (int i = 0; i < g->noutputs; i++) use(s, g->refs[g->outputs + i].value, p->ninstrs);
}

/* does this frame hold value v? */
static bool holds (const frame *f, int v) {
  const graph_value *val = &f->p->g->values[v];
  if (val->kind == VALUE_INPUT) return f->phases & PHASE_BLOCK || (f->phases & PHASE_AFTER && val->axis == AXIS_SHARED);
  if (val->kind != VALUE_NODE || v >= f->p->values || !f->p->stored[v]) return false;
  return val->phases & f->phases && !(val->axis == AXIS_SUM && frame_adds(f));
}

/* ---- values in the run's own tensors ---- */

/* Does output j lie in memory as the value it shows, of which this frame writes all its rows? */
static bool is_in_place (const frame *f, int j) {
  const graph *g = f->p->g;
  const graph_ref *r = &g->refs[g->outputs + j];
  const graph_value *v = &g->values[r->value];
  if (v->kind != VALUE_NODE || f->outside[r->value] || !holds(f, r->value) || !graph_is_whole(g, r)) return false;
  return !g->blocks || (r->ndim > 0 && r->shape[0].rows) || v->axis == AXIS_SUM || v->axis == AXIS_AFTER;
}

static void find_outside (frame *f) {
  const graph *g = f->p->g;
  for (int i = 0; f->in_place && i < g->ninputs; i++) f->outside[i] = 1 + i;
  for (int j = 0; f->in_place && j < g->noutputs; j++)
    if (is_in_place(f, j)) f->outside[g->refs[g->outputs + j].value] = 1 + j;
}

static void add_move (frame *f, char **address, int value, size_t offset) {
  if (f->outside[value]) f->moves[f->nmoves++] = (frame_move){ address, value, offset };
}

static void list_moves (frame *f) {
  const neap_program *p = f->p;
  for (int k = 0; k < p->ninstrs; k++) {
    const frame_instr *in = &f->instrs[k];
    for (int i = 0; in->steps && i < in->of->nsources; i++) {
      const graph_ref *r = &p->sources[in->of->sources + i];
      size_t offset = (size_t)size_at(r->offset, f->rows) * neap_dtype_size(r->dtype);
      add_move(f, (char **)(uintptr_t)&in->sources[i].s.data, r->value, offset);
    }
    for (int i = 0; in->steps && i < in->of->nsteps; i++) {
      int v = p->g->nodes[p->steps[in->of->steps + i].node].out;
      in->steps[i].outside = f->outside[v];
      add_move(f, &in->steps[i].store, v, 0);
    }
  }
}

/* ---- the arena ---- */

static life lifetime (const frame *f, int v, const span *s) {
  const graph_value *val = &f->p->g->values[v];
  bool always = val->kind == VALUE_INPUT || val->fixed;
  return (life){ v, always ? -1 : s[v].first, always ? f->p->ninstrs : s[v].last, value_bytes(f, v), 0 };
}

/* Gives l the lowest place where it meets none of the n placed before it, and joins it to them; they are in order of
** their places. */
static void place (life l, life *placed, int n) {
  for (int i = 0; i < n; i++) {
    const life *o = &placed[i];
    if (o->to < l.from || l.to < o->from || o->at + o->size <= l.at) continue;
    if (l.at + l.size <= o->at) break;
    l.at = o->at + o->size;
  }
  int k = n;
  for (; k > 0 && placed[k - 1].at > l.at; k--) placed[k] = placed[k - 1];
  placed[k] = l;
}

static bool layout (frame *f) {
  neap_context *c = f->p->c;
  graph *g = f->p->g;
  size_t bytes = (size_t)g->nvalues * (sizeof(life) + sizeof(span));
  life *l = neap_malloc(c, bytes);
  if (!l) return false;
  span *s = (span *)(l + g->nvalues);
  int n = 0;
  find_uses(f->p, s);
  for (int v = 0; v < g->nvalues; v++) if (holds(f, v) && !f->outside[v]) place(lifetime(f, v, s), l, n++);
  for (int i = 0; i < n; i++) if (l[i].at + l[i].size > f->arena_bytes) f->arena_bytes = l[i].at + l[i].size;
  f->arena = neap_storage_new(c, f->arena_bytes);
  if (f->arena) memset(f->arena->data, 0, f->arena_bytes);
  for (int i = 0; f->arena && i < n; i++) f->stores[l[i].value].data = (char *)f->arena->data + l[i].at;
  neap_free(c, l, bytes);
  return f->arena != NULL;
}

/* ---- a context for the kernels ---- */

enum { HEADER = 64 };

static void *more_memory (frame *f, size_t n) {
  neap_program *p = f->p;
  pthread_mutex_lock(&p->lock);
  bool ok = neap_ok(p->c);
  frame_chunk *k = neap_malloc(p->c, HEADER + n);
  if (!k && ok) neap_clear_error(p->c);                /* the kernel's own context tells */
  pthread_mutex_unlock(&p->lock);
  if (k) k->size = n;
  return k;
}

static void *take_chunk (frame *f, size_t n) {
  for (frame_chunk **k = &f->free; *k; k = &(*k)->next)
    if ((*k)->size >= n && (*k)->size <= 2 * n + 64) {
      frame_chunk *found = *k;
      *k = found->next;
      return found;
    }
  return more_memory(f, n);
}

/* as lua_Alloc; what is freed is kept for the next time */
static void *frame_alloc (void *arg, void *ptr, size_t osize, size_t nsize) {
  frame *f = arg;
  frame_chunk *old = ptr ? (frame_chunk *)((char *)ptr - HEADER) : NULL, *k = nsize ? take_chunk(f, nsize) : NULL;
  if (nsize && !k) return NULL;
  if (old && k) memcpy((char *)k + HEADER, ptr, osize < nsize ? osize : nsize);
  if (old) { old->next = f->free; f->free = old; }
  return k ? (char *)k + HEADER : NULL;
}

static void open_context (frame *f) {
  neap_context *c = &f->ctx;
  const neap_context *from = f->p->c;
  c->refs = 1 << 30;
  neap_reuse(c, true);
  c->alloc = frame_alloc;
  c->alloc_arg = f;
  c->threads = 1;
  c->default_dtype = from->default_dtype;
  c->clock = 1;
  c->floor = UINT64_MAX;                               /* no tape */
  c->tiles = from->tiles;
  c->blas = from->blas;
  atomic_flag_clear(&c->free_lock);
}

/* ---- instructions ---- */

static void *new_list (neap_context *c, int n, size_t each) { return neap_calloc(c, (size_t)(n ? n : 1) * each); }

static void set_tensor (frame *f, neap_tensor *t, const graph_ref *r) {
  *t = (neap_tensor){ .refs = 1 << 30, .dtype = r->dtype, .ndim = r->ndim, .ctx = &f->ctx };
  for (int i = 0; i < r->ndim; i++) {
    t->shape[i] = size_at(r->shape[i], f->rows);
    t->strides[i] = size_at(r->strides[i], f->rows);
  }
  t->offset = size_at(r->offset, f->rows);
  t->store = &f->stores[r->value];
}

static neap_attrs attrs_at (const graph_node *n, int64_t rows) {
  neap_attrs a = n->a;
  for (int i = 0; i < 4; i++) if (n->attr_rows >> i & 1) a.i[i] *= rows;
  for (int i = 0; i < NEAP_ATTR_INTS; i++) if (n->attr_rows >> (4 + i) & 1) a.dims[i] *= rows;
  return a;
}

static void set_draw (const frame *f, frame_draw *s, const graph_node *n) {
  graph *g = f->p->g;
  const graph_value *out = &g->values[n->out];
  neap_attrs a = attrs_at(n, f->rows);
  s->node = n;
  s->d = (neap_draw){ .law = n->op, .dtype = n->n ? graph_in(g, n, 0)->dtype : out->dtype, .tiles = f->ctx.tiles,
                      .lo = a.i[0], .width = a.i[1] };
  s->width = out->axis == 0 && f->rows ? graph_numel(out->ndim, out->shape, f->rows) / f->rows : 0;
}

/* The frame's kernels share the library of the program's context, and are told which filters stay the same. */
static bool plan_convolution (frame *f, neap_call *k, const graph_node *n) {
  bool backwards = n->op == NEAP_OP_convolve_weight;
  if (!graph_convolves(n) && !backwards) return true;
  const graph_value *v = &f->p->g->values[graph_in(f->p->g, n, 1)->value];
  k->steady = !backwards && (v->kind == VALUE_LEAF || v->fixed);
  if (f->ctx.dnnl || !(f->ctx.dnnl = conv_library(f->p->c, k))) return neap_ok(f->p->c);
  f->ctx.dnnl->refs++;
  return true;
}

static bool set_call (frame *f, frame_instr *in, neap_tensor **pointers) {
  graph *g = f->p->g;
  const graph_node *n = &g->nodes[in->of->node];
  in->in = pointers;
  for (int i = 0; i < n->n; i++) set_tensor(f, in->in[i], graph_in(g, n, i));
  in->out = pointers[n->n];
  graph_ref out = graph_whole(g, n->out);
  set_tensor(f, in->out, &out);
  in->call = (neap_call){ .c = &f->ctx, .n = n->n, .in = in->in };
  if (n->op < 0) { set_draw(f, &in->draw, n); return true; }
  in->call.op = &neap_ops[n->op];
  if (n->has_attrs) in->call.a = attrs_at(n, f->rows);
  neap_meta m;
  bool ok = in->call.op->infer(&in->call, &m) && plan_convolution(f, &in->call, n);
  for (int i = 0; ok && i < m.ndim; i++) ok = m.ndim == in->out->ndim && m.shape[i] == in->out->shape[i];
  bool adds = in->of->sum >= 0 && frame_adds(f);
  in->adds = n->before;
  bool whole = f->phases & PHASE_BLOCK && !f->p->alone;
  if (ok && n->op == NEAP_OP_sum) reduce_rows_plan(&in->call, &in->sum);
  if (ok && n->op == NEAP_OP_cat) cat_plan(&in->call, in->out, &in->cat);
  in->product = ok && n->op == NEAP_OP_bmm && matmul_plan(&in->call, in->out, whole, &in->plan);
  if (adds && !in->product && f->spill_bytes < value_bytes(f, n->out)) f->spill_bytes = value_bytes(f, n->out);
  return ok || neap_fail(f->p->c, NEAP_ESTATE, "program: %s does not hold for %lld rows", in->call.op->name,
                         (long long)f->rows);
}

static bool set_step (frame *f, frame_step *s, const group_step *of) {
  graph *g = f->p->g;
  const graph_node *n = &g->nodes[of->node];
  const graph_value *out = &g->values[n->out];
  *s = (frame_step){ .n = of->n, .slot = of->slot, .p = n->a.f, .q = n->a.i[0] };
  memcpy(s->in, of->in, sizeof s->in);
  s->size = neap_dtype_size(out->dtype);
  s->store = of->store ? f->stores[n->out].data : NULL;
  if (n->op < 0) { set_draw(f, &s->draw, n); return true; }
  neap_dtype d = graph_in(g, n, n->n - 1)->dtype;
  s->kernel = f->p->c->tiles->op[n->op][d];
  return s->kernel ||
         neap_fail(f->p->c, NEAP_EDTYPE, "%s: not defined for %s", neap_ops[n->op].name, neap_dtype_name(d));
}

static size_t tile_bytes (int64_t tile, int64_t n, size_t size) {
  size_t m = (size_t)(n < tile ? n : tile) + NEAP_TILE_PAD;
  return (m * size + 63) / 64 * 64;
}

/* half of a first-level cache; where calls begin to count */
enum { TILES_BYTES = 16 << 10, LEAST_TILE = 256 };

/* Sources and results of a tile fit into the cache; beside those of the next one, where they come from outside. */
static void set_tile (frame *f, frame_instr *in) {
  const graph *g = f->p->g;
  const instr *of = in->of;
  size_t size = 1, slots = (size_t)(of->nsources + of->nsteps);
  bool streams = false;
  for (int i = 0; i < of->nsources + of->nsteps; i++) {
    bool source = i < of->nsources;
    int v = source ? f->p->sources[of->sources + i].value : g->nodes[f->p->steps[of->steps + i - of->nsources].node].out;
    if (size < neap_dtype_size(g->values[v].dtype)) size = neap_dtype_size(g->values[v].dtype);
    streams |= f->outside[v] != 0;
  }
  size_t room = streams ? TILES_BYTES / 2 : TILES_BYTES;
  for (in->tile = NEAP_TILE; in->tile > LEAST_TILE && (size_t)in->tile * size * slots > room;) in->tile /= 2;
  in->tile_bytes = tile_bytes(in->tile, in->n, size);
}

static bool set_group (frame *f, frame_instr *in) {
  const instr *of = in->of;
  graph *g = f->p->g;
  const graph_value *v = &g->values[g->nodes[of->node].out];
  in->n = graph_numel(v->ndim, v->shape, f->rows);
  in->steps = f->steps + of->steps;
  in->sources = f->sources + of->sources;
  set_tile(f, in);
  for (int i = 0; i < of->nsteps; i++) {
    const group_step *s = &f->p->steps[of->steps + i];
    if (!set_step(f, &in->steps[i], s)) return false;
    joint_set(f->p, &in->steps[i], s);
  }
  return true;
}

static bool set_instrs (frame *f) {
  neap_program *p = f->p;
  neap_tensor **next = f->pointers;
  for (int k = 0; k < p->ninstrs; k++) {
    frame_instr *in = &f->instrs[k];
    in->of = &p->instrs[k];
    if (!(in->of->phases & f->phases)) continue;
    if (in->of->group ? !set_group(f, in) : !set_call(f, in, next)) return false;
    if (!in->of->group) next += p->g->nodes[in->of->node].n + 1;
  }
  for (int i = 0; i < p->g->noutputs; i++) set_tensor(f, &f->outputs[i], &p->g->refs[p->g->outputs + i]);
  return true;
}

static int count_tensors (const neap_program *p) {
  int n = 0;
  for (int k = 0; k < p->ninstrs; k++) if (!p->instrs[k].group) n += p->g->nodes[p->instrs[k].node].n + 1;
  return n;
}

static bool make_lists (frame *f) {
  neap_program *p = f->p;
  neap_context *c = p->c;
  f->ntensors = count_tensors(p);
  return (f->outside = new_list(c, p->g->nvalues, sizeof *f->outside)) &&
         (f->moves = new_list(c, p->nsources + p->nsteps, sizeof *f->moves)) &&
         (f->stores = new_list(c, p->g->nvalues, sizeof *f->stores)) &&
         (f->instrs = new_list(c, p->ninstrs, sizeof *f->instrs)) &&
         (f->steps = new_list(c, p->nsteps, sizeof *f->steps)) &&
         (f->sources = new_list(c, p->nsources, sizeof *f->sources)) &&
         (f->tensors = new_list(c, f->ntensors, sizeof *f->tensors)) &&
         (f->pointers = new_list(c, f->ntensors, sizeof *f->pointers)) &&
         (f->outputs = new_list(c, p->g->noutputs, sizeof *f->outputs));
}

/* slots of groups, and the tiles of sources that one tile serves */
static bool make_tiles (frame *f) {
  neap_program *p = f->p;
  size_t slot = 0;
  f->ready_bytes = f->scratch_bytes = 64;
  for (int k = 0; k < p->ninstrs; k++) {
    frame_instr *in = &f->instrs[k];
    if (!in->steps) continue;
    if (slot < in->tile_bytes) slot = in->tile_bytes;
    for (int i = 0; i < in->of->nsources; i++) {
      frame_source *s = &in->sources[i];
      frame_set_source(f, in, i);
      if (s->ready_at == NO_TILE) continue;
      s->ready_at = f->ready_bytes - 64;
      f->ready_bytes += tile_bytes(in->tile, in->n, s->s.size);
    }
  }
  f->scratch_bytes += (size_t)p->slots * slot;
  f->scratch = neap_calloc(p->c, f->scratch_bytes);
  f->ready = f->scratch ? neap_calloc(p->c, f->ready_bytes) : NULL;
  f->spill = f->ready ? neap_calloc(p->c, f->spill_bytes += 64) : NULL;
  return f->spill != NULL;
}

static bool build (frame *f) {
  if (!make_lists(f)) return false;
  for (int i = 0; i < f->ntensors; i++) f->pointers[i] = &f->tensors[i];
  for (int v = 0; v < f->p->g->nvalues; v++) {
    atomic_init(&f->stores[v].refs, 1 << 30);
    f->stores[v].ctx = &f->ctx;
  }
  find_outside(f);
  if (!layout(f) || !set_instrs(f) || !make_tiles(f)) return false;
  list_moves(f);
  return true;
}

size_t frame_bytes (const frame *f) {
  size_t free = 0;
  for (const frame_chunk *k = f->free; k; k = k->next) free += k->size;
  return f->arena_bytes + f->scratch_bytes + f->ready_bytes + f->spill_bytes + free;
}

frame *frame_new (neap_program *p, int64_t rows, unsigned phases, bool in_place) {
  frame *f = neap_calloc(p->c, sizeof *f);
  if (!f) return NULL;
  f->p = p;
  f->rows = rows;
  f->phases = phases;
  f->in_place = in_place;
  open_context(f);
  if (build(f)) return f;
  frame_free(f);
  return NULL;
}

static void drop_list (neap_context *c, void *list, int n, size_t each) {
  neap_free(c, list, (size_t)(n ? n : 1) * each);
}

void frame_free (frame *f) {
  if (!f) return;
  neap_program *p = f->p;
  neap_context *c = p->c;
  neap_scope_close(&f->ctx, 0);
  conv_dnn_close(&f->ctx);
  neap_free(&f->ctx, f->ctx.lent, f->ctx.lent_size * sizeof *f->ctx.lent);
  neap_storage_trim(&f->ctx);
  while (f->free) {
    frame_chunk *k = f->free;
    f->free = k->next;
    neap_free(c, k, HEADER + k->size);
  }
  drop_list(c, f->outside, p->g->nvalues, sizeof *f->outside);
  drop_list(c, f->moves, p->nsources + p->nsteps, sizeof *f->moves);
  drop_list(c, f->stores, p->g->nvalues, sizeof *f->stores);
  drop_list(c, f->instrs, p->ninstrs, sizeof *f->instrs);
  drop_list(c, f->steps, p->nsteps, sizeof *f->steps);
  drop_list(c, f->sources, p->nsources, sizeof *f->sources);
  drop_list(c, f->tensors, f->ntensors, sizeof *f->tensors);
  drop_list(c, f->pointers, f->ntensors, sizeof *f->pointers);
  drop_list(c, f->outputs, p->g->noutputs, sizeof *f->outputs);
  neap_free(c, f->scratch, f->scratch_bytes);
  neap_free(c, f->ready, f->ready_bytes);
  neap_free(c, f->spill, f->spill_bytes);
  neap_storage_release(c, f->arena);
  neap_free(c, f, sizeof *f);
}
