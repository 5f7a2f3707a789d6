-- The surface as its users know it, part five: samplers, losses.
local lu = require "luaunit"
local near = require("energy.near").near
local raises = require("energy.near").raises

local T = {}
local eq = lu.assertEquals
local f64 = {dtype = "float64"}
local function t (v) return neap.tensor(v, f64) end
local function points (n, d) return neap.randn(n, d, f64) end
local target = function () return neap.energy.gaussian {mean = {1, -1}, std = {1, .5}} end

local samplers = {
  langevin = function () return neap.sampler.langevin {step_size = .05} end,
  mala = function () return neap.sampler.mala {step_size = .2} end,
  hmc = function () return neap.sampler.hmc {step_size = .2, leapfrog_steps = 5} end,
  nuts = function () return neap.sampler.nuts {} end,
  adapted_mala = function () return neap.sampler.mala {target_accept = .6, metric = "diag"} end,
  random_walk = function () return neap.sampler.random_walk {scale = .6} end,
  slice = function () return neap.sampler.slice {width = 1} end,
  underdamped = function () return neap.sampler.underdamped {step_size = .2, friction = 1} end,
}

-- ---- sample ----

function T.test_draws_and_info ()
  for name, make in pairs(samplers) do
    local draws, info = make():sample(target(), {chains = 16, steps = 300, warmup = 50, thin = 2, seed = 1})
    eq(draws.shape, {150, 16, 2}, name)
    near(draws:mean({1, 2}), {1, -1}, .35)
    near(draws:std({1, 2}), {1, .5}, .35)
    lu.assertTrue(info.accept_rate > .3 and info.accept_rate <= 1, name)
    eq(info.energy.shape, {150, 16}, name)
    eq(type(info.divergences), "number", name)
    eq(type(info.grad_evals), "number", name)
    lu.assertTrue(info.seconds >= 0, name)
    eq(info.ess.shape, {2}, name)
    eq(info.rhat.shape, {2}, name)
    eq(type(info.verdict), "string", name)
    if name ~= "random_walk" then eq(type(info.step_size), "number", name) end
  end
end

function T.test_seeds ()
  local function run (seed) return samplers.mala():sample(target(), {chains = 3, steps = 10, seed = seed}):totable() end
  eq(run(4), run(4))
  lu.assertNotEquals(run(4), run(5))
  neap.seed(9)
  local a = run(nil)
  neap.seed(9)
  eq(run(nil), a)
end

function T.test_threads_do_not_matter ()
  local before = neap.threads()
  local function run (n)
    neap.threads(n)
    local E = neap.energy.mlp {sizes = {2, 16}, rng = neap.rng(1)}
    return samplers.langevin():sample(E, {chains = 200, steps = 5, seed = 1}):totable()
  end
  local a, b = run(1), run(2)
  neap.threads(before)
  eq(a, b)
end

function T.test_init_forms ()
  local s, E = samplers.langevin(), target()
  local function shape (init, chains) return s:sample(E, {chains = chains, steps = 1, init = init, seed = 1}).shape end
  eq(shape("normal", 3), {1, 3, 2})
  eq(shape("uniform", 3), {1, 3, 2})
  eq(shape({"uniform", -2, 2}, 3), {1, 3, 2})
  eq(shape(neap.zeros(7, 2)), {1, 7, 2})
  eq(shape(function (rng) return rng:normal(5, 2) end), {1, 5, 2})
  eq(s:sample(E, {steps = 1, init = neap.zeros(7, 2)}).dtype, "float32")
  eq(s:sample(E, {steps = 1, init = points(7, 2)}).dtype, "float64")
  eq(s:sample(E, {steps = 1, chains = 2, dtype = "float64"}).dtype, "float64")
end

function T.test_condition ()
  local E = neap.energy(function (x, c) return .5 * ((x - c) ^ 2):sum(2) / .01 end, {event = {1}})
  local c = t {{-3}, {4}}
  local draws = neap.sampler.mala {step_size = .005}:sample(E, {chains = 2, init = points(2, 1), steps = 400,
    warmup = 400, condition = c, seed = 1})
  near(draws:mean(1), c, .3)
end

