/*
** neap_models.h -- energies, samplers and losses.  Included by neap.h.
** An energy is a counted object: parameters and a function from x [B, event…] (and a condition c [B, …])
** to energies [B].  Composed energies are energies.
*/
#ifndef NEAP_MODELS_H
#define NEAP_MODELS_H

typedef struct neap_energy neap_energy;

/* ---- Evaluation (x [B, event…], cond [B, …] or NULL) ---- */
NEAP_API neap_tensor *neap_energy_eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond);   /* [B] */
/* Energies [B] into *e (may be NULL) and ∇ₓE, of x's shape, into *g. */
NEAP_API bool neap_energy_value_and_grad (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond,
                                          neap_tensor **e, neap_tensor **g);

NEAP_API neap_energy *neap_energy_keep (neap_energy *E);          /* one reference more */
NEAP_API void neap_energy_release (neap_energy *E);              /* NULL is ignored */

/* ---- Parameters: in a stable order, variables (requires_grad) from the start ---- */
NEAP_API int neap_energy_nparams (const neap_energy *E);                        /* how many tensors */
NEAP_API neap_tensor *neap_energy_param (const neap_energy *E, int i);          /* i from 0; lent by E */
NEAP_API const char *neap_energy_param_name (const neap_energy *E, int i);      /* "weight1"; lent by E */

/* ---- Shape of one x ---- */
/* Writes the event shape into shape and returns its number of dimensions; -1 when it is not known. */
NEAP_API int neap_energy_event (const neap_energy *E, int64_t shape[NEAP_MAX_DIMS]);
/* The bool mask (event-shaped) of coordinates held by neap_energy_fix, NULL when none; lent by E.
** Samplers add no noise and no momentum there. */
NEAP_API neap_tensor *neap_energy_mask (const neap_energy *E);
/* Where it holds them: event-shaped, [B, event…] or 0-d; NULL without a mask; lent by E. */
NEAP_API neap_tensor *neap_energy_mask_values (const neap_energy *E);

#include "neap_energies.h"
#include "neap_samplers.h"
#include "neap_losses.h"
#include "neap_optim.h"
#include "neap_programs.h"

#endif
