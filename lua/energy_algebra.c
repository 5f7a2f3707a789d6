/*
** energy_algebra.c -- E1 + E2, w * E, E / T, E1 - w * E2, E + number, -E.
** Invariant: a Lua number is a constant without parameters; a tensor is kept by reference, and is a parameter if it is
** a variable.
*/
#include "energy.h"

/* ---- pieces, inside a scope; NULL with a pending error ---- */

typedef neap_energy *(*by_tensor) (neap_context *c, neap_energy *E, neap_tensor *t);

static neap_energy *with_tensor (lua_State *L, neap_context *c, neap_energy *E, int i, by_tensor f, const char *what) {
  if (lua_isnil(L, i)) return neap_fail(c, NEAP_EARG, "%s: tensor or number expected, got nil", what);
  neap_tensor *t = energy_constant_at(L, i, what);
  return t ? f(c, E, t) : NULL;
}

/* a + w·b, which owns nothing of what it is given */
static neap_energy *sum (neap_context *c, neap_energy *a, neap_energy *b, double w) {
  neap_energy *scaled = w == 1 ? neap_energy_keep(b) : neap_energy_scale(c, b, w);
  neap_energy *E = scaled ? neap_energy_sum(c, 2, (neap_energy *[]){ a, scaled }) : NULL;
  neap_energy_release(scaled);
  return E;
}

/* t − E as −E + t */
static neap_energy *tensor_minus (neap_context *c, neap_energy *E, neap_tensor *t) {
  neap_energy *n = neap_energy_scale(c, E, -1), *out = n ? neap_energy_offset_by(c, n, t) : NULL;
  neap_energy_release(n);
  return out;
}

/* E − t as E + (−t), or −(t − E) when t is a parameter, which must stay itself */
static neap_energy *minus_tensor (neap_context *c, neap_energy *E, neap_tensor *t) {
  if (!neap_is_tracked(t)) return neap_energy_offset_by(c, E, neap_neg(c, t));
  neap_energy *n = tensor_minus(c, E, t), *out = n ? neap_energy_scale(c, n, -1) : NULL;
  neap_energy_release(n);
  return out;
}

/* ---- metamethods: which operand is what ---- */

typedef neap_energy *(*operation) (lua_State *L, neap_context *c, neap_energy *a, neap_energy *b);

/* NULL when it is no energy; raises when it is a closed one */
static neap_energy *operand (lua_State *L, int i) {
  return luaL_testudata(L, i, ENERGY) ? bind_checkenergy(L, i) : NULL;
}

static int operate (lua_State *L, operation f) {
  neap_context *c = bind_context(L);
  neap_energy *a = operand(L, 1), *b = operand(L, 2), **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  *box = f(L, c, a, b);
  return bind_finishenergy(L, s, box);
}

static neap_energy *do_add (lua_State *L, neap_context *c, neap_energy *a, neap_energy *b) {
  if (a && b) return sum(c, a, b, 1);
  return with_tensor(L, c, a ? a : b, a ? 2 : 1, neap_energy_offset_by, "energy + value");
}

static neap_energy *do_sub (lua_State *L, neap_context *c, neap_energy *a, neap_energy *b) {
  if (a && b) return sum(c, a, b, -1);
  if (a) return with_tensor(L, c, a, 2, minus_tensor, "energy - value");
  return with_tensor(L, c, b, 1, tensor_minus, "value - energy");
}

static neap_energy *do_mul (lua_State *L, neap_context *c, neap_energy *a, neap_energy *b) {
  if (a && b)
    return neap_fail(c, NEAP_EARG,
                     "energies are not multiplied with each other: E1 + E2 is the product of their densities");
  return with_tensor(L, c, a ? a : b, a ? 2 : 1, neap_energy_scale_by, "weight * energy");
}

static neap_energy *do_div (lua_State *L, neap_context *c, neap_energy *a, neap_energy *b) {
  if (b) return neap_fail(c, NEAP_EARG, "an energy cannot be divided by; E / T takes a number T");
  if (lua_type(L, 2) == LUA_TNUMBER && lua_tonumber(L, 2) == 0)
    return neap_fail(c, NEAP_EARG, "energy / T: T must not be 0");
  return with_tensor(L, c, a, 2, neap_energy_divide_by, "energy / T");
}

static neap_energy *do_unm (lua_State *L, neap_context *c, neap_energy *a, neap_energy *b) {
  (void)L; (void)b;
  return neap_energy_scale(c, a, -1);
}

static int energy_add (lua_State *L) { return operate(L, do_add); }
static int energy_sub (lua_State *L) { return operate(L, do_sub); }
static int energy_mul (lua_State *L) { return operate(L, do_mul); }
static int energy_div (lua_State *L) { return operate(L, do_div); }
static int energy_unm (lua_State *L) { return operate(L, do_unm); }

void energy_add_algebra (lua_State *L) {
  static const luaL_Reg algebra[] = { { "__add", energy_add }, { "__sub", energy_sub }, { "__mul", energy_mul },
                                      { "__div", energy_div }, { "__unm", energy_unm }, { NULL, NULL } };
  luaL_setfuncs(L, algebra, 0);
}
