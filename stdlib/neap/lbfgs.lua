-- lbfgs.lua -- limited-memory BFGS on one vector (Nocedal and Wright 2006): directions, a line search.
-- Invariant: the memory holds pairs s = Δx, y = Δg with sᵀy > 0 only, the oldest first, so that every direction
-- descends.

local lbfgs = {}

local DECREASE, CURVATURE = 1e-4, .9       -- of the strong Wolfe conditions (3.7)
local LEAST = 1e-10                        -- sᵀy beside yᵀy, below which a pair tells nothing

local NAMES = {"s", "y", "last"}

local function dot (a, b) return (a * b):sum():item() end

-- Takes the step from memory.last to x with gradient g into the memory of at most `most` pairs.
function lbfgs.remember (memory, x, g, most)
  for _, name in ipairs(NAMES) do memory[name] = memory[name] or {} end
  if memory.last.point and memory.last.point:numel() ~= x:numel() then lbfgs.forget(memory) end
  local last = memory.last
  if last.point then
    local s, y = x - last.point, g - last.gradient
    if dot(s, y) > LEAST * dot(y, y) then
      memory.s[#memory.s + 1], memory.y[#memory.y + 1] = s, y
      if #memory.s > most then table.remove(memory.s, 1) table.remove(memory.y, 1) end
    end
  end
  last.point, last.gradient = x, g
end

function lbfgs.forget (memory)
  for _, name in ipairs(NAMES) do memory[name] = {} end
end

-- −H g (algorithm 7.4), H from sᵀy/yᵀy of the newest pair (7.20); without one a step of length 1 at most.
function lbfgs.direction (memory, g)
  local s, y, alpha, q = memory.s, memory.y, {}, g
  for i = #s, 1, -1 do
    alpha[i] = dot(s[i], q) / dot(s[i], y[i])
    q = q - alpha[i] * y[i]
  end
  local n = #s
  local d = q * (n > 0 and dot(s[n], y[n]) / dot(y[n], y[n]) or math.min(1, 1 / math.sqrt(dot(g, g))))
  for i = 1, n do d = d + s[i] * (alpha[i] - dot(y[i], d) / dot(s[i], y[i])) end
  return -d
end

-- The least point of the cubic through two values and slopes (3.59), or the middle where that is none or near an end.
local function between (lo, hi)
  local middle, width = (lo.at + hi.at) / 2, math.abs(hi.at - lo.at)
  local d1 = lo.slope + hi.slope - 3 * (lo.value - hi.value) / (lo.at - hi.at)
  local root = d1 * d1 - lo.slope * hi.slope
  if not (root >= 0) then return middle end
  local d2 = (hi.at > lo.at and 1 or -1) * math.sqrt(root)
  local a = hi.at - (hi.at - lo.at) * (hi.slope + d2 - d1) / (hi.slope - lo.slope + 2 * d2)
  return math.abs(a - middle) <= .4 * width and a or middle
end

local function too_high (p, start) return not (p.value <= start.value + DECREASE * p.at * start.slope) end

local function flat_enough (p, start) return math.abs(p.slope) <= -CURVATURE * start.slope end

-- Algorithm 3.6: between lo, the best so far, and hi.
local function zoom (phi, lo, hi, start)
  for _ = 1, 30 do
    local p = phi(between(lo, hi))
    if too_high(p, start) or p.value >= lo.value then hi = p
    else
      if flat_enough(p, start) then return p end
      if p.slope * (hi.at - lo.at) >= 0 then hi = lo end
      lo = p
    end
  end
  return lo
end

-- Algorithm 3.5: a point {at, value, slope} that meets the strong Wolfe conditions along phi(at), from start = phi(0),
-- with at tried first; the best there is when rounding hides them.
function lbfgs.search (phi, start, at)
  local before = start
  for i = 1, 20 do
    local p = phi(at)
    if too_high(p, start) or (i > 1 and p.value >= before.value) then return zoom(phi, before, p, start) end
    if flat_enough(p, start) then return p end
    if p.slope >= 0 then return zoom(phi, p, before, start) end
    before, at = p, 2 * at
  end
  return before
end

return lbfgs
