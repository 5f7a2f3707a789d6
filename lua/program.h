/*
** program.h -- what the parts of the neap program share.
** Invariant: the program behaves as Lua 5.4.4's lua does (options, environment, messages, exit codes); what is neap's own
** is opened before any user code runs.  The process has one Lua state and one place for its name, both in report.c.
*/
#ifndef NEAP_PROGRAM_H
#define NEAP_PROGRAM_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- options.c: the command line ---- */

typedef struct options {
  bool interactive, show_version, ignore_env, execute;    /* -i, -v, -E, -e */
  bool only_version, only_help;                            /* --version, --help: print and leave */
  int threads;                                             /* --threads; 0 = not given */
  bool has_seed; uint64_t seed;                            /* --seed */
  int script;                                              /* index of the script in argv; argc if there is none */
} options;

/* Reads argv.  False: argv[o->script] is wrong, and options_complain says how. */
bool options_read (int argc, char **argv, options *o);
void options_complain (const char *bad);
void options_help (void);
/* Runs what -e, -l and -W ask for, in order; false when one failed (reported). */
bool options_run (lua_State *L, char **argv, int last);

/* ---- report.c: calls, messages, interrupts ---- */

void report_name (const char *name);                       /* the prefix of messages; NULL = none */
const char *report_current_name (void);
void report_message (const char *text);
/* Reports the error on top of the stack unless status is LUA_OK; returns status. */
int report_status (lua_State *L, int status);
/* Calls with a traceback, and with Ctrl-C stopping what runs. */
int protected_call (lua_State *L, int nargs, int nresults);
int run_file (lua_State *L, const char *path);             /* NULL = stdin; reports */
int run_string (lua_State *L, const char *code, const char *chunk);
int run_library (lua_State *L, char *spec);                /* name, or global=name */

/* ---- library.c: neap itself ---- */

void library_version (void);
/* Opens neap and makes it a global; raises. */
void library_open (lua_State *L, const options *o);

/* ---- repl.c, readline.c: the prompt ---- */

void repl_run (lua_State *L);
void line_open (lua_State *L);
char *line_read (const char *prompt);                      /* malloc'd; NULL at the end of the input */
void line_save (const char *line);

#endif
