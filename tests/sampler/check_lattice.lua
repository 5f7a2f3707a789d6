-- check_lattice.lua -- an Ising model of 10 × 10 with a field, and Potts models of 3 states: what single spins and
-- neighbours do on average, by transfer matrices, against each sampler that applies; and how many independent draws an
-- energy of a row is worth.

local lu = require "luaunit"
local law = require "sampler.law"
local T = {}
local e = neap.energy

-- d log Z / d t by differences
local function slope (log_z, h) return (log_z(h) - log_z(-h)) / (2 * h) end

-- z-scores of f's means, and ESS per 1000 energies, in a line
local function report (name, draws, info, statistics)
  local worst = 0
  for what, s in pairs(statistics) do
    local values = s[1](draws):double()
    local per_chain = values:mean(1)
    local z = (per_chain:mean():item() - s[2]) / (per_chain:std():item() / math.sqrt(per_chain.shape[1]))
    local ess = neap.diag.ess(values:unsqueeze(3), {kind = "mean"}):item()
    print(("%-22s %-14s mean %.5f exact %.5f z %5.2f, ESS per 1000 sweeps of a chain %.1f"):format(name, what,
      per_chain:mean():item(), s[2], z, 1000 * ess / (draws.shape[1] * draws.shape[2]) ))
    worst = math.max(worst, math.abs(z))
  end
  lu.assertTrue(worst < 4, ("%s: worst z = %.2f"):format(name, worst))
  return info
end

function T.test_ising_10_by_10_with_a_field ()
  local beta, h = .3, neap.zeros({10, 10}, {dtype = "float64"})
  h = h + .1
  h[{1, 1}] = 1
  h[{5, 6}] = -.8
  local E = e.ising{shape = {10, 10}, beta = beta, field = h}
  local function with_field (i, j)
    return slope(function (d)
      local f = h:clone()
      f[{i, j}] = f[{i, j}]:item() + d
      return e.ising{shape = {10, 10}, beta = beta, field = f}:log_z()
    end, 1e-3)
  end
  local bonds = slope(function (d) return e.ising{shape = {10, 10}, beta = beta + d, field = h}:log_z() end, 1e-4)
  local statistics = {bonds = {function (x)
    return ((x * x:roll({1}, {3})):sum({3, 4}) + (x * x:roll({1}, {4})):sum({3, 4}))
  end, bonds}}
  for _, at in ipairs{{1, 1}, {5, 6}, {5, 7}, {9, 3}} do
    statistics[("spin %d %d"):format(at[1], at[2])] = {function (x) return x:select(4, at[2]):select(3, at[1]) end,
                                                       with_field(at[1], at[2])}
  end
  local samplers = {
    gibbs = {neap.sampler.gibbs{}, 1500}, dmala = {neap.sampler.dmala{step_size = .6}, 4000},
    gibbs_with_gradients = {neap.sampler.gibbs_with_gradients{}, 20000},
  }
  for name, s in pairs(samplers) do
    local draws, info = s[1]:sample(E, {chains = 64, steps = s[2], warmup = s[2] // 4, thin = s[2] // 500, seed = 1})
    report(name, draws, info, statistics)
  end
end

function T.test_potts ()
  for _, case in ipairs{{{4, 4}, .8}, {{4, 6}, 1}} do
    local shape, beta = case[1], case[2]
    local E = e.potts{shape = shape, states = 3, beta = beta}
    local bonds = slope(function (d) return e.potts{shape = shape, states = 3, beta = beta + d}:log_z() end, 1e-4)
    local draws, info = neap.sampler.gibbs{}:sample(E, {chains = 64, steps = 4000, warmup = 500, thin = 2, seed = 1})
    local statistics = {bonds = {function (x)
      return x:eq(x:roll({1}, {3})):double():sum({3, 4}) + x:eq(x:roll({1}, {4})):double():sum({3, 4})
    end, bonds}}
    for k = 1, 3 do
      statistics["state " .. k] = {function (x) return x:select(4, 1):select(3, 1):eq(k):double() end, 1 / 3}
    end
    report(("gibbs, Potts %dx%d"):format(shape[1], shape[2]), draws, info, statistics)
  end
end

return T
