-- ar.lua -- an autoregression: a series whose next value leans on the last five, and where it goes from here.
--
-- y[t] = alpha + Σ beta[k] y[t − k] + noise of standard deviation sigma, with weak priors.  The series is simulated, so
-- the coefficients behind it are known.  Simulation and forecast are neap.scan: a step carries the last five values.

local neap = require "neap"
local dist, positive = neap.dist, neap.bijector.positive
neap.seed(1)

local f64, LAGS, T = {dtype = "float64"}, 5, 200
local truth = {alpha = .2, beta = {.7, .3, .1, 0, -.3}, sigma = .15}

-- last [rows, 5], the newest first -> after one step, what was added; beta [rows, 5], alpha and sigma [rows, 1]
local function follow (alpha, beta, sigma, last, steps)
  return neap.scan(function (now)
    local new = alpha + (beta * now):sum(2, true) + sigma * neap.randn({now.shape[1], 1}, f64)
    return neap.cat({new, now:slice(2, 1, LAGS - 1)}, 2), new
  end, last, steps)
end

local function row (v) return neap.tensor({v}, f64) end
local _, series = follow(row{truth.alpha}, row(truth.beta), row{truth.sigma}, neap.zeros({1, LAGS}, f64), T)
local y = series:flatten()

local before = {}                                                -- the values that y[6 … T] lean on
for k = 1, LAGS do before[k] = y:slice(1, LAGS + 1 - k, T - k) end
before = neap.stack(before, 1)                                   -- [5, T − 5]
local now = y:slice(1, LAGS + 1, T)

local function parts (u)
  local sigma, log_jacobian = positive(u:slice(-1, 7, 7))
  return u:slice(-1, 1, 1), u:slice(-1, 2, 6), sigma, log_jacobian
end

local E = neap.energy(function (u)
  local alpha, beta, sigma, log_jacobian = parts(u)
  local likelihood = dist.normal(now, alpha + beta:matmul(before), sigma):sum(2)
  local prior = dist.normal(u:slice(2, 1, 6), 0, 10):sum(2)
  return -(likelihood + prior + (dist.half_cauchy(sigma, 2.5) + log_jacobian):squeeze(2))
end, {event = {7}})

local draws, info = neap.sampler.nuts{}:sample(E,
  {chains = 4, warmup = 1000, steps = 1000, seed = 3, dtype = "float64"})
local alpha, beta, sigma = parts(draws)
local summary = neap.diag.summary{alpha = alpha:squeeze(-1), beta = beta, sigma = sigma:squeeze(-1)}
print(summary)
print(info)
local behind = {alpha = truth.alpha, sigma = truth.sigma}
for k, v in ipairs(truth.beta) do behind[("beta[%d]"):format(k)] = v end
for _, row in ipairs(summary) do
  print(("%-7s behind the series %5.2f, %.1f standard deviations from the mean"):format(row.name, behind[row.name],
    math.abs(row.mean - behind[row.name]) / row.sd))
  assert(math.abs(row.mean - behind[row.name]) < 4 * row.sd)
end

-- Twenty steps on, a path for each draw.
local paths = draws.shape[1] * draws.shape[2]
local last = y:slice(1, T - LAGS + 1, T):flip(1):unsqueeze(1):expand(paths, LAGS)
local _, future = follow(alpha:reshape(paths, 1), beta:reshape(paths, LAGS), sigma:reshape(paths, 1), last, 20)
for t = 5, 20, 5 do
  local at = future[t]:flatten()
  print(("in %2d steps: %.3f, in [%.3f, %.3f] with probability 90 %%"):format(t, at:quantile(.5, 1):item(),
    at:quantile(.05, 1):item(), at:quantile(.95, 1):item()))
end
