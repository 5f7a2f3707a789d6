/*
** state.c -- the Lua state's context, tensor boxes, and the way errors leave the runtime.
** Invariant: a box owns at most one reference and is linked from its making until its finaliser; nothing here
** raises between taking a reference and storing it in a box.
*/
#include "state.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char bind_tag = 't';
static const char state_key = 's', meta_key = 'm', methods_key = 'f', error_key = 'e';

/* ---- the context ---- */

static bind_state *find_state (lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
  bind_state *S = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return S;
}

bind_state *bind_state_of (lua_State *L) {
  bind_state *S = find_state(L);
  if (!S || !S->c) luaL_error(L, "neap: this Lua state is closing");
  S->running = L;
  return S;
}

neap_context *bind_context (lua_State *L) { return bind_state_of(L)->c; }

static int state_gc (lua_State *L) {
  bind_state *S = lua_touserdata(L, 1);
  for (bind_tbox *b = S->boxes.next; b != &S->boxes; b = b->next) {
    neap_release(b->t);
    b->t = NULL;
  }
  for (int i = 0; i < BIND_CONSTANTS; i++) neap_release(S->constants[i]);
  neap_context *c = S->c;
  S->c = NULL;
  if (c) neap_close(c);
  return 0;
}

static void log_line (void *arg, const char *message) {
  (void)arg;
  fprintf(stderr, "neap: %s\n", message);
}

static int cores (void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : n > 256 ? 256 : (int)n;
}

/* the userdata first, so that whatever fails later it is closed */
static void new_state (lua_State *L) {
  bind_state *S = lua_newuserdatauv(L, sizeof *S, 0);
  memset(S, 0, sizeof *S);
  S->boxes.next = S->boxes.prev = &S->boxes;
  S->running = L;
  S->limit = (size_t)64 << 20;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, state_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  neap_config cfg = { .threads = cores(), .log = log_line, .log_arg = S };
  cfg.alloc = lua_getallocf(L, &cfg.alloc_arg);         /* the host's: it counts and refuses tensors, too */
  S->c = neap_open(&cfg);
  if (!S->c) luaL_error(L, "neap: not enough memory to open a context");
  S->c->place = bind_place;
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
}

static void new_table (lua_State *L, const void *key) {
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void bind_openstate (lua_State *L) {
  if (find_state(L)) return;
  new_state(L);
  new_table(L, &meta_key);
  new_table(L, &methods_key);
  lua_pushboolean(L, 0);                                /* from the start: storing an error needs no memory then */
  lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
}

void bind_openmeta (lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &meta_key); }
void bind_methods (lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key); }

void bind_function (lua_State *L, const char *name, lua_CFunction f) {
  lua_pushcfunction(L, f);
  bind_methods(L);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
  lua_setfield(L, -2, name);
}

void bind_setname (lua_State *L, const char *name) {
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_createtable(L, 0, 1);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_setfield(L, -2, "__metatable");
}

/* ---- boxes ---- */

/* the metatable comes at once: Lua looks for the object at the head of its list */
static bind_tbox *link_box (lua_State *L, bind_state *S, bind_tbox *b) {
  lua_setmetatable(L, -2);
  b->next = S->boxes.next; b->prev = &S->boxes;
  b->next->prev = S->boxes.next = b;
  return b;
}

static bind_tbox *blank_box (lua_State *L, bind_state *S) {
  bind_tbox *b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = (bind_tbox){ .tag = &bind_tag, .S = S, .prev = b, .next = b };
  return b;
}

bind_tbox *bind_newboxof (lua_State *L, bind_state *S, int meta) {
  bind_tbox *b = blank_box(L, S);
  lua_pushvalue(L, meta);
  return link_box(L, S, b);
}

bind_tbox *bind_newbox (lua_State *L, bind_state *S) {
  bind_tbox *b = blank_box(L, S);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &meta_key);
  return link_box(L, S, b);
}

neap_tensor **bind_box (lua_State *L) { return &bind_newbox(L, bind_state_of(L))->t; }

static void empty_box (bind_tbox *b) {
  neap_tensor *t = b->t;
  b->t = NULL;
  neap_release(t);
  if (b->S->c) bind_forget(b->S);
}

int bind_boxgc (lua_State *L) {
  bind_tbox *b = bind_boxat(L, 1);
  if (!b) return 0;
  empty_box(b);
  b->prev->next = b->next; b->next->prev = b->prev;
  b->prev = b->next = b;
  return 0;
}

int bind_boxclose (lua_State *L) {
  bind_tbox *b = bind_boxat(L, 1);
  if (!b) return luaL_typeerror(L, 1, "tensor");
  empty_box(b);
  return 0;
}

neap_tensor *bind_totensor (lua_State *L, int i) {
  bind_tbox *b = bind_boxat(L, i);
  return b ? b->t : NULL;
}

neap_tensor *bind_checktensor (lua_State *L, int i) {
  bind_tbox *b = bind_boxat(L, i);
  if (!b) luaL_typeerror(L, i, "tensor");
  else if (!b->t) luaL_argerror(L, i, "the tensor was closed");
  return b->t;
}

void bind_fill (lua_State *L, bind_tbox *b, neap_scope s, neap_tensor *t) {
  bind_state *S = b->S;
  b->t = neap_keep(t);
  neap_scope_close(S->c, s);
  if (__builtin_expect(!t || neap_status_of(S->c) != NEAP_OK, 0)) bind_raise(L, S);
  bind_tell(L, S);
}

void bind_finish (lua_State *L, neap_scope s, int box, neap_tensor *t) { bind_fill(L, bind_boxat(L, box), s, t); }

void bind_close (lua_State *L, neap_scope s) {
  bind_state *S = bind_state_of(L);
  neap_scope_close(S->c, s);
  if (neap_status_of(S->c) != NEAP_OK) bind_raise(L, S);
  bind_tell(L, S);
}

static int push_filled (lua_State *L) {
  neap_tensor *t = lua_touserdata(L, 1);
  bind_newbox(L, find_state(L))->t = neap_keep(t);
  return 1;
}

bool bind_push (lua_State *L, neap_tensor *t) {
  bind_state *S = find_state(L);
  if (!t || !lua_checkstack(L, 4)) return neap_fail(S->c, NEAP_EMEMORY, "not enough memory: Lua's stack");
  lua_pushcfunction(L, push_filled);
  lua_pushlightuserdata(L, t);
  return lua_pcall(L, 1, 1, 0) == LUA_OK || bind_failed(L, S);
}

/* ---- errors ---- */

void bind_keeperror (lua_State *L) { lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key); }

/* pushes what a callback raised; false when there is none */
static bool pop_kept (lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key);
  lua_pushboolean(L, 0);
  bind_keeperror(L);
  if (lua_toboolean(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

int bind_raise (lua_State *L, bind_state *S) {
  char text[512];
  neap_status status = neap_status_of(S->c);
  snprintf(text, sizeof text, "%s", status == NEAP_OK ? "neap: no result and no reason" : neap_error(S->c));
  neap_clear_error(S->c);
  if (status == NEAP_EINTERRUPTED) bind_unhook(L, S);
  if (status == NEAP_EMEMORY) lua_gc(L, LUA_GCCOLLECT);
  if (status == NEAP_ECALLBACK && pop_kept(L)) return lua_error(L);
  return luaL_error(L, "%s", text);
}
