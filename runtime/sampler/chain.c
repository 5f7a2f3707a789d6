/*
** chain.c -- starting chains and stepping them.
** Invariant: a step happens wholly or not at all: when it fails, tensors and random stream are those before it.
*/
#include "sampler/program.h"
#include "sampler/sampler.h"
#include "energy/energy.h"
#include "op.h"

/* x with the coordinates that E holds set to their values */
static neap_tensor *place (neap_context *c, neap_energy *E, neap_tensor *x) {
  neap_tensor *mask = neap_energy_mask(E), *values = neap_energy_mask_values(E);
  if (!mask || !values || !x) return x;
  return neap_where(c, mask, neap_cast(c, values, x->dtype), x);
}

static bool fill (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, neap_tensor *x, neap_tensor *cond) {
  if (x->ndim < 1)
    return neap_fail(c, NEAP_ESHAPE, "%s: x: [chains, event…] expected, got a 0-d tensor", s->kind->name);
  if (!c->trace && !energy_all_finite(c, x))           /* while a function is recorded there are no values */
    return neap_fail(c, NEAP_EARG, "%s: x, of shape %s, holds NaN or infinity", s->kind->name, SHAPE_TEXT(x));
  if (!neap_state_set(c, st, "x", place(c, E, neap_clone(c, x)))) return false;
  if (cond && !neap_state_set(c, st, "condition", neap_detach(c, cond))) return false;
  return !s->kind->init || s->kind->init(c, s, E, st);
}

neap_state *neap_sampler_init (neap_context *c, neap_sampler *s, neap_energy *E, neap_tensor *x, neap_tensor *cond,
                               neap_rng *rng) {
  neap_state *st = x ? neap_state_new(c, rng) : NULL;
  if (!st) return NULL;
  neap_mode m = neap_no_grad(c);
  neap_scope sc = neap_scope_open(c);
  bool ok = fill(c, s, E, st, x, cond);
  neap_scope_close(c, sc);
  neap_mode_restore(c, m);
  if (ok && neap_ok(c)) return st;
  neap_state_free(st);
  return NULL;
}

/* ---- steps ---- */

typedef struct snapshot { neap_state tensors; neap_rng_state rng; } snapshot;

static void take_snapshot (const neap_state *st, snapshot *b) {
  b->tensors = *st;
  b->rng = neap_rng_get(st->rng);
  for (int i = 0; i < st->count; i++) neap_keep(st->entries[i].t);
}

/* keep: the step counts; otherwise everything is as it was */
static void end_snapshot (neap_state *st, snapshot *b, bool keep) {
  neap_state *dead = keep ? &b->tensors : st;
  for (int i = 0; i < dead->count; i++) neap_release(dead->entries[i].t);
  if (keep) return;
  *st = b->tensors;
  neap_rng_set(st->rng, b->rng);
}

static bool one_step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  if (!neap_poll(c)) return false;
  snapshot before;
  take_snapshot(st, &before);
  neap_scope sc = neap_scope_open(c);
  bool ok = s->kind->step(c, s, E, st) && neap_ok(c);
  neap_scope_close(c, sc);
  end_snapshot(st, &before, ok);
  return ok;
}

static int64_t walk (sampler_program *k, neap_state *st, int64_t n) {
  for (int64_t done = 0; done < n; done += SAMPLER_WALK)
    if (!k->walk->go(k->walker, st, n - done < SAMPLER_WALK ? n - done : SAMPLER_WALK, NULL)) return done;
  return n;
}

int64_t sampler_advance (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, sampler_program *k,
                         int64_t n) {
  if (!neap_ok(c)) return 0;
  neap_mode m = neap_no_grad(c);
  int64_t done = k && k->walker ? walk(k, st, n) : 0;
  if (k && k->adds && n > 0) {
    k->adds = false;
    if (one_step(c, s, E, st)) { done = 1; sampler_program_open(k, c, s, E, st); }
  }
  if (k && k->p) done += sampler_program_advance(k, st, n - done);
  if (done < n && k) sampler_program_close(k);
  while (done < n && neap_ok(c) && one_step(c, s, E, st)) done++;
  neap_mode_restore(c, m);
  return done;
}

enum { RECORD_FROM = 4 };                  /* fewer steps are not worth a recording, which costs about two */

bool sampler_steps (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, int64_t n) {
  sampler_program k = { 0 };
  if (n >= RECORD_FROM || (s->walk && n > 0)) sampler_program_open(&k, c, s, E, st);
  bool ok = sampler_advance(c, s, E, st, &k, n) == n;
  sampler_program_close(&k);
  return ok && neap_ok(c);
}

/* What init computes, from an x or parameters that may have changed since. */
static bool refresh (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  if (!neap_ok(c)) return false;
  if (!neap_state_get(st, "x"))
    return neap_fail(c, NEAP_ESTATE, "%s: the state has no x: it comes from init", s->kind->name);
  if (!s->kind->init || s->kind->keeps) return true;
  neap_mode m = neap_no_grad(c);
  neap_scope sc = neap_scope_open(c);
  bool ok = s->kind->init(c, s, E, st);
  neap_scope_close(c, sc);
  neap_mode_restore(c, m);
  return ok && neap_ok(c);
}

bool neap_sampler_step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, int64_t n) {
  if (n < 0) return neap_fail(c, NEAP_EARG, "%s: n: steps from 0 up expected, got %lld", s->kind->name, (long long)n);
  return refresh(c, s, E, st) && sampler_steps(c, s, E, st, n);
}

bool neap_sampler_warmup (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st, int64_t n) {
  if (n < 0)
    return neap_fail(c, NEAP_EARG, "%s: warmup: n: steps from 0 up expected, got %lld", s->kind->name, (long long)n);
  if (!refresh(c, s, E, st)) return false;
  return s->adapt.on ? sampler_warmup(c, s, E, st, n, true, NULL, NULL) : sampler_steps(c, s, E, st, n);
}
