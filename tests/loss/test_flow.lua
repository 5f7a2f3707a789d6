-- test_flow.lua -- flow contrastive estimation against nce with the same noise, and derivatives taken by hand.
local lu = require "luaunit"
local common = require "loss.common"
local near, all_near, message, number = common.near, common.all_near, common.message, common.number
local T = {}

local f64 = {dtype = "float64"}

local function variable (v) return neap.tensor(v, f64):requires_grad() end

local function flow ()
  return neap.energy.flow{dim = 2, layers = 3, hidden = 8, dtype = "float64", rng = neap.rng(7)}
end

local function network () return neap.energy.mlp{sizes = {2, 8}, dtype = "float64", rng = neap.rng(8)} end

-- The value is nce's, and so are the gradients by the energy and log Z.
function T.test_to_the_energy_it_is_nce ()
  local q, x = flow(), common.correlated(40, neap.rng(1))
  local E, ours, nce = network(), neap.loss.flow_contrastive{flow = q}, neap.loss.nce{noise = q}
  local a, b = ours(E, x, neap.rng(2)), nce(E, x, neap.rng(2))
  near(number(a), number(b), 1e-12)
  local function gradients (value, loss)
    local all = {table.unpack((E:params()))}
    all[#all + 1] = loss:params()[1]
    return neap.gradients(value, all)
  end
  local got, want = gradients(a, ours), gradients(b, nce)
  for i in ipairs(want) do all_near(got[i], want[i], 1e-12) end
end

function T.test_its_parameters ()
  local q = flow()
  local params, names = neap.loss.flow_contrastive{flow = q}:params()
  local own, own_names = q:params()
  lu.assertEquals(#params, 1 + #own)
  lu.assertEquals(names[1], "log_z")
  for i, p in ipairs(own) do
    lu.assertEquals(names[1 + i], own_names[i])
    all_near(params[1 + i], p, 0)
  end
end

-- N(m, s²) for a flow: its gradients are those of −nce, with draws m + s n.
function T.test_to_the_flow_it_is_minus_nce ()
  local m, s, rng = variable{.3, -.5}, variable(1.4), neap.rng(2)
  local E, x = network(), common.correlated(40, neap.rng(1))
  local loss = neap.loss.flow_contrastive{flow = neap.energy.gaussian{mean = m, std = s}}
  local value = loss(E, x, rng)
  local got = neap.gradients(value, {m, s})
  local y = m + s * neap.rng(2):normal({40, 2}, f64)
  local function log_q (v) return -((v - m) / s):square():sum(2) / 2 - 2 * s:log() - math.log(2 * math.pi) end
  local function logit (v) return -E(v) - log_q(v) end
  local by_hand = -logit(x):log_sigmoid():mean() - (-logit(y)):log_sigmoid():mean()
  near(number(value), number(by_hand), 1e-12)
  local want = neap.gradients(by_hand, {m, s})
  for i in ipairs(want) do all_near(got[i], -want[i], 1e-12) end
end

-- A flow's gradients against differences of nce, turned over: the draws move with the parameters.
function T.test_a_flows_gradients ()
  local q, E, x = flow(), network(), common.correlated(16, neap.rng(5))
  local loss = neap.loss.flow_contrastive{flow = q}
  local params = q:params()
  local grads, h = neap.gradients(loss(E, x, neap.rng(3)), params), 1e-5
  for i, p in ipairs(params) do
    local flat = p:detach():flatten()
    local v = number(flat[1])
    local function at (u)
      flat[1] = u
      return number((loss(E, x, neap.rng(3))))
    end
    local up, down = at(v + h), at(v - h)
    flat[1] = v
    near(number(grads[i]:flatten()[1]), (down - up) / (2 * h), 1e-7, "parameter " .. i)
  end
end

-- Both come to the data's law: N(1, ½²).
function T.test_both_learn ()
  local x = neap.rng(1):normal({4000, 1}, f64) * .5 + 1
  local m, s, a, b = variable{0}, variable(1), variable(1), variable(0)
  local E = neap.energy(function (v) return (.5 * a * (v - b):square()):sum(2) end, {params = {a, b}, event = {1}})
  local loss = neap.loss.flow_contrastive{flow = neap.energy.gaussian{mean = m, std = s}}
  neap.train(E, x, {loss = loss, optimizer = neap.optim.adam{lr = .02}, batch = 500, steps = 600, seed = 1,
                    progress = false})
  near(number(m[1]), 1, .1)
  near(number(s), .5, .1)
  near(number(b), 1, .1)
  near(number(a), 4, .2)
  near(number(loss:params()[1]), math.log(2 * math.pi / 4) / 2, .1)
end

function T.test_errors ()
  local make = neap.loss.flow_contrastive
  lu.assertStrContains(message(make, {}), "'flow': an energy expected, got nil")
  lu.assertStrContains(message(make, {flow = network()}), "flow: a flow or a gaussian expected, got mlp")
  lu.assertStrContains(message(make, {noise = flow()}), "unknown option 'noise'")
  lu.assertStrContains(message(make{flow = flow()}, network(), neap.zeros(3, 3, f64)), "[B, 2], got [3, 3]")
end

return T
