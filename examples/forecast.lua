-- forecast.lua -- probabilistic forecasting by a conditional energy E(y, c): a wind turbine's power given the wind.
--
-- The script simulates a turbine: power rises with the cube of the wind speed up to the rated power, and the spread
-- is largest on the slope.  A network E(y, c) is trained by noise contrastive estimation; for each wind speed the
-- density of y is then one-dimensional, so its quantiles come from a grid.  They are compared with those of the
-- simulation.

local function curve (wind) return (wind / 12):pow(3):clamp(0, 1) end
local function spread (wind) return .03 + .12 * (-((wind - 10) / 2.2):square()):exp() end

neap.seed(1)
local N = 20000
local wind = neap.rand(N, 1) * 16 + 2                                  -- m/s
local power = curve(wind) + spread(wind) * neap.randn(N, 1)            -- of the rated power
local function condition (w) return (w - 10) / 5 end

-- The noise covers every power, whatever the wind, so E(y, c) is right everywhere on the grid below.
local E = neap.energy.mlp{sizes = {1, 64, 64}, condition = 1}
local noise = neap.energy.gaussian{mean = neap.tensor {.5}, std = .4}
neap.train(E, {power, condition(wind)}, {
  loss = neap.loss.nce{noise = noise, ratio = 4}, batch = 256, steps = 3000, seed = 1,
  optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 5e-3, steps = 3000}},
})

-- Quantiles of y at one wind speed, from the density on a grid.
local grid = neap.linspace(-.5, 1.5, 1001)
local function quantiles (w, levels)
  local e = E(grid:unsqueeze(2), condition(neap.full({#grid, 1}, w)))
  local p = (-e):softmax(1):cumsum(1):totable()
  local out, i = {}, 1
  for k, level in ipairs(levels) do
    while p[i] < level do i = i + 1 end
    out[k] = grid[i]:item()
  end
  return out
end

print "wind        median           90 % interval: learned        true"
local w = neap.tensor {4, 6, 8, 10, 12, 14, 16}
local middle, width = curve(w):totable(), spread(w):totable()
for i, speed in ipairs(w:totable()) do
  local q = quantiles(speed, {.05, .5, .95})
  print(("%4.0f m/s   %5.3f (%5.3f)     [%6.3f, %6.3f]           [%6.3f, %6.3f]"):format(
    speed, q[2], middle[i], q[1], q[3], middle[i] - 1.645 * width[i], middle[i] + 1.645 * width[i]))
end

-- How often new measurements fall inside the interval that was forecast for them.
local inside, total = 0, 0
for speed = 3, 17, .5 do
  local q = quantiles(speed, {.05, .95})
  local at = neap.full({500}, speed)
  local y = curve(at) + spread(at) * neap.randn(500)
  inside = inside + neap.logical_and(y:ge(q[1]), y:le(q[2])):to("int64"):sum():item()
  total = total + 500
end
print(("of new measurements %.1f %% lie inside their 90 %% interval"):format(100 * inside / total))
