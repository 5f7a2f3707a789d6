-- Classifiers of images and the energies of their classes: against their formulas, as programs, in files, in error.
local lu = require "luaunit"
local t = require "energy.near"
local compare = require "program.compare"
local e = neap.energy
local T = {}
local f64 = {dtype = "float64"}

-- of the runtime's network and of one of modules: [B, 2, 9, 7] -> 3 classes
local function images (options)
  local o = {input = {2, 9, 7}, channels = {3, 4}, kernels = {5, 3}, strides = {2, 1}, hidden = {6, 3},
             dtype = "float64"}
  for k, v in pairs(options or {}) do o[k] = v end
  return e.classifier(e.conv(o))
end

local function modules ()
  local nn = neap.nn
  local net = nn.sequential{nn.conv{2, 3, stride = 2, dtype = "float64"}, neap.silu, nn.flatten(),
                            nn.linear{60, 3, dtype = "float64"}}
  return e.classifier(net, {event = {2, 9, 7}})
end

local function some (n) return neap.randn({n, 2, 9, 7}, f64) end
local function classes (v) return neap.tensor(v, {dtype = "int64"}) end

function T.test_conv_is_its_formula ()
  local E, x = images(), some(5)
  local p = E:params()
  lu.assertEquals(table.concat(select(2, E:params()), " "),
                  "weight1 bias1 weight2 bias2 weight3 bias3 weight4 bias4")
  lu.assertEquals({p[5].shape, p[7].shape, p[8].shape}, {{6, 80}, {3, 6}, {3}})
  local h = neap.silu(neap.conv2d(x, p[1], p[2], {stride = 2, padding = 2}))
  h = neap.silu(neap.conv2d(h, p[3], p[4], {padding = 1})):flatten(2)
  local f = neap.silu(h:linear(p[5], p[6])):linear(p[7], p[8])
  t.near(E:logits(x), f, 1e-12)
  t.near(E(x), -f:logsumexp(2), 1e-12)
  lu.assertStrContains(tostring(E), "conv_classifier(2x9x7, 3 k5 s2, 4 k3 s1, 6, 3): event [2, 9, 7], 8 parameters")
  local net = e.conv {input = {2, 9, 7}, channels = {3}, hidden = 4, dtype = "float64"}
  local F = e.classifier(net)                               -- a single hidden size counts the classes
  lu.assertEquals(F:logits(x).shape, {5, 4})
  t.near(net(x), F:logits(x):silu():linear(net.weight3, net.bias3):squeeze(2), 1e-12)      -- the tensors are net's
end

