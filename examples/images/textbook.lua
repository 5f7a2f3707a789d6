-- textbook.lua -- the textbook's energy-based model of images: a stack of convolutions gives a picture its energy.
--
--   build/neap examples/images/textbook.lua [--quick] [seed] [folder] [other-images-idx3-ubyte.gz]
--
-- Contrastive divergence lowers the energy of Fashion-MNIST's pictures and raises it where Langevin chains lead, which
-- start from a buffer of what they made before, one in twenty anew from U(-1, 1) (Du and Mordatch 2019).  Their steps
-- are short of noise: they are a search for low energy more than a fair sampler, and the model is what the search finds
-- likely.  A small penalty on E² keeps energies near zero, which is what the network is free to choose.
-- An IDX file of other pictures of 28 × 28, such as MNIST's digits, is judged by energy, too.
-- Needs the Debian package dataset-fashion-mnist.  A full run should take some half an hour on two cores, --quick half
-- a minute.

package.path = (arg[0]:match "^(.*)/" or ".") .. "/?.lua;" .. package.path
local neap = require "neap"
local pictures = require "pictures"

local given = pictures.arguments()
local quick, folder = given.quick, given.folder

local STEPS, CHAIN, BATCH, BUFFER, DRAWN = 5000, 60, 128, 8192, 512
if quick then STEPS, CHAIN, BATCH, BUFFER, DRAWN = 250, 20, 64, 512, 64 end

local train, labels = pictures.fashion "train"
local test = pictures.fashion "test"

local E = neap.energy.conv{input = {1, 28, 28}, channels = {16, 32, 64, 64}, kernels = {5, 3, 3, 3}, hidden = 64}
print(E)

local langevin = neap.sampler.langevin{step_size = 10, noise_std = .005, clip = .03, clamp = {-1, 1}}
local loss = neap.loss.pcd{sampler = langevin, steps = CHAIN, buffer = BUFFER, init = {"uniform", -1, 1}, reinit = .05,
                           reg = .1}

-- Pictures may lie a pixel off; and a little noise, so that no sharp edge of the data's grey levels gives them away.
local loader, chance = neap.data.loader(train, {batch = BATCH, seed = given.seed}), neap.rng(given.seed)
local function batch ()
  return neap.data.augment(loader:next(), {shift = 1, value = -1, noise = .005, rng = chance}):clamp(-1, 1)
end

local began = neap.clock()
local average = neap.ema(E:params(), {decay = quick and .9 or .99})
local history = neap.train(E, batch, {
  loss = loss, optimizer = neap.optim.adam{lr = quick and 1e-3 or 1e-4, beta1 = 0}, steps = STEPS, seed = given.seed,
  clip_grad = .1, guard = true, ema = average, progress = false,
  on_step = function (step, value, info)
    if step % (STEPS // 10) == 0 then
      print(("step %5d   loss %8.4f   E of pictures %8.4f, of chains %8.4f   %4.0f s"):format(step, value,
        info.positive, info.negative, neap.clock() - began))
    end
  end,
})
print(("the guard went back %d times"):format(#history.rollbacks))

-- What it draws from noise: longer chains, which no buffer has helped, and a film of some of them.
local model = E:with(average:params())
local state = langevin:init(model, neap.rand(DRAWN, 1, 28, 28) * 2 - 1, neap.rng(2))
local frames = {state.x:slice(1, 1, 16)}
for frame = 1, 25 do
  state = langevin:step(model, state, quick and 4 or 20)
  frames[frame + 1] = state.x:slice(1, 1, 16):clone()
end
pictures.save(folder .. "/textbook.png", state.x:slice(1, 1, 64), 8)
neap.image.animate(folder .. "/textbook-film.png", (neap.stack(frames, 1) + 1) / 2, {columns = 4, fps = 8})
neap.save(folder .. "/textbook.npy", state.x)
model:save(folder .. "/textbook.safetensors")
print(("64 pictures from noise are in %s/textbook.png, 16 on their way in textbook-film.png"):format(folder))

-- An energy is also a score of how odd a picture is, beside what its pixels alone tell.
local some = test:slice(1, 1, 1000)
local found = pictures.print_auroc({{"energy", model}, {"pixels", (pictures.pixel_energy(train))}}, some,
                                   pictures.others(some, given.idx))
print(("E of 1000 test pictures %.3f, of 1000 training pictures %.3f"):format(model(some):mean():item(),
  model(train:slice(1, 1, 1000)):mean():item()))
local see, right = pictures.eyes(train, labels, quick and 200 or 3000)
local real = see(test)
print(("Fréchet distance in a classifier's features (%.1f %% right): drawn %.1f, as many training pictures %.1f"
  ):format(100 * right, neap.metric.frechet(see(state.x), real),
  neap.metric.frechet(see(train:slice(1, 1, DRAWN)), real)))
assert(found.energy.noise > .99, "noise has as little energy as pictures")
