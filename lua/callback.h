/*
** callback.h -- Lua functions of tensors as the runtime's program functions.
*/
#ifndef NEAP_LUA_CALLBACK_H
#define NEAP_LUA_CALLBACK_H

#include "state.h"

/* The function at stack index f, called with n fresh boxes. */
typedef struct callback { lua_State *L; int f, n; } callback;

/* The tensors of the table at i into list (NEAP_PROGRAM_TENSORS of them at most); how many. */
int callback_list (lua_State *L, int i, neap_tensor **list);
/* A neap_program_fn; arg: a callback. */
bool callback_run (neap_context *c, void *arg, neap_tensor *const *in, int *nout, neap_tensor **out);

#endif
