/*
** neap_losses.h -- losses: functions of (energy, batch, random stream) to a 0-d tensor that is differentiable
** with respect to the energy's parameters.  Included by neap_models.h.
*/
#ifndef NEAP_LOSSES_H
#define NEAP_LOSSES_H

typedef struct neap_loss neap_loss;          /* counted */

/* Contrastive divergence (Hinton 2002): mean E(x⁺) − mean E(x⁻) + reg·mean(E(x⁺)² + E(x⁻)²); x⁻ is where some steps
** of the sampler lead. */
typedef struct neap_cd_config {
  neap_sampler *sampler;                     /* a reference is taken */
  int64_t steps;                             /* 0: 1 */
  neap_start start;                          /* default: the batch */
  double reg;
} neap_cd_config;
/* Without a sampler, and with steps or reg below 0: NULL and NEAP_EARG. */
NEAP_API neap_loss *neap_loss_cd (neap_context *c, const neap_cd_config *cfg);

/* Persistent CD (Tieleman 2008; replay buffer: Du & Mordatch 2019): chains are taken from a buffer and put back. */
typedef struct neap_pcd_config {
  neap_sampler *sampler;
  int64_t steps;                             /* 0: 1 */
  int64_t buffer;                            /* chains kept; 0: the rows of the first batch */
  neap_start start;                          /* default: the sampler's own */
  double reinit;                             /* each chain starts anew with this probability at each call */
  double reg;
} neap_pcd_config;
/* Errors as of cd, and reinit beside [0, 1], buffer below 0. */
NEAP_API neap_loss *neap_loss_pcd (neap_context *c, const neap_pcd_config *cfg);

/* A classifier and the density of its inputs (JEM: Grathwohl et al. 2020): the cross entropy of E:logits(x) and
** labels plus weight times pcd's loss on the marginal energy E(x), or with no buffer cd's, from the batch by default.
** E is a neap_energy_classifier; the batch's condition is the labels, int64 [B], 1 … K. */
NEAP_API neap_loss *neap_loss_jem (neap_context *c, const neap_pcd_config *cfg, double weight);

/* Recovery likelihood (Gao et al. 2021) at n ≥ 2 noise levels, the last of which may be 0: each row is given the
** noise of a level σₖ but the largest, x, and more of it up to the level above, x̃ = x + sn, s² = σₖ₋₁² − σₖ².  Then
** mean E(x) − mean E(x⁻) + reg·mean(E² + E⁻²), x⁻ being where the sampler leads from x̃ on the law of x given x̃,
** E(y, σₖ) + |x̃ − y|²/2s².  It runs on z = (y − x̃)/s, so one step size serves all levels.  Chains may start at x
** instead, which at the truth is a draw from that law already, so that few steps do.  conditional: as in
** neap_loss_multi_dsm. */
typedef struct neap_recovery_config {
  int n; const double *sigmas;
  neap_sampler *sampler;                     /* a reference is taken; NULL: Langevin of step size 0.1 */
  int64_t steps;                             /* 0: 30 */
  neap_start start;                          /* default: x̃; NEAP_START_DATA: x; no other */
  int conditional;
  double reg;
} neap_recovery_config;
/* In any order.  Fewer than two levels, or two alike: NULL and NEAP_EARG. */
NEAP_API neap_loss *neap_loss_diffusion_recovery (neap_context *c, const neap_recovery_config *cfg);

/* Exact score matching (Hyvärinen 2005): mean(½|∇E|² − ΔE), the Laplacian by forward over reverse mode. */
NEAP_API neap_loss *neap_loss_score_matching (neap_context *c);
/* Sliced score matching (Song et al. 2019), s = −∇E, in as many random directions v = ±1 for each row, by forward
** tangents: mean(½|s|² + vᵀ(∇s)v), variant "vr" (NULL), or mean(½(v·s)² + vᵀ(∇s)v), "plain". */
NEAP_API neap_loss *neap_loss_ssm (neap_context *c, int64_t projections, const char *variant);
/* The same without derivatives by x (Pang et al. 2020), with one direction v = ±1 for each row:
** mean((E(x + εv) − E(x − εv))²/8ε² − (E(x + εv) + E(x − εv) − 2E(x))/ε²), "plain" up to O(ε²). */
NEAP_API neap_loss *neap_loss_fd_ssm (neap_context *c, double eps);
/* Denoising score matching (Vincent 2011): mean ½|σ s(x + σn) + n|², s = −∇E. */
NEAP_API neap_loss *neap_loss_dsm (neap_context *c, double sigma);
/* The same with one of n noise levels drawn for each row, all equally likely (Song & Ermon 2019).  conditional: 1, E is
** called as E(x, σ) with σ [B, 1], joined to the batch's own condition [B, k] if it has one; 0, one E serves all
** levels, and learns a blend of the blurred densities; −1: 1 if E may take a condition and the batch has none,
** else 0. */
NEAP_API neap_loss *neap_loss_multi_dsm (neap_context *c, int n, const double *sigmas, int conditional);
/* Whether either takes the mean over each noise n and −n: at twice the cost the gradient varies less, much less where σ
** is small beside what E changes over. */
NEAP_API bool neap_loss_antithetic (neap_context *c, neap_loss *l, bool on);

