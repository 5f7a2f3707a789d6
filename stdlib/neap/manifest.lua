-- manifest.lua -- a nested table as a text, in which * stands for each tensor: what neap.save keeps beside them.
-- {"steps":12,"averages":{"mean":{1:*,2:*}}}: keys are integers or strings, other values numbers (floats in
-- hexadecimal), strings, true and false.
-- Invariant: read(write(t)) is t: every number comes back with its type and bits, every key as it was.

local tree = require "neap.tree"

local manifest = {DEPTH = 200}           -- tables within tables, at most

-- ---- writing ----

local function quote (s)
  return '"' .. s:gsub('[%c"\\\128-\255]', function (c) return ("\\%03d"):format(c:byte()) end) .. '"'
end

-- A value that is no tensor, or nil.
local function plain (v)
  if type(v) == "string" then return quote(v) end
  if type(v) == "boolean" then return tostring(v) end
  if type(v) == "number" then return v ~= v and "nan" or ("%q"):format(v) end
end
manifest.plain = plain

local function write (t)
  if type(t) ~= "table" then return plain(t) or "*" end
  local list = {}
  for i, k in ipairs(tree.keys(t)) do list[i] = plain(k) .. ":" .. write(t[k]) end
  return "{" .. table.concat(list, ",") .. "}"
end
manifest.write = write

-- ---- reading ----

local WORDS = {["true"] = true, ["false"] = false, nan = 0 / 0}

local function malformed (at) error(("malformed at byte %d"):format(at), 0) end

local function read_string (text, at)
  local inside, after = text:match('^"([^"]*)"()', at)
  if not inside then malformed(at) end
  return (inside:gsub("\\(%d%d%d)", function (d)
    if tonumber(d) > 255 then malformed(at) end
    return string.char(tonumber(d))
  end)), after
end

-- A string, number, true or false, and where it ends.
local function read_plain (text, at)
  if text:byte(at) == 34 then return read_string(text, at) end
  local word, after = text:match("^([%w.+-]+)()", at)
  local v = word and WORDS[word]
  if v == nil then v = word and tonumber(word) end
  if v == nil then malformed(at) end
  return v, after
end

local read

local function read_key (text, at)
  local key, after = read_plain(text, at)
  if type(key) ~= "string" and math.type(key) ~= "integer" or text:byte(after) ~= 58 then malformed(at) end
  return key, after + 1
end

local function read_table (text, at, path, give, depth)
  local out, key = {}, nil
  if depth > manifest.DEPTH then malformed(at) end
  if text:byte(at + 1) == 125 then return out, at + 2 end
  repeat
    key, at = read_key(text, at + 1)
    out[key], at = read(text, at, path and path .. "." .. key or tostring(key), give, depth + 1)
  until text:byte(at) ~= 44
  if text:byte(at) ~= 125 then malformed(at) end
  return out, at + 1
end

function read (text, at, path, give, depth)
  local first = text:byte(at)
  if first == 123 then return read_table(text, at, path, give, depth) end
  if first ~= 42 then return read_plain(text, at) end
  return give(path) or error(("it names the tensor '%s', which is not there"):format(path), 0), at + 1
end

-- The table that write made text of, with give(path) for its tensors, path being the keys on the way joined by dots.
-- nil and a reason when text is none that write makes.
function manifest.read (text, give)
  local ok, out, after = pcall(read, text, 1, nil, give, 1)
  if ok and type(out) == "table" and after == #text + 1 then return out end
  return nil, ok and "malformed" or out
end

return manifest
