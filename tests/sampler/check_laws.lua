-- check_laws.lua -- test_laws.lua with ten times the steps and four times the chains, and laws that take long.

local lu = require "luaunit"
local law = require "sampler.law"
law.longer, law.more = 10, 4
local T = dofile((arg[1]:gsub("check_laws", "test_laws")))

-- The funnel from a start outside its neck: hmc with a short step reaches all of it.
function T.test_funnel_is_found ()
  local E = neap.energy.funnel{dim = 2}
  local s = neap.sampler.hmc{step_size = .02, leapfrog_steps = 75}
  local draws = s:sample(E, {chains = 400, steps = 800, warmup = 800, seed = 1, dtype = "float64"})
  local v = draws:select(3, 1)
  for below, p in pairs{[-5] = .047790, [0] = .5} do
    local z = law.z(v, function (x) return x:lt(below):to "float64" end, p)
    lu.assertTrue(math.abs(z) < 4, ("P(v < %g): z = %.2f"):format(below, z))
  end
  local u = draws:select(3, 2) * (v / -2):exp()
  local z = law.z(u, function (x) return x:abs():lt(1):to "float64" end, 2 * law.normal_cdf(1) - 1)
  lu.assertTrue(math.abs(z) < 4, ("P(|x e^(-v/2)| < 1): z = %.2f"):format(z))
end

-- In float32, where most runs are made.
function T.test_float32_keeps_the_law ()
  local E = neap.energy.gaussian{mean = {1, -.5}, cov = {{1, .6}, {.6, .8}}}
  for _, s in ipairs{neap.sampler.mala{step_size = .3}, neap.sampler.hmc{step_size = .3, leapfrog_steps = 4}} do
    local draws = s:sample(E, {chains = 512, steps = 1000, warmup = 200, seed = 2}):double()
    local z, name = law.worst(law.moments(draws, {1, -.5}, {{1, .6}, {.6, .8}}))
    lu.assertTrue(z < 4, ("%s: %s: z = %.2f"):format(s, name, z))
  end
end

return T
