/*
** show.c -- plain tables that print as what they hold: shapes, and records of names and values.
** Invariant: such a table is an ordinary one to pairs, ipairs, # and the table library; one metatable serves all of
** a kind.
*/
#include "show.h"
#include <string.h>

#define SHAPE "neap.shape"
#define RECORD "neap.record"

/* ---- shapes ---- */

void bind_pushsizes (lua_State *L, int n, const int64_t *sizes) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    lua_pushinteger(L, (lua_Integer)sizes[i]);
    lua_rawseti(L, -2, i + 1);
  }
  luaL_setmetatable(L, SHAPE);
}

static int shape_tostring (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addchar(&b, '[');
  for (lua_Integer i = 1; i <= n; i++) {
    if (i > 1) luaL_addstring(&b, ", ");
    lua_rawgeti(L, 1, i);
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    luaL_addvalue(&b);
  }
  luaL_addchar(&b, ']');
  luaL_pushresult(&b);
  return 1;
}

static int shape_eq (lua_State *L) {
  bool same = lua_istable(L, 1) && lua_istable(L, 2) && lua_rawlen(L, 1) == lua_rawlen(L, 2);
  for (lua_Integer i = 1, n = same ? (lua_Integer)lua_rawlen(L, 1) : 0; same && i <= n; i++) {
    lua_rawgeti(L, 1, i);
    lua_rawgeti(L, 2, i);
    same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  lua_pushboolean(L, same);
  return 1;
}

/* ---- records ---- */

void bind_setrecord (lua_State *L) { luaL_setmetatable(L, RECORD); }

/* core._record(t) -> t */
static int record (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  bind_setrecord(L);
  return 1;
}

/* the name in the table at 1 that follows last in order, NULL after the last one; the table keeps it alive */
static const char *name_after (lua_State *L, const char *last) {
  const char *best = NULL;
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    if (name && (!last || strcmp(name, last) > 0) && (!best || strcmp(name, best) < 0)) best = name;
  }
  return best;
}

static size_t longest_name (lua_State *L) {
  size_t longest = 0;
  for (const char *name = NULL; (name = name_after(L, name)); )
    if (strlen(name) > longest) longest = strlen(name);
  return longest;
}

static void add_spaces (luaL_Buffer *b, size_t n) { while (n-- > 0) luaL_addchar(b, ' '); }

static int record_tostring (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  size_t width = longest_name(L);
  const char *name = name_after(L, NULL);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  while (name) {
    luaL_addstring(&b, name);
    add_spaces(&b, width + 2 - strlen(name));
    lua_getfield(L, 1, name);
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    luaL_addvalue(&b);
    if ((name = name_after(L, name))) luaL_addchar(&b, '\n');
  }
  luaL_pushresult(&b);
  return 1;
}

/* ---- opening ---- */

/* without the __name that errors would call these tables by */
static void make (lua_State *L, const char *name, const luaL_Reg *functions) {
  luaL_newmetatable(L, name);
  luaL_setfuncs(L, functions, 0);
  lua_pushnil(L);
  lua_setfield(L, -2, "__name");
  lua_pop(L, 1);
}

void open_show (lua_State *L) {
  static const luaL_Reg shape[] = { { "__tostring", shape_tostring }, { "__eq", shape_eq }, { NULL, NULL } };
  static const luaL_Reg records[] = { { "__tostring", record_tostring }, { NULL, NULL } };
  make(L, SHAPE, shape);
  make(L, RECORD, records);
  lua_pushcfunction(L, record);
  lua_setfield(L, -2, "_record");
}
