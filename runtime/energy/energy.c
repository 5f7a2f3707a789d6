/*
** energy.c -- life of an energy: making, releasing, its event and what else is asked of it.
** Invariant: a half-made energy (energy_new … energy_finish) can be released at any point; whoever made it owns one
** reference, each whole holds one of its parts, and each energy one of its context.
*/
#include "energy.h"
#include "program/program.h"
#include <stdio.h>
#include <string.h>

/* ---- life ---- */

static void *zeroed (neap_context *c, size_t n, size_t size) { return neap_calloc(c, (n ? n : 1) * size); }

neap_energy *energy_new (neap_context *c, const energy_class *cls, int nslots, int nparts, neap_energy *const *parts) {
  for (int i = 0; neap_ok(c) && i < nparts; i++)
    if (!parts[i]) return neap_fail(c, NEAP_EARG, "%s: energy %d is missing", cls->name, i + 1);
  neap_energy *E = neap_object_new(c, sizeof *E);
  if (!E) return NULL;
  *E = (neap_energy){ .refs = 1, .serial = ++c->serial, .ctx = c, .cls = cls, .ndim = -1 };
  if ((E->slots = zeroed(c, (size_t)nslots, sizeof *E->slots))) E->nslots = nslots;
  if ((E->parts = zeroed(c, (size_t)nparts, sizeof *E->parts))) E->nparts = nparts;
  for (int i = 0; E->parts && i < nparts; i++) E->parts[i] = neap_energy_keep(parts[i]);
  if (E->slots && E->parts) return E;
  neap_energy_release(E);
  return NULL;
}

neap_energy *neap_energy_keep (neap_energy *E) {
  if (E) E->refs++;
  return E;
}

bool energy_is_fixed (const neap_energy *E) {
  for (int i = 0; i < E->nparts; i++) if (!energy_is_fixed(E->parts[i])) return false;
  return !E->function;
}

void energy_function_release (neap_context *c, energy_function *f) {
  if (!f || --f->refs > 0) return;
  if (f->free_ud) f->free_ud(c, f->ud);
  neap_free(c, f, sizeof *f);
}

static void release_tensors (neap_energy *E) {
  for (int i = 0; i < E->nslots; i++) neap_release(E->slots[i].value);
  for (int i = 0; i < ENERGY_DERIVED; i++) neap_release(E->derived[i]);
  neap_release(E->colours);
  neap_release(E->mask);
  neap_release(E->mask_values);
}

/* n elements were asked for; at least one was taken */
static void free_array (neap_context *c, void *p, int n, size_t size) {
  if (p) neap_free(c, p, (size_t)(n ? n : 1) * size);
}

void neap_energy_release (neap_energy *E) {
  if (!E || --E->refs > 0) return;
  neap_context *c = E->ctx;
  neap_program_forget(c, E->serial);
  release_tensors(E);
  for (int i = 0; i < E->nparts; i++) neap_energy_release(E->parts[i]);
  energy_function_release(c, E->function);
  if (E->title) neap_free(c, E->title, strlen(E->title) + 1);
  if (E->params) neap_free(c, E->params, (size_t)E->nparams * sizeof *E->params);
  free_array(c, E->slots, E->nslots, sizeof *E->slots);
  free_array(c, E->parts, E->nparts, sizeof *E->parts);
  neap_object_free(c, E, sizeof *E);
}

/* ---- filling ---- */

/* what was computed from variables is none itself: derivatives pass through it */
static bool is_variable (const neap_tensor *t) { return t && t->level > 0 && !t->node; }

void energy_set (neap_energy *E, int i, const char *name, neap_tensor *t) {
  energy_slot *s = &E->slots[i];
  snprintf(s->name, sizeof s->name, "%s", name);
  neap_tensor *old = s->value;
  s->value = neap_keep(t);
  s->variable = is_variable(t);
  neap_release(old);
}

void energy_set_event (neap_energy *E, int ndim, const int64_t *event) {
  E->ndim = ndim;
  if (ndim > 0) memcpy(E->event, event, (size_t)ndim * sizeof *event);
}

int energy_find (const neap_energy *E, const char *name) {
  for (int i = 0; i < E->nslots; i++) if (strcmp(E->slots[i].name, name) == 0) return i;
  return -1;
}

bool energy_hold (neap_energy *E, neap_tensor *mask, neap_tensor *mask_values) {
  neap_tensor *m = E->mask, *v = E->mask_values;
  E->mask = neap_keep(mask);
  E->mask_values = neap_keep(mask_values);
  neap_release(m);
  neap_release(v);
  return !mask == !mask_values;
}

/* ---- what follows from the parts ---- */

static bool same_event (const neap_energy *a, const neap_energy *b) {
  return a->ndim == b->ndim && memcmp(a->event, b->event, (size_t)a->ndim * sizeof *a->event) == 0;
}

/* which of E's parts gave E its event */
static int first_with_event (const neap_energy *E) {
  int i = 0;
  while (i < E->nparts - 1 && (E->parts[i]->ndim < 0 || E->parts[i]->any_event)) i++;
  return i;
}

