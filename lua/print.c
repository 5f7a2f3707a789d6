/*
** print.c -- tensors as text: shape, dtype, counts of NaN and Inf, aligned columns.
** Invariant: at most 1000 elements are written; of a larger tensor each long dimension shows its ends around "…".
** Elements are read in place, so printing takes no tensor memory.
*/
#include "state.h"
#include <math.h>
#include <string.h>

enum { MOST = 1000, EDGE = 3, LINE = 96, CELL = 40 };

typedef struct sheet {
  const neap_tensor *t;
  bool cut;                                             /* long dimensions are shortened */
  char style;                                           /* i integer, b boolean, f fixed, e exponent */
  int digits, width, columns;                           /* columns per line */
  int64_t index[NEAP_MAX_DIMS];
} sheet;

/* ---- elements ---- */

static const void *address (const neap_tensor *t, int64_t offset) {
  return (const char *)neap_data(t) + offset * (int64_t)neap_dtype_size(neap_dtype_of(t));
}

static double number_at (const neap_tensor *t, int64_t offset) {
  const void *p = address(t, offset);
  switch (neap_dtype_of(t)) {
    case NEAP_FLOAT32: return *(const float *)p;
    case NEAP_FLOAT64: return *(const double *)p;
    case NEAP_INT64: return (double)*(const int64_t *)p;
    default: return *(const uint8_t *)p;
  }
}

static int cell_text (const sheet *s, int64_t offset, char *text) {
  double v = number_at(s->t, offset);
  if (s->style == 'b') return snprintf(text, CELL, "%s", v != 0 ? "true" : "false");
  if (neap_dtype_of(s->t) == NEAP_INT64)
    return snprintf(text, CELL, "%lld", (long long)*(const int64_t *)address(s->t, offset));
  if (isnan(v)) return snprintf(text, CELL, "nan");
  if (isinf(v)) return snprintf(text, CELL, v < 0 ? "-inf" : "inf");
  return snprintf(text, CELL, s->style == 'e' ? "%.*e" : "%.*f", s->digits, v);
}

/* ---- walking: all elements, or those shown ---- */

typedef void visit_fn (sheet *s, int64_t offset, void *arg);

/* after index i of a dimension of size n: the next one shown; the jump is over the "…" */
static int64_t next_shown (const sheet *s, int64_t i, int64_t n) {
  return s->cut && n > 2 * EDGE + 1 && i == EDGE - 1 ? n - EDGE : i + 1;
}

static void walk (sheet *s, int depth, int64_t offset, visit_fn *visit, void *arg) {
  if (depth == neap_ndim(s->t)) { visit(s, offset, arg); return; }
  int64_t n = neap_shape(s->t)[depth], stride = neap_strides(s->t)[depth];
  for (int64_t i = 0; i < n; i = next_shown(s, i, n)) walk(s, depth + 1, offset + i * stride, visit, arg);
}

typedef struct counts { int64_t nan, inf; } counts;

static void count_one (sheet *s, int64_t offset, void *arg) {
  counts *n = arg;
  double v = number_at(s->t, offset);
  n->nan += isnan(v) != 0;
  n->inf += isinf(v) != 0;
}

typedef struct extent { double largest; bool whole; } extent;

static void measure_one (sheet *s, int64_t offset, void *arg) {
  extent *e = arg;
  double v = fabs(number_at(s->t, offset));
  if (!isfinite(v)) return;
  if (v > e->largest) e->largest = v;
  e->whole &= v == floor(v);
}

static void widen (sheet *s, int64_t offset, void *arg) {
  char text[CELL];
  (void)arg;
  int n = cell_text(s, offset, text);
  if (n > s->width) s->width = n;
}

/* ---- choosing a style ---- */

static bool is_float (const neap_tensor *t) {
  return neap_dtype_of(t) == NEAP_FLOAT32 || neap_dtype_of(t) == NEAP_FLOAT64;
}

static void choose_style (sheet *s) {
  extent e = { 0, true };
  walk(s, 0, 0, measure_one, &e);
  if (neap_dtype_of(s->t) == NEAP_BOOL) s->style = 'b';
  else if (!is_float(s->t)) s->style = 'i';
  else s->style = e.largest >= 1e6 || (e.largest > 0 && e.largest < 1e-3) ? 'e' : 'f';
  s->digits = e.whole && s->style != 'e' ? 0 : e.largest >= 1000 && s->style == 'f' ? 2 : 4;
  s->width = 1;
  walk(s, 0, 0, widen, NULL);
  s->columns = (LINE - 2) / (s->width + 2);
  if (s->columns < 1) s->columns = 1;
}

