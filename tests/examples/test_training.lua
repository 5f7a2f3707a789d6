-- test_training.lua -- the training programs among the examples run as they stand, and come near to the truth they print.

local lu = require "luaunit"
local example = require "examples.example"
local run, numbers = example.run, example.numbers

local T = {setUp = example.skip_if_slow, tearDown = example.clean}

function T.test_langevin_cd ()
  local n = numbers(run "examples/langevin_cd.lua", "this model")      -- model, the data's density, one Gaussian
  lu.assertAlmostEquals(n[1], n[2], .2)
  lu.assertTrue(n[1] > n[3] + .4)
  example.assert_picture "langevin_cd.png"
end

function T.test_fisher ()
  local out = run "examples/fisher.lua"
  for _, point in ipairs {"mode ( 2,  2)", "mode (-2, -2)", "way   ( 1,  1)", "far   ( 2, -2)"} do
    local n = numbers(out, point)
    lu.assertAlmostEquals(n[2], n[1], .3)
    lu.assertAlmostEquals(n[3], -n[1], .3)
  end
  local n = numbers(out, "draws of the mixture:")
  lu.assertTrue(n[1] < .01 and n[3] > 5)
end

function T.test_denoising ()
  local out = run "examples/denoising.lua"
  local n = numbers(out, "by hand")
  lu.assertAlmostEquals(n[1], n[2], 2e-6)
  lu.assertTrue(numbers(out, "explains")[1] > 96)
  n = numbers(out, "clean points: noisy")
  lu.assertTrue(n[2] < .9 * n[1])
  lu.assertAlmostEquals(n[2], n[3], .005)
end

function T.test_nce ()
  local out = run "examples/nce.lua"
  local n = numbers(out, "log Z: learned")
  lu.assertAlmostEquals(n[1], n[2], .1)
  n = numbers(out, "new data: model")
  lu.assertAlmostEquals(n[1], n[2], .05)
end

function T.test_rbm_likelihood ()
  local out = run "examples/rbm_likelihood.lua"
  local exact = numbers(out, "log Z exactly:")[1]
  for _, method in ipairs {"ais ", "reverse_ais"} do
    local n = numbers(out, method)                       -- the estimate, "95 %", its interval
    lu.assertAlmostEquals(n[1], exact, .2)
    lu.assertTrue(n[3] < n[1] and n[1] < n[4])
  end
  local nats = numbers(out, "test log-likelihood between")
  lu.assertTrue(nats[1] > -4.5 and nats[1] < -3.3)
end

function T.test_rbm ()
  local out = run "examples/rbm.lua"
  local best = numbers(out, "the data")[1]
  lu.assertAlmostEquals(best, 3.379, 1e-3)
  local before = numbers(out, "untrained")[1]
  for _, k in ipairs {"CD-1 ", "CD-5 ", "CD-20"} do
    local nats = numbers(out, k)[1]
    lu.assertTrue(nats >= best and nats < before - .1, k)
    before = nats
  end
  lu.assertTrue(before < best + .3)
  example.assert_picture "rbm.png"
end

return T
