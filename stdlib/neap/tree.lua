-- tree.lua -- nested tables of tensors, which derivatives take and give.
-- A tree is a tensor or a table of trees; other values, and tables with a metatable, are leaves, kept as they are.
-- Invariant: walks visit keys in one order (numbers, then names), so two walks of one shape meet the same tensors.

local core = require "neap.core"
local is_tensor = core.is_tensor

local tree = {}

local function before (a, b)
  if type(a) == type(b) then return a < b end
  return type(a) == "number"
end

-- The keys of t that are numbers and names, in order: 1 … n up to the first gap, then the others.
function tree.keys (t)
  local keys, others, n = {}, {}, 0
  while t[n + 1] ~= nil do
    n = n + 1
    keys[n] = n
  end
  for k in pairs(t) do
    if not keys[k] and (type(k) == "number" or type(k) == "string") then others[#others + 1] = k end
  end
  if #others == 0 then return keys end
  table.sort(others, before)
  return table.move(others, 1, #others, #keys + 1, keys)
end

-- A copy of t with f(tensor) for each tensor; other leaves become other(leaf), themselves if other is left out.
function tree.map (t, f, other)
  if is_tensor(t) then return f(t) end
  if type(t) ~= "table" or getmetatable(t) then
    if other then return other(t) end
    return t
  end
  local out = {}
  for _, k in ipairs(tree.keys(t)) do out[k] = tree.map(t[k], f, other) end
  return out
end

-- The tensors of t in order.
function tree.leaves (t)
  local out = {}
  tree.map(t, function (x) out[#out + 1] = x end)
  return out
end

-- t with list's tensors in place of its own.
function tree.put (t, list)
  local i = 0
  return tree.map(t, function () i = i + 1 return list[i] end)
end

local function nothing () return nil end

-- t with list[1], list[2], … in place of its tensors that accept(tensor) takes, and nothing in place of the rest.
function tree.fill (t, list, accept)
  local i = 0
  return tree.map(t, function (x)
    if not accept(x) then return nil end
    i = i + 1
    return list[i]
  end, nothing)
end

return tree
