-- langevin_cd.lua -- contrastive divergence on two-dimensional data, the training loop written by hand.
--
-- A network gives every point of the plane an energy.  Training lowers it at data and raises it where short Langevin
-- runs that start at the data end up; when both balance, the model's samples look like the data.  The picture shows
-- the density that was learned, with data and samples.

local x = neap.data.moons(4096, {seed = 1})

neap.seed(2)
local E = neap.energy.mlp{sizes = {2, 128, 128}}
local sampler = neap.sampler.langevin{step_size = .01}
local optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 1e-3, steps = 1500}}
local loader = neap.data.loader(x, {batch = 128, seed = 3})

for step = 1, 1500 do
  local positive = loader:next()
  local chain = sampler:step(E, sampler:init(E, positive), 30)      -- 30 steps downhill, with noise
  local negative = chain.x

  local up, down = E(positive), E(negative)
  local loss = up:mean() - down:mean() + .05 * (up:square() + down:square()):mean()

  local params = E:params()
  optimizer:step(params, neap.gradients(loss, params))
  if step % 300 == 0 then
    print(("step %4d   energy of data %7.3f   of samples %7.3f"):format(step, up:mean():item(), down:mean():item()))
  end
end

-- Fresh samples: long chains from noise, and how far they are from new data.
local draws = neap.sampler.mala{step_size = .01}:sample(E, {chains = 1000, steps = 1, warmup = 1500, seed = 4})[1]
local fresh = neap.data.moons(1000, {seed = 5})
print(("MMD² between samples and new data: %.4f (between two sets of data: %.4f)"):format(
  neap.metric.mmd(draws, fresh, {bandwidth = .3}),
  neap.metric.mmd(neap.data.moons(1000, {seed = 6}), fresh, {bandwidth = .3})))

local xlim, ylim, width, height = {-2, 2}, {-1.5, 1.5}, 400, 300
local data = neap.plot.scatter(fresh, {title = "new data", xlim = xlim, ylim = ylim, width = width, height = height})
local learned = neap.plot.energy(E, {
  title = "learned density and samples", samples = draws, xlim = xlim, ylim = ylim, width = width, height = height,
})
neap.plot.panels{data, learned}:save "langevin_cd.png"
print "picture: langevin_cd.png"
