/*
** where.c -- the line that an error names.
** Invariant: it is the user's: functions in C and chunks of neap's own library are passed over, however deep the
** fault was found.  The library's chunks are known by the path of stdlib/neap.lua, which tells it when it is loaded.
*/
#include "state.h"
#undef luaL_argerror
#undef luaL_typeerror
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char home_key = 'h';

/* core._home(): called by neap.lua itself, whose source "@path/neap.lua" begins those of all parts */
static int home (lua_State *L) {
  lua_Debug ar;
  if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "S", &ar)) return 0;
  size_t n = strlen(ar.source), ending = strlen(".lua");
  if (n <= ending || strcmp(ar.source + n - ending, ".lua") != 0) return 0;
  lua_pushlstring(L, ar.source, n - ending);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &home_key);
  return 0;
}

static bool is_library (const char *source, const char *home, size_t n) {
  return home && strncmp(source, home, n) == 0 && (source[n] == '/' || strcmp(source + n, ".lua") == 0);
}

/* level: of the first function that may be meant */
static void push_where (lua_State *L, int level) {
  lua_Debug ar;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &home_key);
  const char *path = lua_tostring(L, -1);
  size_t n = path ? strlen(path) : 0;
  for (; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0 || is_library(ar.source, path, n)) continue;
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
    lua_remove(L, -2);
    return;
  }
  lua_pop(L, 1);
  lua_pushliteral(L, "");
}

/* the name under which ar's function was called */
static void name_call (lua_State *L, lua_Debug *ar, neap_place *p) {
  lua_getinfo(L, "n", ar);
  if (ar->name) snprintf(p->call, sizeof p->call, "%s", ar->name);
}

void bind_place (neap_context *c, neap_place *p) {
  lua_State *L = bind_running(c);
  lua_Debug ar, below;
  if (!lua_checkstack(L, 1)) return;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &home_key);
  const char *path = lua_tostring(L, -1);
  size_t n = path ? strlen(path) : 0;
  lua_pop(L, 1);                                        /* the registry holds on to it */
  for (int level = 0; lua_getstack(L, level, &ar); below = ar, level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0 || is_library(ar.source, path, n)) continue;
    snprintf(p->line, sizeof p->line, "%s:%d", ar.short_src, ar.currentline);
    if (level > 0) name_call(L, &below, p);
    return;
  }
}

const char *bind_typename (lua_State *L, int i) {
  const char *name = NULL;
  if (lua_type(L, i) != LUA_TUSERDATA) return lua_typename(L, lua_type(L, i));
  if (luaL_getmetafield(L, i, "__name") != LUA_TNIL) {   /* finds a string that is there: takes no memory */
    name = lua_tostring(L, -1);
    lua_pop(L, 1);                                      /* the metatable holds on to it */
  }
  return name ? name : "userdata";
}

int bind_error (lua_State *L, const char *format, ...) {
  va_list args;
  luaL_checkstack(L, 8, "error message");
  va_start(args, format);
  push_where(L, 1);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}

/* whether neap's own library called the running function */
static bool called_by_library (lua_State *L) {
  lua_Debug ar;
  if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "S", &ar)) return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &home_key);
  const char *path = lua_tostring(L, -1);
  bool yes = path && is_library(ar.source, path, strlen(path));
  lua_pop(L, 1);
  return yes;
}

int bind_argerror (lua_State *L, int arg, const char *message) {
  return called_by_library(L) ? bind_error(L, "%s", message) : luaL_argerror(L, arg, message);
}

int bind_typeerror (lua_State *L, int arg, const char *expected) {
  if (!called_by_library(L)) return luaL_typeerror(L, arg, expected);
  const char *got = luaL_getmetafield(L, arg, "__name") == LUA_TSTRING ? lua_tostring(L, -1) : luaL_typename(L, arg);
  return bind_error(L, "%s expected, got %s", expected, got);
}

/* core._error(message [, level]): Lua's error for the library; level 0 adds no line */
static int raise (lua_State *L) {
  lua_settop(L, 2);
  if (lua_type(L, 1) != LUA_TSTRING || (lua_isinteger(L, 2) && lua_tointeger(L, 2) == 0)) {
    lua_settop(L, 1);
    return lua_error(L);
  }
  push_where(L, 1);
  lua_pushvalue(L, 1);
  lua_concat(L, 2);
  return lua_error(L);
}

void open_where (lua_State *L) {
  static const luaL_Reg functions[] = { { "_home", home }, { "_error", raise }, { NULL, NULL } };
  luaL_setfuncs(L, functions, 0);
}
