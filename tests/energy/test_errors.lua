-- What is given wrongly is named, with what was expected; afterwards all works on.
local lu = require "luaunit"
local t = require "energy.near"
local e = neap.energy
local T = {}

function T.test_shapes_of_x_and_c ()
  local g = e.gaussian {mean = {0, 0}}
  t.raises("gaussian: x must be [B, 2], got [5, 3]", g, neap.zeros(5, 3))
  t.raises("gaussian: x must be [B, 2], got [2]", g, neap.zeros(2))
  t.raises("gaussian: x must be [B, 2], got [2]", g.score, g, neap.zeros(2))
  t.raises("gaussian: x must be [B, 2], got [2]", g.laplacian, g, neap.zeros(2))
  t.raises("double_well: x must be [B, event...], got a tensor without dimensions", e.double_well {}, neap.tensor(1))
  t.raises("gaussian: takes no condition, but one of shape [5] was given", g, neap.zeros(5, 2), neap.zeros(5))
  local m = e.mlp {sizes = {2, 4}, condition = 3}
  t.raises("mlp: a condition c is needed", m, neap.zeros(5, 2))
  t.raises("mlp: the condition c must be [B, 3], got [5, 2]", m, neap.zeros(5, 2), neap.zeros(5, 2))
  t.raises("one row per row of x, [5, ...], got [4, 3]", m, neap.zeros(5, 2), neap.zeros(4, 3))
  t.raises("too many arguments", g.score, g, neap.zeros(5, 2), nil, 1)
  t.raises("hvp: v must have x's shape [5, 2], got [5]", g.hvp, g, neap.zeros(5, 2), neap.zeros(5))
  t.raises("score: x: tensor expected, got nil; it is called as E:score(x)", g.score, g, nil)
  t.raises("score: an energy expected before the colon, as in E:score(x), got tensor", g.score, neap.zeros(5, 2))
  t.raises("hvp: v: tensor expected, got no value; it is called as E:hvp(x, v)", g.hvp, g, neap.zeros(5, 2))
  t.raises("gaussian: x expected, as in E(x), got nil", g, nil)
  t.raises("rbm expected, got gaussian", g.hidden, g, neap.zeros(5, 2))
  t.near(g(neap.zeros(5, 2)), neap.zeros(5))
end

function T.test_integers ()
  local g, m = e.gaussian {mean = {0, 0}}, e.mlp {sizes = {2, 4}}
  local x = neap.tensor({{1, 2}, {3, 4}}, {dtype = "int64"})
  t.near(g(x), g(x:float()))
  t.raises("gaussian: x: float32 or float64 expected for a derivative, got int64; x:float() makes one", g.score, g, x)
  t.raises("gaussian: x: float32", g.laplacian, g, x)
  t.raises("mala: init: float32 or float64 expected, got int64", function ()
    neap.sampler.mala {step_size = .1}:sample(g, {init = x, steps = 2})
  end)
  t.raises("dsm: batch: float32 or float64 expected, got int64", neap.train, m, x, {loss = neap.loss.dsm {sigma = .1},
           steps = 1})
end

function T.test_an_energy_that_writes_its_argument ()
  local E = neap.energy(function (x) x[{{}, 1}] = 3 return x:sum(2) end, {event = 2})
  local message = "of shape [3, 2], was written while it was computed; write to a copy (x:clone())"
  t.raises(message, E.score, E, neap.ones(3, 2))
  t.raises(message, E.hvp, E, neap.ones(3, 2), neap.ones(3, 2))
  local F = neap.energy(function (x) local y = x:clone() return (x * y):sum(2) end, {event = 2})
  t.near(F:score(neap.ones(3, 2)), -2 * neap.ones(3, 2))
end

