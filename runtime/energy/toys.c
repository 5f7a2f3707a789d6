/*
** toys.c -- energies with a formula and numbers, for judging samplers: double well, funnel, banana, Rosenbrock,
** Rastrigin, Ackley, ring.
** Invariant: num[] holds the formula's numbers, choice the dimension; no slots, no parts.
*/
#include "tail.h"
#include <math.h>

static neap_tensor *plus (neap_context *c, neap_tensor *x, double v) {
  return x ? neap_add(c, x, num(c, x, v)) : NULL;
}

/* The dimension is at least least, number i is finite and, if positive says so, > 0. */
static bool check_dim (neap_context *c, neap_energy *E, int64_t least) {
  const char *who = E->cls->name;
  if (E->choice < least)
    return neap_fail(c, NEAP_EARG, "%s: dim must be at least %lld, got %lld", who, (long long)least,
                     (long long)E->choice);
  if (E->ndim < 0 || !E->any_event) energy_set_event(E, 1, &E->choice);
  return true;
}

static bool check_number (neap_context *c, neap_energy *E, int i, const char *name, bool positive) {
  double v = E->num[i];
  if (isfinite(v) && (!positive || v > 0)) return true;
  const char *kind = positive ? "positive" : "finite";
  return neap_fail(c, NEAP_EARG, "%s: %s must be a %s number, got %g", E->cls->name, name, kind, v);
}

static neap_energy *make (neap_context *c, const energy_class *cls, int64_t dim, double a, double b, double d) {
  neap_energy *E = neap_ok(c) ? energy_new(c, cls, 0, 0, NULL) : NULL;
  if (!E) return NULL;
  E->num[0] = a; E->num[1] = b; E->num[2] = d;
  E->choice = dim;
  return energy_finish(c, E);
}

/* ---- double well: Σ barrier (x² − 1)²; x of any shape ---- */

static bool check_well (neap_context *c, neap_energy *E) {
  E->any_event = true;
  return check_number(c, E, 0, "barrier", true) && check_dim(c, E, 1);
}

static neap_tensor *eval_well (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  (void)cond;
  return rows_scale(c, rows_sum(c, neap_square(c, plus(c, neap_square(c, x), -1))), E->num[0]);
}

static bool tail_well (neap_context *c, neap_energy *E, energy_tail *t) {
  (void)E;
  t->low.known = t->steep = t->rises = true;
  return neap_ok(c);
}

const energy_class energy_double_well_class = { "double_well", 0, 0, 1, check_well, eval_well, NULL, NULL, tail_well };

neap_energy *neap_energy_double_well (neap_context *c, double barrier, int64_t dim) {
  return make(c, &energy_double_well_class, dim, barrier, 0, 0);
}

/* ---- funnel: v = x₁ ~ N(0, 9), the others N(0, e^v): v²/18 + ½ e^−v Σ xᵢ² + (D−1)/2 v ---- */

static bool check_funnel (neap_context *c, neap_energy *E) { return check_dim(c, E, 2); }

static neap_tensor *eval_funnel (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  (void)cond;
  neap_tensor *v = energy_column(c, x, 1), *rest = energy_columns(c, x, 2, E->choice);
  neap_tensor *r2 = energy_sum_last(c, neap_square(c, rest));
  neap_tensor *lower = rows_scale(c, v, .5 * (double)(E->choice - 1));
  neap_tensor *neck = neap_add(c, rows_scale(c, neap_square(c, v), 1. / 18), lower);
  return neap_add(c, neck, rows_scale(c, neap_mul(c, r2, neap_exp(c, neap_neg(c, v))), .5));
}

static neap_tensor *sample_funnel (neap_context *c, neap_energy *E, int64_t n, neap_rng *rng, neap_dtype d) {
  neap_tensor *z = neap_rng_normal(c, rng, d, 2, (int64_t[]){ n, E->choice });
  neap_tensor *v = rows_scale(c, energy_columns(c, z, 1, 1), 3);
  neap_tensor *rest = neap_mul(c, energy_columns(c, z, 2, E->choice), neap_exp(c, rows_scale(c, v, .5)));
  return v && rest ? neap_cat(c, 2, (neap_tensor *[]){ v, rest }, 2) : NULL;
}

static neap_tensor *log_z_funnel (neap_context *c, neap_energy *E) {
  return neap_scalar(c, NEAP_FLOAT64, log(3) + .5 * (double)E->choice * log(2 * M_PI));
}

