/*
** loss.h -- what the Lua side of losses shares.
** Invariant: a loss that is being made goes into a box that exists already, so nothing leaks when Lua raises.
*/
#ifndef NEAP_LUA_LOSS_H
#define NEAP_LUA_LOSS_H

#include "sampler.h"

neap_loss **loss_box (lua_State *L);                    /* pushes an empty box */
void loss_add_makers (lua_State *L);                    /* pushes the table of makers */

#endif
