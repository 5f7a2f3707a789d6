/*
** fuse.c -- nodes become instructions: elementwise nodes and draws of one shape join a group where they can.
** Invariant: an instruction reads only what earlier ones made; inside a group a step reads what stands at its own place
** in the values of earlier steps.  A group's slots are its sources', then those of results still to be read.
*/
#include "program/joint.h"
#include <string.h>

static bool reserve (neap_context *c, void **list, int *size, int n, size_t each) {
  if (n < *size) return true;
  int want = *size ? 2 * *size : 32;
  void *p = neap_realloc(c, *list, (size_t)*size * each, (size_t)want * each);
  if (!p) return false;
  *list = p;
  *size = want;
  return true;
}

/* A group while it is built: its steps by node, so that lists stay in order. */
typedef struct builder {
  neap_program *p;
  int *next, *group_first, *group_last;    /* nodes of a group as a chain */
  int *count, *sources;                    /* per instruction; sources: an upper bound */
} builder;

static bool fusible (const graph_node *n) {
  return n->op < 0 ? neap_draw_elementwise(n->op) : graph_elementwise(n);
}

static bool same_space (graph *g, int v, int w) {
  graph_ref a = graph_whole(g, v), b = graph_whole(g, w);
  return graph_same_shape(&a, &b);
}

/* was v made before node n is run, whatever the order of instructions? */
static bool is_there (const builder *b, const graph_value *v, const graph_node *n) {
  return v->fixed && !b->p->g->values[n->out].fixed;
}

/* may node n run at instruction k? */
static bool inputs_ready (builder *b, const graph_node *n, int k) {
  graph *g = b->p->g;
  for (int i = 0; i < n->n; i++) {
    const graph_ref *r = graph_in(g, n, i);
    const graph_value *v = &g->values[r->value];
    if (v->kind != VALUE_NODE || is_there(b, v, n)) continue;
    int at = b->p->instr_of[v->maker];
    if (at > k || (at == k && !graph_is_whole(g, r))) return false;
  }
  return true;
}

static bool can_join (builder *b, int i, int k) {
  neap_program *p = b->p;
  const graph_node *n = &p->g->nodes[i];
  const instr *in = &p->instrs[k];
  const graph_value *out = &p->g->values[n->out];
  if (!in->group || in->phases != out->phases || in->late != out->late || !inputs_ready(b, n, k)) return false;
  bool room = b->count[k] + b->sources[k] + 4 < GROUP_SLOTS && b->sources[k] + n->n <= GROUP_SOURCES;
  return room && same_space(p->g, n->out, p->g->nodes[b->group_first[k]].out);
}

/* the instruction that makes the last of n's operands; -1 when none does */
static int last_maker (builder *b, const graph_node *n) {
  int last = -1;
  for (int i = 0; i < n->n; i++) {
    const graph_value *v = &b->p->g->values[graph_in(b->p->g, n, i)->value];
    bool made = v->kind == VALUE_NODE && !is_there(b, v, n);
    if (made && b->p->instr_of[v->maker] > last) last = b->p->instr_of[v->maker];
  }
  return last;
}

/* The group that node i joins: where its operands are made, while they are in cache, else the latest; -1: none. */
static int find_group (builder *b, int i) {
  int made = last_maker(b, &b->p->g->nodes[i]);
  if (made >= 0 && can_join(b, i, made)) return made;
  for (int k = b->p->ninstrs - 1; k > made; k--) if (can_join(b, i, k)) return k;
  return -1;
}

static int external (builder *b, const graph_node *n, int k) {
  int count = 0;
  for (int i = 0; i < n->n; i++) {
    const graph_value *v = &b->p->g->values[graph_in(b->p->g, n, i)->value];
    count += v->kind != VALUE_NODE || b->p->instr_of[v->maker] != k;
  }
  return count;
}

static bool new_instr (builder *b, int i, bool group) {
  neap_program *p = b->p;
  void *list = p->instrs;
  if (!reserve(p->c, &list, &p->instrs_size, p->ninstrs, sizeof *p->instrs)) return false;
  p->instrs = list;
  int k = p->ninstrs++;
  const graph_value *out = &p->g->values[p->g->nodes[i].out];
  p->instrs[k] = (instr){ .group = group, .late = out->late, .phases = out->phases, .sum = -1, .node = i };
  b->group_first[k] = b->group_last[k] = i;
  b->count[k] = b->sources[k] = 0;
  return true;
}

static bool place_node (builder *b, int i) {
  neap_program *p = b->p;
  const graph_node *n = &p->g->nodes[i];
  bool group = fusible(n);
  int k = group ? find_group(b, i) : -1;
  b->next[i] = -1;
  if (k < 0) {
    if (!new_instr(b, i, group)) return false;
    k = p->ninstrs - 1;
  } else {
    b->next[b->group_last[k]] = i;
    b->group_last[k] = i;
  }
  p->instr_of[i] = k;
  b->count[k]++;
  b->sources[k] += external(b, n, k);
  return true;
}

/* ---- what needs memory ---- */

