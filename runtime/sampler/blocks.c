/*
** blocks.c -- samplers in turn, each of some coordinates given the others: Gibbs sampling by blocks, for states that
** are partly discrete.
** A block's sampler works on E as a function of its coordinates alone, so whatever leaves that conditional law
** invariant may be one.  What depends on the other coordinates is computed anew before each of its steps.
** Invariant: the state has the whole "x"; what block k carries besides x from step to step is under "k.NAME".
*/
#include "sampler/sampler.h"
#include "energy/energy.h"
#include <stdio.h>
#include <string.h>

typedef struct block { neap_sampler *s; neap_tensor *dims; } block;    /* dims int64 [d] */
typedef struct blocks { int n; block at[]; } blocks;

/* ---- E of a block: slots x (all coordinates) and dims ---- */

/* x with the block's coordinates y [B, d] in place of its own */
static neap_tensor *join (neap_context *c, neap_tensor *x, neap_tensor *dims, neap_tensor *y) {
  neap_tensor *all = neap_index_copy(c, rows_flat(c, x), 2, dims, y);
  return all ? neap_reshape(c, all, x->ndim, x->shape) : NULL;
}

static neap_tensor *eval_block (neap_context *c, neap_energy *E, neap_tensor *y, neap_tensor *cond) {
  neap_tensor *x = join(c, E->slots[0].value, E->slots[1].value, y);
  return x ? energy_part(c, E, 0, x, cond) : NULL;
}

/* what E holds of the block */
static bool hold_block (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *dims) {
  neap_energy *p = E->parts[0];
  neap_tensor *values = neap_expand(c, neap_cast(c, p->mask_values, x->dtype), x->ndim, x->shape);
  neap_tensor *mask = neap_index_select(c, neap_reshape(c, p->mask, 1, (int64_t[]){ -1 }), 1, dims);
  return mask && values && energy_hold(E, mask, neap_index_select(c, rows_flat(c, values), 2, dims));
}

static bool check_block (neap_context *c, neap_energy *E) {
  neap_tensor *dims = E->slots[1].value;
  energy_set_event(E, 1, dims->shape);
  E->any_event = false;
  return !E->parts[0]->mask || hold_block(c, E, E->slots[0].value, dims);
}

static const energy_class block_class = { .name = "block", .min_parts = 1, .max_parts = 1, .check = check_block,
                                          .eval = eval_block };

static neap_energy *energy_of (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *dims) {
  neap_energy *out = energy_new(c, &block_class, 2, 1, &E);
  if (!out) return NULL;
  energy_set(out, 0, "x", x);
  energy_set(out, 1, "dims", dims);
  return energy_finish(c, out);
}

/* ---- a block's state ---- */

/* st's entries under "k." are those of the block */
static bool take_entries (neap_context *c, const neap_state *st, int k, neap_state *sub) {
  char prefix[16];
  int n = snprintf(prefix, sizeof prefix, "%d.", k);
  for (int i = 0; i < st->count; i++)
    if (strncmp(st->entries[i].name, prefix, (size_t)n) == 0 &&
        !neap_state_set(c, sub, st->entries[i].name + n, st->entries[i].t))
      return false;
  return true;
}

/* grows st's count [chains] of that name by what the block's grew, times share */
static bool add_count (neap_context *c, neap_state *st, const char *name, neap_tensor *before, neap_tensor *after,
                       double share) {
  neap_tensor *all = neap_state_get(st, name);
  if (!before || !after || !all) return true;
  all = neap_add(c, all, rows_scale(c, neap_sub(c, after, before), share));
  return all && neap_state_set(c, st, name, all);
}

static bool give_entries (neap_context *c, neap_state *st, int k, const neap_state *sub) {
  char name[NEAP_STATE_NAME + 16];
  for (int i = 0; i < sub->count; i++) {
    if (state_is_made_anew(sub->entries[i].name)) continue;
    snprintf(name, sizeof name, "%d.%s", k, sub->entries[i].name);
    if (!neap_state_set(c, st, name, sub->entries[i].t)) return false;
  }
  return true;
}