function T.test_progress ()
  local calls = 0
  samplers.mala():sample(target(), {chains = 2, steps = 20, seed = 1, progress = function (done, total)
    calls = calls + 1
    lu.assertTrue(done <= total)
  end})
  lu.assertTrue(calls >= 1)
  samplers.mala():sample(target(), {chains = 2, steps = 20, seed = 1, progress = false})
end

-- ---- by hand ----

function T.test_init_and_step ()
  for name, make in pairs(samplers) do
    local s, E = make(), target()
    local state = s:init(E, points(50, 2), neap.rng(1))
    eq(state.x.shape, {50, 2}, name)
    state = s:step(E, state)
    state = s:step(E, state, 200)
    near(state.x:mean(1), {1, -1}, .5)
    local again = s:init(E, points(3, 2))
    eq(s:step(E, again).x.shape, {3, 2}, name)
  end
end

function T.test_langevin_is_as_written ()
  local E = target()
  local x = points(4, 2)
  local s = neap.sampler.langevin {step_size = .1, noise_std = 0}
  local state = s:step(E, s:init(E, x, neap.rng(1)))
  near(state.x, x - .1 * E:grad(x), 1e-12)
  s = neap.sampler.langevin {step_size = .1, noise_std = 0, clip = .01}
  near(s:step(E, s:init(E, x)).x, x - .1 * E:grad(x):clamp(-.01, .01), 1e-12)
  s = neap.sampler.langevin {step_size = .1, clamp = {-.2, .2}}
  lu.assertTrue(s:step(E, s:init(E, x)).x:abs():max():item() <= .2 + 1e-12)
  -- the default noise is √(2ε)
  local flat = neap.energy(function (v) return (v * 0):sum(2) end, {event = {1}})
  s = neap.sampler.langevin {step_size = .02}
  near(s:step(flat, s:init(flat, neap.zeros(5000, 1, f64), neap.rng(2))).x:std(), .2, .01)
end

function T.test_gibbs ()
  local E = neap.energy.rbm {visible = 3, hidden = 2, dtype = "float64"}
  E:params()[1][{}] = t {{2, -1}, {-1, 2}, {.5, .5}}
  E:params()[2][{}] = t {.5, -.5, 0}
  local draws = neap.sampler.gibbs {}:sample(E, {chains = 200, steps = 100, warmup = 20, seed = 1})
  eq(draws.shape, {100, 200, 3})
  local states = {}
  for i = 0, 7 do states[i + 1] = {i & 1, i >> 1 & 1, i >> 2 & 1} end
  local p = E:log_prob(t(states)):exp()
  near(draws:mean({1, 2}):double(), (t(states) * p:unsqueeze(2)):sum(1), .02)
end

function T.test_custom ()
  local s = neap.sampler.custom {
    init = function (E, x) return {x = x, velocity = neap.zeros_like(x)} end,
    step = function (E, state, rng)
      local x = state.x - .1 * E:grad(state.x) + math.sqrt(.2) * rng:normal(state.x.shape, {dtype = state.x.dtype})
      return {x = x, velocity = state.velocity + 1}
    end,
  }
  local draws = s:sample(target(), {chains = 100, steps = 100, warmup = 50, seed = 1})
  near(draws:mean({1, 2}), {1, -1}, .1)
  local state = s:step(target(), s:init(target(), points(2, 2)), 3)
  near(state.velocity, {{3, 3}, {3, 3}})
end

function T.test_sampler_state ()
  local s = samplers.mala()
  local state = s:state()
  eq(type(state), "table")
  local other = neap.sampler.mala {step_size = 3}
  lu.assertTrue(rawequal(other:set_state(state), other))
end

function T.test_composed_energies_are_sampled ()
  local E = target() + neap.energy.gaussian {mean = {3, 1}, std = {1, .5}}
  local draws = samplers.hmc():sample(E, {chains = 50, steps = 60, warmup = 20, seed = 3})
  near(draws:mean({1, 2}), {2, 0}, .1)
  near(draws:std({1, 2}), {math.sqrt(.5), .5 * math.sqrt(.5)}, .05)
end

-- ---- losses ----

local function mlp () return neap.energy.mlp {sizes = {2, 16}, dtype = "float64", rng = neap.rng(1)} end

