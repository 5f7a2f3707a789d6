/*
** take.c -- checks the arguments of an op against its signature.
** Invariant: nothing is owned here, so every check may raise; what lies above the call's arguments (elements of lists,
** values of options) stays on the stack until the call ends, so the collector leaves its tensors alone.
*/
#include "sig.h"
#include <string.h>

static bool absent (lua_State *L, const bind_args *k, int i) { return i > k->top || lua_isnil(L, i); }

static int missing (lua_State *L, int i, const char *what) {
  return luaL_argerror(L, i, lua_pushfstring(L, "%s expected, got no value", what));
}

/* ---- tensors ---- */

void bind_taketensor (lua_State *L, int i) {
  bind_tbox *b = bind_boxat(L, i);
  if (b && !b->t) luaL_argerror(L, i, "the tensor was closed");
  if (b) return;
  int type = lua_type(L, i);
  if (type == LUA_TNUMBER || type == LUA_TBOOLEAN) return;
  if (type != LUA_TTABLE || lua_rawlen(L, i) == 0) luaL_typeerror(L, i, "tensor");
}

static void take_tensor (lua_State *L, bind_args *k, const bind_param *p, int i) {
  if (p->optional && absent(L, k, i)) { k->where[p->slot] = 0; return; }
  if (i > k->top) missing(L, i, "tensor");
  bind_taketensor(L, i);
  k->where[p->slot] = i;
}

static void make_room (lua_State *L, bind_args *k, lua_Unsigned n) {
  if (n == 0) luaL_error(L, "%s: at least one tensor expected", k->name);
  if (n > 500000) luaL_error(L, "%s: too many tensors", k->name);
  luaL_checkstack(L, (int)n + 8, "too many tensors");
  k->in = lua_newuserdatauv(L, n * (sizeof *k->in + sizeof *k->where), 0);
  k->where = (int *)(k->in + n);
  k->n = (int)n;
}

/* cat({x, y}, 1): the elements go to the stack, above the arguments */
static int take_table (lua_State *L, bind_args *k, int i) {
  make_room(L, k, lua_rawlen(L, i));
  for (int j = 0; j < k->n; j++) {
    lua_rawgeti(L, i, j + 1);
    if (!bind_totensor(L, -1) && lua_type(L, -1) != LUA_TNUMBER)
      luaL_argerror(L, i, lua_pushfstring(L, "element %d: tensor expected, got %s", j + 1, luaL_typename(L, -1)));
    k->where[j] = lua_gettop(L);
  }
  return i + 1;
}

/* x:cat(y, 1), or einsum's: a run of tensors */
static int take_run (lua_State *L, bind_args *k, int i) {
  int last = i;
  if (i > k->top) missing(L, i, "table of tensors");
  while (last < k->top && bind_boxat(L, last + 1)) last++;
  make_room(L, k, (lua_Unsigned)(last - i + 1));
  for (int j = 0; j < k->n; j++) {
    bind_checktensor(L, i + j);
    k->where[j] = i + j;
  }
  return last + 1;
}

/* ---- numbers, booleans, choices ---- */

static int64_t check_choice (lua_State *L, const bind_args *k, const bind_param *p, int i) {
  size_t n;
  const char *name = luaL_checklstring(L, i, &n);
  int choice = bind_choice(p->choices, name, n);
  if (choice >= 0) return choice;
  lua_pushlstring(L, p->choices, strcspn(p->choices, ")"));
  return luaL_error(L, "%s: %s: one of %s expected, got '%s'", k->name, p->name,
                    luaL_gsub(L, lua_tostring(L, -1), "|", ", "), name);
}

static double check_number (lua_State *L, int i) {
  neap_tensor *t = bind_totensor(L, i);
  double v = 0;
  if (!t || neap_numel(t) != 1) return luaL_checknumber(L, i);
  bind_state *S = bind_state_of(L);
  if (!neap_item(S->c, t, &v)) bind_raise(L, S);
  return v;
}

/* the smallest integer stands for "not given" below, so it may not be given */
static int64_t check_integer (lua_State *L, int i) {
  lua_Integer v = luaL_checkinteger(L, i);
  if (v == NEAP_NONE) luaL_argerror(L, i, "integer out of range");
  return v;
}

