/*
** compile.c -- programs of Lua functions: the primitives that stdlib/neap/compile.lua builds its forms on.
** Invariant: a program's userdata holds one reference; the recorded function is called with fresh boxes, and what it
** gives is lent by the scope of the recording.
*/
#include "callback.h"
#include "core.h"
#include <string.h>

static const char program_name[] = "neap.program";

typedef struct program_box { neap_program *p; } program_box;

static program_box *check_program (lua_State *L, int i) { return luaL_checkudata(L, i, program_name); }

/* the tensors of the table at i; how many */
int callback_list (lua_State *L, int i, neap_tensor **list) {
  luaL_checktype(L, i, LUA_TTABLE);
  lua_Unsigned n = lua_rawlen(L, i);
  if (n > NEAP_PROGRAM_TENSORS)
    return luaL_error(L, "a program takes at most %d tensors, got %d", NEAP_PROGRAM_TENSORS, (int)n);
  for (int j = 0; j < (int)n; j++) {
    lua_rawgeti(L, i, j + 1);
    if (!(list[j] = bind_totensor(L, -1)))
      luaL_argerror(L, i, lua_pushfstring(L, "element %d: tensor expected, got %s", j + 1, luaL_typename(L, -1)));
    lua_pop(L, 1);                                      /* the table holds on to it */
  }
  return (int)n;
}

/* ---- recording ---- */

/* the results on the stack above top */
static bool take_results (neap_context *c, lua_State *L, int top, int *nout, neap_tensor **out) {
  *nout = lua_gettop(L) - top;
  if (*nout > NEAP_PROGRAM_TENSORS) return neap_fail(c, NEAP_EARG, "gives more than %d tensors", NEAP_PROGRAM_TENSORS);
  for (int i = 0; i < *nout; i++) {
    neap_tensor *t = bind_totensor(L, top + 1 + i);
    if (!t) return neap_fail(c, NEAP_EARG, "gives a %s, not a tensor", luaL_typename(L, top + 1 + i));
    if (!(out[i] = neap_lend(c, neap_keep(t)))) return false;
  }
  return true;
}

bool callback_run (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out) {
  callback *k = arg;
  lua_State *L = k->L;
  int top = lua_gettop(L);
  if (!lua_checkstack(L, k->n + 8)) return neap_fail(c, NEAP_EMEMORY, "not enough memory: Lua's stack");
  lua_pushvalue(L, k->f);
  bool ok = true;
  for (int i = 0; ok && i < k->n; i++) ok = bind_push(L, in[i]);
  ok = ok && bind_call(L, k->n, LUA_MULTRET) && take_results(c, L, top, nout, out);
  lua_settop(L, top);
  return ok;
}

/* _program.capture(f, {tensors}) -> program; nil, reason when f cannot be recorded */
static int capture (lua_State *L) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  luaL_checkany(L, 1);
  callback k = { L, 1, callback_list(L, 2, in) };
  bind_state *S = bind_state_of(L);
  program_box *b = lua_newuserdatauv(L, sizeof *b, 0);
  b->p = NULL;
  luaL_setmetatable(L, program_name);
  neap_scope s = neap_scope_open(S->c);
  b->p = neap_capture(S->c, callback_run, &k, k.n, in);
  neap_scope_close(S->c, s);
  if (b->p) return 1;
  if (neap_status_of(S->c) != NEAP_ESTATE) return bind_raise(L, S);
  lua_pushnil(L);
  lua_pushstring(L, neap_error(S->c));
  neap_clear_error(S->c);
  return 2;
}

/* ---- running ---- */

static int run_program (lua_State *L, program_box *b, int64_t steps) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS], *out[NEAP_PROGRAM_TENSORS];
  int n = callback_list(L, 2, in), m = neap_program_outputs(b->p);
  bind_state *S = bind_state_of(L);
  lua_createtable(L, m, 0);
  for (int i = 1; i <= m; i++) { bind_newbox(L, S); lua_rawseti(L, -2, i); }
  neap_scope s = neap_scope_open(S->c);
  bool ok = steps ? neap_scan(S->c, b->p, steps, n, in, out) : neap_run(S->c, b->p, n, in, out);
  for (int i = 0; ok && i < m; i++) {
    lua_rawgeti(L, -1, i + 1);
    bind_boxat(L, -1)->t = neap_keep(out[i]);
    lua_pop(L, 1);
  }
  bind_close(L, s);
  bind_tell(L, S);
  return 1;
}

/* program:run({tensors}) -> {tensors} */
static int run (lua_State *L) { return run_program(L, check_program(L, 1), 0); }

/* program:scan({tensors}, n) -> {tensors} after n steps */
static int scan (lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 3);
  luaL_argcheck(L, n >= 1, 3, "at least 1 step expected");
  return run_program(L, check_program(L, 1), n);
}

/* program:fits({tensors}): may they be its inputs? */
static int fits (lua_State *L) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  program_box *b = check_program(L, 1);
  int n = callback_list(L, 2, in);
  lua_pushboolean(L, neap_program_fits(b->p, n, in));
  return 1;
}

static int text (lua_State *L) {
  program_box *b = check_program(L, 1);
  size_t n = neap_program_text(b->p, NULL, 0);
  luaL_Buffer buf;
  char *p = luaL_buffinitsize(L, &buf, n + 1);
  neap_program_text(b->p, p, n + 1);
  luaL_pushresultsize(&buf, n);
  return 1;
}

static int collect (lua_State *L) {
  program_box *b = check_program(L, 1);
  neap_program_release(b->p);
  b->p = NULL;
  return 0;
}

/* _program.tracked(x): would what is computed from x be taped now? */
static int tracked (lua_State *L) {
  neap_tensor *t = bind_checktensor(L, 1);
  lua_pushboolean(L, neap_tracked(bind_context(L), t));
  return 1;
}

/* _program.recording(): is a function being recorded? */
static int recording (lua_State *L) {
  lua_pushboolean(L, bind_context(L)->trace != NULL);
  return 1;
}

/* _program.warn(text): to the log */
static int warning (lua_State *L) {
  neap_warn(bind_context(L), "%s", luaL_checkstring(L, 1));
  return 0;
}

static const luaL_Reg methods[] = {
  { "run", run }, { "scan", scan }, { "fits", fits }, { "text", text }, { "__gc", collect }, { NULL, NULL }
};
static const luaL_Reg functions[] = {
  { "capture", capture }, { "tracked", tracked }, { "recording", recording },
  { "warn", warning }, { NULL, NULL }
};

void open_compile (lua_State *L) {
  luaL_newmetatable(L, program_name);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  open_value(L);
  lua_setfield(L, -2, "_program");
}
