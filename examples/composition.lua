-- composition.lua -- concepts as energies: and, or, not, hotter, shifted.
--
-- Energies that were never made for each other are put together by arithmetic: a sum is "and" (the product of the
-- densities), `any` is "or", a difference is "but not", a quotient is a temperature.  The result is an energy like any
-- other, drawn from by the same sampler.  In the plane every combination's probabilities are known by quadrature, and
-- stand beside the draws'.

local neap = require "neap"
neap.seed(1)

local ring = neap.energy.ring{radius = 2, std = .25}
local right = neap.energy.gaussian{mean = {1.5, 0}, std = 1}

local combinations = {
  {"ring", ring},
  {"right", right},
  {"ring + right", ring + right},
  {"any{ring, right}", neap.energy.any{ring, right}},
  {"ring - right/2", ring - .5 * right},             -- fine as long as the ring grows faster than half of right
  {"(ring + right)/4", (ring + right) / 4},
  {"ring:translate{1, 1}", ring:translate{1, 1}},
}

-- P(x₁ > 0): what lies on that side, over all.
local function exact_share (E)
  local all = E:log_z{method = "quadrature", lower = {-8, -8}, upper = {8, 8}, points = 401}
  local half = E:log_z{method = "quadrature", lower = {0, -8}, upper = {8, 8}, points = 401}
  return math.exp(half - all)
end

local panels = {}
print "                          P(x1 > 0): draws   exact"
for i, combination in ipairs(combinations) do
  local name, E = combination[1], combination[2]
  local sampler = neap.sampler.hmc{step_size = .12, leapfrog_steps = 20}
  local draws = sampler:sample(E, {chains = 400, init = 2 * neap.randn(400, 2), steps = 60, warmup = 100})
  local share, exact = draws:select(3, 1):gt(0):to("float32"):mean():item(), exact_share(E)
  print(("  %-24s %12.3f %9.3f"):format(name, share, exact))
  assert(math.abs(share - exact) < .04, name)
  panels[i] = neap.plot.energy(E, {
    title = name, samples = draws[-1], width = 240, height = 240, xlim = {-4, 4}, ylim = {-4, 4},
  })
end

local folder = arg[1] or "examples/out"
os.execute("mkdir -p '" .. folder .. "'")
neap.plot.panels(panels, {columns = 4}):save(folder .. "/composition.png")
print("picture: " .. folder .. "/composition.png")
