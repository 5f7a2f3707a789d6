-- Every sampler as a program against its steps one by one, which run op by op with the same random numbers: five
-- steps from equal state, on every energy, for batches of any size and both dtypes; the same bits for any number of
-- threads. The bound: an evaluation is off by at most 64 u of the largest element (test_energies), and a step of
-- these small sizes multiplies what is off by at most 2.  A chain may be somewhere else only if one of its choices
-- was a close one: u within 1e-4 (float32) or 1e-12 (float64) of the probability of acceptance.
local lu = require "luaunit"
local neap = require "neap"
local compare = require "program.compare"
local slice_by_hand = require "sampler.slice_by_hand"
local zoo = require "program.zoo"
local T = {}

local STEPS = 5
local BOUND = 64 * 2 ^ STEPS
local close_call = {float32 = 1e-4, float64 = 1e-12}

-- ---- how close a choice was ----------------------------------------------------------------------------------------

local function row_sum (x) return (x * x):sum(2) end

local function noise (E, rng, x)
  local n = rng:normal(x.shape, {dtype = x.dtype})
  return E.mask and neap.where(E.mask, neap.zeros_like(n), n) or n
end

-- log of the probability of acceptance [rows], before it is cut at 0, from a state and its random numbers
local ratio = {}

function ratio.random_walk (E, st, rng, o)
  return st.energy - E(st.x + o.scale * noise(E, rng, st.x), st.condition)
end

function ratio.mala (E, st, rng, o)
  local eps, n = o.step_size, noise(E, rng, st.x)
  local y = st.x - eps * st.grad + math.sqrt(2 * eps) * n
  local ey, gy = E:value_and_grad(y, st.condition)
  return st.energy - ey + row_sum(n) * .5 - row_sum(st.x - y + eps * gy) / (4 * eps)
end

function ratio.hmc (E, st, rng, o)
  local eps, x, p, g = o.step_size, st.x, noise(E, rng, st.x), st.grad
  local h, e = row_sum(p) * .5 + st.energy, nil
  for _ = 1, o.leapfrog_steps do
    p = p - eps / 2 * g
    x = x + eps * p
    e, g = E:value_and_grad(x, st.condition)
    p = p - eps / 2 * g
  end
  return h - e - row_sum(p) * .5
end

-- p − u [rows] of the step that st, with these random numbers, is about to make: it moves where that is not negative
local margin = setmetatable({}, {__index = function (_, kind)
  return ratio[kind] and function (E, st, rng, o)
    local p = ratio[kind](E, st, rng, o):exp()
    return p - (1 - rng:uniform(p.shape, {dtype = p.dtype}))
  end
end})

-- how close an energy was to the level, negative where no point was found
function margin.slice (E, st, rng, o)
  local _, found, close = slice_by_hand(E, st, rng, o.width)
  return neap.where(found, close, -close)
end

-- ---- five steps and five steps -------------------------------------------------------------------------------------

local settings = {
  langevin = {step_size = .02, clip = 3, clamp = {-4, 4}},
  random_walk = {scale = .3},
  mala = {step_size = .02},
  hmc = {step_size = .05, leapfrog_steps = 3},
  slice = {width = 1},
  annealed_langevin = {sigmas = {1, .4}, step_size = .005, steps = 3},
  underdamped = {step_size = .05, friction = 2},
}

local function start (s, E, x, c)
  if c then return s:init(E, x, c, neap.rng(3)) end
  return s:init(E, x, neap.rng(3))
end

-- one step op by op, and |u − p| [rows] of its choices, which must be the ones that were made
local function choose (kind, s, E, st, c)
  local rng, before = neap.rng(0), st.accepted
  rng:set_state(st.rng:state())
  local m = margin[kind](E, start(s, E, st.x, c), rng, settings[kind])
  s:step(E, st, 1)
  local wrong = (st.accepted - before):gt(.5):ne(m:ge(0)):logical_and(m:abs():gt(close_call[st.x.dtype]))
  lu.assertEquals(wrong:sum():item(), 0, kind .. ": choices are what the formula says")
  return m:abs()
end

-- the steps one by one: the state, and each chain's closest choice
local function one_by_one (kind, s, E, x, c)
  local st, closest = start(s, E, x, c), nil
  for _ = 1, STEPS do
    local m = margin[kind] and choose(kind, s, E, st, c) or s:step(E, st, 1) and nil
    closest = closest and m and neap.minimum(closest, m) or m
  end
  return st, closest
