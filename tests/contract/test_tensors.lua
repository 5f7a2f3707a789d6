-- The surface as its users know it, part one: making, asking, arithmetic, comparison, indexing, printing.
local lu = require "luaunit"
local near = require("energy.near").near

local T = {}
local eq = lu.assertEquals
local f64 = {dtype = "float64"}

local function same (x, expected) eq(x:totable(), expected) end

-- ---- making ----

function T.test_sizes_as_numbers_or_table ()
  for _, name in ipairs {"zeros", "ones", "rand", "randn"} do
    local f = neap[name]
    eq(f(2, 3).shape, {2, 3})
    eq(f({2, 3}).shape, {2, 3})
    eq(f(2, 3, {dtype = "float64"}).dtype, "float64")
    eq(f({2, 3}, {dtype = "float64"}).dtype, "float64")
    eq(f({2, 3}, {dtype = "float64"}).shape, {2, 3})
    eq(f(4).shape, {4})
    eq(f({}).shape, {})
    eq(f(0, 3).shape, {0, 3})
  end
  eq(neap.randn(3, {rng = neap.rng(1)}):totable(), neap.randn({3}, {rng = neap.rng(1)}):totable())
end

function T.test_makers ()
  same(neap.full({2, 2}, 7), {{7, 7}, {7, 7}})
  same(neap.full({2}, 7, {dtype = "int64"}), {7, 7})
  same(neap.full(2, 1.5), {1.5, 1.5})
  same(neap.eye(2), {{1, 0}, {0, 1}})
  eq(neap.eye(2, 3).shape, {2, 3})
  same(neap.arange(1, 4), {1, 2, 3, 4})
  same(neap.arange(1, 7, 3), {1, 4, 7})
  same(neap.arange(4, 1, -1), {4, 3, 2, 1})
  same(neap.arange(0, 1, .25), {0, .25, .5, .75, 1})
  same(neap.linspace(0, 1, 5), {0, .25, .5, .75, 1})
  eq(neap.linspace(0, 1, 5, f64).dtype, "float64")
  eq(neap.arange(1, 3, 1, {dtype = "int64"}).dtype, "int64")
  eq(neap.arange(1, 3, {dtype = "float64"}).dtype, "float64")
end

