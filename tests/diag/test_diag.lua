-- test_diag.lua -- effective sample size, R-hat and errors, against laws with known answers.

local lu = require "luaunit"
local diag = require "neap.diag"
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

function T.test_errors ()
  local function message (...) return tostring(select(2, pcall(...))) end
  lu.assertStrContains(message(diag.ess, 3), "a tensor [draws, chains, event...] expected, got number")
  lu.assertStrContains(message(diag.ess, neap.zeros(3, 2)), "at least 4 draws expected, got [3, 2]")
  lu.assertStrContains(message(diag.ess, neap.zeros(8, 2), {kind = "bulb"}),
                       "'bulk', 'tail' or 'mean' expected, got 'bulb'")
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
