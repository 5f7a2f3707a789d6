/*
** npz.c -- NumPy's .npz: a zip archive of .npy files, stored or deflated.
** The central directory is believed only where it agrees with the file: offsets inside it, sizes that deflate can
** reach, and a checksum over every array.  Archives are written stored, below 4 GB.
*/
#include "file.h"
#include <string.h>
#include <zlib.h>

#define LOCAL 0x04034b50u
#define CENTRAL 0x02014b50u
#define END 0x06054b50u
#define END64_LOCATOR 0x07064b50u
#define END64 0x06064b50u
#define LOCAL_BYTES 30
#define CENTRAL_BYTES 46
#define END_BYTES 22
#define MOST_SHRINKING 1032
#define NAME_BYTES 256

static uint64_t get (const unsigned char *p, int bytes) {
  uint64_t v = 0;
  memcpy(&v, p, (size_t)bytes);
  return v;
}

/* ---- reading ---- */

typedef struct member {                    /* one file of the archive */
  char name[NAME_BYTES];
  int method, flags;
  uint32_t crc;
  uint64_t packed, size, offset;
} member;

typedef struct unpacker {
  z_stream z;
  bool deflated;
  int64_t left;                            /* packed bytes not yet read */
  uLong crc;
  unsigned char buf[1 << 15];
} unpacker;

static void *bad (neap_reader *r, const char *found) {
  return neap_fail(r->c, NEAP_EIO, "%s: malformed .npz: %s", r->path, found);
}

static bool read_at (neap_reader *r, uint64_t at, void *buf, uint64_t n, const char *what) {
  if (at > (uint64_t)r->size || fseeko(r->f, (off_t)at, SEEK_SET) != 0)
    return bad(r, "an offset lies outside the file");
  r->at = (int64_t)at;
  return neap_reader_get(r, buf, (int64_t)n, what);
}

/* The end record of archives beyond 4 GB or as numpy may write it: 20 bytes before the plain one. */
static bool find_end64 (neap_reader *r, uint64_t end, uint64_t *count, uint64_t *offset) {
  unsigned char locator[20], record[56];
  if (end < sizeof locator || !read_at(r, end - sizeof locator, locator, sizeof locator, "the zip64 locator"))
    return neap_ok(r->c) ? bad(r, "no zip64 record") : false;
  if (get(locator, 4) != END64_LOCATOR || !read_at(r, get(locator + 8, 8), record, sizeof record, "the zip64 record"))
    return bad(r, "no zip64 record");
  *count = get(record + 32, 8);
  *offset = get(record + 48, 8);
  return get(record, 4) == END64 || bad(r, "no zip64 record");
}

/* The number of members and where the central directory starts. */
static bool find_directory (neap_reader *r, uint64_t *count, uint64_t *offset) {
  unsigned char tail[END_BYTES + 1024];
  int64_t n = r->size < (int64_t)sizeof tail ? r->size : (int64_t)sizeof tail;
  if (n < END_BYTES || !read_at(r, (uint64_t)(r->size - n), tail, (uint64_t)n, "the end of the archive"))
    return bad(r, "it is too short to be a zip archive");
  for (int64_t i = n - END_BYTES; i >= 0; i--)
    if (get(tail + i, 4) == END) {
      *count = get(tail + i + 10, 2);
      *offset = get(tail + i + 16, 4);
      if (*count != 0xffff && *offset != 0xffffffff)
        return true;
      return find_end64(r, (uint64_t)(r->size - n + i), count, offset);
    }
  return bad(r, "no zip directory was found");
}

/* Sizes beyond 32 bits stand in the extra field, in this order. */
static bool take_zip64 (neap_reader *r, member *m, const unsigned char *extra, uint64_t n) {
  uint64_t *wide[] = {&m->size, &m->packed, &m->offset};
  for (uint64_t at = 0; at + 4 <= n; at += 4 + get(extra + at + 2, 2)) {
    uint64_t bytes = get(extra + at + 2, 2), p = at + 4;
    if (get(extra + at, 2) != 1 || bytes > n - p)
      continue;
    for (int i = 0; i < 3; i++)
      if (*wide[i] == 0xffffffff) {
        if (p + 8 > at + 4 + bytes)
          return bad(r, "a zip64 field is too short");
        *wide[i] = get(extra + p, 8);
        p += 8;
      }
  }
  return true;
}

static bool read_member (neap_reader *r, uint64_t *at, member *m) {
  unsigned char h[CENTRAL_BYTES], extra[1024];
  if (!read_at(r, *at, h, sizeof h, "the zip directory"))
    return false;
  uint64_t name = get(h + 28, 2), n = get(h + 30, 2);
  if (get(h, 4) != CENTRAL || name >= NAME_BYTES || n > sizeof extra)
    return bad(r, "its directory is damaged, or a name has more than 255 bytes");
  *m = (member){.flags = (int)get(h + 8, 2), .method = (int)get(h + 10, 2), .crc = (uint32_t)get(h + 16, 4),
                .packed = get(h + 20, 4), .size = get(h + 24, 4), .offset = get(h + 42, 4)};
  if (!neap_reader_get(r, m->name, (int64_t)name, "a name") || !neap_reader_get(r, extra, (int64_t)n, "a zip field"))
    return false;
  *at += CENTRAL_BYTES + name + n + get(h + 32, 2);
  return take_zip64(r, m, extra, n);
}

