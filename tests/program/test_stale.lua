-- Nothing goes stale: what a script changes between two calls of a sampler is seen by the next one, whatever it is,
-- and what is only a number or a tensor's elements costs no new program. Each test changes something and compares
-- twelve steps at once (a program) with twelve one by one (op by op).
local lu = require "luaunit"
local neap = require "neap"
local T = {}

local quiet = neap.sampler.langevin{step_size = .05, noise_std = 0}
local samplers = {quiet, neap.sampler.mala{step_size = .05}, neap.sampler.hmc{step_size = .1, leapfrog_steps = 2}}

local start = neap.rng(1):normal(70, 2) * .5 + .5

local STEPS = 12
local calls = 0                            -- of functions made by well

local function programs () return neap.memory().programs end
local function distance (a, b) return (a - b):abs():amax():item() end

-- steps at once are steps; gives x and the number of programs that were made
local function agree (E, s, x, c)
  local made = programs()
  calls = 0
  local function start () return c and s:init(E, x, c, neap.rng(3)) or s:init(E, x, neap.rng(3)) end
  local many = s:step(E, start(), STEPS).x
  made = programs() - made
  lu.assertTrue(calls < STEPS, "a program ran, not the function")
  local one = start()
  for _ = 1, STEPS do s:step(E, one, 1) end
  lu.assertEquals(many.shape, one.x.shape)
  lu.assertTrue(distance(many, one.x) <= 1e-4 * (1 + one.x:abs():amax():item()))
  return many, made
end

-- make() gives an energy and changes: after each the sampler agrees, and all but the same ones change what is drawn;
-- those said to be free make no program.
local function check (make)
  for _, s in ipairs(samplers) do
    local E, changes = make()
    local last = agree(E, s, start)
    for i, change in ipairs(changes) do
      local what = ("%s, change %d"):format(tostring(s), i)
      change.to()
      local now, made = agree(E, s, start)
      if not change.same then lu.assertTrue(distance(now, last) > 1e-5, what .. " is seen") end
      if change.free then lu.assertEquals(made, 0, what .. " makes no program") end
      last = now
    end
  end
end

local function well (f)
  return neap.energy(function (x)
    calls = calls + 1
    return f(x)
  end, {event = {2}})
end

-- ---- numbers -------------------------------------------------------------------------------------------------------

function T.test_numbers ()
  check(function ()
    local k = .7
    return well(function (x) return (x * x):sum(2) * k end), {
      {to = function () k = 1.5 end, free = true}, {to = function () k = 3 end, free = true},
      {to = function () k = 1 end}, {to = function () k = 0 end}, {to = function () k = -.3 end, free = true},
      {to = function () k = .7 end, free = true},
    }
  end)
end

function T.test_numbers_that_are_ones_or_zeros_at_first ()
  check(function ()
    local k, b = 1, 0
    return well(function (x) return (x * k + b):square():sum(2) end), {
      {to = function () k = 2 end}, {to = function () b = .5 end}, {to = function () k, b = 1, 0 end},
      {to = function () b = -0. end, same = true}, {to = function () k, b = .5, .25 end},
    }
  end)
end

function T.test_numbers_in_tables_and_functions ()
  check(function ()
    local o = {scale = .5, at = {1, 3}} -- numbers that happen to be equal are one: that costs one more
    local function shift () return o.at[2] end
    return well(function (x) return (x - shift()):square():sum(2) * o.scale end), {
      {to = function () o.scale = .9 end, free = true}, {to = function () o.at[2] = -1 end, free = true},
      {to = function () o = {scale = .4, at = {0, 7}} end, free = true},
      {to = function () shift = function () return -2 end end, free = true},
      {to = function () setmetatable(o, {__index = function () return .2 end}) o.scale = nil end, free = true},
    }
  end)
end

function T.test_numbers_that_ops_take_as_settings ()
  check(function ()
    local lo, beta, power, dim = -.5, 1, 2, 2
    return well(function (x)
      return x:clamp(lo, 9):square():sum(dim) + x:softplus{beta = beta}:sum(2) + (x:abs() + 1):pow(power):sum(2) * .1
    end), {
      {to = function () lo = .3 end}, {to = function () beta = 3 end}, {to = function () power = 3 end, free = true},
      {to = function () dim = -1 end, same = true}, {to = function () lo = -.5 end},
    }
  end)
