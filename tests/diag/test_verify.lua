-- test_verify.lua -- neap.verify passes right kernels and catches wrong ones.

local lu = require "luaunit"
local verify = require("neap.verify").verify
local T = {}

local function gaussian () return neap.energy.gaussian{mean = {1, -1}, cov = {{1, .6}, {.6, .8}}} end

function T.test_right_kernels_pass ()
  for _, s in ipairs{neap.sampler.random_walk{scale = 1}, neap.sampler.mala{step_size = .3},
      neap.sampler.slice{width = 1}, neap.sampler.nuts{step_size = .4},
      neap.sampler.blocks{{{1}, neap.sampler.slice{width = 1}}, {{2}, neap.sampler.mala{step_size = .3}}},
      neap.sampler.hmc{step_size = .4, leapfrog_steps = 3}} do
    local r = verify(s, gaussian())
    lu.assertTrue(r.ok, tostring(r))
    lu.assertEquals(#r, 2)
  end
end

function T.test_unadjusted_langevin_is_biased ()
  local s = neap.sampler.langevin{step_size = .3}
  local r = verify(s, gaussian())
  lu.assertEquals({r.ok, r.biased, r[1].ok, r[2].ok}, {false, true, true, false})
  lu.assertStrContains(tostring(r), "stationarity      FAIL")
  lu.assertStrContains(tostring(r), "by less the shorter its steps: it is biased")
  lu.assertEquals(s:state().step_size, .3)
  r = verify(neap.sampler.langevin{step_size = .3, noise_std = 1.2}, gaussian())      -- no step size makes that right
  lu.assertEquals({r.ok, r.biased}, {false, false})
  lu.assertStrContains(tostring(r), "this kernel does not leave exp(-E) as it is")
  lu.assertTrue(verify(neap.sampler.underdamped{step_size = .3}, gaussian()).ok)      -- exact where E is quadratic
end

function T.test_a_wrong_gradient_is_caught ()
  local E = neap.energy(function (x) return x:square():sum(2) / 2 + x:detach():sum(2) end, {event = {2}})
  local r = verify(neap.sampler.random_walk{scale = 1}, E, {draws = neap.randn(4000, 2) - 1})
  lu.assertFalse(r[1].ok)
  lu.assertTrue(r[2].ok)
end

-- Draws by rejection inside a box, where there is no other way.
function T.test_a_box ()
  local well, ring = neap.energy.double_well{barrier = 2}, neap.energy.ring{radius = 2, std = .3}
  for _, s in ipairs{neap.sampler.mala{step_size = .05}, neap.sampler.slice{width = 1}} do
    lu.assertTrue(verify(s, well, {lower = -3, upper = 3}).ok)
    lu.assertTrue(verify(s, ring, {lower = -4, upper = {4, 4}}).ok)
  end
  lu.assertFalse(verify(neap.sampler.langevin{step_size = .05}, well, {lower = -3, upper = 3, chains = 20000}).ok)
end

local function machine ()
  local E, rng = neap.energy.rbm{visible = 3, hidden = 2}, neap.rng(1)
  return E:with{rng:normal(3, 2), rng:normal(3), rng:normal(2)}
end

function T.test_detailed_balance_of_gibbs ()
  local r = verify(neap.sampler.gibbs{}, machine())
  lu.assertEquals({r[1].check, r[2].check}, {"detailed balance", "stationarity"})
  lu.assertTrue(r.ok and r.reversible, tostring(r))
  local wrong = neap.sampler.custom{step = function (E, state, rng)
    local h = rng:bernoulli(E:hidden(state.x))
    return {x = rng:bernoulli(E:visible(h) * .8)}
  end}
  r = verify(wrong, machine())
  lu.assertEquals({r.ok, r[1].ok, r[2].ok}, {false, false, false})
end

-- ---- kernels with a fault each, beside the right ones -----------------------------------------------

-- Metropolis with the proposal propose(E, x, n) -> y, what is added to E(x) − E(y)
local function metropolis (propose)
  return neap.sampler.custom{step = function (E, state, rng)
    local x, o = state.x, {dtype = state.x.dtype}
    local y, correction = propose(E, x, rng:normal(x.shape, o))
    local accept = (1 - rng:uniform({x.shape[1]}, o)):log():le(E(x) - E(y) + correction)
    return {x = neap.where(accept:unsqueeze(2), y, x)}
  end}
end

-- A walk of log x: the map's Jacobian belongs into the ratio.
function T.test_a_ratio_without_the_jacobian ()
  local E = neap.energy(function (x) return (x - x:log()):sum(2) end, {event = {1}})         -- Gamma(2, 1)
  local u = 1 - neap.rng(1):uniform(4000, 2)
  local draws = -u:log():sum(2, true)
  local function check (weight)
    return verify(metropolis(function (_, x, n)
      local y = x * (.7 * n):exp()
      return y, weight * (y / x):log():sum(2)
    end), E, {draws = draws})
  end
  lu.assertTrue(check(1).ok, tostring(check(1)))
  local r = check(0)
  lu.assertEquals({r.ok, r[1].ok, r[2].ok}, {false, true, false})
end

function T.test_mala_with_a_wrong_correction ()
  local eps = .3
  local function check (weight)
    return verify(metropolis(function (E, x, n)
      local y = x - eps * E:grad(x) + math.sqrt(2 * eps) * n
      local back = x - y + eps * E:grad(y)
      return y, weight * ((2 * eps * n:square()):sum(2) - back:square():sum(2)) / (4 * eps)
    end), gaussian())
  end
  lu.assertTrue(check(1).ok, tostring(check(1)))
  for name, weight in pairs{forgotten = 0, the_wrong_way_round = -1, half = .5} do
    lu.assertFalse(check(weight).ok, name)
  end
end

-- Spins on a ring, every other one at a time; those of the second half must see what the first half became.
local function sweep (stale)
  local even, beta, field = neap.tensor{1, 0, 1, 0, 1, 0}:gt(0), .6, .3
  local function fields (x) return beta * (x:roll(1, 2) + x:roll(-1, 2)) + field end
  local function update (x, h, mask, rng)
    return neap.where(mask, 2 * rng:bernoulli((2 * h):sigmoid()) - 1, x)
  end
  return neap.sampler.custom{step = function (_, state, rng)
    local h = fields(state.x)
    local x = update(state.x, h, even, rng)
    return {x = update(x, stale and h or fields(x), even:logical_not(), rng)}
  end}
end

function T.test_gibbs_with_a_stale_field ()
  local E = neap.energy.ising{shape = {6}, beta = .6, field = .3}
  local r = verify(sweep(false), E)
  lu.assertTrue(r.ok, tostring(r))
  lu.assertFalse(r.reversible)                          -- a sweep in a fixed order: no fault
  lu.assertStrContains(tostring(r), "detailed balance  no  ")
  r = verify(sweep(true), E)
  lu.assertEquals({r.ok, r[2].check, r[2].ok}, {false, "stationarity", false})
end

-- Kernels of units, on every energy of units that they take.
function T.test_right_kernels_of_units_pass ()
  local s = neap.sampler
  local ising = neap.energy.ising{shape = {2, 3}, beta = .3, field = .2}
  local potts = neap.energy.potts{shape = {2, 2}, states = 3, beta = .5}
  for name, case in pairs{
    ["gibbs of spins"] = {s.gibbs{}, ising}, ["gibbs of states"] = {s.gibbs{}, potts},
    ["gradients of spins"] = {s.gibbs_with_gradients{}, ising},
    ["gradients of states"] = {s.gibbs_with_gradients{}, potts},
    ["dmala of spins"] = {s.dmala{step_size = 2}, ising}, ["dmala of states"] = {s.dmala{step_size = .4}, potts},
    ["tempering"] = {s.parallel_tempering{n = 3, hottest = 5, kernel = s.gibbs{}}, ising},
    ["blocks"] = {s.blocks{{{1}, s.gibbs_with_gradients{}}, {{2, 3}, s.dmala{step_size = .4}}}, machine()},
  } do
    local r = verify(case[1], case[2])
    lu.assertTrue(r.ok, name .. "\n" .. tostring(r))
  end
end

function T.test_steps_that_lead_to_no_number ()
  local r = verify(neap.sampler.langevin{step_size = .02}, neap.energy.banana{}, {chains = 20000})
  lu.assertEquals({r.ok, r.biased}, {false, true})
  lu.assertStrContains(tostring(r), "z = no number of the mean change of")
end

-- Every energy whose states can be listed: Potts, a lattice in two dimensions.
function T.test_states_of_other_energies ()
  local potts = neap.energy.potts{shape = {2, 2}, states = 3, beta = .4}
  local function turn (right)                              -- one unit to another state, accepted or not
    return neap.sampler.custom{step = function (E, state, rng)
      local x, n = state.x, state.x.shape[1]
      local unit = rng:randint(1, 4, {n, 1})
      local flat = x:reshape(n, 4)
      local other = (flat:gather(2, unit) + rng:randint(0, 1, {n, 1})) % 3 + 1
      local y = flat:scatter(2, unit, other):reshape(n, 2, 2)
      local accept = (1 - rng:uniform(n)):log():le((E(x) - E(y)) * (right and 1 or .5))
      return {x = neap.where(accept:reshape(n, 1, 1), y, x)}
    end}
  end
  local r = verify(turn(true), potts)
  lu.assertTrue(r.ok and r.reversible, tostring(r))
  lu.assertFalse(verify(turn(false), potts).ok)
  local ising = neap.energy.ising{shape = {2, 3}, beta = .2}
  lu.assertTrue(verify(neap.sampler.gibbs_with_gradients{}, ising).ok)
  lu.assertEquals({potts.units, ising.units, machine().units}, {{1, 2, 3}, {-1, 1}, {0, 1}})
  lu.assertNil(gaussian().units)
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
         "[n, event...], or a box", verify, s, E)
  raises("option 'upper': number or table expected, got nil", verify, s, E, {lower = -2})
  raises("option 'upper': 1 numbers expected, got 2", verify, s, E, {lower = -2, upper = {1, 2}})
  raises("at most 3 numbers", verify, s, neap.energy.double_well{dim = 4}, {lower = -2, upper = 2})
  raises("a box with more of the law in it", verify, s, neap.energy.gaussian{mean = {0, 0, 0}, std = 1e-4},
         {lower = -2, upper = 2})
  raises("verify: a sampler expected, as in verify(sampler, E), got nil", verify)
  raises("verify: a sampler expected, as in verify(sampler, E), got energy", verify, E, s)
  raises("verify: E: energy expected, got nil", verify, s)
  raises("verify: option 'draws': tensor expected, got integer", verify, s, E, {draws = 3})
  raises("with n of at least 2 expected, got []", verify, s, E, {draws = neap.tensor(1)})
end

return T
