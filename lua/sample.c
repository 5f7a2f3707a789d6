/*
** sample.c -- s:sample(E, {…}) -> draws, info, with progress on a terminal.
** Invariant: an interrupted run raises, as Ctrl-C should; what it had is kept by the sampler for s:partial().
** info computes ess, rhat and verdict when they are first asked for, in stdlib's neap.verdict.
*/
#include "sampler.h"
#include "clock.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INFO "neap.info"

/* ---- progress ---- */

typedef struct progress {
  neap_context *c;
  neap_sampler *s;
  const neap_sample_info *info;              /* what there is so far */
  int function;                              /* stack index of the user's; 0: a line on stderr */
  double started, said, patience;            /* seconds; patience: how long to stay silent */
  double judge_at;                           /* when the draws so far are judged anew */
  char so_far[200];                          /* what was said of them last */
  bool shown;
  int64_t done, total;
} progress;

/* the tensors that a run gives, in boxes beside each other */
enum { DRAWS, ENERGY, SCALE, TEMPERATURES, SWAP_RATES, TENSORS };
static const char *const tensor_names[TENSORS] = { "draws", "energy", "scale", "temperatures", "swap_rates" };

/* pushes empty ones; where the first is */
static int push_boxes (lua_State *L, neap_tensor **box[TENSORS]) {
  for (int i = 0; i < TENSORS; i++) box[i] = bind_box(L);
  return lua_gettop(L) - TENSORS + 1;
}

static neap_tensor *rows (neap_context *c, neap_tensor *t, int64_t n) { return neap_slice(c, t, 1, 1, n, 1); }
static void push_info (lua_State *L, neap_sampler *s, const neap_sample_info *f, int at);

static void push_verdict (lua_State *L, const char *name) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "neap.verdict");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

/* pushes an info of the draws so far, but for the last, whose energy may be missing; the run's energy is at 2 */
static void push_so_far (lua_State *L, const progress *p) {
  int64_t n = p->info->kept > 0 ? p->info->kept - 1 : 0;
  neap_tensor **box[TENSORS];                /* the scale is not known before the end */
  int at = push_boxes(L, box);
  neap_scope sc = neap_scope_open(p->c);
  *box[DRAWS] = neap_keep(rows(p->c, p->info->draws, n));
  *box[ENERGY] = neap_keep(rows(p->c, p->info->energy, n));
  if (p->info->temperatures) *box[TEMPERATURES] = neap_keep(neap_clone(p->c, p->info->temperatures));
  if (p->info->swap_rates) *box[SWAP_RATES] = neap_keep(neap_clone(p->c, p->info->swap_rates));
  bind_close(L, sc);
  push_info(L, p->s, p->info, at);
  lua_replace(L, at);
  lua_settop(L, at);
}

/* (progress, E, f): f(done, total, info) */
static int call_function (lua_State *L) {
  progress *p = lua_touserdata(L, 1);
  lua_pushinteger(L, p->done);
  lua_pushinteger(L, p->total);
  push_so_far(L, p);
  lua_call(L, 3, 0);
  return 0;
}

/* (progress, E): what is to be said of the draws so far */
static int call_so_far (lua_State *L) {
  progress *p = lua_touserdata(L, 1);
  push_verdict(L, "so_far");
  push_so_far(L, p);
  lua_call(L, 1, 1);
  const char *text = lua_tostring(L, -1);
  snprintf(p->so_far, sizeof p->so_far, "%s%s", *text ? ", " : "", text);
  return 0;
}

static bool tell_lua (progress *p, lua_CFunction f) {
  lua_State *L = bind_running(p->c);
  if (!lua_checkstack(L, 12)) return neap_fail(p->c, NEAP_EMEMORY, "not enough memory: Lua's stack");
  lua_pushcfunction(L, f);
  lua_pushlightuserdata(L, p);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, p->function ? p->function : 2);
  return bind_call(L, 3, 0);
}

