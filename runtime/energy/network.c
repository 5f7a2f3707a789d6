/*
** network.c -- activations and layers of the energies that are networks.
** Invariant: NULL passes through; what is drawn comes in the order of the layers, weight before bias.
*/
#include "network.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- activations ---- */

typedef struct activation {
  const char *name;
  double gain;
  bool bounded;
  neap_tensor *(*f) (neap_context *c, neap_tensor *x);
} activation;

static neap_tensor *leaky (neap_context *c, neap_tensor *x) { return neap_leaky_relu(c, x, .01); }
static neap_tensor *elu (neap_context *c, neap_tensor *x) { return neap_elu(c, x, 1); }
static neap_tensor *gelu (neap_context *c, neap_tensor *x) { return neap_gelu(c, x, 0); }
static neap_tensor *softplus (neap_context *c, neap_tensor *x) { return neap_softplus(c, x, 1); }

static const activation activations[] = {
  { "silu", 1.68, false, neap_silu }, { "relu", M_SQRT2, false, neap_relu }, { "leaky_relu", M_SQRT2, false, leaky },
  { "elu", 1.25, false, elu }, { "gelu", 1.53, false, gelu }, { "softplus", 1, false, softplus },
  { "tanh", 1.59, true, neap_tanh }, { "sigmoid", 1, true, neap_sigmoid },
  { "sin", 1.52, true, neap_sin }
};
enum { NACTIVATIONS = sizeof activations / sizeof *activations };

int network_activation (neap_context *c, const char *who, const char *name) {
  if (!name) name = activations[0].name;
  for (int i = 0; i < NACTIVATIONS; i++) if (strcmp(activations[i].name, name) == 0) return i;
  neap_fail(c, NEAP_EARG, "%s: activation '%s' is not known; silu, relu, leaky_relu, elu, gelu, softplus, tanh, "
            "sigmoid and sin are", who, name);
  return -1;
}

double network_gain (int64_t choice) { return activations[choice].gain; }

neap_tensor *network_activate (neap_context *c, const neap_energy *E, neap_tensor *x) {
  return x ? activations[E->choice].f(c, x) : NULL;
}

/* ---- layers ---- */

bool network_check (neap_context *c, const neap_energy *E) {
  const char *who = E->cls->name;
  if (E->nslots < 2 || E->nslots % 2) return neap_fail(c, NEAP_EARG, "%s: a weight and a bias per layer expected", who);
  if (E->choice >= 0 && E->choice < NACTIVATIONS) return true;
  return neap_fail(c, NEAP_EARG, "%s: no activation %lld", who, (long long)E->choice);
}

bool network_check_layer (neap_context *c, const neap_energy *E, int i, int64_t *in) {
  const neap_tensor *w = E->slots[2 * i].value, *b = E->slots[2 * i + 1].value;
  bool fits = w->ndim == 2 && b->ndim == 1 && b->shape[0] == w->shape[0] && (*in < 0 || w->shape[1] == *in) &&
      w->shape[1] > 0;
  if (!fits)
    return neap_fail(c, NEAP_ESHAPE, "%s: layer %d does not fit: weight %s, bias %s", E->cls->name, i + 1,
                     SHAPE_TEXT(w), SHAPE_TEXT(b));
  *in = w->shape[0];
  return true;
}

bool network_check_stack (neap_context *c, const neap_energy *E, int64_t *out) {
  *out = -1;
  if (!network_check(c, E)) return false;
  for (int i = 0; i < E->nslots / 2; i++) if (!network_check_layer(c, E, i, out)) return false;
  return true;
}

bool network_set_event (neap_context *c, neap_energy *E, int64_t k) {
  int64_t D = E->slots[0].value->shape[1] - k;
  if (k < 0 || D < 1)
    return neap_fail(c, NEAP_ESHAPE, "%s: %lld inputs besides the condition", E->cls->name, (long long)D);
  energy_set_event(E, 1, &D);
  E->wants = k > 0;
  return true;
}

neap_tensor *network_layer (neap_context *c, const neap_energy *E, int i, neap_tensor *h) {
  return h ? neap_linear(c, h, E->slots[2 * i].value, E->slots[2 * i + 1].value) : NULL;
}

