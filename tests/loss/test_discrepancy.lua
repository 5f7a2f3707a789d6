-- test_discrepancy.lua -- energy discrepancy against its formula, and against what it estimates, for Gaussians.
local lu = require "luaunit"
local common = require "loss.common"
local near, message, number = common.near, common.message, common.number
local T = {}

local f64 = {dtype = "float64"}

local function by_formula (E, x, t, samples, w, rng)
  local s = math.sqrt(t)
  local y, sum = x + s * rng:normal(x.shape, f64), w
  for _ = 1, samples do sum = sum + (E(x) - E(y + s * rng:normal(x.shape, f64))):exp() end
  return number((sum / samples):log():mean())
end

function T.test_is_its_formula ()
  local E, x = neap.energy.mlp{sizes = {2, 8}, dtype = "float64"}, common.correlated(40, neap.rng(1))
  local loss = neap.loss.energy_discrepancy
  near(number((loss{}(E, x, neap.rng(2)))), by_formula(E, x, .25, 4, 1, neap.rng(2)), 1e-12)
  for _, w in ipairs {0, .3} do
    local value, info = loss{t = .5, samples = 3, w = w}(E, x, neap.rng(2))
    near(number(value), by_formula(E, x, .5, 3, w, neap.rng(2)), 1e-12)
    near(info.positive, number(E(x):mean()), 1e-12)
  end
end

local function normal (lambda)
  local a = neap.tensor(lambda, f64):requires_grad()
  return neap.energy(function (x) return .5 * a * x:square():sum(2) end, {params = {a}, event = {1}})
end

-- E = λx²/2 in one dimension: e^(-U) is e^(-E) blurred by N(0, t), so U(y) = ½ log(1 + λt) + λy²/2(1 + λt).
-- The logarithm of a mean over 64 samples is biased by less than 1/128, and given y varies by less than 1/8 a row.
function T.test_of_gaussians ()
  local n, t = 20000, .5
  local x, s = neap.rng(1):normal({n, 1}, f64), math.sqrt(t)
  local y = x + s * neap.rng(2):normal({n, 1}, f64)
  local loss = neap.loss.energy_discrepancy{t = t, samples = 64, w = 0}
  for _, lambda in ipairs {.25, .5, 1} do
    local blurred = 1 + lambda * t
    local u = math.log(blurred) / 2 + lambda / (2 * blurred) * y:square()
    local truth = number((lambda / 2 * x:square() - u):mean())
    local value = number((loss(normal(lambda), x, neap.rng(2))))
    lu.assertTrue(math.abs(value - truth) < 1 / 128 + 4 / 8 / math.sqrt(n),
      ("λ = %g: %g, expected %g"):format(lambda, value, truth))
  end
end

-- The data's own law is where the gradient vanishes, and on either side it points there: for data of variance 1 it is
-- ½ − t/2(1 + λt) − (1 + t)/2(1 + λt)², -.059, 0 and .079 here.
function T.test_least_at_the_truth ()
  local x = neap.rng(1):normal({20000, 1}, f64)
  local loss = neap.loss.energy_discrepancy{t = .25, samples = 64, w = 0}
  for lambda, truth in pairs {[.7] = -.0591, [1] = 0, [1.5] = .0785} do
    local E = normal(lambda)
    near(number(neap.gradients(loss(E, x, neap.rng(2)), (E:params()))[1]), truth, .02, "slope")
  end
end

function T.test_gradients ()
  common.check_gradient(neap.loss.energy_discrepancy{}, common.correlated(16, neap.rng(5)), 1e-7)
  common.check_gradient(neap.loss.energy_discrepancy{w = 0, samples = 1}, common.correlated(16, neap.rng(5)), 1e-7)
end

-- Energies of thousands do not overflow, and a wall of infinite energy is a place without density.
function T.test_extremes ()
  local steep = neap.energy(function (x) return 1e4 * x:square():sum(2) end, {event = {2}})
  local value = number((neap.loss.energy_discrepancy{}(steep, 3 * neap.randn(20, 2), neap.rng(1))))
  lu.assertTrue(value == value and math.abs(value) < math.huge)
  local huge = neap.full({1}, math.huge, f64)
  local wall = neap.energy(function (x) return neap.where(x:lt(0), huge, 0 * x):sum(2) end, {event = {1}})
  value = number((neap.loss.energy_discrepancy{samples = 1}(wall, neap.full({200, 1}, .01, f64), neap.rng(1))))
  lu.assertTrue(value > 0 and value < math.log(2))                       -- log 1 behind the wall, log 2 before it
end

function T.test_errors ()
  local loss = neap.loss.energy_discrepancy
  lu.assertStrContains(message(loss, {t = 0}), "t: a positive number expected, got 0")
  lu.assertStrContains(message(loss, {samples = 0}), "samples: a positive integer expected, got 0")
  lu.assertStrContains(message(loss, {w = -1}), "w: a number from 0 up expected, got -1")
  lu.assertStrContains(message(loss, {sample = 3}), "did you mean 'samples'")
  local E = neap.energy.rbm{visible = 2, hidden = 2}
  lu.assertStrContains(message(loss{}, E, neap.zeros(3, 2, {dtype = "int64"})),
    "energy_discrepancy: batch: float32 or float64 expected, got int64")
end

return T
