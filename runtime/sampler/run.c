/*
** run.c -- a whole run: chains started, warmed up, stepped, draws kept.
** Invariant: draws and energies are allocated once, before the first step; draw i is written when it is made, so what
** an interrupted run has is whole.  A draw's energy is the kernel's own where it carries one.
*/
#include "sampler/program.h"
#include "sampler/sampler.h"
#include "energy/rbm.h"
#include "energy/states.h"
#include "clock.h"
#include <math.h>
#include <string.h>

typedef struct run {
  neap_context *c;
  neap_sampler *s;
  neap_energy *E;
  neap_sample_config cfg;                    /* with defaults filled in */
  neap_state *st;
  neap_sample_info *info;
  bool owes;                                 /* the last draw's energy is not written: it may come with the next step */
  int64_t done;                              /* steps, warm-up included */
  double started;
  sampler_program program;
} run;

/* ---- settings ---- */

static bool at_least (run *r, const char *option, int64_t *v, int64_t least, int64_t otherwise) {
  if (*v == 0) *v = otherwise;
  if (*v >= least) return true;
  return neap_fail(r->c, NEAP_EARG, "%s: %s: an integer from %lld up expected, got %lld", r->s->kind->name, option,
                   (long long)least, (long long)*v);
}

static bool settings (run *r) {
  neap_sample_config *f = &r->cfg;
  int64_t rows = f->x && f->x->ndim > 0 ? f->x->shape[0] : r->s->particles ? r->s->particles : 4;
  if (!at_least(r, "chains", &f->chains, 1, rows) ||
      !at_least(r, "steps", &f->steps, 1, r->s->schedule || r->s->hooks.begin ? 1 : 1000) ||
      !at_least(r, "warmup", &f->warmup, 0, 0) || !at_least(r, "thin", &f->thin, 1, 1))
    return false;
  if (f->x && f->chains != rows)
    return neap_fail(r->c, NEAP_ESHAPE, "%s: chains = %lld, but init is %s", r->s->kind->name, (long long)f->chains,
                     SHAPE_TEXT(f->x));
  bool slopes = r->s->grads_init + r->s->grads_step > 0 && !energy_labels(r->E);
  if (f->x && !neap_is_float(f->x->dtype) && slopes)
    return neap_fail(r->c, NEAP_EDTYPE, "%s: init: float32 or float64 expected, got %s; x:float() makes one",
                     r->s->kind->name, neap_dtype_name(f->x->dtype));
  if (f->thin > f->steps)
    return neap_fail(r->c, NEAP_EARG, "%s: thin: at most steps = %lld expected, got %lld", r->s->kind->name,
                     (long long)f->steps, (long long)f->thin);
  if (r->s->schedule) f->warmup += r->s->schedule - 1;
  return true;
}

/* [chains, event…] */
static neap_tensor *first (run *r) {
  int64_t shape[NEAP_MAX_DIMS + 1];
  if (r->cfg.x) return r->cfg.x;
  int n = neap_energy_event(r->E, shape + 1);
  if (n < 0 || n >= NEAP_MAX_DIMS)
    return neap_fail(r->c, NEAP_EARG, "%s: init: the shape of one x is not known: give a tensor [chains, event…], or "
                     "tell neap.energy its event", r->s->kind->name);
  shape[0] = r->cfg.chains;
  neap_start start = sampler_default_start(r->s, r->E, r->cfg.start);
  neap_dtype d = r->cfg.dtype ? *r->cfg.dtype : sampler_start_dtype(r->c, r->E);
  if (r->cfg.start.kind == NEAP_START_DEFAULT && start.kind == NEAP_START_BERNOULLI)
    return sampler_start_units(r->c, r->E, r->cfg.rng, d, n + 1, shape);
  return sampler_start(r->c, r->s->kind->name, start, r->cfg.rng, d, n + 1, shape, NULL);
}

/* Chains of such an energy run away, unless something holds them. */
static bool warn_if_improper (run *r) {
  const char *why;
  if (r->E->warned || r->s->clamp_min < r->s->clamp_max || neap_energy_normalizable(r->c, r->E, &why) >= 0)
    return neap_ok(r->c);
  r->E->warned = true;
  neap_warn(r->c, "%s: the energy %s cannot be normalised: %s; its chains have no law to settle in", r->s->kind->name,
            energy_title(r->E), why);
  return true;
}

