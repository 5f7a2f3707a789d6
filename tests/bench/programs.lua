-- programs.lua -- figures of programs that make bench has no peer for; prints them, asserts nothing.
--
--   build/neap tests/bench/programs.lua [runs]
--
-- What capturing the gradient of a network costs; what starting the program costs; and what a Langevin step of a sum of
-- three networks takes beside the gradients of the three and an update with its noise.
-- Invariant: what is compared is measured in turns, in CPU time of this process, after a run of each.

local here = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = here .. "/../?.lua;" .. package.path
local startup = require "bench.startup"
local runs = math.tointeger(arg[1]) or 41
local SIZES = {2, 128, 128}

local function median (t)
  table.sort(t)
  return t[#t // 2 + 1]
end

-- jobs: name -> function.  Medians of `runs` runs of each, in turns, in seconds.
local function in_turns (jobs)
  local times = {}
  for name, f in pairs(jobs) do f() times[name] = {} end
  for i = 1, runs do
    for name, f in pairs(jobs) do
      local from = os.clock()
      f()
      times[name][i] = os.clock() - from
    end
  end
  for name, t in pairs(times) do times[name] = median(t) end
  return times
end

-- ---- capturing ----

local capture = require("neap.core")._program.capture

local function capturing ()
  local E, x = neap.energy.mlp{sizes = SIZES}, neap.randn(100, 2)
  local function gradient (x) return E:grad(x) end
  local s = neap.sampler.langevin{step_size = .01}
  local state, program = s:init(E, x), capture(gradient, {x})
  local t = in_turns{capture = function () for _ = 1, 20 do capture(gradient, {x}) end end,
                     run = function () for _ = 1, 20 do program:run{x} end end,
                     first = function () for _ = 1, 20 do capture(gradient, {x}):run{x} end end,
                     steps = function () for _ = 1, 20 do s:step(E, state, 5) end end}
  for name in pairs(t) do t[name] = t[name] / 20 * 1e6 end
  print(("gradient of mlp 2-128-128-1, 100 rows: recorded three times and made a program in %.0f µs"):format(t.capture))
  print(("  its memory laid out in %.0f µs, run in %.0f µs"):format(t.first - t.capture - t.run, t.run))
  print(("  5 Langevin steps of it, recorded and found again: %.0f µs"):format(t.steps))
end

-- ---- starting ----

local function starting ()
  local seconds, peak = {}, {}
  for i = 1, runs do seconds[i], peak[i] = startup.run(startup.neap()) end
  print(("neap, from start to end: median %.1f ms, least %.1f ms; %.1f MB at most"):format(median(seconds) * 1e3,
    seconds[1] * 1e3, math.max(table.unpack(peak))))
end

-- ---- a sum of three networks ----

-- So many steps of step(E, x, rng) -> x as a sampler.
local function stepping (E, step, x, n)
  local s = neap.sampler.custom{step = function (E, state, rng) return {x = step(E, state.x, rng)} end}
  local state = s:init(E, x)
  return function () s:step(E, state, n) end
end

local function gradient (E, x) return E:grad(x) end
local function update (E, x, rng) return x - .01 * x + .14 * rng:normal(x.shape) end

local function composed (chains)
  local Es, x, n = {}, neap.randn(chains, 2), 100000 // chains
  for i = 1, 3 do Es[i] = neap.energy.mlp{sizes = SIZES} end
  local E, s = Es[1] + .5 * Es[2] - .2 * Es[3], neap.sampler.langevin{step_size = 1e-5}       -- x stays where it is
  local state = s:init(E, x)
  local jobs = {sum = function () s:step(E, state, n) end, update = stepping(E, update, x, n)}
  for i = 1, 3 do jobs[i] = stepping(Es[i], gradient, x, n) end
  local t = in_turns(jobs)
  for name in pairs(t) do t[name] = t[name] / n * 1e6 end
  local parts = t[1] + t[2] + t[3] + t.update
  print(("E1 + 0.5 E2 - 0.2 E3, %d chains: a step in %.1f µs"):format(chains, t.sum))
  print(("  three gradients and an update: %.1f + %.1f + %.1f + %.1f = %.1f µs; ratio %.3f"):format(t[1], t[2], t[3],
    t.update, parts, t.sum / parts))
end

capturing()
starting()
composed(100)
composed(1000)
