-- Tensors as Lua values: making, asking, arithmetic, comparison, closing.
local lu = require "luaunit"

local T = {}
local raises = lu.assertErrorMsgContains
local f64 = {dtype = "float64"}

local function same (x, expected) lu.assertEquals(x:totable(), expected) end

function T.test_tensor_of_nested_tables ()
  local x = neap.tensor {{1, 2, 3}, {4, 5, 6}}
  lu.assertEquals(x.shape, {2, 3})
  lu.assertEquals(x.dtype, "float32")
  lu.assertEquals(x.ndim, 2)
  lu.assertEquals(x:size(), {2, 3})
  lu.assertEquals(x:size(2), 3)
  lu.assertEquals(x:size(-2), 2)
  lu.assertEquals(x:numel(), 6)
  lu.assertEquals(#x, 2)
  same(x, {{1, 2, 3}, {4, 5, 6}})
end

function T.test_dtypes_of_values ()
  lu.assertEquals(neap.tensor({true, false}).dtype, "bool")
  lu.assertEquals(neap.tensor(3).dtype, "float32")
  lu.assertEquals(neap.tensor(true).dtype, "bool")
  lu.assertEquals(neap.tensor({1, 2}, {dtype = "int64"}).dtype, "int64")
  lu.assertEquals(math.type(neap.tensor({7}, {dtype = "int64"}):totable()[1]), "integer")
  same(neap.tensor({0, 255}, {dtype = "uint8"}), {0, 255})
  same(neap.tensor({true, false}, {dtype = "float32"}), {1, 0})
  lu.assertEquals(neap.tensor(math.maxinteger, {dtype = "int64"}):item(), math.maxinteger)
end

function T.test_tensors_inside_tables_and_copies ()
  local x = neap.tensor {neap.tensor(1.5), 2}
  same(x, {1.5, 2})
  local y = neap.tensor(x)
  y[1] = 9
  same(x, {1.5, 2})
  lu.assertEquals(neap.tensor(x, f64).dtype, "float64")
end

function T.test_empty_tables ()
  lu.assertEquals(neap.tensor({}).shape, {0})
  lu.assertEquals(neap.tensor({{}, {}}).shape, {2, 0})
  same(neap.tensor({{}, {}}), {{}, {}})
end

function T.test_ragged_tables_say_where ()
  raises("row 3 has 2 numbers, row 1 has 3", neap.tensor, {{1, 2, 3}, {4, 5, 6}, {7, 8}})
  raises("[2][1] has 1 number, [1][1] has 2", neap.tensor, {{{1, 2}}, {{3}}})
  raises("row 2 is a number", neap.tensor, {{1}, 2})
  raises("element 2: number expected, got string", neap.tensor, {1, "x"})
  raises("element [2][2]: number expected, got string", neap.tensor, {{1, 2}, {3, "x"}})
  raises("number expected, got a table", neap.tensor, {1, {2}})
  raises("boolean expected, got number", neap.tensor, {true, 1})
  raises("does not fit int64", neap.tensor, {1.5}, {dtype = "int64"})
  raises("does not fit uint8", neap.tensor, {256}, {dtype = "uint8"})
  raises("nested deeper than 8", neap.tensor, {{{{{{{{{1}}}}}}}}})
  raises("number, table or tensor expected, got string", neap.tensor, "x")
  raises("bad argument #1 to 'tensor'", function () return neap.tensor() end)
end

function T.test_options_name_the_nearest ()
  raises("tensor: unknown option 'dtyp' (did you mean 'dtype'?)", neap.tensor, {1}, {dtyp = "float32"})
  raises("unknown dtype 'flaot64' (did you mean 'float64'?)", neap.tensor, {1}, {dtype = "flaot64"})
  raises("randn: unknown option 'gen' (did you mean 'rng'?)", neap.randn, 3, {gen = 1})
  raises("softplus: unknown option 'bta' (did you mean 'beta'?)", neap.softplus, neap.ones(1), {bta = 1})
  raises("mean: unknown option 'x' (it takes none)", neap.mean, neap.ones(1), 1, {x = 1})
end

function T.test_constants ()
  same(neap.zeros(2, 2), {{0, 0}, {0, 0}})
  same(neap.ones {3}, {1, 1, 1})
  same(neap.full({2}, 2.5), {2.5, 2.5})
  same(neap.full(2, 1, 7), {{7}, {7}})
  same(neap.eye(2), {{1, 0}, {0, 1}})
  same(neap.eye(2, 3), {{1, 0, 0}, {0, 1, 0}})
  same(neap.arange(1, 4), {1, 2, 3, 4})
  same(neap.arange(3), {1, 2, 3})
  same(neap.arange(5, 1, -2), {5, 3, 1})
  same(neap.linspace(0, 1, 5), {0, .25, .5, .75, 1})
  lu.assertEquals(neap.zeros().shape, {})
  lu.assertEquals(neap.zeros({2, 3}, f64).dtype, "float64")
  lu.assertEquals(neap.zeros({0, 3}).shape, {0, 3})
  lu.assertEquals(neap.zeros_like(neap.ones(2, f64)).dtype, "float64")
  same(neap.full_like(neap.ones(2), 3), {3, 3})
  lu.assertEquals(neap.ones_like(neap.zeros(2, 3), {dtype = "int64"}).dtype, "int64")
  lu.assertEquals(neap.randn_like(neap.zeros({2, 3}, {dtype = "uint8"})).dtype, "float32")
end

function T.test_sizes_are_checked ()
  raises("zeros: size 2: integer expected, got string", neap.zeros, 2, "x")
  raises("zeros: size 1: integer expected, got 2.5", neap.zeros, 2.5)
  raises("must not be negative", neap.zeros, -1)
  raises("at most 8 sizes", neap.zeros, 1, 1, 1, 1, 1, 1, 1, 1, 1)
  raises("options go in a table of their own", neap.zeros, {2, dtype = "float64"})
end

function T.test_default_dtype ()
  lu.assertEquals(neap.default_dtype(), "float32")
  lu.assertEquals(neap.default_dtype "float64", "float64")
  lu.assertEquals(neap.ones(1).dtype, "float64")
  neap.default_dtype "float32"
  raises("float32 or float64 expected", neap.default_dtype, "int64")
  raises("name of a dtype expected", neap.default_dtype, 3)
  lu.assertEquals(neap.default_dtype(), "float32")
end

function T.test_casts ()
  local x = neap.tensor {1.7, -1.7}
  same(x:to "int64", {1, -1})
  lu.assertEquals(x:double().dtype, "float64")
  lu.assertEquals(x:double():float().dtype, "float32")
  lu.assertTrue(rawequal(x:float(), x))
  same(neap.tensor({0, 2}):to "bool", {false, true})
  raises("to: unknown dtype", x.to, x, "half")
end

function T.test_items ()
  lu.assertEquals(neap.tensor(2.5):item(), 2.5)
  lu.assertEquals(neap.tensor({{3}}, {dtype = "int64"}):item(), 3)
  lu.assertEquals(neap.tensor({true}):item(), true)
  lu.assertEquals(neap.tensor(2.5):totable(), 2.5)
  raises("one element expected, got a tensor of shape [2, 3]", neap.item, neap.ones(2, 3))
  raises("no length", function () return #neap.tensor(1) end)
  raises("dim 3 is out of range", neap.size, neap.ones(2), 3)
end

function T.test_arithmetic ()
  local a, b = neap.tensor {1, 2, 3}, neap.tensor {4, 5, 6}
  same(a + b, {5, 7, 9})
  same(a - b, {-3, -3, -3})
  same(a * b, {4, 10, 18})
  same(b / a, {4, 2.5, 2})
  same(a ^ 2, {1, 4, 9})
  same(b % 4, {0, 1, 2})
  same(-a, {-1, -2, -3})
  same(2 * a + 1, {3, 5, 7})
  same(1 - a, {0, -1, -2})
  same(6 / a, {6, 3, 2})
  same(2 ^ a, {2, 4, 8})
  same(7 % a, {0, 1, 1})
  same(-a % 2, {1, 0, 1})
  same(a:add(b), (a + b):totable())
  same(neap.add(a, 1), {2, 3, 4})
  same(neap.tensor {{1}, {2}} + neap.tensor {10, 20}, {{11, 21}, {12, 22}})
end

function T.test_numbers_take_the_tensors_dtype ()
  local i = neap.tensor({1, 2, 3}, {dtype = "int64"})
  lu.assertEquals((i + 1).dtype, "int64")
  lu.assertEquals((i * 2.0).dtype, "int64")
  lu.assertEquals((i * 1.5).dtype, "float32")
  same(i * 1.5, {1.5, 3, 4.5})
  lu.assertEquals((i / 2).dtype, "float32")
  lu.assertEquals((neap.ones(1, f64) * 2).dtype, "float64")
  lu.assertEquals((neap.ones(1) * 2.5).dtype, "float32")
  local u = neap.tensor({1, 2}, {dtype = "uint8"})
  lu.assertEquals((u + 1).dtype, "uint8")
  lu.assertEquals((u + 300).dtype, "int64")
  same(u + 300, {301, 302})
  lu.assertEquals((u * 0.5).dtype, "float32")
  lu.assertEquals((neap.tensor {true} + 1).dtype, "int64")
  same(i + (1 << 53), {(1 << 53) + 1, (1 << 53) + 2, (1 << 53) + 3})
end

function T.test_where_takes_numbers ()
  local x = neap.tensor {-1, 2}
  same(neap.where(x:gt(0), x, 0), {0, 2})
  same(neap.where(x:gt(0), 1, 0), {0, 1})
  same(x:gt(0):logical_and(true), {false, true})
end

function T.test_messages_of_wrong_arguments ()
  local a = neap.ones(2)
  raises("bad argument #2 to 'mul' (tensor expected, got nil)", function () return a * nil end)
  raises("bad argument #2 to 'add' (tensor expected, got string)", function () return a + "x" end)
  raises("bad argument #2 to 'mul' (tensor expected, got table)", function () return a * {} end)
  raises("bad argument #1 to 'exp' (tensor expected, got no value)", function () return neap.exp() end)
  raises("bad argument #2 to 'exp' (no such argument)", function () return neap.exp(a, 3) end)
  raises("bad argument #1 to 'add' (tensor expected, got no value)", function () return a:add() end)
  raises("add: shapes [2] and [3] cannot be broadcast together", function () return a + neap.ones(3) end)
  raises("gelu: approximate: one of none, tanh expected, got 'thin'", a.gelu, a, {approximate = "thin"})
  raises("softplus: option 'beta': number expected, got string", function () return a:softplus {beta = "x"} end)
  raises("cat: at least one tensor expected", neap.cat, {}, 1)
  raises("element 2: tensor expected, got string", neap.cat, {a, "x"}, 1)
  raises("cannot be concatenated", function () return "x" .. a end)
  same(a + 1, {2, 2})
end

function T.test_what_goes_by_place_is_no_option ()
  local x, w = neap.ones(3, 2), neap.ones(3)
  raises("sum: 'keepdim' is an argument, not an option: x:sum(dims, keepdim)", x.sum, x, 1, {keepdim = true})
  raises("sum: 'dim' is an argument, not an option: x:sum(dims, keepdim)", x.sum, x, {dim = 1})
  raises("max: 'keepdim' is an argument, not an option: x:max(dim, keepdim)", x.max, x, 1, {keepdim = true})
  raises("clamp: 'min' is an argument, not an option: x:clamp(min, max)", x.clamp, x, {min = 0})
  raises("clamp: min = 1 is above max = 0", x.clamp, x, 1, 0)
  same(x:sum(1, true), {{3, 3}})
  same(neap.tensor {-1, .5, 2}:clamp(0, 1), {0, .5, 1})
  same(neap.tensor {-1, 2}:clamp(nil, 0), {-1, 0})
  raises("call x:requires_grad()", function () w.requires_grad = true end)
  raises("randn: unknown option 'requires_grad' (call x:requires_grad() on the tensor)", neap.randn, 3,
         {requires_grad = true})
  raises("requires_grad: boolean expected, got string", w.requires_grad, w, "yes")
  lu.assertFalse(w:is_tracked())
  lu.assertTrue(w:requires_grad(true):is_tracked())
  lu.assertFalse(w:requires_grad(false):is_tracked())
  raises("grad: a tensor or nil expected, got number", function () w.grad = 3 end)
  raises("function expected, got no value", neap.no_grad)
end

function T.test_messages_name_shapes_and_ranges ()
  local x = neap.ones(3, 2)
  raises("unsqueeze: dimension 0 is out of range: 1..3 expected, or -1..-3 from the end", x.unsqueeze, x, 0)
  raises("sum: dimension 3 is out of range: 1..2 expected", x.sum, x, 3)
  raises("sum: dimension 1: the tensor has no dimensions", neap.sum, neap.tensor(1), 1)
  raises("not enough memory for a tensor of shape [1000000, 1000000]", neap.zeros, 1e6, 1e6)
  raises("inverse: ", neap.inverse, neap.zeros(2, 2))
  raises("max: dimension 1 of shape [0] has no elements", neap.max, neap.zeros(0))
  raises("max: dimension 1 of shape [0, 2] has no elements", neap.max, neap.zeros(0, 2), 1)
  for _, label in ipairs {0, -1, 3} do
    raises("cross_entropy: labels must be 1..2, got " .. label .. " (number 2)", neap.cross_entropy, x,
           neap.tensor({1, label, 2}, {dtype = "int64"}))
  end
  local loss = neap.cross_entropy(x, neap.tensor({1, 2, 2}, {dtype = "int64"}))
  lu.assertAlmostEquals(loss:item(), math.log(2), 1e-6)
end

function T.test_comparisons_of_one_element ()
  local a = neap.tensor(2)
  lu.assertTrue(a < 3)
  lu.assertTrue(1 < a)
  lu.assertFalse(a > 3)
  lu.assertTrue(a <= neap.tensor {2})
  lu.assertTrue(a >= 2)
  raises("got shape [2]; x:lt(y) and x:gt(y) compare element by element", function () return neap.ones(2) < 1 end)
  raises("x:le(y) and x:ge(y) compare", function () return neap.ones(2) >= 1 end)
  lu.assertTrue(a == a)
  lu.assertFalse(a == neap.tensor(2))
  same(neap.tensor {1, 2}:eq(2), {false, true})
end

function T.test_reductions_take_dims_and_keepdim ()
  local x = neap.arange(1, 6):reshape(2, 3)
  lu.assertEquals(x:sum():item(), 21)
  same(x:sum(1), {5, 7, 9})
  same(x:sum(-1, true), {{6}, {15}})
  lu.assertEquals(x:sum({1, 2}):item(), 21)
  lu.assertEquals(x:sum(1, 2):item(), 21)
  same(x:mean(2), {2, 5})
  lu.assertAlmostEquals(x:var(2, nil, {unbiased = false}):totable()[1], 2 / 3, 1e-6)
  lu.assertAlmostEquals(x:norm({p = 1}):item(), 21, 1e-5)
  raises("bad argument #2 to 'sum' (boolean expected, got string)", function () return x:sum(1, "x") end)
end

function T.test_two_results ()
  local x = neap.tensor {{3, 1, 2}, {9, 8, 7}}
  lu.assertEquals(x:max():item(), 9)
  local v, i = x:max(2)
  same(v, {3, 9})
  same(i, {1, 1})
  v, i = x:min(2, true)
  same(v, {{1}, {7}})
  same(i, {{2}, {3}})
  v, i = x:sort(2)
  same(v, {{1, 2, 3}, {7, 8, 9}})
  same(i, {{2, 3, 1}, {3, 2, 1}})
  v = x:sort(2, {descending = true})
  same(v, {{3, 2, 1}, {9, 8, 7}})
  v, i = x:topk(2, 2)
  same(v, {{3, 2}, {9, 8}})
  same(i, {{1, 3}, {1, 2}})
  v, i = neap.median(x, 2)
  same(v, {2, 8})
  same(i, {3, 2})
  v, i = neap.tensor({3, 1, 2}):sort()
  same(v, {1, 2, 3})
  same(i, {2, 3, 1})
  local g = neap.gradients(select(1, x:requires_grad():max(2)):sum(), x)
  same(g, {{1, 0, 0}, {1, 0, 0}})
end

function T.test_eigh ()
  local values, vectors = neap.tensor({{2, 1}, {1, 2}}, f64):eigh()
  lu.assertAlmostEquals(values:totable()[1], 1, 1e-12)
  lu.assertAlmostEquals(values:totable()[2], 3, 1e-12)
  lu.assertEquals(vectors.shape, {2, 2})
  lu.assertAlmostEquals(math.abs(vectors[{1, 2}]:item()), math.sqrt(.5), 1e-12)
end

function T.test_split_and_chunk ()
  local x = neap.arange(1, 7)
  local parts = x:split(3, 1)
  lu.assertEquals(#parts, 3)
  same(parts[1], {1, 2, 3})
  same(parts[3], {7})
  parts = neap.split(x, {2, 5})
  same(parts[2], {3, 4, 5, 6, 7})
  raises("do not sum to 7", neap.split, x, {2, 2})
  raises("do not sum to 7", neap.split, x, {2, math.maxinteger})
  lu.assertEquals(#x:split(math.maxinteger), 1)
  lu.assertEquals(neap.zeros(0, 2):split(math.maxinteger)[1].shape, {0, 2})
  parts = x:chunk(2)
  same(parts[1], {1, 2, 3, 4})
  same(parts[2], {5, 6, 7})
  raises("dim 2 is out of range", neap.split, x, 2, 2)
  raises("at least 1", neap.chunk, x, 0)
end

function T.test_lists ()
  local a, b = neap.tensor {1, 2}, neap.tensor {3}
  same(neap.cat({a, b}, 1), {1, 2, 3})
  same(neap.cat {a, b}, {1, 2, 3})
  same(a:cat(b, 1), {1, 2, 3})
  same(neap.stack({a, a}, 1), {{1, 2}, {1, 2}})
  same(neap.einsum("i,j->ij", a, neap.tensor {1, 10}), {{1, 10}, {2, 20}})
end

function T.test_close ()
  local x = neap.ones(3)
  local view = x[{{1, 2}}]
  x:close()
  raises("the tensor was closed", function () return x + 1 end)
  raises("the tensor was closed", function () return x.shape end)
  raises("the tensor was closed", function () return view + x end)
  lu.assertEquals(tostring(x), "tensor (closed)")
  same(view, {1, 1})
  x:close()
  local y
  do
    local z <close> = neap.ones(2)
    y = z
  end
  raises("closed", function () return y:sum() end)
end

function T.test_tensors_in_coroutines ()
  local co = coroutine.wrap(function (x)
    for _ = 1, 3 do x = coroutine.yield(x * 2) end
    return x
  end)
  same(co(neap.tensor {1}), {2})
  same(co(neap.tensor {2}), {4})
  raises("arithmetic on a table value", co, {})
end

function T.test_metatable_is_shown_by_name_only ()
  lu.assertEquals(getmetatable(neap.ones(1)), {__name = "tensor"})
  lu.assertEquals(tostring(pcall(setmetatable, neap.ones(1), {})), "false")
end

function T.test_unknown_fields ()
  local x = neap.ones(1)
  lu.assertNil(x.no_such_thing)
  lu.assertNil(neap.no_such_thing)
  raises("field 'shape' cannot be set", function () x.shape = {2} end)
end

function T.test_help_and_table ()
  local rows = neap.core.ops()
  lu.assertTrue(#rows > 100)
  for _, row in ipairs(rows) do lu.assertIsFunction(neap.op[row.name], row.name) end
  lu.assertTrue(neap.clock() > 0)
  lu.assertEquals(neap.info().lua:sub(1, 7), "Lua 5.4")
  lu.assertEquals(neap.threads(2), 2)
  raises("number of threads", neap.threads, 0)
end

return T
