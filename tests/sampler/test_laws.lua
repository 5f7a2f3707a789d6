-- test_laws.lua -- samplers against known laws, in seconds; check_laws.lua is the long version.

local lu = require "luaunit"
local enumerate = require "sampler.enumerate"
local law = require "sampler.law"
local T = {}

local mean, cov = {1, -.5}, {{1, .6}, {.6, .8}}
local function gaussian () return neap.energy.gaussian{mean = neap.tensor(mean), cov = neap.tensor(cov)} end

local function run (s, E, options)
  local o = {chains = 128 * law.more, steps = 300, warmup = 60, seed = 7, dtype = "float64"}
  for k, v in pairs(options or {}) do o[k] = v end
  o.steps = o.steps * law.longer
  return s:sample(E, o)
end

local function assert_moments (draws, m, c)
  local z, name = law.worst(law.moments(draws, m, c))
  lu.assertTrue(z < 4, ("%s: z = %.2f"):format(name, z))
end

function T.test_random_walk_gaussian ()
  assert_moments(run(neap.sampler.random_walk{scale = 1}, gaussian()), mean, cov)
end

-- On N(0, 1) with proposals of scale s the mean acceptance is (2/π) atan(2/s).
function T.test_random_walk_acceptance ()
  local E = neap.energy.gaussian{mean = {0}, std = 1}
  for _, s in ipairs{.5, 2.4, 8} do
    local _, info = run(neap.sampler.random_walk{scale = s}, E)
    lu.assertAlmostEquals(info.accept_rate, 2 / math.pi * math.atan(2 / s), .012)
  end
end

function T.test_slice_gaussian ()
  assert_moments(run(neap.sampler.slice{width = 2}, gaussian()), mean, cov)
end

-- The law is kept, too, where the bounds on stepping out or shrinking are what ends most searches.
function T.test_slice_with_any_width ()
  local E, chains = gaussian(), 4000 * law.more
  for width, rate in pairs{[.02] = 1, [2] = 1, [300] = .9} do
    local draws, info = run(neap.sampler.slice{width = width}, E, {chains = chains, steps = 20, warmup = 0,
      thin = 20 * law.longer, init = function (rng) return E:sample(chains, rng):double() end})
    assert_moments(draws, mean, cov)
    lu.assertTrue(rate == 1 and info.accept_rate > .999 or info.accept_rate < rate and info.accept_rate > .2,
                  ("width %g: %.4f of the searches find a point"):format(width, info.accept_rate))
  end
end

function T.test_mala_gaussian ()
  assert_moments(run(neap.sampler.mala{step_size = .4}, gaussian()), mean, cov)
end

function T.test_hmc_gaussian ()
  assert_moments(run(neap.sampler.hmc{step_size = .5, leapfrog_steps = 4}, gaussian(), {steps = 150}), mean, cov)
end

-- x ← x − εx + √(2ε)n keeps the variance 2ε / (1 − (1 − ε)²) = 1 / (1 − ε/2), not 1
function T.test_langevin_has_exactly_the_bias_it_must ()
  local eps = .5
  local E = neap.energy.gaussian{mean = neap.tensor{0, 0}, std = 1}
  local draws = run(neap.sampler.langevin{step_size = eps}, E)
  local v = 1 / (1 - eps / 2)
  assert_moments(draws, {0, 0}, {{v, 0}, {0, v}})
  local z = law.worst(law.moments(draws, {0, 0}, {{1, 0}, {0, 1}}))
  lu.assertTrue(z > 10, "the unadjusted law must differ from the target's: z = " .. z)
end

-- x's law is exact where E is quadratic, at any step that is stable
function T.test_underdamped_gaussian ()
  for _, friction in ipairs{.3, 2} do
    assert_moments(run(neap.sampler.underdamped{step_size = .7, friction = friction}, gaussian()), mean, cov)
  end
end

-- On N(0, 1) the momentum's variance is 1 − ε²/4, and it is independent of x.
function T.test_underdamped_momentum ()
  local E, eps, chains = neap.energy.gaussian{mean = {0}, std = 1}, 1.2, 20000 * law.more
  local s = neap.sampler.underdamped{step_size = eps, friction = 1}
  local st = s:step(E, s:init(E, neap.rng(1):normal({chains, 1}, {dtype = "float64"}), neap.rng(2)), 40)
  local x, p = st.x:unsqueeze(1):select(3, 1), st.momentum:unsqueeze(1):select(3, 1)
  local function z (v, truth) return law.z(v, function (y) return y end, truth) end
  local worst, name = law.worst{x = z(x * x, 1), p = z(p * p, 1 - eps * eps / 4), both = z(x * p, 0)}
  lu.assertTrue(worst < 4, ("%s: z = %.2f"):format(name, worst))
end

-- Where E is not quadratic the law is off, and by less where steps are shorter: by O(ε²).
function T.test_underdamped_bias_falls_with_the_step ()
  local E = neap.energy(function (x) return (x * x / 2 + (2 * x):cos()):sum(2) end, {event = {1}})
  local truth = law.expectation(function (x) return x * x / 2 + math.cos(2 * x) end,
                                function (x) return math.cos(2 * x) end, 9)
  local bias, z = {}, {}
  for i, eps in ipairs{.6, .3, .1} do
    local draws = run(neap.sampler.underdamped{step_size = eps}, E, {chains = 4000 * law.more, warmup = 100})
    local wave = (2 * draws:select(3, 1)):cos()
    bias[i] = math.abs(wave:mean():item() - truth)
    z[i] = math.abs(law.z(wave, function (x) return x end, truth))
  end
  lu.assertTrue(z[1] > 10 and z[3] < 4, ("z = %.2f, %.2f, %.2f"):format(table.unpack(z)))
  lu.assertTrue(bias[2] < bias[1] / 3, ("biases %.5f, %.5f, %.5f"):format(table.unpack(bias)))