/* What x's binary units are.  Left open, an RBM's are bits, an Ising model's spins, and else the batch shows it: a −1
** means spins, a 0 bits; of units that all are 1 what the loss saw before is taken; if that was nothing it fails. */
typedef enum neap_units { NEAP_UNITS_OPEN, NEAP_UNITS_BITS, NEAP_UNITS_SPINS } neap_units;    /* 0 and 1; −1 and 1 */
/* Pseudo-likelihood (Besag 1975): −mean Σᵢ log p(xᵢ | x's other units), an energy for each other state of each unit.
** states q ≥ 2: units 1 … q (units is then NEAP_UNITS_OPEN); 0: as a Potts model has them, else binary units.  linear:
** E has no products of a unit with itself, so that one gradient tells all neighbours' energies; known of lattices. */
NEAP_API neap_loss *neap_loss_pseudo_likelihood (neap_context *c, neap_units units, int64_t states,
                                                bool linear);

/* Ratio matching (Hyvärinen 2007) of binary units: mean Σᵢ (1 / (1 + p(x)/p(x with unit i turned over)))².
** linear: as of pseudo-likelihood. */
NEAP_API neap_loss *neap_loss_ratio_matching (neap_context *c, neap_units units, bool linear);

/* Energy discrepancy (Schröder et al. 2023), M = samples: mean log(w/M + (1/M) Σⱼ e^(E(x) − E(x + √t n + √t nⱼ))), no
** derivative by x, no chains.  w > 0 bounds it from below where samples are few. */
NEAP_API neap_loss *neap_loss_energy_discrepancy (neap_context *c, double t, int64_t samples, double w);

/* Maximum likelihood of a model with a known log Z (neap_energy_log_z), differentiated, too: mean E + log Z.  An energy
** with a function of the host's in it is taken to be normalised: mean E. */
NEAP_API neap_loss *neap_loss_mle (neap_context *c);

/* A function of x [B, event…] given by the host; NULL with an error in c on failure. */
typedef neap_tensor *(*neap_tensor_fn) (neap_context *c, void *arg, neap_tensor *x);
/* Fisher divergence to a known law: mean ½|s − s*|².  f gives log p(x) [B] (gradient: its score is s*) or the score
** [B, event…].  release (may be NULL) is called once with arg, also when creation fails. */
NEAP_API neap_loss *neap_loss_fisher (neap_context *c, neap_tensor_fn f, bool is_log_prob, void *arg,
                                      void (*release) (void *arg));

/* Noise contrastive estimation (Gutmann & Hyvärinen 2012) with ratio noise rows per row of data:
** −mean log σ(G(x)) − ratio·mean log σ(−G(y)),  G = −E − log Z − log p_noise − log ratio; log Z is learned, from 0. */
typedef struct neap_nce_config {
  neap_energy *noise;                        /* one with an exact sampler and log Z (a reference is taken); or NULL: */
  neap_tensor *(*sample) (neap_context *c, void *arg, neap_rng *rng, neap_tensor *x, int64_t n);   /* n rows like x's */
  neap_tensor_fn log_prob;                   /* normalised: [n] */
  void *arg;
  void (*release) (void *arg);               /* may be NULL; called once, also when creation fails */
  int64_t ratio;                             /* 0: 1 */
} neap_nce_config;
/* Without noise, or with a ratio below 0: NULL and NEAP_EARG. */
NEAP_API neap_loss *neap_loss_nce (neap_context *c, const neap_nce_config *cfg);
/* Flow contrastive estimation (Gao et al. 2020): nce of ratio 1 whose noise is a flow, or a Gaussian.  Its parameters
** are the loss's own after log Z, and their gradients have the other sign: all may be given to one optimiser, which
** then trains the energy to tell data from the flow's draws, and the flow to make them alike. */
NEAP_API neap_loss *neap_loss_flow_contrastive (neap_context *c, neap_energy *flow);

NEAP_API neap_loss *neap_loss_keep (neap_loss *l);                              /* one reference more */
NEAP_API void neap_loss_release (neap_loss *l);                                 /* NULL is ignored */
NEAP_API const char *neap_loss_name (const neap_loss *l);                       /* "pcd"; a constant */

/* The loss of x [B, event…] with condition cond (or NULL): 0-d.  rng NULL: the context's own stream.
** info (may be NULL) receives detached tensors: "samples" [B, event…], "positive" (mean energy of the data) … */
NEAP_API neap_tensor *neap_loss_eval (neap_context *c, neap_loss *l, neap_energy *E, neap_tensor *x, neap_tensor *cond,
                                      neap_rng *rng, neap_state *info);

/* Its own parameters (nce: log_z; flow_contrastive: the flow's, too), to be trained with E's. */
NEAP_API int neap_loss_nparams (const neap_loss *l);
NEAP_API neap_tensor *neap_loss_param (const neap_loss *l, int i);              /* i from 0; lent by l */
NEAP_API const char *neap_loss_param_name (const neap_loss *l, int i);          /* "log_z"; lent by l */

/* What it remembers between calls, parameters included (pcd: "buffer"): lent by l, for a checkpoint. */
NEAP_API neap_state *neap_loss_state (neap_context *c, neap_loss *l);
/* Takes over copies of state's tensors, and forgets what state has not (but parameters).  A name that l does not know
** fails. */
NEAP_API bool neap_loss_set_state (neap_context *c, neap_loss *l, const neap_state *state);

#endif
