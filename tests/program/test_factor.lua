-- Sums of products that share an operand are computed as products of sums, and give what the function itself gives.
local lu = require "luaunit"
local neap = require "neap"
local compare = require "program.compare"
local T = {}

local BOUND = 64                           -- units of the last place

local function count (plan, pattern) return select(2, plan:gsub(pattern, "")) end

-- Of f's plan: how many products of matrices and of elements are left.
local function products (plan) return {count(plan, "= bmm"), count(plan, "= mul") + count(plan, "= fma")} end

local function check (f, bmm, mul, arguments)
  local plan = neap.explain(f, table.unpack(arguments))
  lu.assertEquals(products(plan), {bmm, mul}, plan)
  local g = neap.compile(f)
  for _ = 1, 2 do lu.assertTrue(compare.apart({g(table.unpack(arguments))}, {f(table.unpack(arguments))}) <= BOUND) end
end

local function each (cases)
  for _, dtype in ipairs {"float32", "float64"} do
    neap.default_dtype(dtype)
    local v, w = neap.randn(3, 3), neap.randn(3, 3)
    for _, case in ipairs(cases(v, w)) do check(case[3], case[1], case[2], {neap.randn(70, 3), neap.randn(70, 3)}) end
  end
end

function T.test_matrices ()
  each(function (v, w)
    local m = neap.matmul
    return {
      {1, 0, function (x, y) return m(x, w) + m(y, w) end},
      {1, 0, function (x, y) return m(x, w) + (m(y, w) + m(x:sin(), w)) end},
      {1, 0, function (x, y) return (m(x, w) + y) + (x + m(y, w)) end},
      {1, 0, function (x, y) return m(x:t(), y) + m(x:t(), y:sin()) end},
      {2, 0, function (x, y) return m(x, w) + m(y, v) end},
      {2, 0, function (x, y) return m(x, w) + m(y, w:t()) end},
      {2, 0, function (x, y) return m(x, w) - m(y, w) end},
      {2, 0, function (x, y) local c = m(x, w) return c + m(y, w), c end},
      {3, 0, function (x, y) local c = m(m(x:t(), y), w) return m(w, w) + c end},        -- w·w once a run
      {3, 0, function (x, y) local z = m(x:t(), y) return m(z, w) + m(w, z) end},
    }
  end)
end

function T.test_elements ()
  each(function (v, w)
    local m = neap.matmul
    return {
      {0, 1, function (x, y) return x * y + y * x:sin() end},
      {0, 1, function (x, y) return x * v[1] + v[1] * y end},
      {0, 2, function (x, y) return x * y - y * x:sin() end},
      {0, 2, function (x, y) return x * y + x:cos() * y:sin() end},
      {1, 1, function (x, y) local s = (x - y):exp() return m(x * s, w) + m(y * s, w) end},
      {1, 1, function (x, y) local s = (x - y):exp() return m(x, w) * s + s * m(y, w) end},
    }
  end)
end

function T.test_integers ()
  local function f (x, y) return x * y + y * (x + 1) end
  check(f, 0, 2, {neap.arange(1, 9):to "int64", neap.arange(2, 10):to "int64"})
end

-- A product that is only added is made by the op that adds it; not in a step, which may run op by op as well.
function T.test_products_that_are_added ()
  local v = neap.randn(3)
  local cases = {
    {1, function (x, y) return x:silu() * y + x end},
    {1, function (x, y) return v + x:sin() * x end},
    {1, function (x, y) return 1 + x * v end},
    {0, function (x, y) return x * y + x:sin() end},
    {0, function (x, y) return x * y - x end},
    {0, function (x, y) local c = x * y return c + x, c end},
    {0, function (x, y) return x + v * v end},
    {0, function (x, y) return (x * y):sum(2, true) + x end},
  }
  for i, case in ipairs(cases) do
    local x, y = neap.randn(70, 3), neap.randn(70, 3)
    local plan = neap.explain(case[2], x, y)
    lu.assertEquals(count(plan, "= fma"), case[1], i .. plan)
    lu.assertTrue(compare.apart({neap.compile(case[2])(x, y)}, {case[2](x, y)}) <= BOUND)
  end
