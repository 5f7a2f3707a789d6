-- plain.lua -- the statistics of chains once more, slowly and without tensors: x[chain][draw] -> a number.
-- Written from Vehtari et al. (2021): every lag is computed, ranks are counted, distribution functions are inverted by
-- halving.

local M = {}
local sqrt, abs, exp, log, pi = math.sqrt, math.abs, math.exp, math.log, math.pi

-- tensor [draws, chains] -> x[chain][draw]
function M.chains (draws) return draws:t():to "float64":totable() end

local function map (x, f)
  local out = {}
  for j, chain in ipairs(x) do
    out[j] = {}
    for i, v in ipairs(chain) do out[j][i] = f(v) end
  end
  return out
end

local function pooled (x)
  local all = {}
  for _, chain in ipairs(x) do table.move(chain, 1, #chain, #all + 1, all) end
  return all
end

function M.mean (list)
  local sum = 0
  for _, v in ipairs(list) do sum = sum + v end
  return sum / #list
end

function M.var (list)
  local m, sum = M.mean(list), 0
  for _, v in ipairs(list) do sum = sum + (v - m) ^ 2 end
  return sum / (#list - 1)
end

local function halves (x)
  local out, n = {}, #x[1]
  for _, chain in ipairs(x) do
    out[#out + 1] = table.move(chain, 1, n // 2, 1, {})
    out[#out + 1] = table.move(chain, n - n // 2 + 1, n, 1, {})
  end
  return out
end

local function quantile (x, q)
  local all = pooled(x)
  table.sort(all)
  local at = 1 + (#all - 1) * q
  local i = math.floor(at)
  return all[i] + (at - i) * ((all[i + 1] or all[i]) - all[i])
end

-- x with f(x) = y, f rising
local function invert (f, y, lo, hi)
  for _ = 1, 100 do
    local x = (lo + hi) / 2
    if f(x) < y then lo = x else hi = x end
  end
  return (lo + hi) / 2
end

-- ½ + φ(x) Σ x^(2k+1) / (1·3·5…(2k+1))
local function normal_cdf (x)
  local term, sum = x, 0
  for k = 1, 200 do
    sum = sum + term
    term = term * x * x / (2 * k + 1)
  end
  return .5 + exp(-x * x / 2) / sqrt(2 * pi) * sum
end

local function normalized (x)
  local all, known = pooled(x), {}
  return map(x, function (v)
    if not known[v] then
      local less, same = 0, 0
      for _, w in ipairs(all) do
        if w < v then less = less + 1 elseif w == v then same = same + 1 end
      end
      known[v] = invert(normal_cdf, (less + (same + 1) / 2 - 3 / 8) / (#all + 1 / 4), -8, 8)
    end
    return known[v]
  end)
end

local function autocovariance (chain, lag)
  local m, sum = M.mean(chain), 0
  for i = 1, #chain - lag do sum = sum + (chain[i] - m) * (chain[i + lag] - m) end
  return sum / #chain
end

-- of halves: Geyer's sequences over a list of all autocorrelations
local function ess (x)
  local n, means, rho = #x[1], {}, {}
  for j, chain in ipairs(x) do means[j] = M.mean(chain) end
  local function at (lag)
    local sum = 0
    for _, chain in ipairs(x) do sum = sum + autocovariance(chain, lag) end
    return sum / #x
  end
  local within = at(0) * n / (n - 1)
  local total = at(0) + M.var(means)
  for lag = 0, n - 3 do rho[lag] = lag == 0 and 1 or 1 - (within - at(lag)) / total end
  local last = 0
  while last < n - 5 and rho[last] + rho[last + 1] > 0 do last = last + 2 end
  local pairs_sum, least = 0, math.huge
  for t = 0, last - 2, 2 do
    least = math.min(least, rho[t] + rho[t + 1])
    pairs_sum = pairs_sum + least
  end
  local tau = -1 + 2 * pairs_sum + math.max(rho[last], 0)
  return #x * n / math.max(tau, 1 / log(#x * n, 10))
end

local function rhat (x)
  local n, means, within = #x[1], {}, {}
  for j, chain in ipairs(x) do means[j], within[j] = M.mean(chain), M.var(chain) end
  local w, b = M.mean(within), n * M.var(means)
  return sqrt(((n - 1) / n * w + b / n) / w)
end

M.ess = {}
function M.ess.bulk (x) return ess(normalized(halves(x))) end
function M.ess.mean (x) return ess(halves(x)) end
function M.ess.quantile (x, q)
  local limit = quantile(x, q)
  return ess(halves(map(x, function (v) return v <= limit and 1 or 0 end)))
end
function M.ess.tail (x) return math.min(M.ess.quantile(x, .05), M.ess.quantile(x, .95)) end
function M.ess.sd (x)
  local m = M.mean(pooled(x))
  return ess(halves(map(x, function (v) return (v - m) ^ 2 end)))
end

function M.rhat (x)
  local middle = quantile(x, .5)
  local folded = map(x, function (v) return abs(v - middle) end)
  return math.max(rhat(normalized(halves(x))), rhat(normalized(halves(folded))))
end

-- P(X < x), X ~ Beta(a, b), by Simpson's rule on both sides of x
local function beta_cdf (a, b)
  local mode = (a - 1) / (a + b - 2)
  local top = (a - 1) * log(mode) + (b - 1) * log(1 - mode)
  local function density (t)
    if t <= 0 or t >= 1 then return 0 end
    return exp((a - 1) * log(t) + (b - 1) * log(1 - t) - top)
  end
  local function area (lo, hi)
    local n, sum = 2000, density(lo) + density(hi)
    for i = 1, n - 1 do sum = sum + (i % 2 == 1 and 4 or 2) * density(lo + (hi - lo) * i / n) end
    return sum * (hi - lo) / (3 * n)
  end
  local width = 12 * sqrt(mode * (1 - mode) / (a + b))
  local from, to = math.max(mode - width, 0), math.min(mode + width, 1)
  local whole = area(from, mode) + area(mode, to)
  return function (x)
    if x < mode then return area(from, math.max(x, from)) / whole end
    return 1 - area(math.min(x, to), to) / whole
  end
end

M.mcse = {}
function M.mcse.mean (x) return sqrt(M.var(pooled(x)) / M.ess.mean(x)) end
function M.mcse.sd (x)
  local all = pooled(x)
  local m, second, fourth = M.mean(all), 0, 0
  for _, v in ipairs(all) do second, fourth = second + (v - m) ^ 2 / #all, fourth + (v - m) ^ 4 / #all end
  return sqrt((fourth - second ^ 2) / M.ess.sd(x) / (4 * second))
end
function M.mcse.quantile (x, q)
  local n, all = M.ess.quantile(x, q), pooled(x)
  local cdf = beta_cdf(n * q + 1, n * (1 - q) + 1)
  local low, high = invert(cdf, normal_cdf(-1), 0, 1) * #all, invert(cdf, normal_cdf(1), 0, 1) * #all
  table.sort(all)
  return (all[math.min(math.ceil(high), #all)] - all[math.max(math.floor(low), 1)]) / 2
end

return M
