-- test_examples.lua -- the other examples run as they stand, and come near to the truth they print.

local lu = require "luaunit"
local example = require "examples.example"
local run, numbers = example.run, example.numbers

local T = {tearDown = example.clean}

function T.test_metropolis ()
  example.skip_if_slow()
  local out = run "examples/metropolis.lua"
  local truths = {["E x1 "] = 0, ["E x1^2 "] = 1, ["E x2 "] = 0, ["E x2^2 "] = 2.25, ["E x1^2 x2 "] = 2}
  for name, truth in pairs(truths) do
    local n = numbers(out, name)
    lu.assertEquals(n[3], truth)
    lu.assertAlmostEquals(n[1], truth, 4 * n[2] + 1e-3)
  end
  lu.assertAlmostEquals(numbers(out, "by hand: ")[1], numbers(out, "chains,")[1], 2)
end

function T.test_ratio ()
  local out = run "examples/ratio.lua"
  for _, place in ipairs {"  3.0", "  5.0", "  8.5", " 11.5"} do
    local n = numbers(out, "\n" .. place)
    lu.assertAlmostEquals(n[1], n[2], 1e-4)
    lu.assertTrue(n[1] < 0)
  end
  local n = numbers(out, "of 3.1: probability")
  lu.assertAlmostEquals(n[1], n[2], .005)
end

function T.test_composition ()
  example.skip_if_slow()
  local out = run "examples/composition.lua"
  for _, name in ipairs {"ring", "right", "ring + right", "any{ring, right}", "ring - right/2", "(ring + right)/4"} do
    local n = numbers(out, "\n  " .. name .. "     ")
    lu.assertAlmostEquals(n[1], n[2], .03, name)
  end
  example.assert_picture "composition.png"
end

function T.test_anomaly ()
  example.skip_if_slow()
  local out = run "examples/anomaly.lua"
  lu.assertAlmostEquals(numbers(out, "healthy readings:")[1], 1, 1)
  for _, fault in ipairs {"sensor stuck at 0.3", "readings swapped", "0.6 too warm", "warm without load"} do
    local n = numbers(out, fault)                                         -- alarms, AUROC of energy, truth, distance
    lu.assertAlmostEquals(n[2], n[3], .02, fault)
    lu.assertTrue(n[2] > n[4] + .2, fault)
  end
end

function T.test_planner ()
  example.skip_if_slow()
  local out = run "examples/planner.lua"
  lu.assertTrue(numbers(out, "")[1] >= 60)                                -- of 64 paths
  lu.assertTrue(numbers(out, "the closest by")[1] > .1)
  lu.assertTrue(numbers(out, "they end")[1] < .2)
  example.assert_picture "planner.png"
end

function T.test_forecast ()
  example.skip_if_slow()
  local out = run "examples/forecast.lua"
  lu.assertAlmostEquals(numbers(out, "inside the 50 % interval:")[1], 50, 4)
  lu.assertAlmostEquals(numbers(out, "inside the 90 % interval:")[1], 90, 3)
end

function T.test_exponential_family ()
  local out = run "examples/exponential_family.lua"
  for i, truth in ipairs {.3, 2, -1} do
    local n = numbers(out, ("theta[%d]"):format(i))
    lu.assertEquals(n[3], truth)
    lu.assertAlmostEquals(n[1], truth, 4 * n[2])
  end
  lu.assertAlmostEquals(numbers(out, "log Z:")[1], numbers(out, "here,")[1], 1e-6)
end

-- These compare themselves with the truth, and fail where they are off.
function T.test_bayes ()
  example.skip_if_slow()
  local n = numbers(run "examples/bayes/eight_schools.lua", "tau: mean")
  lu.assertAlmostEquals(n[1], n[3], 4 * n[2])
  n = numbers(run "examples/bayes/regression.lua", "b: mean")
  lu.assertAlmostEquals(n[4], n[5], .1 * n[5])
  local out = run "examples/bayes/ar.lua"
  lu.assertTrue(numbers(out, "beta[1] behind the series")[2] < 4)
  lu.assertTrue(numbers(out, "in 20 steps:")[2] < numbers(out, "in 20 steps:")[1])
end

return T