end

-- k·x + k·x, a square's gradient: the number is doubled instead of each element, with the same bits, whatever it is.
function T.test_products_added_to_themselves ()
  local k, v = .3, neap.randn(70, 3)
  local function twice (c) return c + c end
  local cases = {
    {true, function (x) return twice(k * x) end},
    {true, function (x) return twice(x:sin() * k) * x end},
    {true, function (x) return neap.grad(function (y) return k * (y * y):sum() end)(x) end},
    {false, function (x) return twice(x * v) end},
    {false, function (x) local c = k * x return c + c, c end},
    {false, function (x) return k * x + x:sin() end},
  }
  for i, case in ipairs(cases) do
    local x = neap.randn(70, 3)
    local plan = neap.explain(case[2], x)
    lu.assertEquals(count(plan, "add 0.3 0.3"), case[1] and 1 or 0, i .. plan)
    for _, now in ipairs {-1.7, 0, 1e30, .3} do
      k = now
      lu.assertEquals(compare.apart({neap.compile(case[2])(x)}, {case[2](x)}), 0, i)
    end
  end
end

-- A step sees the number as it is now.
function T.test_doubled_numbers_are_fresh ()
  local k = .3
  local E = neap.energy(function (x) return k * (x * x):sum(2) end, {event = {3}})
  local s, x = neap.sampler.langevin{step_size = .1, noise_std = 0}, neap.randn(70, 3)
  local state = s:init(E, x)
  for _, now in ipairs {.3, 2, -1} do
    k, x = now, state.x:clone()
    s:step(E, state, 1)
    lu.assertTrue((state.x - (1 - .2 * k) * x):abs():max():item() < 1e-6)
  end
end

-- What cancels exactly does so as a program, too.
function T.test_products_that_cancel ()
  local function std (x)
    local m = x:mean(2, true)
    return ((x * x):mean(2, true) - m * m):sqrt(), (x * m - m * x):sign(), (x * m + x * -m):sign()
  end
  local compiled = neap.compile(std)
  for i = 1, 100 do
    local x = neap.full({70, 4}, i / 7)
    lu.assertEquals(compare.apart({compiled(x)}, {std(x)}), 0)
  end
end

-- Steps keep their sums and products, but for the sampler's own: single ones run op by op, and give the same.
function T.test_steps_stay ()
  local u = neap.randn(3)
  local E = neap.energy(function (x) return ((x * u):sinh() * u + x:sin() * u + u * x):sum(2) end, {event = {3}})
  local s, x = neap.sampler.langevin{step_size = .01}, neap.randn(70, 3)
  lu.assertEquals(count(neap.explain(s, E, x), "= fma"), 2)
  local one, many = s:init(E, x, neap.rng(3)), s:step(E, s:init(E, x, neap.rng(3)), 12)
  for _ = 1, 12 do s:step(E, one, 1) end
  lu.assertTrue(compare.same(many.x, one.x))
end

-- What a second tangent along the same direction has in common with the first is gone back through once.
function T.test_gradients_of_tangents ()
  local E, x, v = neap.energy.mlp{sizes = {4, 16, 16}}, neap.randn(40, 4), neap.randn(40, 4)
  local function loss (y, d)
    local slope, curvature = neap.jvp(function (z) return select(2, neap.jvp(E, z, d)) end, y, d)
    return (.5 * slope:square() - curvature):mean()
  end
  local function f (y, d) return neap.grad(function (z) return loss(z, d) end)(y) end
  local g = neap.compile(f)
  lu.assertTrue(compare.apart(g(x, v), f(x, v)) <= 1024)
  local plan = neap.explain(f, x, v)
  lu.assertEquals(select(2, plan:gsub("= bmm", "")), 10)        -- 12 without
end

return T
