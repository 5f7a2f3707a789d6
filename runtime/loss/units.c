/*
** units.c -- losses on the conditionals of single units: pseudo-likelihood and ratio matching.
** Each compares x with its neighbours, which differ from it in one unit, so log Z cancels.
** Invariant: prepare has looked at the batch: its units are states that the loss knows, in a dtype with differences,
** and of binary units neg is the batch with all of them turned over.
*/
#include "loss/loss.h"
#include "energy/states.h"
#include <math.h>

/* ---- what the units are ---- */

enum { ONE = 1, ZERO = 2, MINUS_ONE = 4, OTHER = 8 };

static int kind_of (double v, int64_t states) {
  if (states) return v >= 1 && v <= (double)states && v == floor(v) ? ONE : OTHER;
  return v == 1 ? ONE : v == 0 ? ZERO : v == -1 ? MINUS_ONE : OTHER;
}

/* which kinds of values x holds; false with an error */
static bool look (neap_context *c, neap_tensor *x, int64_t states, int *kinds) {
  int64_t n = neap_numel(x);
  size_t bytes = (size_t)(n + 1) * sizeof(double);
  double *v = neap_malloc(c, bytes);
  if (!v) return false;
  bool ok = neap_read(c, x, NEAP_FLOAT64, v);
  *kinds = 0;
  for (int64_t i = 0; ok && i < n; i++) *kinds |= kind_of(v[i], states);
  neap_free(c, v, bytes);
  return ok;
}

static neap_units told_units (const neap_loss *l, const neap_energy *E) {
  double first, step;
  if (l->units != NEAP_UNITS_OPEN || neap_energy_units(E, &first, &step) == 0) return l->units;
  return first == 0 ? NEAP_UNITS_BITS : NEAP_UNITS_SPINS;
}

/* of units 1 … q: q, as asked for or as Potts models have them; else 0 */
static int64_t states_of (const neap_loss *l, const neap_energy *E) {
  return l->states || l->units != NEAP_UNITS_OPEN ? l->states : energy_labels(E);
}

/* NEAP_UNITS_OPEN with an error when it cannot be told */
static neap_units seen_units (neap_context *c, neap_loss *l, neap_units told, int kinds) {
  neap_units shown = kinds & ZERO ? NEAP_UNITS_BITS : kinds & MINUS_ONE ? NEAP_UNITS_SPINS : NEAP_UNITS_OPEN;
  bool both = kinds & ZERO && kinds & MINUS_ONE, differs = told && shown && told != shown;
  if (kinds & OTHER || both || differs) {
    const char *want = told == NEAP_UNITS_BITS ? "0 or 1" : told ? "-1 or 1" : "0 or 1, or -1 or 1,";
    neap_fail(c, NEAP_EARG, "%s: batch: units of %s expected, got others", l->kind->name, want);
    return NEAP_UNITS_OPEN;
  }
  if (shown) l->seen = shown;
  if (!told && !l->seen)
    neap_fail(c, NEAP_EARG, "%s: batch: all units are 1: give units = \"bits\" (0 and 1) or \"spins\" (-1 and 1)",
              l->kind->name);
  return told ? told : l->seen;
}

static bool check_states (neap_context *c, neap_loss *l, loss_batch *b, int64_t states) {
  int kinds;
  if (c->trace) return true;
  if (!look(c, b->x, states, &kinds)) return false;
  if (!(kinds & OTHER)) return true;
  return neap_fail(c, NEAP_EARG, "%s: batch: whole numbers from 1 to %lld expected, got others", l->kind->name,
                   (long long)states);
}

/* while a function is recorded there are no values to look at */
static bool prepare_binary (neap_context *c, neap_loss *l, loss_batch *b) {
  neap_units u = told_units(l, b->E);
  int kinds;
  if (!c->trace || !u) {
    if (!look(c, b->x, 0, &kinds) || !(u = seen_units(c, l, u, kinds))) return false;
  }
  b->neg = u == NEAP_UNITS_BITS ? neap_sub(c, num(c, b->x, 1), b->x) : neap_neg(c, b->x);
  return b->neg != NULL;
}

