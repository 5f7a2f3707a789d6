-- test_diag.lua -- effective sample size, R-hat and errors, against laws with known answers.

local lu = require "luaunit"
local diag = require "neap.diag"
local plain = require "diag.plain"
local T = {}

-- AR(1) chains of unit variance: x_t = φ x_{t-1} + √(1 − φ²) n; the mean's ESS is N (1 − φ) / (1 + φ)
local function ar1 (phi, n, chains, rng)
  local noise, rows = rng:normal(n, chains):to "float64":totable(), {}
  local x = rng:normal(chains):to "float64":totable()
  for t = 1, n do
    rows[t] = {}
    for i = 1, chains do
      x[i] = phi * x[i] + math.sqrt(1 - phi * phi) * noise[t][i]
      rows[t][i] = x[i]
    end
  end
  return neap.tensor(rows, {dtype = "float64"})
end

function T.test_ess_of_independent_draws ()
  local draws = neap.rng(1):normal(1000, 4, 3)
  local ess = diag.ess(draws)
  lu.assertEquals(ess.shape, {3})
  for _, v in ipairs(ess:totable()) do lu.assertTrue(v > 3300 and v < 4900, v) end
  for _, v in ipairs(diag.mcse(draws):totable()) do lu.assertTrue(math.abs(v * math.sqrt(4000) - 1) < .12, v) end
  for _, v in ipairs(diag.rhat(draws):totable()) do lu.assertTrue(v < 1.005, v) end
  lu.assertTrue(diag.ess(draws, {kind = "tail"}):amin():item() > 2500)
end

function T.test_ess_of_autoregressive_chains ()
  for _, phi in ipairs{.5, .9, -.4} do
    local draws = ar1(phi, 4000, 4, neap.rng(2))
    local truth = 16000 * (1 - phi) / (1 + phi)
    for _, kind in ipairs{"bulk", "mean"} do
      local ratio = diag.ess(draws, {kind = kind}):item() / truth
      lu.assertTrue(ratio > .8 and ratio < 1.25, ("phi %g, %s: %g of the truth"):format(phi, kind, ratio))
    end
    local mcse = diag.mcse(draws):item()
    lu.assertTrue(math.abs(mcse * math.sqrt(truth) - 1) < .15)
  end
end

-- The variance of an AR(1) of unit variance has autocorrelations φ^2t, whether it is below its median (2/π) asin φ^t.
function T.test_errors_of_autoregressive_chains ()
  for _, phi in ipairs{.3, .8} do
    local draws, tau = ar1(phi, 4000, 4, neap.rng(8)), 1
    for t = 1, 200 do tau = tau + 4 / math.pi * math.asin(phi ^ t) end
    local sizes = {sd = 16000 * (1 - phi ^ 2) / (1 + phi ^ 2), quantile = 16000 / tau}
    local errors = {sd = 1 / math.sqrt(2 * sizes.sd), quantile = math.sqrt(math.pi / 2 / sizes.quantile)}
    for kind, truth in pairs(sizes) do
      local o = {kind = kind, prob = kind == "quantile" and .5 or nil}
      lu.assertAlmostEquals(diag.ess(draws, o):item() / truth, 1, .2, ("phi %g, %s"):format(phi, kind))
      lu.assertAlmostEquals(diag.mcse(draws, o):item() / errors[kind], 1, .2, ("phi %g, %s"):format(phi, kind))
    end
  end
end

-- The same formulas written out for lists, to the last digits: odd numbers of draws, ties, a chain apart, a slow chain.
function T.test_they_are_the_formulas ()
  local cases = {
    independent = neap.rng(1):normal(60, 3), odd = ar1(.5, 61, 4, neap.rng(2)),
    antithetic = ar1(-.6, 80, 2, neap.rng(3)),
    ties = (ar1(.7, 64, 3, neap.rng(4)) * 2):round(), apart = ar1(.3, 50, 4, neap.rng(5)) + neap.tensor{0, 0, 0, 3},
    scaled = ar1(.3, 50, 3, neap.rng(6)) * neap.tensor{1, 1, 5}, slow = neap.rng(7):normal(90, 2):cumsum(1),
    slower = neap.rng(8):normal(331, 2):cumsum(1),
  }
  for name, draws in pairs(cases) do
    local x = plain.chains(draws)
    local function same (what, got, truth)
      local v = got:item()
      lu.assertAlmostEquals(v, truth, 1e-9 * truth, ("%s of %s: %.15g, %.15g"):format(what, name, v, truth))
    end
    same("rhat", diag.rhat(draws), plain.rhat(x))
    for _, kind in ipairs{"bulk", "tail", "mean", "sd"} do
      same(kind, diag.ess(draws, {kind = kind}), plain.ess[kind](x))
    end
    for _, kind in ipairs{"mean", "sd"} do same(kind, diag.mcse(draws, {kind = kind}), plain.mcse[kind](x)) end
    for _, q in ipairs{.1, .5, .9} do
      local o = {kind = "quantile", prob = q}
      same("ess", diag.ess(draws, o), plain.ess.quantile(x, q))
      same("mcse", diag.mcse(draws, o), plain.mcse.quantile(x, q))
    end
  end