/* A step along a gradient leads from units to what is none; what a sampler has of its own, or the host, may know better. */
static void warn_if_units (run *r) {
  double first, step;
  const neap_sampler *s = r->s;
  bool fits = s->kind->start == NEAP_START_BERNOULLI || s->kernel || s->own || sampler_calls_host(s) ||
              rbm_is_gaussian(energy_innermost(r->E));
  if (r->E->warned || fits || neap_energy_units(r->E, &first, &step) == 0) return;
  r->E->warned = true;
  neap_warn(r->c, "%s: units of %s are %g, %g …, and its chains leave them; those of gibbs, gibbs_with_gradients and "
            "dmala do not", s->kind->name, energy_title(r->E), first, first + step);
}

static bool begin (run *r) {
  if (!r->cfg.rng) r->cfg.rng = neap_rng_default(r->c);
  if (!warn_if_improper(r)) return false;
  warn_if_units(r);
  neap_scope sc = neap_scope_open(r->c);
  if (r->s->hooks.begin) r->st = r->s->hooks.begin(r->c, r->s, r->E, &r->cfg);
  else r->st = neap_sampler_init(r->c, r->s, r->E, first(r), r->cfg.condition, r->cfg.rng);
  neap_scope_close(r->c, sc);
  return r->st != NULL;
}

/* what is told of a path: where it led, and its log Z */
static bool allocate_path (run *r) {
  neap_tensor *betas = neap_state_get(r->st, "betas"), *z = neap_state_get(r->st, "log_z");
  int64_t n = betas ? neap_numel(betas) : 0, pairs = n - 1;
  if (r->s->hooks.tell && !(r->info->swap_rates = neap_empty(r->c, NEAP_FLOAT64, 1, &pairs))) return false;
  if (betas) r->info->temperatures = neap_reciprocal(r->c, neap_reshape(r->c, betas, 1, &n));
  if (betas && !r->info->temperatures) return false;
  return !z || (neap_item(r->c, z, &r->info->log_z) &&
                neap_item(r->c, neap_state_get(r->st, "log_z_error"), &r->info->log_z_error));
}

/* draws [asked, chains, event…], energy [asked, chains], lent by the caller's scope */
static bool allocate (run *r) {
  neap_tensor *x = neap_state_get(r->st, "x");
  int64_t shape[NEAP_MAX_DIMS + 1] = { r->cfg.steps / r->cfg.thin };
  if (x->ndim >= NEAP_MAX_DIMS)
    return neap_fail(r->c, NEAP_ESHAPE, "%s: x: at most %d dimensions expected, got %s", r->s->kind->name,
                     NEAP_MAX_DIMS - 1, SHAPE_TEXT(x));
  memcpy(shape + 1, x->shape, (size_t)x->ndim * sizeof *shape);
  r->info->draws = neap_empty(r->c, x->dtype, x->ndim + 1, shape);
  r->info->energy = neap_empty(r->c, neap_is_float(x->dtype) ? x->dtype : NEAP_FLOAT64, 2, shape);
  return r->info->draws && r->info->energy && allocate_path(r);
}

/* ---- what is kept ---- */

/* t[i] = v, i from 0 */
static bool put (neap_context *c, neap_tensor *t, int64_t i, neap_tensor *v) {
  neap_tensor *row = neap_tensor_view(c, t->store, t->dtype, t->ndim - 1, t->shape + 1, t->strides + 1,
                                      t->offset + i * t->strides[0]);
  return row && v && neap_write(c, row, v);
}

/* the energy of the state's x, if the kernel carries it */
static neap_tensor *carried (run *r, const char *name) {
  neap_tensor *e = neap_state_get(r->st, name);
  return e && e->ndim == 1 && e->shape[0] == r->cfg.chains ? e : NULL;
}

static bool put_energy (run *r, neap_tensor *e) {
  r->owes = !put(r->c, r->info->energy, r->info->kept - 1, e);
  return !r->owes;
}

