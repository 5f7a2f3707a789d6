-- Residual blocks, noise levels, classifiers, against their formulas in plain Lua.
local lu = require "luaunit"
local t = require "energy.near"
local e = neap.energy
local plain = require "energy.plain"
local T = {}

local silu, layer = plain.silu, plain.layer

local function map (a, f)
  local out = {}
  for i, v in ipairs(a) do out[i] = f(v) end
  return out
end

-- E(x) by a table of numbers per parameter
local function tables (E)
  local out = {}
  for i, p in ipairs((E:params())) do out[i] = p:totable() end
  return out
end

-- ---- residual blocks ----

function T.test_residual_mlp_is_its_formula ()
  local E, x = e.residual_mlp {sizes = {2, 3, 4, 5}, dtype = "float64"}, t.points(4, 2)
  local names = {}
  for i = 1, 6 do names[2 * i - 1], names[2 * i] = "weight" .. i, "bias" .. i end
  lu.assertEquals(select(2, E:params()), names)
  local p, want = tables(E), {}
  for i, row in ipairs(x:totable()) do
    local h = layer(p[1], p[2], row)
    for k = 3, 7, 4 do
      local f = layer(p[k + 2], p[k + 3], layer(p[k], p[k + 1], h, silu))
      for j in ipairs(h) do h[j] = h[j] + f[j] end
    end
    want[i] = layer(p[11], p[12], map(h, silu))[1]
  end
  t.near(E(x), want, 1e-12)
end

