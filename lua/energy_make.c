/*
** energy_make.c -- neap.energy.NAME{…}: reading options, and the algebra's metamethods.
** Invariant: options are read before anything is made; tables of numbers become float64 constants, tensors stay.
*/
#include "energy.h"
#include <math.h>
#include <string.h>

/* ---- reading ---- */

/* t, of finite numbers unless it is a variable, which may change */
static neap_tensor *all_finite (neap_context *c, neap_tensor *t, const char *fname) {
  double good = 1;
  if (!t || neap_is_tracked(t)) return t;
  neap_tensor *all = neap_all(c, neap_isfinite(c, t), -1, NULL, false);
  if (!all || !neap_item(c, all, &good)) return NULL;
  return good ? t : neap_fail(c, NEAP_EARG, "%s: finite numbers expected, got NaN or infinity", fname);
}

neap_tensor *energy_constant_at (lua_State *L, int i, const char *fname) {
  neap_context *c = bind_context(L);
  int type = lua_type(L, i);
  if (type == LUA_TNIL || type == LUA_TNONE) return NULL;
  if (type == LUA_TNUMBER || type == LUA_TTABLE) return all_finite(c, bind_nested(L, c, i, NEAP_FLOAT64, fname), fname);
  neap_tensor *t = bind_totensor(L, i);
  if (t) return all_finite(c, neap_lend(c, neap_keep(t)), fname);
  return neap_fail(c, NEAP_EARG, "%s: tensor, table or number expected, got %s", fname, luaL_typename(L, i));
}

neap_tensor *energy_constant_field (lua_State *L, const char *fname, const char *name) {
  char what[96];
  snprintf(what, sizeof what, "%s: option '%s'", fname, name);
  lua_pushstring(L, name);
  lua_rawget(L, 1);
  neap_tensor *t = energy_constant_at(L, -1, what);
  lua_pop(L, 1);
  return t;
}

/* The energies of the array at i, in a userdata pushed on the stack; raises when one is something else. */
static neap_energy **read_energies (lua_State *L, int i, const char *fname, int *n) {
  if (!lua_istable(L, i)) luaL_error(L, "%s: a table of energies expected, got %s", fname, luaL_typename(L, i));
  i = lua_absindex(L, i);
  lua_Unsigned count = lua_rawlen(L, i);
  if (count == 0 || count > 100000) luaL_error(L, "%s: at least one energy expected", fname);
  neap_energy **list = lua_newuserdatauv(L, count * sizeof *list, 0);
  for (lua_Unsigned j = 0; j < count; j++) {
    lua_rawgeti(L, i, (lua_Integer)j + 1);
    list[j] = bind_toenergy(L, -1);
    if (!list[j]) luaL_error(L, "%s: element %d: energy expected, got %s", fname, (int)j + 1, luaL_typename(L, -1));
    lua_pop(L, 1);
  }
  *n = (int)count;
  return list;
}

int energy_event_field (lua_State *L, int table, const char *fname, int64_t *event) {
  int type = bind_field(L, table, "event"), n = -1;
  if (type == LUA_TNUMBER || type == LUA_TTABLE) n = bind_sizes(L, lua_gettop(L), lua_gettop(L), fname, event);
  else if (type != LUA_TNIL)
    luaL_error(L, "%s: option 'event': a size or a table of sizes expected, got %s", fname, luaL_typename(L, -1));
  for (int i = 0; i < n; i++)
    if (event[i] < 1)
      luaL_error(L, "%s: option 'event': sizes of at least 1 expected, got %I", fname, (LUAI_UACINT)event[i]);
  lua_pop(L, 1);
  return n;
}

void energy_options (lua_State *L, const char *fname, const char *const *names) {
  if (!lua_istable(L, 1))
    luaL_error(L, "%s: a table of options expected, as in %s{...}, got %s", fname, fname, luaL_typename(L, 1));
  lua_settop(L, 1);
  bind_options(L, 1, fname, names);
}

