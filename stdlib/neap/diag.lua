-- neap.diag: have the chains converged, and how much are the draws worth?
-- Draws are [draws, chains, event…]; every function works on each coordinate of the event alone and returns a float64
-- tensor of the event's shape.  Formulas: Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), "Rank-normalization,
-- folding, and localization: an improved R-hat".  Inside, a coordinate is a list of chains, each a list of numbers.

local neap = require "neap"
local options = require "neap.options"
local error = options.error
local diag = {}

local sqrt, log, huge = math.sqrt, math.log, math.huge
local nan = 0 / 0

-- ---- coordinates ---------------------------------------------------------------------------------

local function check (draws, fname)
  local shape = type(draws) == "userdata" and draws.shape
  if not shape then error(("%s: a tensor [draws, chains, event...] expected, got %s"):format(fname, type(draws))) end
  if #shape < 1 or shape[1] < 4 then
    local text = table.concat(shape, ", ")
    error(("%s: [draws, chains, event...] with at least 4 draws expected, got [%s]"):format(fname, text))
  end
  return shape
end

-- [draws, chains, event…] -> coordinates, event shape; coordinate[chain][draw]
local function coordinates (draws, fname)
  local shape = check(draws, fname)
  local n, m, event, k = shape[1], shape[2] or 1, {table.unpack(shape, 3)}, 1
  for _, size in ipairs(event) do k = k * size end
  local columns = draws:to "float64":reshape(n, m, k):permute(3, 2, 1):totable()
  return columns, event
end

local function per_coordinate (draws, fname, f)
  local columns, event = coordinates(draws, fname)
  local out = {}
  for i, column in ipairs(columns) do out[i] = f(column) end
  return neap.tensor(out, {dtype = "float64"}):reshape(event)
end

-- ---- chains as lists -----------------------------------------------------------------------------

local function mean (x)
  local s = 0
  for i = 1, #x do s = s + x[i] end
  return s / #x
end

