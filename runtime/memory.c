/*
** memory.c -- counted allocation, blocks and storages that wait for reuse.
** Invariant: live is the sum of all bytes asked of the allocator and not given back, what waits for reuse included;
** it never exceeds the cap.  Storages from 2 KB to 64 MB have one of four sizes per doubling, smaller things (tensors,
** tape entries, storages of a few elements) one of the multiples of 32 bytes; each goes back to the context's list of
** its size, so that taking one and giving it back cost no search.  All this belongs to the context's own thread and is
** not locked: what another thread releases it leaves in `returned`, where the context takes it.  Only a closed context,
** which takes nothing any more, is shared by whoever holds the rest of it, under its lock.
*/
#include "core.h"
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64, CACHE_FROM_BITS = 11, CACHE_FROM = 1 << CACHE_FROM_BITS, CACHE_MAX = 64 << 20, HUGE_FROM = 2 << 20,
       STALE = 2 * CACHE_MAX };

/* ---- a closed context ---- */

static void lock (neap_context *c) { while (atomic_flag_test_and_set_explicit(&c->free_lock, memory_order_acquire)) {} }
static void unlock (neap_context *c) { atomic_flag_clear_explicit(&c->free_lock, memory_order_release); }

/* around what changes the counts: true when it was locked */
static inline bool enter (neap_context *c) {
  if (__builtin_expect(!c->closed, 1)) return false;
  lock(c);
  return true;
}
static inline void leave (neap_context *c, bool locked) { if (locked) unlock(c); }

void neap_context_shut (neap_context *c) {
  lock(c);
  c->closed = true;
  unlock(c);
}

void neap_context_release (neap_context *c) {
  bool locked = enter(c), last = --c->refs == 0;
  leave(c, locked);
  if (last) c->alloc(c->alloc_arg, c, sizeof *c, 0);
}

/* ---- counted memory ---- */

static void count_change (neap_context *c, size_t osize, size_t nsize) {
  c->live += nsize - osize;
  if (c->live > c->peak) c->peak = c->live;
  c->allocations++;
}

static void *refuse (neap_context *c, size_t size) {
  size_t live = c->live;
  if (c->cap) return neap_fail(c, NEAP_EMEMORY, "not enough memory: %zu more bytes asked for, %zu in use, cap %zu",
                               size, live, c->cap);
  return neap_fail(c, NEAP_EMEMORY, "not enough memory: %zu more bytes asked for, %zu in use", size, live);
}

/* written without a sum that could wrap; the cap may have been lowered below what is in use */
static bool below_cap (const neap_context *c, size_t more) {
  return c->live <= c->cap && more <= c->cap - c->live;
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
  bool locked = enter(c);
  c->alloc(c->alloc_arg, p, size, 0);
  c->live -= size;
  leave(c, locked);
}

void *neap_object_new (neap_context *c, size_t size) {
  void *p = neap_ok(c) ? neap_calloc(c, size) : NULL;
  if (p) c->refs++;
  return p;
}

void neap_object_free (neap_context *c, void *p, size_t size) {
  neap_free(c, p, size);
  neap_context_release(c);                             /* last: it may be the context's end */
}

/* ---- blocks: small things, in multiples of 32 bytes ---- */

static size_t block_class (size_t size) { return (size + NEAP_BLOCK - 1) / NEAP_BLOCK; }

/* Where memory errors are looked for, blocks go back to the allocator at once. */
#if defined NEAP_HOSTILE || defined __SANITIZE_ADDRESS__
enum { SPARE_MAX = 0 };
#else
enum { SPARE_MAX = 4 << 20 };
#endif

void neap_blocks_wait (neap_context *c, bool wait) { c->spare_max = wait ? SPARE_MAX : 0; }

void *neap_block_new (neap_context *c, size_t size) {
  size_t k = block_class(size);
  neap_block *b = k < NEAP_BLOCK_CLASSES ? c->blocks[k] : NULL;
  if (__builtin_expect(!b, 0)) return neap_malloc(c, k * NEAP_BLOCK);
  c->blocks[k] = b->next;
  c->cached -= k * NEAP_BLOCK;
  c->spare -= k * NEAP_BLOCK;
  return b;
}

void neap_block_free (neap_context *c, void *p, size_t size) {
  size_t k = block_class(size);
  size = k * NEAP_BLOCK;
  if (k >= NEAP_BLOCK_CLASSES || c->closed || c->spare + size > c->spare_max) {
    neap_free(c, p, size);
    return;
  }
  neap_block *b = p;
  b->next = c->blocks[k];
  c->blocks[k] = b;
  c->cached += size;
  c->spare += size;
}

static void trim_blocks (neap_context *c) {
  for (size_t k = 0; k < NEAP_BLOCK_CLASSES; k++)
    while (c->blocks[k]) {
      neap_block *b = c->blocks[k];
      c->blocks[k] = b->next;
      c->cached -= k * NEAP_BLOCK;
      c->spare -= k * NEAP_BLOCK;
      neap_free(c, b, k * NEAP_BLOCK);
    }
}

/* ---- storages: header, padding to 64 bytes, data, 64 bytes that kernels may touch ---- */

