-- The surface as its users know it, part four: energies, their algebra, what can be asked of them, their parameters.
local lu = require "luaunit"
local near = require("energy.near").near
local raises = require("energy.near").raises

local T = {}
local eq = lu.assertEquals
local f64 = {dtype = "float64"}
local function t (v) return neap.tensor(v, f64) end
local function points (n, d) return neap.randn(n, d, f64) end
local quadratic = function () return neap.energy(function (x) return .5 * (x ^ 2):sum(2) end) end
local normal = function (m, s) return neap.energy.gaussian {mean = m or {0, 0}, std = s or 1} end

-- ---- functions ----

function T.test_energy_of_a_function ()
  local E = quadratic()
  local x = points(4, 2)
  eq(E(x).shape, {4})
  near(E(x), .5 * (x ^ 2):sum(2))
  near(E:score(x), -x)
  near(E:grad(x), x)
  near(E:hvp(x, points(4, 2) * 0 + 1), neap.ones(4, 2, f64))
  near(E:laplacian(x), {2, 2, 2, 2})
  near(E:log_ratio(x, x * 0), -E(x))
end

function T.test_energy_with_a_condition ()
  local E = neap.energy(function (x, c) return ((x - c) ^ 2):sum(2) end)
  local x, c = points(3, 2), points(3, 2)
  near(E(x, c), ((x - c) ^ 2):sum(2))
  near(E:score(x, c), -2 * (x - c))
  near(E:grad(x, c), 2 * (x - c))
  near(E:laplacian(x, c), {4, 4, 4})
  local G = E:given(t {1, 2})
  near(G(x), ((x - t {1, 2}) ^ 2):sum(2))
  near(G:score(x), -2 * (x - t {1, 2}))
  near(E:log_ratio(x, x * 0, c), (c ^ 2):sum(2) - ((x - c) ^ 2):sum(2))
end

