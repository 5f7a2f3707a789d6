/*
** discrepancy.c -- energy discrepancy (Schröder et al. 2023).
** E_p[E(x)] − E_p[U(y)] with y = x + √t n and U(y) = −log of e^(−E) blurred by N(0, t) at y: least at the truth, score
** matching for small t, maximum likelihood for large t.  e^(−U) is a mean over samples e^(−E(y + √t n')).
** Invariant: noise is a constant; x is subtracted inside the logarithm, so no exponential overflows.
*/
#include "loss/loss.h"
#include "energy/energy.h"
#include <math.h>

static neap_tensor *blurred (neap_context *c, const neap_loss *l, loss_batch *b, neap_tensor *x) {
  return rows_axpy(c, sqrt(l->t), rows_normal(c, b->rng, x), x);
}

/* e [B] and y -> log Σ e^(E(x) − E(y + noise)) [B] over the samples */
static neap_tensor *log_sum (neap_context *c, neap_loss *l, loss_batch *b, neap_tensor *e, neap_tensor *y) {
  size_t bytes = (size_t)l->draws * sizeof(neap_tensor *);
  neap_tensor **d = y ? neap_malloc(c, bytes) : NULL;
  if (!d) return NULL;
  bool ok = true;
  for (int64_t i = 0; ok && i < l->draws; i++) {
    neap_tensor *at = neap_poll(c) ? blurred(c, l, b, y) : NULL;
    ok = at && (d[i] = neap_sub(c, e, neap_energy_eval(c, b->E, at, b->cond)));
  }
  neap_tensor *sum = ok ? energy_logsumexp_last(c, neap_stack(c, (int)l->draws, d, 2)) : NULL;
  neap_free(c, d, bytes);
  return sum;
}

/* log(e^s + w) */
static neap_tensor *stabilised (neap_context *c, neap_tensor *s, double w) {
  if (w == 0 || !s) return s;
  neap_tensor *log_w = num(c, s, log(w));
  return neap_add(c, log_w, neap_softplus(c, neap_sub(c, s, log_w), 1));
}

static neap_tensor *eval (neap_context *c, neap_loss *l, loss_batch *b) {
  if (!loss_needs_float(c, l, b)) return NULL;
  neap_tensor *e = neap_energy_eval(c, b->E, b->x, b->cond);
  neap_tensor *s = e ? stabilised(c, log_sum(c, l, b, e, blurred(c, l, b, b->x)), l->w) : NULL;
  neap_tensor *mean = rows_mean(c, s);
  if (!loss_tell(c, b, "positive", rows_mean(c, e))) return NULL;
  return mean ? neap_sub(c, mean, num(c, mean, log((double)l->draws))) : NULL;
}

static const neap_loss_kind discrepancy = { "energy_discrepancy", NULL, NULL, eval };

neap_loss *neap_loss_energy_discrepancy (neap_context *c, double t, int64_t samples, double w) {
  if (!sampler_positive(c, "energy_discrepancy", "t", t)) return NULL;
  if (samples < 1 || samples > INT32_MAX)
    return neap_fail(c, NEAP_EARG, "energy_discrepancy: samples: a positive integer expected, got %lld",
                     (long long)samples);
  if (!(w >= 0 && isfinite(w)))
    return neap_fail(c, NEAP_EARG, "energy_discrepancy: w: a number from 0 up expected, got %g", w);
  neap_loss *l = loss_new(c, &discrepancy);
  if (!l) return NULL;
  l->t = t;
  l->draws = samples;
  l->w = w;
  return l;
}
