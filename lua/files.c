/*
** files.c -- files for Lua: the table core._files, which stdlib wraps.
** Invariant: what a file held is in a userdata before Lua can raise; arrays of pointers handed to the runtime lie in
** userdata and point at tensors and strings that tables on the stack hold.
*/
#include "bind.h"
#include <string.h>
#include <unistd.h>

#define BUNDLE "neap.bundle"

/* ---- bundles ---- */

static int bundle_gc (lua_State *L) {
  neap_bundle **b = lua_touserdata(L, 1);
  neap_bundle_release(*b);
  *b = NULL;
  return 0;
}

static neap_bundle **push_bundle (lua_State *L) {
  neap_bundle **b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = NULL;
  if (luaL_newmetatable(L, BUNDLE)) {
    lua_pushcfunction(L, bundle_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return b;
}

/* A box that shares t. */
static void push_tensor (lua_State *L, neap_context *c, neap_tensor *t) {
  bind_box(L);
  neap_scope s = neap_scope_open(c);
  bind_finish(L, s, lua_gettop(L), t);
}

static void push_names (lua_State *L, const neap_bundle *b) {
  lua_createtable(L, neap_bundle_count(b), 0);
  for (int i = 0; i < neap_bundle_count(b); i++) {
    lua_pushstring(L, neap_bundle_name(b, i));
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_tensors (lua_State *L, neap_context *c, const neap_bundle *b) {
  lua_createtable(L, neap_bundle_count(b), 0);
  for (int i = 0; i < neap_bundle_count(b); i++) {
    push_tensor(L, c, neap_bundle_tensor(b, i));
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_metadata (lua_State *L, const neap_bundle *b) {
  const char *key, *value;
  lua_newtable(L);
  for (int i = 0; (key = neap_bundle_metadata_at(b, i, &value)) != NULL; i++) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
  }
}

/* load(path) -> array of names, array of tensors, table of metadata */
static int files_load (lua_State *L) {
  neap_context *c = bind_context(L);
  const char *path = luaL_checkstring(L, 1);
  neap_bundle **b = push_bundle(L);
  neap_scope s = neap_scope_open(c);
  *b = neap_load(c, path);
  bind_close(L, s);
  push_names(L, *b);
  push_tensors(L, c, *b);
  push_metadata(L, *b);
  neap_bundle_release(*b);
  *b = NULL;
  return 3;
}

/* The string on top of the stack, which a table holds; popped. */
static const char *held_string (lua_State *L, const char *what) {
  size_t n;
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "save: %s: string expected, got %s", what, luaL_typename(L, -1));
  const char *s = lua_tolstring(L, -1, &n);
  if (strlen(s) != n)
    luaL_error(L, "save: %s '%s' holds a zero byte", what, s);
  lua_pop(L, 1);
  return s;
}

/* names and tensors of the tables at 2 and 3; pushes a userdata that holds both arrays. */
static int push_arrays (lua_State *L, const char ***names, neap_tensor ***tensors) {
  int n = (int)luaL_len(L, 3);
  char *block = lua_newuserdatauv(L, (size_t)(n + 1) * (sizeof **names + sizeof **tensors), 0);
  *names = (const char **)(void *)block;
  *tensors = (neap_tensor **)(void *)(block + (size_t)(n + 1) * sizeof **names);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 2, i + 1);
    (*names)[i] = held_string(L, "name");
    lua_rawgeti(L, 3, i + 1);
    (*tensors)[i] = bind_totensor(L, -1);
    if ((*tensors)[i] == NULL)
      luaL_error(L, "save: '%s': tensor expected, got %s", (*names)[i], luaL_typename(L, -1));
    lua_pop(L, 1);
  }
  return n;
}

/* The metadata at 4 as key, value, …, NULL in a userdata that is pushed. */
static const char **push_pairs (lua_State *L) {
  size_t n = 0;
  if (lua_isnoneornil(L, 4))
    return NULL;
  luaL_checktype(L, 4, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, 4); lua_pop(L, 1))
    n++;
  const char **pairs = lua_newuserdatauv(L, (2 * n + 1) * sizeof *pairs, 0);
  pairs[2 * n] = NULL;
  n = 0;
  for (lua_pushnil(L); lua_next(L, 4); ) {
    pairs[2 * n + 1] = held_string(L, "metadata value");
    lua_pushvalue(L, -1);
    pairs[2 * n++] = held_string(L, "metadata key");
  }
  return pairs;
}

/* save(path, names, tensors [, metadata]) */
static int files_save (lua_State *L) {
  neap_context *c = bind_context(L);
  const char *path = luaL_checkstring(L, 1), **names;
  neap_tensor **tensors;
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 4);
  int n = push_arrays(L, &names, &tensors);
  const char **metadata = push_pairs(L);
  neap_scope s = neap_scope_open(c);
  neap_save(c, path, n, names, tensors, metadata);
  bind_close(L, s);
  return 0;
}

/* ---- one tensor ---- */

static int load_one (lua_State *L, neap_tensor *(*load) (neap_context *, const char *)) {
  neap_context *c = bind_context(L);
  const char *path = luaL_checkstring(L, 1);
  bind_box(L);
  neap_scope s = neap_scope_open(c);
  bind_finish(L, s, lua_gettop(L), load(c, path));
  return 1;
}