static bool tail_steep_somewhere (neap_context *c, neap_energy *E, energy_tail *t) {
  t->rises = true;
  return tail_proper(c, E, t);
}

const energy_class energy_funnel_class = { "funnel", 0, 0, 0, check_funnel, eval_funnel,
                                           sample_funnel, log_z_funnel, tail_steep_somewhere };

neap_energy *neap_energy_funnel (neap_context *c, int64_t dim) { return make(c, &energy_funnel_class, dim, 0, 0, 0); }

/* ---- banana: x₁²/2s₁² + (x₂ − b(x₁² − s₁²))²/2s₂² ---- */

static bool check_banana (neap_context *c, neap_energy *E) {
  E->choice = 2;
  return check_number(c, E, 0, "b", false) && check_number(c, E, 1, "std[1]", true) &&
         check_number(c, E, 2, "std[2]", true) && check_dim(c, E, 2);
}

/* b(x₁² − s₁²): where x₂ lies in the middle */
static neap_tensor *bend (neap_context *c, const neap_energy *E, neap_tensor *x1) {
  double b = E->num[0], s1 = E->num[1];
  return plus(c, rows_scale(c, neap_square(c, x1), b), -b * s1 * s1);
}

static neap_tensor *eval_banana (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  (void)cond;
  double s1 = E->num[1], s2 = E->num[2];
  neap_tensor *x1 = energy_column(c, x, 1), *off = neap_sub(c, energy_column(c, x, 2), bend(c, E, x1));
  off = rows_scale(c, neap_square(c, off), .5 / (s2 * s2));
  return neap_add(c, rows_scale(c, neap_square(c, x1), .5 / (s1 * s1)), off);
}

static neap_tensor *sample_banana (neap_context *c, neap_energy *E, int64_t n, neap_rng *rng, neap_dtype d) {
  neap_tensor *z = neap_rng_normal(c, rng, d, 2, (int64_t[]){ n, 2 });
  neap_tensor *x1 = rows_scale(c, energy_columns(c, z, 1, 1), E->num[1]);
  neap_tensor *x2 = neap_add(c, rows_scale(c, energy_columns(c, z, 2, 2), E->num[2]), bend(c, E, x1));
  return x1 && x2 ? neap_cat(c, 2, (neap_tensor *[]){ x1, x2 }, 2) : NULL;
}

static neap_tensor *log_z_banana (neap_context *c, neap_energy *E) {
  return neap_scalar(c, NEAP_FLOAT64, log(2 * M_PI * E->num[1] * E->num[2]));
}

static bool tail_banana (neap_context *c, neap_energy *E, energy_tail *t) {
  t->rises = E->num[0] != 0;
  return tail_proper(c, E, t);
}

const energy_class energy_banana_class = { "banana", 0, 0, 3, check_banana, eval_banana,
                                           sample_banana, log_z_banana, tail_banana };

neap_energy *neap_energy_banana (neap_context *c, double b, double s1, double s2) {
  return make(c, &energy_banana_class, 2, b, s1, s2);
}

/* ---- Rosenbrock: Σᵢ (a − xᵢ)² + b (xᵢ₊₁ − xᵢ²)² ---- */

static bool check_rosenbrock (neap_context *c, neap_energy *E) {
  return check_number(c, E, 0, "a", false) && check_number(c, E, 1, "b", true) && check_dim(c, E, 2);
}

static neap_tensor *eval_rosenbrock (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  (void)cond;
  neap_tensor *left = energy_columns(c, x, 1, E->choice - 1), *right = energy_columns(c, x, 2, E->choice);
  neap_tensor *valley = rows_scale(c, neap_square(c, neap_sub(c, right, neap_square(c, left))), E->num[1]);
  return energy_sum_last(c, neap_add(c, neap_square(c, plus(c, left, -E->num[0])), valley));
}

const energy_class energy_rosenbrock_class = { "rosenbrock", 0, 0, 2, check_rosenbrock,
                                           eval_rosenbrock, NULL, NULL, tail_steep_somewhere };

neap_energy *neap_energy_rosenbrock (neap_context *c, double a, double b, int64_t dim) {
  return make(c, &energy_rosenbrock_class, dim, a, b, 0);
}

/* ---- Rastrigin: Σ x² + a (1 − cos 2πx) ---- */

static bool check_rastrigin (neap_context *c, neap_energy *E) {
  return check_number(c, E, 0, "a", true) && check_dim(c, E, 1);
}

