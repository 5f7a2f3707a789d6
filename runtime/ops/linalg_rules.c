/*
** linalg_rules.c -- derivatives of the linear algebra rows, and what is composed of them.
** Invariant: every rule is made of op constructors, so it can be differentiated again; batch dimensions of all
** values in a rule are equal.  Formulas: Giles (2008), Collected matrix derivative results; Murray (2016),
** Differentiation of the Cholesky decomposition.
*/
#include "linalg.h"

typedef neap_context ctx;
typedef neap_tensor tensor;

static tensor *times (ctx *c, tensor *x, double v) { return x ? neap_mul(c, x, neap_scalar(c, x->dtype, v)) : NULL; }
static tensor *symmetric (ctx *c, tensor *x) { return times(c, neap_add(c, x, linalg_transposed(c, x)), .5); }
/* x [B…] as [B…, 1, 1] */
static tensor *as_matrices (ctx *c, tensor *x) {
  return x ? neap_unsqueeze(c, neap_unsqueeze(c, x, x->ndim + 1), x->ndim + 2) : NULL;
}

/* the upper or lower triangle of x, without its diagonal if unit */
static tensor *triangle (ctx *c, tensor *x, bool upper, bool unit) {
  return upper ? neap_triu(c, x, unit) : neap_tril(c, x, unit ? -1 : 0);
}

/* Φ: x without what is above the diagonal, the diagonal halved */
static tensor *half_lower (ctx *c, tensor *x) {
  return times(c, neap_add(c, neap_tril(c, x, 0), neap_tril(c, x, -1)), .5);
}

/* ---- cholesky: A = L Lᵀ ---- */

/* L⁻¹ x, or L⁻ᵀ x */
static tensor *solve_lower (ctx *c, tensor *L, tensor *x, bool transpose) {
  return neap_solve_tri(c, L, x, false, transpose, false);
}

/* Ā = ½ L⁻ᵀ (P + Pᵀ) L⁻¹, P = Φ(Lᵀ L̄) */
tensor *vjp_cholesky (neap_rule *r, int i, tensor *g) {
  (void)i;
  ctx *c = r->c;
  tensor *L = neap_rule_out(r);
  tensor *p = half_lower(c, neap_bmm(c, linalg_transposed(c, L), g));
  tensor *left = solve_lower(c, L, symmetric(c, p), true);
  return linalg_transposed(c, solve_lower(c, L, linalg_transposed(c, left), true));
}

/* dL = L Φ(L⁻¹ dA L⁻ᵀ) */
tensor *jvp_cholesky (neap_rule *r, tensor *const *dx) {
  ctx *c = r->c;
  tensor *L = neap_rule_out(r);
  tensor *left = solve_lower(c, L, symmetric(c, dx[0]), false);
  tensor *both = solve_lower(c, L, linalg_transposed(c, left), false);
  return neap_bmm(c, L, half_lower(c, both));
}

/* ---- solve_tri: X = op(T)⁻¹ B, T the triangle of A ---- */

/* B̄ = op(T)⁻ᵀ X̄,  T̄ = −B̄ Xᵀ, or −X B̄ᵀ when transposed */
tensor *vjp_solve_tri (neap_rule *r, int i, tensor *g) {
  ctx *c = r->c;
  const neap_attrs *o = r->node->a;
  bool upper = is_set(o->i[0]), transpose = is_set(o->i[1]), unit = is_set(o->i[2]);
  tensor *gb = neap_solve_tri(c, neap_rule_in(r, 0), g, upper, !transpose, unit), *x = neap_rule_out(r);
  if (i == 1) return gb;
  tensor *ga = transpose ? neap_bmm(c, x, linalg_transposed(c, gb)) : neap_bmm(c, gb, linalg_transposed(c, x));
  return triangle(c, neap_neg(c, ga), upper, unit);
}

/* dX = op(T)⁻¹ (dB − op(dT) X) */
tensor *jvp_solve_tri (neap_rule *r, tensor *const *dx) {
  ctx *c = r->c;
  const neap_attrs *o = r->node->a;
  bool upper = is_set(o->i[0]), transpose = is_set(o->i[1]), unit = is_set(o->i[2]);
  tensor *right = dx[1];
  if (dx[0]) {
    tensor *dt = triangle(c, dx[0], upper, unit);
    tensor *p = neap_bmm(c, transpose ? linalg_transposed(c, dt) : dt, neap_rule_out(r));
    right = right ? neap_sub(c, right, p) : neap_neg(c, p);
  }
  return neap_solve_tri(c, neap_rule_in(r, 0), right, upper, transpose, unit);
}