local losses = {
  cd = function () return neap.loss.cd {sampler = neap.sampler.langevin {step_size = .01}, steps = 2} end,
  cd_reg = function () return neap.loss.cd {sampler = neap.sampler.langevin {step_size = .01}, steps = 2,
    init = "normal", reg = .1} end,
  cd_uniform = function () return neap.loss.cd {sampler = neap.sampler.mala {step_size = .01}, steps = 2,
    init = {"uniform", -1, 1}} end,
  pcd = function () return neap.loss.pcd {sampler = neap.sampler.langevin {step_size = .01}, steps = 2, buffer = 40,
    reinit = .1, init = "normal", reg = .1} end,
  score_matching = function () return neap.loss.score_matching {} end,
  ssm = function () return neap.loss.ssm {projections = 2} end,
  fd_ssm = function () return neap.loss.fd_ssm {eps = .1} end,
  energy_discrepancy = function () return neap.loss.energy_discrepancy {} end,
  flow_contrastive = function ()
    return neap.loss.flow_contrastive {flow = neap.energy.flow {dim = 2, layers = 2, hidden = 8, rng = neap.rng(1)}}
  end,
  dsm = function () return neap.loss.dsm {sigma = .3} end,
  multi_dsm = function () return neap.loss.multi_dsm {sigmas = {.1, .3, 1}} end,
  fisher = function () return neap.loss.fisher {score = function (x) return -x end} end,
  nce = function () return neap.loss.nce {noise = neap.energy.gaussian {mean = {0, 0}, std = 1}, ratio = 2} end,
}

