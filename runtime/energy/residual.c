/*
** residual.c -- a network of residual blocks with one output (He et al. 2016).
** h = W₁x + b₁, then h ← h + V σ(W h + b) + v per block, at last E = w·σ(h) + b.  Layers: the first [w, D+k], two per
** block, [m, w] and [w, m], the last [1, w]; choice is the activation, num[0] is k, the size of the condition that is
** joined to x.
*/
#include "network.h"
#include <math.h>

static int blocks (const neap_energy *E) { return E->nslots / 4 - 1; }

static bool check (neap_context *c, neap_energy *E) {
  int64_t width = -1;
  if (!network_check(c, E)) return false;
  if (E->nslots % 4 || blocks(E) < 1)
    return neap_fail(c, NEAP_EARG, "residual_mlp: a first layer, two per block and a last one expected");
  if (!network_check_layer(c, E, 0, &width)) return false;
  for (int j = 0; j < blocks(E); j++) {
    int64_t h = width;
    if (!network_check_layer(c, E, 2 * j + 1, &h) || !network_check_layer(c, E, 2 * j + 2, &h)) return false;
    if (h != width)
      return neap_fail(c, NEAP_ESHAPE, "residual_mlp: block %d takes %lld numbers but gives %lld", j + 1,
                       (long long)width, (long long)h);
  }
  if (!network_check_layer(c, E, E->nslots / 2 - 1, &width)) return false;
  if (width != 1) return neap_fail(c, NEAP_ESHAPE, "residual_mlp: one output expected, got %lld", (long long)width);
  return network_set_event(c, E, (int64_t)E->num[0]);
}

/* x [B, D] -> [B] */
static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *h = network_layer(c, E, 0, network_join(c, E, x, cond, (int64_t)E->num[0]));
  for (int j = 0; h && j < blocks(E); j++) {
    neap_tensor *inner = network_activate(c, E, network_layer(c, E, 2 * j + 1, h));
    h = neap_add(c, h, network_layer(c, E, 2 * j + 2, inner));
  }
  h = network_layer(c, E, E->nslots / 2 - 1, network_activate(c, E, h));
  return energy_reshape(c, h, 1, x->shape);
}

const energy_class energy_residual_mlp_class = { "residual_mlp", 0, 0, 1, check, eval, NULL, NULL,
                                                 network_tail };

/* ---- making ---- */

/* n blocks that each add 1/n of a variance leave twice of it: what comes out has the size of what goes in. */
static void set_layers (neap_context *c, neap_energy *E, const void *config) {
  const neap_residual_config *cfg = config;
  network_init init = { "residual_mlp", cfg->dtype, cfg->rng };
  int64_t width = cfg->sizes[1];
  int n = blocks(E);
  double gain = network_gain(E->choice), share = 1 / sqrt((double)n);
  network_set_layer(c, E, &init, 0, cfg->sizes[0] + cfg->condition, width, 1, 1);
  for (int j = 0; j < n && neap_ok(c); j++) {
    int64_t inner = cfg->nsizes > 2 ? cfg->sizes[j + 2] : width;
    network_set_layer(c, E, &init, 2 * j + 1, width, inner, 1, 1);
    network_set_layer(c, E, &init, 2 * j + 2, inner, width, gain, share);
  }
  if (neap_ok(c)) network_set_layer(c, E, &init, 2 * n + 1, width, 1, 1, 1);
}

static bool check_config (neap_context *c, const neap_residual_config *cfg) {
  const char *who = "residual_mlp";
  if (!cfg || cfg->nsizes < 2 || !cfg->sizes)
    return neap_fail(c, NEAP_EARG, "%s: sizes is missing: {inputs, width, ...}", who);
  if (cfg->nsizes > 2 && cfg->blocks)
    return neap_fail(c, NEAP_EARG, "%s: either blocks or more than two sizes, one per block, got both", who);
  if (cfg->blocks < 0 || cfg->blocks > 100)
    return neap_fail(c, NEAP_EARG, "%s: blocks must be 1 to 100, got %lld", who, (long long)cfg->blocks);
  return network_check_sizes(c, who, cfg->nsizes, cfg->sizes) && network_check_condition(c, who, cfg->condition) &&
         network_check_init(c, &(network_init){ who, cfg->dtype, NULL });
}

neap_energy *neap_energy_residual_mlp (neap_context *c, const neap_residual_config *cfg) {
  if (!neap_ok(c) || !check_config(c, cfg)) return NULL;
  int act = network_activation(c, "residual_mlp", cfg->activation);
  int n = cfg->nsizes > 2 ? cfg->nsizes - 2 : cfg->blocks ? (int)cfg->blocks : 2;
  return network_new(c, &energy_residual_mlp_class, 4 * n + 4, act, cfg->condition, set_layers, cfg);
}
