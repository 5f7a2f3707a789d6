/*
** energy_methods.c -- E:score(x) and its like, E:log_z, E:with, E:save and the rest of what an energy can be asked.
** Invariant: results' boxes exist before the runtime is called; conditions come last among tensors and may be left out.
*/
#include "energy.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- one tensor out of the energy and tensors at 2 … ---- */

enum { MOST = 3 };
typedef struct query { lua_State *L; neap_context *c; neap_energy *E; neap_tensor *t[MOST]; int options; } query;
typedef neap_tensor *(*query_fn) (query *q);

/* t[0 … n−1] from the stack, and after them a condition, which may be nil */
static bool lend_tensors (query *q, int n, bool condition) {
  for (int i = 0; i < n + condition; i++) {
    q->t[i] = NULL;
    if (i == n && lua_isnoneornil(q->L, i + 2)) return true;
    if (!(q->t[i] = bind_lendtensor(q->L, i + 2))) return false;
  }
  return true;
}

/* options: where their table stands; 0 = f takes no condition either */
enum { PLAIN = 0, NO_OPTIONS = -1 };

static int ask (lua_State *L, int n, int options, query_fn f) {
  bind_state *S = bind_state_of(L);
  query q = { .L = L, .c = S->c, .E = bind_checkenergy(L, 1), .options = options };
  bind_tbox *b = bind_newbox(L, S);
  neap_tensor *t;
  neap_scope s;
  int tries = 0, top = lua_gettop(L);
  do {
    s = neap_scope_open(S->c);
    t = lend_tensors(&q, n, options != PLAIN) ? f(&q) : NULL;
  } while (!t && bind_again(L, S, s, &tries));
  lua_settop(L, top);
  bind_fill(L, b, s, t);
  return 1;
}

static bool is_value (lua_State *L, int i) { return bind_boxat(L, i) || lua_type(L, i) == LUA_TNUMBER; }

/* f(x…, [c,] [options]): makes room for c where a table of options stands in its place; returns where options are */
static int place_condition (lua_State *L, int i) {
  lua_settop(L, i + 1);
  bool options = lua_istable(L, i) && lua_rawlen(L, i) == 0 && !is_value(L, i);
  if (options) { lua_pushnil(L); lua_insert(L, i); lua_settop(L, i + 1); }
  return i + 1;
}

static int no_more (lua_State *L, int most) {
  if (lua_gettop(L) > most) return luaL_argerror(L, most, "too many arguments");
  lua_settop(L, most);
  return 0;
}

static neap_tensor *q_score (query *q) { return neap_energy_score(q->c, q->E, q->t[0], q->t[1]); }
static neap_tensor *q_grad (query *q) { return neap_energy_grad(q->c, q->E, q->t[0], q->t[1]); }
static neap_tensor *q_hvp (query *q) { return neap_energy_hvp(q->c, q->E, q->t[0], q->t[2], q->t[1]); }
static neap_tensor *q_log_ratio (query *q) { return neap_energy_log_ratio(q->c, q->E, q->t[0], q->t[1], q->t[2]); }
static neap_tensor *q_laplacian (query *q) { return neap_energy_laplacian(q->c, q->E, q->t[0], q->t[1]); }

/* E:name(x [, y]): an energy at 1 and a tensor for each name; says how to call it */
static void check_call (lua_State *L, const char *name, const char *x, const char *y) {
  const char *call = lua_pushfstring(L, y ? "E:%s(%s, %s)" : "E:%s(%s)", name, x, y);
  if (!luaL_testudata(L, 1, ENERGY))
    luaL_error(L, "%s: an energy expected before the colon, as in %s, got %s", name, call, luaL_typename(L, 1));
  lua_pop(L, 1);
  bind_checkenergy(L, 1);
  for (int i = 2; i <= (y ? 3 : 2); i++)
    if (lua_isnoneornil(L, i)) {
      const char *got = lua_isnone(L, i) ? "no value" : "nil";
      call = lua_pushfstring(L, y ? "E:%s(%s, %s)" : "E:%s(%s)", name, x, y);
      luaL_error(L, "%s: %s: tensor expected, got %s; it is called as %s", name, i == 2 ? x : y, got, call);
    }
}

