/*
** file.c -- opening, reading exactly, and writing so that a file is whole or not there.
** A writer works on PATH.<something>.tmp in the same folder and renames it over PATH after fsync.
*/
#include "file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TRIES 100

static bool fail_errno (neap_context *c, const char *path, const char *doing) {
  int code = errno;
  char text[128];
  if (code == ENOMEM)
    return neap_fail(c, NEAP_EMEMORY, "%s: cannot %s: not enough memory", path, doing);
  return neap_fail(c, NEAP_EIO, "%s: cannot %s: %s", path, doing, strerror_r(code, text, sizeof text));
}

static int64_t pull_plain (neap_reader *r, void *buf, int64_t n) {
  size_t came = fread(buf, 1, (size_t)n, r->f);
  if (came < (size_t)n && ferror(r->f)) {
    fail_errno(r->c, r->path, "read");
    return -1;
  }
  return (int64_t)came;
}

bool neap_reader_open (neap_reader *r, neap_context *c, const char *path) {
  struct stat st;
  *r = (neap_reader){.c = c, .path = path, .pull = pull_plain};
  if (!neap_ok(c))
    return false;
  r->f = fopen(path, "rbe");
  if (r->f == NULL || fstat(fileno(r->f), &st) != 0)
    fail_errno(c, path, "open");
  else if (!S_ISREG(st.st_mode))
    neap_fail(c, NEAP_EIO, "%s: not a regular file", path);
  else
    r->size = st.st_size;
  if (!neap_ok(c))
    neap_reader_close(r);
  return neap_ok(c);
}

void neap_reader_close (neap_reader *r) {
  if (r->f)
    fclose(r->f);
  r->f = NULL;
}

bool neap_reader_get (neap_reader *r, void *buf, int64_t n, const char *what) {
  if (n > r->size - r->at)
    return neap_fail(r->c, NEAP_EIO, "%s: truncated: %s needs %lld bytes from byte %lld, the file has %lld", r->path,
                     what,
                     (long long)n, (long long)r->at, (long long)r->size);
  int64_t came = n > 0 ? r->pull(r, buf, n) : 0;
  if (came < n)
    return came < 0 ? false : neap_fail(r->c, NEAP_EIO, "%s: truncated: it ended after %lld of the %lld bytes of %s",
                                        r->path,
                                        (long long)came, (long long)n, what);
  r->at += n;
  return true;
}

char *neap_reader_all (neap_reader *r) {
  char *text = neap_malloc(r->c, (size_t)r->size + 1);
  if (text == NULL)
    return NULL;
  if (!neap_reader_get(r, text, r->size, "the file")) {
    neap_free(r->c, text, (size_t)r->size + 1);
    return NULL;
  }
  text[r->size] = '\0';
  return text;
}

/* O_EXCL with the usual permissions, which mkstemp does not give. */
static int open_temporary (neap_writer *w) {
  for (int i = 0; i < TRIES; i++) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    snprintf(w->temporary, w->temporary_bytes, "%s.%ld.%lx.tmp", w->path, (long)getpid(),
             (unsigned long)t.tv_nsec + (unsigned long)i);
    int fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST)
      return fd;
  }
  return -1;
}

bool neap_writer_open (neap_writer *w, neap_context *c, const char *path) {
  *w = (neap_writer){.c = c, .path = path, .temporary_bytes = strlen(path) + 48};
  if (!neap_ok(c) || (w->temporary = neap_malloc(c, w->temporary_bytes)) == NULL)
    return false;
  int fd = open_temporary(w);
  if (fd >= 0 && (w->f = fdopen(fd, "wb")) != NULL)
    return true;
  fail_errno(c, path, "write");
  if (fd >= 0) {
    close(fd);
    unlink(w->temporary);
  }
  neap_free(c, w->temporary, w->temporary_bytes);
  w->temporary = NULL;
  return false;
}

bool neap_writer_put (neap_writer *w, const void *data, size_t n) {
  if (!neap_ok(w->c))
    return false;
  return n == 0 || fwrite(data, 1, n, w->f) == n || fail_errno(w->c, w->path, "write");
}

/* The rename itself must survive a crash: best effort, as some file systems refuse it. */
static void sync_folder (const char *path) {
  const char *slash = strrchr(path, '/');
  char folder[4096];
  size_t n = slash ? (size_t)(slash - path) + 1 : 0;
  if (n >= sizeof folder)
    return;
  memcpy(folder, path, n);
  folder[n] = '\0';
  int fd = open(n ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    (void)!fsync(fd);
    close(fd);
  }
}

bool neap_writer_close (neap_writer *w, bool ok) {
  if (w->temporary == NULL)
    return false;
  ok = ok && neap_ok(w->c) && ((fflush(w->f) == 0 && fsync(fileno(w->f)) == 0) || fail_errno(w->c, w->path, "write"));
  ok = (fclose(w->f) == 0 || !ok || fail_errno(w->c, w->path, "write")) && ok;
  ok = ok && (rename(w->temporary, w->path) == 0 || fail_errno(w->c, w->path, "write"));
  if (ok)
    sync_folder(w->path);
  else
    unlink(w->temporary);
  neap_free(w->c, w->temporary, w->temporary_bytes);
  w->temporary = NULL;
  return ok;
}

bool neap_path_ends (const char *path, const char *ending) {
  size_t n = strlen(path), m = strlen(ending);
  return n >= m && strcasecmp(path + n - m, ending) == 0;
}

char *neap_string_copy (neap_context *c, const char *s) {
  size_t n = strlen(s) + 1;
  char *copy = neap_malloc(c, n);
  return copy ? memcpy(copy, s, n) : NULL;
}

void neap_string_free (neap_context *c, char *s) {
  if (s)
    neap_free(c, s, strlen(s) + 1);
}
