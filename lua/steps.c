/*
** steps.c -- Lua steps as loops: _program.steps(), on which neap.scan builds.
** Invariant: the step's function is called with fresh boxes while it is recorded, and never while its steps run.
*/
#include "callback.h"
#include "program/stepped.h"

static const char steps_name[] = "neap.steps";

typedef struct steps_box { stepped *s; } steps_box;

static steps_box *check_steps (lua_State *L) { return luaL_checkudata(L, 1, steps_name); }

/* _program.steps(f, {tensors}, carried) -> steps, whether following them pays; nil, reason, line when f cannot be
** recorded */
static int new_steps (lua_State *L) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  luaL_checkany(L, 1);
  callback k = { L, 1, callback_list(L, 2, in) };
  int carried = (int)luaL_checkinteger(L, 3);
  bind_state *S = bind_state_of(L);
  steps_box *b = lua_newuserdatauv(L, sizeof *b, 0);
  b->s = NULL;
  luaL_setmetatable(L, steps_name);
  capture w = { .fn = callback_run, .arg = &k, .own = true };
  neap_scope s = neap_scope_open(S->c);
  b->s = neap_stepped_new(S->c, &w, carried, k.n, in);
  neap_scope_close(S->c, s);
  if (!b->s) return callback_reason(L, S, &w);
  lua_pushboolean(L, neap_stepped_pays(b->s));
  return 2;
}

/* steps:follow(f, {tensors}): f is the next step; false: it is another one */
static int follow (lua_State *L) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  steps_box *b = check_steps(L);
  callback k = { L, 2, callback_list(L, 3, in) };
  bind_state *S = bind_state_of(L);
  capture w = { .fn = callback_run, .arg = &k, .own = true };
  neap_scope s = neap_scope_open(S->c);
  bool ok = neap_stepped_follow(b->s, &w, k.n, in);
  bind_close(L, s);
  bind_tell(L, S);
  lua_pushboolean(L, ok);
  return 1;
}

/* steps:run(n, {tensors}, {into}) -> what is carried after n steps */
static int run (lua_State *L) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS], *into[NEAP_PROGRAM_TENSORS], *out[NEAP_PROGRAM_TENSORS];
  steps_box *b = check_steps(L);
  lua_Integer steps = luaL_checkinteger(L, 2);
  int n = callback_list(L, 3, in);
  int outputs = callback_list(L, 4, into);
  luaL_argcheck(L, outputs == b->s->g->noutputs - b->s->carried, 4, "a tensor for each further output expected");
  bind_state *S = bind_state_of(L);
  neap_scope s = neap_scope_open(S->c);
  if (neap_stepped_run(b->s, steps, n, in, into, out)) callback_push(L, S, b->s->carried, out);
  bind_close(L, s);
  bind_tell(L, S);
  return 1;
}

static int collect (lua_State *L) {
  steps_box *b = check_steps(L);
  neap_stepped_free(b->s);
  b->s = NULL;
  return 0;
}

void open_steps (lua_State *L) {
  static const luaL_Reg methods[] = { { "follow", follow }, { "run", run }, { "__gc", collect }, { NULL, NULL } };
  luaL_newmetatable(L, steps_name);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushcfunction(L, new_steps);
  lua_setfield(L, -2, "steps");
}
