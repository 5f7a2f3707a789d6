/*
** program.h -- a loss as a program.
*/
#ifndef NEAP_LOSS_PROGRAM_H
#define NEAP_LOSS_PROGRAM_H

#include "loss/loss.h"

/* The loss of a batch (after prepare) by a program that computes its gradients, too.  NULL: it is not run as one, and the
** batch is as it was; or, with an error pending, it was interrupted or there is no memory. */
neap_tensor *loss_program (neap_context *c, neap_loss *l, loss_batch *b);

#endif
