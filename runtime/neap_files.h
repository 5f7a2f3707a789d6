/*
** neap_files.h -- reading and writing files.  Included by neap.h.
** Everything fails with NEAP_EIO and a message that names the path, what was found and what was expected; a file
** that is being written appears under its name only once it is whole (temporary file, fsync, rename).
** A reader trusts nothing: sizes are checked against the file before memory is asked for.
*/
#ifndef NEAP_FILES_H
#define NEAP_FILES_H

/* ---- Named tensors: .safetensors, .npy, .npz ---- */

/* What a file held: named tensors and metadata strings.  Yours: neap_bundle_release. */
typedef struct neap_bundle neap_bundle;

/* Writes n named tensors; the path's ending says how: ".npy" and ".csv" (n = 1, no metadata), ".npz" (no metadata),
** anything else safetensors.  metadata: key, value, key, value, …, NULL (strings in UTF-8), or NULL for none. */
NEAP_API bool neap_save (neap_context *c, const char *path, int n, const char *const *names,
                         neap_tensor *const *tensors, const char *const *metadata);
/* Reads a file written by neap_save or by others.  An .npy or .csv file gives one tensor named "data". */
NEAP_API neap_bundle *neap_load (neap_context *c, const char *path);

NEAP_API int neap_bundle_count (const neap_bundle *b);                           /* of its tensors */
NEAP_API const char *neap_bundle_name (const neap_bundle *b, int i);             /* i from 0; lent by b */
NEAP_API neap_tensor *neap_bundle_tensor (const neap_bundle *b, int i);          /* i from 0; lent by b */
NEAP_API neap_tensor *neap_bundle_find (const neap_bundle *b, const char *name); /* NULL when absent; no error is set */
/* Metadata by key, lent by b; NULL when absent. */
NEAP_API const char *neap_bundle_metadata (const neap_bundle *b, const char *key);
/* The key at position i from 0, NULL past the end; *value becomes what it has.  Lent by b. */
NEAP_API const char *neap_bundle_metadata_at (const neap_bundle *b, int i, const char **value);
NEAP_API void neap_bundle_release (neap_bundle *b);                              /* NULL is ignored */

/* The CRC-32 of n bytes, going on from crc (0 at first). */
NEAP_API uint32_t neap_crc32 (uint32_t crc, const void *data, size_t n);

/* ---- Single tensors ---- */

/* NumPy's .npy (versions 1 to 3, C or Fortran order).  float32 and float64, int64, uint8 and bool keep their dtype;
** float16 gives float32; other integers give int64. */
NEAP_API neap_tensor *neap_npy_load (neap_context *c, const char *path);
/* Version 1, C order, of x's dtype. */
NEAP_API bool neap_npy_save (neap_context *c, const char *path, neap_tensor *x);

/* Numbers separated by commas -> [rows, columns] of float dtype d.  A first line with a field that is no number is the
** header.  Quoted fields, CRLF and a byte-order mark are understood; an empty field, NA and NaN give NaN.
** columns (may be NULL) receives NULL, or if there is a header a bundle of the columns [rows] by name, yours to
** release. */
NEAP_API neap_tensor *neap_csv_load (neap_context *c, const char *path, neap_dtype d, neap_bundle **columns);
/* x [rows] or [rows, columns]; names (may be NULL): one per column, for a header.  Numbers read back exactly. */
NEAP_API bool neap_csv_save (neap_context *c, const char *path, neap_tensor *x, const char *const *names);

/* The IDX format of MNIST, plain or gzipped.  Unsigned bytes give uint8, other integers int64, floats their own dtype. */
NEAP_API neap_tensor *neap_idx_load (neap_context *c, const char *path);

/* ---- Pictures: PNG, 8 bits ---- */

/* uint8 [H, W] (grey) or [H, W, 3] (RGB); transparency is laid over white. */
NEAP_API neap_tensor *neap_png_load (neap_context *c, const char *path);
/* x uint8 [H, W] or [H, W, 3]. */
NEAP_API bool neap_png_save (neap_context *c, const char *path, neap_tensor *x);
/* An animated PNG, which starts again at its end.  x uint8 [frames, H, W] or [frames, H, W, 3], each frame shown for
** 1 to 65535 milliseconds. */
NEAP_API bool neap_apng_save (neap_context *c, const char *path, neap_tensor *x, int64_t milliseconds);

#endif
