/*
** ais.c -- annealed importance sampling (Neal 2001), from the base to e^(−E) or back.
** Chains go along the path, b = betas[1] … betas[n]: at each point a chain's log weight grows by E_b − E_b′, then the
** kernel moves it under b′.  The mean weight is unbiased for the ratio of the two ends' Z if the chains start with
** exact draws: forward its logarithm falls below log Z on average, backward above it.
** Invariant: "stage" counts each chain's steps; beyond the path's end b stays there, and weights what they are.
*/
#include "sampler/path.h"
#include "energy/energy.h"
#include "clock.h"
#include <math.h>

/* b [chains] at the k-th point after stage */
static neap_tensor *beta_at (neap_context *c, neap_sampler *s, neap_tensor *stage, int64_t k) {
  neap_tensor *i = stage ? neap_add(c, stage, neap_scalar(c, stage->dtype, (double)k)) : NULL;
  i = i ? neap_clamp(c, i, 1, (double)s->betas->shape[0]) : NULL;
  return i ? neap_index_select(c, s->betas, 1, neap_cast(c, i, NEAP_INT64)) : NULL;
}

static bool init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  return sampler_counter(c, st, "stage") && sampler_counter(c, st, "log_weight") &&
         path_init(c, s, E, st, beta_at(c, s, neap_state_get(st, "stage"), 1));
}

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  neap_tensor *stage = neap_state_get(st, "stage"), *w = neap_state_get(st, "log_weight");
  neap_tensor *from = beta_at(c, s, stage, 1), *to = beta_at(c, s, stage, 2);
  if (!from || !to) return false;
  w = neap_add(c, w, path_drop(c, s, E, st, from, to));
  stage = neap_add(c, stage, neap_scalar(c, stage->dtype, 1));
  return w && stage && neap_state_set(c, st, "log_weight", w) && neap_state_set(c, st, "stage", stage) &&
         path_move(c, s, E, st, to);
}

static const neap_sampler_kind ais = { "ais", true, NEAP_START_NORMAL, init, step };

/* ---- a run ---- */

typedef struct run {
  neap_context *c;
  neap_sampler *s;
  neap_energy *E;
  neap_log_z_config cfg;                     /* with defaults filled in */
  const char *who;
  bool reverse;
  neap_rng *rng;
  neap_log_z_info *info;
  double *w;                                 /* [chains] */
} run;

static bool settings (run *r) {
  neap_log_z_config *f = &r->cfg;
  if (f->temperatures == 0) f->temperatures = 2000;
  if (f->moves == 0) f->moves = 1;
  if (f->x && f->x->ndim > 0 && f->chains == 0) f->chains = f->x->shape[0];
  if (f->chains == 0) f->chains = 256;
  if (f->chains < 2 || f->moves < 1)
    return neap_fail(r->c, NEAP_EARG, "%s: %s expected, got %lld", r->who, f->chains < 2 ? "chains: at least 2" :
                     "steps: at least 1", (long long)(f->chains < 2 ? f->chains : f->moves));
  if (f->temperatures < 2)
    return neap_fail(r->c, NEAP_EARG, "%s: temperatures: at least 2 expected, got %lld", r->who,
                     (long long)f->temperatures);
  if (f->burn < 0)
    return neap_fail(r->c, NEAP_EARG, "%s: warmup: 0 or more steps expected, got %lld", r->who, (long long)f->burn);
  if (f->x && (f->x->ndim < 1 || f->x->shape[0] != f->chains))
    return neap_fail(r->c, NEAP_ESHAPE, "%s: chains = %lld, but init is %s", r->who, (long long)f->chains,
                     SHAPE_TEXT(f->x));
  return true;
}

static bool check_betas (run *r) {
  const double *b = r->cfg.betas;
  int64_t n = r->cfg.temperatures;
  bool good = !b || (b[0] == 0 && b[n - 1] == 1);
  for (int64_t i = 1; b && i < n; i++) good = good && b[i] > b[i - 1];
  return good || neap_fail(r->c, NEAP_EARG, "%s: temperatures: inverse ones that rise from 0 to 1 expected", r->who);
}

/* s->betas, of the path forward or back */
static bool set_path (run *r, bool back) {
  int64_t n = r->cfg.temperatures;
  neap_tensor *t = neap_keep(neap_tensor_new(r->c, NEAP_FLOAT64, 1, &n));
  if (!t) return false;
  double *v = neap_ptr(t);
  for (int64_t i = 0; i < n; i++) {
    double b = r->cfg.betas ? r->cfg.betas[i] : (double)i / (double)(n - 1);
    v[back ? n - 1 - i : i] = b;
  }
  neap_release(r->s->betas);
  r->s->betas = t;
  r->s->serial = ++r->c->serial;
  return true;
}

