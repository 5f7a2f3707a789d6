-- Shape rows: values, which of them are views, negative dimensions, sizes of 0 and 0-d, errors with shapes.
local lu = require "luaunit"
local near = require "ops.near"

local T = {}
local same, fails = near.same, near.fails
local f64 = { dtype = "float64" }

local function matrix() return neap.arange(1, 6, f64):reshape(2, 3) end

-- writes through y show in x exactly when y is a view of x
local function is_view(x, y)
  local before = x:sum():item()
  y[{}] = y + 1
  return x:sum():item() ~= before
end

function T.test_reshape()
  local x = matrix()
  same(x:reshape(3, 2), { { 1, 2 }, { 3, 4 }, { 5, 6 } })
  same(x:reshape { -1 }, { 1, 2, 3, 4, 5, 6 })
  same(x:t():reshape(-1), { 1, 4, 2, 5, 3, 6 })
  same(x:t():reshape(3, 1, 2), { { { 1, 4 } }, { { 2, 5 } }, { { 3, 6 } } })
  lu.assertEquals(neap.zeros(0, 4):reshape(2, 0).shape, { 2, 0 })
  lu.assertEquals(neap.tensor(3):reshape(1, 1).shape, { 1, 1 })
  lu.assertEquals(neap.tensor({ 3 }):reshape({}):item(), 3)
  fails("reshape: shape [2, 3] does not fit the sizes [4, 2]", neap.reshape, x, 4, 2)
  fails("reshape", neap.reshape, x, -1, 4)
  fails("reshape", neap.reshape, x, -1, -1)
end

function T.test_view()
  local x = matrix()
  same(x:view(6), { 1, 2, 3, 4, 5, 6 })
  same(x[{ {}, { 1, 3, 2 } }]:view(2, 2, 1), { { { 1 }, { 3 } }, { { 4 }, { 6 } } })
  fails("reshape copies", x:t().view, x:t(), 6)
end

function T.test_transpositions()
  local x = neap.arange(1, 24):reshape(2, 3, 4)
  lu.assertEquals(x:permute(3, 1, 2).shape, { 4, 2, 3 })
  lu.assertEquals(x:permute { -1, 1, 2 }[4][2][3]:item(), x[2][3][4]:item())
  lu.assertEquals(x:transpose(1, -1).shape, { 4, 3, 2 })
  same(matrix():t(), { { 1, 4 }, { 2, 5 }, { 3, 6 } })
  fails("permute", neap.permute, x, 1, 1, 2)
  fails("permute: 3 dimensions expected", neap.permute, x, 1, 2)
  fails("t: at most 2", neap.t, x)
end

function T.test_squeeze_unsqueeze_flatten()
  local x = neap.zeros(1, 3, 1)
  lu.assertEquals(x:squeeze().shape, { 3 })
  lu.assertEquals(x:squeeze(1).shape, { 3, 1 })
  lu.assertEquals(x:squeeze(2).shape, { 1, 3, 1 })
  lu.assertEquals(x:unsqueeze(-1).shape, { 1, 3, 1, 1 })
  lu.assertEquals(x:unsqueeze(1).shape, { 1, 1, 3, 1 })
  lu.assertEquals(neap.tensor(1):unsqueeze(1).shape, { 1 })
  lu.assertEquals(neap.zeros(2, 3, 4):flatten().shape, { 24 })
  lu.assertEquals(neap.zeros(2, 3, 4):flatten(2).shape, { 2, 12 })
  lu.assertEquals(neap.zeros(2, 0, 4):flatten(1, 2).shape, { 0, 4 })
  fails("flatten", neap.flatten, x, 3, 1)
  fails("unsqueeze", neap.unsqueeze, x, 6)
end

function T.test_expand()
  same(neap.tensor({ 1, 2 }):expand(2, 2), { { 1, 2 }, { 1, 2 } })
  same(neap.tensor({ { 1 }, { 2 } }):expand(-1, 3), { { 1, 1, 1 }, { 2, 2, 2 } })
  lu.assertEquals(neap.zeros(1, 3):expand(0, 3).shape, { 0, 3 })
  fails("expand: shape [2, 3] cannot be expanded to [3, 3]", neap.expand, matrix(), 3, 3)
end

function T.test_flip_roll_tile()
  local x = matrix()
  same(x:flip(2), { { 3, 2, 1 }, { 6, 5, 4 } })
  same(x:flip(), { { 6, 5, 4 }, { 3, 2, 1 } })
  same(x:roll(1, 2), { { 3, 1, 2 }, { 6, 4, 5 } })
  same(x:roll({ 1, -1 }, { 1, 2 }), { { 5, 6, 4 }, { 2, 3, 1 } })
  same(x:roll(-4, 2), { { 2, 3, 1 }, { 5, 6, 4 } })
  same(x:tile(1, 2), { { 1, 2, 3, 1, 2, 3 }, { 4, 5, 6, 4, 5, 6 } })
  same(neap.tensor({ 1, 2 }):tile { 2, 2 }, { { 1, 2, 1, 2 }, { 1, 2, 1, 2 } })
  same(x:repeat_interleave(2, 1), { { 1, 2, 3 }, { 1, 2, 3 }, { 4, 5, 6 }, { 4, 5, 6 } })
  same(neap.tensor({ { 1, 2 } }):repeat_interleave(2), { 1, 1, 2, 2 })
  fails("repeat_interleave: n is -1", neap.repeat_interleave, x, -1)