end

local tally

-- rows of x and y that are not within the bound of each other, as bool [rows]
local function elsewhere (x, y)
  local u = x.dtype == "float32" and 2 ^ -24 or 2 ^ -53
  return (x - y):abs():gt(BOUND * u * (1 + y:abs():amax():item())):any(2)
end

local function check_run (kind, s, entry, rows, dtype, what)
  local programs = neap.memory().programs
  local x, c = zoo.batch(rows, entry, dtype)
  local one, closest = one_by_one(kind, s, entry.E, x, c)
  local function run () return s:step(entry.E, start(s, entry.E, x, c), STEPS) end
  local five = run()
  lu.assertEquals(five.x.dtype, dtype)
  tally.programs = tally.programs + neap.memory().programs - programs
  local off = rows > 0 and elsewhere(five.x, one.x) or neap.zeros(0):gt(0)
  if one.accepted then off = off:logical_or(five.accepted:ne(one.accepted)) end
  local excused = closest and off:logical_and(closest:lt(close_call[dtype])) or neap.zeros_like(off)
  lu.assertEquals(off:sum():item(), excused:sum():item(), what)
  tally.n, tally.chains, tally.off = tally.n + 1, tally.chains + rows, tally.off + off:sum():item()
  if rows == 1000 then
    lu.assertTrue(compare.same_for_threads(function () local st = run() return {st.x, st.energy} end), what)
  end
end

