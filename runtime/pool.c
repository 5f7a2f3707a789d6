/*
** pool.c -- neap_parallel: blocks of work shared between the caller and sleeping workers.
** Invariant: pool->job is set exactly while its caller is inside neap_parallel and blocks may be left; a worker that
** joins a job is counted in job->active under the lock, and the caller leaves only when that count is back to 0.
*/
#include "pool.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct job {
  void (*f)(void *arg, int64_t block);
  void *arg;
  int64_t nblocks;
  _Atomic int64_t next;                    /* the first block nobody has taken */
  int active;                              /* workers inside; under the pool's lock */
} job;

struct neap_pool {
  pthread_mutex_t lock;
  pthread_cond_t work, idle;               /* a job came, or stop; the last worker left a job */
  job *job;
  bool stop;
  atomic_bool busy;                        /* a call is running: calls from inside it run serially */
  pid_t owner;
  char *alive;                             /* a page the kernel clears in a forked child; NULL: compare owner */
  int nworkers, room;
  pthread_t workers[];
};

static size_t pool_bytes (int room) { return sizeof(neap_pool) + (size_t)room * sizeof(pthread_t); }

static void run_blocks (job *j) {
  for (int64_t b; (b = atomic_fetch_add_explicit(&j->next, 1, memory_order_relaxed)) < j->nblocks;) j->f(j->arg, b);
}

static void *worker (void *arg) {
  neap_pool *p = arg;
  pthread_mutex_lock(&p->lock);
  while (!p->stop) {
    job *j = p->job;
    if (!j || atomic_load_explicit(&j->next, memory_order_relaxed) >= j->nblocks) {
      pthread_cond_wait(&p->work, &p->lock);
      continue;
    }
    j->active++;
    pthread_mutex_unlock(&p->lock);
    run_blocks(j);
    pthread_mutex_lock(&p->lock);
    if (--j->active == 0) pthread_cond_signal(&p->idle);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

/* ---- making and ending ---- */

static char *wipe_page (void) {
  size_t size = (size_t)sysconf(_SC_PAGESIZE);
  char *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return NULL;
  if (madvise(page, size, MADV_WIPEONFORK) != 0) { munmap(page, size); return NULL; }
  *page = 1;
  return page;
}

static bool forked (const neap_pool *p) { return p->alive ? *p->alive == 0 : p->owner != getpid(); }

/* Workers leave signals to the host's threads; faults of their own stay deliverable. */
static void start_workers (neap_pool *p, int n) {
  sigset_t all, old;
  sigfillset(&all);
  sigdelset(&all, SIGSEGV); sigdelset(&all, SIGBUS); sigdelset(&all, SIGFPE); sigdelset(&all, SIGILL);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  while (p->nworkers < n && pthread_create(&p->workers[p->nworkers], NULL, worker, p) == 0) p->nworkers++;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static neap_pool *pool_new (neap_context *c, int workers) {
  bool ok = neap_ok(c);
  neap_pool *p = neap_calloc(c, pool_bytes(workers));
  if (!p) {                                  /* no memory for threads is no error: the caller works alone */
    if (ok) neap_clear_error(c);
    return NULL;
  }
  p->room = workers;
  p->owner = getpid();
  p->alive = wipe_page();
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->work, NULL);
  pthread_cond_init(&p->idle, NULL);
  start_workers(p, workers);
  return p;
}

static void pool_free (neap_context *c, neap_pool *p) {
  if (p->alive) munmap(p->alive, (size_t)sysconf(_SC_PAGESIZE));
  neap_free(c, p, pool_bytes(p->room));
}

void neap_pool_close (neap_context *c) {
  neap_pool *p = c->pool;
  if (!p) return;
  c->pool = NULL;
  if (forked(p)) { pool_free(c, p); return; }          /* its threads, and what they hold, stayed in the parent */
  pthread_mutex_lock(&p->lock);
  p->stop = true;
  pthread_cond_broadcast(&p->work);
  pthread_mutex_unlock(&p->lock);
  for (int i = 0; i < p->nworkers; i++) pthread_join(p->workers[i], NULL);
  pthread_mutex_destroy(&p->lock);
  pthread_cond_destroy(&p->work);
  pthread_cond_destroy(&p->idle);
  pool_free(c, p);
}

/* ---- running ---- */

static void post (neap_pool *p, job *j) {
  pthread_mutex_lock(&p->lock);
  p->job = j;
  if (j->nblocks > p->nworkers) pthread_cond_broadcast(&p->work);
  else for (int64_t i = 1; i < j->nblocks; i++) pthread_cond_signal(&p->work);
  pthread_mutex_unlock(&p->lock);
}

/* a worker that wakes after this finds no job and sleeps on */
static void retire (neap_pool *p, job *j) {
  pthread_mutex_lock(&p->lock);
  p->job = NULL;
  while (j->active > 0) pthread_cond_wait(&p->idle, &p->lock);
  pthread_mutex_unlock(&p->lock);
}

/* the context's pool, not in use by a call further up; NULL: work alone */
static neap_pool *free_pool (neap_context *c) {
  if (c->workers) c = c->workers;
  if (c->threads <= 1) return NULL;
  if (c->pool && forked(c->pool)) neap_pool_close(c);
  if (!c->pool) c->pool = pool_new(c, c->threads - 1);
  return c->pool && c->pool->nworkers > 0 && !atomic_exchange(&c->pool->busy, true) ? c->pool : NULL;
}

void neap_parallel (neap_context *c, int64_t nblocks, void (*f)(void *arg, int64_t block), void *arg) {
  neap_pool *p = nblocks > 1 ? free_pool(c) : NULL;
  if (!p) {
    for (int64_t b = 0; b < nblocks; b++) f(arg, b);
    return;
  }
  job j = { .f = f, .arg = arg, .nblocks = nblocks };
  post(p, &j);
  run_blocks(&j);
  retire(p, &j);
  atomic_store(&p->busy, false);
}

bool neap_works_alone (const neap_context *c) { return (c->workers ? c->workers : c)->threads <= 1; }

bool neap_set_threads (neap_context *c, int n) {
  if (!neap_ok(c)) return false;
  if (n < 1 || n > NEAP_MAX_THREADS)
    return neap_fail(c, NEAP_EARG, "set_threads: 1 to %d threads expected, got %d", NEAP_MAX_THREADS, n);
  if (c->pool && !forked(c->pool) && atomic_load(&c->pool->busy))
    return neap_fail(c, NEAP_ESTATE, "set_threads: not while threads are at work");
  if (n != c->threads) neap_pool_close(c);
  c->threads = n;
  return true;
}

int neap_threads (const neap_context *c) { return c->threads; }
