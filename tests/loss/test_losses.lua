-- test_losses.lua -- losses against closed forms and against enumeration.

local lu = require "luaunit"
local law = require "sampler.law"
local T = {}

local common = require "loss.common"
local near, all_near, message, number = common.near, common.all_near, common.message, common.number
local quadratic, correlated, sample_moments = common.quadratic, common.correlated, common.sample_moments
local grads_of, check_gradient = common.grads_of, common.check_gradient
local machine, states = common.machine, common.states
local f64 = {dtype = "float64"}

-- ---- exact score matching ------------------------------------------------------------------------

function T.test_score_matching_of_a_quadratic ()
  local x = correlated(500, neap.rng(1))
  local m, P = neap.tensor({.3, .1}, f64), neap.tensor({{2, .5}, {.5, 1}}, f64)
  local value = neap.loss.score_matching{}(quadratic(m, P), x)
  local expected = (((x - m):matmul(P)):square():sum(2) / 2):mean() - P:trace()
  near(number(value), number(expected), 1e-12)
end

-- The optimum is the sample's own mean and inverse covariance, and there the gradient is 0.
function T.test_score_matching_optimum_is_the_gaussian ()
  local x = correlated(400, neap.rng(2))
  local m, C = sample_moments(x)
  local loss = neap.loss.score_matching{}
  local g, value = grads_of(loss, quadratic(m:clone(), C:inverse()), x)
  near(number(value), -.5 * number(C:inverse():trace()), 1e-10)
  lu.assertTrue(number(g.m:abs():amax()) < 1e-12)
  lu.assertTrue(number((g.P + g.P:t()):abs():amax()) < 1e-10)
  local worse = loss(quadratic(m:clone(), C:inverse() * 1.1), x)
  lu.assertTrue(number(worse) > number(value))
end

function T.test_gradients_through_gradients ()
  local x = correlated(16, neap.rng(5))
  check_gradient(neap.loss.score_matching{}, x, 1e-7)
  check_gradient(neap.loss.dsm{sigma = .3}, x, 1e-7)
  check_gradient(neap.loss.multi_dsm{sigmas = {.1, 1}, conditional = false}, x, 1e-7)
  check_gradient(neap.loss.fisher{score = function (y) return -y end}, x, 1e-7)
  check_gradient(neap.loss.nce{noise = neap.energy.gaussian{mean = neap.tensor{0, 0}, std = 2}, ratio = 2}, x, 1e-7)
end

-- ---- denoising -----------------------------------------------------------------------------------

function T.test_dsm_is_its_formula ()
  local x, m, P = correlated(64, neap.rng(1)), neap.tensor({1, 0}, f64), neap.eye(2, f64)
  local E, sigma = quadratic(m, P), .4
  local value = neap.loss.dsm{sigma = sigma}(E, x, neap.rng(8))
  local n = neap.rng(8):normal({64, 2}, f64)
  local s = E:score(x + sigma * n)
  near(number(value), number(((sigma * s + n):square():sum(2) / 2):mean()), 1e-12)
end

-- For data N(0, C) the optimum is the score of N(0, C + σ²I); there the expected loss is ½ tr(C (C + σ²I)⁻¹).
function T.test_dsm_optimum_is_the_blurred_gaussian ()
  local sigma, n = .7, 40000
  local blurred = 1 + sigma ^ 2
  local E = quadratic(neap.zeros(2, f64), neap.eye(2, f64) / blurred)
  local x = neap.rng(3):normal({n, 2}, f64)
  local g, value = grads_of(neap.loss.dsm{sigma = sigma}, E, x, neap.rng(4))
  near(number(value), 1 / blurred, .02)      -- two dimensions, half each
  lu.assertTrue(number(g.P:abs():amax()) < .02)
  lu.assertTrue(number(g.m:abs():amax()) < .02)
end

