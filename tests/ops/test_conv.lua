-- Convolution and pooling against loops in plain Lua, over strides, paddings, dilations, groups and odd sizes.
local lu = require "luaunit"
local near = require "ops.near"
local T = {}
local apart, fails = near.apart, near.fails
local f64 = { dtype = "float64" }

local function pair (v, otherwise)
  v = v or otherwise
  return type(v) == "table" and v or { v, v }
end

-- Σ f(…) over places (y, x) of a kernel at output place (i, j) that lie in an image of H by W: f(ky, kx, y, x)
local function each_in_window (o, kernel, H, W, i, j, f)
  for ky = 1, kernel[1] do
    for kx = 1, kernel[2] do
      local y = (i - 1) * o.stride[1] - o.padding[1] + (ky - 1) * o.dilation[1] + 1
      local x = (j - 1) * o.stride[2] - o.padding[2] + (kx - 1) * o.dilation[2] + 1
      if y >= 1 and y <= H and x >= 1 and x <= W then f(ky, kx, y, x) end
    end
  end
end

local function sides (o, kernel, H, W)
  local function side (d, n) return (n + 2 * o.padding[d] - o.dilation[d] * (kernel[d] - 1) - 1) // o.stride[d] + 1 end
  return side(1, H), side(2, W)
end

local function filled (options)
  return { stride = pair(options.stride, 1), padding = pair(options.padding, 0), dilation = pair(options.dilation, 1),
           groups = options.groups or 1 }
end

-- conv2d by its definition, on tables
local function plain_conv (x, w, b, options)
  local o, X, W_ = filled(options), x:totable(), w:totable()
  local N, C, H, W, O = x.shape[1], x.shape[2], x.shape[3], x.shape[4], w.shape[1]
  local cg, og, kernel = C // o.groups, O // o.groups, { w.shape[3], w.shape[4] }
  local h, v = sides(o, kernel, H, W)
  local out = neap.zeros({ N, O, h, v }, f64)
  local bias = b and b:totable()
  for n = 1, N do for p = 1, O do for i = 1, h do for j = 1, v do
    local sum, first = bias and bias[p] or 0, (p - 1) // og * cg
    each_in_window(o, kernel, H, W, i, j, function (ky, kx, y, z)
      for c = 1, cg do sum = sum + X[n][first + c][y][z] * W_[p][c][ky][kx] end
    end)
    out[{ n, p, i, j }] = sum
  end end end end
  return out
end

local function normal (...) return neap.randn({ ... }, f64) end

-- N, C, H, W, O, kernel, options
local cases = {
  { 2, 3, 5, 4, 2, { 3, 2 }, {} },
  { 1, 1, 9, 9, 3, { 5, 5 }, { stride = 2, padding = 2 } },
  { 2, 4, 7, 6, 6, { 3, 3 }, { stride = { 1, 3 }, padding = 1, groups = 2 } },
  { 1, 2, 8, 9, 2, { 2, 3 }, { stride = { 2, 1 }, padding = { 1, 3 }, dilation = { 3, 2 } } },
  { 3, 3, 4, 4, 3, { 1, 1 }, { groups = 3 } },
  { 1, 2, 1, 1, 4, { 3, 3 }, { padding = 4 } },
  { 1, 5, 3, 11, 3, { 3, 1 }, { stride = 4 } },
  { 2, 6, 5, 5, 9, { 2, 2 }, { dilation = 2, groups = 3, padding = { 0, 1 } } },
}

