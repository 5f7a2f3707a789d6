/*
** energy_function.c -- energies from Lua functions, and finding the parameters they close over.
** Invariant: the runtime holds a reference to one Lua table {f, base, box1, box2, …}.  E:with(params) works for
** closures because, while f runs, the boxes of the parameters hold the energy's own tensors; they hold what they
** held before when it is over, whatever f does.
*/
#include "energy.h"
#include "core.h"
#include <string.h>

enum { F = 1, BASE = 2, BOXES = 3 };

typedef struct lua_energy { int ref, nparams; bool family, log_base; } lua_energy;

/* ---- calling f ---- */

static bind_tbox *box_of (lua_State *L, int anchor, int i) {
  lua_rawgeti(L, anchor, BOXES + i);
  bind_tbox *b = bind_boxat(L, -1);
  lua_pop(L, 1);
  return b;
}

/* each box's tensor is exchanged with t[i]; twice restores */
static void exchange (lua_State *L, int anchor, int n, neap_tensor **t) {
  for (int i = 0; i < n; i++) {
    bind_tbox *b = box_of(L, anchor, i);
    neap_tensor *old = b->t;
    b->t = t[i];
    t[i] = old;
  }
}

/* f at stack index anchor's place what, of x and cond -> its tensor, lent by the open scope */
static neap_tensor *call_one (lua_State *L, neap_context *c, int anchor, int what, neap_tensor *x, neap_tensor *cond) {
  lua_rawgeti(L, anchor, what);
  if (!bind_push(L, x) || (cond && !bind_push(L, cond)) || !bind_call(L, cond ? 2 : 1, 1)) return NULL;
  neap_tensor *t = bind_totensor(L, -1);
  if (t) return neap_lend(c, neap_keep(t));
  return neap_fail(c, NEAP_EARG, "energy: the function must return a tensor [B], got %s", luaL_typename(L, -1));
}

/* −θ·T(x) − log h(x) */
static neap_tensor *family (lua_State *L, neap_context *c, const lua_energy *u, int anchor, neap_tensor *theta,
                            neap_tensor *x, neap_tensor *cond) {
  neap_tensor *T = call_one(L, c, anchor, F, x, cond);
  if (T && neap_ndim(T) == 1) T = neap_unsqueeze(c, T, 2);
  if (T && (neap_ndim(T) != 2 || neap_shape(T)[1] != neap_numel(theta)))
    return neap_fail(c, NEAP_ESHAPE, "exponential_family: statistics must be [B, %lld], one per parameter, got %s",
                     (long long)neap_numel(theta), SHAPE_TEXT(T));
  neap_tensor *e = T ? neap_neg(c, neap_matmul(c, T, theta)) : NULL;
  lua_rawgeti(L, anchor, BASE);
  if (!lua_toboolean(L, -1)) return e;
  neap_tensor *h = e ? call_one(L, c, anchor, BASE, x, cond) : NULL;
  if (h && !u->log_base) h = neap_log(c, h);
  return h ? neap_sub(c, e, h) : NULL;
}

static neap_tensor *call_function (lua_State *L, neap_context *c, const lua_energy *u, int anchor,
                                   neap_tensor *const *params, neap_tensor *x, neap_tensor *cond) {
  if (u->family) return family(L, c, u, anchor, params[0], x, cond);
  size_t bytes = ((size_t)u->nparams + 1) * sizeof *params;
  neap_tensor **t = neap_malloc(c, bytes), *e;
  if (!t) return NULL;
  for (int i = 0; i < u->nparams; i++) t[i] = neap_keep(params[i]);
  exchange(L, anchor, u->nparams, t);
  e = call_one(L, c, anchor, F, x, cond);
  exchange(L, anchor, u->nparams, t);
  for (int i = 0; i < u->nparams; i++) neap_release(t[i]);
  neap_free(c, t, bytes);
  return e;
}

