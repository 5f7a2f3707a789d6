/*
** options.c -- the command line: which options there are, and running those that carry code.
** Invariant: take_option is the one place that knows how options are spelt, so that reading (before the state is
** ready) and running (after) see the same sequence.
*/
#include "program.h"
#include <lauxlib.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { END = 0, BAD = '?', HELP = 'h', VERSION = 'V', THREADS = 't', SEED = 's' };   /* others: the letter itself */

typedef struct option { int kind, next; char *value; } option;

/* The value glued to an option, or the argument after it.  NULL when there is none. */
static char *take_value (char **argv, int i, char *glued, int *next) {
  *next = i + 1;
  if (*glued) return glued;
  if (argv[i + 1] == NULL || argv[i + 1][0] == '-') return NULL;
  *next = i + 2;
  return argv[i + 1];
}

/* "--name" or "--name=value" */
static bool is_long (const char *a, const char *name) {
  size_t len = strlen(name);
  return strncmp(a, name, len) == 0 && (a[len] == '\0' || a[len] == '=');
}

static option take_long (char **argv, int i) {
  static const struct { const char *name; int kind; } known[] =
    { { "--help", HELP }, { "--version", VERSION }, { "--threads", THREADS }, { "--seed", SEED } };
  option o = { BAD, i + 1, NULL };
  for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
    char *rest = argv[i] + strlen(known[k].name);
    if (!is_long(argv[i], known[k].name)) continue;
    bool valued = known[k].kind == THREADS || known[k].kind == SEED;
    if (*rest && !valued) return o;
    if (valued && !(o.value = take_value(argv, i, rest + (*rest == '='), &o.next))) return o;
    o.kind = known[k].kind;
  }
  return o;
}

/* The option at argv[i].  END: options stop, and o.next is where the script would be. */
static option take_option (char **argv, int i) {
  option o = { BAD, i + 1, NULL };
  char *a = argv[i];
  if (a == NULL || a[0] != '-' || a[1] == '\0') return (option){ END, i, NULL };
  if (a[1] == '-') return a[2] ? take_long(argv, i) : (option){ END, i + 1, NULL };
  if (strchr("EivW", a[1]) && a[2] == '\0') o.kind = a[1];
  else if ((a[1] == 'e' || a[1] == 'l') && (o.value = take_value(argv, i, a + 2, &o.next))) o.kind = a[1];
  return o;
}

static bool whole_number (const char *text, uint64_t low, uint64_t high, uint64_t *out) {
  char *end;
  errno = 0;
  *out = strtoull(text, &end, 0);
  return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *out >= low && *out <= high;
}

static bool note (options *o, const option *x) {
  uint64_t n;
  switch (x->kind) {
    case 'E': o->ignore_env = true; return true;
    case 'i': o->interactive = true;   /* -i shows the version too */  /* fall through */
    case 'v': o->show_version = true; return true;
    case 'e': o->execute = true; return true;
    case HELP: o->only_help = true; return true;
    case VERSION: o->only_version = true; return true;
    case THREADS: return whole_number(x->value, 1, 1024, &n) && (o->threads = (int)n, true);
    case SEED: return o->has_seed = whole_number(x->value, 0, UINT64_MAX, &o->seed);
    default: return x->kind != BAD;
  }
}

bool options_read (int argc, char **argv, options *o) {
  *o = (options){ 0 };
  for (int i = argc > 0; ; ) {
    option x = take_option(argv, i);
    o->script = i;
    if (x.kind == END) { o->script = x.next; return true; }
    if (!note(o, &x)) return false;
    i = x.next;
  }
}

static void print_usage (FILE *f, const char *name) {
  fprintf(f,
    "usage: %s [options] [script [args]]\n"
    "Available options are:\n"
    "  -e stat   execute string 'stat'\n"
    "  -i        enter interactive mode after executing 'script'\n"
    "  -l mod    require library 'mod' into global 'mod'\n"
    "  -l g=mod  require library 'mod' into global 'g'\n"
    "  -v        show version information\n"
    "  -E        ignore environment variables\n"
    "  -W        turn warnings on\n"
    "  --        stop handling options\n"
    "  -         stop handling options and execute stdin\n"
    "  --threads N   let neap use N threads\n"
    "  --seed N      start neap's random numbers from N, as neap.seed(N)\n"
    "  --version     show version information and leave\n"
    "  --help        show this text and leave\n", name);
  fflush(f);
}

void options_help (void) { print_usage(stdout, report_current_name()); }

void options_complain (const char *bad) {
  const char *name = report_current_name();
  if (is_long(bad, "--threads")) fprintf(stderr, "%s: '--threads' needs a number from 1 to 1024\n", name);
  else if (is_long(bad, "--seed")) fprintf(stderr, "%s: '--seed' needs a whole number\n", name);
  else if (bad[1] == 'e' || bad[1] == 'l') fprintf(stderr, "%s: '%s' needs argument\n", name, bad);
  else fprintf(stderr, "%s: unrecognized option '%s'\n", name, bad);
  print_usage(stderr, name);
}

bool options_run (lua_State *L, char **argv, int last) {
  for (int i = 1; i < last; ) {
    option x = take_option(argv, i);
    if (x.kind == END) break;
    if (x.kind == 'W') lua_warning(L, "@on", 0);
    if (x.kind == 'e' && run_string(L, x.value, "=(command line)") != LUA_OK) return false;
    if (x.kind == 'l' && run_library(L, x.value) != LUA_OK) return false;
    i = x.next;
  }
  return true;
}
