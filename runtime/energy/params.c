/*
** params.c -- the tensors of a tree of energies: their names, exchanging them.
** Invariant: the order is depth first, a part's tensors after its whole's; a tensor that occurs twice is listed
** once, under the name of its first place.  Names tell the part by its number where there are several ("2.weight1").
*/
#include "energy.h"
#include <stdio.h>
#include <string.h>

typedef struct list { energy_slot *e; int n, size; bool all; } list;

static bool known (const list *l, const neap_tensor *t) {
  for (int i = 0; i < l->n; i++) if (l->e[i].value == t) return true;
  return false;
}

static bool taken (const list *l, const char *name) {
  for (int i = 0; i < l->n; i++) if (strcmp(l->e[i].name, name) == 0) return true;
  return false;
}

static bool grow (neap_context *c, list *l) {
  if (l->n < l->size) return true;
  int size = l->size ? 2 * l->size : 8;
  energy_slot *e = neap_realloc(c, l->e, (size_t)l->size * sizeof *e, (size_t)size * sizeof *e);
  if (!e) return false;
  l->e = e; l->size = size;
  return true;
}

/* prefix.name, with _2, _3 … while it is taken */
static bool make_name (neap_context *c, const list *l, const char *prefix, const char *name, char out[ENERGY_NAME]) {
  int len = snprintf(out, ENERGY_NAME, "%s%s", prefix, name);
  for (int k = 2; len < ENERGY_NAME && taken(l, out); k++) len = snprintf(out, ENERGY_NAME, "%s%s_%d", prefix, name, k);
  if (len < ENERGY_NAME) return true;
  return neap_fail(c, NEAP_EARG, "energy: a parameter's name exceeds %d bytes: %s", ENERGY_NAME - 1, out);
}

static bool add (neap_context *c, list *l, const char *prefix, const energy_slot *s) {
  if ((!l->all && !s->variable) || known(l, s->value)) return true;
  if (!grow(c, l)) return false;
  energy_slot e = { .value = s->value, .variable = s->variable };
  if (!make_name(c, l, prefix, s->name, e.name)) return false;
  l->e[l->n++] = e;
  return true;
}

static bool walk (neap_context *c, list *l, const char *prefix, const neap_energy *E) {
  for (int i = 0; i < E->nslots; i++) if (!add(c, l, prefix, &E->slots[i])) return false;
  for (int i = 0; i < E->nparts; i++) {
    char inner[ENERGY_NAME];
    int len = E->nparts == 1 ? snprintf(inner, sizeof inner, "%s", prefix)
                             : snprintf(inner, sizeof inner, "%s%d.", prefix, i + 1);
    if (len >= ENERGY_NAME)
      return neap_fail(c, NEAP_EARG, "energy: a parameter's name exceeds %d bytes", ENERGY_NAME - 1);
    if (!walk(c, l, inner, E->parts[i])) return false;
  }
  return true;
}

bool energy_collect (neap_context *c, const neap_energy *E, bool all, energy_slot **out, int *n) {
  list l = { .all = all };
  bool ok = walk(c, &l, "", E);
  energy_slot *exact = ok && l.n ? neap_malloc(c, (size_t)l.n * sizeof *exact) : NULL;
  if (exact) memcpy(exact, l.e, (size_t)l.n * sizeof *exact);
  if (l.e) neap_free(c, l.e, (size_t)l.size * sizeof *l.e);
  if (!ok || (l.n && !exact)) return false;
  *out = exact;
  *n = l.n;
  return true;
}

/* ---- the same energy with other tensors ---- */

static neap_tensor *exchange (const neap_energy *root, neap_tensor *const *to, neap_tensor *t) {
  for (int i = 0; i < root->nparams; i++) if (root->params[i].value == t) return to[i];
  return t;
}

static bool copy_rest (neap_context *c, neap_energy *out, const neap_energy *E) {
  memcpy(out->num, E->num, sizeof out->num);
  out->choice = E->choice;
  out->wants = E->wants;
  out->any_event = E->any_event;
  energy_set_event(out, E->ndim, E->event);
  if ((out->function = E->function)) out->function->refs++;
  if (!E->title) return true;
  size_t size = strlen(E->title) + 1;
  out->title = neap_malloc(c, size);
  if (out->title) memcpy(out->title, E->title, size);
  return out->title != NULL;
}

static neap_energy *rebuild (neap_context *c, const neap_energy *root, neap_tensor *const *to, const neap_energy *E) {
  if (E->nparams == 0) return neap_energy_keep((neap_energy *)E);      /* nothing to exchange in it */
  neap_energy *out = energy_new(c, E->cls, E->nslots, E->nparts, E->parts);
  if (!out) return NULL;
  for (int i = 0; i < E->nparts; i++) {
    neap_energy *part = rebuild(c, root, to, E->parts[i]);
    if (!part) { neap_energy_release(out); return NULL; }
    neap_energy_release(out->parts[i]);
    out->parts[i] = part;
  }
  for (int i = 0; i < E->nslots; i++) {
    energy_set(out, i, E->slots[i].name, exchange(root, to, E->slots[i].value));
    out->slots[i].variable = E->slots[i].variable;      /* a parameter stays one, tracked or not */
  }
  if (copy_rest(c, out, E)) return energy_finish(c, out);
  neap_energy_release(out);
  return NULL;
}

static bool check_params (neap_context *c, const neap_energy *E, int n, neap_tensor *const *params) {
  if (n != E->nparams) return neap_fail(c, NEAP_EARG, "with: %d parameters expected, got %d", E->nparams, n);
  for (int i = 0; i < n; i++) {
    const neap_tensor *p = E->params[i].value;
    if (!params[i]) return neap_fail(c, NEAP_EARG, "with: parameter '%s' is missing", E->params[i].name);
    if (!neap_is_float(params[i]->dtype))
      return neap_fail(c, NEAP_EDTYPE, "with: parameter '%s' is %s; float32 or float64 expected", E->params[i].name,
                       neap_dtype_name(params[i]->dtype));
    if (!neap_same_shape(p, params[i]))
      return neap_fail(c, NEAP_ESHAPE, "with: parameter '%s' has shape %s, got %s", E->params[i].name, SHAPE_TEXT(p),
                       SHAPE_TEXT(params[i]));
  }
  return true;
}

neap_energy *neap_energy_with (neap_context *c, neap_energy *E, int n, neap_tensor *const *params) {
  if (!neap_ok(c) || !E || !check_params(c, E, n, params)) return NULL;
  return rebuild(c, E, params, E);
}

/* fresh variables with the parameters' values, owned by the open scope */
static bool copy_params (neap_context *c, const neap_energy *E, neap_tensor **out) {
  for (int i = 0; i < E->nparams; i++) {
    const neap_tensor *p = E->params[i].value;
    out[i] = neap_empty(c, p->dtype, p->ndim, p->shape);
    if (!out[i] || !neap_write(c, out[i], p) || !neap_requires_grad(c, out[i], true)) return false;
  }
  return true;
}

neap_energy *neap_energy_clone (neap_context *c, neap_energy *E) {
  if (!neap_ok(c) || !E) return NULL;
  size_t bytes = (size_t)(E->nparams + 1) * sizeof(neap_tensor *);
  neap_tensor **to = neap_malloc(c, bytes);
  if (!to) return NULL;
  neap_scope s = neap_scope_open(c);
  neap_energy *out = copy_params(c, E, to) ? rebuild(c, E, to, E) : NULL;
  neap_scope_close(c, s);
  neap_free(c, to, bytes);
  return out;
}
