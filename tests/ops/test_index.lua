-- Indexing rows: 1-based and negative indices, repeated ones, gradients of what was overwritten, errors.
local lu = require "luaunit"
local near = require "ops.near"

local T = {}
local same, fails = near.same, near.fails
local f64 = { dtype = "float64" }

local function ints(t) return neap.tensor(t, { dtype = "int64" }) end

local function matrix() return neap.arange(1, 6, f64):reshape(2, 3) end

function T.test_slice()
  local x = neap.arange(1, 6)
  same(x:slice(1, 2, 4), { 2, 3, 4 })
  same(x:slice(1, -2), { 5, 6 })
  same(x:slice(1, 1, 6, 2), { 1, 3, 5 })
  same(x:slice(1, -1, 1, -2), { 6, 4, 2 })
  same(x:slice(1, nil, nil, -1), { 6, 5, 4, 3, 2, 1 })
  same(x:slice(1, 3, 2), {})
  same(x:slice(1, 1, 0), {})
  same(x:slice(1, 4, 100), { 4, 5, 6 })
  same(matrix():slice(-1, 2, 3), { { 2, 3 }, { 5, 6 } })
  fails("slice: first index is 0", neap.slice, x, 1, 0, 2)
  fails("slice: step is 0", neap.slice, x, 1, 1, 2, 0)
  fails("slice", neap.slice, x, 2, 1, 2)
end

function T.test_select()
  same(matrix():select(1, 2), { 4, 5, 6 })
  same(matrix():select(-1, -1), { 3, 6 })
  lu.assertEquals(neap.tensor({ 7 }):select(1, 1):item(), 7)
  fails("select: index 4 is out of range for dimension 2 of size 3", neap.select, matrix(), 2, 4)
  fails("select: index 0", neap.select, matrix(), 1, 0)
  fails("select: index -3", neap.select, matrix(), 1, -3)
end

function T.test_index_select()
  same(matrix():index_select(2, ints { 3, 1, -1 }), { { 3, 1, 3 }, { 6, 4, 6 } })
  same(matrix():t():index_select(1, ints { 2 }), { { 2, 5 } })
  lu.assertEquals(matrix():index_select(1, ints {}).shape, { 0, 3 })
  lu.assertEquals(neap.tensor({ 1, 0 }, { dtype = "bool" }):index_select(1, ints { 2 }).dtype, "bool")
  fails("index_select: index 4 (number 2) is out of range for dimension 2 of size 3", neap.index_select, matrix(), 2,
    ints { 1, 4 })
  fails("index_select: index 0", neap.index_select, matrix(), 2, ints { 0 })
  fails("int64", neap.index_select, matrix(), 2, neap.tensor { 1.5 })
end

function T.test_index_select_gradient_adds_repeats()
  local x = matrix():requires_grad()
  same(neap.gradients(x:index_select(2, ints { 1, 1, 3 }):sum(), x), { { 2, 0, 1 }, { 2, 0, 1 } })
end

function T.test_gather()
  local x = matrix()
  same(x:gather(2, ints { { 3, 1 }, { 2, -1 } }), { { 3, 1 }, { 5, 6 } })
  same(x:gather(1, ints { { 2, 1, 2 } }), { { 4, 2, 6 } })
  same(x:t():gather(1, ints { { 3, 3 } }), { { 3, 6 } })
  same(neap.tensor({ 1, 2 }, { dtype = "uint8" }):gather(1, ints { 2, 2, 1 }), { 2, 2, 1 })
  fails("gather: index 4", neap.gather, x, 2, ints { { 4 } })
  fails("gather: indices of shape [3, 1] do not fit shape [2, 3]", neap.gather, x, 2, ints { { 1 }, { 1 }, { 1 } })
end

function T.test_scatter_keeps_the_last()
  local x = neap.zeros({ 4 }, f64)
  same(x:scatter(1, ints { 2, 4, 2 }, neap.tensor({ 5, 6, 7 }, f64)), { 0, 7, 0, 6 })
  same(x, { 0, 0, 0, 0 })
  same(neap.zeros({ 2, 3 }, f64):scatter(2, ints { { 3 }, { 1 } }, 1), { { 0, 0, 1 }, { 1, 0, 0 } })
  local s = neap.tensor({ 5, 6, 7 }, f64):requires_grad()
  local b = neap.ones({ 4 }, f64):requires_grad()
  local y = b:scatter(1, ints { 2, 4, 2 }, s)
  local g = neap.gradients((y * neap.tensor({ 1, 2, 3, 4 }, f64)):sum(), { s, b })
  same(g[1], { 0, 4, 2 })
  same(g[2], { 1, 0, 3, 0 })
end

