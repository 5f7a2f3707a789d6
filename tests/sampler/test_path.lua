-- test_path.lua -- log Z along a path: AIS forward and back, and SMC, against exact values.

local lu = require "luaunit"
local compare = require "program.compare"
local enumerate = require "sampler.enumerate"
local T = {}
local e = neap.energy

local message = require("errors").message

-- the estimate lies within 4 errors of the truth, and its error below most
local function close (E, truth, options, most)
  local z, info = E:log_z(options)
  local text = ("%s by %s: %.4f, not %.4f, error %.4f"):format(E.name, options.method, z, truth, info.stderr)
  lu.assertTrue(math.abs(z - truth) < 4 * info.stderr + 1e-5, text)
  lu.assertTrue(info.stderr < most, text)
  lu.assertTrue(info.interval[1] <= z and z <= info.interval[2])
  lu.assertTrue(info.seconds > 0)
  return info
end

local function with (options, more)
  local o = {}
  for k, v in pairs(options) do o[k] = v end
  for k, v in pairs(more) do o[k] = v end
  return o
end

local exact = {[.1] = 11.252588, [.25] = 12.201271, [.4406868] = 15.521916, [.6] = 20.056533}

function T.test_ising ()
  for beta, truth in pairs(exact) do
    local E = e.ising{shape = {4, 4}, beta = beta}
    lu.assertAlmostEquals(E:log_z(), truth, 1e-6)
    local info = close(E, truth, {method = "ais", chains = 200, temperatures = 200, seed = 1}, .05)
    lu.assertEquals({info.starts, info.chains, info.temperatures}, {"exact", 200, 200})
    lu.assertTrue(info.ess > 50)
    close(E, truth, {method = "reverse_ais", chains = 200, temperatures = 200, seed = 1}, .05)
    close(E, truth, {method = "smc", particles = 1024, seed = 1}, .1)
  end
end

function T.test_potts_and_a_field ()
  local potts = e.potts{shape = {3, 3}, states = 3, beta = .8}
  close(potts, potts:log_z(), {method = "ais", chains = 200, temperatures = 100, seed = 2}, .05)
  close(potts, potts:log_z(), {method = "smc", particles = 512, steps = 4, seed = 2}, .1)
  local field = e.ising{shape = {3, 4}, beta = .3, field = .4}
  close(field, field:log_z(), {method = "ais", chains = 200, temperatures = 100, seed = 2}, .05)
end