end

-- A step is recorded with few rows: what is the same with those, but not with others, is told apart all the same.
-- (langevin alone: where rows mix, what mala carries depends on where a call begins.)
local function told_apart (make)
  local few, fewer = start:slice(1, 1, 50), start:slice(1, 1, 30)
  local E, switch = make()
  for _ = 1, 3 do
    local seen = {}
    for k, on in ipairs{false, true} do
      switch(on)
      seen[k] = agree(E, quiet, few)
      agree(E, quiet, fewer)
    end
    lu.assertTrue(distance(seen[1], seen[2]) > 1e-5)
  end
end

function T.test_numbers_made_of_the_number_of_rows ()
  for _, k in ipairs{.5, .7, 1, 2, 1 / 3, 1 / 5, 1 / 7} do
    told_apart(function ()
      local share = false
      return well(function (x) return (x * x):sum(2) * (share and 1 / x.shape[1] or k) end),
             function (on) share = on end
    end)
  end
end

function T.test_means_against_sums ()
  local function make (f)
    return function ()
      local mean = false
      return well(function (x) return (x * x):sum(2) + f(x:sin(), mean) end), function (on) mean = on end
    end
  end
  told_apart(make(function (y, mean) return mean and y:mean(1):sum() * 9 or y:sum(1):sum() * 9 / 2 end))
  told_apart(make(function (y, mean) return mean and y:mean(1):sum() or (y:sum(1) / .7):sum() end))
  told_apart(make(function (y, last) return y:select(1, last and -1 or 2):sum() end))
  told_apart(make(function (y, all) return y:slice(1, 1, all and -1 or 2):sum() end))
end

function T.test_annealing_costs_no_program ()
  local temperature = 3
  local E = well(function (x) return (x * x):sum(2) / temperature end)
  local st, from, expected = quiet:init(E, start), programs(), start
  for _ = 1, 30 do
    quiet:step(E, st, 5)
    for _ = 1, 5 do expected = expected - .05 * 2 * expected / temperature end
    temperature = temperature * .95
  end
  lu.assertTrue(programs() - from <= 2)                      -- one for a fresh state, one for a state that was stepped
  lu.assertTrue(distance(st.x, expected) < 1e-5)
end

-- ---- tensors -------------------------------------------------------------------------------------------------------

function T.test_tensors ()
  check(function ()
    local w = neap.tensor{1., 2.}
    local kept = w
    return well(function (x) return (x * x * w):sum(2) end), {
      {to = function () w = neap.tensor{.5, .1} end, free = true},
      {to = function () w[1] = 3 end, free = true},
      {to = function () neap.no_grad(function () w[{}] = w * .5 end) end, free = true},
      {to = function () w = neap.tensor{{.2, .3}} end},                                -- of another shape
      {to = function () w = neap.tensor({.7, .3}, {dtype = "float64"}) end},
      {to = function () w = kept end}, {to = function () w = w * .9 end, free = true},
      {to = function () w = neap.tensor{{.4, 9}, {.6, 9}}:select(2, 1) end},           -- elements that lie apart
      {to = function () w = neap.tensor{.4, .6} end, same = true},
    }
  end)
end

function T.test_tensors_that_become_numbers ()
  check(function ()
    local w = neap.tensor(2.)
    return well(function (x) return (x * x):sum(2) * w end), {
      {to = function () w = .5 end}, {to = function () w = neap.tensor(.2) end},
      {to = function () w = neap.tensor{.8} end},
    }
  end)
end

local function grow (params) for _, p in ipairs(params) do p[{}] = p * 1.5 + .1 end end

function T.test_parameters ()
  check(function ()
    local E, optimizer = neap.energy.mlp{sizes = {2, 8}}, neap.optim.sgd{lr = .1}
    local params = E:params()
    return E, {
      {to = function () neap.no_grad(grow, params) end, free = true},
      {to = function () optimizer:step(params, neap.gradients(E(start):mean(), params)) end, free = true},
      {to = function () neap.no_grad(function () E.weight1[1] = .3 end) end, free = true},
    }
  end)
