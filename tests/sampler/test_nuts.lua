-- test_nuts.lua -- the no-U-turn sampler: its tree, its law, its counts.

local lu = require "luaunit"
local by_hand = require "sampler.nuts_by_hand"
local law = require "sampler.law"
local T = {}

local f64 = {dtype = "float64"}
local message = require("errors").message
local function same (a, b) return a:eq(b):all():item() end
local function f64_tensor (v) return neap.tensor(v, f64) end

local mean, cov = {1, -.5}, {{1, .6}, {.6, .8}}
local function gaussian () return neap.energy.gaussian{mean = f64_tensor(mean), cov = f64_tensor(cov)} end
-- a funnel in its own coordinates
local function funnel () return neap.energy.funnel{dim = 3} end

local function assert_moments (draws, m, c)
  local z, name = law.worst(law.moments(draws, m, c))
  lu.assertTrue(z < 4, ("%s: z = %.2f"):format(name, z))
end

-- ---- the tree ----

-- Every step of 1 chain, from short trees to deep and diverging ones, with and without a metric.
function T.test_trees_are_as_written ()
  local depths, divergences = {}, 0
  for _, case in ipairs{
    {E = gaussian(), step = .3}, {E = gaussian(), step = .9, variances = {.5, 3}}, {E = gaussian(), step = .02},
    {E = funnel(), step = .6, x = {0, .5, -.5}}, {E = funnel(), step = .2, x = {-2, .5, 1}, variances = {9, .25, 4}},
    {E = neap.energy.double_well{barrier = 3}, step = 5, x = {.2}},
    {E = neap.energy.double_well{barrier = 3}, step = .4, x = {.2}}, {E = gaussian(), step = .05, depth = 4},
  } do
    local x = case.x or {0, 0}
    local s = neap.sampler.nuts{step_size = case.step, max_depth = case.depth}
    local st = s:init(case.E, f64_tensor{x}, neap.rng(11))
    local ones = {}
    for i = 1, #x do ones[i] = 1 end
    if case.variances then st.scale = f64_tensor(case.variances):sqrt() end
    for i = 1, 40 do
      local rng, depth, evals = neap.rng(0), st.depth, st.grad_evals
      rng:set_state(st.rng:state())
      local want = by_hand(case.E, st.x:totable()[1], rng, case.step, case.variances or ones, case.depth or 10)
      local accepted, diverged = st.accepted:item(), st.divergences and st.divergences:item() or 0
      s:step(case.E, st)
      local off = (st.x - f64_tensor{want.x}):abs():amax():item()
      lu.assertTrue(off < 1e-9, ("step %d of %g: x is off by %g"):format(i, case.step, off))
      lu.assertAlmostEquals(st.energy:item(), want.energy, 1e-8 * (1 + math.abs(want.energy)))
      lu.assertEquals(st.depth:item() - (depth and depth:item() or 0), want.depth)
      lu.assertEquals(st.grad_evals:item() - (evals and evals:item() or 0), want.leaves)
      lu.assertAlmostEquals(st.accepted:item() - accepted, want.accept, 1e-8)
      lu.assertEquals(st.divergences:item() - diverged, want.diverged and 1 or 0)
      depths[want.depth] = true
      divergences = divergences + (want.diverged and 1 or 0)
    end
  end
  for depth = 0, 7 do lu.assertTrue(depths[depth], "no tree of depth " .. depth) end
  lu.assertTrue(divergences > 3, divergences .. " divergences")
end

function T.test_a_dense_scale_turns_coordinates ()
  local E, s = gaussian(), neap.sampler.nuts{step_size = .4}
  local L = f64_tensor(cov):cholesky()
  -- in the coordinates of L the law is N(0, I), where a step of nuts is the same
  local plain = neap.energy(function (z) return E(z:matmul(L:t()) + f64_tensor(mean)) end, {event = {2}})
  local z0 = neap.randn(5, 2, f64)
  local a = s:init(plain, z0, neap.rng(3))
  local b = s:init(E, z0:matmul(L:t()) + f64_tensor(mean), neap.rng(3))
  b.scale = L
  for _ = 1, 20 do
    s:step(plain, a)
    s:step(E, b)
    lu.assertTrue((a.x:matmul(L:t()) + f64_tensor(mean) - b.x):abs():amax():item() < 1e-9)
  end
  b.scale = f64_tensor{1, 2, 3}
  lu.assertStrContains(message(s.step, s, E, b),
                       "nuts: state.scale: the shape of one x or [2, 2] expected, got [3]")
end

function T.test_counts ()
  local E, s = gaussian(), neap.sampler.nuts{step_size = 1e-4, max_depth = 3}
  local draws, info = s:sample(E, {chains = 5, steps = 60, thin = 3, warmup = 7, seed = 1, dtype = "float64"})
  lu.assertEquals(draws.shape, {20, 5, 2})
  lu.assertEquals(info.grad_evals, 5 * (1 + 7 * 67))
  lu.assertEquals(info.tree_depth, 3)
  lu.assertEquals(info.saturated, 5 * 60)
  lu.assertAlmostEquals(info.accept_rate, 1, 1e-3)
  lu.assertEquals(info.step_size, 1e-4)
  lu.assertNil(info.scale)
  lu.assertTrue((info.energy - E(draws:reshape(100, 2)):reshape(20, 5)):abs():amax():item() < 1e-12)
  lu.assertStrContains(tostring(info), "nuts: 20 draws of 5 chains")