static int ask_one (lua_State *L, const char *name, const char *x, int options, query_fn f) {
  check_call(L, name, x, NULL);
  no_more(L, options == PLAIN ? 2 : 3);
  return ask(L, 1, options, f);
}

static int ask_two (lua_State *L, const char *name, const char *x, const char *y, int options, query_fn f) {
  check_call(L, name, x, y);
  no_more(L, options == PLAIN ? 3 : 4);
  return ask(L, 2, options, f);
}

static int energy_score (lua_State *L) { return ask_one(L, "score", "x", NO_OPTIONS, q_score); }
static int energy_grad (lua_State *L) { return ask_one(L, "grad", "x", NO_OPTIONS, q_grad); }
static int energy_hvp (lua_State *L) { return ask_two(L, "hvp", "x", "v", NO_OPTIONS, q_hvp); }
static int energy_log_ratio (lua_State *L) { return ask_two(L, "log_ratio", "x", "y", NO_OPTIONS, q_log_ratio); }

static neap_tensor *q_log_prob (query *q) {
  neap_tensor *z = NULL;
  if (bind_field(q->L, q->options, "log_z") != LUA_TNIL) {
    z = energy_constant_at(q->L, -1, "log_prob: option 'log_z'");
    if (!z) return NULL;
  }
  return neap_energy_log_prob(q->c, q->E, q->t[0], q->t[1], z);
}

/* E:normalizable() -> "yes", "no" or "unknown", why */
static int energy_normalizable (lua_State *L) {
  const char *why;
  neap_energy *E = bind_checkenergy(L, 1);
  bind_state *S = bind_state_of(L);
  no_more(L, 1);
  int verdict = neap_energy_normalizable(S->c, E, &why);
  if (!neap_ok(S->c)) return bind_raise(L, S);
  lua_pushstring(L, verdict > 0 ? "yes" : verdict < 0 ? "no" : "unknown");
  lua_pushstring(L, why);
  return 2;
}

static int energy_log_prob (lua_State *L) {
  static const char *const names[] = { "log_z", NULL };
  check_call(L, "log_prob", "x", NULL);
  int options = place_condition(L, 3);
  bind_options(L, options, "log_prob", names);
  return ask(L, 1, options, q_log_prob);
}

static neap_tensor *q_hutchinson (query *q) {
  int64_t samples = lua_tointeger(q->L, q->options + 1);
  neap_rng *rng = lua_touserdata(q->L, q->options + 2);
  return neap_energy_laplacian_hutchinson(q->c, q->E, q->t[0], q->t[1], (int)samples, rng);
}

static int unknown_method (lua_State *L, const char *fname, const char *name, const char *const *choices) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; choices[i]; i++) {
    if (i) luaL_addstring(&b, ", ");
    luaL_addstring(&b, choices[i]);
  }
  luaL_pushresult(&b);
  return luaL_error(L, "%s: method '%s' is not known; there are %s", fname, name, lua_tostring(L, -1));
}

int energy_method_option (lua_State *L, int options, const char *fname, const char *const *choices) {
  int type = bind_field(L, options, "method"), i = 0;
  if (type != LUA_TNIL && type != LUA_TSTRING)
    return luaL_error(L, "%s: option 'method': a name expected, got %s", fname, luaL_typename(L, -1));
  const char *name = type == LUA_TNIL ? choices[0] : lua_tostring(L, -1);
  while (choices[i] && strcmp(choices[i], name) != 0) i++;
  if (!choices[i]) return unknown_method(L, fname, name, choices);
  lua_pop(L, 1);
  return i;
}

static int energy_laplacian (lua_State *L) {
  static const char *const names[] = { "method", "samples", "rng", NULL };
  static const char *const methods[] = { "exact", "hutchinson", NULL };
  check_call(L, "laplacian", "x", NULL);
  int options = place_condition(L, 3);
  bind_options(L, options, "laplacian", names);
  int method = energy_method_option(L, options, "laplacian", methods);
  int64_t samples = bind_optinteger(L, options, "laplacian", "samples", 1);
  bind_field(L, options, "rng");
  neap_rng *rng = bind_optrng(L, lua_gettop(L));
  if (method == 0) return ask(L, 1, options, q_laplacian);
  if (samples > 1000000) return luaL_error(L, "laplacian: samples must be at most 1000000");
  lua_pushinteger(L, samples);
  lua_replace(L, options + 1);
  lua_pushlightuserdata(L, rng);
  lua_insert(L, options + 2);
  return ask(L, 1, options, q_hutchinson);
}

