-- Every energy as a program: values, gradients by x and by the parameters, second derivatives through neap.compile,
-- and a sampler's steps, for batches of any size and both dtypes, equal the eager ones. The bound: 64 u of the
-- largest element for one evaluation (see test_ops); five steps of a step size of .01 add to x at most 5 · .01 times
-- as much, so 64 u of the largest x holds for them, too.
local lu = require "luaunit"
local neap = require "neap"
local compare = require "program.compare"
local zoo = require "program.zoo"
local T = {}

local SIZES = {65, 2, 1, 0, 1000, 63, 64, 65}
local BOUND = 64

-- ---- through neap.compile ------------------------------------------------------------------------------------------

-- x [, c] -> value, gradient, H v, Laplacian, and the gradients of Σ (E + ½ E²) by the parameters
local function everything (E)
  local params = E:params()
  return function (x, c)
    local by_params = {}
    if #params > 0 then
      by_params = neap.grad(function (ps)
        local e = E:with(ps)(x, c)
        return (e + e * e * .5):sum()
      end)(params)
    end
    return {E(x, c), E:grad(x, c), E:hvp(x, x * .5 + 1, c), E:laplacian(x, c), by_params}
  end
end

local tally

local function note (e, what, bound)
  lu.assertTrue(e <= bound, ("%s: %.1f u apart, %d allowed"):format(what, e, bound))
  tally.n = tally.n + 1
  if e > tally.worst then tally.worst, tally.where = e, what end
end

local function check_compiled (entry, dtype)
  local f = everything(entry.E)
  local program, calls = compare.compiled(f)
  local function g (x, c) return neap.no_grad(program, x, c) end      -- where nothing is taped a program may run
  for _, rows in ipairs(SIZES) do
    local x, c = zoo.batch(rows, entry, dtype)
    local want, what = f(x, c), ("%s, %s, %d rows"):format(entry.name, dtype, rows)
    for k = 1, 2 do
      if k == 2 then calls() end
      note(compare.apart(g(x, c), want, math.sqrt(rows)), what, BOUND)
    end
    lu.assertEquals(calls(), 0, what .. " ran as a program")
    if rows == 1000 then
      lu.assertTrue(compare.same_for_threads(function () return g(x, c) end), what .. ": the same bits on any threads")
    end
  end
end

-- ---- through a sampler ---------------------------------------------------------------------------------------------

-- five steps without noise: one by one, which runs op by op, and at once, which runs a program
local function check_stepped (entry, dtype)
  local s = neap.sampler.langevin{step_size = .01, noise_std = 0}
  for _, rows in ipairs(SIZES) do
    local x, c = zoo.batch(rows, entry, dtype)
    local function start () return c and s:init(entry.E, x, c) or s:init(entry.E, x) end
    local one = start()
    for _ = 1, 5 do s:step(entry.E, one, 1) end
    local function five () return {s:step(entry.E, start(), 5).x} end
    local what = ("%s, %s, langevin of %d rows"):format(entry.name, dtype, rows)
    note(compare.apart(five(), {one.x}), what, BOUND)
    if rows == 1000 then lu.assertTrue(compare.same_for_threads(five), what .. ": the same bits on 1, 2, 3 threads") end
  end
end

for _, dtype in ipairs{"float32", "float64"} do
  for how, check in pairs{compiled = check_compiled, stepped = check_stepped} do
    T[("test_%s_energies_%s"):format(how, dtype)] = function ()
      tally = {n = 0, worst = 0, where = "none"}
      local list = zoo.all(dtype)
      local heard = compare.with_warnings(function () for _, entry in ipairs(list) do check(entry, dtype) end end)
      lu.assertEquals(heard, {})
      print(("energies %s, %s: %d energies, %d comparisons, worst %.1f u at %s"):format(how, dtype, #list, tally.n,
        tally.worst, tally.where))
    end
  end
end

-- Weights that do not fit into the cache are used by blocks of 256 rows.
function T.test_wide_networks ()
  tally = {n = 0, worst = 0, where = "none"}
  local s = neap.sampler.langevin{step_size = .01, noise_std = .1}
  for _, dtype in ipairs{"float32", "float64"} do
    local E = neap.energy.mlp{sizes = {2, 400, 400}, dtype = dtype}
    for _, rows in ipairs{255, 257, 511, 770} do
      local x = neap.rng(rows):normal({rows, 2}, {dtype = dtype})
      local function start () return s:init(E, x, neap.rng(3)) end
      local one = start()
      for _ = 1, 5 do s:step(E, one, 1) end
      local function five () return {s:step(E, start(), 5).x} end
      note(compare.apart(five(), {one.x}), ("wide, %s, %d rows"):format(dtype, rows), BOUND)
      if rows == 770 then lu.assertTrue(compare.same_for_threads(five)) end
    end
  end
  lu.assertEquals(tally.n, 8)
end

return T
