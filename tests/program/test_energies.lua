-- Every energy as a program: values, gradients by x and by the parameters, second derivatives through neap.compile, and a
-- sampler's steps, for batches of any size and both dtypes, equal the eager ones.
-- The bound: 64 u of the largest element for one evaluation (see test_ops); five steps of a step size of .01 add to x at
-- most 5 · .01 times as much, so 64 u of the largest x holds for them, too.
local lu = require "luaunit"
local neap = require "neap"
local compare = require "program.compare"
local T = {}

local SIZES = {65, 2, 1, 0, 1000, 63, 64, 65}
local BOUND = 64

-- ---- the energies --------------------------------------------------------------------------------------------------

local activations = {"silu", "relu", "leaky_relu", "elu", "gelu", "softplus", "tanh", "sigmoid", "sin"}

local function zoo (dtype)
  local o = {dtype = dtype}
  local function t (v) return neap.tensor(v, o) end
  local list = {}
  local function add (name, E, condition) list[#list + 1] = {name = name, E = E, condition = condition} end
  for _, a in ipairs(activations) do
    add("mlp " .. a, neap.energy.mlp{sizes = {2, 16, 8}, activation = a, dtype = dtype})
  end
  add("mlp 33, 65", neap.energy.mlp{sizes = {2, 33, 65}, dtype = dtype})
  add("mlp given rows of c", neap.energy.mlp{sizes = {2, 8}, condition = 3, dtype = dtype}, 3)
  add("rbm", neap.energy.rbm{visible = 2, hidden = 5, dtype = dtype})
  add("gaussian std", neap.energy.gaussian{mean = t{0, 1}, std = 1.5})
  add("gaussian std, mean a variable", neap.energy.gaussian{mean = t{0, 1}:requires_grad(), std = 1.5})
  add("gaussian cov", neap.energy.gaussian{mean = {0, 1}, cov = {{2, .5}, {.5, 1}}})
  add("gaussian cov a variable", neap.energy.gaussian{mean = {0, 1}, cov = t{{2, .5}, {.5, 1}}:requires_grad()})
  add("gaussian precision", neap.energy.gaussian{mean = {0, 1}, precision = {{2, .5}, {.5, 1}}})
  add("gmm std", neap.energy.gmm{means = t{{1, 0}, {-1, 2}, {0, 0}}:requires_grad(), std = .7, weights = {.3, .5, .2}})
  add("gmm covs", neap.energy.gmm{means = {{1, 0}, {-1, 2}}, covs = {{{2, .5}, {.5, 1}}, {{1, 0}, {0, 1}}}})
  add("double_well", neap.energy.double_well{barrier = 2, dim = 2})
  add("funnel", neap.energy.funnel{dim = 2})
  add("banana", neap.energy.banana{})
  add("rosenbrock", neap.energy.rosenbrock{b = 3})
  add("ring", neap.energy.ring{radius = 2, std = .3})
  add("exponential_family", neap.energy.exponential_family{
    statistics = function (x) return neap.cat({x, x * x}, 2) end, params = t{.1, .2, -.5, -.6}:requires_grad(), event = {2}})

  local net = neap.energy.mlp{sizes = {2, 8}, dtype = dtype}
  local g, well = neap.energy.gaussian{mean = t{1, 0}:requires_grad(), std = .8}, neap.energy.double_well{dim = 2}
  add("mixture", neap.energy.mixture{energies = {net, g, well}, weights = {.2, .3, .5}})
  add("any", neap.energy.any{net, g, well})
  add("sum", net + g + .3 * well)
  add("scaled by a variable", t(.7):requires_grad() * net)
  add("divided", net / 2.5)
  add("minus", g - .2 * net)
  add("offset", net + 3)
  add("negative", -neap.energy.banana{} + 2 * g)
  add("translated", (net + g):translate{.5, -1})
  add("given one condition", neap.energy.mlp{sizes = {2, 8}, condition = 3, dtype = dtype}:given(t{.1, -.2, .3}))
  add("fixed", (net + g):fix(neap.tensor{1, 0}:gt(.5), t{.4, 0}))
  add("fixed, translated, summed", (net:translate{1, 1} + g):fix(neap.tensor{0, 1}:gt(.5), t{0, .4}) / 2 + well)

  local w, b = neap.randn({2, 6}, o):requires_grad(), neap.randn({6}, o):requires_grad()
  add("lua", neap.energy(function (x) return (neap.matmul(x, w) + b):softplus():sum(2) end,
                         {params = {w = w, b = b}, event = {2}}))
  add("lua with c", neap.energy(function (x, c) return ((x - c:slice(2, 1, 2)) ^ 2):sum(2) * (1 + c:select(2, 3) ^ 2) end,
                                {event = {2}}), 3)
  local k = neap.energy(function (x)
    local e = neap.einsum("bi,ij,bj->b", x, neap.eye(2, o), x) + x:logsumexp(2) * .3
    return e + neap.linear(x:sin(), w:t(), b):norm(2)
  end, {params = {w, b}, event = {2}})
  add("lua of many ops", k)
  add("lua in a sum", .5 * k + g:translate{.1, .1})
  return list
end

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

local function batch (rows, entry, dtype)
  local rng = neap.rng(rows + 5)
  return rng:normal({rows, 2}, {dtype = dtype}), entry.condition and rng:normal({rows, entry.condition}, {dtype = dtype})
end

local function check_compiled (entry, dtype)
  local f = everything(entry.E)
  local program, calls = compare.compiled(f)
  local function g (x, c) return neap.no_grad(program, x, c) end      -- where nothing is taped a program may run
  for _, rows in ipairs(SIZES) do
    local x, c = batch(rows, entry, dtype)
    local want, what = f(x, c), ("%s, %s, %d rows"):format(entry.name, dtype, rows)
    for k = 1, 2 do
      if k == 2 then calls() end
      note(compare.apart(g(x, c), want, math.sqrt(rows)), what, BOUND)
    end
    lu.assertEquals(calls(), 0, what .. " ran as a program")
    if rows == 1000 then
      lu.assertTrue(compare.same_for_threads(function () return g(x, c) end), what .. ": the same bits on 1, 2, 3 threads")
    end
  end
end

-- ---- through a sampler ---------------------------------------------------------------------------------------------

-- five steps without noise: one by one, which runs op by op, and at once, which runs a program
local function check_stepped (entry, dtype)
  local s = neap.sampler.langevin{step_size = .01, noise_std = 0}
  for _, rows in ipairs(SIZES) do
    local x, c = batch(rows, entry, dtype)
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
      local list = zoo(dtype)
      local heard = compare.with_warnings(function () for _, entry in ipairs(list) do check(entry, dtype) end end)
      lu.assertEquals(heard, {})
      print(("energies %s, %s: %d energies, %d comparisons, worst %.1f u at %s"):format(how, dtype, #list, tally.n,
        tally.worst, tally.where))
    end
  end
end

return T
