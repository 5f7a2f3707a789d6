-- verdict.lua -- what a sampler's run says of itself: info.ess, info.rhat, info.verdict, its line, its progress.
-- Invariant: numbers are those of neap.diag; coordinates that E:fix holds are left out; a verdict is "ok" only where
-- every free coordinate has an R-hat of at most GOOD_RHAT and an effective sample size of at least GOOD_ESS.

local neap = require "neap"
local diag = require "neap.diag"
local chains = require "neap.chains"
local M = {}

local GOOD_RHAT, GOOD_ESS = 1.01, 400
local AGREE = 1.05                         -- R-hat of chains that are said to agree
local MANY = 1e6                           -- numbers that are judged while a run goes on; after it ten times so many

-- ---- the worst coordinate --------------------------------------------------------------------------

-- The worst of t [event…] among the coordinates that mask leaves free, and its place; NaN is worse than any number, nil
-- stands for no free coordinate.
local function extreme (mask, t, worse)
  local held, worst, place = mask and mask:flatten():totable() or {}, nil, nil
  for i, v in ipairs(t:flatten():totable()) do
    if not held[i] and (not worst or v ~= v or worse(v, worst)) then worst, place = v, i end
    if worst ~= worst then break end
  end
  return worst, place
end

local function largest (mask, rhat) return extreme(mask, rhat, function (a, b) return a > b end) end
local function smallest (mask, ess) return extreme(mask, ess, function (a, b) return a < b end) end

-- ---- numbers and places as text --------------------------------------------------------------------

local text = chains.text

local function rhat_text (v) return text(v < 100 and "%.3f" or "%.3g", v) end

-- x [event…] -> "x = [1, 2]"; nil where that would be long
local function place_text (x)
  local list = x:flatten():totable()
  if #list > 8 then return nil end
  for i, v in ipairs(list) do list[i] = text("%.4g", v) end
  return ("x = [%s]"):format(table.concat(list, ", "))
end

-- ---- faults of single draws ------------------------------------------------------------------------

-- Where the energy of a draw is no finite number though the draw is: nil, or what to say.
local function broken_energy (info)
  local bad = info.energy:isfinite():logical_not():nonzero():totable()
  for _, at in ipairs(bad) do
    local i, k = at[1], at[2]
    local x, e = info.draws[i][k], info.energy[{i, k}]:item()
    if x:to "float64":isfinite():all():item() then
      local where = place_text(x)
      return ("the energy is %s at draw %d of chain %d%s"):format(e ~= e and "not a number" or tostring(e), i, k,
                                                                  where and ": " .. where or "")
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
  if info.divergences > 0 then
    local less = info.scale and "a target_accept nearer 1" or "a smaller step size"
    return ("%d divergences: do not trust these draws; %s or another parametrization may help")
      :format(info.divergences, less)
  end
end

-- ---- chains that do not agree ----------------------------------------------------------------------

