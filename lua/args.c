/*
** args.c -- checked arguments: the trailing table of options, sizes, dtypes.
** Invariant: nothing here owns anything, so every function may raise.
*/
#include "state.h"
#include <string.h>

/* ---- the nearest known name ---- */

enum { NAME_MAX_LENGTH = 48 };

static int least (int a, int b, int c) { int m = a < b ? a : b; return m < c ? m : c; }

/* edits that make a into b (Levenshtein), names being short */
static int distance (const char *a, const char *b) {
  int row[NAME_MAX_LENGTH + 1], n = (int)strnlen(b, NAME_MAX_LENGTH);
  for (int j = 0; j <= n; j++) row[j] = j;
  for (int i = 1; a[i - 1] && i <= NAME_MAX_LENGTH; i++) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= n; j++) {
      int next = least(row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
      diagonal = row[j];
      row[j] = next;
    }
  }
  return row[n];
}

static const char *nearest (const char *name, const char *const *names) {
  const char *best = NULL;
  int least_edits = 0;
  for (; *names; names++) {
    int edits = distance(name, *names);
    if (!best || edits < least_edits) { best = *names; least_edits = edits; }
  }
  return best;
}

/* ---- options ---- */

static bool known (const char *key, const char *const *names) {
  for (; *names; names++) if (strcmp(key, *names) == 0) return true;
  return false;
}

static void check_key (lua_State *L, const char *fname, const char *const *names) {
  if (lua_type(L, -2) != LUA_TSTRING) {
    luaL_error(L, "%s: options are named, as in {name = value}, got the key %s", fname, luaL_tolstring(L, -2, NULL));
    return;
  }
  const char *key = lua_tostring(L, -2);
  if (known(key, names)) return;
  if (strcmp(key, "requires_grad") == 0)
    luaL_error(L, "%s: unknown option 'requires_grad' (call x:requires_grad() on the tensor)", fname);
  if (!*names) luaL_error(L, "%s: unknown option '%s' (it takes none)", fname, key);
  luaL_error(L, "%s: unknown option '%s' (did you mean '%s'?)", fname, key, nearest(key, names));
}

bool bind_options (lua_State *L, int i, const char *fname, const char *const *names) {
  if (lua_isnoneornil(L, i)) return false;
  if (!lua_istable(L, i)) return luaL_typeerror(L, i, "table of options");
  i = lua_absindex(L, i);
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) check_key(L, fname, names);
  return true;
}

int bind_field (lua_State *L, int table, const char *name) {
  if (lua_istable(L, table)) return lua_getfield(L, table, name);
  lua_pushnil(L);
  return LUA_TNIL;
}

static void wrong_option (lua_State *L, const char *fname, const char *name, const char *expected) {
  luaL_error(L, "%s: option '%s': %s expected, got %s", fname, name, expected, luaL_typename(L, -1));
}

double bind_optnumber (lua_State *L, int table, const char *fname, const char *name, double otherwise) {
  int type = bind_field(L, table, name);
  if (type != LUA_TNIL && type != LUA_TNUMBER) wrong_option(L, fname, name, "number");
  double v = type == LUA_TNIL ? otherwise : lua_tonumber(L, -1);
  if (type != LUA_TNIL && v != v) luaL_error(L, "%s: option '%s': number expected, got nan", fname, name);
  lua_pop(L, 1);
  return v;
}

int64_t bind_optinteger (lua_State *L, int table, const char *fname, const char *name, int64_t otherwise) {
  int type = bind_field(L, table, name), ok = 1;
  int64_t v = type == LUA_TNIL ? otherwise : lua_tointegerx(L, -1, &ok);
  if (type == LUA_TNUMBER && !ok)
    luaL_error(L, "%s: option '%s': integer expected, got %s", fname, name, luaL_tolstring(L, -1, NULL));
  if (type != LUA_TNIL && type != LUA_TNUMBER) wrong_option(L, fname, name, "integer");
  lua_pop(L, 1);
  return v;
}

int64_t bind_optpositive (lua_State *L, int table, const char *fname, const char *name, int64_t otherwise) {
  bool given = bind_field(L, table, name) != LUA_TNIL;
  lua_pop(L, 1);
  int64_t v = bind_optinteger(L, table, fname, name, otherwise);
  if (given && v < 1)
    luaL_error(L, "%s: option '%s': a positive integer expected, got %I", fname, name, (LUAI_UACINT)v);
  return v;
}

bool bind_optboolean (lua_State *L, int table, const char *fname, const char *name, bool otherwise) {
  int type = bind_field(L, table, name);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN) wrong_option(L, fname, name, "boolean");
  bool v = type == LUA_TNIL ? otherwise : (bool)lua_toboolean(L, -1);
  lua_pop(L, 1);
  return v;
}

static int find_dtype (const char *name) {
  for (int d = 0; d < NEAP_NDTYPES; d++) if (strcmp(name, neap_dtype_name((neap_dtype)d)) == 0) return d;
  return -1;
}

int bind_dtype (lua_State *L, int i, const char *fname, const char *what) {
  const char *names[NEAP_NDTYPES + 1] = { NULL };
  for (int d = 0; d < NEAP_NDTYPES; d++) names[d] = neap_dtype_name((neap_dtype)d);
  if (lua_type(L, i) != LUA_TSTRING)
    return luaL_error(L, "%s: %s: name of a dtype expected, got %s", fname, what, luaL_typename(L, i));
  const char *name = lua_tostring(L, i);
  int d = find_dtype(name);
  if (d >= 0) return d;
  return luaL_error(L, "%s: unknown dtype '%s' (did you mean '%s'?)", fname, name, nearest(name, names));
}

int bind_optdtype (lua_State *L, int table, const char *fname, const char *name, int otherwise) {
  int d = bind_field(L, table, name) == LUA_TNIL ? otherwise : bind_dtype(L, -1, fname, name);
  lua_pop(L, 1);
  return d;
}

/* ---- sizes ---- */

static int64_t check_size (lua_State *L, int i, const char *fname, int dim) {
  int ok;
  int64_t n = lua_tointegerx(L, i, &ok);
  if (!ok || lua_type(L, i) != LUA_TNUMBER)
    luaL_error(L, "%s: size %d: integer expected, got %s", fname, dim,
               lua_type(L, i) == LUA_TNUMBER ? lua_tostring(L, i) : luaL_typename(L, i));
  return n;
}

static void check_ndim (lua_State *L, const char *fname, lua_Unsigned n) {
  if (n > NEAP_MAX_DIMS) luaL_error(L, "%s: at most %d sizes expected, got %d", fname, NEAP_MAX_DIMS, (int)n);
}

static int table_sizes (lua_State *L, int i, const char *fname, int64_t *sizes) {
  lua_Unsigned n = lua_rawlen(L, i), keys = 0;
  check_ndim(L, fname, n);
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) keys++;
  if (keys != n) luaL_error(L, "%s: a table of sizes holds numbers only; options go in a table of their own", fname);
  for (int d = 1; d <= (int)n; d++) {
    lua_rawgeti(L, i, d);
    sizes[d - 1] = check_size(L, -1, fname, d);
    lua_pop(L, 1);
  }
  return (int)n;
}

int bind_sizes (lua_State *L, int first, int last, const char *fname, int64_t *sizes) {
  if (first == last && lua_istable(L, first)) return table_sizes(L, first, fname, sizes);
  if (last < first) return 0;
  check_ndim(L, fname, (lua_Unsigned)(last - first + 1));
  for (int i = first; i <= last; i++) sizes[i - first] = check_size(L, i, fname, i - first + 1);
  return last - first + 1;
}
