-- test_blocks.lua -- samplers in turn on blocks of coordinates, against exact laws of mixed states.
local lu = require "luaunit"
local law = require "sampler.law"
local T = {}

local f64 = {dtype = "float64"}

-- x = (s₁, s₂, y₁, y₂): units s of 0 and 1 and, given s, y ~ N(m(s), 1): E = −b·s − J s₁s₂ + ½|y − sW|².
local B, J, W = {.4, -.7}, .9, {{1.5, -.5}, {-1, 2}}
local function mixed ()
  local b, w = neap.tensor(B, f64), neap.tensor(W, f64)
  return neap.energy(function (x)
    local s, y = x:slice(2, 1, 2), x:slice(2, 3, 4)
    return -(s * b):sum(2) - J * s:prod(2) + ((y - s:matmul(w)) ^ 2):sum(2) / 2
  end, {event = {4}})
end

-- exact means of the statistics below, by enumeration of s and the moments of a Gaussian
local function exact ()
  local sum, out = 0, {s1 = 0, s2 = 0, both = 0, y1 = 0, y2 = 0, yy = 0, square = 0, cross = 0}
  for s1 = 0, 1 do
    for s2 = 0, 1 do
      local p = math.exp(B[1] * s1 + B[2] * s2 + J * s1 * s2)
      local m1, m2 = s1 * W[1][1] + s2 * W[2][1], s1 * W[1][2] + s2 * W[2][2]
      local at = {s1 = s1, s2 = s2, both = s1 * s2, y1 = m1, y2 = m2, yy = m1 * m2, square = 1 + m1 * m1,
                  cross = s1 * m2}
      sum = sum + p
      for name, v in pairs(at) do out[name] = out[name] + p * v end
    end
  end
  for name, v in pairs(out) do out[name] = v / sum end
  return out
end

local function statistics (d)
  local s1, s2, y1, y2 = d:select(3, 1), d:select(3, 2), d:select(3, 3), d:select(3, 4)
  return {s1 = s1, s2 = s2, both = s1 * s2, y1 = y1, y2 = y2, yy = y1 * y2, square = y1 * y1, cross = s1 * y2}
end

local function start (chains)
  return function (rng)
    return neap.cat({rng:bernoulli(neap.full({chains, 2}, .5, f64)), rng:normal({chains, 2}, f64)}, 2)
  end
end

local function assert_exact (s, steps)
  local draws, info = s:sample(mixed(), {init = start(512), chains = 512, steps = steps * law.longer, warmup = 40,
                                         seed = 5})
  local zs, truths = {}, exact()
  for name, v in pairs(statistics(draws)) do zs[name] = law.z(v, function (x) return x end, truths[name]) end
  local z, name = law.worst(zs)
  lu.assertTrue(z < 4, ("%s: z = %.2f"):format(name, z))
  local s1 = draws:slice(3, 1, 2)
  lu.assertTrue((s1 * (1 - s1)):eq(0):all():item())
  return info
end

function T.test_mixed_states ()
  local sampler = neap.sampler
  local units = {sampler.gibbs_with_gradients{}, sampler.dmala{step_size = .5}}
  local reals = {sampler.hmc{step_size = .6, leapfrog_steps = 3}, sampler.mala{step_size = .5},
                 sampler.slice{width = 2}}
  for i, u in ipairs(units) do
    local info = assert_exact(sampler.blocks{{{1, 2}, u}, {{3, 4}, reals[i]}}, 150)
    lu.assertTrue(info.accept_rate > .3 and info.accept_rate < 1, "acceptance " .. info.accept_rate)
  end
  local third = neap.tensor({3}, {dtype = "int64"})
  assert_exact(sampler.blocks{{{4}, reals[3]}, {{2, 1}, units[1]}, {third, reals[2]}}, 150)
end

-- The energy that is told is that of the draw.
function T.test_energies ()
  local E = mixed()
  for _, order in ipairs {{1, 2}, {2, 1}} do
    local parts = {{{1, 2}, neap.sampler.gibbs_with_gradients{}}, {{3, 4}, neap.sampler.langevin{step_size = .1}}}
    local s = neap.sampler.blocks{parts[order[1]], parts[order[2]]}
    local draws, info = s:sample(E, {init = start(8), chains = 8, steps = 6, seed = 1})
    lu.assertTrue((E(draws[6]) - info.energy[6]):abs():max():item() < 1e-12)
    lu.assertTrue((E(draws[2]) - info.energy[2]):abs():max():item() < 1e-12)
  end
end

