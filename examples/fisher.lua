-- fisher.lua -- learns an energy from a known score: the Fisher divergence against a mixture of two Gaussians.
--
-- The mixture has its modes at (2, 2) and (-2, -2), each with covariance 0.5 I.  The Fisher divergence  mean ½|s(x) −
-- s*(x)|² compares the model's score s = −∇E with the true one, s* = ∇ log p.  Both signs matter.  A well-known
-- tutorial gives ∇E the sign of the score (it compares +∇E with ∇ log p), and so learns the energy upside down: hills
-- where the data are, valleys between.  Here the right loss is trained beside that mistake.

local neap = require "neap"

local p = neap.energy.gmm{means = {{2, 2}, {-2, -2}}, covs = {{{.5, 0}, {0, .5}}, {{.5, 0}, {0, .5}}}}

-- sign = −1: the score is −∇E.  sign = +1: the mistake.
local function train (sign)
  neap.seed(1)
  local E = neap.energy.mlp{sizes = {2, 64, 64}}
  local params = E:params()
  local optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 5e-3, steps = 1500}}

  for _ = 1, 1500 do
    -- Draws of the mixture, spread out: between the modes the two scores are to agree as well.
    local x = p:sample(256) + 1.5 * neap.randn(256, 2)

    local score = sign * E:grad(x)
    local loss = (score - p:score(x)):square():sum(2):mean() / 2

    -- No score has the last layer's bias in it, a constant of the energy: that parameter has no gradient.
    optimizer:step(params, neap.gradients(loss, params, {allow_unused = true}))
  end
  return E
end

local right, wrong = train(-1), train(1)

-- An energy is known up to a constant, so compare E(x) − E(0); the origin is the pass between the modes.
local points = neap.tensor {{2, 2}, {-2, -2}, {1, 1}, {2, -2}}
local function above_origin (E) return E(points) - E(neap.zeros(1, 2)) end
local truth, good, bad = above_origin(p), above_origin(right), above_origin(wrong)

print "E(x) − E(0,0)               truth    learned   with the sign wrong"
for i, name in ipairs {"mode ( 2,  2)", "mode (-2, -2)", "way   ( 1,  1)", "far   ( 2, -2)"} do
  print(("  %-20s    %7.3f    %7.3f    %7.3f"):format(name, truth[i]:item(), good[i]:item(), bad[i]:item()))
end

local fisher = neap.loss.fisher{score = function (x) return p:score(x) end}           -- the same loss, ready-made
local x = p:sample(2000)
print(("Fisher divergence on draws of the mixture: %.4f (perfect: 0); with the sign wrong %.1f"):format(
  fisher(right, x):item(), fisher(wrong, x):item()))

assert((good - truth):abs():amax():item() < .5, "the learned energy is off")
assert(bad[1]:item() > 5 and bad[2]:item() > 5, "the mistake makes hills of the modes")
