/*
** mlp.c -- a fully connected network with one output.
** Slots: weight1 [s₂, s₁+k], bias1 [s₂], weight2 …, the last weight [1, s_n]; choice is the activation, num[0] is k,
** the size of the condition that is joined to x.
*/
#include "network.h"

static bool check (neap_context *c, neap_energy *E) {
  int64_t width;
  if (!network_check_stack(c, E, &width)) return false;
  if (width != 1) return neap_fail(c, NEAP_ESHAPE, "mlp: one output expected, got %lld", (long long)width);
  return network_set_event(c, E, (int64_t)E->num[0]);
}

/* x [B, D] -> [B] */
static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  return energy_reshape(c, network_stack(c, E, x, cond, (int64_t)E->num[0]), 1, x->shape);
}

const energy_class energy_mlp_class = { "mlp", 0, 0, 1, check, eval, NULL, NULL, network_tail };

/* ---- making ---- */

/* A layer's gain makes up for the activation before it; the first has none before it. */
static void set_layers (neap_context *c, neap_energy *E, const void *config) {
  const neap_mlp_config *cfg = config;
  network_init init = { "mlp", cfg->dtype, cfg->rng };
  for (int i = 0; i < cfg->nsizes && neap_ok(c); i++) {
    bool head = i + 1 == cfg->nsizes;
    double gain = i == 0 || head ? 1 : network_gain(E->choice);
    network_set_layer(c, E, &init, i, cfg->sizes[i] + (i == 0 ? cfg->condition : 0), head ? 1 : cfg->sizes[i + 1],
                      gain, 1);
  }
}

static bool check_config (neap_context *c, const neap_mlp_config *cfg) {
  if (!cfg || cfg->nsizes < 1 || !cfg->sizes)
    return neap_fail(c, NEAP_EARG, "mlp: sizes is missing: {inputs, hidden, ...}");
  return network_check_sizes(c, "mlp", cfg->nsizes, cfg->sizes) && network_check_condition(c, "mlp", cfg->condition) &&
         network_check_init(c, &(network_init){ "mlp", cfg->dtype, NULL });
}

neap_energy *neap_energy_mlp (neap_context *c, const neap_mlp_config *cfg) {
  if (!neap_ok(c) || !check_config(c, cfg)) return NULL;
  int act = network_activation(c, "mlp", cfg->activation);
  return network_new(c, &energy_mlp_class, 2 * cfg->nsizes, act, cfg->condition, set_layers, cfg);
}