/* Judging takes a tenth of the time at most. */
static bool judge (progress *p, double t) {
  if (t < p->judge_at || p->info->kept < 5) return true;
  if (!tell_lua(p, call_so_far)) return false;
  double after = clock_now();
  p->judge_at = after + 9 * (after - t);
  return true;
}

static bool tell_terminal (progress *p, double t) {
  double left = (t - p->started) / (double)p->done * (double)(p->total - p->done);
  if (!judge(p, t)) return false;
  fprintf(stderr, "\r%s: %lld of %lld steps, %.0f s left", neap_sampler_name(p->s), (long long)p->done,
          (long long)p->total, left);
  if (!isnan(p->info->accept_rate)) fprintf(stderr, ", accept rate %.3f", p->info->accept_rate);
  if (p->info->divergences) fprintf(stderr, ", %lld divergences", (long long)p->info->divergences);
  fprintf(stderr, "%s \033[K", p->so_far);
  fflush(stderr);
  p->shown = true;
  return true;
}

/* at most ten times a second */
static bool tell (void *arg, int64_t done, int64_t total) {
  progress *p = arg;
  double t = clock_now();
  p->done = done;
  p->total = total;
  if (t - p->started < p->patience || (t - p->said < .1 && (done < total || !p->function))) return true;
  p->said = t;
  return p->function ? tell_lua(p, call_function) : tell_terminal(p, t);
}

/* progress = nil: on a terminal, after 2 s; false: never; true: at once; function(done, total, info) */
static void read_progress (lua_State *L, progress *p, neap_sample_config *cfg) {
  int type = bind_field(L, 3, "progress");
  p->started = clock_now();
  p->patience = type == LUA_TNIL ? 2 : 0;
  if (type == LUA_TFUNCTION) p->function = lua_gettop(L);
  else if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    luaL_error(L, "sample: option 'progress': boolean or function expected, got %s", luaL_typename(L, -1));
  if (type == LUA_TNIL ? !isatty(2) : !lua_toboolean(L, -1)) return;   /* the value stays on the stack */
  cfg->watches = p->function == 0;
  cfg->progress = tell;
  cfg->progress_arg = p;
}

/* The line that a watched run leaves: its info, at the top of the stack, in words. */
static void tell_end (lua_State *L) {
  push_verdict(L, "at_end");
  lua_pushvalue(L, -2);
  lua_call(L, 1, 1);
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_pop(L, 1);
}

/* ---- options ---- */

typedef struct sample_args {
  neap_sample_config cfg;
  neap_dtype dtype;
  int init, condition;                       /* stack indices of values that become tensors; 0: none */
} sample_args;

static void read_numbers (lua_State *L, sample_args *a) {
  a->cfg.steps = bind_optpositive(L, 3, "sample", "steps", 0);
  a->cfg.thin = bind_optpositive(L, 3, "sample", "thin", 1);
  a->cfg.chains = bind_optpositive(L, 3, "sample", "chains", 0);
  a->cfg.warmup = bind_optinteger(L, 3, "sample", "warmup", 0);
  int d = bind_optdtype(L, 3, "sample", "dtype", -1);
  if (d < 0) return;
  a->dtype = (neap_dtype)d;
  a->cfg.dtype = &a->dtype;
}

/* pushes the run's stream: its own when seeded */
static void read_rng (lua_State *L, neap_context *c, sample_args *a) {
  neap_rng **box = bind_rngbox(L);
  bool seeded = bind_field(L, 3, "seed") != LUA_TNIL;
  lua_pop(L, 1);
  int64_t seed = bind_optinteger(L, 3, "sample", "seed", 0);
  neap_scope sc = neap_scope_open(c);
  *box = seeded ? neap_rng_new(c, (uint64_t)seed) : neap_rng_keep(neap_rng_default(c));
  bind_close(L, sc);
  a->cfg.rng = *box;
}

