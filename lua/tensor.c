/*
** tensor.c -- the tensor as a Lua value: its metatable, what can be asked of it, copies and casts.
** Invariant: x.name finds a method, else one of the fields below, else nil; x[anything else] is an index.
*/
#include "state.h"
#include <string.h>

static neap_tensor *self (lua_State *L) { return bind_checktensor(L, 1); }

/* ---- fields ---- */

static int push_grad (lua_State *L, bind_state *S, neap_tensor *t) {
  neap_tensor *g = neap_grad_of(t);
  if (!g) { lua_pushnil(L); return 1; }
  bind_newbox(L, S)->t = neap_keep(g);
  return 1;
}

static int get_field (lua_State *L, bind_state *S, neap_tensor *t, const char *name) {
  if (strcmp(name, "shape") == 0) bind_pushshape(L, t);
  else if (strcmp(name, "dtype") == 0) lua_pushstring(L, neap_dtype_name(neap_dtype_of(t)));
  else if (strcmp(name, "ndim") == 0) lua_pushinteger(L, neap_ndim(t));
  else if (strcmp(name, "grad") == 0) return push_grad(L, S, t);
  else lua_pushnil(L);
  return 1;
}

/* upvalue 1: the methods */
static int tensor_index (lua_State *L) {
  if (lua_type(L, 2) == LUA_TSTRING) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    neap_tensor *t = self(L);
    return get_field(L, bind_state_of(L), t, lua_tostring(L, 2));
  }
  neap_tensor *t = self(L);
  return bind_getindex(L, bind_state_of(L), t);
}

static int set_grad (lua_State *L, neap_tensor *t) {
  if (!lua_isnil(L, 3) && !bind_boxat(L, 3))
    return luaL_error(L, "grad: a tensor or nil expected, got %s", luaL_typename(L, 3));
  neap_tensor *g = lua_isnil(L, 3) ? NULL : bind_checktensor(L, 3);
  if (g && neap_dtype_of(g) != neap_dtype_of(t))
    return luaL_error(L, "grad: %s expected, got %s", neap_dtype_name(neap_dtype_of(t)),
                      neap_dtype_name(neap_dtype_of(g)));
  bool fits = !g || neap_ndim(g) == neap_ndim(t);
  for (int i = 0; g && fits && i < neap_ndim(g); i++) fits = neap_shape(g)[i] == neap_shape(t)[i];
  if (!fits) return luaL_error(L, "grad: shape %s expected, got %s", SHAPE_TEXT(t), SHAPE_TEXT(g));
  neap_set_grad(t, g);
  return 0;
}

static int tensor_newindex (lua_State *L) {
  neap_tensor *t = self(L);
  if (lua_type(L, 2) != LUA_TSTRING) return bind_setindex(L);
  const char *name = lua_tostring(L, 2);
  if (strcmp(name, "grad") == 0) return set_grad(L, t);
  if (strcmp(name, "requires_grad") == 0)
    return luaL_error(L, "requires_grad is a method: call x:requires_grad(), or x:requires_grad(false)");
  return luaL_error(L, "a tensor's field '%s' cannot be set (only grad can)", name);
}

/* ---- asking ---- */

static int64_t check_dim (lua_State *L, neap_tensor *t, int i) {
  int64_t d = luaL_checkinteger(L, i), n = neap_ndim(t);
  if (d < -n || d > n || d == 0)
    luaL_error(L, "size: dim %d is out of range for a tensor of shape %s", (int)d, SHAPE_TEXT(t));
  return d > 0 ? d - 1 : d + n;
}

static int tensor_size (lua_State *L) {
  neap_tensor *t = self(L);
  if (lua_isnoneornil(L, 2)) bind_pushshape(L, t);
  else lua_pushinteger(L, neap_shape(t)[check_dim(L, t, 2)]);
  return 1;
}

static int tensor_len (lua_State *L) {
  neap_tensor *t = self(L);
  if (neap_ndim(t) == 0) return luaL_error(L, "a tensor of no dimensions has no length");
  lua_pushinteger(L, neap_shape(t)[0]);
  return 1;
}

static int tensor_numel (lua_State *L) {
  lua_pushinteger(L, neap_numel(self(L)));
  return 1;
}

static int tensor_item (lua_State *L) {
  neap_tensor *t = self(L);
  if (neap_numel(t) != 1)
    return luaL_error(L, "item: one element expected, got a tensor of shape %s", SHAPE_TEXT(t));
  bind_pushitem(L, bind_state_of(L), t);
  return 1;
}

static int tensor_totable (lua_State *L) {
  neap_tensor *t = self(L);
  if (neap_ndim(t) == 0) return tensor_item(L);
  bind_totable(L, bind_state_of(L), t);
  return 1;
}

static int tensor_is_contiguous (lua_State *L) {
  lua_pushboolean(L, neap_is_contiguous(self(L)));
  return 1;
}

/* pairs(x): i, x[i] over dimension 1 */
static int next_row (lua_State *L) {
  neap_tensor *t = self(L);
  lua_Integer i = luaL_checkinteger(L, 2) + 1;
  if (neap_ndim(t) == 0 || i > neap_shape(t)[0]) return 0;
  lua_pushinteger(L, i);
  lua_replace(L, 2);
  lua_settop(L, 2);
  bind_getindex(L, bind_state_of(L), t);
  return 2;
}

