/*
** function.c -- an energy from a function of the host.
** Slots: its parameters, all variables; choice is 1 when it gives a classifier's logits, num[0] the states of x's units
** or 0.  The function and its data are counted and shared by all energies that differ only in their parameters.
*/
#include "tail.h"
#include <stdio.h>
#include <string.h>

neap_tensor *energy_call (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  if (!E->function) return neap_fail(c, NEAP_ESTATE, "%s: the function is missing", energy_title(E));
  size_t bytes = (size_t)(E->nslots + 1) * sizeof(neap_tensor *);
  neap_tensor **params = neap_malloc(c, bytes);
  if (!params) return NULL;
  for (int i = 0; i < E->nslots; i++) params[i] = E->slots[i].value;
  neap_tensor *e = E->function->fn(c, E->function->ud, params, x, cond);
  neap_free(c, params, bytes);
  return e;
}

static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  if (E->num[0] > 0 && x->ndim == E->ndim + 1) x = energy_one_hot_of(c, E, x);
  if (!x) return NULL;
  return E->choice ? energy_classify(c, E, x, cond) : energy_call(c, E, x, cond);
}

static bool tail (neap_context *c, neap_energy *E, energy_tail *t) {
  return E->num[0] > 0 ? tail_finite(c, E, t) : neap_ok(c);
}

const energy_class energy_function_class = { "function", 0, 0, 0, NULL, eval, NULL, NULL, tail };

static bool check_param (neap_context *c, const char *name, const neap_tensor *t) {
  if (!t) return neap_fail(c, NEAP_EARG, "energy: parameter '%s' is missing", name);
  if (neap_is_float(t->dtype)) return true;
  return neap_fail(c, NEAP_EDTYPE, "energy: parameter '%s' is %s; float32 or float64 expected", name,
                   neap_dtype_name(t->dtype));
}

static bool set_params (neap_context *c, neap_energy *E, const neap_function_config *cfg) {
  for (int i = 0; i < E->nslots; i++) {
    char number[24];
    snprintf(number, sizeof number, "%d", i + 1);
    const char *name = cfg->names ? cfg->names[i] : number;
    if (strlen(name) >= ENERGY_NAME)
      return neap_fail(c, NEAP_EARG, "energy: a parameter's name exceeds %d bytes: %.40s…", ENERGY_NAME - 1, name);
    if (!check_param(c, name, cfg->params[i]) || !neap_requires_grad(c, cfg->params[i], true)) return false;
    energy_set(E, i, name, cfg->params[i]);
  }
  return true;
}

static bool set_title (neap_context *c, neap_energy *E, const char *name) {
  if (!name) return true;
  size_t size = strlen(name) + 1;
  E->title = neap_malloc(c, size);
  if (E->title) memcpy(E->title, name, size);
  return E->title != NULL;
}

static bool set_states (neap_context *c, neap_energy *E, int64_t states) {
  E->num[0] = (double)states;
  if (states == 0) return true;
  if (states < 2 || states > ENERGY_STATES)
    return neap_fail(c, NEAP_EARG, "%s: states: an integer from 2 to %d expected, got %lld", energy_title(E),
                     ENERGY_STATES, (long long)states);
  if (E->ndim >= 0 && E->ndim < NEAP_MAX_DIMS - 1) return true;
  return neap_fail(c, NEAP_EARG, "%s: states: an event is needed, of at most %d dimensions", energy_title(E),
                   NEAP_MAX_DIMS - 2);
}

static neap_energy *make (neap_context *c, energy_function *f, const neap_function_config *cfg) {
  neap_energy *E = energy_new(c, &energy_function_class, cfg->nparams, 0, NULL);
  if (!E) return NULL;
  E->function = f;
  f->refs++;
  E->wants = -1;
  E->choice = cfg->logits;
  if (cfg->event_ndim > NEAP_MAX_DIMS - 1)
    neap_fail(c, NEAP_EARG, "energy: an event of %d dimensions; at most %d", cfg->event_ndim, NEAP_MAX_DIMS - 1);
  else if (cfg->event) energy_set_event(E, cfg->event_ndim, cfg->event);
  if (neap_ok(c) && set_title(c, E, cfg->name) && set_states(c, E, cfg->states) && set_params(c, E, cfg))
    return energy_finish(c, E);
  neap_energy_release(E);
  return NULL;
}

neap_energy *neap_energy_from_function (neap_context *c, neap_energy_fn fn, void *ud,
                                        void (*free_ud) (neap_context *c, void *ud), const neap_function_config *cfg) {
  static const neap_function_config none = { 0 };
  energy_function *f = neap_ok(c) ? neap_malloc(c, sizeof *f) : NULL;
  if (!f) {
    if (free_ud) free_ud(c, ud);
    return NULL;
  }
  *f = (energy_function){ .refs = 1, .fn = fn, .ud = ud, .free_ud = free_ud };
  neap_energy *E = make(c, f, cfg ? cfg : &none);
  energy_function_release(c, f);
  return E;
}
