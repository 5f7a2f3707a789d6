/*
** context.c -- opening and closing, errors, interrupts, the log.
** Invariant: the first error wins and stays until neap_clear_error; a closed context keeps NEAP_ESTATE for ever.
*/
#include "core.h"
#include "kernels/tile.h"
#include "program/program.h"
#include "pool.h"
#include "ops/conv.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *system_alloc (void *arg, void *ptr, size_t osize, size_t nsize) {
  (void)arg; (void)osize;
  if (nsize) return realloc(ptr, nsize);
  free(ptr);
  return NULL;
}

static void configure (neap_context *c, const neap_config *cfg) {
  c->refs = 1;
  neap_reuse(c, true);
  c->alloc = cfg->alloc ? cfg->alloc : system_alloc;
  c->alloc_arg = cfg->alloc_arg;
  c->cap = cfg->memory_cap;
  c->log = cfg->log; c->log_arg = cfg->log_arg;
  c->threads = cfg->threads > 1 ? cfg->threads : 1;
  c->default_dtype = NEAP_FLOAT32;
  c->clock = 1;                                        /* level 1 is that of neap_requires_grad */
  c->tiles = neap_tiles_best();
  atomic_flag_clear(&c->free_lock);
}

neap_context *neap_open (const neap_config *cfg) {
  neap_config defaults = {0};
  if (!cfg) cfg = &defaults;
  neap_alloc_fn alloc = cfg->alloc ? cfg->alloc : system_alloc;
  neap_context *c = alloc(cfg->alloc_arg, NULL, 0, sizeof *c);
  if (!c) return NULL;
  memset(c, 0, sizeof *c);
  configure(c, cfg);
  c->rng = neap_rng_new(c, cfg->seed);
  if (!c->rng) { neap_close(c); return NULL; }
  return c;
}

void neap_close (neap_context *c) {
  if (!c || c->closed) return;
  neap_scope_close(c, 0);
  program_cache_free(c);
  conv_dnn_close(c);
  neap_free(c, c->lent, c->lent_size * sizeof *c->lent);
  c->lent = NULL; c->lent_size = 0;
  neap_rng_release(c->rng); c->rng = NULL;
  neap_pool_close(c);
  neap_clear_error(c);
  neap_fail(c, NEAP_ESTATE, "the context was closed");
  neap_context_shut(c);
  neap_storage_trim(c);
  neap_context_release(c);
}

neap_status neap_status_of (const neap_context *c) { return c->status; }
const char *neap_error (const neap_context *c) { return c->error; }

void neap_clear_error (neap_context *c) {
  if (c->closed) return;
  c->status = NEAP_OK;
  c->error[0] = '\0';
}

void *neap_fail (neap_context *c, neap_status code, const char *fmt, ...) {
  if (c->status != NEAP_OK) return NULL;
  va_list args;
  va_start(args, fmt);
  vsnprintf(c->error, sizeof c->error, fmt, args);
  va_end(args);
  c->status = code;
  return NULL;
}

void neap_interrupt (neap_context *c) { atomic_store(&c->interrupt, 1); }

bool neap_poll (neap_context *c) {
  if (__builtin_expect(atomic_load_explicit(&c->interrupt, memory_order_relaxed) == 0, 1)) return true;
  atomic_store(&c->interrupt, 0);
  neap_fail(c, NEAP_EINTERRUPTED, "interrupted!");
  return false;
}

void neap_warn (neap_context *c, const char *fmt, ...) {
  if (!c->log) return;
  char text[NEAP_ERROR_BYTES];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  c->log(c->log_arg, text);
}

neap_dtype neap_default_dtype (const neap_context *c) { return c->default_dtype; }

bool neap_set_default_dtype (neap_context *c, neap_dtype d) {
  if (!neap_is_float(d))
    return neap_fail(c, NEAP_EDTYPE, "default_dtype: float32 or float64 expected, got %s", neap_dtype_name(d));
  c->default_dtype = d;
  return true;
}
