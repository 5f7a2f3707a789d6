-- posteriors.lua -- posteriors as a user of neap.dist writes them: energies on float64 vectors of any real numbers.
-- Each is {energy =; names = of the parameters; constrained = u [..., D] -> the parameters [..., #names]; data = the
-- numbers that its model in stan/ is given}.
-- Invariant: an energy is −log of a density without its constant; data that are not famous are made here, from a seed
-- of their own, in the sizes of well-known examples.

local posteriors = {}

local f64 = {dtype = "float64"}
local dist, positive, unit = neap.dist, neap.bijector.positive, neap.bijector.unit

-- coordinates first … last of u, a view
local function part (u, first, last) return u:slice(-1, first, last or first) end

-- "name[1]" … "name[n]"
local function numbered (name, n)
  local names = {}
  for i = 1, n do names[i] = ("%s[%d]"):format(name, i) end
  return table.unpack(names)
end

-- parts(u) -> coordinates or parameters …, log Jacobian [B, 1]; log_density(parts …) -> of the data [B], of the parts
-- [B, 1]; constrained(parts …) -> parameters …, the parts themselves unless given
local function posterior (names, data, parts, log_density, constrained)
  local function split (u)
    local values = table.pack(parts(u))
    return values, table.remove(values)
  end
  local function energy (u)
    local values, log_jacobian = split(u)
    local points, prior = log_density(table.unpack(values))
    return -(points + (prior + log_jacobian):squeeze(2))
  end
  return {names = names, data = data, energy = neap.energy(energy, {event = {#names}}),
    constrained = function (u)
      local values = split(u)
      return neap.cat(constrained and {constrained(table.unpack(values))} or values, -1)
    end}
end

-- ---- Rubin's eight schools ----------------------------------------------------------------------------------------

-- u = eta [8], mu, log tau with theta = mu + tau eta, or theta itself, which makes a funnel
local function schools (centred)
  local data = {J = 8, estimate = {28, 8, -3, 7, -1, 1, 18, 12}, error = {15, 10, 16, 11, 9, 11, 10, 18}}
  local estimate, error_of = neap.tensor(data.estimate, f64), neap.tensor(data.error, f64)
  local names = {numbered("theta", 8)}
  names[9], names[10] = "mu", "tau"
  local function theta_of (t, mu, tau) return centred and t or mu + tau * t end
  return posterior(names, data,
    function (u) return part(u, 1, 8), part(u, 9), positive(part(u, 10)) end,
    function (t, mu, tau)
      local prior = centred and dist.normal(t, mu, tau) or dist.normal(t, 0, 1)
      local points = prior + dist.normal(estimate, theta_of(t, mu, tau), error_of)
      return points:sum(2), dist.normal(mu, 0, 5) + dist.cauchy(tau, 0, 5)
    end,
    function (t, mu, tau) return theta_of(t, mu, tau), mu, tau end)
end

function posteriors.eight_schools () return schools(false) end
function posteriors.eight_schools_centred () return schools(true) end

-- ---- linear models ------------------------------------------------------------------------------------------------

-- y = a + b x + noise, n points with x far from 0: a, b, log sigma
function posteriors.regression (n)
  local rng = neap.rng(1)
  local x = 100 + 15 * rng:normal({n}, f64)
  local y = 26 + .6 * x + 18 * rng:normal({n}, f64)
  return posterior({"a", "b", "sigma"}, {N = n, x = x:totable(), y = y:totable()},
    function (u) return part(u, 1), part(u, 2), positive(part(u, 3)) end,
    function (a, b, sigma) return dist.normal(y, a + b * x, sigma):sum(2), dist.cauchy(sigma, 0, 2.5) end)
end

-- an autoregression of order 5 over n times: its mean, its 5 weights, log sigma
function posteriors.autoregression (n)
  local noise, series, before = (.15 * neap.rng(2):normal({n}, f64)):totable(), {}, {}
  for t = 1, n do
    series[t] = noise[t] + .6 * (series[t - 1] or 0) + .2 * (series[t - 2] or 0) - .1 * (series[t - 5] or 0)
  end
  local y = neap.tensor(series, f64)
  for k = 1, 5 do before[k] = y:slice(1, 6 - k, n - k) end
  local past, now = neap.stack(before, 1), y:slice(1, 6, n):contiguous()
  local names = {"alpha", "beta[1]", "beta[2]", "beta[3]", "beta[4]", "beta[5]", "sigma"}
  return posterior(names, {K = 5, T = n, y = series},
    function (u) return part(u, 1, 6), positive(part(u, 7)) end,
    function (weights, sigma)
      local mean = part(weights, 1) + part(weights, 2, 6):matmul(past)
      return dist.normal(now, mean, sigma):sum(2), dist.normal(weights, 0, 10):sum(2, true) + dist.cauchy(sigma, 0, 2.5)
    end)
end

-- ---- others -------------------------------------------------------------------------------------------------------

-- GARCH(1, 1) over n times: the mean; v[1] = .25, v[t] = alpha0 + alpha1 (y[t − 1] − mu)² + beta1 v[t − 1]
function posteriors.garch (n)
  local noise, series, v = neap.rng(3):normal({n}, f64):totable(), {}, .25
  for t = 1, n do
    series[t] = 5 + math.sqrt(v) * noise[t]
    v = 1.5 + .5 * (series[t] - 5) ^ 2 + .3 * v
  end
  local y = neap.tensor(series, f64)
  local earlier = y:slice(1, 1, n - 1)
  return posterior({"mu", "alpha0", "alpha1", "beta1"}, {T = n, y = series},
    function (u)
      local alpha0, j0 = positive(part(u, 2))
      local alpha1, j1 = unit(part(u, 3))
      local share, j2 = unit(part(u, 4))
      return part(u, 1), alpha0, alpha1, (1 - alpha1) * share, j0 + j1 + j2 + (-alpha1):log1p()
    end,
    function (mu, alpha0, alpha1, beta1)
      local added, memory = (alpha0 + alpha1 * (earlier - mu):square()):t(), beta1:squeeze(2)
      local first = memory * 0 + .25
      local _, later = neap.scan(function (now, a)
        now = a + memory * now
        return now, now
      end, first, added)
      local variance = neap.cat({first:unsqueeze(1), later}, 1):t()
      return dist.normal(y, mu, variance:sqrt()):sum(2), mu * 0
    end)
end

-- n points of two normal laws: the lower mean, log of how far the other is, log sigmas, logit of the lower one's weight
function posteriors.mixture (n)
  local rng = neap.rng(4)
  local y = 2.9 - 5.6 * rng:uniform({n}, f64):lt(.6):to "float64" + rng:normal({n}, f64)
  return posterior({"mu[1]", "mu[2]", "sigma[1]", "sigma[2]", "weight"}, {N = n, y = y:totable()},
    function (u)
      local gap, j0 = positive(part(u, 2))
      local sigma, j1 = positive(part(u, 3, 4))
      local weight, j2 = unit(part(u, 5))
      return part(u, 1), part(u, 1) + gap, part(sigma, 1), part(sigma, 2), weight, j0 + j1:sum(-1, true) + j2
    end,
    function (low, high, sigma1, sigma2, weight)
      local first = weight:log() + dist.normal(y, low, sigma1)
      local second = (-weight):log1p() + dist.normal(y, high, sigma2)
      local prior = dist.normal(low, 0, 2) + dist.normal(high, 0, 2) + dist.normal(sigma1, 0, 2)
        + dist.normal(sigma2, 0, 2) + dist.beta(weight, 5, 5)
      return neap.stack({first, second}, 1):logsumexp(1):sum(2), prior
    end)
end

return posteriors
