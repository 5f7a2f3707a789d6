/*
** rows.h -- small expressions over rows that energies, samplers and losses share.
** Invariant: all are ops, so they are differentiated like any other; x is [B, event…], a value per row [B].
*/
#ifndef NEAP_ROWS_H
#define NEAP_ROWS_H

#include "core.h"

/* x [B, event…] -> [B]: Σ x of each row. */
neap_tensor *rows_sum (neap_context *c, neap_tensor *x);
/* a, b [B, event…] -> [B]: Σ a·b of each row. */
neap_tensor *rows_dot (neap_context *c, neap_tensor *a, neap_tensor *b);
/* x [B, event…] -> [B, D], also without rows. */
neap_tensor *rows_flat (neap_context *c, neap_tensor *x);
/* v [B] -> [B, 1, …], to go with an x of ndim dimensions. */
neap_tensor *rows_expand (neap_context *c, neap_tensor *v, int ndim);
/* where accept [B] holds a's row, else b's. */
neap_tensor *rows_where (neap_context *c, neap_tensor *accept, neap_tensor *a, neap_tensor *b);
/* x·k and x + k·y, k a number of x's dtype. */
neap_tensor *rows_scale (neap_context *c, neap_tensor *x, double k);
neap_tensor *rows_axpy (neap_context *c, double k, neap_tensor *y, neap_tensor *x);
/* The mean of all elements, 0-d. */
neap_tensor *rows_mean (neap_context *c, neap_tensor *x);
/* N(0, 1) of x's shape and dtype. */
neap_tensor *rows_normal (neap_context *c, neap_rng *r, neap_tensor *x);
/* Whether a row of a and one of b have the same shape; both have as many dimensions. */
bool rows_same_event (const neap_tensor *a, const neap_tensor *b);

#endif