-- P(k | x) = e^(E(x) − E:class(k)(x)), and all classes together are E again
function T.test_energies_of_classes ()
  local w = neap.randn({126, 3}, f64)
  local linear = e.classifier(function (x) return x:flatten(2):matmul(w) end, {params = {w}, event = {2, 9, 7}})
  for _, E in ipairs {images(), modules(), linear} do
    local x, parts = some(4), {}
    local f, p = E:logits(x), E:logits(x):softmax(2)
    for k = 1, 3 do
      parts[k] = E:class(k)
      t.near(parts[k](x), -f[{{}, k}], 1e-12)
      t.near((E(x) - parts[k](x)):exp(), p[{{}, k}], 1e-12)
    end
    t.near(e.any(parts)(x), E(x), 1e-12)
    local y, J = classes {3, 1, 1, 2}, E:class()
    local own = -f:gather(2, y:unsqueeze(2)):squeeze(2)
    for _, got in ipairs {J(x, y), J(x, y:unsqueeze(2)), J(x, y:double()), E:class(y)(x), E:class {3, 1, 1, 2}(x)} do
      t.near(got, own, 1e-12)
    end
    t.near(J:given(2)(x), parts[2](x), 0)
    t.near(J:score(x, y), E:class(y):score(x), 0)
    t.near((parts[1] - .5 * parts[2])(x), .5 * f[{{}, 2}] - f[{{}, 1}], 1e-12)
    lu.assertEquals(#parts[1]:params(), #E:params())
    lu.assertTrue(parts[1].event[1] == 2 and parts[1].event[3] == 7)
  end
end

-- another class's logit may be anything
function T.test_class_of_infinite_logits ()
  local E = e.classifier(function (x) return neap.cat({x, x * math.huge}, 2) end)
  local x = neap.tensor({{1.5}, {-2}}, f64)
  t.near(E:class(1)(x), {-1.5, 2}, 0)
end

function T.test_derivatives ()
  local o = {input = {1, 5, 5}, channels = {2, 2}, activation = "softplus", hidden = {3, 2}}
  local E, x = images(o), neap.randn({2, 1, 5, 5}, f64)
  t.smooth(E, x)
  t.smooth(E:class(2), x)
  local y = classes {2, 1}
  local ok, report = neap.gradcheck(function (...)
    local F = E:with {...}
    return (F:class(y):score(x) ^ 2):sum() / 2 + (F:class()(x, y) ^ 2):mean() + F(x):mean()
  end, E:params(), {order = 1})
  lu.assertTrue(ok, "worst " .. report.worst)
end

-- logits −½ |x − mₖ|² + aₖ: class k's draws are N(mₖ, 1), whichever way its energy was made
function T.test_draws_of_a_class ()
  local m = neap.tensor({{0, 3}, {-2, 1}, {4, 0}}, f64)
  local E = e.classifier(function (x)
    return -.5 * (x:unsqueeze(2) - m):square():sum(3) + neap.tensor({1, 2, 3}, f64)
  end, {event = 2})
  local function mean (F, o)
    o.chains, o.steps, o.warmup, o.seed, o.dtype = 400, 40, 40, 1, "float64"
    local draws = neap.sampler.hmc {step_size = .7, leapfrog_steps = 3}:sample(F, o)
    return draws:mean(1)
  end
  for k = 1, 3 do t.near(mean(E:class(k), {}):mean(1), m[k], .06) end      -- 16000 draws: .008 each way if independent
  local y = (neap.arange(1, 400) % 3 + 1):to "int64"
  local means = mean(E:class(), {condition = y})
  for k = 1, 3 do t.near(means[y:eq(k)]:mean(1), m[k], .09) end
end

function T.test_files_and_text ()
  local E, x = images {activation = "tanh"}, some(3)
  for _, whole in ipairs {E, E:class(), E:class(2), E:class {1, 3, 2}, E:class(1) + .5 * E} do
    local path = os.tmpname() .. ".safetensors"
    whole:save(path)
    local F = e.load(path)
    os.remove(path)
    lu.assertEquals(tostring(F), tostring(whole))
    local c = tostring(E:class()) == tostring(whole) and classes {1, 2, 3} or nil
    t.near(F(x, c), whole(x, c), 0)
  end
  lu.assertStrContains(tostring(E:class(2)), "6, 3):class(2): event")
  lu.assertStrContains(tostring(E:class()), "6, 3):class(): event")
  lu.assertStrContains(tostring(E:class {1, 3, 2}), "6, 3):class(...): event")
  local F = E:class(2):clone()
  F.weight1[{}] = 0
  lu.assertTrue(E.weight1:abs():max():item() > 0)
end

-- chains of classes run in blocks of images, with the same bits on any number of threads
function T.test_programs ()
  local E = images {input = {1, 12, 12}, channels = {8, 16}, dtype = "float32", rng = neap.rng(1)}
  local x, y = neap.rng(2):normal {70, 1, 12, 12}, neap.rng(3):randint(1, 3, {70})
  local s = neap.sampler.langevin {step_size = .1, noise_std = 0}
  for _, F in ipairs {E, E:class(2), e.any {E:class(1), E:class(3)}} do
    local function chains () return {s:step(F, s:init(F, x, neap.rng(4)), 6).x} end
    lu.assertTrue(compare.same_for_threads(chains))
    local z = x
    for _ = 1, 6 do z = z - .1 * F:grad(z) end
    t.near(chains()[1], z, 1e-4)
    lu.assertStrContains(neap.explain(s, F, x), "in blocks of rows")
  end
  local z = x                                               -- each chain with a class of its own
  for _ = 1, 6 do z = z - .1 * E:class(y):grad(z) end
  local function chains () return {s:sample(E:class(), {init = x, steps = 6, condition = y})[6]} end
  lu.assertTrue(compare.same_for_threads(chains))
  t.near(chains()[1], z, 1e-4)
end

function T.test_errors ()
  local E, x = images(), some(4)
  t.raises("class: whole numbers expected", E:class(2.5), x)
  t.raises("one_hot: indices must be 1..3, got 4", E:class(4), x)
  t.raises("one_hot: indices must be 1..3, got 0", E:class(0), x)
  t.raises("class: one class for each of 4 rows expected, got [4, 2]", E:class(), x, neap.ones(4, 2))
  t.raises("class: a condition c is needed", E:class(), x)
  t.raises("class: tensor, table or number expected, got string", E.class, E, "coat")
  t.raises("class: a classifier expected, got conv", E.class, e.conv {input = {1, 4, 4}, channels = {2}}, 1)
  t.raises("class: classifier takes a condition", E.class, e.classifier(e.mlp {sizes = {2, 3}, condition = 1}), 1)
  t.raises("conv_classifier takes no condition; E:class(k) is the energy of a class", E.given, E, 2)
  t.raises("classifier: an mlp, a conv or a function that gives logits [B, K] expected, got ring", e.classifier,
           e.ring {radius = 1, std = 1})
  t.raises("the last of the conv's hidden sizes counts the classes; there is none", images, {hidden = 0})
  t.raises("conv: hidden[2] must be 1 to 2147483647, got 0", images, {hidden = {4, 0}})
  t.raises("conv: option 'hidden': integer expected, got string", images, {hidden = "x"})
  lu.assertErrorMsgContains("conv_classifier: x must be [B, 2, 9, 7], got [4, 2, 9, 8]", E, neap.zeros(4, 2, 9, 8))
end

return T
