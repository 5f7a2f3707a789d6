-- Reductions: values against definitions, dtypes, empty and NaN inputs, ties, long sums, two-result forms.
local lu = require "luaunit"

local T = {}
local f64 = { dtype = "float64" }
local nan, inf = 0 / 0, math.huge

local function same(x, want, tolerance)
  local got = type(x) == "userdata" and x:totable() or x
  if tolerance then lu.assertAlmostEquals(got, want, tolerance) else lu.assertEquals(got, want) end
end

local fails = require("errors").raises

local function matrix() return neap.tensor({ { 1, 2, 3 }, { 4, 5, 6 } }, f64) end

-- ---- sums ----

function T.test_sum_over_dims()
  local x = matrix()
  lu.assertEquals(x:sum():item(), 21)
  same(x:sum(1), { 5, 7, 9 })
  same(x:sum(-1), { 6, 15 })
  same(x:sum(2, true), { { 6 }, { 15 } })
  same(x:sum({ 1, 2 }, true), { { 21 } })
  same(x:t():sum(1), { 6, 15 })
  same(x:flip(2):sum(2), { 6, 15 })
end

function T.test_sum_over_middle_and_outer_dims()
  local x = neap.arange(1, 24, f64):reshape(2, 3, 4)
  same(x:sum(2), { { 15, 18, 21, 24 }, { 51, 54, 57, 60 } })
  same(x:sum { 1, 3 }, { 68, 100, 132 })
  same(x:permute(3, 1, 2):sum { 1, 3 }, { 78, 222 })
end

function T.test_sum_dtypes()
  local bits = neap.tensor({ 1, 0, 1 }, { dtype = "bool" })
  lu.assertEquals(bits:sum().dtype, "int64")
  lu.assertEquals(bits:sum():item(), 2)
  local bytes = neap.full({ 1000 }, 255, { dtype = "uint8" })
  lu.assertEquals(bytes:sum():item(), 255000)
  lu.assertEquals(neap.tensor({ 1, 2 }, { dtype = "int64" }):mean().dtype, "float32")
  lu.assertEquals(neap.tensor({ 1, 2 }, { dtype = "int64" }):mean():item(), 1.5)
end

function T.test_empty_reductions()
  local x = neap.zeros(0, 3)
  lu.assertEquals(x:sum():item(), 0)
  same(x:sum(1), { 0, 0, 0 })
  lu.assertEquals(x:sum(2).shape, { 0 })
  same(x:prod(1), { 1, 1, 1 })
  lu.assertTrue(x:mean():isnan():item() == 1 or x:mean():isnan():item() == true)
  lu.assertEquals(x:logsumexp(1):totable(), { -inf, -inf, -inf })
  fails("amax", x.amax, x, 1)
  fails("[0, 3]", x.argmax, x, 1)
  lu.assertEquals(x:amax(2).shape, { 0 })
end

function T.test_long_sums_are_exact_enough()
  local n = 1000003
  local x = neap.full({ n }, 0.1)
  local want = n * neap.tensor(0.1):double():item()
  lu.assertAlmostEquals(x:sum():item() / want, 1, 3e-7)
  lu.assertAlmostEquals(x:reshape(n, 1):expand(n, 3):sum(1)[2]:item() / want, 1, 3e-7)
  lu.assertAlmostEquals(neap.full({ 50000, 5 }, 0.1):sum(1)[5]:item() / want * n / 50000, 1, 3e-7)
end

function T.test_sums_of_every_shape()
  local shapes = { { 1, 1 }, { 7, 1 }, { 1, 7 }, { 300, 3 }, { 3, 300 }, { 257, 258 }, { 2, 40000 }, { 40000, 2 } }
  for _, sizes in ipairs(shapes) do
    local x = neap.randint(-9, 9, sizes)
    local rows, columns = x:totable(), {}
    for j = 1, sizes[2] do columns[j] = 0 end
    local total, sums = 0, {}
    for i, row in ipairs(rows) do
      sums[i] = 0
      for j, v in ipairs(row) do sums[i] = sums[i] + v; columns[j] = columns[j] + v end
      total = total + sums[i]
    end
    for _, dtype in ipairs { "int64", "float32", "float64" } do
      local y = x:to(dtype)
      lu.assertEquals(y:sum():item(), total)
      lu.assertTrue((y:sum(1) - neap.tensor(columns, { dtype = dtype })):abs():sum():item() == 0)
      lu.assertTrue((y:sum(2) - neap.tensor(sums, { dtype = dtype })):abs():sum():item() == 0)
    end
  end
end

