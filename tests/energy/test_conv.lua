-- Networks of images against their formula, their shapes, files and errors, and their programs.
local lu = require "luaunit"
local t = require "energy.near"
local compare = require "program.compare"
local e = neap.energy
local T = {}
local f64 = {dtype = "float64"}

local function small (options)
  local o = {input = {2, 9, 7}, channels = {3, 4}, kernels = {5, 3}, strides = {2, 1}, hidden = 6, dtype = "float64"}
  for k, v in pairs(options or {}) do o[k] = v end
  return e.conv(o)
end

local function images (n, ...) return neap.randn({n, ...}, f64) end

-- the network by the ops that a user would take
local function by_hand (E, x, strides, activation)
  local p, act = E:params(), neap[activation or "silu"]
  local h = x
  for k, s in ipairs(strides) do
    local w, b = p[2 * k - 1], p[2 * k]
    h = act(neap.conv2d(h, w, b, {stride = s, padding = (w.shape[3] - 1) // 2}))
  end
  h = h:flatten(2)
  for i = 2 * #strides + 1, #p - 3, 2 do h = act(h:linear(p[i], p[i + 1])) end
  return h:linear(p[#p - 1], p[#p]):squeeze(2)
end

function T.test_is_its_formula ()
  local E, x = small(), images(5, 2, 9, 7)
  local names = table.concat(select(2, E:params()), " ")
  lu.assertEquals(names, "weight1 bias1 weight2 bias2 weight3 bias3 weight4 bias4")
  local shapes = {}
  for i, p in ipairs((E:params())) do shapes[i] = p.shape end
  lu.assertEquals(shapes, {{3, 2, 5, 5}, {3}, {4, 3, 3, 3}, {4}, {6, 80}, {6}, {1, 6}, {1}})
  t.near(E(x), by_hand(E, x, {2, 1}), 1e-12)
  local flat = small {hidden = 0, activation = "tanh"}
  lu.assertEquals(#flat:params(), 6)
  t.near(flat(x), by_hand(flat, x, {2, 1}, "tanh"), 1e-12)
  local even = small {kernels = {4, 2}, strides = 3}
  t.near(even(x), by_hand(even, x, {3, 3}), 1e-12)
end

-- the textbook's network for images of 32 by 32
function T.test_sizes_and_text ()
  local E = e.conv {input = {1, 32, 32}, channels = {16, 32, 64, 64}, kernels = {5, 3, 3, 3}, strides = 2, hidden = 64,
                    activation = "silu"}
  lu.assertEquals(E.event, {1, 32, 32})
  lu.assertStrContains(tostring(E), "conv(1x32x32, 16 k5 s2, 32 k3 s2, 64 k3 s2, 64 k3 s2, 64): event [1, 32, 32]")
  local n = 0
  for _, p in ipairs((E:params())) do n = n + p:numel() end
  lu.assertEquals(n, 16 * 25 + 16 + 32 * 144 + 32 + 64 * 288 + 64 + 64 * 576 + 64 + 64 * 256 + 64 + 64 + 1)
  lu.assertStrContains(tostring(E), tostring(n))
  lu.assertEquals(E(neap.rand(3, 1, 32, 32)).shape, {3})
  lu.assertEquals(E:score(neap.rand(3, 1, 32, 32)).shape, {3, 1, 32, 32})
  local plain = e.conv {input = {3, 8, 8}, channels = {4}}
  lu.assertStrContains(tostring(plain), "conv(3x8x8, 4 k3 s2, 64)")
end

function T.test_derivatives_to_third_order ()
  for _, name in ipairs {"silu", "gelu", "softplus", "tanh"} do
    t.smooth(small {activation = name, channels = {2, 2}, input = {1, 5, 5}}, images(2, 1, 5, 5))
  end
end

function T.test_by_its_parameters ()
  local E, x = small {input = {1, 6, 5}, channels = {2, 3}, hidden = 3}, images(3, 1, 6, 5)
  local ok, report = neap.gradcheck(function (...)
    local F = E:with {...}
    return (F:score(x) ^ 2):sum() / 2 + (F(x) ^ 2):mean()
  end, E:params(), {order = 1})
  lu.assertTrue(ok, "worst " .. report.worst)
end

function T.test_init_keeps_the_size_of_activations ()
  local x = neap.randn(500, 3, 32, 32)
  for seed = 1, 3 do
    local E = e.conv {input = {3, 32, 32}, channels = {32, 32, 64, 64}, rng = neap.rng(seed)}
    local std = E(x):std():item()
    lu.assertTrue(std > .02 and std < 5, ("std of energies: %g"):format(std))
  end
end

function T.test_files_and_algebra ()
  local E, x = small {activation = "softplus"}, images(3, 2, 9, 7)
  local path = os.tmpname() .. ".safetensors"
  E:save(path)
  local F = e.load(path)
  os.remove(path)
  t.near(F(x), E(x), 0)
  lu.assertEquals(tostring(F), tostring(E))
  local noisy = e.noise_conditional(E)
  t.near(noisy(x, neap.tensor({.5, 1, 2}, f64)), E(x) / neap.tensor({.5, 1, 2}, f64), 1e-12)
  local zeros = neap.zeros({2, 9, 7}, f64)
  t.near((E + .5 * E):fix(zeros:eq(0), zeros)(x), 1.5 * E(neap.zeros_like(x)), 1e-12)
end

-- chains and gradients run as programs, in blocks of images, with the same bits on any number of threads
function T.test_programs ()
  local E = e.conv {input = {1, 12, 12}, channels = {8, 16}, hidden = 8, rng = neap.rng(1)}
  local x = neap.rng(2):normal {70, 1, 12, 12}
  local s = neap.sampler.langevin {step_size = .1, noise_std = 0}
  local function chains () return {s:step(E, s:init(E, x, neap.rng(3)), 6).x} end
  lu.assertTrue(compare.same_for_threads(chains))
  local y = x
  for _ = 1, 6 do y = y - .1 * E:grad(y) end
  t.near(chains()[1], y, 1e-4)
  local text = neap.explain(s, E, x)
  lu.assertStrContains(text, "in blocks of rows")
  lu.assertStrContains(text, "convolve_input")
  local function gradients ()
    return neap.gradients(neap.loss.dsm {sigma = .3}(E, x, neap.rng(4)), E:params())
  end
  lu.assertTrue(compare.same_for_threads(gradients))
end

function T.test_errors ()
  t.raises("conv: option 'input': a table expected, {channels, height, width}", e.conv, {channels = {4}})
  t.raises("conv: option 'input': {channels, height, width} expected", e.conv, {input = {1, 8}, channels = {4}})
  t.raises("conv: option 'channels': a table expected", e.conv, {input = {1, 8, 8}})
  local function raises (text, options)
    t.raises(text, small, options)
  end
  raises("conv: channels[2] must be 1 to 32768, got 0", {channels = {4, 0}})
  raises("conv: option 'kernels': an integer or a table of 2 expected", {kernels = {3}})
  raises("conv: kernels[1] must be 1 to 32768, got -1", {kernels = {-1, 3}})
  raises("conv: strides[1]: integer expected, got 1.5", {strides = 1.5})
  raises("conv: strides[1] must be 1 to 15, got 16", {strides = 16})
  raises("conv: hidden must be a size, or 0 for none, got -1", {hidden = -1})
  raises("conv: nothing is left of images [2, 1, 7] after 2 layers", {input = {2, 1, 7}, kernels = 2})
  raises("conv: activation 'swish' is not known", {activation = "swish"})
  raises("unknown option 'stride'", {stride = 2})
  raises("to 13 layers expected", {channels = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, kernels = 1, strides = 1})
  lu.assertErrorMsgContains("[B, 2, 9, 7]", small(), images(3, 2, 9, 8))
end

return T
