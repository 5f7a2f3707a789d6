-- test_nn.lua -- networks from parts: what they compute, their tensors, what users build of them.
local lu = require "luaunit"
local neap = require "neap"
local raises = require("errors").raises
local nn = neap.nn
local T = {}

local function near (a, b, bound)
  lu.assertEquals(a.shape, b.shape)
  lu.assertTrue((a:double() - b:double()):abs():max():item() < (bound or 1e-6))
end

function T.test_linear ()
  local m = nn.linear{3, 4}
  local x = neap.randn(5, 3)
  near(m(x), x:matmul(m.own.weight:t()) + m.own.bias)
  near(nn.linear{3, 2, bias = false}(neap.zeros(5, 3)), neap.zeros(5, 2))
  local wide = nn.linear{300, 400, gain = 1}
  lu.assertAlmostEquals(wide.own.weight:var():item() * 300, 1, .05)
  lu.assertAlmostEquals(wide.own.bias:var():item() * 900, 1, .3)
  lu.assertEquals(nn.linear{2, 3, dtype = "float64"}(neap.randn(4, 2, {dtype = "float64"})).dtype, "float64")
  near(nn.linear{3, 4, rng = neap.rng(7)}.own.weight, nn.linear{3, 4, rng = neap.rng(7)}.own.weight, 1e-12)
end

function T.test_conv ()
  local m = nn.conv{2, 4, kernel = 3, stride = 2, groups = 2}
  local x = neap.randn(3, 2, 7, 8)
  near(m(x), neap.conv2d(x, m.own.weight, m.own.bias, {stride = 2, padding = 1, groups = 2}))
  lu.assertEquals(m(x).shape, {3, 4, 4, 4})
  lu.assertEquals(nn.conv{2, 4, kernel = 5, padding = 0}(x).shape, {3, 4, 3, 4})
end

function T.test_norms ()
  local x = 3 * neap.randn(6, 4, 5, 5) + 2
  local y = nn.instance_norm{4}(x)
  near(y:mean({3, 4}), neap.zeros(6, 4), 1e-5)
  near(y:var({3, 4}, false, {unbiased = false}), neap.ones(6, 4), 1e-4)
  near(nn.group_norm{2, 4}(x), x:group_norm(2))
  near(nn.layer_norm{5}(x), x:layer_norm{})
end

-- the largest singular value is 1, whatever the weights are, and its gradient is that of w / σ(w)
function T.test_spectral ()
  local m = nn.linear{4, 6, bias = false, spectral = true, dtype = "float64", rng = neap.rng(2)}
  local eye = neap.eye(4, {dtype = "float64"})
  for _, size in ipairs {1, 10} do
    m.own.weight[{}] = m.own.weight:detach() * size
    local w = m(eye)                                   -- the weight that is applied, transposed
    lu.assertAlmostEquals(w:matmul(w:t()):eigh():max():sqrt():item(), 1, 1e-3)
  end
  local g = neap.gradients(m(eye):square():sum(), m.own.weight)
  lu.assertAlmostEquals((g * m.own.weight):sum():item(), 0, 1e-9)       -- it does not depend on the weight's size
end

function T.test_upsample ()
  local x = neap.tensor{{{{0, 1}, {2, 3}}}}
  near(nn.upsample{}(x), neap.tensor{{{{0, 0, 1, 1}, {0, 0, 1, 1}, {2, 2, 3, 3}, {2, 2, 3, 3}}}})
  near(nn.upsample{mode = "bilinear"}(x), neap.tensor{{{{0, .25, .75, 1}, {.5, .75, 1.25, 1.5}, {1.5, 1.75, 2.25, 2.5},
    {2, 2.25, 2.75, 3}}}})
  lu.assertEquals(nn.upsample{scale = 3, mode = "bilinear"}(neap.randn(2, 3, 4, 5)).shape, {2, 3, 12, 15})
end

function T.test_composition ()
  local a, b, skip = nn.linear{3, 5}, nn.linear{5, 4}, nn.linear{3, 4}
  local x = neap.randn(7, 3)
  near(nn.sequential{a, neap.silu, b}(x), b(a(x):silu()))
  near(nn.residual{a, neap.silu, b, skip = skip}(x), skip(x) + b(a(x):silu()))
  near(nn.residual{a, b, skip = function (y) return y:pad{{0, 0}, {0, 1}} end}(x), b(a(x)) + x:pad{{0, 0}, {0, 1}})
  near(nn.residual{neap.relu}(x), x + x:relu())
  local function times (y, c) return y * c end
  near(nn.sequential{nn.custom(times, {}), neap.silu}(x, x), (x * x):silu())
  near(nn.flatten()(neap.ones(2, 3, 4)), neap.ones(2, 12))
end

