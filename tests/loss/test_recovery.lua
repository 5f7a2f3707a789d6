-- test_recovery.lua -- diffusion recovery likelihood against the same written by hand, and on Gaussian data, where the
-- optimum is known.
local lu = require "luaunit"
local common = require "loss.common"
local near, all_near, message, number = common.near, common.all_near, common.message, common.number
local T = {}

local f64 = {dtype = "float64"}
local SIGMAS = {.2, 1.5, .6}

local function network ()
  return neap.energy.mlp{sizes = {2, 6}, activation = "tanh", condition = 1, dtype = "float64"}
end

-- The loss as its paper has it, from the draws of rng.
local function by_hand (E, x, rng, s, steps, reg, init)
  local sigmas = neap.tensor({1.5, .6, .2}, f64)
  local k = rng:randint(1, 2, {#x})
  local above, sigma = sigmas:index_select(1, k):unsqueeze(2), sigmas:index_select(1, k + 1):unsqueeze(2)
  local gap = (above ^ 2 - sigma ^ 2):sqrt()
  local clean = x + sigma * rng:normal(x.shape, f64)
  local noisy = clean + gap * rng:normal(x.shape, f64)
  local law = neap.energy(function (z, c)
    local y = c:slice(2, 1, 2) + c:slice(2, 3, 3) * z
    return E(y, c:slice(2, 4, 4)) + z:square():sum(2) / 2
  end)
  local start = init == "data" and (clean - noisy) / gap or neap.zeros_like(noisy)
  local st = s:init(law, start, neap.cat({noisy, gap, sigma}, 2), rng)
  local made = noisy + gap * s:step(law, st, steps).x
  local pos, neg = E(clean, sigma), E(made, sigma)
  return pos:mean() - neg:mean() + reg * (pos:square():mean() + neg:square():mean()), made
end

function T.test_is_what_the_paper_says ()
  local x = common.correlated(40, neap.rng(1))
  for _, case in ipairs {{neap.sampler.langevin{step_size = .1}, 30, 0}, {neap.sampler.mala{step_size = .3}, 5, .2},
                         {neap.sampler.mala{step_size = .2}, 4, 0, "data"}} do
    local s, steps, reg, init = table.unpack(case)
    local E = network()
    local want, made = by_hand(E, x, neap.rng(7), s, steps, reg, init)
    local loss = neap.loss.diffusion_recovery{sigmas = SIGMAS, sampler = s, steps = steps, reg = reg, init = init}
    local value, info = loss(E, x, neap.rng(7))
    all_near(info.samples, made, 1e-9, "samples")
    near(number(value), number(want), 1e-9)
    local got, expected = neap.gradients(value, (E:params())), neap.gradients(want, (E:params()))
    for i, g in ipairs(expected) do all_near(got[i], g, 1e-9, "gradient " .. i) end
  end
end

function T.test_what_is_taken_without_being_said ()
  local E, x = network(), common.correlated(10, neap.rng(1))
  local short = neap.loss.diffusion_recovery{sigmas = SIGMAS}
  local long = neap.loss.diffusion_recovery{sigmas = neap.tensor(SIGMAS), steps = 30, conditional = true,
                                            sampler = neap.sampler.langevin{step_size = .1}}
  near(number((short(E, x, neap.rng(2)))), number((long(E, x, neap.rng(2)))), 1e-6)
end

-- An energy of its own condition is given σ beside it; one without any serves all levels, and sees no σ.
function T.test_conditions ()
  local x, c = common.correlated(30, neap.rng(1)), neap.rng(2):normal({30, 3}, f64)
  local seen
  local function energy (v, given)
    seen = given and given.shape[2] or 0
    return v:square():sum(2) / 2 + (given and given:sum(2) or 0)
  end
  local theta = neap.zeros(1):requires_grad()
  local function tilted (v, given) return energy(v, given) + theta * v:sum(2) end
  local E = neap.energy(tilted, {params = {theta}, event = {2}})
  local function with (o, batch)
    o.sigmas, o.steps = SIGMAS, 2
    neap.loss.diffusion_recovery(o)(E, batch, neap.rng(1))
    return seen
  end
  lu.assertEquals({with({}, x), with({conditional = true}, {x, c}), with({}, {x, c}), with({conditional = false}, x)},
                  {1, 4, 3, 0})
end

-- Of data N(m, v), E(x, σ) = (x − m)²/2(v + σ²): with exact conditional draws that is where the gradient's mean is 0.
function T.test_the_gradient_is_zero_at_the_truth_only ()
  local m, v = .7, .5
  local function z_scores (mean, var, steps, init)
    local theta = {m = neap.tensor(mean, f64):requires_grad(), v = neap.tensor(var, f64):requires_grad()}
    local E = neap.energy(function (x, sigma)
      return ((x - theta.m):square() / (2 * (theta.v + sigma:square()))):sum(2)
    end, {params = theta, event = {1}})
    local mala = neap.sampler.mala{step_size = steps and .1 or .5}
    local loss = neap.loss.diffusion_recovery{sigmas = {1.2, .5, .1}, steps = steps or 40, sampler = mala, init = init}
    local rng, g = neap.rng(4), {}
    for i = 1, 25 do
      local x = m + math.sqrt(v) * rng:normal({400, 1}, f64)
      local d = neap.gradients(loss(E, x, rng), {theta.m, theta.v})
      g[i] = neap.stack({d[1]:reshape(1), d[2]:reshape(1)}, 2)
    end
    g = neap.cat(g, 1)
    return (g:mean(1) / (g:std(1) / 5)):abs():totable()
  end
  local z = z_scores(m, v)
  lu.assertTrue(math.max(z[1], z[2]) < 4, ("at the truth: %.2f, %.2f"):format(z[1], z[2]))
  lu.assertTrue(z_scores(m + .2, v)[1] > 8)
  lu.assertTrue(z_scores(m, 1.3 * v)[2] > 8)
  local short = z_scores(m, v, 1, "data")                              -- from x on one step is right, from x̃ it is not
  lu.assertTrue(math.max(short[1], short[2]) < 4, ("from data: %.2f, %.2f"):format(short[1], short[2]))
  local from_noise = z_scores(m, v, 1)
  lu.assertTrue(from_noise[2] > 8, ("from noise: %.2f, %.2f"):format(from_noise[1], from_noise[2]))
end

-- With two levels, of which one is 0, an energy without a condition learns the data's own law.
function T.test_training_with_one_level ()
  neap.seed(1)
  local x = .5 + .8 * neap.randn(4000, 1)
  local mean, precision = neap.zeros(1):requires_grad(), neap.ones(1, 1):requires_grad()
  local E = neap.energy.gaussian{mean = mean, precision = precision}
  neap.train(E, x, {loss = neap.loss.diffusion_recovery{sigmas = {1, 0}, sampler = neap.sampler.mala{step_size = .5}},
                    optimizer = neap.optim.adam{lr = neap.schedule.cosine{lr = .05, steps = 400}}, batch = 200,
                    steps = 400, seed = 2, progress = false})
  lu.assertAlmostEquals(mean:item(), .5, .04)
  lu.assertAlmostEquals(1 / precision:item(), .64, .06)
end

function T.test_errors ()
  local f, E = neap.loss.diffusion_recovery, network()
  lu.assertStrContains(message(f, {}), "option 'sigmas': a table of numbers or a tensor expected, got nil")
  lu.assertStrContains(message(f, {sigmas = {1}}), "diffusion_recovery: sigmas: at least 2 expected, got 1")
  lu.assertStrContains(message(f, {sigmas = {1, -2}}), "diffusion_recovery: sigmas: a positive number expected, got -2")
  lu.assertStrContains(message(f, {sigmas = {1, .5, 1}}), "different levels expected, got 1 twice")
  lu.assertStrContains(message(f, {sigmas = {1, .5}, steps = 0}), "option 'steps': a positive integer expected, got 0")
  lu.assertStrContains(message(f, {sigmas = {1, .5}, sampler = 3}), "option 'sampler': a sampler expected, got number")
  lu.assertStrContains(message(f, {sigmas = {1, .5}, init = "normal"}), 'diffusion_recovery: init: "data" or nothing')
  lu.assertStrContains(message(f, {sigmas = {1, .5}, reg = -1}), "reg: a number from 0 up expected, got -1")
  lu.assertStrContains(message(f, {sigmas = {1, .5}, sigma = 1}), "unknown option 'sigma'")
  lu.assertStrContains(message(f{sigmas = {1, .5}}, E, neap.tensor({{1, 2}}, {dtype = "int64"})),
                       "diffusion_recovery: batch: float32 or float64 expected, got int64")
end

return T
