-- likelihood.lua -- the mean log-likelihood of rows under an energy, for neap.train's log_likelihood =.
-- Invariant: measuring leaves the random streams as they were, so a run ends the same with or without it.

local neap = require "neap"
local options = require "neap.options"
local error = options.error

local likelihood = {}

local any = options.any
local KNOWN = {every = any "integer", data = any "tensor", method = any "string", lower = any("number", "table"),
  upper = any("number", "table"), points = any "integer", chains = any "integer", temperatures = any(), base = any(),
  sampler = any(), steps = any "integer", particles = any "integer", ess = any "number"}
local FOR_LOG_Z = {"lower", "upper", "points", "chains", "temperatures", "base", "sampler", "steps", "particles", "ess"}
local MOST_ROWS = 2000           -- of the training data

-- The grid's ends: a width of the data beyond them on each side.
local function bounds (x)
  local flat = x:reshape(#x, x:numel() // #x)
  local low, high = (flat:min(1)), (flat:max(1))
  return (low - (high - low)):totable(), (high + (high - low)):totable()
end

-- log Z and what E:log_z tells: the method that was asked for; else in closed form or by enumeration, up to 3
-- dimensions by quadrature, else by annealed importance sampling.
local function log_z (E, x, o)
  local given = {method = o.method}
  for _, name in ipairs(FOR_LOG_Z) do given[name] = o[name] end
  if o.method then return E:log_z(given) end
  local ok, value, info = pcall(E.log_z, E)
  if ok then return value, info end
  if options.is_interrupt(value) then error(value, 0) end
  if x:numel() // #x > 3 then
    given.method = "ais"
    return E:log_z(given)
  end
  given.method = "quadrature"
  if not given.lower then given.lower, given.upper = bounds(x) end
  return E:log_z(given)
end

-- {value =, lower =, upper =, method =}: mean −E(x) − log Z, and the same at the ends of log Z's interval.
local function measure (E, x, o, step)
  local stream = neap.rng_state()
  neap.seed(step)
  local ok, z, info = pcall(log_z, E, x, o)
  neap.set_rng_state(stream)
  if not ok then error(z, 0) end
  local mean = neap.no_grad(function () return -E(x):double():mean():item() end)
  local low, high = z, z
  if info.interval then low, high = table.unpack(info.interval) end
  return {step = step, value = mean - z, lower = mean - high, upper = mean - low, method = info.method}
end

-- neap.train's option, steps between measurements or a table, for an energy and the data it is trained on -> a function
-- of the step that gives a measurement when it is time.
function likelihood.new (given, E, data)
  local o = options("train: log_likelihood", type(given) == "number" and {every = given} or given, KNOWN)
  if not o.every or o.every < 1 then
    error(("train: log_likelihood: option 'every': at least 1 step expected, got %s"):format(tostring(o.every)))
  end
  local x = o.data or data
  if not neap.is_tensor(x) then
    error("train: log_likelihood: option 'data': rows to measure expected, where the training data are no tensor")
  end
  if not o.data then x = x:slice(1, 1, math.min(#x, MOST_ROWS)) end
  return function (step) return step % o.every == 0 and measure(E, x, o, step) or nil end
end

return likelihood
