-- test_jem.lua -- JEM against the same written by hand.
local lu = require "luaunit"
local common = require "loss.common"
local near, all_near, message, number = common.near, common.all_near, common.message, common.number
local T = {}

local langevin = neap.sampler.langevin{step_size = .05}

local function classifier () return neap.energy.classifier(neap.energy.mlp{sizes = {2, 8, 3}, dtype = "float64"}) end
local function labels (n) return neap.rng(5):randint(1, 3, {n}) end

-- mean −log softmax at the labels + weight · (mean E(x) − mean E(samples) + reg · (mean E² + mean E(samples)²))
local function by_hand (E, x, y, samples, weight, reg)
  local f, g = E:logits(x), E:logits(samples)
  local right = f:gather(2, y:unsqueeze(2)):squeeze(2)
  local pos, neg = -f:logsumexp(2), -g:logsumexp(2)
  local marginal = pos:mean() - neg:mean() + reg * (pos:square():mean() + neg:square():mean())
  return (f:logsumexp(2) - right):mean() + weight * marginal
end

local function agrees (options, weight, reg, E, x)
  E, x = E or classifier(), x or common.correlated(30, neap.rng(1))
  local y = labels(30)
  local loss = neap.loss.jem(options)
  for call = 1, 3 do                                                     -- chains go on, or do not
    local value, info = loss(E, {x, y}, neap.rng(call))
    local want = by_hand(E, x, y, info.samples, weight, reg)
    near(number(value), number(want), 1e-10)
    local got, expected = neap.gradients(value, (E:params())), neap.gradients(want, (E:params()))
    for i, g in ipairs(expected) do all_near(got[i], g, 1e-10, "gradient " .. i) end
    near(info.cross_entropy, number(neap.cross_entropy(E:logits(x), y)), 1e-10)
    near(info.accuracy, number(E:logits(x):argmax(2):eq(y):double():mean()), 1e-12)
    near(info.positive, number(E(x):mean()), 1e-10)
    near(info.negative, number(E(info.samples):mean()), 1e-10)
  end
  return loss
end

function T.test_with_chains_from_the_data ()
  lu.assertNil(next(agrees({sampler = langevin, steps = 10}, 1, 0):state()))
  agrees({sampler = langevin, steps = 2, weight = .3, reg = .1, init = "normal"}, .3, .1)
end

function T.test_with_persistent_chains ()
  local loss = agrees({sampler = langevin, steps = 5, buffer = 50, reinit = .05, init = {"uniform", -2, 2}}, 1, 0)
  lu.assertEquals(loss:state().buffer.shape, {50, 2})
end

-- pictures, as the runtime's network sees them and as one of modules does
local f64 = {dtype = "float64"}
local function pictures () return neap.rng(1):normal({30, 1, 7, 6}, f64) end
local function of_pictures ()
  local nn = neap.nn
  local net = nn.sequential{nn.conv{1, 2, stride = 2, dtype = "float64"}, neap.silu, nn.flatten(),
                            nn.linear{24, 3, dtype = "float64"}}
  return neap.energy.classifier(neap.energy.conv{input = {1, 7, 6}, channels = {2, 3}, hidden = {4, 3},
                                                 dtype = "float64"}),
         neap.energy.classifier(net, {event = {1, 7, 6}})
end

function T.test_of_images ()
  for _, E in ipairs {of_pictures()} do
    agrees({sampler = langevin, steps = 2, init = "normal"}, 1, 0, E, pictures())
    local loss = agrees({sampler = langevin, steps = 5, buffer = 40, reinit = .05, reg = .1, weight = .5,
                         init = {"uniform", -1, 1}}, .5, .1, E, pictures())
    lu.assertEquals(loss:state().buffer.shape, {40, 1, 7, 6})
  end
end

-- Its gradient is that of differences, chains held where they are.
function T.test_gradient_against_differences ()
  for _, E in ipairs {of_pictures()} do
    local x, y, h = pictures(), labels(30), 1e-5
    local value, info = neap.loss.jem{sampler = langevin, steps = 3, buffer = 40, reg = .1}(E, {x, y}, neap.rng(2))
    local params = E:params()
    for i, g in ipairs(neap.gradients(value, params)) do
      local flat = params[i]:detach():flatten()
      for k = 1, math.min(3, flat:numel()) do
        local v, at = number(flat[k]), {}
        for side = -1, 1, 2 do
          flat[k] = v + side * h
          at[side] = number(by_hand(E, x, y, info.samples, 1, .1))
        end
        flat[k] = v
        near(number(g:flatten()[k]), (at[1] - at[-1]) / (2 * h), 1e-7, ("parameter %d[%d]"):format(i, k))
      end
    end
  end
end

