/*
** loss.c -- the loss object of Lua: loss(E, batch [, rng]) -> scalar, info, and its methods.
** Invariant: a loss box holds one reference.
*/
#include "loss.h"
#include "core.h"

#define LOSS "neap.loss"

/* ---- the object ---- */

neap_loss **loss_box (lua_State *L) {
  neap_loss **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, LOSS);
  return box;
}

static neap_loss *check_loss (lua_State *L, int i) {
  neap_loss **box = luaL_checkudata(L, i, LOSS);
  if (!*box) luaL_argerror(L, i, "the loss was closed");
  return *box;
}

static int loss_gc (lua_State *L) {
  neap_loss **box = luaL_checkudata(L, 1, LOSS);
  neap_loss_release(*box);
  *box = NULL;
  return 0;
}

static int loss_tostring (lua_State *L) {
  lua_pushfstring(L, "%s loss", neap_loss_name(check_loss(L, 1)));
  return 1;
}

/* ---- loss(E, batch [, rng]) ---- */

/* batch: x, or {x, c}; leaves both on the stack (c may be nil) */
static void read_batch (lua_State *L, int i, int *x, int *cond) {
  *x = i;
  *cond = 0;
  if (!lua_istable(L, i)) return;
  lua_rawgeti(L, i, 1);
  lua_rawgeti(L, i, 2);
  if (bind_totensor(L, -2)) {
    *x = lua_gettop(L) - 1;
    *cond = lua_isnil(L, -1) ? 0 : lua_gettop(L);
  }
}

/* info's tensors: of one element as numbers (not while a function is recorded), others as they are */
static void push_info (lua_State *L, neap_context *c, const neap_state *info) {
  lua_createtable(L, 0, 4);
  for (int i = 0; i < neap_state_count(info); i++) {
    neap_tensor *t = neap_state_get(info, neap_state_name(info, i));
    double v;
    if (neap_ndim(t) == 0 && !c->trace && neap_item(c, t, &v)) lua_pushnumber(L, v);
    else bind_pushtensor(L, t);
    lua_setfield(L, -2, neap_state_name(info, i));
  }
}

/* x and cond: stack indices, cond 0 when there is none.  The result is owned. */
static neap_tensor *eval (lua_State *L, neap_context *c, neap_loss *l, neap_energy *E, int x, int cond, neap_rng *rng,
                          neap_state **info) {
  neap_tensor *tx = bind_lendtensor(L, x), *tc = cond ? bind_lendtensor(L, cond) : NULL;
  neap_state_free(*info);
  *info = neap_state_new(c, NULL);
  return *info ? neap_keep(neap_loss_eval(c, l, E, tx, tc, rng, *info)) : NULL;
}

static int loss_call (lua_State *L) {
  int x, cond;
  neap_loss *l = check_loss(L, 1);
  neap_energy *E = bind_toenergy(L, 2);
  const char *name = neap_loss_name(l);
  if (!E) return luaL_error(L, "%s: loss(E, batch): E: an energy expected, got %s", name, luaL_typename(L, 2));
  if (lua_isnoneornil(L, 3))
    return luaL_error(L, "%s: loss(E, batch): batch: a tensor or {x, c} expected, got nil", name);
  neap_rng *rng = bind_optrng(L, 4);
  bind_state *S = bind_state_of(L);
  read_batch(L, 3, &x, &cond);
  neap_state **info = bind_statebox(L);
  neap_tensor **box = bind_box(L);
  int at = lua_gettop(L), tries = 0;
  neap_rng_state before = neap_rng_get(rng);
  neap_scope sc;
  do {
    sc = neap_scope_open(S->c);
    neap_rng_set(rng, before);
    *box = eval(L, S->c, l, E, x, cond, rng, info);
  } while (!*box && bind_again(L, S, sc, &tries));
  bind_close(L, sc);
  push_info(L, S->c, *info);
  lua_pushvalue(L, at);
  lua_insert(L, -2);
  return 2;
}

/* ---- methods ---- */

/* loss:params() -> tensors, names */
static int loss_params (lua_State *L) {
  neap_loss *l = check_loss(L, 1);
  int n = neap_loss_nparams(l);
  lua_createtable(L, n, 0);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    bind_pushtensor(L, neap_loss_param(l, i));
    lua_rawseti(L, -3, i + 1);
    lua_pushstring(L, neap_loss_param_name(l, i));
    lua_rawseti(L, -2, i + 1);
  }
  return 2;
}

/* loss:state() -> a table of copies */
static int loss_state (lua_State *L) {
  neap_loss *l = check_loss(L, 1);
  neap_context *c = bind_context(L);
  neap_state **box = bind_statebox(L);
  neap_scope sc = neap_scope_open(c);
  neap_state *memory = neap_loss_state(c, l);
  neap_mode m = neap_no_grad(c);
  *box = neap_state_new(c, NULL);
  for (int i = 0; *box && i < neap_state_count(memory); i++) {
    const char *name = neap_state_name(memory, i);
    if (!neap_state_set(c, *box, name, neap_clone(c, neap_state_get(memory, name)))) break;
  }
  neap_mode_restore(c, m);
  bind_close(L, sc);
  lua_newtable(L);
  bind_writestate(L, -1, *box);
  return 1;
}

static int loss_set_state (lua_State *L) {
  neap_loss *l = check_loss(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  neap_context *c = bind_context(L);
  neap_state **box = bind_statebox(L);
  neap_scope sc = neap_scope_open(c);
  if (bind_readstate(L, 2, box)) neap_loss_set_state(c, l, *box);
  bind_close(L, sc);
  lua_settop(L, 1);
  return 1;
}

/* ---- the module ---- */

static const luaL_Reg methods[] = {
  { "params", loss_params }, { "state", loss_state }, { "set_state", loss_set_state }, { NULL, NULL }
};

void open_loss (lua_State *L) {
  luaL_newmetatable(L, LOSS);
  lua_pushcfunction(L, loss_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, loss_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, loss_call);
  lua_setfield(L, -2, "__call");
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  loss_add_makers(L);
  lua_setfield(L, -2, "loss");
}
