-- test_guard.lua -- runs that diverge are noticed and taken back; runs that do not are left alone.
local lu = require "luaunit"
local folder = require "files.folder"

local T = {tearDown = folder.clean}

local fails = require("errors").raises

local AT = 150
local function train (o)
  neap.seed(1)
  local E = neap.energy.mlp{sizes = {2, 128, 128}}
  local langevin = neap.sampler.langevin{step_size = .01}
  local options = {loss = neap.loss.cd{sampler = langevin, steps = 20, reg = .1}, batch = 64, steps = 220,
                   seed = 3, ema = .99, every = 20, progress = false}
  for k, v in pairs(o) do options[k] = v end
  local h = neap.train(E, neap.data.moons(500, {seed = 2}), options)
  return E, h
end

-- A loss that is called as it is: a function would be recorded at a few rows, too.
local function called (f, methods)
  return setmetatable({}, {__call = function (_, ...) return f(...) end, __index = methods})
end

local function adam (lr) return neap.optim.adam{lr = lr} end

local function same (E, F)
  for i, p in ipairs(E:params()) do lu.assertTrue(F:params()[i]:eq(p):all():item(), "parameter " .. i) end
end

-- The step size a hundred times too large from one step on, or at that step alone: the run goes back to where it was
-- good with the step size it had there, and so ends as the one that never had another.
function T.test_a_step_size_a_hundred_times_too_large ()
  local healthy, h = train{optimizer = adam(1e-3)}
  for name, lr in pairs {on = function (step) return step >= AT and .1 or 1e-3 end,
                         once = function (step) return step == AT and .1 or 1e-3 end} do
    local seen = {}
    local E, history = train{optimizer = adam(lr), guard = true, on_step = function (step) seen[#seen + 1] = step end}
    lu.assertTrue(#history.rollbacks >= 1, name)
    for _, r in ipairs(history.rollbacks) do
      lu.assertTrue(r.step > AT and r.step < AT + 20, "noticed at step " .. r.step)
      lu.assertEquals({r.to, r.lr}, {100, 1e-3})
      lu.assertStrMatches(r.why, "the .* lies %d+ standard deviations from .*")
    end
    same(healthy, E)
    lu.assertEquals(history.step, h.step)
    lu.assertEquals(history.loss, h.loss)
    lu.assertEquals({seen[#seen], history.steps}, {220, 220})
    lu.assertEquals(#seen, 220 + #history.rollbacks * -100 + (function ()
      local extra = 0
      for _, r in ipairs(history.rollbacks) do extra = extra + r.step - 1 end
      return extra
    end)())
  end
end

-- Healthy runs of many losses are not touched.
function T.test_healthy_runs ()
  local langevin, l = neap.sampler.langevin{step_size = .01}, neap.loss
  for name, loss in pairs {
    cd = l.cd{sampler = langevin, steps = 5, reg = .1}, dsm = l.dsm{sigma = .2}, ssm = l.ssm{},
    pcd = l.pcd{sampler = langevin, steps = 5, buffer = 200, reg = .1},
    nce = l.nce{noise = neap.energy.gaussian{mean = {0, 0}, std = 1.5}, ratio = 4},
  } do
    local state = loss:state()
    local E, h = train{loss = loss, guard = true, optimizer = adam(1e-2)}
    lu.assertEquals(h.rollbacks, {}, name)
    loss:set_state(state)
    same(E, (train{loss = loss, optimizer = adam(1e-2)}))
  end
end

-- The chains of pcd and the averages go back, too, and the step size shrinks where it was the same all along.
function T.test_what_goes_back ()
  local calls, loss = 0, neap.loss.pcd{sampler = neap.sampler.langevin{step_size = .01}, steps = 5, buffer = 90}
  local wrapped = called(function (e, x, rng)
    local value, info = loss(e, x, rng)
    calls = calls + 1
    return calls == 130 and value * (0 / 0) or value, info
  end, {state = function () return loss:state() end, set_state = function (_, t) loss:set_state(t) end})
  local optimizer, buffers = adam(1e-3), {}
  local _, h = train{loss = wrapped, optimizer = optimizer, guard = true, on_step = function (step)
    if step == 50 then buffers[#buffers + 1] = loss:state().buffer:sum():item() end
    if step == 51 then buffers[#buffers + 1] = loss:state().buffer:sum():item() end
  end}
  lu.assertEquals(#h.rollbacks, 1)
  local r = h.rollbacks[1]
  lu.assertEquals({r.step, r.to, r.lr}, {130, 50, 5e-4})
  lu.assertStrMatches(r.why, "the loss is %-?nan")
  lu.assertEquals({optimizer.limit, optimizer:current_lr(), optimizer.steps}, {5e-4, 5e-4, 220})
  lu.assertEquals(#buffers, 3)                   -- of steps 50 and 51, and of 51 again: from the same chains and draws
  lu.assertEquals(buffers[3], buffers[2])
end

function T.test_a_run_that_diverges_for_ever ()
  for _, text in ipairs {"train: guard: step 1: the loss is",
                         "it has gone back 3 times, the last time with a step size of 0.000125"} do
    local n = 0
    fails(text, train, {guard = {retries = 3}, optimizer = adam(1e-3), loss = called(function (e, x)
      n = n + 1
      return e(x):mean() * (n > 70 and 0 / 0 or 1)
    end, {})})
  end
end

-- Stopped and gone on, with rollbacks before and after.
function T.test_checkpoints ()
  local path = folder.file "run.safetensors"
  local function lr (step) return (step == 90 or step == 170) and .3 or 1e-3 end
  local function options (stop, more)
    local o = {optimizer = adam(lr), guard = {every = 30}, on_step = stop and function (step) return step < stop end}
    for k, v in pairs(more or {}) do o[k] = v end
    return o
  end
  local E, h = train(options())
  lu.assertEquals(#h.rollbacks, 1)               -- what holds the step size from then on holds it at step 170, too
  for _, stop in ipairs {40, 91, 130, 200} do train(options(stop, {checkpoint = path, resume = true})) end
  local F, again = train(options(nil, {resume = path}))
  same(E, F)
  lu.assertEquals(again.rollbacks, h.rollbacks)
  lu.assertEquals(again.loss, h.loss)
end

function T.test_errors ()
  fails("train: guard: option 'threshold': a positive number expected, got 0", train, {guard = {threshold = 0}})
  fails("option 'shrink': a number in [0, 1) expected, got 1", train, {guard = {shrink = 1}})
  fails("unknown option 'windw' (did you mean 'window'?)", train, {guard = {windw = 1}})
  local plain = {step = function () end}
  fails("train: guard: an optimiser of neap.optim expected", train, {guard = true, optimizer = plain})
end

return T