/* E:value_and_grad(x, c) -> energies, gradient */
static int energy_value_and_grad (lua_State *L) {
  check_call(L, "value_and_grad", "x", NULL);
  query q = { .L = L, .c = bind_context(L), .E = bind_checkenergy(L, 1) };
  no_more(L, 3);
  bind_tbox *be = bind_newbox(L, bind_state_of(L)), *bg = bind_newbox(L, bind_state_of(L));
  neap_tensor *e, *g;
  neap_scope s = neap_scope_open(q.c);
  if (lend_tensors(&q, 1, true) && neap_energy_value_and_grad(q.c, q.E, q.t[0], q.t[1], &e, &g)) {
    be->t = neap_keep(e);
    bg->t = neap_keep(g);
  }
  bind_close(L, s);
  return 2;
}

static neap_tensor *q_logits (query *q) { return neap_energy_logits(q->c, q->E, q->t[0], q->t[1]); }
static int energy_logits (lua_State *L) { return ask_one(L, "logits", "x", NO_OPTIONS, q_logits); }

/* ---- RBM ---- */

static neap_tensor *q_hidden (query *q) { return neap_rbm_hidden(q->c, q->E, q->t[0]); }
static neap_tensor *q_visible (query *q) { return neap_rbm_visible(q->c, q->E, q->t[0]); }
static neap_tensor *q_joint (query *q) { return neap_rbm_joint(q->c, q->E, q->t[0], q->t[1]); }
static int energy_hidden (lua_State *L) { return ask_one(L, "hidden", "v", PLAIN, q_hidden); }
static int energy_visible (lua_State *L) { return ask_one(L, "visible", "h", PLAIN, q_visible); }
static int energy_joint (lua_State *L) { return ask_two(L, "joint", "v", "h", PLAIN, q_joint); }

/* ---- other energies from this one ---- */

typedef neap_energy *(*by_one) (neap_context *c, neap_energy *E, neap_tensor *t);