function T.test_multi_dsm_with_and_without_a_condition ()
  local x, levels = correlated(50, neap.rng(1)), neap.tensor({.1, .5, 2}, f64)
  local function noise ()
    local rng = neap.rng(6)
    local sigma = levels:index_select(1, rng:randint(1, 3, {50}))
    return sigma:unsqueeze(2), rng:normal({50, 2}, f64)
  end
  local sigma, n = noise()
  local E = quadratic(neap.zeros(2, f64), neap.eye(2, f64))
  local value = neap.loss.multi_dsm{sigmas = {.1, .5, 2}, conditional = false}(E, x, neap.rng(6))
  near(number(value), number(((n - sigma * (x + sigma * n)):square():sum(2) / 2):mean()), 1e-12)
  local given = neap.energy(function (y, c)
    lu.assertEquals(c.shape, {50, 1})
    return (y:square():sum(2) / (2 * c:squeeze(2):square()))
  end, {event = {2}})
  value = neap.loss.multi_dsm{sigmas = levels}(given, x, neap.rng(6))
  near(number(value), number(((n - (x + sigma * n) / sigma):square():sum(2) / 2):mean()), 1e-12)
end

-- ---- Fisher divergence ---------------------------------------------------------------------------

function T.test_fisher_is_zero_at_the_truth ()
  local x = correlated(100, neap.rng(1))
  local E = neap.energy.gmm{means = neap.tensor({{-2, -2}, {2, 2}}, f64), std = neap.tensor(.7071, f64)}
  local by_density = neap.loss.fisher{log_prob = function (y) return -E(y) end}
  local by_score = neap.loss.fisher{score = function (y) return E:score(y) end}
  lu.assertTrue(number((by_density(E, x))) < 1e-20)
  lu.assertTrue(number((by_score(E, x))) < 1e-20)
end

function T.test_fisher_between_gaussians ()
  local x = correlated(100, neap.rng(1))
  local E = quadratic(neap.zeros(2, f64), 3 * neap.eye(2, f64))
  local loss = neap.loss.fisher{log_prob = function (y) return -.5 * y:square():sum(2) end}
  near(number((loss(E, x))), number((.5 * 4 * x:square():sum(2)):mean()), 1e-12)
end

function T.test_fisher_errors ()
  local E, x = quadratic(neap.zeros(2, f64), neap.eye(2, f64)), correlated(5, neap.rng(1))
  lu.assertStrContains(message(neap.loss.fisher, {}), "one of the options 'log_prob' and 'score'")
  lu.assertStrContains(message(neap.loss.fisher, {score = 3}), "function expected, got number")
  lu.assertStrContains(message(neap.loss.fisher{score = function (y) return y:sum(2) end}, E, x),
                       "[5, 2] expected, got [5]")
  lu.assertStrContains(message(neap.loss.fisher{log_prob = function (y) return y end}, E, x), "[5] expected")
  lu.assertStrContains(message(neap.loss.fisher{score = function () error "no score" end}, E, x), "no score")
  lu.assertStrContains(message(neap.loss.fisher{score = function () return nil end}, E, x),
                       "a tensor expected, got nil")
end

-- ---- noise contrastive estimation ------------------------------------------------------------------

local function normal_energy (mean)
  return neap.energy(function (x) return (.5 * (x - mean):square()):sum(2) + .5 * math.log(2 * math.pi) end,
                     {event = {1}})
end

-- log p of N(mean, 1) in one dimension
local function normal_noise (mean)
  return {sample = function (n, rng) return rng:normal({n, 1}, f64) + mean end,
    log_prob = function (x) return -(.5 * (x - mean):square()):sum(2) - .5 * math.log(2 * math.pi) end}
end

function T.test_nce_with_the_datas_own_law_as_noise ()
  local x = neap.rng(1):normal({50, 1}, f64)
  near(number((neap.loss.nce{noise = normal_noise(0)}(normal_energy(0), x))), 2 * math.log(2), 1e-12)
  local gaussian = neap.energy.gaussian{mean = neap.tensor({0, 0}, f64), std = 1}
  local normalised = gaussian + math.log(2 * math.pi)
  near(number((neap.loss.nce{noise = gaussian}(normalised, neap.randn(20, 2, f64)))), 2 * math.log(2), 1e-12)
  local ratio = 3                            -- p = P(data) = 1/4: -log ¼ - 3 log ¾
  near(number((neap.loss.nce{noise = normal_noise(0), ratio = ratio}(normal_energy(0), x))),
    math.log(1 + ratio) + ratio * math.log((1 + ratio) / ratio), 1e-12)
