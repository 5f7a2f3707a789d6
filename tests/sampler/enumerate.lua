-- enumerate.lua -- laws of few units of two values, by all their states.
local lu = require "luaunit"
local law = require "sampler.law"
local M = {}

-- [2^n, n] of low and 1, in the order of M.index
function M.states (n, low)
  local all = {}
  for i = 0, 2 ^ n - 1 do
    local row = {}
    for k = 1, n do row[k] = (i >> (k - 1)) & 1 == 1 and 1 or low or 0 end
    all[i + 1] = row
  end
  return neap.tensor(all)
end

-- [draws, chains, n] -> [draws, chains]: the row of M.states that each draw is
function M.index (draws, low)
  local weights = {}
  for k = 1, draws.shape[3] do weights[k] = 2 ^ (k - 1) end
  return (draws - (low or 0)):div(1 - (low or 0)):matmul(neap.tensor(weights, {dtype = draws.dtype})) + 1
end

-- an rbm with weights of its own
function M.machine (visible, hidden, scale)
  local E = neap.energy.rbm{visible = visible, hidden = hidden}
  local rng = neap.rng(11)
  return E:with{rng:normal(visible, hidden) * (scale or 1), rng:normal(visible) * .5, rng:normal(hidden) * .5}
end

-- Draws visit each of these states as often as exp(−E) says; those too rare to count, together.
function M.check (draws, E, states, low)
  local p, index, rest, seldom = (-E(states)):softmax(1):totable(), M.index(draws, low), 0, nil
  local at = M.index(states:unsqueeze(1), low):flatten():totable()
  for i, n in ipairs(at) do
    local here = index:eq(n):to "float64"
    if p[i] < .002 then
      rest, seldom = rest + p[i], seldom and seldom + here or here
    else
      local z = law.z(here, function (x) return x end, p[i])
      lu.assertTrue(math.abs(z) < 4, ("state %d of probability %.4f: z = %.2f"):format(n, p[i], z))
    end
  end
  if not seldom then return end
  local z = law.z(seldom, function (x) return x end, rest)
  lu.assertTrue(math.abs(z) < 4, ("the rare states: z = %.2f"):format(z))
end

return M
