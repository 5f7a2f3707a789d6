/*
** save.c -- energies in safetensors files: their tensors by name, and under "neap.energy" the tree as JSON.
** Invariant: a node is {type, slots: [{name, tensor, variable}], numbers, choice, parts}; reading trusts nothing, for
** every node passes its class's check.  A tensor that occurs twice is stored once and is one tensor again.
*/
#include "energy.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METADATA "neap.energy"

/* ---- writing ---- */

typedef struct writer { energy_slot *all; int n; } writer;

static const char *name_of (const writer *w, const neap_tensor *t) {
  for (int i = 0; i < w->n; i++) if (w->all[i].value == t) return w->all[i].name;
  return NULL;
}

static bool set (json_t *o, const char *key, json_t *value) { return json_object_set_new(o, key, value) == 0; }

static json_t *slot_json (const writer *w, const energy_slot *s) {
  json_t *o = json_object();
  if (o && set(o, "name", json_string(s->name)) && set(o, "tensor", json_string(name_of(w, s->value))) &&
      set(o, "variable", json_boolean(s->variable))) return o;
  json_decref(o);
  return NULL;
}

static json_t *slots_json (const writer *w, const neap_energy *E) {
  json_t *a = json_array();
  for (int i = 0; a && i < E->nslots; i++)
    if (json_array_append_new(a, slot_json(w, &E->slots[i])) != 0) { json_decref(a); return NULL; }
  return a;
}

static json_t *numbers_json (const neap_energy *E) {
  json_t *a = json_array();
  for (int i = 0; a && i < E->cls->numbers; i++)
    if (json_array_append_new(a, json_real(E->num[i])) != 0) { json_decref(a); return NULL; }
  return a;
}

static json_t *node_json (const writer *w, const neap_energy *E);

static json_t *parts_json (const writer *w, const neap_energy *E) {
  json_t *a = json_array();
  for (int i = 0; a && i < E->nparts; i++)
    if (json_array_append_new(a, node_json(w, E->parts[i])) != 0) { json_decref(a); return NULL; }
  return a;
}

static json_t *node_json (const writer *w, const neap_energy *E) {
  json_t *o = json_object();
  bool ok = o && set(o, "type", json_string(E->cls->name)) && set(o, "slots", slots_json(w, E));
  if (ok && E->cls->numbers) ok = set(o, "numbers", numbers_json(E));
  if (ok && E->choice) ok = set(o, "choice", json_integer(E->choice));
  if (ok && E->nparts) ok = set(o, "parts", parts_json(w, E));
  if (ok) return o;
  json_decref(o);
  return NULL;
}

/* the tree as text, to be freed with free */
static char *tree_text (neap_context *c, const writer *w, const neap_energy *E) {
  json_t *tree = node_json(w, E);
  char *text = tree ? json_dumps(tree, JSON_COMPACT) : NULL;
  json_decref(tree);
  return text ? text : neap_fail(c, NEAP_EMEMORY, "save: no memory for the description of the energy");
}

static bool write_file (neap_context *c, const writer *w, const char *path, const char *tree) {
  size_t bytes = (size_t)(w->n + 1) * sizeof(void *);
  const char **names = neap_malloc(c, bytes);
  neap_tensor **tensors = names ? neap_malloc(c, bytes) : NULL;
  for (int i = 0; tensors && i < w->n; i++) { names[i] = w->all[i].name; tensors[i] = w->all[i].value; }
  const char *metadata[] = { METADATA, tree, NULL };
  bool ok = tensors && neap_save(c, path, w->n, names, tensors, metadata);
  if (tensors) neap_free(c, tensors, bytes);
  if (names) neap_free(c, names, bytes);
  return ok;
}

static bool is_safetensors (const char *path) {
  size_t n = strlen(path);
  return n >= 12 && strcmp(path + n - 12, ".safetensors") == 0;
}

bool neap_energy_save (neap_context *c, neap_energy *E, const char *path) {
  if (!neap_ok(c) || !E) return false;
  if (!is_safetensors(path)) return neap_fail(c, NEAP_EARG, "save: an energy is saved as .safetensors, got '%s'", path);
  writer w = { 0 };
  if (!energy_collect(c, E, true, &w.all, &w.n)) return false;
  char *tree = tree_text(c, &w, E);
  bool ok = tree && write_file(c, &w, path, tree);
  free(tree);
  if (w.all) neap_free(c, w.all, (size_t)w.n * sizeof *w.all);
  return ok;
}

/* ---- reading ---- */

typedef struct reader { neap_context *c; const char *path; neap_bundle *bundle; int depth; } reader;

static void *bad (reader *r, const char *what, const char *which) {
  return neap_fail(r->c, NEAP_EIO, "%s: %s%s%s", r->path, what, which ? ": " : "", which ? which : "");
}

