-- rbm_likelihood.lua -- how good is a restricted Boltzmann machine?  Its log-likelihood, bracketed from both sides.
--
--   neap examples/rbm_likelihood.lua                          bars and stripes, in seconds
--   neap examples/rbm_likelihood.lua minutes [hidden = 500]   Fashion-MNIST, binarised at 0.5
--
-- The machine is trained by persistent contrastive divergence (Tieleman 2008).  The log Z of one with 784 visible and
-- 500 hidden units has no closed form.  Annealed importance sampling estimates it from the independent units of the
-- data's means upwards: too low on average, which flatters the model.  The same path walked back from the model's own
-- states errs the other way if these states are exact; they are ends of chains here, so the second figure is no proof,
-- but a gap would be a warning.

local neap = require "neap"

local minutes, hidden = tonumber(arg and arg[1]), tonumber(arg and arg[2]) or 500
local small = not minutes
neap.seed(1)

local function binarised (split)
  local x = neap.data.fashion_mnist(split)
  return x:reshape(x.shape[1], -1):gt(.5):float()
end

local train, test
if small then
  train, test, hidden = neap.data.bars_and_stripes(5000, {seed = 1}), neap.data.bars_and_stripes(2000, {seed = 2}), 20
else
  train, test = binarised "train", binarised "test"      -- Debian's package dataset-fashion-mnist
end

-- the biases start at the data's means, so that the hidden units need not learn them
local visible = train.shape[2]
local means = train:mean(1):clamp(.001, .999)
local E = neap.energy.rbm{visible = visible, hidden = hidden}:with{b = (means / (1 - means)):log()}
local params = E:params()
for _, p in ipairs(params) do p:requires_grad() end

local loss = neap.loss.pcd{sampler = neap.sampler.gibbs{}, steps = 5, buffer = 100}
local batches = neap.data.loader(train, {batch = 100})
local start, steps = neap.clock(), 0

-- the part of the training that is still to come
local function left ()
  return 1 - (small and steps / 10000 or (neap.clock() - start) / (60 * minutes))
end

while left() > 0 do
  local lr = .05 * left() + .001
  for _ = 1, 20 do
    local grads = neap.gradients(loss(E, batches:next()), params)
    neap.no_grad(function ()
      for i, p in ipairs(params) do p[{}] = p - lr * grads[i] end
    end)
    steps = steps + 1
  end
end
print(("%d x %d, %d updates of 100 pictures in %.0f s"):format(visible, hidden, steps, neap.clock() - start))

-- Forward and back.  A chain at a temperature costs two products with W.
local function estimate (method, temperatures)
  local log_z, info = E:log_z{method = method, base = train, chains = 100, temperatures = temperatures, seed = 1}
  local cost = info.seconds / info.chains / info.temperatures * (method == "ais" and 1 or .5)
  print(("%-11s log Z %.2f, 95 %% [%.2f, %.2f], ess %.0f of %d, %s starts, %.1f us a step of a chain"):format(method,
    log_z, info.interval[1], info.interval[2], info.ess, info.chains, info.starts, 1e6 * cost))
  return log_z
end

local temperatures = small and 1000 or 10000
local low, high = estimate("ais", temperatures), estimate("reverse_ais", temperatures)
local fit = -E(test):mean():item()
print(("test log-likelihood between %.2f and %.2f nats a picture (training: %.2f)"):format(fit - high, fit - low,
  -E(train:slice(1, 1, math.min(10000, train.shape[1]))):mean():item() - low))
if hidden <= 24 then print(("log Z exactly: %.2f"):format(E:log_z())) end
assert(high - low > -1 and high - low < 3, "forward and back do not agree")
