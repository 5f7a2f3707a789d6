/*
** raw.c -- elements as files hold them -> tensors.
** Kinds that are a dtype of neap's are read straight into the tensor; others pass a small buffer.
*/
#include "file.h"
#include <string.h>

#define CHUNK 4096                         /* elements */

static const struct { int8_t size; neap_dtype dtype; bool direct; } kinds[RAW_KINDS] = {
  [RAW_BOOL] = {1, NEAP_BOOL, false}, [RAW_U8] = {1, NEAP_UINT8, true},
  [RAW_I8] = {1, NEAP_INT64, false}, [RAW_U16] = {2, NEAP_INT64, false}, [RAW_I16] = {2, NEAP_INT64, false},
  [RAW_U32] = {4, NEAP_INT64, false}, [RAW_I32] = {4, NEAP_INT64, false}, [RAW_I64] = {8, NEAP_INT64, true},
  [RAW_F16] = {2, NEAP_FLOAT32, false}, [RAW_BF16] = {2, NEAP_FLOAT32, false},
  [RAW_F32] = {4, NEAP_FLOAT32, true}, [RAW_F64] = {8, NEAP_FLOAT64, true},
};

int64_t neap_raw_bytes (neap_raw_kind kind, int ndim, const int64_t *shape) {
  int64_t n = kinds[kind].size;
  bool empty = false, overflow = false;
  for (int i = 0; i < ndim; i++) {
    empty = empty || shape[i] == 0;
    overflow = overflow || shape[i] < 0 || (shape[i] > 0 && __builtin_mul_overflow(n, shape[i], &n));
  }
  return overflow ? -1 : empty ? 0 : n;
}

static void swap_bytes (unsigned char *p, int64_t n, int size) {
  for (int64_t i = 0; i < n; i++, p += size)
    for (int a = 0, b = size - 1; a < b; a++, b--) {
      unsigned char t = p[a];
      p[a] = p[b];
      p[b] = t;
    }
}

static float from_bits (uint32_t u) {
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}

/* IEEE half: 5 bits of exponent, 10 of fraction. */
static float from_half (uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, fraction = h & 1023u;
  if (exponent == 0)
    return from_bits(sign | 0x3f800000u) * (float)fraction * 0x1p-24f;
  return from_bits(sign | ((exponent == 31 ? 255u : exponent + 112u) << 23) | fraction << 13);
}

#define CONVERT(from, to, value)                                            \
  for (int64_t i = 0; i < n; i++) {                                         \
    from v;                                                                 \
    memcpy(&v, (const char *)src + i * (int64_t)sizeof v, sizeof v);        \
    ((to *)dst)[i] = value;                                                 \
  }                                                                         \
  break

static void convert (neap_raw_kind kind, const void *src, void *dst, int64_t n) {
  switch (kind) {
    case RAW_BOOL: CONVERT(uint8_t, uint8_t, v != 0);
    case RAW_I8: CONVERT(int8_t, int64_t, v);
    case RAW_U16: CONVERT(uint16_t, int64_t, v);
    case RAW_I16: CONVERT(int16_t, int64_t, v);
    case RAW_U32: CONVERT(uint32_t, int64_t, v);
    case RAW_I32: CONVERT(int32_t, int64_t, v);
    case RAW_F16: CONVERT(uint16_t, float, from_half(v));
    case RAW_BF16: CONVERT(uint16_t, float, from_bits((uint32_t)v << 16));
    default: memcpy(dst, src, (size_t)(n * kinds[kind].size)); break;
  }
}

static bool read_through (neap_reader *r, neap_raw raw, char *dst, int64_t n) {
  _Alignas(8) unsigned char buf[CHUNK * 8];
  int size = kinds[raw.kind].size;
  int64_t out = (int64_t)neap_dtype_size(kinds[raw.kind].dtype);
  for (int64_t at = 0; at < n; at += CHUNK) {
    int64_t m = n - at < CHUNK ? n - at : CHUNK;
    if (!neap_reader_get(r, buf, m * size, "the data"))
      return false;
    if (raw.big_endian)
      swap_bytes(buf, m, size);
    convert(raw.kind, buf, dst + at * out, m);
  }
  return true;
}

neap_tensor *neap_raw_read (neap_reader *r, neap_raw raw, int ndim, const int64_t *shape) {
  int64_t bytes = neap_raw_bytes(raw.kind, ndim, shape);
  if (bytes < 0 || bytes > r->size - r->at)
    return neap_fail(r->c, NEAP_EIO,
                     "%s: truncated: an array of shape %s with %d bytes an element was promised, %lld bytes are left",
                     r->path, neap_shape_text((char[NEAP_SHAPE_BYTES]){0}, ndim, shape), kinds[raw.kind].size,
                     (long long)(r->size - r->at));
  neap_tensor *t = neap_tensor_new(r->c, kinds[raw.kind].dtype, ndim, shape);
  if (t == NULL)
    return NULL;
  bool direct = kinds[raw.kind].direct && !(raw.big_endian && kinds[raw.kind].size > 1);
  bool ok = direct ? neap_reader_get(r, neap_ptr(t), bytes, "the data")
                   : read_through(r, raw, neap_ptr(t), bytes / kinds[raw.kind].size);
  return ok ? t : NULL;
}
