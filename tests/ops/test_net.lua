-- What networks are made of: known numbers, shapes, messages.
local lu = require "luaunit"
local near = require "ops.near"
local T = {}
local apart, fails = near.apart, near.fails

local function f64 (t) return neap.tensor(t, { dtype = "float64" }) end

function T.test_linear ()
  local x, w = neap.tensor { { 1, 2 }, { 3, 4 } }, neap.tensor { { 1, 0 }, { 0, 1 }, { 1, 1 } }
  local b = neap.tensor { 10, 20, 30 }
  lu.assertEquals(x:linear(w, b):totable(), { { 11, 22, 33 }, { 13, 24, 37 } })
  lu.assertEquals(neap.linear(x, w):totable(), { { 1, 2, 3 }, { 3, 4, 7 } })
  lu.assertEquals(x[1]:linear(w, b):totable(), { 11, 22, 33 })
  lu.assertEquals(neap.ones(4, 5, 2):linear(w, b).shape, { 4, 5, 3 })
  fails("linear: x [batch…, in] and w [out, in] expected, got [2, 3] and [3, 2]", neap.linear, neap.ones(2, 3), w)
  fails("linear: w is [3, 2], so b must be [3], got [2]", neap.linear, x, w, neap.ones(2))
end

function T.test_layer_norm ()
  local y = f64({ { 1, 2, 3 }, { 2, 2, 8 } }):layer_norm { eps = 0 }
  local r = math.sqrt(1.5)
  lu.assertTrue(apart(y, f64 { { -r, 0, r }, { -math.sqrt(.5), -math.sqrt(.5), math.sqrt(2) } }) < 1e-14)
  local z = neap.randn(4, 3, 5, { dtype = "float64" }) * 3 + 7
  local two, one = neap.full({ 3, 5 }, 2, { dtype = "float64" }), neap.ones(3, 5, { dtype = "float64" })
  local n = z:layer_norm { dims = 2, weight = two, bias = one }
  lu.assertTrue(apart(n:mean { 2, 3 }, neap.ones(4, { dtype = "float64" })) < 1e-14)
  lu.assertTrue(apart(n:std({ 2, 3 }, false, { unbiased = false }), neap.full({ 4 }, 2, { dtype = "float64" })) < 1e-5)
  fails("layer_norm: dims must be 1..2 for x [2, 3], got 3", neap.layer_norm, neap.ones(2, 3), { dims = 3 })
  fails("layer_norm: weight must have the shape", neap.layer_norm, neap.ones(2, 3), { weight = neap.ones(2) })
end

function T.test_group_norm ()
  local x = neap.randn(2, 6, 4, 4, { dtype = "float64" }) * 5 - 1
  local y = x:group_norm(3, { eps = 0 })
  lu.assertEquals(y.shape, { 2, 6, 4, 4 })
  local groups = y:reshape(2, 3, 32)
  lu.assertTrue(groups:mean(3):abs():amax():item() < 1e-14)
  lu.assertTrue(apart(groups:var(3, false, { unbiased = false }), neap.ones(2, 3, { dtype = "float64" })) < 1e-13)
  local w = neap.arange(1, 6, { dtype = "float64" })
  lu.assertTrue(apart(x:group_norm(3, { weight = w, bias = w, eps = 0 }), (y + 1) * w:reshape(6, 1, 1)) < 1e-13)
  fails("C a multiple of groups = 4 expected, got [2, 6, 4, 4]", neap.group_norm, x, 4)
end

function T.test_dropout ()
  local x = neap.ones(100, 100)
  local y = x:dropout(.25)
  local kept = y:gt(0)
  local share = kept:to("float32"):mean():item()
  lu.assertAlmostEquals(share, .75, 4 * math.sqrt(.75 * .25 / 10000))
  lu.assertAlmostEquals(y:amax():item(), 1 / .75, 1e-6)
  lu.assertEquals(x:dropout(0):sum():item(), 10000)
  lu.assertEquals(x:dropout(1):sum():item(), 0)
  neap.seed(3)
  local a = x:dropout(.5)
  neap.seed(3)
  lu.assertEquals(apart(a, x:dropout(.5)), 0)
  fails("dropout: a probability from 0 to 1 expected, got 1.5", neap.dropout, x, 1.5)
end

function T.test_embedding_and_one_hot ()
  local tab = neap.tensor({ { 1, 2 }, { 3, 4 }, { 5, 6 } }):requires_grad()
  local idx = neap.tensor({ { 3, 1 }, { 3, 3 } }, { dtype = "int64" })
  lu.assertEquals(tab:embedding(idx):totable(), { { { 5, 6 }, { 1, 2 } }, { { 5, 6 }, { 5, 6 } } })
  lu.assertEquals(neap.gradients(tab:embedding(idx):sum(), tab):totable(), { { 1, 1 }, { 0, 0 }, { 3, 3 } })
  local hot = idx:one_hot(3)
  lu.assertEquals(hot:totable(), { { { 0, 0, 1 }, { 1, 0, 0 } }, { { 0, 0, 1 }, { 0, 0, 1 } } })
  lu.assertEquals(hot.dtype, "float32")
  fails("one_hot: indices must be 1..2, got 3", neap.one_hot, idx, 2)
  lu.assertFalse(pcall(neap.embedding, tab, neap.tensor({ 4 }, { dtype = "int64" })))
end

function T.test_cross_entropy ()
  local logits = f64 { { 1, 2, 3 }, { 0, 0, 0 } }
  local labels = neap.tensor({ 3, 1 }, { dtype = "int64" })
  local expected = (math.log(1 + math.exp(-1) + math.exp(-2)) + math.log(3)) / 2
  lu.assertAlmostEquals(neap.cross_entropy(logits, labels):item(), expected, 1e-15)
  lu.assertAlmostEquals(neap.cross_entropy(logits, labels:one_hot(3)):item(), expected, 1e-15)
  local g = neap.grad(function (x) return neap.cross_entropy(x, labels) end)(logits)
  lu.assertTrue(apart(g, (logits:softmax(2) - labels:one_hot(3)) / 2) < 1e-15)
  fails("cross_entropy: logits [batch…, classes] and labels [batch…] expected, got [2, 3] and [3]",
    neap.cross_entropy, logits, neap.tensor({ 1, 1, 1 }, { dtype = "int64" }))
  lu.assertFalse(pcall(neap.cross_entropy, logits, neap.tensor({ 4, 1 }, { dtype = "int64" })))
end

function T.test_mse_and_bce ()
  lu.assertAlmostEquals(neap.mse(neap.tensor { 1, 2, 3 }, neap.tensor { 1, 4, 7 }):item(), 20 / 3, 1e-6)
  fails("mse: two tensors of one shape expected, got [3] and [3, 1]", neap.mse, neap.ones(3), neap.ones(3, 1))
  local x, t = f64 { 0, 2, -40 }, f64 { 1, .25, 0 }
  local at_two = .25 * math.log(1 + math.exp(-2)) + .75 * math.log(1 + math.exp(2))
  local expected = (math.log(2) + at_two + math.exp(-40)) / 3
  lu.assertAlmostEquals(neap.bce_with_logits(x, t):item(), expected, 1e-15)
  local far = neap.bce_with_logits(f64 { 1000, -1000 }, f64 { 0, 1 })
  lu.assertEquals(far:item(), 1000)
  lu.assertAlmostEquals(neap.bce_with_logits(f64 { 40 }, f64 { 1 }):item() / math.exp(-40), 1, 1e-12)
end

return T