/* neap_energy_fn */
static neap_tensor *eval (neap_context *c, void *ud, neap_tensor *const *params, neap_tensor *x, neap_tensor *cond) {
  lua_energy *u = ud;
  lua_State *L = bind_running(c);
  int top = lua_gettop(L);
  if (!lua_checkstack(L, 12)) return neap_fail(c, NEAP_EMEMORY, "not enough memory: Lua's stack");
  lua_rawgeti(L, LUA_REGISTRYINDEX, u->ref);
  neap_tensor *e = call_function(L, c, u, top + 1, params, x, cond);
  lua_settop(L, top);
  return e;
}

/* Lua frees the registry itself when the state closes. */
static void free_ud (neap_context *c, void *ud) {
  lua_energy *u = ud;
  if (!c->closed) luaL_unref(bind_running(c), LUA_REGISTRYINDEX, u->ref);
  neap_free(c, u, sizeof *u);
}

/* ---- finding parameters: a walk with the lists of boxes and names at fixed stack places ---- */

typedef struct walk { lua_State *L; const char *fname; int boxes, names, depth; } walk;

/* the value on top is parameter name (at stack index name) */
static void add (walk *w, int name) {
  lua_State *L = w->L;
  if (!bind_totensor(L, -1))
    luaL_error(L, "%s: parameter '%s': tensor expected, got %s", w->fname, lua_tostring(L, name), luaL_typename(L, -1));
  lua_Integer n = (lua_Integer)lua_rawlen(L, w->boxes) + 1;
  lua_pushvalue(L, -1);
  lua_rawseti(L, w->boxes, n);
  lua_pushvalue(L, name);
  lua_rawseti(L, w->names, n);
}

static void visit (walk *w, int prefix);

/* the value on top goes by prefix.key, with the key just below it */
static void visit_key (walk *w, int prefix) {
  lua_State *L = w->L;
  const char *p = lua_tostring(L, prefix);
  lua_pushvalue(L, -2);
  const char *key = lua_tostring(L, -1);
  lua_pushfstring(L, *p ? "%s.%s" : "%s%s", p, key);
  lua_replace(L, -2);
  lua_insert(L, -2);                                    /* key, full name, value */
  visit(w, lua_gettop(L) - 1);
}

/* pushes the sorted array of the string keys of the table at i */
static void sorted_keys (lua_State *L, int i) {
  lua_Integer n = 0;
  lua_newtable(L);
  int keys = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    lua_Integer j = n++;
    for (; j > 0; j--) {                                /* insertion: lists are short */
      lua_rawgeti(L, keys, j);
      bool less = strcmp(lua_tostring(L, -3), lua_tostring(L, -1)) < 0;
      if (!less) { lua_pop(L, 1); break; }
      lua_rawseti(L, keys, j + 1);
    }
    lua_pushvalue(L, -2);
    lua_rawseti(L, keys, j + 1);
  }
}

static void visit_table (walk *w, int prefix) {
  lua_State *L = w->L;
  int table = lua_gettop(L), n = (int)lua_rawlen(L, table);
  if (++w->depth > 50) luaL_error(L, "%s: params: tables within tables more than 50 deep", w->fname);
  for (int i = 1; i <= n; i++) {
    lua_pushinteger(L, i);
    lua_rawgeti(L, table, i);
    visit_key(w, prefix);
    lua_settop(L, table);
  }
  sorted_keys(L, table);
  n = (int)lua_rawlen(L, table + 1);
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, table + 1, i);
    lua_pushvalue(L, -1);
    lua_rawget(L, table);
    visit_key(w, prefix);
    lua_settop(L, table + 1);
  }
  lua_settop(L, table);
  w->depth--;
}

/* an object (energy, module): the tensors and names that its params() gives */
static bool visit_object (walk *w, int prefix) {
  lua_State *L = w->L;
  int object = lua_gettop(L);
  if (!lua_istable(L, object) && luaL_getmetafield(L, object, "__index") == LUA_TNIL) return false;
  lua_settop(L, object);
  if (lua_getfield(L, object, "params") != LUA_TFUNCTION) { lua_settop(L, object); return false; }
  lua_pushvalue(L, object);
  lua_call(L, 1, 2);
  if (!lua_istable(L, -2))
    luaL_error(L, "%s: params() of an object gave %s, a table expected", w->fname, luaL_typename(L, -2));
  int n = (int)lua_rawlen(L, -2);
  for (int i = 1; i <= n; i++) {
    if (lua_istable(L, object + 2)) lua_rawgeti(L, object + 2, i);
    else lua_pushinteger(L, i);
    lua_rawgeti(L, object + 1, i);
    visit_key(w, prefix);
    lua_settop(L, object + 2);
  }
  lua_settop(L, object);
  return true;
}