function T.test_options ()
  t.raises("gaussian: unknown option 'men' (did you mean 'mean'?)", e.gaussian, {men = {1}})
  t.raises("gaussian: mean is missing", e.gaussian, {std = 1})
  t.raises("only one of cov, precision and std", e.gaussian, {mean = {0}, std = 1, cov = {{1}}})
  t.raises("gaussian: std must be positive, got -1", e.gaussian, {mean = {0, 0}, std = {1, -1}})
  t.raises("gaussian: std must be a number or [2], got [3]", e.gaussian, {mean = {0, 0}, std = {1, 1, 1}})
  t.raises("gaussian: cov must be [2, 2], got [1, 1]", e.gaussian, {mean = {0, 0}, cov = {{1}}})
  t.raises("cov must be symmetric", e.gaussian, {mean = {0, 0}, cov = {{1, .5}, {0, 1}}})
  t.raises("positive definite", e.gaussian, {mean = {0, 0}, cov = {{1, 2}, {2, 1}}})
  t.raises("gaussian: mean must be [D], got [1, 2]", e.gaussian, {mean = {{0, 0}}})
  t.raises("option 'mean': tensor, table or number expected, got string", e.gaussian, {mean = "zero"})
  t.raises("gmm: weights must be [2], one per mean, got [3]", e.gmm, {means = {{0}, {1}}, weights = {1, 1, 1}})
  t.raises("gmm: weights must be positive, got 0", e.gmm, {means = {{0}, {1}}, weights = {1, 0}})
  t.raises("gmm: covs must be [2, 1, 1]", e.gmm, {means = {{0}, {1}}, covs = {{1}}})
  t.raises("mlp: option 'sizes': a table expected", e.mlp, {})
  t.raises("mlp: sizes[2] must be at least 1, got 0", e.mlp, {sizes = {2, 0}})
  t.raises("mlp: sizes[2]: integer expected, got 1.5", e.mlp, {sizes = {2, 1.5}})
  t.raises("mlp: activation 'swish' is not known", e.mlp, {sizes = {2, 4}, activation = "swish"})
  t.raises("mlp: unknown option 'size' (did you mean 'sizes'?)", e.mlp, {size = {2, 4}})
  t.raises("mlp: dtype must be float32 or float64, got int64", e.mlp, {sizes = {2, 4}, dtype = "int64"})
  t.raises("rbm: option 'hidden' is missing", e.rbm, {visible = 3})
  t.raises("rbm: visible and hidden must be at least 1", e.rbm, {visible = 3, hidden = 0})
  t.raises("ring: option 'radius' is missing", e.ring, {std = 1})
  t.raises("ring: std must be a positive number, got 0", e.ring, {radius = 1, std = 0})
  t.raises("rastrigin: a must be a positive number, got -1", e.rastrigin, {a = -1})
  t.raises("rastrigin: dim must be at least 1, got 0", e.rastrigin, {dim = 0})
  t.raises("ackley: b must be a positive number, got 0", e.ackley, {b = 0})
  t.raises("ackley: unknown option 'd'", e.ackley, {d = 1})
  t.raises("funnel: dim must be at least 2, got 1", e.funnel, {dim = 1})
  t.raises("banana: option 'std': two numbers expected", e.banana, {std = 1})
  t.raises("mixture: weights must be [2]", e.mixture, {energies = {e.banana {}, e.banana {}}, weights = {1}})
  t.raises("laplacian: method 'exakt' is not known; there are exact, hutchinson", e.banana {}.laplacian, e.banana {},
           neap.zeros(1, 2), {method = "exakt"})
  t.raises("exponential_family: option 'statistics': a function", e.exponential_family, {params = {1}})
  t.raises("a table of options expected", e.gaussian, 3)
  lu.assertEquals(e.banana {}(neap.zeros(1, 2)).shape, {1})
end

function T.test_closed ()
  local kept
  do
    local E <close> = e.banana {}
    kept = E
    lu.assertEquals(#E(neap.zeros(3, 2)), 3)
  end
  t.raises("the energy was closed", kept, neap.zeros(3, 2))
  t.raises("the energy was closed", function () return kept + kept end)
  lu.assertEquals(tostring(kept), "energy (closed)")
end

function T.test_statistics_of_the_wrong_shape ()
  local E = e.exponential_family {statistics = function (x) return x end, params = {1, 2}}
  t.raises("statistics must be [B, 2], one per parameter, got [4, 3]", E, neap.zeros(4, 3))
end

return T