static int64_t check_boolean (lua_State *L, int i) {
  luaL_checktype(L, i, LUA_TBOOLEAN);
  return lua_toboolean(L, i);
}

/* signatures leave room for all pairs */
static void add_pair (bind_args *k, int64_t first, int64_t second) {
  if (k->a.count < 0) k->a.count = 0;
  k->a.dims[k->a.count++] = first;
  k->a.dims[k->a.count++] = second;
}

/* a number for both, or {height, width} */
static void take_pair (lua_State *L, bind_args *k, const bind_param *p, int i) {
  int64_t pair[2];
  bool table = lua_istable(L, i);
  for (int j = 0; j < 2; j++) {
    if (table) lua_rawgeti(L, i, j + 1);
    int at = table ? -1 : i;
    if (!lua_isinteger(L, at) || (table && lua_rawlen(L, i) != 2))
      luaL_error(L, "%s: %s: an integer or {height, width} expected, got %s", k->name, p->name,
                 table ? "another table" : luaL_tolstring(L, i, NULL));
    pair[j] = lua_tointeger(L, at);
    if (table) lua_pop(L, 1);
  }
  add_pair(k, pair[0], pair[1]);
}

static void leave_out (bind_args *k, const bind_param *p) {
  if (p->type == 'n') k->a.f[p->slot] = p->otherwise;
  else if (p->type == 'p') add_pair(k, (int64_t)p->otherwise, (int64_t)p->otherwise);
  else if (p->type != 'e') k->a.i[p->slot] = (int64_t)p->otherwise;
}

static void take_value (lua_State *L, bind_args *k, const bind_param *p, int i) {
  switch (p->type) {
    case 'n': k->a.f[p->slot] = check_number(L, i); break;
    case 'b': k->a.i[p->slot] = check_boolean(L, i); break;
    case 's': k->a.i[p->slot] = check_choice(L, k, p, i); break;
    case 'e': k->a.text = luaL_checkstring(L, i); break;
    case 'p': take_pair(L, k, p, i); break;
    default: k->a.i[p->slot] = check_integer(L, i); break;
  }
}

/* ---- lists of dimensions and sizes ---- */

static void add_entry (lua_State *L, bind_args *k, int i) {
  if (k->a.count >= NEAP_ATTR_INTS) luaL_error(L, "%s: too many numbers in a list", k->name);
  k->a.dims[k->a.count++] = check_integer(L, i);
}

/* nested tables ({{1, 2}, {3, 4}}) are read row by row */
static void add_table (lua_State *L, bind_args *k, int i) {
  luaL_checkstack(L, 4, "nested lists");
  i = lua_absindex(L, i);
  for (lua_Integer j = 1, n = (lua_Integer)lua_rawlen(L, i); j <= n; j++) {
    lua_rawgeti(L, i, j);
    if (lua_istable(L, -1)) add_table(L, k, -1);
    else if (lua_isinteger(L, -1) || lua_type(L, -1) == LUA_TNUMBER) add_entry(L, k, -1);
    else
      luaL_error(L, "%s: entry %d of a list: integer expected, got %s", k->name, (int)j, luaL_typename(L, -1));
    lua_pop(L, 1);
  }
}

/* one table, or the numbers that follow (alone: no other parameter wants them); returns the next argument */
static int take_dims (lua_State *L, bind_args *k, int i, int top, bool alone) {
  if (k->a.count < 0) k->a.count = 0;
  if (lua_istable(L, i)) { add_table(L, k, i); return i + 1; }
  do add_entry(L, k, i++); while (alone && i <= top && lua_type(L, i) == LUA_TNUMBER);
  return i;
}

static bool numbers_follow (const bind_op *d, int param) {
  for (int j = param + 1; j < d->npositional; j++) if (strchr("nidDS", d->params[j].type)) return true;
  return false;
}

/* ---- one parameter after the other ---- */

static int take_param (lua_State *L, bind_args *k, int param, int i) {
  const bind_param *p = &k->d->params[param];
  if (p->type == 'L') return i <= k->top && lua_istable(L, i) ? take_table(L, k, i) : take_run(L, k, i);
  if (p->type == 'T') { take_tensor(L, k, p, i); return i + 1; }
  bool list = p->type == 'D' || p->type == 'S';
  if (absent(L, k, i)) {
    if (!p->optional) missing(L, i, p->name);
    if (!list) leave_out(k, p);
    return i + 1;
  }
  if (list) return take_dims(L, k, i, k->top, !numbers_follow(k->d, param));
  take_value(L, k, p, i);
  return i + 1;
}

