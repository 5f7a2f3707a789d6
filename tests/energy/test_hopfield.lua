-- Hopfield energies against their formulas, mixtures of normals, all states.
local lu = require "luaunit"
local t = require "energy.near"
local e = neap.energy
local T = {}
local f64 = {dtype = "float64"}

local patterns = {{1, -1, 1, 1}, {-1, -1, 1, -1}, {1, 1, 1, -1}}

local function spins (n)
  local rows = {}
  for i = 0, (1 << n) - 1 do
    rows[i + 1] = {}
    for k = 1, n do rows[i + 1][k] = (i >> (k - 1) & 1) * 2 - 1 end
  end
  return rows
end

function T.test_modern_is_its_formula ()
  local x = t.points(6, 4)
  for _, beta in ipairs {.5, 4} do
    local want = {}
    for i, row in ipairs(x:totable()) do
      local z, r = 0, 0
      for _, p in ipairs(patterns) do
        local dot = 0
        for k = 1, 4 do dot = dot + p[k] * row[k] end
        z = z + math.exp(beta * dot)
      end
      for k = 1, 4 do r = r + row[k] ^ 2 end
      want[i] = r / 2 - math.log(z) / beta
    end
    t.near(e.hopfield {patterns = patterns, beta = beta}(x), want)
  end
end

-- β E is −log Σ e^(β|ξ|²/2) N(x; ξ, 1/β) up to a constant; all |ξ|² are 4 here
function T.test_modern_is_a_mixture_of_normals ()
  local beta = 3
  local E = beta * e.hopfield {patterns = patterns, beta = beta}
  local M = e.gmm {means = patterns, std = beta ^ -.5}
  local x, y = t.points(5, 4), t.points(5, 4)
  t.near(E:log_ratio(x, y), M:log_ratio(x, y))
  t.near(E:score(x), M:score(x))
end

function T.test_patterns_are_held ()
  local p = neap.tensor(patterns, f64)
  local E = e.hopfield {patterns = p, beta = 20}
  lu.assertTrue(E:grad(p):abs():max():item() < 1e-8)
  t.near(E(p), {-2, -2, -2}, 1e-8)                              -- ½·4 − 4
end

function T.test_classical_is_its_formula_and_its_log_z_the_sum ()
  local rows, want, z = spins(4), {}, 0
  for n, s in ipairs(rows) do
    want[n] = 0
    for i = 1, 4 do
      for j = 1, 4 do
        for _, p in ipairs(patterns) do
          if i ~= j then want[n] = want[n] - .7 / 8 * p[i] * p[j] * s[i] * s[j] end
        end
      end
    end
    z = z + math.exp(-want[n])
  end
  local E = e.hopfield {patterns = patterns, beta = .7, kind = "classical"}
  t.near(E(neap.tensor(rows, f64)), want)
  t.near(E(neap.tensor(rows, {dtype = "int64"})), want, 1e-6)
  lu.assertAlmostEquals(E:log_z(), math.log(z), 1e-12)
  lu.assertAlmostEquals(E:log_z {method = "enumerate"}, math.log(z), 1e-12)
end

function T.test_one_classical_pattern_is_a_complete_ising ()
  local edges = {}
  for i = 1, 6 do for j = i + 1, 6 do edges[#edges + 1] = {i, j} end end
  local E = e.hopfield {patterns = {{1, 1, 1, 1, 1, 1}}, beta = 1.2, kind = "classical"}
  local F = e.ising {edges = edges, beta = 1.2 / 6}
  local x = neap.tensor(spins(6), f64)
  t.near(E(x), F(x))
  lu.assertAlmostEquals(E:log_z(), F:log_z(), 1e-12)
end

function T.test_derivatives ()
  local p, x = neap.tensor(patterns, f64), t.points(3, 4)
  t.smooth(e.hopfield {patterns = p, beta = 1.5}, x)
  t.smooth(e.hopfield {patterns = p, beta = 1.5, kind = "classical"}, x)
  for _, kind in ipairs {"modern", "classical"} do
    local beta = neap.tensor(1.5, f64):requires_grad()
    local E = e.hopfield {patterns = p:clone():requires_grad(), beta = beta, kind = kind}
    lu.assertEquals(select(2, E:params()), {"patterns", "beta"})
    local ok, report = neap.gradcheck(function (q, b) return E:with {q, b}(x):sum() end, {p, neap.tensor(.8, f64)})
    lu.assertTrue(ok, kind .. ": worst " .. report.worst)
  end
  local E = e.hopfield {patterns = p:clone():requires_grad(), beta = 1, kind = "classical"}
  local s = neap.tensor(spins(4), f64)
  local ok, report = neap.gradcheck(function (q) return E:with {q}:log_prob(s):sum() end, {p})
  lu.assertTrue(ok, "log_prob: worst " .. report.worst)
end

function T.test_errors ()
  t.raises("hopfield: patterns is missing", e.hopfield, {beta = 1})
  t.raises("hopfield: beta is missing", e.hopfield, {patterns = patterns})
  t.raises("hopfield: beta must be positive, got 0", e.hopfield, {patterns = patterns, beta = 0})
  t.raises("hopfield: patterns must be [K, D], got [2]", e.hopfield, {patterns = {1, -1}, beta = 1})
  t.raises("hopfield: beta must be a number, got [2]", e.hopfield, {patterns = patterns, beta = {1, 2}})
  t.raises([[option 'kind': "modern" or "classical" expected, got new]], e.hopfield, {patterns = patterns, beta = 1,
                                                                                      kind = "new"})
  t.raises("no closed form is known for a modern hopfield", function ()
    e.hopfield {patterns = patterns, beta = 1}:log_z()
  end)
  t.raises("hopfield: x must be [B, 4], got [3, 5]", e.hopfield {patterns = patterns, beta = 1}, neap.zeros(3, 5))
end

return T
