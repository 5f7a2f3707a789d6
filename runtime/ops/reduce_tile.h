/*
** reduce_tile.h -- sum, largest and smallest of n rows of w columns, for one element type; included once per type.
** T is the element, ACC what a result is kept in (double or int64_t), BITS an integer of T's width when T is a
** floating type.  Invariant: the order of additions depends on n and w alone, never on the machine's vectors.
*/
#define PASTE2(a, b) a##_##b
#define PASTE(a, b) PASTE2(a, b)
#define NAME(f) PASTE(f, T)

#ifdef BITS
typedef T NAME(vec) __attribute__((vector_size(16), may_alias, aligned(sizeof(T))));
typedef BITS NAME(mask) __attribute__((vector_size(16)));
#define VEC NAME(vec)
#define MASK NAME(mask)
#define VEC_WIDTH (16 / (int)sizeof(T))
#define AT(p, i) (*(const VEC *)((p) + (i) * VEC_WIDTH))
#define CHOOSE(m, a, b) ((VEC)(((m) & (MASK)(a)) | (~(m) & (MASK)(b))))

/* x [n] -> Σ x, in 4 vectors of lanes */
static ACC NAME(sum_block) (const T *x, int64_t n) {
  VEC a = {0}, b = {0}, c = {0}, d = {0};
  int64_t i = 0;
  for (; i + 4 * VEC_WIDTH <= n; i += 4 * VEC_WIDTH) {
    a += AT(x + i, 0); b += AT(x + i, 1); c += AT(x + i, 2); d += AT(x + i, 3);
  }
  a = (a + b) + (c + d);
  ACC s = 0;
  for (int j = 0; j < VEC_WIDTH; j++) s += a[j];
  for (; i < n; i++) s += x[i];
  return s;
}

/* blocks of 128 are added up in ACC, so the error does not grow with n */
static ACC NAME(sum_row) (const T *x, int64_t n) {
  ACC s = 0;
  for (; n > 128; x += 128, n -= 128) s += NAME(sum_block)(x, 128);
  return s + NAME(sum_block)(x, n);
}

static void NAME(add_into) (T *acc, const T *x, int64_t w) {
  int64_t j = 0;
  for (; j + VEC_WIDTH <= w; j += VEC_WIDTH) *(VEC *)(acc + j) += AT(x + j, 0);
  for (; j < w; j++) acc[j] += x[j];
}

/* acc [w] = op(acc, x); a NaN wins */
#define EXTREME(name, OP) \
  static void NAME(name##_into) (T *acc, const T *x, int64_t w) { \
    int64_t j = 0; \
    for (; j + VEC_WIDTH <= w; j += VEC_WIDTH) { \
      VEC v = AT(x + j, 0), m = *(VEC *)(acc + j); \
      MASK take = (v OP m) | (v != v); \
      *(VEC *)(acc + j) = CHOOSE(take, v, m); \
    } \
    for (; j < w; j++) if (x[j] OP acc[j] || x[j] != x[j]) acc[j] = x[j]; \
  }
EXTREME(max, >)
EXTREME(min, <)
#undef EXTREME
#undef VEC
#undef MASK
#undef VEC_WIDTH
#undef AT
#undef CHOOSE

#else
static ACC NAME(sum_row) (const T *x, int64_t n) {
  ACC s = 0;
  for (int64_t i = 0; i < n; i++) s = (ACC)((uint64_t)s + (uint64_t)x[i]);
  return s;
}

static void NAME(max_into) (T *acc, const T *x, int64_t w) {
  for (int64_t j = 0; j < w; j++) acc[j] = x[j] > acc[j] ? x[j] : acc[j];
}

static void NAME(min_into) (T *acc, const T *x, int64_t w) {
  for (int64_t j = 0; j < w; j++) acc[j] = x[j] < acc[j] ? x[j] : acc[j];
}
#endif

