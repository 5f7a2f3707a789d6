-- The Gaussian RBM against its joint energy, quadrature and sums over hidden states.
local lu = require "luaunit"
local t = require "energy.near"
local e = neap.energy
local T = {}
local f64 = {dtype = "float64"}

local function machine (v, h, std)
  local E = e.gaussian_rbm {visible = v, hidden = h, std = std, dtype = "float64"}
  return E:with {W = t.points(v, h), b = t.points(1, v)[1], c = t.points(1, h)[1]}
end

-- all states of n hidden units
local function bits (n)
  local rows = {}
  for i = 0, (1 << n) - 1 do
    rows[i + 1] = {}
    for k = 1, n do rows[i + 1][k] = i >> (k - 1) & 1 end
  end
  return neap.tensor(rows, f64)
end

function T.test_the_energy_sums_out_the_hidden_units ()
  for _, std in ipairs {1, .5, {.3, 2, 1}} do
    local E = machine(3, 4, std)
    local s = neap.tensor(type(std) == "table" and std or {std, std, std}, f64)
    local x, h = t.points(5, 3), bits(4)
    for i = 1, 5 do
      local v = x[{{i, i}}]:expand(16, 3)
      local want = ((v - E.b) / s):square():sum(2) / 2 - h:matmul(E.c) - ((v / s):matmul(E.W) * h):sum(2)
      t.near(E:joint(v, h), want)
      t.near(E(x[{{i, i}}]), {-(-want):logsumexp():item()})
    end
  end
end

function T.test_conditionals ()
  local E = machine(3, 4, {.3, 2, 1})
  local x, h = t.points(6, 3), bits(4)
  local v = x[{{1, 1}}]:expand(16, 3)
  for j = 1, 4 do
    local on, off = h:clone(), h:clone()
    on[{{}, j}], off[{{}, j}] = 1, 0
    t.near(E:hidden(v)[{{}, j}], (E:joint(v, off) - E:joint(v, on)):sigmoid())
  end
  -- given h the joint is ½ |(v − mean)/std|² and a constant
  local mean = E:visible(h)
  local s = neap.tensor({.3, 2, 1}, f64)
  local rest = E:joint(v, h) - ((v - mean) / s):square():sum(2) / 2
  t.near(E:joint(v + 1, h) - ((v + 1 - mean) / s):square():sum(2) / 2, rest)
end

function T.test_log_z_is_the_integral ()
  local one = machine(1, 5, .7)
  lu.assertAlmostEquals(one:log_z {method = "quadrature", lower = -25, upper = 25, points = 4001}, one:log_z(), 1e-9)
  local two = machine(2, 3, {.6, 1})
  lu.assertAlmostEquals(two:log_z {method = "quadrature", lower = -16, upper = 16, points = 601}, two:log_z(), 1e-8)
  local many = machine(3, 14, .5)                                   -- 16,384 hidden states: four blocks
  local h = bits(14)
  local r = h:matmul(many.W:t())
  local want = (h:matmul(many.c) + (r * (many.b / .5 + r / 2)):sum(2)):logsumexp():item()
  lu.assertAlmostEquals(many:log_z(), want + 1.5 * math.log(2 * math.pi) + 3 * math.log(.5), 1e-9)
  local none = e.gaussian_rbm {visible = 2, hidden = 3, dtype = "float64"}
  none = none:with {W = neap.zeros(2, 3, f64), b = neap.zeros(2, f64), c = neap.zeros(3, f64)}
  lu.assertAlmostEquals(none:log_z(), math.log(2 * math.pi) + 3 * math.log(2), 1e-12)
end

function T.test_derivatives ()
  local std = neap.tensor({.5, 1.5}, f64):requires_grad()
  local E = e.gaussian_rbm {visible = 2, hidden = 3, std = std, dtype = "float64"}
  lu.assertEquals(select(2, E:params()), {"W", "b", "c", "std"})
  t.smooth(machine(2, 3, {.5, 1.5}), t.points(3, 2))
  local x = t.points(4, 2)
  local ok, report = neap.gradcheck(function (W, b, c, s) return E:with {W, b, c, s}:log_prob(x):sum() end,
                                    {t.points(2, 3), t.points(1, 2)[1], t.points(1, 3)[1], neap.tensor({.5, 1.5}, f64)})
  lu.assertTrue(ok, "worst " .. report.worst)
end

function T.test_it_starts_as_an_rbm_does ()
  local E = e.gaussian_rbm {visible = 30, hidden = 20, rng = neap.rng(3)}
  t.near(E.W, e.rbm {visible = 30, hidden = 20, rng = neap.rng(3)}.W, 0)
  lu.assertEquals(E.event, {30})
  lu.assertAlmostEquals(E(neap.zeros(1, 30)):item(), -20 * math.log(2), 1e-4)
  local large = e.gaussian_rbm {visible = 300, hidden = 15}         -- too large for a tape: a number
  lu.assertFalse(large:log_prob(neap.zeros(1, 300)):isnan():any():item())
end

function T.test_errors ()
  t.raises("gaussian_rbm: option 'hidden' is missing", e.gaussian_rbm, {visible = 3})
  t.raises("gaussian_rbm: visible and hidden must be at least 1, got 3 and 0", e.gaussian_rbm, {visible = 3,
                                                                                                hidden = 0})
  t.raises("gaussian_rbm: std must be positive, got -1", e.gaussian_rbm, {visible = 3, hidden = 2, std = -1})
  t.raises("gaussian_rbm: std must be a number or [3], got [2]", e.gaussian_rbm, {visible = 3, hidden = 2,
                                                                                  std = {1, 2}})
  t.raises("gaussian_rbm: dtype must be float32 or float64, got int64", e.gaussian_rbm, {visible = 3, hidden = 2,
                                                                                         dtype = "int64"})
  t.raises("gaussian_rbm: x must be [B, 3], got [2, 4]", e.gaussian_rbm {visible = 3, hidden = 2}, neap.zeros(2, 4))
  t.raises("visible: h must be [B, 2], got [2, 3]", function ()
    e.gaussian_rbm {visible = 3, hidden = 2}:visible(neap.zeros(2, 3))
  end)
  t.raises("at most 24 units, gaussian_rbm has 25 hidden ones", function ()
    e.gaussian_rbm {visible = 3, hidden = 25}:log_z()
  end)
end

return T
