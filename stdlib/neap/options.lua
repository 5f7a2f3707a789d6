-- options.lua -- reading a trailing table of options.
-- Invariant: what comes back holds known names only, each of the type of its default.

local error = require("neap.core")._error

-- For all parts: error(message) names the line of the user's that led here, error(message, 0) no line.
local options = {error = error}

-- Ctrl-C was caught with this message: whoever catches errors passes it on.
function options.is_interrupt (message) return tostring(message):find("interrupted!", 1, true) ~= nil end

-- Marks an option that has no default; options.any("number") also checks its type.
local Any = {}
Any.__index = Any
function options.any (...) return setmetatable({...}, Any) end

-- Edits that turn a into b (Levenshtein).
local function distance (a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal
    diagonal, row[0] = row[0], i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      diagonal, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
    end
  end
  return row[#b]
end

-- Whether one name is the other with a word more, as retain is of retain_graph.
local function extends (a, b) return a:sub(1, #b + 1) == b .. "_" or b:sub(1, #a + 1) == a .. "_" end

-- The name in known (a table with names as keys) that is nearest to name.
function options.nearest (name, known)
  local best, least
  for k in pairs(known) do
    local d = extends(name, k) and 1 or distance(name, k)
    if not least or d < least or (d == least and k < best) then best, least = k, d end
  end
  return best
end

-- A type's name as messages say it.
local function type_of (v)
  local meta = type(v) == "userdata" and getmetatable(v)
  return meta and meta.__name or math.type(v) or type(v)
end
options.type_of = type_of

-- A shape as messages say it: "[2, 3]"; with the dtype: "float32 [2, 3]".
function options.shape_text (x) return ("[%s]"):format(table.concat(x.shape, ", ")) end
function options.tensor_text (x) return x.dtype .. " " .. options.shape_text(x) end

local function fits (v, expected)
  if v ~= v then return false end                    -- NaN is no number here
  if getmetatable(expected) ~= Any then
    if math.type(expected) == "integer" then return math.tointeger(v) ~= nil and type(v) == "number" end
    return type(v) == type(expected)
  end
  if #expected == 0 then return true end
  for _, t in ipairs(expected) do
    if t == type(v) or t == type_of(v) or (t == "integer" and type(v) == "number" and
                                           math.tointeger(v)) then return true end
    if t == "callable" and (type(v) == "function" or (getmetatable(v) or {}).__call) then return true end
  end
  return false
end

local function wanted (expected)
  if getmetatable(expected) == Any then return table.concat(expected, " or ") end
  return math.type(expected) == "integer" and "integer" or type(expected)
end

-- options(fname, given, known): given's values over the defaults in known; an error names fname.
function options.read (fname, given, known)
  if given ~= nil and type(given) ~= "table" then
    error(("%s: a table of options expected, got %s"):format(fname, type_of(given)))
  end
  local out = {}
  for k, v in pairs(known) do if getmetatable(v) ~= Any then out[k] = v end end
  for k, v in pairs(given or {}) do
    if type(k) ~= "string" then
      error(("%s: options are named, as in {name = value}, got the key %s"):format(fname, tostring(k)))
    elseif known[k] == nil then
      local near = options.nearest(k, known)
      error(("%s: unknown option '%s' (%s)"):format(fname, k, near and "did you mean '" .. near .. "'?" or
                                                    "it takes none"))
    elseif not fits(v, known[k]) then
      error(("%s: option '%s': %s expected, got %s"):format(fname, k, wanted(known[k]), v ~= v and "nan" or type_of(v)))
    end
    if math.type(known[k]) == "integer" then v = math.tointeger(v) end
    out[k] = v
  end
  return out
end

-- An argument that must be an integer of at least least.
function options.integer (fname, name, v, least)
  local i = type(v) == "number" and math.tointeger(v)
  if not i or i < least then
    local got = type(v) == "number" and tostring(v) or type_of(v)
    error(("%s: %s: an integer of at least %d expected, got %s"):format(fname, name, least, got))
  end
  return i
end

-- An argument that must be of one of the types.
function options.argument (fname, name, v, ...)
  local expected = options.any(...)
  if not fits(v, expected) then
    error(("%s: %s: %s expected, got %s"):format(fname, name, wanted(expected), type_of(v)))
  end
  return v
end

-- Names where options would stand, since E:params() as a last argument hands on both its results.
function options.are_names (given) return type(given) == "table" and type(given[1]) == "string" end

-- The object that a method was called with: self, of this class; `object` names one.
function options.colon (fname, self, class, object, call)
  if getmetatable(self) ~= class then error(("%s: a colon expected, as in %s:%s"):format(fname, object, call)) end
end

local NAMES = {["positive"] = "a positive number", ["at least 0"] = "a number of at least 0"}
local RANGES = {
  ["positive"] = function (v) return v > 0 and v < math.huge end,
  ["at least 0"] = function (v) return v >= 0 and v < math.huge end,
  ["in [0, 1)"] = function (v) return v >= 0 and v < 1 end,
  ["in [0, 1]"] = function (v) return v >= 0 and v <= 1 end,
}

-- The numbers among the named options of o must lie in a range, as in options.range("optim.sgd", o, "positive", "lr").
function options.range (fname, o, range, ...)
  for _, name in ipairs {...} do
    local v = o[name]
    if type(v) == "number" and not RANGES[range](v) then
      local wanted_number = NAMES[range] or "a number " .. range
      error(("%s: option '%s': %s expected, got %.14g"):format(fname, name, wanted_number, v))
    end
  end
end

return setmetatable(options, {__call = function (_, ...) return options.read(...) end})