static neap_state *state_of (neap_context *c, const block *b, const neap_state *st, int k) {
  neap_tensor *x = neap_state_get(st, "x"), *cond = neap_state_get(st, "condition");
  neap_state *sub = neap_state_new(c, st->rng);
  bool ok = sub && neap_state_set(c, sub, "x", neap_index_select(c, rows_flat(c, x), 2, b->dims)) &&
            (!cond || neap_state_set(c, sub, "condition", cond)) && take_entries(c, st, k, sub);
  if (ok) return sub;
  neap_state_free(sub);
  return NULL;
}

/* how many blocks count what they accept */
static int rejecting (const blocks *all, const neap_state *st) {
  char name[NEAP_STATE_NAME];
  int n = 0;
  for (int k = 1; k <= all->n; k++) {
    snprintf(name, sizeof name, "%d.accepted", k);
    if (neap_state_get(st, name)) n++;
  }
  return n;
}

/* ---- steps ---- */

/* What follows from the block's sampler having moved: x, counts, the energy if it has one. */
static bool put_back (neap_context *c, const blocks *all, neap_state *st, int k, const neap_state *sub,
                      neap_tensor *accepted, neap_tensor *divergences) {
  neap_tensor *x = join(c, neap_state_get(st, "x"), all->at[k - 1].dims, neap_state_get(sub, "x"));
  neap_tensor *e = neap_state_get(sub, "energy");
  int rejects = rejecting(all, st);
  if (!x || !neap_state_set(c, st, "x", x) || !give_entries(c, st, k, sub)) return false;
  if (k == all->n && e && !neap_state_set(c, st, "energy", e)) return false;
  return add_count(c, st, "accepted", accepted, neap_state_get(sub, "accepted"), 1. / (rejects ? rejects : 1)) &&
         add_count(c, st, "divergences", divergences, neap_state_get(sub, "divergences"), 1);
}

/* moves: a step; otherwise only what init makes */
static bool turn (neap_context *c, const blocks *all, neap_energy *E, neap_state *st, int k, bool moves) {
  const block *b = &all->at[k - 1];
  neap_state *sub = state_of(c, b, st, k);
  neap_energy *part = sub ? energy_of(c, E, neap_state_get(st, "x"), b->dims) : NULL;
  bool ok = part && (!b->s->kind->init || b->s->kind->init(c, b->s, part, sub));
  neap_tensor *accepted = ok ? neap_state_get(sub, "accepted") : NULL;
  neap_tensor *divergences = ok ? neap_state_get(sub, "divergences") : NULL;
  accepted = neap_lend(c, neap_keep(accepted));
  divergences = neap_lend(c, neap_keep(divergences));
  if (moves) ok = ok && b->s->kind->step(c, b->s, part, sub) && put_back(c, all, st, k, sub, accepted, divergences);
  else ok = ok && give_entries(c, st, k, sub);
  neap_energy_release(part);
  neap_state_free(sub);
  return ok;
}

/* every coordinate of x is in a block, and no block has another */
static bool covers (neap_context *c, const blocks *all, const neap_tensor *x) {
  int64_t D = neap_row_numel(x);
  size_t bytes = (size_t)D + 1;
  char *seen = neap_calloc(c, bytes);
  bool ok = seen != NULL;
  for (int k = 0; ok && k < all->n; k++) {
    const int64_t *d = neap_ptr(all->at[k].dims);
    for (int64_t i = 0; ok && i < all->at[k].dims->shape[0]; i++) {
      if (d[i] <= D) seen[d[i]] = 1;
      else ok = neap_fail(c, NEAP_EARG, "blocks: block %d: coordinates 1 to %lld expected, as x has, got %lld", k + 1,
                          (long long)D, (long long)d[i]);
    }
  }
  for (int64_t i = 1; ok && i <= D; i++)
    if (!seen[i]) ok = neap_fail(c, NEAP_EARG, "blocks: coordinate %lld of x is in no block", (long long)i);
  if (seen) neap_free(c, seen, bytes);
  return ok;
}

