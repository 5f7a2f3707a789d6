/*
** blas.h -- what neap uses of OpenBLAS, and the door every call of it goes through.
** Invariant: a thread is inside BLAS or LAPACK only between neap_blas_enter and neap_blas_leave, after
** neap_blas_prepare on the context's thread; so BLAS never starts threads of its own, never spins for memory,
** and its serial flavour never sees two threads.  Symbols are declared here, not by cblas.h or lapacke.h: which
** headers a system has is an alternative of its own, apart from the library's.
*/
#ifndef NEAP_BLAS_H
#define NEAP_BLAS_H

#include <stdbool.h>
#include <stddef.h>

struct neap_context;

/* One context's view of the library, filled by neap_blas_prepare. */
typedef struct neap_blas {
  bool ready, serial;                      /* serial: one caller at a time in the whole process */
  bool small;                              /* it has kernels for small matrices */
  int (*omp_get) (void);                   /* OpenMP's thread count of the calling thread; NULL in other flavours */
  void (*omp_set) (int);
} neap_blas;

/* Once per context: finds the flavour, sets it to one thread.  Cheap when done already. */
void neap_blas_prepare (struct neap_context *c);
/* Enters BLAS on any thread.  A token >= 0 for neap_blas_leave; -1 when BLAS's work buffer does not fit in memory
** (no error is set: workers may not; neap_blas_refuse sets it on the context's thread). */
int neap_blas_enter (struct neap_context *c);
void neap_blas_leave (struct neap_context *c, int token);
bool neap_blas_refuse (struct neap_context *c, const char *op);

/* prepare and enter, for kernels that stay on the context's thread; -1 with NEAP_EMEMORY set. */
int neap_blas_begin (struct neap_context *c, const char *op);

/* Ends the worker threads that OpenBLAS starts when it is loaded (each would spin for about 0.1 s of CPU time).
** For programs, first thing in main, while no other thread runs: nothing may be inside BLAS. */
__attribute__((visibility("default"))) void neap_blas_stop_workers (void);

/* CBLAS's values */
enum { BLAS_ROWS = 101, BLAS_N = 111, BLAS_T = 112, BLAS_UPPER = 121, BLAS_LOWER = 122, BLAS_NONUNIT = 131,
       BLAS_UNIT = 132, BLAS_LEFT = 141 };

#define NEAP_BLAS_OF(T, p) \
  void cblas_##p##gemm (int order, int ta, int tb, int m, int n, int k, T alpha, const T *a, int lda, \
                        const T *b, int ldb, T beta, T *out, int ldo); \
  void cblas_##p##gemv (int order, int ta, int m, int n, T alpha, const T *a, int lda, const T *x, int incx, T beta, \
                        T *y, int incy); \
  void cblas_##p##trsm (int order, int side, int uplo, int ta, int diag, int m, int n, T alpha, const T *a, int lda, \
                        T *b, int ldb); \
  void p##potrf_ (const char *uplo, const int *n, T *a, const int *lda, int *info, size_t); \
  void p##getrf_ (const int *m, const int *n, T *a, const int *lda, int *pivots, int *info); \
  void p##getrs_ (const char *trans, const int *n, const int *nrhs, const T *a, const int *lda, \
                  const int *pivots, T *b, const int *ldb, int *info, size_t); \
  void p##syevd_ (const char *jobz, const char *uplo, const int *n, T *a, const int *lda, T *w, T *work, \
                  const int *lwork, int *iwork, const int *liwork, int *info, size_t, size_t);
NEAP_BLAS_OF(float, s)
NEAP_BLAS_OF(double, d)
#undef NEAP_BLAS_OF

#endif
