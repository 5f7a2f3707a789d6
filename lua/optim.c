/*
** optim.c -- updates of parameters, for stdlib/neap/optim.lua.
** Invariant: one call updates all parameters, so that an interrupt finds all of them updated or none.
*/
#include "bind.h"

/* The i-th tensor of the array at index arg; NULL when it is none.  Never raises. */
static neap_tensor *nth (lua_State *L, int arg, int i) {
  if (lua_type(L, arg) != LUA_TTABLE)
    return NULL;
  lua_rawgeti(L, arg, i);
  neap_tensor *t = bind_totensor(L, -1);
  lua_pop(L, 1);
  return t;
}

/* The length of the array of parameters at 1. */
static int count (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  return (int)lua_rawlen(L, 1);
}

/* sgd(params, grads, {v, …} | nil, lr, momentum, nesterov, weight_decay) */
static int optim_sgd (lua_State *L) {
  neap_context *c = bind_context(L);
  int n = count(L);
  double lr = luaL_checknumber(L, 4), momentum = luaL_checknumber(L, 5), wd = luaL_checknumber(L, 7);
  neap_scope s = neap_scope_open(c);
  for (int i = 1; i <= n; i++)
    if (!neap_sgd_update(c, nth(L, 1, i), nth(L, 2, i), nth(L, 3, i), lr, momentum, lua_toboolean(L, 6), wd))
      break;
  bind_close(L, s);
  return 0;
}

/* adam(params, grads, {m, …}, {v, …}, lr, beta1, beta2, eps, weight_decay, decoupled, step) */
static int optim_adam (lua_State *L) {
  neap_context *c = bind_context(L);
  int n = count(L);
  neap_adam o = {.lr = luaL_checknumber(L, 5), .beta1 = luaL_checknumber(L, 6), .beta2 = luaL_checknumber(L, 7),
                 .eps = luaL_checknumber(L, 8), .wd = luaL_checknumber(L, 9), .decoupled = lua_toboolean(L, 10),
                 .step = luaL_checkinteger(L, 11)};
  neap_scope s = neap_scope_open(c);
  for (int i = 1; i <= n; i++)
    if (!neap_adam_update(c, nth(L, 1, i), nth(L, 2, i), nth(L, 3, i), nth(L, 4, i), &o))
      break;
  bind_close(L, s);
  return 0;
}

/* rmsprop(params, grads, {v, …}, lr, alpha, eps, weight_decay) */
static int optim_rmsprop (lua_State *L) {
  neap_context *c = bind_context(L);
  int n = count(L);
  double lr = luaL_checknumber(L, 4), alpha = luaL_checknumber(L, 5), eps = luaL_checknumber(L, 6),
    wd = luaL_checknumber(L, 7);
  neap_scope s = neap_scope_open(c);
  for (int i = 1; i <= n; i++)
    if (!neap_rmsprop_update(c, nth(L, 1, i), nth(L, 2, i), nth(L, 3, i), lr, alpha, eps, wd))
      break;
  bind_close(L, s);
  return 0;
}

/* adagrad(params, grads, {v, …}, lr, eps, weight_decay) */
static int optim_adagrad (lua_State *L) {
  neap_context *c = bind_context(L);
  int n = count(L);
  double lr = luaL_checknumber(L, 4), eps = luaL_checknumber(L, 5), wd = luaL_checknumber(L, 6);
  neap_scope s = neap_scope_open(c);
  for (int i = 1; i <= n; i++)
    if (!neap_adagrad_update(c, nth(L, 1, i), nth(L, 2, i), nth(L, 3, i), lr, eps, wd))
      break;
  bind_close(L, s);
  return 0;
}

/* ema(averages, params, decay) */
static int optim_ema (lua_State *L) {
  neap_context *c = bind_context(L);
  int n = count(L);
  double decay = luaL_checknumber(L, 3);
  neap_scope s = neap_scope_open(c);
  for (int i = 1; i <= n; i++)
    if (!neap_ema_update(c, nth(L, 1, i), nth(L, 2, i), decay))
      break;
  bind_close(L, s);
  return 0;
}

/* norm(array of tensors) -> number */
static int optim_norm (lua_State *L) {
  neap_context *c = bind_context(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  int n = (int)lua_rawlen(L, 1);
  neap_tensor **g = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *g, 0);
  for (int i = 0; i < n; i++)
    g[i] = nth(L, 1, i + 1);
  double norm = 0;
  neap_scope s = neap_scope_open(c);
  neap_global_norm(c, n, g, &norm);
  bind_close(L, s);
  lua_pushnumber(L, norm);
  return 1;
}

/* alike(x, y) -> whether both are tensors of one dtype and shape */
static int optim_alike (lua_State *L) {
  neap_tensor *x = bind_totensor(L, 1), *y = bind_totensor(L, 2);
  bool same = x && y && neap_dtype_of(x) == neap_dtype_of(y) && neap_ndim(x) == neap_ndim(y);
  for (int i = 0; same && i < neap_ndim(x); i++) same = neap_shape(x)[i] == neap_shape(y)[i];
  lua_pushboolean(L, same);
  return 1;
}

static const luaL_Reg optim[] = {
  {"sgd", optim_sgd}, {"adam", optim_adam}, {"rmsprop", optim_rmsprop}, {"adagrad", optim_adagrad}, {"ema", optim_ema},
  {"norm", optim_norm}, {"alike", optim_alike}, {NULL, NULL},
};

void open_optim (lua_State *L) {
  luaL_newlib(L, optim);
  lua_setfield(L, -2, "_optim");
}
