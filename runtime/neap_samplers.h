/* neap_samplers.h -- included by neap_models.h. */
#ifndef NEAP_SAMPLERS_H
#define NEAP_SAMPLERS_H

#endif
