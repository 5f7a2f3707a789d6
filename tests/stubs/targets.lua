-- targets.lua -- the public functions of neap, found in the library itself: what neap and its parts hold, the methods
-- of its objects, and what calling, indexing, printing and counting an object does.
-- Invariant: one entry for each function, with every table in which users, or neap's own Lua library, find it; a
-- name means the same in every process.

local help = require "neap.help"

local function is_public (key) return type(key) == "string" and not key:find "^_" end

local function sorted (t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function (a, b) return tostring(a) < tostring(b) end)
  return keys
end

local entries, by_function = {}, {}

-- {name =, real = the function, places = {{table, key}, …}, calls = whether it is an object's __call}
local function add (name, t, key)
  local f = rawget(t, key)
  if type(f) ~= "function" then return end
  local entry = by_function[f]
  if not entry then
    entry = {name = name, real = f, places = {}, calls = key == "__call"}
    entries[#entries + 1], by_function[f] = entry, entry
  end
  entry.places[#entry.places + 1] = {t, key}
end

-- ---- neap and its parts ----

-- Parts of the library load on first use.
local function load_all ()
  for _, name in ipairs(help.names()) do local _ = neap[name:match "^[%w_]+"] end
end

local seen = {}

-- A table of functions, and those in it; first the functions, so that neap.exp is not called op.exp.
local function walk (prefix, t)
  if seen[t] then return end
  seen[t] = true
  for _, key in ipairs(sorted(t)) do
    if is_public(key) then add(prefix .. key, t, key) end
  end
  for _, key in ipairs(sorted(t)) do
    local v = t[key]
    if is_public(key) and type(v) == "table" and v ~= neap.core then
      local meta = debug.getmetatable(v)
      if meta and not rawget(meta, "__name") then add(prefix .. key .. "()", meta, "__call") end
      walk(prefix .. key .. ".", v)
    end
  end
end

-- ---- objects ----

-- Indexing finds every method, and what closes or collects gives nothing: no stub can stand for these.
local silent = {__gc = true, __close = true, __index = true, __newindex = true}

local function methods_of (meta)
  local index = rawget(meta, "__index")
  if type(index) ~= "function" then return index end
  local _, methods = debug.getupvalue(index, 1)
  return type(methods) == "table" and methods or nil
end

local function add_class (name, meta)
  if seen[meta] then return end
  seen[meta] = true
  local methods = methods_of(meta) or {}
  for _, key in ipairs(sorted(methods)) do
    if is_public(key) then add(name .. ":" .. key, methods, key) end
  end
  for _, key in ipairs(sorted(meta)) do
    if type(key) == "string" and key:find "^__" and not silent[key] then add(name .. "." .. key, meta, key) end
  end
  if name == "tensor" then                              -- x[i] and x[i] = v
    add("tensor.__index", meta, "__index")
    add("tensor.__newindex", meta, "__newindex")
  end
end

-- What neap.compile and neap.scan are made of: core._program makes them, for nobody else.
local private = {["neap.program"] = true, ["neap.compiled"] = true, ["neap.steps"] = true, ["neap.tracer"] = true}

-- Classes of the module in C are in the registry, the tensor's under an address.
local function add_registered ()
  local registry = debug.getregistry()
  for _, key in ipairs(sorted(registry)) do
    local meta = registry[key]
    local ours = type(key) == "userdata" or type(key) == "string" and key:find "^neap%." and not private[key]
    if ours and type(meta) == "table" and (rawget(meta, "__gc") or rawget(meta, "__tostring")) then
      add_class((type(key) == "string" and key or meta.__name):gsub("^neap%.", ""), meta)
    end
  end
end

-- Classes of the library in Lua are what its functions know by a name of neap's.
local function add_known_to (f)
  if seen[f] then return end
  seen[f] = true
  for i = 1, math.huge do
    local name, v = debug.getupvalue(f, i)
    if not name then return end
    if type(v) == "function" then add_known_to(v) end
    local class = type(v) == "table" and rawget(v, "__name")
    if type(class) == "string" and class:find "^neap%." then add_class(class:gsub("^neap%.", ""), v) end
  end
end

-- ---- all of them ----

-- Where the library's own parts find them.
local function add_places ()
  local tables = {neap.core}
  for _, name in ipairs(sorted(package.loaded)) do
    if name:find "^neap%." and type(package.loaded[name]) == "table" then tables[#tables + 1] = package.loaded[name] end
  end
  for _, t in ipairs(tables) do
    for key, v in pairs(t) do
      local entry = type(v) == "function" and by_function[v]
      if entry then entry.places[#entry.places + 1] = {t, key} end
    end
  end
end

load_all()
walk("", neap)
add_registered()
for i = 1, #entries do add_known_to(entries[i].real) end
add_places()
return entries
