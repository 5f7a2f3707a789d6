-- test_mle.lua -- maximum likelihood against closed forms, enumeration and differences.
local lu = require "luaunit"
local common = require "loss.common"
local near, all_near, message, number = common.near, common.all_near, common.message, common.number
local T = {}

local f64 = {dtype = "float64"}

-- mean −log N(x; m, C) at the sample's own moments is log 2π + ½ log |C| + 1 in two dimensions, and least there.
function T.test_of_a_gaussian ()
  local x = common.correlated(300, neap.rng(1))
  local m, C = common.sample_moments(x)
  local E = neap.energy.gaussian{mean = m:requires_grad(), cov = C:requires_grad()}
  local value, info = neap.loss.mle{}(E, x)
  near(number(value), math.log(2 * math.pi) + math.log(number(C:det())) / 2 + 1, 1e-10)
  near(info.positive, 1, 1e-10)
  near(info.log_z, number(value) - 1, 1e-10)
  for _, g in ipairs(neap.gradients(value, (E:params()))) do all_near(g, 0 * g, 1e-10) end
end

function T.test_is_the_mean_of_log_prob ()
  local x = common.correlated(30, neap.rng(1))
  local gmm = neap.energy.gmm{means = neap.tensor({{0, 1}, {2, -1}}, f64), std = neap.tensor(1.5, f64)}
  local gaussian = neap.energy.gaussian{mean = neap.tensor({1, 2}, f64), std = 2}
  for _, E in ipairs {gmm, gaussian, gaussian + 3, neap.energy.any{gmm, gaussian}, neap.energy.banana{}} do
    near(number((neap.loss.mle{}(E, x))), -number(E:log_prob(x):mean()), 1e-10)
  end
end

-- The gradient is mean ∂E(data) − Σ p(v) ∂E(v).
function T.test_of_an_rbm_by_enumeration ()
  local v = common.states(4)
  for _, hidden in ipairs {2, 6} do
    local E = common.machine(4, hidden)
    local data = v:index_select(1, neap.tensor({2, 7, 7, 16}, {dtype = "int64"}))
    local value = neap.loss.mle{}(E, data)
    local p = (-E(v)):exp():detach()
    near(number(value), number(E(data):mean()) + math.log(number(p:sum())), 1e-12)
    local got = neap.gradients(value, (E:params()))
    local want = neap.gradients(E(data):mean() - (E(v) * p):sum() / p:sum(), (E:params()))
    for i in ipairs(want) do all_near(got[i], want[i], 1e-12) end
  end
end

function T.test_of_an_ising_model ()
  local beta, v = neap.tensor(.3, f64):requires_grad(), 2 * common.states(6) - 1
  local E = neap.energy.ising{shape = {2, 3}, beta = beta}
  local data = v:slice(1, 1, 40, 3):reshape(-1, 2, 3)
  local value, all = neap.loss.mle{}(E, data), v:reshape(-1, 2, 3)
  near(number(value), number(E(data):mean() + (-E(all)):logsumexp()), 1e-12)
  local want = neap.gradients(E(data):mean() + (-E(all)):logsumexp(), beta)
  near(number(neap.gradients(value, beta)), number(want), 1e-12)
end

function T.test_a_function_is_taken_to_be_normalised ()
  local x, c = common.correlated(30, neap.rng(1)), neap.rng(2):normal({30, 2}, f64)
  local E = neap.energy(function (y, given) return .5 * (y - given):square():sum(2) + math.log(2 * math.pi) end)
  local value, info = neap.loss.mle{}(E, {x, c})
  near(number(value), number(E(x, c):mean()), 1e-12)
  near(info.positive, number(value), 0)
  lu.assertNil(info.log_z)
end

function T.test_errors ()
  local x, mle, net = neap.zeros(3, 2), neap.loss.mle{}, neap.energy.mlp{sizes = {2, 4}}
  local gaussian = neap.energy.gaussian{mean = {0, 0}}
  local want = "mle: E: a model with a known log Z expected, got "
  lu.assertStrContains(message(mle, net, x), want .. "mlp")
  lu.assertStrContains(message(mle, gaussian + net, x), want)
  lu.assertStrContains(message(mle, neap.energy.any{gaussian, net}, x), want)
  lu.assertStrContains(message(neap.loss.mle, {x = 1}), "unknown option 'x' (it takes none)")
  local large = neap.energy.rbm{visible = 30, hidden = 30}
  lu.assertStrContains(message(mle, large, neap.zeros(3, 30)), "too large for a tape")
end

return T
