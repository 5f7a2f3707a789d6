/*
** lapack.h -- LAPACK on one row-major matrix; a template, included once with T float and once with T double.
** Invariant: LAPACK stores columns, so it sees the transpose of what neap stores; each function says how that is
** undone.  Results are LAPACK's info: 0, or a 1-based position.  FN(f) names f for T, LAPACK(f) is its routine.
*/

/* a [n, n] -> out: lower L with L Lᵀ = (a + aᵀ)/2.  The order of the first minor that is not positive, or 0.
** The upper triangle of what LAPACK sees is the lower of ours, and Uᵀ U there is L Lᵀ here. */
static int FN(cholesky) (const T *a, T *out, int n) {
  int info;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++)
      out[(int64_t)i * n + j] = j <= i ? (a[(int64_t)i * n + j] + a[(int64_t)j * n + i]) / 2 : 0;
  LAPACK(potrf)("U", &n, out, &n, &info, 1);
  for (int i = 0; i < n && info == 0; i++) if (!(out[(int64_t)i * n + i] > 0)) info = i + 1;    /* NaN passes LAPACK */
  return info;
}

/* a [n, n], x [n, m]: x ← op(triangle of a)⁻¹ x.  The position of a zero on the diagonal, or 0. */
static int FN(solve_tri) (const T *a, T *x, int n, int m, const triangle *t) {
  for (int i = 0; i < n && !t->unit; i++) if (a[(int64_t)i * n + i] == 0) return i + 1;
  CBLAS(trsm)(BLAS_ROWS, BLAS_LEFT, t->upper ? BLAS_UPPER : BLAS_LOWER, t->transpose ? BLAS_T : BLAS_N,
              t->unit ? BLAS_UNIT : BLAS_NONUNIT, n, m, 1, a, n, x, m);
  return 0;
}

static void FN(transpose) (const T *from, T *to, int rows, int cols) {
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < cols; j++) to[(int64_t)j * rows + i] = from[(int64_t)i * cols + j];
}

/* a [n, n], b [n, m] -> x [n, m] with a x = b.  LAPACK factors aᵀ and is asked to solve with its transpose. */
static int FN(solve_lu) (const T *a, const T *b, T *x, int n, int m, T *work, int *pivots) {
  int info;
  T *lu = work, *columns = work + (int64_t)n * n;
  memcpy(lu, a, (size_t)n * (size_t)n * sizeof *a);
  LAPACK(getrf)(&n, &n, lu, &n, pivots, &info);
  if (info) return info;
  FN(transpose)(b, columns, n, m);
  LAPACK(getrs)("T", &n, &m, lu, &n, pivots, columns, &n, &info, 1);
  FN(transpose)(columns, x, m, n);
  return info;
}

/* a [n, n] -> its determinant, or the determinant's logarithm: NaN when it is negative.  det aᵀ = det a. */
static T FN(det) (const T *a, int n, bool logarithm, T *lu, int *pivots) {
  int info, ld = n ? n : 1;
  memcpy(lu, a, (size_t)n * (size_t)n * sizeof *a);
  LAPACK(getrf)(&n, &n, lu, &ld, pivots, &info);
  double sign = 1, det = 1, log_abs = 0;
  for (int i = 0; i < n; i++) {
    double d = (double)lu[(int64_t)i * n + i];
    if (pivots[i] != i + 1) sign = -sign;
    if (d < 0) sign = -sign;
    det *= fabs(d);
    log_abs += log(fabs(d));
  }
  if (!logarithm) return (T)(sign * det);
  return (T)(sign < 0 && log_abs > -INFINITY ? NAN : log_abs);
}

/* a [n, n] -> out [n, n + 1]: the eigenvectors of (a + aᵀ)/2 as columns, then the eigenvalues, ascending.
** The component of largest magnitude of each vector is positive, so that results do not depend on the library. */
static int FN(eigh) (const T *a, T *out, int n, T *work, int *integers) {
  int info, lwork = 1 + 6 * n + 2 * n * n, liwork = 3 + 5 * n;
  T *v = work, *w = v + (int64_t)n * n;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) v[(int64_t)i * n + j] = (a[(int64_t)i * n + j] + a[(int64_t)j * n + i]) / 2;
  for (int64_t i = 0; i < (int64_t)n * n; i++) if (v[i] - v[i] != 0) return -1;        /* LAPACK may loop on NaN */
  LAPACK(syevd)("V", "L", &n, v, &n, w, w + n, &lwork, integers, &liwork, &info, 1, 1);
  for (int j = 0; j < n; j++) {                        /* vector j is row j of what LAPACK wrote */
    const T *vector = v + (int64_t)j * n;
    int top = 0;
    for (int i = 1; i < n; i++) if (fabs((double)vector[i]) > fabs((double)vector[top])) top = i;
    for (int i = 0; i < n; i++) out[(int64_t)i * (n + 1) + j] = vector[top] < 0 ? -vector[i] : vector[i];
    out[(int64_t)j * (n + 1) + n] = w[j];
  }
  return info;
}
