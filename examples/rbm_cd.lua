-- rbm_cd.lua -- a restricted Boltzmann machine by CD-k, small enough to be checked exactly.
--
-- The data are 4 × 4 pictures of bars or stripes.  With 16 visible units the normaliser is a sum over the states of
-- one side, so the likelihood is exact: no model can do better than 3.379 nats a picture, the entropy of the data.

neap.seed(1)
local x = neap.data.bars_and_stripes(5000, {seed = 1})
local E = neap.energy.rbm{visible = 16, hidden = 20}

local function nats (E) return (E(x):mean() + E:log_z()):item() end     -- -log p, averaged over the data
print(("before training           %.3f nats"):format(nats(E)))

for _, k in ipairs {1, 10} do
  E = neap.energy.rbm{visible = 16, hidden = 20}
  neap.train(E, x, {
    loss = neap.loss.cd{sampler = neap.sampler.gibbs{}, steps = k}, batch = 50, steps = 6000, seed = 2,
    optimizer = neap.optim.sgd{lr = neap.schedule.linear{lr = .2, final = .01, steps = 6000}, momentum = .5},
  })
  print(("after CD-%-2d               %.3f nats"):format(k, nats(E)))
end
print(("the data's own entropy    %.3f nats"):format(3.379))

-- New pictures: Gibbs chains from noise.
local draws = neap.sampler.gibbs{}:sample(E, {chains = 64, steps = 1, warmup = 1000, seed = 3})[1]
local p = draws:reshape(64, 4, 4)
local rows, columns = p:eq(p[{{}, {1, 1}, {}}]):all({2, 3}), p:eq(p[{{}, {}, {1, 1}}]):all({2, 3})
local good = neap.logical_or(rows, columns):to("float32"):sum():item()
print(("%d of 64 new pictures are bars or stripes"):format(good))
neap.plot.images(p:repeat_interleave(8, 2):repeat_interleave(8, 3), {columns = 16}):save "rbm_cd.png"
print "picture: rbm_cd.png"
