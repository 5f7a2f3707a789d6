-- test_warmup.lua -- what warm-up learns: a step size that is accepted as often as asked for, and the scales of a law.

local lu = require "luaunit"
local law = require "sampler.law"
local T = {}

local f64 = {dtype = "float64"}
local message = require("errors").message
local function same (a, b) return a:eq(b):all():item() end

local stds = {.1, 1, 10, 3}
local function scales () return neap.energy.gaussian{mean = neap.zeros(4, f64), std = neap.tensor(stds, f64)} end

-- condition number 100: variances 10, 1, 1, .1 along turned axes
local function turned ()
  local q = neap.rng(3):normal({4, 4}, f64)
  local axes = select(2, (q + q:t()):eigh())
  local cov = axes:matmul(neap.tensor({10, 1, 1, .1}, f64):diag()):matmul(axes:t())
  return neap.energy.gaussian{mean = neap.tensor({1, 2, 3, 4}, f64), cov = cov}, cov
end

local makers = {
  mala = function (o) return neap.sampler.mala(o) end,
  hmc = function (o) o.leapfrog_steps = 5; return neap.sampler.hmc(o) end,
  nuts = function (o) return neap.sampler.nuts(o) end,
}
local defaults = {mala = .574, hmc = .8, nuts = .8}

-- of frequencies so different that acceptance falls with the step
local function spread ()
  return neap.energy.gaussian{mean = neap.zeros(30, f64), std = neap.linspace(.5, 2, 30, f64)}
end

function T.test_the_acceptance_asked_for ()
  for name, make in pairs(makers) do
    for _, target in ipairs{false, .65, .9} do
      local s = make{target_accept = target or nil, metric = "unit"}
      local _, info = s:sample(spread(), {chains = 16, steps = 400, warmup = 600, seed = 1, dtype = "float64"})
      lu.assertTrue(math.abs(info.accept_rate - (target or defaults[name])) < .04,
                    ("%s, target %s: accept rate %.3f"):format(name, target, info.accept_rate))
      lu.assertEquals(info.divergences, 0)
    end
  end
end

function T.test_the_scales_of_a_law ()
  for name, make in pairs(makers) do
    local _, info = make{}:sample(scales(), {chains = 64, steps = 10, warmup = 500, seed = 2, dtype = "float64"})
    lu.assertEquals(info.scale.shape, {4})
    local ratio = (info.scale / neap.tensor(stds, f64)):log():abs():amax():item()
    lu.assertTrue(ratio < .1, ("%s: a scale is off by a factor of %.2f"):format(name, math.exp(ratio)))
  end
end

function T.test_a_dense_metric ()
  local E, cov = turned()
  for name, make in pairs(makers) do
    local draws, info = make{metric = "dense"}:sample(E,
      {chains = 64, steps = 300, warmup = 500, seed = 3, dtype = "float64"})
    lu.assertEquals(info.scale.shape, {4, 4})
    local off = (info.scale:matmul(info.scale:t()) - cov):abs():amax():item()
    lu.assertTrue(off < 1, ("%s: a covariance is off by %.2f"):format(name, off))
    for i = 1, 4 do
      local x = draws:select(3, i) - i
      for k, truth in ipairs{0, cov[{i, i}]:item()} do
        local z = law.z(x ^ k, function (v) return v end, truth)
        lu.assertTrue(math.abs(z) < 4, ("%s: E[x%d^%d]: z = %.2f"):format(name, i, k, z))
      end
    end
  end
end

-- A metric that fits makes trees short: in whitened coordinates the law is N(0, I).
function T.test_trees_are_shorter_with_a_metric ()
  local E = turned()
  local depth = {}
  for _, metric in ipairs{"unit", "diag", "dense"} do
    local _, info = neap.sampler.nuts{metric = metric}:sample(E,
      {chains = 8, steps = 200, warmup = 500, seed = 4, dtype = "float64"})
    depth[metric] = info.tree_depth
  end
  lu.assertTrue(depth.dense < 2.7 and depth.unit > depth.dense + 1,
                ("depths: unit %.2f, diag %.2f, dense %.2f"):format(depth.unit, depth.diag, depth.dense))
end

function T.test_a_step_size_alone_is_kept ()
  for name, make in pairs(makers) do
    local E, o = scales(), {chains = 3, steps = 4, warmup = 60, seed = 1, dtype = "float64"}
    local _, info = make{step_size = .01}:sample(E, o)
    lu.assertEquals(info.step_size, .01)
    lu.assertNil(info.scale)
    local s = make{step_size = .01, metric = "unit"}
    local _, adapted = s:sample(E, o)
    lu.assertNotEquals(adapted.step_size, .01, name)
    lu.assertEquals(s:state().step_size, .01)
    lu.assertNil(adapted.scale)
    lu.assertNotNil(select(2, make{step_size = .01, target_accept = .7}:sample(E, o)).scale)
  end
end

