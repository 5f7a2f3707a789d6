/*
** energy_networks.c -- neap.energy.NAME{…} for networks and what is made of them.
** Invariant: options are read before anything is made; the runtime's makers check what the numbers mean.
*/
#include "energy.h"

enum { MAX_SIZES = 64 };

/* what the integer on top is, of field name[i] */
static int64_t read_entry (lua_State *L, const char *fname, const char *name, int i) {
  if (!lua_isinteger(L, -1))
    luaL_error(L, "%s: %s[%d]: integer expected, got %s", fname, name, i + 1, luaL_tolstring(L, -1, NULL));
  return lua_tointeger(L, -1);
}

/* option name, an array of integers, into sizes; returns how many */
static int read_list (lua_State *L, const char *fname, const char *name, const char *form, int64_t *sizes) {
  if (bind_field(L, 1, name) != LUA_TTABLE)
    return luaL_error(L, "%s: option '%s': a table expected, %s", fname, name, form);
  int n = (int)lua_rawlen(L, -1);
  if (n > MAX_SIZES) return luaL_error(L, "%s: at most %d layers", fname, MAX_SIZES);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, -1, i + 1);
    sizes[i] = read_entry(L, fname, name, i);
    lua_pop(L, 1);
  }
  return n;
}

static int read_sizes (lua_State *L, const char *fname, const char *form, int64_t *sizes) {
  return read_list(L, fname, "sizes", form, sizes);
}

/* option name of the table at 1, n integers, or one for all; otherwise: what is not given is */
static void read_numbers (lua_State *L, const char *fname, const char *name, int n, int64_t otherwise, int64_t *out) {
  int type = bind_field(L, 1, name);
  if (type != LUA_TNIL && type != LUA_TNUMBER && (type != LUA_TTABLE || (int)lua_rawlen(L, -1) != n))
    luaL_error(L, "%s: option '%s': an integer or a table of %d expected, one per entry of channels, got %s", fname,
               name, n, type == LUA_TTABLE ? "another number of them" : luaL_typename(L, -1));
  for (int i = 0; i < n; i++) {
    if (type == LUA_TTABLE) lua_rawgeti(L, -1, i + 1);
    out[i] = type == LUA_TNIL ? otherwise : read_entry(L, fname, name, i);
    if (type == LUA_TTABLE) lua_pop(L, 1);
  }
}

/* option activation, a name that the table at 1 holds; NULL when it is not given */
static const char *read_activation (lua_State *L, const char *fname) {
  int type = bind_field(L, 1, "activation");
  if (type != LUA_TNIL && type != LUA_TSTRING)
    luaL_error(L, "%s: option 'activation': a name expected, got %s", fname, luaL_typename(L, -1));
  return lua_tostring(L, -1);
}

static neap_dtype read_dtype (lua_State *L, const char *fname) {
  return (neap_dtype)bind_optdtype(L, 1, fname, "dtype", (int)neap_default_dtype(bind_context(L)));
}

static neap_rng *read_rng (lua_State *L) {
  bind_field(L, 1, "rng");
  return bind_optrng(L, lua_gettop(L));
}

