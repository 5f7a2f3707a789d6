/*
** ops.c -- every row of the op table as a Lua function, a method and, for arithmetic, a metamethod.
** Invariant: arguments are checked into stack indices and numbers first, where raising is safe; tensors of numbers
** are made inside the scope, so a second try after a collection repeats everything that takes memory.
*/
#include "sig.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static char letter (const char *letters, int i) {
  size_t n = strlen(letters);
  return letters[(size_t)i < n ? (size_t)i : n - 1];
}

/* ---- tensors of numbers ---- */

static bool is_class (char c) { return c == 'A' || c == 'F' || c == 'k'; }
static bool is_float (neap_dtype d) { return d == NEAP_FLOAT32 || d == NEAP_FLOAT64; }

/* the dtype that decides what numbers beside it become: that of the first tensor promoted with them */
static int like_dtype (lua_State *L, const bind_args *k) {
  for (int i = 0; i < k->n; i++) {
    neap_tensor *t = k->where[i] && is_class(letter(k->d->op->inputs, i)) ? bind_totensor(L, k->where[i]) : NULL;
    if (t) return (int)neap_dtype_of(t);
  }
  return -1;
}

static neap_tensor *lift (lua_State *L, neap_context *c, const bind_args *k, int i, int like) {
  int at = k->where[i];
  char kind = letter(k->d->op->inputs, i);
  if (lua_istable(L, at)) return bind_nested(L, c, at, kind == 'i' ? NEAP_INT64 : -1, k->d->op->name);
  neap_dtype otherwise = neap_default_dtype(c), d = kind == 'i' ? NEAP_INT64 : like < 0 ? otherwise : (neap_dtype)like;
  d = bind_numberdtype(L, at, d, otherwise);
  bool fresh = k->d->op->kind == KIND_ELEMENTWISE;      /* its result shares no storage with the constant */
  return fresh ? bind_constant(L, k->d->S, at, d) : bind_scalar(L, c, at, d);
}

/* beside a fraction integers become the default float, not the float64 that promotion with a float32 gives */
static bool floats_for_fractions (neap_context *c, bind_args *k) {
  for (int i = 0; i < k->n; i++) {
    if (!k->in[i] || !is_class(letter(k->d->op->inputs, i)) || is_float(neap_dtype_of(k->in[i]))) continue;
    if (!(k->in[i] = neap_cast(c, k->in[i], neap_default_dtype(c)))) return false;
  }
  return true;
}

/* k->in from k->where; what is no tensor is made one */
static bool lend_inputs (lua_State *L, neap_context *c, bind_args *k) {
  int like = -2;
  bool fraction = false;
  for (int i = 0; i < k->n; i++) {
    k->in[i] = k->where[i] ? bind_totensor(L, k->where[i]) : NULL;
    if (k->in[i] || !k->where[i]) continue;
    if (like == -2) like = like_dtype(L, k);
    if (!(k->in[i] = lift(L, c, k, i, like))) return false;
    bool integers = like >= 0 && !is_float((neap_dtype)like);
    fraction |= integers && is_float(neap_dtype_of(k->in[i])) && lua_isnumber(L, k->where[i]);
  }
  return !fraction || floats_for_fractions(c, k);
}

static bool lend_number (lua_State *L, bind_args *k) {
  int i = k->number;
  return (k->in[i] = bind_constant(L, k->d->S, k->where[i], neap_dtype_of(k->in[1 - i]))) != NULL;
}

static neap_tensor *lend_and_apply (lua_State *L, neap_context *c, bind_args *k) {
  if (!k->ready && !(k->number >= 0 ? lend_number(L, k) : lend_inputs(L, c, k))) return NULL;
  return neap_apply(c, k->d->index, k->in, k->n, k->d->attrs ? &k->a : NULL);
}

/* An op made of others fails under the name that the user called. */
void bind_blame (neap_context *c, const char *name) {
  char text[512];
  neap_status status = neap_status_of(c);
  if (status != NEAP_ESHAPE && status != NEAP_EDTYPE && status != NEAP_EARG && status != NEAP_ENUMERIC) return;
  snprintf(text, sizeof text, "%s", neap_error(c));
  size_t n = strcspn(text, ":");
  bool is_op = false;
  for (int i = 0; i < NEAP_OP_COUNT && text[n] && !is_op; i++)
    is_op = strlen(neap_ops[i].name) == n && memcmp(text, neap_ops[i].name, n) == 0;
  if (!is_op) return;
  neap_clear_error(c);
  neap_fail(c, status, "%s%s", name, text + n);
}

/* b: pushed already, empty */
static int apply (lua_State *L, bind_args *k, bind_tbox *b) {
  bind_state *S = b->S;
  neap_tensor *t;
  neap_scope s;
  int tries = 0;
  do {
    s = neap_scope_open(S->c);
    t = lend_and_apply(L, S->c, k);
  } while (__builtin_expect(!t, 0) && bind_again(L, S, s, &tries));
  if (__builtin_expect(!t, 0)) bind_blame(S->c, k->d->op->name);
  bind_fill(L, b, s, t);
  return 1;
}

