-- test_pictures.lua -- the parts of the textbook's recipe together, on small pictures: a buffer of chains that are held
-- in [-1, 1] and begin anew by chance, clipped gradients, a penalty on energies, moved pictures, averages, the guard.

local lu = require "luaunit"
local T = {}

local CHAINS, STEPS, STEP, CLIP = 200, 5, 2, .03
local REACH = STEPS * STEP * CLIP                            -- the most that a pixel can move in a call, without noise

local function model (seed)
  return neap.energy.conv{input = {1, 8, 8}, channels = {6, 8}, hidden = 8, rng = neap.rng(seed or 1)}
end

-- bars that lie anywhere on a dark ground
local function bars (n)
  local x = neap.full({n, 1, 8, 8}, -1.)
  x[{{}, {}, {3, 6}, {4, 5}}] = 1
  return neap.data.augment(x, {shift = 1, value = -1, noise = .01, rng = neap.rng(2)}):clamp(-1, 1)
end

local function recipe (reinit, reg)
  local langevin = neap.sampler.langevin{step_size = STEP, noise_std = 0, clip = CLIP, clamp = {-1, 1}}
  return neap.loss.pcd{sampler = langevin, steps = STEPS, buffer = CHAINS, init = {"uniform", -1, 1}, reinit = reinit,
                       reg = reg}
end

function T.test_the_loss_is_its_formula ()
  local E, x = model(), bars(40)
  for _, reg in ipairs {0, .1} do
    local value, info = recipe(0, reg)(E, x, neap.rng(3))
    local data, chains = E(x), E(info.samples)
    local want = data:mean() - chains:mean() + reg * (data:square():mean() + chains:square():mean())
    lu.assertAlmostEquals(value:item(), want:item(), 1e-5)
    lu.assertAlmostEquals(info.positive, data:mean():item(), 1e-5)
    lu.assertAlmostEquals(info.negative, chains:mean():item(), 1e-5)
  end
end

-- Chains go on within reach of where they were, or begin anew, as often as reinit says.
function T.test_chains_go_on_or_begin_anew ()
  local E, x = model(), bars(CHAINS)
  for _, reinit in ipairs {0, .3} do
    local loss, anew = recipe(reinit, 0), 0
    local before = select(2, loss(E, x, neap.rng(4))).samples
    for call = 1, 5 do
      local now = select(2, loss(E, x, neap.rng(4 + call))).samples
      lu.assertTrue(now:abs():amax():item() <= 1)
      local off = (now:unsqueeze(2) - before:unsqueeze(1)):abs():amax{3, 4, 5}:amin(2)
      anew = anew + off:gt(REACH + 1e-5):to "float64":sum():item()
      before = now
    end
    local n = 5 * CHAINS
    lu.assertAlmostEquals(anew / n, reinit, 4 * math.sqrt(reinit * (1 - reinit) / n))
  end
end

local function run (o)
  local E, x = model(5), bars(256)
  local loader = neap.data.loader(x, {batch = 32, seed = 1})
  local options = {loss = recipe(.05, .1), steps = 150, seed = 1, clip_grad = .5, ema = .9, progress = false, every = 1,
                   optimizer = neap.optim.adam{lr = 2e-3, beta1 = 0}}
  for k, v in pairs(o) do options[k] = v end
  local history = neap.train(E, function () return loader:next() end, options)
  return E, history
end

-- What it learns: pictures have less energy than noise, and than bars that lie the other way.
function T.test_it_learns ()
  local E, history = run{guard = true}
  lu.assertEquals(history.rollbacks, {})
  local average, x = E:with(history.ema:params()), bars(100)
  local noise, turned = neap.rng(6):uniform{100, 1, 8, 8} * 2 - 1, x:transpose(3, 4)
  lu.assertTrue(neap.metric.auroc(average(noise), average(x)) > .99)
  lu.assertTrue(neap.metric.auroc(average(turned), average(x)) > .9)
  for i, p in ipairs(average:params()) do lu.assertTrue((p - E:params()[i]):abs():amax():item() > 0) end
end

-- A step size far too large from step 100 on: the guard goes back to where it was small, and noise keeps more energy
-- than pictures, which it does not without.
function T.test_the_guard ()
  local lr = function (step) return step >= 100 and 3 or 2e-3 end
  local E, history = run{guard = true, optimizer = neap.optim.adam{lr = lr, beta1 = 0}}
  lu.assertTrue(#history.rollbacks >= 1)
  for _, r in ipairs(history.rollbacks) do lu.assertTrue(r.step > 100 and r.to <= 100 and r.lr <= 2e-3) end
  lu.assertTrue(neap.metric.auroc(E(neap.rng(6):uniform{100, 1, 8, 8} * 2 - 1), E(bars(100))) > .99)
end

return T
