/*
** path.h -- laws between an easy one and e^(−E): p_b ∝ e^(−E_b), b from 0 to 1.
** E_b = (1 − b) base + b E.  Of a restricted Boltzmann machine with kernel gibbs it is the machine of bW, bc and
** (1 − b) bias + b b (Salakhutdinov & Murray 2008), so that each law can be drawn from by blocks.
** Invariant: at b = 0 the law is the base's, which can be drawn from and whose log Z is known; at b = 1 it is E's.
*/
#ifndef NEAP_SAMPLER_PATH_H
#define NEAP_SAMPLER_PATH_H

#include "sampler/sampler.h"

/* Whether a kernel may make the moves; false with an error that names who. */
bool path_takes (neap_context *c, const char *who, const neap_sampler *kernel);
/* The machine under E's fix layers, if s's kernel moves by its blocks; else NULL. */
neap_energy *path_machine (const neap_sampler *s, neap_energy *E);
/* E_b0(x) − E_b1(x), float64 [B]; b0, b1 float64 [B]. */
neap_tensor *path_drop (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, neap_tensor *b0,
                        neap_tensor *b1);
/* What s's kernel carries besides x, under E_b, b float64 [B]. */
bool path_init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, neap_tensor *b);
/* One move of its kernel under E_b, from what path_init or a move before made there. */
bool path_step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, neap_tensor *b);
/* path_init, and s->moves moves. */
bool path_move (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, neap_tensor *b);
/* Chooses kernel (NULL: one that suits E) and base of s: an energy, a machine's biases, or a law (default: N(0, 1)). */
bool path_set (neap_context *c, const char *who, neap_sampler *s, neap_energy *E, neap_sampler *kernel,
               neap_energy *base, neap_tensor *bias, neap_start law);
/* n exact draws of the base, and its log Z. */
neap_tensor *path_draw (neap_context *c, neap_sampler *s, neap_energy *E, neap_rng *rng, int64_t n);
bool path_log_z (neap_context *c, neap_sampler *s, neap_energy *E, double *z);

/* ---- weights ---- */
typedef struct path_mean { double log_mean, error, ess; } path_mean;      /* error: of log_mean; NaN of one weight */
/* Of weights e^w. */
path_mean path_mean_of (const double *w, int64_t n);
/* Systematic resampling (Kitagawa 1996): which of n states, from 1, each place takes; weights are e^w, u in [0, 1). */
void path_resample (const double *w, int64_t n, double u, int64_t *from);

#endif
