/*
** file.h -- what the readers and writers of files share.
** A reader knows the size of its file, so that every size a file claims is checked before memory is asked for;
** a writer's file gets its name only when it is whole.
*/
#ifndef NEAP_FILE_H
#define NEAP_FILE_H

#include "../op.h"
#include <stdio.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file code expects a little-endian machine");

/* ---- reading ---- */
typedef struct neap_reader neap_reader;
struct neap_reader {
  neap_context *c;
  const char *path;
  FILE *f;
  int64_t size, at;                        /* bytes; of what pull gives */
  /* Up to n bytes into buf; how many came, or -1 with an error set. */
  int64_t (*pull)(neap_reader *r, void *buf, int64_t n);
  void *packed;                            /* what pull unpacks from: idx.c, npz.c */
};

bool neap_reader_open (neap_reader *r, neap_context *c, const char *path);   /* regular files only */
void neap_reader_close (neap_reader *r);
/* n bytes into buf; short: NEAP_EIO that names path, what was being read and the sizes. */
bool neap_reader_get (neap_reader *r, void *buf, int64_t n, const char *what);
/* The whole file, NUL-terminated, of size + 1 bytes (neap_free). */
char *neap_reader_all (neap_reader *r);

/* ---- writing ---- */
typedef struct neap_writer {
  neap_context *c;
  const char *path;
  char *temporary; size_t temporary_bytes;
  FILE *f;
} neap_writer;

bool neap_writer_open (neap_writer *w, neap_context *c, const char *path);
bool neap_writer_put (neap_writer *w, const void *data, size_t n);
/* ok: flush, fsync, rename, and true when all went well; otherwise (or on failure) nothing is left behind. */
bool neap_writer_close (neap_writer *w, bool ok);

bool neap_path_ends (const char *path, const char *ending);   /* letters of either case */
/* strdup by the context; NULL with NEAP_EMEMORY.  Free with neap_string_free. */
char *neap_string_copy (neap_context *c, const char *s);
void neap_string_free (neap_context *c, char *s);

/* ---- element types of files ---- */
typedef enum neap_raw_kind { RAW_BOOL, RAW_U8, RAW_I8, RAW_U16, RAW_I16, RAW_U32, RAW_I32, RAW_I64, RAW_F16, RAW_BF16,
                             RAW_F32, RAW_F64, RAW_KINDS } neap_raw_kind;
typedef struct neap_raw { neap_raw_kind kind; bool big_endian; } neap_raw;

/* The number of bytes of shape; -1 when it overflows. */
int64_t neap_raw_bytes (neap_raw_kind kind, int ndim, const int64_t *shape);
/* A lent tensor of shape, its elements read from r; NEAP_EIO first when the file cannot hold so many. */
neap_tensor *neap_raw_read (neap_reader *r, neap_raw raw, int ndim, const int64_t *shape);

/* ---- bundles ---- */
neap_bundle *neap_bundle_new (neap_context *c);
bool neap_bundle_add (neap_bundle *b, const char *name, neap_tensor *t);     /* keeps t */
bool neap_bundle_add_metadata (neap_bundle *b, const char *key, const char *value);

/* ---- formats, chosen by neap_save and neap_load ---- */
bool neap_safetensors_save (neap_context *c, const char *path, int n, const char *const *names,
                            neap_tensor *const *tensors, const char *const *metadata);
neap_bundle *neap_safetensors_load (neap_context *c, const char *path);
bool neap_npz_save (neap_context *c, const char *path, int n, const char *const *names, neap_tensor *const *tensors);
neap_bundle *neap_npz_load (neap_context *c, const char *path);
/* The .npy header of a tensor into buf (NEAP_NPY_HEADER bytes at least); returns its length. */
#define NEAP_NPY_HEADER 512
size_t neap_npy_header (char *buf, neap_dtype d, int ndim, const int64_t *shape);
/* Reads one array from where r stands; r->size bounds it.  Lent. */
neap_tensor *neap_npy_read (neap_reader *r);

#endif
