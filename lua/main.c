/*
** main.c -- the neap program: Lua 5.4's command line with neap as a global.
** Invariant: everything that may raise runs inside the one protected call of main, so a failure is always a message and an
** exit code, and the state is always closed.
*/
#include "blas.h"
#include "program.h"
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* arg: the script at 0, its arguments after it, the program and its options before it. */
static void create_arg_table (lua_State *L, char **argv, int argc, int script) {
  if (script == argc) script = 0;
  int after = argc - (script + 1);
  lua_createtable(L, after > 0 ? after : 0, script + 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}

/* LUA_INIT_5_4, or else LUA_INIT: code, or @ and a file. */
static int run_init (lua_State *L) {
  const char *chunk = "=LUA_INIT_5_4", *init = getenv(chunk + 1);
  if (init == NULL) init = getenv((chunk = "=LUA_INIT") + 1);
  if (init == NULL) return LUA_OK;
  return init[0] == '@' ? run_file(L, init + 1) : run_string(L, init, chunk);
}

/* Pushes the script's arguments, as the table arg has them now. */
static int push_args (lua_State *L) {
  if (lua_getglobal(L, "arg") != LUA_TTABLE) luaL_error(L, "'arg' is not a table");
  int n = (int)luaL_len(L, -1);
  luaL_checkstack(L, n + 3, "too many arguments to script");
  for (int i = 1; i <= n; i++) lua_rawgeti(L, -i, i);
  lua_remove(L, -(n + 1));
  return n;
}

/* "-" is stdin, unless it came after "--". */
static int run_script (lua_State *L, char **argv, int script) {
  const char *path = argv[script];
  if (strcmp(path, "-") == 0 && strcmp(argv[script - 1], "--") != 0) path = NULL;
  int status = luaL_loadfile(L, path);
  if (status == LUA_OK) status = protected_call(L, push_args(L), LUA_MULTRET);
  return report_status(L, status);
}

static bool prepare (lua_State *L, int argc, char **argv, const options *o) {
  luaL_checkversion(L);
  if (o->ignore_env) {
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  }
  luaL_openlibs(L);
  create_arg_table(L, argv, argc, o->script);
  lua_gc(L, LUA_GCGEN, 0, 0);
  library_open(L, o);
  return o->ignore_env || run_init(L) == LUA_OK;
}

static void run_stdin (lua_State *L) {
  if (!isatty(STDIN_FILENO)) {
    run_file(L, NULL);
    return;
  }
  library_version();
  repl_run(L);
}

static bool run (lua_State *L, int argc, char **argv, const options *o) {
  if (o->show_version) library_version();
  if (!prepare(L, argc, argv, o)) return false;
  if (!options_run(L, argv, o->script)) return false;
  if (o->script < argc && run_script(L, argv, o->script) != LUA_OK) return false;
  if (o->interactive) repl_run(L);
  else if (o->script == argc && !o->execute && !o->show_version) run_stdin(L);
  return true;
}

/* argc, argv -> whether all went well */
static int program (lua_State *L) {
  int argc = (int)lua_tointeger(L, 1);
  char **argv = lua_touserdata(L, 2);
  options o;
  bool ok = options_read(argc, argv, &o);
  if (!ok) options_complain(argv[o.script]);
  else if (o.only_help) options_help();
  else if (o.only_version) library_version();
  else ok = run(L, argc, argv, &o);
  lua_pushboolean(L, ok);
  return 1;
}

int main (int argc, char **argv) {
  neap_blas_stop_workers();
  if (argc > 0 && argv[0][0]) report_name(argv[0]);
  lua_State *L = luaL_newstate();
  if (L == NULL) {
    report_message("cannot create state: not enough memory");
    return EXIT_FAILURE;
  }
  lua_pushcfunction(L, program);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  int status = lua_pcall(L, 2, 1, 0);
  bool ok = status == LUA_OK && lua_toboolean(L, -1);
  report_status(L, status);
  lua_close(L);
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
