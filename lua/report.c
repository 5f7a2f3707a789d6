/*
** report.c -- calls with a traceback, messages, and Ctrl-C.
** Invariant: SIGINT is caught only while user code runs under protected_call; the first one asks it to stop, a second
** one finds the default action and ends the process.
*/
#include "bind.h"
#include "program.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char *name = "neap";            /* before messages; the program sets it from argv[0] */
static lua_State *volatile running;          /* what the signal handler stops */

void report_name (const char *n) { name = n; }
const char *report_current_name (void) { return name; }

void report_message (const char *text) {
  if (name) fprintf(stderr, "%s: ", name);
  fprintf(stderr, "%s\n", text);
  fflush(stderr);
}

int report_status (lua_State *L, int status) {
  if (status == LUA_OK) return status;
  const char *text = lua_tostring(L, -1);
  report_message(text ? text : "(error object is not a string)");
  lua_pop(L, 1);
  return status;
}

/* The message with a traceback; an object that describes itself stands alone. */
static int explain (lua_State *L) {
  const char *text = lua_tostring(L, 1);
  if (text == NULL) {
    if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) return 1;
    text = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  }
  if (!neap_lua_kept_traceback(L, 1)) luaL_traceback(L, L, text, 1);
  else lua_pushfstring(L, "%s\n%s", text, lua_tostring(L, -1));
  return 1;
}

static void on_interrupt (int sig, void (*action)(int)) {
  struct sigaction s = { .sa_handler = action };
  sigemptyset(&s.sa_mask);
  sigaction(sig, &s, NULL);
}

static void interrupted (int sig) {
  on_interrupt(sig, SIG_DFL);
  neap_lua_interrupt(running);
}

int protected_call (lua_State *L, int nargs, int nresults) {
  int base = lua_gettop(L) - nargs;
  lua_pushcfunction(L, explain);
  lua_insert(L, base);
  running = L;
  on_interrupt(SIGINT, interrupted);
  int status = lua_pcall(L, nargs, nresults, base);
  on_interrupt(SIGINT, SIG_DFL);
  lua_remove(L, base);
  return status;
}

static int run_chunk (lua_State *L, int status) {
  if (status == LUA_OK) status = protected_call(L, 0, 0);
  return report_status(L, status);
}

int run_file (lua_State *L, const char *path) { return run_chunk(L, luaL_loadfile(L, path)); }

int run_string (lua_State *L, const char *code, const char *chunk) {
  return run_chunk(L, luaL_loadbuffer(L, code, strlen(code), chunk));
}

int run_library (lua_State *L, char *spec) {
  char *module = strchr(spec, '=');
  if (module) *module++ = '\0';
  else module = spec;
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  int status = protected_call(L, 1, 1);
  if (status == LUA_OK) lua_setglobal(L, spec);
  return report_status(L, status);
}