neap_tensor *network_join (neap_context *c, const neap_energy *E, neap_tensor *x, neap_tensor *cond, int64_t k) {
  if (!cond) return x;
  if (k == 1 && cond->ndim == 1) cond = neap_unsqueeze(c, cond, 2);
  if (!cond) return NULL;
  if (cond->ndim != 2 || cond->shape[1] != k)
    return neap_fail(c, NEAP_ESHAPE, "%s: the condition c must be [B, %lld], got %s", E->cls->name, (long long)k,
                     SHAPE_TEXT(cond));
  cond = energy_cast(c, cond, neap_is_float(cond->dtype) ? cond->dtype : x->dtype);
  return cond ? neap_cat(c, 2, (neap_tensor *[]){ x, cond }, 2) : NULL;
}

neap_tensor *network_stack (neap_context *c, const neap_energy *E, neap_tensor *x, neap_tensor *cond, int64_t k) {
  neap_tensor *h = network_layer(c, E, 0, network_join(c, E, x, cond, k));
  for (int i = 1; i < E->nslots / 2; i++) h = network_layer(c, E, i, network_activate(c, E, h));
  return h;
}

/* ---- making ---- */

bool network_check_init (neap_context *c, const network_init *init) {
  if (neap_is_float(init->dtype)) return true;
  return neap_fail(c, NEAP_EDTYPE, "%s: dtype must be float32 or float64, got %s", init->who,
                   neap_dtype_name(init->dtype));
}

bool network_check_sizes (neap_context *c, const char *who, int n, const int64_t *sizes) {
  for (int i = 0; i < n; i++)
    if (sizes[i] < 1)
      return neap_fail(c, NEAP_EARG, "%s: sizes[%d] must be at least 1, got %lld", who, i + 1, (long long)sizes[i]);
  return true;
}

bool network_check_condition (neap_context *c, const char *who, int64_t condition) {
  if (condition >= 0) return true;
  return neap_fail(c, NEAP_EARG, "%s: condition must be a size, got %lld", who, (long long)condition);
}

/* U(−a, a), a variable */
static neap_tensor *uniform (neap_context *c, const network_init *init, int ndim, const int64_t *shape, double a) {
  neap_tensor *u = neap_rng_uniform(c, init->rng ? init->rng : neap_rng_default(c), init->dtype, ndim, shape);
  neap_tensor *t = u ? neap_mul(c, neap_sub(c, u, num(c, u, .5)), num(c, u, 2 * a)) : NULL;
  return t && neap_requires_grad(c, t, true) ? t : NULL;
}

void network_set_filters (neap_context *c, neap_energy *E, const network_init *init, int i, int ndim,
                          const int64_t *shape, double gain, double scale) {
  char name[ENERGY_NAME];
  double in = 1;
  for (int d = 1; d < ndim; d++) in *= (double)shape[d];
  double a = scale / sqrt(in);
  snprintf(name, sizeof name, "weight%d", i + 1);
  energy_set(E, 2 * i, name, uniform(c, init, ndim, shape, gain * sqrt(3) * a));
  snprintf(name, sizeof name, "bias%d", i + 1);
  energy_set(E, 2 * i + 1, name, uniform(c, init, 1, shape, a));
}

void network_set_layer (neap_context *c, neap_energy *E, const network_init *init, int i, int64_t in, int64_t out,
                        double gain, double scale) {
  network_set_filters(c, E, init, i, 2, (int64_t[]){ out, in }, gain, scale);
}

bool network_tail (neap_context *c, neap_energy *E, energy_tail *t) {
  bool bounded = activations[E->choice].bounded && E->nslots > 2;
  return neap_ok(c) && tail_flat(t, bounded ? REST_BOUNDED : REST_LINEAR);
}

neap_energy *network_new (neap_context *c, const energy_class *cls, int slots, int activation, int64_t condition,
                          void (*set) (neap_context *c, neap_energy *E, const void *config), const void *config) {
  neap_energy *E = activation < 0 ? NULL : energy_new(c, cls, slots, 0, NULL);
  if (!E) return NULL;
  E->choice = activation;
  E->num[0] = (double)condition;
  neap_mode mode = neap_no_grad(c);
  neap_scope s = neap_scope_open(c);
  set(c, E, config);
  neap_scope_close(c, s);
  neap_mode_restore(c, mode);
  return energy_finish(c, E);
}
