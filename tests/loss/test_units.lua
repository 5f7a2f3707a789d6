-- test_units.lua -- losses on conditionals of single units against enumeration of all states.
local lu = require "luaunit"
local common = require "loss.common"
local near, all_near, message, number = common.near, common.all_near, common.message, common.number
local machine, states, counted = common.machine, common.states, common.counted
local T = {}

local f64 = {dtype = "float64"}
local counts = {1, 2, 3, 1, 4, 2, 2, 5}

local function rows (v, list) return v:index_select(1, neap.tensor(list, {dtype = "int64"})) end

-- Σ over units i of f(p(v) / p(v with bit i turned over)), mean over the states of n bits in list
local function by_enumeration (E, n, list, f)
  local p, sum = (-E(states(n))):exp():totable(), 0
  for _, s in ipairs(list) do
    for i = 0, n - 1 do sum = sum + f(p[s] / p[((s - 1) ~ (1 << i)) + 1]) end
  end
  return sum / #list
end

local function minus_log_conditional (ratio) return math.log(1 + 1 / ratio) end
local function squared (ratio) return (1 / (1 + ratio)) ^ 2 end

-- ---- pseudo-likelihood ----

function T.test_pseudo_likelihood_by_enumeration ()
  local E, list = machine(4, 3), {1, 4, 7, 16, 10, 4}
  local value = neap.loss.pseudo_likelihood{}(E, rows(states(4), list))
  near(number(value), by_enumeration(E, 4, list, minus_log_conditional), 1e-12)
  local with_given = neap.energy(function (x, c) return E(x) * c end)
  local c = neap.tensor({.5, 1, 2, 1, 3, .1}, f64)
  local sum = 0
  for i, s in ipairs(list) do sum = sum + by_enumeration(c[i]:item() * E, 4, {s}, minus_log_conditional) / #list end
  near(number((neap.loss.pseudo_likelihood{}(with_given, {rows(states(4), list), c}))), sum, 1e-12)
end

-- With as many rows of each state as the model expects, the gradient is 0; elsewhere the loss is larger.
function T.test_pseudo_likelihood_is_least_at_the_truth ()
  local E, x = counted(counts)
  local loss = neap.loss.pseudo_likelihood{}
  local value = loss(E, x)
  all_near(neap.gradients(value, (E:params()))[1], neap.zeros(8, f64), 1e-12)
  local other = counted(counts, neap.rng(3):normal({8}, f64) * .1 - neap.tensor(counts, f64):log())
  lu.assertTrue(number((loss(other, x))) > number(value) + 1e-4)
end

function T.test_spins_and_dtypes ()
  local E, list = machine(3, 2), {1, 4, 7, 8}
  local v = rows(states(3), list)
  local truth = number((neap.loss.pseudo_likelihood{}(E, v)))
  local of_spins = neap.energy(function (s) return E((s + 1) / 2) end, {event = {3}})
  near(number((neap.loss.pseudo_likelihood{}(of_spins, 2 * v - 1))), truth, 1e-12)
  near(number((neap.loss.pseudo_likelihood{units = "spins"}(of_spins, 2 * v - 1))), truth, 1e-12)
  for _, dtype in ipairs {"float32", "int64", "uint8", "bool"} do
    near(number((neap.loss.pseudo_likelihood{}(E, v:to(dtype)))), truth, 1e-6, dtype)
  end
  local pictures = neap.energy(function (x) return E(x:reshape(-1, 3)) end, {event = {1, 3}})
  near(number((neap.loss.pseudo_likelihood{}(pictures, v:reshape(4, 1, 3)))), truth, 1e-12)
end

-- Units that all are 1 are bits for an RBM; for any other energy they are what was seen before, if anything was.
function T.test_units_that_all_are_1 ()
  local E, ones = machine(3, 2), neap.ones(2, 3, f64)
  near(number((neap.loss.pseudo_likelihood{}(E, ones))), by_enumeration(E, 3, {8}, minus_log_conditional), 1e-12)
  local cold = 2 * E
  near(number((neap.loss.pseudo_likelihood{}(cold, ones))), by_enumeration(cold, 3, {8}, minus_log_conditional), 1e-12)
  local of_spins = neap.energy(function (s) return E((s + 1) / 2) end, {event = {3}})
  local loss = neap.loss.pseudo_likelihood{}
  lu.assertStrContains(message(loss, of_spins, ones), [[all units are 1: give units = "bits" (0 and 1) or "spins"]])
  loss(of_spins, -ones)
  near(number((loss(of_spins, ones))), by_enumeration(E, 3, {8}, minus_log_conditional), 1e-12)
