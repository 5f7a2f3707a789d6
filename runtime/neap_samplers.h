/*
** neap_samplers.h -- samplers: Markov kernels that leave exp(−E) invariant (the Langevin ones: nearly).
** Included by neap_models.h.  A sampler holds settings only; everything a chain carries from one step to
** the next is in a neap_state: named tensors ("x" [chains, event…], "condition", counts …) and a random stream.
*/
#ifndef NEAP_SAMPLERS_H
#define NEAP_SAMPLERS_H

typedef struct neap_sampler neap_sampler;    /* counted */
typedef struct neap_state neap_state;        /* owned by who made it */

/* ---- Named tensors: what a chain carries, what a loss remembers, what it reports ---- */
/* rng NULL: the context's own stream.  Free with neap_state_free. */
NEAP_API neap_state *neap_state_new (neap_context *c, neap_rng *rng);
NEAP_API void neap_state_free (neap_state *s);                                  /* NULL is ignored */
NEAP_API int neap_state_count (const neap_state *s);                            /* of its tensors */
NEAP_API const char *neap_state_name (const neap_state *s, int i);              /* i from 0 */
NEAP_API neap_tensor *neap_state_get (const neap_state *s, const char *name);   /* lent by s; NULL when there is none */
/* Holds t (a reference is taken) under name, in place of what was there.  Fails when t is NULL. */
NEAP_API bool neap_state_set (neap_context *c, neap_state *s, const char *name, neap_tensor *t);
NEAP_API neap_rng *neap_state_rng (const neap_state *s);                        /* lent by s */

/* ---- Samplers.  A bad setting fails with NEAP_EARG.  Neither init nor step is ever taped. ---- */
typedef struct neap_langevin_options {
  const double *noise_std;                   /* NULL: √(2 step_size) */
  double clip;                               /* the gradient's elements are held in ±clip; 0: free */
  double clamp_min, clamp_max;               /* x is held between them after each step; both 0: free */
} neap_langevin_options;

/* Unadjusted Langevin: x ← x − ε∇E(x) + noise_std·n.  o may be NULL. */
NEAP_API neap_sampler *neap_sampler_langevin (neap_context *c, double step_size, const neap_langevin_options *o);
/* Random-walk Metropolis: proposes x + scale·n. */
NEAP_API neap_sampler *neap_sampler_random_walk (neap_context *c, double scale);
/* Slice sampling (Neal 2003) along random lines, stepping out by width up to 7 times and shrinking up to 12 times. */
NEAP_API neap_sampler *neap_sampler_slice (neap_context *c, double width);
/* Metropolis-adjusted Langevin (Roberts & Tweedie 1996): proposes x − ε∇E(x) + √(2ε)·n.  As in hmc and nuts, one of NAN
** is set in warm-up, together with a diagonal metric: as neap_sampler_adapt does for 0 and NEAP_METRIC_DIAG. */
NEAP_API neap_sampler *neap_sampler_mala (neap_context *c, double step_size);
/* Hamiltonian Monte Carlo (Neal 2011): leapfrog, fixed length.  An energy error > 1000 is a divergence. */
NEAP_API neap_sampler *neap_sampler_hmc (neap_context *c, double step_size, int64_t leapfrog_steps);
/* The no-U-turn sampler (Hoffman & Gelman 2014; multinomial, as Betancourt 2017): at most max_depth doublings, 1 to 20.
** Its chains grow their trees independently, on rows of one program. */
NEAP_API neap_sampler *neap_sampler_nuts (neap_context *c, double step_size, int max_depth);
/* Underdamped Langevin (Leimkuhler & Matthews 2013, BAOAB): position and momentum, with friction and noise on it. */
NEAP_API neap_sampler *neap_sampler_underdamped (neap_context *c, double step_size, double friction);
/* Annealed Langevin (Song & Ermon 2019): steps moves at each of n levels σ, the largest first, with
** step_size·(σ/σ_min)².  An energy that may take a condition, and has none, is given σ [chains, 1].  A run's warm-up
** comes after all moves but the last: by default it keeps what 1 step then gives, where the schedule ends. */
NEAP_API neap_sampler *neap_sampler_annealed_langevin (neap_context *c, int n, const double *sigmas, double step_size,
                                                       int64_t steps);
