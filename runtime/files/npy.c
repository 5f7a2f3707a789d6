/*
** npy.c -- NumPy's .npy: magic, version, a Python dict literal, the elements.
** The dict is read by a parser that knows just what NumPy writes: strings, booleans and tuples of integers.
*/
#include "file.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "\x93NUMPY"
#define MAX_DICT (1 << 20)

static const struct { const char *code; neap_raw_kind kind; } types[] = {
  {"f4", RAW_F32}, {"f8", RAW_F64}, {"f2", RAW_F16}, {"i8", RAW_I64}, {"i4", RAW_I32}, {"i2", RAW_I16}, {"i1", RAW_I8},
  {"u1", RAW_U8}, {"u2", RAW_U16}, {"u4", RAW_U32}, {"b1", RAW_BOOL},
};
#define NTYPES (int)(sizeof types / sizeof *types)

typedef struct header {
  neap_raw raw;
  bool fortran, have_descr, have_order, have_shape;
  int ndim;
  int64_t shape[NEAP_MAX_DIMS];
} header;

static void *bad (neap_reader *r, const char *found) {
  return neap_fail(r->c, NEAP_EIO, "%s: malformed .npy header: %s", r->path, found);
}

static const char *skip_space (const char *s) {
  while (isspace((unsigned char)*s))
    s++;
  return s;
}

/* A quoted string at *s into out (size bytes); moves *s past it. */
static bool quoted (const char **s, char *out, size_t size) {
  char quote = **s;
  size_t n = 0;
  if (quote != '\'' && quote != '"')
    return false;
  for (++*s; **s && **s != quote && n + 1 < size; ++*s)
    out[n++] = **s;
  out[n] = '\0';
  return *(*s)++ == quote;
}

static bool parse_descr (neap_reader *r, const char **s, header *h) {
  char text[32];
  if (!quoted(s, text, sizeof text) || text[0] == '\0')
    return bad(r, "'descr' is no simple dtype (records are not supported)");
  h->raw.big_endian = text[0] == '>';
  const char *code = strchr("<>|=", text[0]) ? text + 1 : text;
  for (int i = 0; i < NTYPES; i++)
    if (strcmp(code, types[i].code) == 0) {
      h->raw.kind = types[i].kind;
      return h->have_descr = true;
    }
  return neap_fail(r->c, NEAP_EDTYPE, "%s: dtype '%s' is not supported (f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 b1 are)",
                   r->path, text);
}

static bool parse_order (neap_reader *r, const char **s, header *h) {
  h->fortran = strncmp(*s, "True", 4) == 0;
  if (!h->fortran && strncmp(*s, "False", 5) != 0)
    return bad(r, "'fortran_order' is neither True nor False");
  *s += h->fortran ? 4 : 5;
  return h->have_order = true;
}

static bool parse_shape (neap_reader *r, const char **s, header *h) {
  if (**s != '(')
    return bad(r, "'shape' is not a tuple");
  for (*s = skip_space(*s + 1); **s != ')'; *s = skip_space(*s)) {
    char *end;
    intmax_t v = strtoimax(*s, &end, 10);
    if (end == *s || v < 0 || v == INTMAX_MAX || h->ndim == NEAP_MAX_DIMS)
      return bad(r, "'shape' is not a tuple of at most 8 sizes");
    h->shape[h->ndim++] = v;
    *s = skip_space(end);
    if (**s == ',')
      ++*s;
    else if (**s != ')')
      return bad(r, "'shape' is not a tuple of at most 8 sizes");
  }
  ++*s;
  return h->have_shape = true;
}

static bool parse_value (neap_reader *r, const char *key, const char **s, header *h) {
  if (strcmp(key, "descr") == 0 && !h->have_descr)
    return parse_descr(r, s, h);
  if (strcmp(key, "fortran_order") == 0 && !h->have_order)
    return parse_order(r, s, h);
  if (strcmp(key, "shape") == 0 && !h->have_shape)
    return parse_shape(r, s, h);
  return bad(r, "unexpected or repeated key");
}

static bool parse_dict (neap_reader *r, const char *s, header *h) {
  char key[32];
  s = skip_space(s);
  if (*s != '{')
    return bad(r, "no dictionary");
  for (s = skip_space(s + 1); *s != '}'; s = skip_space(s)) {
    if (!quoted(&s, key, sizeof key) || *(s = skip_space(s)) != ':')
      return bad(r, "'key': value expected");
    s = skip_space(s + 1);
    if (!parse_value(r, key, &s, h))
      return false;
    s = skip_space(s);
    if (*s == ',')
      s++;
    else if (*s != '}')
      return bad(r, "',' or '}' expected");
  }
  return (h->have_descr && h->have_order && h->have_shape) || bad(r, "descr, fortran_order and shape expected");
}

