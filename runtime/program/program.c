/*
** program.c -- the life of a program.
*/
#include "program/frame.h"
#include <string.h>

/* what products read besides rows, each value once: it should stay in the cache */
static size_t weight_bytes (graph *g) {
  size_t bytes = 0;
  for (int i = 0; i < g->nvalues; i++) g->values[i].weight = false;
  for (int i = 0; i < g->nnodes; i++) {
    const graph_node *n = &g->nodes[i];
    for (int j = 0; (n->op == NEAP_OP_bmm || graph_convolves(n)) && j < 2; j++) {
      const graph_ref *r = graph_in(g, n, j);
      graph_value *v = &g->values[r->value];
      if (v->fixed && !v->weight) bytes += (size_t)graph_numel(r->ndim, r->shape, 1) * neap_dtype_size(r->dtype);
      v->weight = v->fixed;
    }
  }
  return bytes;
}

static size_t row_bytes (const neap_program *p) {
  size_t bytes = 0;
  for (int v = 0; v < p->values; v++) {
    const graph_value *val = &p->g->values[v];
    if (val->axis >= 0 && (p->stored[v] || val->kind == VALUE_INPUT))
      bytes += (size_t)graph_numel(val->ndim, val->shape, 1) * neap_dtype_size(val->dtype);
  }
  return bytes;
}

/* the instructions that make sums over rows, and where these lie in a lane */
static bool list_sums (neap_program *p) {
  for (int k = 0; p->g->blocks && k < p->ninstrs; k++) {
    const graph_node *n = &p->g->nodes[p->instrs[k].node];
    if (n->before) p->instrs[k].sum = p->instrs[p->instr_of[n->before - 1]].sum;
    else if (p->g->values[n->out].axis == AXIS_SUM) p->instrs[k].sum = p->nsums++;
  }
  p->sums = neap_calloc(p->c, (size_t)p->nsums * sizeof *p->sums);
  for (int k = 0; p->sums && k < p->ninstrs; k++) {
    if (p->instrs[k].sum < 0 || p->g->nodes[p->instrs[k].node].before) continue;
    int v = p->g->nodes[p->instrs[k].node].out;
    const graph_value *val = &p->g->values[v];
    int64_t n = graph_numel(val->ndim, val->shape, 0);
    p->sums[p->instrs[k].sum] = (row_sum){ v, n, p->lane_bytes };
    p->lane_bytes += frame_room((size_t)n * neap_dtype_size(val->dtype));
  }
  return p->sums != NULL;
}

neap_program *program_new (neap_context *c, graph *g, graph_key *key) {
  neap_program *p = neap_calloc(c, sizeof *p);
  if (!p) { graph_free(g); graph_key_free(c, key); return NULL; }
  p->refs = 1;
  p->c = c;
  c->refs++;
  pthread_mutex_init(&p->lock, NULL);
  p->g = g;
  p->key = *key;
  *key = (graph_key){ 0 };
  if (graph_simplify(g)) {
    graph_label(g);
    graph_join(g);
    p->weight_bytes = weight_bytes(g);
    for (int i = 0; i < g->nnodes; i++) p->convolves |= graph_convolves(&g->nodes[i]);
    if (program_fuse(p) && list_sums(p)) {
      p->row_bytes = row_bytes(p);
      return p;
    }
  }
  program_release(p);
  return NULL;
}

bool program_outputs (const program_run *r, neap_tensor **out) {
  const graph *g = r->p->g;
  for (int j = 0; j < g->noutputs; j++) {
    const graph_ref *o = &g->refs[g->outputs + j];
    int64_t shape[NEAP_MAX_DIMS];
    for (int d = 0; d < o->ndim; d++) shape[d] = size_at(o->shape[d], r->rows);
    if (!(out[j] = neap_tensor_new(r->p->c, o->dtype, o->ndim, shape))) return false;
  }
  return true;
}

void program_keep (neap_program *p) { p->refs++; }

static bool counts_rows (const graph *g) {
  for (int i = 0; i < g->ninputs; i++)
    for (int d = 0; d < g->values[i].ndim; d++) if (g->values[i].shape[d].rows) return true;
  return false;
}

bool program_knows (const neap_program *p, int64_t rows) {
  bool known = !p->g->by_rows || !counts_rows(p->g);
  for (int i = 0; i < p->ncounts && i < PROGRAM_COUNTS; i++) known |= p->counts[i] == rows;
  return known;
}

void program_learn (neap_program *p, int64_t rows) {
  if (program_knows(p, rows)) return;
  p->counts[p->ncounts % PROGRAM_COUNTS] = rows;
  p->ncounts = p->ncounts + 1 < 2 * PROGRAM_COUNTS ? p->ncounts + 1 : PROGRAM_COUNTS;
}

enum { KEEP_BYTES = 8 << 20 };             /* of frames that nobody uses */

static void drop_leaves (neap_program *p) {
  for (int i = 0; i < p->g->nvalues; i++) {
    neap_storage_release(p->c, p->g->values[i].store);
    p->g->values[i].store = NULL;
  }
  for (int i = 0; i < p->g->nrngs; i++) { neap_rng_release(p->g->rng[i]); p->g->rng[i] = NULL; }
  graph_set_vars(p->g, 0, NULL);
}

void program_unbind (neap_program *p) {
  size_t bytes = 0;
  if (!p->fixed) drop_leaves(p);
  for (int i = 0; i < p->nframes; i++) if (p->frames[i]) bytes += frame_bytes(p->frames[i]);
  bytes += p->lanes_bytes;
  if (bytes > KEEP_BYTES) program_drop_frames(p);
}

void program_let_go (neap_program *p) {
  p->origin = (program_origin){ 0 };
  p->fixed = false;
  drop_leaves(p);
  program_drop_frames(p);
}

void program_release (neap_program *p) {
  if (!p || --p->refs > 0) return;
  neap_context *c = p->c;
  program_drop_frames(p);
  frame_free(p->prologue);
  neap_free(c, p->sums, (size_t)p->nsums * sizeof *p->sums);
  neap_free(c, p->instrs, (size_t)p->instrs_size * sizeof *p->instrs);
  neap_free(c, p->steps, (size_t)p->steps_size * sizeof *p->steps);
  neap_free(c, p->sources, (size_t)p->sources_size * sizeof *p->sources);
  neap_free(c, p->instr_of, (size_t)p->nodes * sizeof *p->instr_of);
  neap_free(c, p->stored, (size_t)p->values * sizeof *p->stored);
  graph_free(p->g);
  graph_key_free(c, &p->key);
  neap_free(c, p->note, p->note_bytes);
  pthread_mutex_destroy(&p->lock);
  neap_free(c, p, sizeof *p);
  neap_context_release(c);
}
