/*
** einsum.c -- sums of products after an equation: "ij,jk->ik".
** Invariant: an operand's labels are distinct once it was read, so operands are contracted pair by pair, from the left,
** each pair as one (batched) matrix product; a label is summed as soon as nothing later needs it.
*/
#include "linalg.h"
#include <string.h>

typedef struct { neap_tensor *t; int n; char label[NEAP_MAX_DIMS]; } operand;
typedef struct { int n; char label[NEAP_MAX_DIMS]; } labels;

typedef struct {
  neap_context *c;
  const char *equation;
  int count;
  operand *op;
  labels out;
  int64_t size[128];                       /* of each label; −1 = not seen */
} einsum;

static int place (const char *label, int n, char l) {
  for (int i = 0; i < n; i++) if (label[i] == l) return i;
  return -1;
}

static bool has (const operand *o, char l) { return place(o->label, o->n, l) >= 0; }

/* ---- reading the equation ---- */

static bool is_letter (char l) { return (l >= 'a' && l <= 'z') || (l >= 'A' && l <= 'Z'); }

/* one comma-separated part, from *s: at most NEAP_MAX_DIMS letters; *s is left behind it */
static bool read_labels (einsum *e, const char **s, char *label, int *n) {
  for (*n = 0; **s && **s != ',' && **s != '-'; (*s)++) {
    if (**s == ' ') continue;
    if (!is_letter(**s))
      return neap_fail(e->c, NEAP_EARG, "einsum: '%c' in \"%s\": letters, ',' and '->' expected", **s, e->equation);
    if (*n == NEAP_MAX_DIMS)
      return neap_fail(e->c, NEAP_EARG,
                       "einsum: \"%s\" has an operand of more than %d dimensions", e->equation, NEAP_MAX_DIMS);
    label[(*n)++] = **s;
  }
  return true;
}

static bool note_sizes (einsum *e, int which) {
  const operand *o = &e->op[which];
  if (o->n != o->t->ndim)
    return neap_fail(e->c, NEAP_ESHAPE,
        "einsum: \"%s\" gives operand %d %d labels, its shape is %s", e->equation, which + 1, o->n, SHAPE_TEXT(o->t));
  for (int i = 0; i < o->n; i++) {
    int64_t *size = &e->size[(int)o->label[i]];
    if (*size >= 0 && *size != o->t->shape[i])
      return neap_fail(e->c, NEAP_ESHAPE,
          "einsum: label '%c' of \"%s\" is %lld in one place and %lld in operand %d, of shape %s", o->label[i],
                       e->equation, (long long)*size, (long long)o->t->shape[i], which + 1, SHAPE_TEXT(o->t));
    *size = o->t->shape[i];
  }
  return true;
}

/* without "->": every label that occurs once, in alphabetical order */
static bool implicit_output (einsum *e) {
  for (int l = 'A'; l <= 'z'; l++) {
    int times = 0;
    for (int i = 0; i < e->count; i++) for (int d = 0; d < e->op[i].n; d++) times += e->op[i].label[d] == l;
    if (times != 1) continue;
    if (e->out.n == NEAP_MAX_DIMS)
      return neap_fail(e->c, NEAP_EARG,
                       "einsum: \"%s\" has a result of more than %d dimensions", e->equation, NEAP_MAX_DIMS);
    e->out.label[e->out.n++] = (char)l;
  }
  return true;
}

static bool check_output (einsum *e) {
  for (int i = 0; i < e->out.n; i++) {
    char l = e->out.label[i];
    if (e->size[(int)l] < 0)
      return neap_fail(e->c, NEAP_EARG, "einsum: label '%c' of the result of \"%s\" is in no operand", l, e->equation);
    if (place(e->out.label, i, l) >= 0)
      return neap_fail(e->c, NEAP_EARG, "einsum: label '%c' is twice in the result of \"%s\"", l, e->equation);
  }
  return true;
}

static bool read_output (einsum *e, const char *s) {
  if (*s == '\0') return implicit_output(e);
  if (s[0] != '-' || s[1] != '>') return neap_fail(e->c, NEAP_EARG, "einsum: \"%s\": '->' expected", e->equation);
  s += 2;
  if (!read_labels(e, &s, e->out.label, &e->out.n)) return false;
  if (*s) return neap_fail(e->c, NEAP_EARG, "einsum: '%c' behind the result of \"%s\"", *s, e->equation);
  return check_output(e);
}