static bool prepare (neap_context *c, neap_loss *l, loss_batch *b) {
  int64_t states = states_of(l, b->E);
  neap_dtype counts = states ? NEAP_INT64 : neap_default_dtype(c);
  if (b->x->dtype == NEAP_BOOL || b->x->dtype == NEAP_UINT8) b->x = neap_cast(c, b->x, counts);
  return b->x && (states ? check_states(c, l, b, states) : prepare_binary(c, l, b));
}

/* ---- neighbours ---- */

/* What takes each unit of x to its turn-th other state, in x's shape.  States follow each other in a ring. */
static neap_tensor *change (neap_context *c, const neap_loss *l, loss_batch *b, int64_t turn) {
  int64_t states = states_of(l, b->E);
  if (!states) return neap_sub(c, b->neg, b->x);
  neap_tensor *past = neap_gt(c, b->x, num(c, b->x, (double)(states - turn)));
  return neap_where(c, past, num(c, b->x, (double)(turn - states)), num(c, b->x, (double)turn));
}

/* E(x) − E(x with unit i in its turn-th other state) [B] */
static neap_tensor *rise (neap_context *c, const neap_loss *l, loss_batch *b, neap_tensor *e, int64_t D, int64_t i,
                          int64_t turn) {
  neap_tensor *one = neap_mul(c, energy_unit(c, b->x, D, i), change(c, l, b, turn));
  return neap_sub(c, e, neap_energy_eval(c, b->E, neap_add(c, b->x, one), b->cond));
}

typedef neap_tensor *(*unit_term) (neap_context *c, const neap_loss *l, loss_batch *b, neap_tensor *e, int64_t D,
                                   int64_t i);

/* mean over rows of Σᵢ term */
static neap_tensor *over_units (neap_context *c, neap_loss *l, loss_batch *b, unit_term term) {
  neap_tensor *e = neap_energy_eval(c, b->E, b->x, b->cond), *sum = NULL;
  int64_t D = neap_row_numel(b->x);
  if (e && D == 0) return rows_scale(c, rows_mean(c, e), 0);
  for (int64_t i = 1; e && i <= D; i++) {
    neap_scope s = neap_scope_open(c);
    neap_tensor *t = neap_poll(c) ? term(c, l, b, e, D, i) : NULL;
    sum = neap_scope_return(c, s, t && sum ? neap_add(c, sum, t) : t);
    if (!sum) return NULL;
  }
  return rows_mean(c, sum);
}

/* ---- all neighbours by one gradient ---- */

/* Each unit by itself changes E by what the gradient tells, whatever the others are: the loss was told so, or E's own
** formula has no products of a unit with itself. */
static bool is_linear (const neap_energy *E) {
  for (int i = 0; i < E->nparts; i++) if (!is_linear(E->parts[i])) return false;
  if (E->nparts)
    return E->cls == &energy_sum_class || E->cls == &energy_scale_class || E->cls == &energy_divide_class ||
           E->cls == &energy_offset_class;
  return E->cls == &energy_ising_class || E->cls == &energy_potts_class || energy_is_classical_hopfield(E);
}

/* of units 1 … q by x one-hot, which E must take, of binary ones by x itself */
static bool by_gradient (const neap_loss *l, const loss_batch *b) {
  int64_t states = states_of(l, b->E);
  bool can = states ? states == energy_labels(b->E) : neap_is_float(b->x->dtype);
  return can && (l->linear || is_linear(b->E));
}

/* E(x) − E(x with the unit turned over) of every unit, [B, event…] */
static neap_tensor *rises (neap_context *c, loss_batch *b) {
  neap_tensor *g = neap_energy_grad(c, b->E, b->x, b->cond);
  return g ? neap_mul(c, g, neap_sub(c, b->x, b->neg)) : NULL;
}

