/*
** base.c -- the easy end of a path: a law that can be drawn from exactly and whose log Z is known.
** Of a machine its visible units alone; of other units the uniform law; else N(0, 1), a uniform law on a box, or an
** energy that can be sampled.
** Invariant: base, bias and law of a sampler are set once, by path_set.
*/
#include "sampler/path.h"
#include "sampler/gibbs.h"
#include "energy/rbm.h"
#include "energy/states.h"
#include <math.h>

#define OUTSIDE 1e30                         /* an energy that no finite one outweighs, and 0 times which is 0 */

/* ---- laws that are no energies of their own ---- */

/* ½ |x|² [B] */
static neap_tensor *half_square (neap_context *c, void *ud, neap_tensor *const *params, neap_tensor *x,
                                 neap_tensor *cond) {
  (void)ud, (void)params, (void)cond;
  return rows_scale(c, rows_sum(c, neap_square(c, x)), .5);
}

/* 0 where lo ≤ x ≤ hi, ud: {lo, hi} */
static neap_tensor *box (neap_context *c, void *ud, neap_tensor *const *params, neap_tensor *x, neap_tensor *cond) {
  const double *b = ud;
  (void)params, (void)cond;
  neap_tensor *held = neap_clamp(c, x, b[0], b[1]), *out = held ? neap_ne(c, x, held) : NULL;
  neap_tensor *count = out ? rows_sum(c, neap_cast(c, out, x->dtype)) : NULL;
  return count ? rows_scale(c, neap_minimum(c, count, neap_scalar(c, x->dtype, 1)), OUTSIDE) : NULL;
}

static void free_box (neap_context *c, void *ud) { neap_free(c, ud, 2 * sizeof(double)); }

static neap_energy *law_energy (neap_context *c, const neap_energy *E, neap_start law) {
  neap_function_config cfg = { .name = "base", .event_ndim = E->ndim, .event = E->event };
  if (law.kind != NEAP_START_UNIFORM) return neap_energy_from_function(c, half_square, NULL, NULL, &cfg);
  double *b = neap_malloc(c, 2 * sizeof *b);
  if (!b) return NULL;
  b[0] = law.lo;
  b[1] = law.hi;
  return neap_energy_from_function(c, box, b, free_box, &cfg);
}

/* ---- choosing ---- */

/* s moves bits, spins or states */
static bool is_discrete (const neap_sampler *s, neap_energy *E) {
  neap_energy *rbm = path_machine(s, E);
  return s->kernel->kind->start == NEAP_START_BERNOULLI && !(rbm && rbm_is_gaussian(rbm));
}

static neap_sampler *default_kernel (neap_context *c, neap_energy *E) {
  double first, step;
  if (gibbs_takes(E)) return neap_sampler_gibbs(c);
  if (neap_energy_units(E, &first, &step) > 0) return neap_sampler_gibbs_with_gradients(c);
  return neap_sampler_hmc(c, .1, 10);
}

static bool set_bias (neap_context *c, const char *who, neap_sampler *s, const neap_energy *rbm, neap_tensor *bias) {
  const neap_tensor *b = rbm->slots[RBM_B].value;
  if (bias && !neap_same_shape(bias, b))
    return neap_fail(c, NEAP_ESHAPE, "%s: base: biases of the visible units %s expected, got %s", who, SHAPE_TEXT(b),
                     SHAPE_TEXT(bias));
  if (bias && rbm_is_gaussian(rbm))
    return neap_fail(c, NEAP_EARG, "%s: base: a gaussian_rbm's is N(b, std²), no other can be given", who);
  s->bias = neap_keep(bias);
  return true;
}

static bool check_event (neap_context *c, const char *who, const neap_energy *E) {
  if (neap_energy_mask(E))
    return neap_fail(c, NEAP_EARG, "%s: %s holds coordinates fixed: its law has no base", who, energy_title(E));
  if (E->wants == 1)
    return neap_fail(c, NEAP_EARG, "%s: %s needs a condition: E:given(c)", who, energy_title(E));
  if (E->ndim >= 0) return true;
  return neap_fail(c, NEAP_EARG, "%s: the shape of one x is not known: tell neap.energy its event", who);
}

