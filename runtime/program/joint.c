/*
** joint.c -- steps of a group that one kernel makes in one pass (kernels/tile.h).
** Invariant: steps are joined where they follow each other and nobody else reads what stays in registers, so nothing
** but time tells them from one after the other.
*/
#include "program/joint.h"

enum { LONGEST = 4 };

/* in[k][j] of step k: e from outside, or −1 − i, what step i makes */
typedef struct pattern {
  int n, op[LONGEST], in[LONGEST][STEP_INPUTS];
  int nin, nout, out[JOINT_RESULTS];       /* out: steps */
} pattern;

static const pattern patterns[NEAP_JOINTS] = {
  [NEAP_JOINT_BIAS_SILU] = { 4, { NEAP_OP_add, NEAP_OP_sigmoid, NEAP_OP_mul, NEAP_OP_lerp },
                             { { 0, 1 }, { -1 }, { -1, -2 }, { -2, 2, -3 } }, 3, 2, { 2, 3 } },
  [NEAP_JOINT_SILU] = { 3, { NEAP_OP_sigmoid, NEAP_OP_mul, NEAP_OP_lerp },
                        { { 0 }, { 0, -1 }, { -1, 1, -2 } }, 2, 2, { 1, 2 } },
  [NEAP_JOINT_BIAS_BACK] = { 3, { NEAP_OP_add, NEAP_OP_silu_d1, NEAP_OP_mul },
                             { { 0, 1 }, { -1 }, { 2, -2 } }, 3, 2, { 0, 2 } },
  [NEAP_JOINT_BIAS_SLOPE] = { 2, { NEAP_OP_add, NEAP_OP_silu_d1 }, { { 0, 1 }, { -1 } }, 2, 2, { 0, 1 } },
  [NEAP_JOINT_GATE] = { 2, { NEAP_OP_silu, NEAP_OP_mul }, { { 0 }, { -1, 1 } }, 2, 1, { 1 } },
  [NEAP_JOINT_GATE_ADD] = { 2, { NEAP_OP_silu, NEAP_OP_fma }, { { 0 }, { -1, 1, 2 } }, 3, 1, { 1 } },
};

/* where the pattern first reads what comes from outside as e */
static const int *first_read (const pattern *w, const group_step *s, int e) {
  for (int k = 0;; k++)
    for (int j = 0; j < s[k].n; j++) if (w->in[k][j] == e) return &s[k].in[j];
}

static bool is_result (const pattern *w, int k) {
  bool found = false;
  for (int i = 0; i < w->nout; i++) found |= w->out[i] == k;
  return found;
}

/* does operand j of step k, the pattern beginning at step b, come from where it says? */
static bool is_wired (const pattern *w, const group_step *s, int b, int k, int j) {
  int from = w->in[k][j], has = s[k].in[j];
  if (from < 0) return has == from - b;
  return -1 - has < b && has == *first_read(w, s, from);
}

static bool is_step (const neap_program *p, const pattern *w, const group_step *s, int b, int k) {
  const graph_node *n = &p->g->nodes[s[k].node];
  bool ok = n->op == w->op[k] && (is_result(w, k) || !s[k].store) &&
            p->g->values[n->out].dtype == p->g->values[p->g->nodes[s[0].node].out].dtype;
  for (int j = 0; ok && j < s[k].n; j++) ok = is_wired(w, s, b, k, j);
  return ok;
}

/* does a step after the pattern read what step b + k makes? */
static bool is_read (const group_step *s, int n, int after, int made) {
  for (int i = after; i < n; i++)
    for (int j = 0; j < s[i].n; j++) if (s[i].in[j] == -1 - made) return true;
  return false;
}

static bool begins (const neap_program *p, const pattern *w, const group_step *all, int n, int b) {
  bool ok = b + w->n <= n && neap_is_float(p->g->values[p->g->nodes[all[b].node].out].dtype);
  for (int k = 0; ok && k < w->n; k++)
    ok = is_step(p, w, all + b, b, k) && (is_result(w, k) || !is_read(all, n, b + w->n, b + k));
  return ok;
}

int joint_length (const group_step *s) { return s->joint ? patterns[s->joint - 1].n : 1; }

void joint_find (neap_program *p, const instr *in) {
  group_step *s = p->steps + in->steps;
  for (int b = 0; b < in->nsteps; b += joint_length(&s[b]))
    for (int i = 0; i < NEAP_JOINTS && !s[b].joint; i++)
      if (begins(p, &patterns[i], s, in->nsteps, b)) s[b].joint = 1 + i;
}

void joint_set (const neap_program *p, frame_step *s, const group_step *of) {
  if (!of->joint) return;
  const pattern *w = &patterns[of->joint - 1];
  neap_dtype d = p->g->values[p->g->nodes[of->node].out].dtype;
  s->joint = p->c->tiles->joint[of->joint - 1][d == NEAP_FLOAT64];
  s->n = w->nin;
  for (int e = 0; e < w->nin; e++) s->in[e] = *first_read(w, of, e);
  s->joined = w->n;
  s->results = w->out;
  s->nresults = w->nout;
}
