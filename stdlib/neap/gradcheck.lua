-- gradcheck.lua -- derivatives of any order against differences.
-- q₀ is a curved scalar function of the arguments, Σ w·f + ½ Σ w'·f² with fixed random weights; qₖ is the derivative
-- of qₖ₋₁ along a random direction, by reverse mode for odd k and by forward mode for even k.  Invariant: each qₖ is
-- compared with the difference quotient of qₖ₋₁ along the same direction, so an error shows at the order that made it.

local core = require "neap.core"
local tree = require "neap.tree"
local options = require "neap.options"
local grad = require "neap.grad"
local error = options.error

local M = {}

local function is_float (x) return x.dtype == "float32" or x.dtype == "float64" end

-- Σ w·y + ½ Σ w'·y² over the float tensors of y
local function curved (y, seed)
  local rng, sum = core.rng(seed), nil
  for _, t in ipairs(tree.leaves(y)) do
    if is_float(t) then
      local w, w2 = rng:normal(t.shape, {dtype = t.dtype}), rng:normal(t.shape, {dtype = t.dtype})
      local s = (w * t + 0.5 * w2 * t * t):sum()
      sum = sum and sum + s or s
    end
  end
  if not sum then error("gradcheck: the function gave no float tensor") end
  return sum
end

local function dot (xs, vs)
  local sum
  for i, x in ipairs(xs) do
    local s = (x * vs[i]):sum()
    sum = sum and sum + s or s
  end
  return sum
end

-- the derivative of q along v: reverse mode if odd, forward mode if even
local function along (q, v, order)
  if order % 2 == 1 then
    local g = grad.grad(q)
    return function (xs) return dot(g(xs), v) end
  end
  return function (xs)
    local _, d = grad.jvp(q, xs, v)
    return d
  end
end

-- fifth order in h
local function difference (q, xs, v, h)
  local function at (k)
    local moved = {}
    for i, x in ipairs(xs) do moved[i] = x + k * h * v[i] end
    return q(moved):item()
  end
  return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)
end

-- the variables among inputs in float64, and f as a function of them alone
local function prepare (f, inputs, seed)
  local list, is_list = {}, not core.is_tensor(inputs)
  local args = is_list and inputs or {inputs}
  for _, x in ipairs(tree.leaves(args)) do
    if is_float(x) then list[#list + 1] = x:detach():to "float64" end
  end
  if #list == 0 then error("gradcheck: there is no float tensor among the inputs") end
  local n = 0
  for k in pairs(args) do if math.type(k) == "integer" and k > n then n = k end end
  return list, function (xs)
    local i = 0
    local now = tree.map(args, function (x)
      if not is_float(x) then return x end
      i = i + 1
      return xs[i]
    end)
    return curved(f(table.unpack(now, 1, n)), seed)
  end
end

local function directions (xs, rng)
  local v = {}
  for i, x in ipairs(xs) do v[i] = rng:normal(x.shape, {dtype = "float64"}) end
  return v
end

-- gradcheck(f, inputs [, {order = 1, tol = 1e-6, step = 1e-3, directions = 2, seed = 1}]) -> ok, report
-- inputs: f's arguments as an array, or one tensor; computed in float64.  report: {worst = relative error,
-- order = where it is, tol =}.  An error of the function's own is raised.
function M.gradcheck (f, inputs, given)
  options.argument("gradcheck", "f", f, "callable")
  local o = options("gradcheck", given, {order = 1, tol = 1e-6, step = 1e-3, directions = 2, seed = 1})
  if o.order < 1 or o.directions < 1 then error("gradcheck: option 'order' and 'directions': at least 1 expected") end
  options.range("gradcheck", o, "positive", "tol", "step")
  local xs, q0 = prepare(f, inputs, o.seed)
  local rng, report = core.rng(o.seed + 1), core._record{worst = 0, order = 0, tol = o.tol}
  for _ = 1, o.directions do
    local q = q0
    for order = 1, o.order do
      local v = directions(xs, rng)
      local next_q = along(q, v, order)
      local got, want = next_q(xs):item(), difference(q, xs, v, o.step)
      local e = math.abs(got - want) / (1 + math.abs(want))
      if e ~= e then e = math.huge end
      if e > report.worst then report.worst, report.order = e, order end
      q = next_q
    end
  end
  return report.worst < o.tol, report
end

return M