function T.test_parameters_of_functions ()
  local a, b = t({1}):requires_grad(), t({2}):requires_grad()
  local E = neap.energy(function (x) return (b * (x - a) ^ 2):sum(2) end, {params = {beta = b, alpha = a}, event = {1}})
  local params, names = E:params()
  eq(#params, 2)
  eq(names, {"alpha", "beta"})
  near(params[1], {1})
  local F = neap.energy(function (x) return (x ^ 2 * a):sum(2) end, {params = {a}})
  eq(#F:params(), 1)
  local g = neap.gradients(E(t {{3}}):sum(), {a = a, b = b})
  near(g.a, {-8})
  near(g.b, {4})
end

-- Networks and energies stand for their parameters.
function T.test_parameters_of_objects ()
  local net = {w = t({{1}, {2}}):requires_grad()}
  function net:params () return {self.w}, {"w"} end
  local E = neap.energy(function (x) return x:matmul(net.w):squeeze(2) end, {params = net})
  eq(select(2, E:params()), {"w"})
  near(E(t {{1, 1}}), {3})
  local A = neap.energy.mlp {sizes = {2, 3}}
  local F = neap.energy(function (x) return A(x) + x:square():sum(2) end, {params = {A}})
  eq(#F:params(), 4)
  local g = neap.grad(function (p) return F:with(p)(neap.ones(2, 2)):sum() end)((F:params()))
  eq(g[1].shape, {3, 2})
end

-- A loop as PyTorch users write it: backward, p.grad, step.
function T.test_backward_into_parameters ()
  local E = neap.energy.gaussian {mean = t({3}):requires_grad(), std = 1}
  local params = E:params()
  local opt = neap.optim.sgd {lr = .5}
  for _ = 1, 30 do
    params[1].grad = nil
    E(t {{1}, {2}}):mean():backward()
    opt:step(E:params(), {params[1].grad})
  end
  near(params[1], {1.5}, 1e-6)
end

function T.test_conditions_through_the_algebra ()
  local C = neap.energy(function (x, c) return ((x - c) ^ 2):sum(2) end)
  local S = C + 2 * normal()
  local x, c = points(3, 2), points(3, 2)
  near(S(x, c), C(x, c) + (x ^ 2):sum(2))
  near(S:given(t {1, 2})(x), C(x, t {{1, 2}}:expand(3, 2)) + (x ^ 2):sum(2))
end

function T.test_with_and_clone ()
  local E = neap.energy.rbm {visible = 3, hidden = 2, dtype = "float64"}
  local params, names = E:params()
  eq(names, {"W", "b", "c"})
  eq(params[1].shape, {3, 2})
  local other = {}
  for i, p in ipairs(params) do other[i] = p:detach() * 0 end
  local F = E:with(other)
  local v = t {{1, 0, 1}}
  near(F(v), {-2 * math.log(2)})
  lu.assertNotEquals(E(v):item(), F(v):item())
  local C = E:clone()
  near(C(v), E(v))
  C:params()[2][1] = 100
  lu.assertTrue(math.abs(C(v):item() - E(v):item()) > 50)
  near(E:with {b = t {1, 1, 1}}(v) + 2, E:with {b = t {0, 0, 0}}(v))
end

-- ---- ready made ----

function T.test_gaussian ()
  local x = points(5, 2)
  local mean, cov = t {1, -1}, t {{2, .5}, {.5, 1}}
  local L = cov:inverse()
  local d = x - mean
  local want = .5 * (d:matmul(L) * d):sum(2)
  near(neap.energy.gaussian {mean = mean, cov = cov}(x), want)
  near(neap.energy.gaussian {mean = mean, precision = L}(x), want)
  near(neap.energy.gaussian {mean = {0, 0}, std = 2}(x), (x ^ 2):sum(2) / 8)
  near(neap.energy.gaussian {mean = {0, 0}, std = {1, 2}}(x), .5 * ((x / t {1, 2}) ^ 2):sum(2))
  near(neap.energy.gaussian {mean = mean, cov = cov}:log_z(), math.log(2 * math.pi) + .5 * cov:logdet():item())
  near(neap.energy.gaussian {mean = mean, cov = cov}:log_prob(mean:unsqueeze(1)),
    {-math.log(2 * math.pi) - .5 * cov:logdet():item()})
  local y = neap.energy.gaussian {mean = mean, cov = cov}:sample(4000):double()
  eq(y.shape, {4000, 2})
  near(y:mean(1), mean, .1)
end

function T.test_gmm_and_mixture ()
  local E = neap.energy.gmm {means = {{-1}, {1}}, std = .5, weights = {.25, .75}}
  local function density (x)
    local n = function (m) return math.exp(-.5 * ((x - m) / .5) ^ 2) / (.5 * math.sqrt(2 * math.pi)) end
    return .25 * n(-1) + .75 * n(1)
  end
  near(E(t {{.3}}), {-math.log(density(.3))})
  near(E:log_prob(t {{.3}}), {math.log(density(.3))})
  eq(E:sample(10).shape, {10, 1})
  local F = neap.energy.gmm {means = {{-2, -2}, {2, 2}}, covs = {{{.5, 0}, {0, .5}}, {{.5, 0}, {0, .5}}}}
  near(F:log_z(), 0)
  local A, B = normal({0}, 1), normal({3}, 1)
  local M = neap.energy.mixture {energies = {A, B}, weights = {.3, .7}}
  near(M(t {{1}}), {-math.log(.3 * math.exp(-.5) + .7 * math.exp(-2))})
end

function T.test_formulas ()
  local x = t {{1.5, -.5}}
  near(neap.energy.double_well {barrier = 2}(t {{1.5}}), {2 * (1.5 ^ 2 - 1) ^ 2})
  near(neap.energy.double_well()(t {{0}}), {1})
  near(neap.energy.funnel {dim = 2}(x):sub(neap.energy.funnel {dim = 2}(t {{0, 0}})),
       {1.5 ^ 2 / 18 + .25 / (2 * math.exp(1.5)) + 1.5 / 2})
  near(neap.energy.banana {b = 1, std = {1, .5}}(x), {1.5 ^ 2 / 2 + (-.5 - (1.5 ^ 2 - 1)) ^ 2 / (2 * .25)})
  near(neap.energy.banana()(x), {1.5 ^ 2 / 2 + (-.5 - (1.5 ^ 2 - 1)) ^ 2 / (2 * .25)})
  near(neap.energy.rosenbrock {a = 1, b = 100}(x), {.25 + 100 * (-.5 - 2.25) ^ 2})
  local r = math.sqrt(2.5)
  near(neap.energy.ring {radius = 2, std = .3}(x), {(r - 2) ^ 2 / (2 * .09)})
  local E = neap.energy.exponential_family {statistics = function (v) return neap.cat({v, v ^ 2}, 2) end,
    params = t {2, -.5}}
  near(E(t {{3}}), {-(2 * 3 - .5 * 9)})
  local G = neap.energy.exponential_family {statistics = function (v) return v end, params = t {1},
    base = function (v) return (-.5 * (v ^ 2):sum(2)):exp() end}
  near(G(t {{3}}), {-3 + 4.5})
end

function T.test_rbm ()
  local E = neap.energy.rbm {visible = 4, hidden = 3, dtype = "float64"}
  local p = E:params()
  local W, b, c = p[1]:detach(), p[2]:detach(), p[3]:detach()
  b[1] = .5
  c[2] = -.25
  local v = t {{1, 0, 1, 1}, {0, 0, 0, 1}}
  near(E(v), -(v:matmul(b)) - (c + v:matmul(W)):softplus():sum(2))
  near(E:hidden(v), (c + v:matmul(W)):sigmoid())
  local h = t {{1, 0, 1}, {0, 1, 0}}
  near(E:visible(h), (b + h:matmul(W:t())):sigmoid())
  near(E:joint(v, h), -(v:matmul(b)) - h:matmul(c) - (v:matmul(W) * h):sum(2))
  -- every state
  local states = {}
  for i = 0, 15 do states[i + 1] = {i & 1, i >> 1 & 1, i >> 2 & 1, i >> 3 & 1} end
  near(E:log_z(), (-E(t(states))):logsumexp())
  near(E:log_z {method = "exact"}, (E:log_z {method = "enumerate"}))
  near(E:log_prob(t(states)):exp():sum(), 1)
end

function T.test_mlp ()
  local E = neap.energy.mlp {sizes = {2, 8, 8}, activation = "silu"}
  eq(E(neap.randn(5, 2)).shape, {5})
  local params, names = E:params()
  eq(#params, #names)
  eq(params[1].shape, {8, 2})
  eq(params[#params].shape, {1})
  for _, a in ipairs {"relu", "tanh", "softplus", "gelu", "elu"} do
    eq(neap.energy.mlp {sizes = {2, 4}, activation = a}(neap.randn(3, 2)).shape, {3})
  end
  local C = neap.energy.mlp {sizes = {2, 8}, condition = 3}
  eq(C(neap.randn(5, 2), neap.randn(5, 3)).shape, {5})
  eq(C:given(neap.randn(3))(neap.randn(5, 2)).shape, {5})
  local D = neap.energy.mlp {sizes = {2, 8}, dtype = "float64"}
  lu.assertTrue((neap.gradcheck(function (x) return D(x) end, {points(3, 2)}, {order = 3})))
end

-- ---- algebra ----

function T.test_algebra ()
  local A, B, C = normal({1, 0}), normal({0, 2}, 2), quadratic()
  local x = points(6, 2)
  near((A + B)(x), A(x) + B(x))
  near((A - B)(x), A(x) - B(x))
  near((2 * A)(x), 2 * A(x))
  near((A * 2)(x), 2 * A(x))
  near((A / 4)(x), A(x) / 4)
  near((-A)(x), -A(x))
  near((A + 3)(x), A(x) + 3)
  near((3 + A)(x), A(x) + 3)
  near((A - 3)(x), A(x) - 3)
  near((2 * A + B - .5 * C)(x), 2 * A(x) + B(x) - .5 * C(x))
  near(((A + B) / 2)(x), (A(x) + B(x)) / 2)
  near(neap.energy.any {A, B}(x), -neap.stack({-A(x), -B(x)}, 2):logsumexp(2))
  near(A:translate(t {1, 1})(x), A(x - 1))
  near(A:translate({1, 1})(x), A(x - 1))
  near((A + B):score(x), A:score(x) + B:score(x))
  near((2 * A + B - .5 * C):laplacian(x), 2 * A:laplacian(x) + B:laplacian(x) - .5 * C:laplacian(x))
  near((A + B + C):hvp(x, x), A:hvp(x, x) + B:hvp(x, x) + C:hvp(x, x))
  near(neap.energy.any {A + B, 2 * C}:translate {1, 0}:score(x), neap.energy.any {A + B, 2 * C}:score(x - t {1, 0}))
end

function T.test_algebra_with_tensors ()
  local w, temperature = t({2}):requires_grad(), t({3}):requires_grad()
  local A = normal()
  local x = points(3, 2)
  near((w * A)(x), 2 * A(x))
  near((A / temperature)(x), A(x) / 3)
  near(neap.gradients((w * A)(x):sum(), w), {A(x):sum():item()})
end

function T.test_fix ()
  local A = normal()
  local F = A:fix({true, false}, {2, 0})
  local x = points(3, 2)
  local held = x:clone()
  held[{{}, 1}] = 2
  near(F(x), A(held))
  near(F:score(x)[{{}, 1}], {0, 0, 0})
  local G = A:fix(neap.tensor {true, false}, t {2, 0})
  near(G(x), F(x))
  local draws = neap.sampler.langevin {step_size = .1}:sample(F, {chains = 5, steps = 20, seed = 1})
  near(draws[{{}, {}, 1}]:sub(2):abs():max(), 0)
end

function T.test_composed_parameters ()
  local A, B = neap.energy.mlp {sizes = {2, 3}}, neap.energy.rbm {visible = 2, hidden = 2}
  local params, names = (A + 2 * B):params()
  eq(#params, #A:params() + #B:params())
  eq(#names, #params)
  local seen = {}
  for _, name in ipairs(names) do
    lu.assertNil(seen[name])
    seen[name] = true
  end
  eq(#(A + A):params(), #A:params())
end

-- ---- normalisers ----

function T.test_log_z ()
  local E = neap.energy.double_well {barrier = 1}
  local z = E:log_z {method = "quadrature", lower = -4, upper = 4, points = 4001}
  local sum = 0
  for i = 0, 8000 do
    local v = -4 + i / 1000
    sum = sum + math.exp(-(v * v - 1) ^ 2) / 1000
  end
  near(z, math.log(sum), 1e-6)
  local z2, info = normal():log_z {method = "quadrature", lower = {-8, -8}, upper = {8, 8}, points = 201}
  near(z2, math.log(2 * math.pi), 1e-6)
  eq(type(info), "table")
  near(E:log_prob(t {{0}}, {log_z = z}), {-1 - z})
  raises("", function () quadratic():log_z() end)
  raises("", function () quadratic():log_prob(points(1, 2)) end)
end

-- ---- files ----

local function temporary (ending) return os.tmpname() .. ending end

function T.test_save_and_load ()
  local path = temporary ".safetensors"
  local A = neap.energy.mlp {sizes = {2, 4}, activation = "tanh"}
  local E = 2 * A + neap.energy.gaussian {mean = {1, 2}, std = 3} - .5 * neap.energy.any {A,
    neap.energy.ring {radius = 2, std = .1}}
  E:save(path)
  local F = neap.energy.load(path)
  local x = neap.randn(5, 2)
  near(F(x), E(x), 1e-6)
  os.remove(path)
  local w = t({1, 2}):requires_grad()
  local function build (p) return neap.energy(function (v) return (v * p.w):sum(2) end, {params = p}) end
  local G = build {w = w}
  G:save(path)
  local H = build {w = t {0, 0}}
  H:load(path)
  near(H(t {{1, 1}}), {3})
  os.remove(path)
  raises("", neap.energy.load, "/nonexistent/x.safetensors")
end

function T.test_every_kind_is_saved_and_loaded ()
  local e, path = neap.energy, temporary ".safetensors"
  local x = neap.randn(5, 2, f64)
  local mlp = e.mlp {sizes = {2, 4}, activation = "gelu", condition = 1, dtype = "float64"}
  local kinds = {
    mlp:given {.5}, e.mlp {sizes = {2, 3, 3}}, e.rbm {visible = 2, hidden = 3}, e.gaussian {mean = {1, 2}, std = {1,
      2}},
    e.gaussian {mean = {1, 2}, cov = {{2, 1}, {1, 2}}}, e.gaussian {mean = {0, 0}, precision = {{2, 1}, {1, 2}}},
    e.gmm {means = {{0, 1}, {2, 3}}, std = .5, weights = {1, 2}}, e.double_well {barrier = 2, dim = 2},
      e.funnel {dim = 2},
    e.banana {b = 2, std = {1, 2}}, e.rosenbrock {a = 2}, e.rastrigin {a = 2}, e.ackley {b = 1},
    e.ring {radius = 2, std = .5}, e.ising {shape = 2, beta = .5, field = {1, 2}, periodic = false},
    e.ising {edges = {{2, 1}}, beta = {.5}}, e.potts {shape = {2}, states = 3, beta = 1},
    e.gaussian_rbm {visible = 2, hidden = 3, std = {1, 2}},
    e.hopfield {patterns = {{1, -1}}, beta = 1, kind = "classical"}, e.hopfield {patterns = {{1, -1}}, beta = 2},
    e.mixture {energies = {e.banana(), e.funnel {dim = 2}}, weights = {.2, .8}}, e.any {e.banana(),
      2 * e.funnel {dim = 2}},
    e.banana():translate {1, 2}, e.banana():fix({true, false}, {1, 0}), -e.banana() / 3 + 1 - .5 * e.funnel {dim = 2},
  }
  for i, E in ipairs(kinds) do
    E:save(path)
    local F = neap.energy.load(path)
    near(F(x), E(x), 1e-6)
    near(F:score(x), E:score(x), 1e-6)
    eq(tostring(F), tostring(E), i)
    eq(select(2, F:params()), select(2, E:params()))
  end
  kinds[3]:save(path)
  local other = e.rbm {visible = 2, hidden = 3}
  other:load(path)
  near(other(x), kinds[3](x), 1e-6)
  raises("", function () e.rbm {visible = 3, hidden = 3}:load(path) end)
  os.remove(path)
end

function T.test_exact_samplers ()
  local e = neap.energy
  local function moments (E, mean, cov)
    local y = E:sample(6000, neap.rng(1)):double()
    local m = y:mean(1)
    near(m, mean, .12)
    if cov then near((y - m):t():matmul(y - m) / 6000, cov, .2) end
  end
  moments(e.gaussian {mean = {1, -1}, cov = {{2, .8}, {.8, 1}}}, {1, -1}, {{2, .8}, {.8, 1}})
  moments(e.gaussian {mean = {1, -1}, precision = {{2, .8}, {.8, 1}}}, {1, -1}, t({{2, .8}, {.8, 1}}):inverse())
  moments(e.gaussian {mean = {1, -1}, std = {1, .5}}, {1, -1}, {{1, 0}, {0, .25}})
  moments(e.gmm {means = {{-1}, {1}}, std = .5, weights = {1, 3}}, {.5}, {{.25 + .75}})
  moments(e.banana {b = 1, std = {1, .5}}, {0, 0}, {{1, 0}, {0, .25 + 2}})
  moments(normal():translate {3, 4}, {3, 4}, {{1, 0}, {0, 1}})
  eq(normal():sample(3, {rng = neap.rng(1)}):totable(), normal():sample(3, neap.rng(1)):totable())
  eq(normal():sample(3, {dtype = "float64"}).dtype, "float64")
  eq(e.gaussian {mean = 0, std = 1}.event, {1})
end

function T.test_what_log_z_tells ()
  for _, given in ipairs {{}, {method = "quadrature", lower = -6, upper = 6}} do
    local z, info = normal():log_z(given)
    near(z, math.log(2 * math.pi), 1e-6)
    eq(type(info.stderr), "number")
    lu.assertTrue(info.interval[1] <= z and z <= info.interval[2])
  end
end

return T
