-- test_minibatch.lua -- sgld and sghmc on posteriors whose law, and whose bias, is known.
-- The mean of N(θ, 1) data with the prior N(0, 1/λ) has a normal posterior of precision P = λ + N.  With a batch of n
-- of the N rows the gradient is P(θ − m) + noise of variance V = N²s²/n, s² the data's variance, whatever θ is: each step
-- is linear in θ, so its stationary variance is known exactly.
local lu = require "luaunit"
local law = require "sampler.law"
local T = {}

local f64 = {dtype = "float64"}
local N, LAMBDA = 50, 4
local data = .6 + neap.rng(3):normal({N, 1}, f64)
local P, S2 = LAMBDA + N, data:var({1, 2}, false, {unbiased = false}):item()
local MEAN = data:sum():item() / P

local function likelihood ()
  return neap.energy(function (theta, y) return ((y - theta:unsqueeze(2)) ^ 2):sum({2, 3}) / 2 end, {event = {1}})
end
local function prior ()
  return neap.energy.gaussian{mean = neap.zeros(1, f64), precision = neap.tensor({{LAMBDA}}, f64)}
end

-- z-scores of mean and variance of independent chains' last position, after `steps`
local function scores (s, steps, variance)
  local draws = s:sample(likelihood(), {chains = 4000 * law.more, steps = steps, thin = steps, seed = 8, dtype = "float64"})
  return law.z(draws, function (x) return x:select(3, 1) end, MEAN),
         law.z(draws, function (x) return (x:select(3, 1) - MEAN) ^ 2 end, variance)
end

local function assert_law (s, steps, variance, what)
  local m, v = scores(s, steps, variance)
  lu.assertTrue(math.abs(m) < 4 and math.abs(v) < 4, ("%s: mean z = %.2f, variance z = %.2f"):format(what, m, v))
end

-- θ ← θ − ε(P(θ − m) + noise) + √(2ε)n: variance (2ε + ε²V) / (1 − (1 − εP)²)
local function sgld_variance (eps, V) return (2 * eps + eps * eps * V) / (1 - (1 - eps * P) ^ 2) end

function T.test_sgld_has_exactly_the_bias_it_must ()
  for batch, eps in pairs {[5] = .01, [20] = .004} do
    local V = N * N * S2 / batch
    local s = neap.sampler.sgld{step_size = eps, data = data, batch = batch, prior = prior()}
    assert_law(s, 60, sgld_variance(eps, V), "batch " .. batch)
    local _, z = scores(s, 60, 1 / P)
    lu.assertTrue(z > 10, "the law must differ from the posterior: z = " .. z)
  end
end

-- All the data: Langevin on the posterior, whose variance is off by the factor 1/(1 − εP/2) only.
function T.test_sgld_with_all_the_data ()
  local eps = .005
  assert_law(neap.sampler.sgld{step_size = eps, data = data, prior = prior()}, 60, 1 / P / (1 - eps * P / 2), "all")
end

-- Steps that shrink: the variance obeys v ← (1 − εP)²v + 2ε + ε²V with ε of that step, and comes to the posterior's.
function T.test_sgld_with_shrinking_steps ()
  local batch, power, delay, eps0, steps = 10, .6, 3, .012, 400
  local V, v, m = N * N * S2 / batch, 1, -MEAN
  for t = 0, steps - 1 do
    local eps = eps0 * (1 + t / delay) ^ -power
    v, m = (1 - eps * P) ^ 2 * v + 2 * eps + eps * eps * V, (1 - eps * P) * m
  end
  lu.assertTrue(math.abs(m) < 1e-3 and v * P < 1.2)
  local s = neap.sampler.sgld{step_size = eps0, data = data, batch = batch, prior = prior(), power = power, delay = delay}
  assert_law(s, steps, v, "shrinking")
end

-- (θ, p) ← A (θ, p) + noise: the stationary covariance solves S = A S Aᵀ + Q.
local function sghmc_variance (eps, C, B, V)
  local A = {{1, eps}, {-eps * P, 1 - eps * eps * P - eps * C}}
  local q = 2 * (C - B) * eps + eps * eps * V
  local a, b, d = 1, 0, 1                                       -- S = {{a, b}, {b, d}}
  for _ = 1, 20000 do
    local aa = A[1][1] ^ 2 * a + 2 * A[1][1] * A[1][2] * b + A[1][2] ^ 2 * d
    local bb = A[1][1] * A[2][1] * a + (A[1][1] * A[2][2] + A[1][2] * A[2][1]) * b + A[1][2] * A[2][2] * d
    a, b, d = aa, bb, A[2][1] ^ 2 * a + 2 * A[2][1] * A[2][2] * b + A[2][2] ^ 2 * d + q
  end
  return a
end

function T.test_sghmc_has_exactly_the_bias_it_must ()
  local batch, eps, C = 10, .05, 5
  local V = N * N * S2 / batch
  for _, B in ipairs {0, eps * V / 2 * .5} do
    local s = neap.sampler.sghmc{step_size = eps, data = data, batch = batch, prior = prior(), friction = C, noise = B}
    assert_law(s, 150, sghmc_variance(eps, C, B, V), "noise " .. B)
  end
  local s = neap.sampler.sghmc{step_size = .02, data = data, prior = prior(), friction = C}
  assert_law(s, 400, sghmc_variance(.02, C, 0, 0), "all the data")
  lu.assertAlmostEquals(sghmc_variance(1e-3, C, 0, 0) * P, 1, .01)
end