end

function T.test_energies_with_other_parameters ()
  local E = neap.energy.mlp{sizes = {2, 8}}
  for _, s in ipairs(samplers) do
    local a, twin, list = agree(E, s, start), E:clone(), {}
    neap.no_grad(function () twin.weight1[{}] = twin.weight1 * 2 end)
    lu.assertTrue(distance(agree(twin, s, start), a) > 1e-5)
    for i, p in ipairs(E:params()) do list[i] = p * .5 end
    lu.assertTrue(distance(agree(E:with(list), s, start), a) > 1e-5)
    lu.assertEquals(distance(agree(E, s, start), a), 0)
  end
end

function T.test_constants_written_in_place ()
  check(function ()
    local mean, std = neap.tensor{0., 1.}, neap.tensor{1., 2.}
    return neap.energy.gaussian{mean = mean, std = std}, {
      {to = function () mean[1] = 2 end, free = true}, {to = function () std[2] = .7 end, free = true},
    }
  end)
  check(function ()
    local c = neap.tensor{.1, .2, .3}
    return neap.energy.mlp{sizes = {2, 8}, condition = 3}:given(c), {{to = function () c[1] = 4 end, free = true}}
  end)
  check(function ()
    local held = neap.tensor{.4, 0.}
    local E = neap.energy.banana{}:fix(neap.tensor{1, 0}:gt(.5), held)
    return E, {{to = function () held[1] = 1.4 end, free = true}}
  end)
end

-- ---- what the function does ----------------------------------------------------------------------------------------

function T.test_flags_loops_and_functions ()
  check(function ()
    local flag, rounds, bend = false, 1, nil
    return well(function (x)
      local e = (x * x):sum(2) * .5
      if flag then e = e * 3 end
      for i = 1, rounds do e = e + (x / i):sin():sum(2) * .3 end
      return bend and bend(e) or e
    end), {
      {to = function () flag = true end}, {to = function () flag = false end, free = true},
      {to = function () rounds = 3 end}, {to = function () rounds = 0 end},
      {to = function () rounds = 1 end, free = true},
      {to = function () bend = function (e) return e * .2 end end}, {to = function () bend = neap.softplus end},
      {to = function () bend = nil end, free = true},
    }
  end)
end

function T.test_parts_that_come_and_go ()
  check(function ()
    local parts = {neap.energy.banana{}}
    local E = well(function (x)
      local e = 0
      for _, part in ipairs(parts) do e = e + part(x) end
      return e
    end)
    return E, {
      {to = function () parts[2] = neap.energy.double_well{dim = 2} end},
      {to = function () parts[3] = .5 * neap.energy.ring{radius = 2, std = .5} end},
      {to = function () parts[2] = neap.energy.double_well{dim = 2, barrier = 2} end},
      {to = function () table.remove(parts) end}, {to = function () parts[2] = nil end},
    }
  end)
end

-- ---- what is called ------------------------------------------------------------------------------------------------

function T.test_energies_in_turn ()
  local k = {1.5, 2.5, .4}
  local all = {}
  for i = 1, 3 do all[i] = well(function (x) return (x * x):sum(2) * k[i] end) end
  for i = 1, 3 do all[3 + i] = i * neap.energy.gaussian{mean = {i, 0}, std = 1 + i / 2} end
  all[7], all[8] = neap.energy.mlp{sizes = {2, 8}}, neap.energy.mlp{sizes = {2, 8}}
  for round = 1, 3 do
    for _, s in ipairs(samplers) do
      local seen = {}
      for i, E in ipairs(all) do
        seen[i] = agree(E, s, start)
        for j = 1, i - 1 do lu.assertTrue(distance(seen[i], seen[j]) > 1e-5, ("%d: %d, %d"):format(round, i, j)) end
      end
    end
  end
end

