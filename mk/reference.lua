-- reference.lua -- writes what follows from the op table.
--   build/neap mk/reference.lua                        docs/reference.md, the page of all ops
--   build/neap mk/reference.lua annotations meta.lua   what Lua language servers read; made by `make all`
-- `make test` compares the page with the table, so it cannot fall behind.

local internal = require("neap.help").parts
local types = { i = "integer", n = "number", b = "boolean", d = "dimension", D = "dimensions", S = "sizes", p = "number or {height, width}", t = "tensor",
                e = "text" }

-- "min:n? {beta:n=1}" -> the call as users write it, and notes on the arguments
local function call_of(row)
  local positional, options, in_braces = {}, {}, false
  for word in row.sig:gmatch("%S+") do
    if word:sub(1, 1) == "{" then in_braces = true; word = word:sub(2) end
    word = word:gsub("}$", "")
    local name, kind, rest = word:match("^([%w_]+)([:*?=]?)(.*)$")
    if in_braces then
      local default = rest:match("=(.*)$")
      options[#options + 1] = default and name .. " = " .. default or name .. " ="
    elseif kind == "*" then positional[#positional + 1] = "{" .. name .. "…}"
    elseif word:find("=", 1, true) then positional[#positional + 1] = ("[%s = %s]"):format(name, word:match("=(.*)$"))
    elseif word:sub(-1) == "?" then positional[#positional + 1] = "[" .. name .. "]"
    else positional[#positional + 1] = name end
  end
  if #options > 0 then positional[#positional + 1] = "{" .. table.concat(options, ", ") .. "}" end
  return ("neap.%s(%s)"):format(row.name, table.concat(positional, ", "))
end

local function note_of(row)
  local notes = {}
  for name, kind in row.sig:gmatch("([%w_]+):(%a)") do
    if types[kind] and kind ~= "n" then notes[#notes + 1] = name .. ": " .. types[kind] end
  end
  for name, choices in row.sig:gmatch("([%w_]+):s%((.-)%)") do notes[#notes + 1] = name .. ": " .. choices:gsub("|", " or ") end
  return table.concat(notes, ", ")
end

local derivative = { elementwise = "any order", linear = "any order", bilinear = "any order", general = "any order",
                     composite = "through its parts", zero = "zero" }

local function row_of(row)
  return ("| `%s` | %s | %s | %s |"):format(call_of(row), row.doc:gsub("|", "\\|"), note_of(row), derivative[row.kind])
end

-- the ops for users, or those that other ops are made of
local function add_table(out, parts)
  table.move({ "| call | what it gives | arguments | derivative |", "|---|---|---|---|" }, 1, 2, #out + 1, out)
  for _, row in ipairs(neap.core.ops()) do
    if (internal[row.name] or false) == parts then out[#out + 1] = row_of(row) end
  end
end

local function page()
  local out = {
    "# Ops", "",
    "Every op is both `neap.op(x, …)` and `x:op(…)`. Made from the op table by `build/neap mk/reference.lua`; `neap.help(\"name\")` shows a row in the REPL.",
    "Dimensions and indices start at 1, negative ones count from the end. What stands in brackets may be left out, or be nil where a later one is given:",
    "`x:clamp(nil, 2)` has no lower bound. Options come as one table at the end: `x:softplus{beta = 2}`, `x:var(1, true, {unbiased = false})`.", "" }
  add_table(out, false)
  table.move({ "", "## Parts other ops are made of", "",
    "They can be called, and their derivatives are what the ops above rest on, but each has a friendlier op above or in [tensors](tensors.md).", "" }, 1, 5, #out + 1, out)
  add_table(out, true)
  return table.concat(out, "\n") .. "\n"
end

-- ---- annotations for editors ----

local lua_types = { i = "integer", n = "number", b = "boolean", d = "integer", D = "integer|integer[]", S = "integer|integer[]",
                    p = "integer|integer[]", s = "string", t = "neap.Tensor", e = "string" }

-- the parameters of a row as {name, type, optional}; all options together are one table
local function parameters_of(row)
  local out, options = {}, {}
  local positional, braces = row.sig:match("^([^{]*)(.*)$")
  for word in positional:gmatch("%S+") do
    local name, kind = word:match("^([%w_]+):?(%a?)")
    out[#out + 1] = { name, word:find("*", 1, true) and "neap.Tensor[]" or lua_types[kind] or "neap.Tensor|number", word:sub(-1) == "?" }
  end
  for name, kind in braces:gmatch("([%w_]+):?(%a?)[^ }]*") do options[#options + 1] = name .. "?: " .. (lua_types[kind] or "neap.Tensor") end
  if #options > 0 then out[#out + 1] = { "options", "{" .. table.concat(options, ", ") .. "}", true } end
  return out
end

local function annotation_of(row)
  local lines, names = { "--- " .. row.doc }, {}
  for _, p in ipairs(parameters_of(row)) do
    local name = p[1] == "end" and "last" or p[1]
    names[#names + 1] = name
    lines[#lines + 1] = ("---@param %s%s %s"):format(name, p[3] and "?" or "", p[2])
  end
  lines[#lines + 1] = "---@return neap.Tensor"
  lines[#lines + 1] = ("function neap.%s(%s) end"):format(row.name, table.concat(names, ", "))
  lines[#lines + 1] = ("neap.Tensor.%s = neap.%s\n"):format(row.name, row.name)
  return table.concat(lines, "\n")
end

local function annotations()
  local out = { "---@meta neap", "-- meta.lua -- the ops for Lua language servers.  Made from the op table by build/neap mk/reference.lua: do not edit.",
                "", "---@class neap", "neap = {}", "", "---@class neap.Tensor", "neap.Tensor = {}", "" }
  for _, row in ipairs(neap.core.ops()) do out[#out + 1] = annotation_of(row) end
  return table.concat(out, "\n")
end

if arg and arg[0] and arg[0]:find("reference.lua$") then
  local make, path = page, arg[1] or "docs/reference.md"
  if path == "annotations" then make, path = annotations, arg[2] end
  local f = assert(io.open(path, "w"))
  f:write(make())
  f:close()
end
return page