static int tensor_pairs (lua_State *L) {
  self(L);
  lua_pushcfunction(L, next_row);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}

static int is_tensor (lua_State *L) {
  lua_pushboolean(L, bind_boxat(L, 1) != NULL);
  return 1;
}

/* ---- copies ---- */

typedef neap_tensor *copy_fn (neap_context *c, neap_tensor *x, int d);

static int copied (lua_State *L, copy_fn *f, int d) {
  neap_tensor *x = self(L), *t;
  bind_state *S = bind_state_of(L);
  bind_tbox *b = bind_newbox(L, S);
  neap_scope s;
  int tries = 0;
  do {
    s = neap_scope_open(S->c);
    t = f(S->c, x, d);
  } while (!t && bind_again(L, S, s, &tries));
  bind_fill(L, b, s, t);
  return 1;
}

/* a fresh copy that stays on x's tape */
static neap_tensor *make_clone (neap_context *c, neap_tensor *x, int d) {
  (void)d;
  return neap_clone(c, x);
}

static neap_tensor *make_cast (neap_context *c, neap_tensor *x, int d) { return neap_cast(c, x, d); }
static neap_tensor *make_detached (neap_context *c, neap_tensor *x, int d) { (void)d; return neap_detach(c, x); }

static int tensor_clone (lua_State *L) { return copied(L, make_clone, 0); }
static int tensor_detach (lua_State *L) { return copied(L, make_detached, 0); }

static int cast_to (lua_State *L, int d) {
  if ((int)neap_dtype_of(self(L)) != d) return copied(L, make_cast, d);
  lua_settop(L, 1);                                      /* nothing to do: x itself */
  return 1;
}

static int tensor_to (lua_State *L) {
  self(L);
  return cast_to(L, bind_dtype(L, 2, "to", "argument 1"));
}
static int tensor_double (lua_State *L) { return cast_to(L, NEAP_FLOAT64); }
static int tensor_float (lua_State *L) { return cast_to(L, NEAP_FLOAT32); }

/* ---- comparing one-element tensors ---- */

/* Lua reads a > b as b < a, so which of the two was written is not known */
static double check_one (lua_State *L, int i, const char *op, const char *methods) {
  if (lua_type(L, i) == LUA_TNUMBER) return lua_tonumber(L, i);
  neap_tensor *t = bind_checktensor(L, i);
  double v = 0;
  bind_state *S = bind_state_of(L);
  if (neap_numel(t) != 1)
    luaL_error(L, "%s compares tensors of one element, got shape %s; %s compare element by element", op,
               SHAPE_TEXT(t), methods);
  if (!neap_item(S->c, t, &v)) bind_raise(L, S);
  return v;
}

static int tensor_lt (lua_State *L) {
  lua_pushboolean(L, check_one(L, 1, "'<' (or '>')", "x:lt(y) and x:gt(y)") <
                     check_one(L, 2, "'<' (or '>')", "x:lt(y) and x:gt(y)"));
  return 1;
}

static int tensor_le (lua_State *L) {
  lua_pushboolean(L, check_one(L, 1, "'<=' (or '>=')", "x:le(y) and x:ge(y)") <=
                     check_one(L, 2, "'<=' (or '>=')", "x:le(y) and x:ge(y)"));
  return 1;
}

static int tensor_concat (lua_State *L) {
  return luaL_error(L, "a tensor cannot be concatenated; use tostring(x), or x:item() of one element");
}

int bind_boxgc (lua_State *L);
int bind_boxclose (lua_State *L);

static const luaL_Reg metamethods[] = {
  { "__newindex", tensor_newindex }, { "__len", tensor_len }, { "__tostring", bind_tostring }, { "__gc", bind_boxgc },
  { "__close", bind_boxclose }, { "__lt", tensor_lt }, { "__le", tensor_le }, { "__concat", tensor_concat },
  { "__pairs", tensor_pairs },
  { NULL, NULL }
};
static const luaL_Reg methods[] = {
  { "size", tensor_size }, { "numel", tensor_numel }, { "item", tensor_item }, { "totable", tensor_totable },
  { "clone", tensor_clone }, { "detach", tensor_detach }, { "to", tensor_to }, { "double", tensor_double },
  { "float", tensor_float }, { "is_contiguous", tensor_is_contiguous }, { "close", bind_boxclose }, { NULL, NULL }
};

void open_tensor (lua_State *L) {
  bind_openmeta(L);
  luaL_setfuncs(L, metamethods, 0);
  bind_setname(L, "tensor");
  bind_methods(L);
  lua_pushcclosure(L, tensor_index, 1);
  lua_setfield(L, -2, "__index");
  bind_metamethods(L, lua_absindex(L, -2), lua_absindex(L, -1));
  lua_pop(L, 1);
  for (const luaL_Reg *f = methods; f->name; f++) bind_function(L, f->name, f->func);
  lua_pushcfunction(L, is_tensor);
  lua_setfield(L, -2, "is_tensor");
}
