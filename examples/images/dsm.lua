-- dsm.lua -- denoising score matching at many noise levels, and pictures drawn by annealed Langevin dynamics.
--
--   build/neap examples/images/dsm.lua [--quick] [seed] [folder] [others-images-idx3-ubyte.gz] [drawn.npy]
--
-- blurred.lua has the energy E(x, σ) and its training: no chains are needed for it.  Drawing begins in the cloud of
-- noise that the largest level makes of all pictures, and goes down the levels (Song and Ermon 2019); the noise of
-- the last one is taken off in one step.  How near the drawings come to new pictures is told by the Fréchet distance
-- in what a small classifier sees, beside that of real pictures and of pixels drawn one by one; a .npy file of
-- pictures that another program drew (textbook.lua) is judged, too.  The model is left in dsm.safetensors, which
-- inpainting.lua and energy_map.lua read.  A full run should take some forty minutes on two cores, --quick half a
-- minute.

package.path = (arg[0]:match "^(.*)/" or ".") .. "/?.lua;" .. package.path
local neap = require "neap"
local blurred, pictures = require "blurred", require "pictures"

local given = pictures.arguments()
local folder, DRAWN, JUDGED = given.folder, 500, 1000
if given.quick then DRAWN, JUDGED = 64, 250 end
local train, labels = pictures.fashion "train"
local test = pictures.fashion "test"

local model = blurred.train(given.quick and blurred.small or blurred.large, train, given.seed)
print(model.E)
blurred.save(folder .. "/dsm.safetensors", model)

-- ½|n|², which is 392 on average, is what the score is off by where nothing was learnt.
local line = {}
for i = 1, #model.sigmas, 3 do
  local sigma, E = model.sigmas[i], blurred.level(model, model.sigmas[i])
  line[#line + 1] = ("%.2f: %.0f"):format(sigma, neap.loss.dsm{sigma = sigma}(E, test:slice(1, 1, 200)):item())
end
print("score matching on test pictures, of 392, by level:  " .. table.concat(line, "  "))

local drawn = blurred.draw(model, DRAWN, 2)
pictures.save(folder .. "/dsm.png", drawn:slice(1, 1, 64), 8)
neap.save(folder .. "/dsm.npy", drawn)
print(("pictures from noise are in %s/dsm.png"):format(folder))

-- ---- how near? ----

local see, right = pictures.eyes(train, labels, given.quick and 200 or 3000)
local real = see(test)
local _, pixel_law = pictures.pixel_energy(train)
local by_pixel = pixel_law:sample(DRAWN, neap.rng(5)):reshape(DRAWN, 1, 28, 28):clamp(-1, 1)
local distance = {}
local function judge (name, x)
  distance[name] = neap.metric.frechet(see(x), real)
  print(("  %-26s %7.2f"):format(name, distance[name]))
end
print(("Fréchet distance of %d pictures to the test set, in a classifier's features (%.1f %% right):"):format(DRAWN,
  100 * right))
judge("training pictures", train:slice(1, 1, DRAWN))
judge("drawn by this model", drawn)
if given.npy then
  local others = neap.load(given.npy)
  judge("drawn in the file", others:slice(1, 1, math.min(DRAWN, #others)))
end
judge("pixels drawn one by one", by_pixel)

-- ---- how odd? ----

local some = test:slice(1, 1, JUDGED)
local energy, length = blurred.level(model, .1)
local found = pictures.print_auroc({
  {"energy", energy}, {"score", length},
  {"scores of four levels", blurred.lengths(model, train:slice(1, 1, 2 * JUDGED))},
  {"pixels", (pictures.pixel_energy(train))},
}, some, pictures.others(some, given.idx))
assert(distance["drawn by this model"] < distance["pixels drawn one by one"], "no better than pixels one by one")
assert(found.energy.noise > .99, "noise has as little energy as pictures")
