-- test_normalizable.lua -- which energies can be normalised, and what samplers say of those that cannot.
local lu = require "luaunit"
local cli = require "cli.support"
local T = {}
local e = neap.energy

-- the verdict on E is want
local function is (want, E)
  local got, why = E:normalizable()
  lu.assertEquals(got, want, ("%s: %s"):format(tostring(E), why))
  lu.assertTrue(#why > 10)
end

local function normal (std) return e.gaussian{mean = {0, 0}, std = std} end
local function net (activation) return e.mlp{sizes = {2, 8}, activation = activation} end

function T.test_ready_made ()
  local yes = {normal(1), e.gmm{means = {{0, 0}, {1, 1}}, std = .5}, e.double_well{dim = 2}, e.funnel{dim = 3},
    e.banana{}, e.rosenbrock{}, e.rastrigin{}, e.ring{radius = 1, std = .1}, e.rbm{visible = 3, hidden = 2},
    e.ising{shape = {3, 3}, beta = 1}, e.potts{shape = {3, 3}, states = 3, beta = 1}, e.flow{dim = 2},
    e.gaussian_rbm{visible = 3, hidden = 2}, e.hopfield{patterns = {{1, -1}}, beta = 1},
    e.hopfield{patterns = {{1, -1}}, beta = 1, kind = "classical"}}
  for _, E in ipairs(yes) do is("yes", E) end
  is("no", e.ackley{})
  for _, E in ipairs {net "tanh", net "sigmoid", net "sin"} do is("no", E) end
  for _, E in ipairs {net "silu", net "relu", e.residual_mlp{sizes = {2, 4}}} do is("unknown", E) end
  is("unknown", neap.energy(function (x) return x:square():sum(2) end, {event = {2}}))
end

-- A quadratic form decides: ½ (1/a² − w/b²) in each direction.
function T.test_quadratic_forms ()
  is("yes", normal(1) - .5 * normal(1))
  is("yes", normal(.5) - normal(1))
  is("no", normal(1) - 2 * normal(1))
  is("no", -normal(1))
  is("no", normal(1) - normal(1))
  is("no", normal(1) - e.gaussian{mean = {3, 1}, std = 1})
  is("no", normal {1, 1} - normal {2, .9})
  is("yes", normal {1, 1} - normal {2, 1.1})
  local a = e.gaussian{mean = {0, 0}, precision = {{2, 1.5}, {1.5, 2}}}
  is("yes", a - e.gaussian{mean = {0, 0}, precision = {{.4, 0}, {0, .4}}})
  is("no", a - e.gaussian{mean = {0, 0}, precision = {{.6, 0}, {0, .6}}})
  is("yes", e.gaussian{mean = {0, 0}, cov = {{1, .9}, {.9, 1}}} - normal(2))
  is("no", normal(2) - e.gaussian{mean = {0, 0}, cov = {{1, .9}, {.9, 1}}})
  is("yes", normal(1) / 3)
  is("no", normal(1) / neap.tensor(-1))
  is("no", 0 * normal(1))
end

function T.test_wholes ()
  is("yes", net "silu" + normal(1))
  is("yes", net "tanh" + .01 * e.rastrigin{})
  is("no", net "silu" - normal(1))
  is("no", net "silu" + normal(1) - e.double_well{dim = 2})
  is("yes", e.double_well{dim = 2} - 5 * normal(.1))
  is("unknown", e.double_well{dim = 2} - .5 * e.double_well{dim = 2})
  is("no", normal(1) - e.funnel{dim = 2})
  is("yes", e.funnel{dim = 2} + 3)
  is("yes", e.funnel{dim = 2}:translate{1, 2})
  is("yes", e.any{normal(1), e.funnel{dim = 2}})
  is("no", e.any{normal(1), net "tanh"})
  is("unknown", e.mixture{energies = {normal(1), net "silu"}})
  is("yes", e.rbm{visible = 2, hidden = 1} - 2 * e.ising{shape = {2}, beta = 1})
  is("yes", e.noise_conditional(net "silu") + normal(1))
  is("unknown", e.noise_conditional(net "silu"))
  is("yes", e.gmm{means = {{0, 0}, {4, 0}}, std = {.5, 1}} - .9 * normal(1.1))
  is("no", normal(1) - 1.1 * e.gmm{means = {{0, 0}, {4, 0}}, std = 1})
end

-- Held coordinates count no more.
function T.test_fix ()
  local E = normal {1, 1} - normal {2, .9}
  is("no", E)
  is("yes", E:fix(neap.tensor {false, true}, neap.tensor {0, 1}))
  is("no", E:fix(neap.tensor {true, false}, neap.tensor {0, 1}))
  is("no", net "tanh":fix(neap.tensor {true, false}, neap.tensor {0, 1}))
end

-- Parameters count as they are now.
function T.test_parameters ()
  local w = neap.tensor(.5)
  local E = normal(1) - normal(1) * w
  is("yes", E)
  w[{}] = 2
  is("no", E)
end

function T.test_sampler_warns_once ()
  local folder = cli.folder()
  local f = assert(io.open(folder .. "/a.lua", "w"))
  f:write [[
    local E = neap.energy.gaussian{mean = {0}, std = 1} - 2 * neap.energy.gaussian{mean = {0}, std = 1}
    local s = neap.sampler.langevin{step_size = .01}
    for i = 1, 2 do s:sample(E, {chains = 2, steps = 3, progress = false}) end
    s = neap.sampler.langevin{step_size = .01, clamp = {-3, 3}}
    s:sample(neap.energy.ackley{}, {chains = 2, steps = 3, progress = false})
  ]]
  f:close()
  local out, err, code = cli.run(("%s/neap %s/a.lua"):format(cli.quote(cli.build), folder))
  cli.remove(folder)
  lu.assertEquals({out, code}, {"", 0})
  local _, count = err:gsub("cannot be normalised: its quadratic part is not positive definite", "")
  lu.assertEquals(count, 1, err)
  lu.assertNotStrContains(err, "ackley")
end

return T