/* {"uniform", …}, as opposed to a table of numbers */
static bool names_start (lua_State *L, int i) {
  if (!lua_istable(L, i)) return lua_type(L, i) == LUA_TSTRING;
  bool named = lua_rawgeti(L, i, 1) == LUA_TSTRING;
  lua_pop(L, 1);
  return named;
}

/* leaves the value on the stack; a function of the stream is called here, where nothing is owned */
static void read_init (lua_State *L, sample_args *a) {
  int type = bind_field(L, 3, "init");
  if (type == LUA_TFUNCTION) {
    bind_pushrng(L, a->cfg.rng);
    lua_call(L, 1, 1);
    if (!bind_totensor(L, -1))
      luaL_error(L, "sample: option 'init': the function must return a tensor [chains, event...], got %s",
                 luaL_typename(L, -1));
  }
  if (type == LUA_TNIL) return;
  if (names_start(L, lua_gettop(L))) a->cfg.start = bind_start(L, -1, "sample", ", a tensor or a function");
  else if (bind_totensor(L, -1) || lua_istable(L, -1)) a->init = lua_gettop(L);
  else bind_start(L, -1, "sample", ", a tensor or a function");        /* raises */
}

static neap_tensor *lend (lua_State *L, int i) { return i ? bind_lendtensor(L, i) : NULL; }

/* ---- info ---- */

static void set_number (lua_State *L, const char *name, double v) {
  if (isnan(v)) return;
  lua_pushnumber(L, v);
  lua_setfield(L, -2, name);
}

static void set_integer (lua_State *L, const char *name, int64_t v) {
  lua_pushinteger(L, (lua_Integer)v);
  lua_setfield(L, -2, name);
}

/* info[key] for what is computed on demand */
static int info_index (lua_State *L) {
  static const char *const lazy[] = { "ess", "rhat", "verdict", NULL };
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  for (int i = 0; lazy[i]; i++) {
    if (strcmp(key, lazy[i]) != 0) continue;
    push_verdict(L, "of_run");
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    return 1;
  }
  lua_pushnil(L);
  return 1;
}

static int info_tostring (lua_State *L) {
  push_verdict(L, "describe");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* pushes info; the first of TENSORS boxes is at index at, some may be empty, the run's energy function is at 2 */
static void push_info (lua_State *L, neap_sampler *s, const neap_sample_info *f, int at) {
  neap_tensor *mask = neap_energy_mask(bind_toenergy(L, 2));
  lua_createtable(L, 0, 20);
  if (mask) {
    bind_pushtensor(L, mask);
    lua_setfield(L, -2, "mask");
  }
  lua_pushstring(L, neap_sampler_name(s));
  lua_setfield(L, -2, "sampler");
  for (int i = 0; i < TENSORS; i++) {
    if (!bind_totensor(L, at + i)) continue;
    lua_pushvalue(L, at + i);
    lua_setfield(L, -2, tensor_names[i]);
  }
  set_integer(L, "grad_evals", f->grad_evals);
  set_integer(L, "divergences", f->divergences);
  set_number(L, "accept_rate", f->accept_rate);
  set_number(L, "step_size", f->step_size);
  set_number(L, "tree_depth", f->tree_depth);
  if (!isnan(f->tree_depth)) set_integer(L, "saturated", f->saturated);
  set_number(L, "seconds", f->seconds);
  set_number(L, "log_z", f->log_z);
  set_number(L, "stderr", f->log_z_error);
  luaL_setmetatable(L, INFO);
}

/* ---- partial results ---- */

/* After an interrupt: fills the boxes with what there is, and keeps the error pending.  False: nothing. */
static bool save_partial (neap_context *c, const neap_sample_info *f, neap_tensor **draws, neap_tensor **energy) {
  char text[256];
  if (neap_status_of(c) != NEAP_EINTERRUPTED || f->kept < 1) return false;
  snprintf(text, sizeof text, "%s", neap_error(c));
  neap_clear_error(c);
  *draws = neap_keep(rows(c, f->draws, f->kept));
  *energy = neap_keep(rows(c, f->energy, f->kept));
  neap_clear_error(c);
  neap_fail(c, NEAP_EINTERRUPTED, "%s (sampler:partial() has %lld draws)", text, (long long)f->kept);
  return *draws && *energy;
}

/* s:partial() -> draws, info of the run that was interrupted last; nil when there is none */
int sampler_method_partial (lua_State *L) {
  bind_checksampler(L, 1);
  if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) return 1;
  lua_getfield(L, -1, "draws");
  lua_insert(L, -2);
  return 2;
}

