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

local function agrees (options, weight, reg)
  local E, x, y = classifier(), common.correlated(30, neap.rng(1)), labels(30)
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
  lu.assertStrContains(message(loss, E, {x, y}), "cross_entropy: labels must be 1..3, got 5")
end

return T
