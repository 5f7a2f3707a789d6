-- chains.lua -- statistics of one coordinate of several chains: a float64 tensor [chains, draws] -> a number.
-- Formulas: Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), "Rank-normalization, folding, and localization:
-- an improved R-hat", with Blom's ranks (r − 3/8) / (S + 1/4).  Invariant: what cannot be told (a value that is not
-- finite, chains that never moved) is NaN, never a guess.

local neap = require "neap"
local M = {}

local sqrt, log, exp, huge = math.sqrt, math.log, math.exp, math.huge
local nan = 0 / 0
local float64 = {dtype = "float64"}

--- A statistic as text; NaN's sign says nothing.
function M.text (format, v) return v ~= v and "nan" or format:format(v) end

-- ---- parts ---------------------------------------------------------------------------------------

--- [chains, draws] -> [2 chains, draws // 2]: each chain as its two halves; the middle draw of an odd number goes.
function M.split (x)
  local n = x.shape[2]
  local half = n // 2
  return neap.cat({x[{{}, {1, half}}], x[{{}, {n - half + 1, n}}]}, 1)
end

-- finite, and not all the same
local function usable (x)
  return x:isfinite():all():item() and x:ne(x[{1, 1}]):any():item()
end

function M.mean (x) return x:mean():item() end

local function variance (x) return x:var():item() end

function M.sd (x) return sqrt(variance(x)) end

--- Order statistics with linear interpolation (type 7 of Hyndman and Fan 1996).
function M.quantile (x, q) return x:flatten():quantile(q, 1):item() end

-- ---- rank normalization: z = Φ⁻¹((rank − 3/8) / (S + 1/4)), ties sharing their mean rank -----------

-- x [S] -> ranks [S]
local function ranks (x)
  local n = #x
  local sorted, order = x:sort(1)
  local rank = neap.arange(1, n, float64)
  local new = neap.cat({neap.ones(1, {dtype = "int64"}), sorted[{{2, n}}]:ne(sorted[{{1, n - 1}}]):to "int64"}, 1)
  local group = new:cumsum(1)
  local zeros = neap.zeros(group[n]:item(), float64)
  local mean = zeros:scatter_add(1, group, rank) / zeros:scatter_add(1, group, neap.ones_like(rank))
  return neap.zeros(n, float64):scatter(1, order, mean:gather(1, group))
end

local function rank_normalize (x)
  local u = (ranks(x:flatten()) - .375) / (x:numel() + .25)
  return ((2 * u - 1):erfinv() * sqrt(2)):reshape(x.shape)
end

-- how far from the median
local function folded (x) return (x - M.quantile(x, .5)):abs() end

-- ---- effective sample size -----------------------------------------------------------------------

local function centred (x) return x - x:mean(2, true) end

-- c [chains, draws], less its means; lag -> [chains], over the number of draws
local function autocovariance (c, lag)
  local n = c.shape[2]
  return (c[{{}, {1, n - lag}}] * c[{{}, {1 + lag, n}}]):sum(2) / n
end

--- Autocorrelations at lags 0 … lags, the mean over chains, as a list.
function M.autocorr (x, lags)
  local c, out = centred(x), {}
  local scale = autocovariance(c, 0)
  for lag = 0, lags do out[lag + 1] = (autocovariance(c, lag) / scale):mean():item() end
  return out
end

-- Fourier transforms of the rows of re + i·im [c, n], n a power of 2: Stockham's, by halves, in order (Van Loan 1992).
local function transform (re, im)
  local c, n, blocks, size = re.shape[1], re.shape[2], re.shape[2] // 2, 1
  while blocks >= 1 do
    local angle = neap.arange(0, blocks - 1, float64):unsqueeze(2) * (-math.pi / blocks)
    local cos, sin = angle:cos(), angle:sin()
    re, im = re:reshape(c, 2, blocks, size), im:reshape(c, 2, blocks, size)
    local ar, br, ai, bi = re:select(2, 1), re:select(2, 2), im:select(2, 1), im:select(2, 2)
    local dr, di = ar - br, ai - bi
    re = neap.stack({ar + br, dr * cos - di * sin}, 3):reshape(c, n)
    im = neap.stack({ai + bi, dr * sin + di * cos}, 3):reshape(c, n)
    blocks, size = blocks // 2, size * 2
  end
  return re, im
end

-- c [chains, draws], less its means -> autocovariances at lags 0 … draws − 1, the mean over chains, as a list
local function all_autocovariances (c)
  local m, n, room = c.shape[1], c.shape[2], 1
  while room < 2 * n do room = 2 * room end
  local padded = neap.cat({c, neap.zeros({m, room - n}, float64)}, 2)
  local re, im = transform(padded, neap.zeros_like(padded))
  local power = (re:square() + im:square()):mean(1, true)
  return (transform(power, neap.zeros_like(power)):slice(2, 1, n) / (n * room)):flatten():totable()
end

local BY_HAND = 40                         -- lags; more are had at once

-- rho(t): the autocorrelation at lag t that all chains together show
local function correlation (x)
  local n, c, all = x.shape[2], centred(x), nil
  local function acov (lag)
    if lag >= n then return 0 end
    if lag < BY_HAND then return autocovariance(c, lag):mean():item() end
    all = all or all_autocovariances(c)
    return all[lag + 1]
  end
  local a0 = acov(0)
  local within = a0 * n / (n - 1)
  local total = a0 + (#x > 1 and variance(x:mean(2)) or 0)
  return function (lag) return 1 - (within - acov(lag)) / total end
end

-- Geyer's initial monotone sequence (1992): sums of pairs of rho while they are positive, none above the one before;
-- half of the first pair left out is added, which matters to antithetic chains.
local function ess_of (x)
  if not usable(x) then return nan end
  local n, size = x.shape[2], x:numel()
  local rho, sum, least = correlation(x), 0, huge
  local even, odd, t = 1, rho(1), 0
  while even + odd > 0 and (t == 0 or t < n - 5) do
    least = math.min(least, even + odd)
    sum = sum + least
    t = t + 2
    even, odd = rho(t), rho(t + 1)
  end
  local tau = math.max(-1 + 2 * sum + math.max(even, 0), 1 / log(size, 10))
  return size / tau
end

M.ess = {}

function M.ess.bulk (x) return usable(x) and ess_of(rank_normalize(M.split(x))) or nan end
function M.ess.mean (x) return ess_of(M.split(x)) end
function M.ess.sd (x) return ess_of(M.split((x - M.mean(x)):square())) end
function M.ess.quantile (x, q) return usable(x) and ess_of(M.split(x:le(M.quantile(x, q)):to "float64")) or nan end

--- The smaller of the sizes for the 5 % and the 95 % quantile; of one, where all draws lie on one side of the other.
function M.ess.tail (x)
  local low, high = M.ess.quantile(x, .05), M.ess.quantile(x, .95)
  if low ~= low then return high end
  return high ~= high and low or math.min(low, high)
end

-- ---- Monte Carlo standard errors -------------------------------------------------------------------

local function lgamma (v) return neap.tensor(v, float64):lgamma():item() end

-- The continued fraction of the incomplete beta function by Lentz's method (Press et al. 2007, 6.4).
local function beta_fraction (x, a, b)
  local tiny = 1e-300
  local function part (d) return math.abs(d) < tiny and tiny or d end
  local c, d = 1, 1 / part(1 - (a + b) * x / (a + 1))
  local h = d
  for m = 1, 10000 do
    local even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    local odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    d, c = 1 / part(1 + even * d), part(1 + even / c)
    h = h * d * c
    d, c = 1 / part(1 + odd * d), part(1 + odd / c)
    h = h * d * c
    if math.abs(d * c - 1) < 1e-15 then break end
  end
  return h
end

-- q -> x with P(X < x) = q for X ~ Beta(a, b), by halving
local function beta_quantile (a, b)
  local scale = lgamma(a + b) - lgamma(a) - lgamma(b)
  local function below (x)
    local front = exp(scale + a * log(x) + b * log(1 - x))
    if x < (a + 1) / (a + b + 2) then return front * beta_fraction(x, a, b) / a end
    return 1 - front * beta_fraction(1 - x, b, a) / b
  end
  return function (q)
    local lo, hi = 0, 1
    for _ = 1, 60 do
      local x = (lo + hi) / 2
      if below(x) < q then lo = x else hi = x end
    end
    return (lo + hi) / 2
  end
end

M.mcse = {}

function M.mcse.mean (x) return sqrt(variance(x) / M.ess.mean(x)) end

--- Of the standard deviation: the variance's error by the delta method, with no law assumed.
function M.mcse.sd (x)
  local square = (x - M.mean(x)):square()
  local v = M.mean(square)
  return sqrt((M.mean(square:square()) - v * v) / M.ess.sd(x) / v) / 2
end

--- Of a quantile: half the distance of the order statistics that lie a standard error below and above.
function M.mcse.quantile (x, q)
  local ess, n = M.ess.quantile(x, q), x:numel()
  if ess ~= ess then return nan end
  local at, sorted = beta_quantile(ess * q + 1, ess * (1 - q) + 1), x:flatten():sort(1)
  local low, high = at(.15865525393145705) * n, at(.8413447460685429) * n
  return (sorted[math.min(math.ceil(high), n)]:item() - sorted[math.max(math.floor(low), 1)]:item()) / 2
end

-- ---- R-hat ---------------------------------------------------------------------------------------

-- of halves of chains
local function plain_rhat (x)
  local n, within = x.shape[2], x:var(2):mean():item()
  return sqrt((n - 1) / n + variance(x:mean(2)) / within)
end

-- The larger of the R-hats of the draws and of their distance from the median, and the halves of chains it is of.
local function worse_rhat (x)
  local z = rank_normalize(M.split(x))
  local rhat, distance = plain_rhat(z), folded(x)
  if not usable(distance) then return rhat, z end
  local y = rank_normalize(M.split(distance))
  local tail = plain_rhat(y)
  if tail > rhat then return tail, y end
  return rhat, z
end

--- Rank-normalized split R-hat.
function M.rhat (x) return usable(x) and (worse_rhat(x)) or nan end

-- [n] numbers -> the middle one
local function middle (list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  return sorted[(#sorted + 1) // 2]
end

--- The fewest chains, less than half of them, without which R-hat is at most `most`: those farthest from the middle go
-- first.  nil: there are no such.
function M.outliers (x, most)
  local _, z = worse_rhat(x)
  local n, half = #x, z.shape[2]
  local mean, var, order, distance = z:mean(2):totable(), z:var(2):totable(), {}, {}
  local centre, count, sum, squares, within = middle(mean), 2 * n, 0, 0, 0
  for i = 1, 2 * n do
    sum, squares, within = sum + mean[i], squares + mean[i] ^ 2, within + var[i]
  end
  for i = 1, n do
    order[i] = i
    distance[i] = math.max(math.abs(mean[i] - centre), math.abs(mean[n + i] - centre))
  end
  table.sort(order, function (a, b) return distance[a] > distance[b] end)
  for k = 1, (n - 1) // 2 do
    for _, i in ipairs{order[k], n + order[k]} do
      sum, squares, within, count = sum - mean[i], squares - mean[i] ^ 2, within - var[i], count - 1
    end
    local between = (squares - sum * sum / count) / (count - 1)
    if sqrt((half - 1) / half + between / (within / count)) <= most then return {table.unpack(order, 1, k)} end
  end
end

return M
