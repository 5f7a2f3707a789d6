-- denoising.lua -- denoising score matching with the gradient of a gradient, by hand and ready-made.
--
-- Noise n is added to the data, x̃ = x + σn.  The best guess of −n from x̃ alone is σ times the score of the blurred
-- data (Vincent 2011), so an energy is trained until σ·s(x̃) guesses it:  mean ½|σ s(x̃) + n|².  The score s = −∇ₓE is
-- a gradient itself, and the parameters' gradient goes through it.  The blurred moons are known exactly, so the score
-- learned can be compared with the true one.

local neap = require "neap"
neap.seed(1)

local NOISE, SIGMA, STEPS = .1, .15, 2000
local data = neap.data.moons(20000, {noise = NOISE, seed = 1})

local E = neap.energy.mlp{sizes = {2, 96, 96}}
local params = E:params()
local optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 5e-3, steps = STEPS}}
local loader = neap.data.loader(data, {batch = 256, seed = 1})

local function denoising_loss (x, rng)
  local n = rng:normal(x.shape)
  local noisy = (x + SIGMA * n):requires_grad()
  local slope = neap.gradients(E(noisy):sum(), noisy, {create_graph = true})      -- ∇ₓE, with a graph behind it
  return (n - SIGMA * slope):square():sum(2):mean() / 2
end

-- The ready-made loss is the same thing: with the same noise, the same number and the same gradients.
local ready_made = neap.loss.dsm{sigma = SIGMA}
local x = loader:next()
local by_hand, ready = denoising_loss(x, neap.rng(7)), ready_made(E, x, neap.rng(7))
print(("loss of one batch: by hand %.6f, neap.loss.dsm %.6f"):format(by_hand:item(), ready:item()))
assert(math.abs(by_hand:item() - ready:item()) < 1e-5)
-- (The energy's constant, the last bias, is in no score: it has no gradient, which allow_unused permits.)
local g1 = neap.gradients(by_hand, params, {allow_unused = true})
local g2 = neap.gradients(ready, params, {allow_unused = true})
for i, g in pairs(g1) do assert((g - g2[i]):abs():amax():item() < 1e-4) end

local rng = neap.rng(1)
for step = 1, STEPS do
  local loss = denoising_loss(loader:next(), rng)
  optimizer:step(params, neap.gradients(loss, params, {allow_unused = true}))
  if step % 400 == 0 then print(("step %4d   loss %.4f"):format(step, loss:item())) end
end

-- The blurred data: normals along two half circles, whose variances add.
local t = (neap.arange(1, 400) - .5) * (math.pi / 400)
local arcs = neap.cat({neap.stack({t:cos(), t:sin()}, 2), neap.stack({1 - t:cos(), .5 - t:sin()}, 2)}, 1)
local truth = neap.energy.gmm{means = arcs - neap.tensor {.5, .25}, std = math.sqrt(NOISE ^ 2 + SIGMA ^ 2)}

local test = neap.data.moons(2000, {noise = NOISE, seed = 2}) + SIGMA * neap.randn(2000, 2)
local true_score = truth:score(test)
local unexplained = ((E:score(test) - true_score):square():mean() / true_score:square():mean()):item()
print(("the learned score explains %.2f %% of the true score on new noisy data"):format(100 * (1 - unexplained)))

-- What the score is for: x̃ + σ²s(x̃) is the best guess of the clean point (Tweedie's formula).
local clean = neap.data.moons(2000, {noise = NOISE, seed = 3})
local noisy = clean + SIGMA * neap.randn(2000, 2)
local function error_of (y) return (y - clean):square():sum(2):mean():sqrt():item() end
print(("distance to the clean points: noisy %.4f, denoised %.4f, denoised by the true score %.4f"):format(
  error_of(noisy), error_of(noisy + SIGMA ^ 2 * E:score(noisy)), error_of(noisy + SIGMA ^ 2 * truth:score(noisy))))
assert(unexplained < .04, "the learned score is off")