/* ---- solve_lu: X = A⁻¹ B ---- */

/* B̄ = A⁻ᵀ X̄,  Ā = −B̄ Xᵀ */
tensor *vjp_solve_lu (neap_rule *r, int i, tensor *g) {
  ctx *c = r->c;
  tensor *gb = neap_solve_lu(c, linalg_transposed(c, neap_rule_in(r, 0)), g);
  if (i == 1) return gb;
  return neap_neg(c, neap_bmm(c, gb, linalg_transposed(c, neap_rule_out(r))));
}

/* dX = A⁻¹ (dB − dA X) */
tensor *jvp_solve_lu (neap_rule *r, tensor *const *dx) {
  ctx *c = r->c;
  tensor *right = dx[1];
  if (dx[0]) {
    tensor *p = neap_bmm(c, dx[0], neap_rule_out(r));
    right = right ? neap_sub(c, right, p) : neap_neg(c, p);
  }
  return neap_solve_lu(c, neap_rule_in(r, 0), right);
}

/* ---- determinants: d log det A = tr(A⁻¹ dA) ---- */

static tensor *inverse_transposed (neap_rule *r) {
  return linalg_transposed(r->c, neap_inverse(r->c, neap_rule_in(r, 0)));
}

/* tr(A⁻¹ dA), [B…] */
static tensor *relative_change (neap_rule *r, tensor *dA) {
  return neap_sum(r->c, neap_mul(r->c, inverse_transposed(r), dA), 2, (int64_t[]){ -2, -1 }, false);
}

tensor *vjp_logdet (neap_rule *r, int i, tensor *g) {
  (void)i;
  return neap_mul(r->c, as_matrices(r->c, g), inverse_transposed(r));
}
tensor *jvp_logdet (neap_rule *r, tensor *const *dx) { return relative_change(r, dx[0]); }

tensor *vjp_det (neap_rule *r, int i, tensor *g) {
  (void)i;
  return neap_mul(r->c, as_matrices(r->c, neap_mul(r->c, g, neap_rule_out(r))), inverse_transposed(r));
}
tensor *jvp_det (neap_rule *r, tensor *const *dx) {
  return neap_mul(r->c, neap_rule_out(r), relative_change(r, dx[0]));
}

/* ---- eigh: A = V diag(w) Vᵀ, packed as [V | w] ---- */

typedef struct { tensor *values, *vectors; } pair;

/* packed [B…, N, N + 1] -> w [B…, N], V [B…, N, N] */
static pair unpack (ctx *c, tensor *packed) {
  if (!packed) return (pair){ NULL, NULL };
  int64_t n = packed->shape[packed->ndim - 2];
  return (pair){ neap_select(c, packed, -1, n + 1), neap_slice(c, packed, -1, 1, n, 1) };
}

/* F [B…, N, N] with F_ij = 1 / (w_j − w_i), and 0 where the two are equal: there only values have a derivative */
static tensor *gaps (ctx *c, tensor *w) {
  if (!w) return NULL;
  tensor *d = neap_sub(c, neap_unsqueeze(c, w, w->ndim), neap_unsqueeze(c, w, w->ndim + 1));
  tensor *zero = neap_scalar(c, w->dtype, 0);
  tensor *same = neap_eq(c, d, zero);
  return neap_where(c, same, zero, neap_reciprocal(c, neap_where(c, same, neap_scalar(c, w->dtype, 1), d)));
}

/* Ā = V (diag(w̄) + F ∘ VᵀV̄) Vᵀ, made symmetric */
tensor *vjp_eigh_packed (neap_rule *r, int i, tensor *g) {
  (void)i;
  ctx *c = r->c;
  pair o = unpack(c, neap_rule_out(r)), go = unpack(c, g);
  tensor *inner = neap_mul(c, gaps(c, o.values), neap_bmm(c, linalg_transposed(c, o.vectors), go.vectors));
  tensor *both = neap_add(c, neap_diag_embed(c, go.values, 0, NEAP_NONE, NEAP_NONE), inner);
  return symmetric(c, neap_bmm(c, neap_bmm(c, o.vectors, both), linalg_transposed(c, o.vectors)));
}

