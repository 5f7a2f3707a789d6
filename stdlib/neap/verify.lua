-- neap.verify(sampler, E): does this kernel leave exp(-E) as it is?
-- Checks, each a z-score or an error with its limit.  Gradient: E:grad against differences.  Stationarity: chains that
-- start from exact draws must keep the law, so the mean change of a statistic is 0; being paired, small biases show.
-- Where all states can be listed the statistics are the counts of each, and as many moves i -> j as j -> i make
-- detailed balance, which a kernel may lack (a sweep in a fixed order does) and yet keep the law.
-- Invariant: a right kernel fails a check of z-scores in 1 run of 10,000 at most, however many scores there are.

local neap = require "neap"
local options = require "neap.options"
local error = options.error

local f64 = {dtype = "float64"}
local FEW_STATES = 1024                    -- so many are listed
local FEW_MOVES = 20                       -- too few to be judged

-- what the largest of n |z| exceeds with probability 1e-4 at most (Bonferroni)
local function limit (n)
  local p = 1e-4 / math.max(n, 1)
  return math.sqrt(2) * neap.tensor(1 - p, f64):erfinv():item()
end

-- [rows, event…] -> [rows, numbers]
local function flat (x) return x:reshape(x.shape[1], x:numel() // x.shape[1]) end

-- ---- gradient ------------------------------------------------------------------------------------

-- the largest relative error of E:grad along a random direction, at the given points [n, event…]
local function gradient_error (E, x, rng, condition)
  local v, h = rng:normal(x.shape, f64), 1e-5
  local slope = flat(E:grad(x, condition) * v):sum(2)
  local difference = (E(x + h * v, condition) - E(x - h * v, condition)) / (2 * h)
  return ((slope - difference):abs() / (1 + difference:abs())):amax():item()
end

-- ---- stationarity --------------------------------------------------------------------------------

-- name -> [chains]: what should not change on average
local function statistics (E, x, condition)
  local columns, out = flat(x), {energy = E(x, condition)}
  for i = 1, math.min(columns.shape[2], 8) do
    local xi = columns:select(2, i)
    out[("x%d"):format(i)] = xi
    out[("x%d squared"):format(i)] = xi:square()
  end
  return out
end

-- name -> {mean change between two positions of the same chains, its standard error}
local function changes (E, before, after, condition)
  local out, a, b = {}, statistics(E, before, condition), statistics(E, after, condition)
  for name in pairs(a) do
    local d = (b[name] - a[name]):to "float64"
    out[name] = {d:mean():item(), d:std():item() / math.sqrt(#d)}
  end
  return out
end

local function scores (changed)
  local zs = {}
  for name, c in pairs(changed) do zs[name] = c[1] == 0 and 0 or c[1] / c[2] end
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

-- ---- energies whose states can be listed -----------------------------------------------------------

-- How many states E has, of how many units; nil where they are too many, or E is not of units.
local function count_states (E)
  local units, event, numbers = E.units, E.event, 1
  for _, size in ipairs(event or {}) do numbers = numbers * size end
  local count = units and event and (#units) ^ numbers
  if count and count <= FEW_STATES then return math.tointeger(count), numbers end
end

-- All states [count, event…], the first unit changing fastest.
local function all_states (E, count, numbers)
  local units, rows = E.units, {}
  for i = 0, count - 1 do
    local row, rest = {}, i
    for k = 1, numbers do row[k], rest = units[rest % #units + 1], rest // #units end
    rows[i + 1] = row
  end
  local dtype = units[1] == 1 and "int64" or "float32"       -- labels, or 0 and 1, −1 and 1
  return neap.tensor(rows, {dtype = dtype}):reshape({count, table.unpack(E.event)})
end

-- x [chains, event…] -> list of the numbers of their states
local function state_numbers (E, x)
  local units, columns = E.units, flat(x):to "float64"
  local weights = {}
  for k = 1, columns.shape[2] do weights[k] = (#units) ^ (k - 1) end
  local digits = (columns - units[1]) / (units[2] - units[1])
  return (digits:matmul(neap.tensor(weights, f64)) + 1):round():to "int64":totable()
end

-- Exact draws [chains, event…], a few at a time, so that no [chains, states] tensor is large.
local function draw_states (E, states, chains, rng)
  local logits, parts, left = (-E(states)):unsqueeze(1), {}, chains
  local at_once = math.max(1000000 // #states, 1)
  while left > 0 do
    local n = math.min(left, at_once)
    parts[#parts + 1] = rng:categorical(logits:expand(n, #states)):flatten()
    left = left - n
  end
  return states:index_select(1, neap.cat(parts, 1))
end

-- The change of each state's count, which chains that left and entered make.
local function count_scores (from, to)
  local left, entered, zs = {}, {}, {}
  for k, i in ipairs(from) do
    if i ~= to[k] then left[i], entered[to[k]] = (left[i] or 0) + 1, (entered[to[k]] or 0) + 1 end
  end
  for i in pairs(left) do entered[i] = entered[i] or 0 end
  for i, n in pairs(entered) do
    local out = left[i] or 0
    if n + out > FEW_MOVES then zs[("state %d"):format(i)] = (n - out) / math.sqrt(n + out) end
  end
  return zs
end

-- Moves i -> j against j -> i, each pair once.
local function move_scores (from, to)
  local counts, zs = {}, {}
  for k, i in ipairs(from) do
    local key = i * (FEW_STATES + 1) + to[k]
    counts[key] = (counts[key] or 0) + 1
  end
  for key, n in pairs(counts) do
    local i, j = key // (FEW_STATES + 1), key % (FEW_STATES + 1)
    local back = counts[j * (FEW_STATES + 1) + i] or 0
    local once = i < j or back == 0
    if i ~= j and once and n + back > FEW_MOVES then
      zs[("%d <-> %d"):format(i, j)] = (n - back) / math.sqrt(n + back)
    end
  end
  return zs
end

-- ---- the report ----------------------------------------------------------------------------------

local report = {}

function report.__tostring (r)
  local lines = {}
  for _, c in ipairs(r) do
    lines[#lines + 1] = ("%-17s %-4s  %s"):format(c.check, c.ok and "ok" or c.may_fail and "no" or "FAIL", c.text)
  end
  lines[#lines + 1] = r.ok and "no fault found" or r.biased and
    "this kernel does not leave exp(-E) as it is, by less the shorter its steps: it is biased, as those that never " ..
    "reject are" or "this kernel does not leave exp(-E) as it is"
  return table.concat(lines, "\n")
end

-- may_fail: a failure is no fault by itself
local function add (r, check, value, bound, text, may_fail)
  local ok = math.abs(value) <= bound
  r[#r + 1] = {check = check, value = value, limit = bound, ok = ok, text = text, may_fail = may_fail}
  r.ok = r.ok and (ok or may_fail or false)
end

-- the worst of the scores zs, which text describes
local function add_scores (r, check, zs, text, may_fail)
  local z, name, n = worst(zs)
  local bound = limit(n)
  local told = z ~= z and "no number" or ("%.2f"):format(z)
  add(r, check, z, bound, ("z = %s of %s, limit %.2f for the largest of %d"):format(told, text:format(name), bound, n),
      may_fail)
end

-- ---- what is checked -----------------------------------------------------------------------------

local function check_states (r, sampler, E, o, rng, states)
  local x = draw_states(E, states, math.max(o.chains, 20000), rng)
  local state, from = sampler:init(E, x, rng), state_numbers(E, x)
  state = sampler:step(E, state)
  add_scores(r, "detailed balance", move_scores(from, state_numbers(E, state.x)), "the moves %s", true)
  r.reversible = r[#r].ok
  state = sampler:step(E, state, math.max(o.steps - 1, 0))
  add_scores(r, "stationarity", count_scores(from, state_numbers(E, state.x)),
             ("the change of %%s in %d steps"):format(o.steps))
end

-- option lower or upper as a tensor [numbers of an event]
local function bound (o, name, numbers)
  local v = options.argument("verify", ("option '%s'"):format(name), o[name], "number", "table")
  local t = type(v) == "table" and neap.tensor(v, f64):flatten() or neap.full({numbers}, v, f64)
  if #t ~= numbers then error(("verify: option '%s': %d numbers expected, got %d"):format(name, numbers, #t)) end
  return t
end

local PROPOSALS = 100000                   -- at a time

-- Exact draws of exp(-E) inside a box, by rejection under the lowest energy seen; a lower one begins anew.
local function boxed (E, o, rng)
  local event, numbers, tries = E.event, 1, 0
  for _, size in ipairs(event or {}) do numbers = numbers * size end
  if not event or numbers > 3 then error "verify: lower and upper: an event of at most 3 numbers expected" end
  local lower, upper = bound(o, "lower", numbers), bound(o, "upper", numbers)
  local least, parts, count = math.huge, {}, 0
  while count < o.chains do
    tries = tries + 1
    if tries > 200 then error "verify: lower and upper: a box with more of the law in it expected" end
    local u = rng:uniform({PROPOSALS, numbers}, f64)
    local x = (lower + (upper - lower) * u):reshape({PROPOSALS, table.unpack(event)})
    local e = E(x)
    local lowest = e:amin():item()
    if lowest < least then least, parts, count = lowest, {}, 0 end
    local taken = x[(1 - rng:uniform({PROPOSALS}, f64)):log():le(least - e)]
    parts[#parts + 1], count = taken, count + #taken
  end
  return neap.cat(parts, 1):slice(1, 1, o.chains)
end

-- exact draws [n, event…]
local function exact (E, o, rng)
  if o.lower ~= nil or o.upper ~= nil then return boxed(E, o, rng) end
  if o.draws ~= nil then
    if options.argument("verify", "option 'draws'", o.draws, "tensor").ndim == 0 or #o.draws < 2 then
      error(("verify: option 'draws': [n, event...] with n of at least 2 expected, got %s"):format(
        options.shape_text(o.draws)))
    end
    return o.draws
  end
  local ok, x = pcall(E.sample, E, o.chains, rng)
  if ok then return x end
  error(("verify: %s has no exact sampler: give exact draws of exp(-E) as the option draws, a tensor " ..
         "[n, event...], or a box that holds nearly all of it as the options lower and upper"):format(E.name))
end

-- name -> mean change and its error after so many steps; whether the kernel rejects
local function run (sampler, E, x, o, rng, steps)
  local state
  if o.condition then state = sampler:init(E, x, o.condition, rng) else state = sampler:init(E, x, rng) end
  local before = state.x
  state = sampler:step(E, state, steps)
  return changes(E, before, state.x, o.condition), state.accepted ~= nil
end

-- Does the change of the worst statistic fall by a quarter at least when the step is halved?
local function falls (sampler, E, x, o, rng, changed)
  local step_size = sampler:state().step_size
  local _, name = worst(scores(changed))
  if not step_size then return false end
  sampler:set_state{step_size = step_size / 2}
  local ok, half = pcall(run, sampler, E, x, o, rng, 2 * o.steps)
  sampler:set_state{step_size = step_size}
  if not ok then error(half, 0) end
  local whole, shorter = changed[name], half[name]
  if whole[1] ~= whole[1] then return shorter[1] == shorter[1] end     -- the long steps led to no number
  local allowed = .75 * math.abs(whole[1]) + 2 * math.sqrt(whole[2] ^ 2 + shorter[2] ^ 2)
  return math.abs(shorter[1]) < allowed and math.abs(shorter[1]) < math.abs(whole[1])
end

local function check_draws (r, sampler, E, o, rng)
  local x = exact(E, o, rng)
  local few = o.condition and o.condition:slice(1, 1, 100, 1)
  local e = gradient_error(E, x:slice(1, 1, 100, 1):to "float64", rng, few)
  add(r, "gradient", e, 1e-5, ("largest relative error %.1e"):format(e))
  local changed, rejects = run(sampler, E, x, o, rng, o.steps)
  add_scores(r, "stationarity", scores(changed), ("the mean change of %%s in %d steps"):format(o.steps))
  if not r[#r].ok and not rejects then r.biased = falls(sampler, E, x, o, rng, changed) end
end

--- Checks a sampler on an energy. options: chains = 4000, steps = 10, seed = 1, draws (exact ones [n, event…], where
-- E:sample has none), lower and upper (a box to draw them in), condition.  Returns a list of {check, value, limit, ok,
-- text} with the field ok, and biased where only the length of the step is to blame; prints as a table.
local function verify (sampler, E, given)
  if options.type_of(sampler) ~= "neap.sampler" then
    error(("verify: a sampler expected, as in verify(sampler, E), got %s"):format(options.type_of(sampler)))
  end
  options.argument("verify", "E", E, "energy")
  local any = options.any()
  local o = options("verify", given, {chains = 4000, steps = 10, seed = 1, draws = any, lower = any, upper = any,
                                     condition = any})
  local rng, r = neap.rng(o.seed), setmetatable({ok = true, biased = false}, report)
  local count, numbers
  if not o.draws and not o.condition then count, numbers = count_states(E) end
  if count then check_states(r, sampler, E, o, rng, all_states(E, count, numbers))
  else check_draws(r, sampler, E, o, rng) end
  return r
end

return {verify = verify}
