-- x[key], x[key] = value, printing.
local lu = require "luaunit"

local T = {}
local raises = lu.assertErrorMsgContains
local int = {dtype = "int64"}

local function same (x, expected) lu.assertEquals(x:totable(), expected) end
local function matrix () return neap.arange(1, 12):reshape(3, 4) end

function T.test_numbers_and_ranges ()
  local m = matrix()
  same(m[1], {1, 2, 3, 4})
  same(m[-1], {9, 10, 11, 12})
  lu.assertEquals(m[2][3]:item(), 7)
  lu.assertEquals(m[{2, 3}]:item(), 7)
  same(m[{2}], {5, 6, 7, 8})
  same(m[{{}, 2}], {2, 6, 10})
  same(m[{{2, 3}, {1, 2}}], {{5, 6}, {9, 10}})
  same(m[{{}, {1, 4, 2}}], {{1, 3}, {5, 7}, {9, 11}})
  same(m[{{-2, -1}, 1}], {5, 9})
  same(m[{{2}}], {{5, 6, 7, 8}, {9, 10, 11, 12}})
  lu.assertEquals(m[{{1, 0}}].shape, {0, 4})
  lu.assertEquals(m[{{4, 3}}].shape, {0, 4})
  same(m[{}], m:totable())
end

function T.test_views_share ()
  local m = matrix()
  local row = m[2]
  row[1] = 50
  lu.assertEquals(m[{2, 1}]:item(), 50)
  m[{{}, 4}] = 0
  same(row, {50, 6, 7, 0})
end

function T.test_pairs_walks_the_rows ()
  local sums = {}
  for i, row in pairs(matrix()) do sums[i] = row:sum():item() end
  lu.assertEquals(sums, {10, 26, 42})
end

function T.test_masks_and_index_tensors ()
  local m = matrix()
  same(m[m:gt(9)], {10, 11, 12})
  same(m[neap.tensor {true, false, true}], {{1, 2, 3, 4}, {9, 10, 11, 12}})
  same(m[neap.tensor({3, 1}, int)], {{9, 10, 11, 12}, {1, 2, 3, 4}})
  same(m[neap.tensor({-1}, int)], {{9, 10, 11, 12}})
  same(m[{{}, neap.tensor({4, 1}, int)}], {{4, 1}, {8, 5}, {12, 9}})
  same(m[{{}, neap.tensor {true, false, false, true}}], {{1, 4}, {5, 8}, {9, 12}})
  same(m[neap.tensor({{1}, {3}}, int)], {{{1, 2, 3, 4}}, {{9, 10, 11, 12}}})
  lu.assertEquals(m[m:gt(99)].shape, {0})
end

function T.test_reading_is_differentiable ()
  local x = neap.tensor {1, 2, 3}:requires_grad()
  same(neap.gradients((x[x:gt(1)] ^ 2):sum() + 10 * x[1], x), {10, 4, 6})
  same(neap.gradients((x[neap.tensor({2, 2}, int)] * 3):sum(), x), {0, 6, 0})
end

function T.test_writing ()
  local m = neap.zeros(2, 3)
  m[1] = neap.tensor {1, 2, 3}
  m[{2, {2, 3}}] = 7
  same(m, {{1, 2, 3}, {0, 7, 7}})
  m[{{}, 1}] = {8, 9}
  same(m, {{8, 2, 3}, {9, 7, 7}})
  m[{}] = neap.tensor {5, 6, 7}
  same(m, {{5, 6, 7}, {5, 6, 7}})
  m[m:gt(5)] = -1
  same(m, {{5, -1, -1}, {5, -1, -1}})
  m[m:eq(5)] = neap.tensor {1, 2}
  same(m, {{1, -1, -1}, {2, -1, -1}})
  m[neap.tensor {false, true}] = 4
  same(m, {{1, -1, -1}, {4, 4, 4}})
  m[{{}, neap.tensor({3, 1}, int)}] = neap.tensor {30, 10}
  same(m, {{10, -1, 30}, {10, 4, 30}})
  m[neap.tensor({2}, int)] = {{0, 0, 1}}
  same(m, {{10, -1, 30}, {0, 0, 1}})
  m[m:gt(99)] = 5
  same(m, {{10, -1, 30}, {0, 0, 1}})
  local i = neap.zeros(2, int)
  i[1] = 3
  i[2] = neap.tensor(4.0)
  same(i, {3, 4})
  local b = neap.tensor {true, true}
  b[1] = false
  same(b, {false, true})
end

