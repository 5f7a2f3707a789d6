/*
** safetensors.c -- named tensors in one file: 8 bytes of header length, a JSON header, the data.
** A header is believed only after the whole of it is checked: the tensors' ranges must cover the data without overlap
** or gap and agree with their shapes.  jansson allocates outside the context, so what it may need is reserved there
** meanwhile.
*/
#include "file.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADER 100000000               /* bytes, as in the format's definition */
#define ALIGNMENT 64
/* an upper bound of jansson's memory for one JSON value and its key's node */
#define BYTES_PER_VALUE 160

static const struct { const char *name; neap_raw_kind kind; } dtypes[] = {
  {"F32", RAW_F32}, {"F64", RAW_F64}, {"I64", RAW_I64}, {"U8", RAW_U8}, {"BOOL", RAW_BOOL}, {"F16", RAW_F16},
  {"BF16", RAW_BF16}, {"I8", RAW_I8}, {"I16", RAW_I16}, {"U16", RAW_U16}, {"I32", RAW_I32}, {"U32", RAW_U32},
};
#define NDTYPES (int)(sizeof dtypes / sizeof *dtypes)

/* The name under which a tensor's dtype is written. */
static const char *dtype_name (neap_dtype d) {
  static const char *const names[NEAP_NDTYPES] = {"F32", "F64", "I64", "U8", "BOOL"};
  return names[d];
}

/* ---- writing ---- */

typedef struct order { int index, width; } order;

/* Wide elements first, so that each tensor is aligned to its elements. */
static int by_width (const void *a, const void *b) {
  const order *x = a, *y = b;
  return x->width != y->width ? y->width - x->width : x->index - y->index;
}

static json_t *describe (const neap_tensor *t, int64_t begin, int64_t end) {
  json_t *shape = json_array();
  for (int i = 0; i < neap_ndim(t) && shape; i++)
    json_array_append_new(shape, json_integer(neap_shape(t)[i]));
  return json_pack("{s:s,s:o,s:[I,I]}", "dtype", dtype_name(neap_dtype_of(t)), "shape", shape, "data_offsets",
                   (json_int_t)begin, (json_int_t)end);
}

static bool add_metadata (neap_context *c, const char *path, json_t *header, const char *const *metadata) {
  json_t *object = json_object();
  for (; metadata && metadata[0]; metadata += 2)
    if (json_object_get(object, metadata[0]))
      return json_decref(object), neap_fail(c, NEAP_EARG, "save: %s: metadata '%s' is given twice", path, metadata[0]);
    else if (json_object_set_new(object, metadata[0], json_string(metadata[1])) != 0)
      return json_decref(object), neap_fail(c, NEAP_EARG, "save: %s: metadata '%s' is not valid UTF-8", path,
                                            metadata[0]);
  if (json_object_size(object) == 0)
    return json_decref(object), true;
  return json_object_set_new(header, "__metadata__", object) == 0 ||
    neap_fail(c, NEAP_EMEMORY, "save: not enough memory");
}

static bool add_tensor (neap_context *c, const char *path, json_t *header, const char *name, neap_tensor *t,
                        int64_t *at) {
  int64_t bytes = neap_numel(t) * (int64_t)neap_dtype_size(neap_dtype_of(t));
  if (strcmp(name, "__metadata__") == 0 || json_object_get(header, name))
    return neap_fail(c, NEAP_EARG, "save: %s: the name '%s' is %s", path, name,
                     strcmp(name, "__metadata__") == 0 ? "reserved" : "given twice");
  if (json_object_set_new(header, name, describe(t, *at, *at + bytes)) != 0)
    return neap_fail(c, NEAP_EARG, "save: %s: the name '%s' is not valid UTF-8", path, name);
  *at += bytes;
  return true;
}

/* Length, header padded with spaces so that the data starts at a multiple of ALIGNMENT. */
static bool put_header (neap_writer *w, json_t *header) {
  char *text = json_dumps(header, JSON_COMPACT);
  if (text == NULL)
    return neap_fail(w->c, NEAP_EMEMORY, "save: %s: not enough memory", w->path);
  size_t n = strlen(text), pad = (ALIGNMENT - (n + 8) % ALIGNMENT) % ALIGNMENT;
  uint64_t length = n + pad;
  char spaces[ALIGNMENT];
  memset(spaces, ' ', sizeof spaces);
  bool ok = length <= MAX_HEADER || neap_fail(w->c, NEAP_EARG, "save: %s: names and metadata exceed 100 MB", w->path);
  ok = ok && neap_writer_put(w, &length, sizeof length) && neap_writer_put(w, text, n) &&
    neap_writer_put(w, spaces, pad);
  free(text);
  return ok;
}

static bool put_tensor (neap_writer *w, neap_tensor *t) {
  neap_scope s = neap_scope_open(w->c);
  neap_tensor *x = neap_contiguous_data(w->c, t);
  bool ok = x && neap_writer_put(w, neap_ptr(x), (size_t)neap_numel(x) * neap_dtype_size(neap_dtype_of(x)));
  neap_scope_close(w->c, s);
  return ok;
}

