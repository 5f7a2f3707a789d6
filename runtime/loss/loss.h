/*
** loss.h -- what a loss is inside the runtime.
** A loss is a row: a name, what it remembers, and eval, written in ops over a batch.  Only E's parameters and the
** loss's own are differentiated: samples, noise and target scores are constants.
*/
#ifndef NEAP_LOSS_H
#define NEAP_LOSS_H

#include "core.h"
#include "sampler/sampler.h"

typedef struct loss_batch {
  neap_energy *E;
  neap_tensor *x, *cond;                     /* [B, event…], [B, …] or NULL */
  neap_tensor *neg, *neg_cond;               /* what prepare made: samples [B, event…] and their condition; or NULL */
  neap_rng *rng;
  neap_state *info;                          /* or NULL */
} loss_batch;

typedef struct neap_loss_kind {
  const char *name;
  const char *const *remembers;              /* names of its tensors, NULL-terminated; NULL: none */
  /* What depends on values or changes the loss's memory, before eval; or NULL. */
  bool (*prepare)(neap_context *c, neap_loss *l, loss_batch *b);
  neap_tensor *(*eval)(neap_context *c, neap_loss *l, loss_batch *b);
} neap_loss_kind;

struct neap_loss {
  const neap_loss_kind *kind;
  neap_context *ctx;
  int refs;
  uint64_t serial;                           /* its number in the context */
  bool warned;                               /* that it runs op by op */
  uint64_t failed; int failures;             /* the energy with which it could not be recorded, how often in a row */
  neap_sampler *sampler;                     /* cd, pcd */
  int64_t steps, buffer, ratio;
  neap_start start;
  double reinit, reg, sigma;
  double eps;                                /* fd_ssm */
  int64_t draws; bool plain;                 /* ssm; energy_discrepancy: draws, */
  double t, w;                               /* the noise's variance, and what keeps the logarithm's argument off 0; */
                                             /* jem: w, the weight of log p(x) */
  neap_units units, seen;                    /* of conditionals' losses: asked for; shown by a batch last */
  int64_t states;                            /* pseudo_likelihood; 0: binary units */
  bool linear;                               /* E is linear in each unit by itself */
  int conditional;                           /* multi_dsm, diffusion_recovery */
  bool antithetic;                           /* dsm, multi_dsm */
  neap_tensor *sigmas;                       /* of both: [n], float64 */
  neap_energy *law;                          /* diffusion_recovery: of z, for the last E; or NULL */
  neap_energy *noise; bool trains_noise;     /* nce; flow_contrastive: its parameters are the loss's own */
  neap_tensor_fn f;                          /* fisher: log p or score; nce: log p of the noise */
  bool is_log_prob;
  neap_tensor *(*sample)(neap_context *c, void *arg, neap_rng *rng, neap_tensor *x, int64_t n);
  void *arg;
  void (*release)(void *arg);
  neap_tensor *log_z;                        /* nce: its parameter, also in memory */
  neap_state *memory;
};

neap_loss *loss_new (neap_context *c, const neap_loss_kind *kind);
/* The loss of a batch, op by op, with zero gradients by parameters that it does not depend on. */
neap_tensor *loss_value (neap_context *c, neap_loss *l, loss_batch *b);
/* Puts a detached t into the batch's info, if it is wanted. */
bool loss_tell (neap_context *c, loss_batch *b, const char *name, neap_tensor *t);
/* The batch has floats, as derivatives by x and noise need. */
bool loss_needs_float (neap_context *c, const neap_loss *l, const loss_batch *b);
/* Score matching's value, ½|s|² − ΔE, of the first (0-d) and the Laplacians [B], or estimates of them; told. */
neap_tensor *loss_hyvarinen (neap_context *c, loss_batch *b, neap_tensor *half, neap_tensor *laplacian);
/* ½ mean over rows of |r|², r [B, event…] -> 0-d. */
neap_tensor *loss_half_square (neap_context *c, neap_tensor *r);

/* ---- of losses with a sampler (cd.c) ---- */
/* A loss of this kind with what all of them take. */
neap_loss *loss_with_sampler (neap_context *c, const neap_loss_kind *kind, neap_sampler *s, int64_t steps,
                              neap_start start, double reg);
/* x [B, event…] -> where the sampler's steps on E lead from there; NULL on failure. */
neap_tensor *loss_negatives (neap_context *c, neap_loss *l, loss_batch *b, neap_energy *E, neap_tensor *x,
                             neap_tensor *cond);
/* mean E(x) − mean E(y) + reg·mean(E(x)² + E(y)²) of the batch's x; both means told. */
neap_tensor *loss_contrast (neap_context *c, neap_loss *l, loss_batch *b, neap_tensor *y, neap_tensor *ycond);
/* ---- of losses at noise levels (score.c) ---- */
/* sigma [B] -> the condition of E(x, σ): [B, 1], or the batch's own [B, k] and σ side by side. */
neap_tensor *loss_join_sigma (neap_context *c, loss_batch *b, neap_tensor *sigma);
/* Whether E is called with σ, as `conditional` of multi_dsm has it. */
bool loss_takes_sigma (const neap_loss *l, const loss_batch *b);

#endif
