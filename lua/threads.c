/*
** threads.c -- Ctrl-C that also reaches coroutines.
** Hooks belong to one Lua thread, so an interrupt must know which one runs.  Invariant: once made interruptible,
** running is the thread whose code executes, because resume, wrap and close note it on the way in and out.
*/
#include "state.h"
#include <lualib.h>

enum { EVERYTHING = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT };

/* ---- the hook ---- */

static bind_state **state_slot (lua_State *L) { return (bind_state **)lua_getextraspace(L); }

static void stop (lua_State *L, lua_Debug *ar) {
  (void)ar;
  bind_state *S = bind_state_of(L);
  bind_unhook(L, S);
  if (neap_status_of(S->c) == NEAP_OK && !neap_poll(S->c)) neap_clear_error(S->c);   /* one interrupt, one error */
  luaL_error(L, "interrupted!");
}

static void set_hook (bind_state *S, lua_State *L) {
  S->hooked = L;
  lua_sethook(L, stop, EVERYTHING, 1);
}

void bind_unhook (lua_State *L, bind_state *S) {
  (void)L;
  lua_State *hooked = S->hooked;
  S->hooked = NULL;
  if (hooked && lua_gethook(hooked) == stop) lua_sethook(hooked, NULL, 0, 0);
}

void neap_lua_interrupt (lua_State *L) {
  bind_state *S = *state_slot(L);
  if (!S || !S->c) return;
  neap_interrupt(S->c);
  set_hook(S, S->running);
}

/* ---- coroutines ---- */

/* the thread ended or yielded before the hook could fire: it fires in the one that resumed it */
static void back_in (lua_State *L, bind_state *S, lua_State *co) {
  S->running = L;
  if (S->hooked != co) return;
  bind_unhook(L, S);
  set_hook(S, L);
}

static int complain (lua_State *L, const char *what) {
  lua_pushstring(L, what);
  return -1;
}

/* Moves narg values into co and runs it.  Number of results, or -1 with the error on top. */
static int run (lua_State *L, lua_State *co, int narg) {
  bind_state *S = lua_touserdata(L, lua_upvalueindex(1));
  int n;
  if (!lua_checkstack(co, narg)) return complain(L, "too many arguments to resume");
  lua_xmove(L, co, narg);
  S->running = co;
  int status = lua_resume(co, L, narg, &n);
  back_in(L, S, co);
  if (status != LUA_OK && status != LUA_YIELD) n = 1;
  if (!lua_checkstack(L, n + 1)) {
    lua_pop(co, n);
    return complain(L, "too many results to resume");
  }
  lua_xmove(co, L, n);
  return status == LUA_OK || status == LUA_YIELD ? n : -1;
}

static int resume (lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  if (!co) return luaL_typeerror(L, 1, "thread");
  int n = run(L, co, lua_gettop(L) - 1);
  lua_pushboolean(L, n >= 0);
  lua_insert(L, n >= 0 ? -(n + 1) : -2);
  return n >= 0 ? n + 1 : 2;
}

/* upvalues: state, thread; a failed one is closed, and its message told where it was called */
static int call_wrapped (lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(2));
  int n = run(L, co, lua_gettop(L));
  if (n >= 0) return n;
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) {
    status = lua_resetthread(co);
    lua_xmove(co, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int wrap (lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, call_wrapped, 2);
  return 1;
}

/* upvalues: state, Lua's own close */
static int close_thread (lua_State *L) {
  bind_state *S = lua_touserdata(L, lua_upvalueindex(1));
  lua_State *co = lua_tothread(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  S->running = co ? co : L;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  back_in(L, S, co);
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

static void replace (lua_State *L, bind_state *S, const char *name, lua_CFunction f, bool keep) {
  lua_pushlightuserdata(L, S);
  if (keep) lua_getfield(L, -2, name);
  lua_pushcclosure(L, f, keep ? 2 : 1);
  lua_setfield(L, -2, name);
}

lua_State *bind_mainthread (lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main;
}

void neap_lua_interruptible (lua_State *L) {
  bind_state *S = bind_state_of(L);
  if (lua_getglobal(L, LUA_COLIBNAME) == LUA_TTABLE) {
    replace(L, S, "resume", resume, false);
    replace(L, S, "wrap", wrap, false);
    replace(L, S, "close", close_thread, true);
  }
  lua_pop(L, 1);
  *state_slot(bind_mainthread(L)) = S;
}

static int interrupt_hook (lua_State *L) {
  neap_lua_interruptible(L);
  return 0;
}

void open_threads (lua_State *L) {
  lua_pushcfunction(L, interrupt_hook);
  lua_setfield(L, -2, "interrupt_hook");
}
