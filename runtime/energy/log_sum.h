/*
** log_sum.h -- log Σ e^v, term by term, relative to the largest term so far.
*/
#ifndef NEAP_LOG_SUM_H
#define NEAP_LOG_SUM_H

#include "energy.h"
#include <math.h>

typedef struct log_sum { double max, sum; } log_sum;
#define LOG_SUM_NOTHING ((log_sum){ -INFINITY, 0 })

static inline void log_sum_add (log_sum *s, double v) {
  if (v == -INFINITY) return;
  if (v <= s->max) s->sum += exp(v - s->max);
  else { s->sum = s->sum * exp(s->max - v) + 1; s->max = v; }           /* NaN comes here and stays */
}

static inline double log_sum_total (const log_sum *s) { return s->sum == 0 ? -INFINITY : s->max + log(s->sum); }

enum { LOG_SUM_UNITS = 24 };               /* most units whose states are enumerated */

/* An RBM's log Z over the states of its smaller side, fast.  *done is false, without error, when weights are so large
** that products would overflow: then the general way must do. */
bool energy_rbm_log_z (neap_context *c, const neap_energy *E, double *log_z, bool *done);

#endif
