/*
** pool.h -- a context's worker threads, made when neap_parallel first needs them.
** Invariant: workers run blocks of one call at a time and sleep between calls; what a call computes never
** depends on how many there are.
*/
#ifndef NEAP_POOL_H
#define NEAP_POOL_H

#include "core.h"

#define NEAP_MAX_THREADS 1024

/* Ends and joins the workers; does nothing when there are none.  Not from inside neap_parallel. */
void neap_pool_close (neap_context *c);

#endif
