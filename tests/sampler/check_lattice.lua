-- check_lattice.lua -- an Ising model of 10 × 10 with a field, and Potts models of 3 states: what single units and bonds do
-- on average, by transfer matrices, against each sampler of units; and how many independent draws 1000 evaluations of a
-- row are worth.

local lu = require "luaunit"
local T = {}
local e, s = neap.energy, neap.sampler

-- d log Z / d t by differences
local function slope (log_z, h) return (log_z(h) - log_z(-h)) / (2 * h) end

-- of 64 chains; evaluations: gradients or fields a step
local function run (name, E, sampler, evaluations, steps, statistics)
  local draws = sampler:sample(E, {chains = 64, steps = steps, warmup = steps // 4, thin = steps // 500, seed = 1})
  local worst, least = 0, math.huge
  for _, of in pairs(statistics) do
    local values = of[1](draws):double()
    local means = values:mean(1)
    local z = (means:mean():item() - of[2]) / (means:std():item() / 8)
    worst = math.max(worst, math.abs(z))
    least = math.min(least, neap.diag.ess(values:unsqueeze(3), {kind = "mean"}):item())
  end
  print(("%-12s %-21s |z| at most %.2f, ESS per 1000 evaluations at least %.1f"):format(name, tostring(sampler):match "^%S+",
    worst, 1000 * least / (64 * steps * evaluations)))
  lu.assertTrue(worst < 4, ("%s: worst |z| = %.2f"):format(name, worst))
end

local function bonds (pair)
  return function (x) return pair(x, x:roll({1}, {3})):sum({3, 4}) + pair(x, x:roll({1}, {4})):sum({3, 4}) end
end

local function product (a, b) return a * b end
local function same (a, b) return a:eq(b):double() end
local function unit (i, j) return function (x) return x:select(4, j):select(3, i) end end

function T.test_ising_10_by_10_with_a_field ()
  local beta, h = .3, neap.full({10, 10}, .1, {dtype = "float64"})
  h[{1, 1}], h[{5, 6}] = 1, -.8
  local E = e.ising{shape = {10, 10}, beta = beta, field = h}
  local function mean (i, j)
    return slope(function (d)
      local f = h:clone()
      f[{i, j}] = f[{i, j}]:item() + d
      return e.ising{shape = {10, 10}, beta = beta, field = f}:log_z()
    end, 1e-3)
  end
  local total = slope(function (d) return e.ising{shape = {10, 10}, beta = beta + d, field = h}:log_z() end, 1e-4)
  local statistics = {{bonds(product), total}}
  for _, at in ipairs{{1, 1}, {5, 6}, {5, 7}, {9, 3}} do
    statistics[#statistics + 1] = {unit(at[1], at[2]), mean(at[1], at[2])}
  end
  run("Ising 10x10", E, s.gibbs{}, 2, 1500, statistics)
  run("Ising 10x10", E, s.gibbs_with_gradients{}, 1, 20000, statistics)
  run("Ising 10x10", E, s.dmala{step_size = .6}, 1, 8000, statistics)
end

function T.test_potts ()
  for _, case in ipairs{{{4, 4}, .8}, {{4, 6}, .9}} do
    local shape, beta = case[1], case[2]
    local E = e.potts{shape = shape, states = 3, beta = beta}
    local total = slope(function (d) return e.potts{shape = shape, states = 3, beta = beta + d}:log_z() end, 1e-4)
    local statistics = {{bonds(same), total}}
    for k = 1, 3 do
      statistics[k + 1] = {function (x) return unit(1, 2)(x):eq(k):double() end, 1 / 3}
    end
    local name = ("Potts %dx%d"):format(shape[1], shape[2])
    run(name, E, s.gibbs{}, 2, 4000, statistics)
    run(name, E, s.gibbs_with_gradients{}, 1, 20000, statistics)
    run(name, E, s.dmala{step_size = .6}, 1, 8000, statistics)
  end
end

return T
