/*
** program.c -- a loss with its gradients by the parameters as one program.
** Invariant: what is recorded is the very eval that runs op by op, so both give the same draws; a loss that cannot be
** recorded runs op by op.
*/
#include "loss/program.h"
#include "program/value.h"
#include "energy/energy.h"
#include <string.h>

enum { INPUTS = 4, TELLS = 8, TRIES = 2 };

typedef struct told { int n; char name[TELLS][NEAP_STATE_NAME]; } told;

/* what the recorded function works on */
typedef struct recording { neap_loss *l; loss_batch *b; told told; } recording;

/* ---- recording ---- */

/* the batch's tensors in order; how many */
static int list_inputs (loss_batch *b, neap_tensor ***at) {
  neap_tensor **all[] = { &b->x, &b->cond, &b->neg, &b->neg_cond };
  int n = 0;
  for (int i = 0; i < INPUTS; i++) if (*all[i]) at[n++] = all[i];
  return n;
}

/* what the loss told follows its value */
static bool collect (neap_context *c, recording *r, const neap_state *info, neap_tensor **out) {
  r->told.n = 0;
  for (int i = 0; i < neap_state_count(info) && i < TELLS; i++) {
    strcpy(r->told.name[i], neap_state_name(info, i));
    out[++r->told.n] = neap_lend(c, neap_keep(neap_state_get(info, r->told.name[i])));
  }
  return neap_ok(c);
}

static bool record (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out) {
  recording *r = arg;
  loss_batch b = *r->b;
  neap_tensor **at[INPUTS];
  for (int i = 0, n = list_inputs(&b, at); i < n; i++) *at[i] = in[i];
  b.info = neap_state_new(c, b.rng);
  out[0] = b.info ? loss_value(c, r->l, &b) : NULL;
  bool ok = out[0] && collect(c, r, b.info, out);
  neap_state_free(b.info);
  *nout = 1 + r->told.n;
  return ok;
}

/* ---- once more, op by op ---- */

typedef struct again { neap_loss *l; loss_batch b; uint32_t versions[INPUTS]; } again;

static neap_tensor *eval_again (neap_context *c, void *arg) {
  again *a = arg;
  neap_tensor **at[INPUTS];
  for (int i = 0, n = list_inputs(&a->b, at); i < n; i++)
    if ((*at[i])->store->version != a->versions[i])
      return neap_fail(c, NEAP_ESTATE, "derivative of %s: its batch, of shape %s, was written after it was used",
                       a->l->kind->name, SHAPE_TEXT(*at[i]));
  return loss_value(c, a->l, &a->b);
}

static void release_again (neap_context *c, void *arg) {
  again *a = arg;
  neap_tensor **at[INPUTS];
  for (int i = 0, n = list_inputs(&a->b, at); i < n; i++) neap_release(*at[i]);
  neap_rng_release(a->b.rng);
  neap_energy_release(a->b.E);
  neap_loss_release(a->l);
  neap_free(c, a, sizeof *a);
}

static bool keep_again (neap_context *c, neap_loss *l, const loss_batch *b, value_again *out) {
  again *a = neap_malloc(c, sizeof *a);
  if (!a) return false;
  *a = (again){ .l = neap_loss_keep(l), .b = *b };
  a->b.info = NULL;
  neap_energy_keep(b->E);
  neap_rng_keep(b->rng);
  neap_tensor **at[INPUTS];
  for (int i = 0, n = list_inputs(&a->b, at); i < n; i++) a->versions[i] = neap_keep(*at[i])->store->version;
  *out = (value_again){ eval_again, release_again, a };
  return true;
}

/* ---- whether, and for whom ---- */

static void insert_by_birth (neap_tensor **vars, int n, neap_tensor *t) {
  for (; n > 0 && vars[n - 1]->birth > t->birth; n--) vars[n] = vars[n - 1];
  vars[n] = t;
}

/* the tracked parameters of the energy and the loss, the oldest first; too many: the list ends */
static int variables (neap_context *c, const neap_loss *l, const neap_energy *E, neap_tensor **vars) {
  int n = 0, of_E = neap_energy_nparams(E), all = of_E + neap_loss_nparams(l);
  for (int i = 0; i < all && n < NEAP_PROGRAM_TENSORS / 2; i++) {
    neap_tensor *t = i < of_E ? neap_energy_param(E, i) : neap_loss_param(l, i - of_E);
    if (neap_tracked(c, t)) insert_by_birth(vars, n++, t);
  }
  return n;
}

static bool has_host_function (const neap_loss *l, const neap_energy *E) {
  return !energy_is_fixed(E) || l->f || l->sample || (l->noise && !energy_is_fixed(l->noise)) ||
         (l->sampler && sampler_calls_host(l->sampler));
}

static bool worth_trying (neap_context *c, const neap_loss *l, const loss_batch *b) {
  bool failed = l->failures >= TRIES && l->failed == b->E->serial;
  return !c->trace && !failed && b->x->shape[0] > 0 && !neap_tracked(c, b->x) && !neap_tracked(c, b->cond);
}

static void note_failure (neap_context *c, neap_loss *l, const neap_energy *E, const capture *w) {
  l->failures = l->failed == E->serial ? l->failures + 1 : 1;
  l->failed = E->serial;
  if (!w->blame || l->warned) return;
  l->warned = true;
  capture_warn(c, w, l->kind->name, "the loss");
}

/* ---- running ---- */

static bool tell_all (neap_context *c, loss_batch *b, const told *t, neap_tensor **out) {
  for (int i = 0; i < t->n; i++) if (!loss_tell(c, b, t->name[i], out[1 + i])) return false;
  return true;
}

static neap_tensor *run (neap_context *c, neap_loss *l, loss_batch *b, value_call *k, recording *r) {
  neap_tensor *out[NEAP_PROGRAM_TENSORS];
  int nout;
  if (!keep_again(c, l, b, &k->again)) return NULL;
  if (neap_program_value(c, k, &nout, out)) {
    l->failures = 0;
    return tell_all(c, b, &r->told, out) ? out[0] : NULL;
  }
  if (neap_ok(c)) note_failure(c, l, b->E, &k->w);
  return NULL;
}

neap_tensor *loss_program (neap_context *c, neap_loss *l, loss_batch *b) {
  neap_tensor *in[INPUTS], *vars[NEAP_PROGRAM_TENSORS / 2], **at[INPUTS];
  bool by_rows[INPUTS];
  int n = list_inputs(b, at), nvars = worth_trying(c, l, b) ? variables(c, l, b->E, vars) : 0;
  if (nvars == 0) return NULL;
  for (int i = 0; i < n; i++) {
    in[i] = *at[i];
    by_rows[i] = in[i]->ndim > 0 && in[i]->shape[0] == b->x->shape[0];
  }
  recording r = { .l = l, .b = b };
  value_call k = { .w = { .fn = record, .arg = &r, .n = n, .in = in, .by_rows = by_rows, .rows = b->x->shape[0],
                          .note = &r.told, .note_bytes = sizeof r.told, .rng = b->rng, .vars = vars, .nvars = nvars } };
  k.w.origin = (program_origin){ b->E->serial, l->serial, l->sampler ? l->sampler->serial : 0 };
  k.w.fixed = !has_host_function(l, b->E);
  return run(c, l, b, &k, &r);
}
