/*
** loss_make.c -- neap.loss: the makers.
** Invariant: Lua functions that a loss calls are in the registry as long as it lives.
*/
#include "loss.h"
#include <stdlib.h>
#include <string.h>

/* ---- with samplers ---- */

static int64_t steps (lua_State *L, const char *fname) { return bind_optpositive(L, 1, fname, "steps", 1); }

static neap_start start (lua_State *L, const char *fname) {
  bind_field(L, 1, "init");
  neap_start s = bind_start(L, -1, fname, ", \"data\"");
  lua_pop(L, 1);
  return s;
}

/* option name of the table at 1, a string, which stays on the stack; NULL when it is not given */
static const char *text_field (lua_State *L, const char *fname, const char *name) {
  int type = bind_field(L, 1, name);
  if (type != LUA_TNIL && type != LUA_TSTRING)
    luaL_error(L, "%s: option '%s': a string expected, got %s", fname, name, luaL_typename(L, -1));
  return type == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
}

/* closes sc, raises what is pending, returns the box on top */
static int made (lua_State *L, neap_scope sc) {
  bind_close(L, sc);
  return 1;
}

static int make_cd (lua_State *L) {
  static const char *const names[] = { "sampler", "steps", "init", "reg", NULL };
  static const char *const f = "loss.cd";
  bind_options(L, 1, f, names);
  neap_cd_config cfg = { bind_needsampler(L, 1, f, "sampler"), steps(L, f), start(L, f),
                         bind_optnumber(L, 1, f, "reg", 0) };
  neap_context *c = bind_context(L);
  neap_loss **box = loss_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_cd(c, &cfg);
  return made(L, sc);
}

/* what pcd and jem take; the sampler stays on the stack */
static neap_pcd_config pcd_config (lua_State *L, const char *f) {
  return (neap_pcd_config){ bind_needsampler(L, 1, f, "sampler"), steps(L, f), bind_optpositive(L, 1, f, "buffer", 0),
                            start(L, f), bind_optnumber(L, 1, f, "reinit", 0), bind_optnumber(L, 1, f, "reg", 0) };
}

static int make_pcd (lua_State *L) {
  static const char *const names[] = { "sampler", "steps", "buffer", "init", "reinit", "reg", NULL };
  static const char *const f = "loss.pcd";
  bind_options(L, 1, f, names);
  neap_pcd_config cfg = pcd_config(L, f);
  neap_context *c = bind_context(L);
  neap_loss **box = loss_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_pcd(c, &cfg);
  return made(L, sc);
}

static int make_jem (lua_State *L) {
  static const char *const names[] = { "sampler", "steps", "buffer", "init", "reinit", "reg", "weight", NULL };
  static const char *const f = "loss.jem";
  bind_options(L, 1, f, names);
  neap_pcd_config cfg = pcd_config(L, f);
  double weight = bind_optnumber(L, 1, f, "weight", 1);
  neap_context *c = bind_context(L);
  neap_loss **box = loss_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_jem(c, &cfg, weight);
  return made(L, sc);
}

/* option conditional of losses at noise levels: 1, 0, or -1 when it is not given */
static int conditional (lua_State *L, const char *fname) {
  if (bind_field(L, 1, "conditional") == LUA_TNIL) return -1;
  return bind_optboolean(L, 1, fname, "conditional", false);
}

static int make_diffusion_recovery (lua_State *L) {
  static const char *const names[] = { "sigmas", "sampler", "steps", "init", "conditional", "reg", NULL };
  static const char *const f = "loss.diffusion_recovery";
  bind_options(L, 1, f, names);
  neap_recovery_config cfg = { .conditional = conditional(L, f), .reg = bind_optnumber(L, 1, f, "reg", 0) };
  if (bind_field(L, 1, "sampler") != LUA_TNIL) cfg.sampler = bind_needsampler(L, 1, f, "sampler");
  cfg.steps = bind_optpositive(L, 1, f, "steps", 0);
  cfg.start = start(L, f);
  cfg.sigmas = bind_neednumbers(L, 1, f, "sigmas", &cfg.n);
  neap_context *c = bind_context(L);
  neap_loss **box = loss_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_diffusion_recovery(c, &cfg);
  return made(L, sc);
}

