-- What each pass of a program must keep, one test each: tests/planted breaks a pass and expects its test to fail.
-- A program is compared with the function it was recorded from, at 1100 rows too: then it has several blocks.
local lu = require "luaunit"
local neap = require "neap"
local T = {}

local function distance (a, b) return (a - b):abs():max():item() end

-- The program of f gives what f gives, for any number of rows and all it is called with.
local function compare (f, columns, sizes)
  local calls = 0
  local g = neap.compile(function (...) calls = calls + 1 return f(...) end)
  for _, rows in ipairs(sizes or {1100, 70, 5, 1}) do
    g(neap.randn(rows, columns))
    local seen = calls
    for _ = 1, 2 do
      local x = neap.randn(rows, columns)
      local want, got = table.pack(f(x)), table.pack(g(x))
      lu.assertEquals(got.n, want.n)
      for i = 1, want.n do lu.assertTrue(distance(want[i], got[i]) < 1e-4, ("%d rows, result %d"):format(rows, i)) end
    end
    lu.assertEquals(calls, seen)
  end
end

-- Five steps as a program give what they give one by one.
local function compare_steps (step, carry)
  local fast = neap.scan(step, carry, 8)
  for i = 1, 8 do carry = step(carry, nil, i) end
  for name, x in pairs(carry) do lu.assertTrue(distance(fast[name], x) < 1e-4, name) end
end

-- ---- rows ----

function T.test_numbers_that_depend_on_rows ()
  compare(function (x) return x * (1 / x.shape[1]) end, 3)
end

function T.test_functions_that_count_rows ()
  compare(function (x) return x.shape[1] > 50 and x * 2 or x * 3 end, 3)
end

function T.test_sums_along_rows ()
  compare(function (x) return x:cumsum(1), x:cumsum(2) end, 3)
end

function T.test_reductions_over_rows ()
  compare(function (x) return x - x:logsumexp(1), x - x:logsumexp(2, true) end, 3)
end

function T.test_products_of_rows ()
  compare(function (x) return neap.matmul(x, neap.matmul(x:t(), x)) end, 3)
end

function T.test_rows_seen_otherwise ()
  compare(function (x) return x + x:flip(1):exp(), x + x:reshape(3, x.shape[1]):t():exp() end, 3)
end

function T.test_tensors_as_long_as_the_rows ()
  local w = neap.randn(1100, 3)
  compare(function (x) return x * w:slice(1, 1, x.shape[1]) end, 3)
end

-- ---- common subexpressions, identities, hoisting ----

function T.test_equal_ops_with_other_attributes ()
  compare(function (x) return x:clamp(-1, 1) - 2 * x:clamp(-2, 2), x:sum({1, 2}) + x:sum(2) end, 3)
end

function T.test_equal_ops_with_other_operands ()
  compare(function (x)
    local y = x:square() + 1
    return x / y - 2 * y / (x - 9)
  end, 3)
end

function T.test_identities ()
  compare(function (x)
    local y = x:square() + 1
    return 1 / y, y / 1, 1 * y, y * 0 end, 3)
end

function T.test_values_of_rows_are_not_hoisted ()
  compare(function (x) return (x * 2):exp() + x end, 3)
end

-- What is the same for all rows is made once, however it is looked at.
function T.test_broadcasts_seen_in_parts ()
  local w, b = neap.randn(3), neap.randn(3)
  compare(function (x)
    local y = (w:expand(x.shape[1], 3) * b):exp()
    return x + y, y:slice(2, 2, 3) - x:slice(2, 1, 2), neap.matmul(y:t() * 1e-3, x), y + 1
  end, 3)
end

local function drawing (sizes)
  local function step (rng) return function (c) return {x = c.x * .5 + rng:normal(sizes or c.x.shape)} end end
  local fast = neap.scan(step(neap.rng(7)), {x = neap.zeros(1100, 3)}, 9)
  local slow, one = {x = neap.zeros(1100, 3)}, step(neap.rng(7))
  for _ = 1, 9 do slow = one(slow) end
  lu.assertTrue(distance(fast.x, slow.x) < 1e-5)
end

function T.test_draws_are_not_hoisted () drawing{3} end
function T.test_draws_of_steps () drawing() end

function T.test_draws_of_blocks ()
  local a, b = neap.rng(5), neap.rng(5)
  local g = neap.compile(function (x) return x + a:normal(x.shape) * a:uniform(x.shape) end)
  local x = neap.zeros(1100, 3)
  for _ = 1, 3 do lu.assertTrue(distance(g(x), b:normal(1100, 3) * b:uniform(1100, 3)) < 1e-6) end