/* ---- the method ---- */

/* at: the first of the boxes */
static int finish (lua_State *L, neap_sampler *s, const neap_sample_info *f, int at, bool partial, neap_scope sc) {
  if (partial) {
    neap_context *c = bind_context(L);
    char text[256];
    snprintf(text, sizeof text, "%s", neap_error(c));
    neap_scope_close(c, sc);
    neap_clear_error(c);
    push_info(L, s, f, at);
    lua_setiuservalue(L, 1, 1);
    sc = neap_scope_open(c);
    neap_fail(c, NEAP_EINTERRUPTED, "%s", text);
  }
  bind_close(L, sc);
  push_info(L, s, f, at);
  lua_pushvalue(L, at);
  lua_insert(L, -2);
  return 2;
}

/* The run, twice if memory is short at first; returns the open scope that holds what f lends. */
static neap_scope run (lua_State *L, neap_sampler *s, neap_energy *E, sample_args *a, neap_sample_info *f,
                       neap_tensor **draws) {
  bind_state *S = bind_state_of(L);
  neap_rng_state before = neap_rng_get(a->cfg.rng);
  neap_scope sc;
  int tries = 0;
  do {
    sc = neap_scope_open(S->c);
    neap_rng_set(a->cfg.rng, before);
    a->cfg.x = lend(L, a->init);
    a->cfg.condition = lend(L, a->condition);
    *draws = neap_keep(neap_sampler_sample(S->c, s, E, &a->cfg, f));
  } while (!*draws && bind_again(L, S, sc, &tries));
  return sc;
}

/* of a run that gave draws, or failed */
static void keep_tensors (const neap_sample_info *f, neap_tensor **box[TENSORS]) {
  if (*box[DRAWS]) *box[ENERGY] = neap_keep(f->energy);
  *box[SCALE] = neap_keep(f->scale);
  *box[TEMPERATURES] = neap_keep(f->temperatures);
  *box[SWAP_RATES] = neap_keep(f->swap_rates);
}

int sampler_method_sample (lua_State *L) {
  static const char *const names[] = { "chains", "init", "dtype", "steps", "warmup", "thin", "seed", "progress",
                                       "condition", NULL };
  neap_sampler *s = bind_checksampler(L, 1);
  neap_energy *E = bind_checkenergy(L, 2);
  neap_context *c = bind_context(L);
  lua_settop(L, 3);
  bind_options(L, 3, "sample", names);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, 1);
  sample_args a = { 0 };
  neap_sample_info f = { 0 };
  progress p = { .c = c, .s = s, .info = &f };
  read_numbers(L, &a);
  read_rng(L, c, &a);
  read_init(L, &a);
  if (bind_field(L, 3, "condition") != LUA_TNIL) a.condition = lua_gettop(L);
  read_progress(L, &p, &a.cfg);
  neap_tensor **box[TENSORS];
  int at = push_boxes(L, box);
  neap_scope sc = run(L, s, E, &a, &f, box[DRAWS]);
  keep_tensors(&f, box);
  if (p.shown) fprintf(stderr, "\r\033[K");
  bool partial = !*box[DRAWS] && save_partial(c, &f, box[DRAWS], box[ENERGY]);
  finish(L, s, &f, at, partial, sc);
  if (p.shown) tell_end(L);
  return 2;
}

void open_run (lua_State *L) {
  luaL_newmetatable(L, INFO);
  lua_pushcfunction(L, info_index);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, info_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
}
