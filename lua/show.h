/* show.h -- plain tables that print as what they hold. */
#ifndef NEAP_LUA_SHOW_H
#define NEAP_LUA_SHOW_H

#include "bind.h"

/* Pushes the sizes as an array that prints as [2, 3] and equals any array of the same numbers. */
void bind_pushsizes (lua_State *L, int n, const int64_t *sizes);

/* The table on top, with names as keys, prints as a line for each name. */
void bind_setrecord (lua_State *L);

void open_show (lua_State *L);

#endif
