-- Ready-made energies against their formulas in plain Lua, and their derivatives against differences.
local lu = require "luaunit"
local t = require "energy.near"
local e = neap.energy
local T = {}

local exp, log, pi = math.exp, math.log, math.pi

-- E at rows of numbers equals f of each row
local function agrees (E, rows, f, tol)
  local want = {}
  for i, row in ipairs(rows) do want[i] = f(table.unpack(row)) end
  t.near(E(neap.tensor(rows, {dtype = "float64"})), want, tol)
end

local plane = {{0, 0}, {1, 2}, {-1.5, .5}, {.3, -2}}

function T.test_gaussian_by_cov_precision_and_std ()
  local x = neap.tensor(plane, {dtype = "float64"})
  -- inverse of {{2, .5}, {.5, 1}} is {{4, -2}, {-2, 8}} / 7
  local function f (a, b)
    a, b = a - 1, b - 2
    return (4 * a * a - 4 * a * b + 8 * b * b) / 14
  end
  agrees(e.gaussian {mean = {1, 2}, cov = {{2, .5}, {.5, 1}}}, plane, f)
  agrees(e.gaussian {mean = {1, 2}, precision = {{4 / 7, -2 / 7}, {-2 / 7, 8 / 7}}}, plane, f)
  agrees(e.gaussian {mean = {1, 2}, std = .5}, plane, function (a, b) return 2 * ((a - 1) ^ 2 + (b - 2) ^ 2) end)
  agrees(e.gaussian {mean = {1, 2}, std = {.5, 2}}, plane, function (a, b) return 2 * (a - 1) ^ 2 + (b - 2) ^ 2 / 8 end)
  agrees(e.gaussian {mean = {0, 0}}, plane, function (a, b) return (a * a + b * b) / 2 end)
  t.near(e.gaussian {mean = {1, 2}, cov = {{2, .5}, {.5, 1}}}:score(x),
         -(x - neap.tensor({1, 2}, {dtype = "float64"})):matmul(
    neap.tensor({{4, -2}, {-2, 8}}, {dtype = "float64"}) / 7))
end

local function normal (x, m, s) return exp(-(x - m) ^ 2 / (2 * s * s)) / (s * (2 * pi) ^ .5) end

function T.test_gmm_is_normalised ()
  local means, std = {{2, 2}, {-2, -2}}, .5 ^ .5
  local function f (a, b)
    return -log(.5 * normal(a, 2, std) * normal(b, 2, std) + .5 * normal(a, -2, std) * normal(b, -2, std))
  end
  agrees(e.gmm {means = means, std = std}, plane, f)
  agrees(e.gmm {means = means, covs = {{{.5, 0}, {0, .5}}, {{.5, 0}, {0, .5}}}, weights = {3, 3}}, plane, f)
  agrees(e.gmm {means = means, std = {{std, 1}, {2, std}}, weights = {1, 3}}, plane, function (a, b)
    return -log(.25 * normal(a, 2, std) * normal(b, 2, 1) + .75 * normal(a, -2, 2) * normal(b, -2, std))
  end)
  agrees(e.gmm {means = means, std = {1, 2}}, plane, function (a, b)
    return -log(.5 * normal(a, 2, 1) * normal(b, 2, 1) + .5 * normal(a, -2, 2) * normal(b, -2, 2))
  end)
end

function T.test_gmm_far_from_its_modes_is_finite ()
  local E = e.gmm {means = {{0}, {1}}, std = .01}
  local x = neap.tensor {{100}}
  lu.assertTrue(E(x):isfinite():all():item())
  lu.assertTrue(E:score(x):isfinite():all():item())
end

