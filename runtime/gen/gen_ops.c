/*
** gen_ops.c -- a build tool: writes what follows from the op table's signatures.
** usage: gen_ops DIR  ->  DIR/neap_ops.h (prototypes), DIR/ops_gen.c (constructors),
** DIR/neap_rules.h and neap_rules_end.h (the ops' bare names, for derivative rules).
*/
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { const char *name, *sig, *doc; } row;

#define EW1(name, sig, inputs, value, dx, doc, cases) { #name, sig, doc },
#define EW2(name, sig, inputs, value, dx, dy, doc, cases) { #name, sig, doc },
#define EW3(name, sig, inputs, value, dx, dy, dz, doc, cases) { #name, sig, doc },
#define TEST1(name, sig, inputs, value, doc, cases) { #name, sig, doc },
#define TEST2 TEST1
#define STEP1 TEST1
#define STEP2 TEST1
#define LINEAR(name, sig, inputs, transpose, doc, cases) { #name, sig, doc },
#define VIEW LINEAR
#define BILINEAR(name, sig, inputs, t0, t1, doc, cases) { #name, sig, doc },
#define GENERAL(name, sig, inputs, doc, cases) { #name, sig, doc },
#define ZERO GENERAL
#define COMPOSITE(name, sig, doc, cases) { #name, sig, doc },
static const row rows[] = {
#include "ops.def"
};
enum { NROWS = sizeof rows / sizeof *rows };

/* one argument of a signature: type T (tensor), L (list of tensors) or a letter of ops.def; otherwise: what stands for
** one that is not given, where the constructor fills it in */
typedef struct { char name[32], type, otherwise[16]; } arg;

static int parse (const char *sig, arg *out) {
  int n = 0;
  while (*sig) {
    while (*sig == ' ' || *sig == '{' || *sig == '}') sig++;
    if (!*sig) break;
    arg *a = &out[n++];
    size_t len = strcspn(sig, " :?*{}=");
    snprintf(a->name, sizeof a->name, "%.*s", (int)len, sig);
    sig += len;
    a->type = *sig == '*' ? 'L' : *sig == ':' ? sig[1] : 'T';
    bool has = a->type == 'p' && sig[2] == '=';
    snprintf(a->otherwise, sizeof a->otherwise, "%.*s", has ? (int)strcspn(sig + 3, " }") : 9, has ? sig + 3 : "NEAP_NONE");
    while (*sig && *sig != ' ' && *sig != '}') sig++;
  }
  return n;
}

static void parameters (FILE *f, const arg *args, int n) {
  fprintf(f, "neap_context *c");
  for (int i = 0; i < n; i++) {
    const char *s = args[i].name;
    switch (args[i].type) {
      case 'T': case 't': fprintf(f, ", neap_tensor *%s", s); break;
      case 'L': fprintf(f, ", int n%s, neap_tensor *const *%s", s, s); break;
      case 'n': fprintf(f, ", double %s", s); break;
      case 'b': fprintf(f, ", bool %s", s); break;
      case 's': fprintf(f, ", int %s", s); break;
      case 'e': fprintf(f, ", const char *%s", s); break;
      case 'D': case 'S': fprintf(f, ", int n%s, const int64_t *%s", s, s); break;
      case 'p': fprintf(f, ", const int64_t *%s", s); break;
      default: fprintf(f, ", int64_t %s", s); break;
    }
  }
}

static void prototype (FILE *f, const row *r) {
  arg args[16];
  int n = parse(r->sig, args);
  fprintf(f, "/* %s   [%s] */\nNEAP_API neap_tensor *neap_%s (", r->doc, r->sig, r->name);
  parameters(f, args, n);
  fprintf(f, ");\n");
}

static void fill_attr (FILE *f, const arg *a, int *nf, int *ni) {
  const char *s = a->name;
  switch (a->type) {
    case 'T': case 't': case 'L': break;
    case 'n': fprintf(f, "  attrs.f[%d] = %s;\n", (*nf)++, s); break;
    case 'e': fprintf(f, "  attrs.text = %s;\n", s); break;
    case 'D': case 'S': fprintf(f, "  if (!neap_attr_list(c, \"%s\", &attrs, n%s, %s)) return NULL;\n", s, s, s); break;
    case 'p':
      fprintf(f, "  if (!neap_attr_list(c, \"%s\", &attrs, 2, %s ? %s : (int64_t[]){ %s, %s })) return NULL;\n", s, s, s,
              a->otherwise, a->otherwise);
      break;
    default: fprintf(f, "  attrs.i[%d] = %s;\n", (*ni)++, s); break;
  }
}

