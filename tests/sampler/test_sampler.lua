-- test_sampler.lua -- the surface of samplers: states, runs, options, errors.

local lu = require "luaunit"
local by_hand = require "sampler.slice_by_hand"
local T = {}

local function gaussian () return neap.energy.gaussian{mean = neap.tensor{0, 0}, std = 1} end
local message = require("errors").message
local function same (a, b) return a:eq(b):all():item() end

local all = {
  langevin = function () return neap.sampler.langevin{step_size = .1} end,
  random_walk = function () return neap.sampler.random_walk{scale = .5} end,
  mala = function () return neap.sampler.mala{step_size = .2} end,
  hmc = function () return neap.sampler.hmc{step_size = .3, leapfrog_steps = 3} end,
  slice = function () return neap.sampler.slice{width = 1} end,
  underdamped = function () return neap.sampler.underdamped{step_size = .3} end,
  nuts = function () return neap.sampler.nuts{step_size = .3} end,
}

function T.test_draws_and_info ()
  for name, make in pairs(all) do
    local s = make()
    local draws, info = s:sample(gaussian(), {chains = 6, steps = 20, warmup = 5, thin = 3, seed = 1})
    lu.assertEquals(draws.shape, {6, 6, 2})
    lu.assertEquals(draws.dtype, "float32")
    lu.assertEquals(info.energy.shape, {6, 6})
    local e = gaussian()(draws:reshape(36, 2)):reshape(6, 6)
    lu.assertTrue((info.energy - e):abs():amax():item() < 1e-5, name .. ": energies of draws")
    lu.assertTrue(info.accept_rate > .3 and info.accept_rate <= 1, name)
    lu.assertEquals(info.divergences, 0)
    lu.assertTrue(info.seconds > 0)
    lu.assertAlmostEquals(info.step_size, s:state().step_size, 0)
    lu.assertEquals(info.ess.shape, {2})
    lu.assertEquals(type(info.verdict), "string")
    lu.assertStrContains(tostring(info), name)
  end
end

function T.test_gradients_are_counted ()
  local function evals (s)
    return select(2, s:sample(gaussian(), {chains = 5, steps = 10, warmup = 2, seed = 1})).grad_evals
  end
  lu.assertEquals(evals(all.langevin()), 5 * 12)
  lu.assertEquals(evals(all.random_walk()), 0)
  lu.assertEquals(evals(all.mala()), 5 * 13)
  lu.assertEquals(evals(all.hmc()), 5 * (1 + 3 * 12))
  lu.assertEquals(evals(all.underdamped()), 5 * 13)
  lu.assertEquals(evals(all.slice()), 0)
end

