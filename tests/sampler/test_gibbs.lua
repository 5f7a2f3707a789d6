-- test_gibbs.lua -- Gibbs sampling of lattices and Gaussian machines against all states, and its surface.

local lu = require "luaunit"
local compare = require "program.compare"
local enumerate = require "sampler.enumerate"
local law = require "sampler.law"
local T = {}
local e = neap.energy

local message = require("errors").message

local function run (E, options)
  local o = {chains = 200, steps = 300, warmup = 40, seed = 3}
  for k, v in pairs(options or {}) do o[k] = v end
  return neap.sampler.gibbs{}:sample(E, o)
end

-- E of x [B, n]
local function flat (E, shape, n)
  return neap.energy(function (x) return E(x:reshape{x.shape[1], table.unpack(shape)}) end, {event = {n}})
end

local function check_spins (E, shape, n, options)
  local draws, info = run(E, options)
  lu.assertEquals(info.accept_rate, 1)
  lu.assertEquals(draws:square():amin():item(), 1)
  enumerate.check(draws:reshape(300, 200, n), flat(E, shape, n), enumerate.states(n, -1), -1)
end

-- an odd torus needs three colours or more, a torus of length 2 has each bond twice
function T.test_ising_by_enumeration ()
  check_spins(e.ising{shape = {3, 3}, beta = .3, field = .2}, {3, 3}, 9)
  check_spins(e.ising{shape = {2, 4}, beta = .25, field = {{.5, 0, -.3, .1}, {0, 0, .2, -1}}}, {2, 4}, 8)
  check_spins(e.ising{shape = {3, 3}, beta = -.4, periodic = false}, {3, 3}, 9, {dtype = "float64"})
  check_spins(e.ising{shape = {2, 2, 2}, beta = .2}, {2, 2, 2}, 8)
end

function T.test_a_graph_with_strengths_of_its_own ()
  local E = e.ising{edges = {{1, 2}, {2, 3}, {3, 1}, {3, 4}, {5, 4}, {6, 1}, {1, 2}},
                    beta = {.5, -.7, .2, 1, -.3, .4, .1}, field = .1}
  check_spins(E, {6}, 6)
end

-- 1 to q as digits: [draws, chains, n] -> the number of each state, from 1
local function number (x, q)
  local weights = {}
  for k = 1, x.shape[3] do weights[k] = q ^ (k - 1) end
  return (x:double() - 1):matmul(neap.tensor(weights, {dtype = "float64"})) + 1
end

local function all_states (n, q)
  local rows = {}
  for i = 0, q ^ n - 1 do
    local row, rest = {}, i
    for k = 1, n do row[k], rest = rest % q + 1, rest // q end
    rows[i + 1] = row
  end
  return neap.tensor(rows)
end

local function check_states (E, shape, n, q)
  local draws = run(E, {steps = 400})
  lu.assertEquals(draws.dtype, "int64")
  local p = (-flat(E, shape, n)(all_states(n, q))):softmax(1):totable()
  local index = number(draws:reshape(400, 200, n), q)
  for i, want in ipairs(p) do
    if want > .004 then
      local z = law.z(index:eq(i):to "float64", function (x) return x end, want)
      lu.assertTrue(math.abs(z) < 4, ("state %d of probability %.4f: z = %.2f"):format(i, want, z))
    end
  end
end

function T.test_potts_by_enumeration ()
  check_states(e.potts{shape = {2, 2}, states = 3, beta = .5}, {2, 2}, 4, 3)
  check_states(e.potts{shape = {5}, states = 3, beta = 1.2}, {5}, 5, 3)
  check_states(e.potts{edges = {{1, 2}, {2, 3}, {1, 3}, {3, 4}}, states = 4, beta = {1, -.5, .3, 2}}, {4}, 4, 4)
end

-- E/T and w·E are drawn from, at once or with a weight for each chain
function T.test_weights_and_temperatures ()
  local E = e.ising{shape = {2, 3}, beta = .5, field = .3}
  for _, F in ipairs{E / 2, .5 * E, (2 * E + 3) / 4, E / neap.full({200}, 2)} do
    local draws = run(F)
    enumerate.check(draws:reshape(300, 200, 6), flat(E / 2, {2, 3}, 6), enumerate.states(6, -1), -1)
  end
  check_states(e.potts{shape = {2, 2}, states = 3, beta = 1} / 2, {2, 2}, 4, 3)