end

-- A hand-made case: two chains of 4, halves of 2, worked out on paper.
-- Halves {1,2} {3,4} {2,3} {5,6}: means 1.5 3.5 2.5 5.5, within ½, between var(means) = 35/12; plain R-hat = √(½ +
-- (35/12)/½).
function T.test_rhat_sees_chains_apart ()
  local apart = neap.rng(3):normal(500, 4) + neap.tensor{0, 0, 0, 2}
  lu.assertTrue(diag.rhat(apart):item() > 1.2)
  local scaled = neap.rng(3):normal(500, 4) * neap.tensor{1, 1, 1, 4}          -- only folding shows it
  lu.assertTrue(diag.rhat(scaled):item() > 1.1)
  local drifting = neap.rng(3):normal(500, 4) + neap.linspace(-2, 2, 500):unsqueeze(2)
  lu.assertTrue(diag.rhat(drifting):item() > 1.2)
end

-- Ranks do not change under monotone maps, so neither do bulk ESS and the unfolded R-hat of heavy tails.
function T.test_rank_normalization ()
  local draws = ar1(.6, 1000, 4, neap.rng(4))
  lu.assertAlmostEquals(diag.ess(draws):item(), diag.ess(draws:exp()):item(), 1e-6)
  local cauchy = (math.pi * (neap.rng(5):uniform(1000, 4) - .5)):tan()
  lu.assertTrue(diag.ess(cauchy):item() > 3000)
  lu.assertTrue(diag.rhat(cauchy):item() < 1.01)
end

function T.test_what_cannot_be_told_is_nan ()
  local function is_nan (v) lu.assertTrue(v ~= v) end
  local still = neap.ones(10, 2)
  is_nan(diag.ess(still):item())
  is_nan(diag.rhat(still):item())
  local broken = neap.rng(1):normal(10, 2)
  broken[{3, 1}] = 0 / 0
  is_nan(diag.ess(broken):item())
end

function T.test_autocorr ()
  local r = diag.autocorr(ar1(.8, 4000, 4, neap.rng(6)), {lags = 5})
  lu.assertEquals(r.shape, {6})
  for lag, v in ipairs(r:totable()) do lu.assertAlmostEquals(v, .8 ^ (lag - 1), .05) end
end