end

-- ---- its law ----

function T.test_gaussian ()
  local draws, info = neap.sampler.nuts{step_size = .8}:sample(gaussian(),
    {chains = 128, steps = 200, warmup = 30, seed = 1, dtype = "float64"})
  assert_moments(draws, mean, cov)
  lu.assertTrue(info.saturated == 0 and info.divergences == 0)
end

function T.test_double_well_by_quadrature ()
  local E = neap.energy.double_well{barrier = 1}
  local draws = neap.sampler.nuts{step_size = .3}:sample(E, {chains = 128, steps = 200, warmup = 50, seed = 2,
    init = function (rng) return rng:normal({128, 1}, f64) end})
  for power = 1, 4 do
    local truth = law.expectation(function (x) return (x * x - 1) ^ 2 end, function (x) return x ^ power end, 5)
    local z = law.z(draws:select(3, 1), function (x) return x ^ power end, truth)
    lu.assertTrue(math.abs(z) < 4, ("E[x^%d]: z = %.2f"):format(power, z))
  end
end

-- The funnel from its own law is kept by a short step, though some trees diverge; x₁ = 3 z₁, xᵢ = e^(x₁/2) zᵢ makes it
-- a normal law, where none does.
function T.test_funnel ()
  local E, chains = funnel(), 1000
  local draws = neap.sampler.nuts{step_size = .1, max_depth = 6}:sample(E, {
    chains = chains, steps = 10, thin = 10, seed = 3,
    init = function (rng) return E:sample(chains, rng):double() end})
  local v = draws:select(3, 1)
  for below, p in pairs{[-5] = .047790, [0] = .5} do
    local z = (v:lt(below):to "float64":mean():item() - p) / math.sqrt(p * (1 - p) / chains)
    lu.assertTrue(math.abs(z) < 4, ("P(v < %g): z = %.2f"):format(below, z))
  end
  local apart = neap.energy(function (z)
    local x1 = 3 * z:slice(2, 1, 1)
    return E(neap.cat({x1, z:slice(2, 2, 3) * (x1 / 2):exp()}, 2)) - x1:select(2, 1)
  end, {event = {3}})
  local z, info = neap.sampler.nuts{}:sample(apart,
    {chains = 64, steps = 300, warmup = 200, seed = 4, dtype = "float64"})
  local score = law.z(3 * z:select(3, 1), function (x) return x:lt(-5):to "float64" end, .047790)
  lu.assertTrue(math.abs(score) < 4, ("P(v < -5): z = %.2f"):format(score))
  lu.assertEquals(info.divergences, 0)
end

function T.test_divergences_are_told ()
  local _, info = neap.sampler.nuts{}:sample(neap.energy.funnel{dim = 9},
    {chains = 4, steps = 500, warmup = 500, seed = 1, dtype = "float64"})
  lu.assertTrue(info.divergences > 0)
  lu.assertStrContains(info.verdict, "divergences")
  lu.assertStrContains(info.verdict, "target_accept")
end

-- Energies that are not finite end a tree, wherever they are.
function T.test_walls ()
  local function half (x) return x:square():sum(2) / 2 + neap.where(x:select(2, 1):lt(0), math.huge, 0) end
  local E = neap.energy(half, {event = {1}})
  local draws, info = neap.sampler.nuts{step_size = .4}:sample(E, {chains = 64, steps = 300, warmup = 50, seed = 5,
    init = neap.full({64, 1}, -.3, f64)})
  lu.assertTrue(draws:amin():item() >= 0)
  lu.assertTrue(info.divergences > 100)
  local z = law.z(draws:select(3, 1), function (x) return x end, math.sqrt(2 / math.pi))
  lu.assertTrue(math.abs(z) < 4, ("mean: z = %.2f"):format(z))
  local never = neap.energy(function (x) return x:sum(2) * (0 / 0) end, {event = {2}})
  local stuck = neap.sampler.nuts{step_size = .4}:sample(never, {init = neap.ones(3, 2, f64), steps = 5})
  lu.assertEquals(stuck:amin():item(), 1)
  lu.assertEquals(stuck:amax():item(), 1)
end

-- ---- the same draws, however they are made ----

function T.test_by_hand_is_the_run ()
  local E, s, x = gaussian(), neap.sampler.nuts{step_size = .3}, neap.randn(5, 2)
  local draws = s:sample(E, {init = x, steps = 75, seed = 5})
  local one = s:init(E, x, neap.rng(5))
  for _ = 1, 75 do s:step(E, one) end
  lu.assertTrue(same(one.x, draws[75]))
  local two = s:init(E, x, neap.rng(5))
  s:step(E, s:step(E, two, 33), 42)
  lu.assertTrue(same(two.x, draws[75]))
  lu.assertEquals(two.depth:totable(), one.depth:totable())