/* A part's event becomes E's, or must agree with it; one that takes any event gives way. */
static bool merge_event (neap_context *c, neap_energy *E, int i) {
  const neap_energy *part = E->parts[i];
  if (part->ndim < 0) return true;
  if (E->ndim < 0 || (E->any_event && !part->any_event)) {
    energy_set_event(E, part->ndim, part->event);
    E->any_event = part->any_event;
    return true;
  }
  if (part->any_event || same_event(E, part)) return true;
  char a[NEAP_SHAPE_BYTES], b[NEAP_SHAPE_BYTES];
  int first = first_with_event(E);
  return neap_fail(c, NEAP_ESHAPE, "%s: events differ: %s for energy %d (%s), %s for energy %d (%s)", energy_title(E),
                   neap_shape_text(a, E->ndim, E->event), first + 1, energy_title(E->parts[first]),
                   neap_shape_text(b, part->ndim, part->event), i + 1, energy_title(part));
}

static int merge_wants (int a, int b) { return a == 1 || b == 1 ? 1 : a || b ? -1 : 0; }

static bool inherit (neap_context *c, neap_energy *E) {
  for (int i = 0; i < E->nparts; i++) {
    neap_energy *p = E->parts[i];
    if (p->ctx != c) return neap_fail(c, NEAP_EARG, "%s: energy %d belongs to another context", E->cls->name, i + 1);
    if (!merge_event(c, E, i)) return false;
    E->wants = merge_wants(E->wants, p->wants);
    if (p->depth >= E->depth) E->depth = p->depth + 1;
  }
  if (E->depth <= ENERGY_DEPTH) return true;
  return neap_fail(c, NEAP_EARG, "%s: energies within energies more than %d deep", E->cls->name, ENERGY_DEPTH);
}

static bool count_parts (neap_context *c, const neap_energy *E) {
  const energy_class *k = E->cls;
  if (E->nparts >= k->min_parts && (k->max_parts < 0 || E->nparts <= k->max_parts)) return true;
  const char *bound = k->max_parts == k->min_parts ? "" : "at least ";
  return neap_fail(c, NEAP_EARG, "%s: %s%d energies expected, got %d", k->name, bound, k->min_parts, E->nparts);
}

static bool slots_filled (neap_context *c, const neap_energy *E) {
  if (!neap_ok(c)) return false;
  for (int i = 0; i < E->nslots; i++)
    if (!E->slots[i].value) return neap_fail(c, NEAP_EARG, "%s: tensor %d is missing", E->cls->name, i + 1);
  return true;
}

neap_energy *energy_finish (neap_context *c, neap_energy *E) {
  if (!E) return NULL;
  neap_mode mode = neap_no_grad(c);
  neap_scope s = neap_scope_open(c);
  bool ok = slots_filled(c, E) && count_parts(c, E) && inherit(c, E) && (!E->cls->check || E->cls->check(c, E)) &&
            energy_collect(c, E, false, &E->params, &E->nparams);
  neap_scope_close(c, s);
  neap_mode_restore(c, mode);
  if (ok) return E;
  neap_energy_release(E);
  return NULL;
}

/* ---- questions ---- */

const char *energy_title (const neap_energy *E) { return E->title ? E->title : E->cls->name; }
const char *neap_energy_name (const neap_energy *E) { return energy_title(E); }
int neap_energy_conditional (const neap_energy *E) { return E->wants; }
bool neap_energy_is_rbm (const neap_energy *E) { return E->cls == &energy_rbm_class; }
int neap_energy_nparams (const neap_energy *E) { return E->nparams; }
neap_tensor *neap_energy_mask (const neap_energy *E) { return E->mask; }
neap_tensor *neap_energy_mask_values (const neap_energy *E) { return E->mask_values; }

neap_tensor *neap_energy_param (const neap_energy *E, int i) {
  return i >= 0 && i < E->nparams ? E->params[i].value : NULL;
}
const char *neap_energy_param_name (const neap_energy *E, int i) {
  return i >= 0 && i < E->nparams ? E->params[i].name : NULL;
}

int64_t energy_event_numel (const neap_energy *E) {
  int64_t n = 1;
  for (int i = 0; i < E->ndim; i++) n *= E->event[i];
  return n;
}

int neap_energy_event (const neap_energy *E, int64_t shape[NEAP_MAX_DIMS]) {
  if (E->ndim > 0) memcpy(shape, E->event, (size_t)E->ndim * sizeof *shape);
  return E->ndim;
}

static const energy_class *const classes[] = {
  &energy_function_class, &energy_mlp_class, &energy_rbm_class, &energy_gaussian_class, &energy_gmm_class,
  &energy_mixture_class, &energy_any_class, &energy_double_well_class, &energy_funnel_class, &energy_banana_class,
  &energy_rosenbrock_class, &energy_rastrigin_class, &energy_ackley_class, &energy_ring_class, &energy_sum_class,
  &energy_scale_class, &energy_divide_class, &energy_offset_class, &energy_translate_class, &energy_given_class,
  &energy_fix_class, &energy_ising_class, &energy_potts_class, &energy_hopfield_class, &energy_gaussian_rbm_class,
  &energy_residual_mlp_class, &energy_conv_class, &energy_noise_class, &energy_classifier_class, &energy_flow_class,
  &energy_conv_classifier_class, &energy_of_class_class
};

const energy_class *energy_class_find (const char *name) {
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
    if (strcmp(classes[i]->name, name) == 0) return classes[i];
  return NULL;
}
