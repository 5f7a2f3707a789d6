/*
** host.c -- a C program with a Lua state of its own that opens neap in it.
**
**   cc host.c -o host $(pkg-config --cflags --libs neap-lua lua5.4) && ./host
**
** luaopen_neap_core gives the module's core; package.path must lead to neap.lua and the files beside it.  The script
** below trains nothing and needs no file: it asks for a few draws, makes a mistake, and goes on.
*/
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

int luaopen_neap_core (lua_State *L);

static const char script[] =
  "local neap = require 'neap'\n"
  "neap.seed(1)\n"
  "local E = neap.energy.gaussian{mean = {1, -1}, std = {1, 2}}\n"
  "local draws = neap.sampler.hmc{step_size = 0.5, leapfrog_steps = 5}:sample(E, {chains = 100, steps = 200, warmup = 50})\n"
  "local flat = draws:reshape(-1, 2)\n"
  "print(('mean %.2f %.2f  std %.2f %.2f'):format(flat:mean(1)[1]:item(), flat:mean(1)[2]:item(),\n"
  "  flat:std(1)[1]:item(), flat:std(1)[2]:item()))\n"
  "local ok, message = pcall(E, neap.randn(5, 3))\n"
  "print(ok, message)\n";

/* the core where require looks first, so that no core.so need be found */
static void preload (lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_neap_core);
  lua_setfield(L, -2, "neap.core");
  lua_pop(L, 1);
}

int main (void) {
  lua_State *L = luaL_newstate();
  if (!L) return EXIT_FAILURE;
  luaL_openlibs(L);
  preload(L);
  int status = luaL_dostring(L, script);
  if (status != LUA_OK) fprintf(stderr, "host: %s\n", lua_tostring(L, -1));
  lua_close(L);
  return status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
