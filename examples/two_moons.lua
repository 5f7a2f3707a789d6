-- two_moons.lua -- six ways to train an energy on two moons, judged by exact numbers.
--
--   neap examples/two_moons.lua [method …] [--steps N] [--seed N] [--picture FILE.png]
--
-- Contrastive divergence, its persistent form, noise contrastive estimation, sliced score matching, denoising at many
-- noise levels and diffusion recovery train the same network on the same 8192 points for 6000 steps.  The plane is
-- small enough for the truth: the data's density is an integral along two arcs, and log Z of an energy is one over a
-- grid, so the mean log-likelihood of 4000 new points is exact, beside that of the truth.  Samples come from
-- HMC on the trained energy, which has no bias of its own: what is off is the energy.  Chains in training start at the
-- data, or go on from the step before.  They are Metropolis's random walks: in the plane a step without a gradient
-- costs half as much, and steps of 0.3 lead from moon to moon.  Langevin's must be shorter than the moons are wide,
-- seldom cross, and leave the two moons' shares wrong.

local neap = require "neap"

local NOISE, STEPS, BATCH = .1, 6000, 256
local SIGMAS = {}                                      -- 2 … 0.05, evenly in the logarithm
for i = 0, 11 do SIGMAS[i + 1] = 2 * (.05 / 2) ^ (i / 11) end
local LEVELS = {2, .5, .05}                            -- of diffusion recovery

-- log density [n] of the moons blurred by N(0, std²), as neap.data.moons has them: the mean over both arcs
local function log_density (x, std)
  local n = 2000
  local t = (neap.arange(1, n, {dtype = "float64"}) - .5) * (math.pi / n)
  local arcs = neap.cat({neap.stack({t:cos() - .5, t:sin() - .25}, 2), neap.stack({.5 - t:cos(), .25 - t:sin()}, 2)}, 1)
  local out = {}
  for first = 1, #x, 500 do
    local part = x:slice(1, first, math.min(first + 499, #x)):double()
    local square = ((part:unsqueeze(2) - arcs:unsqueeze(1)) ^ 2):sum(3)
    out[#out + 1] = (-square / (2 * std * std)):logsumexp(2) - math.log(2 * n) - math.log(2 * math.pi * std * std)
  end
  return neap.cat(out, 1)
end

local function network (condition) return neap.energy.mlp{sizes = {2, 128, 128}, condition = condition} end

local walk, noise = neap.sampler.random_walk{scale = .3}, neap.energy.gaussian{mean = {0, 0}, std = {1, .7}}

-- name -> energy, loss; blurred: the energy to judge is that of the data blurred by the least noise level
local METHODS = {
  {"cd", function () return network(), neap.loss.cd{sampler = walk, steps = 20} end},
  {"pcd", function () return network(), neap.loss.pcd{sampler = walk, steps = 20, buffer = 8192} end},
  {"nce", function () return network(), neap.loss.nce{noise = noise, ratio = 4} end},
  {"ssm", function () return network(), neap.loss.ssm{} end},
  {"multi_dsm", function ()
    local sigmas = table.move(SIGMAS, 1, 12, 1, {})    -- the least, which is judged, is drawn five times as often
    for _ = 1, 4 do sigmas[#sigmas + 1] = SIGMAS[12] end
    return neap.energy.noise_conditional(network(1)), neap.loss.multi_dsm{sigmas = sigmas, antithetic = true}
  end, blurred = true},
  {"diffusion_recovery", function ()
    local o = {sigmas = LEVELS, sampler = neap.sampler.random_walk{scale = .6}, steps = 24, init = "data"}
    return network(1), neap.loss.diffusion_recovery(o)
  end, blurred = true},
}

local function judge (E, std, seed)
  local fresh = neap.data.moons(4000, {noise = std, seed = 100 * seed + 2})
  local sampler = neap.sampler.hmc{step_size = .05, leapfrog_steps = 20}
  local draws, info = sampler:sample(E, {chains = 4000, steps = 60, thin = 60, seed = 100 * seed + 3})
  local log_z = E:log_z{method = "quadrature", lower = {-4, -4}, upper = {4, 4}, points = 801}
  return {
    fd = neap.metric.frechet(draws[1], fresh), accept = info.accept_rate,
    mmd = neap.metric.mmd(draws[1]:slice(1, 1, 2000), fresh:slice(1, 1, 2000), {bandwidth = .3}),
    likelihood = -E(fresh:double()):mean():item() - log_z, truth = log_density(fresh, std):mean():item(),
  }
end

local function train (method, steps, seed)
  neap.seed(seed)
  local start = neap.clock()
  local E, loss = method[2]()
  local optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 3e-3, steps = steps}}
  local o = {loss = loss, optimizer = optimizer, batch = BATCH, steps = steps, seed = seed}
  neap.train(E, neap.data.moons(8192, {seed = 100 * seed + 1}), o)
  return E, neap.clock() - start
end

local options, wanted, pictures = {steps = STEPS, seed = 1}, {}, {}
for i, word in ipairs(arg or {}) do
  local option = arg[i - 1] and arg[i - 1]:match "^%-%-(.+)"
  if option then options[option] = math.tointeger(word) or word
  elseif not word:find "^%-%-" then wanted[word] = true end
end

print "method                  FD     MMD²   log-likelihood, of the truth   seconds"
for _, method in ipairs(METHODS) do
  if next(wanted) == nil or wanted[method[1]] then
    local E, seconds = train(method, options.steps, options.seed)
    local std = NOISE
    if method.blurred then
      E, std = E:given(neap.tensor{SIGMAS[#SIGMAS]}), math.sqrt(NOISE ^ 2 + SIGMAS[#SIGMAS] ^ 2)
    end
    local r = judge(E, std, options.seed)
    print(("%-20s %7.4f  %7.4f          %7.3f       %7.3f   %7.1f"):format(method[1], r.fd, r.mmd, r.likelihood,
      r.truth, seconds))
    pictures[#pictures + 1] = neap.plot.energy(E, {title = method[1], xlim = {-2, 2}, ylim = {-1.5, 1.5}, height = 240})
  end
end
if options.picture then neap.plot.panels(pictures, {columns = 3}):save(options.picture) end