-- Ctrl-C while a long run is under way: an error, and what there was is kept.
function T.test_interrupted_runs ()
  local pid <const>, asked = io.open "/proc/self/stat":read "n", false
  local function ask ()
    if not asked then os.execute(("(sleep .03; kill -INT %d) > /dev/null 2>&1 &"):format(pid)) end
    asked = true
  end
  local s = all.langevin()
  lu.assertNil(s:partial())
  local o = {chains = 4, steps = 1 << 26, thin = 1 << 8, init = "normal", seed = 3, progress = ask}
  local text = message(s.sample, s, gaussian(), o)
  lu.assertStrContains(text, "interrupted")
  local draws, info = s:partial()
  lu.assertStrContains(text, ("%d draws"):format(#draws))
  lu.assertEquals({draws.shape[2], draws.shape[3], info.sampler}, {4, 2, "langevin"})
  lu.assertEquals(info.energy.shape, {#draws, 4})
  local first = s:sample(gaussian(), {chains = 4, steps = 1 << 8, thin = 1 << 8, init = "normal", seed = 3})
  lu.assertTrue(same(draws[1], first[1]))
  lu.assertNil(s:partial())
end

function T.test_a_seed_gives_the_same_draws ()
  for name, make in pairs(all) do
    local a = make():sample(gaussian(), {chains = 3, steps = 15, seed = 9})
    local b = make():sample(gaussian(), {chains = 3, steps = 15, seed = 9})
    lu.assertTrue(same(a, b), name)
    lu.assertFalse(same(a, make():sample(gaussian(), {chains = 3, steps = 15, seed = 10})), name)
  end
  neap.seed(4)
  local a = all.mala():sample(gaussian(), {steps = 8})
  neap.seed(4)
  lu.assertTrue(same(a, all.mala():sample(gaussian(), {steps = 8})))
end

function T.test_steps_by_hand_are_the_run ()
  local E = gaussian()
  for name, make in pairs(all) do
    local s, x = make(), neap.randn(4, 2)
    local draws = s:sample(E, {init = x, steps = 6, seed = 5})
    local one = s:init(E, x, neap.rng(5))
    for i = 1, 6 do one = s:step(E, one) end
    lu.assertTrue(same(one.x, draws[6]), name .. ": one by one")
    local six = s:step(E, s:init(E, x, neap.rng(5)), 6)
    lu.assertTrue(same(six.x, draws[6]), name .. ": at once")
    lu.assertFalse(same(x, six.x), name .. ": the first x is not written to")
  end
end

-- A state's cached energy and gradient follow what was changed since: x, or the energy's parameters.
function T.test_nothing_is_stale ()
  local w = neap.tensor(1)
  local E = neap.energy(function (x) return .5 * w * x:square():sum(2) end, {params = {w = w}, event = {2}})
  local s = all.mala()
  local a, b = s:init(E, neap.zeros(3, 2), neap.rng(2)), nil
  w[{}] = 4
  a = s:step(E, a)
  b = s:step(E, s:init(E, neap.zeros(3, 2), neap.rng(2)))
  lu.assertTrue(same(a.x, b.x))
  lu.assertTrue((a.energy - E(a.x)):abs():amax():item() < 1e-6)
  a.x = neap.ones(3, 2)
  a = s:step(E, a, 0)
  lu.assertEquals(a.energy:totable(), {4, 4, 4})
end

function T.test_inits ()
  local E, s = gaussian(), neap.sampler.langevin{step_size = 1e-12, noise_std = 0}
  local function first (init, chains) return s:sample(E, {init = init, chains = chains, steps = 1, seed = 1}) end
  local u = first({"uniform", 3, 5}, 500)
  lu.assertTrue(u:amin():item() >= 3 and u:amax():item() <= 5)
  lu.assertTrue(math.abs(u:mean():item() - 4) < .1)
  lu.assertTrue(first("uniform", 200):amin():item() >= 0)
  lu.assertEquals(first({{1, 2}, {3, 4}}):totable(), {{{1, 2}, {3, 4}}})
  lu.assertEquals(first(neap.tensor{{7, 8}}):totable(), {{{7, 8}}})
  lu.assertEquals(first(function (rng) return rng:uniform(3, 2) + 10 end).shape, {1, 3, 2})
  lu.assertEquals(first(nil, 7).shape, {1, 7, 2})
  lu.assertEquals(first(nil, nil).shape, {1, 4, 2})
  lu.assertEquals(s:sample(E, {steps = 1, dtype = "float64"}).dtype, "float64")
end

function T.test_fixed_coordinates_never_move ()
  local E = gaussian():fix(neap.tensor{true, false}, neap.tensor{2.5, 0})
  for name, make in pairs(all) do
    local draws = make():sample(E, {chains = 20, steps = 30, seed = 2})
    lu.assertEquals(draws:select(3, 1):amin():item(), 2.5, name)
    lu.assertEquals(draws:select(3, 1):amax():item(), 2.5, name)
    lu.assertTrue(draws:select(3, 2):std():item() > .3, name)
  end
end

function T.test_no_chains_at_all ()
  local e, s, cases = neap.energy, neap.sampler, {}
  for _, make in pairs(all) do cases[#cases + 1] = {make(), gaussian(), {2}, "float32"} end
  local letters = e(function (z) return z:select(3, 1):sum(2) end, {event = {6}, states = 3})
  local kernels = {s.gibbs{}, s.gibbs_with_gradients{}, s.dmala{step_size = .5}}
  for _, kernel in ipairs(kernels) do
    table.insert(cases, {kernel, e.ising{shape = {2, 3}, beta = .3}, {2, 3}, "float32"})
    table.insert(cases, {kernel, e.rbm{visible = 6, hidden = 2}, {6}, "float32"})
    table.insert(cases, {kernel, e.potts{shape = {2, 3}, states = 3, beta = .3}, {2, 3}, "int64"})
    table.insert(cases, {kernel, letters, {6}, "int64"})
    local parts = s.blocks{{{1, 3}, kernel}, {{2, 4, 5, 6}, kernel}}
    table.insert(cases, {parts, e.rbm{visible = 6, hidden = 2}, {6}, "float32"})
  end
  for _, case in ipairs(cases) do
    local kernel, E, event, dtype = table.unpack(case)
    local sizes = {0, table.unpack(event)}
    local state = kernel:init(E, neap.zeros(sizes, {dtype = dtype}))
    for _, n in ipairs{1, 6} do state = kernel:step(E, state, n) end
    lu.assertEquals(state.x.shape, sizes)
    lu.assertEquals(state.x.dtype, dtype)
  end
end

function T.test_langevin_is_gradient_descent_without_noise ()
  local s = neap.sampler.langevin{step_size = .25, noise_std = 0}
  local st = s:step(gaussian(), s:init(gaussian(), neap.tensor{{8, -16}}), 2)
  lu.assertEquals(st.x:totable(), {{4.5, -9}})
end

function T.test_slice_is_as_written ()
  local E = neap.energy.gmm{means = {{-1, -1}, {1, 1}}, std = .7, weights = {.25, .75}}
  for _, width in ipairs{.05, 1, 40} do
    local s = neap.sampler.slice{width = width}
    local st = s:init(E, neap.rng(1):normal({300, 2}, {dtype = "float64"}), neap.rng(2))
    for _ = 1, 5 do
      local rng = neap.rng(0)
      rng:set_state(st.rng:state())
      local x, found = by_hand(E, st, rng, width)
      local before = st.accepted
      st = s:step(E, st)
      lu.assertTrue((st.x - x):abs():amax():item() < 1e-12)
      lu.assertTrue(same((st.accepted - before):gt(.5), found))
    end
  end
end

function T.test_slice_with_nothing_free_stays ()
  local s, E = neap.sampler.slice{width = 1}, gaussian():fix(neap.tensor{true, true}, neap.tensor{1, 2})
  lu.assertEquals(s:step(E, s:init(E, neap.zeros(2, 2)), 3).x:totable(), {{1, 2}, {1, 2}})
end

-- with hardly any friction it is leapfrog, and the momentum goes on from call to call
function T.test_underdamped_is_leapfrog_without_friction ()
  local s, E = neap.sampler.underdamped{step_size = .5, friction = 1e-300}, gaussian()
  local st = s:init(E, neap.tensor({{1, -2}}, {dtype = "float64"}), neap.rng(1))
  local x, p = st.x, st.momentum
  for _ = 1, 3 do
    st = s:step(E, st)
    p = p - .25 * x
    x = x + .5 * p
    p = p - .25 * x
    lu.assertTrue((st.x - x):abs():amax():item() < 1e-14)
    lu.assertTrue((st.momentum - p):abs():amax():item() < 1e-14)
  end
end

function T.test_momentum_stays_where_coordinates_are_free ()
  local s, E = neap.sampler.underdamped{step_size = .3}, gaussian()
  local st = s:init(E, neap.ones(5, 2), neap.rng(1))
  st = s:step(E:fix(neap.tensor{true, false}, neap.tensor{1, 0}), st, 4)
  lu.assertEquals(st.x:select(2, 1):totable(), {1, 1, 1, 1, 1})
  lu.assertTrue(st.x:select(2, 2):sub(1):abs():amin():item() > 0)
  st.x = neap.zeros(3, 2)
  lu.assertStrContains(message(s.step, s, E, st), "state.momentum: x's shape [3, 2] expected, got [5, 2]")
end

function T.test_langevin_clips_and_clamps ()
  local E = gaussian()
  local clip = neap.sampler.langevin{step_size = 1, noise_std = 0, clip = .5}
  lu.assertEquals(clip:step(E, clip:init(E, neap.tensor{{8, -.25}})).x:totable(), {{7.5, 0}})
  local clamp = neap.sampler.langevin{step_size = .5, noise_std = 0, clamp = {-1, 3}}
  lu.assertEquals(clamp:step(E, clamp:init(E, neap.tensor{{8, -4}})).x:totable(), {{3, -1}})
end

function T.test_a_bad_proposal_is_rejected_and_counted ()
  local wall = neap.energy(function (x) return neap.where(x:gt(1), 0 / 0, x:square()):sum(2) end, {event = {1}})
  for name, make in pairs(all) do
    if name ~= "langevin" and name ~= "underdamped" then
      local draws = make():sample(wall, {chains = 50, steps = 40, init = neap.zeros(50, 1), seed = 1})
      lu.assertTrue(draws:amax():item() <= 1, name)
    end
  end
  local s = neap.sampler.hmc{step_size = 40, leapfrog_steps = 3}
  local draws, info = s:sample(gaussian(), {chains = 10, steps = 20, seed = 1})
  lu.assertEquals(info.divergences, 200)
  lu.assertEquals(info.accept_rate, 0)
  lu.assertStrContains(info.verdict, "200 divergences")
end

function T.test_a_condition_reaches_the_energy ()
  local E = neap.energy(function (x, c) return 50 * (x - c):square():sum(2) end, {event = {1}})
  local c = neap.tensor{{-3}, {0}, {5}}
  local s = neap.sampler.mala{step_size = .01}
  local draws = s:sample(E, {condition = c, chains = 3, steps = 200, warmup = 100, seed = 1})
  lu.assertTrue((draws:mean(1) - c):abs():amax():item() < .1)
end

function T.test_custom_kernel ()
  local calls = 0
  local s = neap.sampler.custom{
    init = function (E, x, rng) calls = calls + 1 return {x = x, t = 0} end,
    step = function (E, state, rng) return {x = state.x + 1, t = state.t + 2} end}
  local draws = s:sample(gaussian(), {init = neap.zeros(2, 2), steps = 3})
  lu.assertEquals(draws:totable(), {{{1, 1}, {1, 1}}, {{2, 2}, {2, 2}}, {{3, 3}, {3, 3}}})
  local st = s:step(gaussian(), s:init(gaussian(), neap.zeros(1, 2)), 4)
  lu.assertEquals(st.t:item(), 8)
  lu.assertEquals(calls, 2)
  local function refused (entries, text)
    local s = neap.sampler.custom{init = function () return entries end, step = function () end}
    lu.assertStrContains(message(s.init, s, gaussian(), neap.ones(1, 2)), text)
  end
  refused({m = {neap.ones(1)}}, "custom: init: m: a tensor or number expected, got table")
  refused({neap.ones(1)}, "custom: init: tensors by name expected, got the key 1")
  local held = neap.sampler.custom{step = function (E, state) return {n = neap.ones(state.x.shape[1])} end}
  lu.assertEquals(held:sample(gaussian(), {init = neap.ones(1, 2), steps = 2}):totable(), {{{1, 1}}, {{1, 1}}})
  local failing = neap.sampler.custom{step = function () error "broken kernel" end}
  lu.assertStrContains(message(failing.sample, failing, gaussian(), {steps = 2}), "broken kernel")
  local growing = neap.sampler.custom{step = function (E, st) return {x = neap.cat({st.x, st.x}, 1)} end}
  lu.assertStrContains(message(growing.sample, growing, gaussian(), {steps = 2}), "state.x from [4, 2] to [8, 2]")
  local wrong = neap.sampler.custom{step = function () return 3 end}
  lu.assertStrContains(message(wrong.sample, wrong, gaussian(), {steps = 2}), "table of tensors expected, got number")
end

function T.test_results_are_untaped ()
  local E = neap.energy.mlp{sizes = {2, 8}}
  local draws = neap.sampler.langevin{step_size = .1}:sample(E, {steps = 3})
  lu.assertEquals(draws.shape, {3, 4, 2})
  lu.assertFalse(pcall(function () draws:sum():backward() end))
end

function T.test_progress_is_told ()
  local seen = {}
  local function note (done, total) seen[#seen + 1] = {done, total} end
  all.mala():sample(gaussian(), {steps = 30, warmup = 10, progress = note})
  lu.assertTrue(#seen >= 1)
  lu.assertEquals(seen[#seen], {40, 40})
  local s = all.mala()
  lu.assertStrContains(message(s.sample, s, gaussian(), {steps = 5, progress = function () error "enough" end}),
                       "enough")
end

function T.test_state_of_a_sampler ()
  local s = neap.sampler.mala{step_size = .1}
  lu.assertEquals(s:state(), {step_size = .1})
  s:set_state{step_size = .25}
  lu.assertEquals(s:state().step_size, .25)
  lu.assertEquals(neap.sampler.gibbs{}:state(), {})
end

function T.test_errors_name_what_is_wrong ()
  local E, mala = gaussian(), neap.sampler.mala
  lu.assertStrContains(message(neap.sampler.langevin, {}), "step_size")
  lu.assertStrContains(message(mala, {step_size = -1}), "step_size: a positive number expected, got -1")
  lu.assertStrContains(message(mala, {stepsize = 1}), "did you mean 'step_size'")
  lu.assertStrContains(message(mala, {step_size = "a"}), "number expected, got string")
  lu.assertStrContains(message(neap.sampler.hmc, {step_size = .1, leapfrog_steps = 0}), "leapfrog_steps")
  lu.assertStrContains(message(neap.sampler.langevin, {step_size = .1, clamp = {2, 1}}), "{lower, upper}")
  lu.assertStrContains(message(neap.sampler.random_walk), "scale")
  lu.assertStrContains(message(neap.sampler.slice, {width = 0}), "slice: width: a positive number expected, got 0")
  lu.assertStrContains(message(neap.sampler.underdamped, {step_size = .1, friction = 0}),
                       "underdamped: friction: a positive number expected, got 0")
  lu.assertStrContains(message(neap.sampler.custom, {}), "step")
  local s = mala{step_size = .1}
  local function run (o, e) return message(s.sample, s, e or E, o) end
  lu.assertStrContains(run{chain = 3}, "did you mean 'chains'")
  lu.assertStrContains(run{steps = 0}, "steps")
  lu.assertStrContains(run{steps = 3, thin = 5}, "thin: at most steps = 3 expected, got 5")
  lu.assertStrContains(run{warmup = -1}, "warmup")
  lu.assertStrContains(run{init = "norml"}, "norml")
  lu.assertStrContains(run{init = {"uniform", 2, 1}}, "{\"uniform\", lower, upper}")
  lu.assertStrContains(run{init = neap.zeros(3, 2), chains = 4}, "chains = 4, but init is [3, 2]")
  lu.assertStrContains(run{init = function () return 1 end}, "must return a tensor")
  lu.assertStrContains(run({steps = 2}, neap.energy(function (x) return x:sum(2) end)), "shape of one x is not known")
  lu.assertStrContains(message(s.sample, s, 3), "energy expected")
  local potts = neap.energy.potts{shape = {2, 2}, states = 3, beta = .5}
  lu.assertStrContains(run({steps = 2}, potts),
                       "mala: init: first positions of dtype int64 cannot be drawn from a normal law; give init, or")
  lu.assertStrContains(run{steps = 2, init = "uniform", dtype = "int64"}, "int64 cannot be drawn from a uniform law")
  local gibbs = neap.sampler.gibbs{}
  lu.assertStrContains(message(gibbs.sample, gibbs, E, {steps = 1}),
                       "a function with states) expected, got gaussian")
  lu.assertEquals(s:sample(E, {steps = 2}).shape, {2, 4, 2})     -- all works on
end

function T.test_temporaries_of_a_long_run_do_not_pile_up ()
  local s, E = all.hmc(), gaussian()
  collectgarbage()
  local before = neap.memory().live
  local draws = s:sample(E, {chains = 1000, steps = 200, thin = 200, seed = 1})
  lu.assertTrue(neap.memory().live - before < 1e6)
  lu.assertEquals(draws.shape, {1, 1000, 2})
end

-- Garbage of Lua's that fills the cap is collected, and the call is made again with the same random numbers.
function T.test_short_of_memory_for_garbage ()
  local E, s = gaussian(), all.mala()
  local options = {chains = 2000, steps = 5, seed = 3}
  local expected = s:sample(E, options)
  local loss = neap.loss.cd{sampler = s, steps = 3}
  local x = neap.zeros(20000, 2)
  local value = loss(E, x, neap.rng(1)):item()
  collectgarbage()
  collectgarbage "stop"
  local cap = neap.memory().live + 5000000          -- what the loss needs where nothing waits for reuse, and some
  neap.memory_cap(cap)
  local function fill () while neap.memory().live < cap - 50000 do neap.zeros(4000) end end
  fill()
  local ok, draws = pcall(s.sample, s, E, options)
  fill()
  local ok2, again = pcall(loss, E, x, neap.rng(1))
  local short, why = pcall(s.sample, s, E, {chains = 1000000, steps = 5})
  neap.memory_cap(0)
  collectgarbage "restart"
  lu.assertTrue(ok and same(draws, expected), tostring(draws))
  lu.assertTrue(ok2 and again:item() == value, tostring(again))
  lu.assertFalse(short)
  lu.assertStrContains(tostring(why), "memory")
end

return T
