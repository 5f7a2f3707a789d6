/*
** sampler.h -- what the Lua side of samplers and losses shares.
** Invariant: a C state that lives while Lua runs is in a box (stack index), so that nothing leaks when Lua raises.
*/
#ifndef NEAP_LUA_SAMPLER_H
#define NEAP_LUA_SAMPLER_H

#include "state.h"

neap_sampler **bind_samplerbox (lua_State *L);          /* pushes an empty sampler box */
neap_sampler *bind_tosampler (lua_State *L, int i);     /* NULL when the value at i is no sampler; never raises */
neap_sampler *bind_checksampler (lua_State *L, int i);

neap_state **bind_statebox (lua_State *L);              /* pushes an empty box for a C state */
/* The fields of the table at i, as tensors of a new state in *box; numbers become 0-d tensors.  The field rng gives its
** stream.  Call it inside a scope; never raises: false with a pending error. */
bool bind_readstate (lua_State *L, int i, neap_state **box);
/* Sets the fields of the table at i to the state's tensors.  Call it outside scopes; may raise. */
void bind_writestate (lua_State *L, int i, const neap_state *st);
void bind_pushtensor (lua_State *L, neap_tensor *t);    /* a box with its own reference; outside scopes; may raise */
void bind_pushrng (lua_State *L, neap_rng *r);
void bind_pushenergy (lua_State *L, neap_energy *E);

/* table[name] as a number, which must be there. */
double bind_neednumber (lua_State *L, int table, const char *fname, const char *name);
/* table[name], which must be a sampler and stays on the stack. */
neap_sampler *bind_needsampler (lua_State *L, int table, const char *fname, const char *name);
/* table[name], a table of numbers or a tensor [n], as *n doubles in a userdata on the stack. */
double *bind_neednumbers (lua_State *L, int table, const char *fname, const char *name, int *n);
/* table.init: a string, or {"uniform", lower, upper}; anything else raises, saying what else may stand there. */
neap_start bind_start (lua_State *L, int i, const char *fname, const char *also);

/* Calls C function f(arg) under bind_call: what it raises becomes the pending error.  For callbacks of the runtime. */
bool bind_protected (neap_context *c, lua_CFunction f, void *arg);

/* methods in other files */
int sampler_method_sample (lua_State *L);
int sampler_method_partial (lua_State *L);
int sampler_method_init (lua_State *L);
int sampler_method_step (lua_State *L);
int sampler_method_warmup (lua_State *L);
int sampler_make_sgld (lua_State *L);
int sampler_make_sghmc (lua_State *L);
int sampler_make_blocks (lua_State *L);
int sampler_make_mala (lua_State *L);
int sampler_make_hmc (lua_State *L);
int sampler_make_nuts (lua_State *L);
int sampler_make_tempering (lua_State *L);
int sampler_make_smc (lua_State *L);
void open_run (lua_State *L);

#endif
