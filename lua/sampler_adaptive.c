/*
** sampler_adaptive.c -- neap.sampler.mala, hmc and nuts: the makers of samplers that warm-up may adapt.
** Invariant: without a step_size warm-up adapts; with one it does only if target_accept or metric asks for it.
*/
#include "sampler.h"
#include <math.h>
#include <string.h>

typedef struct adaptive { double step_size, target; bool asked; neap_metric metric; } adaptive;

static neap_metric read_metric (lua_State *L, const char *f, bool *given) {
  static const char *const names[] = { "unit", "diag", "dense" };
  int type = bind_field(L, 1, "metric");
  const char *name = type == LUA_TSTRING ? lua_tostring(L, -1) : "";
  *given = type != LUA_TNIL;
  for (int i = 0; i < 3; i++) if (strcmp(name, names[i]) == 0) return (neap_metric)i;
  if (*given) luaL_error(L, "%s: option 'metric': \"unit\", \"diag\" or \"dense\" expected, got %s", f,
                         type == LUA_TSTRING ? lua_pushfstring(L, "\"%s\"", name) : luaL_typename(L, -1));
  return NEAP_METRIC_DIAG;
}

/* what the three have in common; leaves a value on the stack */
static adaptive read_adaptive (lua_State *L, const char *f) {
  adaptive a = { .step_size = bind_optnumber(L, 1, f, "step_size", NAN) };
  bool metric, target = bind_field(L, 1, "target_accept") != LUA_TNIL;
  lua_pop(L, 1);
  a.target = bind_optnumber(L, 1, f, "target_accept", 0);
  if (target && !(a.target > 0 && a.target < 1))
    luaL_error(L, "%s: option 'target_accept': a number between 0 and 1 expected, got %f", f, a.target);
  if (bind_field(L, 1, "step_size") != LUA_TNIL && isnan(a.step_size))
    luaL_error(L, "%s: option 'step_size': a positive number expected, got nan", f);
  a.metric = read_metric(L, f, &metric);
  a.asked = target || metric;
  return a;
}

typedef neap_sampler *(*adaptive_maker) (neap_context *c, double step_size, int64_t n);

/* names: the options; count: the one that is an integer, or NULL */
static int make (lua_State *L, const char *f, const char *const *names, const char *count, int64_t otherwise,
                 adaptive_maker maker) {
  bind_options(L, 1, f, names);
  adaptive a = read_adaptive(L, f);
  int64_t n = count ? bind_optinteger(L, 1, f, count, otherwise) : 0;
  neap_context *c = bind_context(L);
  neap_sampler **box = bind_samplerbox(L);
  neap_scope sc = neap_scope_open(c);
  *box = maker(c, a.step_size, n);
  if (*box && a.asked) neap_sampler_adapt(c, *box, a.target, a.metric);
  bind_close(L, sc);
  return 1;
}

static neap_sampler *mala (neap_context *c, double step_size, int64_t n) {
  (void)n;
  return neap_sampler_mala(c, step_size);
}

static neap_sampler *nuts (neap_context *c, double step_size, int64_t n) {
  return neap_sampler_nuts(c, step_size, n < 1 ? 0 : n > 1000 ? 1000 : (int)n);
}

int sampler_make_mala (lua_State *L) {
  static const char *const names[] = { "step_size", "target_accept", "metric", NULL };
  return make(L, "sampler.mala", names, NULL, 0, mala);
}

int sampler_make_hmc (lua_State *L) {
  static const char *const names[] = { "step_size", "leapfrog_steps", "target_accept", "metric", NULL };
  return make(L, "sampler.hmc", names, "leapfrog_steps", 10, neap_sampler_hmc);
}

int sampler_make_nuts (lua_State *L) {
  static const char *const names[] = { "step_size", "max_depth", "target_accept", "metric", NULL };
  return make(L, "sampler.nuts", names, "max_depth", 10, nuts);
}
