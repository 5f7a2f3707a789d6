/*
** sliced.c -- score matching along random directions v, each ±1: by forward tangents, or by differences of energies.
** Invariant: the mean of vvᵀ is the identity, so that in expectation over v the loss is exact score matching (of
** differences: up to O(ε²)).
*/
#include "loss/loss.h"
#include "energy/energy.h"
#include <string.h>

/* ---- sliced (Song et al. 2019): vᵀ(∇s)v + ½(v·s)², s = −∇E; of reduced variance: ½|s|², the latter's mean ---- */

static neap_tensor *eval_reduced (neap_context *c, loss_batch *b, neap_tensor *g, int64_t draws) {
  neap_tensor *lap = neap_energy_laplacian_hutchinson(c, b->E, b->x, b->cond, (int)draws, b->rng);
  return loss_hyvarinen(c, b, loss_half_square(c, g), lap);
}

/* (v·∇E)² and vᵀ∇²E v [B] of one direction, added to sum's; sum is empty at first */
static bool add_slice (neap_context *c, loss_batch *b, neap_tensor *g, neap_tensor *sum[2]) {
  neap_tensor *v = energy_signs(c, b->x, b->rng), *h = neap_energy_hvp(c, b->E, b->x, b->cond, v);
  neap_tensor *slope = h ? neap_square(c, rows_dot(c, v, g)) : NULL, *bend = h ? rows_dot(c, v, h) : NULL;
  sum[0] = sum[0] ? neap_add(c, sum[0], slope) : slope;
  sum[1] = sum[1] ? neap_add(c, sum[1], bend) : bend;
  return sum[0] && sum[1];
}

static neap_tensor *eval_plain (neap_context *c, loss_batch *b, neap_tensor *g, int64_t draws) {
  neap_tensor *sum[2] = { NULL, NULL };
  for (int64_t i = 0; i < draws; i++) if (!neap_poll(c) || !add_slice(c, b, g, sum)) return NULL;
  neap_tensor *half = rows_scale(c, rows_mean(c, sum[0]), .5 / (double)draws);
  return loss_hyvarinen(c, b, half, rows_scale(c, sum[1], 1. / (double)draws));
}

static neap_tensor *eval_ssm (neap_context *c, neap_loss *l, loss_batch *b) {
  if (!loss_needs_float(c, l, b)) return NULL;
  neap_tensor *g = neap_energy_grad(c, b->E, b->x, b->cond);
  if (!g) return NULL;
  return l->plain ? eval_plain(c, b, g, l->draws) : eval_reduced(c, b, g, l->draws);
}

static const neap_loss_kind ssm = { "ssm", NULL, NULL, eval_ssm };

neap_loss *neap_loss_ssm (neap_context *c, int64_t projections, const char *variant) {
  if (projections < 1 || projections > INT32_MAX)
    return neap_fail(c, NEAP_EARG, "ssm: projections: a positive integer expected, got %lld", (long long)projections);
  bool plain = variant && strcmp(variant, "plain") == 0;
  if (variant && !plain && strcmp(variant, "vr") != 0)
    return neap_fail(c, NEAP_EARG, "ssm: variant: \"vr\" or \"plain\" expected, got \"%s\"", variant);
  neap_loss *l = loss_new(c, &ssm);
  if (!l) return NULL;
  l->draws = projections;
  l->plain = plain;
  return l;
}

/* ---- finite differences (Pang et al. 2020): v·∇E and vᵀ∇²E v from E at x and x ± εv ---- */

static neap_tensor *eval_fd (neap_context *c, neap_loss *l, loss_batch *b) {
  if (!loss_needs_float(c, l, b)) return NULL;
  neap_tensor *step = rows_scale(c, energy_signs(c, b->x, b->rng), l->eps);
  neap_tensor *e = neap_energy_eval(c, b->E, b->x, b->cond);
  neap_tensor *ahead = neap_energy_eval(c, b->E, neap_add(c, b->x, step), b->cond);
  neap_tensor *behind = neap_energy_eval(c, b->E, neap_sub(c, b->x, step), b->cond);
  neap_tensor *slope = rows_scale(c, neap_sub(c, ahead, behind), .5 / l->eps);
  neap_tensor *bend = neap_add(c, neap_sub(c, ahead, e), neap_sub(c, behind, e));
  return loss_hyvarinen(c, b, loss_half_square(c, slope), rows_scale(c, bend, 1 / (l->eps * l->eps)));
}

static const neap_loss_kind fd_ssm = { "fd_ssm", NULL, NULL, eval_fd };

neap_loss *neap_loss_fd_ssm (neap_context *c, double eps) {
  if (!sampler_positive(c, "fd_ssm", "eps", eps)) return NULL;
  neap_loss *l = loss_new(c, &fd_ssm);
  if (l) l->eps = eps;
  return l;
}