function T.test_random_makers ()
  local r = neap.randint(1, 6, {1000})
  eq(r.dtype, "int64")
  eq(r:min():item(), 1)
  eq(r:max():item(), 6)
  eq(neap.randint(0, 1, 2, 3).shape, {2, 3})
  local p = neap.randperm(10)
  eq(p.dtype, "int64")
  eq((p:sort(1)):totable(), {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
  local u = neap.rand(2000)
  lu.assertTrue(u:min():item() >= 0 and u:max():item() < 1)
  near(u:mean(), .5, .03)
  near(neap.randn(4000):std(), 1, .05)
end

function T.test_likes ()
  local x = neap.tensor({{1, 2}}, f64)
  for _, name in ipairs {"zeros_like", "ones_like", "rand_like", "randn_like", "empty_like"} do
    if neap[name] then
      eq(neap[name](x).shape, {1, 2})
      eq(neap[name](x).dtype, "float64")
    end
  end
  same(neap.zeros_like(x), {{0, 0}})
  same(neap.ones_like(x), {{1, 1}})
  same(neap.full_like(x, 3), {{3, 3}})
  same(x:zeros_like(), {{0, 0}})
  eq(neap.zeros_like(x, {dtype = "int64"}).dtype, "int64")
end

function T.test_tensor_values ()
  eq(neap.tensor(3).shape, {})
  eq(neap.tensor(3):item(), 3)
  eq(neap.tensor(3):totable(), 3)
  eq(neap.tensor {{1, 2}, {3, 4}}.shape, {2, 2})
  eq(neap.tensor({1, 2}, {dtype = "int64"}):totable(), {1, 2})
  eq(math.type(neap.tensor({1, 2}, {dtype = "int64"}):totable()[1]), "integer")
  eq(neap.tensor({true, false}):totable(), {true, false})
  lu.assertError(function () neap.tensor({1, 2}):item() end)
  local x = neap.tensor {1, 2}
  local y = x:clone()
  y[1] = 5
  same(x, {1, 2})
end

function T.test_dtypes ()
  for _, d in ipairs {"float32", "float64", "int64", "uint8", "bool"} do eq(neap.zeros(2, {dtype = d}).dtype, d) end
  eq(neap.default_dtype(), "float32")
  neap.default_dtype "float64"
  eq(neap.default_dtype(), "float64")
  eq(neap.zeros(1).dtype, "float64")
  eq(neap.randn(1).dtype, "float64")
  eq(neap.tensor({1}).dtype, "float64")
  neap.default_dtype "float32"
  local x = neap.tensor {1.7, -1.7, 0}
  same(x:to "int64", {1, -1, 0})
  same(x:to "bool", {true, true, false})
  eq(x:double().dtype, "float64")
  eq(x:double():float().dtype, "float32")
  lu.assertError(neap.default_dtype, "int64")
end

function T.test_promotion_as_in_numpy ()
  local function d (a, b) return (neap.ones(2, {dtype = a}) + neap.ones(2, {dtype = b})).dtype end
  eq(d("float32", "float64"), "float64")
  eq(d("int64", "uint8"), "int64")
  eq(d("bool", "uint8"), "uint8")
  eq(d("bool", "int64"), "int64")
  eq(d("uint8", "float32"), "float32")
  eq(d("bool", "bool"), "bool")
  -- a number takes the tensor's
  eq((neap.ones(2) * 2).dtype, "float32")
  eq((2 * neap.ones(2, f64)).dtype, "float64")
  eq((neap.ones(2, {dtype = "int64"}) + 1).dtype, "int64")
  eq((1 + neap.ones(2, {dtype = "uint8"})).dtype, "uint8")
  -- division and roots leave the integers
  local i = neap.tensor({1, 2}, {dtype = "int64"})
  same(i / 2, {.5, 1})
  eq((i / i).dtype:sub(1, 5), "float")
  eq(i:exp().dtype:sub(1, 5), "float")
  near(i:mean(), 1.5)
  eq(i:sum().dtype, "int64")
  eq(neap.tensor({true, true}):sum():item(), 2)
end

function T.test_asking ()
  local x = neap.zeros(2, 3, 4)
  eq(x.shape, {2, 3, 4})
  eq(x.ndim, 3)
  eq(x:size(), {2, 3, 4})
  eq(x:size(1), 2)
  eq(x:size(-1), 4)
  eq(x:numel(), 24)
  eq(#x, 2)
  eq(neap.is_tensor(x), true)
  eq(neap.is_tensor(3), false)
  local shape = x.shape
  shape[1] = 99
  eq(x.shape, {2, 3, 4})
end

-- ---- arithmetic ----

function T.test_arithmetic_and_broadcasting ()
  local a, b = neap.tensor {{1, 2}, {3, 4}}, neap.tensor {10, 20}
  same(a + b, {{11, 22}, {13, 24}})
  same(b - a, {{9, 18}, {7, 16}})
  same(a * 2, {{2, 4}, {6, 8}})
  same(2 * a, {{2, 4}, {6, 8}})
  same(a / 2, {{.5, 1}, {1.5, 2}})
  same(12 / a, {{12, 6}, {4, 3}})
  same(a ^ 2, {{1, 4}, {9, 16}})
  same(2 ^ a, {{2, 4}, {8, 16}})
  same(1 - a, {{0, -1}, {-2, -3}})
  same(-a, {{-1, -2}, {-3, -4}})
  same(a % 2, {{1, 0}, {1, 0}})
  same(7 % a, {{0, 1}, {1, 3}})
  same(neap.tensor {-7, 7} % 3, {2, 1})
  same(neap.tensor {7} % -3, {-2})
  same(neap.tensor({-7, 7}, {dtype = "int64"}) % 3, {2, 1})
  same(a:unsqueeze(3) + neap.zeros(1, 1, 2), {{{1, 1}, {2, 2}}, {{3, 3}, {4, 4}}})
  same(neap.add(a, 1), {{2, 3}, {4, 5}})
  same(a:add(1), {{2, 3}, {4, 5}})
  same(a:sub(1), {{0, 1}, {2, 3}})
  same(a:mul(b), {{10, 40}, {30, 80}})
  same(a:div(2), {{.5, 1}, {1.5, 2}})
  same(a:pow(2), {{1, 4}, {9, 16}})
  same(neap.pow(2, a), {{2, 4}, {8, 16}})
  same(neap.neg(a), {{-1, -2}, {-3, -4}})
  eq((neap.zeros(0, 3) + 1).shape, {0, 3})
  eq((neap.zeros(2, 1) + neap.zeros(1, 0)).shape, {2, 0})
end

function T.test_comparisons ()
  local a, b = neap.tensor {1, 2, 3}, neap.tensor {3, 2, 1}
  same(a:eq(b), {false, true, false})
  same(a:ne(2), {true, false, true})
  same(a:lt(b), {true, false, false})
  same(a:le(b), {true, true, false})
  same(a:gt(1), {false, true, true})
  same(a:ge(b), {false, true, true})
  same(neap.lt(a, 2), {true, false, false})
  eq(a:lt(b).dtype, "bool")
  same(a:gt(1):logical_and(a:lt(3)), {false, true, false})
  same(a:gt(2):logical_or(a:lt(2)), {true, false, true})
  same(a:gt(2):logical_not(), {true, true, false})
  local odd = neap.tensor {0 / 0, 1 / 0, -1 / 0, 1}
  same(odd:isnan(), {true, false, false, false})
  same(odd:isfinite(), {false, false, false, true})
  same(neap.where(a:gt(1), a, 0), {0, 2, 3})
  same(neap.where(a:gt(1), 1, b), {3, 1, 1})
  same(a:gt(1):where(a, 0), {0, 2, 3})
end

function T.test_comparison_operators ()
  local a = neap.tensor(2)
  eq(a < 3, true)
  eq(a <= 2, true)
  eq(a > 3, false)
  eq(1 < a, true)
  eq(a >= neap.tensor {2}, true)
  lu.assertErrorMsgContains(":lt", function () return neap.tensor {1, 2} < 3 end)
  lu.assertErrorMsgContains(":le", function () return neap.tensor {1, 2} <= 3 end)
end

-- ---- indexing ----

function T.test_reading_elements ()
  local x = neap.arange(1, 12):reshape(3, 4)
  same(x[1], {1, 2, 3, 4})
  same(x[-1], {9, 10, 11, 12})
  eq(x[2][3]:item(), 7)
  eq(x[{2, 3}]:item(), 7)
  eq(x[{2, 3}].shape, {})
  same(x[{{}, 1}], {1, 5, 9})
  same(x[{{2, 3}, 1}], {5, 9})
  same(x[{{1, 2}, {2, 3}}], {{2, 3}, {6, 7}})
  same(x[{1, {1, 4, 2}}], {1, 3})
  same(x[{{}, {-2, -1}}], {{3, 4}, {7, 8}, {11, 12}})
  same(x[{1}], {1, 2, 3, 4})
  same(x[{{2, -1}}], {{5, 6, 7, 8}, {9, 10, 11, 12}})
  same(x[x:gt(9)], {10, 11, 12})
  same(x[neap.tensor {true, false, true}], {{1, 2, 3, 4}, {9, 10, 11, 12}})
  same(x[neap.tensor({3, 1}, {dtype = "int64"})], {{9, 10, 11, 12}, {1, 2, 3, 4}})
  same(x[{{}, neap.tensor({4, 1}, {dtype = "int64"})}], {{4, 1}, {8, 5}, {12, 9}})
end

function T.test_several_index_tensors_go_together ()
  local function I (v) return neap.tensor(v, {dtype = "int64"}) end
  local x = neap.arange(1, 24):reshape(2, 3, 4)
  same(x[{I {1, 2}, I {1, 3}}], {{1, 2, 3, 4}, {21, 22, 23, 24}})
  same(x[{I {1, -1}, I {1, 3}, I {4, -1}}], {4, 24})
  same(x[{{}, I {1, 3}, I {4, 1}}], {{4, 9}, {16, 21}})
  same(x[{I {1, 2}, {}, I {4, 1}}], {{4, 8, 12}, {13, 17, 21}})
  same(x[{1, I {1, 3}, I {4, 1}}], {4, 9})
  eq(x[{I {{1}, {2}}, I {1, 3}}].shape, {2, 2, 4})
  local m = neap.zeros(3, 3)
  m[{I {1, 2, 3}, I {3, 2, 1}}] = neap.tensor {7, 8, 9}
  same(m, {{0, 0, 7}, {0, 8, 0}, {9, 0, 0}})
  lu.assertErrorMsgContains("index 4 (number 2) is out of range", function () return x[{I {1, 2}, I {1, 4}}] end)
  lu.assertErrorMsgContains("[3] and [2]", function () return x[{I {1, 2, 1}, I {1, 2}}] end)
  local w = neap.ones(2, 2):requires_grad()
  local picked = w[{I {1, 1, 2}, I {2, 2, 1}}]
  same(neap.gradients((picked * neap.tensor {1, 10, 100}):sum(), w), {{0, 11}, {100, 0}})
end

function T.test_views_share_and_copies_do_not ()
  local x = neap.zeros(3, 2)
  x[1][2] = 5
  eq(x[{1, 2}]:item(), 5)
  local row = x[2]
  row[1] = 7
  eq(x[{2, 1}]:item(), 7)
  local column = x[{{}, 1}]
  column[{}] = 1
  same(x, {{1, 5}, {1, 0}, {1, 0}})
  local picked = x[x:eq(5)]
  picked[1] = 9
  eq(x[{1, 2}]:item(), 5)
end

function T.test_writing ()
  local x = neap.zeros(2, 3)
  x[1] = 4
  same(x, {{4, 4, 4}, {0, 0, 0}})
  x[{2, {1, 2}}] = neap.tensor {8, 9}
  same(x, {{4, 4, 4}, {8, 9, 0}})
  x[{{}, 3}] = {1, 2}
  same(x, {{4, 4, 1}, {8, 9, 2}})
  x[x:gt(5)] = -1
  same(x, {{4, 4, 1}, {-1, -1, 2}})
  x[{2}] = neap.zeros(3)
  same(x[2], {0, 0, 0})
  x[{{}, {}}] = 3
  same(x, {{3, 3, 3}, {3, 3, 3}})
  x[-1] = 0
  same(x, {{3, 3, 3}, {0, 0, 0}})
  lu.assertError(function () x[3] = 1 end)
  lu.assertError(function () x[{1, {1, 2}}] = neap.zeros(3) end)
  lu.assertError(function () x[1] = "a" end)
  lu.assertError(function () return x[0] end)
  lu.assertError(function () return x[3] end)
  lu.assertError(function () return x[1.5] end)
  lu.assertError(function () return x[{1, 1, 1}] end)
end

-- ---- printing ----

function T.test_printing ()
  local text = tostring(neap.tensor {{1, 2.5}, {-3, 4}})
  lu.assertStrContains(text, "2.5")
  lu.assertStrContains(text, "float32")
  lu.assertStrContains(text, "2")
  lu.assertStrContains(tostring(neap.zeros(40, 50)), "…")
  lu.assertStrContains(tostring(neap.tensor {0 / 0, 1}):lower(), "nan")
  lu.assertStrContains(tostring(neap.tensor(3)), "3")
  eq(type(tostring(neap.zeros(0, 3))), "string")
  eq(type(tostring(neap.tensor({true}))), "string")
  eq(("%s"):format(neap.tensor(1)), tostring(neap.tensor(1)))
end

-- ---- the program's own ----

function T.test_clock_and_info ()
  local a = neap.clock()
  local b = neap.clock()
  lu.assertTrue(math.type(a) == "float" and b >= a)
  local info = neap.info()
  for _, key in ipairs {"version", "threads", "cpu", "blas"} do lu.assertNotNil(info[key], key) end
  eq(require "neap", neap)
end

function T.test_close ()
  local x = neap.zeros(3)
  x:close()
  lu.assertError(function () return x + 1 end)
  do local y <close> = neap.zeros(2) end
end

return T
