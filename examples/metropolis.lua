-- metropolis.lua -- Metropolis–Hastings: samples of a density that is known up to a constant only.
--
-- From x a random step is proposed, x' = x + scale·n, and taken with probability min(1, p(x')/p(x)), else x counts
-- again.  The ratio needs energies alone.  The target is bent like a banana, and its moments are known: x₁ ~ N(0, 1),
-- x₂ = x₁² − 1 + N(0, ½²), so x₂ has mean 0, variance 2.25, and E[x₁² x₂] = 2.

local neap = require "neap"
neap.seed(1)

local E = neap.energy.banana{b = 1, std = {1, .5}}

local walk = neap.sampler.random_walk{scale = .9}
local draws, info = walk:sample(E, {chains = 16, steps = 20000, warmup = 500, thin = 10})
print(("random walk: %d draws of each of 16 chains, %.0f %% of steps taken"):format(#draws, 100 * info.accept_rate))

-- Each figure with its Monte Carlo standard error, which knows that neighbouring draws are alike.
local x1, x2 = draws:select(3, 1), draws:select(3, 2)
local function show (name, values, truth)
  local value, error = values:mean():item(), neap.diag.mcse(values):item()
  local z = (value - truth) / error
  print(("  %-10s %7.4f ± %.4f   truth %5.2f   z = %+.1f"):format(name, value, error, truth, z))
  assert(math.abs(z) < 4, name .. " is off")
end
show("E x1", x1, 0)
show("E x1^2", x1:square(), 1)
show("E x2", x2, 0)
show("E x2^2", x2:square(), 2.25)
show("E x1^2 x2", x1:square() * x2, 2)
print(("  effective sample size %.0f, R-hat %.3f"):format(info.ess:amin():item(), info.rhat:amax():item()))

-- The whole algorithm by hand, 256 chains at once.
local x = neap.zeros(256, 2)
local accepted, second, n = 0, 0, 0
for step = 1, 4000 do
  local proposal = x + .9 * neap.randn(256, 2)
  local taken = neap.rand(256):log():lt(E(x) - E(proposal))
  x = neap.where(taken:unsqueeze(2), proposal, x)
  if step > 500 then
    accepted, second = accepted + taken:to("float32"):mean():item(), second + x:square():mean(1)
    n = n + 1
  end
end
local by_hand = (second / n):totable()
print(("by hand: %.0f %% taken, E x1^2 %.2f, E x2^2 %.2f"):format(100 * accepted / n, by_hand[1], by_hand[2]))
assert(math.abs(accepted / n - info.accept_rate) < .02)
