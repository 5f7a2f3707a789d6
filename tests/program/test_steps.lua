-- A sampler's steps as one program: equal to steps made one by one, for any number of threads, and never stale.
-- A call of step with n = 1 runs op by op, one with n = 5 runs a program; both see the same random numbers.
local lu = require "luaunit"
local neap = require "neap"
local T = {}

local samplers = {
  langevin = neap.sampler.langevin{step_size = .05, clip = 2, clamp = {-3, 3}},
  random_walk = neap.sampler.random_walk{scale = .5},
  mala = neap.sampler.mala{step_size = .05},
  hmc = neap.sampler.hmc{step_size = .1, leapfrog_steps = 3},
}

local function energies (dtype)
  local function t (v) return neap.tensor(v, {dtype = dtype}) end
  return {
    mlp = neap.energy.mlp{sizes = {2, 16, 16}, activation = "silu", dtype = dtype},
    gaussian = neap.energy.gaussian{mean = t{0, 1}, std = 1.5},
    gmm = neap.energy.gmm{means = t{{1, 0}, {-1, 2}}, std = .7, weights = t{.3, .7}},
    well = neap.energy.double_well{},
    banana = neap.energy.banana{},
    sum = neap.energy.gaussian{mean = t{0, 1}, std = 1.5} + .5 * neap.energy.banana{},
    lua = neap.energy(function (x) return (x * x):sum(2) * .5 + (x:slice(2, 1, 1) * 3):sin():sum(2) end, {event = {2}}),
    constants = neap.energy(function (x) return neap.einsum("bi,ij,bj->b", x - t{1, 2}, neap.eye(2, {dtype = dtype}), x)
                            end, {event = {2}}),
    reduce = neap.energy(function (x)
      return x:logsumexp(2) + x:abs():amax(2) + neap.cat({x, -x}, 2):square():sum(2)
    end, {event = {2}}),
  }
end

-- five steps by one program and five one by one, from the same state
local function both (s, E, x)
  local one, five = s:init(E, x, neap.rng(3)), s:init(E, x, neap.rng(3))
  for _ = 1, 5 do one = s:step(E, one, 1) end
  return one, s:step(E, five, 5)
end

local function distance (a, b) return (a - b):abs():max():item() end

for _, dtype in ipairs{"float32", "float64"} do
  T["test_program_equals_steps_" .. dtype] = function ()
    for ename, E in pairs(energies(dtype)) do
      for sname, s in pairs(samplers) do
        for _, rows in ipairs{1, 2, 3, 63, 64, 65, 200, 1000} do
          neap.seed(rows)
          local one, five = both(s, E, neap.randn({rows, 2}, {dtype = dtype}))
          local what = ("%s, %s, %d rows"):format(ename, sname, rows)
          lu.assertTrue(distance(one.x, five.x) < (dtype == "float64" and 1e-10 or 2e-3), what)
          if one.accepted then lu.assertEquals(distance(one.accepted, five.accepted), 0, what) end
          if one.energy then lu.assertTrue(distance(one.energy, five.energy) < 2e-2, what) end
          if one.energy_before then lu.assertTrue(distance(one.energy_before, five.energy_before) < 2e-2, what) end
          lu.assertEquals(five.x.dtype, dtype)
        end
      end
    end
  end
end

function T.test_no_chains ()
  for _, s in pairs(samplers) do
    local E = energies("float32").mlp
    lu.assertEquals(s:step(E, s:init(E, neap.zeros(0, 2)), 5).x.shape, {0, 2})
  end
end

function T.test_bits_do_not_depend_on_threads ()
  local before = neap.threads and neap.threads() or 1
  for ename, E in pairs(energies("float32")) do
    for sname, s in pairs(samplers) do
      local first
      for threads = 1, 3 do
        neap.set_threads(threads)
        local x = s:step(E, s:init(E, neap.full({333, 2}, .5), neap.rng(3)), 10).x
        first = first or x
        lu.assertEquals(distance(first, x), 0, ename .. ", " .. sname)
      end
    end
  end
  neap.set_threads(before)
end

-- Memory is asked for by recording, by the first run and by each chunk of steps (25 ms), never by a step.
function T.test_steps_allocate_nothing ()
  for ename, E in pairs(energies("float32")) do
    for sname, s in pairs(samplers) do
      local st = s:init(E, neap.randn(100, 2), neap.rng(1))
      local function allocations (n)
        local before, from = neap.memory().allocations, neap.clock()
        s:step(E, st, n)
        return neap.memory().allocations - before, neap.clock() - from
      end
      allocations(50)
      local few = allocations(50)
      local many, seconds = allocations(450)
      lu.assertTrue(many - few < 100 + seconds / .02 * 20, ename .. ", " .. sname)
    end
  end
end

-- Rows that depend on each other are one block; carried energies make sense for Langevin alone.
function T.test_rows_that_mix ()
  local E = neap.energy(function (x) return ((x - x:mean(1)) ^ 2):sum(2) end, {event = {2}})
  for _, rows in ipairs{1, 2, 5, 64, 100} do
    local one, five = both(samplers.langevin, E, neap.randn(rows, 2))
    lu.assertTrue(distance(one.x, five.x) < 1e-4)
  end