function T.test_mixture_weighs_unnormalised_densities ()
  local a, b = e.gaussian {mean = {0, 0}}, e.gaussian {mean = {3, 0}, std = 2}
  local function f (w1, w2)
    return function (x, y)
      return -log(w1 * exp(-(x * x + y * y) / 2) + w2 * exp(-((x - 3) ^ 2 + y * y) / 8))
    end
  end
  agrees(e.mixture {energies = {a, b}, weights = {.2, .7}}, plane, f(.2, .7))
  agrees(e.mixture {energies = {a, b}}, plane, f(.5, .5))
end

function T.test_formulas ()
  agrees(e.double_well {}, {{0}, {1}, {-.5}}, function (x) return (x * x - 1) ^ 2 end)
  agrees(e.double_well {barrier = 3}, plane, function (x, y) return 3 * (x * x - 1) ^ 2 + 3 * (y * y - 1) ^ 2 end)
  agrees(e.funnel {dim = 3}, {{0, 1, 2}, {-2, .1, .3}, {3, 5, -1}}, function (v, x, y)
    return v * v / 18 + (x * x + y * y) * exp(-v) / 2 + v
  end)
  agrees(e.banana {}, plane, function (x, y) return x * x / 2 + (y - (x * x - 1)) ^ 2 * 2 end)
  agrees(e.banana {b = .5, std = {2, 1}}, plane, function (x, y) return x * x / 8 + (y - .5 * (x * x - 4)) ^ 2 / 2 end)
  agrees(e.rosenbrock {}, plane, function (x, y) return (1 - x) ^ 2 + 100 * (y - x * x) ^ 2 end)
  agrees(e.rosenbrock {a = 2, b = 5, dim = 3}, {{1, 2, 3}, {0, .5, -1}}, function (x, y, z)
    return (2 - x) ^ 2 + 5 * (y - x * x) ^ 2 + (2 - y) ^ 2 + 5 * (z - y * y) ^ 2
  end)
  agrees(e.rastrigin(), plane, function (x, y)
    return 20 + x * x + y * y - 10 * math.cos(2 * pi * x) - 10 * math.cos(2 * pi * y)
  end)
  agrees(e.rastrigin {a = 3, dim = 1}, {{.25}, {2}}, function (x) return x * x + 3 - 3 * math.cos(2 * pi * x) end)
  agrees(e.ackley(), plane, function (x, y)
    return 20 - 20 * exp(-.2 * ((x * x + y * y) / 2) ^ .5) + exp(1) -
           exp((math.cos(2 * pi * x) + math.cos(2 * pi * y)) / 2)
  end, 1e-9)
  agrees(e.ackley {a = 2, b = .5, c = 3, dim = 3}, {{1, 2, 3}, {0, .5, -1}}, function (x, y, z)
    return 2 - 2 * exp(-.5 * ((x * x + y * y + z * z) / 3) ^ .5) + exp(1) -
           exp((math.cos(3 * x) + math.cos(3 * y) + math.cos(3 * z)) / 3)
  end)
  agrees(e.ring {radius = 2, std = .5}, plane, function (x, y) return ((x * x + y * y) ^ .5 - 2) ^ 2 * 2 end, 1e-9)
end

function T.test_double_well_takes_any_event ()
  lu.assertEquals(e.double_well().event, {1})
  lu.assertEquals(e.double_well {}(neap.zeros(5, 2, 3)).shape, {5})
  lu.assertEquals((e.double_well {} + e.gaussian {mean = {0, 0, 0}}).event, {3})
end

function T.test_derivatives_to_third_order ()
  local x = t.points(4, 2)
  t.smooth(e.gaussian {mean = {1, 2}, cov = {{2, .5}, {.5, 1}}}, x)
  t.smooth(e.gmm {means = {{2, 2}, {-2, -2}}, std = 1}, x)
  t.smooth(e.gmm {means = {{1, 0}, {-1, 0}}, covs = {{{.5, .1}, {.1, .5}}, {{1, 0}, {0, 2}}}}, x)
  t.smooth(e.mixture {energies = {e.gaussian {mean = {0, 0}}, e.banana {}}}, x)
  t.smooth(e.double_well {}, x)
  t.smooth(e.funnel {dim = 2}, x)
  t.smooth(e.banana {}, x)
  t.smooth(e.rosenbrock {b = 1}, x)
  t.smooth(e.rastrigin {a = .1}, x)
  t.smooth(e.ackley {c = 1}, x + 1)
  t.smooth(e.ring {radius = 2, std = .5}, x + 1)
