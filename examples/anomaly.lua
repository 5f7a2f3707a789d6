-- anomaly.lua -- an energy as a detector of what was never seen.
--
-- Two readings of a machine, load and temperature, lie along a curve while it is healthy.  An energy is trained on
-- healthy readings only; a reading with more energy than almost all of them raises the alarm.  How well the energy
-- ranks faults above healthy readings is its AUROC: 1 is perfect, 0.5 is chance.  Beside it stand a common detector,
-- the (Mahalanobis) distance from the mean, which cannot see what lies inside the curve, and the readings' true
-- density, which this simulation knows.

local neap = require "neap"
neap.seed(1)

local function temperature (load) return load:square() - 1.2 + .4 * load:sin() end
local function healthy (n)
  local load = 4 * neap.rand(n) - 2
  return neap.stack({load, temperature(load)}, 2) + .1 * neap.randn(n, 2)
end
local train, test = healthy(10000), healthy(2000)

-- Noise contrastive estimation against a wide Gaussian: it learns what is unlikely, too.
local E = neap.energy.mlp{sizes = {2, 64, 64}}
neap.train(E, train, {
  loss = neap.loss.nce{noise = neap.energy.gaussian{mean = train:mean(1), std = 2 * train:std(1)}, ratio = 4},
  batch = 256, steps = 2000, seed = 1, optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 5e-3, steps = 2000}},
})

local centred = train - train:mean(1)
local gaussian = neap.energy.gaussian{mean = train:mean(1), cov = centred:t():matmul(centred) / #train}
local load = (neap.arange(1, 1000) - .5) / 250 - 2
local truth = neap.energy.gmm{means = neap.stack({load, temperature(load)}, 2), std = .1}

local threshold = E(train):quantile(.99, 1)                    -- the alarm rings for 1 % of what is healthy
local function alarms (x) return 100 * E(x):gt(threshold):to("float32"):mean():item() end

local random = 4 * neap.rand(2000) - 2
local faults = {
  {"sensor stuck at 0.3", neap.stack({random, neap.full({2000}, .3)}, 2)},
  {"readings swapped", test:flip(2)},
  {"0.6 too warm", test + neap.tensor {0, .6}},
  {"warm without load", neap.stack({.5 * neap.randn(2000), 1.5 + .4 * neap.randn(2000)}, 2)},
}

print(("alarms on new healthy readings: %.1f %% (set to 1 %%)"):format(alarms(test)))
print "fault                  alarms   AUROC: energy   true density   distance from the mean"
for _, fault in ipairs(faults) do
  local name, x = fault[1], fault[2]
  local function auroc (model) return neap.metric.auroc(model(x), model(test)) end
  local learned, best, baseline = auroc(E), auroc(truth), auroc(gaussian)
  print(("%-20s  %5.0f %%  %14.3f %14.3f %14.3f"):format(name, alarms(x), learned, best, baseline))
  assert(learned > best - .03 and learned > baseline + .1, name)
end