end

function T.test_gmm ()
  local E = neap.energy.gmm{means = {{-1, -1}, {1, 1}}, std = .7, weights = {.25, .75}}
  local m, v = .5, .49 + .25 * .75 * 4
  for _, s in ipairs{neap.sampler.mala{step_size = .3}, neap.sampler.hmc{step_size = .5, leapfrog_steps = 3},
      neap.sampler.random_walk{scale = 1.2}, neap.sampler.slice{width = 2}} do
    assert_moments(run(s, E, {warmup = 150}), {m, m}, {{v, v - .49}, {v - .49, v}})
  end
end

function T.test_double_well_by_quadrature ()
  local E = neap.energy.double_well{barrier = 1}
  local function well (x) return (x * x - 1) ^ 2 end
  for _, s in ipairs{neap.sampler.mala{step_size = .1}, neap.sampler.hmc{step_size = .25, leapfrog_steps = 4},
      neap.sampler.random_walk{scale = 1}, neap.sampler.slice{width = 1}} do
    local draws = run(s, E, {init = function (rng) return rng:normal({128 * law.more, 1}, {dtype = "float64"}) end,
                              warmup = 100})
    for power = 1, 4 do
      local truth = law.expectation(well, function (x) return x ^ power end, 5)
      local z = law.z(draws:select(3, 1), function (x) return x ^ power end, truth)
      lu.assertTrue(math.abs(z) < 4, ("%s: E[x^%d]: z = %.2f"):format(s, power, z))
    end
  end
end

-- What hmc draws when it starts from the funnel's own law: a kernel that leaves it invariant keeps it.
function T.test_funnel_is_kept ()
  local E = neap.energy.funnel{dim = 3}
  local chains = 1500 * law.more
  for _, s in ipairs{neap.sampler.hmc{step_size = .15, leapfrog_steps = 8}, neap.sampler.mala{step_size = .02},
      neap.sampler.random_walk{scale = .5}, neap.sampler.slice{width = 1}} do
    local draws, info = run(s, E, {chains = chains, init = function (rng) return E:sample(chains, rng):double() end,
      steps = 40, warmup = 0, thin = 40 * law.longer})
    lu.assertTrue(info.accept_rate > .3)
    local v = draws:select(3, 1)
    local u = draws:select(3, 2) * (v / -2):exp()
    local function share (below) return v:lt(below):to "float64":mean():item() end
    for below, p in pairs{[-5] = .047790, [0] = .5} do
      local z = (share(below) - p) / math.sqrt(p * (1 - p) / chains)
      lu.assertTrue(math.abs(z) < 4, ("%s: P(v < %g): z = %.2f"):format(s, below, z))
    end
    for power, moment in pairs{[1] = {0, 1}, [2] = {1, 2}, [4] = {3, 96}} do
      local z = ((u ^ power):mean():item() - moment[1]) / math.sqrt(moment[2] / chains)
      lu.assertTrue(math.abs(z) < 4, ("%s: (x e^(-v/2))^%d: z = %.2f"):format(s, power, z))
    end
  end
end

-- The tests' own test: MALA that forgets its proposal is not symmetric, and MALA that never rejects, are both caught.
local function planted (correct)
  return neap.sampler.custom{
    init = function (E, x) return {x = x} end,
    step = function (E, state, rng)
      local eps, x = .4, state.x
      local y = x - eps * E:grad(x) + math.sqrt(2 * eps) * rng:normal(x.shape, {dtype = x.dtype})
      local u = 1 - rng:uniform({x.shape[1]}, {dtype = x.dtype})
      local accept = u:log():le(correct(E, x, y, eps))
      return {x = neap.where(accept:unsqueeze(2), y, x)}
    end}
end

local function symmetric (E, x, y) return E:log_ratio(y, x) end
local function never (E, x) return E(x) * 0 + 1 end
local function proper (E, x, y, eps)
  local there, back = y - x + eps * E:grad(x), x - y + eps * E:grad(y)
  return E:log_ratio(y, x) + (there:square():sum(2) - back:square():sum(2)) / (4 * eps)
end

function T.test_planted_wrong_samplers_are_caught ()
  local E = gaussian()
  local function worst (correct)
    return law.worst(law.moments(run(planted(correct), E, {steps = 200, warmup = 30}), mean, cov))
  end
  lu.assertTrue(worst(proper) < 4)
  lu.assertTrue(worst(symmetric) > 6)
  lu.assertTrue(worst(never) > 6)
end

-- p(v) of a small machine by enumeration against how often block Gibbs visits each v
function T.test_gibbs_by_enumeration ()
  local E = enumerate.machine(3, 4)
  local draws = neap.sampler.gibbs{}:sample(E, {chains = 200, steps = 200, warmup = 30, seed = 3})
  enumerate.check(draws, E, enumerate.states(3))
end

-- With a unit held the others follow the conditional law.
function T.test_gibbs_with_fixed_units ()
  local E = enumerate.machine(3, 4)
  local F = E:fix(neap.tensor{true, false, false}, neap.tensor{1, 0, 0})
  local draws = neap.sampler.gibbs{}:sample(F, {chains = 200, steps = 200, warmup = 30, seed = 4})
  lu.assertEquals(draws:select(3, 1):amin():item(), 1)
  enumerate.check(draws, E, neap.tensor{{1, 0, 0}, {1, 1, 0}, {1, 0, 1}, {1, 1, 1}})
end

return T
