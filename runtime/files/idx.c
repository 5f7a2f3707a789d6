/*
** idx.c -- the IDX format of MNIST, plain or gzipped.
** Magic 0, 0, type, number of dimensions; then the sizes, big-endian; then the elements, big-endian; nothing more.
** gzip hides the real size, but cannot shrink more than 1032 times: that bounds what a header may promise.
*/
#include "file.h"
#include <string.h>
#include <zlib.h>

#define MOST_SHRINKING 1032

static const struct { int code; neap_raw_kind kind; } types[] = {
  {0x08, RAW_U8}, {0x09, RAW_I8}, {0x0b, RAW_I16}, {0x0c, RAW_I32}, {0x0d, RAW_F32}, {0x0e, RAW_F64},
};
#define NTYPES (int)(sizeof types / sizeof *types)

static int64_t pull_gzip (neap_reader *r, void *buf, int64_t n) {
  int64_t came = 0;
  while (came < n) {
    unsigned want = n - came > (1 << 20) ? 1 << 20 : (unsigned)(n - came);
    int got = gzread(r->packed, (char *)buf + came, want);
    int code = Z_OK;
    const char *text = gzerror(r->packed, &code);
    if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) {
      neap_fail(r->c, NEAP_EIO, "%s: truncated or damaged gzip data: %s", r->path, text);
      return -1;
    }
    came += got;
    if (got == 0)
      break;
    if (!neap_poll(r->c))
      return -1;
  }
  return came;
}

/* Turns r into a reader of what its gzip file holds, if it is one. */
static bool look_inside (neap_reader *r) {
  unsigned char magic[2] = {0};
  if (r->size < 2 || !neap_reader_get(r, magic, 2, "the magic number"))
    return neap_ok(r->c);
  rewind(r->f);
  r->at = 0;
  if (magic[0] != 0x1f || magic[1] != 0x8b)
    return true;
  if ((r->packed = gzopen(r->path, "rbe")) == NULL)
    return neap_fail(r->c, NEAP_EMEMORY, "%s: cannot be unpacked: not enough memory", r->path);
  r->pull = pull_gzip;
  r->size *= MOST_SHRINKING;
  return true;
}

static bool read_header (neap_reader *r, neap_raw *raw, int *ndim, int64_t *shape) {
  unsigned char magic[4], size[4];
  if (!neap_reader_get(r, magic, 4, "the magic number"))
    return false;
  int type = 0;
  while (type < NTYPES && types[type].code != magic[2])
    type++;
  if (magic[0] || magic[1] || type == NTYPES || magic[3] < 1 || magic[3] > NEAP_MAX_DIMS)
    return neap_fail(r->c, NEAP_EIO,
                     "%s: not an IDX file: it starts with %02x %02x %02x %02x, expected 00 00, a type (08 09 0b 0c 0d "
                     "or 0e) and 1 to 8 dimensions", r->path, magic[0], magic[1], magic[2], magic[3]);
  *raw = (neap_raw){types[type].kind, true};
  *ndim = magic[3];
  for (int i = 0; i < *ndim; i++) {
    if (!neap_reader_get(r, size, 4, "the sizes"))
      return false;
    shape[i] = (int64_t)size[0] << 24 | size[1] << 16 | size[2] << 8 | size[3];
  }
  return true;
}

/* Nothing may follow the array. */
static bool at_end (neap_reader *r) {
  char extra;
  int64_t more = r->packed ? r->pull(r, &extra, 1) : r->size - r->at;
  return more == 0 || (more > 0 && neap_fail(r->c, NEAP_EIO, "%s: bytes follow the %lld that its header promises",
                                             r->path,
                                             (long long)r->at));
}

neap_tensor *neap_idx_load (neap_context *c, const char *path) {
  neap_reader r;
  neap_raw raw = {0};
  int ndim = 0;
  int64_t shape[NEAP_MAX_DIMS];
  if (!neap_reader_open(&r, c, path))
    return NULL;
  neap_tensor *t = NULL;
  if (look_inside(&r) && read_header(&r, &raw, &ndim, shape) && (t = neap_raw_read(&r, raw, ndim, shape)) &&
      !at_end(&r))
    t = NULL;
  if (r.packed)
    gzclose(r.packed);
  neap_reader_close(&r);
  return t;
}
