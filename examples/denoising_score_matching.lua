-- denoising_score_matching.lua -- a gradient of a gradient, by hand.
--
-- Noise n is added to data, x' = x + σ n.  The best guess of the noise from x' alone is -σ times the score of the
-- blurred data (Vincent 2011), so a model whose score guesses it has learned the density: minimise ½ |σ s(x') + n|²,
-- where s = -∇ₓE is itself a gradient.  The loss's gradient by the parameters goes through it.

local sigma = .15
local x = neap.data.two_spirals(8192, {seed = 1, noise = .05})

neap.seed(2)
local E = neap.energy.mlp{sizes = {2, 128, 128}}
local params = E:params()
local optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 3e-3, steps = 2000}}
local loader = neap.data.loader(x, {batch = 256, seed = 3})

for step = 1, 2000 do
  local clean = loader:next()
  local noise = neap.randn(clean.shape)
  local noisy = (clean + sigma * noise):requires_grad()

  -- ∇E, still a function of the parameters
  local slope = neap.gradients(E(noisy):sum(), noisy, {create_graph = true})
  local loss = (noise - sigma * slope):square():sum(2):mean() / 2

  -- The last layer's bias moves E as a whole and has no part in its slope: it is unused.
  optimizer:step(params, neap.gradients(loss, params, {allow_unused = true}))
  if step % 400 == 0 then print(("step %4d   loss %.4f"):format(step, loss:item())) end
end

-- The guess takes noise away: one step along the score moves noisy points nearer to the spirals.
local clean = neap.data.two_spirals(2000, {seed = 7, noise = 0})
local noisy = clean + sigma * neap.randn(2000, 2)
local denoised = noisy + sigma ^ 2 * E:score(noisy)
local function distance (y)            -- root mean square of the distance to the nearest clean point
  return (y:unsqueeze(2) - clean:unsqueeze(1)):square():sum(3):amin(2):mean():sqrt():item()
end
print(("distance to the spirals: noisy %.3f, denoised %.3f"):format(distance(noisy), distance(denoised)))