end

function T.test_norms_at_the_origin_are_finite ()
  for _, E in ipairs {e.ring {radius = 2, std = .5}, e.ackley()} do
    lu.assertTrue(E:score(neap.zeros(1, 2)):isfinite():all():item())
  end
end

function T.test_float32_and_integers ()
  local E = e.gaussian {mean = {.1, .2}}
  lu.assertEquals(E(neap.zeros(3, 2)).dtype, "float32")
  lu.assertEquals(E(neap.zeros(3, 2, {dtype = "float64"})).dtype, "float64")
  t.near(E(neap.zeros(1, 2, {dtype = "float64"})), {.025}, 1e-15)
  t.near(E(neap.zeros(1, 2, {dtype = "int64"})), {.025}, 1e-7)
end

function T.test_no_rows ()
  for _, E in ipairs {e.gaussian {mean = {0, 0}}, e.gmm {means = {{0, 0}}, std = 1}, e.mlp {sizes = {2, 4}},
                      e.banana {}} do
    local x = neap.zeros(0, 2)
    lu.assertEquals(E(x).shape, {0})
    lu.assertEquals(E:score(x).shape, {0, 2})
    lu.assertEquals(E:laplacian(x).shape, {0})
  end
end

function T.test_nan_in_data_stays_in_its_row ()
  local E = e.gmm {means = {{0, 0}}, std = 1}
  local bad = E(neap.tensor {{0 / 0, 0}, {0, 0}})
  lu.assertEquals(bad:isnan():totable(), {true, false})
end

-- ---- networks ----

local function silu (x) return x / (1 + exp(-x)) end

function T.test_mlp_is_its_formula ()
  local E = e.mlp {sizes = {2, 3}, dtype = "float64"}
  lu.assertEquals(select(2, E:params()), {"weight1", "bias1", "weight2", "bias2"})
  local w1, b1, w2, b2 = E.weight1:totable(), E.bias1:totable(), E.weight2:totable(), E.bias2:totable()
  agrees(E, plane, function (x, y)
    local s = b2[1]
    for i = 1, 3 do s = s + w2[1][i] * silu(w1[i][1] * x + w1[i][2] * y + b1[i]) end
    return s
  end)
end

function T.test_mlp_activations_are_smooth ()
  local x = t.points(3, 2)
  for _, name in ipairs {"silu", "gelu", "softplus", "tanh", "sigmoid", "sin"} do
    t.smooth(e.mlp {sizes = {2, 8, 8}, activation = name, dtype = "float64"}, x)
  end
  for _, name in ipairs {"relu", "leaky_relu", "elu"} do
    t.smooth(e.mlp {sizes = {2, 8, 8}, activation = name, dtype = "float64"}, x, 1)
  end
end

function T.test_mlp_init_keeps_the_size_of_activations ()
  local E = e.mlp {sizes = {2, 256, 256, 256}}
  local std = E(neap.randn(2000, 2)):std():item()
  lu.assertTrue(std > .05 and std < 3, "std of energies " .. std)
  local first, second = e.mlp {sizes = {2, 4}, rng = neap.rng(7)}, e.mlp {sizes = {2, 4}, rng = neap.rng(7)}
  t.near(first.weight1, second.weight1, 0)
end