/* x along the path; the state, owned, with weights also in r->w */
static neap_state *go (run *r, neap_tensor *x) {
  neap_state *st = x ? neap_sampler_init(r->c, r->s, r->E, x, NULL, r->rng) : NULL;
  if (st && sampler_steps(r->c, r->s, r->E, st, r->cfg.temperatures - 1) &&
      neap_read(r->c, neap_state_get(st, "log_weight"), NEAP_FLOAT64, r->w)) return st;
  neap_state_free(st);
  return NULL;
}

/* ---- where chains that go back start ---- */

/* st's x, each row as often as its weight says */
static neap_tensor *resampled (run *r, neap_state *st) {
  int64_t n = r->cfg.chains;
  neap_tensor *u = neap_rng_uniform(r->c, r->rng, NEAP_FLOAT64, 0, NULL);
  neap_tensor *from = u ? neap_tensor_new(r->c, NEAP_INT64, 1, &n) : NULL;
  double at = 0;
  if (!from || !neap_item(r->c, u, &at)) return NULL;
  path_resample(r->w, n, at, neap_ptr(from));
  return neap_index_select(r->c, neap_state_get(st, "x"), 1, from);
}

/* the ends of chains that came forward, then burn moves of E's own kernel */
static neap_tensor *annealed (run *r) {
  neap_state *st = set_path(r, false) ? go(r, path_draw(r->c, r->s, r->E, r->rng, r->cfg.chains)) : NULL;
  neap_tensor *x = st ? resampled(r, st) : NULL;
  bool ok = x && neap_state_set(r->c, st, "x", x) && sampler_steps(r->c, r->s, r->E, st, r->cfg.burn);
  x = ok ? neap_lend(r->c, neap_keep(neap_state_get(st, "x"))) : NULL;
  neap_state_free(st);
  return x;
}

static neap_tensor *first (run *r) {
  r->info->starts = r->reverse && r->cfg.x && !r->cfg.exact ? "given" : "exact";
  if (!r->reverse) return path_draw(r->c, r->s, r->E, r->rng, r->cfg.chains);
  if (r->cfg.x) return r->cfg.x;
  if (r->E->cls->sample) return neap_energy_sample(r->c, r->E, r->cfg.chains, r->rng, neap_default_dtype(r->c));
  r->info->starts = "annealed";
  return annealed(r);
}

/* ---- the estimate ---- */

static bool estimate (run *r) {
  double base = 0;
  neap_log_z_info *f = r->info;
  if (!path_log_z(r->c, r->s, r->E, &base)) return false;
  path_mean m = path_mean_of(r->w, r->cfg.chains);
  f->log_z = base + (r->reverse ? -m.log_mean : m.log_mean);
  f->error = m.error;
  f->ess = m.ess;
  f->lower = f->log_z - 1.96 * m.error;
  f->upper = f->log_z + 1.96 * m.error;
  f->chains = r->cfg.chains;
  f->temperatures = r->cfg.temperatures;
  return true;
}

static bool anneal (run *r) {
  const neap_log_z_config *f = &r->cfg;
  r->s->moves = f->moves;
  if (!path_set(r->c, r->who, r->s, r->E, f->kernel, f->base, f->bias, (neap_start){ 0 })) return false;
  neap_tensor *x = first(r);
  neap_state *st = x && set_path(r, r->reverse) ? go(r, x) : NULL;
  bool ok = st && estimate(r);
  neap_state_free(st);
  return ok;
}

bool neap_energy_log_z_ais (neap_context *c, neap_energy *E, bool reverse, const neap_log_z_config *cfg,
                            neap_log_z_info *info) {
  double from = clock_now();
  *info = (neap_log_z_info){ 0 };
  if (!neap_ok(c) || !E) return false;
  run r = { .c = c, .E = E, .cfg = *cfg, .who = reverse ? "log_z: reverse_ais" : "log_z: ais", .reverse = reverse,
            .rng = cfg->rng ? cfg->rng : neap_rng_default(c), .info = info };
  neap_mode m = neap_no_grad(c);
  neap_scope sc = neap_scope_open(c);
  bool ok = settings(&r) && check_betas(&r) && (r.s = sampler_new(c, &ais)) &&
            (r.w = neap_malloc(c, (size_t)r.cfg.chains * sizeof *r.w)) && anneal(&r);
  if (r.w) neap_free(c, r.w, (size_t)r.cfg.chains * sizeof *r.w);
  neap_sampler_release(r.s);
  neap_scope_close(c, sc);
  neap_mode_restore(c, m);
  info->seconds = clock_now() - from;
  return ok && neap_ok(c);
}
