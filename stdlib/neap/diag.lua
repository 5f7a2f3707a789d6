-- neap.diag: have the chains converged, and how much are the draws worth?
-- Draws are [draws, chains, event…]; every function works on each coordinate of the event alone and returns a float64
-- tensor of the event's shape.  Invariant: the statistics are those of chains.lua, here and in a run's info.

local neap = require "neap"
local options = require "neap.options"
local chains = require "neap.chains"
local error = options.error
local diag = {}

local float64 = {dtype = "float64"}

-- ---- coordinates ---------------------------------------------------------------------------------

local function check (draws, fname)
  local shape = type(draws) == "userdata" and draws.shape
  if not shape then error(("%s: a tensor [draws, chains, event...] expected, got %s"):format(fname, type(draws))) end
  if #shape < 1 or shape[1] < 4 or shape[2] == 0 then
    error(("%s: [draws, chains, event...] with at least 4 draws expected, got %s"):format(fname,
                                                                                        options.shape_text(draws)))
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

-- ---- sizes, errors, R-hat --------------------------------------------------------------------------

-- "'bulk', 'mean' or 'tail'"
local function names_of (functions)
  local names = {}
  for name in pairs(functions) do names[#names + 1] = ("'%s'"):format(name) end
  table.sort(names)
  local last = table.remove(names)
  return table.concat(names, ", ") .. " or " .. last
end

-- f(x, prob) for each coordinate, f being functions[kind]
local function of_kind (fname, functions, draws, given, kind)
  local o = options(fname, given, {kind = kind, prob = options.any "number"})
  local f = functions[o.kind]
  if not f then
    error(("%s: option 'kind': %s expected, got '%s'"):format(fname, names_of(functions), o.kind))
  end
  if (o.kind == "quantile") ~= (o.prob ~= nil) then
    error(("%s: option 'prob': %s"):format(fname, o.prob and "only kind 'quantile' takes one" or
                                           "number in (0, 1) expected, got none"))
  elseif o.prob and not (o.prob > 0 and o.prob < 1) then
    error(("%s: option 'prob': a number in (0, 1) expected, got %.14g"):format(fname, o.prob))
  end
  return per_coordinate(draws, fname, function (x) return f(x, o.prob) end)
end

--- Effective sample size. options: kind = "bulk" (default: rank-normalized, for centre and location), "tail", "mean",
-- "sd", "quantile" with prob.
function diag.ess (draws, given) return of_kind("diag.ess", chains.ess, draws, given, "bulk") end

--- Monte Carlo standard error. options: kind = "mean" (default), "sd", "quantile" with prob.
function diag.mcse (draws, given) return of_kind("diag.mcse", chains.mcse, draws, given, "mean") end

--- Rank-normalized split R-hat, the larger of that of the draws and of their distance from the median.
function diag.rhat (draws) return per_coordinate(draws, "diag.rhat", chains.rhat) end

--- Autocorrelation [lags + 1, event…], the mean over chains. options: lags = 100 (at most draws - 1).
function diag.autocorr (draws, given)
  local o = options("diag.autocorr", given, {lags = 100})
  options.range("diag.autocorr", o, "at least 0", "lags")
  local columns, event = coordinates(draws, "diag.autocorr")
  local lags, lists = math.min(o.lags, draws.shape[1] - 1), {}
  for i, x in ipairs(columns) do lists[i] = chains.autocorr(x, lags) end
  return neap.tensor(lists, float64):t():reshape({lags + 1, table.unpack(event)})
end

-- ---- the table -----------------------------------------------------------------------------------

local columns_of_summary = {"mean", "sd", "mcse", "q5", "q50", "q95", "ess", "ess_tail", "rhat"}
local formats = {ess = "%.0f", ess_tail = "%.0f", rhat = "%.3f"}

local function summary_row (x, name)
  return {name = name, mean = chains.mean(x), sd = chains.sd(x), mcse = chains.mcse.mean(x),
    q5 = chains.quantile(x, .05), q50 = chains.quantile(x, .5), q95 = chains.quantile(x, .95),
    ess = chains.ess.bulk(x), ess_tail = chains.ess.tail(x), rhat = chains.rhat(x)}
end

local summary_meta = {__name = "neap.summary"}

function summary_meta.__tostring (s)
  local width = 6
  for _, row in ipairs(s) do width = math.max(width, utf8.len(row.name) or #row.name) end
  local function left (name) return name .. (" "):rep(width - (utf8.len(name) or #name)) end
  local lines = {left "" .. (" %10s"):rep(#columns_of_summary):format(table.unpack(columns_of_summary))}
  for _, row in ipairs(s) do
    local line = {left(row.name)}
    for _, name in ipairs(columns_of_summary) do
      line[#line + 1] = ("%10s"):format(chains.text(formats[name] or "%.4g", row[name]))
    end
    lines[#lines + 1] = table.concat(line, " ")
  end
  return table.concat(lines, "\n")
end

-- index i from 0 in an event -> "[2, 1]"
local function place (i, event)
  local at = {}
  for d = #event, 1, -1 do at[d], i = i % event[d] + 1, i // event[d] end
  return #at > 0 and ("[%s]"):format(table.concat(at, ", ")) or ""
end

local function add_row (s, x, name)
  local row = summary_row(x, name)
  s[#s + 1] = row
  s[name] = row
end

-- names: one for each coordinate, or nil
local function add_tensor (s, draws, names)
  local columns, event = coordinates(draws, "diag.summary")
  if names and #names ~= #columns then
    error(("diag.summary: names: one for each of %d coordinates expected, got %d"):format(#columns, #names))
  end
  for i, x in ipairs(columns) do
    add_row(s, x, names and names[i] or #event > 0 and place(i - 1, event) or "[1]")
  end
end

-- draws by name, in the order of names or of the alphabet
local function add_table (s, draws, names)
  if next(draws) == nil then error "diag.summary: a tensor or tensors by name expected, got an empty table" end
  if not names then
    names = {}
    for name in pairs(draws) do names[#names + 1] = options.argument("diag.summary", "a name", name, "string") end
    table.sort(names)
  end
  for _, name in ipairs(names) do
    if draws[name] == nil then error(("diag.summary: names: no draws are named '%s'"):format(name)) end
    local columns, event = coordinates(draws[name], ("diag.summary: '%s'"):format(name))
    for i, x in ipairs(columns) do add_row(s, x, name .. place(i - 1, event)) end
  end
end

--- A row {name, mean, sd, mcse, q5, q50, q95, ess, ess_tail, rhat} for each coordinate, found by number and by name;
-- prints as a table.  draws: a tensor, names one for each coordinate; or tensors by name, names their order.
function diag.summary (draws, names)
  if names ~= nil then
    options.argument("diag.summary", "names", names, "table")
    for _, name in ipairs(names) do options.argument("diag.summary", "names: a name", name, "string") end
  end
  local s = {}
  if type(draws) == "table" then add_table(s, draws, names) else add_tensor(s, draws, names) end
  return setmetatable(s, summary_meta)
end

return diag
