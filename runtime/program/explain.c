/*
** explain.c -- a program as text: what is hoisted, the groups, the calls, labels, sizes and costs.
** Invariant: it changes nothing of the program; sizes are those of a run of one step of the rows it was made for.
*/
#include "program/joint.h"
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

/* what was bound last */
static void put_number (text *t, const graph_value *v) {
  static const char *const forms[] = { " %g", " %g·rows", " %g/rows", " 1/(%g·rows)" };
  put(t, forms[v->rate], v->number);
}

static void put_operand (text *t, const graph_ref *r) {
  const graph_value *v = &t->p->g->values[r->value];
  if (v->kind == VALUE_NUMBER) { put_number(t, v); return; }
  static const char *const kinds[] = { "input", "tensor", "", "%" };
  put(t, " %s%d", kinds[v->kind], v->kind == VALUE_INPUT ? v->maker + 1 : r->value);
  bool part = v->kind == VALUE_LEAF || !graph_is_whole(t->p->g, r);
  if (part) put_shape(t, r->ndim, r->shape);
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
  put(t, " %s, %s%s", neap_dtype_name(v->dtype), label(v), t->p->stored[n->out] ? "" : ", in cache");
}

static void put_loop (text *t, const instr *in) {
  for (int i = 0; i < in->nsteps; i++) {
    const group_step *s = &t->p->steps[in->steps + i];
    put_node(t, s->node, "    ");
    if (s->joint) put(t, ", in one pass with the next %d", joint_length(s) - 1);
    put(t, "\n");
  }
}

static void put_instr (text *t, const instr *in) {
  if (!in->group) { put_node(t, in->node, "  "); put(t, "\n"); return; }
  put(t, "  loop of %d over ", in->nsteps);
  const graph_value *v = &t->p->g->values[t->p->g->nodes[in->node].out];
  put_shape(t, v->ndim, v->shape);
  put(t, "\n");
  put_loop(t, in);
}

static void put_part (text *t, const char *title, unsigned phase, bool late) {
  bool any = false;
  for (int k = 0; k < t->p->ninstrs; k++) {
    if (!(t->p->instrs[k].phases & phase) || t->p->instrs[k].late != late) continue;
    if (!any) put(t, "%s:\n", title);
    any = true;
    put_instr(t, &t->p->instrs[k]);
  }
}

/* ---- costs ---- */

/* 1234 -> "1.23 k" */
static void put_amount (text *t, double v, const char *unit) {
  static const char *const prefix[] = { "", "k", "M", "G", "T" };
  int i = 0;
  for (; v >= 1000 && i < 4; i++) v /= 1000;
  put(t, v == (double)(int)v ? "%.0f %s%s" : "%.3g %s%s", v, prefix[i], unit);
}

static void put_cost (text *t, program_cost c) {
  put_amount(t, c.products, "flop in products, ");
  put_amount(t, c.others, "flop besides, ");
  put_amount(t, c.bytes, "B read and written\n");
}

static program_cost added (program_cost a, program_cost b, double times) {
  return (program_cost){ a.products + times * b.products, a.others + times * b.others, a.bytes + times * b.bytes };
}

/* the blocks of a run, each of this many rows or one more */
static void put_run (text *t, int64_t rows) {
  neap_program *p = t->p;
  program_run r = { .p = p, .rows = rows };
  program_split(&r);
  int64_t small = rows / r.nblocks;
  program_cost all = program_count(p, rows, PHASE_ONCE | PHASE_AFTER);
  all = added(all, program_count(p, small, PHASE_BLOCK), (double)(r.nblocks - rows % r.nblocks));
  all = added(all, program_count(p, small + 1, PHASE_BLOCK), (double)(rows % r.nblocks));
  if (p->ncounts) put(t, "a run of %lld rows: ", (long long)rows);
  else put(t, "a run: ");
  put(t, "%lld block%s", (long long)r.nblocks, r.nblocks > 1 ? "s" : "");
  if (r.nlanes) put(t, " in %lld lanes of %zu bytes", (long long)r.nlanes, p->lane_bytes);
  put(t, ", ");
  put_cost(t, all);
  frame *f = frame_new(p, small, r.nlanes ? PHASE_BLOCK : PHASE_BLOCK | PHASE_AFTER, true);
  if (f && p->ncounts) put(t, "a block of %lld rows: ", (long long)small);
  if (f) put(t, "%zu bytes of values, %zu of tiles\n", f->arena_bytes, f->scratch_bytes + f->ready_bytes);
  frame_free(f);
}

static void put_costs (text *t) {
  neap_program *p = t->p;
  if (p->g->blocks && (p->ncounts || !program_knows(p, 1))) {
    put(t, "a row: ");
    put_cost(t, added(program_count(p, 1, PHASE_BLOCK), program_count(p, 0, PHASE_BLOCK), -1));
  }
  if (p->ncounts || program_knows(p, 1)) put_run(t, p->ncounts ? p->counts[0] : 1);
}

size_t program_explain (neap_program *p, char *out, size_t room) {
  text t = { p, out, 0, room };
  int loops = 0;
  for (int k = 0; k < p->ninstrs; k++) loops += p->instrs[k].group;
  put(&t, "%d inputs, %d outputs, %d instructions (%d loops, %d calls), %s\n", p->g->ninputs, p->g->noutputs,
      p->ninstrs, loops, p->ninstrs - loops,
      !p->g->by_rows ? "for one number of rows" : p->g->blocks ? "in blocks of rows" : "rows depend on each other");
  put_part(&t, "once a run", PHASE_ONCE, false);
  put_part(&t, "for each block and step", PHASE_BLOCK, false);
  put_part(&t, "for each block in its last step", PHASE_BLOCK, true);
  put_part(&t, "once after all blocks", PHASE_AFTER, false);
  put(&t, "outputs:");
  for (int i = 0; i < p->g->noutputs; i++) put_operand(&t, &p->g->refs[p->g->outputs + i]);
  put(&t, "\n");
  put_costs(&t);
  return t.n;
}
