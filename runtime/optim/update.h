/*
** update.h -- the loops of the optimisers, compiled for each instruction set.
** Invariant: an element of p and its state depend on that element alone, so that blocks may be cut anywhere.
*/
#ifndef NEAP_UPDATE_H
#define NEAP_UPDATE_H

#include "../core.h"

typedef enum neap_update_rule { UPDATE_SGD, UPDATE_ADAM, UPDATE_RMSPROP, UPDATE_ADAGRAD, UPDATE_EMA,
                               UPDATE_RULES } neap_update_rule;

/* The rule's numbers, with what does not depend on the element worked out. */
typedef struct neap_update_numbers {
  double lr, wd, eps, shrink;              /* shrink: p is multiplied by it first */
  double a, b, root_scale;                 /* decays; Adam: √v̂ = √v · root_scale */
  bool nesterov;
} neap_update_numbers;

typedef void neap_update_kernel (int64_t n, void *p, const void *g, void *s, void *v, const neap_update_numbers *k);
typedef double neap_square_kernel (int64_t n, const void *x);

typedef struct neap_update_kernels {
  const char *name;                        /* that of the tiles of the same instruction set */
  neap_update_kernel *rule[UPDATE_RULES][2];   /* float32, float64 */
  neap_square_kernel *squares[2];          /* Σ x² */
} neap_update_kernels;

#endif
