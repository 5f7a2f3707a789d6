/*
** value.c -- Lua losses as programs: _program.tracer(), on which neap.train builds.
** Invariant: a tracer stands for one loss of one training; its function is recorded again at every call, so nothing
** that it reads goes stale.
*/
#include "callback.h"
#include "program/value.h"

static const char tracer_name[] = "neap.tracer";

typedef struct tracer { uint64_t serial; neap_context *c; } tracer;

/* _program.tracer() */
static int new_tracer (lua_State *L) {
  neap_context *c = bind_context(L);
  tracer *t = lua_newuserdatauv(L, sizeof *t, 0);
  *t = (tracer){ ++c->serial, c };
  c->refs++;                                            /* it may be collected after the context was closed */
  luaL_setmetatable(L, tracer_name);
  return 1;
}

static int collect (lua_State *L) {
  tracer *t = luaL_checkudata(L, 1, tracer_name);
  neap_program_forget(t->c, t->serial);
  neap_context_release(t->c);
  return 0;
}

/* ---- once more, op by op ---- */

/* {f, tensors} in the registry */
typedef struct again { int ref; } again;

static neap_tensor *eval_again (neap_context *c, void *arg) {
  lua_State *L = bind_running(c);
  neap_tensor *in[NEAP_PROGRAM_TENSORS], *out[NEAP_PROGRAM_TENSORS];
  int top = lua_gettop(L), nout = 0;
  if (!lua_checkstack(L, 8)) return neap_fail(c, NEAP_EMEMORY, "not enough memory: Lua's stack");
  lua_rawgeti(L, LUA_REGISTRYINDEX, ((again *)arg)->ref);
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  callback k = { L, top + 2, callback_list(L, top + 3, in) };
  bool ok = callback_run(c, &k, in, &nout, out) && nout > 0;
  lua_settop(L, top);
  return ok ? out[0] : NULL;
}

static void release_again (neap_context *c, void *arg) {
  again *a = arg;
  if (!c->closed) luaL_unref(bind_running(c), LUA_REGISTRYINDEX, a->ref);
  neap_free(c, a, sizeof *a);
}

/* f at 2, tensors at 3 */
static bool keep_again (lua_State *L, neap_context *c, value_again *out) {
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, 3);
  lua_rawseti(L, -2, 2);
  int ref = luaL_ref(L, LUA_REGISTRYINDEX);
  again *a = neap_malloc(c, sizeof *a);
  if (!a) { luaL_unref(L, LUA_REGISTRYINDEX, ref); return false; }
  a->ref = ref;
  *out = (value_again){ eval_again, release_again, a };
  return true;
}

/* ---- running ---- */

static bool tracked (neap_context *c, int n, neap_tensor *const *in) {
  for (int i = 0; i < n; i++) if (neap_tracked(c, in[i])) return true;
  return c->trace != NULL;
}

static int64_t rows_of (int n, neap_tensor *const *in, bool *by_rows) {
  int64_t rows = n > 0 && in[0]->ndim > 0 ? in[0]->shape[0] : 0;
  for (int i = 0; i < n; i++) by_rows[i] = rows > 0 && in[i]->ndim > 0 && in[i]->shape[0] == rows;
  return rows;
}

enum { RESULTS = NEAP_PROGRAM_TENSORS / 2 };           /* the value and what is told with it */

/* into the table on top, which has room for them */
static bool fill_results (lua_State *L, int n, neap_tensor **out) {
  for (int i = 0; i < n; i++) {
    if (!bind_push(L, out[i])) return false;
    lua_rawseti(L, -2, i + 1);
  }
  return true;
}

static int give_reason (lua_State *L, const capture *w) {
  lua_pushnil(L);
  bool placed = w->place.line[0];
  lua_pushfstring(L, "%s%s%s", placed ? w->place.line : "", placed ? ": " : "", w->reason);
  lua_pushboolean(L, w->blame);
  return 3;
}

/* tracer(f, {tensors}) -> {value, what else f gives}, the value with its derivatives; or nil, why not, whether that is
** f's doing */
static int run (lua_State *L) {
  tracer *t = luaL_checkudata(L, 1, tracer_name);
  neap_tensor *in[NEAP_PROGRAM_TENSORS], *out[NEAP_PROGRAM_TENSORS];
  bool by_rows[NEAP_PROGRAM_TENSORS];
  callback f = { L, 2, callback_list(L, 3, in) };
  bind_state *S = bind_state_of(L);
  int nout = 0;
  value_call k = { .w = { .fn = callback_run, .arg = &f, .n = f.n, .in = in, .by_rows = by_rows },
                   .most = RESULTS };
  k.w.rows = rows_of(f.n, in, by_rows);
  k.w.origin = (program_origin){ 0, t->serial, 0 };
  if (k.w.rows == 0 || tracked(S->c, f.n, in)) return give_reason(L, &k.w);
  lua_createtable(L, RESULTS, 0);
  bool ok = keep_again(L, S->c, &k.again);
  neap_scope s = neap_scope_open(S->c);
  ok = ok && neap_program_value(S->c, &k, &nout, out) && fill_results(L, nout, out);
  bind_close(L, s);
  bind_tell(L, S);
  return ok ? 1 : give_reason(L, &k.w);
}

void open_value (lua_State *L) {
  static const luaL_Reg methods[] = { { "__call", run }, { "__gc", collect }, { NULL, NULL } };
  luaL_newmetatable(L, tracer_name);
  luaL_setfuncs(L, methods, 0);
  lua_pop(L, 1);
  lua_pushcfunction(L, new_tracer);
  lua_setfield(L, -2, "tracer");
}