/* Gibbs sampling (Geman & Geman 1984): of a restricted Boltzmann machine, Gaussian or not, h ~ p(h | x), then
** x ~ p(x | h); of an ising or potts each unit once, all of a colour at a time; of another energy of discrete units
** each unit once, from E at each of its values. */
NEAP_API neap_sampler *neap_sampler_gibbs (neap_context *c);
/* Flips of single units, 0 and 1 or −1 and 1, chosen by the gradient (Grathwohl et al. 2021); a change of one of
** the units 1 … q. */
NEAP_API neap_sampler *neap_sampler_gibbs_with_gradients (neap_context *c);
/* Discrete Metropolis-adjusted Langevin (Zhang et al. 2022): flips of all units at once, 0 and 1 or −1 and 1; changes
** of units 1 … q. */
NEAP_API neap_sampler *neap_sampler_dmala (neap_context *c, double step_size);

/* Parallel tempering (Geyer 1991): replicas at n temperatures, the first 1, rising; each step is `moves` of the kernel
** under E/T and swaps of neighbours.  Of an rbm with gibbs W/T and c/T, b as it is, so that T may be INFINITY.  tune: a
** run's warm-up places the temperatures between the first and the last so that all pairs swap alike (Syed et al. 2022).
** Draws are those at T = 1. */
NEAP_API neap_sampler *neap_sampler_parallel_tempering (neap_context *c, neap_sampler *kernel, int n,
                                                        const double *temperatures, bool tune, int64_t moves);
/* Sequential Monte Carlo (Del Moral et al. 2006): particles go from a base to e^(−E), each step so long that a part ess
** of them stays effective, with `moves` of the kernel after each.  For whole runs: chains are particles, by default so
** many and 1 step, which is one of the kernel; first positions come from config.start (N(0, 1), a uniform law; units:
** uniform, an rbm's: from its biases).  info has log_z. */
NEAP_API neap_sampler *neap_sampler_smc (neap_context *c, neap_sampler *kernel, int64_t particles, double ess,
                                         int64_t moves);

/* Posteriors from minibatches: E(θ, y) is Σ −log p(yᵢ | θ) over the rows of y [chains, n, …], each chain's own, drawn
** from data [N, …] with replacement; what is sampled is exp(−prior(θ) − (N/n) E(θ, y)) of all rows. */
typedef struct neap_minibatch_config {
  double step_size;
  neap_tensor *data;                         /* [N, …]: a reference is taken */
  int64_t batch;                             /* rows a step; 0: all, none left out */
  neap_energy *prior;                        /* −log p(θ), a reference is taken; NULL: flat */
  double power, delay;                       /* sgld: step t has step_size·(1 + t/delay)^−power; delay 0: 1 */
  double friction, noise;                    /* sghmc: friction 0: 1; noise: what the gradient's own makes up */
} neap_minibatch_config;
/* Stochastic gradient Langevin dynamics (Welling & Teh 2011): x − ε∇Ũ + √(2ε)·n. */
NEAP_API neap_sampler *neap_sampler_sgld (neap_context *c, const neap_minibatch_config *cfg);
/* Stochastic gradient HMC (Chen et al. 2014): x ← x + εp, p ← p − ε∇Ũ − εCp + √(2(C − B)ε)·n. */
NEAP_API neap_sampler *neap_sampler_sghmc (neap_context *c, const neap_minibatch_config *cfg);

/* A step of each of n samplers in turn, sampler i moving the coordinates dims[i] (int64 [d], from 1, of the flat event)
** as if the others were given.  Together they move all coordinates. */
NEAP_API neap_sampler *neap_sampler_blocks (neap_context *c, int n, neap_tensor *const *dims,
                                            neap_sampler *const *samplers);

