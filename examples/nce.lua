-- nce.lua -- noise contrastive estimation: a normalised density from a classifier.
--
-- The model learns to tell data from noise of known density.  The best classifier's log odds are log p(x) − log
-- p_noise(x) − log ν, with ν noise points for each data point; so if the log odds are made of an energy and a number,
-- −E(x) − log Z, both are learned together, and what comes out is normalised (Gutmann and Hyvärinen 2012).  On the
-- plane log Z can be had by quadrature as well.

local neap = require "neap"
neap.seed(1)

local p = neap.energy.gmm{means = {{2, 0}, {-1, 1.7}, {-1, -1.7}}, std = .4}
local noise = neap.energy.gaussian{mean = {0, 0}, std = 2}
local data, test = p:sample(20000), p:sample(4000)

local RATIO, BATCH, STEPS = 4, 256, 2000
local E = neap.energy.mlp{sizes = {2, 64, 64}}
local log_z = neap.zeros(1):requires_grad()
local params = E:params()
params[#params + 1] = log_z

local optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 5e-3, steps = STEPS}}
local loader = neap.data.loader(data, {batch = BATCH, drop_last = true})

-- log odds that x is data and not noise
local function log_odds (x)
  return -E(x) - log_z - noise:log_prob(x) - math.log(RATIO)
end

for step = 1, STEPS do
  local x, y = loader:next(), noise:sample(RATIO * BATCH)
  local loss = -log_odds(x):log_sigmoid():mean() - RATIO * (-log_odds(y)):log_sigmoid():mean()
  optimizer:step(params, neap.gradients(loss, params))
  if step % 400 == 0 then print(("step %4d   loss %.4f   log Z %.4f"):format(step, loss:item(), log_z:item())) end
end

-- neap.loss.nce is the same, with log Z in loss:params(); neap.train finds it there.

local exact = E:log_z{method = "quadrature", lower = -8, upper = 8}
print(("log Z: learned %.3f, by quadrature %.3f"):format(log_z:item(), exact))
local by_model = E:log_prob(test, {log_z = exact}):mean():item()
local by_truth = p:log_prob(test):mean():item()
print(("mean log-likelihood of new data: model %.3f, truth %.3f, the noise alone %.3f"):format(
  by_model, by_truth, noise:log_prob(test):mean():item()))
assert(math.abs(log_z:item() - exact) < .15, "the learned normaliser is off")
assert(by_truth - by_model < .1, "the learned density is off")
