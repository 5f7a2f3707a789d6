/*
** dnnl.h -- what neap uses of oneDNN (libdnnl), version 2: looked for at run time, and missed by nobody.
** Invariant: a library's functions are called only when it is usable: all of them were found, its interface is the one
** declared here, and it can be kept to the calling thread, which it is between neap_dnnl_enter and neap_dnnl_leave.
** Its objects are opaque; what of version 2 is a structure of the caller's is memory large enough for it.
*/
#ifndef NEAP_DNNL_H
#define NEAP_DNNL_H

#include "core.h"

enum { DNNL_DIMS = 12, DNNL_TEXT = 240 };
typedef int64_t dnnl_dims[DNNL_DIMS];
typedef struct dnnl_desc { int64_t words[128]; } dnnl_desc;            /* a memory_desc_t: 696 bytes */
typedef struct dnnl_conv { int64_t words[1024]; } dnnl_conv;           /* a convolution_desc_t: 5976 bytes */
typedef struct dnnl_arg { int arg; void *memory; } dnnl_arg;
typedef struct dnnl_version {
  int major, minor, patch;
  const char *hash;
  unsigned cpu_runtime, gpu_runtime;
} dnnl_version;

/* its values, in C's enumerations of version 2 */
enum { DNNL_OK = 0, DNNL_NO_MEMORY = 1, DNNL_CPU = 1, DNNL_FLOAT32 = 3, DNNL_ANY = 1, DNNL_TRAINING = 64,
       DNNL_DIRECT = 1, DNNL_USER_SCRATCHPAD = 1, DNNL_PLAIN_STREAM = 1 };
enum { DNNL_ASK_KERNEL = 8, DNNL_ASK_SRC = 129, DNNL_ASK_DIFF_SRC = 130, DNNL_ASK_WEIGHTS = 131,
       DNNL_ASK_DIFF_WEIGHTS = 132, DNNL_ASK_DST = 133, DNNL_ASK_DIFF_DST = 134, DNNL_ASK_SCRATCHPAD = 136 };
enum { DNNL_SRC = 1, DNNL_DST = 17, DNNL_WEIGHTS = 33, DNNL_SCRATCHPAD = 80, DNNL_DIFF_SRC = 129, DNNL_DIFF_DST = 145,
       DNNL_DIFF_WEIGHTS = 161 };

/* F(result, name, arguments); a status where the result is an int, but for memory_desc_equal */
#define DNNL_FUNCTIONS(F) \
  F(int, engine_create, (void **engine, int kind, size_t index)) \
  F(int, engine_destroy, (void *engine)) \
  F(int, stream_create, (void **stream, void *engine, unsigned flags)) \
  F(int, stream_destroy, (void *stream)) \
  F(int, memory_desc_init_by_strides, (dnnl_desc *d, int ndims, const int64_t *dims, int dtype, \
    const int64_t *strides)) \
  F(int, memory_desc_init_by_tag, (dnnl_desc *d, int ndims, const int64_t *dims, int dtype, int tag)) \
  F(size_t, memory_desc_get_size, (const dnnl_desc *d)) \
  F(int, memory_desc_equal, (const dnnl_desc *a, const dnnl_desc *b)) \
  F(int, dilated_convolution_forward_desc_init, (dnnl_conv *op, int prop, int algorithm, const dnnl_desc *src, \
    const dnnl_desc *weights, const dnnl_desc *bias, const dnnl_desc *dst, const int64_t *strides, \
    const int64_t *dilates, const int64_t *before, const int64_t *after)) \
  F(int, dilated_convolution_backward_data_desc_init, (dnnl_conv *op, int algorithm, const dnnl_desc *src, \
    const dnnl_desc *weights, const dnnl_desc *dst, const int64_t *strides, const int64_t *dilates, \
    const int64_t *before, const int64_t *after)) \
  F(int, dilated_convolution_backward_weights_desc_init, (dnnl_conv *op, int algorithm, const dnnl_desc *src, \
    const dnnl_desc *weights, const dnnl_desc *bias, const dnnl_desc *dst, const int64_t *strides, \
    const int64_t *dilates, const int64_t *before, const int64_t *after)) \
  F(int, primitive_attr_create, (void **attr)) \
  F(int, primitive_attr_set_scratchpad_mode, (void *attr, int mode)) \
  F(int, primitive_attr_destroy, (void *attr)) \
  F(int, primitive_desc_create, (void **desc, const dnnl_conv *op, const void *attr, void *engine, const void *hint)) \
  F(int, reorder_primitive_desc_create, (void **desc, const dnnl_desc *from, void *from_engine, const dnnl_desc *to, \
    void *to_engine, const void *attr)) \
  F(int, primitive_desc_query, (const void *desc, int what, int index, void *result)) \
  F(const dnnl_desc *, primitive_desc_query_md, (const void *desc, int what, int index)) \
  F(int, primitive_desc_destroy, (void *desc)) \
  F(int, primitive_create, (void **primitive, const void *desc)) \
  F(int, primitive_execute, (const void *primitive, void *stream, int n, const dnnl_arg *args)) \
  F(int, primitive_destroy, (void *primitive)) \
  F(int, memory_create, (void **memory, const dnnl_desc *d, void *engine, void *handle)) \
  F(int, memory_set_data_handle, (void *memory, void *handle)) \
  F(int, memory_destroy, (void *memory))

typedef struct neap_dnnl {
  int refs;                                /* of contexts: a frame's shares its program's */
  neap_context *c;                         /* whose memory this is */
  bool usable;
  char about[DNNL_TEXT];                   /* its version; else "absent", "off", or "refused: …" with the reason */
  void *engine, *attr;                     /* attr: scratchpads are the caller's */
  int (*omp_get) (void); void (*omp_set) (int);        /* of its OpenMP; NULL: it knows no threads */
#define DNNL_FIELD(T, name, args) T (*name) args;
  DNNL_FUNCTIONS(DNNL_FIELD)
#undef DNNL_FIELD
} neap_dnnl;

/* c's library, looked for now if it was not yet: the file that the environment's NEAP_ONEDNN names, libdnnl.so.2
** without it, none if that is "off".  Usable or not; NULL: no memory. */
NEAP_API neap_dnnl *neap_dnnl_of (neap_context *c);
/* The same with a file instead of the environment's, before c's was looked for; NULL: the usual one. */
neap_dnnl *neap_dnnl_load (neap_context *c, const char *file);
void neap_dnnl_release (neap_dnnl *d);     /* NULL is ignored */

/* The calling thread's count of OpenMP threads, for neap_dnnl_leave. */
static inline int neap_dnnl_enter (const neap_dnnl *d) {
  int n = d->omp_get ? d->omp_get() : 1;
  if (n != 1) d->omp_set(1);
  return n;
}
static inline void neap_dnnl_leave (const neap_dnnl *d, int n) { if (n != 1) d->omp_set(n); }

#endif
