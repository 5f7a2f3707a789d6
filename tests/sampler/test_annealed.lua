-- test_annealed.lua -- annealed Langevin dynamics: its schedule, its law, what the energy is given.

local lu = require "luaunit"
local law = require "sampler.law"
local T = {}

local f64 = {dtype = "float64"}
local message = require("errors").message
local function annealed (o) return neap.sampler.annealed_langevin(o) end

-- N(0, 1 + σ²) in two dimensions, and what was asked for
local function blurred (seen)
  return neap.energy(function (x, sigma)
    if seen then seen[#seen + 1] = sigma end
    return x:square():sum(2) / (2 * (1 + sigma:select(2, 1):square()))
  end, {event = {2}})
end

function T.test_one_level_is_langevin ()
  local E, x = neap.energy.banana{}, neap.randn(6, 2)
  local a, b = annealed{sigmas = {.3}, step_size = .01, steps = 4}, neap.sampler.langevin{step_size = .01}
  local one, two = a:init(E, x, neap.rng(1)), b:init(E, x, neap.rng(1))
  for _ = 1, 7 do one, two = a:step(E, one), b:step(E, two) end
  lu.assertTrue((one.x - two.x):abs():amax():item() < 1e-5)
  lu.assertEquals(one.moves:totable(), {7, 7, 7, 7, 7, 7})
end

-- the moves one by one, with the random numbers of the sampler
function T.test_it_is_as_written ()
  local E, eps = blurred(), .02
  local s = annealed{sigmas = {.5, 2, 1}, step_size = eps, steps = 2}
  local x, rng = neap.randn(5, 2, f64), neap.rng(3)
  local st = s:init(E, x, neap.rng(3))
  for _, sigma in ipairs{2, 2, 1, 1, .5, .5, .5} do
    local k = eps * (sigma / .5) ^ 2
    x = x - k * x / (1 + sigma * sigma) + math.sqrt(2 * k) * rng:normal({5, 2}, f64)
    st = s:step(E, st)
    lu.assertTrue((st.x - x):abs():amax():item() < 1e-13)
  end
  lu.assertEquals(st.energy:totable(), E(st.x, neap.full({5, 1}, .5, f64)):totable())
end

-- The variance of a normal law follows each move exactly.
function T.test_the_law_at_the_end ()
  local sigmas, eps, steps, chains = {4, 2, 1, .5}, .05, 10, 40000
  local draws, info = annealed{sigmas = sigmas, step_size = eps, steps = steps}:sample(blurred(),
    {chains = chains, seed = 5, dtype = "float64"})
  local v = 1
  for _, sigma in ipairs(sigmas) do
    local k = eps * (sigma / .5) ^ 2
    for _ = 1, steps do v = (1 - k / (1 + sigma * sigma)) ^ 2 * v + 2 * k end
  end
  lu.assertEquals(draws.shape, {1, chains, 2})
  local z, name = law.worst(law.moments(draws, {0, 0}, {{v, 0}, {0, v}}))
  lu.assertTrue(z < 4, ("%s: z = %.2f"):format(name, z))
  lu.assertEquals(info.grad_evals, chains * (1 + 4 * steps))
  lu.assertEquals(info.accept_rate, 1)
end

-- Modes far apart: blurred they are one, and the weights come out; at the last level alone each chain stays in one.
function T.test_it_finds_the_weights_of_modes ()
  local function mixture (x, variance)
    local a, b = (x + 6):square():sum(2), (x - 6):square():sum(2)
    return -neap.stack({math.log(.2) - a / (2 * variance), math.log(.8) - b / (2 * variance)}, 2):logsumexp(2)
  end
  local E = neap.energy(function (x, sigma) return mixture(x, 1 + sigma:select(2, 1):square()) end, {event = {1}})
  local function share (sigmas)
    local draws = annealed{sigmas = sigmas, step_size = .02, steps = 100}:sample(E, {chains = 4000, seed = 1})
    return draws:gt(0):to "float64":mean():item()
  end
  local levels = {}
  for i = 0, 7 do levels[i + 1] = 16 * (.5 / 16) ^ (i / 7) end
  lu.assertAlmostEquals(share(levels), .8, .03)
  lu.assertTrue(share{.5} < .7)
end

function T.test_what_the_energy_is_given ()
  local s = annealed{sigmas = neap.tensor{1, .5}, step_size = .01, steps = 3}
  local seen = {}
  s:step(blurred(seen), s:init(blurred(seen), neap.zeros(4, 2), neap.rng(1)))
  lu.assertEquals(seen[1].shape, {4, 1})
  local plain = neap.energy.gaussian{mean = {0, 0}, std = 1}
  lu.assertEquals(s:sample(plain, {chains = 3}).shape, {1, 3, 2})
  local own = neap.energy(function (x, c) return (x - c):square():sum(2) end, {event = {2}})
  local c = neap.full({3, 2}, 9)
  local draws, info = s:sample(own, {chains = 3, condition = c, init = c, steps = 5})
  lu.assertEquals(draws.shape, {5, 3, 2})
  lu.assertTrue((draws - 9):abs():amax():item() < 3)
  lu.assertTrue((info.energy[5] - own(draws[5], c)):abs():amax():item() < 1e-5)
end

-- A network that multi_dsm trained is what it is for.
function T.test_a_network_of_many_levels ()
  local E = neap.energy.mlp{sizes = {2, 8}, condition = 1}
  local s = annealed{sigmas = {1, .1}, step_size = .001, steps = 5}
  lu.assertEquals(s:sample(E, {chains = 6, seed = 1}).shape, {1, 6, 2})
end

function T.test_coordinates_that_are_held_stay ()
  local E = neap.energy.gaussian{mean = {0, 0}, std = 1}:fix(neap.tensor{true, false}, neap.tensor{2.5, 0})
  local draws = annealed{sigmas = {2, 1}, step_size = .05, steps = 5}:sample(E, {chains = 20, seed = 2})
  lu.assertEquals(draws:select(3, 1):sub(2.5):abs():amax():item(), 0)
end

function T.test_errors ()
  local function given (o) return message(annealed, o) end
  lu.assertStrContains(given{step_size = .1}, "option 'sigmas': a table of numbers or a tensor expected, got nil")
  lu.assertStrContains(given{sigmas = {1}}, "step_size")
  lu.assertStrContains(given{sigmas = {}, step_size = .1}, "annealed_langevin: sigmas: at least one expected, got 0")
  lu.assertStrContains(given{sigmas = {1, 0}, step_size = .1}, "sigmas: a positive number expected, got 0")
  lu.assertStrContains(given{sigmas = {1}, step_size = .1, steps = 0}, "steps: a positive integer expected, got 0")
  lu.assertStrContains(given{sigmas = {1}, step_size = .1, levels = 3}, "unknown option 'levels'")
end

return T
