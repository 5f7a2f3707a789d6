-- fisher_divergence.lua -- learning an energy whose score is known: a mixture of two Gaussians.
--
-- The mixture has its modes at (2, 2) and (-2, -2) with covariance 0.5 I.  The Fisher divergence ½ E|s(x) - s*(x)|²
-- compares the model's score s = -∇E with the true one, s* = ∇ log p.  A well-known tutorial forgets that minus sign;
-- its model learns the energy upside down, valleys where the data's hills are.  Both are trained here, so that one
-- can see the difference.

local p = neap.energy.gmm{means = neap.tensor {{2, 2}, {-2, -2}}, std = neap.tensor(math.sqrt(.5))}
local function log_prob (x) return -p(x) end

local function train (loss, seed)
  neap.seed(seed)
  local E = neap.energy.mlp{sizes = {2, 64, 64}}
  -- Points over the whole region where the scores are to agree: draws of p, blurred.
  local function batch () return p:sample(256) + neap.randn(256, 2) end
  local history = neap.train(E, batch, {loss = loss, steps = 1500, optimizer = neap.optim.adam{lr = 3e-3}})
  return E, history.loss[#history.loss]
end

-- The right sign, and the wrong one.
local right = train(neap.loss.fisher{log_prob = log_prob}, 1)
local function score_of_model_is_plus_gradient (E, x)
  local difference = E:grad(x) - neap.grad(function (y) return log_prob(y):sum() end)(x)
  return difference:square():sum(2):mean() / 2
end
local wrong = train(score_of_model_is_plus_gradient, 1)

-- Energies are known up to a constant: compare differences to the origin.
local points = neap.tensor {{2, 2}, {-2, -2}, {2, -2}, {1, 1}}
local origin = neap.zeros(4, 2)
local function relative (E) return (-E:log_ratio(points, origin)):totable() end
local truth, good, bad = relative(p), relative(right), relative(wrong)
print "energy relative to the origin      true    right sign   wrong sign"
for i, x in ipairs(points:totable()) do
  print(("  at (%4.1f, %4.1f)               %8.3f   %8.3f     %8.3f"):format(x[1], x[2], truth[i], good[i], bad[i]))
end

local x = p:sample(2000)
print(("Fisher divergence on the mixture:  right %.4f   wrong %.2f"):format(
  neap.loss.fisher{log_prob = log_prob}(right, x):item(), neap.loss.fisher{log_prob = log_prob}(wrong, x):item()))
