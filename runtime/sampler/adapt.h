/*
** adapt.h -- what a warm-up learns: a step size by dual averaging, a metric from moments in growing windows.
** Invariant: numbers alone; the same numbers in give the same numbers out, whatever threads there are.
*/
#ifndef NEAP_SAMPLER_ADAPT_H
#define NEAP_SAMPLER_ADAPT_H

#include "core.h"

/* ---- Nesterov's dual averaging of log(step) (Hoffman and Gelman 2014, eq. 6) ---- */
typedef struct dual_average { double target, mu, deficit, log_mean; int64_t n; } dual_average;

dual_average dual_average_from (double target, double step);
double dual_average_next (dual_average *a, double accept);         /* the step to try next */
/* Where the averages went; of no steps: otherwise. */
double dual_average_result (const dual_average *a, double otherwise);

/* ---- Stan's windows: 75 steps without a metric, windows of 25 steps and twice as many each, 50 steps for the step
** size alone; in proportion for a short warm-up, and none below 20 ---- */
typedef struct windows { int64_t n, first, last, end, size; } windows;     /* steps from 0; a window's last is `end` */

windows windows_of (int64_t n);
bool windows_hold (const windows *w, int64_t i);       /* does step i count? */
bool windows_end (windows *w, int64_t i);              /* is it a window's last?  Then the next one begins */

/* ---- moments of points [n] (Welford 1962) ---- */
typedef struct moments { int64_t n, count; bool dense; double *mean, *m2, *delta; } moments;

bool moments_open (neap_context *c, moments *m, int64_t n, bool dense);
void moments_close (neap_context *c, moments *m);
void moments_reset (moments *m);
void moments_add (moments *m, const double *x);
/* Shrunk variances [n], or covariance [n, n], as Stan's: n/(n + 5)·V + 1e-3·5/(n + 5)·I.  False: there are too few
** points, or one is not finite. */
bool moments_get (const moments *m, double *v);

#endif
