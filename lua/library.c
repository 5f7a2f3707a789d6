/*
** library.c -- opens neap in the program: the part in C is inside it, the part in Lua lies beside it.
** Invariant: package.path and package.cpath stay Lua's own.  neap's modules are found through a searcher of their own, relative to the
** executable: lua/ in a build tree, ../share/lua/5.4/ where it is installed; a folder of the tree can be moved.
*/
#include "bind.h"
#include "program.h"
#include <lualib.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void library_version (void) {
  printf("neap %s  %s\n", NEAP_VERSION, LUA_COPYRIGHT);
  fflush(stdout);
}

/* Pushes the folder of the executable; false when the system does not tell. */
static bool push_home (lua_State *L) {
  char path[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  if (n <= 0) return false;
  path[n] = '\0';
  char *slash = strrchr(path, '/');
  if (slash == NULL) return false;
  lua_pushlstring(L, path, (size_t)(slash - path));
  return true;
}

/* name.lua or name/init.lua under home/folder: pushes the path of the one that can be read. */
static bool find_module (lua_State *L, const char *home, const char *folder, const char *name) {
  static const char *const endings[] = { ".lua", "/init.lua" };
  for (int i = 0; i < 2; i++) {
    const char *path = lua_pushfstring(L, "%s/%s/%s%s", home, folder, name, endings[i]);
    if (access(path, R_OK) == 0) return true;
    lua_pop(L, 1);
  }
  return false;
}

/* A searcher: module name -> loader and its path, or nothing for a name that is not neap's. */
static int search (lua_State *L) {
  const char *module = luaL_checkstring(L, 1);
  if (strncmp(module, "neap", 4) != 0 || (module[4] != '\0' && module[4] != '.') || !push_home(L)) return 0;
  const char *home = lua_tostring(L, -1), *name = luaL_gsub(L, module, ".", "/");
  if (!find_module(L, home, "lua", name) && !find_module(L, home, "../share/lua/5.4", name)) return 0;
  const char *path = lua_tostring(L, -1);
  if (luaL_loadfile(L, path) != LUA_OK)
    return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", module, path, lua_tostring(L, -1));
  lua_pushvalue(L, -2);
  return 2;
}

/* Puts the searcher second, after package.preload. */
static void add_searcher (lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i >= 2; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, search);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 3);
}

static void configure (lua_State *L, const options *o) {
  neap_context *c = bind_context(L);
  if (o->threads && !neap_set_threads(c, o->threads)) luaL_error(L, "--threads: %s", neap_error(c));
  if (o->has_seed) neap_seed(c, o->seed);
}

void library_open (lua_State *L, const options *o) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_neap_core);
  lua_setfield(L, -2, "neap.core");
  lua_pop(L, 1);
  add_searcher(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "neap");
  lua_call(L, 1, 1);
  lua_setglobal(L, "neap");
  neap_lua_interruptible(L);
  neap_lua_keep_tracebacks(L);
  configure(L, o);
}