function T.test_cumsum()
  same(matrix():cumsum(1), { { 1, 2, 3 }, { 5, 7, 9 } })
  same(matrix():cumsum(-1), { { 1, 3, 6 }, { 4, 9, 15 } })
  same(matrix():t():cumsum(1), { { 1, 4 }, { 3, 9 }, { 6, 15 } })
  lu.assertEquals(neap.tensor({ 1, 1, 0 }, { dtype = "bool" }):cumsum(1):totable(), { 1, 2, 2 })
  fails("cumsum", neap.cumsum, matrix(), 3)
end

function T.test_prod_with_zeros()
  local x = neap.tensor({ 2, 0, 3, 4 }, f64):requires_grad()
  lu.assertEquals(x:prod():item(), 0)
  same(neap.gradients(x:prod(), x), { 0, 24, 0, 0 })
  local y = neap.tensor({ 2, 0, 0 }, f64):requires_grad()
  local g = neap.gradients(y:prod(), { y }, { create_graph = true })[1]
  same(neap.gradients(g[2], y), { 0, 0, 2 })
  same(matrix():prod(1), { 4, 10, 18 })
  lu.assertEquals(neap.arange(1, 15, { dtype = "int64" }):prod():item(), 1307674368000)
end

-- ---- extremes ----

function T.test_extremes()
  local x = neap.tensor({ { 3, 1, 3 }, { -1, 7, 0 } }, f64)
  lu.assertEquals(x:max():item(), 7)
  lu.assertEquals(x:min():item(), -1)
  same(x:amax(2), { 3, 7 })
  same(x:amin { 1, 2 }, -1)
  local v, i = x:max(2)
  same(v, { 3, 7 })
  same(i, { 1, 2 })
  v, i = x:min(1, true)
  same(v, { { -1, 1, 0 } })
  same(i, { { 2, 1, 2 } })
  lu.assertEquals(x:argmax():item(), 5)
  same(x:argmin(2), { 2, 1 })
  same(x:t():argmax(1), { 1, 2 })
  lu.assertEquals(x:t():argmax():item(), 4)
  lu.assertEquals(neap.tensor({ 5, 9 }, { dtype = "uint8" }):amax().dtype, "uint8")
end

function T.test_nan_wins()
  local x = neap.tensor({ 1, nan, 3, nan, 5, 6, 7, 8, 9, 10, 11 })
  for _, y in ipairs { x, x:double(), x:reshape(11, 1):expand(11, 5):select(2, 3) } do
    lu.assertTrue(y:amax():item() ~= y:amax():item())
    lu.assertTrue(y:amin():item() ~= y:amin():item())
    lu.assertEquals(y:argmax():item(), 2)
    lu.assertEquals(y:argmin():item(), 2)
  end
  lu.assertTrue(x:median():item() ~= x:median():item())
end

function T.test_wide_extremes()
  for _, sizes in ipairs { { 5, 1000 }, { 1000, 5 }, { 70000 } } do
    local x = neap.randn(sizes)
    local flat = x:flatten()
    local low, high = inf, -inf
    for _, v in ipairs(flat:totable()) do low, high = math.min(low, v), math.max(high, v) end
    lu.assertEquals(x:amax():item(), high)
    lu.assertEquals(x:amin():item(), low)
    lu.assertEquals(x:amax(1):amax():item(), high)
    lu.assertEquals(flat[x:argmax():item()]:item(), high)
  end
end

function T.test_ties_share_the_gradient()
  local x = neap.tensor({ 2, 5, 5, 1 }, f64):requires_grad()
  same(neap.gradients(x:amax(), x), { 0, .5, .5, 0 })
  same(neap.gradients((x:max(1)), x), { 0, 1, 0, 0 })
end

-- ---- logsumexp, softmax ----

function T.test_logsumexp_is_stable()
  same(neap.tensor({ 1000, 1000 }, f64):logsumexp(1), 1000 + math.log(2), 1e-12)
  same(neap.tensor({ -1000, -1001 }, f64):logsumexp(), -1000 + math.log(1 + math.exp(-1)), 1e-12)
  lu.assertEquals(neap.tensor({ -inf, -inf }):logsumexp():item(), -inf)
  lu.assertEquals(neap.tensor({ -inf, inf }):logsumexp():item(), inf)
  local x = neap.tensor({ { -inf, -inf }, { -inf, 0 } }, f64):requires_grad()
  same(neap.gradients(x:logsumexp(2):sum(), x), { { 0, 0 }, { 0, 1 } })
end

function T.test_softmax()
  local x = neap.tensor({ { 1, 2, 3 }, { 1e4, 1e4 + 1, -1e4 } }, f64)
  local p = x:softmax(2)
  same(p:sum(2), { 1, 1 }, 1e-12)
  lu.assertAlmostEquals(p[2][2]:item(), 1 / (1 + math.exp(-1)), 1e-12)
  local l = neap.tensor({ 1e4, 1e4 + 1 }):log_softmax(1)
  lu.assertAlmostEquals(l[1]:item(), -1 - math.log(1 + math.exp(-1)), 1e-6)
  same(neap.zeros(2, 0):softmax(2), { {}, {} })
