/*
** energy.h -- what an energy is inside: a class, tensors in slots, parts.
** Invariant: an energy is immutable once energy_finish has passed it.  Its parameters are the variable slots of
** itself and its parts, each tensor once, under names that are unique; everything that saving needs lies in
** the class's name, slots, numbers, choice, event and parts.
*/
#ifndef NEAP_ENERGY_H
#define NEAP_ENERGY_H

#include "core.h"
#include "rows.h"

#define ENERGY_NAME 96                     /* bytes of a slot's name, with prefixes */
#define ENERGY_NUMBERS 3
#define ENERGY_DERIVED 2
#define ENERGY_DEPTH 100                   /* parts within parts */
#define ENERGY_STATES 256                  /* values of a unit 1 … q */

typedef struct energy_slot {
  neap_tensor *value;
  bool variable;
  char name[ENERGY_NAME];
} energy_slot;

typedef struct energy_function {           /* shared by what `with` makes */
  int refs;
  neap_energy_fn fn;
  void *ud;
  void (*free_ud) (neap_context *c, void *ud);
} energy_function;

struct energy_tail;                        /* tail.h */

typedef struct energy_class {
  const char *name;
  int min_parts, max_parts;                /* max < 0: any number */
  int numbers;                             /* how many of num it uses */
  /* Slots, parts, numbers fit?  Sets event and derived.  Every maker and the loader pass here. */
  bool (*check) (neap_context *c, neap_energy *E);
  neap_tensor *(*eval) (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond);   /* -> [B] */
  neap_tensor *(*sample) (neap_context *c, neap_energy *E, int64_t n, neap_rng *rng, neap_dtype d);   /* or NULL */
  neap_tensor *(*log_z) (neap_context *c, neap_energy *E);                                     /* or NULL */
  bool (*tail) (neap_context *c, neap_energy *E, struct energy_tail *t);                       /* or NULL: not known */
} energy_class;

struct neap_energy {
  int refs;
  uint64_t serial;                         /* its number in the context */
  bool warned;                             /* that it cannot be normalised */
  neap_context *ctx;                       /* a counted reference */
  const energy_class *cls;
  int ndim; int64_t event[NEAP_MAX_DIMS];  /* ndim -1: not known */
  bool any_event;                          /* event is what to use when nothing says otherwise */
  int wants;                               /* a condition: 1, 0, -1 may */
  int depth;
  int nslots; energy_slot *slots;
  int nparts; neap_energy **parts;
  double num[ENERGY_NUMBERS];
  int64_t choice;                          /* an activation, the size of a condition */
  neap_tensor *derived[ENERGY_DERIVED];    /* made from constant slots: float64, or indices */
  neap_tensor *colours; int ncolours;      /* of a lattice, once they were asked for: colour.c; counted */
  energy_function *function;
  char *title;                             /* a function's name, or NULL */
  int nparams; energy_slot *params;        /* borrowed from the slots */
  neap_tensor *mask, *mask_values;         /* of fix; counted */
};

/* ---- making: energy_new, energy_slot_add…, energy_finish (which releases E and returns NULL when it fails) ---- */
neap_energy *energy_new (neap_context *c, const energy_class *cls, int nslots, int nparts, neap_energy *const *parts);
/* Keeps t (NULL with a pending error passes) in slot i. */
void energy_set (neap_energy *E, int i, const char *name, neap_tensor *t);
void energy_set_event (neap_energy *E, int ndim, const int64_t *event);
neap_energy *energy_finish (neap_context *c, neap_energy *E);
/* The slot of that name; -1 when there is none. */
int energy_find (const neap_energy *E, const char *name);
const energy_class *energy_class_find (const char *name);
/* For check: E holds the coordinates of mask at values (both may be NULL); false with a pending error. */
bool energy_hold (neap_energy *E, neap_tensor *mask, neap_tensor *mask_values);

/* All slots (or only variable ones) of E and its parts: *list of *n, each tensor once under a unique name; free with
** neap_free(c, *list, *n * sizeof). */
bool energy_collect (neap_context *c, const neap_energy *E, bool all, energy_slot **list, int *n);

void energy_function_release (neap_context *c, energy_function *f);   /* NULL is ignored */

/* No function of the host in E or its parts: what it computes depends on its tensors alone. */
bool energy_is_fixed (const neap_energy *E);

/* How many numbers an event has, if E knows it. */
int64_t energy_event_numel (const neap_energy *E);
/* E itself, or its first part's first part …: what its x is. */
static inline const neap_energy *energy_innermost (const neap_energy *E) {
  while (E->nparts) E = E->parts[0];
  return E;
}

/* What an energy is called in messages. */
const char *energy_title (const neap_energy *E);

