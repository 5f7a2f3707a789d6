-- compare.lua -- what tests of programs share: how far two results are apart, and functions compiled against
-- themselves.
-- Distances are in units u of the last place of the largest element: u = 2^-24 for float32, 2^-53 for float64.
-- Elements that are equal, or both NaN, count as 0; an infinity on one side alone, another shape or dtype as
-- infinite.

local tree = require "neap.tree"
local M = {warnings = {}}

local f64 = {dtype = "float64"}
local unit = {float32 = 2 ^ -24, float64 = 2 ^ -53}

function M.is_float (x) return unit[x.dtype] ~= nil end

local function same_shape (a, b) return table.concat(a.shape, ",") == table.concat(b.shape, ",") end

-- |a - b| / (u (max|b| + floor)), floor: what else elements are made of, so that sums near 0 have a scale
function M.distance (a, b, floor)
  if not same_shape(a, b) or a.dtype ~= b.dtype then return math.huge end
  if a:numel() == 0 then return 0 end
  local u = unit[a.dtype] or 2 ^ -53
  local x, y = a:to "float64", b:to "float64"
  local same = x:eq(y):logical_or(x:isnan():logical_and(y:isnan()))
  if same:all():item() then return 0 end
  local largest = neap.where(y:isfinite(), y:abs(), neap.zeros(1, f64)):amax():item()
  local d = neap.where(same, neap.zeros(1, f64), (x - y):abs()):amax():item() / (u * (largest + (floor or 0)))
  return d == d and d or math.huge
end

-- the largest distance of the tensors of two trees
function M.apart (a, b, floor)
  a, b = tree.leaves(a), tree.leaves(b)
  if #a ~= #b then return math.huge end
  local most = 0
  for i = 1, #a do most = math.max(most, M.distance(a[i], b[i], floor)) end
  return most
end

-- the same bits?
function M.same (a, b) return M.apart(a, b) == 0 end

-- Runs visit with compile's warnings collected in a list, which it gives.
function M.with_warnings (visit)
  local program, heard = neap.core._program, {}
  local warn = program.warn
  program.warn = function (text) heard[#heard + 1] = text end
  local ok, problem = pcall(visit, heard)
  program.warn = warn
  if not ok then error(problem, 0) end
  return heard
end

-- f compiled, and a function that gives how often f itself was called since it was last asked
function M.compiled (f)
  local calls = 0
  local g = neap.compile(function (...) calls = calls + 1 return f(...) end)
  return g, function ()
    local n = calls
    calls = 0
    return n
  end
end

-- For each number of threads the results of run(); gives whether all have the same bits.
function M.same_for_threads (run)
  local before, first = neap.threads(), nil
  local same = true
  for threads = 1, 3 do
    neap.set_threads(threads)
    local got = run()
    first = first or got
    same = same and M.same(got, first)
  end
  neap.set_threads(before)
  return same
end

return M