static bool read_header (neap_reader *r, header *h) {
  unsigned char start[12];
  if (!neap_reader_get(r, start, 8, "the .npy magic"))
    return false;
  if (memcmp(start, MAGIC, 6) != 0 || start[6] < 1 || start[6] > 3)
    return neap_fail(r->c, NEAP_EIO, "%s: not an .npy file of version 1 to 3", r->path);
  int width = start[6] == 1 ? 2 : 4;
  uint32_t n = 0;
  if (!neap_reader_get(r, &n, width, "the length of the header"))
    return false;
  if (n > MAX_DICT || (int64_t)n > r->size - r->at)
    return neap_fail(r->c, NEAP_EIO, "%s: truncated or malformed: a header of %lu bytes was promised", r->path,
                     (unsigned long)n);
  char *text = neap_malloc(r->c, (size_t)n + 1);
  bool ok = text && neap_reader_get(r, text, n, "the header");
  if (ok) {
    text[n] = '\0';
    ok = parse_dict(r, text, h);
  }
  neap_free(r->c, text, text ? (size_t)n + 1 : 0);
  return ok;
}

/* Fortran order is C order of the reversed shape, transposed. */
static neap_tensor *from_fortran (neap_context *c, const header *h, neap_tensor *t) {
  int64_t strides[NEAP_MAX_DIMS];
  for (int i = 0; i < h->ndim; i++)
    strides[i] = t->strides[h->ndim - 1 - i];
  neap_tensor *view = neap_tensor_view(c, t->store, t->dtype, h->ndim, h->shape, strides, t->offset);
  return view ? neap_contiguous_data(c, view) : NULL;
}

neap_tensor *neap_npy_read (neap_reader *r) {
  header h = {0};
  if (!read_header(r, &h))
    return NULL;
  if (!h.fortran || h.ndim < 2)
    return neap_raw_read(r, h.raw, h.ndim, h.shape);
  int64_t reversed[NEAP_MAX_DIMS];
  for (int i = 0; i < h.ndim; i++)
    reversed[i] = h.shape[h.ndim - 1 - i];
  neap_tensor *t = neap_raw_read(r, h.raw, h.ndim, reversed);
  return t ? from_fortran(r->c, &h, t) : NULL;
}

neap_tensor *neap_npy_load (neap_context *c, const char *path) {
  neap_reader r;
  if (!neap_reader_open(&r, c, path))
    return NULL;
  neap_tensor *t = neap_npy_read(&r);
  if (t && r.at != r.size)
    t = neap_fail(c, NEAP_EIO, "%s: %lld bytes follow the array of shape %s", path, (long long)(r.size - r.at),
                  SHAPE_TEXT(t));
  neap_reader_close(&r);
  return t;
}

/* Version 1; the data starts at a multiple of 64. */
size_t neap_npy_header (char *buf, neap_dtype d, int ndim, const int64_t *shape) {
  static const char *const codes[NEAP_NDTYPES] = {"<f4", "<f8", "<i8", "|u1", "|b1"};
  size_t n = 10 + (size_t)snprintf(buf + 10, NEAP_NPY_HEADER - 10,
                                   "{'descr': '%s', 'fortran_order': False, 'shape': (", codes[d]);
  for (int i = 0; i < ndim; i++)
    n += (size_t)snprintf(buf + n, NEAP_NPY_HEADER - n, "%s%" PRId64 "%s", i ? ", " : "", shape[i],
                          ndim == 1 ? "," : "");
  n += (size_t)snprintf(buf + n, NEAP_NPY_HEADER - n, "), }");
  while ((n + 1) % 64 != 0)
    buf[n++] = ' ';
  buf[n++] = '\n';
  memcpy(buf, MAGIC "\x01\x00", 8);
  buf[8] = (char)((n - 10) & 255);
  buf[9] = (char)((n - 10) >> 8);
  return n;
}

bool neap_npy_save (neap_context *c, const char *path, neap_tensor *x) {
  char text[NEAP_NPY_HEADER];
  neap_writer w;
  neap_scope s = neap_scope_open(c);
  neap_tensor *flat = neap_contiguous_data(c, x);
  bool ok = flat && neap_writer_open(&w, c, path);
  if (ok) {
    size_t n = neap_npy_header(text, flat->dtype, flat->ndim, flat->shape);
    ok = neap_writer_put(&w, text, n) &&
         neap_writer_put(&w, neap_ptr(flat), (size_t)neap_numel(flat) * neap_dtype_size(flat->dtype));
    ok = neap_writer_close(&w, ok);
  }
  neap_scope_close(c, s);
  return ok;
}
