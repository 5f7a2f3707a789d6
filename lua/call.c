/*
** call.c -- calling Lua from the runtime.
** Invariant: whatever a callback does (raise, leave scopes open, switch derivatives off), the runtime finds its
** scopes and modes as they were; a yield inside is an error, because a C frame stands below.
*/
#include "state.h"
#include "core.h"
#include <string.h>

/* the message stays readable for C, the value itself is raised again by bind_raise */
bool bind_failed (lua_State *L, bind_state *S) {
  const char *text = lua_tostring(L, -1);
  neap_fail(S->c, NEAP_ECALLBACK, "%s", text ? text : "error object is not a string");
  bind_keeperror(L);
  return false;
}

/* ---- tracebacks: the registry's table {message, traceback} of the last error in a callback ---- */

static const char trace_key = 'b';
enum { MESSAGE = 1, TRACE = 2 };

void neap_lua_keep_tracebacks (lua_State *L) {
  lua_createtable(L, 2, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &trace_key);
}

/* the handler of callbacks: the message stays what it is */
static int note (lua_State *L) {
  if (lua_type(L, 1) == LUA_TSTRING && lua_rawgetp(L, LUA_REGISTRYINDEX, &trace_key) == LUA_TTABLE &&
      !neap_lua_kept_traceback(L, 1)) {
    luaL_traceback(L, L, NULL, 1);
    lua_rawseti(L, 2, TRACE);
    lua_pushvalue(L, 1);
    lua_rawseti(L, 2, MESSAGE);
  }
  lua_settop(L, 1);
  return 1;
}

/* the kept one goes on where this one begins, after its heading: the same error, seen from further out */
static bool continues (const char *kept, const char *trace) {
  trace += strcspn(trace, "\n");
  size_t n = strlen(kept), m = strlen(trace);
  return n >= m && strcmp(kept + n - m, trace) == 0;
}

bool neap_lua_kept_traceback (lua_State *L, int i) {
  int top = lua_gettop(L);
  bool same = false;
  i = lua_absindex(L, i);
  if (lua_type(L, i) == LUA_TSTRING && lua_rawgetp(L, LUA_REGISTRYINDEX, &trace_key) == LUA_TTABLE) {
    lua_rawgeti(L, top + 1, TRACE);
    lua_rawgeti(L, top + 1, MESSAGE);
    same = lua_rawequal(L, i, top + 3);
    if (same) luaL_traceback(L, L, NULL, 1);            /* which is slow */
    same = same && continues(lua_tostring(L, top + 2), lua_tostring(L, top + 4));
  }
  if (same) lua_copy(L, top + 2, top + 1);
  lua_settop(L, top + same);
  return same;
}

bool bind_call (lua_State *L, int nargs, int nresults) {
  bind_state *S = bind_state_of(L);
  neap_context *c = S->c;
  neap_mode mode = neap_no_grad(c);
  neap_mode_restore(c, mode);                           /* only to know it */
  neap_scope s = neap_scope_open(c);
  int handler = lua_gettop(L) - nargs;
  lua_pushcfunction(L, note);
  lua_insert(L, handler);
  int status = lua_pcall(L, nargs, nresults, handler);
  lua_remove(L, handler);
  S->running = L;
  neap_scope_close(c, s);
  neap_mode_restore(c, mode);
  return status == LUA_OK || bind_failed(L, S);
}

/* the context's log argument is its bind_state, see state.c */
lua_State *bind_running (neap_context *c) { return ((bind_state *)c->log_arg)->running; }
