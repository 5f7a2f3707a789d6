-- test_sliced.lua -- score matching along random directions against its formula, and against exact score matching.
local lu = require "luaunit"
local common = require "loss.common"
local near, all_near, message, number = common.near, common.all_near, common.message, common.number
local quadratic, correlated, signs = common.quadratic, common.correlated, common.signs
local T = {}

local f64 = {dtype = "float64"}
local m, P = neap.tensor({.3, .1}, f64), neap.tensor({{2, .5}, {.5, 1}}, f64)

local function mean_half_square (a) return a:square():mean() / 2 end
local function dot (a, b) return (a * b):sum(2) end

function T.test_sliced_is_its_formula ()
  local E, x = quadratic(m, P), correlated(50, neap.rng(1))
  local g, rng = (x - m):matmul(P), neap.rng(4)
  local half, slope, bend = dot(g, g):mean() / 2, 0, 0
  for _ = 1, 3 do
    local v = signs(x, rng)
    slope, bend = slope + mean_half_square(dot(v, g)) / 3, bend + dot(v:matmul(P), v):mean() / 3
  end
  local value, info = neap.loss.ssm{projections = 3}(E, x, neap.rng(4))
  near(number(value), number(half - bend), 1e-12)
  near(info.half_square, number(half), 1e-12)
  near(info.laplacian, number(bend), 1e-12)
  near(number((neap.loss.ssm{projections = 3, variant = "plain"}(E, x, neap.rng(4)))), number(slope - bend), 1e-12)
  near(number((neap.loss.ssm{}(E, x, neap.rng(4)))), number((neap.loss.ssm{variant = "vr"}(E, x, neap.rng(4)))), 0)
end

-- A direction of one dimension is ±1, and all of it.
function T.test_in_one_dimension_it_is_exact ()
  local E = neap.energy.mlp{sizes = {1, 8}, activation = "tanh", dtype = "float64"}
  local x = neap.rng(1):normal({20, 1}, f64)
  local exact = number((neap.loss.score_matching{}(E, x)))
  for _, variant in ipairs {"vr", "plain"} do
    near(number((neap.loss.ssm{variant = variant}(E, x))), exact, 1e-12, variant)
  end
end

-- A row's vᵀPv is tr P ± 2P₁₂, and its ½(v·g)² is ½|g|² ± g₁g₂, with the same sign.
function T.test_in_expectation_it_is_exact ()
  local E, x, draws = quadratic(m, P), correlated(10, neap.rng(2)), 4000
  local exact, g = number((neap.loss.score_matching{}(E, x))), (x - m):matmul(P)
  local cross = g:select(2, 1) * g:select(2, 2)
  local spread = {vr = 2 * .5 / math.sqrt(10 * draws),
    plain = math.sqrt((cross - 2 * .5):square():mean():item() / (10 * draws))}
  for variant, error in pairs(spread) do
    local value = number((neap.loss.ssm{variant = variant}(E, x:repeat_interleave(draws, 1), neap.rng(3))))
    lu.assertTrue(math.abs(value - exact) < 4 * error, ("%s: %g, expected %g"):format(variant, value, exact))
  end
end

-- There the gradient of exact score matching is 0, and here what is left of it are the directions' own moments.
function T.test_at_the_optimum ()
  local x = correlated(400, neap.rng(2))
  local mean, C = common.sample_moments(x)
  local g = common.grads_of(neap.loss.ssm{}, quadratic(mean:clone(), C:inverse()), x, neap.rng(5))
  local v = signs(x, neap.rng(5))
  all_near(g.m, 0 * g.m, 1e-12)
  all_near((g.P + g.P:t()) / 2, neap.eye(2, f64) - v:t():matmul(v) / 400, 1e-10)
end

-- ---- from differences ----

-- Differences of a quadratic are its derivatives.
function T.test_differences_of_a_quadratic_are_exact ()
  local E, x = quadratic(m, P), correlated(50, neap.rng(1))
  local plain, told = neap.loss.ssm{variant = "plain"}(E, x, neap.rng(4))
  for _, eps in ipairs {.01, .1, 3} do
    local value, info = neap.loss.fd_ssm{eps = eps}(E, x, neap.rng(4))
    near(number(value), number(plain), 1e-9)
    near(info.laplacian, told.laplacian, 1e-9)
  end
  near(number((neap.loss.fd_ssm{}(E, x, neap.rng(4)))), number((neap.loss.fd_ssm{eps = .1}(E, x, neap.rng(4)))), 0)
end

function T.test_differences_are_off_by_eps_squared ()
  local E = neap.energy.mlp{sizes = {2, 8}, activation = "tanh", dtype = "float64"}
  local x = correlated(50, neap.rng(1))
  local plain = number((neap.loss.ssm{variant = "plain"}(E, x, neap.rng(4))))
  local function off (eps) return number((neap.loss.fd_ssm{eps = eps}(E, x, neap.rng(4)))) - plain end
  lu.assertTrue(math.abs(off(.02)) > 1e-8)
  near(off(.04) / off(.02), 4, .02)
end

function T.test_gradients ()
  local x = correlated(16, neap.rng(5))
  common.check_gradient(neap.loss.ssm{}, x, 1e-7)
  common.check_gradient(neap.loss.ssm{projections = 2, variant = "plain"}, x, 1e-7)
  common.check_gradient(neap.loss.fd_ssm{eps = .1}, x, 1e-6)
end

function T.test_pictures_and_conditions ()
  local E = neap.energy(function (x, c) return (.5 * (x - c):square()):sum {2, 3} end, {event = {2, 3}})
  local x, c = neap.randn(5, 2, 3, f64), neap.randn(5, 2, 3, f64)
  local value = (x - c):square():sum {2, 3}:mean() / 2 - 6
  near(number((neap.loss.ssm{}(E, {x, c}))), number(value), 1e-12)
end

function T.test_errors ()
  lu.assertStrContains(message(neap.loss.ssm, {projections = 0}), "projections: a positive integer expected, got 0")
  lu.assertStrContains(message(neap.loss.ssm, {variant = "vrr"}), [["vr" or "plain" expected, got "vrr"]])
  lu.assertStrContains(message(neap.loss.ssm, {variant = 3}), "'variant': a string expected, got number")
  lu.assertStrContains(message(neap.loss.ssm, {projection = 3}), "did you mean 'projections'")
  lu.assertStrContains(message(neap.loss.fd_ssm, {eps = 0}), "fd_ssm: eps: a positive number expected, got 0")
  local E = neap.energy.rbm{visible = 2, hidden = 2}
  lu.assertStrContains(message(neap.loss.ssm{}, E, neap.zeros(3, 2, {dtype = "int64"})),
    "ssm: batch: float32 or float64 expected, got int64")
end

return T