end

-- The first ten rows are all rows of a recording at two.
function T.test_rows_that_are_cut ()
  local E = neap.energy(function (x) return (x - x:slice(1, 1, 10):sum(1) * .1):square():sum(2) end, {event = {2}})
  for _, rows in ipairs{3, 10, 100} do
    local one, five = both(samplers.langevin, E, neap.randn(rows, 2))
    lu.assertTrue(distance(one.x, five.x) < 1e-4)
  end
end

-- ---- nothing stale ----

local function gradient_step (E)                                   -- x after 5 steps without noise
  local s = neap.sampler.langevin{step_size = .1, noise_std = 0}
  return s:step(E, s:init(E, neap.ones(3, 1)), 5).x[1][1]:item()
end

function T.test_numbers_tensors_flags_and_fields_are_seen ()
  local k, w, flag, options = 1, neap.tensor{1.}, false, {scale = 1}
  local E = neap.energy(function (x)
    local e = (x * w):square():sum(2) * (.5 * k * options.scale)
    if flag then e = e * 3 end
    return e
  end, {event = {1}})
  local function expect (slope) lu.assertAlmostEquals(gradient_step(E), (1 - .1 * slope) ^ 5, 1e-6) end
  expect(1)
  k = 2 expect(2)
  w = w * 2 expect(8)
  w[{}] = 1 expect(2)
  flag = true expect(6)
  options.scale = .5 expect(3)
  k = 1 expect(1.5)
end

function T.test_parameters_written_in_place_are_seen ()
  local E = neap.energy.mlp{sizes = {2, 8}}
  local s, x = samplers.langevin, neap.randn(70, 2)
  both(s, E, x)
  local params = E:params()
  for _, p in pairs(params) do neap.no_grad(function () p[{}] = p * 2 + .1 end) end
  local one, five = both(s, E, x)
  lu.assertTrue(distance(one.x, five.x) < 1e-4)
end

-- ---- what cannot be recorded runs op by op, with the same random numbers ----

function T.test_functions_that_look_at_values ()
  local E = neap.energy(function (x)
    local scale = x:sum():item() > 0 and 1 or 2
    return x:square():sum(2) * scale
  end, {event = {2}})
  local one, five = both(samplers.langevin, E, neap.randn(6, 2))
  lu.assertEquals(distance(one.x, five.x), 0)
end

function T.test_functions_that_fail ()
  local E = neap.energy(function (x) error "no energy today" end, {event = {2}})
  local s = samplers.langevin
  local ok, message = pcall(s.step, s, E, s:init(E, neap.zeros(3, 2)), 5)
  lu.assertFalse(ok)
  lu.assertStrContains(message, "no energy today")
end

function T.test_functions_that_differ_from_call_to_call ()
  local n = 0
  local E = neap.energy(function (x) n = n + 1 return x:square():sum(2) * n end, {event = {2}})
  local s = neap.sampler.langevin{step_size = .001, noise_std = 0}
  local st = s:init(E, neap.ones(3, 2))
  n = 0
  st = s:step(E, st, 6)
  local seen = n
  lu.assertTrue(seen >= 6)                                         -- it ran at every step
end

-- ---- entries that a step adds ----

function T.test_entries_that_a_step_adds ()
  local function step (_, st)
    local k = (st.k or neap.zeros_like(st.x:select(2, 1))) + 1
    return {x = st.x * .5 + k:unsqueeze(2), k = k}
  end
  local s, E, x = neap.sampler.custom{step = step}, energies("float32").mlp, neap.randn(70, 2)
  local one, many = s:init(E, x, neap.rng(1)), s:step(E, s:init(E, x, neap.rng(1)), 12)
  for _ = 1, 12 do one = s:step(E, one, 1) end
  lu.assertEquals(many.k:totable(), neap.full({70}, 12):totable())
  lu.assertTrue(distance(many.x, one.x) < 1e-5)
  many = s:step(E, s:step(E, s:init(E, x, neap.rng(1)), 1), 11)
  lu.assertTrue(distance(many.x, one.x) < 1e-5)
  lu.assertTrue(distance(s:sample(E, {init = x, steps = 12})[12], one.x) < 1e-5)
end

-- ---- draws ----

function T.test_draws_of_a_sample_are_those_of_steps ()
  local E = energies("float32").mlp
  for _, s in pairs(samplers) do
    local x = neap.randn(70, 2)
    local draws, info = s:sample(E, {init = x, steps = 12, thin = 3, warmup = 4, seed = 9})
    local st = s:init(E, x, neap.rng(9))
    for i = 1, 16 do
      st = s:step(E, st, 1)
      if i > 4 and (i - 4) % 3 == 0 then
        local k = (i - 4) // 3
        lu.assertTrue(distance(draws[k], st.x) < 1e-4)
        lu.assertTrue(distance(info.energy[k], E(st.x)) < 1e-3)
      end
    end
  end
end

return T
