/*
** grad.c -- derivatives: the tape's functions, and the primitives that stdlib/neap/grad.lua builds its forms on.
** Invariant: as many boxes as there are results exist before the sweep starts, so nothing it made can be lost.
*/
#include "state.h"
#include "sweep.h"

/* ---- lists of tensors ---- */

/* the tensors of the table at i, in a userdata pushed on the stack; extra: room for as many again */
static neap_tensor **check_list (lua_State *L, int i, int *n) {
  luaL_checktype(L, i, LUA_TTABLE);
  lua_Unsigned count = lua_rawlen(L, i);
  if (count > 1000000) luaL_argerror(L, i, "too many tensors");
  neap_tensor **list = lua_newuserdatauv(L, (2 * count + 1) * sizeof *list, 0);
  for (lua_Unsigned j = 0; j < count; j++) {
    lua_rawgeti(L, i, (lua_Integer)j + 1);
    list[j] = bind_totensor(L, -1);
    if (!list[j])
      luaL_argerror(L, i, lua_pushfstring(L, "element %d: tensor expected, got %s", (int)j + 1, luaL_typename(L, -1)));
    lua_pop(L, 1);                                      /* the table holds on to it */
  }
  *n = (int)count;
  return list;
}

static neap_tensor *opt_tensor (lua_State *L, int i) { return lua_isnoneornil(L, i) ? NULL : bind_checktensor(L, i); }

/* a table of n empty boxes */
static void push_boxes (lua_State *L, bind_state *S, int n) {
  lua_createtable(L, n, 0);
  for (int i = 1; i <= n; i++) {
    bind_newbox(L, S);
    lua_rawseti(L, -2, i);
  }
}

static bind_tbox *box_in (lua_State *L, int table, int i) {
  lua_rawgeti(L, table, i);
  bind_tbox *b = bind_boxat(L, -1);
  lua_pop(L, 1);
  return b;
}

/* out[i] into the boxes of the table on top; false where there is none */
static void fill_boxes (lua_State *L, neap_tensor **out, int n) {
  int table = lua_gettop(L);
  for (int i = 0; i < n; i++) box_in(L, table, i + 1)->t = neap_keep(out[i]);
}

static void drop_empty (lua_State *L, int n) {
  int table = lua_gettop(L);
  for (int i = 1; i <= n; i++)
    if (!box_in(L, table, i)->t) {
      lua_pushboolean(L, 0);
      lua_rawseti(L, table, i);
    }
}

/* ---- primitives: arrays in, arrays out ---- */

/* _tape.gradients(y, xs, seed | nil, flags) -> array of gradients, false where y does not depend on xs[i] */
static int gradients (lua_State *L) {
  int n;
  neap_tensor *y = bind_checktensor(L, 1), *seed = opt_tensor(L, 3);
  unsigned flags = (unsigned)luaL_optinteger(L, 4, 0);
  bind_state *S = bind_state_of(L);
  neap_tensor **xs = check_list(L, 2, &n), **out = xs + n;
  for (int i = 0; i < n; i++) out[i] = NULL;
  push_boxes(L, S, n);
  neap_scope s = neap_scope_open(S->c);
  if (neap_gradients(S->c, y, n, xs, seed, flags, out)) fill_boxes(L, out, n);
  bind_close(L, s);
  drop_empty(L, n);
  return 1;
}

/* ---- functional forms: the value leaves its derivative's own tape, which then goes ---- */

/* Whether y depends on tracked values besides the variables xs. */
static bool leads_outside (neap_context *c, neap_tensor *y, int n, neap_tensor **xs, bool *outside) {
  neap_sweep s;
  if (!neap_sweep_open(&s, c, y, n, xs)) return false;
  *outside = s.outside;
  neap_sweep_close(&s);
  return true;
}

/* Drops the tape between y and xs: nobody else can ask for derivatives by xs. */
static bool drop_tape (neap_context *c, neap_tensor *y, int n, neap_tensor **xs) {
  neap_sweep s;
  if (!neap_sweep_open(&s, c, y, n, xs)) return false;
  for (int i = 0; i < s.n; i++)
    if (s.e[i].need && s.e[i].t->node && !s.e[i].t->birth) neap_node_clear(s.e[i].t->node);
  neap_sweep_close(&s);
  return true;
}

typedef struct form { neap_tensor *y, *seed, **xs, **out; int n; bool keep; } form;

/* y lent as the form's value: connected to outer variables if it depends on any */
static neap_tensor *derive (neap_context *c, const form *f) {
  bool outside = false;
  if (!leads_outside(c, f->y, f->n, f->xs, &outside)) return NULL;
  bool release = !outside && !f->keep && !neap_tracked(c, f->seed);
  unsigned flags = NEAP_ZERO_UNUSED | (release ? 0 : NEAP_AUTO_GRAPH);
  if (!neap_gradients(c, f->y, f->n, f->xs, f->seed, flags, f->out)) return NULL;
  return outside ? f->y : neap_detach(c, f->y);
}

/* _tape.derive(y, xs, seed | nil, keep) -> y as a value, array of gradients; keep: y is derived again */
static int derive_form (lua_State *L) {
  form f = { .y = bind_checktensor(L, 1), .seed = opt_tensor(L, 3), .keep = lua_toboolean(L, 4) };
  bind_state *S = bind_state_of(L);
  f.xs = check_list(L, 2, &f.n);
  f.out = f.xs + f.n;
  bind_tbox *value = bind_newbox(L, S);
  push_boxes(L, S, f.n);
  neap_scope s = neap_scope_open(S->c);
  neap_tensor *y = derive(S->c, &f);
  if (y) fill_boxes(L, f.out, f.n);
  bind_fill(L, value, s, y);
  return 2;
}