/* ---- writing ---- */

static void add_cell (sheet *s, luaL_Buffer *b, int64_t offset) {
  char text[CELL];
  int n = cell_text(s, offset, text);
  for (int i = n; i < s->width + 2; i++) luaL_addchar(b, ' ');
  luaL_addlstring(b, text, (size_t)n);
}

static void add_row (sheet *s, luaL_Buffer *b, int64_t offset) {
  int last = neap_ndim(s->t) - 1, column = 0;
  int64_t n = neap_shape(s->t)[last], stride = neap_strides(s->t)[last];
  for (int64_t i = 0; i < n; ) {
    if (column && column % s->columns == 0) luaL_addstring(b, "\n  ");
    add_cell(s, b, offset + i * stride);
    int64_t next = next_shown(s, i, n);
    if (next != i + 1) luaL_addstring(b, "  …");
    i = next; column++;
  }
}

static void add_label (const sheet *s, luaL_Buffer *b, int depth) {
  char text[CELL];
  luaL_addchar(b, '\n');
  for (int i = 0; i < depth; i++) {
    snprintf(text, sizeof text, "[%lld]", (long long)s->index[i] + 1);
    luaL_addstring(b, text);
  }
}

/* rows under a label "[i][j]" for all but the last two dimensions */
static void add_body (sheet *s, luaL_Buffer *b, int depth, int64_t offset) {
  int ndim = neap_ndim(s->t);
  if (depth == ndim - 2 && depth > 0) add_label(s, b, depth);
  if (depth == ndim - 1) { luaL_addchar(b, '\n'); add_row(s, b, offset); return; }
  int64_t n = neap_shape(s->t)[depth], stride = neap_strides(s->t)[depth];
  for (int64_t i = 0; i < n; ) {
    s->index[depth] = i;
    add_body(s, b, depth + 1, offset + i * stride);
    int64_t next = next_shown(s, i, n);
    if (next != i + 1) luaL_addstring(b, "\n  …");
    i = next;
  }
}

static void add_count (luaL_Buffer *b, int64_t n, const char *what) {
  char text[CELL];
  if (n == 0) return;
  snprintf(text, sizeof text, ", %lld %s", (long long)n, what);
  luaL_addstring(b, text);
}

static void add_header (sheet *s, luaL_Buffer *b) {
  char size[CELL];
  counts n = { 0, 0 };
  luaL_addstring(b, "tensor ");
  luaL_addstring(b, neap_dtype_name(neap_dtype_of(s->t)));
  luaL_addstring(b, " [");
  for (int i = 0; i < neap_ndim(s->t); i++) {
    snprintf(size, sizeof size, i ? ", %lld" : "%lld", (long long)neap_shape(s->t)[i]);
    luaL_addstring(b, size);
  }
  luaL_addchar(b, ']');
  if (is_float(s->t)) walk(s, 0, 0, count_one, &n);
  add_count(b, n.nan, "NaN");
  add_count(b, n.inf, "Inf");
}

/* a 0-d tensor is its number */
static int push_number (lua_State *L, const neap_tensor *t) {
  char text[CELL];
  double v = number_at(t, 0);
  sheet s = { .t = t, .style = neap_dtype_of(t) == NEAP_BOOL ? 'b' : 'i' };
  if (is_float(t) && isfinite(v)) snprintf(text, sizeof text, neap_dtype_of(t) == NEAP_FLOAT32 ? "%.7g" : "%.14g", v);
  else cell_text(&s, 0, text);
  lua_pushstring(L, text);
  return 1;
}

int bind_tostring (lua_State *L) {
  bind_tbox *box = bind_boxat(L, 1);
  if (!box) return luaL_typeerror(L, 1, "tensor");
  if (!box->t) { lua_pushliteral(L, "tensor (closed)"); return 1; }
  if (neap_ndim(box->t) == 0) return push_number(L, box->t);
  sheet s = { .t = box->t };
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  add_header(&s, &b);
  s.cut = neap_numel(s.t) > MOST;
  if (neap_numel(s.t) > 0) {
    choose_style(&s);
    add_body(&s, &b, 0, 0);
  }
  luaL_pushresult(&b);
  return 1;
}
