-- reference.lua -- writes docs/reference.md from the op table: build/neap mk/reference.lua [file]
-- `make test` compares the page with the table, so it cannot fall behind.

local types = { i = "integer", n = "number", b = "boolean", d = "dimension", D = "dimensions", S = "sizes", t = "tensor", e = "text" }

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

local function page()
  local out = {
    "# Ops", "",
    "Every op is both `neap.op(x, …)` and `x:op(…)`. Made from the op table by `build/neap mk/reference.lua`; `neap.help(\"name\")` shows a row in the REPL.",
    "Dimensions and indices start at 1, negative ones count from the end. `[x]` may be left out; options come as one table at the end.", "",
    "| call | what it gives | arguments | derivative |", "|---|---|---|---|" }
  for _, row in ipairs(neap.core.ops()) do
    out[#out + 1] = ("| `%s` | %s | %s | %s |"):format(call_of(row), row.doc:gsub("|", "\\|"), note_of(row), derivative[row.kind])
  end
  return table.concat(out, "\n") .. "\n"
end

if arg and arg[0] and arg[0]:find("reference.lua$") then
  local path = arg[1] or "docs/reference.md"
  local f = assert(io.open(path, "w"))
  f:write(page())
  f:close()
end
return page