end

-- JSD(N(0, 1), N(shift, 1)) by quadrature
local function jensen_shannon (shift)
  local n, sum = 20000, 0
  for i = 0, n do
    local x = -12 + 24 * i / n
    local p, q = math.exp(-x * x / 2), math.exp(-(x - shift) ^ 2 / 2)
    local m = (p + q) / 2
    sum = sum + (p > 0 and p * math.log(p / m) or 0) / 2 + (q > 0 and q * math.log(q / m) or 0) / 2
  end
  return sum * 24 / n / math.sqrt(2 * math.pi)
end

function T.test_nce_otherwise_is_2_log_2_minus_2_jsd ()
  local x, n = neap.rng(1):normal({40000, 1}, f64), 40000
  local value = number((neap.loss.nce{noise = normal_noise(1.5)}(normal_energy(0), x, neap.rng(2))))
  local truth = 2 * math.log(2) - 2 * jensen_shannon(1.5)
  local spread = 1.2 / math.sqrt(n)          -- of the two means together, with room
  lu.assertTrue(math.abs(value - truth) < 4 * spread, ("%g, expected %g"):format(value, truth))
  lu.assertTrue(math.abs(value - 2 * math.log(2)) > 20 * spread)
end

function T.test_nce_learns_log_z ()
  local unnormalised = neap.energy(function (x) return (.5 * x:square()):sum(2) end, {event = {1}})
  local loss, rng = neap.loss.nce{noise = normal_noise(.5), ratio = 2}, neap.rng(5)
  local params, names = loss:params()
  lu.assertEquals(names, {"log_z"})
  local x = rng:normal({2000, 1}, f64)
  for i = 1, 60 do
    local g = neap.gradients(loss(unnormalised, x, rng), params)[1]
    params[1][{}] = params[1]:item() - 1.5 * g:item()
  end
  near(params[1]:item(), .5 * math.log(2 * math.pi), .08)
  near(loss:state().log_z:item(), params[1]:item(), 0)
  loss:set_state{log_z = 2}
  lu.assertEquals(params[1]:item(), 2)
end

function T.test_nce_errors ()
  local E, x = normal_energy(0), neap.zeros(4, 1, f64)
  lu.assertStrContains(message(neap.loss.nce, {}), "an energy or {sample = , log_prob = } expected, got nil")
  lu.assertStrContains(message(neap.loss.nce, {noise = neap.energy.mlp{sizes = {2, 4}}}),
                       "noise: an energy with an exact sampler and a known log Z, or sample and log_prob, expected, got mlp")
  lu.assertStrContains(message(neap.loss.nce, {noise = {sample = print}}), "'log_prob': function expected, got nil")
  lu.assertStrContains(message(neap.loss.nce, {noise = normal_noise(0), ratio = 0}), "ratio")
  local bad = normal_noise(0)
  bad.sample = function (n) return neap.zeros(n + 1, 1) end
  lu.assertStrContains(message(neap.loss.nce{noise = bad}, E, x), "4 draws like x [4, 1] expected, got [5, 1]")
end

-- ---- contrastive divergence ------------------------------------------------------------------------

-- p [n, units] (Bernoulli), u [m, units] (0/1) -> chance of each u under each p [n, m]
local function chances (p, u) return (p:log():matmul(u:t()) + (1 - p):log():matmul((1 - u):t())):exp() end

-- [2^V, 2^V]: one sweep of block Gibbs from each v to each v
local function transitions (E, visible, hidden)
  local v, h = states(visible), states(hidden)
  return chances(E:hidden(v), h):matmul(chances(E:visible(h), v))
end