int64_t energy_size_option (lua_State *L, const char *fname, const char *name) {
  int64_t n = bind_optinteger(L, 1, fname, name, NEAP_NONE);
  if (n == NEAP_NONE) luaL_error(L, "%s: option '%s' is missing", fname, name);
  return n;
}

/* ---- densities ---- */

static int make_gaussian (lua_State *L) {
  static const char *const names[] = { "mean", "cov", "precision", "std", NULL };
  energy_options(L, "gaussian", names);
  neap_context *c = bind_context(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  neap_tensor *t[4];
  for (int i = 0; i < 4; i++) t[i] = energy_constant_field(L, "gaussian", names[i]);
  bool number = bind_field(L, 1, "mean") == LUA_TNUMBER;
  lua_pop(L, 1);
  if (t[0] && number) t[0] = neap_reshape(c, t[0], 1, (int64_t[]){ 1 });
  if (neap_status_of(c) == NEAP_OK) *box = neap_energy_gaussian(c, t[0], t[1], t[2], t[3]);
  return bind_finishenergy(L, s, box);
}

static int make_gmm (lua_State *L) {
  static const char *const names[] = { "means", "covs", "std", "weights", NULL };
  energy_options(L, "gmm", names);
  neap_context *c = bind_context(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  neap_tensor *t[4];
  for (int i = 0; i < 4; i++) t[i] = energy_constant_field(L, "gmm", names[i]);
  if (neap_status_of(c) == NEAP_OK) *box = neap_energy_gmm(c, t[0], t[1], t[2], t[3]);
  return bind_finishenergy(L, s, box);
}

static int make_mixture (lua_State *L) {
  static const char *const names[] = { "energies", "weights", NULL };
  int n;
  energy_options(L, "mixture", names);
  neap_context *c = bind_context(L);
  bind_field(L, 1, "energies");
  neap_energy **list = read_energies(L, -1, "mixture: option 'energies'", &n), **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  neap_tensor *w = energy_constant_field(L, "mixture", "weights");
  if (neap_status_of(c) == NEAP_OK) *box = neap_energy_mixture(c, n, list, w);
  return bind_finishenergy(L, s, box);
}

static int make_any (lua_State *L) {
  int n;
  if (bind_toenergy(L, 1)) return luaL_error(L, "any{E1, E2, ...}: a table of energies expected, got energy");
  neap_energy **list = read_energies(L, 1, "any", &n), **box = bind_energybox(L);
  neap_context *c = bind_context(L);
  neap_scope s = neap_scope_open(c);
  *box = neap_energy_any(c, n, list);
  return bind_finishenergy(L, s, box);
}

/* ---- formulas of numbers and a dimension ---- */

/* option name, a number that must be given when otherwise is NaN */
static double number (lua_State *L, const char *fname, const char *name, double otherwise) {
  double v = bind_optnumber(L, 1, fname, name, otherwise);
  bool missing = isnan(otherwise) && isnan(v);
  if (missing) luaL_error(L, "%s: option '%s' is missing", fname, name);
  return v;
}

enum { FORMULA_NUMBERS = 3 };
typedef neap_energy *(*formula_maker) (neap_context *c, const double *v, int64_t dim);

/* The options are numbers with their defaults, then dim; NAN: needed.  Where none is needed, no table is either. */
typedef struct formula {
  const char *name, *const *options;
  double defaults[FORMULA_NUMBERS];
  int64_t dim;
  formula_maker make;
} formula;

static int make_formula (lua_State *L, const formula *f) {
  double v[FORMULA_NUMBERS];
  int n = 0;
  if (lua_isnoneornil(L, 1) && !isnan(f->defaults[0])) { lua_settop(L, 0); lua_newtable(L); }
  energy_options(L, f->name, f->options);
  for (; strcmp(f->options[n], "dim") != 0; n++) v[n] = number(L, f->name, f->options[n], f->defaults[n]);
  int64_t dim = bind_optinteger(L, 1, f->name, "dim", f->dim);
  neap_context *c = bind_context(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  *box = f->make(c, v, dim);
  return bind_finishenergy(L, s, box);
}

#define FORMULA(name, ...) \
  static neap_energy *name##_of (neap_context *c, const double *v, int64_t dim) { \
    (void)v; \
    return neap_energy_##name(c, __VA_ARGS__); \
  }
FORMULA(double_well, v[0], dim)
FORMULA(funnel, dim)
FORMULA(rosenbrock, v[0], v[1], dim)
FORMULA(rastrigin, v[0], dim)
FORMULA(ackley, v[0], v[1], v[2], dim)
FORMULA(ring, v[0], v[1], dim)

static int make_double_well (lua_State *L) {
  static const char *const names[] = { "barrier", "dim", NULL };
  return make_formula(L, &(formula){ "double_well", names, { 1 }, 1, double_well_of });
}

static int make_funnel (lua_State *L) {
  static const char *const names[] = { "dim", NULL };
  return make_formula(L, &(formula){ "funnel", names, { 0 }, 10, funnel_of });
}

static int make_rosenbrock (lua_State *L) {
  static const char *const names[] = { "a", "b", "dim", NULL };
  return make_formula(L, &(formula){ "rosenbrock", names, { 1, 100 }, 2, rosenbrock_of });
}

static int make_rastrigin (lua_State *L) {
  static const char *const names[] = { "a", "dim", NULL };
  return make_formula(L, &(formula){ "rastrigin", names, { 10 }, 2, rastrigin_of });
}

static int make_ackley (lua_State *L) {
  static const char *const names[] = { "a", "b", "c", "dim", NULL };
  return make_formula(L, &(formula){ "ackley", names, { 20, .2, 2 * M_PI }, 2, ackley_of });
}

static int make_ring (lua_State *L) {
  static const char *const names[] = { "radius", "std", "dim", NULL };
  return make_formula(L, &(formula){ "ring", names, { NAN, NAN }, 2, ring_of });
}

static double pair_at (lua_State *L, const char *fname, const char *name, int i, double otherwise) {
  int type = bind_field(L, 1, name), ok = 1;
  if (type == LUA_TNIL) { lua_pop(L, 1); return otherwise; }
  if (type != LUA_TTABLE || lua_rawlen(L, -1) != 2) luaL_error(L, "%s: option '%s': two numbers expected", fname, name);
  lua_rawgeti(L, -1, i);
  double v = lua_tonumberx(L, -1, &ok);
  if (!ok) luaL_error(L, "%s: option '%s': number expected, got %s", fname, name, luaL_typename(L, -1));
  lua_pop(L, 2);
  return v;
}

static int make_banana (lua_State *L) {
  static const char *const names[] = { "b", "std", NULL };
  if (lua_isnoneornil(L, 1)) { lua_settop(L, 0); lua_newtable(L); }
  energy_options(L, "banana", names);
  neap_context *c = bind_context(L);
  double b = number(L, "banana", "b", 1);
  double s1 = pair_at(L, "banana", "std", 1, 1), s2 = pair_at(L, "banana", "std", 2, .5);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  *box = neap_energy_banana(c, b, s1, s2);
  return bind_finishenergy(L, s, box);
}

static int open_file (lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  neap_context *c = bind_context(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  *box = neap_energy_open(c, path);
  return bind_finishenergy(L, s, box);
}

void energy_add_makers (lua_State *L) {
  static const luaL_Reg makers[] = {
    { "gaussian", make_gaussian }, { "gmm", make_gmm }, { "mixture", make_mixture }, { "any", make_any },
    { "double_well", make_double_well }, { "funnel", make_funnel },
    { "banana", make_banana }, { "rosenbrock", make_rosenbrock }, { "rastrigin", make_rastrigin },
    { "ackley", make_ackley }, { "ring", make_ring }, { "exponential_family", energy_exponential_family },
    { "load", open_file }, { NULL, NULL }
  };
  luaL_setfuncs(L, makers, 0);
  energy_add_networks(L);
  energy_add_lattices(L);
}
