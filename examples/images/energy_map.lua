-- energy_map.lua -- which pixels carry the energy?  Faults in pictures, found by maps of it.
--
--   build/neap examples/images/energy_map.lua [--quick] [seed] [folder] [dsm.safetensors]
--
-- In each test picture a square is turned into its negative.  Two maps look for it: the gradient's size at each pixel,
-- σ|∂E/∂x|, and occlusion, by how much the energy falls when a window is covered by what the mean picture has there.
-- Beside them stands the energy of each pixel by itself, ½(x − mean)²/variance.  The figure is the chance that a map is
-- higher at a pixel of the fault than at another of the same picture.  The model is the one that dsm.lua left in its
-- folder; without a file a small one is trained, in half a minute.

package.path = (arg[0]:match "^(.*)/" or ".") .. "/?.lua;" .. package.path
local neap = require "neap"
local blurred, pictures = require "blurred", require "pictures"

local given = pictures.arguments()
local N, SIDE, WINDOW = given.quick and 24 or 100, 7, 4
local train = pictures.fashion "train"
local model = blurred.open(given.safetensors, train, given.seed)

-- ---- pictures with faults, and where these are ----

local rng = neap.rng(given.seed)
local top, left = rng:randint(6, 16, {N, 1, 1, 1}), rng:randint(6, 16, {N, 1, 1, 1})
local across = neap.arange(1, 28, {dtype = "int64"}):reshape(1, 1, 1, 28)
local down = across:reshape(1, 1, 28, 1)
local function within (at, first) return at:ge(first):logical_and(at:lt(first + SIDE)) end
local fault = within(down, top):logical_and(within(across, left))
local clean = (pictures.fashion "test"):slice(1, 1, N)
local x = neap.where(fault, -clean, clean)

-- ---- maps [N, 1, 28, 28] ----

local sigma = model.sigmas[9]
local E = model.E:given(neap.tensor{sigma})
local mean, std = train:mean(1, true), train:std(1, true):clamp(.1)

local function by_gradient () return sigma * neap.no_grad(E.grad, E, x):abs() end

-- What a window costs is shared by its pixels; a pixel's is the mean of the windows that cover it.
local function by_occlusion ()
  local whole, sum, count = neap.no_grad(E, x), neap.zeros(x.shape), neap.zeros(1, 1, 28, 28)
  for i = 1, 29 - WINDOW, 2 do
    for j = 1, 29 - WINDOW, 2 do
      local window = {{}, {}, {i, i + WINDOW - 1}, {j, j + WINDOW - 1}}
      local covered = x:clone()
      covered[window] = mean[window]:expand(N, 1, WINDOW, WINDOW)
      sum[window] = sum[window] + (whole - neap.no_grad(E, covered)):reshape(N, 1, 1, 1)
      count[window] = count[window] + 1
    end
  end
  return sum / count
end

local maps = {
  {"gradient", by_gradient()}, {"occlusion", by_occlusion()}, {"pixels alone", ((x - mean) / std):square() / 2},
}

-- each picture's map from 0 to 1, its brightest pixels alike
local function visible (map)
  local most = map:reshape(N, 784):quantile(.99, 2):reshape(N, 1, 1, 1)
  return (map / most):clamp(0, 1) * 2 - 1
end

local shown, figure = {clean:slice(1, 1, 16), x:slice(1, 1, 16)}, {}
for _, m in ipairs(maps) do
  shown[#shown + 1] = visible(m[2]):slice(1, 1, 16)
  local sum = 0
  for i = 1, N do
    sum = sum + neap.metric.auroc(m[2][i][fault[i]], m[2][i][fault[i]:logical_not()]) / N
  end
  figure[m[1]] = sum
  print(("AUROC of a fault's pixels by %-14s %.3f"):format(m[1], sum))
end
pictures.save(given.folder .. "/energy-map.png", neap.cat(shown, 1), 16)
print(("in %s/energy-map.png: pictures, faults, maps by gradient, occlusion, pixels alone"):format(given.folder))
print(("AUROC of pictures with a fault against the others: energy %.3f"):format(
  neap.metric.auroc(neap.no_grad(E, x), neap.no_grad(E, clean))))
assert(math.max(figure.gradient, figure.occlusion) > .75, "no map finds the faults")