function T.test_writing_through_strided_views ()
  local m = matrix()
  m:t()[2] = 0
  same(m, {{1, 0, 3, 4}, {5, 0, 7, 8}, {9, 0, 11, 12}})
  local t = m:t()
  t[t:eq(0)] = -5
  same(m[{{}, 2}], {-5, -5, -5})
end

function T.test_errors_name_index_dimension_and_size ()
  local m = matrix()
  raises("index 4 is out of range for dimension 1 of size 3", function () return m[4] end)
  raises("index 0 is out of range for dimension 1 of size 3", function () return m[0] end)
  raises("index -5 is out of range for dimension 2 of size 4", function () return m[{1, -5}] end)
  raises("range {1, 5, 1} does not fit dimension 2 of size 4", function () return m[{{}, {1, 5}}] end)
  raises("3 indices for a tensor of shape [3, 4]", function () return m[{1, 1, 1}] end)
  raises("integer expected, got 1.5", function () return m[1.5] end)
  raises("number, range or tensor expected, got boolean", function () return m[true] end)
  raises("a mask of shape [2] does not fit", function () return m[neap.tensor {true, false}] end)
  raises("a bool mask or an int64 tensor expected, got float32", function () return m[neap.ones(3)] end)
  raises("no dimensions", function () return neap.tensor(1)[1] end)
  raises("index 9", function () m[9] = 1 end)
  raises("number, table or tensor expected, got string", function () m[1] = "x" end)
  raises("1.5 does not fit int64", function () neap.zeros(2, int)[1] = 1.5 end)
  lu.assertError(function () m[1] = neap.ones(3) end)
  same(m, matrix():totable())
end

function T.test_writing_tracked_values_is_explained ()
  local x = neap.ones(2):requires_grad()
  local out = neap.zeros(2)
  raises("v:detach()", function () out[1] = x[1] * 2 end)
  out[1] = (x[1] * 2):detach()
  neap.no_grad(function () out[2] = x[2] end)
  same(out, {2, 1})
  x[1] = 5                                                   -- a variable itself may be written
  same(x:detach(), {5, 1})
end

function T.test_derivative_through_a_written_value ()
  local x = neap.ones(2):requires_grad()
  local y = (x * x):sum()
  x[1] = 3
  raises("was written after it was used", neap.gradients, y, x)
  same(neap.gradients((x * x):sum(), x), {6, 2})
end

-- ---- printing

function T.test_numbers_print_as_numbers ()
  lu.assertEquals(tostring(neap.tensor(2.5)), "2.5")
  lu.assertEquals(tostring(neap.tensor(3, int)), "3")
  lu.assertEquals(tostring(neap.tensor(true)), "true")
  lu.assertEquals(tostring(neap.tensor(1 / 0)), "inf")
  lu.assertEquals(tostring(neap.tensor(0.1)), "0.1")
end

function T.test_tables_print_aligned ()
  lu.assertEquals(tostring(neap.tensor {1, 20, -3}), "tensor float32 [3]\n   1  20  -3")
  lu.assertEquals(tostring(neap.tensor {{1.5, -2}, {10, 0.25}}),
    "tensor float32 [2, 2]\n   1.5000  -2.0000\n  10.0000   0.2500")
  lu.assertEquals(tostring(neap.tensor({true, false})), "tensor bool [2]\n   true  false")
  lu.assertEquals(tostring(neap.ones(2, 1, 2)), "tensor float32 [2, 1, 2]\n[1]\n  1  1\n[2]\n  1  1")
  lu.assertEquals(tostring(neap.zeros(0, 3)), "tensor float32 [0, 3]")
  lu.assertEquals(tostring(neap.tensor {1e-8, 2e-8}), "tensor float32 [2]\n  1.0000e-08  2.0000e-08")
  lu.assertEquals(tostring(neap.tensor({{1, 2}, {3, 4}}, int):t()), "tensor int64 [2, 2]\n  1  3\n  2  4")
end

function T.test_what_is_not_finite_is_counted ()
  lu.assertEquals(tostring(neap.tensor {1, 0 / 0, 1 / 0, -1 / 0}),
    "tensor float32 [4], 1 NaN, 2 Inf\n     1   nan   inf  -inf")
end

function T.test_large_tensors_are_cut ()
  local text = tostring(neap.zeros(40, 40))
  lu.assertStrContains(text, "…")
  lu.assertTrue(#text < 600)
  lu.assertStrContains(tostring(neap.arange(1, 2000)), "     1     2     3  …  1998  1999  2000")
  lu.assertNotStrContains(tostring(neap.zeros(1000)), "…")
end

return T
