/*
** apng.c -- films: pictures one after the other in an animated PNG (W3C, PNG Specification, third edition, 2025).
** libpng encodes each picture to memory; its compressed chunks are written again, numbered, with a frame's control
** before them.  Whoever knows plain PNG alone sees the first picture.
** Invariant: control and data chunks are numbered from 0 without a gap, in the order of the file.
*/
#include "file.h"
#include <png.h>
#include <string.h>

typedef struct film {
  neap_writer *w;
  const neap_tensor *x;                    /* [frames, H, W] or [frames, H, W, 3] */
  uint32_t milliseconds, sequence;
  unsigned char *png; size_t size;         /* one picture's */
} film;

static unsigned char *big_endian (unsigned char *to, uint64_t v, int bytes) {
  for (int i = bytes - 1; i >= 0; i--) *to++ = (unsigned char)(v >> 8 * i);
  return to;
}

/* type, then a number if it is not negative, then data */
static bool put_chunk (neap_writer *w, const char *type, int64_t number, const void *data, size_t n) {
  unsigned char head[12], sum[4], *end = head + 8;
  memcpy(head + 4, type, 4);
  if (number >= 0) end = big_endian(end, (uint64_t)number, 4);
  big_endian(head, n + (size_t)(end - head) - 8, 4);
  uint32_t crc = neap_crc32(neap_crc32(0, head + 4, (size_t)(end - head) - 4), data, n);
  big_endian(sum, crc, 4);
  return neap_writer_put(w, head, (size_t)(end - head)) && neap_writer_put(w, data, n) && neap_writer_put(w, sum, 4);
}

/* how many frames; 0: played for ever */
static bool put_animation (const film *f) {
  unsigned char data[8];
  big_endian(big_endian(data, (uint64_t)f->x->shape[0], 4), 0, 4);
  return put_chunk(f->w, "acTL", -1, data, sizeof data);
}

/* the size, no offset, how long, and that the picture takes the place of the one before */
static bool put_control (film *f) {
  unsigned char data[22], *at = data;
  at = big_endian(at, (uint64_t)f->x->shape[2], 4);
  at = big_endian(at, (uint64_t)f->x->shape[1], 4);
  at = big_endian(at, 0, 8);
  at = big_endian(at, f->milliseconds, 2);
  at = big_endian(at, 1000, 2);
  big_endian(at, 0, 2);
  return put_chunk(f->w, "fcTL", f->sequence++, data, sizeof data);
}

static bool encode (film *f, const char *pixels) {
  png_image image;
  png_alloc_size_t size = f->size;
  memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  image.height = (png_uint_32)f->x->shape[1];
  image.width = (png_uint_32)f->x->shape[2];
  image.format = f->x->ndim == 4 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  if (!f->png) {
    size = PNG_IMAGE_PNG_SIZE_MAX(image);
    if (!(f->png = neap_malloc(f->w->c, f->size = size))) return false;
  }
  bool ok = png_image_write_to_memory(&image, f->png, &size, 0, pixels, 0, NULL);
  if (!ok) neap_fail(f->w->c, NEAP_EIO, "%s: cannot write: %s", f->w->path, image.message);
  png_image_free(&image);
  return ok;
}

/* The chunks of the picture that was encoded: all of the first one's, of others only the pixels. */
static bool put_picture (film *f, bool first) {
  const unsigned char *p = f->png + 8;
  bool ok = !first || neap_writer_put(f->w, f->png, 8), controlled = false;
  while (ok) {
    uint32_t n = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    bool pixels = memcmp(p + 4, "IDAT", 4) == 0;
    if (memcmp(p + 4, "IEND", 4) == 0) return true;
    if (pixels && !controlled) ok = controlled = put_control(f);
    if (pixels && !first) ok = ok && put_chunk(f->w, "fdAT", f->sequence++, p + 8, n);
    else if (first) ok = ok && neap_writer_put(f->w, p, n + 12u);
    if (first && memcmp(p + 4, "IHDR", 4) == 0) ok = ok && put_animation(f);
    p += n + 12u;
  }
  return false;
}

static bool put_film (neap_writer *w, const neap_tensor *x, uint32_t milliseconds) {
  film f = { .w = w, .x = x, .milliseconds = milliseconds };
  int64_t bytes = neap_numel(x) / x->shape[0];
  bool ok = true;
  for (int64_t i = 0; ok && i < x->shape[0]; i++)
    ok = neap_poll(w->c) && encode(&f, (const char *)neap_ptr(x) + i * bytes) && put_picture(&f, i == 0);
  neap_free(w->c, f.png, f.size);
  return ok && put_chunk(w, "IEND", -1, "", 0);
}

static bool check (neap_context *c, const char *path, const neap_tensor *x, int64_t milliseconds) {
  bool grey = x->ndim == 3, rgb = x->ndim == 4 && x->shape[3] == 3;
  if (x->dtype != NEAP_UINT8 || !(grey || rgb) || neap_numel(x) == 0)
    return neap_fail(c, NEAP_ESHAPE, "image: %s: uint8 [frames, H, W] or [frames, H, W, 3] expected, got %s %s", path,
                     neap_dtype_name(x->dtype), SHAPE_TEXT(x));
  if (x->shape[1] > 1 << 14 || x->shape[2] > 1 << 14)
    return neap_fail(c, NEAP_ESHAPE, "image: %s: at most 16384 rows and columns expected, got %s", path, SHAPE_TEXT(x));
  if (milliseconds >= 1 && milliseconds <= 65535) return true;
  return neap_fail(c, NEAP_EARG, "image: %s: 1 to 65535 milliseconds a frame expected, got %lld", path,
                   (long long)milliseconds);
}

bool neap_apng_save (neap_context *c, const char *path, neap_tensor *x, int64_t milliseconds) {
  neap_writer w;
  if (x == NULL || !neap_ok(c) || !check(c, path, x, milliseconds)) return false;
  neap_scope s = neap_scope_open(c);
  neap_tensor *flat = neap_contiguous_data(c, x);
  bool ok = flat && neap_writer_open(&w, c, path) &&
            neap_writer_close(&w, put_film(&w, flat, (uint32_t)milliseconds));
  neap_scope_close(c, s);
  return ok;
}
