-- log Z, log densities and exact samples against closed forms and each other.
local lu = require "luaunit"
local t = require "energy.near"
local e = neap.energy
local T = {}
local log, pi = math.log, math.pi

local normalised = {
  {"gaussian", function () return e.gaussian {mean = {1, -1}, cov = {{1, .4}, {.4, .5}}} end},
  {"gaussian by precision", function () return e.gaussian {mean = {1, -1}, precision = {{2, .4}, {.4, 1}}} end},
  {"gaussian by std", function () return e.gaussian {mean = {0, 1}, std = {.5, 1}} end},
  {"gaussian by one std", function () return e.gaussian {mean = {0, 1}, std = .6} end},
  {"gmm", function () return e.gmm {means = {{1, 1}, {-1, -1}}, std = .5, weights = {1, 2}} end},
  {"gmm by covs", function () return e.gmm {means = {{1, 1}, {-1, -1}},
                                            covs = {{{.5, .2}, {.2, .5}}, {{.3, 0}, {0, .6}}}} end},
  {"banana", function () return e.banana {b = .2} end},
  {"ring", function () return e.ring {radius = 2, std = .3} end},
  {"any", function () return e.any {e.gaussian {mean = {1, 1}, std = .5}, e.gaussian {mean = {-2, 0}, std = 1}} end},
  {"mixture", function () return e.mixture {energies = {e.gaussian {mean = {1, 1}, std = .5}, e.banana {b = .2}},
                                            weights = {.3, .7}} end},
  {"offset", function () return e.gaussian {mean = {0, 0}} + 2.5 end},
  {"translate", function () return e.banana {b = .3}:translate {1, 1} end},
}

function T.test_closed_forms_agree_with_quadrature ()
  for _, case in ipairs(normalised) do
    local E = case[2]()
    local exact, info = E:log_z {method = "exact"}
    local grid, about = E:log_z {method = "quadrature", lower = -9, upper = {9, 11}, points = 301}
    lu.assertEquals(info.method, "exact")
    lu.assertEquals(about.method, "quadrature")
    lu.assertAlmostEquals(grid, exact, 1e-8, case[1])
    lu.assertTrue(about.error < 1e-3, case[1])
  end
end

function T.test_known_values ()
  lu.assertAlmostEquals(e.gaussian {mean = {0, 0}, std = 2}:log_z(), log(2 * pi * 4), 1e-12)
  lu.assertAlmostEquals(e.funnel {dim = 5}:log_z(), log(3) + 2.5 * log(2 * pi), 1e-12)
  lu.assertAlmostEquals(e.banana {}:log_z(), log(2 * pi * .5), 1e-12)
  lu.assertEquals(e.gmm {means = {{0, 0}}, std = 1}:log_z(), 0)
end

function T.test_quadrature_in_one_and_three_dimensions ()
  local well = e.double_well {barrier = 1}
  lu.assertAlmostEquals(well:log_z {method = "quadrature", lower = -6, upper = 6}, 0.67992624289,
                        1e-9)    -- ∫ e^−(x²−1)² dx
  local cube = e.gaussian {mean = {0, 0, 0}, std = {1, .7, 2}}
  lu.assertAlmostEquals(cube:log_z {method = "quadrature", lower = {-8, -6, -15}, upper = {8, 6, 15}, points = 61},
                        cube:log_z(), 1e-9)
  local f = neap.energy(function (x) return x:abs():squeeze(2) end)
  lu.assertAlmostEquals(f:log_z {method = "quadrature", lower = {-30}, upper = {30}, points = 6001}, log(2), 1e-4)
end

function T.test_log_prob ()
  local x = t.points(5, 2)
  local g = e.gaussian {mean = {0, 0}, std = 2}
  t.near(g:log_prob(x), -(x * x):sum(2) / 8 - log(2 * pi * 4))
  local m = e.gmm {means = {{0, 0}, {1, 1}}, std = 1}
  t.near(m:log_prob(x), -m(x))
  local well = e.double_well {dim = 2}
  t.near(well:log_prob(x, {log_z = 1.5}), -well(x) - 1.5)
  t.near(well:log_prob(x, {log_z = neap.tensor(1.5, {dtype = "float64"})}), -well(x) - 1.5)
  t.raises("no closed form is known for double_well; give log_z", function () return well:log_prob(x) end)
  t.raises("unknown option 'logz' (did you mean 'log_z'?)", function () return well:log_prob(x, {logz = 1}) end)
