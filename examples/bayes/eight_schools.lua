-- eight_schools.lua -- a hierarchical model: what did coaching for a test bring in eight schools?
--
-- Each school reports an estimate of its effect and the error of that estimate (Rubin 1981).  The effects are drawn
-- from one law, theta ~ N(mu, tau), whose mu and tau are learnt, too: schools lend each other what they know.  Written
-- with theta = mu + tau·eta the posterior of eta, mu and log tau has no funnel, and is easy to sample.
-- An energy is −log of a density without its constant, on a vector u of any real numbers; a bijector makes tau positive
-- and tells the Jacobian.

local neap = require "neap"
local dist, positive = neap.dist, neap.bijector.positive

local f64 = {dtype = "float64"}
local estimate = neap.tensor({28, 8, -3, 7, -1, 1, 18, 12}, f64)
local error_of = neap.tensor({15, 10, 16, 11, 9, 11, 10, 18}, f64)

-- u [B, 10] -> eta [B, 8], mu [B, 1], tau [B, 1], log |d tau / du| [B, 1]
local function parts (u)
  local tau, log_jacobian = positive(u:slice(-1, 10, 10))
  return u:slice(-1, 1, 8), u:slice(-1, 9, 9), tau, log_jacobian
end

local E = neap.energy(function (u)
  local eta, mu, tau, log_jacobian = parts(u)
  local schools = dist.normal(eta, 0, 1) + dist.normal(estimate, mu + tau * eta, error_of)
  local prior = dist.normal(mu, 0, 5) + dist.cauchy(tau, 0, 5) + log_jacobian
  return -(schools:sum(2) + prior:squeeze(2))
end, {event = {10}})

local draws, info = neap.sampler.nuts{target_accept = .9}:sample(E,
  {chains = 4, warmup = 1000, steps = 1000, seed = 1, dtype = "float64"})
local eta, mu, tau = parts(draws)                                -- [draws, chains, …]
local named = {mu = mu:squeeze(-1), tau = tau:squeeze(-1), theta = mu + tau * eta}
local summary = neap.diag.summary(named, {"mu", "tau", "theta"})
print(summary)
print(info)

-- The posterior given tau is normal, so a grid of tau has the truth.
local grid = neap.linspace(-8, 6, 4001, f64):exp():unsqueeze(2)  -- of tau [4001, 1]
local variance = grid:square() + error_of:square()               -- of each estimate given mu and tau
local precision = 1 / 25 + (1 / variance):sum(2, true)           -- of mu given tau; its prior is N(0, 5)
local centre = (estimate / variance):sum(2, true) / precision
local log_p = dist.normal(estimate, centre, variance:sqrt()):sum(2, true) + dist.normal(centre, 0, 5)
  - precision:log() / 2 + dist.cauchy(grid, 0, 5) + grid:log()
local weight = log_p:softmax(1)
local exact = {mu = (weight * centre):sum():item(), tau = (weight * grid):sum():item()}
for _, name in ipairs{"mu", "tau"} do
  local drawn = summary[name]
  print(("%-3s: mean %.3f ± %.3f, exactly %.3f"):format(name, drawn.mean, drawn.mcse, exact[name]))
  assert(math.abs(drawn.mean - exact[name]) < 4 * drawn.mcse)
end