-- E:class() and pcd learn p(x | class): each chain keeps its class, and a run that goes on from a file goes on alike.
function T.test_chains_of_classes ()
  local x, y, path = pictures(), labels(30), os.tmpname() .. ".safetensors"
  local function run (steps, o)
    neap.seed(1)
    local E = of_pictures()
    o.loss = neap.loss.pcd{sampler = langevin, steps = 2, buffer = 40, init = {"uniform", -1, 1}}
    o.optimizer, o.batch, o.seed, o.progress, o.steps = neap.optim.adam{lr = .01}, 10, 3, false, steps
    neap.train(E:class(), {x, y}, o)
    return E, o.loss:state()
  end
  local E, state = run(20, {})
  lu.assertEquals(state.condition.shape, {40})
  lu.assertEquals(state.condition.dtype, "int64")
  run(11, {checkpoint = path})
  local F, again = run(20, {resume = path})
  os.remove(path)
  os.remove((path:gsub("%.safetensors$", ".previous.safetensors")))
  for i, p in ipairs((E:params())) do all_near(p, F:params()[i], 0, "parameter " .. i) end
  all_near(state.buffer, again.buffer, 0, "chains")
  lu.assertTrue(state.condition:eq(again.condition):all():item())
end

-- Logits −½|x − mₖ|² + aₖ: class k is N(mₖ, 1), so the likelihood's gradient by mₖ is −(share of k)·(mean of its data
-- − mₖ), and by a nothing: the chains' classes are the data's.
function T.test_gradient_of_the_classes_likelihood ()
  local m, a = neap.tensor({{0, 2}, {-2, 0}, {2, -1}}, f64), neap.tensor({0, 1, 2}, f64)
  local E = neap.energy.classifier(function (x) return a - .5 * (x:unsqueeze(2) - m):square():sum(3) end,
                                   {params = {m = m, a = a}, event = 2})
  local n = 6000
  local y = labels(n)
  local x = neap.rng(7):normal({n, 2}, f64) + 1
  local loss = neap.loss.pcd{sampler = neap.sampler.mala{step_size = .5}, steps = 20}
  local by = common.grads_of(loss, E:class(), {x, y}, neap.rng(1))
  local chains_of = loss:state().condition
  for k = 1, 3 do
    local share, chains = y:eq(k):to("float64"):mean():item(), chains_of:eq(k):to("float64"):mean():item()
    local want = -share * (x[y:eq(k)]:mean(1) - m[k])
    all_near(by.m[k], want, 4 * (share / n) ^ .5, "mean " .. k)      -- four deviations of the chains' mean
    near(number(by.a[k]), chains - share, 1e-9, "a")
  end
end

-- Its second half is cd's and pcd's own, from the same draws.
function T.test_marginal_is_that_of_cd_and_pcd ()
  local E, x, y = classifier(), common.correlated(30, neap.rng(1)), labels(30)
  for name, o in pairs {cd = {}, pcd = {buffer = 40}} do
    o.sampler, o.steps = langevin, 5
    local plain = number((neap.loss[name](o)(E, x, neap.rng(3))))
    local value, info = neap.loss.jem(o)(E, {x, y}, neap.rng(3))
    near(number(value) - info.cross_entropy, plain, 1e-12, name)
  end
end

-- Training does both: it tells the classes apart, and its density has the data's mean.
function T.test_training ()
  neap.seed(1)
  local y = labels(600)
  local x = neap.tensor{{2, 0}, {-1, 2}, {-1, -2}}:index_select(1, y) + .5 * neap.randn(600, 2)
  local E, seen = neap.energy.classifier(neap.energy.mlp{sizes = {2, 32, 32, 3}}), {}
  neap.train(E, {x, y}, {
    loss = neap.loss.jem{sampler = langevin, steps = 20, buffer = 500, reinit = .05, reg = .01},
    batch = 100, steps = 800, seed = 1, progress = false,
    optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = 3e-3, steps = 800}},
    on_step = function (step, _, info) seen[step] = info.accuracy end,
  })
  lu.assertTrue(seen[800] > .95, "accuracy " .. seen[800])
  local draws = neap.sampler.mala{step_size = .1}:sample(E, {init = x, steps = 300, thin = 100, seed = 1})
  local m = draws[3]:mean(1)
  lu.assertTrue((m - x:mean(1)):abs():max():item() < .35, tostring(m))
end

function T.test_errors ()
  local jem = neap.loss.jem
  local E, x, y = classifier(), common.correlated(6, neap.rng(1)), labels(6)
  lu.assertStrContains(message(jem, {}), "loss.jem: option 'sampler': a sampler expected, got nil")
  local function with (o)
    o.sampler = langevin
    return message(jem, o)
  end
  lu.assertStrContains(with{weight = -1}, "jem: weight: a number from 0 up expected, got -1")
  lu.assertStrContains(with{reinit = .1}, "jem: reinit: a buffer of chains expected with it")
  lu.assertStrContains(with{buffer = 9, reinit = 2}, "jem: reinit: a probability expected")
  lu.assertStrContains(with{buffr = 9}, "unknown option 'buffr'")
  local loss = jem{sampler = langevin}
  lu.assertStrContains(message(loss, E, x), "jem: batch: {x, labels} expected, got x alone")
  lu.assertStrContains(message(loss, E, {x, y:double()}), "labels int64 [6], 1 … K, expected, got float64 [6]")
  lu.assertStrContains(message(loss, E, {x, y:slice(1, 1, 3)}), "labels int64 [6], 1 … K, expected, got int64 [3]")
  lu.assertStrContains(message(loss, neap.energy.mlp{sizes = {2, 3}}, {x, y}),
                       "jem: E: neap.energy.classifier(…) expected, got mlp")
  y[4] = 5
  lu.assertStrContains(message(loss, E, {x, y}), "one_hot: indices must be 1..3, got 5")
end

return T
