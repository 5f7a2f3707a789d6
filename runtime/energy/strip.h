/*
** strip.h -- log Z of units on a strip, by transfer matrices.
** Invariant: exact but for rounding, and the same for any number of threads.
*/
#ifndef NEAP_STRIP_H
#define NEAP_STRIP_H

#include "energy.h"

typedef struct strip {
  int64_t q, width, length;                /* values of a unit; units a row; rows */
  bool torus;                              /* rows and their ends are joined, too */
  double bond;                             /* log weight of two equal neighbours; of different ones it is 0 */
  const double *field;                     /* per value above the lowest: log weights [length, width], or NULL */
} strip;

/* Whether the sum takes seconds at most. */
bool strip_fits (const strip *s);
bool strip_log_z (neap_context *c, const strip *s, double *log_z);

#endif
