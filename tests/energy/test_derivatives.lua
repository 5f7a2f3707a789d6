-- Scores, Hessian products, Laplacians, and their derivatives by parameters.
local lu = require "luaunit"
local t = require "energy.near"
local e = neap.energy
local T = {}

local function f64 (v) return neap.tensor(v, {dtype = "float64"}) end

function T.test_score_is_minus_the_gradient ()
  local E, x = e.mlp {sizes = {3, 16}, dtype = "float64"}, t.points(6, 3)
  local y = x:clone():requires_grad()
  t.near(E:grad(x), neap.gradients(E(y):sum(), y))
  t.near(E:score(x), -E:grad(x))
  local value, grad = E:value_and_grad(x)
  t.near(value, E(x))
  t.near(grad, E:grad(x))
end

function T.test_hvp_and_laplacian_of_a_gaussian ()
  local P = f64 {{2, .3, 0}, {.3, 1, -.2}, {0, -.2, 3}}
  local E, x, v = e.gaussian {mean = {0, 1, 2}, precision = P}, t.points(4, 3), t.points(4, 3)
  t.near(E:hvp(x, v), v:matmul(P))
  t.near(E:laplacian(x), {6, 6, 6, 6})
end

function T.test_laplacian_is_the_trace_of_the_hessian ()
  local E, x = e.mlp {sizes = {3, 16, 16}, dtype = "float64"}, t.points(5, 3)
  local trace = neap.zeros(5, {dtype = "float64"})
  for i = 1, 3 do
    local v = neap.zeros(5, 3, {dtype = "float64"})
    v[{{}, i}] = 1
    trace = trace + E:hvp(x, v)[{{}, i}]
  end
  t.near(E:laplacian(x), trace)
  t.near(E:laplacian(x, {method = "exact"}), trace)
  local ring = e.ring {radius = 2, std = .5, dim = 3}
  local r = (x * x):sum(2):sqrt()
  t.near(ring:laplacian(x), 4 * (1 + 2 * (r - 2) / r), 1e-8)
end

function T.test_laplacian_of_pictures ()
  local E = neap.energy(function (x) return (x ^ 3):sum {2, 3} end, {event = {2, 2}})
  local x = neap.randn(3, 2, 2, {dtype = "float64"})
  t.near(E:laplacian(x), 6 * x:sum {2, 3}, 1e-9)
end

function T.test_hutchinson ()
  local E, x = e.gaussian {mean = {0, 0}, precision = {{2, 0}, {0, 5}}}, t.points(3, 2)
  t.near(E:laplacian(x, {method = "hutchinson"}), {7, 7, 7})      -- exact for a diagonal Hessian
  local full = e.gaussian {mean = {0, 0}, precision = {{2, 1}, {1, 5}}}
  local mean = full:laplacian(neap.zeros(1, 2, {dtype = "float64"}):expand(4000, 2),
                              {method = "hutchinson", rng = neap.rng(5)}):mean():item()
  lu.assertAlmostEquals(mean, 7, .15)                            -- sd 2 / √4000 = .03
  local a = full:laplacian(x, {method = "hutchinson", samples = 3, rng = neap.rng(2)})
  t.near(a, full:laplacian(x, {method = "hutchinson", samples = 3, rng = neap.rng(2)}), 0)
end

function T.test_of_an_energy_that_is_linear_or_constant ()
  local line = neap.energy(function (x) return 2 * x:sum(2) end)
  local flat = neap.energy(function (x) return neap.zeros(#x, {dtype = "float64"}) end)
  local x = t.points(3, 2)
  t.near(line:grad(x), neap.full({3, 2}, 2, {dtype = "float64"}))
  t.near(line:laplacian(x), {0, 0, 0})
  t.near(line:hvp(x, x), neap.zeros(3, 2))
  t.near(flat:score(x), neap.zeros(3, 2))
  t.near(flat:laplacian(x), {0, 0, 0})
end

-- score matching's ½|∇E|² − ΔE by the parameters, against differences
function T.test_score_and_laplacian_are_differentiable_by_parameters ()
  local E, x = e.mlp {sizes = {2, 8}, dtype = "float64"}, t.points(6, 2)
  local params = E:params()
  local function loss (...)
    local F = E:with {...}
    return ((F:score(x) ^ 2):sum(2) / 2 - F:laplacian(x)):mean()
  end
  local ok, report = neap.gradcheck(loss, params, {order = 2})
  lu.assertTrue(ok, "worst " .. report.worst)
  local value = ((E:score(x) ^ 2):sum(2) / 2 - E:laplacian(x)):mean()
  local g = neap.gradients(value, params, {allow_unused = true})
  lu.assertTrue(g[1]:abs():max():item() > 1e-3)
  lu.assertTrue(not g[4] or g[4]:item() == 0)                    -- the last bias does not matter to the score
end

-- the optimum of exact score matching for N(μ, 1/λ): ∂/∂λ of mean(½λ²(x−μ)² − λ) is zero at λ = 1/var
function T.test_score_matching_of_a_gaussian_in_closed_form ()
  local x = t.points(50, 1)
  local var = ((x - x:mean()) ^ 2):mean():item()
  local lambda = f64 {{1 / var}}:requires_grad()
  local E = e.gaussian {mean = {x:mean():item()}, precision = lambda}
  local loss = ((E:score(x) ^ 2):sum(2) / 2 - E:laplacian(x)):mean()
  lu.assertAlmostEquals(neap.gradients(loss, lambda):item(), 0, 1e-12)
  lu.assertAlmostEquals(loss:item(), -.5 / var, 1e-10)
end

function T.test_score_stays_on_xs_tape ()
  local E = e.banana {}
  local x = t.points(4, 2):requires_grad()
  local g = neap.gradients((E:score(2 * x) ^ 2):sum(), x)
  local h = E:hvp(2 * x:detach(), E:score(2 * x:detach()))
  t.near(g, -4 * h, 1e-8)
end

function T.test_nothing_is_taped_without_need ()
  local E = e.mlp {sizes = {2, 8}}
  neap.no_grad(function ()
    for _, y in ipairs {E:score(neap.randn(3, 2)), (E:value_and_grad(neap.randn(3, 2))),
                        E:laplacian(neap.randn(3, 2))} do
      lu.assertErrorMsgContains("not computed from any variable", function () return neap.gradients(y:sum(),
          neap.ones(1):requires_grad()) end)
    end
  end)
  local G = e.gaussian {mean = {0, 0}}
  local value = G:value_and_grad(neap.randn(3, 2))
  lu.assertErrorMsgContains("not computed from any variable", function () value:sum():backward() end)
end

function T.test_log_ratio ()
  local E = e.gmm {means = {{2, 2}, {-2, -2}}, std = 1}
  local x, y = t.points(4, 2), t.points(4, 2)
  t.near(E:log_ratio(x, y), E(y) - E(x))
  t.near((5 * E + 7):log_ratio(x, y), 5 * (E(y) - E(x)))
end

return T
