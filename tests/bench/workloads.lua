-- workloads.lua -- what make bench measures: an array of rows.
-- A row has a name; what one unit of its work is called and how many units a run does; setup(), which returns
-- work(units), whose result, if it has one, is how many it did; peer = "stan" and posterior(), whose data that is
-- given, where the peer is not PyTorch; and what the unit needs at least, from which its limit on this machine follows:
--   flops   float32 operations of the matrix products and multiply-adds, at the measured peak
--   ops     other operations of one number each (no multiply-add), at half that rate
--   bytes   to and from memory, where the arrays do not fit in the caches, at the measured stream rate
-- The limit is the larger of both times.  Activations, biases, noise and the optimiser are not counted in the rows of
-- networks (they would add some 15 %), so the share of the limit errs on the low side there.
-- Invariant: a row uses nothing that a user's script does not have, and does the same work as the row of the same name
-- in peer_torch.py or the model in stan/ (check_peer.lua compares their numbers).

local methods = require "bench.methods"
local posteriors = require "bench.posteriors"

-- multiply-adds of a network of these sizes with a scalar head, for one row, as operations
local function forward (sizes, first, last)
  local flops = 0
  for i = first or 1, last or #sizes do flops = flops + 2 * sizes[i] * (sizes[i + 1] or 1) end
  return flops
end

-- the same of convolutions of `side` by `side` images, halved by each, and a dense layer: {channels, kernel} of each
local function convolutions (side, layers, hidden)
  local flops, channels = 0, 1
  for _, l in ipairs(layers) do
    side = side // 2
    flops, channels = flops + 2 * side ^ 2 * l[1] * channels * l[2] ^ 2, l[1]
  end
  return flops + forward{channels * side ^ 2, hidden}
end

local small, ssm, large = {2, 128, 128}, {100, 256, 256}, {784, 1024, 1024}
local rows = {}
local function row (r) rows[#rows + 1] = r end

-- ---- sampling: the gradient by x costs as much again as the energy ----

local function langevin (name, sizes, chains, units)
  row {name = name, unit = "step", units = units, flops = 2 * forward(sizes) * chains, setup = function ()
    local E = neap.energy.mlp{sizes = sizes}
    return methods.langevin(E, neap.randn(chains, sizes[1]), .01, .14)
  end}
end
langevin("langevin_mlp_B1", small, 1, 1000)
langevin("langevin_mlp_B16", small, 16, 1000)
langevin("langevin_mlp_B100", small, 100, 300)
langevin("langevin_mlp_B1024", small, 1024, 50)
langevin("langevin_mlp_B10000", small, 10000, 20)

-- ---- training ----

local function training (E, loss, x)
  return methods.training(E, function () return x end, loss, neap.optim.adam{lr = 1e-4})
end

-- 100 steps of 100 chains, then E and its parameters' gradient (thrice the energy) at 200 points
row {name = "cd_mlp", unit = "iteration", units = 5, flops = forward(small) * (100 * 100 * 2 + 200 * 3),
  setup = function ()
    return training(neap.energy.mlp{sizes = small}, methods.cd(100, .1, math.sqrt(.2), "normal"), neap.randn(100, 2))
  end}
-- energy and score (2), and backwards through both (4)
row {name = "dsm_mlp", unit = "iteration", units = 100, flops = forward(small) * 128 * 6,
  setup = function ()
    return training(neap.energy.mlp{sizes = small}, neap.loss.dsm{sigma = .1}, neap.randn(128, 2))
  end}
-- value and two tangents (3) and backwards (6); the first layer has no second tangent (3), needs no gradient by x (2)
row {name = "ssm_100d", unit = "iteration", units = 20,
  flops = 128 * (9 * forward(ssm) - 5 * forward(ssm, 1, 1)),
  setup = function ()
    return training(neap.energy.mlp{sizes = ssm}, methods.ssm, neap.randn(128, 100))
  end}

row {name = "langevin_mlp784", unit = "step", units = 5, flops = 2 * forward(large) * 512, setup = function ()
  return methods.langevin(neap.energy.mlp{sizes = large}, neap.randn(512, 784), .01, .14)
end}

-- ---- images: 128 of 32 by 32, as in the textbook's model ----

local conv = convolutions(32, {{16, 5}, {32, 3}, {64, 3}, {64, 3}}, 64)
local function images () return neap.rand(128, 1, 32, 32) * 2 - 1 end

row {name = "langevin_conv32", unit = "step", units = 10, flops = 2 * conv * 128, setup = function ()
  return methods.langevin(methods.conv(), images(), 10, .005)
end}
-- 60 steps of 128 chains from noise, then E and its parameters' gradient (thrice the energy) at 256 images
row {name = "cd_conv32", unit = "iteration", units = 1, flops = conv * (60 * 128 * 2 + 256 * 3), setup = function ()
  return training(methods.conv(), methods.cd(60, 10, .005, {"uniform", -1, 1}, .1), images())
end}

-- three products for the units, two for the gradient
row {name = "rbm_cd1", unit = "iteration", units = 20, flops = 5 * 2 * 784 * 500 * 100, setup = function ()
  local E, v = neap.energy.rbm{visible = 784, hidden = 500}, neap.rand(100, 784):lt(.3):float()
  return methods.rbm(E, v, .01)
end}

-- ---- the rest ----

-- 10 leapfrog steps of 2 multiply-adds for each of 2 coordinates; two normals of 50 operations (see randn_1m), a
-- uniform number of 20, and 30 for two energies and the test
row {name = "hmc_gauss_B1000_L10", unit = "step", units = 2000, flops = 1000 * 10 * 2 * 2 * 2,
  ops = 1000 * (2 * 50 + 20 + 30),
  setup = function () return methods.hmc(neap.randn(1000, 2), .3, 10) end}

-- ---- statistics: a unit is one chain's gradient, its share of the tree and of warm-up included ----

local function nuts (name, posterior, size)
  row {name = name, unit = "gradient", units = 60000, peer = "stan",
    posterior = function () return posterior(size) end,
    setup = function () return methods.nuts(posterior(size).energy) end}
end
nuts("nuts_eight_schools", posteriors.eight_schools)
nuts("nuts_regression_434", posteriors.regression, 434)
nuts("nuts_ar5_200", posteriors.autoregression, 200)

-- one call from the language; no limit is known but the interpreter's
row {name = "add_scalar", unit = "op", units = 20000, setup = function ()
  local a, b = neap.randn(1), neap.randn(1)
  return methods.again(function () return a + b end)
end}

-- two arrays read, one written
row {name = "silu_mul_add_1m", unit = "call", units = 20, bytes = 3 * 4 << 20, setup = function ()
  local x, y = neap.randn(1 << 20), neap.randn(1 << 20)
  local f = methods.silu_mul_add()
  return methods.again(function () return f(x, y) end)
end}

-- a Philox4x32-10 word is 10 rounds of 8 operations for four words, Box and Muller's log, root, sine and cosine
-- some 60 for two normals
row {name = "randn_1m", unit = "call", units = 10, bytes = 4 << 20, ops = 50 << 20, setup = function ()
  return methods.again(function () return neap.randn(1 << 20) end)
end}

row {name = "gemm_1024", unit = "call", units = 3, flops = 2 * 1024 ^ 3, setup = function ()
  local a, b = neap.randn(1024, 1024), neap.randn(1024, 1024)
  return methods.again(function () return a:matmul(b) end)
end}

-- a process of its own: see startup.lua
row {name = "startup", unit = "run", units = 1, process = true}

return rows