static void mark_use (neap_program *p, const graph_ref *r, int at) {
  const graph_value *v = &p->g->values[r->value];
  if (v->kind == VALUE_NODE && (at < 0 || p->instr_of[v->maker] != at)) p->stored[r->value] = true;
}

static void mark_stored (neap_program *p) {
  graph *g = p->g;
  for (int i = 0; i < g->nnodes; i++) {
    if (!p->instrs[p->instr_of[i]].group) p->stored[g->nodes[i].out] = true;
    for (int j = 0; j < g->nodes[i].n; j++) mark_use(p, graph_in(g, &g->nodes[i], j), p->instr_of[i]);
  }
  for (int i = 0; i < g->noutputs; i++) mark_use(p, &g->refs[g->outputs + i], -1);
}

/* ---- a group's sources and slots ---- */

static int source_slot (neap_program *p, instr *in, const graph_ref *r) {
  for (int i = 0; i < in->nsources; i++) if (graph_same_ref(&p->sources[in->sources + i], r)) return i;
  void *list = p->sources;
  if (!reserve(p->c, &list, &p->sources_size, p->nsources, sizeof *p->sources)) return -1;
  p->sources = list;
  p->sources[p->nsources++] = *r;
  return in->nsources++;
}

/* in[] of a step: a source's number, or −1 − the step that makes it */
static bool add_step (neap_program *p, instr *in, int k, int node) {
  const graph_node *n = &p->g->nodes[node];
  void *list = p->steps;
  if (!reserve(p->c, &list, &p->steps_size, p->nsteps, sizeof *p->steps)) return false;
  p->steps = list;
  group_step s = { .node = node, .n = n->n, .store = p->stored[n->out] };
  for (int i = 0; i < n->n; i++) {
    const graph_ref *r = graph_in(p->g, n, i);
    const graph_value *v = &p->g->values[r->value];
    if (v->kind != VALUE_NODE || p->instr_of[v->maker] != k) {
      if ((s.in[i] = source_slot(p, in, r)) < 0) return false;
      continue;
    }
    int made = in->steps;
    while (p->steps[made].node != v->maker) made++;
    s.in[i] = -1 - (made - in->steps);
  }
  p->steps[p->nsteps++] = s;
  in->nsteps++;
  return true;
}

static int last_reader (const group_step *s, int n, int step) {
  for (int i = n - 1; i > step; i--)
    for (int j = 0; j < s[i].n; j++) if (s[i].in[j] == -1 - step) return i;
  return step;
}

/* until which step each one's result is needed; those of one pass are all written in it */
static void list_lives (const group_step *s, int n, int *last) {
  for (int i = 0, end = 0; i < n; i++) {
    if (i >= end) end = i + joint_length(&s[i]);
    int reader = last_reader(s, n, i);
    last[i] = reader > end - 1 ? reader : end - 1;
  }
}

/* results get slots; one is free again after its last reader (which must not write over it: sizes may differ) */
static void assign_slots (neap_program *p, const instr *in) {
  group_step *s = p->steps + in->steps;
  int busy_until[GROUP_SLOTS], used = in->nsources;
  int last[GROUP_SLOTS];
  list_lives(s, in->nsteps, last);
  for (int i = 0; i < in->nsteps; i++) {
    int slot = in->nsources;
    while (slot < used && busy_until[slot] >= i) slot++;
    if (slot == used) used++;
    busy_until[slot] = last[i];
    s[i].slot = slot;
  }
  for (int i = in->nsteps - 1; i >= 0; i--)
    for (int j = 0; j < s[i].n; j++) if (s[i].in[j] < 0) s[i].in[j] = s[-1 - s[i].in[j]].slot;
  if (used > p->slots) p->slots = used;
}

static bool finish_group (builder *b, int k) {
  neap_program *p = b->p;
  instr *in = &p->instrs[k];
  in->steps = p->nsteps;
  in->sources = p->nsources;
  for (int i = b->group_first[k]; i >= 0; i = b->next[i]) if (!add_step(p, in, k, i)) return false;
  joint_find(p, in);
  assign_slots(p, in);
  return true;
}

static bool fuse (builder *b) {
  neap_program *p = b->p;
  for (int i = 0; i < p->g->nnodes; i++) if (!place_node(b, i)) return false;
  mark_stored(p);
  for (int k = 0; k < p->ninstrs; k++) if (p->instrs[k].group && !finish_group(b, k)) return false;
  return true;
}

bool program_fuse (neap_program *p) {
  int n = p->nodes = p->g->nnodes;
  p->values = p->g->nvalues;
  p->instr_of = neap_calloc(p->c, (size_t)n * sizeof(int));
  p->stored = neap_calloc(p->c, (size_t)p->values * sizeof(bool));
  size_t bytes = 5 * (size_t)n * sizeof(int);
  int *lists = p->instr_of && p->stored ? neap_malloc(p->c, bytes) : NULL;
  if (!lists) return false;
  builder b = { p, lists, lists + n, lists + 2 * n, lists + 3 * n, lists + 4 * n };
  bool ok = fuse(&b);
  neap_free(p->c, lists, bytes);
  return ok;
}
