/*
** memory.c -- counted allocation, and what waits for reuse.
** Invariant: live is the sum of all bytes asked of the allocator and not given back, what waits for reuse included;
** it never exceeds the cap.  Memory of up to 64 MB comes in sizes of its own: multiples of 32 bytes, from 2 KB on four
** per doubling.  Each piece goes back to the context's list of its size, so that taking one and giving it back cost no
** search, and no page is returned to the system only to be asked for again in the next step.  All this belongs to the
** context's own thread and is not locked: a storage that another thread releases waits in `returned` for the context
** to take it.  Only a closed context, which takes nothing any more, is shared by whoever holds the rest of it, under
** its lock.
*/
#include "core.h"
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64, STEP = 32, SMALL = 64 * STEP, SMALL_BITS = 11, LARGEST = 64 << 20, HUGE_FROM = 2 << 20,
       WAIT_MAX = 64 << 20,                /* bytes that may wait */
       STALE = 2 * WAIT_MAX };             /* bytes asked for since a size was: nobody uses it any more */

/* Where memory errors are looked for, all goes back to the allocator at once, and sizes are exact. */
#if defined NEAP_HOSTILE || defined __SANITIZE_ADDRESS__
enum { REUSE = false, SMALL_MAX = 0 };
#else
enum { REUSE = true, SMALL_MAX = 4 << 20 };      /* bytes that may wait in small pieces */
#endif

void neap_reuse (neap_context *c, bool on) { c->reuse = REUSE && on; }

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

/* ---- the allocator ---- */

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

static void *ask (neap_context *c, void *p, size_t osize, size_t nsize) {
  if (nsize > osize && !fits(c, nsize - osize)) return refuse(c, nsize - osize);
  void *q = c->alloc(c->alloc_arg, p, osize, nsize);
  if (!q) return refuse(c, nsize);
  c->live += nsize - osize;
  if (c->live > c->peak) c->peak = c->live;
  c->allocations++;
  return q;
}

static void give (neap_context *c, void *p, size_t size) {
  bool locked = enter(c);
  c->alloc(c->alloc_arg, p, size, 0);
  c->live -= size;
  leave(c, locked);
}

/* ---- sizes ---- */

enum { SMALL_SIZES = SMALL / STEP + 1,     /* size k: k steps */
       EXTRA = 192 };                      /* on large ones: a storage's header and padding, so that data of 2^n fit */

/* a large size k: (4 + k mod 4)/4 · 2^(k div 4) of SMALL, and EXTRA */
static size_t large_size (int k) { return ((size_t)(4 + k % 4) << (k / 4 + SMALL_BITS - 2)) + EXTRA; }

static int large_class (size_t size) {
  size_t n = size > SMALL + EXTRA ? size - EXTRA : SMALL;
  int log2 = 63 - __builtin_clzll(n);
  size_t quarter = (size_t)1 << (log2 - 2);
  return 4 * (log2 - SMALL_BITS) + (int)((n - 4 * quarter + quarter - 1) / quarter);
}

/* The class of *size, which becomes the size of its pieces; -1: none, such pieces do not wait. */
static inline int class_of (size_t *size) {
  if (*size <= SMALL) {
    int k = *size ? (int)((*size + STEP - 1) / STEP) : 1;
    if (REUSE) *size = (size_t)k * STEP;
    else if (*size == 0) *size = 1;
    return k;
  }
  if (*size > LARGEST + EXTRA) return -1;
  int k = large_class(*size);
  if (REUSE) *size = large_size(k);
  return SMALL_SIZES + k;
}

/* ---- what waits ---- */

static inline neap_block *take (neap_context *c, int k, size_t size) {
  neap_block *b = c->blocks[k];
  if (!b) return NULL;
  c->blocks[k] = b->next;
  c->cached -= size;
  if (k < SMALL_SIZES) c->small -= size;
  return b;
}

static void drop (neap_context *c, int k, size_t size) { give(c, take(c, k, size), size); }

