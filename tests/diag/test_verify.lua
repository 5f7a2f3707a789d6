-- test_verify.lua -- neap.verify passes right kernels and catches wrong ones.

local lu = require "luaunit"
local verify = require("neap.verify").verify
local T = {}

local function gaussian () return neap.energy.gaussian{mean = {1, -1}, cov = {{1, .6}, {.6, .8}}} end

function T.test_right_kernels_pass ()
  for _, s in ipairs{neap.sampler.random_walk{scale = 1}, neap.sampler.mala{step_size = .3},
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

function T.test_without_exact_draws ()
  local E = neap.energy.double_well{barrier = 1}
  lu.assertErrorMsgContains("give draws", verify, neap.sampler.mala{step_size = .1}, E)
end

return T
