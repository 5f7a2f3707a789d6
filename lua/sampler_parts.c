/*
** sampler_parts.c -- makers of samplers that are given data, energies or other samplers: sgld, sghmc, blocks.
** Invariant: what a maker hands to the runtime is held by the stack until the sampler has its own references.
*/
#include "sampler.h"

/* ---- minibatches ---- */

/* option data of the table at 1, which stays on the stack */
static neap_tensor *need_data (lua_State *L, const char *fname) {
  bind_field(L, 1, "data");
  neap_tensor *t = bind_totensor(L, -1);
  if (!t) luaL_error(L, "%s: option 'data': a tensor [N, ...] expected, got %s", fname, luaL_typename(L, -1));
  return t;
}

/* option prior, which stays on the stack */
static neap_energy *prior (lua_State *L, const char *fname) {
  if (bind_field(L, 1, "prior") == LUA_TNIL) return NULL;
  neap_energy *E = bind_toenergy(L, -1);
  if (!E) luaL_error(L, "%s: option 'prior': an energy expected, got %s", fname, luaL_typename(L, -1));
  return E;
}

/* what both take; leaves values on the stack */
static neap_minibatch_config read_minibatches (lua_State *L, const char *f) {
  return (neap_minibatch_config){ .step_size = bind_neednumber(L, 1, f, "step_size"), .data = need_data(L, f),
                                  .batch = bind_optpositive(L, 1, f, "batch", 0), .prior = prior(L, f) };
}

static int make (lua_State *L, const neap_minibatch_config *cfg,
                 neap_sampler *(*f) (neap_context *c, const neap_minibatch_config *cfg)) {
  neap_context *c = bind_context(L);
  neap_sampler **box = bind_samplerbox(L);
  neap_scope sc = neap_scope_open(c);
  *box = f(c, cfg);
  bind_close(L, sc);
  return 1;
}

int sampler_make_sgld (lua_State *L) {
  static const char *const names[] = { "step_size", "data", "batch", "prior", "power", "delay", NULL };
  static const char *const f = "sampler.sgld";
  bind_options(L, 1, f, names);
  neap_minibatch_config cfg = read_minibatches(L, f);
  cfg.power = bind_optnumber(L, 1, f, "power", 0);
  cfg.delay = bind_optnumber(L, 1, f, "delay", 1);
  if (cfg.delay == 0) return luaL_error(L, "%s: option 'delay': a positive number expected, got 0", f);
  return make(L, &cfg, neap_sampler_sgld);
}

int sampler_make_sghmc (lua_State *L) {
  static const char *const names[] = { "step_size", "data", "batch", "prior", "friction", "noise", NULL };
  static const char *const f = "sampler.sghmc";
  bind_options(L, 1, f, names);
  neap_minibatch_config cfg = read_minibatches(L, f);
  cfg.friction = bind_optnumber(L, 1, f, "friction", 1);
  cfg.noise = bind_optnumber(L, 1, f, "noise", 0);
  if (cfg.friction == 0) return luaL_error(L, "%s: option 'friction': a positive number expected, got 0", f);
  return make(L, &cfg, neap_sampler_sghmc);
}

/* ---- blocks{{dims, sampler}, …} ---- */

/* the coordinates at i, a tensor or a table of integers, as an owned int64 [d]; inside a scope */
static neap_tensor *read_dims (lua_State *L, neap_context *c, int i) {
  neap_tensor *t = bind_totensor(L, i);
  if (t) return neap_keep(neap_clone(c, neap_cast(c, neap_reshape(c, t, 1, (int64_t[]){ -1 }), NEAP_INT64)));
  int64_t n = (int64_t)lua_rawlen(L, i);
  if (!(t = neap_keep(neap_full(c, NEAP_INT64, 1, &n, 0)))) return NULL;
  for (int64_t k = 0; k < n; k++) {
    lua_rawgeti(L, i, k + 1);
    ((int64_t *)neap_data(t))[k] = (int64_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
  return t;
}

/* raises unless the value at i is a tensor, or a table of integers */
static void check_dims (lua_State *L, int i, int k) {
  if (bind_totensor(L, i)) return;
  if (!lua_istable(L, i))
    luaL_error(L, "sampler.blocks: block %d: a table of coordinates expected, got %s", k, luaL_typename(L, i));
  for (lua_Integer j = 1; j <= (lua_Integer)lua_rawlen(L, i); j++) {
    lua_rawgeti(L, i, j);
    if (!lua_isinteger(L, -1))
      luaL_error(L, "sampler.blocks: block %d: coordinate %I: integer expected, got %s", k, (LUAI_UACINT)j,
                 luaL_typename(L, -1));
    lua_pop(L, 1);
  }
}

/* block k of the table at 1: leaves its dims and its sampler on the stack */
static void check_block (lua_State *L, int k) {
  if (lua_rawgeti(L, 1, k) != LUA_TTABLE)
    luaL_error(L, "sampler.blocks: block %d: {coordinates, sampler} expected, got %s", k, luaL_typename(L, -1));
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  lua_remove(L, -3);
  check_dims(L, lua_gettop(L) - 1, k);
  if (!bind_tosampler(L, -1))
    luaL_error(L, "sampler.blocks: block %d: a sampler expected, got %s", k, luaL_typename(L, -1));
}

int sampler_make_blocks (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  int n = (int)lua_rawlen(L, 1);
  luaL_checkstack(L, 2 * n + 8, "too many blocks");
  neap_tensor **dims = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *dims, 0);
  neap_sampler **samplers = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *samplers, 0);
  for (int k = 1; k <= n; k++) check_block(L, k);
  neap_context *c = bind_context(L);
  neap_sampler **box = bind_samplerbox(L);
  neap_scope sc = neap_scope_open(c);
  bool ok = true;
  for (int k = 0; k < n; k++) {
    samplers[k] = bind_tosampler(L, 3 + 2 * k + 2);
    dims[k] = ok ? read_dims(L, c, 3 + 2 * k + 1) : NULL;
    ok = dims[k] != NULL;
  }
  if (ok) *box = neap_sampler_blocks(c, n, dims, samplers);
  for (int k = 0; k < n; k++) neap_release(dims[k]);
  bind_close(L, sc);
  return 1;
}
