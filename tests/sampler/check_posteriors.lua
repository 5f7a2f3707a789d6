-- check_posteriors.lua -- nuts as a statistics tool: 4 chains of 1000 steps after 1000 of warm-up on posteriors whose
-- means and standard deviations are known without it (posterior_truth.lua), |z| < 3.5 each; how many effective draws a
-- gradient is worth; and a funnel that is not to be trusted.  Written to BUILD/posteriors.md; docs/samplers.md shows it.

local lu = require "luaunit"
local posteriors = require "bench.posteriors"
local truth = require "sampler.posterior_truth"
local T = {}

local f64 = {dtype = "float64"}
local SEEDS = 10
local lines = {"| posterior | coordinates | largest z | draws for 1000 gradients | divergences |",
               "|---|---|---|---|---|"}

local function sample (P, seed)
  return neap.sampler.nuts{}:sample(P.energy, {chains = 4, warmup = 1000, steps = 1000, seed = seed,
    init = {"uniform", -2, 2}, dtype = "float64", progress = false})
end

-- effective draws of the worst parameter, v [draws, chains, parameters], for 1000 gradients, warm-up's included
local function worth_of (v, info) return neap.diag.ess(v):amin():item() / info.grad_evals * 1000 end

-- the middle one of SEEDS runs, of which the first is there, and how many steps diverged in all
local function median_worth (P, draws, info)
  local worth, divergences = {worth_of(P.constrained(draws), info)}, info.divergences
  for seed = 2, SEEDS do
    local x, told = sample(P, seed)
    worth[seed], divergences = worth_of(P.constrained(x), told), divergences + told.divergences
  end
  table.sort(worth)
  return (worth[SEEDS // 2] + worth[SEEDS // 2 + 1]) / 2, divergences
end

-- the largest |z| of the draws' means and deviations in the parameters' own coordinates, and of what it is
local function worst_z (P, draws, wanted)
  local v, worst, name = P.constrained(draws), 0, nil
  local drawn = {mean = v:mean({1, 2}):totable(), sd = v:std({1, 2}):totable()}
  for kind, list in pairs(drawn) do
    local mcse = neap.diag.mcse(v, {kind = kind}):totable()
    for i, x in ipairs(list) do
      local z = math.abs(x - wanted[kind][i]) / mcse[i]
      if not (z <= worst) then
        worst, name = z, ("%s of %s: %g ± %g, exactly %g"):format(kind, P.names[i], x, mcse[i], wanted[kind][i])
      end
    end
  end
  return worst, name
end

local function write (title, P, z, worth, divergences)
  lines[#lines + 1] = ("| %s | %d | %s | %.1f | %d |"):format(title, #P.names, z and ("%.1f"):format(z) or "", worth,
    divergences)
end

-- mean, sd: lists in the order of P's names; -> the median worth of a gradient
local function judge (title, P, draws, info, mean, sd)
  local z, name = worst_z(P, draws, {mean = mean, sd = sd})
  local worth, divergences = median_worth(P, draws, info)
  write(title, P, z, worth, divergences)
  lu.assertTrue(z < 3.5, name)
  return worth
end

local function assert_trusted (info) lu.assertEquals({info.divergences, info.verdict}, {0, "ok"}) end

-- ---- where all but a few coordinates can be integrated by hand ----

-- CmdStan's median is 33 draws.
function T.test_a_eight_schools ()
  local P = posteriors.eight_schools()
  local draws, info = sample(P, 1)
  local worth = judge("eight schools", P, draws, info, truth.schools(P.data))
  lu.assertTrue(worth > .9 * 33, worth)
end

-- The same law in other coordinates: draws miss the funnel's neck, and every run says so.
function T.test_b_eight_schools_centred_is_not_trusted ()
  local P = posteriors.eight_schools_centred()
  for seed = 1, SEEDS do
    local _, info = sample(P, seed)
    lu.assertTrue(info.divergences > 0)
    lu.assertStrContains(info.verdict, "divergences")
  end
  local draws, info = sample(P, 1)
  write("the same, centred", P, nil, median_worth(P, draws, info))
end

local function judge_linear (title, P, X, y, prior_precision)
  local draws, info = sample(P, 1)
  judge(title, P, draws, info, truth.linear(X, y, prior_precision))
  assert_trusted(info)
end

function T.test_c_regression ()
  local P = posteriors.regression(434)
  local x, y = neap.tensor(P.data.x, f64), neap.tensor(P.data.y, f64)
  judge_linear("regression, 434 points", P, neap.stack({neap.ones_like(x), x}, 2), y, 0)
end

function T.test_d_autoregression ()
  local P = posteriors.autoregression(200)
  local y, columns = neap.tensor(P.data.y, f64), {neap.ones(195, f64)}
  for k = 1, 5 do columns[k + 1] = y:slice(1, 6 - k, 200 - k) end
  judge_linear("AR(5), 200 times", P, neap.stack(columns, 2), y:slice(1, 6, 200), 1 / 100)
end

-- ---- by sums over a lattice ----

-- by_hand: the log density at u, a list.  A coarser lattice must give the same.
local function judge_summed (title, P, by_hand, n, half)
  local draws, info = sample(P, 1)
  local all = draws:reshape(4000, #P.names)
  local mean = all:mean(1)
  local c, some = all - mean, all:slice(1, 1, 3)
  local factor, energy = (c:t():matmul(c) / 4000):cholesky(), P.energy(some):totable()
  for i, u in ipairs(some:totable()) do lu.assertAlmostEquals(-energy[i], by_hand(u), 1e-9 * math.abs(energy[i])) end
  local m, sd = truth.lattice(P, mean, factor, n, half)
  local coarse, wide = truth.lattice(P, mean, factor, 3 * n // 4, half)
  for i = 1, #m do
    lu.assertAlmostEquals(coarse[i], m[i], 1e-3 * sd[i])
    lu.assertAlmostEquals(wide[i], sd[i], 1e-3 * sd[i])
  end
  judge(title, P, draws, info, m, sd)
  assert_trusted(info)
end

local function normal (x, mean, std)
  return -.5 * ((x - mean) / std) ^ 2 - math.log(std) - .5 * math.log(2 * math.pi)
end
local function sigmoid (x) return 1 / (1 + math.exp(-x)) end

-- beta1 near 0 is far out in its logit: a wide lattice.
function T.test_e_garch ()
  local P = posteriors.garch(200)
  judge_summed("GARCH(1, 1), 200 times", P, function (u)
    local alpha0, alpha1, y = math.exp(u[2]), sigmoid(u[3]), P.data.y
    local beta1, v, sum = (1 - alpha1) * sigmoid(u[4]), .25, 0
    for t = 1, 200 do
      sum = sum + normal(y[t], u[1], math.sqrt(v))
      v = alpha0 + alpha1 * (y[t] - u[1]) ^ 2 + beta1 * v
    end
    return sum + math.log(alpha0 * alpha1 * (1 - alpha1) * beta1) + math.log(sigmoid(-u[4]))
  end, 33, 8)
end

function T.test_f_mixture ()
  local P = posteriors.mixture(150)
  judge_summed("mixture, 150 points", P, function (u)
    local gap, s1, s2, w, y = math.exp(u[2]), math.exp(u[3]), math.exp(u[4]), sigmoid(u[5]), P.data.y
    local sum = normal(u[1], 0, 2) + normal(u[1] + gap, 0, 2) + normal(s1, 0, 2) + normal(s2, 0, 2)
    for t = 1, #y do
      sum = sum + math.log(w * math.exp(normal(y[t], u[1], s1)) + (1 - w) * math.exp(normal(y[t], u[1] + gap, s2)))
    end
    local beta = math.log(630) + 4 * math.log(w) + 4 * math.log(1 - w)           -- 630 = Γ(10) / Γ(5)²
    return sum + beta + u[2] + u[3] + u[4] + math.log(w * (1 - w))
  end, 17, 6)
end

function T.test_z_write ()
  local path = (os.getenv "NEAP_BUILD" or "build") .. "/posteriors.md"
  local f = assert(io.open(path, "w"))
  f:write(table.concat(lines, "\n"), "\n")
  f:close()
  lu.assertEquals(#lines, 2 + 6)
end

return T
