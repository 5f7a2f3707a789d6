/* neap_energies.h -- included by neap_models.h. */
#ifndef NEAP_ENERGIES_H
#define NEAP_ENERGIES_H

#endif
