/*
** smc.c -- sequential Monte Carlo along a path from a base to e^(−E) (Del Moral, Doucet & Jasra 2006).
** From b = 0 on, the next b is where the particles' new weights leave a part `ess` of them effective (found by
** bisection); particles are resampled systematically and moved by the kernel, until b = 1.  Particles live on islands
** that share the path but resample among themselves: each island estimates log Z by itself, so their spread is an
** honest error.  At b = 1 they are drawn from all islands by these estimates, and are equally weighted from there on.
** Invariant: "beta" [particles] is what step moves under; islands are equal (± 1) and depend on the number of particles
** only.
*/
#include "sampler/path.h"
#include "sampler/program.h"
#include "energy/energy.h"
#include "clock.h"
#include <math.h>

enum { ISLANDS = 16, ISLAND = 16, LEAST = 32, STAGES = 10000, HALVINGS = 50 };

typedef struct run {
  neap_context *c;
  neap_sampler *s;
  neap_energy *E;
  neap_state *st;
  int64_t n; int islands;
  double *w, *unit;                          /* [n]: log weights of a step; of all the path, if in proportion */
  int64_t *from;                             /* [n] */
  bool linear;
  double z[ISLANDS];                         /* log of the mean weight so far */
  double betas[STAGES]; int stages;
  sampler_program program;
} run;

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  return path_step(c, s, E, st, neap_state_get(st, "beta"));
}

static bool init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  (void)s, (void)E;
  if (neap_state_get(st, "beta")) return true;
  return neap_fail(c, NEAP_EARG, "smc: is for whole runs: s:sample(E, {…}), not for chains that come from elsewhere");
}

static int islands_of (int64_t particles) {
  return particles / ISLAND < ISLANDS ? (int)(particles / ISLAND) : ISLANDS;
}

/* the 97.5 % point of Student's t with as many degrees of freedom as there are islands, less one */
static double quantile (int64_t particles) {
  static const double t[] = { 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179,
                              2.160, 2.145, 2.131 };
  return t[islands_of(particles) - 2];
}

/* ---- weights ---- */

static neap_tensor *all_at (run *r, double b) { return neap_full(r->c, NEAP_FLOAT64, 1, &r->n, b); }

/* E_b0(x) − E_b1(x) into out */
static bool drops (run *r, double b0, double b1, double *out) {
  neap_scope sc = neap_scope_open(r->c);
  neap_tensor *from = all_at(r, b0), *to = all_at(r, b1);
  neap_tensor *d = from && to ? path_drop(r->c, r->s, r->E, r->st, from, to) : NULL;
  bool ok = d && neap_read(r->c, d, NEAP_FLOAT64, out);
  for (int64_t i = 0; ok && i < r->n; i++) if (isnan(out[i])) out[i] = -INFINITY;
  neap_scope_close(r->c, sc);
  return ok;
}

/* log weights of the step from b0 to b1 into r->w */
static bool weigh (run *r, double b0, double b1) {
  if (!r->linear) return drops(r, b0, b1, r->w);
  for (int64_t i = 0; i < r->n; i++) r->w[i] = (b1 - b0) * r->unit[i];
  return true;
}

static int64_t island_at (const run *r, int k) { return r->n * k / r->islands; }

/* the next b; 0: with an error.  r->w holds its weights */
static double next_beta (run *r, double b) {
  double low = b, high = 1, want = r->s->ess * (double)r->n;
  if (r->linear && !drops(r, 0, 1, r->unit)) return 0;
  if (!weigh(r, b, 1)) return 0;
  if (path_mean_of(r->w, r->n).ess >= want) return 1;
  for (int i = 0; i < HALVINGS && high - low > 1e-12; i++) {
    double middle = (low + high) / 2;
    if (!weigh(r, b, middle)) return 0;
    if (path_mean_of(r->w, r->n).ess >= want) low = middle; else high = middle;
  }
  if (low > b) return weigh(r, b, low) ? low : 0;
  neap_fail(r->c, NEAP_ENUMERIC, "smc: the particles' energies differ by too much, or are not finite, to go on from "
            "b = %g; another base may help", b);
  return 0;
}

/* ---- resampling ---- */

static bool take (run *r) {
  neap_tensor *from = neap_from(r->c, NEAP_INT64, 1, &r->n, r->from);
  neap_tensor *x = from ? neap_index_select(r->c, neap_state_get(r->st, "x"), 1, from) : NULL;
  return x && neap_state_set(r->c, r->st, "x", x);
}

static bool resample (run *r, int groups) {
  double u[ISLANDS];
  neap_tensor *t = neap_rng_uniform(r->c, r->st->rng, NEAP_FLOAT64, 1, (int64_t[]){ ISLANDS });
  if (!t || !neap_read(r->c, t, NEAP_FLOAT64, u)) return false;
  for (int k = 0; k < groups; k++) {
    int64_t first = groups > 1 ? island_at(r, k) : 0, n = groups > 1 ? island_at(r, k + 1) - first : r->n;
    path_resample(r->w + first, n, u[k], r->from + first);
    for (int64_t i = 0; i < n; i++) r->from[first + i] += first;
  }
  return take(r);
}

