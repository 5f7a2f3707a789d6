-- table.lua -- every sampler on every target it applies to, against exact probabilities and moments.
-- A target has `statistics`: name -> {f, truth}, f(draws [n, chains, event…]) -> [n, chains]; a row is a function of
-- the target -> sampler, options, or nil where it does not apply.  A cell is the largest |z| = |mean − truth| / MCSE,
-- with the MCSE that neap.diag finds in the draws themselves.  New samplers are one row each.

local law = require "sampler.law"
local enumerate = require "sampler.enumerate"
local M = {}

local f64 = {dtype = "float64"}
local function at (draws, i) return draws:select(3, i) end

-- ---- targets ---------------------------------------------------------------------------------------

local function gaussian ()                              -- condition number 100, turned
  local sds, turn = {1, .5, .2, .1}, neap.tensor({{.5, .5, .5, .5}, {.5, .5, -.5, -.5}, {.5, -.5, .5, -.5},
                                                  {.5, -.5, -.5, .5}}, f64)
  local scaled = turn * neap.tensor(sds, f64)           -- columns: axes times their lengths
  local E = neap.energy.gaussian{mean = {1, -1, 2, 0}, cov = scaled:matmul(scaled:t())}
  local statistics = {}
  for i, sd in ipairs(sds) do
    local axis = turn:select(2, i)
    local centre = (axis * neap.tensor({1, -1, 2, 0}, f64)):sum():item()
    statistics["mean " .. i] = {function (x) return x:matmul(axis) - centre end, 0}
    statistics["variance " .. i] = {function (x) return (x:matmul(axis) - centre):square() end, sd * sd}
  end
  return {E = E, small = .1, size = 1, thin = 20, statistics = statistics}
end

local function gmm ()
  local E = neap.energy.gmm{means = {{-1, -1}, {1, 1}}, std = .7, weights = {.25, .75}}
  local right = .25 * (1 - law.normal_cdf(1 / .7)) + .75 * law.normal_cdf(1 / .7)
  return {E = E, small = .5, size = 1.4, thin = 5, statistics = {
    mean = {function (x) return at(x, 1) end, .5}, product = {function (x) return at(x, 1) * at(x, 2) end, 1},
    square = {function (x) return at(x, 2):square() end, 1.49},
    ["P(x1 > 0)"] = {function (x) return at(x, 1):gt(0):to "float64" end, right},
  }}
end

local function funnel ()
  local function u (x) return at(x, 2) * (at(x, 1) / -2):exp() end
  return {E = neap.energy.funnel{dim = 3}, funnel = true, small = .1, size = 3, thin = 10, statistics = {
    ["P(v < -5)"] = {function (x) return at(x, 1):lt(-5):to "float64" end, law.normal_cdf(-5 / 3)},
    ["P(v < 0)"] = {function (x) return at(x, 1):lt(0):to "float64" end, .5},
    ["P(|u| < 1)"] = {function (x) return u(x):abs():lt(1):to "float64" end, 2 * law.normal_cdf(1) - 1},
    ["u"] = {u, 0}, ["u^2"] = {function (x) return u(x):square() end, 1},
  }}
end

local function banana ()
  return {E = neap.energy.banana{}, small = .4, steep = .12, size = 1.5, thin = 8, statistics = {
    x1 = {function (x) return at(x, 1) end, 0}, ["x1^2"] = {function (x) return at(x, 1):square() end, 1},
    x2 = {function (x) return at(x, 2) end, 0}, ["x2^2"] = {function (x) return at(x, 2):square() end, 2.25},
    ["x1^2 x2"] = {function (x) return at(x, 1):square() * at(x, 2) end, 2},
  }}
end

local function ring ()
  local function moment (power)
    return law.expectation(function (r) return (math.abs(r) - 2) ^ 2 / (2 * .09) - math.log(math.abs(r) + 1e-300) end,
                           function (r) return math.abs(r) ^ power end, 5)
  end
  local function square (x) return x:square():sum(3) end
  return {E = neap.energy.ring{radius = 2, std = .3}, small = .3, size = 2, thin = 20, statistics = {
    x1 = {function (x) return at(x, 1) end, 0}, ["x2^2"] = {function (x) return at(x, 2):square() end, moment(2) / 2},
    r = {function (x) return square(x):sqrt() end, moment(1)}, ["r^2"] = {square, moment(2)},
    ["P(x1 x2 > 0)"] = {function (x) return (at(x, 1) * at(x, 2)):gt(0):to "float64" end, .5},
  }}
end

local function double_well ()
  local function well (x) return 2 * (x * x - 1) ^ 2 end
  local statistics = {["P(x > 0)"] = {function (x) return at(x, 1):gt(0):to "float64" end, .5}}
  for power = 1, 4 do
    statistics["x^" .. power] = {function (x) return at(x, 1) ^ power end,
                                 law.expectation(well, function (x) return x ^ power end, 5)}
  end
  return {E = neap.energy.double_well{barrier = 2, dim = 1}, small = .25, size = 1, thin = 10, statistics = statistics}