static int64_t pull_stored (unpacker *u, neap_reader *r, void *buf, int64_t n) {
  if (n > u->left)
    n = u->left;
  u->left -= n;
  return (int64_t)fread(buf, 1, (size_t)n, r->f);
}

static int64_t pull_deflated (unpacker *u, neap_reader *r, void *buf, int64_t n) {
  int64_t came = 0;
  for (int code = Z_OK; came < n && code == Z_OK; ) {
    if (u->z.avail_in == 0) {
      u->z.next_in = u->buf;
      u->z.avail_in = (uInt)pull_stored(u, r, u->buf, (int64_t)sizeof u->buf);
    }
    uInt want = n - came > (1 << 20) ? 1u << 20 : (uInt)(n - came);
    u->z.next_out = (Bytef *)buf + came;
    u->z.avail_out = want;
    code = inflate(&u->z, Z_NO_FLUSH);
    came += want - u->z.avail_out;
    if (code != Z_OK && code != Z_STREAM_END) {
      bad(r, "damaged deflate data");
      return -1;
    }
  }
  return came;
}

static int64_t pull (neap_reader *r, void *buf, int64_t n) {
  unpacker *u = r->packed;
  int64_t came = u->deflated ? pull_deflated(u, r, buf, n) : pull_stored(u, r, buf, n);
  for (int64_t at = 0; at < came; at += 1 << 30)
    u->crc = crc32(u->crc, (const Bytef *)buf + at, (uInt)(came - at < 1 << 30 ? came - at : 1 << 30));
  return came;
}

static bool check_member (neap_reader *r, const member *m) {
  if ((m->flags & 1) || (m->method != 0 && m->method != 8))
    return bad(r, "a member is encrypted or packed by another method than deflate");
  if (m->packed > (uint64_t)r->size || m->size > (m->method ? m->packed * MOST_SHRINKING : m->packed))
    return bad(r, "a member's size does not fit the file");
  return true;
}

/* Reads the array that starts at the reader's place in the file. */
static neap_tensor *unpack (neap_reader *r, unpacker *u, const member *m) {
  *u = (unpacker){.deflated = m->method == 8, .left = (int64_t)m->packed, .crc = crc32(0, NULL, 0)};
  if (u->deflated && inflateInit2(&u->z, -MAX_WBITS) != Z_OK)
    return neap_fail(r->c, NEAP_EMEMORY, "%s: cannot be unpacked: not enough memory", r->path);
  neap_reader inner = {.c = r->c, .path = r->path, .f = r->f, .size = (int64_t)m->size, .pull = pull, .packed = u};
  neap_tensor *t = neap_npy_read(&inner);
  if (u->deflated)
    inflateEnd(&u->z);
  if (t && (inner.at != inner.size || u->crc != m->crc))
    return bad(r, inner.at != inner.size ? "bytes follow an array" : "a checksum is wrong");
  return t;
}

static neap_tensor *read_array (neap_reader *r, const member *m) {
  unsigned char h[LOCAL_BYTES];
  if (!check_member(r, m) || !read_at(r, m->offset, h, sizeof h, "a member's header"))
    return NULL;
  uint64_t start = m->offset + LOCAL_BYTES + get(h + 26, 2) + get(h + 28, 2);
  if (get(h, 4) != LOCAL || start > (uint64_t)r->size || m->packed > (uint64_t)r->size - start)
    return bad(r, "a member lies outside the file");
  if (!read_at(r, start, h, 0, "a member"))
    return NULL;
  unpacker *u = neap_malloc(r->c, sizeof *u);
  neap_tensor *t = u ? unpack(r, u, m) : NULL;
  neap_free(r->c, u, u ? sizeof *u : 0);
  return t;
}

static bool add_member (neap_reader *r, neap_bundle *b, member *m) {
  if (!neap_path_ends(m->name, ".npy"))
    return neap_fail(r->c, NEAP_EIO, "%s: member '%s' is no .npy file", r->path, m->name);
  neap_scope s = neap_scope_open(r->c);
  neap_tensor *t = read_array(r, m);
  m->name[strlen(m->name) - 4] = '\0';
  bool ok = neap_bundle_add(b, m->name, t);
  neap_scope_close(r->c, s);
  return ok;
}

static bool read_archive (neap_reader *r, neap_bundle *b) {
  uint64_t count = 0, at = 0;
  member m;
  if (!find_directory(r, &count, &at))
    return false;
  for (uint64_t i = 0; i < count; i++)
    if (!read_member(r, &at, &m) || !add_member(r, b, &m))
      return false;
  return true;
}

