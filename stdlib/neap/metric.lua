-- neap.metric: how far are two samples, or a sample and an energy, apart?
-- Samples are [n, dims]; results are Lua numbers, computed in float64.

local neap = require "neap"
local options = require "neap.options"
local error = options.error
local metric = {}

-- [n, …] -> float64 [n, dims]
local function points (x, fname)
  if type(x) == "table" then x = neap.tensor(x) end
  if type(x) ~= "userdata" or not x.shape or x.ndim < 1 or x.shape[1] < 1 then
    error(("%s: a tensor [n, dims] with n of 1 or more expected"):format(fname))
  end
  return x:detach():to "float64":reshape(x.shape[1], x:numel() // x.shape[1])
end

local function same_dims (x, y, fname)
  if x.shape[2] ~= y.shape[2] then
    error(("%s: points of equal size expected, got %d and %d numbers a point"):format(fname, x.shape[2], y.shape[2]))
  end
end

-- ---- areas ---------------------------------------------------------------------------------------

local function numbers (x, fname)
  if type(x) ~= "table" then return points(x, fname):flatten():totable() end
  for i, v in ipairs(x) do
    if type(v) ~= "number" then
      error(("%s: element %d: number expected, got %s"):format(fname, i, options.type_of(v)))
    end
  end
  return x
end

--- The chance that a positive scores above a negative, ties counting half: the area under the ROC curve.
function metric.auroc (positive, negative)
  local p, n = numbers(positive, "metric.auroc"), numbers(negative, "metric.auroc")
  if #p == 0 or #n == 0 then error("metric.auroc: at least one positive and one negative expected") end
  local all = {}
  for _, v in ipairs(p) do all[#all + 1] = {v, 1} end
  for _, v in ipairs(n) do all[#all + 1] = {v, 0} end
  for _, e in ipairs(all) do
    if e[1] ~= e[1] then return 0 / 0 end
  end
  table.sort(all, function (a, b) return a[1] < b[1] end)
  local sum, i = 0, 1                        -- of the positives' ranks
  while i <= #all do
    local j, hits = i, 0
    while j <= #all and all[j][1] == all[i][1] do hits, j = hits + all[j][2], j + 1 end
    sum, i = sum + hits * (i + j - 1) / 2, j
  end
  return (sum - #p * (#p + 1) / 2) / (#p * #n)
end

-- ---- probabilities of classes -------------------------------------------------------------------

-- logits [n, K] in float64 and labels int64 [n]
local function classified (logits, labels, fname)
  options.argument(fname, "logits", logits, "tensor")
  options.argument(fname, "labels", labels, "tensor")
  local f = logits:detach():to "float64"
  if f.ndim ~= 2 or f:numel() == 0 or labels.ndim ~= 1 or labels.shape[1] ~= f.shape[1] then
    error(("%s: logits [n, K] and labels [n] expected, got %s and %s"):format(fname, options.shape_text(logits),
                                                                              options.shape_text(labels)))
  end
  if labels.dtype ~= "int64" or labels:min():item() < 1 or labels:max():item() > f.shape[2] then
    error(("%s: labels: int64 in 1 to %d expected, got %s in %s to %s"):format(fname, f.shape[2], labels.dtype,
      labels:min():item(), labels:max():item()))
  end
  return f
end

--- Expected calibration error of P = softmax(logits) (Naeini et al. 2015, Guo et al. 2017): Σ over bins of confidence,
-- max P, of the share of rows in the bin times |their accuracy − their mean confidence|.  The bins ((b − 1)/bins,
-- b/bins] are equally wide.  log P may stand for logits.
-- options: bins = 15.
function metric.ece (logits, labels, given)
  local o = options("metric.ece", given, {bins = 15})
  local bins = options.integer("metric.ece", "bins", o.bins, 1)
  local confidence, guess = classified(logits, labels, "metric.ece"):softmax(2):max(2)
  local bin = (confidence * bins):ceil():clamp(1, bins):to "int64"
  local gap = guess:eq(labels):to "float64" - confidence
  return (neap.zeros(bins, {dtype = "float64"}):scatter_add(1, bin, gap):abs():sum() / gap.shape[1]):item()
end

-- ---- kernels -------------------------------------------------------------------------------------

-- x [n, d], y [m, d] -> squared distances [n, m]
local function distances (x, y)
  local xx, yy = x:square():sum(2, true), y:square():sum(2, true):t()
  return (xx + yy - 2 * x:matmul(y:t())):clamp(0)
end

local rows_at_once = 2000

-- Σ f(block of x, block of y) over all pairs, so that no [n, m] matrix is ever whole
local function over_pairs (x, y, f)
  local total = 0
  for i = 1, x.shape[1], rows_at_once do
    for j = 1, y.shape[1], rows_at_once do
      total = total + f(i, math.min(i + rows_at_once - 1, x.shape[1]), j, math.min(j + rows_at_once - 1, y.shape[1]))
    end
  end
  return total
end

local function median_distance (x, y)
  local all = neap.cat({x:slice(1, 1, 500, 1), y:slice(1, 1, 500, 1)}, 1)
  local d = distances(all, all):flatten():totable()
  table.sort(d)
  return math.max(math.sqrt(d[#d // 2 + 1]), 1e-12)
end

--- Unbiased squared maximum mean discrepancy (Gretton et al. 2012), k = exp(-d²/2h²); may be below 0.
-- options: bandwidth = h (default: the median distance among the first 500 of each).
function metric.mmd (x, y, given)
  local o = options("metric.mmd", given, {bandwidth = options.any "number"})
  options.range("metric.mmd", o, "positive", "bandwidth")
  x, y = points(x, "metric.mmd"), points(y, "metric.mmd")
  same_dims(x, y, "metric.mmd")
  local n, m = x.shape[1], y.shape[1]
  if n < 2 or m < 2 then error("metric.mmd: at least 2 points of each expected") end
  local h = o.bandwidth or median_distance(x, y)
  local function sum (a, b)
    return over_pairs(a, b, function (i1, i2, j1, j2)
      return (distances(a:slice(1, i1, i2, 1), b:slice(1, j1, j2, 1)) / (-2 * h * h)):exp():sum():item()
    end)
  end
  return (sum(x, x) - n) / (n * (n - 1)) + (sum(y, y) - m) / (m * (m - 1)) - 2 * sum(x, y) / (n * m)
end

-- Stein kernel of the inverse multiquadric k = (1 + r²)^(-1/2) between rows: x, s [n, d]; y, t [m, d] -> [n, m]
local function stein (x, s, y, t)
  local d, q = x.shape[2], 1 + distances(x, y)
  local k1 = q ^ -1.5                        -- -∇ₓk = (x - y) k1
  local sx = (s * x):sum(2, true) - s:matmul(y:t())              -- s(x)·(x - y)
  local tx = x:matmul(t:t()) - (t * y):sum(2, true):t()          -- s(y)·(x - y)
  return q ^ -.5 * s:matmul(t:t()) + (sx - tx) * k1 + d * k1 - 3 * (q - 1) * q ^ -2.5
end

--- Unbiased squared kernel Stein discrepancy of points x to exp(-E) (Liu et al. 2016), with the inverse multiquadric
-- kernel (Gorham and Mackey 2017).  Needs no normalizer; may be below 0.
function metric.ksd (E, x)
  options.argument("metric.ksd", "E", E, "energy")
  local p = points(x, "metric.ksd")
  local n = p.shape[1]
  if n < 2 then error("metric.ksd: at least 2 points expected") end
  local s = points(E:score(x), "metric.ksd")
  local sum = over_pairs(p, p, function (i1, i2, j1, j2)
    local rows, columns = {1, i1, i2, 1}, {1, j1, j2, 1}
    return stein(p:slice(table.unpack(rows)), s:slice(table.unpack(rows)), p:slice(table.unpack(columns)),
      s:slice(table.unpack(columns))):sum():item()
  end)
  local diagonal = s:square():sum():item() + n * p.shape[2]      -- pairs of a point with itself
  return (sum - diagonal) / (n * (n - 1))
end

-- ---- moments and scores --------------------------------------------------------------------------

local function moments (x)
  local mean = x:mean(1, true)
  local centred = x - mean
  return mean, centred:t():matmul(centred) / (x.shape[1] - 1)
end

-- the symmetric square root of a positive semidefinite matrix
local function root (a)
  local values, vectors = a:eigh()
  return (vectors * values:clamp(0):sqrt()):matmul(vectors:t())
end

--- Fréchet distance of the normal laws that fit x and y: |μ₁ - μ₂|² + tr(C₁ + C₂ - 2(C₁C₂)^½), squared as in FID.
function metric.frechet (x, y)
  x, y = points(x, "metric.frechet"), points(y, "metric.frechet")
  same_dims(x, y, "metric.frechet")
  if x.shape[1] < 2 or y.shape[1] < 2 then error("metric.frechet: at least 2 points of each expected") end
  local m1, c1 = moments(x)
  local m2, c2 = moments(y)
  local r = root(c1)
  local cross = (r:matmul(c2):matmul(r)):eigh():clamp(0):sqrt():sum():item()
  return ((m1 - m2):square():sum() + c1:trace() + c2:trace()):item() - 2 * cross
end

--- mean ½|s(x) - s*(x)|² with s = -∇E and s* the given score, a function of x.
function metric.fisher_divergence (E, score, x)
  options.argument("metric.fisher_divergence", "E", E, "energy")
  options.argument("metric.fisher_divergence", "score", score, "callable")
  local d = points(E:score(x), "metric.fisher_divergence") - points(score(x), "metric.fisher_divergence")
  return (d:square():sum() / (2 * x.shape[1])):item()
end

return metric
