-- log_ratio.lua -- which of two points is likelier, and by how much, without a normaliser.
--
-- An energy gives log p(x) - log p(y) = E(y) - E(x): the constant cancels.  Here the energy is a product of an
-- unknown constant, a robust cost for a measured distance and a prior, as a robot that looks for its place on a line
-- might have.

-- Three landmarks and the distances measured to them, one of which is wrong.
local landmarks = neap.tensor {0, 4, 10}
local measured = neap.tensor {3.1, .9, 1.5}

-- Student's t with 3 degrees of freedom for each distance: large errors are not impossible.
local E = neap.energy(function (x)                       -- x [B, 1] -> [B]
  local residual = ((x - landmarks):abs() - measured) / .3
  return 2 * (1 + residual:square() / 3):log():sum(2) + (x:squeeze(2) - 5):square() / (2 * 5 ^ 2)
end, {event = {1}})

local places = neap.tensor {{3}, {3.1}, {5}, {8.5}, {11.5}}
local best = neap.full({#places, 1}, 3.1)
print "place    log p(place)/p(3.1)"
for i, v in ipairs(E:log_ratio(places, best):totable()) do print(("%5.1f    %8.3f"):format(places[i][1]:item(), v)) end

-- The same odds are those of samples: how often chains are near 3 rather than near 8.5.
local sampler = neap.sampler.random_walk{scale = 3}
local draws = sampler:sample(E, {chains = 200, steps = 2000, warmup = 500, seed = 1}):flatten()
local function share (centre) return (draws - centre):abs():lt(.75):to("float64"):mean():item() end
local z = E:log_z{method = "quadrature", lower = {-60}, upper = {60}, points = 60001}
local function exact (centre)
  local line = neap.linspace(centre - .75, centre + .75, 3001, {dtype = "float64"}):unsqueeze(2)
  return (E:log_prob(line, {log_z = z}):exp():mean() * 1.5):item()
end
print(("near 3.1: %.4f of the draws, exactly %.4f"):format(share(3.1), exact(3.1)))
print(("near 8.5: %.4f of the draws, exactly %.4f"):format(share(8.5), exact(8.5)))