function T.test_without_warmup_a_first_step_is_found ()
  for name, make in pairs(makers) do
    for _, std in ipairs{.01, 100} do
      local E = neap.energy.gaussian{mean = {0, 0}, std = std}
      local _, info = make{}:sample(E, {chains = 10, steps = 5, seed = 1, init = std * neap.randn(10, 2, f64)})
      local h = name == "mala" and math.sqrt(2 * info.step_size) or info.step_size
      lu.assertTrue(h / std > .2 and h / std < 4, ("%s, std %g: step %g"):format(name, std, h))
      lu.assertTrue(info.grad_evals > 0)
    end
  end
end

function T.test_by_hand_is_the_run ()
  local E = scales()
  for name, make in pairs(makers) do
    local s, x = make{}, neap.randn(4, 4, f64)
    local draws, info = s:sample(E, {init = x, steps = 20, warmup = 130, seed = 5})
    local st = s:init(E, x, neap.rng(5))
    lu.assertTrue(st.step_size:item() > 0)
    s:warmup(E, st, 130)
    lu.assertNil(st.accept_prob)
    lu.assertEquals(st.step_size:item(), info.step_size, name)
    lu.assertTrue(same(st.scale, info.scale), name)
    s:step(E, st, 20)
    lu.assertTrue(same(st.x, draws[20]), name)
    -- the state is all there is: another sampler object goes on from it
    local copy = {}
    for k, v in pairs(st) do copy[k] = v end
    copy.rng = neap.rng(0)
    copy.rng:set_state(st.rng:state())
    lu.assertTrue(same(make{}:step(E, copy, 7).x, s:step(E, st, 7).x), name)
  end
end

function T.test_seeds_and_threads ()
  local before = neap.threads()
  local E = neap.energy.mlp{sizes = {3, 16}, rng = neap.rng(1)} + neap.energy.gaussian{mean = {0, 0, 0}, std = 1}
  for name, make in pairs(makers) do
    local function run (threads, seed)
      neap.threads(threads)
      return (make{}:sample(E, {chains = 140, steps = 5, warmup = 30, seed = seed}))
    end
    local a, b, c = run(1, 1), run(2, 1), run(2, 2)
    neap.threads(before)
    lu.assertTrue(same(a, b), name)
    lu.assertFalse(same(a, c), name)
  end
end

-- As many chains as coordinates: a scale is not taken for something with a row per chain.
function T.test_a_scale_has_no_rows ()
  local E = scales()
  for name, make in pairs(makers) do
    for _, metric in ipairs{"diag", "dense"} do
      local draws, info = make{metric = metric}:sample(E,
        {chains = 4, steps = 300, warmup = 300, seed = 7, dtype = "float64"})
      lu.assertTrue((draws:std({1, 2}) / neap.tensor(stds, f64)):log():abs():amax():item() < .7, name)
      lu.assertTrue(info.accept_rate > .4, name)
    end
  end
end

-- x of more dimensions, one coordinate, and a warm-up too short for windows
function T.test_shapes ()
  for name, make in pairs(makers) do
    local E = neap.energy(function (x) return x:square():sum({2, 3}) / 2 end, {event = {2, 3}})
    local _, info = make{}:sample(E, {chains = 3, steps = 4, warmup = 40, seed = 1})
    lu.assertEquals(info.scale.shape, {2, 3})
    _, info = make{metric = "dense"}:sample(E, {chains = 3, steps = 4, warmup = 40, seed = 1})
    lu.assertEquals(info.scale.shape, {6, 6})
    local line = neap.energy.gaussian{mean = {3}, std = 2}
    _, info = make{metric = "dense"}:sample(line, {chains = 50, steps = 4, warmup = 150, seed = 1})
    lu.assertAlmostEquals(info.scale:abs():amax():item(), 2, .3, name)
    _, info = make{}:sample(line, {chains = 3, steps = 4, warmup = 19, seed = 1})
    lu.assertEquals(info.scale:totable(), {1})
  end
end

function T.test_other_samplers_only_step ()
  local E, s = scales(), neap.sampler.langevin{step_size = .01}
  local a = s:warmup(E, s:init(E, neap.zeros(2, 4, f64), neap.rng(1)), 6)
  local b = s:step(E, s:init(E, neap.zeros(2, 4, f64), neap.rng(1)), 6)
  lu.assertTrue(same(a.x, b.x))
  lu.assertStrContains(message(s.warmup, s, E, a), "number expected")
  lu.assertStrContains(message(s.warmup, s, E, a, -1), "steps from 0 up expected, got -1")
  local mala = neap.sampler.mala{}
  local wrong = {x = neap.zeros(2, 4, f64), step_size = neap.ones(3), rng = neap.rng(1)}
  lu.assertStrContains(message(mala.step, mala, E, wrong), "state.step_size: one number expected, got shape [3]")
end

-- An energy whose function is looked at at each step: progress may change it.
function T.test_a_callback_may_change_the_energy ()
  local k = 1
  local E = neap.energy(function (x) return k * x:square():sum(2) / 2 end, {event = {1}})
  for name, make in pairs(makers) do
    k = 1
    local draws = make{}:sample(E, {chains = 20, steps = 100, warmup = 50, seed = 1,
                                    progress = function () k = .01 end})
    local std = draws:slice(1, 51, 100):std():item()
    lu.assertTrue(std > 4, ("%s: deviation %.1f"):format(name, std))
  end
end

return T
