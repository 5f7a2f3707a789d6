-- Sums over rows in programs: means and gradients by parameters equal the function's own, whatever the number of rows,
-- and are the same bits for any number of threads.
local lu = require "luaunit"
local neap = require "neap"
local T = {}

local ROWS = {0, 1, 2, 63, 64, 65, 100, 1000, 9001}     -- the last has more blocks than lanes

-- the largest difference, relative to what is compared
local function distance (a, b)
  lu.assertEquals(a.shape, b.shape)
  lu.assertEquals(a.dtype, b.dtype)
  if a:numel() == 0 then return 0 end
  a, b = a:to("float64"), b:to("float64")
  local same = a:eq(b):logical_or(a:isnan():logical_and(b:isnan()))
  local zero = neap.zeros(1, {dtype = "float64"})
  return neap.where(same, zero, (a - b):abs() / (b:abs():max() + 1e-3)):max():item()
end

-- f and its program on the same arguments: the largest difference of any result
local function compare (f, g, ...)
  local want, worst = {f(...)}, 0
  for _ = 1, 3 do
    local got = {g(...)}
    lu.assertEquals(#got, #want)
    for i = 1, #want do worst = math.max(worst, distance(got[i], want[i])) end
  end
  return worst
end

local function check (f, make, limits)
  for dtype, limit in pairs(limits or {float32 = 1e-5, float64 = 1e-13}) do
    for _, rows in ipairs(ROWS) do
      local g = neap.compile(f)
      local e = compare(f, g, make(rows, {dtype = dtype}))
      lu.assertTrue(e <= limit, ("%s, %d rows: %.1e"):format(dtype, rows, e))
    end
  end
end

-- Does f become blocks of rows, with a sum over them?
local function assert_blocks (f, ...)
  local plan = neap.explain(f, ...)
  lu.assertStrContains(plan, "in blocks of rows")
  lu.assertStrContains(plan, "sum of rows")
end

-- ---- networks ----

local function parameters (dtype, sizes)
  local list = {}
  for i = 2, #sizes do
    list[#list + 1] = neap.randn({sizes[i - 1], sizes[i]}, {dtype = dtype}) * sizes[i - 1] ^ -.5
    list[#list + 1] = neap.randn({sizes[i]}, {dtype = dtype})
  end
  return list
end

local function network (ps, x)
  for i = 1, #ps, 2 do
    x = neap.matmul(x, ps[i]) + ps[i + 1]
    if i < #ps - 1 then x = x:silu() end
  end
  return x:squeeze(2)
end

-- x -> the loss and its gradients by all parameters
local function training (ps, loss)
  local f = neap.value_and_grad(function (list, x) return loss(list, x) end)
  return function (x)
    local value, grads = f(ps, x)
    return value, table.unpack(grads)
  end
end

local losses = {
  mean = function (ps, x) return network(ps, x):mean() end,
  squares = function (ps, x) return network(ps, x):square():mean() + ps[1]:square():sum() * .1 end,
  contrast = function (ps, x) return network(ps, x):mean() - network(ps, x * .5 + 1):mean() end,
  through_a_mean = function (ps, x) return network(ps, x):mean():exp() end,
  score = function (ps, x)
    local s = neap.grad(function (y) return network(ps, y):sum() end)(x)
    return (s + x):square():sum(2):mean() * .5
  end,
}

local function at (dtype, sizes, loss)
  neap.seed(11)
  return training(parameters(dtype, sizes), loss)
end

for name, loss in pairs(losses) do
  T["test_loss_" .. name] = function ()
    for dtype, limit in pairs{float32 = 2e-5, float64 = 1e-13} do
      local f = at(dtype, {2, 17, 16, 1}, loss)
      local function make (rows) return neap.randn({rows, 2}, {dtype = dtype}) end
      for _, rows in ipairs(ROWS) do
        local e = compare(f, neap.compile(f), make(rows))
        lu.assertTrue(e <= limit, ("%s, %d rows: %.1e"):format(dtype, rows, e))
      end
    end
  end
end

function T.test_losses_run_in_blocks ()
  for name, loss in pairs(losses) do
    local plan = neap.explain(at("float32", {2, 8, 1}, loss), neap.randn(100, 2))
    lu.assertEquals(plan:find("in blocks of rows", 1, true) ~= nil, name ~= "through_a_mean", name)
  end
end

function T.test_bits_do_not_depend_on_threads ()
  local before = neap.threads()
  for rows, sizes in pairs{[777] = {2, 17, 16, 1}, [778] = {3, 300, 400, 1}, [200] = {3, 300, 500, 1}} do
    for name, loss in pairs(losses) do
      local f, first = at("float32", sizes, loss)
      local x = neap.randn(rows, sizes[1])
      for threads = 1, 3 do
        neap.set_threads(threads)
        local g = neap.compile(f)
        g(x)
        local got = {g(x)}
        first = first or got
        for i = 1, #got do lu.assertEquals((got[i] - first[i]):abs():max():item(), 0, name) end
      end
    end
  end
  neap.set_threads(before)
end

-- ---- sums by themselves ----

function T.test_sums_of_every_kind ()
  local function f (x)
    return x:sum(1), x:sum(), x:sum(1, true), (x * 2):sum({1, 3}), x:sum({1, 2}) * 2 + x:sum(1):amax(1), x:exp():sum(2)
  end
  assert_blocks(f, neap.randn(70, 3, 4))
  check(f, function (rows, options) return neap.randn({rows, 3, 4}, options) end)
end

function T.test_sums_of_integers_and_booleans ()
  local function f (x) return x:gt(0):sum(1), (x * 10):floor():to("int64"):sum(), x:gt(1):to("int64"):sum({1, 2}) end
  assert_blocks(f, neap.randn(70, 3))
  check(f, function (rows, options) return neap.randn({rows, 3}, options) end, {float32 = 0, float64 = 0})
end

function T.test_products_of_rows ()
  local function f (x)
    local c = neap.matmul(x:t(), x * x)
    return c, c:t(), c:slice(2, 1, 2), neap.matmul(c, c), neap.matmul(x:slice(2, 1, 1):t(), x), c:sum(1) + x:sum(1)
  end
  assert_blocks(f, neap.randn(70, 3))
  check(f, function (rows, options) return neap.randn({rows, 3}, options) end)
end

-- Products that are only added up are added where the first one lies; what is read besides is a value of its own.
function T.test_products_that_are_added ()
  local w = neap.randn(3, 4)
  local function added (plan) return select(2, plan:gsub("+= bmm", "")) end
  local cases = {
    {1, function (x, y) return neap.matmul(x:t(), y) + neap.matmul(x:exp():t(), y * y) end},
    {2, function (x, y) return neap.matmul(x:t(), y:tanh()) + neap.matmul(x:exp():t(), y) + neap.matmul(x:cos():t(), x:sin():sum(2, true) + y * 2) end},
    {1, function (x, y) return neap.matmul(x:t(), y:tanh()) +
                               (neap.matmul(x:t(), y) + neap.matmul(x:cos():t(), y * y)) end},
    {1, function (x, y) return (neap.matmul(y:t(), x) + neap.matmul((y * 2):t(), x:sin())):t():exp() + w end},
    {1, function (x, y) return neap.matmul(x:t(), y) + neap.matmul(x:repeat_interleave(2, 1):t(),
                                                                   y:repeat_interleave(2, 1)) end},
    {0, function (x, y) local c = neap.matmul(x:t(), y) return c + neap.matmul((x * 2):t(), y), c end},
    {0, function (x, y) local c = neap.matmul(x:t(), y) return c + c end},
    {0, function (x, y) return neap.matmul(x:t(), y) - neap.matmul((x * 2):t(), y) end},
    {0, function (x, y) return neap.matmul(x:t(), y) + (y * 2):sum(1) end},
    {0, function (x, y) return neap.matmul(x:t(), x) + neap.matmul(y:t(), y):slice(1, 1, 3):slice(2, 1, 3) end},
  }
  for i, case in ipairs(cases) do
    lu.assertEquals(added(neap.explain(case[2], neap.randn(70, 3), neap.randn(70, 4))), case[1], i)
    check(case[2], function (rows, options) return neap.randn({rows, 3}, options), neap.randn({rows, 4}, options) end,
          {float32 = 1e-5})
  end
end

-- Matrices that are only read transposed are made so: what is added up then lies alike.
function T.test_products_that_are_read_transposed ()
  local w = neap.randn(4, 3)
  local function views (plan) return select(2, plan:gsub("%%%d+%[%d+, %d+%]", "")) end         -- of matrices
  local cases = {
    {0, function (x, y) return neap.matmul(x:t(), y):t() end},
    {0, function (x, y) return neap.matmul(x:t(), y):t() + neap.matmul(y:t(), x * 2) end},
    {0, function (x, y) return (neap.matmul(x:t(), y) * 2 + neap.matmul((x + 1):t(), y):neg()):abs():t() end},
    {1, function (x, y) return (neap.matmul(x:t(), y):t() + w):t(), y * 2 end},
    {1, function (x, y) return (neap.matmul(x:t(), y) + w:t() * 2):t() end},
    {1, function (x, y) local c = neap.matmul(x:t(), y) return c:t(), c end},
    {2, function (x, y) local c = neap.matmul(x:t(), y) * 2 return c:t(), c:t():slice(1, 1, 2) end},
  }
  for i, case in ipairs(cases) do
    local plan = neap.explain(case[2], neap.randn(70, 3), neap.randn(70, 4))
    lu.assertEquals(views(plan), case[1], plan)
    check(case[2], function (rows, options) return neap.randn({rows, 3}, options), neap.randn({rows, 4}, options) end)
  end
end

function T.test_batched_products_of_rows ()
  local function f (x) return neap.matmul(x:permute(2, 3, 1), x:permute(2, 1, 3)) end
  assert_blocks(f, neap.randn(70, 3, 4))
  check(f, function (rows, options) return neap.randn({rows, 3, 4}, options) end)
end

function T.test_what_is_the_same_for_all_rows ()
  local w, table = neap.tensor{1., 2., 3.}, neap.randn(9001, 3)
  local function f (x, y)
    local n = x.shape[1]
    return x + w:expand(n, 3):sum(), (x * y):sum(1) * y, y * y, w:exp(), x * table:slice(1, 1, n)
  end
  check(f, function (rows, options) return neap.randn({rows, 3}, options), neap.randn({3}, options) end,
        {float32 = 1e-5})
end

function T.test_numbers_that_count_rows ()
  local function f (x)
    local n = x.shape[1]
    return x / n, x:sum(1) * (1 / n), x * (3 * n), x * (1 / (7 * n)), x:mean({1, 2}), x * (n + 1)
  end
  check(f, function (rows, options) return neap.randn({rows, 5}, options) end)
end

-- a step's own count looks like a number of rows when it is 2 at one recording and 3 at the next
function T.test_counters_are_no_numbers_of_rows ()
  for from = 0, 3 do
    local n = from
    local g = neap.compile(function (x) n = n + 1 return x * n end)
    local x = neap.ones(70, 2)
    for _ = 1, 4 do
      local before = n
      local y = g(x)[1][1]:item()
      lu.assertTrue(y > before and y <= n)
    end
  end
end

function T.test_counters_in_steps_are_no_numbers_of_rows ()
  for from = 0, 3 do
    local n = 0
    local E = neap.energy(function (x) n = n + 1 return x:square():sum(2) * n end, {event = {2}})
    local s = neap.sampler.langevin{step_size = .001, noise_std = 0}
    local st = s:init(E, neap.ones(3, 2))
    n = from
    s:step(E, st, 6)
    lu.assertTrue(n - from >= 6)                                   -- it ran at every step
  end
end

-- Lua energies are recorded at each call: numbers of rows are bound again.
function T.test_losses_of_lua_energies_again_and_again ()
  local w = neap.tensor{1.5}:requires_grad()
  local E = neap.energy(function (x) return (x:square() * w):sum(2) end, {event = {2}, params = {w = w}})
  local loss = neap.loss.fisher{score = function (x) return -x end}
  local x, programs = neap.randn(300, 2), neap.memory().programs
  local squares, k = x:square():sum(2):mean():item(), 2 * w:item() - 1
  for _ = 1, 4 do
    local value = loss(E, x)
    w.grad = nil
    value:backward()
    lu.assertAlmostEquals(value:item(), .5 * k * k * squares, 1e-4)
    lu.assertAlmostEquals(w.grad:item(), 2 * k * squares, 1e-4)
  end
  lu.assertEquals(neap.memory().programs, programs + 1)
end

-- Blocks lie side by side in the outputs, and loops work on whole vectors: the last row of each keeps its value.
function T.test_blocks_end_where_the_next_begin ()
  local function f (x) local y = x:exp() return y, y * x + 1, y:gt(1), x:to("float64"):square() end
  local before = neap.threads()
  for threads = 1, 3 do
    neap.set_threads(threads)
    for _, shape in ipairs{{65, 1}, {65, 3}, {65, 16}, {1025, 1}, {1025, 3}, {5003, 1}, {5003, 3}, {200013, 3}} do
      lu.assertTrue(compare(f, neap.compile(f), neap.randn(shape)) <= 1e-6, ("%d x %d"):format(table.unpack(shape)))
    end
  end
  neap.set_threads(before)
end

-- ---- rows that read sums, rows that are many ----

function T.test_rows_that_read_a_sum_are_one_block ()
  local function f (x)
    local m = x:mean(1, true)
    return (x - m):square():mean(), x:sum(2) * m:exp():sum()
  end
  lu.assertStrContains(neap.explain(f, neap.randn(70, 3)), "rows depend on each other")
  check(f, function (rows, options) return neap.randn({rows, 3}, options) end)
end

function T.test_three_values_for_each_row ()
  local w = neap.randn(2, 5)
  local function f (x)
    local y = neap.matmul(x:repeat_interleave(3, 1), w):silu()
    return y, y:mean(), y:reshape(-1, 3, 5):sum(2), y:reshape(-1, 15):sum(1), neap.matmul(y:t(), y)
  end
  check(f, function (rows) return neap.randn(rows, 2) end, {float32 = 1e-5})
  local function stacked (x) return neap.matmul(neap.cat({x, -x, x * 2}, 1), w):silu():mean() end
  check(stacked, function (rows) return neap.randn(rows, 2) end, {float32 = 1e-5})
end

-- The same bits as the function's own, whichever dimensions lie where.
function T.test_sums_over_any_dimensions ()
  for _, dims in ipairs{{1}, {2}, {3}, {4}, {1, 2}, {2, 4}, {3, 4}, {2, 3}, {2, 3, 4}, {1, 4}, {1, 2, 3, 4}} do
    for _, n in ipairs{1, 5, 130} do
      for _, dtype in ipairs{"float32", "float64"} do
        local x = neap.randn(3, 4, n, 2, {dtype = dtype})
        local function f (y) return y:exp():sum(dims), y:sum(dims, true), y:transpose(3, 4):sum(dims) end
        local got, want = {neap.compile(f)(x)}, {f(x)}
        for i = 1, 3 do
          lu.assertEquals(got[i].shape, want[i].shape)
          lu.assertTrue(got[i]:eq(want[i]):all():item(), ("%s over %s, %d"):format(dtype, table.concat(dims, ","), i))
        end
      end
    end
  end
end

function T.test_draws_in_blocks_with_sums ()
  local a, b = neap.rng(5), neap.rng(5)
  local function f (rng) return function (x) return (x + rng:normal(x.shape)):sum(1), rng:normal(3) + x:sum(1) end end
  local g, h = neap.compile(f(a)), f(b)
  local x = neap.randn(300, 3)
  for _ = 1, 4 do
    local want, got = {h(x)}, {g(x)}
    for i = 1, 2 do lu.assertTrue(distance(got[i], want[i]) < 1e-5) end
  end
end

return T
