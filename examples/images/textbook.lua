-- textbook.lua -- the textbook's energy-based model of images: a stack of convolutions gives a picture its energy.
--
--   build/neap examples/images/textbook.lua [--quick] [folder]
--
-- Contrastive divergence lowers the energy of Fashion-MNIST's pictures and raises it where Langevin chains lead, which
-- start from a buffer of what they made before, one in twenty anew from U(-1, 1) (Du and Mordatch 2019).  Their steps
-- are short of noise: they are a search for low energy more than a fair sampler, and the model is what the search finds
-- likely.  A small penalty on E² keeps energies near zero, which is what the network is free to choose.
-- Needs the Debian package dataset-fashion-mnist.  A full run should take some half an hour on two cores, --quick half a
-- minute.

local neap = require "neap"

local quick, folder = false, "examples/out"
for _, a in ipairs(arg or {}) do
  if a == "--quick" then quick = true else folder = a end
end

local STEPS, CHAIN, BATCH, BUFFER = 5000, 60, 128, 8192
if quick then STEPS, CHAIN, BATCH, BUFFER = 250, 20, 64, 512 end

-- pictures [N, 1, 28, 28] in [-1, 1]
local function pictures (split)
  local x = neap.data.fashion_mnist(split)
  return (x * 2 - 1):unsqueeze(2)
end
local train, test = pictures "train", pictures "test"

neap.seed(1)
local E = neap.energy.conv{input = {1, 28, 28}, channels = {16, 32, 64, 64}, kernels = {5, 3, 3, 3}, hidden = 64}
print(E)

local langevin = neap.sampler.langevin{step_size = 10, noise_std = .005, clip = .03, clamp = {-1, 1}}
local loss = neap.loss.pcd{sampler = langevin, steps = CHAIN, buffer = BUFFER, init = {"uniform", -1, 1}, reinit = .05,
                           reg = .1}

-- a little noise, so that no sharp edge of the data's grey levels gives it away
local loader = neap.data.loader(train, {batch = BATCH, seed = 1})
local function batch ()
  local x = loader:next()
  return (x + .005 * neap.randn_like(x)):clamp(-1, 1)
end

local began = neap.clock()
local average = neap.ema(E:params(), {decay = quick and .9 or .99})
neap.train(E, batch, {
  loss = loss, optimizer = neap.optim.adam{lr = quick and 1e-3 or 1e-4, beta1 = 0}, steps = STEPS,
  clip_grad = .1, guard = true, ema = average, progress = false,
  on_step = function (step, value, info)
    if step % (STEPS // 10) == 0 then
      print(("step %5d   loss %8.4f   E of pictures %8.4f, of chains %8.4f   %4.0f s"):format(step, value,
        info.positive, info.negative, neap.clock() - began))
    end
  end,
})

-- What it draws from noise: longer chains, which no buffer has helped.
local model = E:with(average:params())
local long = neap.sampler.langevin{step_size = 10, noise_std = .005, clip = .03, clamp = {-1, 1}}
local state = long:init(model, neap.rand(64, 1, 28, 28) * 2 - 1, neap.rng(2))
local drawn = long:step(model, state, quick and 100 or 500).x
os.execute(("mkdir -p '%s'"):format(folder))
neap.image.save(folder .. "/textbook.png", neap.image.grid((drawn + 1) / 2, {columns = 8}))
print(("64 pictures from noise are in %s/textbook.png"):format(folder))

-- An energy is also a score of how odd a picture is.  The share of pairs in which the test picture has less energy:
local some = test:slice(1, 1, 1000)
local function energies (x) return model(x):detach() end
local others = {
  {"noise", neap.rand_like(some) * 2 - 1},
  {"inverted", -some},
  {"pixels in another order", some:reshape(1000, 784):index_select(2, neap.rng(3):randperm(784)):reshape(some.shape)},
}
local found = {}
for _, o in ipairs(others) do
  found[#found + 1] = neap.metric.auroc(energies(o[2]), energies(some))
  print(("AUROC of test pictures against %-24s %.3f"):format(o[1], found[#found]))
end
print(("E of 1000 test pictures %.3f, of 1000 training pictures %.3f"):format(energies(some):mean():item(),
  energies(train:slice(1, 1, 1000)):mean():item()))
assert(found[1] > .99, "noise has as little energy as pictures")