/* A kernel of the host's own.  init finds "x" (and "condition") in state and adds what step carries; step replaces "x".
** A false result must come with an error in c.  free (may be NULL) is called once with arg, even if creation fails. */
typedef struct neap_custom_sampler {
  bool (*init) (neap_context *c, void *arg, neap_energy *E, neap_state *state);   /* may be NULL */
  bool (*step) (neap_context *c, void *arg, neap_energy *E, neap_state *state);
  void (*free) (void *arg);
  void *arg;
} neap_custom_sampler;
/* Without a step: NULL and NEAP_EARG. */
NEAP_API neap_sampler *neap_sampler_custom (neap_context *c, const neap_custom_sampler *k);

NEAP_API neap_sampler *neap_sampler_keep (neap_sampler *s);                     /* one reference more */
NEAP_API void neap_sampler_release (neap_sampler *s);                           /* NULL is ignored */
NEAP_API const char *neap_sampler_name (const neap_sampler *s);                 /* "hmc"; a constant */
/* What parallel_tempering and smc move by; NULL of others.  Lent. */
NEAP_API neap_sampler *neap_sampler_kernel (const neap_sampler *s);
/* step_size, scale or width; NAN for a sampler without one. */
NEAP_API double neap_sampler_step_size (const neap_sampler *s);
/* Positive, of a sampler that has one; else NEAP_EARG. */
NEAP_API bool neap_sampler_set_step_size (neap_context *c, neap_sampler *s, double step_size);
typedef enum neap_metric { NEAP_METRIC_UNIT, NEAP_METRIC_DIAG, NEAP_METRIC_DENSE } neap_metric;
/* Lets warm-up set the step size, by dual averaging (Hoffman & Gelman 2014) towards a mean acceptance of target (0:
** .574 for mala, .8 for hmc and nuts), and the metric: the scales that momenta are measured in, from the variances or
** the covariance of the draws in Stan's windows.  All chains of a run share both.  mala, hmc and nuts only. */
NEAP_API bool neap_sampler_adapt (neap_context *c, neap_sampler *s, double target, neap_metric metric);

/* ---- Where chains start ---- */
typedef enum neap_start_kind {
  NEAP_START_DEFAULT,                        /* the sampler's or loss's own: normal; Bernoulli(½) (units); data (cd) */
  NEAP_START_NORMAL,                         /* N(0, 1) */
  NEAP_START_UNIFORM,                        /* U(lo, hi); both 0: U(0, 1) */
  NEAP_START_BERNOULLI,                      /* 0 or 1, evenly */
  NEAP_START_DATA                            /* losses: the batch itself */
} neap_start_kind;
typedef struct neap_start { neap_start_kind kind; double lo, hi; } neap_start;

/* ---- Chains by hand ---- */
/* A chain at x [chains, event…] (not NULL), with condition cond or NULL.  Coordinates that E holds fixed
** (neap_energy_mask) are set to their values.  rng NULL: the context's own stream.  NULL on failure; free with
** neap_state_free. */
NEAP_API neap_state *neap_sampler_init (neap_context *c, neap_sampler *s, neap_energy *E, neap_tensor *x,
                                        neap_tensor *cond, neap_rng *rng);
/* n steps.  What depends on E and x is computed anew when the call begins, so E's parameters and "x" may have been
** changed since.  On failure the chain stands after the last whole step. */
NEAP_API bool neap_sampler_step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *state, int64_t n);

/* n steps of warm-up, in which a kernel that adapts sets "step_size" and "scale" of the state; others just step. */
NEAP_API bool neap_sampler_warmup (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *state, int64_t n);

/* ---- A whole run ---- */
typedef struct neap_sample_config {          /* all may be zero */
  int64_t chains;                            /* 0: 4, or the rows of x */
  neap_tensor *x;                            /* first positions [chains, event…]; NULL: start, in E's event shape */
  neap_start start;
  const neap_dtype *dtype;                   /* of first positions; NULL: E's first parameter's, else the default */
  int64_t steps, warmup, thin;               /* 0: 1000 (annealed: 1), 0, 1.  After warmup each thin-th is kept */
  neap_tensor *condition;
  neap_rng *rng;                             /* NULL: the context's own stream */
  bool (*progress) (void *arg, int64_t done, int64_t total);   /* after each step; false (with an error in c) stops */
  void *progress_arg;
  bool watches;                              /* progress only looks on: nothing changes that E or the sampler reads */
} neap_sample_config;

