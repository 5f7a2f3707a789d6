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
  for k in pairs(t) do
    if type(k) ~= "string" and math.type(k) ~= "integer" then
      error(("save: names or numbers expected as keys, got a %s"):format(options.type_of(k)))
    end
    keys[#keys + 1] = k
  end
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

-- What a .csv holds, and its columns' names: a tensor, or columns [rows] by name, beside each other.
local function rows_of (path, x, flat, o)
  if #flat.tensors == 1 and (type(x) ~= "table" or x[1]) then return flat.tensors[1], o.names end
  for i, column in ipairs(flat.tensors) do
    options.argument("save", ("column '%s'"):format(flat.names[i]), column, "tensor")
    if column.ndim ~= 1 or #column ~= #flat.tensors[1] then
      error(("save: %s: columns [%s] expected, column '%s' is [%s]"):format(path, #flat.tensors[1], flat.names[i],
                                                                         table.concat(column.shape, ", ")))
    end
  end
  if #flat.tensors == 0 then error(("save: %s: a tensor or columns by name expected, got nothing"):format(path)) end
  return neap.stack(flat.tensors, 2), o.names or not x[1] and flat.names or nil
end

-- save(path, tensor | {name = tensor, …} [, {metadata = {key = string}, names = {…}}]).  metadata: .safetensors;
-- names: of a .csv's columns, which a table of columns [rows] has of its own.  The file appears under its name only
-- when it is whole.
function file.save (path, x, given)
  local ending = ending_of("save", path)
  local o = options("save", given, {metadata = options.any "table", names = options.any "table"})
  if x == nil then error(("save: %s: a tensor or a table of tensors expected, got nil"):format(path)) end
  if o.names and ending ~= "csv" then error(("save: %s: option 'names' is for .csv files"):format(path)) end
  local flat = flatten(type(x) == "table" and x or {data = x}, "", {names = {}, tensors = {}})
  if ending == "csv" then return core.save_csv(path, rows_of(path, x, flat, o)) end
  if ending == "npy" and #flat.tensors ~= 1 then
    error(("save: %s: one tensor expected, got a table of %d"):format(path, #flat.tensors))
  end
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
  for i, name in ipairs(names) do
    out[name:find "^[1-9]%d*$" and math.tointeger(name) or name] = tensors[i]        -- an array comes back as one
  end
  return out, metadata
end

return file