function T.test_params ()
  local net = nn.sequential{nn.linear{2, 3}, neap.silu, nn.residual{nn.linear{3, 3, bias = false}}, nn.linear{3, 1}}
  local tensors, names = net:params()
  lu.assertEquals(names, {"1.weight", "1.bias", "3.1.weight", "4.weight", "4.bias"})
  lu.assertEquals({#tensors, net:numel()}, {5, 6 + 3 + 9 + 3 + 1})
  lu.assertEquals(tostring(net), table.concat({"sequential, 22 numbers", "  linear, 9 numbers: weight [3, 2], bias [3]",
    "  function", "  residual, 9 numbers", "    linear, 9 numbers: weight [3, 3]",
    "  linear, 4 numbers: weight [1, 3], bias [1]"}, "\n"))
end

-- An energy of a module learns as any other, has the module's tensors, and goes through programs.
function T.test_energy ()
  neap.seed(4)
  local net = nn.sequential{nn.linear{2, 16}, neap.silu, nn.residual{nn.linear{16, 16, spectral = true}, neap.silu}, nn.linear{16, 1}}
  local E = net:energy{event = {2}}
  local x = neap.randn(9, 2)
  near(E(x), net(x):reshape(9))
  lu.assertEquals(select(2, E:params()), select(2, net:params()))
  local other = E:clone()
  local sampler = neap.sampler.langevin{step_size = .01, noise_std = 0}
  near(sampler:step(E, sampler:init(E, x), 1).x, x - .01 * E:grad(x), 1e-5)
  local data = neap.data.moons(512, {noise = .1, seed = 1})
  local history = neap.train(E, data, {loss = neap.loss.dsm{sigma = .3}, steps = 60, seed = 1, progress = false})
  lu.assertTrue(history.loss[#history.loss] < history.loss[1])
  near(other(x), E:with((other:params()))(x))
  lu.assertTrue((other(x) - E(x)):abs():max():item() > 1e-3)
end

-- E = ½ |x − net(x)|², whose gradient is (1 − J)ᵀ (x − net(x))
function T.test_reconstruction ()
  local net = nn.linear{3, 3, dtype = "float64"}
  local E, x = net:reconstruction{event = {3}}, neap.randn(5, 3, {dtype = "float64"})
  local r = x - net(x)
  near(E(x), .5 * r:square():sum(2), 1e-12)
  near(E:grad(x), r - r:matmul(net.own.weight), 1e-12)
end

function T.test_unet ()
  local net = nn.unet{2, channels = {4, 6, 8}, rng = neap.rng(1)}
  local x = neap.randn(3, 2, 8, 12)
  lu.assertEquals(net(x).shape, x.shape)
  lu.assertEquals(net:numel(), 4 * 18 + 4 + 6 * 36 + 6 + 8 * 54 + 8 + 6 * 14 * 9 + 6 + 4 * 10 * 9 + 4 + 2 * 36 + 2)
  local E = net:reconstruction{event = {2, 8, 12}}
  near(E(x), .5 * (x - net(x)):square():sum({2, 3, 4}), 1e-3)
  local one, grads = neap.ones(1, 2, 8, 12), {}
  for i, g in ipairs(neap.gradients(E(one):sum(), (net:params()))) do grads[i] = g:abs():max():item() > 0 end
  lu.assertEquals(#grads, 12)
  for i, moves in ipairs(grads) do lu.assertTrue(moves, tostring(i)) end
  raises("H and W multiples of 4 expected, got [1, 2, 6, 8]", net, neap.ones(1, 2, 6, 8))
end

function T.test_errors ()
  raises("nn.linear: [2]: an integer of at least 1 expected, got 0", nn.linear, {3, 0})
  raises("nn.linear: unknown option 'bais' (did you mean 'bias'?)", nn.linear, {3, 2, bais = false})
  raises("nn.linear: 2 sizes expected, got 3", nn.linear, {3, 2, 1})
  raises("nn.conv: groups: a divisor of 3 inputs and 4 outputs expected, got 2", nn.conv, {3, 4, groups = 2})
  raises("nn.upsample: mode: \"nearest\" or \"bilinear\" expected, got 'cubic'", nn.upsample, {mode = "cubic"})
  raises("nn.sequential: at least one part expected", nn.sequential, {})
  raises("nn.sequential: [2]: callable expected, got integer", nn.sequential, {neap.silu, 3})
  raises("nn.residual: the parts give shape [4, 2], where [4, 3] is to be added", nn.residual{nn.linear{3, 2}}, neap.ones(4, 3))
  raises("nn.energy: one number a row expected of the network, got shape [4, 2] for 4 rows",
         nn.linear{3, 2}:energy{event = {3}}, neap.ones(4, 3))
  raises("nn.reconstruction: the shape of x, [4, 3], expected of the network, got [4, 2]",
         nn.linear{3, 2}:reconstruction{event = {3}}, neap.ones(4, 3))
  raises("nn.custom: params: tensor expected, got integer", nn.custom, neap.silu, {3})
end

return T