end

function T.test_log_prob_of_variables_is_differentiable ()
  local std = neap.tensor({2, 3}, {dtype = "float64"}):requires_grad()
  local x = t.points(5, 2)
  local g = neap.gradients(e.gaussian {mean = {0, 0}, std = std}:log_prob(x):sum(), std)
  t.near(g, (x * x):sum(1) / std:detach() ^ 3 - 5 / std:detach())
  local ok, report = neap.gradcheck(function (m, c)
    return e.gaussian {mean = m, cov = c:matmul(c:t()) + neap.eye(2, {dtype = "float64"})}:log_prob(x):sum()
  end, {t.points(1, 2)[1], t.points(2, 2)})
  lu.assertTrue(ok, "worst " .. report.worst)
end

-- ---- enumeration ----

local function small_rbm (v, h)
  local E = e.rbm {visible = v, hidden = h, dtype = "float64"}
  return E:with {W = t.points(v, h), b = t.points(1, v)[1], c = t.points(1, h)[1]}
end

-- by brute force over the joint states, in plain Lua
local function brute (E)
  local W, b, c = E.W:totable(), E.b:totable(), E.c:totable()
  local z = 0
  for i = 0, (1 << #b) - 1 do
    for j = 0, (1 << #c) - 1 do
      local s = 0
      for k = 1, #b do
        if i >> (k - 1) & 1 == 1 then
          s = s + b[k]
          for l = 1, #c do if j >> (l - 1) & 1 == 1 then s = s + W[k][l] end end
        end
      end
      for l = 1, #c do if j >> (l - 1) & 1 == 1 then s = s + c[l] end end
      z = z + math.exp(s)
    end
  end
  return log(z)
end

function T.test_rbm_by_enumeration ()
  for _, size in ipairs {{4, 3}, {3, 5}, {6, 6}, {1, 1}} do
    local E = small_rbm(size[1], size[2])
    local want = brute(E)
    lu.assertAlmostEquals(E:log_z(), want, 1e-10)
    lu.assertAlmostEquals(E:log_z {method = "enumerate"}, want, 1e-10)
    lu.assertAlmostEquals((E + 0):log_z {method = "enumerate"}, want, 1e-10)      -- over the visible units
  end
end

function T.test_enumeration_goes_by_blocks ()
  local E = small_rbm(20, 14)                                       -- 16,384 hidden states: four blocks
  local visible = (E + 0):log_z {method = "enumerate"}              -- a million visible ones
  lu.assertAlmostEquals(E:log_z(), visible, 1e-9)
end

function T.test_rbm_with_weights_whose_products_overflow ()
  local E = small_rbm(12, 7)
  E = E:with {W = 200 * E.W:detach()}
  lu.assertAlmostEquals(E:log_z(), (E + 0):log_z {method = "enumerate"}, 1e-9)
  local nan = E:with {b = E.b:detach() * (0 / 0)}
  lu.assertNotEquals(nan:log_z(), nan:log_z())                      -- NaN stays NaN
end

function T.test_rbm_in_float32_is_summed_in_float64 ()
  local E = e.rbm {visible = 9, hidden = 8}
  local F = E:with {W = E.W:detach():double(), b = E.b:detach():double(), c = E.c:detach():double()}
  lu.assertAlmostEquals(E:log_z(), brute(F), 1e-11)
end

function T.test_enumeration_of_other_values ()
  local field = neap.energy(function (s) return -.5 * s:sum(2) end, {event = 3})
  lu.assertAlmostEquals(field:log_z {method = "enumerate", values = {-1, 1}},
                        3 * log(2 * (math.exp(.5) + math.exp(-.5)) / 2), 1e-12)
end

function T.test_what_cannot_be_summed ()
  t.raises("at most 24 units, rbm has 25 on its smaller side", function () return e.rbm {visible = 30,
      hidden = 25}:log_z() end)
  t.raises("enumerate needs the event's shape",
           function () return neap.energy(function (x) return x:sum(2) end):log_z {method = "enumerate"} end)
  t.raises("method 'aix' is not known; there are exact, enumerate, quadrature, ais, reverse_ais, smc",
           function () return e.banana {}:log_z {method = "aix"} end)
  t.raises("option 'lower': a number or a table", function () return e.banana {}:log_z {method = "quadrature"} end)
  t.raises("lower must lie below upper", function () return e.banana {}:log_z {method = "quadrature", lower = 1,
                                                                               upper = 0} end)
  t.raises("1 to 3 dimensions, got 4", function () return e.funnel {dim = 5}:log_z {method = "quadrature", lower = -1,
      upper = 1} end)
  t.raises("funnel has 5 coordinates, the grid 2", function () return e.funnel {dim = 5}:log_z {method = "quadrature",
      lower = {-1, -1}, upper = 1} end)
  t.raises("\"quadrature\", \"enumerate\", \"ais\" or \"smc\"", function () return e.mlp {sizes = {2, 4}}:log_z() end)
end

-- ---- exact samples ----

-- moments of n draws within z standard errors of those by quadrature over density
local function moments (E, n)
  local x = E:sample(n, neap.rng(11)):double()
  lu.assertEquals(x.shape, {n, 2})
  local z = E:log_z()
  local steps = 241
  local axis = neap.linspace(-12, 12, steps, {dtype = "float64"})
  local grid = neap.stack({axis:unsqueeze(2):expand(steps, steps):reshape(-1),
                           axis:unsqueeze(1):expand(steps, steps):reshape(-1)}, 2)
  local w = (-E(grid) - z):exp() * (24 / (steps - 1)) ^ 2
  for _, f in ipairs {function (y) return y[{{}, 1}] end, function (y) return y[{{}, 2}] end,
                      function (y) return y[{{}, 1}] ^ 2 end,
                      function (y) return y[{{}, 1}] * y[{{}, 2}] end, function (y) return y[{{}, 2}] ^ 2 end} do
    local want, got = (w * f(grid)):sum():item(), f(x)
    local score = (got:mean():item() - want) / (got:std():item() / n ^ .5)
    lu.assertTrue(math.abs(score) < 4.5, ("%s: z = %g"):format(tostring(E), score))
  end
end

function T.test_exact_samples_have_the_right_moments ()
  for _, case in ipairs(normalised) do
    if case[1] ~= "ring" then moments(case[2](), 20000) end
  end
end

function T.test_funnel_samples ()
  local x = e.funnel {dim = 3}:sample(40000, neap.rng(3)):double()
  local v = x[{{}, 1}]
  lu.assertAlmostEquals(v:lt(-5):double():mean():item(), .0478, .005)
  lu.assertAlmostEquals(v:std():item(), 3, .05)
  local z = x[{{}, 3}] * (-v / 2):exp()
  lu.assertAlmostEquals(z:mean():item(), 0, .025)
  lu.assertAlmostEquals(z:std():item(), 1, .02)
end

function T.test_samples_follow_the_seed ()
  local E = e.gmm {means = {{1, 1}, {-1, -1}}, std = .5}
  t.near(E:sample(10, neap.rng(5)), E:sample(10, neap.rng(5)), 0)
  neap.seed(4)
  local a = E:sample(10)
  neap.seed(4)
  t.near(E:sample(10), a, 0)
  lu.assertEquals(E:sample(0).shape, {0, 2})
  neap.default_dtype "float64"
  lu.assertEquals(E:sample(2).dtype, "float64")
end

function T.test_what_cannot_be_sampled ()
  t.raises("mlp has no exact sampler; use one of neap.sampler", function () return e.mlp {sizes = {2, 4}}:sample(3) end)
  t.raises("a number of draws expected, got -1", function () return e.banana {}:sample(-1) end)
  t.raises("no closed form is known for double_well", function () return e.any {e.double_well {},
                                                                                e.gaussian {mean = {0}}}:sample(3) end)
end

return T
