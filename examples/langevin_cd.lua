-- langevin_cd.lua -- contrastive divergence on two-dimensional data, the training loop written by hand.
--
-- The gradient of the log-likelihood is  ∇ mean E(samples of the model) − ∇ mean E(data):  training lowers the energy
-- where the data are and raises it where the model's own samples are, until the two cannot be told apart.  The samples
-- come from Langevin chains that go on from step to step (Tieleman 2008; Du and Mordatch 2019).  neap.loss.pcd and
-- neap.train do the same in two lines.  The data's true density is known here, so there is a figure to reach.

local neap = require "neap"
neap.seed(1)

local NOISE = .15
local data = neap.data.moons(20000, {noise = NOISE, seed = 1})

-- A network plus a weak quadratic, which keeps e^(−E) integrable wherever the network goes flat.
local E = neap.energy.mlp{sizes = {2, 96, 96}} + neap.energy.gaussian{mean = {0, 0}, std = 2}
local params = E:params()

local STEPS = 1500
local optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 5e-3, steps = STEPS}}
local langevin = neap.sampler.langevin{step_size = .01}                  -- x ← x − ε∇E(x) + √(2ε) n
local loader = neap.data.loader(data, {batch = 256})
local chains = 2 * neap.randn(256, 2)

for step = 1, STEPS do
  local positive = loader:next()

  -- Negatives: every chain makes ten more steps; one in fifty starts afresh, so that no valley goes unseen.
  local fresh = neap.rand(256, 1):lt(.02)
  chains = neap.where(fresh, 2 * neap.randn(256, 2), chains)
  chains = langevin:step(E, langevin:init(E, chains), 10).x

  -- The loss whose gradient that is; its last term keeps the energies from drifting off or growing steep.
  local up, down = E(positive), E(chains)
  local loss = up:mean() - down:mean() + .05 * (up:square():mean() + down:square():mean())
  optimizer:step(params, neap.gradients(loss, params))

  if step % 300 == 0 then
    print(("step %4d   mean energy of data %+.3f, of samples %+.3f"):format(step, up:mean():item(), down:mean():item()))
  end
end

-- How good is it?  The density the data come from: normals of std NOISE along two half circles, at 400 points of each.
local t = (neap.arange(1, 400) - .5) * (math.pi / 400)
local arcs = neap.cat({neap.stack({t:cos(), t:sin()}, 2), neap.stack({1 - t:cos(), .5 - t:sin()}, 2)}, 1)
local truth = neap.energy.gmm{means = arcs - neap.tensor {.5, .25}, std = NOISE}
local test = neap.data.moons(2000, {noise = NOISE, seed = 2})
local gaussian = neap.energy.gaussian{mean = data:mean(1), std = data:std(1)}

local log_z = E:log_z{method = "quadrature", lower = -5, upper = 5}
local reached = E:log_prob(test, {log_z = log_z}):mean():item()
local best = truth:log_prob(test):mean():item()
print "mean log-likelihood of new data, nats"
print(("  this model %.3f   their own density %.3f   one Gaussian %.3f"):format(
  reached, best, gaussian:log_prob(test):mean():item()))
assert(reached > best - .25, "the model is further from the data's density than it should be")

-- New samples: chains from noise, longer than any in training.
local samples = langevin:sample(E, {chains = 1000, init = 2 * neap.randn(1000, 2), warmup = 1000, steps = 1})[1]

local folder = arg[1] or "examples/out"
os.execute("mkdir -p '" .. folder .. "'")
local function density (title, energy, points)
  return neap.plot.energy(energy, {
    title = title, samples = points, xlim = {-2.2, 2.2}, ylim = {-1.6, 1.6}, width = 440, height = 320,
  })
end
local panels = {density("data", truth, test), density("learned, and its samples", E, samples)}
neap.plot.panels(panels):save(folder .. "/langevin_cd.png")
print("picture: " .. folder .. "/langevin_cd.png")
