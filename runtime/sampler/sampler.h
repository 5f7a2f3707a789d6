/*
** sampler.h -- what a sampler is inside the runtime.
** A sampler is a row: a name, init and step, both written in ops over the tensors of a neap_state.
** Invariant: step never looks at values, so it can be recorded; choices between rows are made by where.  One whose
** steps must look has a walk (nuts), one whose runs must a begin (smc).
*/
#ifndef NEAP_SAMPLER_H
#define NEAP_SAMPLER_H

#include "core.h"
#include "energy/rows.h"

#define NEAP_STATE_MAX 24
#define NEAP_STATE_NAME 32

struct neap_state {
  neap_context *ctx;
  neap_rng *rng;
  int count;
  struct { char name[NEAP_STATE_NAME]; neap_tensor *t; } entries[NEAP_STATE_MAX];
};

/* Forgets the entry of this name, if there is one. */
void state_drop (neap_state *s, const char *name);
/* An entry of this name is x, or follows from it: init or a step makes it whatever it was before. */
bool state_is_made_anew (const char *name);

typedef struct neap_sampler_kind {
  const char *name;
  bool keeps;                                /* what init made is kept between calls of step, not computed anew */
  neap_start_kind start;                     /* what NEAP_START_DEFAULT means */
  /* Computes what step carries besides x; called again to refresh it unless keeps.  NULL: nothing. */
  bool (*init)(neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st);
  bool (*step)(neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st);
} neap_sampler_kind;

/* Where a walk leaves the draws of steps at + 1, at + 2, …: those from 1 up that thin divides. */
typedef struct sampler_sink {
  neap_tensor *draws, *energy;               /* [kept, chains, event…], [kept, chains]; row-major */
  int64_t at, thin;
  int64_t whole;                             /* set: how many steps all chains have made */
} sampler_sink;

enum { SAMPLER_WALK = 32 };                  /* steps of a walk, which are made whole or not at all */

/* Steps that are no single graph: what they work on, many of them at once, each chain at its own pace. */
typedef struct sampler_walk {
  void *(*open) (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st);   /* NULL with an error */
  /* n steps; false with an error, and the state as it was.  to: NULL, or where draws go. */
  bool (*go) (void *walker, neap_state *st, int64_t n, sampler_sink *to);
  void (*close) (void *walker);
} sampler_walk;

typedef struct sampler_adaptation {          /* what warm-up sets in the state: "step_size" and "scale" */
  bool on;
  double target;                             /* mean acceptance; 0: the kernel has nothing to set */
  neap_metric metric;
  bool langevin;                             /* step_size ε is Langevin's: that of the leapfrog step is √(2ε) */
} sampler_adaptation;

typedef struct sampler_hooks {               /* what a whole run asks of some samplers; each may be NULL */
  /* Called now and then in warm-up, and at its end. */
  bool (*tune)(neap_context *c, neap_sampler *s, neap_state *st);
  /* Fills info's temperatures and swap rates, which are allocated; an error may be pending. */
  void (*tell)(const neap_state *st, neap_sample_info *info);
  /* Makes first positions, in place of init, cfg with defaults filled in. */
  neap_state *(*begin)(neap_context *c, neap_sampler *s, neap_energy *E, const neap_sample_config *cfg);
} sampler_hooks;

struct neap_sampler {
  const neap_sampler_kind *kind;
  sampler_hooks hooks;
  neap_context *ctx;
  int refs;
  uint64_t serial;                           /* its number in the context; another one after a change */
  double step_size;                          /* NAN: none */
  double noise_std;                          /* langevin; NAN: √(2 step_size) */
  double clip, clamp_min, clamp_max;         /* langevin; 0: none */
  double friction;                           /* underdamped */
  neap_tensor *sigmas;                       /* annealed_langevin: float64 [n], the largest first; counted */
  double sigma_min;
  int64_t level_steps;                       /* moves at each of them */
  int64_t schedule;                          /* all of them: a run makes so many steps, less one, before its warm-up */
  int64_t leapfrog_steps;
  int64_t max_depth;                         /* nuts */
  sampler_adaptation adapt;
  const sampler_walk *walk;                  /* NULL: steps are recorded */
  neap_sampler *kernel;                      /* of what moves along a path (path.h); counted */
  neap_energy *base;                         /* the path's easy end, or NULL; counted */
  neap_start law;                            /* what base is when it is no energy of the host's; else DEFAULT */
  neap_tensor *bias;                         /* of a machine's visible units there; NULL: the machine's own; counted */
  neap_tensor *betas;                        /* the path's points, float64 [n]; counted */
  int64_t moves, particles;                  /* of the kernel at each point; smc */
  double ess;                                /* smc: what part of the particles shall count after a step of the path */
  int64_t grads_init, grads_step;            /* gradients of the energy for each chain */
  neap_custom_sampler custom;
  void *own; void (*release_own) (neap_context *c, void *own);   /* what a kind has besides: data, blocks; or NULL */
  bool host;                                 /* a function of the host's is in what it has */
  bool warned;                               /* that it runs op by op */
};

/* A counted sampler of this kind with nothing set; NULL on failure. */
neap_sampler *sampler_new (neap_context *c, const neap_sampler_kind *kind);
/* False with an error unless v is finite and positive. */
bool sampler_positive (neap_context *c, const char *sampler, const char *option, double v);
/* n noise levels as float64 [n], the largest first; owned. */
neap_tensor *sampler_levels (neap_context *c, int n, const double *sigmas);

