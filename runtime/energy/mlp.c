/*
** mlp.c -- a fully connected network with one output.
** Slots: weight1 [s₂, s₁+k], bias1 [s₂], weight2 …, the last weight [1, s_n]; choice is the activation's place in the
** table below, num[0] is k, the size of the condition that is joined to x.
*/
#include "energy.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* gain: 1/√E[f(z)²] for z ~ N(0, 1), so that layers keep the size of what passes through them */
typedef struct activation {
  const char *name;
  double gain;
  neap_tensor *(*f) (neap_context *c, neap_tensor *x);
} activation;

static neap_tensor *leaky (neap_context *c, neap_tensor *x) { return neap_leaky_relu(c, x, .01); }
static neap_tensor *elu (neap_context *c, neap_tensor *x) { return neap_elu(c, x, 1); }
static neap_tensor *gelu (neap_context *c, neap_tensor *x) { return neap_gelu(c, x, 0); }
static neap_tensor *softplus (neap_context *c, neap_tensor *x) { return neap_softplus(c, x, 1); }

static const activation activations[] = {
  { "silu", 1.68, neap_silu }, { "relu", M_SQRT2, neap_relu }, { "leaky_relu", M_SQRT2, leaky }, { "elu", 1.25, elu },
  { "gelu", 1.53, gelu }, { "softplus", 1, softplus }, { "tanh", 1.59, neap_tanh }, { "sigmoid", 1, neap_sigmoid },
  { "sin", 1.52, neap_sin }
};
enum { NACTIVATIONS = sizeof activations / sizeof *activations };

static int activation_find (neap_context *c, const char *name) {
  for (int i = 0; i < NACTIVATIONS; i++) if (strcmp(activations[i].name, name) == 0) return i;
  neap_fail(c, NEAP_EARG, "mlp: activation '%s' is not known; silu, relu, leaky_relu, elu, gelu, softplus, tanh, sigmoid "
            "and sin are", name);
  return -1;
}

/* ---- evaluation ---- */

/* layer i (from 0): [n, out, in], [out]; in must be what the layer before gives (-1: any) */
static bool check_layer (neap_context *c, const neap_energy *E, int i, int64_t *in) {
  const neap_tensor *w = E->slots[2 * i].value, *b = E->slots[2 * i + 1].value;
  bool fits = w->ndim == 2 && b->ndim == 1 && b->shape[0] == w->shape[0] && (*in < 0 || w->shape[1] == *in) &&
      w->shape[1] > 0;
  if (!fits)
    return neap_fail(c, NEAP_ESHAPE, "mlp: layer %d does not fit: weight %s, bias %s", i + 1, SHAPE_TEXT(w),
                     SHAPE_TEXT(b));
  *in = w->shape[0];
  return true;
}

static bool check (neap_context *c, neap_energy *E) {
  int64_t width = -1, k = (int64_t)E->num[0];
  if (E->nslots < 2 || E->nslots % 2) return neap_fail(c, NEAP_EARG, "mlp: a weight and a bias per layer expected");
  if (E->choice < 0 || E->choice >= NACTIVATIONS)
    return neap_fail(c, NEAP_EARG, "mlp: no activation %lld", (long long)E->choice);
  for (int i = 0; i < E->nslots / 2; i++) if (!check_layer(c, E, i, &width)) return false;
  int64_t D = E->slots[0].value->shape[1] - k;
  if (width != 1 || k < 0 || D < 1)
    return neap_fail(c, NEAP_ESHAPE, "mlp: %lld inputs besides the condition and %lld outputs", (long long)D,
                     (long long)width);
  energy_set_event(E, 1, &D);
  E->wants = k > 0;
  return true;
}

/* x [B, D], cond [B, k] -> [B, D+k]; a condition of one number may be [B] */
static neap_tensor *join (neap_context *c, const neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  int64_t k = (int64_t)E->num[0];
  if (k == 1 && cond->ndim == 1) cond = neap_unsqueeze(c, cond, 2);
  if (!cond) return NULL;
  if (cond->ndim != 2 || cond->shape[1] != k)
    return neap_fail(c, NEAP_ESHAPE, "mlp: the condition c must be [B, %lld], got %s", (long long)k, SHAPE_TEXT(cond));
  cond = energy_cast(c, cond, neap_is_float(cond->dtype) ? cond->dtype : x->dtype);
  return cond ? neap_cat(c, 2, (neap_tensor *[]){ x, cond }, 2) : NULL;
}

