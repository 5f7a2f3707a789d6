-- file.lua -- neap.save and neap.load: tensors in files, by the ending of the name.
-- .safetensors and .npz hold tables of tensors by name, .npy and .csv one tensor.
-- Invariant: what a .safetensors file is made of comes back as it was: the manifest in its metadata tells how tables
-- lie in tables, and the values that are no tensors.

local neap = require "neap"
local options = require "neap.options"
local manifest = require "neap.manifest"
local tree = require "neap.tree"
local core = require("neap.core")._files
local error = options.error

local file = {}
local ONE = {npy = true, csv = true}
local MANY = {safetensors = true, npz = true}
local MANIFEST = "neap.tree"                   -- its key in the metadata

local function ending_of (fname, path)
  if type(path) ~= "string" then error(("%s: path: string expected, got %s"):format(fname, options.type_of(path))) end
  local ending = (path:match "%.([^./]+)$" or ""):lower()
  if not ONE[ending] and not MANY[ending] then
    error(("%s: %s: an ending .safetensors, .npy, .npz or .csv expected"):format(fname, path))
  end
  return ending
end

-- Names and tensors of a table; nested tables give names with dots, positions their number.  Also nested: whether it
-- has such tables; plain: the name of a value that is no tensor but may stand in a manifest.
local function flatten (t, prefix, out, depth)
  if depth > manifest.DEPTH then error(("save: tables within tables more than %d deep"):format(manifest.DEPTH)) end
  for k in pairs(t) do
    if type(k) ~= "string" and math.type(k) ~= "integer" then
      error(("save: names or numbers expected as keys, got a %s"):format(options.type_of(k)))
    end
  end
  for _, k in ipairs(tree.keys(t)) do
    local name, v = prefix .. tostring(k), t[k]
    if type(v) == "table" then
      out.nested = true
      flatten(v, name .. ".", out, depth + 1)
    elseif manifest.plain(v) then out.plain = out.plain or {name, v}
    else out.names[#out.names + 1], out.tensors[#out.tensors + 1] = name, v end
  end
  return out
end

-- The metadata of a .safetensors file of x.
local function metadata_of (path, x, flat, given)
  if given and given[MANIFEST] then
    error(("save: %s: metadata '%s': the name is reserved"):format(path, MANIFEST))
  end
  if not flat.nested and not flat.plain then return given end
  local out = {[MANIFEST] = manifest.write(x)}
  for k, v in pairs(given or {}) do out[k] = v end
  return out
end

local function tensors_only (path, ending, flat)
  if ending == "safetensors" or not flat.plain then return end
  local name, v = table.unpack(flat.plain)
  error(("save: %s: '%s': tensor expected, got %s"):format(path, name, options.type_of(v)))
end

-- What a .csv holds, and its columns' names: a tensor, or columns [rows] by name, beside each other.
local function rows_of (path, x, flat, o)
  if #flat.tensors == 1 and (type(x) ~= "table" or x[1]) then return flat.tensors[1], o.names end
  for i, column in ipairs(flat.tensors) do
    options.argument("save", ("column '%s'"):format(flat.names[i]), column, "tensor")
    if column.ndim ~= 1 or #column ~= #flat.tensors[1] then
      error(("save: %s: columns [%s] expected, column '%s' is %s"):format(path, #flat.tensors[1], flat.names[i],
                                                                       options.shape_text(column)))
    end
  end
  if #flat.tensors == 0 then error(("save: %s: a tensor or columns by name expected, got nothing"):format(path)) end
  return neap.stack(flat.tensors, 2), o.names or not x[1] and flat.names or nil
end

-- save(path, tensor | {name = tensor, …} [, {metadata = {key = string}, names = {…}}]).  Tables may lie in tables; in
-- .safetensors they come back so, and may hold numbers, strings and booleans, too: what state() gives can be saved.
-- metadata: .safetensors; names: of a .csv's columns, which a table of columns [rows] has of its own.  The file appears
-- under its name only when it is whole.
function file.save (path, x, given)
  local ending = ending_of("save", path)
  local o = options("save", given, {metadata = options.any "table", names = options.any "table"})
  if x == nil then error(("save: %s: a tensor or a table of tensors expected, got nil"):format(path)) end
  if o.names and ending ~= "csv" then error(("save: %s: option 'names' is for .csv files"):format(path)) end
  local flat = flatten(type(x) == "table" and x or {data = x}, "", {names = {}, tensors = {}}, 1)
  tensors_only(path, ending, flat)
  if ending == "csv" then return core.save_csv(path, rows_of(path, x, flat, o)) end
  if ending == "npy" and #flat.tensors ~= 1 then
    error(("save: %s: one tensor expected, got a table of %d"):format(path, #flat.tensors))
  end
  core.save(path, flat.names, flat.tensors, ending == "safetensors" and metadata_of(path, x, flat, o.metadata) or
            o.metadata)
end

-- The table of a file: as its manifest says, or flat where there is none.
local function assemble (path, names, tensors, metadata)
  local out, text = {}, metadata and metadata[MANIFEST]
  for i, name in ipairs(names) do
    local position = not text and name:find "^[1-9]%d*$" and math.tointeger(name)      -- an array comes back as one
    out[position or name] = tensors[i]
  end
  if not text then return out end
  metadata[MANIFEST] = nil
  local nested, why = manifest.read(text, function (name) return out[name] end)
  return nested or error(("%s: malformed metadata '%s': %s"):format(path, MANIFEST, why))
end

-- load(path) -> {name = tensor, …}, metadata (.safetensors, .npz); tensor (.npy); tensor, names of columns or nil
-- (.csv).  Tables that neap.save found in tables of a .safetensors file are nested again; names with dots that other
-- programs wrote, and those of .npz files, stay as they are.
function file.load (path)
  local ending = ending_of("load", path)
  if ending == "csv" then return core.load_csv(path) end
  local names, tensors, metadata = core.load(path)
  if ending == "npy" then return tensors[1] end
  return assemble(path, names, tensors, metadata), metadata
end

return file