static int derive (lua_State *L, by_one f, const char *fname, const char *what) {
  check_call(L, fname, what, NULL);
  neap_energy *E = bind_checkenergy(L, 1);
  neap_context *c = bind_context(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  neap_tensor *t = energy_constant_at(L, 2, fname);
  if (t) *box = f(c, E, t);
  return bind_finishenergy(L, s, box);
}

static int energy_translate (lua_State *L) { return derive(L, neap_energy_translate, "translate", "by"); }
static int energy_given (lua_State *L) { return derive(L, neap_energy_given, "given", "c"); }

/* E:class([k]) */
static int energy_of_class (lua_State *L) {
  no_more(L, 2);
  neap_energy *E = bind_checkenergy(L, 1);
  neap_context *c = bind_context(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  neap_tensor *k = energy_constant_at(L, 2, "class");
  if (neap_status_of(c) == NEAP_OK) *box = neap_energy_of_class(c, E, k);
  return bind_finishenergy(L, s, box);
}

/* E:fix(mask, values): the mask may be a table of booleans or of 0 and 1 */
static int energy_fix (lua_State *L) {
  check_call(L, "fix", "mask", "values");
  neap_energy *E = bind_checkenergy(L, 1);
  neap_context *c = bind_context(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  neap_tensor *mask = lua_istable(L, 2) ? bind_nested(L, c, 2, NEAP_BOOL, "fix: mask") : bind_lendtensor(L, 2);
  neap_tensor *v = mask ? energy_constant_at(L, 3, "fix: values") : NULL;
  if (mask && v) *box = neap_energy_fix(c, E, mask, v);
  return bind_finishenergy(L, s, box);
}

static int energy_clone (lua_State *L) {
  neap_energy *E = bind_checkenergy(L, 1);
  neap_context *c = bind_context(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  *box = neap_energy_clone(c, E);
  return bind_finishenergy(L, s, box);
}

/* the key at i is the place or the name of a parameter */
static bool is_param_key (lua_State *L, int i, const neap_energy *E) {
  int n = neap_energy_nparams(E);
  if (lua_isinteger(L, i)) return lua_tointeger(L, i) >= 1 && lua_tointeger(L, i) <= n;
  for (int k = 0; k < n; k++)
    if (lua_type(L, i) == LUA_TSTRING && strcmp(lua_tostring(L, i), neap_energy_param_name(E, k)) == 0) return true;
  return false;
}

static void check_param_keys (lua_State *L, const neap_energy *E) {
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    bool ok = is_param_key(L, -2, E);
    if (!ok) luaL_error(L, "with: the energy has no parameter '%s'", luaL_tolstring(L, -2, NULL));
  }
}

/* E:with(params): an array in the order of E:params(), or a table by names, where those left out stay */
static int energy_with (lua_State *L) {
  neap_energy *E = bind_checkenergy(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  int n = neap_energy_nparams(E), count = (int)lua_rawlen(L, 2);
  check_param_keys(L, E);
  if (count > 0 && count != n) return luaL_error(L, "with: %d parameters expected, got %d", n, count);
  neap_tensor **to = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *to, 0);
  for (int i = 0; i < n; i++) {
    const char *name = neap_energy_param_name(E, i);
    if (count) lua_rawgeti(L, 2, i + 1);
    else { lua_pushstring(L, name); lua_rawget(L, 2); }
    to[i] = lua_isnil(L, -1) ? neap_energy_param(E, i) : bind_totensor(L, -1);
    if (!to[i]) return luaL_error(L, "with: parameter '%s': tensor expected, got %s", name, luaL_typename(L, -1));
    lua_pop(L, 1);
  }
  neap_energy **box = bind_energybox(L);
  neap_context *c = bind_context(L);
  neap_scope s = neap_scope_open(c);
  *box = neap_energy_with(c, E, n, to);
  return bind_finishenergy(L, s, box);
}

/* ---- files, draws ---- */

static int energy_save (lua_State *L) {
  neap_energy *E = bind_checkenergy(L, 1);
  const char *path = luaL_checkstring(L, 2);
  neap_context *c = bind_context(L);
  neap_scope s = neap_scope_open(c);
  neap_energy_save(c, E, path);
  bind_close(L, s);
  return 0;
}

/* E:load(path) -> E */
static int energy_load (lua_State *L) {
  neap_energy *E = bind_checkenergy(L, 1);
  const char *path = luaL_checkstring(L, 2);
  neap_context *c = bind_context(L);
  neap_scope s = neap_scope_open(c);
  neap_energy_load(c, E, path);
  bind_close(L, s);
  lua_settop(L, 1);
  return 1;
}

static neap_tensor *q_sample (query *q) {
  return neap_energy_sample(q->c, q->E, lua_tointeger(q->L, 2), lua_touserdata(q->L, 4),
                            (neap_dtype)lua_tointeger(q->L, 5));
}

/* E:sample(n [, rng | {rng=, dtype=}]) -> [n, event…] */
static int energy_sample (lua_State *L) {
  static const char *const names[] = { "rng", "dtype", NULL };
  bind_checkenergy(L, 1);
  luaL_checkinteger(L, 2);
  no_more(L, 3);
  int d = (int)neap_default_dtype(bind_context(L));
  if (lua_istable(L, 3)) {
    bind_options(L, 3, "sample", names);
    d = bind_optdtype(L, 3, "sample", "dtype", d);
    bind_field(L, 3, "rng");
    lua_replace(L, 3);
  }
  lua_pushlightuserdata(L, bind_optrng(L, 3));
  lua_pushinteger(L, d);
  return ask(L, 0, PLAIN, q_sample);
}

void energy_add_methods (lua_State *L) {
  static const luaL_Reg methods[] = {
    { "score", energy_score }, { "grad", energy_grad }, { "hvp", energy_hvp }, { "laplacian", energy_laplacian },
    { "normalizable", energy_normalizable },
    { "value_and_grad", energy_value_and_grad }, { "log_ratio", energy_log_ratio }, { "log_prob", energy_log_prob },
    { "log_z", energy_log_z }, { "logits", energy_logits },
    { "hidden", energy_hidden }, { "visible", energy_visible }, { "joint", energy_joint },
    { "translate", energy_translate }, { "given", energy_given }, { "class", energy_of_class }, { "fix", energy_fix },
    { "clone", energy_clone },
    { "with", energy_with }, { "save", energy_save }, { "load", energy_load }, { "sample", energy_sample },
    { NULL, NULL }
  };
  luaL_setfuncs(L, methods, 0);
}