end

-- ---- moments ----

function T.test_var_std()
  local x = neap.tensor({ { 1, 2, 3, 4 }, { 2, 2, 2, 2 } }, f64)
  same(x:var(2), { 5 / 3, 0 }, 1e-12)
  same(x:var(2, true, { unbiased = false }), { { 1.25 }, { 0 } }, 1e-12)
  same(x:std(2), { math.sqrt(5 / 3), 0 }, 1e-12)
  x:requires_grad()
  same(neap.gradients(x:std(2):sum(), x)[2], { 0, 0, 0, 0 })
  local one = neap.tensor({ 3 }, f64):var():item()
  lu.assertTrue(one ~= one)
end

function T.test_norm()
  local x = neap.tensor({ { 3, -4 }, { 0, 0 } }, f64)
  same(x:norm(2), { 5, 0 })
  same(x:norm(2, false, { p = 1 }), { 7, 0 })
  same(x:norm(2, false, { p = inf }), { 4, 0 })
  same(x:norm(2, false, { p = -inf }), { 3, 0 })
  same(x:norm(2, false, { p = 0 }), { 2, 0 })
  same(x:norm(2, false, { p = 3 }), { 91 ^ (1 / 3), 0 }, 1e-12)
  lu.assertEquals(x:norm():item(), 5)
  x:requires_grad()
  for _, p in ipairs { 2, 3, 1.5 } do
    local g = neap.gradients(x:norm(2, false, { p = p }):sum(), x)
    same(g[2], { 0, 0 })
    lu.assertTrue(g[1][1]:item() > 0)
  end
end

-- ---- truth ----

function T.test_any_all()
  local x = neap.tensor { { 0, 2 }, { 0, 0 } }
  lu.assertEquals(x:any(2):totable(), x:ne(0):select(2, 2):totable())
  lu.assertEquals(x:any().dtype, "bool")
  lu.assertEquals(x:any():to("int64"):item(), 1)
  lu.assertEquals(x:all():to("int64"):item(), 0)
  same(x:all(1):to("int64"), { 0, 0 })
  lu.assertEquals(neap.zeros(0):any():to("int64"):item(), 0)
  lu.assertEquals(neap.zeros(0):all():to("int64"):item(), 1)
end

-- ---- order ----

function T.test_sort()
  local x = neap.tensor({ 3, nan, 1, 2, 1 }, f64)
  local v, i = x:sort(1)
  same(i, { 3, 5, 4, 1, 2 })
  same(v[{ { 1, 4 } }], { 1, 1, 2, 3 })
  v, i = x:sort(1, { descending = true })
  same(i, { 2, 1, 4, 3, 5 })
  local m = neap.tensor { { 3, 1 }, { 2, 5 } }
  same((m:sort(1)), { { 2, 1 }, { 3, 5 } })
  same((m:t():sort(1)), { { 1, 2 }, { 3, 5 } })
  same((neap.tensor({ 9007199254740993, 9007199254740992, -5 }, { dtype = "int64" }):sort()),
    { -5, 9007199254740992, 9007199254740993 })
end

function T.test_sort_long()
  local x = neap.randn(3, 5000)
  local v, i = x:sort(2)
  lu.assertEquals((v[{ {}, { 2, 5000 } }] - v[{ {}, { 1, 4999 } }]):lt(0):sum():item(), 0)
  lu.assertEquals(x:gather(2, i):sub(v):abs():sum():item(), 0)
  lu.assertEquals(i:sum(2):totable(), { 12502500, 12502500, 12502500 })
end

function T.test_topk_median_quantile()
  local x = neap.tensor({ 5, 1, 4, 2 }, f64)
  local v, i = x:topk(2, 1)
  same(v, { 5, 4 })
  same(i, { 1, 3 })
  lu.assertEquals(x:median():item(), 2)
  v, i = x:median(1)
  lu.assertEquals(v:item(), 2)
  lu.assertEquals(i:item(), 4)
  lu.assertEquals(x:quantile(.5):item(), 3)
  lu.assertEquals(x:quantile(1):item(), 5)
  same(x:quantile(.25, 1, true), { 1.75 })
  lu.assertTrue(neap.tensor({ 1, nan }):quantile(0):item() ~= 1)
  fails("topk: k is 5", x.topk, x, 5, 1)
  fails("quantile: q is 2", x.quantile, x, 2)
end

function T.test_bad_dims()
  fails("sum", neap.sum, matrix(), 3)
  fails("dimension 2 is given twice", neap.sum, matrix(), { 2, -1 })
  fails("argmax", neap.argmax, matrix(), 0)
end

return T