end

-- dy/dt at t, of f that is smooth and exact to rounding
local function slope (f, t)
  local h = .01
  return (8 * (f(t + h) - f(t - h)) - (f(t + 2 * h) - f(t - 2 * h))) / (12 * h)
end

-- Spins with a field: bonds and magnetization are slopes of the exact log Z.
local function ising (L)
  return function ()
    local beta, field, n = .3, .1, L * L
    local function log_z (b, h) return (neap.energy.ising{shape = {L, L}, beta = b, field = h}:log_z()) end
    local function bonds (x) return (x * (x:roll(1, 3) + x:roll(1, 4))):sum({3, 4}) / (2 * n) end
    local mean = slope(function (h) return log_z(beta, h) end, field) / n
    local E = neap.energy.ising{shape = {L, L}, beta = beta, field = field}
    return {E = E, spins = true, thin = n // 4, statistics = {
      magnetization = {function (x) return x:mean({3, 4}) end, mean},
      bonds = {bonds, slope(function (b) return log_z(b, field) end, beta) / (2 * n)},
      ["one spin"] = {function (x) return x:select(4, 2):select(3, 1) end, mean},
    }}
  end
end

local function potts ()
  local beta, q = .6, 3
  local function log_z (b) return (neap.energy.potts{shape = {3, 3}, states = q, beta = b}:log_z()) end
  local same = slope(log_z, beta) / 18
  local function equal (x, y) return x:eq(y):to "float64" end
  return {E = neap.energy.potts{shape = {3, 3}, states = q, beta = beta}, labels = q, thin = 3, statistics = {
    bonds = {function (x) return (equal(x, x:roll(1, 3)) + equal(x, x:roll(1, 4))):sum({3, 4}) / 18 end, same},
    ["one bond"] = {function (x) return equal(x:select(4, 2):select(3, 1), x:select(4, 2):select(3, 2)) end, same},
    ["P(x = 2)"] = {function (x) return x:select(4, 1):select(3, 3):eq(2):to "float64" end, 1 / q},
  }}
end

local function rbm ()
  local E, statistics = enumerate.machine(8, 6, .6), {}
  local states = enumerate.states(8)
  local p = (-E(states)):double():softmax(1)
  for i = 1, 8 do
    statistics["v" .. i] = {function (x) return at(x, i):double() end, (states:select(2, i):double() * p):sum():item()}
  end
  statistics["v1 v2"] = {function (x) return (at(x, 1) * at(x, 2)):double() end,
                         (states:select(2, 1) * states:select(2, 2) * p):sum():item()}
  return {E = E, bits = true, thin = 4, statistics = statistics}
end

M.targets = {
  {"Gaussian, condition 100", gaussian}, {"mixture", gmm}, {"funnel", funnel}, {"banana", banana}, {"ring", ring},
  {"double well", double_well}, {"Ising 4×4", ising(4)}, {"Ising 6×6", ising(6)}, {"Potts 3×3", potts},
  {"RBM 8×6", rbm},
}

-- ---- samplers --------------------------------------------------------------------------------------

local function continuous (t) return not (t.spins or t.labels or t.bits) end

-- a random walk written by a user
local function by_hand (scale)
  return neap.sampler.custom{step = function (E, state, rng)
    local x, o = state.x, {dtype = state.x.dtype}
    local y = x + scale * rng:normal(x.shape, o)
    local accept = (1 - rng:uniform({x.shape[1]}, o)):log():le(E:log_ratio(y, x))
    return {x = neap.where(accept:unsqueeze(2), y, x)}
  end}
end

-- The funnel's neck is narrow: who takes long or adaptive steps reaches it.
local function steady (make)
  return function (t) if continuous(t) and not t.funnel then return make(t) end end
end

-- short enough for where the target is steep: a chain that comes there must get away
local function langevin (t) return neap.sampler.mala{step_size = .7 * (t.steep or t.small) ^ 2} end

