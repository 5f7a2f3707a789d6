-- Log densities and bijectors.
local lu = require "luaunit"

local T = {}
local raises = lu.assertErrorMsgContains
local f64 = {dtype = "float64"}

local function at (x) return neap.tensor(x, f64) end
local function near (got, want, eps) lu.assertAlmostEquals(got:item(), want, eps or 1e-10) end

function T.test_values ()
  local d = neap.dist
  near(d.normal(at(1), {mean = 2, std = 3}), -0.5 / 9 - math.log(3) - 0.5 * math.log(2 * math.pi))
  near(d.normal(at(1)), -0.5 - 0.5 * math.log(2 * math.pi))
  near(d.normal(at(1), at(2), at(3)), -0.5 / 9 - math.log(3) - 0.5 * math.log(2 * math.pi))
  near(d.cauchy(at(3), 1, 2), math.log(1 / (math.pi * 2 * 2)))
  near(d.laplace(at(-1), 1, 2), -1 - math.log(4))
  near(d.student_t(at(1.5), {df = 1}), math.log(1 / (math.pi * (1 + 2.25))))
  near(d.beta(at(.3), 2, 3), math.log(12 * .3 * .7 ^ 2))
  near(d.gamma(at(2), 3, .5), math.log(.125 * 4 * math.exp(-1) / 2))
  near(d.exponential(at(2), {rate = .5}), math.log(.5) - 1)
  near(d.poisson(at(3), {rate = 2}), math.log(8 * math.exp(-2) / 6))
  near(d.bernoulli(at(1), {p = .3}), math.log(.3))
  near(d.bernoulli(at(0), {logits = math.log(3 / 7)}), math.log(.7))
  near(d.lognormal(at(2), 0, 1), -0.5 * math.log(2) ^ 2 - 0.5 * math.log(2 * math.pi) - math.log(2))
  near(d.half_cauchy(at(1)), math.log(1 / math.pi))
  near(d.uniform(at(.5), 0, 4), -math.log(4))
end

-- Parameters of fewer elements than x, or of more, give what numbers give.
function T.test_parameters_broadcast ()
  local x, scales = at {-1, .3, 2}, at {{.5}, {2}}
  local functions = {normal = neap.dist.normal, cauchy = neap.dist.cauchy, laplace = neap.dist.laplace,
                     student_t = function (v, loc, scale) return neap.dist.student_t(v, 3, loc, scale) end}
  for name, f in pairs(functions) do
    local all = f(x, at(.1), scales)
    lu.assertEquals(all.shape, {2, 3}, name)
    for i, scale in ipairs{.5, 2} do
      for k = 1, 3 do lu.assertAlmostEquals(all[i][k]:item(), f(x[k], .1, scale):item(), 1e-14, name) end
    end
    lu.assertAlmostEquals(f(at(.7), scales:flatten(), 1)[1]:item(), f(at(.7), .5, 1):item(), 1e-14, name)
  end
end

-- ∫ e^(log p) by the trapezoid rule
local function integral (f, lo, hi)
  local n = 200001
  local x = neap.linspace(lo, hi, n, f64)
  local p = f(x):exp()
  return ((p:sum() - (p[1] + p[n]) * .5) * ((hi - lo) / (n - 1))):item()
end

function T.test_densities_integrate_to_one ()
  local d = neap.dist
  lu.assertAlmostEquals(integral(function (x) return d.normal(x, 1, 2) end, -30, 30), 1, 1e-6)
  lu.assertAlmostEquals(integral(function (x) return d.student_t(x, 5, 1, 2) end, -2000, 2000), 1, 1e-5)
  lu.assertAlmostEquals(integral(function (x) return d.gamma(x, 2.5, 2) end, 0, 40), 1, 1e-5)
  lu.assertAlmostEquals(integral(function (x) return d.beta(x, 2.5, 3) end, 0, 1), 1, 1e-5)
  lu.assertAlmostEquals(integral(function (x) return d.lognormal(x, 0, .5) end, 0, 60), 1, 1e-5)
  lu.assertAlmostEquals(integral(function (x) return d.half_normal(x, 2) end, 0, 30), 1, 1e-4)
end

function T.test_outside_the_support ()
  local x = at({-1, 2}):requires_grad()
  local p = neap.dist.exponential(x, 1)
  lu.assertEquals(p:detach():totable(), {-math.huge, -2})
  lu.assertEquals(neap.gradients(p:sum(), x, {grad_outputs = at(1)}):totable(), {0, -1})
  lu.assertEquals(neap.dist.poisson(at {0.5, -1}, 2):totable(), {-math.huge, -math.huge})
end

function T.test_errors ()
  raises("dist.normal: unknown option 'sd' (did you mean 'std'?)", neap.dist.normal, at(1), {sd = 1})
  raises("dist.student_t: df must be given", neap.dist.student_t, at(1))
  raises("either p or logits", neap.dist.bernoulli, at(1))
  raises("bad argument #1 to 'normal' (tensor expected, got string)", neap.dist.normal, "x")
end

function T.test_element_wise_bijectors ()
  local b = neap.bijector
  local u = at {-2, -.3, .1, 1.5}
  local cases = {positive = b.positive, unit = b.unit, lower = b.lower(2), upper = b.upper(-1),
                 interval = b.interval(-1, 3)}
  for name, f in pairs(cases) do
    local y, log_jacobian = f(u)
    local slope = neap.grad(function (v) return (f(v)):sum() end)(u)
    lu.assertTrue((slope:abs():log() - log_jacobian):abs():max() < 1e-12, name)
    lu.assertTrue((f:inverse(y) - u):abs():max() < 1e-12, name)
  end
  raises("bijector: a colon expected, as in b:inverse(y)", b.positive.inverse, u)
  raises("bijector.lower: a: number or tensor expected, got nil", b.lower)
  raises("bijector.interval: a: number or tensor expected, got string", b.interval, "0", 1)
  raises("bijector.interval: a below b expected, got 3 and 1", b.interval, 3, 1)
  lu.assertTrue(b.lower(2)(u):min() > 2)
  lu.assertTrue(b.upper(-1)(u):max() < -1)
end

function T.test_ordered_and_simplex ()
  local u = at {{-1, .5, .2}, {0, 0, 0}}
  local y, log_jacobian = neap.bijector.ordered(u)
  lu.assertEquals(log_jacobian.shape, {2})
  lu.assertTrue((y[{{}, {2, 3}}] - y[{{}, {1, 2}}]):min() > 0)
  lu.assertTrue((neap.bijector.ordered:inverse(y) - u):abs():max() < 1e-12)
  local j = neap.jacobian(function (v) return (neap.bijector.ordered(v)) end, u[1])
  near(log_jacobian[1] - j:logdet(), 0)
  y, log_jacobian = neap.bijector.simplex(u)
  lu.assertEquals(y.shape, {2, 4})
  lu.assertTrue((y:sum(2) - 1):abs():max() < 1e-12)
  lu.assertTrue((y[2] - .25):abs():max() < 1e-12)
  lu.assertTrue((neap.bijector.simplex:inverse(y) - u):abs():max() < 1e-12)
  j = neap.jacobian(function (v) return (neap.bijector.simplex(v))[{{1, 3}}] end, u[1])
  near(log_jacobian[1] - j:det():abs():log(), 0)
end

return T