neap_bundle *neap_npz_load (neap_context *c, const char *path) {
  neap_reader r;
  if (!neap_reader_open(&r, c, path))
    return NULL;
  neap_bundle *b = neap_bundle_new(c);
  if (b && !read_archive(&r, b)) {
    neap_bundle_release(b);
    b = NULL;
  }
  neap_reader_close(&r);
  return b;
}

/* ---- writing ---- */

static void set (unsigned char *p, int bytes, uint64_t v) { memcpy(p, &v, (size_t)bytes); }

/* What the local and the central record share, from the version needed on: 26 bytes. */
static void describe (unsigned char *p, const member *m) {
  set(p, 2, 20);
  set(p + 2, 2, 1 << 11);                  /* the name is UTF-8 */
  set(p + 4, 2, 0);                        /* stored */
  set(p + 6, 4, 0x00210000);               /* 1980-01-01: the same tensors give the same file */
  set(p + 10, 4, m->crc);
  set(p + 14, 4, m->size);
  set(p + 18, 4, m->size);
  set(p + 22, 2, strlen(m->name));
  set(p + 24, 2, 0);
}

/* x contiguous */
static bool put_member (neap_writer *w, member *m, const char *name, const neap_tensor *x) {
  char header[NEAP_NPY_HEADER];
  unsigned char local[LOCAL_BYTES];
  size_t n = neap_npy_header(header, x->dtype, x->ndim, x->shape);
  size_t bytes = (size_t)neap_numel(x) * neap_dtype_size(x->dtype);
  snprintf(m->name, sizeof m->name, "%s.npy", name);
  m->size = n + bytes;
  if (m->offset + m->size + (1 << 20) > UINT32_MAX)
    return neap_fail(w->c, NEAP_EARG, "save: %s: an .npz holds at most 4 GB here: use .safetensors", w->path);
  m->crc = (uint32_t)crc32(crc32(0, NULL, 0), (const Bytef *)header, (uInt)n);
  m->crc = (uint32_t)crc32(m->crc, neap_ptr(x), (uInt)bytes);
  set(local, 4, LOCAL);
  describe(local + 4, m);
  return neap_writer_put(w, local, sizeof local) && neap_writer_put(w, m->name, strlen(m->name)) &&
         neap_writer_put(w, header, n) && neap_writer_put(w, neap_ptr(x), bytes);
}

static bool put_central (neap_writer *w, const member *m) {
  unsigned char h[CENTRAL_BYTES] = {0};
  set(h, 4, CENTRAL);
  set(h + 4, 2, 20);
  describe(h + 6, m);
  set(h + 42, 4, m->offset);
  return neap_writer_put(w, h, sizeof h) && neap_writer_put(w, m->name, strlen(m->name));
}

static bool put_end (neap_writer *w, int n, uint64_t start, uint64_t end) {
  unsigned char h[END_BYTES] = {0};
  set(h, 4, END);
  set(h + 8, 2, (uint64_t)n);
  set(h + 10, 2, (uint64_t)n);
  set(h + 12, 4, end - start);
  set(h + 16, 4, start);
  return neap_writer_put(w, h, sizeof h);
}

static bool put_archive (neap_writer *w, member *m, int n, const char *const *names, neap_tensor *const *tensors) {
  uint64_t at = 0, end;
  for (int i = 0; i < n; i++) {
    neap_scope s = neap_scope_open(w->c);
    neap_tensor *x = neap_contiguous_data(w->c, tensors[i]);
    m[i].offset = at;
    bool ok = x && put_member(w, &m[i], names[i], x);
    neap_scope_close(w->c, s);
    if (!ok)
      return false;
    at += LOCAL_BYTES + strlen(m[i].name) + m[i].size;
  }
  end = at;
  for (int i = 0; i < n; i++) {
    if (!put_central(w, &m[i]))
      return false;
    end += CENTRAL_BYTES + strlen(m[i].name);
  }
  return put_end(w, n, at, end);
}

static bool check_names (neap_context *c, const char *path, int n, const char *const *names) {
  if (n >= 0xffff)
    return neap_fail(c, NEAP_EARG, "save: %s: an .npz holds at most 65534 arrays, %d were given", path, n);
  for (int i = 0; i < n; i++)
    if (strlen(names[i]) + 5 > NAME_BYTES)
      return neap_fail(c, NEAP_EARG, "save: %s: the name '%.60s…' has more than 251 bytes", path, names[i]);
  return true;
}

bool neap_npz_save (neap_context *c, const char *path, int n, const char *const *names, neap_tensor *const *tensors) {
  neap_writer w;
  size_t bytes = (size_t)(n + 1) * sizeof(member);
  member *m = check_names(c, path, n, names) ? neap_calloc(c, bytes) : NULL;
  bool ok = m && neap_writer_open(&w, c, path) && neap_writer_close(&w, put_archive(&w, m, n, names, tensors));
  neap_free(c, m, m ? bytes : 0);
  return ok;
}