static size_t storage_bytes (size_t data) {
  return sizeof(neap_storage) + ALIGN - _Alignof(neap_storage) + data + ALIGN;
}

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
  neap_storage *s = c->free_list[k];
  if (s) { c->free_list[k] = s->next; c->cached -= s->bytes; }
  return s;
}

static void storage_free (neap_context *c, neap_storage *s) {
  size_t bytes = storage_bytes(s->bytes);
  if (s->bytes < CACHE_FROM) neap_block_free(c, s, bytes);
  else neap_free(c, s, bytes);
}

/* Room for more bytes: sizes that nobody asked for among the last STALE bytes make way, others do not, so that a
** working set larger than the cache keeps what fits. */
static bool make_room (neap_context *c, size_t more) {
  for (int k = 0; k < NEAP_STORAGE_CLASSES && c->cached + more > CACHE_MAX; k++) {
    if (!c->free_list[k] || c->requests - c->asked[k] <= STALE) continue;
    for (neap_storage *s; c->cached + more > CACHE_MAX && (s = take_cached(c, k)); ) storage_free(c, s);
  }
  return c->cached + more <= CACHE_MAX;
}

static bool give_cached (neap_context *c, neap_storage *s) {
  if (!is_cached(s->bytes) || c->closed) return false;
  if (c->cached + s->bytes > CACHE_MAX && !make_room(c, s->bytes)) return false;
  neap_storage **list = &c->free_list[class_of(s->bytes)];
  s->next = *list;
  *list = s;
  c->cached += s->bytes;
  return true;
}

/* nobody holds s any more */
static void storage_end (neap_context *c, neap_storage *s) {
  if (!give_cached(c, s)) storage_free(c, s);
  neap_context_release(c);
}

/* what other contexts' threads released meanwhile */
static void take_returned (neap_context *c) {
  if (!atomic_load_explicit(&c->returned, memory_order_relaxed)) return;
  lock(c);
  neap_storage *s = atomic_exchange_explicit(&c->returned, NULL, memory_order_relaxed);
  unlock(c);
  while (s) {
    neap_storage *next = s->next;
    storage_end(c, s);
    s = next;
  }
}

/* s, released by another context's thread, to its own; once that is closed nobody takes it there */
static void hand_back (neap_context *c, neap_storage *s) {
  lock(c);
  bool open = !c->closed;
  if (open) {
    s->next = atomic_load_explicit(&c->returned, memory_order_relaxed);
    atomic_store_explicit(&c->returned, s, memory_order_relaxed);
  }
  unlock(c);
  if (!open) storage_end(c, s);
}

void neap_storage_trim (neap_context *c) {
  take_returned(c);
  for (int k = 0; k < NEAP_STORAGE_CLASSES; k++)
    for (neap_storage *s; (s = take_cached(c, k)); ) storage_free(c, s);
  trim_blocks(c);
}

static void advise_huge (void *data, size_t bytes) {
  uintptr_t from = ((uintptr_t)data + HUGE_FROM - 1) & ~(uintptr_t)(HUGE_FROM - 1), to = (uintptr_t)data + bytes;
  if (to > from) madvise((void *)from, to - from, MADV_HUGEPAGE);     /* advice only: failure is no error */
}

static neap_storage *storage_fresh (neap_context *c, size_t bytes) {
  take_returned(c);
  size_t all = storage_bytes(bytes);
  neap_storage *s = bytes < CACHE_FROM ? neap_block_new(c, all) : neap_malloc(c, all);
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

static neap_storage *ask_cached (neap_context *c, int k) {
  c->asked[k] = c->requests += class_bytes(k);
  return take_cached(c, k);
}

neap_storage *neap_storage_new (neap_context *c, size_t bytes) {
  if (bytes > SIZE_MAX / 2) return refuse(c, bytes);
  if (bytes < CACHE_FROM) bytes = bytes ? (bytes + ALIGN - 1) & -(size_t)ALIGN : ALIGN;
  neap_storage *s = is_cached(bytes) ? ask_cached(c, class_of(bytes)) : NULL;
  if (!s) s = storage_fresh(c, is_cached(bytes) ? class_bytes(class_of(bytes)) : bytes);
  if (!s) return NULL;
  atomic_init(&s->refs, 1);
  s->version = 0;
  s->next = NULL;
  poison(s);
  c->refs++;
  return s;
}

/* the only reference there is cannot become two meanwhile */
static inline bool last_reference (neap_storage *s) {
  return atomic_load_explicit(&s->refs, memory_order_acquire) == 1 || atomic_fetch_sub(&s->refs, 1) == 1;
}

void neap_storage_release (neap_context *by, neap_storage *s) {
  if (!s || !last_reference(s)) return;
  poison(s);
  if (__builtin_expect(s->ctx == by, 1)) storage_end(by, s);
  else hand_back(s->ctx, s);
}

neap_memory neap_memory_of (const neap_context *c) {
  return (neap_memory){ .live = c->live, .peak = c->peak, .cached = c->cached, .allocations = c->allocations,
                        .programs = c->programs_made };
}

void neap_set_memory_cap (neap_context *c, size_t bytes) { c->cap = bytes; }