#ifdef BITS
/* out [w] += Σ of n rows; blocks of 16 rows are added up in ACC */
static void NAME(sum_columns) (const T *x, int64_t n, int64_t ld, int64_t w, ACC *out) {
  T acc[COLUMNS];
  for (int64_t k = 0; k < n; ) {
    for (int64_t j = 0; j < w; j++) acc[j] = 0;
    for (int64_t end = k + 16 < n ? k + 16 : n; k < end; k++) NAME(add_into)(acc, x + k * ld, w);
    for (int64_t j = 0; j < w; j++) out[j] += acc[j];
  }
}
#else
static void NAME(sum_columns) (const T *x, int64_t n, int64_t ld, int64_t w, ACC *out) {
  for (int64_t k = 0; k < n; k++)
    for (int64_t j = 0; j < w; j++) out[j] = (ACC)((uint64_t)out[j] + (uint64_t)x[k * ld + j]);
}
#endif

/* x [n, w] with rows ld apart, w <= COLUMNS -> out [w]; narrow rows are taken several at a time */
static void NAME(sum) (const void *data, int64_t n, int64_t ld, int64_t w, void *result) {
  const T *x = data;
  ACC *out = result, wide[COLUMNS];
  if (w == 1 && ld == 1) { *out = NAME(sum_row)(x, n); return; }
  for (int64_t j = 0; j < w; j++) out[j] = 0;
  int64_t together = ld == w ? COLUMNS / w : 1;
  if (together >= 4 && n >= 4 * together) {
    for (int64_t j = 0; j < together * w; j++) wide[j] = 0;
    NAME(sum_columns)(x, n / together, together * w, together * w, wide);
    for (int64_t j = 0; j < together * w; j++) out[j % w] += wide[j];
    x += n / together * together * w;
    n %= together;
  }
  NAME(sum_columns)(x, n, ld, w, out);
}

/* largest or smallest of n >= 1 rows; one contiguous row is folded as rows of COLUMNS */
#define FOLD(name) \
  static void NAME(name) (const void *data, int64_t n, int64_t ld, int64_t w, void *result) { \
    const T *x = data; \
    ACC *out = result; \
    T acc[COLUMNS]; \
    int64_t width = w == 1 && ld == 1 ? (n < COLUMNS ? n : COLUMNS) : w, k = 1; \
    acc[0] = x[0]; \
    for (int64_t j = 1; j < width; j++) acc[j] = x[j]; \
    if (width == w) { \
      for (; k < n; k++) NAME(name##_into)(acc, x + k * ld, w); \
      for (int64_t j = 0; j < w; j++) out[j] = acc[j]; \
      return; \
    } \
    for (k = width; k < n; k += width) NAME(name##_into)(acc, x + k, n - k < width ? n - k : width); \
    for (k = 1; k < width; k++) NAME(name##_into)(acc, acc + k, 1); \
    *out = acc[0]; \
  }
FOLD(max)
FOLD(min)
#undef FOLD

/* x [rows, n], n short -> out [rows]; for a length that the compiler knows there is no loop within a row */
#define SHORT_ROWS(n) \
  for (int64_t r = 0; r < rows; r++) { \
    ACC s = START(r * n); \
    for (int64_t i = 0; i < n; i++) COMBINE(r * n + i); \
    out[r] = s; \
  } \
  break
#define SHORT(name) \
  static void NAME(name##_short) (const void *data, int64_t rows, int64_t n, void *result) { \
    const T *x = data; \
    ACC *out = result; \
    switch (n) { \
      case 1: SHORT_ROWS(1); \
      case 2: SHORT_ROWS(2); \
      case 3: SHORT_ROWS(3); \
      case 4: SHORT_ROWS(4); \
      default: SHORT_ROWS(n); \
    } \
  }
#define START(first) 0
#ifdef BITS
#define COMBINE(i) s += x[i]
#else
#define COMBINE(i) s = (ACC)((uint64_t)s + (uint64_t)x[i])
#endif
SHORT(sum)
#undef START
#undef COMBINE
#define START(first) x[first]
#define COMBINE(i) if (x[i] > s || x[i] != x[i]) s = x[i]
SHORT(max)
#undef COMBINE
#define COMBINE(i) if (x[i] < s || x[i] != x[i]) s = x[i]
SHORT(min)
#undef COMBINE
#undef START
#undef SHORT
#undef SHORT_ROWS

#undef PASTE2
#undef PASTE
#undef NAME
#undef T
#undef ACC
#ifdef BITS
#undef BITS
#endif