bool path_set (neap_context *c, const char *who, neap_sampler *s, neap_energy *E, neap_sampler *kernel,
               neap_energy *base, neap_tensor *bias, neap_start law) {
  if (!neap_ok(c) || !check_event(c, who, E)) return false;
  s->kernel = kernel ? neap_sampler_keep(kernel) : default_kernel(c, E);
  if (!path_takes(c, who, s->kernel)) return false;
  s->host = sampler_calls_host(s->kernel) || (base && !energy_is_fixed(base));
  neap_energy *rbm = path_machine(s, E);
  if (bias && !rbm) return neap_fail(c, NEAP_EARG, "%s: base: a tensor of biases is for an rbm with gibbs", who);
  if (base && (rbm || is_discrete(s, E)))
    return neap_fail(c, NEAP_EARG, "%s: base: an energy is for continuous x; units start %s", who,
                     rbm ? "from their biases" : "uniform");
  if (rbm) return set_bias(c, who, s, rbm, bias);
  if (is_discrete(s, E)) return true;
  s->law = base ? (neap_start){ 0 } : law;
  if (!base && law.kind == NEAP_START_DEFAULT) s->law.kind = NEAP_START_NORMAL;
  if (law.kind == NEAP_START_UNIFORM && law.lo == 0 && law.hi == 0) s->law.hi = 1;
  s->base = base ? neap_energy_keep(base) : law_energy(c, E, s->law);
  return s->base != NULL;
}

/* ---- drawing ---- */

static neap_tensor *draw_machine (neap_context *c, neap_sampler *s, neap_energy *rbm, neap_rng *rng, int64_t n) {
  neap_tensor *b = rbm->slots[RBM_B].value, *from = s->bias ? neap_cast(c, s->bias, b->dtype) : neap_detach(c, b);
  neap_tensor *rows = from ? neap_expand(c, from, 2, (int64_t[]){ n, b->shape[0] }) : NULL;
  return rbm_draw_visible(c, rbm, rng, rows);
}

neap_tensor *path_draw (neap_context *c, neap_sampler *s, neap_energy *E, neap_rng *rng, int64_t n) {
  int64_t shape[NEAP_MAX_DIMS + 1] = { n };
  neap_energy *rbm = path_machine(s, E);
  neap_dtype d = sampler_start_dtype(c, E);
  int ndim = neap_energy_event(E, shape + 1) + 1;
  if (rbm) return draw_machine(c, s, rbm, rng, n);
  if (is_discrete(s, E)) return sampler_start_units(c, E, rng, d, ndim, shape);
  if (s->law.kind == NEAP_START_DEFAULT) return neap_energy_sample(c, s->base, n, rng, d);
  return sampler_start(c, s->kind->name, s->law, rng, d, ndim, shape, NULL);
}

/* ---- log Z ---- */

/* Σ f(t) over t's elements, times 1, or times `times` if t is one number */
static bool sum_of (neap_context *c, neap_tensor *t, double (*f) (double), double times, double *sum) {
  size_t bytes = (size_t)neap_numel(t) * sizeof(double);
  double *v = neap_malloc(c, bytes);
  bool ok = v && neap_read(c, t, NEAP_FLOAT64, v);
  for (int64_t i = 0; ok && i < neap_numel(t); i++) *sum += f(v[i]) * (t->ndim == 0 ? times : 1);
  if (v) neap_free(c, v, bytes);
  return ok;
}

static double softplus (double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }

static bool machine_log_z (neap_context *c, neap_sampler *s, neap_energy *rbm, double *z) {
  double V = (double)rbm->event[0];
  *z = (double)rbm->slots[RBM_C].value->shape[0] * M_LN2;
  if (!rbm_is_gaussian(rbm)) return sum_of(c, s->bias ? s->bias : rbm->slots[RBM_B].value, softplus, V, z);
  *z += .5 * V * log(2 * M_PI);
  return sum_of(c, rbm->slots[RBM_STD].value, log, V, z);
}

bool path_log_z (neap_context *c, neap_sampler *s, neap_energy *E, double *z) {
  neap_energy *rbm = path_machine(s, E);
  double n = (double)energy_event_numel(E);
  if (rbm) return machine_log_z(c, s, rbm, z);
  if (is_discrete(s, E)) *z = n * log((double)energy_units_of(E).base);
  else if (s->law.kind == NEAP_START_NORMAL) *z = .5 * n * log(2 * M_PI);
  else if (s->law.kind == NEAP_START_UNIFORM) *z = n * log(s->law.hi - s->law.lo);
  else {
    neap_tensor *t = neap_energy_log_z(c, s->base);
    return t && neap_item(c, t, z);
  }
  return true;
}
