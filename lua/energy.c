/*
** energy.c -- the energy as a Lua value: its box, fields, text, and E(x, c).
** Invariant: a box holds one reference; its user value caches the boxes of its parameters, so that E:params() and E.W
** give the same Lua values each time.
*/
#include "energy.h"
#include "show.h"
#include <stdio.h>
#include <string.h>

/* ---- the box ---- */

neap_energy **bind_energybox (lua_State *L) {
  neap_energy **box = lua_newuserdatauv(L, sizeof *box, 1);
  *box = NULL;
  luaL_setmetatable(L, ENERGY);
  return box;
}

neap_energy *bind_toenergy (lua_State *L, int i) {
  neap_energy **box = luaL_testudata(L, i, ENERGY);
  return box ? *box : NULL;
}

neap_energy *bind_checkenergy (lua_State *L, int i) {
  neap_energy **box = luaL_testudata(L, i, ENERGY);
  if (!box) luaL_typeerror(L, i, "energy");
  else if (!*box) luaL_argerror(L, i, "the energy was closed");
  return *box;
}

int bind_finishenergy (lua_State *L, neap_scope s, neap_energy **box) {
  bind_state *S = bind_state_of(L);
  neap_scope_close(S->c, s);
  if (!*box || neap_status_of(S->c) != NEAP_OK) return bind_raise(L, S);
  bind_tell(L, S);
  return 1;
}

static int energy_gc (lua_State *L) {
  neap_energy **box = luaL_checkudata(L, 1, ENERGY);
  neap_energy *E = *box;
  *box = NULL;
  neap_energy_release(E);
  return 0;
}

/* ---- E(x, c) ---- */

static neap_tensor *evaluate (lua_State *L, neap_context *c, neap_energy *E) {
  neap_tensor *x = bind_lendtensor(L, 2), *cond = NULL;
  if (x && !lua_isnoneornil(L, 3) && !(cond = bind_lendtensor(L, 3))) return NULL;
  return x ? neap_energy_eval(c, E, x, cond) : NULL;
}

static int energy_call (lua_State *L) {
  neap_energy *E = bind_checkenergy(L, 1);
  if (lua_gettop(L) > 3) return luaL_argerror(L, 3, "an energy takes x and a condition c, no more");
  if (lua_isnoneornil(L, 2))
    return luaL_error(L, "%s: x expected, as in E(x), got %s", neap_energy_name(E), luaL_typename(L, 2));
  lua_settop(L, 3);
  bind_state *S = bind_state_of(L);
  bind_tbox *b = bind_newbox(L, S);
  neap_tensor *e;
  neap_scope s;
  int tries = 0;
  do {
    s = neap_scope_open(S->c);
    e = evaluate(L, S->c, E);
  } while (!e && bind_again(L, S, s, &tries));
  bind_fill(L, b, s, e);
  return 1;
}

/* ---- fields: methods, then name, event, units, mask, mask_values, then parameters by name ---- */

static void push_tensor (lua_State *L, neap_tensor *t) {
  if (!t) { lua_pushnil(L); return; }
  bind_newbox(L, bind_state_of(L))->t = neap_keep(t);
}

/* pushes the array of boxes of the parameters of the energy at 1, made at first */
static void push_params (lua_State *L, neap_energy *E) {
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE) return;
  lua_pop(L, 1);
  int n = neap_energy_nparams(E);
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    push_tensor(L, neap_energy_param(E, i));
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, 1);
}

static int push_event (lua_State *L, const neap_energy *E) {
  int64_t event[NEAP_MAX_DIMS];
  int n = neap_energy_event(E, event);
  if (n < 0) { lua_pushnil(L); return 1; }
  bind_pushsizes(L, n, event);
  return 1;
}

static int push_param (lua_State *L, neap_energy *E, const char *name) {
  for (int i = 0; i < neap_energy_nparams(E); i++)
    if (strcmp(neap_energy_param_name(E, i), name) == 0) {
      push_params(L, E);
      lua_rawgeti(L, -1, i + 1);
      return 1;
    }
  lua_pushnil(L);
  return 1;
}