end

function T.test_pad()
  local x = matrix()
  same(x:pad { { 1, 0 }, { 0, 2 } }, { { 0, 0, 0, 0, 0 }, { 1, 2, 3, 0, 0 }, { 4, 5, 6, 0, 0 } })
  same(x:pad({ { -1, 0 }, { 1, -1 } }, { value = 9 }), { { 9, 4, 5 } })
  lu.assertEquals(x:pad { { -1, -1 }, { 0, 0 } }.shape, { 0, 3 })
  fails("pad", neap.pad, x, { { 1, 1 } })
  fails("crops more", neap.pad, x, { { -3, 0 }, { 0, 0 } })
end

function T.test_triangles_and_diagonals()
  local x = neap.arange(1, 9, f64):reshape(3, 3)
  same(x:tril(), { { 1, 0, 0 }, { 4, 5, 0 }, { 7, 8, 9 } })
  same(x:tril(-1), { { 0, 0, 0 }, { 4, 0, 0 }, { 7, 8, 0 } })
  same(x:triu(1), { { 0, 2, 3 }, { 0, 0, 6 }, { 0, 0, 0 } })
  same(x:t():triu(), { { 1, 4, 7 }, { 0, 5, 8 }, { 0, 0, 9 } })
  same(x:triu(-9), x:totable())
  same(x:diag(), { 1, 5, 9 })
  same(x:diag(-1), { 4, 8 })
  same(x:diag(5), {})
  same(neap.tensor({ 1, 2 }):diag(1), { { 0, 1, 0 }, { 0, 0, 2 }, { 0, 0, 0 } })
  lu.assertEquals(neap.zeros(0):diag(-2).shape, { 2, 2 })
  fails("tril", neap.tril, neap.zeros(3))
end

function T.test_what_is_a_view()
  for _, f in ipairs {
    function(x) return x:t() end, function(x) return x:reshape(3, 2) end, function(x) return x:flip(1) end,
    function(x) return x:slice(2, -1, 1, -2) end, function(x) return x:select(1, 2) end,
    function(x) return x:diagonal() end, function(x) return x:unsqueeze(2) end, function(x) return x:contiguous() end,
  } do
    local x = matrix()
    lu.assertTrue(is_view(x, f(x)))
  end
  for _, f in ipairs {
    function(x) return x:clone() end, function(x) return x:t():reshape(6) end,
    function(x) return x:t():contiguous() end, function(x) return x:tril() end,
    function(x) return x:index_select(1, neap.tensor({ 1 }, { dtype = "int64" })) end,
  } do
    local x = matrix()
    lu.assertFalse(is_view(x, f(x)))
  end
end

function T.test_casts()
  local x = neap.tensor({ -1.7, 0, 2.5 })
  same(x:to("int64"), { -1, 0, 2 })
  lu.assertEquals(x:to("bool"):to("int64"):totable(), { 1, 0, 1 })
  lu.assertEquals(x:double().dtype, "float64")
  local y = neap.tensor({ 1, 2 }):requires_grad()
  local g = neap.gradients((y:double() ^ 2):sum(), y)
  lu.assertEquals(g.dtype, "float32")
  same(g, { 2, 4 })
end

function T.test_unslice_is_the_transpose_of_slice()
  local x = neap.randn({ 7, 2 }, f64)
  for _, s in ipairs { { 1, 7, 1 }, { 2, -1, 2 }, { -1, 1, -3 }, { 5, 2, 1 } } do
    local y = x:slice(1, table.unpack(s))
    local g = neap.randn(y.shape, f64)
    local v = x:clone():requires_grad()
    local back = neap.gradients((v:slice(1, table.unpack(s)) * g):sum(), v)
    lu.assertAlmostEquals((back * x):sum():item(), (y * g):sum():item(), 1e-12)
  end
end

function T.test_sizes_beyond_all_memory_are_errors()
  local one, far = neap.ones(1), math.maxinteger
  for _, f in ipairs {
    function() return one:expand(1 << 40, 1 << 40) end, function() return one:expand(1 << 60):topk(1) end,
    function() return one:tile(1 << 62) end, function() return one:repeat_interleave(1 << 62) end,
    function() return one:diag(far) end, function() return one:diag(-far) end,
    function() return one:pad { { far, far } } end, function() return neap.zeros(0, 1 << 62, 1 << 62) end,
  } do
    lu.assertErrorMsgContains("too large", f)
  end
  lu.assertErrorMsgContains("does not fit", function() return neap.zeros(0):reshape(0, 1 << 40, 1 << 40) end)
  lu.assertErrorMsgContains("crops more", function() return one:pad { { -far, 0 } } end)
  lu.assertErrorMsgContains("at most 32766 rows", function() return one:expand(40000, 40000):eigh() end)
end

function T.test_slices_far_beyond_the_ends()
  local x, far = neap.arange(1, 5), math.maxinteger
  same(x:slice(1, 3, far), { 3, 4, 5 })
  same(x:slice(1, far, -2, -2), { 5 })
  lu.assertEquals(x:slice(1, far, -far).shape, { 0 })
  lu.assertEquals(x:slice(1, -far, far, -1).shape, { 0 })
end

return T