/* ---- for eval ---- */
/* Slot i as a class uses it: a parameter as it is, a constant in like's dtype. */
neap_tensor *energy_get (neap_context *c, neap_energy *E, int i, const neap_tensor *like);
/* Derived tensor i in like's dtype, NULL when E has none (then make it from the slots, which may be variables). */
neap_tensor *energy_get_derived (neap_context *c, neap_energy *E, int i, const neap_tensor *like);
/* Neither a variable nor computed from one: may be checked, and what follows from it made, once. */
static inline bool energy_is_constant (const energy_slot *s) { return !s->variable && s->value->level == 0; }
/* The first n slots are constants. */
bool energy_constant (const neap_energy *E, int n);
/* Keeps t as derived tensor i; false with a pending error. */
bool energy_derive (neap_energy *E, int i, neap_tensor *t);

/* Part i's energies; the condition only if it may take one. */
neap_tensor *energy_part (neap_context *c, neap_energy *E, int i, neap_tensor *x, neap_tensor *cond);

/* ---- classes ---- */
extern const energy_class
  energy_function_class, energy_mlp_class, energy_rbm_class, energy_gaussian_class, energy_gmm_class,
  energy_mixture_class, energy_any_class, energy_double_well_class, energy_funnel_class, energy_banana_class,
  energy_rosenbrock_class, energy_rastrigin_class, energy_ackley_class, energy_ring_class, energy_sum_class,
  energy_scale_class, energy_divide_class, energy_offset_class, energy_translate_class, energy_given_class,
  energy_fix_class, energy_ising_class, energy_potts_class, energy_hopfield_class, energy_gaussian_rbm_class,
  energy_residual_mlp_class, energy_conv_class, energy_noise_class, energy_classifier_class, energy_flow_class,
  energy_conv_classifier_class, energy_of_class_class;

/* value, with a zero gradient by each tracked parameter of E that it does not depend on. */
neap_tensor *energy_anchor (neap_context *c, neap_energy *E, neap_tensor *value);

/* E:logits(x) is there.  A function's energy is a classifier when its choice is 1. */
bool energy_is_classifier (const neap_energy *E);
neap_tensor *energy_logits (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond);      /* [B, K] */
/* f [B, K], k int64 [B] -> f_k [B] */
neap_tensor *energy_logit_of (neap_context *c, neap_tensor *f, neap_tensor *k);
neap_tensor *energy_classify (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond);    /* eval */
/* What the function of E, made from one, gives. */
neap_tensor *energy_call (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond);

/* E is an RBM, a Gaussian one too, whose log Z is too large for a tape. */
bool energy_rbm_is_large (const neap_energy *E);

/* ---- short names for what formulas use ---- */
/* v as a 0-d tensor of like's dtype. */
static inline neap_tensor *num (neap_context *c, const neap_tensor *like, double v) {
  return like ? neap_scalar(c, like->dtype, v) : NULL;
}
/* Every element is a finite number; false, too, when an error is pending. */
bool energy_all_finite (neap_context *c, neap_tensor *x);
neap_tensor *energy_cast (neap_context *c, neap_tensor *x, neap_dtype d);
neap_tensor *energy_sum_last (neap_context *c, neap_tensor *x);           /* [.., D] -> [..] */
neap_tensor *energy_column (neap_context *c, neap_tensor *x, int64_t i);  /* [B, D] -> [B] */
neap_tensor *energy_columns (neap_context *c, neap_tensor *x, int64_t first, int64_t last);
neap_tensor *energy_sum_all (neap_context *c, neap_tensor *x);
neap_tensor *energy_diagonal (neap_context *c, neap_tensor *x);           /* [.., D, D] -> [.., D] */
neap_tensor *energy_transpose (neap_context *c, neap_tensor *x);          /* last two dimensions */
neap_tensor *energy_reshape (neap_context *c, neap_tensor *x, int n, const int64_t *shape);
neap_tensor *energy_logsumexp_last (neap_context *c, neap_tensor *x);     /* [B, K] -> [B] */
/* 1 at place i of 1 … D in every row, else 0, in x's shape [B, event…] of D elements a row */
neap_tensor *energy_unit (neap_context *c, const neap_tensor *x, int64_t D, int64_t i);
/* labels x [B, event…] of E's units 1 … q as [B, event…, q], in the dtype of E's parameters, if it has any, else x's
** where that is a float's */
neap_tensor *energy_one_hot_of (neap_context *c, const neap_energy *E, neap_tensor *x);
neap_tensor *energy_signs (neap_context *c, const neap_tensor *x, neap_rng *rng);       /* ±1, evenly, in x's shape */

#endif
