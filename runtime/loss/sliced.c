/*
** sliced.c -- score matching along random directions v, each ±1: by forward tangents.
** Invariant: the mean of vvᵀ is the identity, so that in expectation over v the loss is exact score matching.
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
