-- neap.explain of all that it takes: the program that runs, and nothing changed by looking at it.
local lu = require "luaunit"
local neap = require "neap"
local T = {}

local function count (text, what) return select(2, text:gsub(what, "")) end
local function head (text) return text:match "[^\n]*" end

function T.test_energies ()
  local E, x = neap.energy.mlp{sizes = {2, 8}}, neap.randn(100, 2)
  local plan = neap.explain(E, x)
  lu.assertStrContains(head(plan), "1 inputs, 2 outputs")             -- value, gradient
  lu.assertEquals(count(plan, "= bmm"), 3)                            -- the last one back is elementwise
  local both = neap.explain(E + neap.energy.gaussian{mean = {0, 1}, std = 1}, x)
  lu.assertEquals(count(both, "= bmm"), 3)
  lu.assertStrContains(head(neap.explain(neap.energy(function (z, c) return ((z - c) ^ 2):sum(2) end, {event = {2}}), x,
                                         neap.randn(100, 2))), "2 inputs, 2 outputs")
end

function T.test_samplers ()
  local E, x = neap.energy.mlp{sizes = {2, 8}}, neap.randn(100, 2)
  for name, s in pairs{langevin = neap.sampler.langevin{step_size = .1}, mala = neap.sampler.mala{step_size = .1},
                       hmc = neap.sampler.hmc{step_size = .1, leapfrog_steps = 3}} do
    local before = neap.rng_state()
    local plan = neap.explain(s, E, x)
    lu.assertStrContains(head(plan), "in blocks of rows", name)
    lu.assertEquals(count(plan, "= normal"), 1, name)
    lu.assertEquals(neap.rng_state(), before)
  end
  local looking = neap.sampler.custom{init = function (_, x0) return {x = x0} end,
                                      step = function (_, st) st.x = st.x * st.x:sum():item() return st end}
  lu.assertEquals(neap.explain(looking, E, x), "its steps run op by op")
end

function T.test_losses ()
  local E, x = neap.energy.mlp{sizes = {2, 8}}, neap.randn(100, 2)
  local variables = #E:params()
  local dsm = neap.explain(neap.loss.dsm{sigma = .1}, E, x)
  lu.assertStrContains(dsm, "sum of rows")                            -- the gradients
  local inner = neap.sampler.langevin{step_size = .1}
  local pcd = neap.loss.pcd{sampler = inner, steps = 2}
  pcd(E, x)
  local before, stream = pcd:state(), neap.rng_state()
  local plan = neap.explain(pcd, E, x)
  lu.assertStrContains(plan, "sum of rows")
  for name, t in pairs(pcd:state()) do lu.assertTrue(t:eq(before[name]):all():item(), name) end
  lu.assertEquals(neap.rng_state(), stream)
  lu.assertEquals(#E:params(), variables)
end

function T.test_compiled_functions_and_what_cannot_be ()
  local g, x = neap.compile(function (x) return x * 2 + 1 end), neap.ones(3, 2)
  lu.assertStrContains(head(neap.explain(g, x)), "1 inputs, 1 outputs, 1 instructions")
  local line = debug.getinfo(1, "l").currentline + 1
  local function look (v) return v * v:sum():item() end
  local file = debug.getinfo(1, "S").short_src
  lu.assertEquals(neap.explain(look, x), ("%s:%d: looks at values (item)"):format(file, line))
end

function T.test_numbers_are_shown ()
  local plan = neap.explain(function (x) return x * 2.5 + 1 / x.shape[1] end, neap.randn(10, 3))
  lu.assertStrContains(plan, "input1 2.5 ")
  lu.assertStrContains(plan, " 1/rows ")
end

function T.test_wrong_arguments ()
  local E, x = neap.energy.mlp{sizes = {2, 8}}, neap.ones(3, 2)
  local s, loss = neap.sampler.langevin{step_size = .1}, neap.loss.dsm{sigma = .1}
  local function message (...) return select(2, pcall(neap.explain, ...)) end
  lu.assertStrContains(message(), "function expected, got nil")
  lu.assertStrContains(message(3), "function expected, got integer")
  lu.assertStrContains(message(E), "explain(E, x): x: a tensor expected, got nil")
  lu.assertStrContains(message(E, x, 5), "explain(E, x, c): c: a tensor expected, got integer")
  lu.assertStrContains(message(s, x, x), "explain(sampler, E, x): E: an energy expected, got tensor")
  lu.assertStrContains(message(s, E), "explain(sampler, E, x): x: a tensor expected, got nil")
  lu.assertStrContains(message(loss, x), "explain(loss, E, batch): E: an energy expected, got tensor")
  lu.assertStrContains(message(loss, E, 3), "explain(loss, E, batch): batch: a tensor expected, got integer")
end

return T
