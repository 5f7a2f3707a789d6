-- test_tempering.lua -- parallel tempering and SMC where a chain at T = 1 never crosses, their ladders, their surface.

local lu = require "luaunit"
local compare = require "program.compare"
local enumerate = require "sampler.enumerate"
local law = require "sampler.law"
local T = {}
local e = neap.energy

local message = require("errors").message

local tempering = neap.sampler.parallel_tempering

local function apart () return e.gmm{means = {{-6, 0}, {6, 0}}, std = 1, weights = {.3, .7}} end

local function kernels ()
  return {mala = neap.sampler.mala{step_size = .5}, hmc = neap.sampler.hmc{step_size = .4, leapfrog_steps = 5},
          random_walk = neap.sampler.random_walk{scale = 1.2}, slice = neap.sampler.slice{width = 1}}
end

local function right (draws) return draws:select(3, 1):gt(0):to "float64" end

-- z-score of the proportion of the mode at the right
local function mode_z (draws) return law.z(draws, right, .7) end

function T.test_two_modes_apart ()
  local E = apart()
  for name, kernel in pairs(kernels()) do
    local o = {chains = 100, steps = 1000, warmup = 2000, seed = 2, init = -6 * neap.ones(100, 2)}
    local stuck = kernel:sample(E, o)
    lu.assertEquals(right(stuck):sum():item(), 0)
    local draws, info = tempering{temperatures = {1, 2.5, 6, 15, 40}, kernel = kernel}:sample(E, o)
    lu.assertEquals(draws.shape, {1000, 100, 2})
    local z = mode_z(draws)
    lu.assertTrue(math.abs(z) < 4, ("%s: z = %.2f"):format(name, z))
    local zv = law.z(draws, function (x) return (x:select(3, 1):abs() - 6):square() end, 1)
    lu.assertTrue(math.abs(zv) < 4, ("%s: variance: z = %.2f"):format(name, zv))
    lu.assertTrue(info.swap_rates:amin():item() > .2)
    lu.assertAlmostEquals((info.energy - E(draws:reshape(-1, 2)):reshape(1000, 100)):abs():amax():item(), 0, 1e-4)
    lu.assertTrue(info.accept_rate > .3 and info.accept_rate <= 1)
  end
end

-- swaps of pairs of Gaussians E/T whose rates are known: E is Gamma(d/2), the rate is that of a Beta
function T.test_swap_rates_of_a_gaussian ()
  local E = e.gaussian{mean = {0, 0}}
  local s = tempering{temperatures = {1, 3, 9}, kernel = neap.sampler.slice{width = 3}}
  local _, info = s:sample(E, {chains = 300, steps = 1000, warmup = 50, seed = 1})
  -- E at T is exponential of mean T: P(swap) = E min(1, e^((1/T1 − 1/T2)(E1 − E2))) = 2/(1 + T2/T1) for d = 2
  for _, rate in ipairs(info.swap_rates:totable()) do lu.assertAlmostEquals(rate, .5, .01) end
  lu.assertEquals(info.temperatures:totable(), {1, 3, 9})
end