function T.test_losses_are_scalars_with_gradients ()
  for name, make in pairs(losses) do
    local E, loss = mlp(), make()
    local value, info = loss(E, points(20, 2), neap.rng(1))
    eq(value.shape, {}, name)
    eq(type(info), "table", name)
    local params = E:params()
    local g = neap.gradients(value, params, {allow_unused = true})
    local total = 0
    for i in pairs(params) do if g[i] then total = total + g[i]:norm():item() end end
    lu.assertTrue(total > 0 and total < math.huge, name)
    local own, names = loss:params()
    eq(#own, #names, name)
    local state = loss:state()
    eq(type(state), "table", name)
    loss:set_state(state)
    eq(loss(E, {points(20, 2)}).shape, {}, name)
    -- the stream decides
    local a = make()(E, points(20, 2) * 0 + 1, neap.rng(7)):item()
    eq(make()(E, points(20, 2) * 0 + 1, neap.rng(7)):item(), a, name)
  end
end

function T.test_closed_forms ()
  local w = t(2):requires_grad()
  local E = neap.energy(function (x) return .5 * w * (x ^ 2):sum(2) end, {params = {w}})
  local x = points(30, 2)
  near((neap.loss.score_matching {}(E, x)), .5 * 4 * (x ^ 2):sum(2):mean() - 2 * 2, 1e-10)
  near((neap.loss.fisher {score = function (v) return -v end}(E, x)), .5 * (x ^ 2):sum(2):mean(), 1e-10)
  near((neap.loss.fisher {log_prob = function (v) return -.5 * (v ^ 2):sum(2) end}(E, x)),
    .5 * (x ^ 2):sum(2):mean(), 1e-10)
  -- at one sigma the best E is that of the blurred data: E of N(0, 1 + σ²) beats others
  local function dsm (a) return neap.loss.dsm {sigma = .5}(neap.energy(function (v) return .5 * a * (v ^ 2):sum(2) end),
    neap.randn(4000, 2, {dtype = "float64", rng = neap.rng(1)}), neap.rng(2)):item() end
  lu.assertTrue(dsm(1 / 1.25) < dsm(1.1) and dsm(1 / 1.25) < dsm(.5))
  -- noise = data
  local n = neap.energy.gaussian {mean = {0, 0}, std = 1}
  local loss = neap.loss.nce {noise = n}
  loss:params()[1][{}] = math.log(2 * math.pi)
  near((loss(n, neap.randn(64, 2, f64))), 2 * math.log(2), 1e-6)
end

function T.test_conditional_batches ()
  local E = neap.energy(function (x, c) return .5 * ((x - c) ^ 2):sum(2) end)
  local x, c = points(10, 2), points(10, 2)
  near((neap.loss.score_matching {}(E, {x, c})), .5 * ((x - c) ^ 2):sum(2):mean() - 2, 1e-10)
  eq(neap.loss.dsm {sigma = .1}(E, {x, c}).shape, {})
  eq(neap.loss.cd {sampler = neap.sampler.langevin {step_size = .1}, steps = 1}(E, {x, c}).shape, {})
end

function T.test_nce_learns_the_normaliser ()
  local E = neap.energy(function (x) return .5 * (x ^ 2):sum(2) end)
  local loss = neap.loss.nce {noise = neap.energy.gaussian {mean = {0, 0}, std = 1.5}, ratio = 1}
  local z = loss:params()
  local opt = neap.optim.adam {lr = .05}
  local x = points(2000, 2)
  for i = 1, 150 do opt:step(z, neap.gradients((loss(E, x, neap.rng(i))), z)) end
  near(z[1]:item(), math.log(2 * math.pi), .1)
end

function T.test_cd_of_an_rbm ()
  local E = neap.energy.rbm {visible = 6, hidden = 4, dtype = "float64"}
  local loss = neap.loss.pcd {sampler = neap.sampler.gibbs {}, steps = 1, buffer = 32}
  local v = neap.data.bars_and_stripes(64, {seed = 1}):slice(2, 1, 6, 1):double()
  local g = neap.gradients((loss(E, v)), (E:params()))
  eq(#g, 3)
  eq(g[1].shape, {6, 4})
end

-- A memory put back goes on as the first did.
function T.test_persistent_chains_are_remembered ()
  local function make () return neap.loss.pcd {sampler = neap.sampler.langevin {step_size = .01}, steps = 1,
    buffer = 8} end
  local E, x, one, two = mlp(), points(8, 2), make(), make()
  one(E, x, neap.rng(1))
  two:set_state(one:state())
  local a, info = one(E, x, neap.rng(2))
  local b, other = two(E, x, neap.rng(2))
  eq(a:item(), b:item())
  eq(info.samples:totable(), other.samples:totable())
end

function T.test_user_noise ()
  local loss = neap.loss.nce {noise = {sample = function (n, rng) return rng:normal(n, 2, f64) end,
                                       log_prob = function (x) return -.5 * (x ^ 2):sum(2) - math.log(2 * math.pi) end}}
  eq(loss(mlp(), points(5, 2)).shape, {})
end

-- ---- judging ----

function T.test_diagnostics ()
  local draws = neap.randn(500, 4, 3)
  local d = neap.diag
  for _, f in ipairs {"ess", "rhat", "mcse"} do eq(d[f](draws).shape, {3}, f) end
  near(d.ess(draws), {2000, 2000, 2000}, 500)
  near(d.rhat(draws), {1, 1, 1}, .02)
  near(d.mcse(draws), neap.full({3}, 1 / math.sqrt(2000)), .005)
  eq(type(tostring(d.summary(draws))), "string")
  near(d.autocorr(draws)[1], {1, 1, 1}, 1e-9)
end

function T.test_metrics ()
  local x, y = neap.randn(300, 2), neap.randn(300, 2)
  near(neap.metric.mmd(x, y, {bandwidth = 1}), 0, .01)
  lu.assertTrue(neap.metric.mmd(x, y + 2, {bandwidth = 1}) > .1)
  near(neap.metric.frechet(x, x), 0, 1e-6)
  near(neap.metric.frechet(x, x + 3), 18, 1e-3)
  near(neap.metric.auroc({2, 3, 4}, {0, 1, 2.5}), 8 / 9)
  near(neap.metric.auroc(neap.tensor {3, 4}, neap.tensor {1, 2}), 1)
  local E = neap.energy.gaussian {mean = {0, 0}, std = 1}
  lu.assertTrue(math.abs(neap.metric.ksd(E, x)) < .1)
  near(neap.metric.fisher_divergence(E, function (v) return -v end, x), 0, 1e-9)
  lu.assertTrue(#tostring(neap.verify(samplers.mala(), E)) > 0)
end

function T.test_bad_options_of_samplers ()
  raises("did you mean 'step_size'", neap.sampler.mala, {stepsize = 1})
  raises("step_size", neap.sampler.langevin, {})
  raises("chain", function () samplers.mala():sample(target(), {chain = 3}) end)
end

return T