/* Room for a large piece: sizes that nobody asked for lately make way, others do not, so that a working set larger than
** what may wait keeps what fits. */
static bool make_room (neap_context *c, size_t more) {
  for (int k = 0; k < NEAP_BLOCK_CLASSES - SMALL_SIZES && c->cached + more > WAIT_MAX; k++)
    while (c->blocks[SMALL_SIZES + k] && c->asked - c->asked_at[k] > STALE && c->cached + more > WAIT_MAX)
      drop(c, SMALL_SIZES + k, large_size(k));
  return c->cached + more <= WAIT_MAX;
}

static inline bool may_wait (neap_context *c, int k, size_t size) {
  if (k < 0 || !c->reuse || c->closed) return false;
  if (k < SMALL_SIZES) return c->small + size <= SMALL_MAX;
  return c->cached + size <= WAIT_MAX || make_room(c, size);
}

static inline bool wait (neap_context *c, void *p, int k, size_t size) {
  if (!may_wait(c, k, size)) return false;
  neap_block *b = p;
  b->next = c->blocks[k];
  c->blocks[k] = b;
  c->cached += size;
  if (k < SMALL_SIZES) c->small += size;
  return true;
}

void *neap_malloc (neap_context *c, size_t size) {
  int k = class_of(&size);
  if (k >= SMALL_SIZES) c->asked_at[k - SMALL_SIZES] = c->asked += size;
  void *p = k < 0 ? NULL : take(c, k, size);
  return p ? p : ask(c, NULL, 0, size);
}

void neap_free (neap_context *c, void *p, size_t size) {
  if (!p) return;
  int k = class_of(&size);
  if (!wait(c, p, k, size)) give(c, p, size);
}

void *neap_calloc (neap_context *c, size_t size) {
  void *p = neap_malloc(c, size);
  return p ? memset(p, 0, size) : NULL;
}

void *neap_realloc (neap_context *c, void *p, size_t osize, size_t nsize) {
  if (!p) return neap_malloc(c, nsize);
  size_t had = osize, want = nsize;
  int from = class_of(&had), to = class_of(&want);
  if (had == want) return p;
  if (!REUSE || (from < 0 && to < 0)) return ask(c, p, had, want);
  void *q = neap_malloc(c, nsize);
  if (!q) return NULL;
  memcpy(q, p, osize < nsize ? osize : nsize);
  neap_free(c, p, osize);
  return q;
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

/* ---- storages: header, padding to 64 bytes, data, 64 bytes that kernels may touch ---- */

/* Large data begin where a huge page does, so that all of them lie in such pages: what is asked for besides is address
** space that nobody touches, but for the header's page. */
static size_t alignment (size_t data) { return data >= HUGE_FROM ? HUGE_FROM : ALIGN; }

static size_t storage_bytes (size_t data) {
  return sizeof(neap_storage) + alignment(data) - _Alignof(neap_storage) + data + ALIGN;
}

/* nobody holds s any more */
static void storage_end (neap_context *c, neap_storage *s) {
  neap_free(c, s, storage_bytes(s->bytes));
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
  for (int k = 1; k < NEAP_BLOCK_CLASSES; k++)
    while (c->blocks[k]) drop(c, k, k < SMALL_SIZES ? (size_t)k * STEP : large_size(k - SMALL_SIZES));
}

static void *storage_data (neap_storage *s, size_t bytes) {
  uintptr_t to = alignment(bytes);
  return (void *)(((uintptr_t)(s + 1) + to - 1) & -to);
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
  bytes = bytes ? (bytes + ALIGN - 1) & -(size_t)ALIGN : ALIGN;
  take_returned(c);
  uint64_t before = c->allocations;
  neap_storage *s = neap_malloc(c, storage_bytes(bytes));
  if (!s) return NULL;
  atomic_init(&s->refs, 1);
  s->version = s->marks = 0;
  s->bytes = bytes;
  s->ctx = c;
  s->data = storage_data(s, bytes);
  s->next = NULL;
  if (bytes >= HUGE_FROM && c->allocations > before) madvise(s->data, bytes, MADV_HUGEPAGE);   /* advice: may fail */
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