/* ---- the functions ---- */

/* upvalue 1 of each: the row's descriptor */
static const bind_op *descriptor (lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

int bind_callrow (lua_State *L, const bind_op *d) {
  int where[BIND_FEW];
  neap_tensor *in[BIND_FEW];
  bind_args k;
  k.d = d; k.name = d->op->name;
  k.n = d->ntensors; k.top = lua_gettop(L);
  k.where = where; k.in = in; k.ready = false; k.number = -1;
  bind_take(L, &k);
  return apply(L, &k, bind_newbox(L, bind_state_of(L)));
}

static int call_op (lua_State *L) { return bind_callrow(L, descriptor(L)); }

/* upvalue 2 of plain functions: the metatable of tensors */
static bind_tbox *push_box (lua_State *L, bind_state *S) {
  if (!S->c) bind_state_of(L);                          /* raises */
  S->running = L;
  return bind_newboxof(L, S, lua_upvalueindex(2));
}

/* unary minus is called with its operand twice */
static void check_extra (lua_State *L, const bind_args *k) {
  for (int i = k->n + 1; i <= k->top; i++)
    if (!lua_isnil(L, i) && !(k->n == 1 && i == 2 && lua_rawequal(L, 1, 2))) luaL_argerror(L, i, "no such argument");
}

/* pushes the arithmetic of the object at 2 that is no tensor (t * E, E an energy); false when it has none */
static bool push_other (lua_State *L, const bind_args *k) {
  char event[32];
  if (k->n != 2 || lua_type(L, 2) != LUA_TUSERDATA || bind_boxat(L, 2)) return false;
  snprintf(event, sizeof event, "__%s", k->d->op->name);
  return luaL_getmetafield(L, 2, event) != LUA_TNIL;
}

/* x * 2, x being of floats: argument i, which is no tensor, and none besides */
static bool is_beside_floats (lua_State *L, const bind_args *k, int i) {
  if (!k->d->arithmetic || lua_type(L, i) != LUA_TNUMBER) return false;
  neap_tensor *other = bind_totensor(L, 3 - i);
  return other && is_float(neap_dtype_of(other));
}

/* false: the metamethod that is to be called instead is on top */
static bool check_plain (lua_State *L, bind_args *k) {
  k->ready = true;
  k->number = -1;
  for (int i = 1; i <= k->n; i++) {
    bind_tbox *b = bind_boxat(L, i);
    k->where[i - 1] = i;
    if (__builtin_expect(b && b->t, 1)) { k->in[i - 1] = b->t; continue; }
    if (i == 2 && push_other(L, k)) return false;
    if (i > k->top) luaL_argerror(L, i, "tensor expected, got no value");
    k->ready = false;
    if (is_beside_floats(L, k, i)) k->number = i - 1;
    else bind_taketensor(L, i);
  }
  if (k->top > k->n) check_extra(L, k);
  return true;
}

/* f(1, 2) for the function on top */
static int call_other (lua_State *L) {
  lua_insert(L, 1);
  lua_settop(L, 3);
  lua_call(L, 2, 1);
  return 1;
}

/* rows of tensors only, which arithmetic is: nothing to parse */
static int call_plain (lua_State *L) {
  int where[BIND_FEW];
  neap_tensor *in[BIND_FEW];
  bind_args k;
  k.d = descriptor(L);
  k.n = k.d->ntensors; k.top = lua_gettop(L);
  k.where = where; k.in = in;
  if (!check_plain(L, &k)) return call_other(L);
  bind_state *S = k.d->S;
  return apply(L, &k, push_box(L, S));
}

static bool is_plain (const bind_op *d) {
  for (int i = 0; i < d->nparams; i++) if (d->params[i].type != 'T' || d->params[i].optional) return false;
  return true;
}

static void push_function (lua_State *L, int index) {
  bool plain = is_plain(bind_parse(L, index));
  bind_openmeta(L);
  lua_pushcclosure(L, plain ? call_plain : call_op, 2);
}

static void set_in (lua_State *L, int table, const char *name) {
  lua_pushvalue(L, -1);
  lua_setfield(L, table, name);
}

/* every row in neap.op, in the module and among the methods; forms.c then puts what gives two results in its place */
void open_ops (lua_State *L) {
  int module = lua_gettop(L);
  lua_newtable(L);
  bind_methods(L);
  for (int i = 0; i < NEAP_OP_COUNT; i++) {
    push_function(L, i);
    set_in(L, module, neap_ops[i].name);
    set_in(L, module + 1, neap_ops[i].name);
    lua_setfield(L, module + 2, neap_ops[i].name);
  }
  lua_pop(L, 1);
  lua_setfield(L, module, "op");
}

void bind_metamethods (lua_State *L, int module, int meta) {
  static const char *const pairs[][2] = {
    { "__add", "add" }, { "__sub", "sub" }, { "__mul", "mul" }, { "__div", "div" }, { "__pow", "pow" },
    { "__mod", "mod" }, { "__unm", "neg" }
  };
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    lua_getfield(L, module, pairs[i][1]);
    lua_setfield(L, meta, pairs[i][0]);
  }
}
