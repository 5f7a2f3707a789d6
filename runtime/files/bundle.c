/*
** bundle.c -- named tensors and metadata strings; neap_save and neap_load, which pick the format.
** A bundle owns its strings and a reference to each tensor.
*/
#include "file.h"
#include <string.h>
#include <zlib.h>

typedef struct entry { char *name; neap_tensor *t; } entry;
typedef struct pair { char *key, *value; } pair;

struct neap_bundle {
  neap_context *c;
  entry *entries; int count, size;
  pair *metadata; int nmetadata, metadata_size;
};

neap_bundle *neap_bundle_new (neap_context *c) {
  neap_bundle *b = neap_object_new(c, sizeof *b);
  if (b)
    b->c = c;
  return b;
}

/* Room for one more of the n things of width bytes at *array. */
static bool grow (neap_context *c, void *array, int n, int *size, size_t width) {
  void **p = array;
  if (n < *size)
    return true;
  int to = *size ? 2 * *size : 8;
  void *q = neap_realloc(c, *p, (size_t)*size * width, (size_t)to * width);
  if (q == NULL)
    return false;
  *p = q;
  *size = to;
  return true;
}

bool neap_bundle_add (neap_bundle *b, const char *name, neap_tensor *t) {
  if (t == NULL || !grow(b->c, &b->entries, b->count, &b->size, sizeof *b->entries))
    return false;
  char *copy = neap_string_copy(b->c, name);
  if (copy == NULL)
    return false;
  b->entries[b->count++] = (entry){copy, neap_keep(t)};
  return true;
}

bool neap_bundle_add_metadata (neap_bundle *b, const char *key, const char *value) {
  if (!grow(b->c, &b->metadata, b->nmetadata, &b->metadata_size, sizeof *b->metadata))
    return false;
  pair p = {neap_string_copy(b->c, key), NULL};
  p.value = p.key ? neap_string_copy(b->c, value) : NULL;
  if (p.value == NULL) {
    neap_string_free(b->c, p.key);
    return false;
  }
  b->metadata[b->nmetadata++] = p;
  return true;
}

int neap_bundle_count (const neap_bundle *b) { return b->count; }

const char *neap_bundle_name (const neap_bundle *b, int i) {
  return i >= 0 && i < b->count ? b->entries[i].name : NULL;
}

neap_tensor *neap_bundle_tensor (const neap_bundle *b, int i) {
  return i >= 0 && i < b->count ? b->entries[i].t : NULL;
}

neap_tensor *neap_bundle_find (const neap_bundle *b, const char *name) {
  for (int i = 0; i < b->count; i++)
    if (strcmp(b->entries[i].name, name) == 0)
      return b->entries[i].t;
  return NULL;
}

const char *neap_bundle_metadata (const neap_bundle *b, const char *key) {
  for (int i = 0; i < b->nmetadata; i++)
    if (strcmp(b->metadata[i].key, key) == 0)
      return b->metadata[i].value;
  return NULL;
}

const char *neap_bundle_metadata_at (const neap_bundle *b, int i, const char **value) {
  if (i < 0 || i >= b->nmetadata)
    return NULL;
  *value = b->metadata[i].value;
  return b->metadata[i].key;
}

void neap_bundle_release (neap_bundle *b) {
  if (b == NULL)
    return;
  neap_context *c = b->c;
  for (int i = 0; i < b->count; i++) {
    neap_release(b->entries[i].t);
    neap_string_free(c, b->entries[i].name);
  }
  for (int i = 0; i < b->nmetadata; i++) {
    neap_string_free(c, b->metadata[i].key);
    neap_string_free(c, b->metadata[i].value);
  }
  neap_free(c, b->entries, (size_t)b->size * sizeof *b->entries);
  neap_free(c, b->metadata, (size_t)b->metadata_size * sizeof *b->metadata);
  neap_object_free(c, b, sizeof *b);
}

uint32_t neap_crc32 (uint32_t crc, const void *data, size_t n) { return (uint32_t)crc32_z(crc, data, n); }

/* ---- by ending ---- */

static neap_bundle *bundle_of_one (neap_context *c, neap_tensor *t) {
  neap_bundle *b = t ? neap_bundle_new(c) : NULL;
  if (b == NULL || neap_bundle_add(b, "data", t))
    return b;
  neap_bundle_release(b);
  return NULL;
}

neap_bundle *neap_load (neap_context *c, const char *path) {
  neap_scope s = neap_scope_open(c);
  neap_bundle *b;
  if (neap_path_ends(path, ".npy"))
    b = bundle_of_one(c, neap_npy_load(c, path));
  else if (neap_path_ends(path, ".csv"))
    b = bundle_of_one(c, neap_csv_load(c, path, neap_default_dtype(c), NULL));
  else if (neap_path_ends(path, ".npz"))
    b = neap_npz_load(c, path);
  else
    b = neap_safetensors_load(c, path);
  neap_scope_close(c, s);
  return b;
}

static bool save_by_ending (neap_context *c, const char *path, int n, const char *const *names,
                            neap_tensor *const *tensors, const char *const *metadata) {
  bool npy = neap_path_ends(path, ".npy"), csv = neap_path_ends(path, ".csv"), npz = neap_path_ends(path, ".npz");
  if (!npy && !csv && !npz)
    return neap_safetensors_save(c, path, n, names, tensors, metadata);
  if (metadata && metadata[0])
    return neap_fail(c, NEAP_EARG, "save: %s: only .safetensors files hold metadata", path);
  if (npz)
    return neap_npz_save(c, path, n, names, tensors);
  if (n != 1)
    return neap_fail(c, NEAP_EARG, "save: %s: this format holds one tensor, %d were given", path, n);
  return npy ? neap_npy_save(c, path, tensors[0]) : neap_csv_save(c, path, tensors[0], NULL);
}

bool neap_save (neap_context *c, const char *path, int n, const char *const *names, neap_tensor *const *tensors,
                const char *const *metadata) {
  for (int i = 0; i < n; i++)
    if (tensors[i] == NULL)
      return neap_ok(c) ? neap_fail(c, NEAP_EARG, "save: %s: tensor '%s' is NULL", path, names[i]) : false;
  neap_scope s = neap_scope_open(c);
  bool ok = save_by_ending(c, path, n, names, tensors, metadata);
  neap_scope_close(c, s);
  return ok;
}
