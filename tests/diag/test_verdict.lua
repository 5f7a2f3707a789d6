-- test_verdict.lua -- what a run says of itself, while it goes on and at its end.

local lu = require "luaunit"
local cli = require "cli.support"
local folder = require "files.folder"
local T = {tearDown = folder.clean}

-- draws of chains at shift + scale·n, two coordinates that are alike
local function run (shift, scale, steps)
  local b, a = neap.tensor(shift):unsqueeze(2), neap.tensor(scale):unsqueeze(2)
  local kernel = neap.sampler.custom{step = function (_, state, rng) return {x = b + a * rng:normal(#shift, 2)} end}
  local E = neap.energy.gaussian{mean = {0, 0}, std = 1}
  return select(2, kernel:sample(E, {init = neap.zeros(#shift, 2), steps = steps or 400, seed = 1}))
end

function T.test_a_chain_that_is_stuck ()
  local info = run({0, 5, 0, 0}, {1, 0, 1, 1})
  lu.assertStrMatches(info.verdict,
    "3 of 4 chains agree; chain 2 is stuck near x = %[5, 5%] %(rhat [%d.]+, of the others 1%.0%d%d%)")
  lu.assertStrContains(tostring(info), "chain 2 is stuck")
  local rhat, others = info.verdict:match "rhat ([%d.]+), of the others ([%d.]+)"
  lu.assertAlmostEquals(tonumber(rhat), info.rhat:amax():item(), 1e-3)
  local rest = info.draws:index_select(2, neap.tensor({1, 3, 4}, {dtype = "int64"}))
  lu.assertAlmostEquals(tonumber(others), neap.diag.rhat(rest):amax():item(), 1e-3)
end

function T.test_a_chain_that_wanders ()
  lu.assertStrContains(run({0, 0, 0, 0}, {1, 1, 40, 1}).verdict, "3 of 4 chains agree; chain 3 wanders (rhat")
end

-- a point in the middle of where the others are: only their distance from the median tells
function T.test_a_chain_that_stays_in_the_middle ()
  local verdict = run({0, 0, 0, 0, 0}, {1, 1, 1, 0, 1}).verdict
  lu.assertStrContains(verdict, "4 of 5 chains agree; chain 4 is stuck near x = [0, 0]")
end

function T.test_several_chains ()
  local shift, scale = {}, {}
  for i = 1, 12 do shift[i], scale[i] = 0, 1 end
  shift[3], shift[9] = 8, -8
  lu.assertStrContains(run(shift, scale).verdict, "10 of 12 chains agree; chain 3 is stuck near")
  for _, i in ipairs{1, 3, 5, 9} do shift[i] = 20 + i end
  lu.assertStrContains(run(shift, scale).verdict, "8 of 12 chains agree; chains 1, 3, 5, 9 do not (rhat")
end

function T.test_no_majority ()
  lu.assertStrMatches(run({0, 6, 0, 6}, {1, 1, 1, 1}).verdict, "not converged: rhat [%d.]+, want 1.01 or less")
  lu.assertStrContains(run({0, 6}, {1, 1}).verdict, "not converged: rhat")
  lu.assertStrContains(run({0, 6, -6, 12, 3}, {1, 1, 1, 1, 1}).verdict, "not converged: rhat")
end

-- Four chains of Metropolis in two wells with a high wall between them.
function T.test_two_wells ()
  local E = neap.energy.double_well{barrier = 30}
  local _, info = neap.sampler.mala{step_size = .003}:sample(E, {init = {{1}, {1}, {-1}, {1}}, steps = 4000, seed = 1})
  lu.assertStrMatches(info.verdict, "3 of 4 chains agree; chain 3 is stuck near x = %[%-0?[%d.]+%].*")
end

function T.test_divergences_are_not_to_be_trusted ()
  local E = neap.energy.funnel{dim = 3}
  local _, info = neap.sampler.hmc{step_size = 2, leapfrog_steps = 20}:sample(E, {steps = 100, seed = 1})
  lu.assertTrue(info.divergences > 0)
  lu.assertStrContains(info.verdict, ("%d divergences: do not trust these draws"):format(info.divergences))
end

-- ---- progress ----

function T.test_a_function_sees_the_draws_so_far ()
  local seen = {}
  local function look (done, total, info)
    seen[#seen + 1] = {done = done, total = total, draws = info.draws.shape[1], accept = info.accept_rate,
                       ess = info.ess and info.ess:amin():item(), line = tostring(info)}
  end
  local E = neap.energy.gaussian{mean = {0, 0}, std = 1}
  local _, info = neap.sampler.mala{step_size = .5}:sample(E, {steps = 100, warmup = 20, progress = look, seed = 1})
  local last = seen[#seen]
  lu.assertEquals({last.done, last.total, last.draws}, {120, 120, 99})
  lu.assertEquals(last.accept, info.accept_rate)
  lu.assertTrue(last.ess > 10 and last.ess < 1600)
  lu.assertStrContains(last.line, "mala: 99 draws of 4 chains")
  lu.assertEquals(seen[1].draws, 0)
end

-- What a script's run shows on standard error.
local function shown (options, energy)
  local path = folder.write("watched.lua", ([[
    local neap = require "neap"
    local E = %s
    neap.sampler.mala{step_size = .5}:sample(E, {steps = 200000, thin = 4, warmup = 10, seed = 1, %s})
  ]]):format(energy or "neap.energy(function (x) return x:square():sum(2) / 2 end, {event = {2}})", options))
  local out, err, code = cli.run(("%s/neap %s"):format(cli.quote(cli.build), cli.quote(path)))
  lu.assertEquals({out, code}, {"", 0})
  return (err:gsub("neap: OpenBLAS[^\n]*\n", ""))                         -- what the serial flavour has said of it
end

function T.test_the_line ()
  local text = shown "progress = true"
  lu.assertStrContains(text, "\rmala: ")
  lu.assertStrMatches(text, ".*\rmala: %d+ of 200010 steps, %d+ s left, accept rate 0%.%d+, ess %d+, rhat 1%.%d+ .*")
  lu.assertStrMatches(text, ".*\r\27%[Kmala: 50000 draws of 4 chains in [%d.]+ s, accept rate 0%.%d+, ess %d+, "
                      .. "rhat 1%.00%d, ok\n")
  lu.assertEquals(shown "progress = false", "")
  lu.assertEquals(shown "", "")                       -- no terminal
end

return T