local function variance (x)
  local m, s = mean(x), 0
  for i = 1, #x do s = s + (x[i] - m) ^ 2 end
  return s / (#x - 1)
end

local function pool (chains)
  local all = {}
  for _, c in ipairs(chains) do table.move(c, 1, #c, #all + 1, all) end
  return all
end

-- each chain as its two halves; the middle draw of an odd number goes
local function split (chains)
  local out = {}
  for _, c in ipairs(chains) do
    local half = #c // 2
    out[#out + 1] = table.move(c, 1, half, 1, {})
    out[#out + 1] = table.move(c, #c - half + 1, #c, 1, {})
  end
  return out
end

local function map (chains, f)
  local out = {}
  for i, c in ipairs(chains) do
    local d = {}
    for t = 1, #c do d[t] = f(c[t]) end
    out[i] = d
  end
  return out
end

local function usable (chains)
  local first, same = chains[1][1], true
  for _, c in ipairs(chains) do
    for t = 1, #c do
      if c[t] ~= c[t] or c[t] == huge or c[t] == -huge then return false end
      same = same and c[t] == first
    end
  end
  return not same
end

-- order statistics with linear interpolation (type 7 of Hyndman and Fan 1996)
local function quantile (sorted, q)
  local h = (#sorted - 1) * q + 1
  local i = math.floor(h)
  local upper = sorted[i + 1] or sorted[i]
  return sorted[i] + (h - i) * (upper - sorted[i])
end

-- ---- rank normalization: z = Φ⁻¹((rank − 3/8) / (S + 1/4)), ties sharing their mean rank -----------

local function ranks (all)
  local order, r = {}, {}
  for i = 1, #all do order[i] = i end
  table.sort(order, function (a, b) return all[a] < all[b] end)
  local i = 1
  while i <= #order do
    local j = i
    while j < #order and all[order[j + 1]] == all[order[i]] do j = j + 1 end
    for k = i, j do r[order[k]] = (i + j) / 2 end
    i = j + 1
  end
  return r
end

local function rank_normalize (chains)
  local all = pool(chains)
  local z = neap.tensor(ranks(all), {dtype = "float64"})
  z = ((2 * ((z - .375) / (#all + .25)) - 1):erfinv() * sqrt(2)):totable()
  local out, at = {}, 1
  for i, c in ipairs(chains) do
    out[i] = table.move(z, at, at + #c - 1, 1, {})
    at = at + #c
  end
  return out
end

-- ---- effective sample size -----------------------------------------------------------------------

local function autocovariance (c, m, lag)
  local s = 0
  for t = 1, #c - lag do s = s + (c[t] - m) * (c[t + lag] - m) end
  return s / #c
end

-- rho(t): the autocorrelation at lag t that all chains together show
local function correlation (chains)
  local n, means = #chains[1], {}
  for i, c in ipairs(chains) do means[i] = mean(c) end
  local function acov (lag)
    local s = 0
    for i, c in ipairs(chains) do s = s + autocovariance(c, means[i], lag) end
    return s / #chains
  end
  local a0 = acov(0)
  local within = a0 * n / (n - 1)
  local total = a0 + (#chains > 1 and variance(means) or 0)
  return function (lag) return 1 - (within - acov(lag)) / total end
end

-- Geyer's initial monotone sequence (1992): sums of pairs of rho while they are positive, none above the one before
local function ess_of (chains)
  if not usable(chains) then return nan end
  local n, size = #chains[1], #chains * #chains[1]
  local rho, sum, least = correlation(chains), 0, huge
  local even, odd, t = 1, rho(1), 0
  while even + odd > 0 do
    least = math.min(least, even + odd)
    sum = sum + least
    t = t + 2
    if t + 1 >= n - 3 then even = 0 break end
    even, odd = rho(t), rho(t + 1)
  end
  local tau = math.max(-1 + 2 * sum + math.max(even, 0), 1 / log(size, 10))
  return size / tau
end

local kinds = {}

function kinds.bulk (chains) return usable(chains) and ess_of(rank_normalize(split(chains))) or nan end
function kinds.mean (chains) return ess_of(split(chains)) end

-- the smaller of the sizes for the 5 % and the 95 % quantile
function kinds.tail (chains)
  local sorted = pool(chains)
  table.sort(sorted)
  local least = huge
  for _, q in ipairs {.05, .95} do
    local cut = quantile(sorted, q)
    local below = split(map(chains, function (v) return v <= cut and 1 or 0 end))
    least = math.min(least, usable(below) and ess_of(below) or huge)
  end
  return least < huge and least or nan
end

--- Effective sample size. options: kind = "bulk" (default: rank-normalized, for centre and location), "tail", "mean".
function diag.ess (draws, given)
  local o = options("diag.ess", given, {kind = "bulk"})
  local kind = kinds[o.kind]
  if not kind then error(("diag.ess: option 'kind': 'bulk', 'tail' or 'mean' expected, got '%s'"):format(o.kind)) end
  return per_coordinate(draws, "diag.ess", kind)
end

local function mcse_of (chains) return sqrt(variance(pool(chains)) / kinds.mean(chains)) end

--- Monte Carlo standard error of the mean.
function diag.mcse (draws) return per_coordinate(draws, "diag.mcse", mcse_of) end

-- ---- R-hat ---------------------------------------------------------------------------------------

local function plain_rhat (chains)
  local n, means, within = #chains[1], {}, 0
  for i, c in ipairs(chains) do
    means[i] = mean(c)
    within = within + variance(c) / #chains
  end
  return sqrt((n - 1) / n + variance(means) / within)
end

local function rhat_of (chains)
  if not usable(chains) then return nan end
  local sorted = pool(chains)
  table.sort(sorted)
  local median = quantile(sorted, .5)
  local folded = map(chains, function (v) return math.abs(v - median) end)
  local bulk = plain_rhat(rank_normalize(split(chains)))
  return usable(folded) and math.max(bulk, plain_rhat(rank_normalize(split(folded)))) or bulk
end

--- Rank-normalized split R-hat, the larger of that of the draws and of their distance from the median.
function diag.rhat (draws) return per_coordinate(draws, "diag.rhat", rhat_of) end

-- ---- pictures of chains --------------------------------------------------------------------------

--- Autocorrelation [lags + 1, event…], the mean over chains. options: lags = 100 (at most draws - 1).
function diag.autocorr (draws, given)
  local o = options("diag.autocorr", given, {lags = 100})
  local columns, event = coordinates(draws, "diag.autocorr")
  local n = #columns[1][1]
  local lags, rows = math.min(o.lags, n - 1), {}
  for lag = 0, lags do
    local row = {}
    for i, chains in ipairs(columns) do
      local s = 0
      for _, c in ipairs(chains) do
        local m = mean(c)
        s = s + autocovariance(c, m, lag) / autocovariance(c, m, 0)
      end
      row[i] = s / #chains
    end
    rows[lag + 1] = row
  end
  return neap.tensor(rows, {dtype = "float64"}):reshape({lags + 1, table.unpack(event)})
end

local columns_of_summary = {"mean", "sd", "mcse", "q5", "q50", "q95", "ess", "ess_tail", "rhat"}

local function summary_row (chains)
  local sorted = pool(chains)
  table.sort(sorted)
  return {mean = mean(sorted), sd = sqrt(variance(sorted)), mcse = mcse_of(chains), q5 = quantile(sorted, .05),
    q50 = quantile(sorted, .5), q95 = quantile(sorted, .95), ess = kinds.bulk(chains), ess_tail = kinds.tail(chains),
    rhat = rhat_of(chains)}
end

local summary_meta = {}

function summary_meta.__tostring (s)
  local lines = {("%6s"):format "" .. (" %10s"):rep(#columns_of_summary):format(table.unpack(columns_of_summary))}
  for i, row in ipairs(s) do
    local line = {("%6s"):format(("[%d]"):format(i))}
    for _, name in ipairs(columns_of_summary) do line[#line + 1] = ("%10.4g"):format(row[name]) end
    lines[#lines + 1] = table.concat(line, " ")
  end
  return table.concat(lines, "\n")
end

--- A row {mean, sd, mcse, q5, q50, q95, ess, ess_tail, rhat} for each coordinate; prints as a table.
function diag.summary (draws)
  local rows = {}
  for i, chains in ipairs((coordinates(draws, "diag.summary"))) do rows[i] = summary_row(chains) end
  return setmetatable(rows, summary_meta)
end

-- ---- what a run says of itself: info.ess, info.rhat, info.verdict -----------------------------------

local function extreme (t, better)
  local worst
  for _, v in ipairs(t:flatten():totable()) do
    if v ~= v then return v end
    if not worst or better(worst, v) then worst = v end
  end
  return worst or nan
end

local function largest (t) return extreme(t, function (a, b) return a < b end) end
local function smallest (t) return extreme(t, function (a, b) return b < a end) end

local function verdict (info)
  if not info.draws:to "float64":isfinite():all():item() then return "not finite: a smaller step size may help" end
  if info.divergences > 0 then return ("%d divergences: a smaller step size may help"):format(info.divergences) end
  if info.draws.shape[1] < 4 then return "too few draws to tell" end
  local rhat, ess = largest(info.rhat), smallest(info.ess)
  if rhat ~= rhat then return "a coordinate never moved" end
  if rhat > 1.01 then return ("not converged: rhat %.3f, want 1.01 or less"):format(rhat) end
  if ess < 400 then return ("effective sample size %.0f, want 400 or more"):format(ess) end
  return "ok"
end

--- What a run's info computes when it is asked for.
function diag.of_run (info, key)
  if key == "verdict" then return verdict(info) end
  if info.draws.shape[1] < 4 then return nil end
  return diag[key](info.draws)
end

--- A run's info as text.
function diag.describe_run (info)
  local shape = info.draws.shape
  local parts = {("%s: %d draws of %d chains in %.2f s"):format(info.sampler, shape[1], shape[2], info.seconds)}
  if info.accept_rate then parts[#parts + 1] = ("accept rate %.3f"):format(info.accept_rate) end
  if shape[1] >= 4 then
    parts[#parts + 1] = ("ess %.0f"):format(smallest(info.ess))
    parts[#parts + 1] = ("rhat %.3f"):format(largest(info.rhat))
  end
  parts[#parts + 1] = info.verdict
  return table.concat(parts, ", ")
end

return diag
