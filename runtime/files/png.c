/*
** png.c -- 8-bit grey and RGB pictures through libpng's simplified interface.
** That interface catches libpng's own errors inside, so none passes through neap's frames; it reads and writes FILE*.
*/
#include "file.h"
#include <png.h>
#include <string.h>

#define MAX_PIXELS (1 << 28)

static neap_tensor *read_pixels (neap_reader *r, png_image *image) {
  neap_context *c = r->c;
  bool rgb = image->format & PNG_FORMAT_FLAG_COLOR;
  png_color white = {255, 255, 255};
  if ((int64_t)image->width * image->height > MAX_PIXELS)
    return neap_fail(c, NEAP_EIO, "%s: %lu x %lu pixels, expected at most 2^28", r->path, (unsigned long)image->height,
                     (unsigned long)image->width);
  image->format = rgb ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  neap_tensor *t = neap_tensor_new(c, NEAP_UINT8, rgb ? 3 : 2, (int64_t[]){image->height, image->width, 3});
  if (t && !png_image_finish_read(image, &white, neap_ptr(t), 0, NULL))
    return neap_fail(c, NEAP_EIO, "%s: damaged PNG: %s", r->path, image->message);
  return t;
}

/* The chunks lead to IEND, which the simplified interface does not read. */
static bool is_whole (neap_reader *r) {
  unsigned char h[8];                      /* length, type; data and checksum follow */
  for (int64_t at = 8; at + 12 <= r->size; at += 12 + ((int64_t)h[0] << 24 | h[1] << 16 | h[2] << 8 | h[3])) {
    if (fseeko(r->f, at, SEEK_SET) != 0 || fread(h, 1, sizeof h, r->f) != sizeof h) return false;
    if (memcmp(h + 4, "IEND", 4) == 0) return true;
  }
  return false;
}

neap_tensor *neap_png_load (neap_context *c, const char *path) {
  neap_reader r;
  neap_tensor *t = NULL;
  png_image image;
  if (!neap_reader_open(&r, c, path))
    return NULL;
  memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_stdio(&image, r.f))
    t = read_pixels(&r, &image);
  else
    neap_fail(c, NEAP_EIO, "%s: not a PNG file: %s", path, image.message);
  png_image_free(&image);
  if (t && !is_whole(&r))
    t = neap_fail(c, NEAP_EIO, "%s: truncated PNG: it ends before its last chunk", path);
  neap_reader_close(&r);
  return t;
}

/* x uint8 [H, W] or [H, W, 3], contiguous */
static bool write_pixels (neap_writer *w, const neap_tensor *x) {
  png_image image;
  memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  image.height = (png_uint_32)x->shape[0];
  image.width = (png_uint_32)x->shape[1];
  image.format = x->ndim == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  bool ok = png_image_write_to_stdio(&image, w->f, 0, neap_ptr(x), 0, NULL);
  if (!ok)
    neap_fail(w->c, NEAP_EIO, "%s: cannot write: %s", w->path, image.message);
  png_image_free(&image);
  return ok;
}

bool neap_png_save (neap_context *c, const char *path, neap_tensor *x) {
  neap_writer w;
  if (x == NULL || !neap_ok(c))
    return false;
  bool grey = x->ndim == 2, rgb = x->ndim == 3 && x->shape[2] == 3;
  if (x->dtype != NEAP_UINT8 || !(grey || rgb) || neap_numel(x) == 0)
    return neap_fail(c, NEAP_ESHAPE, "image: %s: uint8 [H, W] or [H, W, 3] expected, got %s %s", path,
                     neap_dtype_name(x->dtype),
                     SHAPE_TEXT(x));
  if (x->shape[0] * x->shape[1] > MAX_PIXELS)
    return neap_fail(c, NEAP_ESHAPE, "image: %s: at most 2^28 pixels expected, got %s", path, SHAPE_TEXT(x));
  neap_scope s = neap_scope_open(c);
  neap_tensor *flat = neap_contiguous_data(c, x);
  bool ok = flat && neap_writer_open(&w, c, path) && neap_writer_close(&w, write_pixels(&w, flat));
  neap_scope_close(c, s);
  return ok;
}
