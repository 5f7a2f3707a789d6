-- Composed energies are what their formulas say, in values, scores and parameters.
local lu = require "luaunit"
local t = require "energy.near"
local e = neap.energy
local T = {}

local function parts () return e.gaussian {mean = {1, 0}, std = .7}, e.banana {},
    e.mlp {sizes = {2, 8}, dtype = "float64"} end

function T.test_sums_and_multiples ()
  local a, b, m = parts()
  local x = t.points(5, 2)
  t.near((a + b)(x), a(x) + b(x))
  t.near((2.5 * a)(x), 2.5 * a(x))
  t.near((a * 2.5)(x), 2.5 * a(x))
  t.near((a / 4)(x), a(x) / 4)
  t.near((a - .5 * b)(x), a(x) - .5 * b(x))
  t.near((a + 3)(x), a(x) + 3)
  t.near((3 + a)(x), a(x) + 3)
  t.near((a - 3)(x), a(x) - 3)
  t.near((3 - a)(x), 3 - a(x))
  t.near((-a)(x), -a(x))
  t.near((a + b + m - .1 * a / 2)(x), a(x) + b(x) + m(x) - .05 * a(x))
  t.near((a + b - .5 * m):score(x), a:score(x) + b:score(x) - .5 * m:score(x))
  t.smooth((a + b - .5 * m) / 2, x)
end

function T.test_any ()
  local a, b, m = parts()
  local x = t.points(5, 2)
  t.near(e.any {a, b, m}(x), -neap.stack({-a(x), -b(x), -m(x)}, 2):logsumexp(2))
  t.near(e.any {a}(x), a(x))
  t.smooth(e.any {a, b, m}, x)
end

function T.test_translate ()
  local a, b = parts()
  local x, v = t.points(5, 2), neap.tensor({.5, -1}, {dtype = "float64"})
  t.near(b:translate {.5, -1}(x), b(x - v))
  t.near(b:translate(.5)(x), b(x - .5))
  t.near(b:translate(v):translate(-v)(x), b(x))
  t.near(a:translate(v):sample(4, neap.rng(3)), a:sample(4, neap.rng(3)) + v:float(), 1e-6)
end

function T.test_a_shift_may_be_learnt ()
  local a = parts()
  local x, v = t.points(5, 2), neap.tensor({.5, -1}, {dtype = "float64"}):requires_grad()
  local E = a:translate(v)
  lu.assertEquals(select(2, E:params()), {"shift"})
  t.near(neap.gradients(E(x):sum(), v), -a:grad(x - v:detach()):sum(1))
end

