/*
** energy.h -- what the Lua side of energies shares.
** Invariant: an energy that is being made goes into a box that exists already, so nothing leaks when Lua raises.
*/
#ifndef NEAP_LUA_ENERGY_H
#define NEAP_LUA_ENERGY_H

#include "state.h"

#define ENERGY "neap.energy"

/* What the table or number at i gives: float64, so that constants lose nothing; a tensor is taken as it is.
** Lent by the open scope; nil gives NULL without error. */
neap_tensor *energy_constant_at (lua_State *L, int i, const char *fname);
/* The field name of the table at 1, likewise. */
neap_tensor *energy_constant_field (lua_State *L, const char *fname, const char *name);
/* The event of option event, a size or a table of sizes; returns ndim, -1 when it is not given. */
int energy_event_field (lua_State *L, int table, const char *fname, int64_t *event);

/* Raises unless the value at 1 is a table whose keys are all known; leaves it alone on the stack. */
void energy_options (lua_State *L, const char *fname, const char *const *names);

/* The integer option name of the table at 1, which must be given. */
int64_t energy_size_option (lua_State *L, const char *fname, const char *name);

/* Pushes the values that a unit of a discrete energy takes; nil of others. */
int energy_push_units (lua_State *L, const neap_energy *E);

/* option method of the table at options is one of choices (NULL-terminated): its place, 0 when it is not given */
int energy_method_option (lua_State *L, int options, const char *fname, const char *const *choices);
int energy_log_z (lua_State *L);                        /* E:log_z{…} */
void energy_set_interval (lua_State *L, double lower, double upper);    /* into the info on top */
/* The same by "ais", "reverse_ais" or "smc", of the energy at 1 and options at 2. */
int energy_log_z_path (lua_State *L, neap_energy *E, const char *method);

/* ising{…} and its like */
void energy_add_lattices (lua_State *L);                /* into the table on top */

/* neap.energy(f, options), classifier(f, options), exponential_family{…} */
int energy_from_lua (lua_State *L);
int energy_classifier_from_lua (lua_State *L);
int energy_exponential_family (lua_State *L);
void energy_add_makers (lua_State *L);                  /* into the table on top */
void energy_add_networks (lua_State *L);                /* into the table on top */
void energy_add_methods (lua_State *L);                 /* into the table on top */
void energy_add_algebra (lua_State *L);                 /* into the metatable on top */

#endif
