-- The surface as its users know it, part three: the tape and the functional forms, against closed forms.
local lu = require "luaunit"
local near = require("energy.near").near
local raises = require("energy.near").raises

local T = {}
local eq = lu.assertEquals
local f64 = {dtype = "float64"}
local function t (v) return neap.tensor(v, f64) end

-- ---- the tape ----

function T.test_backward_and_grad ()
  local x = t({1, 2, 3}):requires_grad()
  lu.assertNil(x.grad)
  local y = (x ^ 2):sum()
  y:backward()
  near(x.grad, {2, 4, 6})
  ;(x * 3):sum():backward()
  near(x.grad, {5, 7, 9})
  x.grad = nil
  lu.assertNil(x.grad)
  ;(x * 3):sum():backward()
  near(x.grad, {3, 3, 3})
  x.grad = neap.zeros(3, f64)
  near(x.grad, {0, 0, 0})
end

function T.test_requires_grad_marks_and_returns ()
  local x = t {1}
  lu.assertTrue(rawequal(x:requires_grad(), x))
  x:requires_grad(false)
  raises("", function () (x * 2):sum():backward() end)
  x:requires_grad(true)
  ;(x * 2):sum():backward()
  near(x.grad, {2})
end

function T.test_backward_with_a_seed ()
  local x = t({1, 2}):requires_grad()
  ;(x * x):backward(t {1, 10})
  near(x.grad, {2, 40})
  raises("[2]", function () (x * x):backward() end)
end