static bool keep (run *r) {
  neap_tensor *x = neap_state_get(r->st, "x"), *e = carried(r, "energy");
  if (!put(r->c, r->info->draws, r->info->kept, x)) return false;
  r->info->kept++;
  r->owes = true;
  if (!e && carried(r, "energy_before")) return true;
  return put_energy(r, e ? e : sampler_energy(r->c, r->E, r->st, x));
}

/* ---- the loop ---- */

enum { FIRST_TUNED = 32 };                   /* a power of 2 */

static void report (run *r);

/* what is counted from the end of warm-up on */
static bool restart_counts (run *r) {
  static const char *const names[] = { "accepted", "divergences", "depth", "saturated", "swapped", "proposed",
                                       NULL };
  for (int i = 0; names[i]; i++) if (!sampler_restart_count(r->c, r->st, names[i])) return false;
  return true;
}

/* after 32, 64, 128 … steps of warm-up, and all of it */
static bool tunes_at (const run *r, int64_t done) {
  return r->s->hooks.tune && done >= FIRST_TUNED && ((done & (done - 1)) == 0 || done == r->cfg.warmup);
}

static bool after_step (run *r) {
  int64_t i = r->done - r->cfg.warmup;
  if (r->owes && !put_energy(r, carried(r, "energy_before"))) return false;
  if (i <= 0 && tunes_at(r, r->done) && !r->s->hooks.tune(r->c, r->s, r->st)) return false;
  if (i == 0 && !restart_counts(r)) return false;
  if (i > 0 && i % r->cfg.thin == 0 && !keep(r)) return false;
  if (!r->cfg.progress) return true;
  report(r);
  return r->cfg.progress(r->cfg.progress_arg, r->done, r->cfg.steps + r->cfg.warmup);
}

/* steps until something is to be done */
static int64_t steps_to_next (const run *r) {
  int64_t i = r->done - r->cfg.warmup, left = r->cfg.steps - i;
  if (r->owes || r->cfg.progress) return 1;
  int64_t next = i < 0 ? -i : r->cfg.thin - i % r->cfg.thin, tuned = FIRST_TUNED;
  while (tuned <= r->done) tuned *= 2;
  if (i < 0 && r->s->hooks.tune && tuned - r->done < next) next = tuned - r->done;
  return next < left ? next : left;
}

/* A callback of the host may change anything between two steps that a function reads. */
static bool may_record (const run *r) {
  bool host = r->E->function || r->E->nparts || sampler_calls_host(r->s);
  return r->cfg.steps + r->cfg.warmup >= 4 && !(r->cfg.progress && !r->cfg.watches && host);
}

static int64_t all_steps (const run *r) { return r->cfg.steps + r->cfg.warmup; }

static bool after_adapted_step (void *arg) {
  run *r = arg;
  r->done++;
  return after_step(r);
}

static bool by_steps (run *r) {
  bool ok = true;
  while (ok && r->done < all_steps(r)) {
    int64_t n = steps_to_next(r);
    int64_t made = sampler_advance(r->c, r->s, r->E, r->st, &r->program, n);
    r->done += made;
    ok = made == n && neap_ok(r->c);
    neap_scope sc = neap_scope_open(r->c);
    ok = ok && after_step(r) && neap_ok(r->c);
    neap_scope_close(r->c, sc);
  }
  return ok;
}

/* Of a walk that failed, too, the draws are whole that all chains had made. */
static bool by_walks (run *r) {
  bool ok = true;
  while (ok && r->done < all_steps(r)) {
    int64_t from = r->done, left = (from < r->cfg.warmup ? r->cfg.warmup : all_steps(r)) - from;
    sampler_sink to = { r->info->draws, r->info->energy, from - r->cfg.warmup, r->cfg.thin, 0 };
    neap_scope sc = neap_scope_open(r->c);
    ok = r->program.walk->go(r->program.walker, r->st, left < SAMPLER_WALK ? left : SAMPLER_WALK, &to);
    r->done = from + to.whole;
    if (r->done > r->cfg.warmup) r->info->kept = (r->done - r->cfg.warmup) / r->cfg.thin;
    if (ok && r->done == r->cfg.warmup) ok = restart_counts(r);
    if (r->cfg.progress) report(r);
    for (int64_t i = from + 1; ok && r->cfg.progress && i <= r->done; i++)
      ok = r->cfg.progress(r->cfg.progress_arg, i, all_steps(r)) && neap_ok(r->c);
    neap_scope_close(r->c, sc);
  }
  return ok;
}

