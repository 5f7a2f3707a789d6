/*
** mixture.c -- −log Σ wₖ e^(−Eₖ), and any: the same with all wₖ = 1.
** Slots: a mixture's weights [n], which multiply unnormalised densities and so are not divided by their sum; any
** has none.  Exact samples need the parts' log Z, for the proportions are wₖ Zₖ.
*/
#include "energy.h"
#include "spread.h"
#include "tail.h"

/* The parts' energies beside each other, [B, nparts]. */
static neap_tensor *all_parts (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  size_t bytes = (size_t)E->nparts * sizeof(neap_tensor *);
  neap_tensor **e = neap_malloc(c, bytes), *all = NULL;
  if (!e) return NULL;
  int i = 0;
  while (i < E->nparts && (e[i] = energy_part(c, E, i, x, cond))) i++;
  if (i == E->nparts) all = neap_stack(c, E->nparts, e, 2);
  neap_free(c, e, bytes);
  return all;
}

/* adds log w to [.., n], where there are weights */
static neap_tensor *weigh (neap_context *c, neap_energy *E, neap_tensor *x) {
  return x && E->nslots ? neap_add(c, x, neap_log(c, energy_get(c, E, 0, x))) : x;
}

static bool check_mixture (neap_context *c, neap_energy *E) {
  const neap_tensor *w = E->slots[0].value;
  if (E->nslots != 1) return neap_fail(c, NEAP_EARG, "mixture: weights expected");
  if (w->ndim != 1 || w->shape[0] != E->nparts)
    return neap_fail(c, NEAP_ESHAPE, "mixture: weights must be [%d], one per energy, got %s", E->nparts, SHAPE_TEXT(w));
  return spread_check_positive(c, "mixture", &E->slots[0]);
}

/* x [B, event…] -> [B] */
static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  neap_tensor *e = all_parts(c, E, x, cond);
  return neap_neg(c, energy_logsumexp_last(c, weigh(c, E, e ? neap_neg(c, e) : NULL)));
}

/* log wₖ Zₖ [n] */
static neap_tensor *log_masses (neap_context *c, neap_energy *E) {
  size_t bytes = (size_t)E->nparts * sizeof(neap_tensor *);
  neap_tensor **z = neap_malloc(c, bytes), *all = NULL;
  if (!z) return NULL;
  int i = 0;
  while (i < E->nparts && (z[i] = neap_energy_log_z(c, E->parts[i]))) i++;
  if (i == E->nparts) all = weigh(c, E, neap_stack(c, E->nparts, z, 1));
  neap_free(c, z, bytes);
  return all;
}

static neap_tensor *log_z (neap_context *c, neap_energy *E) { return energy_logsumexp_last(c, log_masses(c, E)); }

/* pick [n] (1 … parts) with ones after it, to stand beside x [n, event…] */
static neap_tensor *beside (neap_context *c, neap_tensor *pick, const neap_tensor *x) {
  int64_t shape[NEAP_MAX_DIMS];
  for (int i = 0; i < x->ndim; i++) shape[i] = i ? 1 : x->shape[0];
  return energy_reshape(c, pick, x->ndim, shape);
}

static neap_tensor *sample (neap_context *c, neap_energy *E, int64_t n, neap_rng *rng, neap_dtype d) {
  int64_t wide[] = { n, E->nparts };
  neap_tensor *masses = energy_cast(c, log_masses(c, E), d);
  neap_tensor *pick = masses ? neap_rng_categorical(c, rng, neap_expand(c, masses, 2, wide)) : NULL, *x = NULL;
  for (int i = 0; pick && i < E->nparts; i++) {
    neap_tensor *y = neap_energy_sample(c, E->parts[i], n, rng, d);
    if (!y) return NULL;
    x = x ? neap_where(c, neap_eq(c, beside(c, pick, y), neap_scalar(c, NEAP_INT64, i + 1)), y, x) : y;
    if (!x) return NULL;
  }
  return x;
}

const energy_class energy_mixture_class = { "mixture", 1, -1, 0, check_mixture, eval, sample, log_z,
                                            tail_any };
const energy_class energy_any_class = { "any", 1, -1, 0, NULL, eval, sample, log_z, tail_any };

neap_energy *neap_energy_any (neap_context *c, int n, neap_energy *const *Es) {
  return energy_finish(c, energy_new(c, &energy_any_class, 0, n, Es));
}

neap_energy *neap_energy_mixture (neap_context *c, int n, neap_energy *const *Es, neap_tensor *weights) {
  neap_energy *E = energy_new(c, &energy_mixture_class, 1, n, Es);
  if (!E) return NULL;
  neap_scope s = neap_scope_open(c);
  int64_t count = n;
  energy_set(E, 0, "weights", weights ? weights : neap_full(c, NEAP_FLOAT64, 1, &count, n ? 1. / n : 1));
  neap_scope_close(c, s);
  return energy_finish(c, E);
}