-- A prior is counted once, however small the batch; without one it is flat.
function T.test_energy_is_the_estimate_of_the_whole ()
  local s = neap.sampler.sgld{step_size = 1e-9, data = data, batch = 7, prior = prior()}
  local st = s:init(likelihood(), neap.full({40000, 1}, .3, f64), neap.rng(2))
  local all = (LAMBDA * .09 + ((data - .3) ^ 2):sum():item()) / 2
  local e = st.energy
  lu.assertTrue(math.abs((e:mean():item() - all) / (e:std():item() / 200)) < 4)
  local flat = neap.sampler.sgld{step_size = 1e-9, data = data}:init(likelihood(), neap.full({2, 1}, .3, f64))
  lu.assertAlmostEquals(flat.energy[1]:item(), all - LAMBDA * .045, 1e-10)
  lu.assertAlmostEquals(flat.grad[1][1]:item(), N * .3 - data:sum():item(), 1e-10)
end

-- Regression: inputs and outputs are columns of the data; float32 chains on float64 data; a flat posterior's mean is
-- that of least squares.
function T.test_regression ()
  local rng = neap.rng(6)
  local X = rng:normal({200, 2}, f64)
  local y = X:matmul(neap.tensor({{1}, {-2}}, f64)) + .5 * rng:normal({200, 1}, f64)
  local E = neap.energy(function (w, rows)
    local fit = (rows:slice(3, 1, 2) * w:unsqueeze(2)):sum(3)
    return ((rows:select(3, 3) - fit) ^ 2):sum(2) / (2 * .25)
  end, {event = {2}})
  local s = neap.sampler.sgld{step_size = 2e-5, data = neap.cat({X, y}, 2), batch = 20}
  local draws, info = s:sample(E, {chains = 500, steps = 200, warmup = 1000, seed = 1})
  lu.assertEquals(draws.dtype, "float32")
  local want = (X:t():matmul(X)):inverse():matmul(X:t()):matmul(y)
  for i = 1, 2 do
    local z = law.z(draws:double(), function (x) return x:select(3, i) end, want[i][1]:item())
    lu.assertTrue(math.abs(z) < 4, ("weight %d: z = %.2f"):format(i, z))
  end
  lu.assertEquals({info.accept_rate, info.energy.shape}, {1, {200, 500}})
end

function T.test_draws_do_not_depend_on_threads_or_programs ()
  local s = neap.sampler.sgld{step_size = .002, data = data, batch = 5, prior = prior(), power = .3}
  local before, out = neap.threads(), {}
  for n = 1, 2 do
    neap.threads(n)
    out[n] = s:sample(likelihood(), {chains = 90, steps = 10, seed = 1, dtype = "float64"})
  end
  neap.threads(before)
  lu.assertTrue(out[1]:eq(out[2]):all():item())
  local rng = neap.rng(1)
  local st = s:init(likelihood(), rng:normal({90, 1}, f64), rng)
  for _ = 1, 10 do st = s:step(likelihood(), st) end                       -- anew each time: other minibatches
  lu.assertEquals(st.x.shape, {90, 1})
  lu.assertEquals(st.moves[1]:item(), 10)
end

-- Coordinates that E holds stay.
function T.test_fixed_coordinates ()
  local E = neap.energy(function (theta, y) return ((y - theta:unsqueeze(2)) ^ 2):sum({2, 3}) end, {event = {2}})
  local held = E:fix(neap.tensor {true, false}, neap.tensor {3., 0.})
  for _, s in ipairs {neap.sampler.sgld{step_size = .001, data = neap.cat({data, data}, 2), batch = 5},
                      neap.sampler.sghmc{step_size = .001, data = neap.cat({data, data}, 2), batch = 5}} do
    local draws = s:sample(held, {chains = 4, steps = 8, seed = 1})
    lu.assertTrue(draws:select(3, 1):eq(3):all():item())
    lu.assertFalse(draws:select(3, 2):eq(0):any():item())
  end
end

function T.test_errors ()
  local says = require("errors").raises
  local sgld, sghmc = neap.sampler.sgld, neap.sampler.sghmc
  says("sampler.sgld: option 'step_size': number expected, got none", sgld, {data = data})
  says("sampler.sgld: option 'data': a tensor [N, ...] expected, got nil", sgld, {step_size = 1})
  says("sampler.sghmc: option 'data': a tensor [N, ...] expected, got table", sghmc, {step_size = 1, data = {1}})
  says("option 'batch': a positive integer expected, got 0", sgld, {step_size = 1, data = data, batch = 0})
  says("option 'prior': an energy expected, got number", sgld, {step_size = 1, data = data, prior = 3})
  says("sgld: step_size: a positive number expected, got -1", sgld, {step_size = -1, data = data})
  says("sgld: data: a tensor [N, …] of 1 to 7 dimensions with rows expected, got [0, 2]", sgld,
       {step_size = 1, data = neap.zeros(0, 2)})
  says("sgld: power: a number from 0 up expected, got -1", sgld, {step_size = 1, data = data, power = -1})
  says("option 'delay': a positive number expected, got 0", sgld, {step_size = 1, data = data, delay = 0})
  says("sghmc: friction: a positive number expected, got -1", sghmc, {step_size = 1, data = data, friction = -1})
  says("sghmc: noise: a number from 0 to the friction 1 expected, got 2", sghmc,
       {step_size = 1, data = data, noise = 2})
  says("unknown option 'bath' (did you mean 'batch'?)", sgld, {step_size = 1, data = data, bath = 3})
  local s = sgld{step_size = 1, data = data}
  says("sgld: E: an energy of (x, rows of the data) expected, got gaussian", s.sample, s, prior(), {steps = 4})
  says("sgld: condition: none expected", s.sample, s, likelihood(), {steps = 4, condition = neap.zeros(4, 1)})
end

return T