static bool iterate (run *r) {
  bool recorded = may_record(r), adapts = r->s->adapt.on && r->cfg.warmup > 0;
  bool ok = !adapts || sampler_warmup(r->c, r->s, r->E, r->st, r->cfg.warmup, recorded, after_adapted_step, r);
  if (ok && recorded) sampler_program_open(&r->program, r->c, r->s, r->E, r->st);
  if (ok) ok = neap_ok(r->c) && (r->program.walker ? by_walks(r) : by_steps(r));
  sampler_program_close(&r->program);
  neap_scope sc = neap_scope_open(r->c);
  if (ok && r->owes) ok = put_energy(r, sampler_energy(r->c, r->E, r->st, neap_state_get(r->st, "x")));
  neap_scope_close(r->c, sc);
  return ok;
}

/* Σ over chains of a count, read by hand since an error may be pending; 0 when there is none */
static double total (run *r, const char *name) {
  neap_tensor *t = r->st ? carried(r, name) : NULL;
  double sum = 0;
  for (int64_t i = 0; t && i < t->shape[0]; i++) {
    void *p = neap_ptr(t);
    if (t->dtype == NEAP_FLOAT64) sum += ((double *)p)[i * t->strides[0]];
    else if (t->dtype == NEAP_FLOAT32) sum += (double)((float *)p)[i * t->strides[0]];
  }
  return sum;
}

static void report (run *r) {
  neap_sample_info *f = r->info;
  int64_t after = r->done - r->cfg.warmup, before = 0;
  if (r->s->hooks.begin && r->st) before = (neap_numel(neap_state_get(r->st, "betas")) - 1) * r->s->moves;
  bool rejects = r->st && neap_state_get(r->st, "accepted");
  f->accept_rate = !rejects ? 1 : after > 0 ? total(r, "accepted") / ((double)after * (double)r->cfg.chains) : NAN;
  f->divergences = (int64_t)total(r, "divergences");
  f->grad_evals = r->cfg.chains * (r->s->grads_init + r->s->grads_step * (before + r->done)) +
                  (int64_t)total(r, "grad_evals");
  f->saturated = (int64_t)total(r, "saturated");
  f->tree_depth = r->s->walk && after > 0 ? total(r, "depth") / ((double)after * (double)r->cfg.chains) : NAN;
  neap_tensor *h = r->st ? neap_state_get(r->st, "step_size") : NULL;
  f->step_size = h && h->dtype == NEAP_FLOAT64 ? *(double *)neap_ptr(h) : r->s->step_size;
  if (r->st && r->s->hooks.tell && f->temperatures) r->s->hooks.tell(r->st, f);
  f->seconds = clock_now() - r->started;
}

static void lend_scale (run *r) {
  neap_tensor *S = r->st && r->s->adapt.on ? neap_state_get(r->st, "scale") : NULL;
  if (S) r->info->scale = neap_lend(r->c, neap_keep(S));
}

neap_tensor *neap_sampler_sample (neap_context *c, neap_sampler *s, neap_energy *E, const neap_sample_config *cfg,
                                  neap_sample_info *info) {
  static const neap_sample_config all_default;
  neap_sample_info own;
  run r = { .c = c, .s = s, .E = E, .cfg = cfg ? *cfg : all_default, .info = info ? info : &own };
  memset(r.info, 0, sizeof *r.info);
  r.info->log_z = r.info->log_z_error = NAN;
  r.started = clock_now();
  if (!neap_ok(c)) return NULL;
  neap_mode m = neap_no_grad(c);
  bool ok = settings(&r) && begin(&r) && allocate(&r) && iterate(&r);
  if (r.owes) r.info->kept--;                          /* a draw whose energy is not known is none */
  report(&r);
  lend_scale(&r);
  neap_state_free(r.st);
  neap_mode_restore(c, m);
  return ok ? r.info->draws : NULL;
}
