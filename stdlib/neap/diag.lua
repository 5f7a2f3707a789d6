-- neap.diag: have the chains converged, and how much are the draws worth?
-- Draws are [draws, chains, event…]; every function works on each coordinate of the event alone and returns a float64
-- tensor of the event's shape.  Formulas: Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), "Rank-normalization,
-- folding, and localization: an improved R-hat".  Inside, a coordinate is a float64 tensor [chains, draws].

local neap = require "neap"
local options = require "neap.options"
local error = options.error
local diag = {}

local sqrt, log, huge = math.sqrt, math.log, math.huge
local nan = 0 / 0
local float64 = {dtype = "float64"}

-- ---- coordinates ---------------------------------------------------------------------------------

local function check (draws, fname)
  local shape = type(draws) == "userdata" and draws.shape
  if not shape then error(("%s: a tensor [draws, chains, event...] expected, got %s"):format(fname, type(draws))) end
  if #shape < 1 or shape[1] < 4 or shape[2] == 0 then
    local text = table.concat(shape, ", ")
    error(("%s: [draws, chains, event...] with at least 4 draws expected, got [%s]"):format(fname, text))
  end
  return shape
end

-- [draws, chains, event…] -> list of coordinates [chains, draws], event shape
local function coordinates (draws, fname)
  local shape = check(draws, fname)
  local n, m, event, k = shape[1], shape[2] or 1, {table.unpack(shape, 3)}, 1
  for _, size in ipairs(event) do k = k * size end
  local columns, out = draws:detach():to "float64":reshape(n, m, k):permute(3, 2, 1):contiguous(), {}
  for i = 1, k do out[i] = columns[i] end
  return out, event
end

local function per_coordinate (draws, fname, f)
  local columns, event = coordinates(draws, fname)
  local out = {}
  for i, x in ipairs(columns) do out[i] = f(x) end
  return neap.tensor(out, float64):reshape(event)
end