function T.test_the_ladder_tunes_itself ()
  local far = neap.full({10}, 2):totable()
  local E = e.gaussian{mean = neap.zeros(10)} + e.gmm{means = {far, neap.zeros(10):totable()}, std = 1}
  local s = tempering{n = 6, hottest = 20, kernel = neap.sampler.slice{width = 3}}
  local _, info = s:sample(E, {chains = 64, steps = 400, warmup = 600, seed = 1})
  local rates = info.swap_rates
  lu.assertTrue((rates:amax() - rates:amin()):item() < .1, tostring(rates) .. tostring(info.temperatures))
  local t = info.temperatures:totable()
  lu.assertEquals({t[1], #t}, {1, 6})
  lu.assertAlmostEquals(t[6], 20, 1e-9)
  local _, fixed = tempering{temperatures = {1, 2, 3, 4, 5, 20}, kernel = neap.sampler.slice{width = 3}}
    :sample(E, {chains = 64, steps = 400, warmup = 600, seed = 1})
  lu.assertTrue(fixed.swap_rates:amin():item() < rates:amin():item() - .1)
end

-- below its critical temperature, from all spins up
function T.test_spins ()
  local E = e.ising{shape = {3, 3}, beta = .9, field = .05}
  local flat = neap.energy(function (x) return E(x:reshape(x.shape[1], 3, 3)) end, {event = {9}})
  local s = neap.sampler
  for _, kernel in ipairs{s.gibbs{}, s.gibbs_with_gradients{}, s.dmala{step_size = 2}} do
    local s = tempering{temperatures = {1, 1.6, 2.5, 5}, kernel = kernel, moves = 2}
    local draws = s:sample(E, {chains = 200, steps = 400, warmup = 200, seed = 1, init = neap.ones(200, 3, 3)})
    enumerate.check(draws:reshape(400, 200, 9), flat, enumerate.states(9, -1), -1)
  end
  local potts = e.potts{shape = {2, 2}, states = 3, beta = 3}
  local draws = tempering{temperatures = {1, 2, 4, math.huge}, kernel = neap.sampler.gibbs{}}:sample(potts,
    {chains = 200, steps = 400, warmup = 100, seed = 1})
  for k = 1, 3 do
    local z = law.z(draws, function (x) return x:select(3, 1):select(3, 1):eq(k):to "float64" end, 1 / 3)
    lu.assertTrue(math.abs(z) < 4, ("state %d: z = %.2f"):format(k, z))
  end
end

-- an rbm with gibbs is tempered in W and c, up to T = ∞ where its units are independent
function T.test_machine ()
  local E = enumerate.machine(6, 5, 3)
  for _, ladder in ipairs{{1, 2, 4, math.huge}, {1, 1.5, 3}} do
    local s = tempering{temperatures = ladder, kernel = neap.sampler.gibbs{}}
    local draws = s:sample(E, {chains = 200, steps = 500, warmup = 100, seed = 3})
    enumerate.check(draws, E, enumerate.states(6))
  end
  local F = E:fix({true, false, false, false, false, false}, 1)
  local s = tempering{temperatures = {1, 3}, kernel = neap.sampler.gibbs{}}
  local draws = s:sample(F, {chains = 20, steps = 50, seed = 3})
  lu.assertEquals(draws:select(3, 1):amin():item(), 1)
end

function T.test_by_hand ()
  local E, s = apart(), tempering{temperatures = {1, 4, 16}, kernel = neap.sampler.mala{step_size = .5}}
  local st = s:init(E, neap.zeros(5, 2), neap.rng(1))
  lu.assertEquals(st.replicas.shape, {5, 3, 2})
  st = s:step(E, st, 10)
  lu.assertEquals((st.x - st.replicas:select(2, 1)):abs():amax():item(), 0)
  lu.assertAlmostEquals((st.energy - E(st.x)):abs():amax():item(), 0, 1e-5)
  st.x = neap.full({5, 2}, 3)                                  -- the first replica is what x says
  local before = st.replicas:select(2, 2):clone()
  st = s:step(E, st, 0)
  lu.assertEquals(st.replicas:select(2, 1):amin():item(), 3)
  lu.assertEquals((st.replicas:select(2, 2) - before):abs():amax():item(), 0)
end

-- steps in a program are those made one by one; also without chains
function T.test_programs ()
  local s = neap.sampler
  local gmm, ising = e.gmm{means = {{-1, 0}, {1, 0}}, std = .8}, e.ising{shape = {3, 3}, beta = .4}
  local spins = 2 * neap.rng(2):bernoulli(neap.full({70, 3, 3}, .5)) - 1
  local cases = {
    {s.mala{step_size = .2}, gmm, neap.rng(1):normal({70, 2}, {dtype = "float64"})},
    {s.hmc{step_size = .2, leapfrog_steps = 3}, gmm, neap.rng(1):normal({70, 2}, {dtype = "float64"})},
    {s.gibbs{}, ising, spins}, {s.gibbs_with_gradients{}, ising, spins}, {s.dmala{step_size = 2}, ising, spins},
    {s.gibbs{}, e.potts{shape = {3, 3}, states = 3, beta = .5}, neap.ones({70, 3, 3}, {dtype = "int64"})},
    {s.gibbs{}, enumerate.machine(9, 5), spins:reshape(70, 9):relu()},
  }
  for i, case in ipairs(cases) do
    for _, sampler in ipairs{case[1], tempering{kernel = case[1], temperatures = {1, 1.5, 3}}} do
      for _, rows in ipairs{70, 1, 0} do
        local x, E = case[3]:slice(1, 1, rows), case[2]
        local one, many = sampler:init(E, x, neap.rng(3)), sampler:init(E, x, neap.rng(3))
        for _ = 1, 12 do one = sampler:step(E, one) end
        local made = neap.memory().programs
        many = sampler:step(E, many, 12)
        lu.assertTrue(rows < 70 or neap.memory().programs > made, tostring(i))
        local apart = rows > 0 and (one.x - many.x):abs():amax():item() or 0
        lu.assertTrue(apart < 1e-6, ("%d, %s, %d rows: %g"):format(i, tostring(sampler), rows, apart))
      end
    end
  end
end

-- a state that is saved and brought back goes on as it would have
function T.test_state_goes_on ()
  local E, s = apart(), tempering{temperatures = {1, 4, 16}, kernel = neap.sampler.mala{step_size = .5}}
  local st = s:step(E, s:init(E, neap.zeros(5, 2), neap.rng(1)), 7)
  local copy = {rng = neap.rng(5)}
  for k, v in pairs(st) do if k ~= "rng" then copy[k] = v:clone() end end
  copy.rng:set_state(st.rng:state())
  local a, b = s:step(E, st, 9), s:step(E, copy, 9)
  lu.assertEquals((a.replicas - b.replicas):abs():amax():item(), 0)
  lu.assertEquals(s:state(), {kernel = {step_size = .5}})
  s:set_state{kernel = {step_size = .25}}
  lu.assertEquals(s:state().kernel.step_size, .25)
  lu.assertStrContains(message(s.set_state, s, {kernel = {step_size = -1}}), "a positive number expected, got -1")
end

-- the kernel's step size counts from the next call on, in programs, too
function T.test_a_changed_kernel_is_seen ()
  local E, kernel = e.gaussian{mean = {0, 0}}, neap.sampler.mala{step_size = .01}
  local s = tempering{temperatures = {1, 2}, kernel = kernel}
  local o = {chains = 8, steps = 50, seed = 1, init = neap.full({8, 2}, 9)}
  local slow = s:sample(E, o)
  kernel:set_state{step_size = .5}
  lu.assertTrue(s:sample(E, o)[50]:mean():item() < slow[50]:mean():item() - 2)
end

function T.test_same_bits_for_any_number_of_threads ()
  for _, kernel in pairs(kernels()) do
    lu.assertTrue(compare.same_for_threads(function ()
      local s = tempering{n = 4, kernel = kernel}
      local draws, info = s:sample(apart(), {chains = 100, steps = 20, warmup = 70, seed = 2})
      return {draws, info.swap_rates, info.temperatures}
    end))
  end
end

-- ---- smc ----

function T.test_smc_finds_both_modes ()
  local E, ones = apart() + 2, {}
  for seed = 1, 20 do
    local s = neap.sampler.smc{particles = 256, kernel = neap.sampler.mala{step_size = .5}, moves = 5}
    local draws, info = s:sample(E, {seed = seed, init = {"uniform", -12, 12}})
    lu.assertEquals(draws.shape, {1, 256, 2})
    lu.assertTrue(math.abs(info.log_z + 2) < 5 * info.stderr, ("%g +- %g"):format(info.log_z, info.stderr))
    lu.assertAlmostEquals(info.temperatures[-1]:item(), 1, 1e-12)
    ones[seed] = right(draws):mean():item()
  end
  local share = neap.tensor(ones, {dtype = "float64"})
  local z = (share:mean():item() - .7) / (share:std():item() / math.sqrt(20))
  lu.assertTrue(math.abs(z) < 4, ("z = %.2f"):format(z))
end

function T.test_smc_goes_on ()
  local E = e.gaussian{mean = {2, -1}, cov = {{1, .5}, {.5, 1}}}
  local s = neap.sampler.smc{particles = 300, kernel = neap.sampler.hmc{step_size = .4, leapfrog_steps = 5}}
  local draws, info = s:sample(E, {steps = 50, seed = 3})
  lu.assertEquals(draws.shape, {50, 300, 2})
  for i, want in ipairs{2, -1} do
    local z = law.z(draws, function (x) return x:select(3, i) end, want)
    lu.assertTrue(math.abs(z) < 4.5, ("z = %.2f"):format(z))
  end
  lu.assertAlmostEquals(info.log_z, E:log_z(), 5 * info.stderr)
  lu.assertTrue(info.grad_evals > 300 * 5 * 50)
end

function T.test_errors ()
  local mala = neap.sampler.mala{step_size = .1}
  local function says (text, f, ...) lu.assertStrContains(message(f, ...), text) end
  says("option 'kernel': a sampler expected, got nil", tempering, {n = 3})
  says("one of 'temperatures' and 'n' expected", tempering, {kernel = mala})
  says("one of 'temperatures' and 'n' expected", tempering, {kernel = mala, n = 3, temperatures = {1, 2}})
  says("option 'n': 2 to 10000 expected, got 1", tempering, {kernel = mala, n = 1})
  says("option 'hottest': a number above 1 expected", tempering, {kernel = mala, n = 3, hottest = 1})
  says("option 'hottest' goes with 'n'", tempering, {kernel = mala, temperatures = {1, 2}, hottest = 3})
  says("the first must be 1, got 2", tempering, {kernel = mala, temperatures = {2, 3}})
  says("rising ones expected, got 3 after 3", tempering, {kernel = mala, temperatures = {1, 3, 3}})
  says("at least 2 temperatures expected, got 1", tempering, {kernel = mala, temperatures = {1}})
  says("moves: a positive integer expected, got 0", tempering, {kernel = mala, temperatures = {1, 2}, moves = 0})
  says("unknown option 'temps'", tempering, {kernel = mala, temps = {1, 2}})
  local pt = tempering{kernel = mala, temperatures = {1, 2}}
  says("a sampler of single moves expected, got parallel_tempering", tempering, {kernel = pt, n = 3})
  says("kernel: mala with a step_size expected", tempering, {kernel = neap.sampler.mala{}, n = 3})
  says("particles: at least 32 expected, got 10", neap.sampler.smc, {kernel = mala, particles = 10})
  says("option 'kernel': a sampler expected", neap.sampler.smc, {})
  local smc = neap.sampler.smc{kernel = mala}
  says("smc: init: \"normal\" or {\"uniform\", lower, upper} expected", smc.sample, smc, apart(),
       {init = neap.zeros(40, 2)})
  says("smc: is for whole runs", smc.init, smc, apart(), neap.zeros(40, 2))
  local E = neap.energy(function (x) return neap.full({x.shape[1]}, 0 / 0) + x:sum(2) end, {event = {2}})
  says("not finite, to go on from b = 0", smc.sample, smc, E, {})
end

return T
