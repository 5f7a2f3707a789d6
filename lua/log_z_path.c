/*
** log_z_path.c -- E:log_z{method = "ais" | "reverse_ais" | "smc"}: estimates along a path, with their errors.
** Invariant: options are read, and may raise, before anything is owned; tensors are lent once the scope is open.
*/
#include "energy.h"
#include "sampler.h"
#include <math.h>
#include <string.h>

typedef struct path_args {
  neap_log_z_config cfg;
  int base, init;                          /* stack indices of values that become tensors; 0: none */
  const char *fname;
} path_args;

static bool is_smc (const char *method) { return strcmp(method, "smc") == 0; }

static void check_names (lua_State *L, const char *fname, const char *method) {
  static const char *const ais[] = { "method", "sampler", "base", "chains", "temperatures", "steps", "seed", "rng",
                                     NULL };
  static const char *const reverse[] = { "method", "sampler", "base", "chains", "temperatures", "steps", "seed", "rng",
                                         "init", "exact", "warmup", NULL };
  static const char *const smc[] = { "method", "sampler", "base", "particles", "ess", "steps", "seed", "rng", NULL };
  bind_options(L, 2, fname, is_smc(method) ? smc : strcmp(method, "ais") == 0 ? ais : reverse);
}

/* how many, or inverse temperatures from 0 to 1 */
static void read_temperatures (lua_State *L, path_args *a) {
  int n = 0, type = bind_field(L, 2, "temperatures");
  lua_pop(L, 1);
  if (type == LUA_TNIL) return;
  if (type == LUA_TNUMBER) { a->cfg.temperatures = bind_optpositive(L, 2, a->fname, "temperatures", 0); return; }
  a->cfg.betas = bind_neednumbers(L, 2, a->fname, "temperatures", &n);
  a->cfg.temperatures = n;
}

static void read_sampler (lua_State *L, path_args *a) {
  if (bind_field(L, 2, "sampler") != LUA_TNIL) a->cfg.kernel = bind_needsampler(L, 2, a->fname, "sampler");
}

/* an energy; of an rbm biases [visible] or data [n, visible]; of smc a law. Leaves it on the stack */
static void read_base (lua_State *L, path_args *a, bool law) {
  int type = bind_field(L, 2, "base"), at = lua_gettop(L);
  bool named = type == LUA_TSTRING;
  if (type == LUA_TNIL || (a->cfg.base = bind_toenergy(L, at))) return;
  if (type == LUA_TTABLE) {
    named = lua_rawgeti(L, at, 1) == LUA_TSTRING;
    lua_pop(L, 1);
  }
  if (law && named) a->cfg.law = bind_start(L, at, a->fname, "");
  else if (!named && (bind_totensor(L, at) || type == LUA_TTABLE)) a->base = at;
  else luaL_error(L, "%s: option 'base': an energy that can be sampled, or an rbm's biases or data, expected, got %s",
                  a->fname, luaL_typename(L, at));
}

/* pushes the run's stream */
static void read_rng (lua_State *L, path_args *a) {
  neap_context *c = bind_context(L);
  neap_rng **box = bind_rngbox(L);
  bool seeded = bind_field(L, 2, "seed") != LUA_TNIL;
  int64_t seed = bind_optinteger(L, 2, a->fname, "seed", 0);
  bind_field(L, 2, "rng");
  neap_rng *given = bind_optrng(L, lua_gettop(L));
  neap_scope sc = neap_scope_open(c);
  *box = seeded ? neap_rng_new(c, (uint64_t)seed) : neap_rng_keep(given);
  bind_close(L, sc);
  a->cfg.rng = *box;
}

static void read_args (lua_State *L, path_args *a, bool smc) {
  read_temperatures(L, a);
  read_sampler(L, a);
  read_base(L, a, smc);
  a->cfg.chains = bind_optpositive(L, 2, a->fname, smc ? "particles" : "chains", 0);
  a->cfg.moves = bind_optpositive(L, 2, a->fname, "steps", 0);
  a->cfg.ess = bind_optnumber(L, 2, a->fname, "ess", 0);
  a->cfg.burn = bind_optinteger(L, 2, a->fname, "warmup", 100);
  a->cfg.exact = bind_optboolean(L, 2, a->fname, "exact", false);
  if (bind_field(L, 2, "init") != LUA_TNIL) a->init = lua_gettop(L);
  read_rng(L, a);
}

/* data [n, V] -> the biases of independent units whose means are those of data, one more of each value counted */
static neap_tensor *data_biases (neap_context *c, neap_tensor *x) {
  double n = (double)x->shape[0];
  neap_tensor *ones = neap_sum(c, neap_cast(c, x, NEAP_FLOAT64), 1, (int64_t[]){ 1 }, false);
  neap_tensor *one = neap_scalar(c, NEAP_FLOAT64, 1), *all = neap_scalar(c, NEAP_FLOAT64, n + 1);
  return neap_log(c, neap_div(c, neap_add(c, ones, one), neap_sub(c, all, ones)));
}

static bool lend (lua_State *L, neap_context *c, path_args *a) {
  if (a->base && !(a->cfg.bias = bind_lendtensor(L, a->base))) return false;
  if (a->base && neap_ndim(a->cfg.bias) == 2 && !(a->cfg.bias = data_biases(c, a->cfg.bias))) return false;
  return !a->init || (a->cfg.x = bind_lendtensor(L, a->init)) != NULL;
}

static void set_number (lua_State *L, const char *name, double v) {
  lua_pushnumber(L, v);
  lua_setfield(L, -2, name);
}

static int push_result (lua_State *L, const neap_log_z_info *f, const char *method) {
  lua_pushnumber(L, f->log_z);
  lua_createtable(L, 0, 9);
  lua_pushstring(L, method);
  lua_setfield(L, -2, "method");
  set_number(L, "stderr", f->error);
  if (!is_smc(method)) set_number(L, "ess", f->ess);
  set_number(L, "seconds", f->seconds);
  lua_pushinteger(L, (lua_Integer)f->chains);
  lua_setfield(L, -2, is_smc(method) ? "particles" : "chains");
  lua_pushinteger(L, (lua_Integer)f->temperatures);
  lua_setfield(L, -2, "temperatures");
  lua_pushstring(L, f->starts);
  lua_setfield(L, -2, "starts");
  energy_set_interval(L, f->lower, f->upper);
  return 2;
}

int energy_log_z_path (lua_State *L, neap_energy *E, const char *method) {
  path_args a = { .fname = "log_z" };
  neap_log_z_info info = { 0 };
  neap_context *c = bind_context(L);
  check_names(L, a.fname, method);
  read_args(L, &a, is_smc(method));
  neap_scope sc = neap_scope_open(c);
  bool ok = lend(L, c, &a);
  if (ok && is_smc(method)) neap_energy_log_z_smc(c, E, &a.cfg, &info);
  else if (ok) neap_energy_log_z_ais(c, E, strcmp(method, "ais") != 0, &a.cfg, &info);
  bind_close(L, sc);
  return push_result(L, &info, method);
}
