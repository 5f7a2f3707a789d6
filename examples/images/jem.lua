-- jem.lua -- a classifier that is an energy-based model, too (JEM: Grathwohl et al. 2020).
--
--   build/neap examples/images/jem.lua [--quick] [seed] [folder] [other-images-idx3-ubyte.gz]
--
-- The logits f(x) of a network are read twice: P(k | x) = e^(fₖ(x)) / Σⱼ e^(fⱼ(x)), as of any classifier, and p(x)
-- ∝ Σₖ e^(fₖ(x)), whose energy is E(x) = −log Σₖ e^(fₖ(x)).  The loss is that of both, −log P(k | x) − log p(x),
-- the second half by contrastive divergence with chains that go on (as in textbook.lua).  Beside it the same
-- network is trained as a classifier alone.  What is compared: right answers, whether P says how often they are
-- right (calibration, also after both were brought to a temperature fitted on pictures kept apart: Guo et al.
-- 2017), and whether E is low on pictures of clothes only.  Then pictures of each class are drawn, from noise, by
-- the energies −fₖ.
-- Needs the Debian package dataset-fashion-mnist.  A full run should take some 20 minutes on two cores, --quick
-- half a minute.

package.path = (arg[0]:match "^(.*)/" or ".") .. "/?.lua;" .. package.path
local neap = require "neap"
local pictures = require "pictures"

local given = pictures.arguments()
local quick, folder = given.quick, given.folder

local STEPS, CHAIN, BATCH, BUFFER, DRAWN, LENGTH = 5000, 20, 128, 8192, 10, 500
if quick then STEPS, CHAIN, BATCH, BUFFER, DRAWN, LENGTH = 300, 8, 64, 1024, 8, 150 end

local train, labels = pictures.fashion "train"
local test, truth = pictures.fashion "test"
local kept, kept_labels = train:slice(1, 55001, 60000), labels:slice(1, 55001, 60000)      -- for temperatures

local function trained (name, loss)
  local E = neap.energy.classifier(neap.energy.conv{
    input = {1, 28, 28}, channels = {32, 64, 64}, kernels = {5, 3, 3}, hidden = {128, 10}, rng = neap.rng(given.seed),
  })
  return pictures.trained{name = name, E = E, x = train:slice(1, 1, 55000), labels = labels:slice(1, 1, 55000),
                          loss = loss, steps = STEPS, batch = BATCH, lr = 2e-3, seed = given.seed}
end

-- Less of log p(x) than of log P(k | x), which is what costs right answers.
local langevin = neap.sampler.langevin{step_size = 1, noise_std = .01, clamp = {-1, 1}}
local plain = trained("classifier", pictures.cross_entropy)
local E = trained("JEM", neap.loss.jem{sampler = langevin, steps = CHAIN, buffer = BUFFER, init = {"uniform", -1, 1},
                                       reinit = .05, reg = .1, weight = .3})

-- ---- right answers and calibration ----

-- T with the least cross entropy of logits f / T
local function temperature (f, y)
  local log_t = neap.zeros(1):requires_grad()
  local optimizer = neap.optim.lbfgs()
  for _ = 1, 20 do optimizer:step(log_t, function () return neap.cross_entropy(f / log_t:exp(), y) end) end
  return log_t:detach():exp():item()
end

-- share of right answers, ECE, and ECE of f / T
local function judge (name, model)
  local f, T = pictures.logits(model, test), temperature(pictures.logits(model, kept), kept_labels)
  local right = pictures.right(f, truth)
  local before, after = neap.metric.ece(f, truth), neap.metric.ece(f / T, truth)
  print(("%-10s %.2f %% of 10000 test pictures right; ECE %.4f, with T = %.2f %.4f"):format(name, 100 * right, before,
    T, after))
  return right, before, after
end
judge("classifier", plain)
local right, ece, scaled = judge("JEM", E)

-- ---- what is no picture of clothes ----

local some = test:slice(1, 1, 1000)
local function doubt (x) return -(E:logits(x):softmax(2):max(2)) end         -- that P has in its own answer
local found = pictures.print_auroc({{"energy", E}, {"doubt", doubt}, {"classifier's energy", plain}}, some,
                                   pictures.others(some, given.idx))

-- ---- pictures of each class ----

local classes = neap.arange(1, 10):to "int64":repeat_interleave(DRAWN, 1)
local draws = langevin:sample(E:class(), {condition = classes, init = neap.rand(10 * DRAWN, 1, 28, 28) * 2 - 1,
                                          steps = LENGTH, thin = LENGTH, seed = given.seed})[1]
pictures.save(folder .. "/jem.png", draws, DRAWN)
E:save(folder .. "/jem.safetensors")
local seen = pictures.right(pictures.logits(plain, draws), classes)
print(("%d pictures of each class, from noise, a row each, are in %s/jem.png"):format(DRAWN, folder))
print(("the other network takes %.0f %% of them for what they should be"):format(100 * seen))

assert(right > (quick and .7 or .88), "few answers are right")
assert(scaled < .04 and scaled < ece + .005, "a temperature calibrates little")
assert(found.energy.noise > .99, "noise has as little energy as pictures")
assert(seen > (quick and .6 or .3), "draws of a class are of another")