-- ∂E(v)/∂θ for every state v, one row each, all parameters side by side
local function energy_gradients (E, v)
  local rows, params = {}, E:params()
  for i = 1, v.shape[1] do
    local parts = {}
    for k, g in ipairs(neap.gradients(E(v:slice(1, i, i, 1)):sum(), params)) do parts[k] = g:flatten() end
    rows[i] = neap.cat(parts, 1)
  end
  return neap.stack(rows, 1)
end

-- CD-k's gradient is mean ∂E(data) − Σ_v P_k(v) ∂E(v) in expectation, P_k after k sweeps from the data.
function T.test_cd_gradient_by_enumeration ()
  local visible, hidden, copies = 3, 2, 4000
  local E = machine(visible, hidden)
  local v = states(visible)
  local data = v:index_select(1, neap.tensor({2, 5, 8}, {dtype = "int64"}))
  local batch = data:repeat_interleave(copies, 1)
  local D, step = energy_gradients(E, v), transitions(E, visible, hidden)
  near(number(step:sum(2):amin()), 1, 1e-12)
  for _, k in ipairs{1, 3} do
    local p = neap.zeros(3, 8, f64)
    for i, s in ipairs{2, 5, 8} do p[{i, s}] = 1 end
    local positive = p:matmul(D):mean(1)
    for _ = 1, k do p = p:matmul(step) end
    local expected = positive - p:matmul(D):mean(1)
    local variance = (p:matmul(D:square()) - p:matmul(D):square()):mean(1) / (3 * copies)
    local loss = neap.loss.cd{sampler = neap.sampler.gibbs{}, steps = k}
    local parts = {}
    for i, g in ipairs(neap.gradients(loss(E, batch, neap.rng(k)), (E:params()))) do parts[i] = g:flatten() end
    local z = (neap.cat(parts, 1) - expected) / variance:sqrt()
    lu.assertTrue(number(z:abs():amax()) < 4, ("CD-%d: z = %s"):format(k, tostring(z)))
    local off_by_one = (neap.cat(parts, 1) - (positive - p:matmul(step):matmul(D):mean(1))) / variance:sqrt()
    if k == 1 then lu.assertTrue(number(off_by_one:abs():amax()) > 4) end
  end
end

function T.test_cd_value_and_regulariser ()
  local E = quadratic(neap.zeros(2, f64), neap.eye(2, f64))
  local x = correlated(30, neap.rng(1))
  local still = neap.sampler.langevin{step_size = .5, noise_std = 0}      -- x⁻ = x/2
  local value, info = neap.loss.cd{sampler = still, reg = .1}(E, x)
  local pos, neg = E(x):detach(), E(x / 2):detach()
  near(number(value), number(pos:mean() - neg:mean() + .1 * (pos:square() + neg:square()):mean()), 1e-12)
  near(info.positive, number(pos:mean()), 1e-12)
  near(info.negative, number(neg:mean()), 1e-12)
  all_near(info.samples, x / 2, 1e-12)
  local g = grads_of(neap.loss.cd{sampler = still}, E, x)
  local expected = (x:t():matmul(x) - (x / 2):t():matmul(x / 2)) / 60
  all_near(g.P, expected, 1e-12, "no derivative passes through the sampler")
end

function T.test_cd_starts ()
  local E, x = quadratic(neap.zeros(2, f64), neap.eye(2, f64)), correlated(2000, neap.rng(1)) + 100
  local function samples (init)
    local frozen = neap.sampler.langevin{step_size = 1e-12, noise_std = 0}
    return select(2, neap.loss.cd{sampler = frozen, init = init}(E, x, neap.rng(1))).samples
  end
  all_near(samples "data", x, 1e-6)
  all_near(samples(nil), x, 1e-6)
  lu.assertTrue(math.abs(number(samples "normal":mean())) < .1)
  local u = samples{"uniform", 2, 4}
  lu.assertTrue(number(u:amin()) >= 2 and number(u:amax()) <= 4)
end

function T.test_cd_with_metropolis_reports_acceptance ()
  local E = quadratic(neap.zeros(2, f64), neap.eye(2, f64))
  local _, info = neap.loss.cd{sampler = neap.sampler.mala{step_size = .1}, steps = 5}(E, correlated(200, neap.rng(1)))
  lu.assertTrue(info.accept_rate > .8 and info.accept_rate <= 1)
