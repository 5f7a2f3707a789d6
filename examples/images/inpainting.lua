-- inpainting.lua -- half of each picture is hidden, and the energy fills it: E:fix(mask, values) holds the other half.
--
--   build/neap examples/images/inpainting.lua [--quick] [seed] [folder] [dsm.safetensors]
--
-- The model is the one that dsm.lua left in its folder; without a file a small one is trained, in half a minute. The
-- energies of blurred.lua know pictures with noise of σ, so at each level the half that is seen is held with noise of
-- σ, too (Song and Ermon 2019, algorithm 2), and chains fill the rest.  One filling is a draw; the mean of many is
-- the best guess.  Noise is taken off whole pictures by the same energy, in one step.

package.path = (arg[0]:match "^(.*)/" or ".") .. "/?.lua;" .. package.path
local neap = require "neap"
local blurred, pictures = require "blurred", require "pictures"

local given = pictures.arguments()
local SHOWN, FILLINGS = 16, given.quick and 4 or 16
local train = pictures.fashion "train"
local test = (pictures.fashion "test"):slice(1, 1, SHOWN)
local model = blurred.open(given.safetensors, train, given.seed)
local rng = neap.rng(given.seed)

-- ---- the lower half hidden ----

local seen = neap.arange(1, 28):reshape(1, 28, 1):expand(1, 28, 28):le(14)
local hidden = seen:logical_not():expand(test.shape)

-- x with the pixels of `seen` held and the others drawn
local function fill (x)
  local y = 6 * rng:normal(x.shape)
  for _, sigma in ipairs(model.sigmas) do
    local E = model.E:given(neap.tensor{sigma}):fix(seen, x + sigma * rng:normal(x.shape))
    local langevin = neap.sampler.langevin{step_size = .25 * sigma ^ 2}
    y = langevin:step(E, langevin:init(E, y, rng:split()), 8).x
  end
  return neap.where(seen, x, blurred.denoise(model.E, y, model.sigmas[#model.sigmas]))
end

local fillings = fill(test:repeat_interleave(FILLINGS, 1)):reshape(SHOWN, FILLINGS, 28, 28)
local masked = neap.where(seen, test, neap.zeros_like(test))
local rows = {test, masked}
for i = 1, 4 do rows[i + 2] = fillings[{{}, {i, i}}] end
pictures.save(given.folder .. "/inpainting.png", neap.cat(rows, 1), SHOWN)
print(("in %s/inpainting.png: pictures, what is seen of them, four fillings"):format(given.folder))

local function error_of (x) return ((x - test)[hidden]):square():mean():item() end
local mean = train:mean(1, true):expand(test.shape)
local figure = {
  noise = error_of(rng:uniform(test.shape) * 2 - 1), mean = error_of(mean),
  one = error_of(fillings[{{}, {1, 1}}]), all = error_of(fillings:mean(2, true)),
}
print(("squared error of a hidden pixel: filled by the model once %.3f, mean of %d fillings %.3f, "):format(figure.one,
  FILLINGS, figure.all) .. ("by the mean picture %.3f, by noise %.3f"):format(figure.mean, figure.noise))

-- ---- noise taken off ----

local function denoising (sigma)
  local noisy = test + sigma * rng:normal(test.shape)
  local clean = blurred.denoise(model.E, noisy, sigma)
  -- the best that can be done pixel by pixel: towards the pixel's mean, by its variance
  local variance = train:var(1, true)
  local by_pixel = mean + variance / (variance + sigma ^ 2) * (noisy - mean)
  local function off (x) return (x - test):square():mean():item() end
  print(("squared error of a pixel with noise of %.2f: %.3f, denoised %.3f, each pixel by itself %.3f"):format(sigma,
    off(noisy), off(clean), off(by_pixel)))
  return off(clean), off(by_pixel), {noisy, clean}
end

local learned, alone, shown = denoising(model.sigmas[6])
local _, _, more = denoising(model.sigmas[8])
pictures.save(given.folder .. "/denoising.png", neap.cat({test, shown[1], shown[2], more[1], more[2]}, 1), SHOWN)
print(("in %s/denoising.png: pictures, with noise and without"):format(given.folder))
assert(figure.one < figure.noise and figure.all < figure.one, "fillings are no better than noise")
assert(learned < alone, "denoising is no better than pixel by pixel")