static bool write_file (neap_context *c, const char *path, json_t *header, int n, const order *by,
                        neap_tensor *const *tensors) {
  neap_writer w;
  if (!neap_writer_open(&w, c, path))
    return false;
  bool ok = put_header(&w, header);
  for (int i = 0; i < n && ok; i++)
    ok = put_tensor(&w, tensors[by[i].index]);
  return neap_writer_close(&w, ok);
}

bool neap_safetensors_save (neap_context *c, const char *path, int n, const char *const *names,
                            neap_tensor *const *tensors, const char *const *metadata) {
  size_t bytes = (size_t)(n + 1) * sizeof(order);
  order *by = neap_malloc(c, bytes);
  json_t *header = json_object();
  if (by == NULL || header == NULL) {
    neap_free(c, by, by ? bytes : 0);
    json_decref(header);
    return neap_fail(c, NEAP_EMEMORY, "save: %s: not enough memory", path);
  }
  for (int i = 0; i < n; i++)
    by[i] = (order){i, (int)neap_dtype_size(neap_dtype_of(tensors[i]))};
  qsort(by, (size_t)n, sizeof *by, by_width);
  int64_t at = 0;
  bool ok = add_metadata(c, path, header, metadata);
  for (int i = 0; i < n && ok; i++)
    ok = add_tensor(c, path, header, names[by[i].index], tensors[by[i].index], &at);
  ok = ok && write_file(c, path, header, n, by, tensors);
  json_decref(header);
  neap_free(c, by, bytes);
  return ok;
}

/* ---- reading ---- */

typedef struct item {                      /* one tensor of a header */
  const char *name;
  neap_raw_kind kind;
  int ndim;
  int64_t shape[NEAP_MAX_DIMS], begin, end;
  size_t position;                         /* in the header, to break ties */
} item;

static void *bad (neap_reader *r, const char *name, const char *found) {
  return neap_fail(r->c, NEAP_EIO, "%s: malformed safetensors header: '%.80s' %s", r->path, name, found);
}

/* What jansson may take for text, at most: reserved in the context while it parses. */
static size_t json_memory (const char *text, size_t n) {
  size_t values = 2;
  for (size_t i = 0; i < n; i++)
    values += text[i] == ',' || text[i] == ':' || text[i] == '[' || text[i] == '{';
  return values * BYTES_PER_VALUE + 2 * n;
}

static json_t *parse (neap_reader *r, const char *text, size_t n, size_t *reserved, void **reserve) {
  json_error_t e;
  *reserved = json_memory(text, n);
  *reserve = neap_malloc(r->c, *reserved);
  json_t *header = *reserve ? json_loadb(text, n, JSON_REJECT_DUPLICATES, &e) : NULL;
  if (*reserve && header == NULL)
    neap_fail(r->c, json_error_code(&e) == json_error_out_of_memory ? NEAP_EMEMORY : NEAP_EIO,
              "%s: malformed safetensors header: %s at byte %d", r->path, e.text, e.position);
  return header;
}

/* The header's text (length bytes, to be freed). */
static char *read_header (neap_reader *r, uint64_t *length) {
  if (!neap_reader_get(r, length, sizeof *length, "the length of the header"))
    return NULL;
  if (*length > MAX_HEADER || (int64_t)*length > r->size - r->at)
    return neap_fail(r->c, NEAP_EIO,
                     "%s: not a safetensors file: a header of %llu bytes was promised, expected at most %lld (%s)",
                     r->path, (unsigned long long)*length,
                       (long long)(*length > MAX_HEADER ? MAX_HEADER : r->size - r->at),
                     *length > MAX_HEADER ? "the format's limit" : "the rest of the file");
  char *text = neap_malloc(r->c, *length + 1);
  if (text && neap_reader_get(r, text, (int64_t)*length, "the header"))
    return text;
  neap_free(r->c, text, text ? *length + 1 : 0);
  return NULL;
}

static bool item_shape (neap_reader *r, item *it, const json_t *shape) {
  if (!json_is_array(shape) || json_array_size(shape) > NEAP_MAX_DIMS)
    return bad(r, it->name, "has no shape of at most 8 sizes");
  it->ndim = (int)json_array_size(shape);
  for (int i = 0; i < it->ndim; i++) {
    const json_t *v = json_array_get(shape, (size_t)i);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
      return bad(r, it->name, "has a size that is no integer >= 0");
    it->shape[i] = json_integer_value(v);
  }
  return true;
}

static bool item_dtype (neap_reader *r, item *it, const json_t *dtype) {
  const char *name = json_string_value(dtype);
  for (int i = 0; i < NDTYPES && name; i++)
    if (strcmp(name, dtypes[i].name) == 0) {
      it->kind = dtypes[i].kind;
      return true;
    }
  if (name == NULL)
    return bad(r, it->name, "has no dtype");
  return bad(r, it->name, "has a dtype that is not supported (F16 BF16 F32 F64 I8 I16 I32 I64 U8 U16 U32 BOOL are)");
}

