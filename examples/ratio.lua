-- ratio.lua -- which of two points is likelier, and by how much, without the normaliser.
--
-- log p(x) − log p(y) = E(y) − E(x): whatever the constant log Z is, it cancels.  A robot looks for its place on a
-- line.  It knows three landmarks and has measured its distance to each, one of them wrongly; the energy adds what each
-- measurement says to what it knew before.  Odds between places need no normaliser; at the end they are compared with
-- normalised probabilities, by quadrature, and with draws.

local neap = require "neap"

local landmarks = neap.tensor {0, 4, 10}
local measured = neap.tensor {3.1, .9, 1.5}                     -- the last would put the robot at 8.5 or 11.5

local E = neap.energy(function (x)                              -- x [B, 1] -> [B]
  local residual = ((x - landmarks):abs() - measured) / .3
  local misfit = 2 * (1 + residual:square() / 3):log()     -- Student's t, 3 degrees of freedom: forgives an outlier
  local prior = (x:squeeze(2) - 5):square() / (2 * 5 ^ 2)
  return misfit:sum(2) + prior
end, {event = {1}})

local places = neap.tensor {{3}, {3.1}, {5}, {8.5}, {11.5}}
local reference = neap.full({5, 1}, 3.1)
local odds = E:log_ratio(places, reference)

local log_z = E:log_z{method = "quadrature", lower = -60, upper = 60, points = 60001}
local normalised = E:log_prob(places, {log_z = log_z}) - E:log_prob(reference, {log_z = log_z})

print "place   log p(place)/p(3.1): from energies   from normalised densities"
for i = 1, 5 do
  print(("%5.1f %26.4f %26.4f"):format(places[i][1]:item(), odds[i]:item(), normalised[i]:item()))
end
assert((odds - normalised):abs():amax():item() < 1e-4)

-- How much probability lies near each place: by quadrature, and as the share of draws.
local walk = neap.sampler.random_walk{scale = 3}
local draws = walk:sample(E, {chains = 200, init = {"uniform", 0, 10}, steps = 3000, warmup = 500, seed = 1})
for _, place in ipairs {3.1, 8.5} do
  local line = neap.linspace(place - .75, place + .75, 3001):unsqueeze(2)
  local exact = 1.5 * E:log_prob(line, {log_z = log_z}):exp():mean():item()
  local share = (draws - place):abs():lt(.75):to("float32"):mean():item()
  print(("within 0.75 of %.1f: probability %.4f, share of draws %.4f"):format(place, exact, share))
  assert(math.abs(share - exact) < .004)
end
