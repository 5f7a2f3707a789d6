/*
** compile.c -- programs of Lua functions: the primitives that stdlib/neap/compile.lua builds its forms on.
** Invariant: a userdata holds one reference; the recorded function is called with fresh boxes, and what it gives is
** lent by the scope of the recording.  A compiled function's Lua function is found by `functions`, whose values are
** weak: its userdata holds on to it, and `taped` does while a tape may still call it.
*/
#include "callback.h"
#include "core.h"
#include "program/compiled.h"
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

int callback_reason (lua_State *L, bind_state *S, const capture *w) {
  if (neap_status_of(S->c) != NEAP_OK) return bind_raise(L, S);
  lua_pushnil(L);
  if (!w->reason[0]) return 1;
  lua_pushstring(L, w->reason);
  lua_pushstring(L, w->place.line);
  return 3;
}

/* _program.capture(f, {tensors}) -> program; nil, reason, line when f cannot be recorded */
static int capture_function (lua_State *L) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  luaL_checkany(L, 1);
  callback k = { L, 1, callback_list(L, 2, in) };
  bind_state *S = bind_state_of(L);
  program_box *b = lua_newuserdatauv(L, sizeof *b, 0);
  b->p = NULL;
  luaL_setmetatable(L, program_name);
  capture w = { .fn = callback_run, .arg = &k };
  neap_scope s = neap_scope_open(S->c);
  b->p = neap_program_capture(S->c, &w, k.n, in);
  neap_scope_close(S->c, s);
  return b->p ? 1 : callback_reason(L, S, &w);
}

/* ---- running ---- */

/* program:run({tensors}) -> {tensors} */
static int run (lua_State *L) {
  program_box *b = check_program(L, 1);
  neap_tensor *in[NEAP_PROGRAM_TENSORS], *out[NEAP_PROGRAM_TENSORS];
  int n = callback_list(L, 2, in);
  bind_state *S = bind_state_of(L);
  neap_scope s = neap_scope_open(S->c);
  if (neap_run(S->c, b->p, n, in, out)) callback_push(L, S, neap_program_outputs(b->p), out);
  bind_close(L, s);
  bind_tell(L, S);
  return 1;
}

/* program:fits({tensors}): may they be its inputs? */
static int fits (lua_State *L) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  program_box *b = check_program(L, 1);
  int n = callback_list(L, 2, in);
  lua_pushboolean(L, neap_program_fits(b->p, n, in));
  return 1;
}

static int push_text (lua_State *L, neap_program *p) {
  size_t n = neap_program_text(p, NULL, 0);
  luaL_Buffer buf;
  char *text = luaL_buffinitsize(L, &buf, n + 1);
  neap_program_text(p, text, n + 1);
  luaL_pushresultsize(&buf, n);
  return 1;
}

static int text (lua_State *L) { return push_text(L, check_program(L, 1)->p); }

/* _program.ran(f, ...): calls f(...); the sampler's or loss's program that ran last in it, as text; nil: none did */
static int ran (lua_State *L) {
  neap_context *c = bind_context(L);
  uint64_t before = c->programs_run;
  lua_call(L, lua_gettop(L) - 1, 0);
  neap_program *p = neap_program_since(c, before);
  if (p) return push_text(L, p);
  lua_pushnil(L);
  return 1;
}

static int collect (lua_State *L) {
  program_box *b = check_program(L, 1);
  neap_program_release(b->p);
  b->p = NULL;
  return 0;
}

/* ---- compiled functions ---- */

static const char compiled_name[] = "neap.compiled", functions = 'f', taped = 't';   /* tables of the registry */

typedef struct compiled_box { compiled *k; } compiled_box;

typedef struct lua_host { lua_State *main; int inputs; bool held; } lua_host;

/* the table `which` at arg; nothing here needs memory where it is there already */
static void push_entry (lua_State *L, const char *which, const void *arg) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, which);
  lua_rawgetp(L, -1, arg);
  lua_remove(L, -2);
}

/* pops a value; a new one may raise */
static void set_entry (lua_State *L, const char *which, const void *arg) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, which);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, arg);
  lua_pop(L, 1);
}

static bool call_compiled (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out) {
  lua_State *L = bind_running(c);
  lua_host *h = arg;
  if (!lua_checkstack(L, 8)) return neap_fail(c, NEAP_EMEMORY, "not enough memory: Lua's stack");
  push_entry(L, &functions, h);
  callback k = { L, lua_gettop(L), h->inputs };
  bool ok = callback_run(c, &k, in, nout, out);
  lua_pop(L, 1);
  return ok;
}

static void hold (lua_State *L, lua_host *h) {
  if (h->held) return;
  push_entry(L, &functions, h);
  set_entry(L, &taped, h);
  h->held = true;
}

