-- composition.lua -- concepts as energies: and, or, not, hotter, shifted.
--
-- Two energies that were never made for each other are put together by arithmetic, and sampled by the same sampler.
-- Everything is known in closed form up to a constant, so the shares of samples in each region can be checked by
-- quadrature.

local ring = neap.energy.ring{radius = 2, std = .25}
local right = neap.energy.gaussian{mean = neap.tensor {1.5, 0}, std = 1}

local cases = {
  {"ring", ring},
  {"right", right},
  {"ring and right", ring + right},
  {"ring or right", neap.energy.any{ring, right}},
  {"ring, not right", ring - .5 * right + .5 * neap.energy.gaussian{mean = neap.zeros(2), std = 1.2}},
  {"ring, 4 times hotter", ring / 4},
  {"ring, shifted by (1, 1)", ring:translate(neap.tensor {1, 1})},
}

-- The probability of x₁ > 0, by quadrature: the energy with a wall on the left, over the whole.
local function exact_share (E)
  local whole = E:log_z{method = "quadrature", lower = {-8, -8}, upper = {8, 8}, points = 801}
  local half = E:log_z{method = "quadrature", lower = {0, -8}, upper = {8, 8}, points = 801}
  return math.exp(half - whole)
end

neap.seed(1)
local panels = {}
print "                           P(x₁ > 0): draws    exact"
for i, case in ipairs(cases) do
  local name, E = case[1], case[2]
  local sampler = neap.sampler.hmc{step_size = .12, leapfrog_steps = 20}
  local draws = sampler:sample(E, {chains = 400, init = 2 * neap.randn(400, 2), steps = 100, warmup = 200, seed = i})
  local x = draws:reshape(100 * 400, 2)
  local share = x:select(2, 1):gt(0):to("float64"):mean():item()
  print(("%-34s %.3f    %.3f"):format(name, share, exact_share(E)))
  panels[i] = neap.plot.energy(E, {
    title = name, samples = draws[100], width = 220, height = 220, xlim = {-4, 4}, ylim = {-4, 4},
  })
end
neap.plot.panels(panels, {columns = 4}):save "composition.png"
print "picture: composition.png"