/* x [B, D] -> [B] */
static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *h = cond ? join(c, E, x, cond) : x;
  for (int i = 0; h && i < E->nslots; i += 2) {
    h = neap_linear(c, h, E->slots[i].value, E->slots[i + 1].value);
    if (h && i + 2 < E->nslots) h = activations[E->choice].f(c, h);
  }
  return energy_reshape(c, h, 1, x->shape);
}

const energy_class energy_mlp_class = { "mlp", 0, 0, 1, check, eval, NULL, NULL };

/* ---- making ---- */

/* U(−a, a), a variable */
static neap_tensor *uniform (neap_context *c, const neap_mlp_config *cfg, int ndim, const int64_t *shape, double a) {
  neap_tensor *u = neap_rng_uniform(c, cfg->rng ? cfg->rng : neap_rng_default(c), cfg->dtype, ndim, shape);
  neap_tensor *t = u ? neap_mul(c, neap_sub(c, u, num(c, u, .5)), num(c, u, 2 * a)) : NULL;
  return t && neap_requires_grad(c, t, true) ? t : NULL;
}

static void set_layer (neap_context *c, neap_energy *E, const neap_mlp_config *cfg, int i, int64_t in, int64_t out,
                       double gain) {
  char name[ENERGY_NAME];
  double scale = 1 / sqrt((double)in);
  snprintf(name, sizeof name, "weight%d", i + 1);
  energy_set(E, 2 * i, name, uniform(c, cfg, 2, (int64_t[]){ out, in }, gain * sqrt(3) * scale));
  snprintf(name, sizeof name, "bias%d", i + 1);
  energy_set(E, 2 * i + 1, name, uniform(c, cfg, 1, &out, scale));
}

/* A layer's gain makes up for the activation before it; the first has none before it. */
static void set_layers (neap_context *c, neap_energy *E, const neap_mlp_config *cfg) {
  for (int i = 0; i < cfg->nsizes && neap_ok(c); i++) {
    bool head = i + 1 == cfg->nsizes;
    double gain = i == 0 || head ? 1 : activations[E->choice].gain;
    set_layer(c, E, cfg, i, cfg->sizes[i] + (i == 0 ? cfg->condition : 0), head ? 1 : cfg->sizes[i + 1], gain);
  }
}

static bool check_config (neap_context *c, const neap_mlp_config *cfg) {
  if (!cfg || cfg->nsizes < 1 || !cfg->sizes)
    return neap_fail(c, NEAP_EARG, "mlp: sizes is missing: {inputs, hidden, ...}");
  for (int i = 0; i < cfg->nsizes; i++)
    if (cfg->sizes[i] < 1)
      return neap_fail(c, NEAP_EARG, "mlp: sizes[%d] must be at least 1, got %lld", i + 1, (long long)cfg->sizes[i]);
  if (cfg->condition < 0)
    return neap_fail(c, NEAP_EARG, "mlp: condition must be a size, got %lld", (long long)cfg->condition);
  if (neap_is_float(cfg->dtype)) return true;
  return neap_fail(c, NEAP_EDTYPE, "mlp: dtype must be float32 or float64, got %s", neap_dtype_name(cfg->dtype));
}

neap_energy *neap_energy_mlp (neap_context *c, const neap_mlp_config *cfg) {
  if (!neap_ok(c) || !check_config(c, cfg)) return NULL;
  int act = activation_find(c, cfg->activation ? cfg->activation : "silu");
  neap_energy *E = act < 0 ? NULL : energy_new(c, &energy_mlp_class, 2 * cfg->nsizes, 0, NULL);
  if (!E) return NULL;
  E->choice = act;
  E->num[0] = (double)cfg->condition;
  neap_mode mode = neap_no_grad(c);
  neap_scope s = neap_scope_open(c);
  set_layers(c, E, cfg);
  neap_scope_close(c, s);
  neap_mode_restore(c, mode);
  return energy_finish(c, E);
}
