/*
** bind.h -- what the parts of the Lua module share.
** Invariant of every binding: check arguments (owning nothing) -> push empty boxes -> open a scope ->
** call the runtime (which cannot raise) -> fill the boxes -> close the scope -> raise if an error is pending.
*/
#ifndef NEAP_BIND_H
#define NEAP_BIND_H

#include "neap.h"
#include <lua.h>
#include <lauxlib.h>

/* Raises as luaL_error does, which it stands for in this module: the position is the first line below that is neither
** in C nor in neap's own Lua library, so a fault that a part of the library finds is shown where the user called it. */
int bind_error (lua_State *L, const char *format, ...);
#define luaL_error bind_error
/* Stands for luaL_typename in this module: "tensor", "energy" … where Lua's says "userdata".  Never raises. */
const char *bind_typename (lua_State *L, int i);
#undef luaL_typename
#define luaL_typename bind_typename
/* The same for arguments; what a part of neap's Lua library passed wrongly has no number that the user knows. */
int bind_argerror (lua_State *L, int arg, const char *message);
int bind_typeerror (lua_State *L, int arg, const char *expected);
#define luaL_argerror bind_argerror
#define luaL_typeerror bind_typeerror

neap_context *bind_context (lua_State *L);              /* of this Lua state; raises when it was closed */

/* ---- tensors ---- */
neap_tensor **bind_box (lua_State *L);                  /* pushes an empty tensor box */
neap_tensor *bind_totensor (lua_State *L, int i);       /* NULL when the value at i is no open tensor; never raises */
neap_tensor *bind_checktensor (lua_State *L, int i);    /* raises unless a tensor that was not closed */
/* A tensor, a number (0-d, default dtype) or a nested table of numbers, lent by the open scope.
** NULL with a pending error otherwise; never raises.  Call it inside a scope. */
neap_tensor *bind_lendtensor (lua_State *L, int i);
/* Keeps t in the box at stack index box; closes s; raises the pending error, if any, else tells the collector. */
void bind_finish (lua_State *L, neap_scope s, int box, neap_tensor *t);
/* Closes s and raises if an error is pending. */
void bind_close (lua_State *L, neap_scope s);
/* Pushes a box around t inside an open scope, pcall-protected: false with a pending error when Lua has no memory. */
bool bind_push (lua_State *L, neap_tensor *t);

/* ---- options: one trailing table ---- */
/* Raises unless the value at i is nil/none or a table whose keys are all in names (NULL-terminated); the message names
** the function, the unknown key and the nearest known one.  Returns whether a table is there. */
bool bind_options (lua_State *L, int i, const char *fname, const char *const *names);
double bind_optnumber (lua_State *L, int table, const char *fname, const char *name, double otherwise);
int64_t bind_optinteger (lua_State *L, int table, const char *fname, const char *name, int64_t otherwise);
/* An integer from 1 up; otherwise is any. */
int64_t bind_optpositive (lua_State *L, int table, const char *fname, const char *name, int64_t otherwise);
bool bind_optboolean (lua_State *L, int table, const char *fname, const char *name, bool otherwise);
int bind_optdtype (lua_State *L, int table, const char *fname, const char *name, int otherwise);
/* Leaves table[name] on the stack; returns its Lua type. */
int bind_field (lua_State *L, int table, const char *name);
/* Numbers or one table at first..last into sizes; returns ndim. */
int bind_sizes (lua_State *L, int first, int last, const char *fname, int64_t *sizes);

/* ---- counted C objects in userdata: energies, samplers, rngs ---- */
neap_rng **bind_rngbox (lua_State *L);
neap_rng *bind_optrng (lua_State *L, int i);            /* nil: the context's own stream */
neap_energy **bind_energybox (lua_State *L);            /* pushes an empty energy box */
neap_energy *bind_toenergy (lua_State *L, int i);       /* NULL when the value at i is no energy; never raises */
neap_energy *bind_checkenergy (lua_State *L, int i);
/* Closes s and raises if an error is pending or the box, which is on top, is still empty; returns 1. */
int bind_finishenergy (lua_State *L, neap_scope s, neap_energy **box);

/* ---- calling Lua from the runtime ---- */
/* lua_pcall without continuation; scope and derivative mode are restored whatever happens; a Lua error becomes
** NEAP_ECALLBACK with its message.  nargs values and the function are on the stack, results stay there. */
bool bind_call (lua_State *L, int nargs, int nresults);
lua_State *bind_mainthread (lua_State *L);
lua_State *bind_running (neap_context *c);              /* the thread a callback must use */

/* ---- tracebacks, for a host that shows them (the neap program does) ---- */
/* From here on the traceback of an error inside a callback (in an energy's function, say) is kept; messages stay. */
NEAP_API void neap_lua_keep_tracebacks (lua_State *L);
/* In a message handler: pushes the traceback from the place where the error at i arose, if it was in a callback; else
** false, and luaL_traceback shows all. */
NEAP_API bool neap_lua_kept_traceback (lua_State *L, int i);

/* ---- interrupts, for a host that owns its lua_State (the neap program does) ---- */
/* Lets neap_lua_interrupt reach coroutines too: puts its own resume, wrap and close into the coroutine table, and a
** pointer into the main thread's extra space (LUA_EXTRASPACE), which the host must leave alone.
** Also core.interrupt_hook(). */
NEAP_API void neap_lua_interruptible (lua_State *L);
/* L: the main thread, after neap_lua_interruptible.  Safe from a signal handler: what runs raises "interrupted!". */
NEAP_API void neap_lua_interrupt (lua_State *L);
/* The module: luaL_requiref(L, "neap.core", luaopen_neap_core, 0). */
NEAP_API int luaopen_neap_core (lua_State *L);

/* ---- parts: each adds its functions to the module table on top of the stack ---- */
void open_tensor (lua_State *L);
void open_ops (lua_State *L);
void open_grad (lua_State *L);
void open_compile (lua_State *L);
void open_value (lua_State *L);          /* the table _program on top */
void open_steps (lua_State *L);          /* as above */
void open_random (lua_State *L);
void open_energy (lua_State *L);
void open_sampler (lua_State *L);
void open_loss (lua_State *L);
void open_files (lua_State *L);
void open_optim (lua_State *L);

#endif
