-- methods.lua -- the work of the benchmark's rows, as users write it; each function returns work(units).
-- They take the energy, points and sizes, so that check_peer.lua can run them on numbers which the peer has too.

local methods = {}

-- work(units) does f() so many times
function methods.again (f)
  return function (units)
    for _ = 1, units do f() end
  end
end

-- x [chains, D]: units steps of Langevin's chains, from x in each run.  The second result is where the chains are.
function methods.langevin (E, x, step_size, noise_std)
  local sampler = neap.sampler.langevin{step_size = step_size, noise_std = noise_std}
  local state
  local function work (units)
    state = sampler:step(E, sampler:init(E, x), units)
  end
  return work, function () return state.x end
end

-- HMC on the 2-D standard normal as a Lua function
function methods.hmc (x, step_size, leapfrog_steps)
  local E = neap.energy(function (y) return .5 * (y * y):sum(2) end, {event = {2}})
  local sampler = neap.sampler.hmc{step_size = step_size, leapfrog_steps = leapfrog_steps}
  local state
  local function work (units)
    state = sampler:step(E, sampler:init(E, x), units)
  end
  return work, function () return state.x end
end

-- 4 chains of NUTS from a start of their own, half of their steps to warm up: about as many gradients as units; work
-- returns how many there were.  The second result gives the last run's info.
function methods.nuts (E)
  local steps_per_unit = 1 / 60                        -- 4 chains, 2 halves, some 7 gradients a step
  local sampler, info = neap.sampler.nuts{}, nil
  local function work (units)
    local steps = math.max(math.floor(units * steps_per_unit), 20)
    local options = {chains = 4, warmup = steps, steps = steps, dtype = "float64", progress = false}
    info = select(2, sampler:sample(E, options))
    return info.grad_evals
  end
  return work, function () return info end
end

-- units training steps.  The second result gives the last run's history.
function methods.training (E, batch, loss, optimizer)
  local history
  local function work (units)
    history = neap.train(E, batch, {loss = loss, optimizer = optimizer, steps = units, progress = false})
  end
  return work, function () return history end
end

function methods.cd (steps, step_size, noise_std, init, reg)
  local sampler = neap.sampler.langevin{step_size = step_size, noise_std = noise_std}
  return neap.loss.cd{sampler = sampler, steps = steps, init = init, reg = reg}
end

-- the textbook's network of images
function methods.conv ()
  return neap.energy.conv{input = {1, 32, 32}, channels = {16, 32, 64, 64}, kernels = {5, 3, 3, 3}, strides = 2, hidden = 64}
end

-- Sliced score matching (Song et al. 2019) by hand: ½(v·∇E)² − vᵀ∇²E v along a random v, by two forward tangents.
function methods.ssm (E, x, rng)
  local v = rng and rng:normal(x.shape) or neap.randn_like(x)
  local slope, curvature = neap.jvp(function (y) return select(2, neap.jvp(E, y, v)) end, x, v)
  return (.5 * slope:square() - curvature):mean()
end

-- CD-1 of an RBM on the batch v
function methods.rbm (E, v, lr)
  local loss = neap.loss.cd{sampler = neap.sampler.gibbs{}, steps = 1, init = "data"}
  return methods.training(E, function () return v end, loss, neap.optim.sgd{lr = lr})
end

-- a function of x and y, compiled where that is to be had
function methods.silu_mul_add ()
  local function f (x, y) return x:silu() * y + x end
  return neap.compile and neap.compile(f) or f
end

return methods