end

function T.test_outputs_that_show_inputs ()
  compare_steps(function (c) return {x = c.v, v = c.x * .5 + c.v} end, {x = neap.randn(5, 2), v = neap.randn(5, 2)})
end

-- ---- loops over tiles ----

function T.test_loops_read_their_own_place ()
  compare(function (x)
    local y = x:exp()
    return y + y:flip(2) * .5
  end, 5)
end

function T.test_nodes_after_their_operands ()
  local w = neap.randn(6, 6)
  compare(function (x) return neap.matmul(x:exp(), w):sin() + x end, 6)
end

function T.test_slots_of_a_loop ()
  compare(function (x)
    local inside = x:gt(-1):logical_and(x:lt(1))
    return neap.where(inside, neap.where(x:gt(0), x * 2, x - 1):square(), -x)
  end, 40)
end

function T.test_values_between_loops ()
  local w = neap.randn(6, 6)
  compare(function (x)
    local y = x:exp()
    return neap.matmul(y, w) - y:sum(2, true)
  end, 6)
end

-- v does not count rows: what is made of it shares its loop with what is made of w, but not its time.
function T.test_loops_of_what_is_hoisted ()
  local w = neap.randn(7)
  compare_steps(function (c) return {x = c.x * .5, v = c.v * w:square():neg():exp() + 1} end,
                {x = neap.randn(3, 2), v = neap.randn(7)})
end

-- ---- memory ----

function T.test_lifetimes ()
  local w = neap.randn(6, 6) * .3
  compare(function (x)
    for _ = 1, 4 do x = neap.matmul(x, w) end
    return x
  end, 6)
end

function T.test_lifetimes_of_outputs ()
  local w = neap.randn(6, 6) * .3
  compare(function (x)
    local y = neap.matmul(x, w)
    local z = neap.matmul(y, w)
    return y, z:slice(2, 2, 4), neap.matmul(neap.matmul(neap.matmul(z, w), w), w)  -- a part has no memory of its own
  end, 6)
end

function T.test_lifetimes_of_hoisted_values ()
  local w, v = neap.randn(6, 6) * .3, neap.randn(6, 6) * .3
  compare(function (x)
    local y = neap.matmul(x, neap.matmul(w, v))
    return neap.matmul(y, neap.matmul(v, w))
  end, 6)
end

-- ---- leaves, streams, programs found again: samplers record at each call ----

-- Where five steps lead is where they lead one by one.
local function compare_chain (E, columns, seed)
  local s, x = neap.sampler.langevin{step_size = .01}, neap.randn(70, columns)
  local one, five = s:init(E, x, neap.rng(seed or 3)), s:init(E, x, neap.rng(seed or 3))
  for _ = 1, 5 do one = s:step(E, one, 1) end
  lu.assertTrue(distance(one.x, s:step(E, five, 5).x) < 1e-4)
end

function T.test_streams_are_bound_again ()
  local E = neap.energy.double_well{}
  for seed = 1, 3 do compare_chain(E, 2, seed) end
end

function T.test_programs_that_differ_in_attributes ()
  for bound = 1, 3 do
    compare_chain(neap.energy(function (x) return (x:clamp(-bound, bound) * 2):square():sum(2) end, {event = {2}}), 2)
  end
end

function T.test_tiles_of_leaves_are_gathered_again ()
  local b = neap.tensor{1., 2.}
  local E = neap.energy(function (x) return (x + b):square():sum(2) end, {event = {2}})
  for k = 1, 3 do
    b[{}] = k
    compare_chain(E, 2)
  end
end

-- ---- running ----

-- What a step gives and no step reads is right all the same, also where an earlier call left one.
function T.test_energies_after_several_calls ()
  local E, s, x = neap.energy.mlp{sizes = {2, 8}}, neap.sampler.langevin{step_size = .01}, neap.randn(130, 2)
  local one, many = s:init(E, x, neap.rng(3)), s:init(E, x, neap.rng(3))
  for _ = 1, 3 do
    for _ = 1, 5 do one = s:step(E, one, 1) end
    many = s:step(E, many, 5)
    lu.assertTrue(distance(one.x, many.x) < 1e-4)
    lu.assertTrue(distance(one.energy_before, many.energy_before) < 1e-4)
  end
end

function T.test_what_a_step_needs_runs_in_each ()
  local w = neap.randn(4, 4)
  compare_steps(function (c) return {x = neap.matmul(c.x:sin(), w):tanh() + c.x * .5} end, {x = neap.randn(1100, 4)})
end

return T
