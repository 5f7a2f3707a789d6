/*
** rbm.h -- what restricted Boltzmann machines share.
** Invariant: slots are W [V, H], b [V], c [H]; of a Gaussian one std (0-d or [V]), too.
*/
#ifndef NEAP_RBM_H
#define NEAP_RBM_H

#include "energy.h"

enum { RBM_W, RBM_B, RBM_C, RBM_STD };

static inline bool rbm_is_gaussian (const neap_energy *E) { return E->cls == &energy_gaussian_rbm_class; }

/* An energy of that class with nslots slots, the first three filled: to be finished. */
neap_energy *rbm_new (neap_context *c, const energy_class *cls, int nslots, int64_t visible, int64_t hidden,
                      neap_dtype d, neap_rng *rng);
/* There are n slots and the first three fit; sets the event. */
bool rbm_check (neap_context *c, neap_energy *E, int n);
/* v [B, V] -> c + vW [B, H], (v/std)W if Gaussian */
neap_tensor *rbm_to_hidden (neap_context *c, neap_energy *E, neap_tensor *v);
/* h [B, H] -> hWᵀ [B, V], std hWᵀ if Gaussian: what h adds to b */
neap_tensor *rbm_from_hidden (neap_context *c, neap_energy *E, neap_tensor *h);
/* h [B, H] -> b + hWᵀ [B, V], b + std hWᵀ if Gaussian */
neap_tensor *rbm_to_visible (neap_context *c, neap_energy *E, neap_tensor *h);
/* Visible units drawn given what acts on them, r [B, V], as rbm_to_visible gives it. */
neap_tensor *rbm_draw_visible (neap_context *c, neap_energy *E, neap_rng *rng, neap_tensor *r);
/* E is a machine, Gaussian or not. */
bool rbm_is_machine (const neap_energy *E);
/* h [S, H] -> log of the sum, or of the integral without its constant, of e^(−joint) over the visible units [S] */
neap_tensor *rbm_hidden_weights (neap_context *c, neap_energy *E, neap_tensor *h);
/* ½ |(v − b)/std|² [B] of a Gaussian one */
neap_tensor *rbm_half_square (neap_context *c, neap_energy *E, neap_tensor *v);
/* log Σ over all hidden states of rbm_hidden_weights, differentiable: for one that is not large */
neap_tensor *rbm_sum_hidden (neap_context *c, neap_energy *E);

#endif