function T.test_gradients_of_one_and_many ()
  local x, y = t({1, 2}):requires_grad(), t({3, 4}):requires_grad()
  local gx = neap.gradients((x * y):sum(), x)
  near(gx, {3, 4})
  lu.assertNil(x.grad)
  local g = neap.gradients((x * y):sum(), {x, y})
  eq(#g, 2)
  near(g[1], {3, 4})
  near(g[2], {1, 2})
  g = neap.gradients((x * y):sum(), {a = x, b = y})
  near(g.a, {3, 4})
  near(g.b, {1, 2})
  g = neap.gradients((x * y):sum(), {layer = {w = x}, b = y})
  near(g.layer.w, {3, 4})
end

function T.test_unused ()
  local x, z = t({1, 2}):requires_grad(), t({1}):requires_grad()
  raises("allow_unused", neap.gradients, x:sum(), {x, z})
  local g = neap.gradients(x:sum(), {x = x, z = z}, {allow_unused = true})
  near(g.x, {1, 1})
  lu.assertNil(g.z)
  g = neap.gradients(x:sum(), {z, x}, {allow_unused = true})
  lu.assertNil(g[1])
  near(g[2], {1, 1})
end

function T.test_released_tapes_say_so ()
  local x = t({2}):requires_grad()
  local y = (x ^ 3):sum()
  neap.gradients(y, x)
  raises("retain", neap.gradients, y, x)
  y = (x ^ 3):sum()
  neap.gradients(y, x, {retain = true})
  near(neap.gradients(y, x), {12})
  y = (x ^ 3):sum()
  y:backward {retain = true}
  y:backward()
  near(x.grad, {24})
end

function T.test_higher_orders_on_the_tape ()
  local x = t({2}):requires_grad()
  local y = (x ^ 4):sum()
  local g = neap.gradients(y, x, {create_graph = true})
  near(g, {32})
  local h = neap.gradients(g:sum(), x, {create_graph = true})
  near(h, {48})
  near(neap.gradients(h:sum(), x), {48})
  -- a penalty on the gradient, as in training
  local w = t({3}):requires_grad()
  local e = (w * x ^ 2):sum()
  local s = neap.gradients(e, x, {create_graph = true})
  near(neap.gradients((s ^ 2):sum(), w), {2 * 3 * 16})
end

function T.test_grad_outputs ()
  local x = t({1, 2}):requires_grad()
  near(neap.gradients(x * x, x, {grad_outputs = t {1, 10}}), {2, 40})
  raises("", neap.gradients, x * x, x, {grad_outputs = t {1, 1, 1}})
end

function T.test_detach_and_no_grad ()
  local x = t({1, 2}):requires_grad()
  near(neap.gradients((x * x:detach()):sum(), x), {1, 2})
  local y = neap.no_grad(function () return x * 2 end)
  near(y, {2, 4})
  raises("", neap.gradients, y:sum(), x)
  local a, b = neap.no_grad(function (p, q) return q, p end, 1, 2)
  eq({a, b}, {2, 1})
  raises("boom", neap.no_grad, function () error "boom" end)
  near(neap.gradients((x * 2):sum(), x), {2, 2})
end

function T.test_written_since_is_an_error ()
  local x = t({1, 2}):requires_grad()
  local w = t {3, 4}
  local y = (x * w):sum()
  w[1] = 9
  raises("", neap.gradients, y, x)
  near(neap.gradients((x * w):sum(), x), {9, 4})
end

function T.test_non_scalar_is_an_error ()
  local x = t({1, 2}):requires_grad()
  raises("[2]", neap.gradients, x * 2, x)
end

function T.test_a_training_loop_by_hand ()
  local w, b = neap.zeros(1, f64):requires_grad(), neap.zeros(1, f64):requires_grad()
  local x = neap.linspace(-1, 1, 20, f64)
  local y = 3 * x + .5
  local opt = neap.optim.adam {lr = .05}
  for _ = 1, 400 do
    local loss = ((w * x + b - y) ^ 2):mean()
    local g = neap.gradients(loss, {w = w, b = b})
    opt:step({w = w, b = b}, g)
  end
  near(w, {3}, 1e-2)
  near(b, {.5}, 1e-2)
end

function T.test_selection_and_where_carry_gradients ()
  local x = t({1, 2, 3, 4}):requires_grad()
  near(neap.gradients(x[{{2, 3}}]:sum() + 5 * x[1], x), {5, 1, 1, 0})
  near(neap.gradients(x[x:gt(2)]:square():sum(), x), {0, 0, 6, 8})
  near(neap.gradients(neap.where(x:gt(2), x * 3, x):sum(), x), {1, 1, 3, 3})
  local v = x:max()
  near(neap.gradients(v, x), {0, 0, 0, 1})
  near(neap.gradients((x:sort(1)):mul(t {1, 2, 3, 4}):sum(), x), {1, 2, 3, 4})
end

-- ---- functions ----

function T.test_grad_forms ()
  local f = function (x) return (x ^ 3):sum() end
  near(neap.grad(f)(t {1, 2}), {3, 12})
  local v, g = neap.value_and_grad(f)(t {1, 2})
  near(v, 9)
  near(g, {3, 12})
  local h = function (a, b) return (a * b ^ 2):sum() end
  near(neap.grad(h)(t {2}, t {3}), {9})
  near(neap.grad(h, 2)(t {2}, t {3}), {12})
  local _, g2 = neap.value_and_grad(h, 2)(t {2}, t {3})
  near(g2, {12})
  near(neap.grad(function (x) return neap.grad(f)(x):sum() end)(t {1, 2}), {6, 12})
  near(neap.grad(neap.grad(neap.grad(function (x) return x ^ 4 end)))(t(2)), 48)
end

function T.test_grad_of_nested_tables ()
  local params = {w = t {1, 2}, deep = {b = t(3), list = {t {4}, t {5}}}}
  local g = neap.grad(function (p)
    return (p.w * p.deep.b):sum() + p.deep.list[1]:sum() * p.deep.list[2]:sum()
  end)(params)
  near(g.w, {3, 3})
  near(g.deep.b, 3)
  near(g.deep.list[1], {5})
  near(g.deep.list[2], {4})
end

function T.test_products_with_the_jacobian ()
  local f = function (x) return neap.stack({x[1] * x[2], x[1] ^ 2, x[2]:sin()}, 1) end
  local x = t {2, 3}
  local y, g = neap.vjp(f, x, t {1, 10, 100})
  near(y, {6, 4, math.sin(3)})
  near(g, {3 + 40, 2 + 100 * math.cos(3)})
  local z, d = neap.jvp(f, x, t {1, 2})
  near(z, y)
  near(d, {3 + 4, 4, 2 * math.cos(3)})
  near(neap.jacobian(f, x), {{3, 2}, {4, 0}, {0, math.cos(3)}})
end

function T.test_products_of_trees ()
  local f = function (p) return {sum = p.a + p.b, prod = p.a * p.b} end
  local p = {a = t {2}, b = t {3}}
  local y, d = neap.jvp(f, p, {a = t {1}, b = t {10}})
  near(y.sum, {5})
  near(y.prod, {6})
  near(d.sum, {11})
  near(d.prod, {23})
  local _, g = neap.vjp(f, p, {sum = t {1}, prod = t {1}})
  near(g.a, {4})
  near(g.b, {3})
  local J = neap.jacobian(f, p)
  near(J.prod.a, {{3}})
  near(J.sum.b, {{1}})
end

function T.test_second_order_forms ()
  local f = function (x) return (x[1] ^ 2 * x[2] + x[2] ^ 3) end
  local x = t {2, 3}
  near(neap.hessian(f, x), {{6, 4}, {4, 18}})
  near(neap.hvp(f, x, t {1, 2}), {14, 40})
  near(neap.laplacian(f, x), 24)
  local H = neap.hessian(function (p) return (p.a * p.b):sum() end, {a = t {1, 2}, b = t {3, 4}})
  near(H.a.b, {{1, 0}, {0, 1}})
  near(H.a.a, {{0, 0}, {0, 0}})
  local _ = neap.hvp(function (p) return (p.a * p.b):sum() end, {a = t {1}, b = t {3}}, {a = t {1}, b = t {0}})
  near(_.b, {1})
  near(_.a, {0})
  -- per row
  near(neap.laplacian(function (v) return (v ^ 2):sum(2) end, neap.randn(5, 3, f64)), {6, 6, 6, 6, 6})
end

function T.test_vmap ()
  local f = neap.vmap(function (x) return (x ^ 2):sum() end)
  near(f(t {{1, 2}, {3, 4}}), {5, 25})
  near(neap.vmap(function (a, b) return a:dot(b) end)(t {{1, 2}, {3, 4}}, t {{1, 1}, {2, 2}}), {3, 14})
  near(neap.vmap(neap.grad(function (x) return (x ^ 3):sum() end))(t {{1}, {2}}), {{3}, {12}})
  local out = neap.vmap(function (p) return {s = p.a + p.b} end) {a = t {1, 2}, b = t {3, 4}}
  near(out.s, {4, 6})
end

function T.test_gradcheck ()
  lu.assertTrue((neap.gradcheck(function (x) return (x:exp() * x):sum() end, {t {.1, .2}})))
  lu.assertTrue((neap.gradcheck(function (x) return (x:exp() * x):sum() end, {t {.1, .2}}, {order = 3})))
  lu.assertTrue((neap.gradcheck(function (x, y) return (x * y):sum() end, {t {.1}, t {2}}, {order = 2})))
  lu.assertFalse((neap.gradcheck(function (x) return (x * x:detach()):sum() end, {t {.1, .2}})))
end

function T.test_forms_reach_outer_variables ()
  local w = t({2}):requires_grad()
  local g = neap.grad(function (x) return (w * x ^ 2):sum() end)(t {3})
  near(g, {12})
  near(neap.gradients(g:sum(), w), {6})
end

function T.test_forms_check_their_arguments ()
  raises("function", neap.grad, 3)
  raises("[2]", neap.grad(function (x) return x end), t {1, 2})
  raises("float", neap.grad(function (x) return x end), neap.tensor({1}, {dtype = "int64"}))
  raises("", neap.jvp, function (x) return x end, t {1, 2}, t {1})
  raises("", neap.vjp, function (x) return x end, t {1, 2}, t {1})
  raises("", neap.grad(function (x) return x:sum() end, 2), t {1})
  raises("argnum", neap.grad, function () end, 0)
  raises("gradients", neap.gradients, 3, t {1})
end

return T
