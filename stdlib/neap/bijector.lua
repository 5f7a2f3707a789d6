-- bijector.lua -- neap.bijector: from the whole space to constrained values, for parameters with a support.
-- y, log_jacobian = b(u); u = b:inverse(y).  Element-wise ones give log |dy/du| of u's shape; ordered and simplex work
-- on the last dimension and give log |det dy/du| without it.  Invariant: b:inverse(b(u)) is u, and every u is allowed.

local core = require "neap.core"
local options = require "neap.options"

local bijector = {}
local Bijector = {__name = "neap.bijector"}
Bijector.__index = Bijector

function Bijector:__call (u) return self.forward(options.argument("bijector." .. self.name, "u", u, "tensor")) end
function Bijector:__tostring () return "bijector " .. self.name end
function Bijector:inverse (y)
  options.colon("bijector", self, Bijector, "b", "inverse(y)")
  return self.backward(options.argument("bijector." .. self.name, "y", y, "tensor"))
end

local function make (name, forward, backward)
  return setmetatable({name = name, forward = forward, backward = backward}, Bijector)
end

-- a bound, a number or tensor
local function bound (name, which, v) return options.argument("bijector." .. name, which, v, "number", "tensor") end

local function logit (p) return p:log() - (-p):log1p() end

-- y > a: a + e^u
function bijector.lower (a)
  bound("lower", "a", a)
  return make("lower", function (u) return u:exp() + a, u end, function (y) return (y - a):log() end)
end

-- y < b: b − e^u
function bijector.upper (b)
  bound("upper", "b", b)
  return make("upper", function (u) return b - u:exp(), u end, function (y) return (b - y):log() end)
end

-- a < y < b: a + (b − a) sigmoid(u)
function bijector.interval (a, b)
  local width = bound("interval", "b", b) - bound("interval", "a", a)
  if type(width) == "number" and not (width > 0) then
    options.error(("bijector.interval: a below b expected, got %g and %g"):format(a, b))
  end
  local log_width = core.is_tensor(width) and width:log() or math.log(width)
  return make("interval", function (u)
    return u:sigmoid() * width + a, u:log_sigmoid() + (-u):log_sigmoid() + log_width
  end, function (y) return logit((y - a) / width) end)
end

bijector.positive = make("positive", function (u) return u:exp(), u end, function (y) return y:log() end)
bijector.unit = bijector.interval(0, 1)
bijector.unit.name = "unit"

-- x's elements first to last of the last dimension
local function part (x, first, last) return x:slice(-1, first, last) end

-- y₁ < y₂ < …: y₁ = u₁, yₖ = yₖ₋₁ + e^uₖ
bijector.ordered = make("ordered", function (u)
  local n = u:size(-1)
  local rest = part(u, 2, n)
  return core.cat({part(u, 1, 1), rest:exp()}, -1):cumsum(-1), rest:sum(-1)
end, function (y)
  local n = y:size(-1)
  return core.cat({part(y, 1, 1), (part(y, 2, n) - part(y, 1, n - 1)):log()}, -1)
end)

-- log (K − k), which puts u = 0 in the middle of the simplex; u [.., K − 1]
local function offsets (u)
  local n = u:size(-1)
  return core.arange(n, 1, -1, {dtype = u.dtype}):log()
end

-- y ≥ 0, Σ y = 1, one element more than u, by breaking a stick: of what is left, yₖ takes sigmoid(uₖ − log (K − k))
bijector.simplex = make("simplex", function (u)
  local v = u - offsets(u)
  local take, leave = v:log_sigmoid(), (-v):log_sigmoid()
  local left = leave:cumsum(-1)                          -- log of what is left after k
  local before = left - leave
  local n = u:size(-1)
  return core.cat({take + before, part(left, n, n)}, -1):exp(), (take + leave + before):sum(-1)
end, function (y)
  local n = y:size(-1) - 1
  local head = part(y, 1, n)
  local before = 1 - (head:cumsum(-1) - head)
  return logit(head / before) + offsets(head)
end)

return bijector
