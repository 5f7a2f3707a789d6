/*
** repl.c -- the prompt: read a chunk, run it, print its values.
** Invariant: the stack holds nothing of an earlier chunk when the next one is read; a line is first tried as an expression, and an input
** that ends too early asks for more.
*/
#include "program.h"
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pushes the prompt: _PROMPT or _PROMPT2 if set, whatever its type. */
static const char *push_prompt (lua_State *L, bool first) {
  if (lua_getglobal(L, first ? "_PROMPT" : "_PROMPT2") == LUA_TNIL) return lua_pushstring(L, first ? "> " : ">> ");
  return luaL_tolstring(L, -1, NULL);
}

/* Reads and pushes a line; false at the end of the input.  A first "=" stands for return. */
static bool push_line (lua_State *L, bool first) {
  int top = lua_gettop(L);
  char *line = line_read(push_prompt(L, first));
  lua_settop(L, top);
  if (line == NULL) return false;
  line[strcspn(line, "\n")] = '\0';
  if (first && line[0] == '=') lua_pushfstring(L, "return %s", line + 1);
  else lua_pushstring(L, line);
  free(line);
  return true;
}

static int load (lua_State *L, const char *text, size_t len) { return luaL_loadbuffer(L, text, len, "=stdin"); }

/* The line at 1 as an expression: leaves the chunk, or nothing if it is none. */
static bool load_expression (lua_State *L) {
  const char *line = lua_tostring(L, 1), *text = lua_pushfstring(L, "return %s", line);
  if (load(L, text, strlen(text)) != LUA_OK) {
    lua_settop(L, 1);
    return false;
  }
  lua_remove(L, -2);
  if (line[0] != '\0') line_save(line);
  return true;
}

/* Whether the syntax error on top is that the chunk stops too early. */
static bool is_incomplete (lua_State *L, int status) {
  static const char mark[] = "<eof>";
  size_t len, mark_len = sizeof mark - 1;
  if (status != LUA_ERRSYNTAX) return false;
  const char *text = lua_tolstring(L, -1, &len);
  if (len < mark_len || strcmp(text + len - mark_len, mark) != 0) return false;
  lua_pop(L, 1);
  return true;
}

/* The line at 1 as statements, with as many more lines as it takes. */
static int load_statements (lua_State *L) {
  for (;;) {
    size_t len;
    const char *text = lua_tolstring(L, 1, &len);
    int status = load(L, text, len);
    if (!is_incomplete(L, status)) {
      line_save(text);
      return status;
    }
    if (!push_line(L, false)) {                /* no more input: the error stands */
      line_save(text);
      return load(L, text, len);
    }
    lua_pushliteral(L, "\n");
    lua_insert(L, -2);
    lua_concat(L, 3);
  }
}

/* Leaves a chunk or an error message alone on the stack; -1 at the end of the input. */
static int load_chunk (lua_State *L) {
  lua_settop(L, 0);
  if (!push_line(L, true)) return -1;
  int status = load_expression(L) ? LUA_OK : load_statements(L);
  lua_remove(L, 1);
  return status;
}

static void print_values (lua_State *L) {
  int n = lua_gettop(L);
  if (n == 0) return;
  luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
  lua_getglobal(L, "print");
  lua_insert(L, 1);
  if (lua_pcall(L, n, 0, 0) != LUA_OK)
    report_message(lua_pushfstring(L, "error calling 'print' (%s)", lua_tostring(L, -1)));
}

void repl_run (lua_State *L) {
  const char *name = report_current_name();
  report_name(NULL);
  line_open(L);
  for (int status; (status = load_chunk(L)) != -1; ) {
    if (status == LUA_OK) status = protected_call(L, 0, LUA_MULTRET);
    if (status == LUA_OK) print_values(L);
    else report_status(L, status);
  }
  lua_settop(L, 0);
  putchar('\n');
  fflush(stdout);
  report_name(name);
}