end

function T.test_energies_that_say_what_their_units_are ()
  local ising = neap.energy.ising{shape = {2, 2}, beta = .3, field = .2}
  local by_bits = neap.energy(function (v) return ising((2 * v - 1):reshape(-1, 2, 2)) end, {event = {4}})
  local ones = neap.ones(2, 2, 2, f64)
  local truth = by_enumeration(by_bits, 4, {16}, minus_log_conditional)
  near(number((neap.loss.pseudo_likelihood{}(ising, ones))), truth, 1e-6)
  near(number((neap.loss.pseudo_likelihood{}(ising + 3, ones:to "int64"))), truth, 1e-6)
  near(number((neap.loss.ratio_matching{}(2 * ising, ones))), by_enumeration(2 * by_bits, 4, {16}, squared), 1e-6)
  local potts = neap.energy.potts{shape = {5}, states = 3, beta = .7}
  local x = neap.tensor({{1, 1, 2, 3, 3}, {2, 2, 2, 2, 2}}, {dtype = "int64"})
  local value = number((neap.loss.pseudo_likelihood{}(potts, x)))
  near(value, number((neap.loss.pseudo_likelihood{states = 3}(potts, x))), 0)
  local unknown = neap.energy(function (v) return potts(v) end, {event = {5}})
  near(value, number((neap.loss.pseudo_likelihood{states = 3}(unknown, x:to "uint8"))), 1e-6)
  -- a ring of five: like neighbours on both sides, on one side, or a unit between two others
  local e = math.exp(.7)
  local both, one, split = -math.log(e * e / (e * e + 2)), -math.log(e / (2 * e + 1)), -math.log(1 / (2 * e + 1))
  near(value, (one + one + split + one + one + 5 * both) / 2, 1e-6)
end

-- three units of three states: Σ J[xᵢ, xᵢ₊₁]; the nine of one pair's places
local J = neap.tensor({{.3, -1, .5}, {0, 2, -.7}, {1.1, .2, -.4}}, f64)

local function chain (x)
  local k = x:to "int64"
  local function pair (i) return J:flatten():index_select(1, (k:select(2, i) - 1) * 3 + k:select(2, i + 1)) end
  return pair(1) + pair(2)
end

local function minus_log_of_state (x, i)
  local all, own = 0, nil
  for s = 1, 3 do
    local y = {x[1], x[2], x[3]}
    y[i] = s
    local p = math.exp(-chain(neap.tensor({y}, f64)):item())
    all = all + p
    if s == x[i] then own = p end
  end
  return math.log(all / own)
end

function T.test_states_by_enumeration ()
  local list = {{1, 1, 1}, {3, 2, 1}, {2, 2, 3}, {1, 3, 2}}
  local E, sum = neap.energy(chain, {event = {3}}), 0
  for _, x in ipairs(list) do for i = 1, 3 do sum = sum + minus_log_of_state(x, i) / #list end end
  for _, dtype in ipairs {"int64", "float64", "uint8"} do
    local value = neap.loss.pseudo_likelihood{states = 3}(E, neap.tensor(list, {dtype = dtype}))
    near(number(value), sum, dtype == "uint8" and 1e-6 or 1e-12, dtype)
  end
  local bits, v = machine(3, 2), states(3)
  local from_1 = neap.energy(function (x) return bits(x - 1) end, {event = {3}})
  near(number((neap.loss.pseudo_likelihood{states = 2}(from_1, v + 1))),
    number((neap.loss.pseudo_likelihood{}(bits, v))), 1e-12)
end

-- ---- ratio matching ----

function T.test_ratio_matching_by_enumeration ()
  local E, list = machine(4, 3), {1, 4, 7, 16, 10, 4}
  local v = rows(states(4), list)
  near(number((neap.loss.ratio_matching{}(E, v))), by_enumeration(E, 4, list, squared), 1e-12)
  local of_spins = neap.energy(function (s) return E((s + 1) / 2) end, {event = {4}})
  near(number((neap.loss.ratio_matching{}(of_spins, 2 * v - 1))), by_enumeration(E, 4, list, squared), 1e-12)
end

