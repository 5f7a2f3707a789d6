-- Derivatives from Lua: the tape, the functional forms, trees, nesting, gradcheck.
local lu = require "luaunit"

local T = {}
local raises = lu.assertErrorMsgContains
local f64 = {dtype = "float64"}

local function same (x, expected) lu.assertEquals(x:totable(), expected) end
local function near (x, expected, eps)
  local function compare (a, b)
    if type(a) == "table" then
      lu.assertEquals(#a, #b)
      for i = 1, #a do compare(a[i], b[i]) end
    else lu.assertAlmostEquals(a, b, eps or 1e-9) end
  end
  compare(x:totable(), expected)
end
local function vector (...) return neap.tensor({...}, f64) end
local function cube (x) return (x ^ 3):sum() end

function T.test_gradients ()
  local x = vector(1, 2):requires_grad()
  same(neap.gradients(cube(x), x), {3, 12})
  local a, b = vector(1):requires_grad(), vector(2):requires_grad()
  local g = neap.gradients((a * b):sum(), {a, b})
  same(g[1], {2})
  same(g[2], {1})
  g = neap.gradients((a * b * b):sum(), {left = a, right = b})
  same(g.left, {4})
  same(g.right, {4})
  same(neap.gradients(x * 2, x, {grad_outputs = vector(1, 10)}), {2, 20})
end

function T.test_gradients_options ()
  local x, z = vector(1, 2):requires_grad(), vector(1):requires_grad()
  raises("does not depend on variable 2", neap.gradients, cube(x), {x, z})
  local g = neap.gradients(cube(x), {x, z}, {allow_unused = true})
  same(g[1], {3, 12})
  lu.assertNil(g[2])
  raises("unknown option 'create_grap' (did you mean 'create_graph'?)", neap.gradients, cube(x), x,
    {create_grap = true})
  raises("got shape [2]", neap.gradients, x * 2, x)
  raises("not computed from any variable", neap.gradients, neap.ones(1), x)
  raises("bad argument #1 to 'gradients' (tensor expected, got number)", neap.gradients, 1, x)
end

function T.test_released_tape ()
  local x = vector(1, 2):requires_grad()
  local y = cube(x)
  same(neap.gradients(y, x, {retain = true}), {3, 12})
  same(neap.gradients(y, x), {3, 12})
  raises("released by an earlier derivative", neap.gradients, y, x)
  same(neap.gradients(cube(x), x), {3, 12})
end

function T.test_create_graph ()
  local x = vector(1, 2):requires_grad()
  local g = neap.gradients(cube(x), x, {create_graph = true})
  same(neap.gradients(g:sum(), x), {6, 12})
end

function T.test_backward ()
  local x = vector(1, 2):requires_grad()
  lu.assertNil(x.grad)
  cube(x):backward()
  same(x.grad, {3, 12})
  cube(x):backward()
  same(x.grad, {6, 24})
  x.grad = nil
  lu.assertNil(x.grad);
  (x * 2):backward(vector(1, 3))
  same(x.grad, {2, 6})
  x.grad = vector(0, 0)
  cube(x):backward {retain = true}
  same(x.grad, {3, 12})
  raises("grad: shape [2] expected, got [1]", function () x.grad = vector(1) end)
  raises("got shape [2]", x.backward, x * 2)
end

function T.test_requires_grad_and_detach ()
  local x = vector(1):requires_grad()
  lu.assertTrue(x:is_tracked())
  lu.assertFalse(x:detach():is_tracked())
  lu.assertFalse(x:requires_grad(false):is_tracked())
  raises("float32 or float64", neap.requires_grad, neap.tensor({1}, {dtype = "int64"}))
end

function T.test_no_grad ()
  local x = vector(1):requires_grad()
  local y, z = neap.no_grad(function (a, b) return a * 2, b end, x, 7)
  lu.assertFalse(y:is_tracked())
  lu.assertEquals(z, 7)
  raises("planned", neap.no_grad, function () error "planned" end)
  local thrown = {}
  local ok, e = pcall(neap.no_grad, function () error(thrown) end)
  lu.assertFalse(ok)
  lu.assertTrue(rawequal(e, thrown))
  lu.assertTrue((x * 2):is_tracked())
  local co = coroutine.create(function () neap.no_grad(coroutine.yield) end)
  ok, e = coroutine.resume(co)
  lu.assertFalse(ok)
  lu.assertStrContains(e, "attempt to yield across a C-call boundary")
  lu.assertTrue((x * 2):is_tracked())
  same(neap.no_grad(function () return neap.grad(cube)(x) end), {3})
end

function T.test_grad_of_functions ()
  same(neap.grad(cube)(vector(1, 2)), {3, 12})
  local function f (w, x) return (w * x * x):sum() end
  same(neap.grad(f, 2)(vector(2), vector(3)), {12})
  local gw, gx = neap.grad(f, {1, 2})(vector(2), vector(3))
  same(gw, {9})
  same(gx, {12})
  local value, g, more = neap.value_and_grad(function (x) return cube(x), "more" end)(vector(1, 2))
  lu.assertEquals(value:item(), 9)
  lu.assertFalse(value:is_tracked())
  same(g, {3, 12})
  lu.assertFalse(g:is_tracked())
  lu.assertEquals(more, "more")
end

function T.test_grad_of_trees ()
  local index = neap.tensor({1}, {dtype = "int64"})
  local params = {w = vector(2), layers = {vector(3), {b = vector(4)}}, n = 5, index = index}
  local g = neap.grad(function (p) return (p.w * p.layers[1] * p.layers[2].b * p.n):sum() end)(params)
  same(g.w, {60})
  same(g.layers[1], {40})
  same(g.layers[2].b, {30})
  lu.assertNil(g.n)
  lu.assertNil(g.index)
end

function T.test_grad_errors ()
  raises("bad argument #1 to 'grad' (function expected, got number)", neap.grad, 3)
  raises("got shape [2]; sum it", neap.grad(function (x) return x * 2 end), vector(1, 2))
  raises("got number", neap.grad(function () return 3 end), vector(1))
  raises("no float tensor", neap.grad(cube), 3)
  raises("only 1 are given", neap.grad(cube, 2), vector(1))
  raises("planned", neap.grad(function () error "planned" end), vector(1))
  same(neap.grad(cube)(vector(1)), {3})
end

function T.test_nested_grad ()
  local g = neap.grad(function (x) return cube(x) end)
  local second = neap.grad(function (x) return g(x):sum() end)
  local third = neap.grad(function (x) return second(x):sum() end)
  same(second(vector(1, 2)), {6, 12})
  same(third(vector(1, 2)), {6, 6})
  -- an inner derivative whose function closes over the outer variable
  local mixed = neap.grad(function (x)
    return neap.grad(function (y) return (x * x * y * y):sum() end)(vector(3)):sum()
  end)
  same(mixed(vector(2)), {24})
end

function T.test_inner_grad_stays_on_an_outer_tape ()
  local w = vector(2):requires_grad()
  local g = neap.grad(function (x) return (w * x ^ 2):sum() end)(vector(3))
  same(g, {12})
  lu.assertTrue(g:is_tracked())
  same(neap.gradients(g:sum(), w), {6})
  local value = neap.value_and_grad(function (x) return (w * x):sum() end)(vector(3))
  same(neap.gradients(value, w), {3})
end

function T.test_vjp_and_jvp ()
  local function f (x) return x:sin() end
  local value, g = neap.vjp(f, vector(0, 1), vector(2, 3))
  near(value, {0, math.sin(1)})
  near(g, {2, 3 * math.cos(1)})
  local y, d = neap.jvp(f, vector(0, 1), vector(2, 3))
  near(y, {0, math.sin(1)})
  near(d, {2, 3 * math.cos(1)})
  lu.assertFalse(y:is_tracked())
  lu.assertFalse(d:is_tracked())
  local function two (t) return {a = t[1] * t[2], b = t[2]:sum()} end
  y, d = neap.jvp(two, {vector(2), vector(3)}, {vector(1), vector(0)})
  same(y.a, {6})
  same(d.a, {3})
  same(d.b, 0)
  value, g = neap.vjp(function (x) return {x * 2, x * 3} end, vector(1), {vector(1), vector(10)})
  same(g, {32})
  same(value[2], {3})
  raises("v has shape [1] where [2] was expected", neap.jvp, f, vector(0, 1), vector(2))
  raises("v: 2 tensors expected, got 1", neap.jvp, f, {vector(0), vector(1)}, {vector(2)})
end

function T.test_hvp ()
  same(neap.hvp(cube, vector(1, 2), vector(1, 10)), {6, 120})
end

function T.test_jacobian_and_hessian ()
  same(neap.jacobian(function (x) return x ^ 2 end, vector(1, 2)), {{2, 0}, {0, 4}})
  same(neap.jacobian(function (x) return neap.cat({x, x * 3}, 1) end, vector(1, 2)), {{1, 0}, {0, 1}, {3, 0}, {0, 3}})
  lu.assertEquals(neap.jacobian(function (x) return x:sum(2) end, neap.ones(2, 3)).shape, {2, 2, 3})
  same(neap.hessian(cube, vector(1, 2)), {{6, 0}, {0, 12}})
  same(neap.hessian(function (x) return x[1] * x[2] end, vector(1, 2)), {{0, 1}, {1, 0}})
  local h = neap.hessian(function (p) return (p.a * p.b):sum() end, {a = vector(2), b = vector(3)})
  same(h.a.b, {{1}})
  same(h.a.a, {{0}})
  -- a Hessian is differentiable
  same(neap.grad(function (x) return neap.hessian(cube, x):sum() end)(vector(1, 2)), {6, 6})
end

function T.test_laplacian ()
  lu.assertEquals(neap.laplacian(cube, vector(1, 2)):item(), 18)
  lu.assertEquals(neap.laplacian(function (x) return x:sum() end, vector(1, 2)):item(), 0)
  local rows = neap.laplacian(function (x) return (x ^ 3):sum(2) end, neap.tensor({{1, 2}, {3, 4}}, f64))
  same(rows, {18, 42})
  raises("one for each of the 2 rows", neap.laplacian, function (x) return x end, neap.ones(2, 3))
end

function T.test_vmap ()
  same(neap.vmap(function (x) return x:sum() end)(neap.tensor {{1, 2}, {3, 4}}), {3, 7})
  same(neap.vmap(neap.grad(cube))(neap.tensor({{1, 2}, {3, 4}}, f64)), {{3, 12}, {27, 48}})
  local a, b = neap.vmap(function (x, y) return x * y, {sum = x + y} end)(vector(1, 2), vector(3, 4))
  same(a, {3, 8})
  same(b.sum, {4, 6})
  same(neap.grad(function (x) return neap.vmap(cube)(x):sum() end)(neap.tensor({{1}, {2}}, f64)), {{3}, {12}})
  raises("vmap: argument 2 has 3 rows, argument 1 has 2", neap.vmap(neap.add), neap.ones(2), neap.ones(3))
end

function T.test_nested_vmap ()
  local outer = neap.vmap(function (a, b) return neap.vmap(function (x, y) return x * y end)(a, b) end)
  same(outer(neap.tensor {{1, 2}, {3, 4}}, neap.tensor {{5, 6}, {7, 8}}), {{5, 12}, {21, 32}})
  local rows = neap.vmap(function (a, all) return neap.vmap(function (x) return (a * x):sum() end)(all.w) end)
  same(rows(neap.tensor {{1, 2}, {3, 4}}, {w = neap.ones(2, 3, 2), name = "w"}), {{3, 3, 3}, {7, 7, 7}})
  same(neap.grad(function (x) return neap.vmap(neap.vmap(function (v) return v ^ 2 end))(x):sum() end)(
    neap.tensor({{1, 2}}, f64)), {{2, 4}})
end

function T.test_results_of_vmap ()
  local x = neap.tensor {{1, 2}, {3, 4}}
  same(neap.vmap(function (v) return v:sum():item() end)(x), {3, 7})
  local out = neap.vmap(function (v, power) return {power = v ^ power, parts = {v[1], v[2]:item()}} end)(x, 2)
  same(out.power, {{1, 4}, {9, 16}})
  same(out.parts[1], {1, 3})
  same(out.parts[2], {2, 4})
  local function says (text, f) raises("vmap: " .. text, neap.vmap(f), x) end
  local gives = "the function must give a tensor, a number or a table of them, got "
  says(gives .. "nil for row 1", function () end)
  says(gives .. "string for row 1", function (v) return {v, "x"} end)
  says(gives .. "an empty table for row 1", function () return {} end)
  says(gives .. "nil for row 2", function (v) if v[1]:item() == 1 then return v end end)
  says("the function gave shape [1] for row 1, [3] for row 2", function (v) return neap.zeros(v[1]:item()) end)
  says("the function gave 1 tensors for row 1, 2 for row 2", function (v) return v[1]:item() == 1 and v or {v, v} end)
  raises("vmap: a function alone expected: neap.vmap(f)(x) maps over dimension 1 of every tensor, got table besides",
         neap.vmap, cube, {in_dims = 1})
end

function T.test_errors_name_what_was_called ()
  local x = vector(1, 2)
  raises("unknown option 'retain_graph' (did you mean 'retain'?)", neap.gradients, cube(x:requires_grad()), x,
         {retain_graph = true})
  raises("grad: neap.grad(f [, argnum]) gives a function: neap.grad(f)(x)", neap.grad, cube, x)
  raises("value_and_grad: neap.value_and_grad(f [, argnum]) gives a function: neap.value_and_grad(f)(x)",
         neap.value_and_grad, cube, {x})
  raises("hessian: there is no float tensor to differentiate by (got nil)", neap.hessian, cube)
  raises("hessian: the function must give a tensor of one element, got shape [2]", neap.hessian, neap.exp, x)
  raises("hvp: v has shape [3] where [2] was expected", neap.hvp, cube, x, vector(1, 2, 3))
  raises("hvp: v: a tensor expected, got nil", neap.hvp, cube, x)
  raises("laplacian: the function must give a tensor of one element, got number", neap.laplacian,
         function () return 1 end, x)
  raises("bad argument #1 to 'no_grad' (function expected, got no value)", function () neap.no_grad() end)
end

function T.test_gradcheck ()
  local function f (x, y) return x:sin() * y:exp() end
  local ok, report = neap.gradcheck(f, {vector(1, 2), vector(.5, .1)}, {order = 3})
  lu.assertTrue(ok, tostring(report.worst))
  lu.assertTrue(report.worst < 1e-7)
  lu.assertTrue(neap.gradcheck(cube, vector(1, 2), {order = 4}))
  local function wrong (x) return x:sin() + (x * 0.01 - (x * 0.01):detach()) end
  ok, report = neap.gradcheck(wrong, vector(1, 2))
  lu.assertFalse(ok)
  lu.assertEquals(report.order, 1)
  local function wrong_at_two (x)
    local slope = x:cos():detach()
    return x:sin():detach() + slope * (x - x:detach())
  end
  lu.assertTrue((neap.gradcheck(wrong_at_two, vector(1, 2))))
  ok, report = neap.gradcheck(wrong_at_two, vector(1, 2), {order = 2})
  lu.assertFalse(ok)
  lu.assertEquals(report.order, 2)
  raises("no float tensor", neap.gradcheck, cube, {3})
end

function T.test_an_argument_that_is_written ()
  local message = "the argument of a derivative, of shape [2], was written"
  local function writes (x) x[1] = 3 return (x * x):sum() end
  raises(message, neap.grad(writes), vector(1, 2))
  raises(message, neap.jvp, writes, vector(1, 2), vector(1, 0))
  raises(message, neap.hessian, writes, vector(1, 2))
  raises(message, neap.grad(function (x) x[1] = 3 return neap.tensor(1, f64) end), vector(1, 2))
  local function copies (x)
    local y = x:detach():clone()
    y[1] = 3
    return (x * y):sum()
  end
  same(neap.grad(copies)(vector(1, 2)), {3, 2})
  local w = vector(1, 2):requires_grad()                 -- a parameter may be written
  w[1] = 3
  local y = (w * w):sum()
  y:backward()
  same(w.grad, {6, 4})
  same(neap.grad(function (x) w[2] = 1 return (w * x):sum() end)(vector(5, 5)), {3, 1})
end

function T.test_errors_leave_the_state_usable ()
  local x = vector(1, 2):requires_grad()
  for _ = 1, 100 do
    pcall(function () return x + vector(1, 2, 3) end)
    pcall(neap.grad(function () error "planned" end), x)
    pcall(neap.no_grad, error)
  end
  same(neap.gradients(cube(x), x), {3, 12})
end

return T
