/*
** readline.c -- line editing, history and completion by GNU Readline, opened at run time; plain lines where it is absent.
** Invariant: the library is not linked, so nothing of neap depends on it.  Completion reads tables and the tables their __index names, and
** never runs user code.
*/
#include "program.h"
#include <lauxlib.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *(*edit_line)(const char *prompt);         /* NULL: no Readline */
static void (*add_to_history)(const char *line);
static int *append;                                    /* what Readline adds after a sole match; it resets it */
static lua_State *completing;                          /* whose names complete */
static const char matches_key = 0;                     /* registry: the names that fit */

/* Replaces the value on top by a table that answers for its fields: itself, or its metatable's __index.  False if none. */
static bool to_fields (lua_State *L) {
  if (lua_istable(L, -1)) return true;
  if (luaL_getmetafield(L, -1, "__index") == LUA_TNIL) return false;
  lua_remove(L, -2);
  return lua_istable(L, -1);
}

/* Replaces the table on top by the one its lookups go to next. */
static bool to_next (lua_State *L) { return luaL_getmetafield(L, -1, "__index") != LUA_TNIL && (lua_remove(L, -2), lua_istable(L, -1)); }

/* Replaces the value on top by its field, read without metamethods. */
static bool to_field (lua_State *L, const char *name, size_t len) {
  for (bool more = to_fields(L); more; more = to_next(L)) {
    lua_pushlstring(L, name, len);
    lua_rawget(L, -2);
    if (!lua_isnil(L, -1)) {
      lua_remove(L, -2);
      return true;
    }
    lua_pop(L, 1);
  }
  return false;
}

/* Adds to the list at 2 those keys of the table on top that continue text's last name. */
static void add_keys (lua_State *L, const char *text, size_t stem) {
  const char *prefix = text + stem;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    const char *key = lua_tostring(L, -2);
    if (strncmp(key, prefix, strlen(prefix)) != 0 || (key[0] == '_' && prefix[0] != '_')) continue;
    lua_pushlstring(L, text, stem);
    lua_pushstring(L, key);
    lua_concat(L, 2);
    lua_rawseti(L, 2, (lua_Integer)lua_rawlen(L, 2) + 1);
  }
}

/* text -> list of continuations: "a.b:pre" walks a, then b, and lists what begins with pre. */
static int collect (lua_State *L) {
  const char *text = lua_tostring(L, 1);
  lua_newtable(L);
  lua_pushglobaltable(L);
  size_t stem = 0;
  for (size_t len; text[stem + (len = strcspn(text + stem, ".:"))]; stem += len + 1)
    if (!to_field(L, text + stem, len)) return lua_settop(L, 2), 1;
  int depth = 8;                                       /* __index may run in circles */
  for (bool more = to_fields(L); more && depth-- > 0; more = to_next(L)) add_keys(L, text, stem);
  lua_settop(L, 2);
  return 1;
}

/* Readline's generator: the first call (state 0) finds all, each call hands out one. */
static char *complete (const char *text, int state) {
  static lua_Integer next;
  lua_State *L = completing;
  *append = '\0';
  if (state == 0) {
    lua_pushcfunction(L, collect);
    lua_pushstring(L, text);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) return lua_pop(L, 1), NULL;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &matches_key);
    next = 1;
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &matches_key);
  lua_rawgeti(L, -1, next++);
  const char *match = lua_tostring(L, -1);
  char *copy = match ? strdup(match) : NULL;
  lua_pop(L, 2);
  return copy;
}

static void set_up_completion (void *lib) {
  char *(**entry)(const char *, int) = dlsym(lib, "rl_completion_entry_function");
  const char **breaks = dlsym(lib, "rl_basic_word_break_characters"), **name = dlsym(lib, "rl_readline_name");
  append = dlsym(lib, "rl_completion_append_character");
  if (!entry || !breaks || !name || !append) return;
  *entry = complete;
  *breaks = " \t\n\"\\'><=;|&{}()[],+-*/%^~#";
  *name = "neap";
}

void line_open (lua_State *L) {
  completing = L;
  void *lib = edit_line ? NULL : dlopen("libreadline.so.8", RTLD_NOW | RTLD_LOCAL);
  if (lib == NULL) return;
  *(void **)&edit_line = dlsym(lib, "readline");
  *(void **)&add_to_history = dlsym(lib, "add_history");
  set_up_completion(lib);
}

char *line_read (const char *prompt) {
  if (edit_line) return edit_line(prompt);
  char *line = NULL;
  size_t size = 0;
  fputs(prompt, stdout);
  fflush(stdout);
  if (getline(&line, &size, stdin) >= 0) return line;
  free(line);
  return NULL;
}

void line_save (const char *line) {
  if (add_to_history) add_to_history(line);
}
