/*
** weights.c -- means of weights that are given by their logarithms, and resampling by them.
** Invariant: a weight that is not a number counts as one, and makes the mean so; all are taken relative to the largest.
*/
#include "sampler/path.h"
#include <math.h>

static double largest (const double *w, int64_t n) {
  double most = -INFINITY;
  for (int64_t i = 0; i < n; i++) most = fmax(most, w[i]);
  return most;
}

path_mean path_mean_of (const double *w, int64_t n) {
  double most = largest(w, n), sum = 0, squares = 0, spread = 0;
  if (!isfinite(most)) return (path_mean){ most, NAN, 0 };
  for (int64_t i = 0; i < n; i++) {
    double v = exp(w[i] - most);
    sum += v;
    squares += v * v;
  }
  double mean = sum / (double)n;
  for (int64_t i = 0; i < n; i++) spread += (exp(w[i] - most) - mean) * (exp(w[i] - most) - mean);
  double error = n > 1 ? sqrt(spread / (double)(n - 1) / (double)n) / mean : NAN;
  return (path_mean){ most + log(mean), error, sum * sum / squares };
}

void path_resample (const double *w, int64_t n, double u, int64_t *from) {
  double most = largest(w, n), total = 0, upto = 0;
  for (int64_t i = 0; i < n; i++) total += exp(w[i] - most);
  int64_t k = 0;
  for (int64_t i = 0; i < n; i++) {
    upto += exp(w[i] - most) / total * (double)n;
    while (k < n && ((double)k + u < upto || i == n - 1)) from[k++] = i + 1;
  }
}
