-- form.lua -- lists of trees (see tree.lua) as lists of tensors, and what is left of them: their form.
-- Invariant: two lists of trees of one form differ in tensors only; of one outline, in tensors and other leaves.

local core = require "neap.core"
local tree = require "neap.tree"
local is_tensor = core.is_tensor

local form = {}

-- Marks in a form, which is a list: a tensor, another leaf (which follows), where a table begins and ends.
local function mark () return setmetatable({}, {}) end
local HOLE, LEAF, OPEN, CLOSE, NIL = mark(), mark(), mark(), mark(), mark()

local function add (t, tensors, list)
  if is_tensor(t) then
    tensors[#tensors + 1] = t
    list[#list + 1] = HOLE
  elseif type(t) ~= "table" or getmetatable(t) then
    list[#list + 1] = LEAF
    list[#list + 1] = t == nil and NIL or t
  else
    list[#list + 1] = OPEN
    for _, k in ipairs(tree.keys(t)) do
      list[#list + 1] = k
      add(t[k], tensors, list)
    end
    list[#list + 1] = CLOSE
  end
end

-- The tensors of trees[1 .. trees.n] in order, and the form of these.
function form.flatten (trees)
  local tensors, list = {}, {}
  for i = 1, trees.n do
    local t = trees[i]
    if t ~= nil then add(t, tensors, list)
    else list[#list + 1], list[#list + 2] = LEAF, NIL end
  end
  return tensors, list
end

-- The tensors of the trees.
function form.tensors (...) return (form.flatten(table.pack(...))) end

-- A list of trees to fill: holes in place of tensors.
function form.hollow (trees)
  local out = {n = trees.n, plain = true}
  for i = 1, trees.n do
    out[i] = tree.map(trees[i], function () return HOLE end)
    out.plain = out.plain and out[i] == HOLE
  end
  return out
end

-- The trees of a hollow list, with the tensors from `first` on in its holes.
function form.fill (hollow, tensors, first)
  local at, out = (first or 1) - 1, {}
  if hollow.plain then return table.unpack(tensors, at + 1, at + hollow.n) end
  local function put (v)
    if v ~= HOLE then return v end
    at = at + 1
    return tensors[at]
  end
  for i = 1, hollow.n do out[i] = tree.map(hollow[i], nil, put) end
  return table.unpack(out, 1, hollow.n)
end

-- 1 is not 1.0, nor 0.0 -0.0: tensors made of them differ
local function same_leaf (a, b)
  if not rawequal(a, b) then return false end
  return type(a) ~= "number" or (math.type(a) == math.type(b) and (a ~= 0 or 1 / a == 1 / b))
end

-- Are forms a and b the same?  outline: but for leaves.
function form.same (a, b, outline)
  if #a ~= #b then return false end
  local i = 1
  while i <= #a do
    if not same_leaf(a[i], b[i]) then return false end
    if outline and a[i] == LEAF then i = i + 1 end
    i = i + 1
  end
  return true
end

-- Whether derivatives of what is made of one of the tensors would be taped now.
function form.any_tracked (tensors)
  for _, x in ipairs(tensors) do if core._program.tracked(x) then return true end end
  return false
end

return form