-- One block of all coordinates is the sampler itself, and a random walk by coordinates keeps a Gaussian.
function T.test_one_block_and_gibbs_of_a_gaussian ()
  local E = neap.energy.gaussian{mean = neap.tensor({1, -.5}, f64), cov = neap.tensor({{1, .6}, {.6, .8}}, f64)}
  local walk, o = neap.sampler.random_walk{scale = 1.5}, {chains = 5, steps = 20, seed = 3, dtype = "float64"}
  local alone, told = walk:sample(E, o)
  local one, info = neap.sampler.blocks{{{1, 2}, walk}}:sample(E, o)
  lu.assertTrue(one:eq(alone):all():item())
  lu.assertAlmostEquals(info.accept_rate, told.accept_rate, 1e-12)
  local draws = neap.sampler.blocks{{{2}, walk}, {{1}, walk}}:sample(E, {chains = 256, steps = 300 * law.longer,
    warmup = 50, seed = 4, dtype = "float64"})
  local z, name = law.worst(law.moments(draws, {1, -.5}, {{1, .6}, {.6, .8}}))
  lu.assertTrue(z < 4, ("%s: z = %.2f"):format(name, z))
end

-- Conditions pass; held coordinates stay; events of several dimensions are counted in row-major order.
function T.test_conditions_masks_and_shapes ()
  local E = neap.energy(function (x, c) return ((x - c:unsqueeze(3)) ^ 2):sum({2, 3}) / 2 end, {event = {2, 3}})
  local mala, hmc = neap.sampler.mala{step_size = .5}, neap.sampler.hmc{step_size = .8}
  local s = neap.sampler.blocks{{{1, 2, 3}, mala}, {{4, 5, 6}, hmc}}
  local c = neap.tensor({{5, -5}}, f64):expand(200, 2):clone()
  local draws = s:sample(E, {chains = 200, steps = 60, warmup = 60, condition = c, seed = 1, dtype = "float64"})
  lu.assertEquals(draws.shape, {60, 200, 2, 3})
  local m = draws:mean({1, 2, 4}):totable()
  lu.assertAlmostEquals(m[1], 5, .1)
  lu.assertAlmostEquals(m[2], -5, .1)
  local mask = neap.tensor {{true, false, false}, {false, false, true}}
  local held = s:sample(E:given(neap.tensor({0, 0}, f64)):fix(mask, neap.tensor {{7, 0, 0}, {0, 0, 9}}),
                        {chains = 6, steps = 8, seed = 1, dtype = "float64"})
  lu.assertTrue(held:select(3, 1):select(3, 1):eq(7):all():item() and held:select(3, 2):select(3, 3):eq(9):all():item())
  lu.assertFalse(held:select(3, 1):select(3, 2):eq(0):any():item())
end

-- A kernel in Lua may be a block; draws do not depend on threads.
function T.test_custom_kernels_and_threads ()
  local kernel = neap.sampler.custom{step = function (E, state, rng)
    return {x = state.x - .1 * E:grad(state.x) + .2 ^ .5 * rng:normal(state.x.shape, f64)}
  end}
  local s = neap.sampler.blocks{{{1, 2}, neap.sampler.gibbs_with_gradients{}}, {{3, 4}, kernel}}
  local before, out = neap.threads(), {}
  for n = 1, 2 do
    neap.threads(n)
    out[n] = s:sample(mixed(), {init = start(70), chains = 70, steps = 12, seed = 2})
  end
  neap.threads(before)
  lu.assertTrue(out[1]:eq(out[2]):all():item())
end

function T.test_errors ()
  local says = require("errors").raises
  local blocks, mala = neap.sampler.blocks, neap.sampler.mala{step_size = .1}
  says("blocks: at least one block expected, got none", blocks, {})
  says("block 1: {coordinates, sampler} expected, got neap.sampler", blocks, {mala})
  says("block 2: a table of coordinates expected, got number", blocks, {{{1}, mala}, {2, mala}})
  says("block 1: coordinate 2: integer expected, got string", blocks, {{{1, "x"}, mala}})
  says("block 1: a sampler expected, got nil", blocks, {{{1}}})
  says("block 1: coordinates expected, got none", blocks, {{{}, mala}})
  says("block 1: coordinates from 1 up expected, got 0", blocks, {{{0}, mala}})
  says("block 1: each coordinate once expected, got 2 twice", blocks, {{{2, 1, 2}, mala}})
  says("annealed_langevin has a schedule of its own", blocks,
       {{{1}, neap.sampler.annealed_langevin{sigmas = {1}, step_size = .1}}})
  local E = neap.energy.gaussian{mean = {0, 0}}
  local function run (s) return s:sample(E, {steps = 4}) end
  says("blocks: block 2: hmc with a step_size expected, which no warm-up sets here", blocks,
       {{{1}, mala}, {{2}, neap.sampler.hmc{}}})
  says("blocks: coordinate 2 of x is in no block", run, blocks{{{1}, mala}})
  says("blocks: block 1: coordinates 1 to 2 expected, as x has, got 3", run, blocks{{{1, 2, 3}, mala}})
  says("a function with states) expected, got block", run, blocks{{{1, 2}, neap.sampler.gibbs{}}})
end

return T
