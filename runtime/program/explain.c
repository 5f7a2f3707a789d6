/*
** explain.c -- a program as text: what is hoisted, the groups, the calls, labels and sizes.
*/
#include "program/frame.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct text { neap_program *p; char *out; size_t n, room; } text;

__attribute__((format(printf, 2, 3))) static void put (text *t, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(t->n < t->room ? t->out + t->n : NULL, t->n < t->room ? t->room - t->n : 0, fmt, args);
  va_end(args);
  if (n > 0) t->n += (size_t)n;
}

static void put_size (text *t, row_size s) {
  if (!s.rows) put(t, "%lld", (long long)s.n);
  else if (s.n == 1) put(t, "B");
  else put(t, "%lldB", (long long)s.n);
}

static void put_shape (text *t, int ndim, const row_size *shape) {
  put(t, "[");
  for (int i = 0; i < ndim; i++) { if (i) put(t, ", "); put_size(t, shape[i]); }
  put(t, "]");
}

static void put_operand (text *t, const graph_ref *r) {
  const graph_value *v = &t->p->g->values[r->value];
  static const char *const kinds[] = { "input", "tensor", "number", "%" };
  put(t, " %s%d", kinds[v->kind], v->kind == VALUE_INPUT ? v->maker + 1 : r->value);
  bool part = v->kind == VALUE_LEAF || !graph_is_whole(t->p->g, r);
  if (v->kind != VALUE_NUMBER && part) put_shape(t, r->ndim, r->shape);
}

static const char *label (const graph_value *v) {
  if (v->fixed) return "once";
  switch (v->axis) {
    case AXIS_MIXED: return "rows mixed";
    case AXIS_SHARED: return "shared";
    case AXIS_SUM: return "sum of rows";
    case AXIS_AFTER: return "of sums";
    default: return "rows";
  }
}

static void put_node (text *t, int i, const char *indent) {
  graph *g = t->p->g;
  const graph_node *n = &g->nodes[i];
  const graph_value *v = &g->values[n->out];
  const char *name = n->op < 0 ? neap_draw_name(n->op) : neap_ops[n->op].name;
  put(t, "%s%%%d %s %s", indent, n->out, n->before ? "+=" : "=", name);
  for (int j = 0; j < n->n; j++) put_operand(t, graph_in(g, n, j));
  put(t, "  -> ");
  put_shape(t, v->ndim, v->shape);
  put(t, " %s, %s%s\n", neap_dtype_name(v->dtype), label(v), t->p->stored[n->out] ? "" : ", in cache");
}

static void put_instr (text *t, const instr *in) {
  if (!in->group) { put_node(t, in->node, "  "); return; }
  put(t, "  loop of %d over ", in->nsteps);
  const graph_value *v = &t->p->g->values[t->p->g->nodes[in->node].out];
  put_shape(t, v->ndim, v->shape);
  put(t, "\n");
  for (int i = 0; i < in->nsteps; i++) put_node(t, t->p->steps[in->steps + i].node, "    ");
}

static void put_part (text *t, const char *title, unsigned phase) {
  bool any = false;
  for (int k = 0; k < t->p->ninstrs; k++) {
    if (!(t->p->instrs[k].phases & phase)) continue;
    if (!any) put(t, "%s:\n", title);
    any = true;
    put_instr(t, &t->p->instrs[k]);
  }
}

size_t program_explain (neap_program *p, char *out, size_t room) {
  text t = { p, out, 0, room };
  put(&t, "%d inputs, %d outputs, %d instructions, %s\n", p->g->ninputs, p->g->noutputs, p->ninstrs,
      !p->g->by_rows ? "for one number of rows" : p->g->blocks ? "in blocks of rows" : "rows depend on each other");
  put_part(&t, "once a run", PHASE_ONCE);
  put_part(&t, "for each block and step", PHASE_BLOCK);
  put_part(&t, "once after all blocks", PHASE_AFTER);
  for (int i = 0; i < p->nframes && i < 2; i++)
    if (p->frames[i])
      put(&t, "blocks of %lld rows: %zu bytes of values, %zu of tiles\n", (long long)p->frames[i]->rows,
          p->frames[i]->arena_bytes, p->frames[i]->scratch_bytes + p->frames[i]->ready_bytes);
  return t.n;
}