-- all sizes for one energy in turn, the others on two, so that each energy meets each sampler and each size; of a step
-- of many energies the most rows on every fourth
local function sizes_for (kind, i)
  local all = {0, 1, 2, 63, 64, 65, 1000}
  return {all[i % #all + 1], all[(i + 3) % #all + 1], (kind ~= "slice" or i % 4 == 0) and 1000 or nil}
end

for _, dtype in ipairs{"float32", "float64"} do
  T["test_steps_equal_" .. dtype] = function ()
    tally = {n = 0, chains = 0, off = 0, programs = 0}
    local heard = compare.with_warnings(function ()
      for i, entry in ipairs(zoo.all(dtype)) do
        local k = 0
        for kind, options in pairs(settings) do
          k = k + 1
          local s = neap.sampler[kind](options)
          for _, rows in ipairs(sizes_for(kind, i + k)) do
            check_run(kind, s, entry, rows, dtype, ("%s, %s, %s, %d rows"):format(kind, entry.name, dtype, rows))
          end
        end
      end
    end)
    lu.assertEquals(heard, {})
    print(("samplers, %s: %d runs of %d chains, %d elsewhere after a close choice; %d programs made"):format(dtype,
      tally.n, tally.chains, tally.off, tally.programs))
    lu.assertTrue(tally.programs > 150)                     -- but for equal ones, each energy and sampler made one
  end
end

-- ---- where chains start --------------------------------------------------------------------------------------------

-- From 64 rows on a ready-made energy's first values come from a program, which later starts share.
function T.test_energy_and_gradient_of_the_start ()
  local s, E, x = neap.sampler.hmc{step_size = .1}, neap.energy.mlp{sizes = {2, 16}}, neap.rng(1):normal{300, 2}
  local made = neap.memory().programs
  local function start () local st = s:init(E, x) return {st.energy, st.grad} end
  lu.assertTrue(compare.same_for_threads(start))
  x = x:slice(1, 1, 64)
  local st, e, g = start(), E:value_and_grad(x)
  lu.assertTrue((st[1] - e):abs():amax():item() < 1e-5)
  lu.assertTrue((st[2] - g):abs():amax():item() < 1e-5)
  lu.assertEquals(neap.memory().programs, made + 1)
  x = x:slice(1, 1, 63)
  start()
  E = neap.energy(function (y) return row_sum(y) / 2 end, {event = {2}})       -- it would be recorded at each start
  x = neap.randn(300, 2)
  start()
  lu.assertEquals(neap.memory().programs, made + 1)
end

-- ---- gibbs ---------------------------------------------------------------------------------------------------------

-- the smallest |u − p| [rows] of one step's choices: a uniform for each hidden, then for each visible unit
local function closest_bit (E, st)
  local rng, o = neap.rng(0), {dtype = st.x.dtype}
  rng:set_state(st.rng:state())
  local ph = E:hidden(st.x)
  local u = rng:uniform(ph.shape, o)
  local pv = E:visible(u:lt(ph):to(st.x.dtype))
  return neap.minimum((u - ph):abs():amin(2), (rng:uniform(pv.shape, o) - pv):abs():amin(2))
end

local function check_gibbs (s, E, rows, dtype)
  local x = neap.rng(rows):bernoulli(neap.full({rows, 7}, .5, {dtype = dtype}))
  local one, many, closest = s:init(E, x, neap.rng(3)), s:init(E, x, neap.rng(3)), nil
  for _ = 1, STEPS do
    local m = closest_bit(E, one)
    closest = closest and neap.minimum(closest, m) or m
    s:step(E, one, 1)
  end
  s:step(E, many, STEPS)
  local off = many.x:ne(one.x):any(2):logical_or(many.h:ne(one.h):any(2))
  lu.assertEquals(off:logical_and(closest:ge(close_call[dtype])):sum():item(), 0)
end

function T.test_gibbs ()
  local s, made = neap.sampler.gibbs{}, neap.memory().programs
  for _, dtype in ipairs{"float32", "float64"} do
    local E = neap.energy.rbm{visible = 7, hidden = 33, dtype = dtype}
    for _, rows in ipairs{1, 2, 63, 64, 65, 1000} do check_gibbs(s, E, rows, dtype) end
    local x = neap.zeros({1000, 7}, {dtype = dtype})
    lu.assertTrue(compare.same_for_threads(function () return {s:step(E, s:init(E, x, neap.rng(3)), 20).x} end))
  end
  lu.assertTrue(neap.memory().programs > made)
end

-- ---- flips ---------------------------------------------------------------------------------------------------------

-- The same moves: all of them in float64; in float32 a choice in thousands is close enough to go the other way.
local function check_flips (s, E, rows, dtype)
  local x = neap.rng(rows):bernoulli(neap.full({rows, 7}, .5, {dtype = dtype}))
  local one, many = s:init(E, x, neap.rng(3)), s:init(E, x, neap.rng(3))
  for _ = 1, STEPS do s:step(E, one, 1) end
  s:step(E, many, STEPS)
  local off = many.x:ne(one.x):any(2):logical_or(many.accepted:ne(one.accepted)):sum():item()
  lu.assertTrue(off <= (dtype == "float32" and rows / 500 or 0), ("%s, %s, %d rows: %d"):format(s, dtype, rows, off))
  lu.assertEquals(many.x:mul(many.x - 1):abs():amax():item(), 0)
end

function T.test_flips ()
  local made = neap.memory().programs
  for _, s in ipairs{neap.sampler.gibbs_with_gradients{}, neap.sampler.dmala{step_size = .5}} do
    for _, dtype in ipairs{"float32", "float64"} do
      local E = neap.energy.rbm{visible = 7, hidden = 33, dtype = dtype}
      for _, rows in ipairs{1, 2, 63, 64, 65, 1000} do check_flips(s, E, rows, dtype) end
      local x = neap.zeros({1000, 7}, {dtype = dtype})
      lu.assertTrue(compare.same_for_threads(function () return {s:step(E, s:init(E, x, neap.rng(3)), 20).x} end))
    end
  end
  lu.assertTrue(neap.memory().programs > made)
end

-- ---- rows that mix: what runs does not depend on threads -----------------------------------------------------------

function T.test_rows_that_mix_on_any_number_of_threads ()
  local E = neap.energy(function (x)
    local y = x:slice(2, 4, 5) * 1                          -- a copy, or none in a program: the sum adds otherwise
    return (x * x):sum(2) * .5 + (y - y:mean(1)):tanh():square():tanh():mean(2) + (x:softmax(1) * x):sum(2)
  end, {event = {5}})
  for kind, options in pairs(settings) do
    local s = neap.sampler[kind](options)
    for _, rows in ipairs{2, 65, 130, 1000} do
      local x = neap.rng(rows):normal({rows, 5}, {dtype = "float64"})
      local function run () return {s:step(E, s:init(E, x, neap.rng(3)), 6).x} end
      lu.assertTrue(compare.same_for_threads(run), ("%s, %d rows"):format(kind, rows))
    end
  end
end

return T