static const char *expected_type (const bind_param *p) {
  switch (p->type) {
    case 't': return "tensor";
    case 'b': return "boolean";
    case 's': return "string";
    case 'D': case 'S': case 'p': return "number or table";
    default: return "number";
  }
}

static bool fits (lua_State *L, const bind_param *p, int i) {
  int type = lua_type(L, i);
  switch (p->type) {
    case 't': return bind_totensor(L, i) != NULL;
    case 'b': return type == LUA_TBOOLEAN;
    case 's': return type == LUA_TSTRING;
    case 'D': case 'S': case 'p': return type == LUA_TNUMBER || type == LUA_TTABLE;
    default: return type == LUA_TNUMBER;
  }
}

/* its value stays on the stack: a tensor must live */
static void take_option (lua_State *L, bind_args *k, const bind_param *p, int table) {
  bool given = table && bind_field(L, table, p->name) != LUA_TNIL;
  int i = lua_gettop(L);
  if (given && !fits(L, p, i))
    luaL_error(L, "%s: option '%s': %s expected, got %s", k->name, p->name, expected_type(p),
               luaL_typename(L, i));
  if (p->type == 't') k->where[p->slot] = given ? i : 0;
  else if (p->type == 'D' || p->type == 'S') { if (given) take_dims(L, k, i, i, false); }
  else if (given) take_value(L, k, p, i);
  else leave_out(k, p);
}

/* a trailing table is the options if it holds names, or is empty where nothing else is expected */
static bool is_options (lua_State *L, const bind_args *k) {
  if (k->top < 1 || !lua_istable(L, k->top) || lua_rawlen(L, k->top) > 0) return false;
  lua_pushnil(L);
  if (!lua_next(L, k->top)) return k->top > k->d->npositional || k->d->options[0];
  lua_pop(L, 2);
  return true;
}

/* pushes "x:sum(dims, keepdim)" */
static const char *push_usage (lua_State *L, const bind_args *k) {
  const bind_op *d = k->d;
  bool method = d->npositional > 0 && d->params[0].type == 'T';
  lua_pushfstring(L, method ? "%s:%s(" : "%s%s(", method ? d->params[0].name : "", k->name);
  for (int p = method; p < d->npositional; p++) {
    lua_pushfstring(L, p > method ? ", %s" : "%s", d->params[p].name);
    lua_concat(L, 2);
  }
  lua_pushliteral(L, ")");
  lua_concat(L, 2);
  return lua_tostring(L, -1);
}

/* key may be in the singular */
static bool names_param (const bind_param *p, const char *key) {
  size_t n = strlen(key);
  return p->type != 'T' && strncmp(p->name, key, n) == 0 && (p->name[n] == '\0' || strcmp(p->name + n, "s") == 0);
}

/* what goes by its place is no option */
static void check_places (lua_State *L, const bind_args *k, int table) {
  const bind_op *d = k->d;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    const char *key = lua_tostring(L, -2);
    for (int p = 0; p < d->npositional; p++)
      if (names_param(&d->params[p], key))
        luaL_error(L, "%s: '%s' is an argument, not an option: %s", k->name, key, push_usage(L, k));
  }
}

void bind_take (lua_State *L, bind_args *k) {
  const bind_op *d = k->d;
  int i = 1, table = is_options(L, k) ? k->top-- : 0;
  luaL_checkstack(L, d->nparams + 4, NULL);
  if (table) check_places(L, k, table);
  if (table) bind_options(L, table, k->name, d->options);
  neap_attrs_clear(&k->a);                 /* recordings compare what the row does not use, too */
  for (int p = 0; p < d->npositional; p++) i = take_param(L, k, p, i);
  for (; i <= k->top; i++) if (!lua_isnil(L, i)) luaL_argerror(L, i, "no such argument");
  for (int p = d->npositional; p < d->nparams; p++) take_option(L, k, &d->params[p], table);
}