end

function T.test_pcd_goes_on_where_it_was ()
  local E = quadratic(neap.zeros(2, f64), neap.eye(2, f64))
  local halve = neap.sampler.langevin{step_size = .5, noise_std = 0}
  local loss = neap.loss.pcd{sampler = halve, steps = 1}
  local x = correlated(20, neap.rng(1))
  local _, first = loss(E, x, neap.rng(2))
  local _, second = loss(E, x, neap.rng(3))
  all_near(second.samples, first.samples / 2, 1e-12)
  all_near(loss:state().buffer, second.samples, 0)
  local other = neap.loss.pcd{sampler = halve}
  other:set_state(loss:state())
  all_near(select(2, other(E, x)).samples, second.samples / 2, 1e-12)
  lu.assertStrContains(message(other.set_state, other, {bufer = x}), "remembers no 'bufer'")
end

function T.test_pcd_buffer_and_reinit ()
  local E = quadratic(neap.zeros(2, f64), neap.eye(2, f64))
  local halve = neap.sampler.langevin{step_size = .5, noise_std = 0}
  local x = correlated(8, neap.rng(1))
  local loss = neap.loss.pcd{sampler = halve, buffer = 32, init = {"uniform", 8, 16}}
  for i = 1, 4 do lu.assertEquals(select(2, loss(E, x, neap.rng(i))).samples.shape, {8, 2}) end
  local buffer = loss:state().buffer
  lu.assertEquals(buffer.shape, {32, 2})
  local halvings = buffer:log():floor()      -- all chains took part or not, none left the range
  lu.assertTrue(number(buffer:amin()) >= .5 and number(buffer:amax()) <= 16)
  lu.assertTrue(number(buffer:lt(8):to "float64":mean()) > .4)
  local always = neap.loss.pcd{sampler = halve, init = {"uniform", 8, 16}, reinit = 1}
  for i = 1, 3 do
    local s = select(2, always(E, x, neap.rng(i))).samples
    lu.assertTrue(number(s:amin()) >= 4 and number(s:amax()) <= 8)
  end
  lu.assertStrContains(message(loss, E, neap.zeros(8, 3, f64)), "the buffer holds [32, 2]")
  lu.assertStrContains(message(neap.loss.pcd, {sampler = halve, reinit = 2}), "a probability expected, got 2")
end

function T.test_pcd_keeps_conditions_with_their_chains ()
  local E = neap.energy(function (x, c) return 50 * (x - c):square():sum(2) end, {event = {1}})
  local loss = neap.loss.pcd{sampler = neap.sampler.langevin{step_size = .01}, steps = 2, buffer = 64}
  local c = neap.tensor({{-3}, {0}, {5}, {9}}, f64)
  for i = 1, 200 do loss(E, {c, c}, neap.rng(i)) end
  local memory = loss:state()
  all_near(memory.buffer, memory.condition, 1)
  lu.assertEquals(memory.buffer.shape, {64, 1})
end

function T.test_a_batch_may_bring_a_condition ()
  local E = neap.energy(function (x, c) return (.5 * (x - c):square()):sum(2) end, {event = {2}})
  local x, c = correlated(10, neap.rng(1)), neap.randn(10, 2, f64)
  local value = neap.loss.score_matching{}(E, {x, c})
  near(number(value), number(((x - c):square():sum(2) / 2):mean()) - 2, 1e-12)
  near(number((neap.loss.dsm{sigma = 1}(E, {x, c}, neap.rng(1)))),
    number(((x - c):square():sum(2) / 2):mean()), 1e-12)            -- σ = 1: n − (x + n − c)
end

function T.test_random_streams_decide ()
  local E, x = quadratic(neap.zeros(2, f64), neap.eye(2, f64)), correlated(10, neap.rng(1))
  local loss = neap.loss.dsm{sigma = .5}
  local a, b = number((loss(E, x, neap.rng(1)))), number((loss(E, x, neap.rng(1))))
  lu.assertEquals(a, b)
  neap.seed(5)
  local c = number((loss(E, x)))
  neap.seed(5)
  lu.assertEquals(number((loss(E, x))), c)
  lu.assertNotEquals(a, c)
