-- neap.compile, neap.scan, neap.explain: equal to the function itself, eager where they must be.
local lu = require "luaunit"
local errors = require "errors"
local neap = require "neap"
local T = {}

local function distance (a, b) return (a - b):abs():max():item() end
local function counting (f)
  local n = {calls = 0}
  return function (...) n.calls = n.calls + 1 return f(...) end, n
end

function T.test_compiled_equals_eager_for_any_number_of_rows ()
  local w, b = neap.randn(3, 4), neap.randn(4)
  local f, n = counting(function (x) return neap.matmul(x, w):add(b):silu():sum(2), (x * 2):exp() end)
  local g = neap.compile(f)
  for _, rows in ipairs{7, 1, 2, 64, 65, 1000} do
    local x = neap.randn(rows, 3)
    local a1, a2 = f(x)
    local b1, b2 = g(x)
    lu.assertTrue(distance(a1, b1) < 1e-5)
    lu.assertEquals(distance(a2, b2), 0)
  end
  for _ = 1, 9 do g(neap.randn(64, 3)) end
  lu.assertTrue(n.calls <= 6 * 6)                                  -- by hand, at first calls, recorded
end

function T.test_gradients_inside ()
  local f = neap.grad(function (x) return (x ^ 3):sum() end)
  local g, x = neap.compile(f), neap.randn(5, 2)
  for _ = 1, 3 do lu.assertTrue(distance(g(x), 3 * x * x) < 1e-5) end
end

function T.test_tensors_by_reference_numbers_by_value ()
  local w, k = neap.tensor{1., 2.}, 1
  local g = neap.compile(function (x) return x * w * k end)
  local x = neap.ones(3, 2)
  g(x)
  w[{}] = 5
  k = 10
  lu.assertEquals(distance(g(x), neap.full({3, 2}, 5)), 0)
end

function T.test_arguments_besides_tensors ()
  local g = neap.compile(function (o, k) return {y = o.x * k, name = o.name} end)
  local x = neap.ones(2, 2)
  for _ = 1, 2 do
    for k = 1, 3 do
      local r = g({x = x, name = "a"}, k)
      lu.assertEquals(r.y:sum():item(), 4 * k)
      lu.assertEquals(r.name, "a")
    end
  end
end

-- ---- forms of arguments ----

function T.test_forms_of_arguments ()
  local f = function (o, k)
    local s = 0
    for name, x in pairs(o) do if name ~= "k" then s = s + x * (name == "a" and 2 or 3) end end
    return s + k, {o.k}, k
  end
  local g, x = neap.compile(f), neap.ones(3, 2)
  local calls = {{{a = x}, 1}, {{b = x}, 1}, {{a = x, b = x}, 1}, {{a = x}, 1.5}, {{a = x, k = true}, 1}}
  for _ = 1, 2 do
    for i, args in ipairs(calls) do
      local want, got = table.pack(f(table.unpack(args))), table.pack(g(table.unpack(args)))
      lu.assertEquals(distance(got[1], want[1]), 0, i)
      lu.assertEquals({got[2], got[3], math.type(got[3])}, {want[2], want[3], math.type(want[3])})
    end
  end
  local h = neap.compile(function (a, b) return (a or x) - (b or x * 3) end)
  lu.assertEquals(distance(h(nil, x), h(x, x)), 0)
  lu.assertEquals(distance(h(x), h(x, x * 3)), 0)
  lu.assertEquals({h(x).dtype, neap.compile(function (t, n) return t * n end)(neap.tensor{1, 2}, 2.).dtype},
                  {"float32", "float32"})
end

-- int64 times 2 is int64, times 2.0 it is not; 1 / 0.0 is not 1 / -0.0
function T.test_numbers_that_are_equal_but_not_the_same ()
  local t = neap.arange(1, 3, {dtype = "int64"})
  local g = neap.compile(function (x, k) return x * k end)
  for _, k in ipairs{2, 2.0, 2, 2.0} do lu.assertEquals(g(t, k).dtype, (t * k).dtype) end
  local h = neap.compile(function (x, k) return x / k end)
  for _, k in ipairs{0.0, -0.0, 0.0} do lu.assertEquals(h(neap.ones(1), k):item(), 1 / k) end
end

-- ---- frozen ----

function T.test_what_is_frozen_stays_for_other_numbers_of_rows ()
  local k, w = 3, neap.ones(2)
  local g = neap.compile(function (x) return x * w * k end)
  g(neap.ones(4, 2))
  k, w = 10, neap.zeros(2)
  for _, rows in ipairs{4, 9, 70} do lu.assertEquals(g(neap.ones(rows, 2))[1][1]:item(), 3) end
end

-- ---- numbers of rows ----

-- what f(…), which must not fail, warns of
local function warnings (f, ...)
  local heard, ok, message = errors.warnings(f, ...)
  if not ok then error(message, 0) end
  return heard
