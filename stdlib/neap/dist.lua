-- dist.lua -- neap.dist: log densities, element by element, of tensors or numbers.
-- Every function is called (x, {name = value, …}) or with its parameters in order, (x, a, b); parameters are numbers
-- or tensors that broadcast with x.  Invariant: normalised; −inf outside the support, with derivative 0 there.

local core = require "neap.core"
local options = require "neap.options"
local error = options.error
local tensor, is_tensor, where = core.tensor, core.is_tensor, core.where

local dist = {}
local LOG_2PI, LOG_PI = math.log(2 * math.pi), math.log(math.pi)

local function log (v) return is_tensor(v) and v:log() or math.log(v) end

-- v as a tensor, a number of x's precision
local function lift (v, x)
  local d = x and x.dtype
  return is_tensor(v) and v or tensor(v, {dtype = d == "float64" and d or nil})
end
local function lgamma (v, x) return lift(v, x):lgamma() end

-- (x − a) / s; a tensor s of fewer elements is inverted before it is spread out
local function standard (x, a, s)
  if a ~= 0 then x = x - a end
  if s == 1 then return x end
  return is_tensor(s) and s:numel() < x:numel() and x * s:reciprocal() or x / s
end

-- value(x) where inside holds, else −inf; x is replaced by `safe` there so that no NaN enters a derivative
local function supported (x, inside, safe, value)
  return where(inside, value(where(inside, x, safe)), -math.huge)
end

local function named (name, params, given)
  local known = {}
  for _, p in ipairs(params) do known[p[1]] = options.any("number", "tensor") end
  local o, values = options("dist." .. name, given, known), {}
  for i, p in ipairs(params) do values[i] = o[p[1]] end
  return values
end

-- params: {name, default} in order; one without a default must be given
local function define (name, params, f)
  dist[name] = function (x, ...)
    if not is_tensor(x) and type(x) ~= "number" then
      error(("bad argument #1 to '%s' (tensor expected, got %s)"):format(name, options.type_of(x)))
    end
    local values = type((...)) == "table" and named(name, params, (...)) or {...}
    for i, p in ipairs(params) do
      if values[i] == nil then values[i] = p[2] end
      if values[i] == nil and not p.optional then error(("dist.%s: %s must be given"):format(name, p[1])) end
      if values[i] ~= nil then options.argument("dist." .. name, p[1], values[i], "number", "tensor") end
    end
    return f(lift(x), table.unpack(values, 1, #params))
  end
end

-- ---- on the line ----------------------------------------------------------------------------------------------

define("normal", {{"mean", 0}, {"std", 1}}, function (x, mean, std)
  return standard(x, mean, std):square() * -0.5 - (log(std) + 0.5 * LOG_2PI)
end)

define("cauchy", {{"loc", 0}, {"scale", 1}}, function (x, loc, scale)
  return -standard(x, loc, scale):square():log1p() - (log(scale) + LOG_PI)
end)

define("laplace", {{"loc", 0}, {"scale", 1}}, function (x, loc, scale)
  return -standard(x, loc, scale):abs() - (log(scale) + math.log(2))
end)

define("student_t", {{"df"}, {"loc", 0}, {"scale", 1}}, function (x, df, loc, scale)
  local z, half = standard(x, loc, scale), (df + 1) / 2
  local constant = lgamma(half, x) - lgamma(df / 2, x) - (0.5 * log(df) + 0.5 * LOG_PI) - log(scale)
  return constant - half * (z:square() / df):log1p()
end)

-- ---- on part of it --------------------------------------------------------------------------------------------

define("exponential", {{"rate", 1}}, function (x, rate)
  return supported(x, x:ge(0), 1, function (v) return log(rate) - rate * v end)
end)

-- density rate^shape x^(shape − 1) e^(−rate x) / Γ(shape)
define("gamma", {{"shape"}, {"rate", 1}}, function (x, shape, rate)
  return supported(x, x:gt(0), 1, function (v)
    return shape * log(rate) + (shape - 1) * v:log() - rate * v - lgamma(shape, x)
  end)
end)

define("beta", {{"a"}, {"b"}}, function (x, a, b)
  return supported(x, x:gt(0):logical_and(x:lt(1)), 0.5, function (v)
    return (a - 1) * v:log() + (b - 1) * (-v):log1p() + lgamma(a + b, x) - lgamma(a, x) - lgamma(b, x)
  end)
end)

define("lognormal", {{"mean", 0}, {"std", 1}}, function (x, mean, std)
  return supported(x, x:gt(0), 1, function (v) return dist.normal(v:log(), mean, std) - v:log() end)
end)

define("half_normal", {{"std", 1}}, function (x, std)
  return supported(x, x:ge(0), 1, function (v) return dist.normal(v, 0, std) + math.log(2) end)
end)

define("half_cauchy", {{"scale", 1}}, function (x, scale)
  return supported(x, x:ge(0), 1, function (v) return dist.cauchy(v, 0, scale) + math.log(2) end)
end)

define("uniform", {{"lo", 0}, {"hi", 1}}, function (x, lo, hi)
  return supported(x, x:ge(lo):logical_and(x:le(hi)), lo, function (v) return v * 0 - log(hi - lo) end)
end)

-- ---- counts ---------------------------------------------------------------------------------------------------

define("poisson", {{"rate"}}, function (x, rate)
  return supported(x, x:ge(0):logical_and(x:eq(x:floor())), 0, function (v)
    return v * log(rate) - rate - (v + 1):lgamma()
  end)
end)

-- p the probability of 1, or its logits
define("bernoulli", {{"p", optional = true}, {"logits", optional = true}}, function (x, p, logits)
  if (p == nil) == (logits == nil) then error("dist.bernoulli: either p or logits must be given") end
  if logits == nil then logits = log(p) - (is_tensor(p) and (-p):log1p() or math.log(1 - p)) end
  logits = lift(logits, x)
  return supported(x, x:eq(0):logical_or(x:eq(1)), 0, function (v)
    return v * logits:log_sigmoid() + (1 - v) * (-logits):log_sigmoid()
  end)
end)

return dist