function T.test_residual_mlp_sizes_and_text ()
  local E = e.residual_mlp {sizes = {2, 16}, blocks = 3}
  lu.assertEquals(#E:params(), 16)
  lu.assertEquals(E.event, {2})
  lu.assertStrContains(tostring(E), "residual_mlp(2, 16, 16, 16, 16): event [2]")
  lu.assertStrContains(tostring(e.residual_mlp {sizes = {2, 16, 4, 6}}), "residual_mlp(2, 16, 4, 6): event [2]")
  lu.assertEquals(#e.residual_mlp {sizes = {5, 8}}:params(), 12)
  local one, two = neap.rng(3), neap.rng(3)
  local x = neap.randn(3, 2)
  t.near(e.residual_mlp {sizes = {2, 8}, rng = one}(x), e.residual_mlp {sizes = {2, 8}, rng = two}(x), 0)
end

function T.test_residual_mlp_derivatives_to_third_order ()
  local x = t.points(3, 2)
  for _, name in ipairs {"silu", "gelu", "softplus", "tanh", "sigmoid", "sin"} do
    t.smooth(e.residual_mlp {sizes = {2, 6}, activation = name, dtype = "float64"}, x)
  end
  t.smooth(e.residual_mlp {sizes = {2, 6, 3}, activation = "relu", dtype = "float64"}, x, 1)
end

function T.test_residual_mlp_by_its_parameters ()
  local E, x = e.residual_mlp {sizes = {2, 4}, blocks = 1, dtype = "float64"}, t.points(5, 2)
  local ok, report = neap.gradcheck(function (...)
    local F = E:with {...}
    return ((F:score(x) ^ 2):sum(2) / 2 - F:laplacian(x)):mean()
  end, E:params(), {order = 1})
  lu.assertTrue(ok, "worst " .. report.worst)
end

-- twenty blocks leave the energies about as large as two do
function T.test_residual_mlp_init_keeps_the_size_of_activations ()
  local x = neap.randn(2000, 2)
  for _, blocks in ipairs {1, 2, 20} do
    local std = e.residual_mlp {sizes = {2, 128}, blocks = blocks, rng = neap.rng(blocks)}(x):std():item()
    lu.assertTrue(std > .05 and std < 5, ("std of energies with %d blocks: %g"):format(blocks, std))
  end
end

function T.test_residual_mlp_condition ()
  local E, x, c = e.residual_mlp {sizes = {2, 8}, condition = 3, dtype = "float64"}, t.points(4, 2), t.points(4, 3)
  local whole = e.residual_mlp {sizes = {5, 8}, dtype = "float64"}:with(E:params())
  t.near(E(x, c), whole(neap.cat({x, c}, 2)), 0)
  t.near(E:given(c)(x), E(x, c), 0)
  t.raises("residual_mlp: a condition c is needed", E, x)
  t.raises("residual_mlp: the condition c must be [B, 3], got [4, 2]", E, x, x)
end

function T.test_residual_mlp_files ()
  local E, x = e.residual_mlp {sizes = {2, 8, 4}, activation = "tanh", condition = 1}, neap.randn(3, 2)
  local path = os.tmpname() .. ".safetensors"
  E:save(path)
  local F = e.load(path)
  os.remove(path)
  t.near(F(x, x[{{}, 1}]), E(x, x[{{}, 1}]), 0)
  lu.assertEquals(tostring(F), tostring(E))
  local copy = E:clone()
  copy.weight1[{}] = 0
  lu.assertTrue(E.weight1:abs():max():item() > 0)
end

function T.test_residual_mlp_errors ()
  t.raises("residual_mlp: option 'sizes': a table expected, {inputs, width, ...}", e.residual_mlp, {})
  t.raises("residual_mlp: sizes is missing: {inputs, width, ...}", e.residual_mlp, {sizes = {2}})
  t.raises("residual_mlp: sizes[2] must be at least 1, got 0", e.residual_mlp, {sizes = {2, 0}})
  t.raises("residual_mlp: either blocks or more than two sizes", e.residual_mlp, {sizes = {2, 4, 4}, blocks = 1})
  t.raises("residual_mlp: option 'blocks': a positive integer expected, got 0", e.residual_mlp,
           {sizes = {2, 4}, blocks = 0})
  t.raises("residual_mlp: blocks must be 1 to 100, got 101", e.residual_mlp, {sizes = {2, 4}, blocks = 101})
  t.raises("residual_mlp: activation 'swish' is not known", e.residual_mlp, {sizes = {2, 4}, activation = "swish"})
  t.raises("residual_mlp: condition must be a size, got -1", e.residual_mlp, {sizes = {2, 4}, condition = -1})
  t.raises("residual_mlp: dtype must be float32 or float64, got int64", e.residual_mlp,
           {sizes = {2, 4}, dtype = "int64"})
  t.raises("residual_mlp: x must be [B, 2], got [3, 3]", e.residual_mlp {sizes = {2, 4}}, neap.zeros(3, 3))
  t.raises("unknown option 'block' (did you mean 'blocks'?)", e.residual_mlp, {sizes = {2, 4}, block = 2})
end

-- ---- noise levels ----

local sigmas = {.1, .5, 1, 3}

function T.test_noise_conditional_divides_by_sigma ()
  local net, x = e.mlp {sizes = {2, 8}, dtype = "float64"}, t.points(4, 2)
  local sigma = neap.tensor(sigmas, {dtype = "float64"})
  local E = e.noise_conditional(net)
  t.near(E(x, sigma), net(x) / sigma, 1e-14)
  t.near(E(x, sigma:reshape(4, 1)), net(x) / sigma, 1e-14)
  t.near(E:score(x, sigma), net:score(x) / sigma:reshape(4, 1), 1e-13)
  lu.assertEquals(select(2, E:params()), {"weight1", "bias1", "weight2", "bias2"})
  lu.assertEquals(E.event, {2})
  lu.assertStrContains(tostring(E), "noise_conditional(mlp(2, 8)): event [2], 4 parameters")
  lu.assertEquals(E(x:float(), sigma:float()).dtype, "float64")    -- as the network's own
end

function T.test_noise_conditional_gives_a_network_log_sigma ()
  local net, x = e.mlp {sizes = {2, 8}, condition = 1, dtype = "float64"}, t.points(4, 2)
  local sigma = neap.tensor(sigmas, {dtype = "float64"})
  t.near(e.noise_conditional(net)(x, sigma), net(x, sigma:log()) / sigma, 1e-14)
  local f = neap.energy(function (y, c) return y:sum(2) * c:squeeze(2) end, {event = 2})
  t.near(e.noise_conditional(f)(x, sigma), x:sum(2) * sigma:log() / sigma, 1e-14)
end

function T.test_noise_conditional_derivatives ()
  local net, x = e.residual_mlp {sizes = {2, 5}, condition = 1, dtype = "float64"}, t.points(4, 2)
  local sigma = neap.tensor(sigmas, {dtype = "float64"})
  t.smooth(e.noise_conditional(net):given(sigma:reshape(4, 1)), x)
  local E = e.noise_conditional(net)
  local ok, report = neap.gradcheck(function (s) return E(x, s) end, {sigma + .5}, {order = 2})
  lu.assertTrue(ok, "worst " .. report.worst)
end

function T.test_noise_conditional_is_trained_by_multi_dsm ()
  local E = e.noise_conditional(e.mlp {sizes = {1, 8}, condition = 1, rng = neap.rng(1)})
  local x = neap.rng(2):normal {256, 1}
  local loss = neap.loss.multi_dsm {sigmas = {.2, 1}}
  local first = loss(E, x, neap.rng(3)):item()
  neap.train(E, x, {loss = loss, steps = 60, optimizer = neap.optim.adam {lr = .01}, seed = 1, progress = false})
  lu.assertTrue(loss(E, x, neap.rng(3)):item() < first)
end

function T.test_noise_conditional_files_and_fixed_coordinates ()
  local E, x = e.noise_conditional(e.mlp {sizes = {2, 4}, condition = 1}), neap.randn(3, 2)
  local path = os.tmpname() .. ".safetensors"
  E:save(path)
  local F, sigma = e.load(path), neap.tensor {1, 2, 3}
  os.remove(path)
  t.near(F(x, sigma), E(x, sigma), 0)
  local fixed = e.noise_conditional(e.mlp {sizes = {2, 4}}:fix({true, false}, {.5, 0}))
  lu.assertEquals(fixed.mask:totable(), {true, false})
end

function T.test_noise_conditional_errors ()
  local E, x = e.noise_conditional(e.mlp {sizes = {2, 4}}), neap.zeros(3, 2)
  t.raises("noise_conditional: a condition c is needed", E, x)
  t.raises("noise_conditional: sigma must be [B] or [B, 1], got [3, 2]", E, x, x)
  t.raises("noise_conditional: the condition c must have one row per row of x, [3, ...], got [2]", E, x, neap.ones(2))
  t.raises("noise_conditional(net): an energy expected, got table", e.noise_conditional, {})
  t.raises("noise_conditional: x must be [B, 2], got [3, 3]", E, neap.zeros(3, 3), neap.ones(3))
end

-- ---- classifiers ----

function T.test_classifier_of_an_mlp_is_its_formula ()
  local net, x = e.mlp {sizes = {2, 6, 3}, dtype = "float64"}, t.points(4, 2)
  local E = e.classifier(net)
  lu.assertEquals(select(2, E:params()), {"weight1", "bias1", "weight2", "bias2"})
  local p, logits, want = tables(E), {}, {}
  for i, row in ipairs(x:totable()) do
    logits[i] = layer(p[3], p[4], layer(p[1], p[2], row, silu))
    local sum = 0
    for _, v in ipairs(logits[i]) do sum = sum + math.exp(v) end
    want[i] = -math.log(sum)
  end
  t.near(E:logits(x), logits, 1e-13)
  t.near(E(x), want, 1e-13)
  lu.assertStrContains(tostring(E), "classifier(2, 6, 3): event [2], 4 parameters")
  E.weight1[{}] = 0
  lu.assertEquals(net.weight1:abs():max():item(), 0)               -- the tensors are the network's own
end

function T.test_classifier_of_a_function ()
  local w, x = neap.randn(2, 3, {dtype = "float64"}), t.points(4, 2)
  local E = e.classifier(function (y) return y:matmul(w) end, {params = {w = w}, event = 2})
  t.near(E:logits(x), x:matmul(w))
  t.near(E(x), -x:matmul(w):logsumexp(2))
  lu.assertEquals(E.name, "classifier")
  local other = E:with {w = 2 * w}
  t.near(other:logits(x), 2 * x:matmul(w))
  local module = setmetatable({w = w, params = function (self) return {self.w}, {"w"} end},
                              {__call = function (self, y) return y:matmul(self.w) end})
  local F = e.classifier(module)
  t.near(F(x), E(x))
  lu.assertEquals(select(2, F:params()), {"w"})
end

function T.test_classifier_derivatives_to_third_order ()
  t.smooth(e.classifier(e.mlp {sizes = {2, 5, 3}, dtype = "float64"}), t.points(3, 2))
end

-- the score of p(x) is the mean of the classes' scores under P(class | x)
function T.test_classifier_score ()
  local E, x = e.classifier(e.mlp {sizes = {2, 5, 3}, dtype = "float64"}), t.points(4, 2)
  local y, p, want = x:clone():requires_grad(), E:logits(x):softmax(2):detach(), 0
  for k = 1, 3 do
    want = want + p[{{}, {k, k}}] * neap.gradients(E:logits(y)[{{}, k}]:sum(), y)
  end
  t.near(E:score(x), want)
end

-- two normals: training on the labels finds log-odds that are linear in x
function T.test_classifier_learns_labels ()
  local rng = neap.rng(4)
  local labels = rng:bernoulli(neap.full({400}, .5)):to "int64"
  local x = rng:normal {400, 2} + (2 * labels:float() - 1):unsqueeze(2)
  local E = e.classifier(e.mlp {sizes = {2, 16, 2}, rng = neap.rng(5)})
  neap.train(E, x, {steps = 150, batch = 400, optimizer = neap.optim.adam {lr = .02}, progress = false,
                    loss = function () return neap.cross_entropy(E:logits(x), labels + 1) end})
  local right = E:logits(x):argmax(2):eq(labels + 1):float():mean():item()
  lu.assertTrue(right > .88, "right: " .. right)                   -- Bayes: Φ(√2) = .921
end

function T.test_classifier_condition_and_files ()
  local net, x = e.mlp {sizes = {2, 6, 3}, condition = 1, activation = "tanh"}, neap.randn(4, 2)
  local E, c = e.classifier(net), neap.randn(4, 1)
  local path = os.tmpname() .. ".safetensors"
  E:save(path)
  local F = e.load(path)
  os.remove(path)
  t.near(F:logits(x, c), E:logits(x, c), 0)
  t.near(F(x, c), -E:logits(x, c):logsumexp(2), 1e-6)
  lu.assertEquals(tostring(F), tostring(E))
end

function T.test_classifier_errors ()
  local E, x = e.classifier(e.mlp {sizes = {2, 6, 3}}), neap.zeros(4, 2)
  t.raises("logits: a classifier expected, got gaussian", E.logits, e.gaussian {mean = {0, 0}}, x)
  t.raises("classifier: x must be [B, 2], got [4, 3]", E.logits, E, neap.zeros(4, 3))
  t.raises("logits: x: tensor expected, got nil; it is called as E:logits(x)", E.logits, E, nil)
  t.raises("classifier: an mlp, a conv or a function that gives logits [B, K] expected, got gaussian", e.classifier,
           e.gaussian {mean = {0, 0}})
  t.raises("the last of the mlp's sizes counts the classes; there is none", e.classifier, e.mlp {sizes = {2}})
  t.raises("classifier: a function of x expected, got number", e.classifier, 3)
  t.raises("classifier: logits must be [B, K] with B = 4, got [4]", e.classifier(function (y) return y:sum(2) end), x)
  t.raises("classifier: unknown option 'parms' (did you mean 'params'?)", e.classifier, print, {parms = {}})
  t.raises("classifier: options are for functions, got some with mlp", e.classifier, e.mlp {sizes = {2, 3}},
           {event = 2})
end

return T
