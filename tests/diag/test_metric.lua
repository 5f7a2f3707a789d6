-- test_metric.lua -- distances between samples, against closed forms.

local lu = require "luaunit"
local metric = require "neap.metric"
local T = {}

function T.test_auroc_counts_pairs ()
  lu.assertEquals(metric.auroc(neap.tensor{3, 4}, neap.tensor{1, 2}), 1)
  lu.assertEquals(metric.auroc(neap.tensor{1, 2}, neap.tensor{3, 4}), 0)
  lu.assertEquals(metric.auroc({1, 1, 1}, {1, 1}), .5)
  lu.assertEquals(metric.auroc({2, 3}, {1, 2}), .875)          -- pairs: 1, ½, 1, 1
  local p, n = neap.rng(1):normal(300) + 1, neap.rng(2):normal(200)
  p, n = (p * 4):round(), (n * 4):round()    -- many ties
  local wins = p:unsqueeze(2):gt(n):to "float64" + .5 * p:unsqueeze(2):eq(n):to "float64"
  lu.assertAlmostEquals(metric.auroc(p, n), wins:mean():item(), 1e-12)
  lu.assertTrue(metric.auroc({0 / 0}, {1}) ~= metric.auroc({0 / 0}, {1}))
  lu.assertErrorMsgContains("at least one positive", metric.auroc, {}, {1})
end

-- Two rows in the bin (.6, .7], one right: |½ − .65|; one row in (.8, .9], wrong; one in (.9, 1], right.
function T.test_ece_by_hand ()
  local p = neap.tensor({{.64, .2, .16}, {.04, .3, .66}, {.1, .85, .05}, {.97, .01, .02}}, {dtype = "float64"})
  local y = neap.tensor({1, 1, 3, 1}, {dtype = "int64"})
  local want = (2 * math.abs(1 / 2 - .65) + .85 + .03) / 4
  lu.assertAlmostEquals(metric.ece(p:log(), y, {bins = 10}), want, 1e-12)
  lu.assertAlmostEquals(metric.ece(p:log() + 5, y, {bins = 10}), want, 1e-12)      -- logits have no zero
  lu.assertAlmostEquals(metric.ece(p:log(), y, {bins = 1}), math.abs(1 / 2 - (.64 + .66 + .85 + .97) / 4), 1e-12)
  lu.assertAlmostEquals(metric.ece(neap.zeros(6, 3), neap.tensor({1, 2, 3, 1, 2, 3}, {dtype = "int64"})), 0, 1e-12)
  lu.assertAlmostEquals(metric.ece(neap.tensor{{50, 0}, {0, 50}}, neap.tensor({1, 1}, {dtype = "int64"})), .5, 1e-12)
end

-- Labels drawn from the probabilities themselves are calibrated; from those at temperature 2 they are not.
function T.test_ece_of_labels_that_follow_their_probabilities ()
  local f = 2 * neap.rng(1):normal(20000, 4)
  local y = neap.rng(2):categorical(f)
  lu.assertTrue(metric.ece(f, y) < .01)      -- 15 bins of some 1300: √(¼/1300) = .014 at most, with either sign
  lu.assertTrue(metric.ece(2 * f, y) > .05)
end

function T.test_ece_errors ()
  local f, y = neap.zeros(2, 3), neap.tensor({1, 2}, {dtype = "int64"})
  lu.assertErrorMsgContains("logits [n, K] and labels [n] expected, got [2, 3] and [3]", metric.ece, f,
                            neap.tensor({1, 2, 3}, {dtype = "int64"}))
  lu.assertErrorMsgContains("labels: int64 in 1 to 3 expected, got int64 in 1 to 4", metric.ece, f,
                            neap.tensor({1, 4}, {dtype = "int64"}))
  lu.assertErrorMsgContains("labels: int64 in 1 to 3 expected, got float32", metric.ece, f, neap.ones(2))
  lu.assertErrorMsgContains("metric.ece: logits: tensor expected, got nil", metric.ece, nil, y)
  lu.assertErrorMsgContains("bins", metric.ece, f, y, {bins = 0})
end

