-- neap.verify(sampler, E): does this kernel leave exp(-E) as it is?
-- Three checks, each a z-score or an error with its limit.  Gradient: E:grad against differences.  Stationarity: chains
-- that start from exact draws must keep the law, so the mean change of each statistic is 0; being paired, small biases
-- show.  Detailed balance, for an rbm small enough to enumerate: as many moves i -> j as j -> i.
-- A right kernel fails a check of z-scores in 1 run of 10,000 at most, however many scores there are (Bonferroni).

local neap = require "neap"
local options = require "neap.options"
local error = options.error

local f64 = {dtype = "float64"}

-- what the largest of n |z| exceeds with probability 1e-4 at most
local function limit (n)
  local p = 1e-4 / math.max(n, 1)
  return math.sqrt(2) * neap.tensor(1 - p, f64):erfinv():item()
end

-- ---- gradient ------------------------------------------------------------------------------------

-- the largest relative error of E:grad along a random direction, at the given points [n, event…]
local function gradient_error (E, x, rng, condition)
  local v, h = rng:normal(x.shape, f64), 1e-5
  local function row_sum (t) return t:reshape(t.shape[1], t:numel() // t.shape[1]):sum(2) end
  local slope = row_sum(E:grad(x, condition) * v)
  local difference = (E(x + h * v, condition) - E(x - h * v, condition)) / (2 * h)
  return ((slope - difference):abs() / (1 + difference:abs())):amax():item()
end

-- ---- stationarity --------------------------------------------------------------------------------

-- name -> [chains]: what should not change on average
local function statistics (E, x, condition)
  local flat = x:reshape(x.shape[1], x:numel() // x.shape[1])
  local out = {energy = E(x, condition)}
  for i = 1, math.min(flat.shape[2], 8) do
    local xi = flat:select(2, i)
    out[("x%d"):format(i)] = xi
    out[("x%d squared"):format(i)] = xi:square()
  end
  return out
end

-- z-scores of the mean changes between two positions of the same chains
local function changes (E, before, after, condition)
  local zs, a, b = {}, statistics(E, before, condition), statistics(E, after, condition)
  for name in pairs(a) do
    local d = (b[name] - a[name]):to "float64"
    local sd = d:std():item()
    zs[name] = sd > 0 and d:mean():item() / (sd / math.sqrt(#d)) or 0
  end
  return zs
end

-- the largest z-score, whose it is, and of how many
local function worst (zs)
  local z, name, n = 0, "none", 0
  for k, v in pairs(zs) do
    n = n + 1
    if v ~= v or math.abs(v) > math.abs(z) then z, name = v, k end
  end
  return z, name, n
end

-- ---- detailed balance ----------------------------------------------------------------------------

local function all_states (units)
  local rows = {}
  for i = 0, 2 ^ units - 1 do
    rows[i + 1] = {}
    for k = 1, units do rows[i + 1][k] = (i >> (k - 1)) & 1 end
  end
  return neap.tensor(rows)
end

-- [n] -> how often each pair (i, j) occurs
local function count_moves (from, to)
  local counts = {}
  for k = 1, #from do
    local key = from[k] * 1024 + to[k]
    counts[key] = (counts[key] or 0) + 1
  end
  return counts
end

local function balance (sampler, E, units, chains, rng)
  local states = all_states(units)
  local weights = neap.tensor{1, 2, 4, 8, 16, 32, 64, 128}:slice(1, 1, units, 1)
  local start = rng:categorical((-E(states)):unsqueeze(1):expand(chains, #states))
  local x = states:index_select(1, start:flatten())
  local state = sampler:step(E, sampler:init(E, x, rng))
  local function index (v) return v:matmul(weights):to "int64":totable() end
  local counts, zs = count_moves(index(x), index(state.x)), {}
  for key, n in pairs(counts) do
    local i, j = key // 1024, key % 1024
    local back = counts[j * 1024 + i] or 0
    local once = i < j or back == 0                     -- each pair once
    if i ~= j and once and n + back > 20 then zs[("%d <-> %d"):format(i, j)] = (n - back) / math.sqrt(n + back) end
  end
  return zs
end

-- ---- the report ----------------------------------------------------------------------------------

local report = {}

function report.__tostring (r)
  local lines = {}
  for _, c in ipairs(r) do
    lines[#lines + 1] = ("%-17s %-4s  %s"):format(c.check, c.ok and "ok" or "FAIL", c.text)
  end
  lines[#lines + 1] = r.ok and "no fault found" or "this kernel does not leave exp(-E) as it is"
  return table.concat(lines, "\n")
end

local function add (r, check, value, bound, text)
  r[#r + 1] = {check = check, value = value, limit = bound, ok = math.abs(value) <= bound, text = text}
  r.ok = r.ok and r[#r].ok
end

-- the worst of the scores zs, which text describes
local function add_scores (r, check, zs, text)
  local z, name, n = worst(zs)
  local bound = limit(n)
  add(r, check, z, bound, ("z = %.2f of %s, limit %.2f for the largest of %d"):format(z, text:format(name), bound, n))
end

-- exact draws [n, event…]
local function exact (E, o, rng)
  if o.draws ~= nil then
    if options.argument("verify", "option 'draws'", o.draws, "tensor").ndim == 0 or #o.draws < 2 then
      error(("verify: option 'draws': [n, event...] with n of at least 2 expected, got [%s]"):format(
        table.concat(o.draws.shape, ", ")))
    end
    return o.draws
  end
  local ok, x = pcall(E.sample, E, o.chains, rng)
  if ok then return x end
  error(("verify: %s has no exact sampler: give exact draws of exp(-E) as the option draws, a tensor " ..
         "[n, event...]"):format(E.name))
end

local function enumerable (E)
  local params, names = E:params()
  for i, name in ipairs(names) do
    if name == "W" and pcall(E.hidden, E, neap.zeros(1, params[i].shape[1])) then return params[i].shape[1] end
  end
  return math.huge
end

--- Checks a sampler on an energy. options: chains = 4000, steps = 10, seed = 1, draws (exact ones [n, event…], where
-- E:sample has none), condition.  Returns a list of {check, value, limit, ok, text} with the field ok; prints as a
-- table.
local function verify (sampler, E, given)
  if options.type_of(sampler) ~= "neap.sampler" then
    error(("verify: a sampler expected, as in verify(sampler, E), got %s"):format(options.type_of(sampler)))
  end
  options.argument("verify", "E", E, "energy")
  local any = options.any()
  local o = options("verify", given, {chains = 4000, steps = 10, seed = 1, draws = any, condition = any})
  local rng, r = neap.rng(o.seed), setmetatable({ok = true}, report)
  local units = enumerable(E)
  if units <= 8 then
    add_scores(r, "detailed balance", balance(sampler, E, units, math.max(o.chains, 20000), rng), "the moves %s")
    return r
  end
  local x = exact(E, o, rng)
  local e = gradient_error(E, x:slice(1, 1, 100, 1):to "float64", rng, o.condition and o.condition:slice(1, 1, 100, 1))
  add(r, "gradient", e, 1e-5, ("largest relative error %.1e"):format(e))
  local state
  if o.condition then state = sampler:init(E, x, o.condition, rng) else state = sampler:init(E, x, rng) end
  local before = state.x
  local zs = changes(E, before, sampler:step(E, state, o.steps).x, o.condition)
  add_scores(r, "stationarity", zs, ("the mean change of %%s in %d steps"):format(o.steps))
  return r
end

return {verify = verify}