-- coordinate `place` of draws [draws, chains, event…] -> [chains, draws]
local function coordinate (draws, place)
  local n, m = draws.shape[1], draws.shape[2]
  return draws:reshape(n, m, draws:numel() // (n * m)):select(3, place):to "float64":t():contiguous()
end

-- The numbers of 1 .. n that are not in gone.
local function without (n, gone)
  local is_gone, kept = {}, {}
  for _, k in ipairs(gone) do is_gone[k] = true end
  for k = 1, n do if not is_gone[k] then kept[#kept + 1] = k end end
  return kept
end

local function of_chains (draws, list) return draws:index_select(2, neap.tensor(list, {dtype = "int64"})) end

-- The fewest chains, a minority, without which the others agree: their numbers, the R-hat of the others, the coordinate
-- that told.  nil: there are no such.
local function minority (info, rhat, place)
  local n, gone, kept, told = info.draws.shape[2], {}, nil, place
  for _ = 1, 4 do
    kept = without(n, gone)
    local list = chains.outliers(coordinate(of_chains(info.draws, kept), place), AGREE)
    if not list then return nil end
    for _, k in ipairs(list) do gone[#gone + 1] = kept[k] end
    if #gone * 2 >= n then return nil end
    kept = without(n, gone)
    rhat, place = largest(info.mask, diag.rhat(of_chains(info.draws, kept)))
    if rhat <= AGREE then break end
  end
  table.sort(gone)
  return rhat <= AGREE and gone, rhat, told
end

-- "chain 2 is stuck near x = [1, 2]"
local function chain_text (info, k, place, others)
  local draws = info.draws:select(2, k):to "float64"
  local at = place_text(draws:mean(1))
  local x = coordinate(info.draws, place)
  if not at then at = ("coordinate %d = %s"):format(place, text("%.4g", x[k]:mean():item())) end
  local wanders = x[k]:std():item() > 3 * others
  return wanders and ("chain %d wanders"):format(k) or ("chain %d is stuck near %s"):format(k, at)
end

local function disagreement (info, rhat, place)
  local plain = ("not converged: rhat %s, want %s or less"):format(rhat_text(rhat), GOOD_RHAT)
  local n = info.draws.shape[2]
  if rhat <= AGREE or n < 3 then return plain end
  local gone, left, told = minority(info, rhat, place)
  if not gone then return plain end
  local words, others = {}, coordinate(of_chains(info.draws, without(n, gone)), told):std(2):mean():item()
  for i, k in ipairs(gone) do words[i] = chain_text(info, k, told, others) end
  if #gone > 3 then words = {("chains %s do not"):format(table.concat(gone, ", "))} end
  return ("%d of %d chains agree; %s (rhat %s, of the others %s)"):format(n - #gone, n, table.concat(words, ", "),
                                                                        rhat_text(rhat), rhat_text(left))
end

-- ---- a run's info ------------------------------------------------------------------------------------

local function verdict (info)
  if info.draws.shape[1] == 0 then return "no draws yet" end
  local fault = broken_energy(info) or divergence(info)
  if fault then return fault end
  if info.accept_rate == 0 then return "no step was accepted: a smaller step size or scale may help" end
  if info.draws.shape[1] < 4 then return "too few draws to tell" end
  local rhat, place = largest(info.mask, info.rhat)
  local ess = smallest(info.mask, info.ess)
  if not rhat then return "every coordinate is held" end
  if rhat ~= rhat then return ("coordinate %d never moved"):format(place) end
  if rhat > GOOD_RHAT then return disagreement(info, rhat, place) end
  if (info.saturated or 0) > 0 then
    return ("%d trees ended for their depth: a larger max_depth or another metric may help"):format(info.saturated)
  end
  if ess < GOOD_ESS then return ("effective sample size %.0f, want %d or more"):format(ess, GOOD_ESS) end
  return "ok"
end

--- What a run's info computes when it is asked for: ess, rhat, verdict.
function M.of_run (info, key)
  if key == "verdict" then return verdict(info) end
  if info.draws.shape[1] < 4 then return nil end
  return diag[key](info.draws)
end

-- {"ess 400", "rhat 1.002"}, or nothing where there are too few draws
local function judged (info)
  local ess = info.draws.shape[1] >= 4 and smallest(info.mask, info.ess)
  return ess and {"ess " .. text("%.0f", ess), "rhat " .. rhat_text((largest(info.mask, info.rhat)))} or {}
end

-- A run's info as parts of a line.
local function describe (info)
  local shape = info.draws.shape
  local parts = {("%s: %d draws of %d chains in %.2f s"):format(info.sampler, shape[1], shape[2], info.seconds)}
  if info.accept_rate then parts[2] = ("accept rate %.3f"):format(info.accept_rate) end
  for _, figure in ipairs(judged(info)) do parts[#parts + 1] = figure end
  parts[#parts + 1] = info.verdict
  return parts
end

--- A run's info as a line.
function M.describe (info) return table.concat(describe(info), ", ") end

-- Judging takes long where there is much to judge: an info of the first coordinates, at most so many numbers.
local function part (info, most)
  local n, m = info.draws.shape[1], info.draws.shape[2]
  local all, few = info.draws:numel() // math.max(n * m, 1), most // math.max(n * m, 1)
  if few >= all then return info, "" end
  few = math.tointeger(math.max(few, 1))
  local draws, mask = info.draws:reshape(n, m, all):slice(3, 1, few), info.mask
  local view = {mask = mask and mask:flatten():slice(1, 1, few), draws = draws}
  return setmetatable(view, {__index = function (t, key)
    if key ~= "ess" and key ~= "rhat" and key ~= "verdict" then return info[key] end
    t[key] = M.of_run(t, key)
    return t[key]
  end}), (", of %d of %d coordinates"):format(few, all)
end

--- What a run's progress line says of the draws so far, an info as at its end.
function M.so_far (info)
  local view, which = part(info, MANY)
  return table.concat(judged(view), ", ") .. which
end

--- How a run that was watched ends.
function M.at_end (info)
  local view, which = part(info, 10 * MANY)
  return table.concat(describe(view), ", ") .. which
end

return M
