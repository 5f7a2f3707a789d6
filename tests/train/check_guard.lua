-- check_guard.lua -- test_guard.lua at length: two moons with a step size that becomes a hundred times too large.
local lu = require "luaunit"

local T = {}

local function frechet (lr, guard)
  neap.seed(1)
  local E = neap.energy.mlp{sizes = {2, 128, 128}}
  local loss = neap.loss.cd{sampler = neap.sampler.langevin{step_size = .01}, steps = 60, reg = .1}
  local h = neap.train(E, neap.data.moons(8192, {seed = 2}), {
    loss = loss, batch = 256, steps = 1500, seed = 3, guard = guard, progress = false,
    optimizer = neap.optim.adam{lr = lr},
  })
  local draws = neap.sampler.mala{step_size = .01}:sample(E, {chains = 4000, steps = 1000, thin = 1000, seed = 4})
  return neap.metric.frechet(draws[1], neap.data.moons(4000, {seed = 5})), h
end

function T.test_two_moons ()
  local healthy, h = frechet(1e-3, true)
  lu.assertEquals(h.rollbacks, {})
  local got, history = frechet(function (step) return step >= 500 and .1 or 1e-3 end, true)
  lu.assertTrue(#history.rollbacks >= 1)
  lu.assertTrue(got <= 1.1 * healthy, ("FD %.5f, healthy %.5f"):format(got, healthy))
  local without = frechet(function (step) return step >= 500 and .1 or 1e-3 end)
  lu.assertTrue(without > 2 * healthy, ("FD %.5f without the guard"):format(without))
end

return T