static neap_tensor *push_forward (neap_context *c, const form *f, neap_tensor **value) {
  bool outside = false;
  if (!leads_outside(c, f->y, f->n, f->xs, &outside)) return NULL;
  neap_tensor *d = neap_tangent(c, f->y, f->n, f->xs, f->out, NEAP_AUTO_GRAPH);
  *value = !d || outside ? f->y : neap_detach(c, f->y);
  bool free_tape = d && !outside && !f->keep && !neap_tracked(c, d);
  return *value && (!free_tape || drop_tape(c, f->y, f->n, f->xs)) ? d : NULL;
}

/* _tape.push(y, xs, dxs, keep) -> y as a value, its tangent */
static int push_form (lua_State *L) {
  int m;
  form f = { .y = bind_checktensor(L, 1), .keep = lua_toboolean(L, 4) };
  bind_state *S = bind_state_of(L);
  f.xs = check_list(L, 2, &f.n);
  f.out = check_list(L, 3, &m);
  if (f.n != m) return luaL_error(L, "jvp: %d tangents for %d arguments", m, f.n);
  bind_tbox *value = bind_newbox(L, S), *d = bind_newbox(L, S);
  neap_tensor *y = NULL;
  neap_scope s = neap_scope_open(S->c);
  neap_tensor *t = push_forward(S->c, &f, &y);
  value->t = neap_keep(y);
  bind_fill(L, d, s, t);
  return 2;
}

/* _tape.variable(x): x's values as a fresh variable of a functional derivative */
static int variable (lua_State *L) {
  neap_tensor *x = bind_checktensor(L, 1);
  bind_state *S = bind_state_of(L);
  bind_tbox *b = bind_newbox(L, S);
  neap_scope s = neap_scope_open(S->c);
  bind_fill(L, b, s, neap_variable(S->c, x));
  return 1;
}

/* neap.no_grad(f, ...): f's results; a yield inside is an error */
static int no_grad (lua_State *L) {
  int top = lua_gettop(L);
  if (!lua_isfunction(L, 1) && luaL_getmetafield(L, 1, "__call") == LUA_TNIL) return luaL_typeerror(L, 1, "function");
  lua_settop(L, top);
  bind_state *S = bind_state_of(L);
  neap_mode mode = neap_no_grad(S->c);
  bool ok = bind_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  neap_mode_restore(S->c, mode);
  return ok ? lua_gettop(L) : bind_raise(L, S);
}

static int is_tracked (lua_State *L) {
  lua_pushboolean(L, neap_is_tracked(bind_checktensor(L, 1)));
  return 1;
}

/* ---- the tape ---- */

static int requires_grad (lua_State *L) {
  neap_tensor *t = bind_checktensor(L, 1);
  bind_state *S = bind_state_of(L);
  if (!lua_isnoneornil(L, 2) && !lua_isboolean(L, 2))
    return luaL_error(L, "requires_grad: boolean expected, got %s", luaL_typename(L, 2));
  bool on = lua_isnoneornil(L, 2) || lua_toboolean(L, 2);
  if (!neap_requires_grad(S->c, t, on)) return bind_raise(L, S);
  lua_settop(L, 1);
  return 1;
}

/* y:backward([seed] [, {retain=, create_graph=}]) */
static int backward (lua_State *L) {
  static const char *const options[] = { "retain", "create_graph", NULL };
  neap_tensor *y = bind_checktensor(L, 1);
  int table = lua_istable(L, 2) ? 2 : 3;
  neap_tensor *seed = table == 2 ? NULL : opt_tensor(L, 2);
  bind_state *S = bind_state_of(L);
  bind_options(L, table, "backward", options);
  unsigned flags = (bind_optboolean(L, table, "backward", "retain", false) ? NEAP_RETAIN : 0) |
                   (bind_optboolean(L, table, "backward", "create_graph", false) ? NEAP_CREATE_GRAPH : 0);
  neap_scope s = neap_scope_open(S->c);
  neap_backward(S->c, y, seed, flags);
  bind_close(L, s);
  return 0;
}

static const luaL_Reg tape[] = {
  { "gradients", gradients }, { "derive", derive_form }, { "push", push_form }, { "variable", variable }, { NULL, NULL }
};
static const struct { const char *name; lua_Integer value; } flags[] = {
  { "CREATE_GRAPH", NEAP_CREATE_GRAPH }, { "RETAIN", NEAP_RETAIN }, { "ALLOW_UNUSED", NEAP_ALLOW_UNUSED },
  { "AUTO_GRAPH", NEAP_AUTO_GRAPH }
};

void open_grad (lua_State *L) {
  luaL_newlib(L, tape);
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
    lua_pushinteger(L, flags[i].value);
    lua_setfield(L, -2, flags[i].name);
  }
  lua_setfield(L, -2, "_tape");
  lua_pushcfunction(L, no_grad);
  lua_setfield(L, -2, "no_grad");
  bind_function(L, "requires_grad", requires_grad);
  bind_function(L, "backward", backward);
  bind_function(L, "is_tracked", is_tracked);
}
