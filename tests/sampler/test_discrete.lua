-- test_discrete.lua -- samplers of units of two values against enumeration, and their surface.

local lu = require "luaunit"
local cli = require "cli.support"
local enumerate = require "sampler.enumerate"
local T = {}

local samplers = {
  gibbs_with_gradients = function () return neap.sampler.gibbs_with_gradients{} end,
  dmala = function () return neap.sampler.dmala{step_size = .4} end,
}

-- a flip of a spin is twice as long, four times squared
local of_spins = {samplers.gibbs_with_gradients, function () return neap.sampler.dmala{step_size = 2} end}

local message = require("errors").message

-- −½ xᵀJx − h·x of six spins
local function ising ()
  local rng = neap.rng(5)
  local J, h = rng:normal(6, 6) * .4, rng:normal(6) * .3
  return neap.energy(function (x) return -(x:matmul(J + J:t()) * x):sum(2) / 4 - x:matmul(h) end, {event = {6}})
end

local function spins (chains)
  return function (rng) return rng:bernoulli(neap.full({chains, 6}, .5)) * 2 - 1 end
end

local function run (make, E, options)
  local o = {chains = 300, steps = 400, warmup = 60, seed = 3}
  for k, v in pairs(options or {}) do o[k] = v end
  return make():sample(E, o)
end

function T.test_machine_by_enumeration ()
  local E = enumerate.machine(8, 6, .6)
  for name, make in pairs(samplers) do
    local draws, info = run(make, E)
    enumerate.check(draws, E, enumerate.states(8))
    lu.assertTrue(info.accept_rate > .5, ("%s: %.3f accepted"):format(name, info.accept_rate))
    lu.assertEquals(info.grad_evals, 300 * 461)
  end
end

function T.test_spins_by_enumeration ()
  local E = ising()
  for _, make in ipairs(of_spins) do
    local draws = run(make, E, {init = spins(300)})
    lu.assertEquals(draws:square():amin():item(), 1)
    enumerate.check(draws, E, enumerate.states(6, -1), -1)
  end
end

-- An energy of spins says so itself: first positions are −1 and 1.
function T.test_energies_of_spins ()
  local E = neap.energy.ising{shape = {2, 3}, beta = .4, field = .1}
  local flat = neap.energy(function (x) return E(x:reshape(x.shape[1], 2, 3)) end, {event = {6}})
  for _, make in ipairs(of_spins) do
    enumerate.check(run(make, E):reshape(400, 300, 6), flat, enumerate.states(6, -1), -1)
    local s = make()
    lu.assertEquals(s:step(E, s:init(E, neap.ones(9, 2, 3)), 20).x:amin():item(), -1)
    local states = run(make, neap.energy.potts{shape = {2, 2}, states = 3, beta = 1}, {steps = 20})
    lu.assertEquals({states.dtype, states:amin():item(), states:amax():item()}, {"int64", 1, 3})
  end
end

function T.test_float64_and_events_of_two_dimensions ()
  local flat = enumerate.machine(6, 4, .6)
  local E = neap.energy(function (x) return flat(x:reshape(x.shape[1], 6)) end, {event = {2, 3}})
  for _, make in pairs(samplers) do
    local draws = run(make, E, {dtype = "float64"})
    lu.assertEquals({draws.shape, draws.dtype}, {{400, 300, 2, 3}, "float64"})
    enumerate.check(draws:reshape(400, 300, 6), flat, enumerate.states(6))
  end
end

function T.test_held_units ()
  local E = enumerate.machine(3, 4)
  local F = E:fix(neap.tensor{true, false, false}, neap.tensor{1, 0, 0})
  for _, make in pairs(samplers) do
    local draws = run(make, F)
    lu.assertEquals(draws:select(3, 1):amin():item(), 1)
    enumerate.check(draws, E, neap.tensor{{1, 0, 0}, {1, 1, 0}, {1, 0, 1}, {1, 1, 1}})
    local all = E:fix(neap.tensor{true, true, true}, neap.tensor{1, 0, .3})
    lu.assertAlmostEquals(run(make, all, {chains = 2, steps = 5})[5][2][3]:item(), .3, 1e-7)
  end