end

function T.test_one_program_for_all_numbers_of_rows ()
  local g = neap.compile(function (x) return (x * 2):sin():sum(2) end)
  g(neap.randn(5, 3))
  local made = neap.memory().programs
  for rows = 1, 200 do g(neap.randn(rows, 3)) end
  lu.assertEquals(neap.memory().programs, made)
end

function T.test_functions_that_branch_on_the_number_of_rows ()
  local f, n = counting(function (x)
    local rows = x.shape[1]
    if rows % 7 == 0 then return x * 3 end
    return rows > 20 and x * 2 or x / rows
  end)
  local g = neap.compile(f)
  for _ = 1, 2 do
    for rows = 1, 24 do
      local x = neap.randn(rows, 3)
      lu.assertEquals(distance(g(x), f(x)), 0, rows)
    end
  end
  lu.assertTrue(n.calls < 24 * 8)
end

function T.test_more_kinds_of_inputs_than_are_kept ()
  local g = neap.compile(function (x) return x * 2 end)
  local heard = warnings(function ()
    for _ = 1, 2 do
      for n = 1, 40 do lu.assertEquals(distance(g(neap.ones(2, n)), neap.full({2, n}, 2)), 0) end
    end
  end)
  lu.assertEquals(#heard, 1)
  lu.assertStrContains(heard[1], "inputs of more than 32 kinds")
end

-- ---- what cannot be recorded ----

function T.test_the_line_that_looks_at_values ()
  local line
  local function helper (x)
    line = debug.getinfo(1, "l").currentline + 1
    return x:sum():item() > 0
  end
  local g = neap.compile(function (x) return helper(x) and x or -x end)
  local heard = warnings(function () for _ = 1, 3 do g(neap.ones(3, 2)) end end)
  lu.assertEquals(#heard, 1)
  lu.assertStrContains(heard[1], ("test_compile.lua:%d: looks at values (item), so it runs op by op"):format(line))
end

function T.test_other_reasons ()
  local n, x = 0, neap.ones(3, 2)
  local function reason (f)
    local heard = warnings(neap.compile(f), x)
    lu.assertEquals(#heard, 1)
    return heard[1]
  end
  lu.assertStrContains(reason(function (v) v[{1}] = 5 return v end), "writes into a tensor in place")
  lu.assertStrContains(reason(function (v) n = n + 1 return v * n end), "does something else at every call")
  lu.assertStrContains(reason(function (v) n = n + 1 return v, n end), "results besides tensors that differ")
  local g = neap.compile(function (v) return v end)
  local heard = warnings(function () for i = 1, 50 do g(x, i) end end)
  lu.assertEquals(#heard, 1)
  lu.assertStrContains(heard[1], "ever new arguments besides tensors")
end

-- an error of the function's is its own, and the function is recorded when it fails no longer
function T.test_functions_that_fail ()
  local broken = true
  local f, n = counting(function (x)
    if broken then error "out of order" end
    return x * 2
  end)
  local g, x = neap.compile(f), neap.ones(3, 2)
  lu.assertErrorMsgContains("out of order", g, x)
  broken, n.calls = false, 0
  for _ = 1, 9 do lu.assertEquals(distance(g(x), x * 2), 0) end
  lu.assertTrue(n.calls <= 4)
end

function T.test_derivatives_through_a_compiled_function ()
  local w = neap.tensor{2.}:requires_grad()
  local g = neap.compile(function (x) return (x * w):sum() end)
  local x = neap.ones(4, 1)
  for i = 1, 3 do
    g(x):backward()
    lu.assertEquals(w.grad:item(), 4 * i)
  end
  lu.assertEquals(distance(neap.grad(g)(x), neap.full({4, 1}, 2)), 0)
end

function T.test_draws_go_on ()
  local rng1, rng2 = neap.rng(5), neap.rng(5)
  local g = neap.compile(function (x) return x + rng1:normal(x.shape) end)
  local x = neap.zeros(6, 2)
  for _ = 1, 4 do lu.assertEquals(distance(g(x), rng2:normal(6, 2)), 0) end
end

function T.test_two_draws_are_two ()
  local rng1, rng2 = neap.rng(5), neap.rng(5)
  local f, n = counting(function (x) return x + rng1:normal(x.shape) - 2 * rng1:normal(x.shape) end)
  local g, x = neap.compile(f), neap.zeros(70, 2)
  for _ = 1, 9 do
    local a, b = rng2:normal(70, 2), rng2:normal(70, 2)
    lu.assertEquals(distance(g(x), a - 2 * b), 0)
  end
  lu.assertTrue(n.calls < 6)                                        -- later ones ran the program
end

function T.test_functions_that_look_at_values ()
  local g = neap.compile(function (x) return x:sum():item() > 0 and x or -x end)
  local x = neap.ones(3, 2)
  for _ = 1, 2 do
    lu.assertEquals(distance(g(x), x), 0)
    lu.assertEquals(distance(g(-x), x), 0)
  end
end

function T.test_equal_sums_and_rows_that_mix ()
  local f = function (x) return x:softmax(1), x:mean(), neap.matmul(x:t(), x), x:cumsum(1) end
  local g = neap.compile(f)
  for _, rows in ipairs{4, 9, 70} do
    local x = neap.randn(rows, 3)
    for _ = 1, 2 do
      local a, b = {f(x)}, {g(x)}
      for i = 1, 4 do lu.assertTrue(distance(a[i], b[i]) < 1e-4, i) end
    end
  end
end

-- ---- scan ----

function T.test_scan ()
  local function step (carry) return {x = carry.x * .5 + carry.v, v = carry.v} end
  local carry = {x = neap.ones(3, 2), v = neap.full({3, 2}, 1)}
  for _, n in ipairs{0, 1, 4, 5, 50} do
    local after, ys = neap.scan(step, carry, n)
    local expected = 2 - .5 ^ n
    lu.assertAlmostEquals(after.x[1][1]:item(), expected, 1e-6)
    lu.assertNil(ys)
  end
end

function T.test_scan_with_numbers_results_and_draws ()
  local after, ys = neap.scan(function (c, _, t) return c + t, c * 1 end, neap.zeros(2), 10)
  lu.assertEquals(after:totable(), {55, 55})
  lu.assertEquals(ys.shape, {10, 2})
  lu.assertEquals(neap.scan(function (c, _, t) return c + t end, neap.zeros(2), 10):totable(), {55, 55})
  lu.assertEquals(neap.scan(function (c, x) return c + x end, neap.zeros(2), neap.ones(7, 2)):totable(), {7, 7})
  local a, b = neap.rng(1), neap.rng(1)
  local x = neap.scan(function (c) return c + a:normal(100, 2) end, neap.zeros(100, 2), 20)
  local y = neap.zeros(100, 2)
  for _ = 1, 20 do y = y + b:normal(100, 2) end
  lu.assertTrue(distance(x, y) < 1e-5)
  lu.assertEquals(distance(a:normal(3), b:normal(3)), 0)
end

function T.test_scan_is_differentiable ()
  local w = neap.tensor{.5}:requires_grad()
  local y = neap.scan(function (c) return c * w end, neap.ones(1), 6)
  y:sum():backward()
  lu.assertAlmostEquals(w.grad:item(), 6 * .5 ^ 5, 1e-6)
end

-- ---- explain ----

function T.test_explain ()
  local E = neap.energy.mlp{sizes = {2, 8}}
  local plan = neap.explain(function (x) return neap.no_grad(function () return E(x) end) end, neap.randn(6, 2))
  lu.assertStrContains(plan, "in blocks of rows")
  lu.assertStrContains(plan, "bmm")
  lu.assertStrContains(plan, "loop of 2 over [B, 8]")
end

-- 200 rows: x [B, 2] w [2, 8] + b, silu, the mean of the squares; the gradient by w adds up products over rows.
function T.test_explain_counts ()
  local w, b = neap.randn(2, 8), neap.randn(8)
  local plan = neap.explain(function (x)
    local h = (neap.matmul(x, w) + b):silu()
    return h:square():mean(), neap.matmul(x:t(), h)
  end, neap.randn(200, 2))
  lu.assertStrContains(plan, "1 inputs, 2 outputs, 5 instructions (2 loops, 3 calls), in blocks of rows")
  lu.assertStrContains(plan, "sum of rows\nonce after all blocks:\n  loop of 1 over []")
  lu.assertStrContains(plan, "a row: 64 flop in products, 32 flop besides, ")   -- add, silu, square; the sum's 8
  lu.assertStrContains(plan, "a run of 200 rows: 4 blocks in 4 lanes of 512 bytes, 12.8 kflop in products, 6.4 kflop")
  lu.assertStrContains(plan, "a block of 50 rows: ")
  plan = neap.explain(function (x) return x * 2 + 1 end, neap.randn())
  lu.assertStrContains(plan, "a run: 1 block, 0 flop in products, 1 flop besides, 16 B read and written\n")
end

-- A transposed weight is copied once a run if that is little to do; what is copied all the same is not made twice.
function T.test_copies ()
  local function plan (n)
    local w = neap.randn(n, n)
    return neap.explain(function (x) return x:clone():matmul(w:t()), x:clone():exp() end, neap.randn(6, n))
  end
  lu.assertEquals(select(2, plan(64):gsub(" clone ", "")), 1)
  lu.assertEquals(select(2, plan(300):gsub(" clone ", "")), 0)
end

return T