typedef struct neap_sample_info {            /* up to date whenever progress is called */
  int64_t kept;                              /* draws made: fewer than asked for when the run failed */
  neap_tensor *draws;                        /* [asked, chains, event…], the first kept of them filled; lent, or NULL */
  neap_tensor *energy;                       /* [asked, chains], likewise */
  double accept_rate;                        /* mean over steps and chains after warm-up; 1 where nothing is rejected */
  int64_t divergences;                       /* after warm-up, all chains */
  int64_t grad_evals;                        /* gradients of single rows, warm-up included */
  double seconds;
  double step_size;                          /* at the end; NAN where there is none */
  /* The metric that warm-up set, lent: deviations in x's event shape, or a Cholesky factor [D, D] of the covariance;
  ** NULL: unit. */
  neap_tensor *scale;
  double tree_depth;                         /* nuts, mean after warm-up; otherwise NAN */
  int64_t saturated;                         /* nuts: trees after warm-up that ended for their depth */
  neap_tensor *temperatures;                 /* parallel_tempering, smc: float64 [n], lent; else NULL */
  neap_tensor *swap_rates;                   /* parallel_tempering: float64 [n − 1], after warm-up, lent; else NULL */
  double log_z, log_z_error;                 /* smc; else NAN */
} neap_sample_info;

/* Runs s on E: draws [kept, chains, event…], lent; info may be NULL.  Polls for interrupts at each step: an interrupted
** run fails with NEAP_EINTERRUPTED, and info tells what it had. */
NEAP_API neap_tensor *neap_sampler_sample (neap_context *c, neap_sampler *s, neap_energy *E,
                                           const neap_sample_config *cfg, neap_sample_info *info);

/* ---- log Z along a path ---- */
typedef struct neap_log_z_config {           /* all may be zero */
  neap_sampler *kernel;                      /* NULL: gibbs if it can, of other units gibbs_with_gradients, else hmc */
  neap_energy *base;                         /* of continuous x: can be drawn from, and its log Z is known; NULL: law */
  neap_start law;                            /* smc: DEFAULT N(0, 1); or uniform */
  neap_tensor *bias;                         /* an rbm with gibbs: the base's biases [visible]; NULL: its own */
  int64_t chains, moves;                     /* 0: 256 and 1; smc: 1024 and 10 */
  int64_t temperatures; const double *betas; /* 0: 2000; betas NULL: evenly spaced; else so many, rising from 0 to 1 */
  neap_tensor *x;                            /* reverse: where chains start */
  bool exact;                                /* x are exact draws of e^(−E) */
  int64_t burn;                              /* reverse, without x and exact draws: moves under E before */
  double ess;                                /* smc: 0: 0.5 */
  neap_rng *rng;
} neap_log_z_config;

typedef struct neap_log_z_info {
  double log_z, error, lower, upper;         /* error: of log_z, one standard deviation; a 95 % interval */
  double ess;                                /* of the chains' weights; smc: 0 */
  int64_t chains, temperatures;
  const char *starts;                        /* "exact", "given", or "annealed": the ends of chains that came forward */
  double seconds;
} neap_log_z_info;

/* Annealed importance sampling (Neal 2001) from a base, or back to it from draws of e^(−E): the first is below log Z on
** average, the other above it, if its starts are exact.  Bases: an rbm's visible units alone (with gibbs: by blocks,
** Salakhutdinov & Murray 2008), other units uniform, continuous x N(0, 1) or `base`. */
NEAP_API bool neap_energy_log_z_ais (neap_context *c, neap_energy *E, bool reverse, const neap_log_z_config *cfg,
                                     neap_log_z_info *info);
/* Sequential Monte Carlo (Del Moral et al. 2006); the error is that of independent islands of particles. */
NEAP_API bool neap_energy_log_z_smc (neap_context *c, neap_energy *E, const neap_log_z_config *cfg,
                                     neap_log_z_info *info);

#endif