static bool read_equation (einsum *e, neap_tensor **in) {
  const char *s = e->equation;
  int parts = 1;
  for (const char *p = s; *p; p++) parts += *p == ',';
  if (parts != e->count)
    return neap_fail(e->c, NEAP_EARG, "einsum: \"%s\" names %d operands, %d given", s, parts, e->count);
  for (int l = 0; l < 128; l++) e->size[l] = -1;
  for (int i = 0; i < e->count; i++) {
    operand *o = &e->op[i];
    if (i > 0 && *s++ != ',')
      return neap_fail(e->c, NEAP_EARG, "einsum: \"%s\": ',' expected before operand %d", e->equation, i + 1);
    if (!read_labels(e, &s, o->label, &o->n)) return false;
    o->t = in[i];
    if (!note_sizes(e, i)) return false;
  }
  return read_output(e, s);
}

/* ---- one operand ---- */

/* dimensions i and j of o (0-based) become one, the last: their diagonal */
static bool diagonal_last (neap_context *c, operand *o, int i, int j) {
  int64_t order[NEAP_MAX_DIMS];
  char l = o->label[i];
  int n = 0;
  for (int d = 0; d < o->n; d++) if (d != i && d != j) { o->label[n] = o->label[d]; order[n++] = d + 1; }
  order[n] = i + 1; order[n + 1] = j + 1;
  o->t = neap_diagonal(c, neap_permute(c, o->t, n + 2, order), 0);
  o->label[n] = l;
  o->n = n + 1;
  return o->t != NULL;
}

static bool take_diagonals (neap_context *c, operand *o) {
  for (int i = 0; i < o->n; i++) {
    int j = i + 1 + place(o->label + i + 1, o->n - i - 1, o->label[i]);
    if (j == i) continue;
    if (!diagonal_last(c, o, i, j)) return false;
    i = -1;                                            /* it may be there a third time */
  }
  return true;
}

/* sums out what neither `other` (may be NULL) nor keep has */
static bool sum_out (neap_context *c, operand *o, const operand *other, const bool *keep) {
  int64_t dims[NEAP_MAX_DIMS];
  int n = 0, left = 0;
  for (int i = 0; i < o->n; i++) {
    char l = o->label[i];
    if (keep[(int)l] || (other && has(other, l))) o->label[left++] = l;
    else dims[n++] = i + 1;
  }
  o->n = left;
  if (n) o->t = neap_sum(c, o->t, n, dims, false);
  return o->t != NULL;
}

/* o's dimensions in the order of label (all of o's labels, and maybe others, which are skipped) */
static neap_tensor *ordered (neap_context *c, const operand *o, const char *label, int n) {
  int64_t order[NEAP_MAX_DIMS];
  bool same = true;
  int m = 0;
  for (int i = 0; i < n; i++) {
    int at = place(o->label, o->n, label[i]);
    if (at < 0) continue;
    same &= at == m;
    order[m++] = at + 1;
  }
  return same ? o->t : neap_permute(c, o->t, m, order);
}

/* ---- two operands ---- */

enum { BATCH, LEFT, RIGHT, SUMMED, GROUPS };           /* in both and kept; in one; in both and not needed later */

static bool group (einsum *e, const operand *a, const operand *b, const bool *keep, labels *g) {
  for (int i = 0; i < a->n; i++) {
    char l = a->label[i];
    labels *to = &g[!has(b, l) ? LEFT : keep[(int)l] ? BATCH : SUMMED];
    to->label[to->n++] = l;
  }
  for (int i = 0; i < b->n; i++) if (!has(a, b->label[i])) g[RIGHT].label[g[RIGHT].n++] = b->label[i];
  if (g[BATCH].n + g[LEFT].n + g[RIGHT].n <= NEAP_MAX_DIMS) return true;
  return neap_fail(e->c, NEAP_ESHAPE,
                   "einsum: a step of \"%s\" has more than %d dimensions", e->equation, NEAP_MAX_DIMS);
}

static int join (char *to, const labels *x, const labels *y, const labels *z) {
  const labels *all[] = { x, y, z };
  int n = 0;
  for (int i = 0; i < 3; i++) { memcpy(to + n, all[i]->label, (size_t)all[i]->n); n += all[i]->n; }
  return n;
}

