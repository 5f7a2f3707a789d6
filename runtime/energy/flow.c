/*
** flow.c -- a normalised energy: affine couplings with alternating halves (Dinh et al. 2017).
** x = (a, b), halves of ⌊D/2⌋ and ⌈D/2⌉ numbers.  Coupling j (from 0) takes u ← (u − t) e^(−s), u the
** half b when j is even, else a.  t and r, s = 2 tanh(r/2), are outputs of three layers, with the activation between
** them, of the other half; so no coupling stretches by more than e².  What is left is N(0, I):
** E(x) = ½|z|² + Σ s + ½D log 2π.
** Slots: those layers, coupling by coupling; choice is the activation.
*/
#include "network.h"
#include <math.h>

enum { LAYERS = 3 };                       /* of one coupling */

static int couplings (const neap_energy *E) { return E->nslots / (2 * LAYERS); }
static int64_t half (int64_t D, int j) { return j % 2 ? D / 2 : D - D / 2; }   /* numbers that coupling j changes */

/* layers 3j … 3j + 2, from the half that stays to t and r of the other */
static bool check_coupling (neap_context *c, const neap_energy *E, int j, int64_t D) {
  int64_t width = D - half(D, j);
  for (int i = 0; i < LAYERS; i++) if (!network_check_layer(c, E, LAYERS * j + i, &width)) return false;
  if (width == 2 * half(D, j)) return true;
  return neap_fail(c, NEAP_ESHAPE, "flow: coupling %d gives %lld numbers, %lld expected", j + 1, (long long)width,
                   (long long)(2 * half(D, j)));
}

static bool check (neap_context *c, neap_energy *E) {
  if (!network_check(c, E)) return false;
  if (E->nslots % (2 * LAYERS)) return neap_fail(c, NEAP_EARG, "flow: three layers per coupling expected");
  const neap_tensor *first = E->slots[0].value, *last = E->slots[2 * LAYERS - 2].value;
  if (first->ndim != 2 || last->ndim != 2)
    return neap_fail(c, NEAP_ESHAPE, "flow: weights must be matrices, got %s and %s", SHAPE_TEXT(first),
                     SHAPE_TEXT(last));
  int64_t D = first->shape[1] + last->shape[0] / 2;
  for (int j = 0; j < couplings(E); j++) if (!check_coupling(c, E, j, D)) return false;
  energy_set_event(E, 1, &D);
  return true;
}

/* ---- both ways ---- */

/* s and t of coupling j, which changes u, from the half that stays */
static bool scale_and_shift (neap_context *c, neap_energy *E, int j, neap_tensor *stays, neap_tensor **s,
                             neap_tensor **t) {
  neap_tensor *h = network_layer(c, E, LAYERS * j, stays);
  for (int i = 1; i < LAYERS; i++) h = network_layer(c, E, LAYERS * j + i, network_activate(c, E, h));
  int64_t n = half(E->event[0], j);
  neap_tensor *r = energy_columns(c, h, n + 1, 2 * n);
  *t = energy_columns(c, h, 1, n);
  r = r ? neap_tanh(c, neap_mul(c, r, num(c, r, .5))) : NULL;
  *s = r ? neap_mul(c, r, num(c, r, 2)) : NULL;
  return *s && *t;
}

static bool halves (neap_context *c, const neap_energy *E, neap_tensor *x, neap_tensor *u[2]) {
  int64_t D = E->event[0];
  u[1] = energy_columns(c, x, 1, D / 2);
  u[0] = energy_columns(c, x, D / 2 + 1, D);
  return u[0] && u[1];
}

/* u (0: the half b, 1: a) through all couplings to z; the sum of all s [B] */
static neap_tensor *to_normal (neap_context *c, neap_energy *E, neap_tensor *u[2]) {
  neap_tensor *sum = NULL, *s, *t;
  for (int j = 0; j < couplings(E); j++) {
    if (!scale_and_shift(c, E, j, u[!(j % 2)], &s, &t)) return NULL;
    u[j % 2] = neap_mul(c, neap_sub(c, u[j % 2], t), neap_exp(c, neap_neg(c, s)));
    s = energy_sum_last(c, s);
    sum = sum && s ? neap_add(c, sum, s) : s;
  }
  return sum;
}