function T.test_scatter_add()
  local x = neap.ones({ 2, 2 }, f64)
  same(x:scatter_add(2, ints { { 1, 1 }, { 2, 1 } }, neap.tensor({ { 1, 2 }, { 3, 4 } }, f64)), { { 4, 1 }, { 5, 4 } })
  same(x:scatter_add(1, ints { { 2, 2 } }, neap.tensor({ { 1, 2 }, { 3, 4 } }, f64)), { { 1, 1 }, { 2, 3 } })
  same(neap.zeros({ 3 }, { dtype = "int64" }):scatter_add(1, ints { 1, 1, 3 }, ints { 1, 2, 3 }), { 3, 0, 3 })
  fails("scatter_add: source of shape [1] is smaller", neap.scatter_add, neap.zeros(3), 1, ints { 1, 2 }, neap.ones(1))
end

function T.test_index_copy_and_add()
  local x = matrix()
  local src = neap.tensor({ { 10, 20, 30 }, { 40, 50, 60 } }, f64)
  same(x:index_copy(1, ints { 2, 2 }, src), { { 1, 2, 3 }, { 40, 50, 60 } })
  same(x:index_add(1, ints { 2, 2 }, src), { { 1, 2, 3 }, { 54, 75, 96 } })
  src:requires_grad()
  same(neap.gradients(x:index_copy(1, ints { 2, 2 }, src):sum(), src), { { 0, 0, 0 }, { 1, 1, 1 } })
  fails("index_copy: source of shape", neap.index_copy, x, 1, ints { 1 }, src)
end

function T.test_cat_and_stack()
  local x, y = matrix(), neap.zeros({ 2, 1 }, f64)
  same(neap.cat({ x, y }, 2), { { 1, 2, 3, 0 }, { 4, 5, 6, 0 } })
  same(neap.cat({ x, x:flip(1) }, -2), { { 1, 2, 3 }, { 4, 5, 6 }, { 4, 5, 6 }, { 1, 2, 3 } })
  lu.assertEquals(neap.cat({ neap.zeros(0, 3), x }, 1).shape, { 2, 3 })
  lu.assertEquals(neap.cat({ ints { 1 }, neap.tensor { .5 } }, 1).dtype, "float64")
  same(neap.stack({ neap.tensor { 1, 2 }, neap.tensor { 3, 4 } }, 2), { { 1, 3 }, { 2, 4 } })
  same(neap.stack({ neap.tensor(1), neap.tensor(2) }, 1), { 1, 2 })
  fails("cat: tensor 2 of shape [2, 1] does not fit [2, 3] along dimension 1", neap.cat, { x, y }, 1)
  fails("stack: tensor 2 of shape [2, 1] differs from [2, 3]", neap.stack, { x, y }, 1)
end

function T.test_split_and_chunk()
  local x = neap.arange(1, 7)
  local parts = { x:split(3, 1) }
  if #parts == 1 and type(parts[1]) == "table" then parts = parts[1] end
  lu.assertEquals(#parts, 3)
  same(parts[3], { 7 })
  parts = { x:chunk(2, 1) }
  if #parts == 1 and type(parts[1]) == "table" then parts = parts[1] end
  lu.assertEquals(#parts, 2)
  same(parts[1], { 1, 2, 3, 4 })
end

function T.test_masks()
  local x = matrix()
  same(x:masked_fill(x:gt(4), -1), { { 1, 2, 3 }, { 4, -1, -1 } })
  same(x:masked_select(x:gt(2)), { 3, 4, 5, 6 })
  same(x:masked_select(neap.tensor({ 0, 1 }, { dtype = "bool" })), { { 4, 5, 6 } })
  same(x:masked_select(x:gt(9)), {})
  same(x:gt(4):nonzero(), { { 2, 2 }, { 2, 3 } })
  x:requires_grad()
  same(neap.gradients(x:masked_select(x:gt(4)):sum(), x), { { 0, 0, 0 }, { 0, 1, 1 } })
  fails("bool mask", neap.masked_select, x, neap.ones(2, 3))
end

function T.test_many_rows()
  local x = neap.randn(1000, 40)
  local idx = neap.randperm(1000)
  local y = x:index_select(1, idx)
  lu.assertEquals((y:index_select(1, idx:argsort()) - x):abs():amax():item(), 0)
  local back = neap.zeros(1000, 40):index_copy(1, idx, y)
  lu.assertEquals((back - x):abs():amax():item(), 0)
  local wide = idx:unsqueeze(2):expand(1000, 40)
  lu.assertEquals((x:gather(1, wide) - y):abs():amax():item(), 0)
  lu.assertEquals((neap.zeros(1000, 40):scatter(1, wide, y) - x):abs():amax():item(), 0)
end

return T