end

-- What a script took out of the state stays what it was, while the state's own tensors are written where they lie.
function T.test_tensors_of_the_state_that_others_see ()
  local E, s = gaussian(), neap.sampler.nuts{step_size = .3}
  local x = neap.randn(5, 2, f64)
  local st, first = s:init(E, x, neap.rng(5)), x:clone()
  local kept, copies = {}, {}
  for i = 1, 4 do
    s:step(E, st)
    for _, name in ipairs{"x", "grad", "energy", "accepted", "depth", "grad_evals"} do
      if i % 2 == 1 then
        kept[#kept + 1] = st[name]
        copies[#copies + 1] = st[name]:clone()
      end
    end
  end
  lu.assertEquals(#kept, 12)
  for i, t in ipairs(kept) do lu.assertTrue(same(t, copies[i])) end
  lu.assertTrue(same(x, first) and not same(st.x, kept[7]))
  lu.assertTrue((E:grad(st.x) - st.grad):abs():amax():item() < 1e-12)
end

-- A chain's draws do not depend on how many others there are on its rows of the program.
function T.test_progress_changes_nothing ()
  local E = neap.energy(function (x) return x:square():sum(2) / 2 + x:cos():sum(2) end, {event = {2}})
  local s, told = neap.sampler.nuts{}, {}
  local a = s:sample(E, {steps = 70, warmup = 40, seed = 3})
  local b = s:sample(E, {steps = 70, warmup = 40, seed = 3, progress = function (done, total) told = {done, total} end})
  lu.assertEquals(told, {110, 110})
  lu.assertTrue(same(a, b))
end

function T.test_threads_do_not_matter ()
  local before = neap.threads()
  local E = neap.energy.mlp{sizes = {2, 16}, rng = neap.rng(1)} + neap.energy.gaussian{mean = {0, 0}, std = 1}
  local function run (n)
    neap.threads(n)
    local draws, info = neap.sampler.nuts{metric = "dense"}:sample(E, {chains = 150, steps = 8, warmup = 25, seed = 1})
    return draws, info.step_size, info.scale
  end
  local a, step_a, scale_a = run(1)
  local b, step_b, scale_b = run(2)
  neap.threads(before)
  lu.assertTrue(same(a, b) and step_a == step_b and same(scale_a, scale_b))
end

function T.test_what_is_held_stays ()
  local E = gaussian():fix(neap.tensor{true, false}, f64_tensor{2.5, 0})
  for _, metric in ipairs{"unit", "diag", "dense"} do
    local s = neap.sampler.nuts{metric = metric}
    local draws = s:sample(E, {chains = 30, steps = 100, warmup = 100, seed = 2, dtype = "float64"})
    lu.assertEquals(draws:select(3, 1):amin():item(), 2.5)
    lu.assertEquals(draws:select(3, 1):amax():item(), 2.5)
    -- x₂ given x₁ = 2.5
    local z = law.z(draws:select(3, 2), function (x) return x end, -.5 + .6 * 1.5)
    lu.assertTrue(math.abs(z) < 4, ("%s: z = %.2f"):format(metric, z))
  end
end

function T.test_conditions_and_verify ()
  local E = neap.energy(function (x, c) return (x - c):square():sum(2) / 2 end, {event = {1}})
  local c = f64_tensor{{-5}, {0}, {5}}
  local draws = neap.sampler.nuts{step_size = .5}:sample(E,
    {chains = 3, steps = 400, seed = 1, condition = c, dtype = "float64"})
  lu.assertTrue((draws:mean(1) - c):abs():amax():item() < .4)
  local report = neap.verify(neap.sampler.nuts{step_size = .5}, gaussian(), {chains = 1000, steps = 5})
  lu.assertTrue(report.ok, tostring(report))
end

function T.test_errors ()
  local nuts = neap.sampler.nuts
  lu.assertStrContains(message(nuts, {max_depth = 0}), "nuts: max_depth: an integer from 1 to 20 expected, got 0")
  lu.assertStrContains(message(nuts, {step_size = -1}), "nuts: step_size: a positive number expected, got -1")
  lu.assertStrContains(message(nuts, {target_accept = 1}), "'target_accept': a number between 0 and 1 expected, got 1")
  lu.assertStrContains(message(nuts, {metric = "full"}), "\"unit\", \"diag\" or \"dense\" expected, got \"full\"")
  lu.assertStrContains(message(nuts, {metric = 3}), "expected, got number")
  lu.assertStrContains(message(nuts, {depth = 3}), "max_depth")
  local s = nuts{step_size = .1}
  lu.assertStrContains(message(s.sample, s, gaussian(), {init = neap.ones(3, 2):to "int64"}), "float64 expected")
  local E = neap.energy(function () error "no energy today" end, {event = {2}})
  lu.assertStrContains(message(s.sample, s, E, {steps = 3}), "no energy today")
end

return T