/* the value on top, named by the string at prefix */
static void visit (walk *w, int prefix) {
  luaL_checkstack(w->L, 12, "params");
  if (bind_boxat(w->L, -1)) add(w, prefix);
  else if (visit_object(w, prefix)) return;
  else if (lua_istable(w->L, -1)) visit_table(w, prefix);
  else add(w, prefix);                                  /* which says what is wrong with it */
}

/* Pushes two tables: the parameter tensors' boxes and their names, from the value at i: a tensor, a nested table, or an
** object with params().  Array places first, then names in alphabetical order. */
static void flatten (lua_State *L, int i, const char *fname) {
  i = lua_absindex(L, i);
  lua_newtable(L);
  lua_newtable(L);
  int names = lua_gettop(L);
  walk w = { .L = L, .fname = fname, .boxes = names - 1, .names = names };
  if (!lua_isnil(L, i)) {
    lua_pushstring(L, bind_boxat(L, i) ? "1" : "");
    lua_pushvalue(L, i);
    visit(&w, names + 1);
  }
  lua_settop(L, names);
}

/* ---- making ---- */

typedef struct made { neap_function_config cfg; int64_t event[NEAP_MAX_DIMS]; lua_energy u; } made;

/* cfg's arrays, in userdata on the stack, from the tables of boxes and names; boxes go into the table anchor too */
static void take_params (lua_State *L, made *m, int anchor, int boxes, int names) {
  int n = (int)lua_rawlen(L, boxes);
  neap_tensor **t = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *t, 0);
  const char **s = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *s, 0);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, boxes, i + 1);
    t[i] = bind_totensor(L, -1);
    lua_rawseti(L, anchor, BOXES + i);
    lua_rawgeti(L, names, i + 1);
    s[i] = lua_tostring(L, -1);                         /* the table holds on to it */
    lua_pop(L, 1);
  }
  m->cfg.nparams = m->u.nparams = n;
  m->cfg.params = t;
  m->cfg.names = s;
}

/* pushes the energy; the table anchor becomes a registry reference */
static int make (lua_State *L, made *m, int anchor) {
  neap_context *c = bind_context(L);
  neap_energy **box = bind_energybox(L);
  lua_pushvalue(L, anchor);
  m->u.ref = luaL_ref(L, LUA_REGISTRYINDEX);
  neap_scope s = neap_scope_open(c);
  lua_energy *u = neap_malloc(c, sizeof *u);
  if (u) {
    *u = m->u;
    *box = neap_energy_from_function(c, eval, u, free_ud, &m->cfg);
  } else luaL_unref(L, LUA_REGISTRYINDEX, m->u.ref);
  return bind_finishenergy(L, s, box);
}