static int make_mlp (lua_State *L) {
  static const char *const names[] = { "sizes", "activation", "condition", "dtype", "rng", NULL };
  int64_t sizes[MAX_SIZES];
  energy_options(L, "mlp", names);
  neap_context *c = bind_context(L);
  neap_mlp_config cfg = { .sizes = sizes, .condition = bind_optinteger(L, 1, "mlp", "condition", 0) };
  cfg.dtype = read_dtype(L, "mlp");
  cfg.nsizes = read_sizes(L, "mlp", "{inputs, hidden, ...}", sizes);
  cfg.activation = read_activation(L, "mlp");
  cfg.rng = read_rng(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  *box = neap_energy_mlp(c, &cfg);
  return bind_finishenergy(L, s, box);
}

static int make_residual_mlp (lua_State *L) {
  static const char *const names[] = { "sizes", "blocks", "activation", "condition", "dtype", "rng", NULL };
  const char *who = "residual_mlp";
  int64_t sizes[MAX_SIZES];
  energy_options(L, who, names);
  neap_context *c = bind_context(L);
  neap_residual_config cfg = { .sizes = sizes, .condition = bind_optinteger(L, 1, who, "condition", 0) };
  cfg.blocks = bind_optpositive(L, 1, who, "blocks", 0);
  cfg.dtype = read_dtype(L, who);
  cfg.nsizes = read_sizes(L, who, "{inputs, width, ...}", sizes);
  cfg.activation = read_activation(L, who);
  cfg.rng = read_rng(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  *box = neap_energy_residual_mlp(c, &cfg);
  return bind_finishenergy(L, s, box);
}

/* option hidden of conv: a size for each dense layer, one number for one, 0 for none; returns how many */
static int read_hidden (lua_State *L, int64_t *hidden) {
  if (bind_field(L, 1, "hidden") == LUA_TTABLE) return read_list(L, "conv", "hidden", "one entry per layer", hidden);
  hidden[0] = bind_optinteger(L, 1, "conv", "hidden", 64);
  if (hidden[0] < 0)
    return luaL_error(L, "conv: hidden must be a size, or 0 for none, got %I", (LUAI_UACINT)hidden[0]);
  return hidden[0] > 0;
}

static int make_conv (lua_State *L) {
  static const char *const names[] = { "input", "channels", "kernels", "strides", "hidden", "activation", "dtype",
                                       "rng", NULL };
  const char *who = "conv";
  int64_t input[MAX_SIZES], channels[MAX_SIZES], kernels[MAX_SIZES], strides[MAX_SIZES], hidden[MAX_SIZES];
  energy_options(L, who, names);
  neap_context *c = bind_context(L);
  neap_conv_config cfg = { .input = input, .channels = channels, .kernels = kernels, .strides = strides,
                           .hidden = hidden };
  if (read_list(L, who, "input", "{channels, height, width}", input) != 3)
    return luaL_error(L, "%s: option 'input': {channels, height, width} expected", who);
  cfg.nlayers = read_list(L, who, "channels", "one entry per layer", channels);
  read_numbers(L, who, "kernels", cfg.nlayers, 3, kernels);
  read_numbers(L, who, "strides", cfg.nlayers, 2, strides);
  cfg.nhidden = read_hidden(L, hidden);
  cfg.dtype = read_dtype(L, who);
  cfg.activation = read_activation(L, who);
  cfg.rng = read_rng(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  *box = neap_energy_conv(c, &cfg);
  return bind_finishenergy(L, s, box);
}

static int make_flow (lua_State *L) {
  static const char *const names[] = { "dim", "layers", "hidden", "activation", "dtype", "rng", NULL };
  energy_options(L, "flow", names);
  neap_context *c = bind_context(L);
  neap_flow_config cfg = { .dim = energy_size_option(L, "flow", "dim"), .dtype = read_dtype(L, "flow") };
  cfg.layers = bind_optinteger(L, 1, "flow", "layers", 6);
  cfg.hidden = bind_optinteger(L, 1, "flow", "hidden", 64);
  cfg.activation = read_activation(L, "flow");
  cfg.rng = read_rng(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  *box = neap_energy_flow(c, &cfg);
  return bind_finishenergy(L, s, box);
}

/* ---- restricted Boltzmann machines ---- */

static int make_rbm (lua_State *L) {
  static const char *const names[] = { "visible", "hidden", "dtype", "rng", NULL };
  energy_options(L, "rbm", names);
  neap_context *c = bind_context(L);
  int64_t visible = energy_size_option(L, "rbm", "visible"), hidden = energy_size_option(L, "rbm", "hidden");
  neap_dtype d = read_dtype(L, "rbm");
  neap_rng *rng = read_rng(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  *box = neap_energy_rbm(c, visible, hidden, d, rng);
  return bind_finishenergy(L, s, box);
}

static int make_gaussian_rbm (lua_State *L) {
  static const char *const names[] = { "visible", "hidden", "std", "dtype", "rng", NULL };
  const char *who = "gaussian_rbm";
  energy_options(L, who, names);
  neap_context *c = bind_context(L);
  int64_t visible = energy_size_option(L, who, "visible"), hidden = energy_size_option(L, who, "hidden");
  neap_dtype d = read_dtype(L, who);
  neap_rng *rng = read_rng(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  neap_tensor *std = energy_constant_field(L, who, "std");
  if (neap_status_of(c) == NEAP_OK) *box = neap_energy_gaussian_rbm(c, visible, hidden, std, d, rng);
  return bind_finishenergy(L, s, box);
}

/* ---- from a network ---- */

static int make_noise_conditional (lua_State *L) {
  neap_energy *net = bind_toenergy(L, 1);
  if (!net)
    return luaL_error(L, "noise_conditional(net): an energy expected, got %s", luaL_typename(L, 1));
  if (lua_gettop(L) > 1) return luaL_argerror(L, 2, "too many arguments");
  neap_context *c = bind_context(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  *box = neap_energy_noise_conditional(c, net);
  return bind_finishenergy(L, s, box);
}

/* classifier(mlp | conv) or classifier(f, {params=, event=, name=}) */
static int make_classifier (lua_State *L) {
  neap_energy *net = bind_toenergy(L, 1);
  if (!net) return energy_classifier_from_lua(L);
  if (!lua_isnoneornil(L, 2))
    return luaL_error(L, "classifier: options are for functions, got some with %s", neap_energy_name(net));
  neap_context *c = bind_context(L);
  neap_energy **box = bind_energybox(L);
  neap_scope s = neap_scope_open(c);
  *box = neap_energy_classifier(c, net);
  return bind_finishenergy(L, s, box);
}

void energy_add_networks (lua_State *L) {
  static const luaL_Reg makers[] = {
    { "mlp", make_mlp }, { "residual_mlp", make_residual_mlp }, { "noise_conditional", make_noise_conditional },
    { "classifier", make_classifier }, { "conv", make_conv }, { "flow", make_flow },
    { "rbm", make_rbm }, { "gaussian_rbm", make_gaussian_rbm }, { NULL, NULL }
  };
  luaL_setfuncs(L, makers, 0);
}
