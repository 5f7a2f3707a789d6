-- file.lua -- neap.save and neap.load: tensors in files, by the ending of the name.
-- .safetensors and .npz hold tables of tensors by name, .npy and .csv one tensor.

local neap = require "neap"
local options = require "neap.options"
local core = require("neap.core")._files
local error = options.error

local file = {}
local ONE = {npy = true, csv = true}
local MANY = {safetensors = true, npz = true}

local function ending_of (fname, path)
  if type(path) ~= "string" then error(("%s: path: string expected, got %s"):format(fname, options.type_of(path))) end
  local ending = (path:match "%.([^./]+)$" or ""):lower()
  if not ONE[ending] and not MANY[ending] then
    error(("%s: %s: an ending .safetensors, .npy, .npz or .csv expected"):format(fname, path))
  end
  return ending
end

-- Names and tensors of a table; nested tables give names with dots, positions their number.
local function flatten (t, prefix, out)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys, function (a, b)
    if type(a) == type(b) then return a < b end
    return type(a) == "number"
  end)
  for _, k in ipairs(keys) do
    local name = prefix .. tostring(k)
    if type(t[k]) == "table" then flatten(t[k], name .. ".", out)
    else out.names[#out.names + 1], out.tensors[#out.tensors + 1] = name, t[k] end
  end
  return out
end

-- save(path, tensor | {name = tensor, …} [, {metadata = {key = string}, names = {…}}]).  metadata: .safetensors;
-- names: of a .csv's columns.  The file appears under its name only when it is whole.
function file.save (path, x, given)
  local ending = ending_of("save", path)
  local o = options("save", given, {metadata = options.any "table", names = options.any "table"})
  if type(x) == "table" and ONE[ending] and #x == 1 then x = x[1] end
  if type(x) == "table" and ONE[ending] then
    error(("save: %s: one tensor expected, got a table"):format(path))
  elseif type(x) ~= "table" then
    x = {data = x}
  end
  if o.names and ending ~= "csv" then error(("save: %s: option 'names' is for .csv files"):format(path)) end
  local flat = flatten(x, "", {names = {}, tensors = {}})
  if ending == "csv" then return core.save_csv(path, flat.tensors[1], o.names) end
  core.save(path, flat.names, flat.tensors, o.metadata)
end

-- load(path) -> {name = tensor, …}, metadata (.safetensors, .npz); tensor (.npy); tensor, names of columns or nil
-- (.csv).
function file.load (path)
  local ending = ending_of("load", path)
  if ending == "csv" then return core.load_csv(path) end
  local names, tensors, metadata = core.load(path)
  if ending == "npy" then return tensors[1] end
  local out = {}
  for i, name in ipairs(names) do out[name] = tensors[i] end
  return out, metadata
end

return file
