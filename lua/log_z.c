/*
** log_z.c -- E:log_z{…}: log Z in closed form, by all states, over a grid; along a path it is log_z_path.c's.
** Invariant: each method knows its own options only.
*/
#include "energy.h"
#include <math.h>

/* option name at 2: a number for all dimensions, or a table of one per dimension; returns their number (0: a number) */
static int read_bounds (lua_State *L, const char *name, double v[3]) {
  int type = bind_field(L, 2, name), ok = 1, n = 0;
  if (type == LUA_TNUMBER) v[0] = v[1] = v[2] = lua_tonumber(L, -1);
  else if (type != LUA_TTABLE)
    return luaL_error(L, "log_z: option '%s': a number or a table of numbers expected, got %s", name,
                      luaL_typename(L, -1));
  else if ((n = (int)lua_rawlen(L, -1)) < 1 || n > 3)
    return luaL_error(L, "log_z: option '%s': 1 to 3 numbers expected, got %d", name, n);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, -1, i + 1);
    v[i] = lua_tonumberx(L, -1, &ok);
    if (!ok) return luaL_error(L, "log_z: option '%s': number expected, got %s", name, luaL_typename(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return n;
}

static int grid_dims (lua_State *L, const neap_energy *E, int nlower, int nupper) {
  int64_t event[NEAP_MAX_DIMS], n = 1;
  int ndim = neap_energy_event(E, event);
  if (nlower && nupper && nlower != nupper)
    return luaL_error(L, "log_z: lower has %d numbers, upper %d", nlower, nupper);
  if (nlower || nupper) return nlower ? nlower : nupper;
  if (ndim < 0) return luaL_error(L, "log_z: the event's shape is not known; give lower and upper as tables");
  for (int i = 0; i < ndim; i++) n *= event[i];
  return n > 3 ? 4 : (int)n;
}

static void quadrature (lua_State *L, neap_energy *E, double *log_z, double *error) {
  double lower[3], upper[3];
  int nlower = read_bounds(L, "lower", lower), nupper = read_bounds(L, "upper", upper);
  int n = grid_dims(L, E, nlower, nupper);
  int64_t points = bind_optinteger(L, 2, "log_z", "points", n == 1 ? 2001 : n == 2 ? 401 : 101);
  neap_context *c = bind_context(L);
  neap_scope s = neap_scope_open(c);
  neap_energy_log_z_quadrature(c, E, n, lower, upper, points, log_z, error);
  bind_close(L, s);
}

static void enumerate (lua_State *L, neap_energy *E, double *log_z) {
  double v[3];
  bool given = bind_field(L, 2, "values") != LUA_TNIL;
  if (given && read_bounds(L, "values", v) != 2)
    luaL_error(L, "log_z: option 'values': the two values of a unit expected, {0, 1}");
  lua_pop(L, 1);
  neap_context *c = bind_context(L);
  neap_scope s = neap_scope_open(c);
  if (given) neap_energy_log_z_enumerate(c, E, v[0], v[1], log_z);
  else neap_energy_log_z_states(c, E, log_z);
  bind_close(L, s);
}

static void closed_form (lua_State *L, neap_energy *E, double *log_z) {
  neap_context *c = bind_context(L);
  neap_scope s = neap_scope_open(c);
  neap_mode mode = neap_no_grad(c);
  neap_tensor *t = neap_energy_log_z(c, E);
  if (t) neap_item(c, t, log_z);
  neap_mode_restore(c, mode);
  bind_close(L, s);
}

void energy_set_interval (lua_State *L, double lower, double upper) {
  lua_createtable(L, 2, 0);
  lua_pushnumber(L, lower);
  lua_rawseti(L, -2, 1);
  lua_pushnumber(L, upper);
  lua_rawseti(L, -2, 2);
  lua_setfield(L, -2, "interval");
}

/* pushes {method, error, stderr, interval}: what is known of the error bounds it, nothing here is random */
static void push_log_z_info (lua_State *L, const char *method, double log_z, double error) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, method);
  lua_setfield(L, -2, "method");
  lua_pushnumber(L, error);
  lua_setfield(L, -2, "error");
  lua_pushnumber(L, 0);
  lua_setfield(L, -2, "stderr");
  energy_set_interval(L, log_z - error, log_z + error);
}

enum { EXACT, ENUMERATE, QUADRATURE, KNOWN };          /* the first of methods; the others go along a path */
static const char *const methods[] = { "exact", "enumerate", "quadrature", "ais", "reverse_ais", "smc", NULL };

static int known (lua_State *L, neap_energy *E, int method) {
  static const char *const names[KNOWN][5] = { { "method", NULL }, { "method", "values", NULL },
                                               { "method", "lower", "upper", "points", NULL } };
  double log_z = NAN, error = 0;
  bind_options(L, 2, "log_z", names[method]);
  if (method == QUADRATURE) quadrature(L, E, &log_z, &error);
  else if (method == ENUMERATE || neap_energy_is_rbm(E)) enumerate(L, E, &log_z);
  else closed_form(L, E, &log_z);
  lua_pushnumber(L, log_z);
  push_log_z_info(L, methods[method], log_z, error);
  return 2;
}

/* E:log_z{method=} -> estimate, info.  An RBM's exact value is an enumeration. */
int energy_log_z (lua_State *L) {
  neap_energy *E = bind_checkenergy(L, 1);
  lua_settop(L, 2);
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TTABLE);
  int method = energy_method_option(L, 2, "log_z", methods);
  return method < KNOWN ? known(L, E, method) : energy_log_z_path(L, E, methods[method]);
}