/* It has no step size until a warm-up of its own finds one. */
bool sampler_lacks_step (const neap_sampler *s);
/* A step may call a function of the host's, besides E. */
bool sampler_calls_host (const neap_sampler *s);
/* N(0, 1) like x, zero at coordinates that E holds fixed. */
neap_tensor *sampler_noise (neap_context *c, neap_energy *E, neap_state *st, neap_tensor *x);
/* The state's momentum, 0 where E holds x fixed; N(0, I) where it has none. */
neap_tensor *sampler_momentum (neap_context *c, const neap_sampler *s, neap_energy *E, neap_state *st);
/* Energies and gradients at x under the state's condition. */
bool sampler_gradient (neap_context *c, neap_energy *E, neap_state *st, neap_tensor *x, neap_tensor **e,
                       neap_tensor **g);
neap_tensor *sampler_energy (neap_context *c, neap_energy *E, neap_state *st, neap_tensor *x);
/* init of kernels that carry "energy" of x and accept or reject. */
bool sampler_init_energy (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st);
/* "energy" and "grad" of x. */
bool sampler_set_gradient (neap_context *c, neap_energy *E, neap_state *st);
/* init of kernels that carry both and accept or reject. */
bool sampler_init_gradient (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st);
/* "energy" − e, the energy of a proposal y, + log q(x | y) − log q(y | x), NULL where that is 0: [chains]. */
neap_tensor *sampler_log_ratio (neap_context *c, neap_state *st, neap_tensor *e, neap_tensor *log_q);
/* The Metropolis choice: a proposal with its energy and gradient (NULL: the kernel carries none) takes the place of
** "x", "energy" and "grad" where log u <= log_ratio with u ~ U(0, 1], never where that is NaN; counts "accepted". */
bool sampler_metropolis (neap_context *c, neap_state *st, neap_tensor *log_ratio, neap_tensor *x, neap_tensor *e,
                         neap_tensor *g);
/* Adds 1 to st[name] [chains] where event [chains] holds. */
bool sampler_count (neap_context *c, neap_state *st, const char *name, neap_tensor *event);
/* Zeros [chains] under name unless the state has it already. */
bool sampler_counter (neap_context *c, neap_state *st, const char *name);
/* Zeros in place of what it has counted so far, if it counts. */
bool sampler_restart_count (neap_context *c, neap_state *st, const char *name);

/* ---- kernels whose step size and metric warm-up may set (adapt.c, warmup.c) ---- */

/* A counted sampler of this kind with a target acceptance and a step size, or NAN: then warm-up sets it. */
neap_sampler *sampler_new_adaptive (neap_context *c, const neap_sampler_kind *kind, double step_size, double target);
/* k·ε^power·t, ε the state's "step_size" or the sampler's. */
neap_tensor *sampler_times_step (neap_context *c, neap_sampler *s, neap_state *st, double k, double power,
                                 neap_tensor *t);
/* x + k·ε·v */
neap_tensor *sampler_move (neap_context *c, neap_sampler *s, neap_state *st, double k, neap_tensor *v, neap_tensor *x);
/* S·v of each row, or Sᵀ·v: S is the state's "scale", the deviations of coordinates in x's event shape, or a Cholesky
** factor [D, D] of their covariance; v itself where there is none.  Momenta are white: x moves by S·p, p by Sᵀ·∇E. */
neap_tensor *sampler_scaled (neap_context *c, neap_sampler *s, neap_state *st, neap_tensor *v, bool transposed);
/* D of a scale, from a state's x; *dense: whether it is a factor.  -1 with an error where the scale does not fit. */
int64_t sampler_scale_size (neap_context *c, const neap_sampler *s, const neap_state *st, bool *dense);
/* min(1, e^log_ratio) [chains], 0 where it is NaN. */
neap_tensor *sampler_probability (neap_context *c, neap_tensor *log_ratio);
/* For init, when energy and grad are there: a first "step_size" where neither sampler nor state has one. */
bool sampler_first_step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st);
/* n adapted steps from what init made, recorded or each by itself; after (may be NULL) is called after each. */
bool sampler_warmup (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, int64_t n, bool recorded,
                     bool (*after) (void *arg), void *arg);
/* Adds v to st[name] [chains], made at 0 where it is missing. */
bool sampler_add (neap_context *c, neap_state *st, const char *name, double v);

/* First positions of this shape; data is what NEAP_START_DATA takes (may be NULL). */
neap_tensor *sampler_start (neap_context *c, const char *who, neap_start start, neap_rng *r, neap_dtype d,
                            int ndim, const int64_t *shape, neap_tensor *data);
/* Of first positions, where nothing says otherwise. */
neap_dtype sampler_start_dtype (neap_context *c, const neap_energy *E);
neap_start sampler_default_start (const neap_sampler *s, const neap_energy *E, neap_start start);
/* The same of E's units, each value as likely. */
neap_tensor *sampler_start_units (neap_context *c, neap_energy *E, neap_rng *r, neap_dtype d, int ndim,
                                  const int64_t *shape);
/* n steps without computing anything anew first: for chains that came from init just now.  k: their program (see
** sampler/program.h), closed when a step fails in it; NULL: eagerly.  How many were made; fewer than n: with an
** error. */
typedef struct sampler_program sampler_program;
int64_t sampler_advance (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, sampler_program *k,
                         int64_t n);
/* The same as one program, if n is worth it. */
bool sampler_steps (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, int64_t n);

#endif
