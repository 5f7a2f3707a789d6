-- optim.lua -- optimisers: opt:step(params, grads) changes the parameters in place.
-- params is a tensor, an array or a table with names; grads has the same keys (a parameter without a gradient stays
-- as it is).
-- Invariant: the averages of a parameter belong to its key, so every step must be given the same keys.

local neap = require "neap"
local options = require "neap.options"
local lbfgs = require "neap.lbfgs"
local tree = require "neap.tree"
local core = require("neap.core")._optim
local error, text_of = options.error, options.tensor_text

local is_tensor = neap.is_tensor

local optim = {}

local Optimizer = {__name = "neap.optim"}
Optimizer.__index = Optimizer

-- Parallel arrays: parameters with a gradient, gradients, then one array per average (zeros at first).
local function line_up (self, params, grads)
  local keys, ps, gs, averages = {}, {}, {}, {}
  for _, key in ipairs(tree.keys(params)) do
    local g = grads[key]
    if g then
      local n = #keys + 1
      keys[n], ps[n], gs[n] = key, params[key], g
    end
  end
  for i, name in ipairs(self.names) do
    local of, list = self.averages[name], {}
    for n, key in ipairs(keys) do
      list[n] = of[key] or neap.zeros_like(ps[n]:detach())
      of[key] = list[n]
    end
    averages[i] = list
  end
  return ps, gs, averages
end

local function check_self (self, call) options.colon("optim", self, Optimizer, "opt", call) end

-- The step size of the step about to be made: lr, or the limit that neap.train's guard has set.
function Optimizer:current_lr ()
  check_self(self, "current_lr()")
  local limit = self.limit or math.huge
  if type(self.lr) == "number" then return math.min(self.lr, limit) end
  local lr = self.lr(self.steps + 1)
  if type(lr) ~= "number" or not (lr >= 0 and lr < math.huge) then
    local got = type(lr) == "number" and tostring(lr) or options.type_of(lr)
    error(("%s: lr: the schedule must give a number of at least 0, got %s at step %d"):format(self.name, got,
                                                                                             self.steps + 1))
  end
  return math.min(lr, limit)
end

local function check_pair (self, key, p, g)
  if core.alike(p, g) then return end
  options.argument(self.name, ("grads[%s]"):format(key), g, "tensor")
  local got, wanted = text_of(g), text_of(p)
  if got ~= wanted then
    error(("%s: grads[%s]: %s expected, as params[%s] is, got %s"):format(self.name, key, wanted, key, got))
  end
end

-- Tables of tensors, a gradient for one parameter at least, and none of what is not there.
local function check_step (self, params, grads)
  options.argument(self.name, "params", params, "table")
  if type(grads) ~= "table" then
    error(("%s: grads: a table with the keys of params expected, got %s"):format(self.name, options.type_of(grads)))
  end
  for key, p in pairs(params) do
    if not is_tensor(p) then options.argument(self.name, ("params[%s]"):format(key), p, "tensor") end
    local dtype = p.dtype
    if dtype ~= "float32" and dtype ~= "float64" then
      error(("%s: params[%s]: a float tensor expected, got %s"):format(self.name, key, dtype))
    end
  end
  for key, g in pairs(grads) do
    if not params[key] then error(("%s: grads[%s]: params has no such key"):format(self.name, key)) end
    check_pair(self, key, params[key], g)
  end
  if next(params) == nil then error(self.name .. ": params: at least one tensor expected, got an empty table") end
  if next(grads) == nil then
    local key = tree.keys(params)[1]
    local wanted = ("a gradient expected, as grads[%s] for params[%s]"):format(key, key)
    error(("%s: grads: %s, got an empty table"):format(self.name, wanted))
  end
end

-- What closure() tells at the parameters as they are: its loss as a number, its gradients or those that follow from it.
local function evaluate (self, closure, params, single)
  local loss, grads = closure()
  if not is_tensor(loss) or loss:numel() ~= 1 then
    local got = is_tensor(loss) and text_of(loss) or options.type_of(loss)
    error(("%s: the closure must return the loss, a tensor of one element, got %s"):format(self.name, got))
  end
  if grads == nil then grads = neap.gradients(loss, params, {allow_unused = true})
  elseif single then grads = {options.argument(self.name, "grads", grads, "tensor")} end
  check_step(self, params, grads)
  return loss:item(), grads
end

-- step(params, grads); lbfgs also takes step(params, closure) and returns the loss where it arrived
function Optimizer:step (params, grads)
  check_self(self, "step(params, grads)")
  local closure, single, loss = self.closures and type(grads) == "function" and grads, is_tensor(params), nil
  if single then params = {params} end
  if closure then
    options.argument(self.name, "params", params, "table")
    loss, grads = evaluate(self, closure, params, single)
  else
    if single then grads = {options.argument(self.name, "grads", grads, "tensor")} end
    check_step(self, params, grads)
  end
  local ps, gs, averages = line_up(self, params, grads)
  local arrived = self.update(self, ps, gs, averages, self:current_lr(), loss, closure and function ()
    local value, now = evaluate(self, closure, params, single)
    local _, list = line_up(self, params, now)
    return value, list
  end)
  self.steps = self.steps + 1
  return arrived
end

local function copies (averages)
  local out = {}
  for name, of in pairs(averages) do
    out[name] = {}
    for key, t in pairs(of) do out[name][key] = t:clone() end
  end
  return out
end

-- state() -> {steps =, averages = {name = {key = tensor}}, limit =}, copied; set_state(t) takes it back.
function Optimizer:state ()
  check_self(self, "state()")
  return {steps = self.steps, averages = copies(self.averages), limit = self.limit}
end