/* upvalue 1: the methods */
static int energy_index (lua_State *L) {
  neap_energy *E = bind_checkenergy(L, 1);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL || lua_type(L, 2) != LUA_TSTRING) return 1;
  const char *name = lua_tostring(L, 2);
  if (strcmp(name, "name") == 0) lua_pushstring(L, neap_energy_name(E));
  else if (strcmp(name, "event") == 0) return push_event(L, E);
  else if (strcmp(name, "units") == 0) return energy_push_units(L, E);
  else if (strcmp(name, "mask") == 0) push_tensor(L, neap_energy_mask(E));
  else if (strcmp(name, "mask_values") == 0) push_tensor(L, neap_energy_mask_values(E));
  else return push_param(L, E, name);
  return 1;
}

static int energy_newindex (lua_State *L) {
  bind_checkenergy(L, 1);
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "name";
  return luaL_error(L, "an energy does not change: E:with{%s = ...} makes another "
                    "(and E.%s[{}] = v writes into a parameter)", name, name);
}

/* E:params() -> array of tensors, array of names */
static int energy_params (lua_State *L) {
  neap_energy *E = bind_checkenergy(L, 1);
  int n = neap_energy_nparams(E);
  push_params(L, E);
  lua_createtable(L, n, 0);
  lua_createtable(L, n, 0);
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, -3, i);
    lua_rawseti(L, -3, i);
    lua_pushstring(L, neap_energy_param_name(E, i - 1));
    lua_rawseti(L, -2, i);
  }
  return 2;
}

/* ---- text ---- */

static int energy_tostring (lua_State *L) {
  neap_energy *E = bind_toenergy(L, 1);
  if (!E) { lua_pushliteral(L, "energy (closed)"); return 1; }
  char text[256];
  int64_t event[NEAP_MAX_DIMS], numbers = 0;
  int n = neap_energy_nparams(E), ndim = neap_energy_event(E, event);
  for (int i = 0; i < n; i++) numbers += neap_numel(neap_energy_param(E, i));
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, neap_energy_text(E, text, sizeof text));
  luaL_addstring(&b, ": event ");
  if (ndim < 0) luaL_addstring(&b, "not known");
  for (int i = 0; i < ndim; i++) {
    snprintf(text, sizeof text, "%s%lld", i ? ", " : "[", (long long)event[i]);
    luaL_addstring(&b, text);
  }
  if (ndim >= 0) luaL_addstring(&b, ndim ? "]" : "[]");
  snprintf(text, sizeof text, ", %d parameter%s (%lld number%s)", n, n == 1 ? "" : "s", (long long)numbers,
           numbers == 1 ? "" : "s");
  luaL_addstring(&b, text);
  luaL_pushresult(&b);
  return 1;
}

/* ---- opening ---- */

static void make_metatable (lua_State *L) {
  static const luaL_Reg meta[] = { { "__gc", energy_gc }, { "__close", energy_gc }, { "__call", energy_call },
                                   { "__newindex", energy_newindex }, { "__tostring", energy_tostring },
                                   { NULL, NULL } };
  if (luaL_newmetatable(L, ENERGY)) {
    luaL_setfuncs(L, meta, 0);
    lua_pushliteral(L, "energy");
    lua_setfield(L, -2, "__name");
    energy_add_algebra(L);
    lua_newtable(L);
    lua_pushcfunction(L, energy_params);
    lua_setfield(L, -2, "params");
    energy_add_methods(L);
    lua_pushcclosure(L, energy_index, 1);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
}

/* neap.energy: a table of makers that is called with a function */
void open_energy (lua_State *L) {
  make_metatable(L);
  lua_newtable(L);
  energy_add_makers(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, energy_from_lua);
  lua_setfield(L, -2, "__call");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "energy");
}
