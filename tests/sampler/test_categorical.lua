-- test_categorical.lua -- units of states 1 … q: Lua functions of x one-hot, gibbs_with_gradients and dmala on them.

local lu = require "luaunit"
local enumerate = require "sampler.enumerate"
local near = require "energy.near"
local T = {}

local CHAINS, STEPS = 300, 400

-- A triangle with a tail, and a push to the second state of its first unit.
local function model ()
  local bonds = neap.energy.potts{edges = {{1, 2}, {2, 3}, {3, 1}, {3, 4}}, states = 3, beta = .9}
  local push = neap.energy(function (z) return -.5 * z:select(3, 2):select(2, 1) end, {event = {4}, states = 3})
  return bonds + push
end

local function all_states ()
  local rows = {}
  for i = 0, 80 do rows[#rows + 1] = {1 + i % 3, 1 + i // 3 % 3, 1 + i // 9 % 3, 1 + i // 27 % 3} end
  return neap.tensor(rows, {dtype = "int64"})
end

-- P(xᵢ = k) for all i and k, and P(x₁ = x₂): 13 numbers of x [N, 4]
local function statistics (x)
  local equal = x:select(2, 1):eq(x:select(2, 2)):double():unsqueeze(2)
  return neap.cat({x:one_hot(3):double():reshape(-1, 12), equal}, 2)
end

local function exact (E)
  local x = all_states()
  return statistics(x):t():matmul((-E(x)):double():softmax(1))
end

-- The largest |z| of s's chains, whose means are independent.
local function worst (s, E, want, init)
  local options = {chains = CHAINS, steps = STEPS, warmup = 50, seed = 7, init = init, progress = false}
  local draws, info = s:sample(E, options)
  lu.assertEquals(draws.dtype, init.dtype)
  local means = statistics(draws:to "int64":reshape(-1, 4)):reshape(STEPS, CHAINS, 13):mean(1)
  local z = (means:mean(1) - want) / (means:std(1) / math.sqrt(CHAINS) + 1e-12)
  return z:abs():max():item(), info
end

function T.test_laws ()
  local E = model()
  local want, start = exact(E), neap.rng(3):categorical(neap.zeros(CHAINS, 4, 3))
  local samplers = {neap.sampler.gibbs_with_gradients{}, neap.sampler.dmala{step_size = .8},
    neap.sampler.dmala{step_size = 3}, neap.sampler.gibbs{}}
  for i, s in ipairs(samplers) do
    local z, info = worst(s, E, want, start)
    lu.assertTrue(z < 4, ("sampler %d: |z| = %g"):format(i, z))
    lu.assertTrue(info.accept_rate > .3)
  end
end

function T.test_floats_hold_the_same_chain ()
  local E, s = model(), neap.sampler.gibbs_with_gradients{}
  local start = neap.rng(3):categorical(neap.zeros(6, 4, 3))
  local options = {chains = 6, steps = 30, seed = 1, init = start, progress = false}
  local a = s:sample(E, options)
  options.init = start:double()
  local b = s:sample(E, options)
  lu.assertEquals(b.dtype, "float64")
  lu.assertEquals(a:double():totable(), b:totable())
end

-- Gibbs draws any discrete unit from its energy at each value: of bits and spins, with conditions, too.
function T.test_gibbs_of_any_units ()
  neap.seed(4)
  local machine = neap.energy.rbm{visible = 4, hidden = 2, dtype = "float64"}
  machine.W[{}] = neap.randn(4, 2)
  local pull = neap.energy(function (x, c) return (x * c):sum(2) end, {event = {4}})
  local shift = neap.tensor({{.5, -1, 0, .3}}, {dtype = "float64"})
  for _, units in ipairs {{0, machine}, {-1, neap.energy.ising{edges = {{1, 2}, {2, 3}, {1, 4}}, beta = .6}}} do
    local E = units[2] + pull
    local draws = neap.sampler.gibbs{}:sample(E, {chains = 300, steps = 300, warmup = 20, seed = 2, dtype = "float64",
      condition = shift:repeat_interleave(300, 1), progress = false})
    enumerate.check(draws, E:given(shift:select(1, 1)), enumerate.states(4, units[1]), units[1])
  end
end

-- A held unit keeps its value; the others follow the conditional law.
function T.test_held ()
  local E = model()
  local held = E:fix(neap.tensor {false, false, false, true}, neap.tensor {1, 1, 1, 3})
  local x = all_states()
  local given = x:select(2, 4):eq(3)
  local p = (-E(x)):double():masked_fill(given:logical_not(), -math.huge):softmax(1)
  local want, start = statistics(x):t():matmul(p), neap.rng(3):categorical(neap.zeros(CHAINS, 4, 3))
  start:select(2, 4)[{}] = 3
  for _, s in ipairs {neap.sampler.gibbs_with_gradients{}, neap.sampler.dmala{step_size = 1}, neap.sampler.gibbs{}} do
    local z = worst(s, held, want, start)
    lu.assertTrue(z < 4, ("|z| = %g"):format(z))
  end
end

-- E is linear in each unit: the gradient by x one-hot tells what every change costs.
function T.test_gradient ()
  local grid = neap.energy.potts{shape = {3, 4}, states = 4, beta = .7}
  local x = neap.rng(5):categorical(neap.zeros(6, 3, 4, 4))
  local z = x:one_hot(4):double()
  near.near(grid(z), grid(x):double(), 1e-5)
  local g = (2 * grid - 1):grad(z)
  local y = x:clone()
  y[{{}, 2, 3}] = 4
  local cost = g:select(2, 2):select(2, 3)
  local own = (cost * z:select(2, 2):select(2, 3)):sum(2)
  near.near(cost:select(2, 4) - own, 2 * (grid(y) - grid(x)):double(), 1e-5)
end

function T.test_enumeration ()
  local E = model()
  near.near(E:log_z{method = "enumerate"}, (-E(all_states())):double():logsumexp(1):item(), 1e-5)
  lu.assertEquals((E:normalizable()), "yes")
end

function T.test_errors ()
  local f = function (z) return z:sum({2, 3}) end
  near.raises("states: an event is needed", neap.energy, f, {states = 3})
  near.raises("states: an integer from 2 to 256 expected, got 1", neap.energy, f, {states = 1, event = {2}})
  local E = neap.energy(f, {states = 3, event = {2}})
  near.raises("one_hot: indices must be 1..3, got 4", E, neap.tensor({{1, 4}}, {dtype = "int64"}))
  near.raises("x must be [B, 2], got [1, 2, 4]", E, neap.zeros(1, 2, 4))
  local s = neap.sampler.dmala{step_size = 1}
  near.raises("dmala: x: whole numbers from 1 to 3 expected, got others in [1, 2]", s.init, s, E, neap.tensor {{1, 4}})
  near.raises("whole numbers", s.init, s, E, neap.tensor {{1, 1.5}})
end

return T
