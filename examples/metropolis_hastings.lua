-- metropolis_hastings.lua -- sampling a density that is known up to a constant, by random walks that may be refused.
--
-- A step is proposed at random and taken with probability min(1, p(x')/p(x)), which needs energies only.  The banana
-- has its moments in closed form, so every figure below has its truth beside it.  The last part is the whole
-- algorithm in seven lines.

local E = neap.energy.banana{b = 1, std = {1, .5}}

neap.seed(1)
local sampler = neap.sampler.random_walk{scale = .9}
local draws, info = sampler:sample(E, {chains = 16, steps = 10000, warmup = 500, seed = 2})
print(info)

-- x₁ ~ N(0, 1);  x₂ = x₁² - 1 + N(0, ½²): mean 0, variance 2 + ¼
local all = draws:reshape(-1, 2)
local ess = neap.diag.ess(draws)
local function show (name, value, truth, error)
  print(("%-12s %7.3f   true %7.3f   standard error %.3f"):format(name, value, truth, error))
end
local mean, std = all:mean(1):totable(), all:std(1):totable()
ess = ess:totable()
show("mean of x₁", mean[1], 0, std[1] / math.sqrt(ess[1]))
show("mean of x₂", mean[2], 0, std[2] / math.sqrt(ess[2]))
show("variance x₁", std[1] ^ 2, 1, math.sqrt(2 / ess[1]))
show("variance x₂", std[2] ^ 2, 2.25, math.sqrt(8 / ess[2]))

-- The same by hand: 64 chains at once.
local x = neap.zeros(64, 2)
local sum, count = neap.zeros(2), 0
for step = 1, 4000 do
  local proposal = x + .9 * neap.randn(64, 2)
  local accept = neap.rand(64):log():lt(E:log_ratio(proposal, x))
  x = neap.where(accept:unsqueeze(2), proposal, x)
  if step > 500 then sum, count = sum + x:mean(1), count + 1 end
end
local by_hand = (sum / count):totable()
print(("by hand: means %.3f, %.3f"):format(by_hand[1], by_hand[2]))