-- [chains, draws] -> [2 chains, draws // 2]: each chain as its two halves; the middle draw of an odd number goes
local function split (x)
  local n = x.shape[2]
  local half = n // 2
  return neap.cat({x[{{}, {1, half}}], x[{{}, {n - half + 1, n}}]}, 1)
end

-- finite, and not all the same
local function usable (x)
  return x:isfinite():all():item() and x:ne(x[{1, 1}]):any():item()
end

local function variance (x) return x:var():item() end

-- order statistics with linear interpolation (type 7 of Hyndman and Fan 1996)
local function quantile (x, q) return x:flatten():quantile(q, 1):item() end

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

-- ---- effective sample size -----------------------------------------------------------------------

-- c [chains, draws], less its means; lag -> [chains], over the number of draws
local function autocovariance (c, lag)
  local n = c.shape[2]
  return (c[{{}, {1, n - lag}}] * c[{{}, {1 + lag, n}}]):sum(2) / n
end

local function centred (x) return x - x:mean(2, true) end

-- rho(t): the autocorrelation at lag t that all chains together show
local function correlation (x)
  local n, c = x.shape[2], centred(x)
  local function acov (lag) return autocovariance(c, lag):mean():item() end
  local a0 = acov(0)
  local within = a0 * n / (n - 1)
  local total = a0 + (#x > 1 and variance(x:mean(2)) or 0)
  return function (lag) return 1 - (within - acov(lag)) / total end
end

-- Geyer's initial monotone sequence (1992): sums of pairs of rho while they are positive, none above the one before
local function ess_of (x)
  if not usable(x) then return nan end
  local n, size = x.shape[2], x:numel()
  local rho, sum, least = correlation(x), 0, huge
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

function kinds.bulk (x) return usable(x) and ess_of(rank_normalize(split(x))) or nan end
function kinds.mean (x) return ess_of(split(x)) end

-- the smaller of the sizes for the 5 % and the 95 % quantile
function kinds.tail (x)
  local least = huge
  for _, q in ipairs {.05, .95} do
    local below = split(x:le(quantile(x, q)):to "float64")
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

local function mcse_of (x) return sqrt(variance(x) / kinds.mean(x)) end

--- Monte Carlo standard error of the mean.
function diag.mcse (draws) return per_coordinate(draws, "diag.mcse", mcse_of) end

-- ---- R-hat ---------------------------------------------------------------------------------------

local function plain_rhat (x)
  local n, within = x.shape[2], x:var(2):mean():item()
  return sqrt((n - 1) / n + variance(x:mean(2)) / within)
end

local function rhat_of (x)
  if not usable(x) then return nan end
  local folded = (x - quantile(x, .5)):abs()
  local bulk = plain_rhat(rank_normalize(split(x)))
  return usable(folded) and math.max(bulk, plain_rhat(rank_normalize(split(folded)))) or bulk
end

--- Rank-normalized split R-hat, the larger of that of the draws and of their distance from the median.
function diag.rhat (draws) return per_coordinate(draws, "diag.rhat", rhat_of) end

-- ---- pictures of chains --------------------------------------------------------------------------

--- Autocorrelation [lags + 1, event…], the mean over chains. options: lags = 100 (at most draws - 1).
function diag.autocorr (draws, given)
  local o = options("diag.autocorr", given, {lags = 100})
  options.range("diag.autocorr", o, "at least 0", "lags")
  local columns, event = coordinates(draws, "diag.autocorr")
  local lags, rows = math.min(o.lags, draws.shape[1] - 1), {}
  for lag = 0, lags do
    local row = {}
    for i, x in ipairs(columns) do
      local c = centred(x)
      row[i] = (autocovariance(c, lag) / autocovariance(c, 0)):mean():item()
    end
    rows[lag + 1] = row
  end
  return neap.tensor(rows, float64):reshape({lags + 1, table.unpack(event)})
end

-- NaN's sign says nothing
local function text (format, v) return v ~= v and "nan" or format:format(v) end

local columns_of_summary = {"mean", "sd", "mcse", "q5", "q50", "q95", "ess", "ess_tail", "rhat"}

local function summary_row (x)
  return {mean = x:mean():item(), sd = sqrt(variance(x)), mcse = mcse_of(x), q5 = quantile(x, .05),
    q50 = quantile(x, .5), q95 = quantile(x, .95), ess = kinds.bulk(x), ess_tail = kinds.tail(x), rhat = rhat_of(x)}
end

local summary_meta = {}

function summary_meta.__tostring (s)
  local lines = {("%6s"):format "" .. (" %10s"):rep(#columns_of_summary):format(table.unpack(columns_of_summary))}
  for i, row in ipairs(s) do
    local line = {("%6s"):format(("[%d]"):format(i))}
    for _, name in ipairs(columns_of_summary) do line[#line + 1] = ("%10s"):format(text("%.4g", row[name])) end
    lines[#lines + 1] = table.concat(line, " ")
  end
  return table.concat(lines, "\n")
end

--- A row {mean, sd, mcse, q5, q50, q95, ess, ess_tail, rhat} for each coordinate; prints as a table.
function diag.summary (draws)
  local rows = {}
  for i, x in ipairs((coordinates(draws, "diag.summary"))) do rows[i] = summary_row(x) end
  return setmetatable(rows, summary_meta)
end

-- ---- what a run says of itself: info.ess, info.rhat, info.verdict -----------------------------------

-- The worst of t [event…] among the coordinates that info.mask leaves free, and its place; NaN is worse than any
-- number, nil stands for no free coordinate.
local function extreme (info, t, worse)
  local held, worst, place = info.mask and info.mask:flatten():totable() or {}, nil, nil
  for i, v in ipairs(t:flatten():totable()) do
    if not held[i] and (not worst or v ~= v or worse(v, worst)) then worst, place = v, i end
    if worst ~= worst then break end
  end
  return worst, place
end

local function largest_rhat (info) return extreme(info, info.rhat, function (a, b) return a > b end) end
local function smallest_ess (info) return extreme(info, info.ess, function (a, b) return a < b end) end

local function rhat_text (v) return text(v < 100 and "%.3f" or "%.3g", v) end

local function place_text (x)
  local list = x:flatten():totable()
  if #list > 8 then return "" end
  for i, v in ipairs(list) do list[i] = text("%.4g", v) end
  return (": x = [%s]"):format(table.concat(list, ", "))
end

-- Where the energy of a draw is no finite number though the draw is: nil, or what to say.
local function broken_energy (info)
  local bad = info.energy:isfinite():logical_not():nonzero():totable()
  for _, at in ipairs(bad) do
    local i, k = at[1], at[2]
    local x, e = info.draws[i][k], info.energy[{i, k}]:item()
    if x:to "float64":isfinite():all():item() then
      return ("the energy is %s at draw %d of chain %d%s"):format(e ~= e and "not a number" or tostring(e), i, k,
                                                                  place_text(x))
    end
    if i > 1 then return nil end                     -- the chains went astray first
  end
end

local function divergence (info)
  local finite = info.draws:to "float64":isfinite()
  if not finite[1]:all():item() then
    return "not finite from the first draw: a smaller step size may help, or the energy is not finite at the start"
  end
  if not finite:all():item() then return "not finite: a smaller step size may help" end
  if info.divergences > 0 then return ("%d divergences: a smaller step size may help"):format(info.divergences) end
end

local function verdict (info)
  local fault = broken_energy(info) or divergence(info)
  if fault then return fault end
  if info.accept_rate == 0 then return "no step was accepted: a smaller step size or scale may help" end
  if info.draws.shape[1] < 4 then return "too few draws to tell" end
  local rhat, place = largest_rhat(info)
  local ess = smallest_ess(info)
  if not rhat then return "every coordinate is held" end
  if rhat ~= rhat then return ("coordinate %d never moved"):format(place) end
  if rhat > 1.01 then return ("not converged: rhat %s, want 1.01 or less"):format(rhat_text(rhat)) end
  if ess < 400 then return ("effective sample size %.0f, want 400 or more"):format(ess) end
  return "ok"
end

--- What a run's info computes when it is asked for.
function diag.of_run (info, key)
  if key == "verdict" then return verdict(info) end
  if info.draws.shape[1] < 4 then return nil end
  return diag[key](info.draws)
end

--- A run's info as text; coordinates that E:fix holds are left out.
function diag.describe_run (info)
  local shape = info.draws.shape
  local parts = {("%s: %d draws of %d chains in %.2f s"):format(info.sampler, shape[1], shape[2], info.seconds)}
  if info.accept_rate then parts[#parts + 1] = ("accept rate %.3f"):format(info.accept_rate) end
  local ess = shape[1] >= 4 and smallest_ess(info)
  if ess then
    parts[#parts + 1] = "ess " .. text("%.0f", ess)
    parts[#parts + 1] = "rhat " .. rhat_text((largest_rhat(info)))
  end
  parts[#parts + 1] = info.verdict
  return table.concat(parts, ", ")
end

return diag