static neap_tensor *eval_rastrigin (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  (void)cond;
  double a = E->num[0];
  neap_tensor *waves = rows_scale(c, neap_cos(c, rows_scale(c, x, 2 * M_PI)), a);
  return plus(c, energy_sum_last(c, neap_sub(c, neap_square(c, x), waves)), a * (double)E->choice);
}

static bool tail_rastrigin (neap_context *c, neap_energy *E, energy_tail *t) {
  (void)E;
  return tail_number(c, t, 1, REST_BOUNDED);
}

const energy_class energy_rastrigin_class = { "rastrigin", 0, 0, 1, check_rastrigin, eval_rastrigin,
                                           NULL, NULL, tail_rastrigin };

neap_energy *neap_energy_rastrigin (neap_context *c, double a, int64_t dim) {
  return make(c, &energy_rastrigin_class, dim, a, 0, 0);
}

/* ---- Ackley: a (1 − e^(−b √mean x²)) + e − e^(mean cos cx) ---- */

static bool check_ackley (neap_context *c, neap_energy *E) {
  return check_number(c, E, 0, "a", true) && check_number(c, E, 1, "b", true) && check_number(c, E, 2, "c", true) &&
         check_dim(c, E, 1);
}

static neap_tensor *eval_ackley (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  (void)cond;
  double a = E->num[0], b = E->num[1], share = 1 / (double)E->choice;
  /* 1e-20 keeps the derivative finite at the origin */
  neap_tensor *r = neap_sqrt(c, plus(c, rows_scale(c, energy_sum_last(c, neap_square(c, x)), share), 1e-20));
  neap_tensor *bowl = rows_scale(c, neap_expm1(c, rows_scale(c, r, -b)), -a);
  neap_tensor *waves = rows_scale(c, energy_sum_last(c, neap_cos(c, rows_scale(c, x, E->num[2]))), share);
  return plus(c, neap_sub(c, bowl, neap_exp(c, waves)), exp(1));
}

static bool tail_ackley (neap_context *c, neap_energy *E, energy_tail *t) {
  (void)E;
  return neap_ok(c) && tail_flat(t, REST_BOUNDED);
}

const energy_class energy_ackley_class = { "ackley", 0, 0, 3, check_ackley, eval_ackley, NULL, NULL, tail_ackley };

neap_energy *neap_energy_ackley (neap_context *c, double a, double b, double freq, int64_t dim) {
  return make(c, &energy_ackley_class, dim, a, b, freq);
}

/* ---- ring: (|x| − radius)² / 2 std² ---- */

static bool check_ring (neap_context *c, neap_energy *E) {
  return check_number(c, E, 0, "radius", true) && check_number(c, E, 1, "std", true) && check_dim(c, E, 1);
}

static neap_tensor *eval_ring (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  (void)cond;
  double s = E->num[1];
  /* 1e-20 keeps the derivative finite at the origin */
  neap_tensor *r = neap_sqrt(c, plus(c, energy_sum_last(c, neap_square(c, x)), 1e-20));
  return rows_scale(c, neap_square(c, plus(c, r, -E->num[0])), .5 / (s * s));
}

/* In the plane: 2π ∫ r e^(−(r−R)²/2s²) dr = 2π (s² e^(−R²/2s²) + R s √(π/2) (1 + erf(R/(s√2)))) */
static neap_tensor *log_z_ring (neap_context *c, neap_energy *E) {
  double R = E->num[0], s = E->num[1];
  if (E->choice != 2)
    return neap_fail(c, NEAP_EARG, "log_z: ring has a closed form in 2 dimensions, not in %lld", (long long)E->choice);
  double radial = s * s * exp(-.5 * R * R / (s * s)) + R * s * sqrt(M_PI / 2) * (1 + erf(R / (s * M_SQRT2)));
  return neap_scalar(c, NEAP_FLOAT64, log(2 * M_PI * radial));
}

static bool tail_ring (neap_context *c, neap_energy *E, energy_tail *t) {
  return tail_number(c, t, .5 / (E->num[1] * E->num[1]), REST_LINEAR);
}

const energy_class energy_ring_class = { "ring", 0, 0, 2, check_ring, eval_ring, NULL, log_z_ring, tail_ring };

neap_energy *neap_energy_ring (neap_context *c, double radius, double std, int64_t dim) {
  return make(c, &energy_ring_class, dim, radius, std, 0);
}