end

function T.test_errors_name_what_is_wrong ()
  lu.assertStrContains(message(neap.loss.cd, {}), "'sampler': a sampler expected, got nil")
  lu.assertStrContains(message(neap.loss.cd, {sampler = 3}), "got number")
  lu.assertStrContains(message(neap.loss.cd, {sampler = neap.sampler.gibbs{}, step = 3}), "did you mean 'steps'")
  lu.assertStrContains(message(neap.loss.cd, {sampler = neap.sampler.gibbs{}, steps = 0}), "steps")
  lu.assertStrContains(message(neap.loss.cd, {sampler = neap.sampler.gibbs{}, reg = -1}), "reg")
  lu.assertStrContains(message(neap.loss.cd, {sampler = neap.sampler.gibbs{}, init = "dat"}),
                       "\"data\" expected, got \"dat\"")
  lu.assertStrContains(message(neap.loss.dsm, {}), "sigma")
  lu.assertStrContains(message(neap.loss.dsm, {sigma = 0}), "sigma: a positive number expected, got 0")
  lu.assertStrContains(message(neap.loss.multi_dsm, {}), "sigmas")
  lu.assertStrContains(message(neap.loss.multi_dsm, {sigmas = {1, -2}}), "sigmas: a positive number expected, got -2")
  lu.assertStrContains(message(neap.loss.score_matching, {x = 1}), "unknown option 'x' (it takes none)")
  local loss, E = neap.loss.dsm{sigma = 1}, quadratic(neap.zeros(2, f64), neap.eye(2, f64))
  lu.assertStrContains(message(loss, 3, neap.zeros(2, 2)), "energy expected")
  lu.assertStrContains(message(loss, E, neap.tensor(3)), "x [B, event…] with B ≥ 1 expected, got []")
  lu.assertStrContains(message(loss, E, neap.zeros(0, 2)), "got [0, 2]")
  lu.assertEquals(loss(E, neap.zeros(3, 2, f64)).shape, {})
end

-- dsm over n and −n is the mean of two, with the same mean as dsm and, where σ is small, far less noise in its gradient.
function T.test_antithetic_denoising ()
  local x = common.correlated(50, neap.rng(1))
  local E = neap.energy.mlp{sizes = {2, 6}, activation = "tanh", condition = 1, dtype = "float64"}
  local F = neap.energy.mlp{sizes = {2, 6}, activation = "tanh", dtype = "float64"}
  local function residual (e, s, n, c) return (n - s * e:grad(x + s * n, c)):square():sum(2):mean() / 2 end
  local n = neap.rng(3):normal({50, 2}, f64)
  local one = neap.loss.dsm{sigma = .3, antithetic = true}(F, x, neap.rng(3))
  near(number(one), number(residual(F, .3, n) + residual(F, .3, -n)) / 2, 1e-10)
  local rng = neap.rng(4)
  local s = neap.tensor({.1, 1}, f64):index_select(1, rng:randint(1, 2, {50})):unsqueeze(2)
  n = rng:normal({50, 2}, f64)
  local many = neap.loss.multi_dsm{sigmas = {.1, 1}, antithetic = true}(E, x, neap.rng(4))
  near(number(many), number(residual(E, s, n, s) + residual(E, s, -n, s)) / 2, 1e-10)
  local function spread (antithetic)
    local loss, g = neap.loss.dsm{sigma = .01, antithetic = antithetic}, {}
    for i = 1, 100 do g[i] = neap.gradients(loss(F, x, neap.rng(i)), (F:params()))[1]:flatten() end
    g = neap.stack(g, 1)
    return g:mean(1), g:std(1)
  end
  local plain, wide = spread(false)
  local mean, narrow = spread(true)
  lu.assertTrue((narrow / wide):max():item() < .2)
  lu.assertTrue(((plain - mean) / wide):abs():max():item() * 10 < 4)
end

return T
