/* neap_losses.h -- included by neap_models.h. */
#ifndef NEAP_LOSSES_H
#define NEAP_LOSSES_H

#endif
