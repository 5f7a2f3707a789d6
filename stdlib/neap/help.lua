-- help.lua -- neap.help(name): what a function does, in the terminal.
-- Ops are described by their rows of the op table, all else by help_topics.lua.
-- Invariant: a topic is known by its full name without "neap." ("sampler.hmc", "E:score") and by its last part.

local core = require "neap.core"
local options = require "neap.options"
local error = core._error

local M = {}

-- Ops that are there for other ops to be made of: name -> true.
M.parts = {}
for name in ("alias anchor argmedian argtopk bmm cast convolve convolve_input convolve_weight eigh_packed eigh_vectors "
             .. "pool_argmax pool_sum solve_lu solve_tri unpool_sum unslice"):gmatch "%S+" do M.parts[name] = true end

-- "x min:n? {beta:n=1}" -> "x:name([min] [, {beta=1}])"
local function usage (row)
  local positional, named = {}, {}
  local plain, braces = row.sig:match "^([^{]*){?([^}]*)"
  for word in plain:gmatch "%S+" do
    local name = word:match "^[%w_]+"
    local optional = word:find "?" or word:find "="
    positional[#positional + 1] = word:find "%*" and "{" .. name .. "}" or optional and "[" .. name .. "]" or name
  end
  for word in braces:gmatch "[^%s,]+" do
    named[#named + 1] = word:match "^[%w_]+" .. "=" .. (word:match "=([^?]+)" or "")
  end
  local inside = table.concat(positional, ", ", 2)
  if #named > 0 then inside = inside .. (inside == "" and "" or " ") .. "[{" .. table.concat(named, ", ") .. "}]" end
  if row.sig:find "^%w+%*" or row.sig:find "^%w+:" then
    return ("neap.%s(%s)"):format(row.name, (positional[1] or "") .. (inside == "" and "" or ", ") .. inside)
  end
  return ("%s:%s(%s)"):format(positional[1] or "x", row.name, inside)
end

-- ---- the topics ----------------------------------------------------------------------------------

-- The last part of a name: "hmc" of "sampler.hmc" and "neap.sampler.hmc".
local function last_part (name) return name:match "([%w_]+)$" or name end

-- {title =, text =, names = {sorted}}, one for each group; and name -> {usage, text}.
local function read ()
  local groups, topics = {}, {}
  local function add (title, text, entries)
    local names = {}
    for name, entry in pairs(entries) do
      names[#names + 1] = name
      topics[name] = entry
    end
    table.sort(names)
    groups[#groups + 1] = {title = title, text = text, names = names}
  end
  local ops, parts = {}, {}
  for _, row in ipairs(core.ops()) do (M.parts[row.name] and parts or ops)[row.name] = {usage(row), row.doc} end
  add("ops", "both neap.op(x, …) and x:op(…); two tensors broadcast as in NumPy; dims not given are all of them", ops)
  for _, g in ipairs(require "neap.help_topics") do add(g[1], g[3] and g[2], g[3] or g[2]) end
  add("parts other ops are made of", nil, parts)
  return groups, topics
end

local groups, topics

local function known ()
  if not topics then groups, topics = read() end
  return topics, groups
end

-- name -> usage, text; nil when unknown.  Only full names.
function M.describe (name)
  local entry = known()[name]
  if entry then return entry[1], entry[2] end
end

-- All described names, sorted.
function M.names ()
  local names = {}
  for name in pairs(known()) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function group_of (title)
  local _, all = known()
  for _, g in ipairs(all) do
    if g.title == title then return g end
  end
end

-- Full names that a name means: itself, or all that end in its last part.
local function matches (name)
  if topics[name] then return {name} end
  local found = {}
  for _, full in ipairs(M.names()) do
    if last_part(full) == last_part(name) then found[#found + 1] = full end
  end
  return found
end

-- The full name nearest to one that is not known.
local function nearest (name)
  local names = {}
  for full in pairs(known()) do names[full], names[last_part(full)] = true, true end
  local near = options.nearest(name, names)
  return matches(near)[1]
end

-- ---- from a function or an object to its name ----------------------------------------------------

local kinds = {tensor = "tensors", energy = "E", rng = "rng", ["neap.sampler"] = "sampler", ["neap.loss"] = "loss",
               ["neap.optim"] = "optim", ["neap.schedule"] = "schedule", ["neap.plot"] = "plot"}

-- The name of a function of the library, or of the group that an object belongs to; nil when it is neither.
local function name_of (v)
  local neap = require "neap"
  for full in pairs(known()) do
    local part, name = full:match "^([%w_]+)%.([%w_]+)$"
    local at = part and rawget(neap, part) or not part and neap
    if at and rawget(at, name or full) == v then return full end
  end
  for _, g in ipairs(groups) do
    if not g.title:find " " and rawget(neap, g.title) == v then return g.title end
  end
  return kinds[options.type_of(v)] or type(v) == "table" and kinds[(getmetatable(v) or {}).__name] or nil
end

-- ---- text ----------------------------------------------------------------------------------------

local function wrapped (lines, names)
  local line = " "
  for _, name in ipairs(names) do
    if #line + #name > 98 then lines[#lines + 1], line = line, " " end
    line = line .. " " .. name
  end
  lines[#lines + 1] = line
end

local function heading (g) return g.title .. (g.text and ": " .. g.text or "") end

local function overview ()
  known()
  local lines = {"neap.help(name) describes one of these, or a group of them.  [B, D] is a shape of B rows; of a type, "
                 .. "shape or value that does not fit an error says what was given and what was expected."}
  for _, g in ipairs(groups) do
    lines[#lines + 1] = heading(g)
    wrapped(lines, g.names)
  end
  return table.concat(lines, "\n")
end

local function entry_text (full) return topics[full][1] .. "\n  " .. topics[full][2] end

local function group_text (g, shown)
  local lines = {heading(g)}
  for _, full in ipairs(g.names) do
    if full ~= shown then lines[#lines + 1] = entry_text(full) end
  end
  return table.concat(lines, "\n")
end

-- Other topics with the same last part: "schedule.linear" for the op linear.
local function see_also (name)
  local others = {}
  for _, full in ipairs(M.names()) do
    if full ~= name and last_part(full) == name then others[#others + 1] = full end
  end
  return #others > 0 and "  see also " .. table.concat(others, ", ") or nil
end

-- What help prints; nil for an unknown name.
local function text_of (name)
  local parts, group = {}, group_of(name)
  for _, full in ipairs(group and not topics[name] and {} or matches(name)) do
    parts[#parts + 1] = entry_text(full)
  end
  if topics[name] then
    parts[#parts + 1] = see_also(name)
    for _, full in ipairs(M.names()) do
      if not group and full:sub(1, #name + 1) == name .. ":" then parts[#parts + 1] = entry_text(full) end
    end
  end
  if group then parts[#parts + 1] = group_text(group, name) end
  return #parts > 0 and table.concat(parts, "\n") or nil
end

-- help([name | function | object]) prints; an unknown name is an error that names the nearest known one.
function M.help (name)
  if name == nil or name == "neap" or name == require "neap" then print(overview()) return end
  if type(name) == "number" or type(name) == "boolean" then
    error(("bad argument #1 to 'help' (string expected, got %s)"):format(type(name)))
  end
  known()
  local asked = type(name) == "string" and (name:gsub("^neap%.", "")) or name_of(name)
  if not asked then error(("help: nothing is known of this %s"):format(type(name))) end
  local text = text_of(asked)
  if not text then error(("help: nothing is known of '%s' (did you mean '%s'?)"):format(name, nearest(asked))) end
  print(text)
end

return M