static void call (FILE *f, const row *r, const arg *args, int n, bool attrs) {
  const char *a = attrs ? "&attrs" : "NULL";
  int tensors = 0;
  for (int i = 0; i < n; i++) {
    if (args[i].type == 'L') {
      const char *s = args[i].name;
      fprintf(f, "  return neap_apply(c, NEAP_OP_%s, (neap_tensor **)%s, n%s, %s);\n", r->name, s, s, a);
      return;
    }
    if (args[i].type == 'T' || args[i].type == 't')
      fprintf(f, tensors++ ? ", %s" : "  neap_tensor *in[] = { %s", args[i].name);
  }
  fprintf(f, " };\n  return neap_apply(c, NEAP_OP_%s, in, %d, %s);\n", r->name, tensors, a);
}

static void constructor (FILE *f, const row *r) {
  arg args[16];
  int n = parse(r->sig, args), nf = 0, ni = 0;
  bool attrs = false;
  for (int i = 0; i < n; i++) attrs |= !strchr("TtL", args[i].type);
  fprintf(f, "neap_tensor *neap_%s (", r->name);
  parameters(f, args, n);
  fprintf(f, ") {\n");
  if (attrs) fprintf(f, "  neap_attrs attrs;\n  neap_attrs_clear(&attrs);\n");
  for (int i = 0; i < n; i++) fill_attr(f, &args[i], &nf, &ni);
  call(f, r, args, n, attrs);
  fprintf(f, "}\n\n");
}

static FILE *create (const char *dir, const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE *f = fopen(path, "w");
  if (!f) { perror(path); exit(1); }
  return f;
}

static void header (const char *dir) {
  FILE *f = create(dir, "neap_ops.h");
  fprintf(f, "/* neap_ops.h -- every op of the table as a function.  Made by gen_ops from ops.def: do not edit.\n"
             "** Results are lent by the innermost scope; NULL with an error in the context on failure.  NEAP_NONE and\n"
             "** NAN stand for an integer or number that is not given, NULL for a tensor or a pair {height, width}, a negative\n"
             "** count for a list. */\n"
             "#ifndef NEAP_OPS_H\n#define NEAP_OPS_H\n#ifndef NEAP_OPS_HEADER\n#include \"neap.h\"\n#endif\n\n");
  for (int i = 0; i < NROWS; i++) prototype(f, &rows[i]);
  fprintf(f, "\nenum {\n");
  for (int i = 0; i < NROWS; i++) fprintf(f, "  NEAP_OP_%s,\n", rows[i].name);
  fprintf(f, "  NEAP_OP_COUNT\n};\n\n#endif\n");
  fclose(f);
}

static void source (const char *dir) {
  FILE *f = create(dir, "ops_gen.c");
  fprintf(f, "/* ops_gen.c -- the constructors of neap_ops.h.  Made by gen_ops from ops.def: do not edit. */\n"
             "#include \"op.h\"\n\n");
  for (int i = 0; i < NROWS; i++) constructor(f, &rows[i]);
  fclose(f);
}

static void rules (const char *dir) {
  FILE *f = create(dir, "neap_rules.h"), *e = create(dir, "neap_rules_end.h");
  for (int i = 0; i < NROWS; i++) {
    const char *s = rows[i].name;
    fprintf(f, "#undef %s\n#define %s(...) neap_%s(c, __VA_ARGS__)\n", s, s, s);    /* isnan is a macro of math.h */
    fprintf(e, "#undef %s\n", s);
  }
  fclose(f);
  fclose(e);
}

int main (int argc, char **argv) {
  if (argc != 2) { fprintf(stderr, "usage: gen_ops DIR\n"); return 2; }
  header(argv[1]);
  source(argv[1]);
  rules(argv[1]);
  return 0;
}