static bool item_range (neap_reader *r, item *it, const json_t *offsets, int64_t room) {
  const json_t *a = json_array_get(offsets, 0), *b = json_array_get(offsets, 1);
  if (json_array_size(offsets) != 2 || !json_is_integer(a) || !json_is_integer(b))
    return bad(r, it->name, "has no data_offsets [begin, end]");
  it->begin = json_integer_value(a);
  it->end = json_integer_value(b);
  if (it->begin < 0 || it->end < it->begin || it->end > room)
    return bad(r, it->name, "lies outside the file's data");
  return it->end - it->begin == neap_raw_bytes(it->kind, it->ndim, it->shape) ||
         bad(r, it->name, "has data_offsets that do not fit its shape and dtype");
}

static bool read_item (neap_reader *r, item *it, const json_t *v, int64_t room) {
  if (!json_is_object(v) || json_object_size(v) != 3)
    return bad(r, it->name, "is not {dtype, shape, data_offsets}");
  return item_dtype(r, it, json_object_get(v, "dtype")) && item_shape(r, it, json_object_get(v, "shape")) &&
         item_range(r, it, json_object_get(v, "data_offsets"), room);
}

static bool read_metadata (neap_reader *r, neap_bundle *b, json_t *v) {
  const char *key;
  json_t *value;
  if (!json_is_object(v))
    return bad(r, "__metadata__", "is not an object");
  json_object_foreach(v, key, value) {
    if (!json_is_string(value))
      return bad(r, key, "in __metadata__ is not a string");
    if (!neap_bundle_add_metadata(b, key, json_string_value(value)))
      return false;
  }
  return true;
}

static int by_begin (const void *a, const void *b) {
  const item *x = a, *y = b;
  if (x->begin != y->begin)
    return x->begin < y->begin ? -1 : 1;
  if (x->end != y->end)                    /* empty ones first */
    return x->end < y->end ? -1 : 1;
  return x->position < y->position ? -1 : 1;
}

/* Items in the order of their data, which they must cover without overlap or gap. */
static bool sort_items (neap_reader *r, item *items, int n, int64_t room) {
  int64_t at = 0;
  qsort(items, (size_t)n, sizeof *items, by_begin);
  for (int i = 0; i < n; i++) {
    if (items[i].begin != at)
      return bad(r, items[i].name, items[i].begin < at ? "overlaps another tensor" : "leaves a gap before its data");
    at = items[i].end;
  }
  return at == room || neap_fail(r->c, NEAP_EIO,
                                 "%s: malformed safetensors file: the tensors take %lld bytes, the file holds %lld",
                                 r->path, (long long)at, (long long)room);
}

static bool collect (neap_reader *r, neap_bundle *b, json_t *header, item *items, int *n, int64_t room) {
  const char *name;
  json_t *value;
  *n = 0;
  json_object_foreach(header, name, value) {
    if (strcmp(name, "__metadata__") == 0) {
      if (!read_metadata(r, b, value))
        return false;
      continue;
    }
    items[*n] = (item){.name = name, .position = (size_t)*n};
    if (!read_item(r, &items[*n], value, room))
      return false;
    ++*n;
  }
  return sort_items(r, items, *n, room);
}

static bool read_tensors (neap_reader *r, neap_bundle *b, const item *items, int n) {
  for (int i = 0; i < n; i++) {
    neap_scope s = neap_scope_open(r->c);
    neap_tensor *t = neap_raw_read(r, (neap_raw){items[i].kind, false}, items[i].ndim, items[i].shape);
    bool ok = neap_bundle_add(b, items[i].name, t);
    neap_scope_close(r->c, s);
    if (!ok || !neap_poll(r->c))
      return false;
  }
  return true;
}

static bool read_body (neap_reader *r, neap_bundle *b, json_t *header) {
  size_t bytes = (json_object_size(header) + 1) * sizeof(item);
  int n;
  if (!json_is_object(header))
    return neap_fail(r->c, NEAP_EIO, "%s: malformed safetensors header: it is not a JSON object", r->path);
  item *items = neap_malloc(r->c, bytes);
  bool ok = items && collect(r, b, header, items, &n, r->size - r->at) && read_tensors(r, b, items, n);
  neap_free(r->c, items, items ? bytes : 0);
  return ok;
}

static bool read_bundle (neap_reader *r, neap_bundle *b) {
  uint64_t length = 0;
  size_t reserved = 0;
  void *reserve = NULL;
  char *text = read_header(r, &length);
  if (text == NULL)
    return false;
  json_t *header = parse(r, text, (size_t)length, &reserved, &reserve);
  bool ok = header && read_body(r, b, header);
  json_decref(header);
  neap_free(r->c, reserve, reserve ? reserved : 0);
  neap_free(r->c, text, length + 1);
  return ok;
}

neap_bundle *neap_safetensors_load (neap_context *c, const char *path) {
  neap_reader r;
  if (!neap_reader_open(&r, c, path))
    return NULL;
  neap_bundle *b = neap_bundle_new(c);
  if (b && !read_bundle(&r, b)) {
    neap_bundle_release(b);
    b = NULL;
  }
  neap_reader_close(&r);
  return b;
}