static bool is_callable (lua_State *L, int i) {
  if (lua_isfunction(L, i)) return true;
  if (luaL_getmetafield(L, i, "__call") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

/* pushes option params of the table at 3; own: where it is not given, the callable table at 2 if it has params() */
static void push_params (lua_State *L, const char *fname, bool own) {
  int type = bind_field(L, 3, "params");
  if (type != LUA_TNIL && type != LUA_TTABLE && type != LUA_TUSERDATA)
    luaL_error(L, "%s: option 'params': a table of tensors expected, got %s", fname, luaL_typename(L, -1));
  if (type != LUA_TNIL || !own || !lua_istable(L, 2)) return;
  bool has = lua_getfield(L, 2, "params") == LUA_TFUNCTION;
  lua_pop(L, 1);
  if (!has) return;
  lua_pushvalue(L, 2);
  lua_replace(L, -2);
}

/* the function at 2 and the options at 3; fname is what made them */
static int from_function (lua_State *L, const char *fname, bool logits) {
  static const char *const names[] = { "params", "event", "name", "states", NULL };
  made m = { .cfg = { .logits = logits } };
  if (!is_callable(L, 2)) return luaL_error(L, "%s: a function of x expected, got %s", fname, luaL_typename(L, 2));
  bind_options(L, 3, fname, names);
  m.cfg.event_ndim = energy_event_field(L, 3, fname, m.event);
  if (m.cfg.event_ndim >= 0) m.cfg.event = m.event;
  m.cfg.states = bind_optinteger(L, 3, fname, "states", 0);
  m.cfg.name = bind_field(L, 3, "name") != LUA_TNIL ? lua_tostring(L, -1) : logits ? fname : NULL;
  lua_createtable(L, 4, 0);
  int anchor = lua_gettop(L);
  lua_pushvalue(L, 2);
  lua_rawseti(L, anchor, F);
  lua_pushboolean(L, 0);
  lua_rawseti(L, anchor, BASE);
  push_params(L, fname, logits);
  flatten(L, -1, fname);
  take_params(L, &m, anchor, lua_gettop(L) - 1, lua_gettop(L));
  return make(L, &m, anchor);
}

/* neap.energy(f, {params=, event=}): the table neap.energy is argument 1 */
int energy_from_lua (lua_State *L) {
  lua_settop(L, 3);
  return from_function(L, "energy", false);
}

/* classifier(f, {params=, event=}): f gives logits */
int energy_classifier_from_lua (lua_State *L) {
  lua_settop(L, 2);
  lua_pushnil(L);
  lua_insert(L, 1);
  return from_function(L, "classifier", true);
}

/* leaves the box of θ, made if params is a table or number, on the stack */
static void push_theta (lua_State *L) {
  int type = bind_field(L, 1, "params");
  if (type == LUA_TNIL) luaL_error(L, "exponential_family: option 'params' is missing");
  if (bind_boxat(L, -1)) return;
  neap_context *c = bind_context(L);
  neap_tensor **box = bind_box(L);
  neap_scope s = neap_scope_open(c);
  neap_tensor *t = bind_nested(L, c, -2, (int)neap_default_dtype(c), "exponential_family: option 'params'");
  *box = t ? neap_keep(t) : NULL;
  bind_close(L, s);
}

static void need_function (lua_State *L, const char *name, bool optional) {
  int type = bind_field(L, 1, name);
  if (!(optional && type == LUA_TNIL) && !is_callable(L, -1))
    luaL_error(L, "exponential_family: option '%s': a function of x expected, got %s", name, luaL_typename(L, -1));
  if (type == LUA_TNIL) { lua_pushboolean(L, 0); lua_replace(L, -2); }
}

/* exponential_family{statistics=T, base=h, params=θ}: E(x) = −θ·T(x) − log h(x); log_base= gives log h itself */
int energy_exponential_family (lua_State *L) {
  static const char *const names[] = { "statistics", "base", "log_base", "params", "event", NULL };
  const char *who = "exponential_family", *name = "theta";
  made m = { .u = { .family = true, .nparams = 1 } };
  if (!lua_istable(L, 1)) return luaL_error(L, "%s: a table of options expected, got %s", who, luaL_typename(L, 1));
  lua_settop(L, 1);
  bind_options(L, 1, who, names);
  m.cfg.event_ndim = energy_event_field(L, 1, who, m.event);
  if (m.cfg.event_ndim >= 0) m.cfg.event = m.event;
  lua_createtable(L, 4, 0);
  need_function(L, "statistics", false);
  lua_rawseti(L, 2, F);
  m.u.log_base = bind_field(L, 1, "log_base") != LUA_TNIL;
  lua_pop(L, 1);
  need_function(L, m.u.log_base ? "log_base" : "base", true);
  lua_rawseti(L, 2, BASE);
  push_theta(L);
  neap_tensor *theta = bind_checktensor(L, -1);
  if (neap_ndim(theta) != 1) return luaL_error(L, "%s: params must be [K], got %s", who, SHAPE_TEXT(theta));
  lua_rawseti(L, 2, BOXES);
  m.cfg.name = who;
  m.cfg.nparams = 1;
  m.cfg.params = &theta;
  m.cfg.names = &name;
  return make(L, &m, 2);
}
