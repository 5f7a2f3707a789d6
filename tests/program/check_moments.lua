-- Long runs of programs: their moments are those of the law, and those of runs op by op with other random numbers.
-- Chains are independent, so a mean over chain means has a standard error; with some 150 scores in all, |z| < 4.5.
local lu = require "luaunit"
local neap = require "neap"
local T = {}

local LIMIT = 4.5
local CHAINS = 1000

-- statistics of draws [draws, chains, 2] -> [chains] each
local function statistics (draws)
  local x = draws:double()
  local a, b = x:select(3, 1), x:select(3, 2)
  local out = {a = a, b = b, aa = a * a, bb = b * b, ab = a * b, positive = a:gt(0):to "float64"}
  for name, v in pairs(out) do out[name] = v:mean(1) end
  return out
end

local function mean_and_error (v) return v:mean():item(), v:std():item() / math.sqrt(#v) end

local function op_by_op (E)
  return neap.energy(function (x)
    x:sum():item()
    return E(x)
  end, {event = {2}})
end

local function draws_of (s, E, seed, dtype, steps)
  local x = neap.rng(seed):normal({CHAINS, 2}, {dtype = dtype})
  return (s:sample(E, {init = x, steps = steps, warmup = steps, thin = 5, seed = seed}))
end

local samplers = {
  langevin = neap.sampler.langevin{step_size = .02}, random_walk = neap.sampler.random_walk{scale = .7},
  mala = neap.sampler.mala{step_size = .1}, hmc = neap.sampler.hmc{step_size = .2, leapfrog_steps = 5},
}

local energies = {
  banana = neap.energy.banana{},
  gmm = neap.energy.gmm{means = {{1, 0}, {-1, 1}}, std = .8, weights = {.3, .7}},
  well = neap.energy.double_well{barrier = .5, dim = 2},
  lua = neap.energy(function (x) return (x * x):sum(2) * .5 + (x:slice(2, 1, 1) * 2):sin():sum(2) end, {event = {2}}),
}

-- ---- programs and ops ----------------------------------------------------------------------------------------------

for _, dtype in ipairs{"float32", "float64"} do
  T["test_programs_draw_as_ops_do_" .. dtype] = function ()
    local worst, n = 0, 0
    for sname, s in pairs(samplers) do
      for ename, E in pairs(energies) do
        local program = statistics(draws_of(s, E, 1, dtype, 200))
        local ops = statistics(draws_of(s, op_by_op(E), 2, dtype, 200))
        for name in pairs(program) do
          local m1, e1 = mean_and_error(program[name])
          local m2, e2 = mean_and_error(ops[name])
          local z = math.abs(m1 - m2) / math.sqrt(e1 * e1 + e2 * e2)
          lu.assertTrue(z < LIMIT, ("%s, %s, %s: z = %.2f"):format(sname, ename, name, z))
          worst, n = math.max(worst, z), n + 1
        end
      end
    end
    print(("programs and ops, %s: %d scores, the largest %.2f"):format(dtype, n, worst))
  end
end

-- ---- known laws ----------------------------------------------------------------------------------------------------

local function check (name, v, truth)
  local m, e = mean_and_error(v)
  local z = (m - truth) / e
  lu.assertTrue(math.abs(z) < LIMIT, ("%s: %.4f, not %.4f: z = %.2f"):format(name, m, truth, z))
end

-- x ← x − εx/s² + √(2ε) n has the variance s² / (1 − ε/2s²)
function T.test_langevin_has_its_own_law ()
  for _, eps in ipairs{.05, .4} do
    local s = neap.sampler.langevin{step_size = eps}
    local d = statistics(draws_of(s, neap.energy.gaussian{mean = {1, 0}, std = {1, 1.5}}, 3, "float64", 300))
    local v1, v2 = 1 / (1 - eps / 2), 1.5 ^ 2 / (1 - eps / (2 * 1.5 ^ 2))
    check("mean", d.a, 1)
    check("second moment", d.aa, v1 + 1)
    check("variance", d.bb, v2)
    check("covariance", d.ab, 0)
  end
end

function T.test_exact_kernels_have_the_law ()
  local E = neap.energy.gaussian{mean = {1, -.5}, cov = {{1, .6}, {.6, .8}}}
  for _, name in ipairs{"random_walk", "mala", "hmc"} do
    local d = statistics(draws_of(samplers[name], E, 4, "float32", 400))
    check(name, d.a, 1)
    check(name, d.b, -.5)
    check(name, d.aa, 2)
    check(name, d.bb, .8 + .25)
    check(name, d.ab, .6 - .5)
  end
end

-- all states of a small machine, each as likely as its energy says
function T.test_gibbs_has_the_law ()
  local E, rows = neap.energy.rbm{visible = 5, hidden = 4, rng = neap.rng(1)}, {}
  neap.no_grad(function () E.W[{}] = E.W * 8 end)
  for i = 0, 31 do
    rows[i + 1] = {}
    for k = 1, 5 do rows[i + 1][k] = (i >> (k - 1)) & 1 end
  end
  local states = neap.tensor(rows)
  local p = (-E(states)):softmax(1):detach()
  local x = neap.sampler.gibbs{}:sample(E, {chains = CHAINS, steps = 400, warmup = 100, thin = 4, seed = 1}):double()
  for i = 1, 5 do
    check("unit " .. i, x:select(3, i):mean(1), (p * states:select(2, i)):sum():item())
    check("pair " .. i, (x:select(3, i) * x:select(3, i % 5 + 1)):mean(1),
          (p * states:select(2, i) * states:select(2, i % 5 + 1)):sum():item())
  end
end

-- a step of one's own
function T.test_custom_steps_have_the_law ()
  local eps = .1
  local s = neap.sampler.custom{
    init = function (_, x) return {x = x} end,
    step = function (E, st, rng)
      return {x = st.x - eps * E:grad(st.x) + math.sqrt(2 * eps) * rng:normal(st.x.shape, {dtype = st.x.dtype})}
    end,
  }
  local d = statistics(draws_of(s, neap.energy.gaussian{mean = {0, 0}, std = 1}, 5, "float32", 300))
  check("variance", d.aa, 1 / (1 - eps / 2))
  check("variance", d.bb, 1 / (1 - eps / 2))
  check("covariance", d.ab, 0)
end

return T
