-- posterior_truth.lua -- means and standard deviations of the posteriors in bench/posteriors.lua, without a sampler:
-- two lists in the order of their names.
-- Invariant: what can be integrated by hand is, the rest is a sum over a fine grid, so nothing here is random.

local truth = {}

local f64 = {dtype = "float64"}
local dist = neap.dist

local function column (v) return neap.tensor(v, f64) end

-- given log weights [G], and means and variances at each point of a grid [G, K]
local function mixed (log_weight, mean, variance)
  local w = log_weight:softmax(1):unsqueeze(2)
  local m = (w * mean):sum(1)
  return m:totable(), ((w * (mean:square() + variance)):sum(1) - m:square()):sqrt():totable()
end

-- Eight schools: given tau all is normal.
function truth.schools (data)
  local y, s = column(data.estimate), column(data.error)
  local tau = neap.linspace(-14, 7, 6001, f64):exp():unsqueeze(2)
  local variance = tau:square() + s:square()                       -- of an estimate given mu
  local precision = 1 / 25 + (1 / variance):sum(2, true)           -- of mu
  local mu = (y / variance):sum(2, true) / precision
  local log_weight = dist.normal(y, mu, variance:sqrt()):sum(2, true) + dist.normal(mu, 0, 5) - precision:log() / 2
    + dist.cauchy(tau, 0, 5) + tau:log()
  local own = tau:square() / variance                              -- how much a school counts for itself
  local mean = neap.cat({own * y + (1 - own) * mu, mu, tau}, 2)
  local spread = neap.cat({own * s:square() + (1 - own):square() / precision, 1 / precision, tau * 0}, 2)
  return mixed(log_weight:squeeze(2), mean, spread)
end

-- y = X b + noise, X [n, p], b ~ N(0, 1 / prior_precision), sigma half Cauchy of 2.5: given sigma b is normal.
function truth.linear (X, y, prior_precision)
  local n, p = X.shape[1], X.shape[2]
  local XX, Xy, yy = X:t():matmul(X), X:t():matmul(y), y:dot(y)
  local best = XX:inverse():matmul(Xy)
  local middle = (y - X:matmul(best)):square():mean():log() / 2
  local log_sigma, prior = middle + neap.linspace(-1.5, 1.5, 1201, f64), neap.eye(p, f64) * prior_precision
  local log_weight, mean, variance = {}, {}, {}
  for i, ls in ipairs(log_sigma:totable()) do
    local per = math.exp(-2 * ls)
    local inverse = (XX * per + prior):inverse()
    local b = inverse:matmul(Xy) * per
    log_weight[i] = (b:dot(Xy) - yy) * (per / 2) + inverse:logdet() / 2 - (n - 1) * ls
    mean[i], variance[i] = b, inverse:diag()
  end
  local sigma = log_sigma:exp():unsqueeze(2)
  local prior_of_sigma = dist.half_cauchy(sigma, 2.5):squeeze(2)
  return mixed(neap.stack(log_weight) + prior_of_sigma, neap.cat({neap.stack(mean), sigma}, 2),
               neap.cat({neap.stack(variance), sigma * 0}, 2))
end

-- The rest by a lattice of n points a side around `mean`, half its width in standard deviations, along the columns of
-- a Cholesky factor of the covariance: sums of a smooth density over such a lattice converge geometrically.
function truth.lattice (P, mean, factor, n, half)
  local D, ROWS = #P.names, 1 << 14
  local least, total, sums = P.energy(mean:unsqueeze(1)), math.tointeger(n ^ D), nil
  for from = 0, total - 1, ROWS do
    local index, z = neap.arange(from, math.min(from + ROWS, total) - 1, f64), {}
    for d = 1, D do
      local rest = (index / n):floor()
      z[d], index = (index - rest * n) * (2 * half / (n - 1)) - half, rest
    end
    local u = mean + neap.stack(z, 2):matmul(factor:t())
    local w, values = (least - P.energy(u)):exp():unsqueeze(2), P.constrained(u)
    local added = neap.stack({(w + values * 0):sum(1), (w * values):sum(1), (w * values:square()):sum(1)}, 1)
    sums = sums and sums + added or added
  end
  local m = sums[2] / sums[1]
  return m:totable(), (sums[3] / sums[1] - m:square()):sqrt():totable()
end

return truth
