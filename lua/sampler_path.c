/*
** sampler_path.c -- neap.sampler.parallel_tempering{…} and smc{…}: samplers that drive another one, their kernel.
** Invariant: the runtime's sampler holds a reference to its kernel, so the kernel's box may go.
*/
#include "sampler.h"
#include <math.h>

static bool is_given (lua_State *L, const char *name) {
  bool given = bind_field(L, 1, name) != LUA_TNIL;
  lua_pop(L, 1);
  return given;
}

/* n temperatures from 1 to the hottest, in proportion, in a userdata on the stack */
static double *ladder (lua_State *L, const char *f, int *n) {
  double hottest = bind_optnumber(L, 1, f, "hottest", 100);
  int64_t count = bind_optinteger(L, 1, f, "n", 0);
  if (count < 2 || count > 10000) luaL_error(L, "%s: option 'n': 2 to 10000 expected, got %I", f, (LUAI_UACINT)count);
  if (!(hottest > 1) || isinf(hottest))
    luaL_error(L, "%s: option 'hottest': a number above 1 expected, got %f", f, hottest);
  double *T = lua_newuserdatauv(L, sizeof *T * (size_t)count, 0);
  for (int64_t i = 0; i < count; i++) T[i] = pow(hottest, (double)i / (double)(count - 1));
  *n = (int)count;
  return T;
}

int sampler_make_tempering (lua_State *L) {
  static const char *const names[] = { "temperatures", "n", "hottest", "kernel", "moves", NULL };
  static const char *const f = "sampler.parallel_tempering";
  bind_options(L, 1, f, names);
  int n = 0;
  neap_sampler *kernel = bind_needsampler(L, 1, f, "kernel");
  bool tune = is_given(L, "n");
  if (tune == is_given(L, "temperatures")) return luaL_error(L, "%s: one of 'temperatures' and 'n' expected", f);
  if (!tune && is_given(L, "hottest")) return luaL_error(L, "%s: option 'hottest' goes with 'n'", f);
  int64_t moves = bind_optinteger(L, 1, f, "moves", 1);
  double *T = tune ? ladder(L, f, &n) : bind_neednumbers(L, 1, f, "temperatures", &n);
  neap_context *c = bind_context(L);
  neap_sampler **box = bind_samplerbox(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_sampler_parallel_tempering(c, kernel, n, T, tune, moves);
  bind_close(L, sc);
  return 1;
}

int sampler_make_smc (lua_State *L) {
  static const char *const names[] = { "particles", "kernel", "ess", "moves", NULL };
  static const char *const f = "sampler.smc";
  bind_options(L, 1, f, names);
  neap_sampler *kernel = bind_needsampler(L, 1, f, "kernel");
  int64_t particles = bind_optinteger(L, 1, f, "particles", 1024), moves = bind_optinteger(L, 1, f, "moves", 10);
  double ess = bind_optnumber(L, 1, f, "ess", .5);
  neap_context *c = bind_context(L);
  neap_sampler **box = bind_samplerbox(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_sampler_smc(c, kernel, particles, ess, moves);
  bind_close(L, sc);
  return 1;
}
