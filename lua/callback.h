/*
** callback.h -- Lua functions of tensors as the runtime's program functions.
*/
#ifndef NEAP_LUA_CALLBACK_H
#define NEAP_LUA_CALLBACK_H

#include "state.h"
#include "program/program.h"

/* The function at stack index f, called with n fresh boxes. */
typedef struct callback { lua_State *L; int f, n; } callback;

/* The tensors of the table at i into list (NEAP_PROGRAM_TENSORS of them at most); how many. */
int callback_list (lua_State *L, int i, neap_tensor **list);
/* Pushes a table of lent tensors, inside an open scope; false with a pending error when Lua has no memory. */
bool callback_push (lua_State *L, bind_state *S, int n, neap_tensor **t);
/* Returns nil, reason, line of why w cannot be recorded, nil alone when there is no reason; raises a pending error. */
int callback_reason (lua_State *L, bind_state *S, const capture *w);
/* A neap_program_fn; arg: a callback. */
bool callback_run (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out);

#endif
