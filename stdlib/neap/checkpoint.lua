-- checkpoint.lua -- a training run as a table, to roll back to, and as a file, to go on from.
-- A run is {step =, params =, names =, optimizer =, loss =, data =, rng =, ema =, recorder =, guard =}, the last seven
-- being whatever has state() and set_state(t), or nothing.
-- Invariant: all that the next step depends on is in the table, so a run goes on from it to the same bits; a file is
-- whole or is refused, and the one before it stays beside it.

local neap = require "neap"
local options = require "neap.options"
local manifest = require "neap.manifest"
local tree = require "neap.tree"
local files = require("neap.core")._files
local error, text_of = options.error, options.tensor_text

local checkpoint = {}

local PARTS = {"optimizer", "loss", "data", "rng", "ema", "recorder", "guard"}

-- x[name] as a function, for any x.
function checkpoint.method (x, name)
  local ok, f = pcall(function () return x[name] end)
  return ok and type(f) == "function" and f or nil
end

-- ---- tables ----

-- What the run's next step depends on; without: a part to leave out.
function checkpoint.take (run, without)
  local out = {step = run.step, params = {}, random = neap.rng_state(), optimizer_name = run.optimizer.name}
  for i, p in ipairs(run.params) do out.params[run.names[i]] = p:detach():clone() end
  for _, name in ipairs(PARTS) do
    local part = run[name]
    local state = name ~= without and part ~= nil and checkpoint.method(part, "state")
    if state then out[name] = state(part) end
  end
  return out
end

-- The run becomes what take(run) saw.
function checkpoint.put (run, t)
  for i, p in ipairs(run.params) do p[{}] = t.params[run.names[i]] end
  for _, name in ipairs(PARTS) do
    if t[name] and run[name] ~= nil then run[name]:set_state(t[name]) end
  end
  neap.set_rng_state(t.random)
  run.step = t.step
end

-- ---- files ----

-- Over all bytes: the text of the tables, then the tensors in order.
local function checksum (t)
  local crc = files.crc(manifest.write(t))
  for _, x in ipairs(tree.leaves(t)) do crc = files.crc(x, crc) end
  return ("%08x"):format(crc)
end

-- Where the checkpoint before the last one lies.
function checkpoint.previous (path) return (path:gsub("%.safetensors$", ".previous.safetensors")) end

-- path is only ever whole: the file before gets its second name first, then the new one takes its place.
function checkpoint.save (run, path)
  local t = checkpoint.take(run)
  files.link(path, checkpoint.previous(path))
  neap.save(path, t, {metadata = {["neap.checkpoint"] = checksum(t)}})
end

function checkpoint.exists (path)
  local f = io.open(path, "rb")
  return f ~= nil and f:close()
end

local function refuse (path, why)
  local before = checkpoint.previous(path)
  local hint = checkpoint.exists(before) and ("; the one before is %s"):format(before) or ""
  error(("train: resume: %s: %s%s"):format(path, why, hint))
end

-- The table in a file, unchanged since it was written.
local function read (path)
  if not checkpoint.exists(path) then error(("train: resume: %s: there is no such file"):format(path)) end
  local ok, t, metadata = pcall(neap.load, path)
  if not ok then refuse(path, "it cannot be read: " .. tostring(t)) end
  local sum = metadata["neap.checkpoint"]
  if not sum then error(("train: resume: %s: no checkpoint of neap.train"):format(path)) end
  if checksum(t) ~= sum then refuse(path, "its bytes are not those that were written") end
  return t
end

-- A file of another model is refused before anything changes.
local function check (run, path, t)
  local function wrong (what) error(("train: resume: %s: %s"):format(path, what)) end
  local known = {}
  for i, name in ipairs(run.names) do
    local there, here = t.params[name], text_of(run.params[i])
    known[name] = true
    if not there then wrong(("parameter '%s': %s expected, got none"):format(name, here)) end
    if text_of(there) ~= here then
      wrong(("parameter '%s': %s expected, as the energy has it, got %s"):format(name, here, text_of(there)))
    end
  end
  for name in pairs(t.params) do
    if not known[name] then wrong(("parameter '%s', which the energy has not"):format(name)) end
  end
  if t.optimizer_name ~= run.optimizer.name then
    wrong(("optimizer: %s expected, got %s"):format(run.optimizer.name, t.optimizer_name))
  end
end

-- Takes the run to where the file's was; the file's table.
function checkpoint.load (run, path)
  local t = read(path)
  check(run, path, t)
  checkpoint.put(run, t)
  return t
end

-- ---- when ----

local SECONDS = 30           -- between files, unless steps are given

-- What neap.train's option asks for: a function of the run that writes the file when it is time, or always.
function checkpoint.writer (given)
  local o = type(given) == "string" and {path = given} or
            options("train: checkpoint", given, {path = options.any "string", every = options.any "integer"})
  if not (o.path or ""):find "%.safetensors$" then
    error(("train: checkpoint: a path that ends in .safetensors expected, got %s"):format(tostring(o.path)))
  end
  if o.every and o.every < 1 then
    error(("train: checkpoint: option 'every': at least 1 expected, got %d"):format(o.every))
  end
  local last = neap.clock()
  return function (run, always)
    local due = neap.clock() - last >= SECONDS
    if o.every then due = run.step % o.every == 0 end
    if not (due or always) then return end
    checkpoint.save(run, o.path)
    last = neap.clock()
  end, o.path
end

return checkpoint
