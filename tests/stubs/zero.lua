-- zero.lua -- the most convincing of stubs: results that look right, of the right type and shape, and say nothing.
-- zero(v) stands for v: zeros for a tensor, 0 for a number, an energy that is 0 everywhere, a sampler that stays where
-- it is, an optimiser that changes nothing.
-- Invariant: what this file uses of the library is taken from it before a stub is planted.

local core = neap.core
local recording = core._program.recording
local mul, zeros_like, any, ne = core.mul, core.zeros_like, core.any, core.ne
local tensor_class = debug.getmetatable(neap.zeros(1))
local index, numel, item = tensor_class.__index, core.numel, core.item
local scale = debug.getmetatable(neap.energy.double_well()).__mul
local rng, custom = neap.rng, neap.sampler.custom

local M = {changed = function () end}        -- called when zero(v) is another value than v
local zero

local function class_of (v)
  local meta = debug.getmetatable(v)
  return type(meta) == "table" and rawget(meta, "__name"), meta
end

-- f, its results made zero
local function silenced (f) return function (...) return M.results(f(...)) end end

-- ---- what stands for an object of a class ----

local of = {}

local function is_zero (x) return numel(x) == 0 or not item(any(ne(x, 0))) end

-- A float tensor keeps its tape.
function of.tensor (x)
  if not recording() and not is_zero(x) then M.changed() end
  local dtype = index(x, "dtype")
  if dtype == "float32" or dtype == "float64" then return mul(x, 0) end
  return zeros_like(x)
end

function of.energy (E)
  M.changed()
  return scale(0., E)
end

function of.rng ()
  M.changed()
  return rng(0)
end

of["neap.sampler"] = function ()
  M.changed()
  return custom{step = function (_, state) return {x = state.x} end}
end

-- loss(E, batch) is 0, and its derivatives are.
of["neap.loss"] = function (loss)
  local call = debug.getmetatable(loss).__call
  return setmetatable({}, {__name = "neap.loss", __call = function (_, ...) return M.results(call(loss, ...)) end,
    __index = function (_, name)
      local method = loss[name]
      return method and function (_, ...) return method(loss, ...) end
    end})
end

-- ---- tables ----

local function copied (t, with)
  local out = {}
  for key, v in next, t do out[key] = with(v) end
  return debug.setmetatable(out, debug.getmetatable(t))
end

-- Tensors and functions in an object of a class; its settings stay, or it would not be one.
local function hollow (v)
  local kind = type(v)
  if kind == "function" or class_of(v) == "tensor" then return zero(v) end
  return kind == "table" and not debug.getmetatable(v) and copied(v, hollow) or v
end

of["neap.optim"] = function (opt)
  M.changed()
  local out = copied(opt, hollow)
  out.lr = 0.
  return out
end

-- A figure with nothing in its panels.
of["neap.plot"] = function (figure)
  M.changed()
  local out = copied(figure, function (v) return v end)
  out.panels = copied(out.panels, function (panel)
    local empty = copied(panel, function (v) return v end)
    empty.marks = {}
    return empty
  end)
  return out
end

local function zero_table (t)
  local _, meta = class_of(t)
  if not meta then return copied(t, zero) end
  if type(meta.__index) == "table" then return copied(t, hollow) end
  if not meta.__call then return copied(t, zero) end
  return setmetatable(copied(t, hollow), {__name = meta.__name, __call = silenced(meta.__call)})
end

-- ---- values ----

local plain = {number = 0, string = "", boolean = false}

function zero (v)
  local kind, class = type(v), class_of(v)
  if kind == "string" then class = nil end               -- strings share a metatable
  if of[class] then return of[class](v) end
  if kind == "table" then return zero_table(v) end
  if kind == "function" then return silenced(v) end
  if plain[kind] == nil then return v end
  if v ~= plain[kind] then M.changed() end
  return math.type(v) == "float" and 0. or plain[kind]
end

function M.results (...)
  local all = table.pack(...)
  for i = 1, all.n do all[i] = zero(all[i]) end
  return table.unpack(all, 1, all.n)
end

return M
