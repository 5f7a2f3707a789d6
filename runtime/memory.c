/*
** memory.c -- counted allocation, storages and their free list.
** Invariant: live is the sum of all bytes asked of the allocator and not given back, cached storages included;
** it never exceeds the cap.  Storages of 64 KB and more return to the context's free list.
*/
#include "core.h"
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64, CACHE_FROM = 64 << 10, CACHE_MAX = 64 << 20, HUGE_FROM = 2 << 20 };

/* Another thread may lower live meanwhile, when it releases a storage; only the context's own raises it. */
static void count_change (neap_context *c, size_t osize, size_t nsize) {
  size_t now = atomic_fetch_add(&c->live, nsize - osize) + (nsize - osize);
  if (now > c->peak) c->peak = now;
  c->allocations++;
}

static void *refuse (neap_context *c, size_t size) {
  size_t live = atomic_load(&c->live);
  if (c->cap) return neap_fail(c, NEAP_EMEMORY, "not enough memory: %zu more bytes asked for, %zu in use, cap %zu",
                               size, live, c->cap);
  return neap_fail(c, NEAP_EMEMORY, "not enough memory: %zu more bytes asked for, %zu in use", size, live);
}

/* written without a sum that could wrap; the cap may have been lowered below what is in use */
static bool below_cap (const neap_context *c, size_t more) {
  size_t live = atomic_load(&c->live);
  return live <= c->cap && more <= c->cap - live;
}

static bool fits (neap_context *c, size_t more) {
  if (!c->cap || below_cap(c, more)) return true;
  neap_storage_trim(c);
  return below_cap(c, more);
}

void *neap_realloc (neap_context *c, void *p, size_t osize, size_t nsize) {
  if (nsize > osize && !fits(c, nsize - osize)) return refuse(c, nsize - osize);
  void *q = c->alloc(c->alloc_arg, p, p ? osize : 0, nsize);
  if (!q) return refuse(c, nsize);
  count_change(c, osize, nsize);
  return q;
}

void *neap_malloc (neap_context *c, size_t size) { return neap_realloc(c, NULL, 0, size ? size : 1); }

void *neap_calloc (neap_context *c, size_t size) {
  void *p = neap_malloc(c, size);
  return p ? memset(p, 0, size) : NULL;
}

void neap_free (neap_context *c, void *p, size_t size) {
  if (!p) return;
  size = size ? size : 1;
  c->alloc(c->alloc_arg, p, size, 0);
  atomic_fetch_sub(&c->live, size);
}

void *neap_object_new (neap_context *c, size_t size) {
  void *p = neap_ok(c) ? neap_calloc(c, size) : NULL;
  if (p) atomic_fetch_add(&c->refs, 1);
  return p;
}

void neap_object_free (neap_context *c, void *p, size_t size) {
  neap_free(c, p, size);
  neap_context_release(c);                             /* last: it may be the context's end */
}

/* ---- storages: header, padding to 64 bytes, data, 64 bytes that may be read ---- */

static size_t storage_bytes (size_t data) { return sizeof(neap_storage) + 2 * ALIGN + data; }

static void lock (neap_context *c) { while (atomic_flag_test_and_set_explicit(&c->free_lock, memory_order_acquire)) {} }
static void unlock (neap_context *c) { atomic_flag_clear_explicit(&c->free_lock, memory_order_release); }

/* the smallest cached storage that holds n bytes without wasting more than half */
static neap_storage *take_cached (neap_context *c, size_t n) {
  lock(c);
  neap_storage **best = NULL;
  for (neap_storage **s = &c->free_list; *s; s = &(*s)->next)
    if ((*s)->bytes >= n && (*s)->bytes <= 2 * n && (!best || (*s)->bytes < (*best)->bytes)) best = s;
  neap_storage *found = best ? *best : NULL;
  if (found) { *best = found->next; c->cached -= found->bytes; }
  unlock(c);
  return found;
}

static void storage_free (neap_storage *s) {
  neap_context *c = s->ctx;
  neap_free(c, s, storage_bytes(s->bytes));
}

void neap_storage_trim (neap_context *c) {
  lock(c);
  neap_storage *s = c->free_list;
  c->free_list = NULL; c->cached = 0;
  unlock(c);
  while (s) { neap_storage *next = s->next; storage_free(s); s = next; }
}

static void advise_huge (void *data, size_t bytes) {
  uintptr_t from = ((uintptr_t)data + HUGE_FROM - 1) & ~(uintptr_t)(HUGE_FROM - 1), to = (uintptr_t)data + bytes;
  if (to > from) madvise((void *)from, to - from, MADV_HUGEPAGE);     /* advice only: failure is no error */
}

static neap_storage *storage_fresh (neap_context *c, size_t bytes) {
  neap_storage *s = neap_malloc(c, storage_bytes(bytes));
  if (!s) return NULL;
  s->bytes = bytes;
  s->ctx = c;
  s->data = (void *)(((uintptr_t)(s + 1) + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
  if (bytes >= HUGE_FROM) advise_huge(s->data, bytes);
  return s;
}

/* Hostile: what is read before it was written, or after it was given back, is NaN. */
static void poison (neap_storage *s) {
#ifdef NEAP_HOSTILE
  memset(s->data, 0xff, s->bytes);
#else
  (void)s;
#endif
}

neap_storage *neap_storage_new (neap_context *c, size_t bytes) {
  if (bytes > SIZE_MAX / 2) return refuse(c, bytes);
  neap_storage *s = bytes >= CACHE_FROM ? take_cached(c, bytes) : NULL;
  if (!s) s = storage_fresh(c, bytes);
  if (!s) return NULL;
  atomic_init(&s->refs, 1);
  s->version = 0;
  s->next = NULL;
  poison(s);
  atomic_fetch_add(&c->refs, 1);
  return s;
}

void neap_storage_release (neap_storage *s) {
  if (!s || atomic_fetch_sub(&s->refs, 1) != 1) return;
  neap_context *c = s->ctx;
  poison(s);
  lock(c);
  bool cache = !c->closed && s->bytes >= CACHE_FROM && c->cached + s->bytes <= CACHE_MAX;
  if (cache) { s->next = c->free_list; c->free_list = s; c->cached += s->bytes; }
  unlock(c);
  if (!cache) storage_free(s);
  neap_context_release(c);
}

neap_memory neap_memory_of (const neap_context *c) {
  return (neap_memory){ .live = atomic_load(&c->live), .peak = c->peak, .cached = atomic_load(&c->cached),
                        .allocations = c->allocations };
}

void neap_set_memory_cap (neap_context *c, size_t bytes) { c->cap = bytes; }