/* a loss that has no options */
static int make_plain (lua_State *L, const char *fname, neap_loss *(*make) (neap_context *c)) {
  static const char *const names[] = { NULL };
  bind_options(L, 1, fname, names);
  neap_context *c = bind_context(L);
  neap_loss **box = loss_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = make(c);
  return made(L, sc);
}

static int make_score_matching (lua_State *L) {
  return make_plain(L, "loss.score_matching", neap_loss_score_matching);
}

static int make_mle (lua_State *L) { return make_plain(L, "loss.mle", neap_loss_mle); }

static int make_ssm (lua_State *L) {
  static const char *const names[] = { "projections", "variant", NULL };
  bind_options(L, 1, "loss.ssm", names);
  int64_t projections = bind_optinteger(L, 1, "loss.ssm", "projections", 1);
  const char *variant = text_field(L, "loss.ssm", "variant");
  neap_context *c = bind_context(L);
  neap_loss **box = loss_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_ssm(c, projections, variant);
  return made(L, sc);
}

static int make_fd_ssm (lua_State *L) {
  static const char *const names[] = { "eps", NULL };
  bind_options(L, 1, "loss.fd_ssm", names);
  double eps = bind_optnumber(L, 1, "loss.fd_ssm", "eps", .1);
  neap_context *c = bind_context(L);
  neap_loss **box = loss_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_fd_ssm(c, eps);
  return made(L, sc);
}

/* closes sc, raises what is pending, returns the box on top: a denoising loss with its option antithetic */
static int made_denoising (lua_State *L, neap_context *c, neap_scope sc, neap_loss *l, bool antithetic) {
  if (antithetic) neap_loss_antithetic(c, l, true);
  return made(L, sc);
}

static int make_dsm (lua_State *L) {
  static const char *const names[] = { "sigma", "antithetic", NULL };
  bind_options(L, 1, "loss.dsm", names);
  double sigma = bind_neednumber(L, 1, "loss.dsm", "sigma");
  bool antithetic = bind_optboolean(L, 1, "loss.dsm", "antithetic", false);
  neap_context *c = bind_context(L);
  neap_loss **box = loss_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_dsm(c, sigma);
  return made_denoising(L, c, sc, *box, antithetic);
}

static int make_energy_discrepancy (lua_State *L) {
  static const char *const names[] = { "t", "samples", "w", NULL };
  static const char *const f = "loss.energy_discrepancy";
  bind_options(L, 1, f, names);
  double t = bind_optnumber(L, 1, f, "t", .25), w = bind_optnumber(L, 1, f, "w", 1);
  int64_t samples = bind_optinteger(L, 1, f, "samples", 4);
  neap_context *c = bind_context(L);
  neap_loss **box = loss_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_energy_discrepancy(c, t, samples, w);
  return made(L, sc);
}

static int make_multi_dsm (lua_State *L) {
  static const char *const names[] = { "sigmas", "conditional", "antithetic", NULL };
  bind_options(L, 1, "loss.multi_dsm", names);
  bool antithetic = bind_optboolean(L, 1, "loss.multi_dsm", "antithetic", false);
  neap_context *c = bind_context(L);
  int n = 0, takes = conditional(L, "loss.multi_dsm");
  double *sigmas = bind_neednumbers(L, 1, "loss.multi_dsm", "sigmas", &n);
  neap_loss **box = loss_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_multi_dsm(c, n, sigmas, takes);
  return made_denoising(L, c, sc, *box, antithetic);
}

/* ---- on conditionals of units ---- */

static neap_units units_field (lua_State *L, const char *fname) {
  const char *text = text_field(L, fname, "units");
  if (!text) return NEAP_UNITS_OPEN;
  if (strcmp(text, "bits") == 0) return NEAP_UNITS_BITS;
  if (strcmp(text, "spins") != 0)
    luaL_error(L, "%s: option 'units': \"bits\" or \"spins\" expected, got \"%s\"", fname, text);
  return NEAP_UNITS_SPINS;
}