/* −log p(xᵢ | others) of units 1 … q, [B, event…]: log Σₖ e^(−gᵢₖ) + g at xᵢ, by x one-hot */
static neap_tensor *minus_logs (neap_context *c, loss_batch *b) {
  neap_tensor *z = energy_one_hot_of(c, b->E, b->x);
  neap_tensor *g = z ? neap_energy_grad(c, b->E, z, b->cond) : NULL;
  neap_tensor *own = g ? energy_sum_last(c, neap_mul(c, g, z)) : NULL;
  return own ? neap_add(c, energy_logsumexp_last(c, neap_neg(c, g)), own) : NULL;
}

/* ---- pseudo-likelihood (Besag 1975): −log p(xᵢ | others) = log(1 + Σ e^(E(x) − E(neighbour))) ---- */

/* grows to log(e^sum + e^rise), sum ≥ 0 */
static neap_tensor *minus_log_conditional (neap_context *c, const neap_loss *l, loss_batch *b, neap_tensor *e,
                                           int64_t D, int64_t i) {
  neap_tensor *sum = neap_softplus(c, rise(c, l, b, e, D, i, 1), 1);
  int64_t states = states_of(l, b->E);
  for (int64_t turn = 2; sum && turn < states; turn++)
    sum = neap_add(c, sum, neap_softplus(c, neap_sub(c, rise(c, l, b, e, D, i, turn), sum), 1));
  return sum;
}

static neap_tensor *eval_pseudo (neap_context *c, neap_loss *l, loss_batch *b) {
  if (!by_gradient(l, b)) return over_units(c, l, b, minus_log_conditional);
  neap_tensor *t = states_of(l, b->E) ? minus_logs(c, b) : neap_softplus(c, rises(c, b), 1);
  return t ? rows_mean(c, rows_sum(c, t)) : NULL;
}

static const neap_loss_kind pseudo = { "pseudo_likelihood", NULL, prepare, eval_pseudo };

neap_loss *neap_loss_pseudo_likelihood (neap_context *c, neap_units units, int64_t states, bool linear) {
  if (states < 0 || states == 1 || states > INT32_MAX)
    return neap_fail(c, NEAP_EARG, "pseudo_likelihood: states: an integer from 2 up expected, got %lld",
                     (long long)states);
  if (states && units != NEAP_UNITS_OPEN)
    return neap_fail(c, NEAP_EARG, "pseudo_likelihood: units: none expected where states are given, got some");
  neap_loss *l = loss_new(c, &pseudo);
  if (!l) return NULL;
  l->units = units;
  l->states = states;
  l->linear = linear;
  return l;
}

/* ---- ratio matching (Hyvärinen 2007): g(p(x)/p(neighbour))², g(u) = 1/(1 + u), is the neighbour's conditional ---- */

static neap_tensor *squared_conditional (neap_context *c, const neap_loss *l, loss_batch *b, neap_tensor *e, int64_t D,
                                         int64_t i) {
  return neap_square(c, neap_sigmoid(c, rise(c, l, b, e, D, i, 1)));
}

static bool prepare_ratio (neap_context *c, neap_loss *l, loss_batch *b) {
  if (!states_of(l, b->E)) return prepare(c, l, b);
  return neap_fail(c, NEAP_EARG, "ratio_matching: E: one of binary units expected, got %s", energy_title(b->E));
}

static neap_tensor *eval_ratio (neap_context *c, neap_loss *l, loss_batch *b) {
  if (!by_gradient(l, b)) return over_units(c, l, b, squared_conditional);
  neap_tensor *t = neap_square(c, neap_sigmoid(c, rises(c, b)));
  return t ? rows_mean(c, rows_sum(c, t)) : NULL;
}

static const neap_loss_kind ratio = { "ratio_matching", NULL, prepare_ratio, eval_ratio };

neap_loss *neap_loss_ratio_matching (neap_context *c, neap_units units, bool linear) {
  neap_loss *l = loss_new(c, &ratio);
  if (!l) return NULL;
  l->units = units;
  l->linear = linear;
  return l;
}
