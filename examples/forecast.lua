-- forecast.lua -- probabilistic forecasting by a conditional energy E(y, c): a wind turbine's power, given the wind.
--
-- The script simulates a turbine.  Power rises with the cube of the wind speed up to the rated power; it scatters most
-- on the slope; and sometimes the turbine is curtailed to half of it, so the density of the power has two bumps, which
-- a mean and an error bar cannot tell.  A network E(y, c) of power and wind learns p(y | c) ∝ e^(−E(y, c)) by noise
-- contrastive estimation.  For each wind speed y is one number, so the forecast's quantiles come from a grid; the
-- simulation's own stand beside them.

local neap = require "neap"
neap.seed(1)

local CURTAILED = .15
local function curve (wind) return (wind / 12):pow(3):clamp(0, 1) end
local function spread (wind) return .04 + .08 * (-((wind - 10) / 2.5):square()):exp() end
local function simulate (wind)
  local factor = neap.where(neap.rand(wind.shape):lt(CURTAILED), .5, 1)
  return factor * curve(wind) + spread(wind) * neap.randn(wind.shape)
end

local wind = 2 + 16 * neap.rand(40000, 1)                                    -- m/s
local power = simulate(wind)                                                 -- of the rated power

-- The network sees both in units of about 1.
local function scaled_wind (w) return (w - 10) / 4 end
local function scaled_power (p) return 4 * (p - .4) end

local STEPS = 3000
local E = neap.energy.mlp{sizes = {1, 64, 64}, condition = 1}
neap.train(E, {scaled_power(power), scaled_wind(wind)}, {
  loss = neap.loss.nce{noise = neap.energy.gaussian{mean = {0}, std = 2}, ratio = 4},
  batch = 256, steps = STEPS, seed = 1,
  optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 5e-3, steps = STEPS}},
})

-- Quantiles of the power at one wind speed, of the density e^(−E) on a grid.
local grid = neap.linspace(-.6, 1.8, 2401):unsqueeze(2)
local function quantiles (energy, levels)
  local cdf = (-energy):softmax(1):cumsum(1)
  local out = {}
  for k, level in ipairs(levels) do out[k] = grid[cdf:lt(level):to("int64"):sum():item() + 1]:item() end
  return out
end
local function forecast (w, levels)
  return quantiles(E(scaled_power(grid), scaled_wind(neap.full({#grid, 1}, w))), levels)
end
local function truth (w, levels)
  local at = neap.tensor {w}
  local mean, std = curve(at):item(), spread(at):item()
  local p = neap.energy.gmm{means = {{mean}, {mean / 2}}, std = std, weights = {1 - CURTAILED, CURTAILED}}
  return quantiles(p(grid), levels)
end

local LEVELS = {.05, .25, .5, .75, .95}
print "wind          5 %       25 %      50 %      75 %      95 %"
local worst = 0
for w = 4, 16, 2 do
  local learned, exact = forecast(w, LEVELS), truth(w, LEVELS)
  print(("%2d m/s  " .. (" %9.3f"):rep(5)):format(w, table.unpack(learned)))
  print(("  truth " .. (" %9.3f"):rep(5)):format(table.unpack(exact)))
  for k in ipairs(LEVELS) do worst = math.max(worst, math.abs(learned[k] - exact[k])) end
end

-- How often new measurements fall inside the interval that was forecast for them.
local function share_inside (y, low, high)
  return neap.logical_and(y:ge(low), y:le(high)):to("float32"):mean():item()
end
local half, most = 0, 0
for w = 3, 17, .5 do                                                         -- 29 wind speeds
  local y, q = simulate(neap.full({1000}, w)), forecast(w, LEVELS)
  half = half + 100 / 29 * share_inside(y, q[2], q[4])
  most = most + 100 / 29 * share_inside(y, q[1], q[5])
end
print(("new measurements inside the 50 %% interval: %.1f %%; inside the 90 %% interval: %.1f %%"):format(half, most))
assert(math.abs(half - 50) < 5 and math.abs(most - 90) < 4 and worst < .1)
