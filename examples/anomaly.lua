-- anomaly.lua -- an energy as a detector of what was never seen.
--
-- A machine's two readings follow a curve when it is healthy.  An energy is trained on healthy readings only; what
-- has more energy than almost all of them is reported.  A detector that looks at each reading alone (or at their
-- distance from the mean) cannot see a point inside the curve.

neap.seed(1)
local function healthy (n)
  local load = neap.rand(n) * 4 - 2
  return neap.stack({load, load:square() - 1.2 + .4 * load:sin()}, 2) + .1 * neap.randn(n, 2)
end
local train, test = healthy(5000), healthy(2000)
local z, mean, std = neap.data.standardize(train)
local function scaled (x) return (x - mean) / std end

local E = neap.energy.mlp{sizes = {2, 64, 64}}
neap.train(E, z, {
  loss = neap.loss.nce{noise = neap.energy.gaussian{mean = neap.zeros(2), std = 2}, ratio = 2},
  batch = 256, steps = 2000, seed = 1, optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 3e-3, steps = 2000}},
})

-- The alarm rings for the 1 % of healthy readings with the most energy.
local threshold = E(z):quantile(.99, 1):item()
local faults = {
  {"stuck sensor", neap.stack({neap.rand(2000) * 4 - 2, neap.full({2000}, .3)}, 2)},
  {"swapped readings", test:flip(2)},
  {"drift by 0.6", test + neap.tensor {0, .6}},
  {"between the arms", neap.stack({neap.randn(2000) * .5, 1.5 + .4 * neap.randn(2000)}, 2)},
}
local function distance (x) return scaled(x):square():sum(2) end

local false_alarms = E(scaled(test)):gt(threshold):to("float32"):mean():item()
print(("false alarms on healthy readings: %.1f %%"):format(100 * false_alarms))
print "fault                 alarms   AUROC of energy   of distance from the mean"
for _, f in ipairs(faults) do
  local e = E(scaled(f[2]))
  print(("%-20s  %4.0f %%   %.3f             %.3f"):format(f[1], 100 * e:gt(threshold):to("float32"):mean():item(),
    neap.metric.auroc(e, E(scaled(test))), neap.metric.auroc(distance(f[2]), distance(test))))
end
