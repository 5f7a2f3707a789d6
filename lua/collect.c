/*
** collect.c -- what Lua's collector is told of tensor bytes.
** Lua sees boxes of a few words, not the megabytes behind them.  Invariant: every byte that comes alive is told once,
** as debt scaled by heap / (heap + live), which gives one cycle per doubling of both together; and tensor bytes
** beyond max(64 MB, 2 x live after the last full collection) bring a full one, because generational mode alone
** lets old garbage stand.
*/
#include "state.h"
#include "core.h"

enum { TELL_FROM = 16 << 10, LIMIT_MIN = 64 << 20, KB = 1 << 10 };

static size_t live_bytes (const bind_state *S) {
  const neap_context *c = S->c;
  return c->live > c->cached ? c->live - c->cached : 0;
}

void bind_forget (bind_state *S) { S->seen = live_bytes(S); }

static void collect_all (lua_State *L, bind_state *S) {
  lua_gc(L, LUA_GCCOLLECT);
  S->seen = live_bytes(S);
  S->limit = 2 * S->seen > LIMIT_MIN ? 2 * S->seen : LIMIT_MIN;
  S->owed = 0;
}

static void tell (lua_State *L, bind_state *S) {
  double heap = (double)lua_gc(L, LUA_GCCOUNT) * KB + KB;
  S->owed += (double)S->fresh / KB * heap / (heap + (double)S->seen);
  S->fresh = 0;
  if (lua_gc(L, LUA_GCISRUNNING) != 1) return;          /* the script stopped the collector */
  if (S->seen > S->limit) { collect_all(L, S); return; }
  if (S->owed < 1) return;
  int k = S->owed > 1e6 ? 1000000 : (int)S->owed;
  S->owed = 0;
  lua_gc(L, LUA_GCSTEP, k);
}

void bind_tell (lua_State *L, bind_state *S) {
#ifdef NEAP_HOSTILE
  if (lua_gc(L, LUA_GCISRUNNING) == 1) lua_gc(L, LUA_GCSTEP, 0);   /* whatever is not held is gone at once */
#endif
  size_t live = live_bytes(S);
  if (live > S->seen) S->fresh += live - S->seen;
  S->seen = live;
  if (S->fresh >= TELL_FROM) tell(L, S);
}

bool bind_again (lua_State *L, bind_state *S, neap_scope s, int *tries) {
  if (neap_status_of(S->c) != NEAP_EMEMORY || *tries > 0) return false;
  *tries = 1;
  neap_scope_close(S->c, s);
  neap_clear_error(S->c);
  collect_all(L, S);
  return true;
}
