-- Functions as energies, parameters, exchanging them, files.
local lu = require "luaunit"
local t = require "energy.near"
local e = neap.energy
local T = {}

local function path (name) return (os.getenv "TMPDIR" or "/tmp") .. "/" .. os.tmpname():match "[^/]*$" .. name end

-- f(path), after which the file is gone
local function with_file (f)
  local p = path ".safetensors"
  local ok, message = pcall(f, p)
  os.remove(p)
  if not ok then error(message, 0) end
end

local function quadratic ()
  local p = {scale = neap.tensor({2, 3}, {dtype = "float64"}), center = neap.zeros(2, {dtype = "float64"})}
  return neap.energy(function (x) return (p.scale * (x - p.center) ^ 2):sum(2) end, {params = p, event = 2}), p
end

function T.test_function ()
  local E, p = quadratic()
  local x = t.points(4, 2)
  t.near(E(x), 2 * x[{{}, 1}] ^ 2 + 3 * x[{{}, 2}] ^ 2)
  t.near(E:score(x), -2 * p.scale:detach() * x)
  lu.assertEquals(E.event, {2})
  lu.assertEquals(select(2, E:params()), {"center", "scale"})
  t.near(neap.gradients(E(x):sum(), p.scale), (x * x):sum(1))
  p.center[1] = 1
  t.near(E {{1, 0}}, {0})                                          -- the function sees the tensor as it is now
end

function T.test_params_go_straight_into_gradients ()
  local E, p = quadratic()
  local g = neap.gradients(E(neap.ones(3, 2)):sum(), E:params())
  t.near(g[1], {-12, -18})
  t.near(g[2], {3, 3})
end

function T.test_names_of_nested_params ()
  local w = function () return neap.zeros(1) end
  local E = neap.energy(function (x) return x:sum(2) end, {params = {w(), w(), net = {b = w(), a = {w()}}, z = w()}})
  lu.assertEquals(select(2, E:params()), {"1", "2", "net.a.1", "net.b", "z"})
  lu.assertEquals(select(2, neap.energy(function (x) return x:sum(2) end, {params = w()}):params()), {"1"})
  local m = e.mlp {sizes = {2, 4}}
  local F = neap.energy(function (x) return m(x) end, {params = {net = m}})
  lu.assertEquals(select(2, F:params()), {"net.weight1", "net.bias1", "net.weight2", "net.bias2"})
end

function T.test_with_reaches_what_a_function_closes_over ()
  local E, p = quadratic()
  local x = t.points(4, 2)
  local F = E:with {scale = neap.ones(2, {dtype = "float64"})}
  t.near(F(x), (x * x):sum(2))
  t.near((F + E)(x), 3 * x[{{}, 1}] ^ 2 + 4 * x[{{}, 2}] ^ 2)
  t.near(p.scale, {2, 3})
  local names = {}
  local bad = neap.energy(function (y) names[1] = p.scale:totable() error "inside" end, {params = p})
  t.raises("inside", function () return bad:with {neap.zeros(2, {dtype = "float64"}),
                                                  neap.ones(2, {dtype = "float64"})}(x) end)
  lu.assertEquals(names[1], {1, 1})
  t.near(p.scale, {2, 3})                                          -- restored after the error too
end

function T.test_clone_has_tensors_of_its_own ()
  local E, p = quadratic()
  local F, x = E:clone(), t.points(4, 2)
  p.scale[{{}}] = 0
  t.near(E(x), neap.zeros(4))
  t.near(F(x), 2 * x[{{}, 1}] ^ 2 + 3 * x[{{}, 2}] ^ 2)
  local m = e.mlp {sizes = {2, 4}} + e.gaussian {mean = {0, 0}}
  local n = m:clone()
  t.near(m(x), n(x), 0)
  n:params()[1][1] = 100
  lu.assertTrue(m:params()[1]:max():item() < 10)
  t.near(neap.gradients(n(x):sum(), n:params()[4]), {4}, 1e-6)     -- its parameters are variables
end

function T.test_with_checks ()
  local E = e.mlp {sizes = {2, 4}}
  local p = E:params()
  t.raises("4 parameters expected, got 1", function () E:with {p[1]} end)
  t.raises("parameter 'weight1' has shape [4, 2], got [1]", function () E:with {weight1 = neap.zeros(1)} end)
  t.raises("no parameter 'weight9'", function () E:with {weight9 = neap.zeros(1)} end)
  t.raises("parameter 'bias1': tensor expected, got number", function () E:with {bias1 = 3} end)
  t.raises("parameter 'bias1' is int64", function () E:with {bias1 = neap.zeros(4, {dtype = "int64"})} end)
end

function T.test_the_same_boxes_each_time ()
  local E = e.rbm {visible = 4, hidden = 3}
  lu.assertTrue(rawequal(E:params()[1], E:params()[1]))
  lu.assertTrue(rawequal(E:params()[1], E.W))
  lu.assertNil(E.nothing)
end