/* an island whose weights all are 0 keeps its particles, and counts for nothing */
static void add_weights (run *r) {
  for (int k = 0; k < r->islands; k++) {
    int64_t first = island_at(r, k), n = island_at(r, k + 1) - first;
    r->z[k] += path_mean_of(r->w + first, n).log_mean;
    if (r->z[k] == -INFINITY) for (int64_t i = 0; i < n; i++) r->w[first + i] = 0;
  }
}

static bool join_islands (run *r) {
  for (int k = 0; k < r->islands; k++)
    for (int64_t i = island_at(r, k); i < island_at(r, k + 1); i++) r->w[i] = r->z[k];
  return resample(r, 1);
}

/* ---- the path ---- */

static bool move_to (run *r, double b) {
  neap_scope sc = neap_scope_open(r->c);
  neap_tensor *t = all_at(r, b);
  bool ok = t && neap_state_set(r->c, r->st, "beta", t) && path_init(r->c, r->s, r->E, r->st, t);
  neap_scope_close(r->c, sc);
  return ok && sampler_advance(r->c, r->s, r->E, r->st, &r->program, r->s->moves) == r->s->moves;
}

static bool stage (run *r, double b) {
  neap_scope sc = neap_scope_open(r->c);
  add_weights(r);
  bool ok = resample(r, r->islands) && (b < 1 || join_islands(r));
  neap_scope_close(r->c, sc);
  return ok && move_to(r, b);
}

static bool go (run *r) {
  double b = 0;
  r->betas[r->stages++] = 0;
  while (b < 1) {
    if (r->stages == STAGES)
      return neap_fail(r->c, NEAP_ENUMERIC, "smc: more than %d steps from the base to the energy", (int)STAGES);
    if ((b = next_beta(r, b)) == 0) return false;
    r->betas[r->stages++] = b;
    if (!stage(r, b)) return false;
  }
  return true;
}

/* "log_z", its error, and the path; what was counted on it does not count */
static bool report (run *r) {
  double base = 0;
  int64_t n = r->stages;
  path_mean m = path_mean_of(r->z, r->islands);
  if (!path_log_z(r->c, r->s, r->E, &base) || !sampler_restart_count(r->c, r->st, "accepted") ||
      !sampler_restart_count(r->c, r->st, "divergences"))
    return false;
  return neap_state_set(r->c, r->st, "log_z", neap_scalar(r->c, NEAP_FLOAT64, base + m.log_mean)) &&
         neap_state_set(r->c, r->st, "log_z_error", neap_scalar(r->c, NEAP_FLOAT64, m.error)) &&
         neap_state_set(r->c, r->st, "betas", neap_from(r->c, NEAP_FLOAT64, 2, (int64_t[]){ 1, n }, r->betas));
}

static bool start (run *r, neap_rng *rng) {
  neap_tensor *x = path_draw(r->c, r->s, r->E, rng, r->n), *b = all_at(r, 0);
  r->st = neap_state_new(r->c, rng);
  return x && b && r->st && neap_state_set(r->c, r->st, "x", x) && neap_state_set(r->c, r->st, "beta", b) &&
         path_init(r->c, r->s, r->E, r->st, b);
}

static bool anneal (run *r, neap_rng *rng) {
  neap_scope sc = neap_scope_open(r->c);
  bool ok = start(r, rng);
  neap_scope_close(r->c, sc);
  if (!ok) return false;
  r->linear = !path_machine(r->s, r->E);
  sampler_program_open(&r->program, r->c, r->s, r->E, r->st);
  ok = go(r);
  sampler_program_close(&r->program);
  sc = neap_scope_open(r->c);
  ok = ok && report(r);
  neap_scope_close(r->c, sc);
  return ok;
}

/* particles at b = 1 with what step carries, from s, whose path is set; owned by the caller */
static neap_state *run_particles (neap_context *c, neap_sampler *s, neap_energy *E, int64_t n, neap_rng *rng) {
  size_t bytes = (size_t)n * sizeof(double);
  run *r = neap_calloc(c, sizeof *r);
  if (!r) return NULL;
  r->c = c;
  r->s = s;
  r->E = E;
  r->n = n;
  r->islands = islands_of(n);
  r->w = neap_malloc(c, bytes);
  r->unit = neap_malloc(c, bytes);
  r->from = neap_malloc(c, bytes);
  neap_state *st = NULL;
  if (r->w && r->unit && r->from && anneal(r, rng)) st = r->st;
  else neap_state_free(r->st);
  if (r->w) neap_free(c, r->w, bytes);
  if (r->unit) neap_free(c, r->unit, bytes);
  if (r->from) neap_free(c, r->from, bytes);
  neap_free(c, r, sizeof *r);
  return st;
}