/* the inverse, coupling by coupling from the last */
static bool from_normal (neap_context *c, neap_energy *E, neap_tensor *u[2]) {
  neap_tensor *s, *t;
  for (int j = couplings(E) - 1; j >= 0; j--) {
    if (!scale_and_shift(c, E, j, u[!(j % 2)], &s, &t)) return false;
    u[j % 2] = neap_add(c, neap_mul(c, u[j % 2], neap_exp(c, s)), t);
  }
  return u[0] && u[1];
}

/* ---- the class ---- */

static neap_tensor *half_square (neap_context *c, neap_tensor *u) {
  neap_tensor *q = u ? energy_sum_last(c, neap_square(c, u)) : NULL;
  return q ? neap_mul(c, q, num(c, q, .5)) : NULL;
}

/* x [B, D] -> −log p(x) [B] */
static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *u[2];
  (void)cond;
  neap_tensor *sum = halves(c, E, x, u) ? to_normal(c, E, u) : NULL;
  neap_tensor *a = half_square(c, u[0]), *b = half_square(c, u[1]);
  if (!sum || !a || !b) return NULL;
  return neap_add(c, neap_add(c, neap_add(c, a, b), sum), num(c, sum, .5 * (double)E->event[0] * log(2 * M_PI)));
}

static neap_tensor *sample (neap_context *c, neap_energy *E, int64_t n, neap_rng *rng, neap_dtype d) {
  neap_tensor *u[2], *z = neap_rng_normal(c, rng, d, 2, (int64_t[]){ n, E->event[0] });
  if (!z || !halves(c, E, z, u) || !from_normal(c, E, u)) return NULL;
  return energy_cast(c, neap_cat(c, 2, (neap_tensor *[]){ u[1], u[0] }, 2), d);
}

static neap_tensor *log_z (neap_context *c, neap_energy *E) { return num(c, E->slots[0].value, 0); }

/* how its density falls is not known, only that it is one */
static bool tail_normal (neap_context *c, neap_energy *E, energy_tail *t) {
  (void)E;
  t->integrable = 1;
  return neap_ok(c);
}

const energy_class energy_flow_class = { "flow", 0, 0, 0, check, eval, sample, log_z, tail_normal };

/* ---- making ---- */

/* The last layers start small: the flow begins near N(0, I). */
static void set_coupling (neap_context *c, neap_energy *E, const neap_flow_config *cfg, int j) {
  network_init init = { "flow", cfg->dtype, cfg->rng };
  int64_t changes = half(cfg->dim, j), h = cfg->hidden;
  double gain = network_gain(E->choice);
  network_set_layer(c, E, &init, LAYERS * j, cfg->dim - changes, h, 1, 1);
  network_set_layer(c, E, &init, LAYERS * j + 1, h, h, gain, 1);
  network_set_layer(c, E, &init, LAYERS * j + 2, h, 2 * changes, gain, .02);
}

static void set_layers (neap_context *c, neap_energy *E, const void *config) {
  const neap_flow_config *cfg = config;
  for (int j = 0; j < (int)cfg->layers && neap_ok(c); j++) set_coupling(c, E, cfg, j);
}

static bool check_config (neap_context *c, const neap_flow_config *cfg) {
  if (!cfg || cfg->dim < 2)
    return neap_fail(c, NEAP_EARG, "flow: dim must be at least 2, two halves, got %lld",
                     (long long)(cfg ? cfg->dim : 0));
  if (cfg->layers < 1 || cfg->layers > 100)
    return neap_fail(c, NEAP_EARG, "flow: layers must be 1 to 100, got %lld", (long long)cfg->layers);
  if (cfg->hidden < 1)
    return neap_fail(c, NEAP_EARG, "flow: hidden must be at least 1, got %lld", (long long)cfg->hidden);
  return network_check_init(c, &(network_init){ "flow", cfg->dtype, NULL });
}

neap_energy *neap_energy_flow (neap_context *c, const neap_flow_config *cfg) {
  if (!neap_ok(c) || !check_config(c, cfg)) return NULL;
  int act = network_activation(c, "flow", cfg->activation);
  return network_new(c, &energy_flow_class, 2 * LAYERS * (int)cfg->layers, act, 0, set_layers, cfg);
}
