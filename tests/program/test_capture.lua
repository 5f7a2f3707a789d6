-- What recording costs, by counts: calls of the function, nodes, instructions, allocations; and that a sum of energies
-- is one program.  tests/bench/programs.lua prints times.
local lu = require "luaunit"
local neap = require "neap"
local capture = require("neap.core")._program.capture
local T = {}

local function count (text, what) return select(2, text:gsub(what, "")) end

-- The gradient of a network with so many hidden layers, captured once more: its plan and what that cost.
local function capture_gradient (layers)
  local sizes, calls = {2}, 0
  for i = 1, layers do sizes[i + 1] = 32 end
  local E, x = neap.energy.mlp{sizes = sizes}, neap.randn(100, 2)
  local function gradient (x)
    calls = calls + 1
    return E:grad(x)
  end
  capture(gradient, {x})
  local before = neap.memory().allocations
  calls = 0
  local plan = capture(gradient, {x}):text()
  local cost = {calls = calls, allocations = neap.memory().allocations - before}
  cost.nodes, cost.products = count(plan, "%%%d+ = "), count(plan, "= bmm")
  cost.instructions = tonumber(plan:match "(%d+) instructions")
  return cost
end

function T.test_a_gradient ()
  local cost = capture_gradient(2)
  lu.assertEquals(cost.calls, 3)                                   -- at 2 and 3 rows, and at its own
  lu.assertEquals(cost.products, 4)
  lu.assertTrue(cost.nodes <= 24, cost.nodes)
  lu.assertTrue(cost.instructions <= 12, cost.instructions)
  lu.assertTrue(cost.allocations <= 400, cost.allocations)
end

function T.test_cost_grows_with_the_network ()
  local two, four, eight = capture_gradient(2), capture_gradient(4), capture_gradient(8)
  for _, what in ipairs{"nodes", "instructions", "products"} do
    lu.assertEquals(eight[what] - four[what], 2 * (four[what] - two[what]), what)
  end
  lu.assertEquals(eight.calls, two.calls)
  lu.assertTrue(eight.allocations <= 4 * two.allocations + 100)
end

function T.test_a_step_that_finds_its_program ()
  local net, calls = neap.energy.mlp{sizes = {2, 32, 32}}, 0
  local E = neap.energy(function (x)
    calls = calls + 1
    return net(x)
  end, {event = {2}})
  local s = neap.sampler.langevin{step_size = .01}
  local state = s:init(E, neap.randn(100, 2), neap.rng(1))
  for _ = 1, 3 do s:step(E, state, 10) end
  local before = neap.memory()
  calls = 0
  s:step(E, state, 10)
  local after = neap.memory()
  lu.assertTrue(calls >= 1 and calls <= 3, calls)
  lu.assertEquals(after.programs, before.programs)
  lu.assertTrue(after.allocations - before.allocations <= 300)
end

-- ---- a sum of energies ----

local function composed (sizes)
  local Es = {}
  for i = 1, 3 do Es[i] = neap.energy.mlp{sizes = sizes or {2, 16, 16}} end
  return Es[1] + 0.5 * Es[2] - 0.2 * Es[3], Es
end

function T.test_a_sum_of_energies_is_one_program ()
  local E, Es = composed()
  local x = neap.randn(100, 2)
  local plan = neap.explain(function (x) return neap.no_grad(function () return E:grad(x) end) end, x)
  lu.assertStrContains(plan, "in blocks of rows")
  local products = 0
  for i = 1, 3 do products = products + count(neap.explain(function (x) return Es[i]:grad(x) end, x), "= bmm") end
  lu.assertEquals(count(plan, "= bmm"), products)
  for line in plan:match("for each block and step:\n(.*)"):gmatch "[^\n]*%%%d+ = [^\n]*" do
    lu.assertStrContains(line, ", rows")                           -- what is not is made once a run
  end
end

function T.test_gradient_and_steps_of_a_sum ()
  local E, Es = composed()
  local function gradient (x) return E:grad(x) end
  local function parts (x) return Es[1]:grad(x) + .5 * Es[2]:grad(x) - .2 * Es[3]:grad(x) end
  local g, s = neap.compile(gradient), neap.sampler.langevin{step_size = .05}
  for _, rows in ipairs{1, 100, 333} do
    local x = neap.randn(rows, 2)
    for _ = 1, 2 do lu.assertTrue((neap.no_grad(g, x) - parts(x)):abs():amax():item() < 1e-5) end
    local one, many = s:init(E, x, neap.rng(3)), s:init(E, x, neap.rng(3))
    local made = neap.memory().programs
    many = s:step(E, many, 8)
    lu.assertTrue(neap.memory().programs - made <= 1)
    for _ = 1, 8 do one = s:step(E, one, 1) end
    lu.assertTrue((many.x - one.x):abs():amax():item() < 1e-4)
  end
  lu.assertTrue(neap.memory().programs >= 2)
end

-- Of three networks one after the other is worked on: together they need little more memory than one.
function T.test_a_sum_needs_the_memory_of_one ()
  local E, Es = composed{2, 128, 128}
  local function values (E)
    local x = neap.randn(96, 2)
    local p = capture(function (x) return E:grad(x) end, {x})
    p:run{x}
    return tonumber(p:text():match "(%d+) bytes of values")
  end
  lu.assertTrue(values(E) <= 1.2 * values(Es[1]))
end

-- Numbers that equal the numbers of rows at which a function is recorded are no numbers of rows.
function T.test_numbers_like_rows ()
  for _, k in ipairs{2, 3, 1 / 2, 1 / 3, 5} do
    local plan = neap.explain(function (x) return (x * k):sum() / x.shape[1] end, neap.randn(1000, 3))
    lu.assertStrContains(plan, "in blocks of rows", false, k)
  end
end

return T