function T.test_summary ()
  local s = diag.summary(neap.rng(7):normal(1000, 4, 2) * 2 + 5)
  lu.assertEquals(#s, 2)
  lu.assertAlmostEquals(s[1].mean, 5, .15)
  lu.assertAlmostEquals(s[1].sd, 2, .1)
  lu.assertAlmostEquals(s[1].q5, 5 - 1.645 * 2, .2)
  lu.assertAlmostEquals(s[2].q50, 5, .15)
  lu.assertStrContains(tostring(s), "rhat")
end

function T.test_summary_by_names ()
  local draws = neap.rng(7):normal(200, 4, 2, 2)
  local s = diag.summary(draws)
  lu.assertEquals({s[1].name, s[2].name, s[3].name, #s}, {"[1, 1]", "[1, 2]", "[2, 1]", 4})
  lu.assertEquals(s["[2, 1]"].mean, draws:select(3, 2):select(3, 1):double():mean():item())
  s = diag.summary(draws:reshape(200, 4, 4), {"alpha", "beta", "γ", "δ"})
  lu.assertEquals({s[3].name, s.beta.sd}, {"γ", s[2].sd})
  lu.assertEquals(#(tostring(s):match "\nγ[^\n]*"), #(tostring(s):match "\nbeta[^\n]*") + 1)   -- two bytes wide
  local one, two = neap.rng(1):normal(200, 4), neap.rng(2):normal(200, 4, 2)
  local tau = neap.bijector.positive(one)
  s = diag.summary{theta = two, tau = tau, mu = one}
  local names = {}
  for i, row in ipairs(s) do names[i] = row.name end
  lu.assertEquals(names, {"mu", "tau", "theta[1]", "theta[2]"})
  lu.assertAlmostEquals(s.tau.q50, math.exp(s.mu.q50), .01)        -- a rising map keeps ranks
  lu.assertAlmostEquals(s.tau.ess, s.mu.ess, 1e-6)
  lu.assertEquals(s["theta[2]"].mean, two:select(3, 2):double():mean():item())
  lu.assertEquals(diag.summary({theta = two, mu = one}, {"theta", "mu"})[3].name, "mu")
  lu.assertEquals(#diag.summary(one), 1)
end

function T.test_summary_errors ()
  local function message (...) return tostring(select(2, pcall(diag.summary, ...))) end
  local draws = neap.zeros(8, 2, 3)
  lu.assertStrContains(message(draws, {"a"}), "summary: names: one for each of 3 coordinates expected, got 1")
  lu.assertStrContains(message(draws, "a"), "summary: names: table expected, got string")
  lu.assertStrContains(message({mu = draws}, {"tau"}), "no draws are named 'tau'")
  lu.assertStrContains(message{mu = 3}, "diag.summary: 'mu': a tensor [draws, chains, event...] expected, got number")
  lu.assertStrContains(message{}, "tensors by name expected, got an empty table")
  lu.assertStrContains(message{draws}, "a name: string expected, got integer")
end

function T.test_errors ()
  local function message (...) return tostring(select(2, pcall(...))) end
  lu.assertStrContains(message(diag.ess, 3), "a tensor [draws, chains, event...] expected, got number")
  lu.assertStrContains(message(diag.ess, neap.zeros(3, 2)), "at least 4 draws expected, got [3, 2]")
  lu.assertStrContains(message(diag.ess, neap.zeros(8, 2), {kind = "bulb"}),
                       "'bulk', 'mean', 'quantile', 'sd' or 'tail' expected, got 'bulb'")
  lu.assertStrContains(message(diag.mcse, neap.zeros(8, 2), {kind = "tail"}), "'mean', 'quantile' or 'sd' expected")
  lu.assertStrContains(message(diag.mcse, neap.zeros(8, 2), {kind = "quantile"}), "option 'prob': number in (0, 1)")
  lu.assertStrContains(message(diag.ess, neap.zeros(8, 2), {kind = "quantile", prob = 1}), "in (0, 1) expected, got 1")
  lu.assertStrContains(message(diag.ess, neap.zeros(8, 2), {prob = .5}), "only kind 'quantile' takes one")
  lu.assertStrContains(message(diag.ess, neap.zeros(8, 2), {king = "bulk"}), "did you mean 'kind'")
end

local function mala (step) return neap.sampler.mala{step_size = step} end

-- What E:fix holds never moves, and says nothing about the rest.
function T.test_held_coordinates_are_left_out ()
  local E = neap.energy.gaussian{mean = {0, 0, 0}, cov = {{1, .5, 0}, {.5, 1, 0}, {0, 0, 1}}}
  E = E:fix(neap.tensor({false, true, false}), neap.tensor{0, 1.5, 0})
  local _, info = neap.sampler.hmc{step_size = .5, leapfrog_steps = 3}:sample(E, {chains = 4, steps = 2000, seed = 1})
  local ess, rhat = info.ess:totable(), info.rhat:totable()
  lu.assertTrue(ess[2] ~= ess[2] and rhat[2] ~= rhat[2])
  lu.assertTrue(math.min(ess[1], ess[3]) > 400 and math.max(rhat[1], rhat[3]) < 1.01)
  lu.assertEquals(info.verdict, "ok")
  lu.assertEquals(info.mask:totable(), {false, true, false})
  lu.assertStrContains(tostring(info), ("ess %.0f, rhat"):format(math.min(ess[1], ess[3])))
  lu.assertNotStrContains(tostring(info), "nan")
  _, info = mala(.1):sample(E:fix(neap.ones(3), neap.zeros(3)), {chains = 2, steps = 8, seed = 1})
  lu.assertEquals(info.verdict, "every coordinate is held")
  lu.assertStrMatches(tostring(info), "mala: 8 draws of 2 chains in [%d.]+ s, accept rate [%d.]+, every " ..
                      "coordinate is held")
end

function T.test_what_never_moved_is_named ()
  local still = neap.sampler.custom{step = function (_, state, rng)
    return {x = neap.stack({rng:normal(4), state.x:select(2, 2)}, 2)}
  end}
  local _, info = still:sample(neap.energy.ring{radius = 2, std = .1}, {init = neap.zeros(4, 2), steps = 20, seed = 1})
  lu.assertEquals(info.verdict, "coordinate 2 never moved")
  lu.assertStrContains(tostring(info), "ess nan, rhat nan, coordinate 2 never moved")
end

function T.test_chains_that_never_move ()
  local E = neap.energy.gaussian{mean = {0, 0}, cov = {{1, 0}, {0, 1}}}
  local _, info = neap.sampler.random_walk{scale = 1e6}:sample(E, {chains = 4, steps = 50, seed = 1})
  lu.assertEquals(info.verdict, "no step was accepted: a smaller step size or scale may help")
  lu.assertNotStrContains(tostring(info), "nan")
end

function T.test_an_energy_that_is_no_number_is_named ()
  local E = neap.energy(function (x) return x:square():sum(2) + (x:select(2, 1) - 5):sqrt() end, {event = {2}})
  local init = neap.tensor{{60, 1}, {0, 2}}
  local _, info = neap.sampler.random_walk{scale = .1}:sample(E, {init = init, steps = 20, seed = 1})
  lu.assertStrContains(info.verdict, "the energy is not a number at draw 1 of chain 2: x = [")
  _, info = neap.sampler.langevin{step_size = .1}:sample(E, {init = init, steps = 20, seed = 1})
  lu.assertStrContains(info.verdict, "not finite from the first draw")
end

-- neap.diag is an op, too.
function T.test_the_module_is_called_as_the_op ()
  lu.assertEquals(neap.diag(neap.tensor {1, 2}):totable(), {{1, 0}, {0, 2}})
  lu.assertEquals(neap.diag(neap.tensor {{1, 2}, {3, 4}}, 1):totable(), {2})
  lu.assertIs(neap.diag.ess, diag.ess)
end

return T
