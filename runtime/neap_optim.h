/*
** neap_optim.h -- updates of one parameter tensor in place, each in one pass.  Included by neap_models.h.
** p, g and the state tensors have one shape and float dtype; p and the state are contiguous; nothing is taped,
** p and the state count as written.  wd adds wd·p to the gradient (L2), except where said otherwise.
*/
#ifndef NEAP_OPTIM_H
#define NEAP_OPTIM_H

/* v <- momentum·v + g;  p <- p − lr·v, or with nesterov p − lr·(g + momentum·v).  v may be NULL if momentum is 0. */
NEAP_API bool neap_sgd_update (neap_context *c, neap_tensor *p, neap_tensor *g, neap_tensor *v,
                               double lr, double momentum, bool nesterov, double wd);

typedef struct neap_adam {
  double lr, beta1, beta2, eps, wd;
  bool decoupled;                          /* AdamW: p <- p − lr·wd·p instead of L2 */
  int64_t step;                            /* from 1: corrects the bias of the averages */
} neap_adam;
/* m <- β₁m + (1−β₁)g;  v <- β₂v + (1−β₂)g²;  p <- p − lr·m̂ / (√v̂ + eps)  (Kingma and Ba 2015,
** Loshchilov and Hutter 2019). */
NEAP_API bool neap_adam_update (neap_context *c, neap_tensor *p, neap_tensor *g, neap_tensor *m, neap_tensor *v,
                                const neap_adam *o);

/* v <- αv + (1−α)g²;  p <- p − lr·g / (√v + eps)  (Tieleman and Hinton 2012). */
NEAP_API bool neap_rmsprop_update (neap_context *c, neap_tensor *p, neap_tensor *g, neap_tensor *v,
                                   double lr, double alpha, double eps, double wd);
/* v <- v + g²;  p <- p − lr·g / (√v + eps)  (Duchi et al. 2011). */
NEAP_API bool neap_adagrad_update (neap_context *c, neap_tensor *p, neap_tensor *g, neap_tensor *v,
                                   double lr, double eps, double wd);
/* a <- decay·a + (1 − decay)·p: an exponential moving average; decay 0 copies. */
NEAP_API bool neap_ema_update (neap_context *c, neap_tensor *a, neap_tensor *p, double decay);
/* The Euclidean norm of n tensors together. */
NEAP_API bool neap_global_norm (neap_context *c, int n, neap_tensor *const *g, double *norm);

#endif
