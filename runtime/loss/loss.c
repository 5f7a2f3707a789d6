/*
** loss.c -- the loss object: life, memory, evaluation.
** Invariant: what a loss remembers are untaped tensors in its memory; a parameter keeps its identity for ever, so
** an optimiser may hold it.
*/
#include "loss/program.h"
#include "program/program.h"
#include "energy/energy.h"
#include <string.h>

neap_loss *loss_new (neap_context *c, const neap_loss_kind *kind) {
  neap_loss *l = neap_object_new(c, sizeof *l);
  if (!l) return NULL;
  l->kind = kind;
  l->ctx = c;
  l->refs = 1;
  l->serial = ++c->serial;
  if ((l->memory = neap_state_new(c, NULL))) return l;
  neap_loss_release(l);
  return NULL;
}

neap_loss *neap_loss_keep (neap_loss *l) {
  if (l) l->refs++;
  return l;
}

void neap_loss_release (neap_loss *l) {
  if (!l || --l->refs > 0) return;
  neap_program_forget(l->ctx, l->serial);
  neap_sampler_release(l->sampler);
  neap_energy_release(l->noise);
  neap_energy_release(l->law);
  neap_release(l->sigmas);
  neap_release(l->log_z);
  neap_state_free(l->memory);
  if (l->release) l->release(l->arg);
  neap_object_free(l->ctx, l, sizeof *l);
}

const char *neap_loss_name (const neap_loss *l) { return l->kind->name; }

int neap_loss_nparams (const neap_loss *l) {
  return (l->log_z ? 1 : 0) + (l->trains_noise ? neap_energy_nparams(l->noise) : 0);
}

neap_tensor *neap_loss_param (const neap_loss *l, int i) {
  return i == 0 ? l->log_z : i < neap_loss_nparams(l) ? neap_energy_param(l->noise, i - 1) : NULL;
}

const char *neap_loss_param_name (const neap_loss *l, int i) {
  if (i == 0) return l->log_z ? "log_z" : NULL;
  return i < neap_loss_nparams(l) ? neap_energy_param_name(l->noise, i - 1) : NULL;
}

/* ---- evaluation ---- */

bool loss_tell (neap_context *c, loss_batch *b, const char *name, neap_tensor *t) {
  return !b->info || (t && neap_state_set(c, b->info, name, neap_detach(c, t)));
}

neap_tensor *loss_half_square (neap_context *c, neap_tensor *r) {
  return rows_scale(c, rows_mean(c, rows_dot(c, r, r)), .5);
}

bool loss_needs_float (neap_context *c, const neap_loss *l, const loss_batch *b) {
  if (neap_is_float(b->x->dtype)) return true;
  return neap_fail(c, NEAP_EDTYPE, "%s: batch: float32 or float64 expected, got %s; x:float() makes one", l->kind->name,
                   neap_dtype_name(b->x->dtype));
}

neap_tensor *loss_hyvarinen (neap_context *c, loss_batch *b, neap_tensor *half, neap_tensor *laplacian) {
  neap_tensor *curvature = rows_mean(c, laplacian);
  if (!loss_tell(c, b, "half_square", half) || !loss_tell(c, b, "laplacian", curvature)) return NULL;
  return neap_sub(c, half, curvature);
}

/* while a function is recorded there are no values to look at */
static bool all_finite (neap_context *c, neap_loss *l, const char *what, neap_tensor *t) {
  if (c->trace) return true;
  if (energy_all_finite(c, t)) return true;
  if (!neap_ok(c)) return false;
  return neap_fail(c, NEAP_EARG, "%s: batch: %s, of shape %s, holds NaN or infinity", l->kind->name, what,
                   SHAPE_TEXT(t));
}

static bool check (neap_context *c, neap_loss *l, neap_tensor *x, neap_tensor *cond) {
  if (!x || !neap_ok(c)) return false;
  if (x->ndim < 1 || x->shape[0] < 1)
    return neap_fail(c, NEAP_ESHAPE, "%s: batch: x [B, event…] with B ≥ 1 expected, got %s", l->kind->name,
                     SHAPE_TEXT(x));
  return all_finite(c, l, "x", x) && (!cond || all_finite(c, l, "the condition", cond));
}

neap_tensor *loss_value (neap_context *c, neap_loss *l, loss_batch *b) {
  return energy_anchor(c, b->E, l->kind->eval(c, l, b));
}

/* What goes on from call to call must not go on from the few rows of a recording. */
static bool may_run (neap_context *c, const neap_loss *l) {
  return !c->trace || !l->kind->remembers ||
         neap_fail(c, NEAP_ESTATE, "%s: its chains go on from call to call, which cannot be recorded", l->kind->name);
}

static neap_tensor *prepare_and_eval (neap_context *c, neap_loss *l, loss_batch *b) {
  if (!may_run(c, l)) return NULL;
  if (l->kind->prepare && !l->kind->prepare(c, l, b)) return NULL;
  neap_tensor *out = loss_program(c, l, b);
  return out || !neap_ok(c) ? out : loss_value(c, l, b);
}

neap_tensor *neap_loss_eval (neap_context *c, neap_loss *l, neap_energy *E, neap_tensor *x, neap_tensor *cond,
                             neap_rng *rng, neap_state *info) {
  if (!check(c, l, x, cond)) return NULL;
  loss_batch b = { .E = E, .x = x, .cond = cond, .rng = rng ? rng : neap_rng_default(c), .info = info };
  neap_scope sc = neap_scope_open(c);
  return neap_scope_return(c, sc, prepare_and_eval(c, l, &b));
}

/* ---- memory ---- */

neap_state *neap_loss_state (neap_context *c, neap_loss *l) { return neap_ok(c) ? l->memory : NULL; }

static bool knows (const neap_loss *l, const char *name) {
  for (const char *const *n = l->kind->remembers; n && *n; n++)
    if (strcmp(*n, name) == 0) return true;
  return false;
}

static bool restore (neap_context *c, neap_loss *l, const char *name, neap_tensor *t) {
  if (!knows(l, name)) return neap_fail(c, NEAP_EARG, "%s: set_state: it remembers no '%s'", l->kind->name, name);
  if (l->log_z && strcmp(name, "log_z") == 0) return neap_write(c, l->log_z, t);
  neap_tensor *copy = neap_zeros_like(c, t);
  return copy && neap_write(c, copy, t) && neap_state_set(c, l->memory, name, copy);
}

/* What it had not remembered then it does not now; a parameter stays. */
static void forget_others (neap_loss *l, const neap_state *state) {
  for (const char *const *n = l->kind->remembers; n && *n; n++) {
    bool is_parameter = l->log_z && strcmp(*n, "log_z") == 0;
    if (!is_parameter && !neap_state_get(state, *n)) state_drop(l->memory, *n);
  }
}

bool neap_loss_set_state (neap_context *c, neap_loss *l, const neap_state *state) {
  neap_scope sc = neap_scope_open(c);
  bool ok = neap_ok(c);
  for (int i = 0; ok && i < neap_state_count(state); i++) {
    const char *name = neap_state_name(state, i);
    ok = restore(c, l, name, neap_state_get(state, name));
  }
  if (ok) forget_others(l, state);
  neap_scope_close(c, sc);
  return ok;
}
