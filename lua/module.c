/*
** module.c -- luaopen_neap_core: puts the parts together; what neap says about itself.
** Invariant: each part adds to the module table on top of the stack and leaves it there.
*/
#include "state.h"
#include "show.h"
#include "op.h"
#include "kernels/tile.h"
#include "clock.h"
#include "dnnl.h"

int openblas_get_parallel (void);
char *openblas_get_config (void);

/* ---- about ---- */

static const char *const kind_names[] = { "elementwise", "linear", "bilinear", "general", "zero", "composite" };

static void set_string (lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

/* core.ops(): the op table as data: {name, kind, sig, doc, cases, inputs} per row */
static int ops (lua_State *L) {
  lua_createtable(L, NEAP_OP_COUNT, 0);
  for (int i = 0; i < NEAP_OP_COUNT; i++) {
    const neap_op *op = &neap_ops[i];
    lua_createtable(L, 0, 6);
    set_string(L, "name", op->name);
    set_string(L, "kind", kind_names[op->kind]);
    set_string(L, "sig", op->sig);
    set_string(L, "doc", op->doc);
    set_string(L, "cases", op->cases);
    set_string(L, "inputs", op->inputs);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* monotonic seconds */
static int wall_clock (lua_State *L) {
  lua_pushnumber(L, clock_now());
  return 1;
}

static const char *blas_flavour (void) {
  switch (openblas_get_parallel()) {
    case 0: return "serial";
    case 1: return "pthread";
    default: return "openmp";
  }
}

static int info (lua_State *L) {
  neap_context *c = bind_context(L);
  const neap_dnnl *dnnl = neap_dnnl_of(c);
  if (!dnnl) return bind_raise(L, bind_state_of(L));
  lua_createtable(L, 0, 7);
  set_string(L, "version", NEAP_VERSION);
  set_string(L, "lua", LUA_RELEASE);
  set_string(L, "cpu", c->tiles->name);
  set_string(L, "blas", openblas_get_config());
  set_string(L, "blas_flavour", blas_flavour());
  set_string(L, "onednn", dnnl->about);
  lua_pushinteger(L, neap_threads(c));
  lua_setfield(L, -2, "threads");
  bind_setrecord(L);
  return 1;
}

static int threads (lua_State *L) {
  bind_state *S = bind_state_of(L);
  if (!lua_isnoneornil(L, 1)) {
    lua_Integer n = luaL_checkinteger(L, 1);
    luaL_argcheck(L, n >= 1 && n <= 4096, 1, "number of threads from 1 to 4096 expected");
    if (!neap_set_threads(S->c, (int)n)) return bind_raise(L, S);
  }
  lua_pushinteger(L, neap_threads(S->c));
  return 1;
}

static void set_count (lua_State *L, const char *name, uint64_t n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, name);
}

/* bytes of tensors and bookkeeping: live (cached ones included), peak, cached; allocations and programs made so far */
static int memory (lua_State *L) {
  neap_memory m = neap_memory_of(bind_context(L));
  lua_createtable(L, 0, 5);
  set_count(L, "live", m.live);
  set_count(L, "peak", m.peak);
  set_count(L, "cached", m.cached);
  set_count(L, "allocations", m.allocations);
  set_count(L, "programs", m.programs);
  bind_setrecord(L);
  return 1;
}

/* core.memory_cap(bytes): 0 = none */
static int memory_cap (lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0, 1, "bytes expected, 0 for no cap");
  neap_set_memory_cap(bind_context(L), (size_t)n);
  return 0;
}

static const luaL_Reg functions[] = {
  { "ops", ops }, { "clock", wall_clock }, { "info", info }, { "threads", threads }, { "set_threads", threads },
  { "memory", memory }, { "memory_cap", memory_cap }, { NULL, NULL }
};

/* ---- the module ---- */

void bind_openstate (lua_State *L);

static void open_models (lua_State *L) {
  open_energy(L);
  open_sampler(L);
  open_loss(L);
  open_files(L);
  open_optim(L);
}

int luaopen_neap_core (lua_State *L) {
  luaL_checkversion(L);
  bind_openstate(L);
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
  set_string(L, "version", NEAP_VERSION);
  open_show(L);
  open_ops(L);
  open_forms(L);
  open_create(L);
  open_tensor(L);
  open_grad(L);
  open_compile(L);
  open_random(L);
  open_threads(L);
  open_where(L);
  open_models(L);
  return 1;
}