static bool read_slot (reader *r, neap_energy *E, int i, const json_t *o) {
  const char *name = json_string_value(json_object_get(o, "name"));
  const char *tensor = json_string_value(json_object_get(o, "tensor"));
  if (!name || !tensor || strlen(name) >= ENERGY_NAME)
    return bad(r, "a tensor of the energy's description has no proper name", NULL);
  neap_tensor *t = neap_bundle_find(r->bundle, tensor);
  if (!t) return bad(r, "the energy's description names a tensor that is not there", tensor);
  bool variable = json_is_true(json_object_get(o, "variable"));
  if (variable && !neap_requires_grad(r->c, t, true)) return false;
  energy_set(E, i, name, t);
  E->slots[i].variable = variable;
  return true;
}

static neap_energy *read_node (reader *r, const json_t *o);

/* the parts [n] into a fresh array; all or none */
static bool read_parts (reader *r, const json_t *a, neap_energy **parts, int n) {
  for (int i = 0; i < n; i++)
    if (!(parts[i] = read_node(r, json_array_get(a, (size_t)i)))) {
      while (i-- > 0) neap_energy_release(parts[i]);
      return false;
    }
  return true;
}

static neap_energy *new_node (reader *r, const energy_class *cls, const json_t *o) {
  const json_t *a = json_object_get(o, "parts");
  int n = (int)json_array_size(a), slots = (int)json_array_size(json_object_get(o, "slots"));
  size_t bytes = (size_t)(n + 1) * sizeof(neap_energy *);
  neap_energy **parts = neap_malloc(r->c, bytes), *E = NULL;
  if (parts && read_parts(r, a, parts, n)) {
    E = energy_new(r->c, cls, slots, n, parts);
    for (int i = 0; i < n; i++) neap_energy_release(parts[i]);
  }
  if (parts) neap_free(r->c, parts, bytes);
  return E;
}

static bool fill_node (reader *r, neap_energy *E, const json_t *o) {
  const json_t *numbers = json_object_get(o, "numbers"), *slots = json_object_get(o, "slots");
  if ((int)json_array_size(numbers) != E->cls->numbers)
    return bad(r, "the energy's description lacks numbers", E->cls->name);
  for (int i = 0; i < E->cls->numbers; i++) E->num[i] = json_number_value(json_array_get(numbers, (size_t)i));
  E->choice = (int64_t)json_integer_value(json_object_get(o, "choice"));
  for (int i = 0; i < E->nslots; i++) if (!read_slot(r, E, i, json_array_get(slots, (size_t)i))) return false;
  return true;
}

static neap_energy *read_node (reader *r, const json_t *o) {
  const char *type = json_string_value(json_object_get(o, "type"));
  const energy_class *cls = type ? energy_class_find(type) : NULL;
  if (!cls) return bad(r, "not an energy of this version", type);
  if (cls == &energy_function_class)
    return bad(r, "holds a function, which a file cannot; make the energy and use E:load(path)", NULL);
  if (++r->depth > ENERGY_DEPTH) return bad(r, "energies within energies too deep", NULL);
  neap_energy *E = new_node(r, cls, o);
  r->depth--;
  if (!E) return NULL;
  if (fill_node(r, E, o)) return energy_finish(r->c, E);
  neap_energy_release(E);
  return NULL;
}

static neap_energy *read_tree (reader *r) {
  const char *text = neap_bundle_metadata(r->bundle, METADATA);
  if (!text) return bad(r, "holds tensors but no energy (no \"" METADATA "\" in its metadata)", NULL);
  json_error_t error;
  json_t *tree = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  neap_energy *E = tree ? read_node(r, tree) : bad(r, "the energy's description is not JSON", error.text);
  json_decref(tree);
  return E;
}

neap_energy *neap_energy_open (neap_context *c, const char *path) {
  if (!neap_ok(c)) return NULL;
  neap_scope s = neap_scope_open(c);
  reader r = { .c = c, .path = path, .bundle = neap_load(c, path) };
  neap_energy *E = r.bundle ? read_tree(&r) : NULL;
  neap_bundle_release(r.bundle);
  neap_scope_close(c, s);
  return E;
}

/* ---- into what is there ---- */

static bool check_param (neap_context *c, const char *path, const energy_slot *p, const neap_tensor *t) {
  if (!t) return neap_fail(c, NEAP_EIO, "load: %s has no tensor '%s'", path, p->name);
  if (neap_same_shape(p->value, t)) return true;
  return neap_fail(c, NEAP_ESHAPE, "load: parameter '%s' has shape %s, in %s it has %s", p->name, SHAPE_TEXT(p->value),
                   path, SHAPE_TEXT(t));
}

bool neap_energy_load (neap_context *c, neap_energy *E, const char *path) {
  if (!neap_ok(c) || !E) return false;
  neap_bundle *b = neap_load(c, path);
  bool ok = b != NULL;
  for (int i = 0; ok && i < E->nparams; i++)
    ok = check_param(c, path, &E->params[i], neap_bundle_find(b, E->params[i].name));
  for (int i = 0; ok && i < E->nparams; i++)
    ok = neap_write(c, E->params[i].value, neap_bundle_find(b, E->params[i].name));
  neap_bundle_release(b);
  return ok;
}