function T.test_states_streams_sizes_and_dtypes ()
  local E = neap.energy.mlp{sizes = {2, 8}, condition = 1}
  for _, s in ipairs(samplers) do
    for _, rows in ipairs{70, 2, 3, 1, 64, 200, 70} do
      for _, dtype in ipairs{"float32", "float64"} do
        local rng = neap.rng(rows)
        local x, c = rng:normal({rows, 2}, {dtype = dtype}), rng:normal({rows, 1}, {dtype = dtype})
        local a = agree(E, s, x, c)
        local b = agree(E, s, x, c + 1)
        lu.assertTrue(distance(a, b) > 1e-7)
      end
    end
  end
end

function T.test_a_state_that_the_script_changes ()
  local E = neap.energy.banana{}
  local changes = {
    function (st) st.x = st.x * .5 end, function (st) st.x[1] = 2 end,
    function (st) st.rng:set_state(neap.rng(8):state()) end,
    function (st) st.rng:normal(3) end, function (st) st.x = start:flip(1) end,
  }
  for _, s in ipairs(samplers) do
    for k, change in ipairs(changes) do
      local one, five = s:init(E, start, neap.rng(3)), s:init(E, start, neap.rng(3))
      s:step(E, one, 5)
      s:step(E, five, 5)
      change(one)
      change(five)
      for _ = 1, 5 do s:step(E, one, 1) end
      s:step(E, five, 5)
      lu.assertTrue(distance(one.x, five.x) < 1e-4, ("%s, change %d"):format(tostring(s), k))
    end
  end
end

function T.test_a_sampler_that_is_set ()
  local E, s = neap.energy.banana{}, neap.sampler.mala{step_size = .02}
  local a = agree(E, s, start)
  s:set_state{step_size = .1}
  local b, made = agree(E, s, start)
  lu.assertTrue(distance(a, b) > 1e-3)
  lu.assertEquals(made, 0)
  s:set_state{step_size = .02}
  lu.assertEquals(distance(agree(E, s, start), a), 0)
end

-- ---- other ways to run programs ------------------------------------------------------------------------------------

function T.test_sample ()
  local k, w, flag = .5, neap.tensor{1., 1.}, false
  local E = well(function (x) return flag and (x - w):abs():sum(2) or ((x - w) ^ 2):sum(2) * k end)
  local function last () return (quiet:sample(E, {init = start, steps = 8, seed = 2}))[8] end
  local function expect (slope) lu.assertTrue(distance(last() - w, (start - w) * (1 - .05 * slope) ^ 8) < 1e-5) end
  expect(1)
  k = 2 expect(4)
  w = w * 3 expect(4)
  w[1] = -1 expect(4)
  k = 1 expect(2)
  flag = true
  lu.assertTrue(distance((last() - start):abs(), neap.full(start.shape, .4)) < 1e-5)
end

function T.test_custom_steps ()
  local h, drift = .1, neap.tensor{1., -1.}
  local s = neap.sampler.custom{
    init = function (_, x) return {x = x} end,
    step = function (E, st) return {x = st.x - h * E:grad(st.x) + h * drift} end,
  }
  local E = neap.energy.double_well{dim = 2}
  agree(E, s, start)
  local last
  for _, change in ipairs{
    function () h = .05 end, function () drift = drift * 2 end, function () drift[1] = 5 end, function () h = 0.02 end,
    function () drift = neap.tensor(.3) end,
  } do
    change()
    local now = agree(E, s, start)
    if last then lu.assertTrue(distance(now, last) > 1e-4) end
    last = now
  end
end

-- 12.375 drives -0 out of the table of constants, so that there are two of them.
function T.test_negative_zeros ()
  local a, b = -0., -0.
  local E = neap.energy(function (x) return (x * a + x:sin() * 12.375 * b):sum(2) end, {event = {2}})
  agree(E, quiet, start)
  a, b = 2, 3
  agree(E, quiet, start)
end

function T.test_scan ()
  local k, w, flag = .5, neap.tensor{1., 2.}, false
  local function step (x) return flag and x + w or x * k + w end
  local function expect ()
    local x = start
    for _ = 1, 7 do x = step(x) end
    lu.assertTrue(distance(neap.scan(step, start, 7), x) < 1e-4)
  end
  expect()
  k = .9 expect()
  w = w * 2 expect()
  w[1] = 9 expect()
  flag = true expect()
  flag = false expect()
end

return T
