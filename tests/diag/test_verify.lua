-- test_verify.lua -- neap.verify passes right kernels and catches wrong ones.

local lu = require "luaunit"
local verify = require("neap.verify").verify
local T = {}

local function gaussian () return neap.energy.gaussian{mean = {1, -1}, cov = {{1, .6}, {.6, .8}}} end

function T.test_right_kernels_pass ()
  for _, s in ipairs{neap.sampler.random_walk{scale = 1}, neap.sampler.mala{step_size = .3},
      neap.sampler.slice{width = 1},
      neap.sampler.hmc{step_size = .4, leapfrog_steps = 3}} do
    local r = verify(s, gaussian())
    lu.assertTrue(r.ok, tostring(r))
    lu.assertEquals(#r, 2)
  end
end

function T.test_unadjusted_langevin_is_caught ()
  local r = verify(neap.sampler.langevin{step_size = .3}, gaussian())
  lu.assertFalse(r.ok)
  lu.assertTrue(r[1].ok)
  lu.assertFalse(r[2].ok)
  lu.assertStrContains(tostring(r), "stationarity      FAIL")
end

function T.test_a_wrong_gradient_is_caught ()
  local E = neap.energy(function (x) return x:square():sum(2) / 2 + x:detach():sum(2) end, {event = {2}})
  local r = verify(neap.sampler.random_walk{scale = 1}, E, {draws = neap.randn(4000, 2) - 1})
  lu.assertFalse(r[1].ok)
  lu.assertTrue(r[2].ok)
end

local function machine ()
  local E, rng = neap.energy.rbm{visible = 3, hidden = 2}, neap.rng(1)
  return E:with{rng:normal(3, 2), rng:normal(3), rng:normal(2)}
end

function T.test_detailed_balance_of_gibbs ()
  local r = verify(neap.sampler.gibbs{}, machine())
  lu.assertEquals(r[1].check, "detailed balance")
  lu.assertTrue(r.ok, tostring(r))
  local wrong = neap.sampler.custom{step = function (E, state, rng)
    local h = rng:bernoulli(E:hidden(state.x))
    return {x = rng:bernoulli(E:visible(h) * .8)}
  end}
  lu.assertFalse(verify(wrong, machine()).ok)
end

-- The largest of n normal scores exceeds the limit in 1 run of 10,000.
function T.test_the_limit_counts_the_scores ()
  local r = verify(neap.sampler.gibbs{}, machine())
  local text, n = r[1].text:match "^z = %-?[%d.]+ of the moves %d <%-> %d, limit (%d%.%d%d) for the largest of (%d+)$"
  local limit = math.sqrt(2) * neap.tensor(1 - 1e-4 / n, {dtype = "float64"}):erfinv():item()
  lu.assertTrue(tonumber(n) > 4 and tonumber(n) <= 28)
  lu.assertAlmostEquals(r[1].limit, limit, 1e-9)
  lu.assertEquals(text, ("%.2f"):format(limit))
  r = verify(neap.sampler.mala{step_size = .3}, gaussian())           -- the energy, x1, x2 and their squares
  lu.assertStrContains(r[2].text, "for the largest of 5")
  lu.assertAlmostEquals(r[2].limit, 4.2649, 1e-3)
end

function T.test_errors ()
  local s, E = neap.sampler.mala{step_size = .1}, neap.energy.double_well{barrier = 1}
  local raises = lu.assertErrorMsgContains
  raises("verify: double_well has no exact sampler: give exact draws of exp(-E) as the option draws, a tensor " ..
         "[n, event...]", verify, s, E)
  raises("verify: a sampler expected, as in verify(sampler, E), got nil", verify)
  raises("verify: a sampler expected, as in verify(sampler, E), got energy", verify, E, s)
  raises("verify: E: energy expected, got nil", verify, s)
  raises("verify: option 'draws': tensor expected, got integer", verify, s, E, {draws = 3})
  raises("with n of at least 2 expected, got []", verify, s, E, {draws = neap.tensor(1)})
end

return T
