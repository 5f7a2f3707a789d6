/*
** call.c -- calling Lua from the runtime.
** Invariant: whatever a callback does (raise, leave scopes open, switch derivatives off), the runtime finds its
** scopes and modes as they were; a yield inside is an error, because a C frame stands below.
*/
#include "state.h"
#include "core.h"

/* the message stays readable for C, the value itself is raised again by bind_raise */
bool bind_failed (lua_State *L, bind_state *S) {
  const char *text = lua_tostring(L, -1);
  neap_fail(S->c, NEAP_ECALLBACK, "%s", text ? text : "error object is not a string");
  bind_keeperror(L);
  return false;
}

bool bind_call (lua_State *L, int nargs, int nresults) {
  bind_state *S = bind_state_of(L);
  neap_context *c = S->c;
  neap_mode mode = neap_no_grad(c);
  neap_mode_restore(c, mode);                           /* only to know it */
  neap_scope s = neap_scope_open(c);
  int status = lua_pcall(L, nargs, nresults, 0);
  S->running = L;
  neap_scope_close(c, s);
  neap_mode_restore(c, mode);
  return status == LUA_OK || bind_failed(L, S);
}

/* the context's log argument is its bind_state, see state.c */
lua_State *bind_running (neap_context *c) { return ((bind_state *)c->log_arg)->running; }