M.rows = {
  random_walk = steady(function (t) return neap.sampler.random_walk{scale = 1.5 * t.small} end),
  custom = steady(function (t) return by_hand(1.5 * t.small) end),
  slice = function (t)
    if continuous(t) then return neap.sampler.slice{width = t.size}, {thin = t.funnel and 100 or nil} end
  end,
  mala = steady(function (t) return langevin(t), {thin = t.steep and 10 * t.thin or nil} end),
  hmc = function (t)
    if t.funnel then return neap.sampler.hmc{step_size = .02, leapfrog_steps = 75}, {thin = 2, chains = 256} end
    if continuous(t) then                               -- a path of half a period of an axis would make −x of x
      local h = t.steep or t.small
      return neap.sampler.hmc{step_size = h, leapfrog_steps = math.ceil(1.1 * t.size / h)}, {thin = 2}
    end
  end,
  nuts = function (t)
    if t.funnel then return neap.sampler.nuts{target_accept = .999, metric = "unit"}, {thin = 2, warmup = 1000} end
    if continuous(t) then return neap.sampler.nuts{}, {thin = 2, warmup = 500} end
  end,
  blocks = function (t)                                 -- a sampler for the first half, another for the rest
    local n = #t.E.event == 1 and t.E.event[1] or 0
    local half = t.bits and n // 2 or 1
    if n < 2 or t.funnel or not (t.bits or continuous(t)) then return nil end
    local first, rest = {}, {}
    for i = 1, n do table.insert(i <= half and first or rest, i) end
    if t.bits then
      local one, two = neap.sampler.gibbs_with_gradients{}, neap.sampler.dmala{step_size = .4}
      return neap.sampler.blocks{{first, one}, {rest, two}}, {init = "bernoulli"}
    end
    return neap.sampler.blocks{{first, neap.sampler.slice{width = t.size}},
                               {rest, neap.sampler.random_walk{scale = 1.5 * t.small}}}
  end,
  parallel_tempering = function (t)
    local s = neap.sampler
    if not continuous(t) then return s.parallel_tempering{n = 3, hottest = 3, kernel = s.gibbs{}} end
    local kernel = s.slice{width = t.size}
    return s.parallel_tempering{n = 3, hottest = 4, kernel = kernel}, {thin = t.funnel and 100 or nil}
  end,
  smc = function (t)
    if t.funnel then return nil end
    local kernel = continuous(t) and langevin(t) or neap.sampler.gibbs{}
    if not t.steep then return neap.sampler.smc{particles = 1024, kernel = kernel}, {runs = 40} end
    kernel = neap.sampler.slice{width = t.size}         -- N(0, 1) has too little where the target is
    return neap.sampler.smc{particles = 4096, kernel = kernel, moves = 40}, {runs = 20, init = {"uniform", -20, 20}}
  end,
  gibbs = function (t) if not continuous(t) then return neap.sampler.gibbs{} end end,
  gibbs_with_gradients = function (t)
    if not continuous(t) then return neap.sampler.gibbs_with_gradients{}, {thin = 2 * t.thin} end
  end,
  dmala = function (t)
    if not continuous(t) then return neap.sampler.dmala{step_size = t.spins and 2 or .4}, {thin = 2 * t.thin} end
  end,
}

-- Samplers whose law is off by their step: bias(step size) of a statistic on the double well, and how it falls when the
-- step is halved.
M.biased = {
  langevin = {steps = {.02, .01, .005}, order = 1, time = 1000,
              make = function (h) return neap.sampler.langevin{step_size = h} end},
  underdamped = {steps = {.18, .09}, order = 2, time = 16000,
                 make = function (h) return neap.sampler.underdamped{step_size = h} end},
}

-- Samplers that have no column: what they draw from is not e^(−E).
local minibatches = "its law is that of a posterior of rows of data, off by its step and by its batch"
M.elsewhere = {annealed_langevin = "its law is that of the last noise level", sgld = minibatches, sghmc = minibatches}

-- ---- cells -----------------------------------------------------------------------------------------

local CHAINS, KEPT = 64, 1000

-- Where a run is one sample of particles: the error is that of the means of runs.
local function cell_of_runs (s, target, runs, init)
  local means, zs = {}, {}
  for run = 1, runs do
    local draws = s:sample(target.E, {seed = run, init = init, dtype = continuous(target) and "float64" or nil})
    for name, statistic in pairs(target.statistics) do
      means[name] = means[name] or {}
      means[name][run] = statistic[1](draws):double():mean():item()
    end
  end
  for name, list in pairs(means) do
    local v = neap.tensor(list, f64)
    zs[name] = (v:mean():item() - target.statistics[name][2]) / (v:std():item() / math.sqrt(runs))
  end
  return law.worst(zs)
end

-- the largest |z| of a sampler on a target, and whose it is; nil where it does not apply
function M.cell (row, target, seed)
  local s, o = row(target)
  if not s then return nil end
  o = o or {}
  if o.runs then return cell_of_runs(s, target, o.runs, o.init) end
  local thin = o.thin or target.thin
  local draws = s:sample(target.E, {chains = o.chains or CHAINS, steps = KEPT * thin,
    warmup = o.warmup or KEPT // 4 * thin, init = o.init, thin = thin, seed = seed, dtype = continuous(target) and "float64" or nil})
  local zs = {}
  for name, statistic in pairs(target.statistics) do
    local v = statistic[1](draws):double()
    zs[name] = (v:mean():item() - statistic[2]) / neap.diag.mcse(v):item()
  end
  return law.worst(zs)
end

function M.names (of)
  local names = {}
  for name in pairs(of) do names[#names + 1] = name end
  table.sort(names)
  return names
end

function M.header ()
  local names = {}
  for i, t in ipairs(M.targets) do names[i] = t[1] end
  return "| sampler | " .. table.concat(names, " | ") .. " |"
end

return M
