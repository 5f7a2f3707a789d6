/*
** op_table.c -- the op table and every derivative rule, made from the rows of ops.def.
** Rules are the rows' own derivative columns, compiled as functions over op constructors.
*/
#include "op.h"
#include <math.h>
#include <string.h>

/* ---- 1. prototypes of what rows name: infer_, run_, vjp_, jvp_, build_ ---- */
#define INFERS(name) bool infer_##name (neap_call *k, neap_meta *out);
#define RUNS(name) bool run_##name (neap_call *k, neap_tensor *out);
#define LINEAR(name, ...) INFERS(name) RUNS(name)
#define VIEW(name, ...) INFERS(name)
#define BILINEAR(name, ...) INFERS(name) RUNS(name)
#define ZERO(name, ...) INFERS(name) RUNS(name)
#define GENERAL(name, ...) INFERS(name) RUNS(name) \
  neap_tensor *vjp_##name (neap_rule *r, int i, neap_tensor *g); \
  neap_tensor *jvp_##name (neap_rule *r, neap_tensor *const *dx);
#define COMPOSITE(name, ...) neap_tensor *build_##name (neap_context *c, neap_tensor **in, int n, const neap_attrs *a);
#include "ops.def"

/* ---- 2. rules ---- */

neap_tensor *neap_rule_in (neap_rule *r, int i) {
  neap_tensor *t = r->node->in[i];
  if (t->store->version == r->node->versions[i]) return t;
  return neap_fail(r->c, NEAP_ESTATE, "derivative of %s: its argument %d, of shape %s, was written after it was used",
                   neap_ops[r->node->op].name, i + 1, SHAPE_TEXT(t));
}

neap_tensor *neap_rule_out (neap_rule *r) {
  if (r->out->store->version == r->node->out_version) return r->out;
  return neap_fail(r->c, NEAP_ESTATE, "derivative of %s: its result, of shape %s, was written after it was computed",
                   neap_ops[r->node->op].name, SHAPE_TEXT(r->out));
}

#include "ops/rules.h"
#include "neap_rules.h"                                /* exp(x) -> neap_exp(c, x) and so on, for every row */
#define X neap_rule_in(r, 0)
#define Y neap_rule_in(r, 1)
#define Z neap_rule_in(r, 2)
#define O neap_rule_out(r)
#define A (r->node->a)
#define LIKE(i) (r->node->in[i])
#define num(v) neap_scalar(c, g->dtype, v)
#define RULE(name) static neap_tensor *d_##name (neap_rule *r, int i, neap_tensor *g)
#define USES neap_context *c = r->c; (void)c; (void)i

#define EW1(name, sig, inputs, value, dx, ...) RULE(name) { USES; return dx; }
#define EW2(name, sig, inputs, value, dx, dy, ...) RULE(name) { USES; return i == 0 ? dx : dy; }
#define EW3(name, sig, inputs, value, dx, dy, dz, ...) RULE(name) { USES; return i == 0 ? dx : i == 1 ? dy : dz; }
#define LINEAR(name, sig, inputs, transpose, ...) RULE(name) { USES; return transpose; }
#define VIEW LINEAR
#define BILINEAR(name, sig, inputs, t0, t1, ...) RULE(name) { USES; return i == 0 ? t0 : t1; }
#include "ops.def"
#include "neap_rules_end.h"

/* ---- 3. the table ---- */
#define ROW(nm, kd, sg, inp, dc, cs, ...) \
  [NEAP_OP_##nm] = { .name = #nm, .kind = kd, .sig = sg, .inputs = inp, .doc = dc, .cases = cs, .out = NEAP_NDTYPES, \
                     __VA_ARGS__ },
#define EW1(name, sig, inputs, value, dx, doc, cases) \
  ROW(name, KIND_ELEMENTWISE, sig, inputs, doc, cases, .vjp = d_##name)
#define EW2(name, sig, inputs, value, dx, dy, doc, cases) \
  ROW(name, KIND_ELEMENTWISE, sig, inputs, doc, cases, .vjp = d_##name)
#define EW3(name, sig, inputs, value, dx, dy, dz, doc, cases) \
  ROW(name, KIND_ELEMENTWISE, sig, inputs, doc, cases, .vjp = d_##name)
#define TEST1(name, sig, inputs, value, doc, cases) ROW(name, KIND_ZERO, sig, inputs, doc, cases, .out = NEAP_BOOL)
#define TEST2 TEST1
#define STEP1(name, sig, inputs, value, doc, cases) ROW(name, KIND_ZERO, sig, inputs, doc, cases, .infer = NULL)
#define STEP2 STEP1
#define LINEAR(name, sig, inputs, transpose, doc, cases) \
  ROW(name, KIND_LINEAR, sig, inputs, doc, cases, .infer = infer_##name, .run = run_##name, .vjp = d_##name)
#define VIEW(name, sig, inputs, transpose, doc, cases) \
  ROW(name, KIND_LINEAR, sig, inputs, doc, cases, .infer = infer_##name, .vjp = d_##name)
#define BILINEAR(name, sig, inputs, t0, t1, doc, cases) \
  ROW(name, KIND_BILINEAR, sig, inputs, doc, cases, .infer = infer_##name, .run = run_##name, .vjp = d_##name)
#define GENERAL(name, sig, inputs, doc, cases) \
  ROW(name, KIND_GENERAL, sig, inputs, doc, cases, .infer = infer_##name, .run = run_##name, .vjp = vjp_##name, \
      .jvp = jvp_##name)
#define ZERO(name, sig, inputs, doc, cases) \
  ROW(name, KIND_ZERO, sig, inputs, doc, cases, .infer = infer_##name, .run = run_##name)
#define COMPOSITE(name, sig, doc, cases) ROW(name, KIND_COMPOSITE, sig, "k", doc, cases, .build = build_##name)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"       /* TEST1's .out overrides ROW's */
const neap_op neap_ops[NEAP_OP_COUNT] = {
#include "ops.def"
};
#pragma GCC diagnostic pop

const neap_op *neap_op_find (const char *name) {
  for (int i = 0; i < NEAP_OP_COUNT; i++) if (strcmp(neap_ops[i].name, name) == 0) return &neap_ops[i];
  return NULL;
}
