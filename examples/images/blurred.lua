-- blurred.lua -- an energy of pictures at many noise levels, E(x, σ), by denoising score matching: its network, its
-- training, pictures drawn from it.
--
-- At each level σ the data are blurred by noise σn, and E(·, σ) is trained until σ∇E(x + σn, σ) guesses n (Vincent
-- 2011; Song and Ermon 2019).  The energy is half the squared distance from a picture to what a U-Net makes of it
-- (Salimans and Ho 2021), E(x, σ) = ½|x − sF(x/s, log σ)|² / sσ with s² = σ² + ½: as much as pixels vary by, so that
-- the network sees numbers of one size at all levels.  Far out it is nearly |x|²/2σ², near the data as steep as noise
-- of σ asks for.
-- Invariant: pictures are [N, 1, 28, 28] in [-1, 1]; levels fall from 6, where all are one cloud, to 0.1.

local neap = require "neap"

local M = {}

-- n levels with one ratio between neighbours (Song and Ermon 2020)
function M.levels (n)
  local out = {}
  for i = 1, n do out[i] = 6 * (.1 / 6) ^ ((i - 1) / (n - 1)) end
  return out
end

-- What the U-Net is given: the picture, log σ, and where each pixel lies, with a frame, so that 32 halves thrice.
local across = neap.linspace(-1, 1, 28):reshape(1, 1, 1, 28)
local function planes (x, log_sigma)
  local sizes = {x.shape[1], 1, 28, 28}
  local level = (log_sigma / 2):reshape(-1, 1, 1, 1):expand(sizes)
  local all = neap.cat({x, level, across:expand(sizes), across:transpose(3, 4):expand(sizes)}, 2)
  return all:pad{{0, 0}, {0, 0}, {2, 2}, {2, 2}}
end

-- E(x, σ) with an untrained U-Net of these channels, whose first plane counts.
function M.energy (channels)
  local unet = neap.nn.unet{4, channels = channels}
  local function net (x, log_sigma)
    local s = ((2 * log_sigma):exp() + .5):sqrt():reshape(-1, 1, 1, 1)
    local back = unet(planes(x / s, log_sigma))[{{}, {1, 1}, {3, 30}, {3, 30}}]
    return ((x - s * back):square() / s):sum{2, 3, 4} / 2
  end
  return neap.energy.noise_conditional(neap.energy(net, {params = unet, event = {1, 28, 28}, name = "unet"}))
end

M.small = {channels = {8, 24, 48, 48}, levels = 12, batch = 32, steps = 320, decay = .97}       -- half a minute
M.large = {channels = {16, 32, 64, 64}, levels = 12, batch = 64, steps = 12000, decay = .999}

-- A model {E =, sigmas =, size =} trained on pictures x; its parameters are averages over steps.
function M.train (size, x, seed)
  local E, sigmas = M.energy(size.channels), M.levels(size.levels)
  local began, average = neap.clock(), neap.ema(E:params(), {decay = size.decay})
  local fall = neap.schedule.cosine{lr = 2e-3, steps = size.steps}
  neap.train(E, x, {
    loss = neap.loss.multi_dsm{sigmas = sigmas}, batch = size.batch, steps = size.steps, seed = seed,
    optimizer = neap.optim.adam{lr = neap.schedule.warmup{steps = 20, lr = fall}}, clip_grad = 500, guard = true,
    ema = average, progress = false, every = size.steps // 8,
    log = function (r) print(("step %5d   loss %6.1f   %4.0f s"):format(r.step, r.loss, neap.clock() - began)) end})
  return {E = E:with(average:params()), sigmas = sigmas, size = size}
end

function M.save (path, model)
  neap.save(path, {size = model.size, params = model.E:params()})
end

-- The model of a file that save wrote; without one a small one is trained.
function M.open (path, x, seed)
  if not path then return M.train(M.small, x, seed) end
  local saved = neap.load(path)
  return {E = M.energy(saved.size.channels):with(saved.params), sigmas = M.levels(saved.size.levels), size = saved.size}
end

-- The sampler of a model: eight moves at each level, which shrink what is left of the level before to a tenth.
function M.sampler (model)
  return neap.sampler.annealed_langevin{sigmas = model.sigmas, step_size = .25 * .1 ^ 2, steps = 8}
end

-- n pictures from noise, a hundred at a time
function M.draw (model, n, seed)
  local out, sampler, rng = {}, M.sampler(model), neap.rng(seed)
  for first = 1, n, 100 do
    local start = 6 * rng:normal{math.min(100, n - first + 1), 1, 28, 28}
    local x = sampler:sample(model.E, {chains = #start, init = start, seed = seed + first})
    out[#out + 1] = M.denoise(model.E, x[1], .1)
  end
  return neap.cat(out, 1)
end

-- E(·, σ), and σ|∇E(·, σ)| as a function of pictures: how long the noise is that the model sees in them.
function M.level (model, sigma)
  local E = model.E:given(neap.tensor{sigma})
  return E, function (x) return sigma * neap.no_grad(E.grad, E, x):square():sum{2, 3, 4}:sqrt() end
end

-- Such lengths at several levels, as logarithms, and the normal law that they follow for pictures x: its energy tells
-- how odd others are (Mahmood, Oliva and Styner 2021).
function M.lengths (model, x)
  local at = {}
  for i = 2, #model.sigmas, 3 do at[#at + 1] = select(2, M.level(model, model.sigmas[i])) end
  local function all (y)
    local out = {}
    for i, length in ipairs(at) do out[i] = length(y):log() end
    return neap.stack(out, 2):double()
  end
  local seen = all(x)
  local mean = seen:mean(1)
  local off = seen - mean
  local law = neap.energy.gaussian{mean = mean:totable(), cov = (off:t():matmul(off) / #off):totable()}
  return function (y) return law(all(y)) end
end

-- The best guess of the pictures that noise of σ made x of: x − σ²∇E (Tweedie's formula).
function M.denoise (E, x, sigma)
  return (x - sigma ^ 2 * neap.no_grad(E.grad, E, x, neap.full({#x, 1}, sigma))):clamp(-1, 1)
end

return M