end

function T.test_held_units ()
  local E = e.ising{shape = {2, 2}, beta = .6, field = .2}
  local F = E:fix(neap.tensor{{true, false}, {false, false}}, neap.tensor{{-1, 1}, {1, 1}})
  local draws = run(F):reshape(300, 200, 4)
  lu.assertEquals(draws:select(3, 1):amax():item(), -1)
  local states = enumerate.states(3, -1)
  states = neap.cat({-neap.ones(8, 1), states}, 2)
  enumerate.check(draws, flat(E, {2, 2}, 4), states, -1)
end

-- E[v] and E[v²] of a mixture of normals, one for each hidden state
local function moments (E, std)
  local W, b, c = E.W:detach():double(), E.b:detach():double(), E.c:detach():double()
  local h = enumerate.states(c.shape[1]):double()
  local r = h:matmul(W:t())
  local p = (h:matmul(c) + (r * (b / std + r / 2)):sum(2)):softmax(1):unsqueeze(2)
  local m = b + std * r
  return (p * m):sum(1):totable(), (p * (m * m + std * std)):sum(1):totable()
end

function T.test_gaussian_machine ()
  local rng = neap.rng(4)
  local E = e.gaussian_rbm{visible = 3, hidden = 4, std = {.7, 1.5, 1}}
  E = E:with{W = rng:normal(3, 4), b = rng:normal(3), c = rng:normal(4)}
  local draws = run(E, {chains = 400, steps = 500}):double()
  local first, second = moments(E, neap.tensor({.7, 1.5, 1}, {dtype = "float64"}))
  for i = 1, 3 do
    local x = draws:select(3, i)
    for power, want in ipairs{first[i], second[i]} do
      local z = law.z(x, function (v) return v ^ power end, want)
      lu.assertTrue(math.abs(z) < 4, ("E[v%d^%d]: z = %.2f"):format(i, power, z))
    end
  end
  lu.assertTrue(neap.verify(neap.sampler.gibbs{}, e.rbm{visible = 4, hidden = 3}).ok)
end

function T.test_same_bits_for_any_number_of_threads ()
  for _, E in ipairs{e.ising{shape = {8, 8}, beta = .4}, e.potts{shape = {5, 5}, states = 3, beta = .8}} do
    lu.assertTrue(compare.same_for_threads(function () return (run(E, {chains = 150, steps = 20})) end))
  end
end

function T.test_by_hand_as_in_a_run ()
  local E = e.ising{shape = {4, 4}, beta = .4}
  local s, x = neap.sampler.gibbs{}, neap.ones(3, 4, 4)
  local st = s:init(E, x, neap.rng(7))
  for _ = 1, 5 do st = s:step(E, st) end
  local draws = s:sample(E, {init = x, steps = 5, seed = 7})
  lu.assertEquals((st.x - draws[5]):abs():amax():item(), 0)
end

function T.test_errors ()
  local s, E = neap.sampler.gibbs{}, e.ising{shape = {2, 2}, beta = 1}
  lu.assertStrContains(message(s.sample, s, e.mlp{sizes = {2, 4}}, {steps = 1}),
                       "a function with states) expected, got mlp")
  lu.assertStrContains(message(s.sample, s, e.gaussian_rbm{visible = 3, hidden = 2} / 2, {steps = 1}), "got divide")
  lu.assertStrContains(message(s.init, s, E, neap.zeros(3, 2, 2)),
                       "gibbs: x: units -1 and 1 expected, got others in [3, 2, 2]")
  lu.assertStrContains(message(s.init, s, E, neap.ones({3, 2, 2}, {dtype = "int64"})), "float32 or float64 expected")
  local potts = e.potts{shape = {3}, states = 3, beta = 1}
  lu.assertStrContains(message(s.init, s, potts, neap.full({1, 3}, 4)),
                       "gibbs: x: states 1 to 3 expected, got others in [1, 3]")
  lu.assertStrContains(message(s.init, s, potts, neap.full({1, 3}, 1.5)), "states 1 to 3 expected")
end

return T
