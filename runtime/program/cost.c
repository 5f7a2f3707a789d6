/*
** cost.c -- how much a program does: operations and bytes, as its instructions say.
** Invariant: what a kernel does inside counts as one operation an element; a value that is read in several places of an
** instruction counts once, where it is repeated without a copy with the elements it has.
*/
#include "program/program.h"

/* elements of r that lie in memory */
static double elements (const graph_ref *r, int64_t rows) {
  double n = 1;
  for (int i = 0; i < r->ndim; i++) if (r->strides[i].n != 0) n *= (double)size_at(r->shape[i], rows);
  return n;
}

static double bytes_of (const graph_ref *r, int64_t rows) {
  return elements(r, rows) * (double)neap_dtype_size(r->dtype);
}

static double size_of (const graph *g, int v, int64_t rows) {
  return (double)graph_numel(g->values[v].ndim, g->values[v].shape, rows);
}

static void count_loop (const neap_program *p, const instr *in, int64_t rows, program_cost *c) {
  const graph *g = p->g;
  for (int i = 0; i < in->nsources; i++) c->bytes += bytes_of(&p->sources[in->sources + i], rows);
  for (int i = 0; i < in->nsteps; i++) {
    const group_step *s = &p->steps[in->steps + i];
    int v = g->nodes[s->node].out;
    c->others += size_of(g, v, rows);
    if (s->store) c->bytes += size_of(g, v, rows) * (double)neap_dtype_size(g->values[v].dtype);
  }
}

/* multiply-adds of a convolution: each output with each element of its window */
static double window_products (const neap_program *p, const graph_node *n, int64_t rows) {
  const graph_ref *in = p->g->refs + n->first, out = graph_whole(p->g, n->out);
  const graph_ref *g = n->op == NEAP_OP_convolve ? &out : n->op == NEAP_OP_convolve_input ? &in[0] : &in[1];
  const graph_ref *w = n->op == NEAP_OP_convolve_weight ? &out : &in[1];
  return (double)graph_numel(4, g->shape, rows) * (double)graph_numel(3, w->shape, rows);
}

static void count_call (const neap_program *p, const graph_node *n, int64_t rows, program_cost *c) {
  const graph_ref *in = p->g->refs + n->first;
  double out = size_of(p->g, n->out, rows);
  for (int i = 0; i < n->n; i++) c->bytes += bytes_of(&in[i], rows);
  c->bytes += out * (double)neap_dtype_size(p->g->values[n->out].dtype);
  if (n->op == NEAP_OP_bmm) c->products += 2 * out * (double)size_at(in[0].shape[in[0].ndim - 1], rows);
  else if (graph_convolves(n) || n->op == NEAP_OP_convolve_weight) c->products += 2 * window_products(p, n, rows);
  else c->others += n->n ? elements(&in[0], rows) : out;
}

program_cost program_count (const neap_program *p, int64_t rows, unsigned phases) {
  program_cost c = { 0, 0, 0 };
  for (int k = 0; k < p->ninstrs; k++) {
    const instr *in = &p->instrs[k];
    if (!(in->phases & phases) || in->late) continue;
    if (in->group) count_loop(p, in, rows, &c);
    else count_call(p, &p->g->nodes[in->node], rows, &c);
  }
  return c;
}
