/*
** csv.c -- tables of numbers as text.
** Two passes over the text in memory: the first counts rows and columns and finds the header, so that the second
** writes into a tensor of the right size.  Both walk the same fields (next_field), so that they cannot disagree.
*/
#include "file.h"
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIELD_BYTES 256                    /* no number is longer; names are cut there */

typedef struct cursor {
  neap_reader *r;
  const char *at, *end;
  int64_t line, column;                    /* of the field last read, from 1 */
  bool last;                               /* it ended its line */
  bool bad;                                /* an error was set */
  char text[FIELD_BYTES];                  /* the field, unquoted, without spaces around */
} cursor;

static cursor cursor_at (neap_reader *r, const char *text) {
  cursor k = {.r = r, .at = text, .end = text + r->size, .line = 1, .last = true};
  if (r->size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
    k.at += 3;
  k.line = 0;
  return k;
}

static bool fail_field (cursor *k, const char *what) {
  k->bad = true;
  return neap_fail(k->r->c, NEAP_EIO, "%s: line %lld, column %lld: %s", k->r->path, (long long)k->line,
                   (long long)k->column, what);
}

static bool take_quoted (cursor *k, size_t *n) {
  for (k->at++; k->at < k->end; k->at++) {
    if (*k->at == '"' && !(k->at + 1 < k->end && k->at[1] == '"')) {
      k->at++;
      return true;
    }
    k->at += *k->at == '"';
    if (*n + 1 < FIELD_BYTES)
      k->text[(*n)++] = *k->at;
  }
  return fail_field(k, "a quote is not closed");
}

static bool ends_field (const cursor *k) {
  return k->at == k->end || *k->at == ',' || *k->at == '\n' || *k->at == '\r';
}

/* Past the separator: ',' or a line's end (\n, \r\n, \r). */
static void pass_separator (cursor *k) {
  k->last = k->at == k->end || *k->at != ',';
  if (k->at == k->end)
    return;
  bool cr = *k->at++ == '\r';
  if (cr && k->at < k->end && *k->at == '\n')
    k->at++;
}

/* Reads the next field; false at the end of the text or on an error.  Blank lines are skipped. */
static bool next_field (cursor *k) {
  size_t n = 0;
  if (k->bad)
    return false;
  if (k->last) {
    for (k->line++; k->at < k->end && (*k->at == '\n' || *k->at == '\r'); k->line++)
      pass_separator(k);
    k->column = 0;
    if (k->at == k->end)
      return false;
  }
  k->column++;
  while (k->at < k->end && (*k->at == ' ' || *k->at == '\t'))
    k->at++;
  if (k->at < k->end && *k->at == '"') {
    if (!take_quoted(k, &n))
      return false;
    while (k->at < k->end && (*k->at == ' ' || *k->at == '\t'))
      k->at++;
    if (!ends_field(k))
      return fail_field(k, "',' or the line's end expected after a closing quote");
  } else {
    for (; !ends_field(k); k->at++)
      if (n + 1 < FIELD_BYTES)
        k->text[n++] = *k->at;
  }
  while (n > 0 && (k->text[n - 1] == ' ' || k->text[n - 1] == '\t'))
    n--;
  k->text[n] = '\0';
  pass_separator(k);
  return true;
}

/* A number, or NaN for what stands for a missing one. */
static bool number (const char *s, locale_t posix, double *v) {
  char *end;
  *v = NAN;
  if (*s == '\0' || strcasecmp(s, "na") == 0 || strcasecmp(s, "nan") == 0 || strcasecmp(s, "null") == 0)
    return true;
  *v = strtod_l(s, &end, posix);
  return *end == '\0';
}

typedef struct layout { int64_t rows, columns; bool header; } layout;

static bool fail_count (cursor *k, int64_t columns) {
  k->bad = true;
  return neap_fail(k->r->c, NEAP_EIO, "%s: line %lld has %lld fields, expected %lld as in the first line", k->r->path,
                   (long long)k->line, (long long)k->column, (long long)columns);
}

/* Rows (the header not counted) and columns; the same number of fields on every line. */
static bool measure (cursor k, locale_t posix, layout *out) {
  double v;
  *out = (layout){0, 0, false};
  for (int64_t lines = 0; next_field(&k); ) {
    if (lines == 0 && !number(k.text, posix, &v))
      out->header = true;
    if (!k.last)
      continue;
    if (lines++ == 0)
      out->columns = k.column;
    if (k.column != out->columns)
      return fail_count(&k, out->columns);
    out->rows = lines - out->header;
  }
  return !k.bad;
}

static bool skip_line (cursor *k) {
  do
    if (!next_field(k))
      return false;
  while (!k->last);
  return true;
}

static void store (neap_tensor *t, int64_t i, double v) {
  if (t->dtype == NEAP_FLOAT64)
    ((double *)neap_ptr(t))[i] = v;
  else
    ((float *)neap_ptr(t))[i] = (float)v;
}

static neap_tensor *fill (cursor k, locale_t posix, const layout *l, neap_dtype d) {
  neap_tensor *t = neap_tensor_new(k.r->c, d, 2, (int64_t[]){l->rows, l->columns});
  double v;
  if (t == NULL || (l->header && !skip_line(&k)))
    return NULL;
  for (int64_t i = 0; next_field(&k); i++) {
    if (!number(k.text, posix, &v))
      return neap_fail(k.r->c, NEAP_EIO, "%s: line %lld, column %lld: a number was expected, got '%.60s'", k.r->path,
                       (long long)k.line, (long long)k.column, k.text);
    store(t, i, v);
  }
  return t;
}

/* The columns of t [rows, columns] as views [rows], by the names in the first line. */
static neap_bundle *name_columns (cursor k, neap_tensor *t) {
  neap_context *c = k.r->c;
  neap_bundle *b = neap_bundle_new(c);
  for (int64_t j = 0; b && j < t->shape[1] && next_field(&k); j++) {
    neap_tensor *column = neap_tensor_view(c, t->store, t->dtype, 1, t->shape, t->strides, t->offset + j);
    if (!neap_bundle_add(b, k.text, column)) {
      neap_bundle_release(b);
      return NULL;
    }
  }
  return b;
}

static neap_tensor *parse (neap_reader *r, const char *text, locale_t posix, neap_dtype d, neap_bundle **columns) {
  cursor k = cursor_at(r, text);
  layout l;
  if (memchr(text, '\0', (size_t)r->size))
    return neap_fail(r->c, NEAP_EIO, "%s: not a text file: it holds a zero byte", r->path);
  if (!measure(k, posix, &l))
    return NULL;
  if (l.columns == 0)
    return neap_fail(r->c, NEAP_EIO, "%s: empty: rows of numbers were expected", r->path);
  neap_tensor *t = fill(k, posix, &l, d);
  if (t && columns && l.header && (*columns = name_columns(k, t)) == NULL)
    return NULL;
  return t;
}

neap_tensor *neap_csv_load (neap_context *c, const char *path, neap_dtype d, neap_bundle **columns) {
  neap_reader r;
  if (columns)
    *columns = NULL;
  if (!neap_is_float(d))
    return neap_fail(c, NEAP_EDTYPE, "csv: %s: float32 or float64 expected, got %s", path, neap_dtype_name(d));
  if (!neap_reader_open(&r, c, path))
    return NULL;
  locale_t posix = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  char *text = posix ? neap_reader_all(&r) : neap_fail(c, NEAP_EMEMORY, "csv: not enough memory");
  neap_tensor *t = text ? parse(&r, text, posix, d, columns) : NULL;
  if (text)
    neap_free(c, text, (size_t)r.size + 1);
  if (posix)
    freelocale(posix);
  neap_reader_close(&r);
  return t;
}

/* ---- writing ---- */

static bool put_name (neap_writer *w, const char *s) {
  if (strpbrk(s, ",\"\r\n ") == NULL)
    return neap_writer_put(w, s, strlen(s));
  bool ok = neap_writer_put(w, "\"", 1);
  for (; *s && ok; s++)
    ok = (*s != '"' || neap_writer_put(w, "\"", 1)) && neap_writer_put(w, s, 1);
  return ok && neap_writer_put(w, "\"", 1);
}

static bool put_header (neap_writer *w, int64_t columns, const char *const *names) {
  for (int64_t j = 0; j < columns; j++)
    if (!put_name(w, names[j]) || !neap_writer_put(w, j + 1 < columns ? "," : "\n", 1))
      return false;
  return true;
}

/* The shortest of the two usual lengths that reads back exactly. */
static bool put_number (neap_writer *w, const neap_tensor *x, int64_t i) {
  char text[48];
  const void *p = neap_ptr(x);
  switch (x->dtype) {
    case NEAP_FLOAT32: snprintf(text, sizeof text, "%.9g", (double)((const float *)p)[i]); break;
    case NEAP_FLOAT64: snprintf(text, sizeof text, "%.17g", ((const double *)p)[i]); break;
    case NEAP_INT64: snprintf(text, sizeof text, "%" PRId64, ((const int64_t *)p)[i]); break;
    default: snprintf(text, sizeof text, "%d", ((const uint8_t *)p)[i]); break;
  }
  for (char *s = text; *s; s++)            /* another locale's decimal comma */
    if (*s == ',')
      *s = '.';
  return neap_writer_put(w, text, strlen(text));
}

static bool put_rows (neap_writer *w, const neap_tensor *x, int64_t columns) {
  int64_t n = neap_numel(x);
  for (int64_t i = 0; i < n; i++)
    if (!put_number(w, x, i) || !neap_writer_put(w, (i + 1) % columns ? "," : "\n", 1))
      return false;
  return true;
}

bool neap_csv_save (neap_context *c, const char *path, neap_tensor *x, const char *const *names) {
  neap_writer w;
  if (x == NULL || !neap_ok(c))
    return false;
  if (x->ndim < 1 || x->ndim > 2)
    return neap_fail(c, NEAP_ESHAPE, "csv: %s: [rows] or [rows, columns] expected, got %s", path, SHAPE_TEXT(x));
  int64_t columns = x->ndim == 2 ? x->shape[1] : 1;
  neap_scope s = neap_scope_open(c);
  neap_tensor *flat = neap_contiguous_data(c, x);
  bool ok = flat && neap_writer_open(&w, c, path);
  if (ok)
    ok = neap_writer_close(&w, (names == NULL || put_header(&w, columns, names)) && put_rows(&w, flat, columns));
  neap_scope_close(c, s);
  return ok;
}
