/*
** memory.c -- counted allocation, storages and their free list.
** Invariant: live is the sum of all bytes asked of the allocator and not given back, cached storages included;
** it never exceeds the cap.  Storages from 2 KB to 64 MB have one of four sizes per doubling, and go back to the
** context's list of that size: taking one and giving it back cost no search, and no page is returned to the system
** only to be asked for again in the next step.
*/
#include "core.h"
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64, CACHE_FROM_BITS = 11, CACHE_FROM = 1 << CACHE_FROM_BITS, CACHE_MAX = 64 << 20, HUGE_FROM = 2 << 20 };

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

/* size k: (4 + k mod 4)/4 · 2^(k div 4), in units of CACHE_FROM */
static size_t class_bytes (int k) { return (size_t)(4 + k % 4) << (k / 4 + CACHE_FROM_BITS - 2); }

static bool is_cached (size_t bytes) { return bytes >= CACHE_FROM && bytes <= CACHE_MAX; }

/* the smallest size that holds n bytes, CACHE_FROM <= n <= CACHE_MAX */
static int class_of (size_t n) {
  int log2 = 63 - __builtin_clzll(n);
  size_t quarter = (size_t)1 << (log2 - 2);
  return 4 * (log2 - CACHE_FROM_BITS) + (int)((n - 4 * quarter + quarter - 1) / quarter);
}

static neap_storage *take_cached (neap_context *c, int k) {
  lock(c);
  neap_storage *s = c->free_list[k];
  if (s) { c->free_list[k] = s->next; c->cached -= s->bytes; }
  unlock(c);
  return s;
}

static bool give_cached (neap_context *c, neap_storage *s) {
  if (!is_cached(s->bytes)) return false;
  lock(c);
  bool room = !c->closed && c->cached + s->bytes <= CACHE_MAX;
  if (room) {
    neap_storage **list = &c->free_list[class_of(s->bytes)];
    s->next = *list;
    *list = s;
    c->cached += s->bytes;
  }
  unlock(c);
  return room;
}

static void storage_free (neap_storage *s) {
  neap_context *c = s->ctx;
  neap_free(c, s, storage_bytes(s->bytes));
}

void neap_storage_trim (neap_context *c) {
  for (int k = 0; k < NEAP_STORAGE_CLASSES; k++)
    for (neap_storage *s; (s = take_cached(c, k)); ) storage_free(s);
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
  neap_storage *s = is_cached(bytes) ? take_cached(c, class_of(bytes)) : NULL;
  if (!s) s = storage_fresh(c, is_cached(bytes) ? class_bytes(class_of(bytes)) : bytes);
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
  if (!give_cached(c, s)) storage_free(s);
  neap_context_release(c);
}

neap_memory neap_memory_of (const neap_context *c) {
  return (neap_memory){ .live = atomic_load(&c->live), .peak = c->peak, .cached = atomic_load(&c->cached),
                        .allocations = c->allocations, .programs = c->programs_made };
}

void neap_set_memory_cap (neap_context *c, size_t bytes) { c->cap = bytes; }