static bool init (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  const blocks *all = s->own;
  bool ok = covers(c, all, neap_state_get(st, "x"));
  for (int k = 1; ok && k <= all->n; k++) ok = turn(c, all, E, st, k, false);
  return ok && (!rejecting(all, st) || sampler_counter(c, st, "accepted")) && sampler_counter(c, st, "divergences");
}

static bool step (neap_context *c, neap_sampler *s, neap_energy *E, neap_state *st) {
  const blocks *all = s->own;
  for (int k = 1; k <= all->n; k++) if (!turn(c, all, E, st, k, true)) return false;
  return true;
}

static const neap_sampler_kind kind = { "blocks", false, NEAP_START_NORMAL, init, step };

/* ---- making ---- */

static void release (neap_context *c, void *own) {
  blocks *all = own;
  for (int k = 0; k < all->n; k++) {
    neap_sampler_release(all->at[k].s);
    neap_release(all->at[k].dims);
  }
  neap_free(c, all, sizeof *all + (size_t)all->n * sizeof *all->at);
}

/* int64 [d], d ≥ 1, from 1 */
static bool check_dims (neap_context *c, int k, const neap_tensor *dims) {
  bool ok = dims && dims->dtype == NEAP_INT64 && dims->ndim == 1 && dims->shape[0] > 0 && dims->strides[0] == 1;
  for (int64_t i = 0; ok && i < dims->shape[0]; i++) {
    const int64_t *d = neap_ptr(dims);
    if (d[i] < 1)
      return neap_fail(c, NEAP_EARG, "blocks: block %d: coordinates from 1 up expected, got %lld", k, (long long)d[i]);
    for (int64_t j = 0; j < i; j++)
      if (d[i] == d[j])
        return neap_fail(c, NEAP_EARG, "blocks: block %d: each coordinate once expected, got %lld twice", k,
                         (long long)d[i]);
  }
  return ok || neap_fail(c, NEAP_EARG, "blocks: block %d: coordinates expected, got none", k);
}

static bool check (neap_context *c, int n, neap_tensor *const *dims, neap_sampler *const *samplers) {
  if (n < 1) return neap_fail(c, NEAP_EARG, "blocks: at least one block expected, got none");
  for (int k = 0; k < n; k++) {
    if (!check_dims(c, k + 1, dims[k])) return false;
    if (!samplers[k]) return neap_fail(c, NEAP_EARG, "blocks: block %d: a sampler expected, got none", k + 1);
    if (sampler_lacks_step(samplers[k]))
      return neap_fail(c, NEAP_EARG, "blocks: block %d: %s with a step_size expected, which no warm-up sets here", k + 1,
                       samplers[k]->kind->name);
    if (samplers[k]->schedule)
      return neap_fail(c, NEAP_EARG, "blocks: block %d: %s has a schedule of its own", k + 1, samplers[k]->kind->name);
  }
  return true;
}

neap_sampler *neap_sampler_blocks (neap_context *c, int n, neap_tensor *const *dims, neap_sampler *const *samplers) {
  neap_sampler *s = check(c, n, dims, samplers) ? sampler_new(c, &kind) : NULL;
  blocks *all = s ? neap_calloc(c, sizeof *all + (size_t)n * sizeof *all->at) : NULL;
  if (!all) {
    neap_sampler_release(s);
    return NULL;
  }
  all->n = n;
  s->own = all;
  s->release_own = release;
  for (int k = 0; k < n; k++) {
    all->at[k] = (block){ neap_sampler_keep(samplers[k]), neap_keep(dims[k]) };
    s->host = s->host || sampler_calls_host(samplers[k]);
    s->grads_init += samplers[k]->grads_init;
    s->grads_step += samplers[k]->grads_init + samplers[k]->grads_step;
  }
  return s;
}
