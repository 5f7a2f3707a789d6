/*
** state.h -- what the files of the Lua module share and other parts need not see.
** Invariant: one bind_state per Lua state, kept by the registry; every tensor box is on its list, so closing the
** state gives back even tensors whose finaliser never runs.
*/
#ifndef NEAP_STATE_H
#define NEAP_STATE_H

#include "bind.h"
#include "core.h"

typedef struct bind_state bind_state;

typedef struct bind_tbox {
  const void *tag;                         /* tells a box from any other userdata */
  bind_state *S;
  neap_tensor *t;                          /* one reference; NULL before it is filled and once closed */
  struct bind_tbox *prev, *next;
} bind_tbox;

enum { BIND_CONSTANTS = 64 };

struct bind_state {
  neap_context *c;                         /* NULL once the Lua state is closing */
  lua_State *volatile running;                      /* whose code runs: callbacks and interrupts go there */
  lua_State *volatile hooked;                       /* where an interrupt set its hook */
  bind_tbox boxes;                         /* head of the list of all boxes */
  size_t seen, fresh, limit;               /* collect.c: bytes live at the last look, not yet told, to collect at */
  double owed;                             /* KB of debt not yet told */
  neap_tensor *constants[BIND_CONSTANTS];  /* numbers used beside tensors, by value: convert.c */
  double values[BIND_CONSTANTS];
};

bind_state *bind_state_of (lua_State *L);               /* raises when the context was closed */
bind_tbox *bind_newbox (lua_State *L, bind_state *S);   /* pushes an empty box */
/* The same with the metatable at stack index meta, for functions that have it as an upvalue. */
bind_tbox *bind_newboxof (lua_State *L, bind_state *S, int meta);
extern const char bind_tag;

/* The box at i, whether open or closed; NULL when it is something else. */
static inline bind_tbox *bind_boxat (lua_State *L, int i) {
  if (lua_rawlen(L, i) != sizeof(bind_tbox)) return NULL;   /* 0 for a light userdata, whose address may be anything */
  bind_tbox *b = lua_touserdata(L, i);
  return b && b->tag == &bind_tag ? b : NULL;
}

/* Raises the pending error, having cleared it. */
int bind_raise (lua_State *L, bind_state *S);
/* Raises "<position>: <error>" after the scope was closed if one is pending; else fills b and tells the collector. */
void bind_fill (lua_State *L, bind_tbox *b, neap_scope s, neap_tensor *t);

/* ---- the collector ---- */
void bind_tell (lua_State *L, bind_state *S);           /* after something was made */
void bind_forget (bind_state *S);                       /* after something was released */
/* After a failure inside scope s: true when it was for want of memory and worth one more try. */
bool bind_again (lua_State *L, bind_state *S, neap_scope s, int *tries);

/* ---- values ---- */
/* What a Lua number becomes beside tensors of dtype like: like itself if it can hold it, else int64 or otherwise. */
neap_dtype bind_numberdtype (lua_State *L, int i, neap_dtype like, neap_dtype otherwise);
/* A number or boolean as a lent 0-d tensor of that dtype. */
neap_tensor *bind_scalar (lua_State *L, neap_context *c, int i, neap_dtype d);
/* The same from a cache: for ops whose result never shares storage with their arguments. */
neap_tensor *bind_constant (lua_State *L, bind_state *S, int i, neap_dtype d);
/* A nested table, number or boolean as a lent tensor; d < 0: booleans give bool, numbers the default dtype. */
neap_tensor *bind_nested (lua_State *L, neap_context *c, int i, int d, const char *fname);
void bind_pushshape (lua_State *L, const neap_tensor *t);
/* Pushes a boolean, integer or number; t has one element. */
void bind_pushitem (lua_State *L, bind_state *S, neap_tensor *t);
void bind_totable (lua_State *L, bind_state *S, neap_tensor *t);
int bind_dtype (lua_State *L, int i, const char *fname, const char *what);      /* of a name; raises */

/* ---- functions that several parts install ---- */
int bind_getindex (lua_State *L, bind_state *S, neap_tensor *x);                /* x[key], key at 2 */
int bind_setindex (lua_State *L);
int bind_tostring (lua_State *L);
void bind_metamethods (lua_State *L, int module, int meta);                     /* arithmetic, from the op rows */
void bind_unhook (lua_State *L, bind_state *S);
void bind_keeperror (lua_State *L);                     /* pops the value a callback raised, for bind_raise */
bool bind_failed (lua_State *L, bind_state *S);         /* pops it and makes it the pending error; returns false */

/* Where the user's code stands: the context's place. */
void bind_place (neap_context *c, neap_place *p);

/* Names the metatable on top; getmetatable shows scripts a table with the name only, so __gc stays where it is. */
void bind_setname (lua_State *L, const char *name);

void open_create (lua_State *L);
void open_forms (lua_State *L);
void open_threads (lua_State *L);
void open_where (lua_State *L);
void bind_openmeta (lua_State *L);                      /* pushes the metatable of tensors, making it at first */
void bind_methods (lua_State *L);                       /* pushes the table of methods */
void bind_function (lua_State *L, const char *name, lua_CFunction f);   /* into the module on top, and the methods */

#endif
