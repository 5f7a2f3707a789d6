/*
** ising.c -- spins ±1 with bonds between neighbours: −β Σ s s' − Σ h s (Ising 1925).
** Slots: as lattice.h has them; a spin may be any number, so there are derivatives by it.
*/
#include "lattice.h"
#include "tail.h"
#include "states.h"

/* x [B, event…] -> [B] */
static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  (void)cond;
  int i = energy_find(E, "field");
  neap_tensor *sum = lattice_bonds(c, E, x, neap_mul);
  if (i >= 0) sum = neap_add(c, sum, rows_sum(c, neap_mul(c, x, energy_get(c, E, i, x))));
  return sum ? neap_neg(c, sum) : NULL;
}

/* what the field adds to an up spin beside a down one, row by row; the field of all spins in *total */
static bool read_field (neap_context *c, const neap_tensor *field, const strip *s, bool across, double *h,
                        double *total) {
  int64_t n = s->width * s->length;
  double *given = h + n;
  if (!neap_read(c, field, NEAP_FLOAT64, given)) return false;
  for (int64_t r = 0; r < s->length; r++)
    for (int64_t k = 0; k < s->width; k++) {
      double v = given[field->ndim == 0 ? 0 : across ? r * s->width + k : k * s->length + r];
      h[r * s->width + k] = 2 * v;
      *total += v;
    }
  return true;
}

/* 2β for equal neighbours, and −β for every bond */
static neap_tensor *strip_sum (neap_context *c, neap_energy *E, strip *s, double beta, bool across) {
  const neap_tensor *field = lattice_find(E, "field");
  size_t bytes = field ? (size_t)(2 * s->width * s->length) * sizeof(double) : 0;
  double *h = field ? neap_malloc(c, bytes) : NULL, z = 0, total = 0;
  s->bond = 2 * beta;
  s->field = h;
  bool ok = (!field || (h && read_field(c, field, s, across, h, &total))) && strip_log_z(c, s, &z);
  if (h) neap_free(c, h, bytes);
  return ok ? neap_scalar(c, NEAP_FLOAT64, z - beta * (double)lattice_bond_count(E) - total) : NULL;
}

static neap_tensor *log_z (neap_context *c, neap_energy *E) {
  strip s;
  double beta;
  bool across;
  if (!energy_wants_ops(c, E) && lattice_strip(c, E, 2, &s, &beta, &across))
    return strip_sum(c, E, &s, beta, across);
  return energy_sum_states(c, E);
}

const energy_class energy_ising_class = { "ising", 0, 0, 1, lattice_check, eval, NULL, log_z, tail_finite };

neap_energy *neap_energy_ising (neap_context *c, const neap_lattice *lattice, neap_tensor *beta, neap_tensor *field) {
  return lattice_new(c, &energy_ising_class, lattice, beta, field, 0);
}