static int make_pseudo_likelihood (lua_State *L) {
  static const char *const names[] = { "units", "states", "linear", NULL };
  static const char *const f = "loss.pseudo_likelihood";
  bind_options(L, 1, f, names);
  neap_units units = units_field(L, f);
  if (bind_field(L, 1, "states") != LUA_TNIL && bind_optinteger(L, 1, f, "states", 0) == 0)
    return luaL_error(L, "%s: option 'states': an integer from 2 up expected, got 0", f);
  int64_t states = bind_optinteger(L, 1, f, "states", 0);
  bool linear = bind_optboolean(L, 1, f, "linear", false);
  neap_context *c = bind_context(L);
  neap_loss **box = loss_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_pseudo_likelihood(c, units, states, linear);
  return made(L, sc);
}

static int make_ratio_matching (lua_State *L) {
  static const char *const names[] = { "units", "linear", NULL };
  bind_options(L, 1, "loss.ratio_matching", names);
  neap_units units = units_field(L, "loss.ratio_matching");
  bool linear = bind_optboolean(L, 1, "loss.ratio_matching", "linear", false);
  neap_context *c = bind_context(L);
  neap_loss **box = loss_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_ratio_matching(c, units, linear);
  return made(L, sc);
}

/* ---- losses that call Lua functions ---- */

typedef struct lua_functions { lua_State *main; int f, sample; } lua_functions;

/* one call for the protected half; out is owned by whoever called */
typedef struct tensor_call { int ref; neap_rng *rng; int64_t n; neap_tensor *x, *out; const char *what; } tensor_call;

static int take_tensor (lua_State *L, tensor_call *a) {
  neap_tensor *t = bind_totensor(L, -1);
  if (!t) return luaL_error(L, "%s: a tensor expected, got %s", a->what, luaL_typename(L, -1));
  a->out = neap_keep(t);
  return 0;
}

static int call_f (lua_State *L) {
  tensor_call *a = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, a->ref);
  bind_pushtensor(L, a->x);
  lua_call(L, 1, 1);
  return take_tensor(L, a);
}

static int call_sample (lua_State *L) {
  tensor_call *a = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, a->ref);
  lua_pushinteger(L, (lua_Integer)a->n);
  bind_pushrng(L, a->rng);
  lua_call(L, 2, 1);
  return take_tensor(L, a);
}

static neap_tensor *run_call (neap_context *c, lua_CFunction f, tensor_call *a) {
  bool ok = bind_protected(c, f, a);
  neap_tensor *t = neap_lend(c, a->out);
  return ok ? t : NULL;
}

static neap_tensor *eval_f (neap_context *c, void *arg, neap_tensor *x) {
  tensor_call a = { .ref = ((lua_functions *)arg)->f, .x = x, .what = "loss: the given function's result" };
  return run_call(c, call_f, &a);
}

static neap_tensor *eval_sample (neap_context *c, void *arg, neap_rng *rng, neap_tensor *x, int64_t n) {
  tensor_call a = { .ref = ((lua_functions *)arg)->sample, .rng = rng, .n = n, .x = x,
                    .what = "loss.nce: noise.sample's result" };
  return run_call(c, call_sample, &a);
}

static void free_functions (void *arg) {
  lua_functions *k = arg;
  luaL_unref(k->main, LUA_REGISTRYINDEX, k->f);
  luaL_unref(k->main, LUA_REGISTRYINDEX, k->sample);
  free(k);
}

/* No functions yet; the loss owns it as soon as its maker is called. */
static lua_functions *new_functions (lua_State *L, const char *fname) {
  lua_functions *k = malloc(sizeof *k);
  if (!k) luaL_error(L, "%s: not enough memory", fname);
  else *k = (lua_functions){ bind_mainthread(L), LUA_NOREF, LUA_NOREF };
  return k;
}

/* table[name] is callable; raises otherwise */
static void check_callable (lua_State *L, int table, const char *fname, const char *name) {
  int type = bind_field(L, table, name);
  if (type != LUA_TFUNCTION && !luaL_getmetafield(L, -1, "__call"))
    luaL_error(L, "%s: option '%s': function expected, got %s", fname, name, luaL_typename(L, -1));
  lua_settop(L, table);
}