end

function T.test_they_pass_verify ()
  for _, make in pairs(samplers) do
    local r = neap.verify(make(), enumerate.machine(3, 2))
    lu.assertEquals(r[1].check, "detailed balance")
    lu.assertTrue(r.ok, tostring(r))
  end
end

-- a chain is of spins from its start on, also when all of them are up
function T.test_spins_stay_spins ()
  for _, make in ipairs(of_spins) do
    local s, E = make(), ising()
    local st = s:init(E, -neap.ones(3, 6), neap.rng(1))
    st.x = neap.ones(3, 6)
    st = s:step(E, st, 30)
    lu.assertEquals(st.x:square():amin():item(), 1)
    lu.assertTrue(st.x:amin():item() == -1)
    st.x = neap.zeros(3, 6)
    lu.assertStrContains(message(s.step, s, E, st), "x: units -1 and 1 expected")
  end
end

function T.test_errors ()
  local E = enumerate.machine(3, 2)
  for name, make in pairs(samplers) do
    local s = make()
    lu.assertStrContains(message(s.init, s, E, neap.tensor{{0, .5, 1}}),
                         name .. ": x: units 0 and 1, or -1 and 1 expected, got others in [1, 3]")
    lu.assertStrContains(message(s.init, s, E, neap.tensor{{-1, 0, 1}}), name .. ": x: units -1 and 1 expected")
    lu.assertStrContains(message(s.init, s, E, neap.zeros({2, 3}, {dtype = "int64"})),
                         name .. ": x: float32 or float64 expected, got int64")
    lu.assertStrContains(message(s.sample, s, E, {init = "normal"}), "units")
  end
  lu.assertStrContains(message(neap.sampler.gibbs_with_gradients, {steps = 3}), "it takes none")
  lu.assertStrContains(message(neap.sampler.dmala, {step_size = 0}), "dmala: step_size: a positive number expected")
  lu.assertStrContains(message(neap.sampler.dmala, {}), "step_size")
end

-- contrastive divergence starts them at the data
function T.test_cd ()
  for _, make in pairs(samplers) do
    local E = neap.energy.rbm{visible = 6, hidden = 4}
    local v = neap.rng(1):bernoulli(neap.full({64, 6}, .3))
    local loss, info = neap.loss.cd{sampler = make(), steps = 3}(E, v, neap.rng(2))
    lu.assertEquals(info.samples:mul(info.samples - 1):abs():amax():item(), 0)
    lu.assertEquals(#neap.gradients(loss, (E:params())), 3)
  end
end

-- a sampler whose steps lead from spins to what is none says so, once an energy
function T.test_chains_that_leave_their_units ()
  local folder = cli.folder()
  local f = assert(io.open(folder .. "/a.lua", "w"))
  f:write [[
    local o = {chains = 2, steps = 3, progress = false}
    local spins = neap.energy.ising{shape = {3, 3}, beta = .3}
    for _ = 1, 2 do neap.sampler.hmc{step_size = .1}:sample(spins, o) end
    neap.sampler.gibbs{}:sample(neap.energy.potts{shape = {3, 3}, beta = .3, states = 3}, o)
    neap.sampler.langevin{step_size = .1}:sample(neap.energy.gaussian_rbm{visible = 3, hidden = 2}, o)
  ]]
  f:close()
  local out, err, code = cli.run(("%s/neap %s/a.lua"):format(cli.quote(cli.build), folder))
  cli.remove(folder)
  lu.assertEquals({out, code}, {"", 0}, err)
  lu.assertStrContains(err, "hmc: units of ising are -1, 1 …, and its chains leave them")
  lu.assertEquals(select(2, err:gsub("chains leave them", "")), 1, err)
end

return T