static int files_load_idx (lua_State *L) { return load_one(L, neap_idx_load); }
static int files_load_png (lua_State *L) { return load_one(L, neap_png_load); }

/* save_png(path, x) */
static int files_save_png (lua_State *L) {
  neap_context *c = bind_context(L);
  const char *path = luaL_checkstring(L, 1);
  neap_tensor *x = bind_checktensor(L, 2);
  neap_scope s = neap_scope_open(c);
  neap_png_save(c, path, x);
  bind_close(L, s);
  return 0;
}

/* save_apng(path, x, milliseconds) */
static int files_save_apng (lua_State *L) {
  neap_context *c = bind_context(L);
  const char *path = luaL_checkstring(L, 1);
  neap_tensor *x = bind_checktensor(L, 2);
  lua_Integer milliseconds = luaL_checkinteger(L, 3);
  neap_scope s = neap_scope_open(c);
  neap_apng_save(c, path, x, milliseconds);
  bind_close(L, s);
  return 0;
}

/* load_csv(path [, dtype name]) -> tensor, array of column names or nil */
static int files_load_csv (lua_State *L) {
  neap_context *c = bind_context(L);
  const char *path = luaL_checkstring(L, 1), *dtype = luaL_optstring(L, 2, neap_dtype_name(neap_default_dtype(c)));
  neap_dtype d = 0;
  while (d < NEAP_NDTYPES && strcmp(dtype, neap_dtype_name(d)) != 0)
    d++;
  if (d == NEAP_NDTYPES)
    return luaL_error(L, "csv: unknown dtype '%s'", dtype);
  neap_bundle **columns = push_bundle(L);
  bind_box(L);
  int box = lua_gettop(L);
  neap_scope s = neap_scope_open(c);
  bind_finish(L, s, box, neap_csv_load(c, path, d, columns));
  if (*columns == NULL)
    return 1;
  push_names(L, *columns);
  neap_bundle_release(*columns);
  *columns = NULL;
  return 2;
}

/* save_csv(path, x [, array of names]) */
static int files_save_csv (lua_State *L) {
  neap_context *c = bind_context(L);
  const char *path = luaL_checkstring(L, 1), **names = NULL;
  neap_tensor *x = bind_checktensor(L, 2);
  if (!lua_isnoneornil(L, 3)) {
    int64_t columns = neap_ndim(x) == 2 ? neap_shape(x)[1] : 1;
    if (lua_type(L, 3) != LUA_TTABLE || luaL_len(L, 3) != columns)
      return luaL_error(L, "csv: names: a table of %d names expected, one for each column", (int)columns);
    names = lua_newuserdatauv(L, (size_t)(columns + 1) * sizeof *names, 0);
    for (int64_t i = 0; i < columns; i++) {
      lua_rawgeti(L, 3, i + 1);
      names[i] = held_string(L, "column name");
    }
  }
  neap_scope s = neap_scope_open(c);
  neap_csv_save(c, path, x, names);
  bind_close(L, s);
  return 0;
}

/* isatty(file) -> whether a progress line makes sense there */
static int files_isatty (lua_State *L) {
  luaL_Stream *f = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  lua_pushboolean(L, f->closef != NULL && isatty(fileno(f->f)));
  return 1;
}

/* crc(tensor | string [, crc]) -> the CRC-32 of its bytes, going on from crc */
static int files_crc (lua_State *L) {
  neap_context *c = bind_context(L);
  uint32_t crc = (uint32_t)luaL_optinteger(L, 2, 0);
  size_t n = 0;
  if (lua_type(L, 1) == LUA_TSTRING) {
    const char *s = lua_tolstring(L, 1, &n);
    lua_pushinteger(L, (lua_Integer)neap_crc32(crc, s, n));
    return 1;
  }
  neap_tensor *t = bind_checktensor(L, 1);
  neap_scope s = neap_scope_open(c);
  neap_tensor *x = neap_clone(c, t);
  if (x) crc = neap_crc32(crc, neap_data(x), (size_t)neap_numel(x) * neap_dtype_size(neap_dtype_of(x)));
  bind_close(L, s);
  lua_pushinteger(L, (lua_Integer)crc);
  return 1;
}

/* link(from, to) -> whether the file `from` now has the name `to`, too, in place of the file that had it */
static int files_link (lua_State *L) {
  const char *from = luaL_checkstring(L, 1), *to = luaL_checkstring(L, 2);
  const char *temporary = lua_pushfstring(L, "%s.tmp", to);
  unlink(temporary);
  bool ok = link(from, temporary) == 0 && rename(temporary, to) == 0;
  unlink(temporary);                       /* there still if both were one file already */
  lua_pushboolean(L, ok);
  return 1;
}

static const luaL_Reg files[] = {
  {"load", files_load}, {"save", files_save}, {"load_idx", files_load_idx}, {"load_png", files_load_png},
  {"save_png", files_save_png}, {"save_apng", files_save_apng}, {"load_csv", files_load_csv}, {"save_csv", files_save_csv}, {"isatty", files_isatty},
  {"crc", files_crc}, {"link", files_link}, {NULL, NULL},
};

void open_files (lua_State *L) {
  luaL_newlib(L, files);
  lua_setfield(L, -2, "_files");
}