-- by blocks, with the machine's own biases, others, or those of data, as the base
function T.test_machine ()
  local E = enumerate.machine(10, 8, .8)
  local truth, data = E:log_z(), neap.rng(1):bernoulli(neap.full({50, 10}, .3))
  for _, base in ipairs{false, {0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, data} do
    local o = {method = "ais", chains = 300, temperatures = 200, seed = 3, base = base or nil}
    close(E, truth, o, .05)
    close(E, truth, with(o, {method = "reverse_ais"}), .05)
    o.chains, o.temperatures = nil, nil
    close(E, truth, with(o, {method = "smc", particles = 512, steps = 3}), .1)
  end
  local wide = neap.energy.rbm{visible = 20, hidden = 20}
  wide = wide:with{W = neap.rng(2):normal(20, 20) * .5}
  close(wide, wide:log_z(), {method = "ais", chains = 256, temperatures = 500, seed = 3}, .05)
end

function T.test_gaussian_machine ()
  local rng = neap.rng(4)
  local E = e.gaussian_rbm{visible = 3, hidden = 4, std = {.7, 1.5, 1}}
  E = E:with{W = rng:normal(3, 4) * .7, b = rng:normal(3), c = rng:normal(4)}
  local o = {method = "ais", chains = 300, temperatures = 200, seed = 3}
  close(E, E:log_z(), o, .05)
  close(E, E:log_z(), with(o, {method = "reverse_ais"}), .05)
  close(E, E:log_z(), {method = "smc", particles = 512, steps = 3, seed = 3}, .1)
end

-- bits under a Lua function: the base is uniform, the kernel must be given
function T.test_bits_of_a_function ()
  local E = neap.energy(function (x) return (x:sum(2) - 2):square() * .5 end, {event = {8}})
  local o = {method = "ais", chains = 300, temperatures = 100, steps = 4, seed = 3,
             sampler = neap.sampler.gibbs_with_gradients{}}
  close(E, E:log_z{method = "enumerate"}, o, .05)
end

function T.test_continuous ()
  local gaussian = e.gaussian{mean = {1, -1}, cov = {{1, .4}, {.4, .5}}}
  local gmm = e.gmm{means = {{2, 0}, {-2, 1}}, std = .7, weights = {.3, .7}} + 1.5
  local o = {method = "ais", chains = 300, temperatures = 100, seed = 5, sampler = neap.sampler.hmc{step_size = .3}}
  for _, E in ipairs{gaussian, gmm} do
    close(E, E:log_z(), o, .1)
    local info = close(E, E:log_z(), with(o, {method = "reverse_ais"}), .1)
    lu.assertEquals(info.starts, "exact")
    close(E, E:log_z(), {method = "smc", particles = 512, steps = 5, seed = 5, sampler = o.sampler}, .15)
  end
  local wide = e.gaussian{mean = {0, 0}, std = 3}
  close(gmm, gmm:log_z(), with(o, {base = wide}), .2)
  local smc = {method = "smc", base = {"uniform", -6, 6}, particles = 512, seed = 5, sampler = o.sampler}
  close(gmm, gmm:log_z(), smc, .15)
  local well = e.double_well{dim = 2}
  local truth = well:log_z{method = "quadrature", lower = -5, upper = 5}
  local info = close(well, truth, with(o, {method = "reverse_ais"}), .1)
  lu.assertEquals(info.starts, "annealed")
end

function T.test_given_starts_and_inverse_temperatures ()
  local E = e.ising{shape = {3, 3}, beta = .3}
  local x = neap.sampler.gibbs{}:sample(E, {chains = 100, steps = 1, warmup = 100, seed = 1})[1]
  local o = {method = "reverse_ais", init = x, temperatures = {0, .1, .3, .6, 1}, steps = 3, seed = 1}
  local info = close(E, E:log_z(), o, .1)
  lu.assertEquals({info.starts, info.chains, info.temperatures}, {"given", 100, 5})
  local _, known = E:log_z(with(o, {exact = true}))
  lu.assertEquals(known.starts, "exact")
end

function T.test_the_seed_and_threads ()
  local machine, ising = enumerate.machine(10, 8, .8), e.ising{shape = {4, 4}, beta = .4}
  for _, E in ipairs{machine, ising} do
    for _, method in ipairs{"ais", "reverse_ais", "smc"} do
      lu.assertTrue(compare.same_for_threads(function ()
        local o = {method = method, seed = 9, steps = 2}
        if method ~= "smc" then o.chains, o.temperatures = 100, 30 end
        local z, info = E:log_z(o)
        return {neap.tensor(z, {dtype = "float64"}), neap.tensor(info.stderr, {dtype = "float64"})}
      end))
    end
  end
  neap.seed(3)
  local a = machine:log_z{method = "ais", chains = 20, temperatures = 20}
  local b = machine:log_z{method = "ais", chains = 20, temperatures = 20, rng = neap.rng(3)}
  lu.assertNotEquals(a, machine:log_z{method = "ais", chains = 20, temperatures = 20})
  lu.assertAlmostEquals(a, b, .5)
end

function T.test_errors ()
  local E, rbm = e.ising{shape = {3, 3}, beta = .3}, enumerate.machine(4, 3)
  local function says (text, energy, options) lu.assertStrContains(message(energy.log_z, energy, options), text) end
  says("chains: at least 2 expected, got 1", E, {method = "ais", chains = 1})
  says("temperatures: at least 2 expected, got 1", E, {method = "ais", temperatures = 1})
  says("inverse ones that rise from 0 to 1 expected", E, {method = "ais", temperatures = {0, .5, .4, 1}})
  says("inverse ones that rise from 0 to 1 expected", E, {method = "ais", temperatures = {.1, 1}})
  says("unknown option 'lower'", E, {method = "ais", lower = 1})
  says("unknown option 'chains'", E, {method = "smc", chains = 10})
  says("unknown option 'init'", E, {method = "ais", init = neap.ones(2, 3, 3)})
  says("option 'sampler': a sampler expected, got number", E, {method = "ais", sampler = 1})
  says("base: an energy is for continuous x; units start uniform", E, {method = "ais", base = e.double_well()})
  says("base: a tensor of biases is for an rbm", E, {method = "ais", base = {1, 2}})
  says("base: biases of the visible units [4] expected, got [3]", rbm, {method = "ais", base = {1, 2, 3}})
  says("double_well has no exact sampler", e.gaussian{mean = {0}}, {method = "ais", base = e.double_well()})
  says("the shape of one x is not known", neap.energy(function (x) return x:sum(2) end), {method = "ais"})
  says("holds coordinates fixed", rbm:fix({true, false, false, false}, 1), {method = "ais"})
  says("a sampler of single moves expected, got annealed_langevin", e.double_well(),
       {method = "ais", sampler = neap.sampler.annealed_langevin{sigmas = {1}, step_size = .1}})
  says("particles: at least 32 expected, got 4", E, {method = "smc", particles = 4})
  says("ess: a part of the particles, between 0 and 1, expected, got 2", E, {method = "smc", ess = 2})
  says("warmup: 0 or more steps expected, got -1", E, {method = "reverse_ais", warmup = -1})
  says("chains = 3, but init is [2, 3, 3]", E, {method = "reverse_ais", chains = 3, init = neap.ones(2, 3, 3)})
end

return T