function T.test_conv2d_is_its_definition ()
  for k, c in ipairs(cases) do
    local x, b = normal(c[1], c[2], c[3], c[4]), normal(c[5])
    local w = normal(c[5], c[2] // (c[7].groups or 1), c[6][1], c[6][2])
    local want = plain_conv(x, w, b, c[7])
    lu.assertTrue(apart(neap.conv2d(x, w, b, c[7]), want) < 1e-12, "case " .. k)
    lu.assertTrue(apart(x:float():conv2d(w:float(), b:float(), c[7]):double(), want) < 1e-4, "float32, case " .. k)
    lu.assertTrue(apart(x:conv2d(w, c[7]), want - b:reshape(1, c[5], 1, 1)) < 1e-12, "no bias, case " .. k)
  end
end

function T.test_known_numbers ()
  local x = neap.arange(1, 9):reshape(1, 1, 3, 3)
  local w = neap.tensor { { { { 1, 0 }, { 0, 2 } } } }
  near.same(neap.conv2d(x, w), { { { { 11, 14 }, { 20, 23 } } } })
  near.same(neap.conv2d(x, w, neap.tensor { 1 }, { stride = 2, padding = 1 }), { { { { 3, 7 }, { 15, 24 } } } })
  near.same(neap.conv_transpose2d(neap.ones(1, 1, 2, 2), w, nil, { stride = 2 }),
    { { { { 1, 0, 1, 0 }, { 0, 2, 0, 2 }, { 1, 0, 1, 0 }, { 0, 2, 0, 2 } } } })
  near.same(x:avg_pool2d { kernel = 2, stride = 1 }, { { { { 3, 4 }, { 6, 7 } } } })
  near.same(x:avg_pool2d { kernel = 2, padding = 1 }, { { { { .25, 1.25 }, { 2.75, 7 } } } })
  near.same(x:max_pool2d { kernel = { 2, 3 } }, { { { { 6 } } } })
  near.same((-x):max_pool2d { kernel = 3, stride = 2, padding = 1 }, { { { { -1, -2 }, { -4, -5 } } } })
end

-- ⟨conv(x), g⟩ = ⟨x, convᵀ(g)⟩ = ⟨w, weights(x, g)⟩
function T.test_transposes ()
  for k, c in ipairs(cases) do
    local o = filled(c[7])
    local x, w = normal(c[1], c[3], c[4], c[2]), normal(c[6][1], c[6][2], c[2] // o.groups, c[5])
    local y = neap.convolve(x, w, o.stride, o.padding, o.dilation, o.groups)
    local g = neap.randn_like(y)
    local dx = neap.convolve_input(g, w, { c[3], c[4] }, o.stride, o.padding, o.dilation, o.groups)
    local dw = neap.convolve_weight(x, g, c[6], o.stride, o.padding, o.dilation, o.groups)
    local want = (y * g):sum():item()
    lu.assertAlmostEquals((x * dx):sum():item(), want, 1e-11 * (1 + math.abs(want)), "input, case " .. k)
    lu.assertAlmostEquals((w * dw):sum():item(), want, 1e-11 * (1 + math.abs(want)), "weight, case " .. k)
  end
end

-- ⟨conv_transpose2d(x), y⟩ = ⟨x, conv2d(y)⟩, whatever is left over at the end of y
function T.test_conv_transpose2d_is_the_transpose_of_conv2d ()
  local kinds = { { stride = 3, padding = 1, dilation = 2, groups = 2 }, { stride = { 2, 1 }, padding = { 0, 1 } } }
  for _, o in ipairs(kinds) do
    for more = 0, 1 do
      local x, w, b = normal(2, 4, 3, 5), normal(4, 3, 3, 2), normal(3 * (o.groups or 1))
      local options = { stride = o.stride, padding = o.padding, dilation = o.dilation, groups = o.groups,
                        output_padding = { more, 0 } }
      local y = neap.conv_transpose2d(x, w, b, options)
      local g = neap.randn_like(y)
      local want = ((y - b:reshape(1, b:numel(), 1, 1)) * g):sum():item()
      lu.assertAlmostEquals((x * neap.conv2d(g, w, o)):sum():item(), want, 1e-11 * (1 + math.abs(want)))
    end
  end
end

function T.test_pools_are_their_definitions ()
  local pools = { { { 2, 2 }, {} }, { { 3, 2 }, { stride = { 2, 3 }, padding = { 1, 1 } } },
                  { { 3, 3 }, { stride = 1 } } }
  for _, c in ipairs(pools) do
    local x, o = normal(2, 3, 6, 7), filled(c[2])
    if not c[2].stride then o.stride = c[1] end
    local h, v = sides(o, c[1], 6, 7)
    local mean, most, X = neap.zeros({ 2, 3, h, v }, f64), neap.zeros({ 2, 3, h, v }, f64), x:totable()
    for n = 1, 2 do for p = 1, 3 do for i = 1, h do for j = 1, v do
      local sum, max = 0, -math.huge
      each_in_window(o, c[1], 6, 7, i, j, function (_, _, y, z)
        sum, max = sum + X[n][p][y][z], math.max(max, X[n][p][y][z])
      end)
      mean[{ n, p, i, j }], most[{ n, p, i, j }] = sum / (c[1][1] * c[1][2]), max
    end end end end
    local options = { kernel = c[1], stride = c[2].stride, padding = c[2].padding }
    lu.assertTrue(apart(x:avg_pool2d(options), mean) < 1e-14)
    lu.assertEquals(apart(x:max_pool2d(options), most), 0)
  end
end

function T.test_max_pool_of_ties_integers_and_nan ()
  local x = neap.ones(1, 1, 2, 2)
  local g = neap.grad(function (y) return y:max_pool2d { kernel = 2 }:sum() end)(x)
  near.same(g, { { { { 1, 0 }, { 0, 0 } } } })
  local n = neap.tensor({ { { { 1, 0 / 0 }, { 5, 2 } } } })
  lu.assertTrue(neap.isnan(n:max_pool2d { kernel = 2 }):item())
  local i = neap.tensor({ { { { 3, 9 }, { 5, 2 } } } }, { dtype = "int64" })
  near.same(i:max_pool2d { kernel = 2 }, { { { { 9 } } } })
end

-- several tiles of windows and several tasks of images, of which the last ones are smaller
function T.test_many_images ()
  for _, c in ipairs { { 37, 3, 20, 21, 40, 3 }, { 130, 16, 9, 9, 24, 3 }, { 3, 64, 33, 31, 70, 5 } } do
    local x, w = normal(c[1], c[2], c[3], c[4]), normal(c[5], c[2], c[6], c[6]) / (c[2] * c[6] ^ 2) ^ .5
    local o = { stride = 2, padding = 1 }
    local slope = neap.grad(function (p) return p[1]:conv2d(p[2], nil, o):square():sum() / 2 end)
    local want, got = slope { x, w }, slope { x:float(), w:float() }
    lu.assertTrue(apart(x:float():conv2d(w:float(), nil, o):double(), x:conv2d(w, nil, o)) < 2e-5)
    for i = 1, 2 do
      lu.assertTrue(apart(got[i]:double(), want[i]) < 1e-5 * (1 + want[i]:abs():amax():item()), "gradient " .. i)
    end
    -- one image at a time: no other window lies in its tile
    local one = x:slice(1, 2, 2)
    lu.assertTrue(apart(one:conv2d(w, nil, o), x:conv2d(w, nil, o):slice(1, 2, 2)) < 1e-13)
  end
end

function T.test_same_bits_for_any_number_of_threads ()
  local x, w = neap.randn(50, 8, 17, 17), neap.randn(12, 4, 3, 3)
  local function run (threads)
    local before = neap.threads()
    neap.set_threads(threads)
    local g = neap.grad(function (p)
      return (p[1]:conv2d(p[2], nil, { stride = 2, padding = 1, groups = 2 }):max_pool2d { kernel = 2 } ^ 2):sum()
    end) { x, w }
    neap.set_threads(before)
    return g
  end
  local one = run(1)
  for threads = 2, 3 do
    local more = run(threads)
    for i = 1, 2 do lu.assertTrue(one[i]:eq(more[i]):all():item()) end
  end
end

function T.test_shapes_dtypes_and_nothing ()
  lu.assertEquals(neap.conv2d(neap.ones(0, 3, 8, 8), neap.ones(4, 3, 3, 3)).shape, { 0, 4, 6, 6 })
  lu.assertEquals(neap.conv2d(neap.ones(2, 0, 8, 8), neap.ones(4, 0, 3, 3)):abs():sum():item(), 0)
  lu.assertEquals(neap.conv2d(neap.ones(2, 3, 8, 8), neap.ones(0, 3, 3, 3)).shape, { 2, 0, 6, 6 })
  lu.assertEquals(neap.ones(0, 2, 4, 4):max_pool2d { kernel = 2 }.shape, { 0, 2, 2, 2 })
  local x = neap.ones(1, 1, 3, 3)
  lu.assertEquals(neap.conv2d(x, neap.ones({ 1, 1, 2, 2 }, f64)).dtype, "float64")
  lu.assertEquals(neap.conv2d(neap.ones({ 1, 1, 3, 3 }, { dtype = "int64" }), neap.ones(1, 1, 2, 2)).dtype, "float64")
  lu.assertEquals(neap.conv2d(x:expand(4, 3, 3, 3), neap.ones(2, 3, 3, 3)):totable()[4][2][1][1], 27)
  local tiny = neap.conv2d(neap.full({ 1, 1, 1, 1 }, 3), neap.full({ 1, 1, 1, 1 }, 2))
  lu.assertEquals(tiny:item(), 6)
end

function T.test_errors ()
  local x, w = neap.ones(2, 3, 8, 8), neap.ones(4, 3, 3, 3)
  local function with (text, options) fails("conv2d: " .. text, neap.conv2d, x, w, nil, options) end
  fails("conv2d: x [N, C, H, W] and w [O, C / groups, kh, kw] expected, got [3, 8, 8] and [4, 3, 3, 3]", neap.conv2d,
    x[1], w)
  fails("conv2d: filters over 3 channels expected, 3 in 1 groups, got 2", neap.conv2d, x, neap.ones(4, 2, 3, 3))
  with("groups = 2 must divide 3 channels and 4 outputs", { groups = 2 })
  fails("conv2d: w is [4, 3, 3, 3], so b must be [4], got [3]", neap.conv2d, x, w, neap.ones(3))
  with("stride must be 1 to 32768, got 0", { stride = 0 })
  with("padding must be 0 to 32768, got -1", { padding = { 0, -1 } })
  with("the kernel reaches over 9, but width 8 with padding 0 is less", { dilation = { 1, 4 } })
  with("stride: an integer or {height, width} expected, got another table", { stride = { 1, 2, 3 } })
  with("stride: an integer or {height, width} expected, got 1.5", { stride = 1.5 })
  with("option 'stride': number or table expected, got string", { stride = "2" })
  with("unknown option 'strides'", { strides = 2 })
  fails("conv_transpose2d: output_padding must be 0 to 1, less than stride, got 2", neap.conv_transpose2d, x,
    neap.ones(3, 1, 3, 3), nil, { stride = 2, output_padding = 2 })
  fails("conv_transpose2d: nothing is left of x [2, 3, 8, 8] without padding 9", neap.conv_transpose2d, x,
    neap.ones(3, 1, 1, 1), nil, { padding = 9 })
  fails("convolve_input: 6 windows fit into height 8, but there are 5 of [2, 5, 6, 4]", neap.convolve_input,
    neap.ones(2, 5, 6, 4), neap.ones(3, 3, 3, 4), 8)
  fails("avg_pool2d: kernel is missing", neap.avg_pool2d, x, {})
  fails("max_pool2d: images [N, C, H, W] expected, got [3, 8, 8]", neap.max_pool2d, x[1], { kernel = 2 })
  fails("max_pool2d: padding must be at most half of the kernel, got 2 for 3", neap.max_pool2d, x,
    { kernel = 3, padding = 2 })
end

return T
