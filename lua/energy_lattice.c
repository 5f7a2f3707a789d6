/*
** energy_lattice.c -- neap.energy.ising{…} and its like: energies of discrete units, and memories.
** Invariant: as in energy_make.c, options are read before anything is made.
*/
#include "energy.h"
#include <string.h>

int energy_push_units (lua_State *L, const neap_energy *E) {
  double first, step;
  int64_t n = neap_energy_units(E, &first, &step);
  if (n == 0) { lua_pushnil(L); return 1; }
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_pushinteger(L, (lua_Integer)(first + step * (double)i));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* options shape (a size or sizes, which go to sizes) and periodic */
static void read_lattice (lua_State *L, const char *fname, neap_lattice *l, int64_t *sizes) {
  l->shape = sizes;
  int type = bind_field(L, 1, "shape");
  if (type == LUA_TNUMBER || type == LUA_TTABLE) l->ndim = bind_sizes(L, lua_gettop(L), lua_gettop(L), fname, sizes);
  else if (type != LUA_TNIL)
    luaL_error(L, "%s: option 'shape': a size or a table of sizes expected, got %s", fname, luaL_typename(L, -1));
  lua_pop(L, 1);
  l->open = !bind_optboolean(L, 1, fname, "periodic", true);
}

static int make_ising (lua_State *L) {
  static const char *const names[] = { "shape", "edges", "beta", "field", "periodic", NULL };
  neap_lattice l = { 0 };
  int64_t sizes[NEAP_MAX_DIMS];
  energy_options(L, "ising", names);
  neap_context *c = bind_context(L);
  read_lattice(L, "ising", &l, sizes);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  neap_tensor *beta = energy_constant_field(L, "ising", "beta"), *field = energy_constant_field(L, "ising", "field");
  l.edges = energy_constant_field(L, "ising", "edges");
  if (neap_status_of(c) == NEAP_OK) *box = neap_energy_ising(c, &l, beta, field);
  return bind_finishenergy(L, s, box);
}

static int make_potts (lua_State *L) {
  static const char *const names[] = { "shape", "edges", "states", "beta", "periodic", NULL };
  neap_lattice l = { 0 };
  int64_t sizes[NEAP_MAX_DIMS];
  energy_options(L, "potts", names);
  neap_context *c = bind_context(L);
  read_lattice(L, "potts", &l, sizes);
  int64_t states = energy_size_option(L, "potts", "states");
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  neap_tensor *beta = energy_constant_field(L, "potts", "beta");
  l.edges = energy_constant_field(L, "potts", "edges");
  if (neap_status_of(c) == NEAP_OK) *box = neap_energy_potts(c, &l, states, beta);
  return bind_finishenergy(L, s, box);
}

/* option kind is "classical", not "modern" */
static bool is_classical (lua_State *L) {
  int type = bind_field(L, 1, "kind");
  const char *kind = type == LUA_TNIL ? "modern" : type == LUA_TSTRING ? lua_tostring(L, -1) : "";
  bool classical = strcmp(kind, "classical") == 0;
  if (!classical && strcmp(kind, "modern") != 0)
    luaL_error(L, "hopfield: option 'kind': \"modern\" or \"classical\" expected, got %s", luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return classical;
}

static int make_hopfield (lua_State *L) {
  static const char *const names[] = { "patterns", "beta", "kind", NULL };
  energy_options(L, "hopfield", names);
  neap_context *c = bind_context(L);
  bool classical = is_classical(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  neap_tensor *patterns = energy_constant_field(L, "hopfield", "patterns");
  neap_tensor *beta = energy_constant_field(L, "hopfield", "beta");
  if (neap_status_of(c) == NEAP_OK) *box = neap_energy_hopfield(c, patterns, beta, classical);
  return bind_finishenergy(L, s, box);
}

void energy_add_lattices (lua_State *L) {
  static const luaL_Reg makers[] = { { "ising", make_ising }, { "potts", make_potts },
                                     { "hopfield", make_hopfield }, { NULL, NULL } };
  luaL_setfuncs(L, makers, 0);
}