function Optimizer:set_state (t)
  check_self(self, "set_state(t)")
  options.argument(self.name, "state", t, "table")
  options.argument(self.name, "state.steps", t.steps, "integer")
  options.argument(self.name, "state.averages", t.averages, "table")
  self.steps, self.averages, self.limit = t.steps, copies(t.averages), t.limit
  return self
end

-- Defines optim.name{options}: names of the averages it keeps, and update(self, params, grads, averages, lr).
-- closures: step takes one, too; update gets its loss and what evaluates it again, and gives the loss where it arrived.
local function define (name, known, names, update, closures)
  local lr = known.lr
  known.lr = options.any("number", "callable")
  if not closures then known.weight_decay = known.weight_decay or 0. end
  optim[name] = function (given)
    local o = options("optim." .. name, given, known)
    o.lr = o.lr or lr
    if o.lr == nil then error(("optim.%s: option 'lr' is missing"):format(name)) end
    options.range("optim." .. name, o, "at least 0", "lr", "weight_decay", "eps")
    options.range("optim." .. name, o, "positive", "memory")
    options.range("optim." .. name, o, "in [0, 1)", "momentum", "beta1", "beta2", "alpha")
    if o.nesterov and o.momentum == 0 then
      error("optim.sgd: option 'nesterov': a momentum above 0 expected with it")
    end
    o.name, o.steps, o.update, o.closures = "optim." .. name, 0, update, closures
    o.names = type(names) == "function" and names(o) or names
    o.averages = {}
    for _, n in ipairs(o.names) do o.averages[n] = {} end
    return setmetatable(o, Optimizer)
  end
end

-- sgd{lr =, momentum = 0, nesterov = false, weight_decay = 0}
define("sgd", {momentum = 0., nesterov = false}, function (o) return o.momentum ~= 0 and {"momentum"} or {} end,
  function (o, p, g, averages, lr)
    core.sgd(p, g, averages[1], lr, o.momentum, o.nesterov, o.weight_decay)
  end)

-- adam{lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0} (Kingma and Ba 2015; weight_decay is
-- added to the gradient); adamw takes it off the parameter instead, 0.01 by default (Loshchilov and Hutter 2019).
for name, decay in pairs {adam = 0., adamw = .01} do
  define(name, {lr = 1e-3, beta1 = .9, beta2 = .999, eps = 1e-8, weight_decay = decay}, {"mean", "square"},
    function (o, p, g, averages, lr)
      core.adam(p, g, averages[1], averages[2], lr, o.beta1, o.beta2, o.eps, o.weight_decay, name == "adamw",
                o.steps + 1)
    end)
end

-- rmsprop{lr = 0.01, alpha = 0.99, eps = 1e-8, weight_decay = 0} (Tieleman and Hinton 2012)
define("rmsprop", {lr = .01, alpha = .99, eps = 1e-8}, {"square"}, function (o, p, g, averages, lr)
  core.rmsprop(p, g, averages[1], lr, o.alpha, o.eps, o.weight_decay)
end)

-- adagrad{lr = 0.01, eps = 1e-10, weight_decay = 0} (Duchi et al. 2011)
define("adagrad", {lr = .01, eps = 1e-10}, {"square"}, function (o, p, g, averages, lr)
  core.adagrad(p, g, averages[1], lr, o.eps, o.weight_decay)
end)

-- ---- L-BFGS: parameters and gradients as one vector of float64 ----

local function flat (list)
  local out = {}
  for i, t in ipairs(list) do out[i] = t:detach():double():reshape(-1) end
  return neap.cat(out, 1)
end

local function unflatten (ps, x)
  local first = 1
  for _, p in ipairs(ps) do
    local last = first + p:numel() - 1
    p[{}] = x:slice(1, first, last):reshape(p.shape):to(p.dtype)
    first = last + 1
  end
end

-- Moves ps from x along d to where the line search ends; back to x when the closure raises.
local function search (ps, x, d, start, at, again)
  local function phi (a)
    unflatten(ps, x + a * d)
    local value, gs = again()
    return {at = a, value = value, slope = (flat(gs) * d):sum():item()}
  end
  local ok, found = pcall(lbfgs.search, phi, start, at)
  unflatten(ps, ok and x + found.at * d or x)
  if not ok then error(found, 0) end
  return found
end

-- lbfgs{lr = 1, memory = 10} (Nocedal and Wright 2006, algorithm 7.5).  step(params, closure) searches a step from lr
-- on that meets the strong Wolfe conditions; step(params, grads) takes lr as it is.
local function update_lbfgs (o, ps, gs, _, lr, loss, again)
  local x, g, memory = flat(ps), flat(gs), o.averages
  if (g * g):sum():item() == 0 then return loss end
  lbfgs.remember(memory, x, g, o.memory)
  local d = lbfgs.direction(memory, g)
  if not again then unflatten(ps, x + lr * d) return nil end
  local found = search(ps, x, d, {at = 0, value = loss, slope = (g * d):sum():item()}, lr, again)
  if found.at == 0 then lbfgs.forget(memory) end
  return found.value
end

define("lbfgs", {lr = 1., memory = 10}, {}, update_lbfgs, true)

-- norm(grads): the Euclidean norm of all gradients together.
function optim.norm (grads)
  options.argument("optim.norm", "grads", grads, "table")
  local list = {}
  for _, key in ipairs(tree.keys(grads)) do list[#list + 1] = grads[key] end
  return core.norm(list)
end

-- clip_norm(grads, most) -> gradients scaled down so that their norm is at most `most`, and the norm they had.
function optim.clip_norm (grads, most)
  options.argument("optim.clip_norm", "most", most, "number")
  local norm = optim.norm(grads)
  if not (norm > most) then return grads, norm end
  local out = {}
  for key, g in pairs(grads) do out[key] = g * (most / norm) end
  return out, norm
end

return optim