function T.test_weights_and_temperatures_as_tensors ()
  local a, b = parts()
  local x = t.points(5, 2)
  local w, temp = neap.tensor(.3, {dtype = "float64"}):requires_grad(),
      neap.tensor({1, 2, 3, 4, 5}, {dtype = "float64"})
  local E = a + w * b
  lu.assertEquals(select(2, E:params()), {"2.weight"})
  t.near(neap.gradients(E(x):sum(), w), b(x):sum():item())
  t.near((a / temp)(x), a(x) / temp)
  lu.assertEquals(#(a / temp):params(), 0)
end

function T.test_a_constant_may_be_learnt ()
  local a, x = parts(), t.points(5, 2)
  local k = neap.tensor(.5, {dtype = "float64"}):requires_grad()
  for sign, E in pairs {[1] = a + k, [-1] = a - k} do
    lu.assertTrue(#E:params() == 1)
    t.near(E(x), a(x) + sign * .5)
    t.near(neap.gradients(E(x):sum(), E:params()[1]), 5 * sign)
  end
end

function T.test_derivatives_pass_through_what_was_computed ()
  local log_std, x = neap.tensor(.3, {dtype = "float64"}):requires_grad(), t.points(5, 2)
  local E = e.gaussian {mean = {0, 0}, std = log_std:exp()}
  lu.assertEquals(#E:params(), 0)
  t.near(neap.gradients(E(x):sum(), log_std), (-2 * E(x):sum()):item())
end

function T.test_given ()
  local m = e.mlp {sizes = {2, 8}, condition = 3, dtype = "float64"}
  local x, c = t.points(5, 2), t.points(1, 3)[1]
  local want = m(x, c:expand(5, 3))
  t.near(m:given(c)(x), want)
  t.near(m:given(c:unsqueeze(1))(x), want)
  t.near(m:given(c:totable())(x), want)
  t.near(m:given(c:expand(5, 3))(x), want)
  local g = e.gaussian {mean = {0, 0}}
  t.near((m + g)(x, c:expand(5, 3)), want + g(x))
  t.near((m + g):given(c):score(x), m:given(c):score(x) - x)
  local f = neap.energy(function (y, s) return (y * y):sum(2) / (s * s) end)
  t.near(f:given(2)(x), (x * x):sum(2) / 4)
end

function T.test_fix ()
  local _, b = parts()
  local x = t.points(5, 2)
  local E = b:fix({true, false}, {.5, 0})
  local held = x:clone()
  held[{{}, 1}] = .5
  t.near(E(x), b(held))
  local s = E:score(x)
  t.near(s[{{}, 1}], neap.zeros(5))
  t.near(s[{{}, 2}], b:score(held)[{{}, 2}])
  lu.assertEquals(E.mask:totable(), {true, false})
  t.near(E.mask_values, {.5, 0})
  t.near(b:fix({1, 0}, .5)(x), b(held))
  t.near((2 * E).mask_values, {.5, 0})
  t.near(E:translate {1, 1}.mask_values, {1.5, 1})
  local both = b:fix({true, false}, {.5, 0}):fix({false, true}, {0, 2})
  lu.assertEquals(both.mask:totable(), {true, true})
  t.near(both.mask_values, {.5, 2})
  t.near(both(x), b(neap.tensor({{.5, 2}}, {dtype = "float64"})):expand(5))
end

function T.test_fix_gives_an_event_to_a_function ()
  local E = neap.energy(function (x) return (x * x):sum(2) end):fix({true, false, false}, {2, 0, 0})
  lu.assertEquals(E.event, {3})
  t.near(E {{0, 1, 1}}, {6}, 1e-6)
end

function T.test_shared_parameters_occur_once ()
  local _, _, m = parts()
  local E = m + 2 * m
  lu.assertEquals(#E:params(), 4)
  lu.assertEquals(select(2, E:params()), {"1.weight1", "1.bias1", "1.weight2", "1.bias2"})
end

function T.test_parameters_of_the_whole ()
  local a, _, m = parts()
  local n = e.mlp {sizes = {2, 4}}
  local E = a + .5 * m - n / 3
  local tensors, names = E:params()
  lu.assertEquals(names[1], "2.weight1")
  lu.assertEquals(names[8], "3.bias2")
  lu.assertEquals(#tensors, 8)
  t.near(tensors[1], m.weight1, 0)
  local x = t.points(3, 2)
  local g = neap.gradients(E(x):sum(), tensors)
  t.near(g[1], .5 * neap.gradients(m(x):sum(), m.weight1))
end

function T.test_sums_lie_flat ()
  local a, b, m = parts()
  lu.assertEquals(select(2, (a + (b + m)):params())[1], "3.weight1")
  local E = a
  for _ = 1, 1000 do E = E + b end
  local x = t.points(2, 2)
  t.near(E(x), a(x) + 1000 * b(x), 1e-8)
end

function T.test_text ()
  local a, b, m = parts()
  lu.assertEquals(tostring(a + .5 * m - b), "gaussian + 0.5 * mlp(2, 8) - banana: event [2], 4 parameters (33 numbers)")
  lu.assertStrContains(tostring(2 * (a + b) / 3), "2 * (gaussian + banana) / 3")
  lu.assertStrContains(tostring(e.any {a, b}:translate {1, 1}), "any{gaussian, banana}:translate(...)")
  lu.assertStrContains(tostring(neap.energy(function (x) return x end)), "function: event not known, 0 parameters")
end

function T.test_what_does_not_compose ()
  local a = parts()
  local three = e.gaussian {mean = {0, 0, 0}}
  t.raises("events differ: [2] for energy 1 (gaussian), [3] for energy 2 (gaussian)", function () return a + three end)
  for _, f in ipairs {function () return a + nil end, function () return a - nil end, function () return nil + a end,
                      function () return a * nil end, function () return a / nil end, function () return nil - a end} do
    t.raises("tensor or number expected, got nil", f)
  end
  t.raises("fix: values: tensor expected, got nil", a.fix, a, {true, false}, nil)
  t.raises("fix: values: tensor expected, got no value; it is called as E:fix(mask, values)", a.fix, a, {true, false})
  t.raises("translate: by: tensor expected, got nil", a.translate, a, nil)
  t.raises("given: c: tensor expected, got nil", a.given, a, nil)
  t.raises("any{E1, E2, ...}: a table of energies expected, got energy", e.any, a, a)
  t.raises("an energy does not change: E:with{weight = ...}", function () a.weight = 3 end)
  t.raises("product of their densities", function () return a * a end)
  t.raises("cannot be divided by", function () return 2 / a end)
  t.raises("T must not be 0", function () return a / 0 end)
  t.raises("got string", function () return a + "one" end)
  t.raises("gaussian takes no condition", function () return a:given(1) end)
  t.raises("does not broadcast to the event [2]", function () return a:translate {1, 2, 3} end)
  t.raises("mask must have the event's shape [2], got [3]", function () return a:fix({true, false, true},
      {0, 0, 0}) end)
  t.raises("at least one energy expected", e.any, {})
  t.raises("element 2: energy expected, got number", e.any, {a, 3})
  local deep = a
  t.raises("more than 100 deep", function () for _ = 1, 200 do deep = deep:translate(0) end end)
end

return T