/* also from a finaliser, when L of the last call may be gone */
static void let_go (neap_context *c, void *arg) {
  lua_host *h = arg;
  if (!h->held || c->closed || !lua_checkstack(h->main, 4)) return;
  lua_pushnil(h->main);
  set_entry(h->main, &taped, h);
  h->held = false;
}

static void release_host (neap_context *c, void *arg) {
  let_go(c, arg);
  neap_free(c, arg, sizeof(lua_host));
}

static lua_host *new_host (lua_State *L, bind_state *S, int inputs) {
  lua_host *h = neap_calloc(S->c, sizeof *h);
  if (!h) return NULL;
  h->inputs = inputs;
  h->main = bind_mainthread(L);
  return h;
}

/* _program.compile(f, n): f takes n tensors and gives tensors */
static int compile (lua_State *L) {
  luaL_checkany(L, 1);
  int n = (int)luaL_checkinteger(L, 2);
  bind_state *S = bind_state_of(L);
  compiled_box *b = lua_newuserdatauv(L, sizeof *b, 1);
  b->k = NULL;
  luaL_setmetatable(L, compiled_name);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_host *h = new_host(L, S, n);
  b->k = h ? neap_compiled_new(S->c, (compiled_host){ call_compiled, h, let_go, release_host }) : NULL;
  if (!b->k) return bind_raise(L, S);
  lua_pushvalue(L, 1);
  set_entry(L, &functions, h);
  return 1;
}

typedef struct tensor_list { int n; neap_tensor **t; } tensor_list;

static int push_tensors (lua_State *L) {
  const tensor_list *l = lua_touserdata(L, 1);
  bind_state *S = bind_state_of(L);
  lua_createtable(L, l->n, 0);
  for (int i = 0; i < l->n; i++) {
    bind_newbox(L, S)->t = neap_keep(l->t[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

bool callback_push (lua_State *L, bind_state *S, int n, neap_tensor **t) {
  tensor_list l = { n, t };
  lua_pushcfunction(L, push_tensors);
  lua_pushlightuserdata(L, &l);
  return lua_pcall(L, 1, 1, 0) == LUA_OK || bind_failed(L, S);
}

static bool call_once (lua_State *L, bind_state *S, compiled *k, int n, neap_tensor **in, capture *w) {
  neap_tensor *out[NEAP_PROGRAM_TENSORS];
  int m;
  return neap_compiled_call(k, n, in, &m, out, w) && callback_push(L, S, m, out);
}

/* compiled:call({tensors}) -> {tensors}; nil when f must be called, with reason and line when it cannot be recorded */
static int call_box (lua_State *L) {
  neap_tensor *in[NEAP_PROGRAM_TENSORS];
  compiled_box *b = luaL_checkudata(L, 1, compiled_name);
  int n = callback_list(L, 2, in), tries = 0;
  bind_state *S = bind_state_of(L);
  lua_host *h = b->k->host.arg;
  capture w;
  luaL_argcheck(L, n == h->inputs, 2, "other number of tensors expected");
  lua_settop(L, 2);
  luaL_checkstack(L, 8, NULL);
  hold(L, h);
  bool ok;
  neap_scope s;
  do {
    s = neap_scope_open(S->c);
    ok = call_once(L, S, b->k, n, in, &w);
  } while (!ok && bind_again(L, S, s, &tries));
  neap_scope_close(S->c, s);
  if (b->k->taped == 0) let_go(S->c, h);
  if (!ok) return callback_reason(L, S, &w);
  bind_tell(L, S);
  return 1;
}

static int collect_compiled (lua_State *L) {
  compiled_box *b = lua_touserdata(L, 1);
  neap_compiled_release(b->k);
  b->k = NULL;
  return 0;
}

/* ---- questions ---- */

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
  { "run", run }, { "fits", fits }, { "text", text }, { "__gc", collect }, { NULL, NULL }
};
static const luaL_Reg compiled_methods[] = { { "call", call_box }, { "__gc", collect_compiled }, { NULL, NULL } };
static const luaL_Reg module[] = {
  { "capture", capture_function }, { "ran", ran }, { "compile", compile }, { "tracked", tracked },
  { "recording", recording }, { "warn", warning }, { NULL, NULL }
};

static void new_class (lua_State *L, const char *name, const luaL_Reg *list) {
  luaL_newmetatable(L, name);
  luaL_setfuncs(L, list, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

static void new_table (lua_State *L, const char *which, bool weak) {
  lua_newtable(L);
  if (weak) {
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, which);
}

void open_compile (lua_State *L) {
  new_class(L, program_name, methods);
  new_class(L, compiled_name, compiled_methods);
  new_table(L, &functions, true);
  new_table(L, &taped, false);
  luaL_newlib(L, module);
  open_value(L);
  open_steps(L);
  lua_setfield(L, -2, "_program");
}
