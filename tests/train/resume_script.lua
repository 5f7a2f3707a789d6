-- resume_script.lua -- a training run that goes on from its checkpoint: neap resume_script.lua CHECKPOINT OUT STEPS.
-- OUT gets, when it ends, all that must not depend on where it was stopped.  CHECKPOINT "": no checkpoint.

local path, out, steps = arg[1], arg[2], math.tointeger(arg[3])

neap.seed(1)
local E = neap.energy.mlp{sizes = {2, 24, 24}}
local loss = neap.loss.pcd{sampler = neap.sampler.langevin{step_size = .01}, steps = 5, buffer = 300, reinit = .05,
                           reg = .1}
local optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 1e-2, steps = steps}}
local history = neap.train(E, neap.data.moons(500, {seed = 2}), {
  loss = loss, optimizer = optimizer, batch = 64, steps = steps, seed = 3, ema = .99, every = 7, guard = true,
  checkpoint = path ~= "" and {path = path, every = 3} or nil, resume = path ~= "", progress = false,
})
neap.save(out, {params = E:params(), ema = history.ema:state(), chains = loss:state(), optimizer = optimizer:state(),
                step = history.step, loss = history.loss, norm = history.grad_norm, random = neap.rng_state()})
