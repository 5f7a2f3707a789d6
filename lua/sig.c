/*
** sig.c -- reads the signatures of ops.def: "x y?", "xs*", "min:n?", "{approximate:s(none|tanh)=none}".
** Invariant: the descriptor, its options and the text its names point into are one userdata.
*/
#include "sig.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 24 };

typedef struct reader {
  char *at;                                             /* rest of the text; names are cut out of it */
  bool braces;
  int nf, ni;
} reader;

int bind_choice (const char *choices, const char *name, size_t length) {
  for (int k = 0; ; k++) {
    size_t n = strcspn(choices, "|)");
    if (n == length && memcmp(choices, name, n) == 0) return k;
    if (choices[n] != '|') return -1;
    choices += n + 1;
  }
}

/* cuts the next word off; NULL at the end */
static char *next_word (reader *r) {
  r->at += strspn(r->at, " ,");
  if (*r->at == '{') { r->braces = true; r->at++; return next_word(r); }
  if (*r->at == '\0' || *r->at == '}') return NULL;
  char *word = r->at;
  r->at += strcspn(r->at, " ,}");
  if (*r->at) *r->at++ = '\0';
  return word;
}

static double parse_default (const bind_param *p, const char *text) {
  if (p->type == 's') return bind_choice(p->choices, text, strlen(text));
  if (strcmp(text, "true") == 0) return 1;
  if (strcmp(text, "false") == 0) return 0;
  return strtod(text, NULL);
}

/* ":s(none|tanh)=none" after the name */
static void parse_type (bind_param *p, char *rest) {
  p->type = *rest++;
  if (*rest == '(') {
    p->choices = rest + 1;
    rest = strchr(rest, ')') + 1;
  }
  bool whole = p->type != 'n';
  p->otherwise = *rest == '=' ? parse_default(p, rest + 1) : whole ? (double)NEAP_NONE : NAN;
  if (*rest == '=') p->optional = true;
}

static void assign_slot (reader *r, bind_param *p, int *tensors) {
  if (strchr("TLt", p->type)) p->slot = (*tensors)++;
  else if (p->type == 'n') p->slot = r->nf++;
  else if (strchr("ibds", p->type)) p->slot = r->ni++;
}

static void parse_word (reader *r, char *word, bind_param *p, int *tensors) {
  *p = (bind_param){ .name = word, .type = r->braces ? 't' : 'T', .option = r->braces, .optional = r->braces };
  size_t n = strlen(word);
  if (word[n - 1] == '?') { p->optional = true; word[--n] = '\0'; }
  if (word[n - 1] == '*') { p->type = 'L'; word[--n] = '\0'; }
  char *colon = strchr(word, ':');
  if (colon) { *colon = '\0'; parse_type(p, colon + 1); }
  word[strcspn(word, "=")] = '\0';
  assign_slot(r, p, tensors);
}

static void count_kinds (bind_op *d) {
  for (int i = 0; i < d->nparams; i++) {
    const bind_param *p = &d->params[i];
    d->npositional += !p->option;
    d->list |= p->type == 'L';
    d->attrs |= !strchr("TLt", p->type);
    if (p->option) d->options[i - d->npositional] = p->name;
  }
}

bind_op *bind_parse (lua_State *L, int index) {
  bind_state *S = bind_state_of(L);
  const char *sig = neap_ops[index].sig;
  size_t length = strlen(sig) + 1, params = MOST * sizeof(bind_param), options = (MOST + 1) * sizeof(char *);
  size_t words = 1;
  for (const char *s = sig; *s; s++) words += *s == ' ' || *s == ',';
  if (words < MOST) { params = words * sizeof(bind_param); options = (words + 1) * sizeof(char *); }
  bind_op *d = lua_newuserdatauv(L, sizeof *d + params + options + length, 0);
  memset(d, 0, sizeof *d + params + options);
  d->S = S; d->op = &neap_ops[index]; d->index = index;
  d->options = (const char **)((char *)d->params + params);
  reader r = { .at = memcpy((char *)d->options + options, sig, length) };
  for (char *w; d->nparams < MOST && (w = next_word(&r)); ) parse_word(&r, w, &d->params[d->nparams++], &d->ntensors);
  count_kinds(d);
  bool pair = d->nparams == 2 && d->ntensors == 2 && !strpbrk(d->op->inputs, "bi");
  d->arithmetic = pair && d->op->kind == KIND_ELEMENTWISE;
  return d;
}