/* dw = diag(Vᵀ dA V),  dV = V (F ∘ Vᵀ dA V) */
tensor *jvp_eigh_packed (neap_rule *r, tensor *const *dx) {
  ctx *c = r->c;
  pair o = unpack(c, neap_rule_out(r));
  tensor *d = neap_bmm(c, neap_bmm(c, linalg_transposed(c, o.vectors), symmetric(c, dx[0])), o.vectors);
  tensor *dv = neap_bmm(c, o.vectors, neap_mul(c, gaps(c, o.values), d)), *dw = neap_diagonal(c, d, 0);
  return dw ? neap_cat(c, 2, (tensor *[]){ dv, neap_unsqueeze(c, dw, dw->ndim + 1) }, -1) : NULL;
}

/* ---- composites ---- */

tensor *build_trace (ctx *c, tensor **in, int n, const neap_attrs *a) {
  (void)a;
  if (!linalg_given(c, "trace", in, n)) return NULL;
  if (in[0]->ndim < 2) return neap_fail(c, NEAP_ESHAPE, "trace: a matrix expected, got %s", SHAPE_TEXT(in[0]));
  return neap_sum(c, neap_diagonal(c, in[0], 0), 1, (int64_t[]){ -1 }, false);
}

tensor *build_inverse (ctx *c, tensor **in, int n, const neap_attrs *a) {
  (void)a;
  if (!linalg_given(c, "inverse", in, n)) return NULL;
  tensor *x = op_float(c, in[0]);
  if (!x) return NULL;
  if (x->ndim < 2 || x->shape[x->ndim - 1] != x->shape[x->ndim - 2])
    return neap_fail(c, NEAP_ESHAPE, "inverse: square matrices expected, got %s", SHAPE_TEXT(x));
  return neap_solve_lu(c, x, neap_eye(c, x->dtype, x->shape[x->ndim - 1], x->shape[x->ndim - 1]));
}

/* Is b, for a [B…, N, N], a vector [N] or a batch of vectors [B…, N]? */
static bool is_vector (const tensor *a, const tensor *b) {
  if (b->ndim == 1) return true;
  bool same = b->ndim == a->ndim - 1;
  for (int i = 0; same && i < b->ndim; i++) same = b->shape[i] == a->shape[i];
  return same;
}

typedef tensor *(*solve_fn) (ctx *c, tensor *a, tensor *b, const neap_attrs *o);

/* solve for a right side of matrices, or of vectors as matrices of one column */
static tensor *solve_any (ctx *c, const char *op, tensor **in, int n, const neap_attrs *o, solve_fn solve) {
  if (!linalg_given(c, op, in, n)) return NULL;
  tensor *a = in[0], *b = in[1];
  if (!is_vector(a, b)) return solve(c, a, b, o);
  tensor *x = solve(c, a, neap_unsqueeze(c, b, b->ndim + 1), o);
  return x ? neap_select(c, x, -1, 1) : NULL;
}

static tensor *by_lu (ctx *c, tensor *a, tensor *b, const neap_attrs *o) { (void)o; return neap_solve_lu(c, a, b); }
static tensor *by_triangle (ctx *c, tensor *a, tensor *b, const neap_attrs *o) {
  return neap_solve_tri(c, a, b, is_set(o->i[0]), is_set(o->i[1]), is_set(o->i[2]));
}
static tensor *by_cholesky (ctx *c, tensor *L, tensor *b, const neap_attrs *o) {
  (void)o;
  return solve_lower(c, L, solve_lower(c, L, b, false), true);
}

tensor *build_solve (ctx *c, tensor **in, int n, const neap_attrs *a) { return solve_any(c, "solve", in, n, a, by_lu); }
tensor *build_solve_triangular (ctx *c, tensor **in, int n, const neap_attrs *a) {
  return solve_any(c, "solve_triangular", in, n, a, by_triangle);
}
tensor *build_cholesky_solve (ctx *c, tensor **in, int n, const neap_attrs *a) {
  return solve_any(c, "cholesky_solve", (tensor *[]){ in[1], in[0] }, n, a, by_cholesky);
}

tensor *build_eigvalsh (ctx *c, tensor **in, int n, const neap_attrs *a) {
  (void)a;
  return linalg_given(c, "eigvalsh", in, n) ? unpack(c, neap_eigh_packed(c, in[0])).values : NULL;
}
tensor *build_eigh_vectors (ctx *c, tensor **in, int n, const neap_attrs *a) {
  (void)a;
  return linalg_given(c, "eigh_vectors", in, n) ? unpack(c, neap_eigh_packed(c, in[0])).vectors : NULL;
}
