-- quiet.lua SAMPLER CHAINS THREADS -- run by check_quiet.lua under strace: after 200 ms of steps 10^5 and 2·10^5 more,
-- each between two marks in the trace (files that are not there).  Prints steps, allocations and seconds of each.
local neap = require "neap"
local name, chains, threads = arg[1], math.tointeger(arg[2]), math.tointeger(arg[3])

neap.set_threads(threads)
local E = neap.energy.mlp{sizes = {2, 16, 16}}
local samplers = {
  langevin = function () return neap.sampler.langevin{step_size = .01} end,
  hmc = function () return neap.sampler.hmc{step_size = .1, leapfrog_steps = 2} end,
  custom = function ()
    return neap.sampler.custom{step = function (E, st, rng)
      return {x = st.x - .01 * E:grad(st.x) + math.sqrt(.02) * rng:normal(st.x.shape)}
    end}
  end,
}
local s = samplers[name]()
local st = s:init(E, neap.randn(chains, 2), neap.rng(1))
local from = neap.clock()
while neap.clock() - from < .2 do st = s:step(E, st, 100) end

for _, steps in ipairs{100000, 200000} do
  local before, from = neap.memory().allocations, neap.clock()
  io.open "/nowhere/begin"
  st = s:step(E, st, steps)
  io.open "/nowhere/end"
  print(steps, neap.memory().allocations - before, neap.clock() - from)
end
