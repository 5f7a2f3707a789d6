/*
** text.c -- an energy as a formula.
** Invariant: never writes past the buffer; what does not fit is cut.
*/
#include "network.h"
#include <stdarg.h>
#include <stdio.h>

typedef struct text { char *buf; size_t size, n; } text;

static void put (text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put (text *t, const char *fmt, ...) {
  va_list args;
  if (t->n + 1 >= t->size) return;
  va_start(args, fmt);
  int k = vsnprintf(t->buf + t->n, t->size - t->n, fmt, args);
  va_end(args);
  if (k > 0) t->n += (size_t)k;
}

static void write_energy (text *t, const neap_energy *E);

static void write_parts (text *t, const neap_energy *E, const char *open, const char *between, const char *close) {
  put(t, "%s", open);
  for (int i = 0; i < E->nparts; i++) {
    if (i) put(t, "%s", between);
    write_energy(t, E->parts[i]);
  }
  put(t, "%s", close);
}

/* the number in slot 0, if it is one that does not change */
static bool constant (const neap_energy *E, double *v) {
  const energy_slot *s = &E->slots[0];
  return energy_is_constant(s) && neap_numel(s->value) == 1 && neap_read(E->ctx, s->value, NEAP_FLOAT64, v);
}

static void write_number (text *t, const neap_energy *E) {
  double v;
  if (constant(E, &v)) put(t, "%g", v);
  else put(t, "%s", E->slots[0].name);
}

/* a factor: sums and constants in parentheses */
static void write_factor (text *t, const neap_energy *E) {
  bool loose = E->cls == &energy_sum_class || E->cls == &energy_offset_class;
  put(t, loose ? "(" : "");
  write_energy(t, E);
  put(t, loose ? ")" : "");
}

static void write_scale (text *t, const neap_energy *E, double sign) {
  double v;
  if (!constant(E, &v)) { write_number(t, E); put(t, " * "); }
  else if (v * sign == -1) put(t, "-");
  else if (v * sign != 1) put(t, "%g * ", v * sign);
  write_factor(t, E->parts[0]);
}

/* what is multiplied by a negative number is taken away */
static void write_sum (text *t, const neap_energy *E) {
  double v;
  for (int i = 0; i < E->nparts; i++) {
    const neap_energy *p = E->parts[i];
    if (i && p->cls == &energy_scale_class && constant(p, &v) && v < 0) { put(t, " - "); write_scale(t, p, -1); }
    else { put(t, i ? " + " : ""); write_energy(t, p); }
  }
}

static void write_sizes (text *t, const neap_energy *E) {
  const energy_class *k = E->cls;
  put(t, "%s(", k->name);
  for (int i = 0; i < E->nslots; i += 2) put(t, i ? ", %lld" : "%lld", (long long)E->slots[i].value->shape[1]);
  if (k == &energy_classifier_class) put(t, ", %lld", (long long)E->slots[E->nslots - 2].value->shape[0]);
  put(t, ")");
}

/* inputs, width, width inside each block */
static void write_blocks (text *t, const neap_energy *E) {
  put(t, "residual_mlp(%lld", (long long)E->slots[0].value->shape[1]);
  for (int i = 1; i + 1 < E->nslots / 2; i += i == 1 ? 1 : 2)
    put(t, ", %lld", (long long)E->slots[2 * i].value->shape[1]);
  put(t, ")");
}

/* images, then channels, kernel and stride of each convolution, then units of dense layers but for a head */
static void write_conv (text *t, const neap_energy *E) {
  int layers = network_convolutions(E);
  bool head = E->cls == &energy_conv_class;
  put(t, "%s(%lldx%lldx%lld", E->cls->name, (long long)E->event[0], (long long)E->event[1], (long long)E->event[2]);
  for (int i = 0; i < layers; i++) {
    const neap_tensor *w = E->slots[2 * i].value;
    put(t, ", %lld k%lld s%lld", (long long)w->shape[0], (long long)w->shape[2], (long long)network_stride(E, i));
  }
  for (int i = layers; i + head < E->nslots / 2; i++) put(t, ", %lld", (long long)E->slots[2 * i].value->shape[0]);
  put(t, ")");
}

/* a class's energy, or that of x and its class */
static void write_class (text *t, const neap_energy *E) {
  double v;
  bool one = E->cls == &energy_given_class;
  write_factor(t, one ? E->parts[0]->parts[0] : E->parts[0]);
  if (one && constant(E, &v)) put(t, ":class(%g)", v);
  else put(t, one ? ":class(...)" : ":class()");
}

static bool is_of_class (const neap_energy *E) {
  return E->cls == &energy_of_class_class || (E->cls == &energy_given_class && is_of_class(E->parts[0]));
}

static void write_energy (text *t, const neap_energy *E) {
  const energy_class *k = E->cls;
  if (k == &energy_sum_class) write_sum(t, E);
  else if (k == &energy_any_class) write_parts(t, E, "any{", ", ", "}");
  else if (k == &energy_mixture_class) write_parts(t, E, "mixture{", ", ", "}");
  else if (k == &energy_scale_class) write_scale(t, E, 1);
  else if (k == &energy_divide_class) { write_factor(t, E->parts[0]); put(t, " / "); write_number(t, E); }
  else if (k == &energy_offset_class) { write_energy(t, E->parts[0]); put(t, " + "); write_number(t, E); }
  else if (k == &energy_noise_class) write_parts(t, E, "noise_conditional(", "", ")");
  else if (is_of_class(E)) write_class(t, E);
  else if (E->nparts == 1) { write_factor(t, E->parts[0]); put(t, ":%s(...)", k->name); }
  else if (k == &energy_mlp_class || k == &energy_classifier_class) write_sizes(t, E);
  else if (k == &energy_residual_mlp_class) write_blocks(t, E);
  else if (k == &energy_conv_class || k == &energy_conv_classifier_class) write_conv(t, E);
  else if (k == &energy_rbm_class)
    put(t, "rbm(%lld, %lld)", (long long)E->slots[0].value->shape[0], (long long)E->slots[0].value->shape[1]);
  else put(t, "%s", energy_title(E));
}

char *neap_energy_text (const neap_energy *E, char *buf, size_t size) {
  text t = { .buf = buf, .size = size };
  if (size) buf[0] = 0;
  write_energy(&t, E);
  return buf;
}
