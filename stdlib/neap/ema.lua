-- ema.lua -- exponential moving averages of parameters: neap.ema(params [, {decay = 0.999}]).
-- Averaged weights sample better than the last ones; E:with(ema:params()) is the energy that has them.

local neap = require "neap"
local options = require "neap.options"
local core = require("neap.core")._optim
local error = options.error

local EMA = {__name = "neap.ema"}
EMA.__index = EMA

local function check_self (self, call) options.colon("ema", self, EMA, "ema", call) end

-- Takes the parameters' present values in; call it after each optimiser step.  a ← decay·a + (1 − decay)·p, with decay
-- at most (1 + steps) / (10 + steps), so that the first values are soon forgotten.
function EMA:update ()
  check_self(self, "update()")
  self.steps = self.steps + 1
  core.ema(self.average, self.source, math.min(self.decay, (1 + self.steps) / (10 + self.steps)))
end

-- The averages, in the order of the parameters.
function EMA:params ()
  check_self(self, "params()")
  return self.average
end

function EMA:state ()
  check_self(self, "state()")
  local out = {steps = self.steps, average = {}}
  for i, t in ipairs(self.average) do out.average[i] = t:clone() end
  return out
end

function EMA:set_state (t)
  check_self(self, "set_state(t)")
  options.argument("ema", "state", t, "table")
  options.argument("ema", "state.steps", t.steps, "integer")
  options.argument("ema", "state.average", t.average, "table")
  self.steps = t.steps
  for i, a in ipairs(t.average) do self.average[i] = a:clone() end
  return self
end

return function (params, given)
  if options.are_names(given) then given = nil end                                 -- ema(E:params())
  local o = options("ema", given, {decay = .999})
  options.argument("ema", "params", params, "table")
  if #params == 0 then error("ema: params: at least one tensor expected") end
  for i, p in ipairs(params) do options.argument("ema", ("params[%d]"):format(i), p, "tensor") end
  options.range("ema", o, "in [0, 1)", "decay")
  local average, source = {}, {}
  for i, p in ipairs(params) do source[i], average[i] = p, p:detach():clone() end
  return setmetatable({source = source, average = average, decay = o.decay, steps = 0}, EMA)
end