static const neap_sampler_kind smc = { "smc", false, NEAP_START_NORMAL, init, step };

static bool check (neap_context *c, const char *who, int64_t particles, double ess, int64_t moves) {
  if (particles < LEAST)
    return neap_fail(c, NEAP_EARG, "%s: particles: at least %d expected, got %lld", who, (int)LEAST,
                     (long long)particles);
  if (!(ess > 0 && ess < 1))
    return neap_fail(c, NEAP_EARG, "%s: ess: a part of the particles, between 0 and 1, expected, got %g", who, ess);
  if (moves >= 1) return true;
  return neap_fail(c, NEAP_EARG, "%s: moves: a positive integer expected, got %lld", who, (long long)moves);
}

static neap_sampler *new_smc (neap_context *c, int64_t particles, double ess, int64_t moves) {
  neap_sampler *s = sampler_new(c, &smc);
  if (!s) return NULL;
  s->particles = particles;
  s->ess = ess;
  s->moves = moves;
  return s;
}

/* ---- a whole run ---- */

static bool check_run (neap_context *c, const neap_sampler *s, const neap_sample_config *cfg) {
  neap_start_kind k = cfg->start.kind;
  bool units = s->kernel->kind->start == NEAP_START_BERNOULLI, law = k == NEAP_START_NORMAL || k == NEAP_START_UNIFORM;
  if (cfg->x || !(k == NEAP_START_DEFAULT || (units ? k == NEAP_START_BERNOULLI : law)))
    return neap_fail(c, NEAP_EARG, "smc: init: %s expected: the law of first positions must be known",
                     units ? "\"bernoulli\"" : "\"normal\" or {\"uniform\", lower, upper}");
  if (cfg->condition) return neap_fail(c, NEAP_EARG, "smc: condition: E:given(c) expected");
  return check(c, "smc", cfg->chains, s->ess, s->moves);
}

/* The path belongs to a sampler of its own: s may serve other energies. */
static neap_state *begin (neap_context *c, neap_sampler *s, neap_energy *E, const neap_sample_config *cfg) {
  neap_sampler *own = check_run(c, s, cfg) ? new_smc(c, cfg->chains, s->ess, s->moves) : NULL;
  bool set = own && path_set(c, "smc", own, E, s->kernel, NULL, NULL, cfg->start);
  neap_state *st = set ? run_particles(c, own, E, cfg->chains, cfg->rng) : NULL;
  neap_sampler_release(own);
  return st;
}

neap_sampler *neap_sampler_smc (neap_context *c, neap_sampler *kernel, int64_t particles, double ess, int64_t moves) {
  if (!neap_ok(c) || !path_takes(c, "smc", kernel) || !check(c, "smc", particles, ess, moves)) return NULL;
  neap_sampler *s = new_smc(c, particles, ess, moves);
  if (!s) return NULL;
  s->kernel = neap_sampler_keep(kernel);
  s->host = sampler_calls_host(kernel);
  s->hooks.begin = begin;
  s->grads_step = kernel->grads_step;
  return s;
}

/* ---- log Z alone ---- */

static double item (const neap_state *st, const char *name) {
  const neap_tensor *t = neap_state_get(st, name);
  return *(const double *)neap_ptr(t);
}

static bool estimate (neap_context *c, neap_sampler *s, neap_energy *E, const neap_log_z_config *cfg,
                      neap_log_z_info *info) {
  int64_t n = s->particles;
  if (!path_set(c, "log_z: smc", s, E, cfg->kernel, cfg->base, cfg->bias, cfg->law)) return false;
  neap_state *st = run_particles(c, s, E, n, cfg->rng ? cfg->rng : neap_rng_default(c));
  if (!st) return false;
  info->log_z = item(st, "log_z");
  info->error = item(st, "log_z_error");
  info->lower = info->log_z - quantile(n) * info->error;
  info->upper = info->log_z + quantile(n) * info->error;
  info->chains = n;
  info->temperatures = neap_numel(neap_state_get(st, "betas"));
  info->starts = "exact";
  neap_state_free(st);
  return true;
}

bool neap_energy_log_z_smc (neap_context *c, neap_energy *E, const neap_log_z_config *cfg, neap_log_z_info *info) {
  int64_t n = cfg->chains ? cfg->chains : 1024, moves = cfg->moves ? cfg->moves : 10;
  double ess = cfg->ess != 0 ? cfg->ess : .5, from = clock_now();
  *info = (neap_log_z_info){ 0 };
  if (!neap_ok(c) || !E || !check(c, "log_z: smc", n, ess, moves)) return false;
  neap_mode m = neap_no_grad(c);
  neap_sampler *s = new_smc(c, n, ess, moves);
  bool ok = s && estimate(c, s, E, cfg, info);
  neap_sampler_release(s);
  neap_mode_restore(c, m);
  info->seconds = clock_now() - from;
  return ok && neap_ok(c);
}