function T.test_save_and_load_everything ()
  local m = e.mlp {sizes = {2, 8}, activation = "tanh"}
  local c = e.mlp {sizes = {2, 8}, condition = 2, dtype = "float64"}
  local all = {
    e.gaussian {mean = {1, 2}, cov = {{2, .5}, {.5, 1}}}, e.gaussian {mean = {.1, .2}, std = {1 / 3, 2}},
    e.gmm {means = {{2, 2}, {-2, -2}}, std = 1, weights = {1, 3}}, e.banana {b = 1 / 3}, e.rosenbrock {},
        e.ring {radius = 2, std = .5},
    e.funnel {dim = 2}, e.double_well {barrier = 3, dim = 2}, m, e.rbm {visible = 2, hidden = 5}, c:given {.5, 1},
    e.mixture {energies = {m, e.banana {}}, weights = {.2, .3}}, e.any {m, 2 * m, e.banana {}},
        (m + .5 * c:given {1, 2} - m / 3) + 1,
    m:translate {1, 2}:fix({true, false}, {.5, 0}),
  }
  local x = t.points(5, 2)
  for i, E in ipairs(all) do
    with_file(function (p)
      E:save(p)
      local F = e.load(p)
      t.near(F(x), E(x), 0)
      t.near(F:score(x), E:score(x), 0)
      lu.assertEquals(tostring(F), tostring(E), "energy " .. i)
      lu.assertEquals(select(2, F:params()), select(2, E:params()))
    end)
  end
end

function T.test_shared_parameters_stay_shared ()
  local m = e.mlp {sizes = {2, 4}}
  with_file(function (p)
    (m + 2 * m:translate {1, 1}):save(p)
    local F = e.load(p)
    lu.assertEquals(#F:params(), 4)
    local x = t.points(3, 2)
    lu.assertEquals(neap.gradients(F(x):sum(), F:params()[4]):item(), 9)
    lu.assertEquals(neap.load(p)["1.weight1"].shape, {4, 2})
  end)
end

function T.test_load_into_a_function ()
  local E, p = quadratic()
  local F, q = quadratic()
  p.center[{{}}] = neap.tensor({5, 6}, {dtype = "float64"})
  with_file(function (file)
    E:save(file)
    lu.assertEquals(F:load(file), F)
    t.near(q.center, {5, 6})
    t.raises("holds a function", function () return e.load(file) end)
  end)
end

function T.test_files_that_do_not_fit ()
  local m = e.mlp {sizes = {2, 4}}
  t.raises("/nowhere/at/all.safetensors", function () return e.load "/nowhere/at/all.safetensors" end)
  t.raises("is saved as .safetensors", function () m:save "x.npz" end)
  with_file(function (p)
    e.mlp {sizes = {2, 5}}:save(p)
    t.raises("parameter 'weight1' has shape [4, 2], in " .. p .. " it has [5, 2]", function () m:load(p) end)
    t.raises("has no tensor 'W'", function () e.rbm {visible = 2, hidden = 2}:load(p) end)
    neap.save(p, {a = neap.zeros(2)})
    t.raises("holds tensors but no energy", function () return e.load(p) end)
    local out = assert(io.open(p, "wb"))
    out:write "nonsense"
    out:close()
    t.raises(p, function () return e.load(p) end)
  end)
end

-- ---- functions that misbehave ----

function T.test_functions_that_return_the_wrong_thing ()
  local x = t.points(3, 2)
  t.raises("energies must be [B] = [3] for x [3, 2], got [3, 2]", neap.energy(function (y) return y end), x)
  t.raises("must return a tensor [B], got nil", neap.energy(function () end), x)
  t.raises("must return a tensor [B], got number", neap.energy(function () return 1 end), x)
  t.raises("energies must be float32 or float64, got int64", neap.energy(function () return neap.zeros(3,
      {dtype = "int64"}) end), x)
  local value = {}
  local ok, message = pcall(neap.energy(function () error(value) end), x)
  lu.assertFalse(ok)
  lu.assertTrue(rawequal(message, value))
  t.raises("a function of x expected, got number", neap.energy, 3)
  t.raises("unknown option 'parms' (did you mean 'params'?)", neap.energy, print, {parms = {}})
  t.raises("parameter 'w': tensor expected, got number", neap.energy, print, {params = {w = 3}})
  t.raises("parameter 'w' is int64", neap.energy, print, {params = {w = neap.zeros(1, {dtype = "int64"})}})
  local yields = neap.energy(function (y) coroutine.yield() return y:sum(2) end)
  t.raises("yield", coroutine.wrap(function () return yields(x) end))
  t.near(neap.energy(function (y) return y:sum(2) end)(x), x:sum(2))
end

function T.test_energies_in_coroutines_and_within_energies ()
  local E, x = quadratic(), t.points(3, 2)
  local F = neap.energy(function (y) return E(y) + E:laplacian(y) end)
  t.near(coroutine.wrap(function () return F(x) end)(), E(x) + 10)
  t.near(F:score(x), E:score(x))
end

function T.test_a_function_energy_is_collected ()
  local gone = setmetatable({}, {__mode = "k"})
  do
    local big = {}
    gone[big] = true
    local E = neap.energy(function (x) return x:sum(2) + #big end)
    t.near((E + E)(neap.ones(1, 2)), {4})
  end
  collectgarbage() collectgarbage()
  lu.assertNil(next(gone))
end

return T
