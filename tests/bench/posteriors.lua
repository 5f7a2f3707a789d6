-- posteriors.lua -- posteriors as a user of neap.dist writes them: energies on float64 vectors of any real numbers.
-- Invariant: an energy is −log of a density without its constant; data that are not famous are made here, from a seed of
-- their own, in the sizes of well-known examples.

local posteriors = {}

local f64 = {dtype = "float64"}

-- Rubin's eight schools, non-centred: eta [8], mu, log tau
function posteriors.eight_schools ()
  local dist, positive = neap.dist, neap.bijector.positive
  local estimate = neap.tensor({28, 8, -3, 7, -1, 1, 18, 12}, f64)
  local error_of = neap.tensor({15, 10, 16, 11, 9, 11, 10, 18}, f64)
  return neap.energy(function (u)
    local eta, mu = u:slice(2, 1, 8), u:slice(2, 9, 9)
    local tau, log_jacobian = positive(u:slice(2, 10, 10))
    local schools = dist.normal(eta, 0, 1) + dist.normal(estimate, mu + tau * eta, error_of)
    local prior = dist.normal(mu, 0, 5) + dist.cauchy(tau, 0, 5) + log_jacobian
    return -(schools:sum(2) + prior:squeeze(2))
  end, {event = {10}})
end

-- y = a + b x + noise, n points with x far from 0: a, b, log sigma
function posteriors.regression (n)
  local dist, positive, rng = neap.dist, neap.bijector.positive, neap.rng(1)
  local x = 100 + 15 * rng:normal({n}, f64)
  local y = 26 + .6 * x + 18 * rng:normal({n}, f64)
  return neap.energy(function (u)
    local sigma, log_jacobian = positive(u:slice(2, 3, 3))
    local points = dist.normal(y, u:slice(2, 1, 1) + u:slice(2, 2, 2) * x, sigma)
    return -(points:sum(2) + (dist.cauchy(sigma, 0, 2.5) + log_jacobian):squeeze(2))
  end, {event = {3}})
end

-- an autoregression of order 5 over n times: its mean, its 5 weights, log sigma
function posteriors.autoregression (n)
  local dist, positive, rng = neap.dist, neap.bijector.positive, neap.rng(2)
  local noise, series, before = (.15 * rng:normal({n}, f64)):totable(), {}, {}
  for t = 1, n do
    series[t] = noise[t] + .6 * (series[t - 1] or 0) + .2 * (series[t - 2] or 0) - .1 * (series[t - 5] or 0)
  end
  local y = neap.tensor(series, f64)
  for k = 1, 5 do before[k] = y:slice(1, 6 - k, n - k) end
  local past, now = neap.stack(before, 1), y:slice(1, 6, n):contiguous()
  return neap.energy(function (u)
    local weights, sigma, log_jacobian = u:slice(2, 1, 6), positive(u:slice(2, 7, 7))
    local mean = u:slice(2, 1, 1) + u:slice(2, 2, 6):matmul(past)
    local prior = (dist.cauchy(sigma, 0, 2.5) + log_jacobian):squeeze(2) + dist.normal(weights, 0, 10):sum(2)
    return -(dist.normal(now, mean, sigma):sum(2) + prior)
  end, {event = {7}})
end

return posteriors