-- Between N(0, I) and N(μ, I) in d dimensions, h: MMD² = 2 (h²/(h² + 2))^(d/2) (1 − e^(−|μ|²/2(h² + 2)))
function T.test_mmd_of_shifted_normals ()
  local function truth (h, shift)
    return 2 * (h * h / (h * h + 2)) * (1 - math.exp(-shift * shift / (2 * (h * h + 2))))
  end
  local x, y = neap.rng(1):normal(1500, 2), neap.rng(2):normal(1500, 2)
  for _, h in ipairs{.5, 2} do
    lu.assertAlmostEquals(metric.mmd(x, y, {bandwidth = h}), 0, .004)
    lu.assertAlmostEquals(metric.mmd(x, y + neap.tensor{1.5, 0}, {bandwidth = h}), truth(h, 1.5), .02)
  end
  lu.assertErrorMsgContains("points of equal size", metric.mmd, x, neap.zeros(3, 3))
  lu.assertErrorMsgContains("did you mean 'bandwidth'", metric.mmd, x, y, {bandwith = 1})
end

function T.test_mmd_is_its_double_sum ()
  local x, y, sum = {{0, 0}, {1, 0}}, {{0, 1}, {2, 2}, {1, 1}}, 0
  local function k (a, b) return math.exp(-((a[1] - b[1]) ^ 2 + (a[2] - b[2]) ^ 2) / 2) end
  for i, a in ipairs(x) do for j, b in ipairs(x) do if i ~= j then sum = sum + k(a, b) / 2 end end end
  for i, a in ipairs(y) do for j, b in ipairs(y) do if i ~= j then sum = sum + k(a, b) / 6 end end end
  for _, a in ipairs(x) do for _, b in ipairs(y) do sum = sum - 2 * k(a, b) / 6 end end
  lu.assertAlmostEquals(metric.mmd(neap.tensor(x), neap.tensor(y), {bandwidth = 1}), sum, 1e-12)
end

function T.test_frechet_of_gaussian_samples ()
  local x = neap.rng(1):normal(4000, 2)
  local mean, scale = neap.tensor{1, -2}, neap.tensor{2, .5}
  lu.assertAlmostEquals(metric.frechet(x, x), 0, 1e-9)
  lu.assertAlmostEquals(metric.frechet(x, x + mean), 5, 1e-4)
  local y = neap.rng(2):normal(4000, 2) * scale
  lu.assertAlmostEquals(metric.frechet(x, y), 1 + .25, .15)    -- Σ (1 − sᵢ)²
end

function T.test_ksd_is_small_only_for_the_right_law ()
  local E = neap.energy.gaussian{mean = neap.tensor{0, 0}, std = 1}
  local x = neap.rng(1):normal(1500, 2)
  lu.assertAlmostEquals(metric.ksd(E, x), 0, .02)
  lu.assertTrue(metric.ksd(E, x + neap.tensor{.5, 0}) > .05)
  lu.assertTrue(metric.ksd(E, 1.5 * x) > .05)
end

-- the Stein kernel of two points by differences of k
function T.test_ksd_of_two_points ()
  local E = neap.energy.gaussian{mean = neap.tensor{0}, std = 1}
  local function k (a, b) return (1 + (a - b) ^ 2) ^ -.5 end
  local a, b, h = .7, -.4, 1e-4
  local ka = (k(a + h, b) - k(a - h, b)) / (2 * h)
  local kb = (k(a, b + h) - k(a, b - h)) / (2 * h)
  local kab = (k(a + h, b + h) - k(a + h, b - h) - k(a - h, b + h) + k(a - h, b - h)) / (4 * h * h)
  local u = a * b * k(a, b) - a * kb - b * ka + kab
  lu.assertAlmostEquals(metric.ksd(E, neap.tensor({{a}, {b}}, {dtype = "float64"})), u, 1e-6)
end

function T.test_fisher_divergence ()
  local E = neap.energy.gaussian{mean = neap.tensor{0, 0}, std = 1}
  local x = neap.rng(1):normal(100, 2)
  lu.assertAlmostEquals(metric.fisher_divergence(E, function (y) return -y end, x), 0, 1e-12)
  lu.assertAlmostEquals(metric.fisher_divergence(E, function (y) return -3 * y end, x),
                        2 * x:square():sum(2):mean():item(), 1e-4)
end

return T
