-- Derivatives through compiled functions: equal to those of the function itself, to any order and in both modes, by
-- arguments and by what the function closes over.  Bound: 1e-12 of the largest element in float64.
local lu = require "luaunit"
local neap = require "neap"
local tree = require "neap.tree"
local T = {}

local f64 = {dtype = "float64"}

local function close (a, b, what)
  a, b = tree.leaves(a), tree.leaves(b)
  lu.assertEquals(#a, #b, what)
  for i = 1, #a do
    lu.assertEquals(a[i].shape, b[i].shape, what)
    local scale = math.max(1, b[i]:abs():amax():item())
    lu.assertTrue((a[i] - b[i]):abs():amax():item() <= 1e-12 * scale, what)
  end
end

local function counting (f)
  local n = {calls = 0}
  return function (...) n.calls = n.calls + 1 return f(...) end, n
end

-- what a finaliser lets go of is garbage of the next round
local function collect () for _ = 1, 4 do collectgarbage() end end

-- a network, and a closed-over tensor that is computed from a variable
local function network ()
  neap.seed(4)
  local w = neap.randn({3, 5}, f64):requires_grad()
  local v = neap.randn({5, 1}, f64):requires_grad()
  local b = neap.randn({5}, f64):requires_grad()
  local h = b * 2 + v:reshape(5)
  local function f (x) return (neap.matmul(x, w) + h):tanh():matmul(v):squeeze(-1) end
  return f, {w, v, b}
end

-- gradients of Σ y² + y by vars and x, made by f
local function gradients (f, x, vars)
  x = x:clone():requires_grad()
  local y = f(x)
  return y:detach(), neap.gradients((y * y + y):sum(), {x, table.unpack(vars)}, {retain = true})
end

function T.test_first_derivatives ()
  local f, vars = network()
  local counted, n = counting(f)
  local g = neap.compile(counted)
  for _, rows in ipairs{7, 1, 2, 64, 100, 7, 64} do
    local x = neap.randn({rows, 3}, f64)
    local y1, d1 = gradients(f, x, vars)
    local y2, d2 = gradients(g, x, vars)
    close(y2, y1, rows .. " rows: values")
    close(d2, d1, rows .. " rows: gradients")
  end
  local calls = n.calls
  for _, rows in ipairs{7, 1, 2, 64, 100} do gradients(g, neap.randn({rows, 3}, f64), vars) end
  lu.assertEquals(n.calls, calls)                                  -- all of it ran as programs
end

function T.test_backward ()
  local f, vars = network()
  local g, x = neap.compile(f), neap.randn({9, 3}, f64)
  f(x):sum():backward{retain = true}
  local want = {}
  for i, v in ipairs(vars) do want[i], v.grad = v.grad, nil end
  for _ = 1, 3 do
    g(x):sum():backward{retain = true}
    for i, v in ipairs(vars) do
      close(v.grad, want[i])
      v.grad = nil
    end
  end
end

function T.test_higher_derivatives_and_forms ()
  local f = network()
  local function s (h) return function (x) return (h(x) ^ 2):sum() end end
  local g = neap.compile(f)
  local x, u = neap.randn({6, 3}, f64), neap.randn({6, 3}, f64)
  for _ = 1, 2 do
    close(neap.grad(s(g))(x), neap.grad(s(f))(x), "grad")
    close({neap.jvp(g, x, u)}, {neap.jvp(f, x, u)}, "jvp")
    close({neap.vjp(g, x, f(x):detach())}, {neap.vjp(f, x, f(x):detach())}, "vjp")
    close(neap.hvp(s(g), x, u), neap.hvp(s(f), x, u), "hvp")
    close(neap.hessian(s(g), x), neap.hessian(s(f), x), "hessian")
    close(neap.jacobian(g, x), neap.jacobian(f, x), "jacobian")
    local third = function (h) return neap.grad(function (y) return (neap.grad(s(h))(y) ^ 2):sum() end)(x) end
    close(third(g), third(f), "gradient of a gradient")
  end
  lu.assertTrue(neap.gradcheck(function (y) return g(y):sum() end, {x}, {order = 3}))
end

-- x leads to w, which the function closes over, too: each derivative holds the other fixed
function T.test_arguments_that_depend_on_what_is_closed_over ()
  local w = neap.randn({3}, f64):requires_grad()
  local function f (x) return (x * w):sin() end
  local g = neap.compile(f)
  local function both (h)
    local y = (h(w * 2 + 1) * h(w:exp())):sum()
    local d = neap.gradients(y, w, {create_graph = true})
    return d, neap.gradients((d * d):sum(), w)
  end
  for _ = 1, 3 do close({both(g)}, {both(f)}) end
end

function T.test_several_results ()
  local w = neap.randn({3}, f64):requires_grad()
  local function f (o)
    local a = o.x * w
    return {a = a:exp(), sum = a:sum(1), n = a:gt(0), name = o.name}, o.x:square():sum(), w * 1
  end
  local g = neap.compile(f)
  local function run (h, rows)
    neap.seed(rows)
    local x = neap.randn({rows, 3}, f64):requires_grad()
    local r, e, v = h{x = x, name = "net"}
    lu.assertEquals(r.name, "net")
    lu.assertFalse(r.n:is_tracked())
    local y = (r.a * 2):sum() + (r.sum ^ 2):sum() + e * 3 + (v ^ 3):sum()
    return y:detach(), neap.gradients(y, {x, w})
  end
  for _, rows in ipairs{2, 5, 70, 5} do close({run(g, rows)}, {run(f, rows)}, rows .. " rows") end
end

function T.test_results_are_tracked_as_the_functions_are ()
  local w, c = neap.randn({2}, f64):requires_grad(), neap.randn({2}, f64)
  local function f (x, y) return x * w, y + c, x:detach() * y, c * 2, neap.no_grad(function () return x * w end) end
  local g = neap.compile(f)
  for _, tracked in ipairs{{false, false}, {true, false}, {false, true}, {true, true}} do
    local x, y = neap.randn({3, 2}, f64), neap.randn({3, 2}, f64)
    if tracked[1] then x:requires_grad() end
    if tracked[2] then y:requires_grad() end
    local want, got = {f(x, y)}, {g(x, y)}
    for i = 1, 5 do lu.assertEquals(got[i]:is_tracked(), want[i]:is_tracked(), i) end
  end
  neap.no_grad(function () lu.assertFalse(g(c, c):is_tracked()) end)
end

function T.test_what_becomes_a_variable_later ()
  local w = neap.ones({2}, f64)
  local f, n = counting(function (x) return (x * w):sum() end)
  local g, x = neap.compile(f), neap.randn({5, 2}, f64)
  lu.assertFalse(g(x):is_tracked())
  w:requires_grad()
  g(x):backward()
  close(w.grad, x:sum(1))
  w:requires_grad(false)
  lu.assertFalse(g(x):is_tracked())
  local calls = n.calls
  for _ = 1, 5 do g(x) end
  lu.assertEquals(n.calls, calls)
end

-- the derivative sees the value's draws, and the stream stands where it stood
function T.test_draws ()
  local function run (compiled)
    local rng, w = neap.rng(5), neap.full({2}, .5, f64):requires_grad()
    local f = function (x) return (x * w + rng:normal(x.shape, f64) * w:exp()):square():sum() end
    local g, out = compiled and neap.compile(f) or f, {}
    for i = 1, 4 do
      local y = g(neap.full({4, 2}, i, f64))
      if i == 3 then rng:normal(3) end                             -- between the value and its derivative
      out[i] = neap.gradients(y, w, {create_graph = true})
      out[i + 4] = neap.gradients(out[i]:sum(), w)
      out[i + 8] = rng:normal(3):to "float64"
    end
    return out
  end
  close(run(true), run(false))
end

function T.test_training ()
  local function train (compiled)
    neap.seed(2)
    local f, vars = network()
    local h = compiled and neap.compile(function (x) return f(x) end) or f
    local x = neap.randn({50, 3}, f64)
    local y = x:sum(2):sin()
    for _ = 1, 20 do
      local d = neap.gradients((h(x) - y):square():mean(), vars, {retain = true})
      neap.no_grad(function () for i, v in ipairs(vars) do v[{}] = v - .05 * d[i] end end)
    end
    return f(x):detach()
  end
  -- the tensor that is computed from variables is of the first ones: it is what the function read
  local a, b = train(true), train(false)
  lu.assertTrue((a - b):abs():amax():item() < 1e-9)
end

function T.test_what_was_written_meanwhile_is_an_error ()
  local w = neap.ones({2}, f64):requires_grad()
  local g = neap.compile(function (x) return (x * w * w):sum() end)
  local y = g(neap.ones({3, 2}, f64))
  neap.no_grad(function () w[{}] = 5 end)
  lu.assertErrorMsgContains("was written after it ran", function () y:backward() end)
  g(neap.ones({3, 2}, f64)):backward()
  lu.assertEquals(w.grad:totable(), {30, 30})
end

-- a tape keeps what it needs of a compiled function that nobody else holds, and nothing more
function T.test_functions_that_are_gone ()
  local w = neap.ones({2}, f64):requires_grad()
  local gone = setmetatable({}, {__mode = "k"})
  local function value ()
    local f = function (x) return (x * w):exp():sum() end
    local g = neap.compile(f)
    gone[f], gone[g] = true, true
    return g(neap.ones({3, 2}, f64))
  end
  local y = value()
  collect()
  local d = neap.gradients(y, w, {create_graph = true})
  lu.assertAlmostEquals(neap.gradients(d:sum(), w)[1]:item(), 3 * math.exp(1), 1e-12)
  y, d = nil, nil                                                  -- luacheck: ignore
  collect()
  lu.assertNil(next(gone))
end

-- a method of an object that holds its compiled self is garbage when the object is
function T.test_cycles_are_collected ()
  local gone = setmetatable({}, {__mode = "k"})
  local function make ()
    local self = {w = neap.ones(2):requires_grad()}
    self.fast = neap.compile(function (x) return (x * self.w):sum() end)
    self.fast(neap.ones(3, 2)):backward()
    gone[self] = true
  end
  for _ = 1, 3 do make() end
  collect()
  lu.assertNil(next(gone))
end

function T.test_derivatives_inside ()
  local w = neap.randn({3}, f64):requires_grad()
  local function f (x) return neap.grad(function (z) return ((z * w) ^ 3):sum() end)(x) end
  local g = neap.compile(f)
  local function run (h)
    local x = neap.ones({4, 3}, f64):requires_grad()
    local y = h(x)
    return y:detach(), neap.gradients((y * y):sum(), {x, w})
  end
  for _ = 1, 2 do close({run(g)}, {run(f)}) end
end

return T