static int make_fisher (lua_State *L) {
  static const char *const names[] = { "log_prob", "score", NULL };
  static const char *const f = "loss.fisher";
  bind_options(L, 1, f, names);
  lua_settop(L, 1);
  bool is_log_prob = bind_field(L, 1, "log_prob") != LUA_TNIL, is_score = bind_field(L, 1, "score") != LUA_TNIL;
  if (is_log_prob == is_score) return luaL_error(L, "%s: one of the options 'log_prob' and 'score' expected", f);
  const char *name = is_log_prob ? "log_prob" : "score";
  check_callable(L, 1, f, name);
  neap_context *c = bind_context(L);
  neap_loss **box = loss_box(L);
  lua_functions *k = new_functions(L, f);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_fisher(c, eval_f, is_log_prob, k, free_functions);
  bind_close(L, sc);
  bind_field(L, 1, name);
  k->f = luaL_ref(L, LUA_REGISTRYINDEX);
  return 1;
}

/* noise at 2: {sample = function(n, rng), log_prob = function(x)} */
static int make_nce_of_functions (lua_State *L, neap_context *c, neap_nce_config *cfg) {
  static const char *const names[] = { "sample", "log_prob", NULL };
  if (!lua_istable(L, 2))
    return luaL_error(L, "loss.nce: option 'noise': an energy or {sample = , log_prob = } expected, got %s",
                      luaL_typename(L, 2));
  bind_options(L, 2, "loss.nce: noise", names);
  check_callable(L, 2, "loss.nce: noise", "sample");
  check_callable(L, 2, "loss.nce: noise", "log_prob");
  neap_loss **box = loss_box(L);
  lua_functions *k = new_functions(L, "loss.nce");
  cfg->sample = eval_sample;
  cfg->log_prob = eval_f;
  cfg->arg = k;
  cfg->release = free_functions;
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_nce(c, cfg);
  bind_close(L, sc);
  lua_getfield(L, 2, "log_prob");
  k->f = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_getfield(L, 2, "sample");
  k->sample = luaL_ref(L, LUA_REGISTRYINDEX);
  return 1;
}

static int make_nce (lua_State *L) {
  static const char *const names[] = { "noise", "ratio", NULL };
  bind_options(L, 1, "loss.nce", names);
  lua_settop(L, 1);
  neap_nce_config cfg = { .ratio = bind_optpositive(L, 1, "loss.nce", "ratio", 1) };
  bind_field(L, 1, "noise");
  neap_context *c = bind_context(L);
  if (!(cfg.noise = bind_toenergy(L, 2))) return make_nce_of_functions(L, c, &cfg);
  neap_loss **box = loss_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_nce(c, &cfg);
  return made(L, sc);
}

static int make_flow_contrastive (lua_State *L) {
  static const char *const names[] = { "flow", NULL };
  bind_options(L, 1, "loss.flow_contrastive", names);
  bind_field(L, 1, "flow");
  neap_energy *flow = bind_toenergy(L, -1);
  if (!flow)
    return luaL_error(L, "loss.flow_contrastive: option 'flow': an energy expected, got %s", luaL_typename(L, -1));
  neap_context *c = bind_context(L);
  neap_loss **box = loss_box(L);
  neap_scope sc = neap_scope_open(c);
  *box = neap_loss_flow_contrastive(c, flow);
  return made(L, sc);
}

/* ---- the table ---- */

static const luaL_Reg makers[] = {
  { "cd", make_cd }, { "pcd", make_pcd }, { "score_matching", make_score_matching }, { "ssm", make_ssm },
  { "fd_ssm", make_fd_ssm }, { "dsm", make_dsm },
  { "multi_dsm", make_multi_dsm }, { "fisher", make_fisher }, { "nce", make_nce },
  { "pseudo_likelihood", make_pseudo_likelihood }, { "ratio_matching", make_ratio_matching },
  { "energy_discrepancy", make_energy_discrepancy }, { "mle", make_mle },
  { "flow_contrastive", make_flow_contrastive }, { "jem", make_jem },
  { "diffusion_recovery", make_diffusion_recovery }, { NULL, NULL }
};

void loss_add_makers (lua_State *L) { luaL_newlib(L, makers); }