static int64_t extent (const einsum *e, const labels *g) {
  int64_t p = 1;
  for (int i = 0; i < g->n; i++) p *= e->size[(int)g->label[i]];
  return p;
}

/* o as [batch, rows, cols], or [rows, cols] when nothing is batched */
static neap_tensor *as_matrix (einsum *e, const operand *o, const labels *g, int rows, int cols) {
  char order[3 * NEAP_MAX_DIMS];
  int n = join(order, &g[BATCH], &g[rows], &g[cols]);
  int64_t shape[] = { extent(e, &g[BATCH]), extent(e, &g[rows]), extent(e, &g[cols]) };
  neap_tensor *t = ordered(e->c, o, order, n);
  return g[BATCH].n ? neap_reshape(e->c, t, 3, shape) : neap_reshape(e->c, t, 2, shape + 1);
}

/* Σ over the SUMMED labels of a·b, as a matrix product */
static neap_tensor *contract (einsum *e, const operand *a, const operand *b, const labels *g, const operand *out) {
  int64_t shape[NEAP_MAX_DIMS];
  for (int i = 0; i < out->n; i++) shape[i] = e->size[(int)out->label[i]];
  neap_tensor *p = neap_bmm(e->c, as_matrix(e, a, g, LEFT, SUMMED), as_matrix(e, b, g, SUMMED, RIGHT));
  return neap_reshape(e->c, p, out->n, shape);
}

/* o with out's dimensions: size 1 where o has no such label */
static neap_tensor *spread (einsum *e, const operand *o, const operand *out) {
  int64_t shape[NEAP_MAX_DIMS];
  for (int i = 0; i < out->n; i++) shape[i] = has(o, out->label[i]) ? e->size[(int)out->label[i]] : 1;
  return neap_reshape(e->c, ordered(e->c, o, out->label, out->n), out->n, shape);
}

static bool combine (einsum *e, operand *a, operand *b, const bool *keep) {
  if (!sum_out(e->c, a, b, keep) || !sum_out(e->c, b, a, keep)) return false;
  labels g[GROUPS] = {0};
  if (!group(e, a, b, keep, g)) return false;
  operand out;
  out.n = join(out.label, &g[BATCH], &g[LEFT], &g[RIGHT]);
  out.t = g[SUMMED].n ? contract(e, a, b, g, &out) : neap_mul(e->c, spread(e, a, &out), spread(e, b, &out));
  *a = out;
  return a->t != NULL;
}

/* the labels that the result and the operands from `next` on have */
static void needed (const einsum *e, int next, bool *keep) {
  memset(keep, 0, 128);
  for (int i = 0; i < e->out.n; i++) keep[(int)e->out.label[i]] = true;
  for (int i = next; i < e->count; i++) for (int d = 0; d < e->op[i].n; d++) keep[(int)e->op[i].label[d]] = true;
}

static neap_tensor *evaluate (einsum *e) {
  bool keep[128];
  for (int i = 0; i < e->count; i++) if (!take_diagonals(e->c, &e->op[i])) return NULL;
  operand *first = &e->op[0];
  for (int i = 1; i < e->count; i++) {
    needed(e, i + 1, keep);
    if (!combine(e, first, &e->op[i], keep)) return NULL;
  }
  needed(e, e->count, keep);
  if (!sum_out(e->c, first, NULL, keep)) return NULL;
  neap_tensor *t = ordered(e->c, first, e->out.label, e->out.n);
  return t == NULL ? NULL : op_same(e->c, t);
}

neap_tensor *build_einsum (neap_context *c, neap_tensor **in, int n, const neap_attrs *a) {
  if (!linalg_given(c, "einsum", in, n)) return NULL;
  if (n < 1 || !a || !a->text) return neap_fail(c, NEAP_EARG, "einsum: an equation and at least one tensor expected");
  einsum e = { .c = c, .equation = a->text, .count = n };
  e.op = neap_calloc(c, (size_t)n * sizeof *e.op);
  if (!e.op) return NULL;
  neap_tensor *out = read_equation(&e, in) ? evaluate(&e) : NULL;
  neap_free(c, e.op, (size_t)n * sizeof *e.op);
  return out;
}
