/*
** sig.h -- a row's Lua signature, parsed once.
** Invariant: params stand in the order of the row's sig; the options come last.
*/
#ifndef NEAP_SIG_H
#define NEAP_SIG_H

#include "state.h"
#include "op.h"

typedef struct bind_param {
  const char *name;
  char type;                               /* T tensor, L list of tensors, else a letter of ops.def */
  bool optional, option;                   /* may be left out; named in the trailing table */
  int slot;                                /* of the inputs, of attrs.f or of attrs.i */
  double otherwise;                        /* the value when left out, whatever its type; NAN or NEAP_NONE: none */
  const char *choices;                     /* "none|tanh" */
} bind_param;

typedef struct bind_op {
  bind_state *S;
  const neap_op *op;
  int index;                               /* NEAP_OP_name */
  int ntensors, npositional, nparams;
  bool list, attrs;
  bool arithmetic;                         /* elementwise, of two tensors that are promoted together */
  const char **options;                    /* names, NULL-terminated */
  bind_param params[];
} bind_op;

/* Pushes the descriptor of neap_ops[index] as a userdata. */
bind_op *bind_parse (lua_State *L, int index);
/* Which of a|b|c name is, from 0; -1 when none. */
int bind_choice (const char *choices, const char *name, size_t length);

/* The arguments of one call, checked: stack indices and numbers, nothing owned. */
typedef struct bind_args {
  const bind_op *d;
  const char *name;                        /* what the user called: the row, or the form that is made of it */
  int n, top;                              /* tensors; the call's arguments are at 1..top */
  int *where;                              /* stack index of each tensor, 0 = left out; room for BIND_FEW before */
  neap_tensor **in;                        /* room for as many, filled later */
  bool ready;                              /* in is filled: all were tensors */
  int number;                              /* beside the tensor of floats in the other place; or -1 */
  neap_attrs a;
} bind_args;

enum { BIND_FEW = 8 };

/* Checks everything at 1..top against k->d; raises what is wrong.  May push values that the call needs. */
void bind_take (lua_State *L, bind_args *k);
/* A pending error that begins with an op's name says name instead. */
void bind_blame (neap_context *c, const char *name);
/* The whole call of row d with the arguments on the stack; its one result is pushed. */
int bind_callrow (lua_State *L, const bind_op *d);
/* A tensor, a number, a boolean or a table of them; raises otherwise. */
void bind_taketensor (lua_State *L, int i);

#endif