-- For data of the law p it exceeds its least value by the mean of Σᵢ (p(x̄ᵢ | others) − q(x̄ᵢ | others))².
function T.test_ratio_matching_is_least_at_the_truth ()
  local E, x = counted(counts)
  local loss = neap.loss.ratio_matching{}
  local value = loss(E, x)
  all_near(neap.gradients(value, (E:params()))[1], neap.zeros(8, f64), 1e-12)
  local theta, q, distance, n = neap.rng(3):normal({8}, f64), {}, 0, 0
  for s = 1, 8 do q[s] = math.exp(-theta[s]:item()) end
  for s = 1, 8 do
    for i = 0, 2 do
      local o = ((s - 1) ~ (1 << i)) + 1
      distance = distance + counts[s] * (counts[o] / (counts[s] + counts[o]) - q[o] / (q[s] + q[o])) ^ 2
    end
    n = n + counts[s]
  end
  near(number((loss(counted(counts, theta), x))), number(value) + distance / n, 1e-12)
end

-- ---- gradients and errors ----

function T.test_gradients ()
  local v = states(2)
  common.check_gradient(neap.loss.pseudo_likelihood{}, v, 1e-7)
  common.check_gradient(neap.loss.pseudo_likelihood{units = "spins"}, 2 * v - 1, 1e-7)
  common.check_gradient(neap.loss.ratio_matching{}, v, 1e-7)
  common.check_gradient(neap.loss.pseudo_likelihood{states = 3}, neap.tensor({{1, 3}, {2, 2}, {3, 1}}, f64), 1e-7)
end

function T.test_errors ()
  local pseudo, E = neap.loss.pseudo_likelihood, machine(3, 2)
  lu.assertStrContains(message(pseudo, {units = "bit"}), [["bits" or "spins" expected, got "bit"]])
  lu.assertStrContains(message(pseudo, {states = 1}), "states: an integer from 2 up expected, got 1")
  lu.assertStrContains(message(pseudo, {states = 3, units = "bits"}), "none expected where states are given")
  lu.assertStrContains(message(pseudo, {state = 3}), "did you mean 'states'")
  lu.assertStrContains(message(neap.loss.ratio_matching, {states = 3}), "unknown option 'states'")
  lu.assertStrContains(message(pseudo{}, E, neap.full({2, 3}, .5)), "units of 0 or 1 expected, got others")
  lu.assertStrContains(message(pseudo{}, E, -neap.ones(2, 3)), "units of 0 or 1 expected, got others")
  lu.assertStrContains(message(pseudo{units = "spins"}, E, neap.zeros(2, 3)), "units of -1 or 1 expected, got others")
  lu.assertStrContains(message(pseudo{states = 3}, E, neap.zeros(2, 3)), "whole numbers from 1 to 3 expected")
end

-- ---- all neighbours by one gradient ----

-- The loss of E, and its gradient by p, are those of E behind a function, where each neighbour is evaluated.
local function same_as_neighbours (name, E, p, x, options)
  local plain = neap.energy(function (y) return E(y) end, {params = {p}, event = E.event, states = options.states})
  local one, all = neap.loss[name](options.fast or {}), neap.loss[name](options.slow or {})
  local a, b = one(E, x), all(options.states and E or plain, x)
  near(number(a), number(b), 1e-10)
  local ga, gb = neap.gradients(a, p), neap.gradients(b, p)
  near(number((ga - gb):abs():max()), 0, 1e-10)
end

function T.test_linear_energies ()
  local options = {dtype = "float64"}
  local field = neap.randn(3, 4, options):requires_grad()
  local spins = neap.rng(1):bernoulli(neap.full({6, 3, 4}, .5, options)) * 2 - 1
  local ising = 2 * neap.energy.ising{shape = {3, 4}, beta = .3, field = field} + 1
  for _, name in ipairs {"pseudo_likelihood", "ratio_matching"} do
    same_as_neighbours(name, ising, field, spins, {slow = {units = "spins"}})
  end
  local W = neap.randn(3, 3, options):requires_grad()
  local chain = neap.energy(function (z)
    return -(z:double():slice(2, 1, 3):matmul(W) * z:double():slice(2, 2, 4)):sum {2, 3}
  end, {params = {W}, event = {4}, states = 3})
  local x = neap.rng(2):categorical(neap.zeros(6, 4, 3))
  same_as_neighbours("pseudo_likelihood", chain, W, x, {fast = {linear = true}, states = 3})
end

-- A machine's softplus is not linear in a unit: its neighbours are evaluated, and a promise would be broken.
function T.test_machines_are_not_linear ()
  neap.seed(3)
  local E = neap.energy.rbm{visible = 4, hidden = 3}
  E.W[{}] = neap.randn(4, 3)
  local v = neap.rng(1):bernoulli(neap.full({5, 4}, .5))
  local exact, promised = neap.loss.pseudo_likelihood{}(E, v), neap.loss.pseudo_likelihood{linear = true}(E, v)
  lu.assertTrue(math.abs(number(exact) - number(promised)) > 1e-3)
end

return T