function T.test_mlp_condition ()
  local E = e.mlp {sizes = {2, 8}, condition = 3, dtype = "float64"}
  local x, c = t.points(4, 2), t.points(4, 3)
  lu.assertEquals(E.weight1.shape, {8, 5})
  local whole = e.mlp {sizes = {5, 8}, dtype = "float64"}:with(E:params())
  t.near(E(x, c), whole(neap.cat({x, c}, 2)))
  t.near(E:score(x, c), whole:score(neap.cat({x, c}, 2))[{{}, {1, 2}}])
  t.near(e.mlp {sizes = {2, 8}, condition = 1, rng = neap.rng(1)}(neap.ones(2, 2), neap.ones(2)),
         e.mlp {sizes = {2, 8}, condition = 1, rng = neap.rng(1)}(neap.ones(2, 2), neap.ones(2, 1)), 0)
end

-- ---- RBM ----

local function bits (n, k)
  local rows = {}
  for i = 0, (1 << n) - 1 do
    local row = {}
    for j = 1, n do row[j] = i >> (j - 1) & 1 end
    rows[i + 1] = row
  end
  return neap.tensor(rows, {dtype = "float64"}), k
end

local function small_rbm (v, h)
  local E = e.rbm {visible = v, hidden = h, dtype = "float64"}
  return E:with {W = t.points(v, h), b = t.points(1, v)[1], c = t.points(1, h)[1]}
end

function T.test_rbm_free_energy_sums_out_the_hidden_units ()
  local E = small_rbm(5, 3)
  local v, h = bits(5), bits(3)
  for i = 1, 32, 7 do
    local joint = E:joint(v[{{i, i}}]:expand(8, 5), h)
    t.near(E(v[{{i, i}}]), {-(-joint):logsumexp():item()})
  end
end

function T.test_rbm_conditionals ()
  local E = small_rbm(4, 3)
  local v, h = bits(4)[{{1, 8}}], bits(3)
  -- P(h_j = 1 | v) from the joint: flip unit j
  for j = 1, 3 do
    local h1, h0 = h:clone(), h:clone()
    h1[{{}, j}], h0[{{}, j}] = 1, 0
    local want = (E:joint(v, h0) - E:joint(v, h1)):sigmoid()
    t.near(E:hidden(v)[{{}, j}], want)
  end
  for i = 1, 4 do
    local v1, v0 = v:clone(), v:clone()
    v1[{{}, i}], v0[{{}, i}] = 1, 0
    t.near(E:visible(h)[{{}, i}], (E:joint(v0, h) - E:joint(v1, h)):sigmoid())
  end
end

function T.test_rbm_starts_small_and_takes_bools ()
  local E = e.rbm {visible = 30, hidden = 20}
  lu.assertAlmostEquals(E.W:std():item(), .01, .002)
  lu.assertEquals(E.b:abs():max():item(), 0)
  lu.assertAlmostEquals(E(neap.zeros(1, 30, {dtype = "bool"})):item(), -20 * log(2), 1e-4)
  t.smooth(small_rbm(4, 3), t.points(3, 4))
end

-- ---- exponential family ----

function T.test_exponential_family ()
  local E = e.exponential_family {
    statistics = function (x) return neap.cat({x, x * x}, 2) end,
    base = function (x) return (-x * x):exp():squeeze(2) end, params = {.5, -1}, event = 1
  }
  agrees(E, {{0}, {1}, {-2}}, function (x) return -(.5 * x - x * x) + x * x end, 1e-6)
  lu.assertEquals(select(2, E:params()), {"theta"})
  local other = E:with {neap.tensor {1, 0}}
  agrees(other, {{0}, {1}, {-2}}, function (x) return -x + x * x end, 1e-6)
  local theta = neap.tensor {2}
  local poisson = e.exponential_family {statistics = function (x) return x end, params = theta,
                                        log_base = function (x) return -(x + 1):lgamma():squeeze(2) end}
  agrees(poisson, {{0}, {3}}, function (x) return -2 * x + (x == 3 and log(6) or 0) end, 1e-6)
  lu.assertTrue(neap.gradients(poisson(neap.ones(4, 1)):sum(), theta):item() == -4)
end

return T
