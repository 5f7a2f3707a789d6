/* A Lua state whose allocator, which tensors share, fails its n-th allocation, for n = 1, 2, 3 … until the script gets
** through: always a clean error, and every byte comes back.  NEAP_ALLOC_STEP=k tries each k-th only; so does a second
** script, of functions as programs, with k = 3. */
#include "support.h"
#include <string.h>
#include <unistd.h>
#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

int luaopen_neap_core (lua_State *L);

static int body (lua_State *L) {
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_neap_core);
  lua_setfield(L, -2, "neap.core");
  lua_getglobal(L, "package");
  lua_pushstring(L, "stdlib/?.lua");
  lua_setfield(L, -2, "path");

  lua_pushvalue(L, 1);
  lua_setglobal(L, "path");
  if (luaL_loadfile(L, lua_tostring(L, 2)) != LUA_OK) return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

/* 0: ran through; 1: a clean error for want of memory */
static int attempt (failing *f, const char *path, const char *script) {
  lua_State *L = lua_newstate(failing_alloc, f);
  if (!L) return 1;
  lua_pushcfunction(L, body);
  lua_pushstring(L, path);
  lua_pushstring(L, script);
  int status = lua_pcall(L, 2, 0, 0);
  const char *message = status == LUA_OK ? "" : lua_tostring(L, -1);
  if (status != LUA_OK && !(message && strstr(message, "not enough memory"))) fail_msg("another error: %s", message ? message : "(none)");
  lua_close(L);
  return status == LUA_OK ? 0 : 1;
}

typedef struct job { const char *script; long step; } job;

static void every_allocation_fails_once (void **state) {
  const job *j = *state;
  long step = failing_step(j->step), n = 1, failed = 0;
  char path[256];
  temporary_file(path, sizeof path, ".safetensors");
  for (;; n += step) {
    failing f = { n, 0 };
    int result = attempt(&f, path, j->script);
    if (f.bytes != 0) fail_msg("allocation %ld: %ld bytes did not come back", n, f.bytes);
    if (f.countdown > 0) { assert_int_equal(result, 0); break; }
    failed += result;
  }
  unlink(path);
  print_message("%ld of %ld allocations failed in turn, %ld scripts ended with an error\n", n / step, n, failed);
  assert_true(failed * step > 100);
}

int main (void) {
  job library = { "tests/lua/alloc_script.lua", 1 }, programs = { "tests/program/alloc_script.lua", 3 };
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_prestate(every_allocation_fails_once, &library),
    cmocka_unit_test_prestate(every_allocation_fails_once, &programs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
