-- Bad input is a Lua error that names the user's line, whatever part of the library finds it, and leaves the state
-- usable.
-- The calls are lines of wrong_*.txt; in them G and H are Gaussians of two and one dimensions, R an RBM, E and C
-- networks.
local lu = require "luaunit"
local raises = require("energy.near").raises

local T = {}
local here = debug.getinfo(1, "S").source:match "^@(.*)/" or "."

local function environment ()
  local e = {f64 = {dtype = "float64"}, nan = 0 / 0, inf = 1 / 0}
  e.G = neap.energy.gaussian {mean = {0, 0}, std = 1}
  e.H = neap.energy.gaussian {mean = {0}, std = 1}
  e.R = neap.energy.rbm {visible = 3, hidden = 2}
  e.E = neap.energy.mlp {sizes = {2, 3}}
  e.C = neap.energy.mlp {sizes = {2, 3}, condition = 1}
  e.mala, e.gibbs = neap.sampler.mala {step_size = 1}, neap.sampler.gibbs {}
  e.dsm = neap.loss.dsm {sigma = 1}
  return setmetatable(e, {__index = _G})
end

-- Not a tail call, which would leave no line to name.
local function compile (line, env)
  return load("local r = " .. line .. " return r", "=user", "t", env) or assert(load(line, "=user", "t", env))
end

local function check_file (name)
  local env, faults = environment(), {}
  for line in io.lines(here .. "/" .. name) do
    if line:sub(1, 1) ~= "#" then
      local ok, message = pcall(compile(line, env))
      message = tostring(message)
      if ok then faults[#faults + 1] = "accepted: " .. line
      elseif not message:find "^user:1: ." or message:find "attempt to" or message:find("neap/", 1, true) then
        faults[#faults + 1] = line .. " -> " .. message
      end
    end
  end
  lu.assertEquals(faults, {})
  lu.assertEquals((neap.ones(2, 2):matmul(neap.ones(2)) + 1):totable(), {3, 3})
end

function T.test_wrong_tensors () check_file "wrong_tensors.txt" end
function T.test_wrong_models () check_file "wrong_models.txt" end
function T.test_wrong_data () check_file "wrong_data.txt" end

-- Messages name what was given and what was expected.
function T.test_messages_have_shapes ()
  local z = neap.zeros
  raises("matmul: inner sizes differ: [2, 3] x [2, 3]", function () return z(2, 3):matmul(z(2, 3)) end)
  raises("add: shapes [2, 3] and [2, 2] cannot be broadcast together", function () return z(2, 3) + z(2, 2) end)
  raises("reshape: shape [2, 3] does not fit the sizes [4]", function () return z(2, 3):reshape(4) end)
  raises("did you mean 'step_size'", neap.sampler.mala, {stepsize = 1})
  raises("did you mean 'noise'", neap.data.moons, 3, {noize = 1})
  raises("mlp: x must be [B, 2], got [3, 3]", neap.energy.mlp {sizes = {2, 3}}, z(3, 3))
  raises("step_size: a positive number expected, got -1", neap.sampler.mala, {step_size = -1})
  raises("masked_fill: ", function () return z(3):masked_fill(z(2):gt(0), 1) end)
  raises("cross_entropy: ", neap.cross_entropy, z(1, 3), neap.tensor({4}, {dtype = "int64"}))
end

-- ---- files ----

local function damaged (ending, bytes, f)
  local path = os.tmpname()
  local full = path .. ending
  local file = assert(io.open(full, "wb"))
  file:write(bytes)
  file:close()
  local ok, message = pcall(f, full)
  os.remove(path)
  os.remove(full)
  lu.assertFalse(ok, ending)
  lu.assertStrContains(message, full)
end

function T.test_missing_empty_and_damaged_files ()
  local loaders = {[".idx"] = neap.data.idx, [".csv"] = neap.data.csv, [".png"] = neap.image.load, [".npy"] = neap.load,
    [".npz"] = neap.load, [".safetensors"] = neap.load}
  for ending, f in pairs(loaders) do
    raises("/nonexistent/x" .. ending, f, "/nonexistent/x" .. ending)
    damaged(ending, "", f)
    damaged(ending, "1,2\n3,x\n" .. ("\1"):rep(100), f)
  end
  damaged(".idx", string.pack(">I4I4I4", 0x00000802, 2, 3) .. "abc", neap.data.idx)
  damaged(".csv", "1,2\n3\n", neap.data.csv)
  damaged(".safetensors", "1,2\n3\n", neap.energy.load)
end

function T.test_truncated_files ()
  for _, ending in ipairs {".npy", ".npz", ".safetensors", ".png"} do
    local path = os.tmpname()
    local full = path .. ending
    if ending == ".png" then neap.image.save(full, neap.rand(20, 20)) else neap.save(full, {x = neap.rand(20, 20)}) end
    local file = assert(io.open(full, "rb"))
    local bytes = file:read "a"
    file:close()
    os.remove(path)
    os.remove(full)
    for _, n in ipairs {4, 40, #bytes // 2, #bytes - 3} do
      damaged(ending, bytes:sub(1, n), ending == ".png" and neap.image.load or neap.load)
    end
  end
end

-- ---- tapes, memory, empties ----

function T.test_written_since ()
  local x, w = neap.tensor({1, 2}):requires_grad(), neap.tensor {3, 4}
  local y = (x * w):sum()
  w[1] = 0
  raises("written", neap.gradients, y, x)
  raises("[2]", function () (x * 2):backward() end)
  lu.assertEquals(neap.gradients((x * w):sum(), x):totable(), {0, 4})
end

function T.test_memory_cap ()
  neap.memory_cap(64 << 20)
  local ok, message = pcall(function () return neap.zeros(1 << 28) end)
  neap.memory_cap(0)
  lu.assertFalse(ok)
  lu.assertStrContains(message, "memory")
  lu.assertStrContains(message, "test_bad_input.lua")
  lu.assertEquals(neap.ones(3):sum():item(), 3)
end

function T.test_size_zero ()
  local z = neap.zeros(0, 3)
  lu.assertEquals((z * 2):sum(1):totable(), {0, 0, 0})
  lu.assertEquals(z:sum(2).shape, {0})
  lu.assertEquals(neap.cat({z, neap.ones(1, 3)}, 1).shape, {1, 3})
  lu.assertEquals(z[{{}, 1}].shape, {0})
  lu.assertEquals(neap.energy.gaussian {mean = {0, 0, 0}, std = 1}(z).shape, {0})
  lu.assertEquals(neap.energy.mlp {sizes = {3, 4}}:score(z).shape, {0, 3})
  raises("max", function () return neap.zeros(0):max() end)
end

function T.test_an_error_in_a_callback_keeps_its_line_and_value ()
  local E = neap.energy(function () error "boom" end)
  local ok, message = pcall(E, neap.zeros(2, 2))
  lu.assertFalse(ok)
  lu.assertStrMatches(message, ".*test_bad_input.lua:%d+: boom")
  local thrown = {}
  ok, message = pcall(neap.energy(function () error(thrown) end), neap.zeros(2, 2))
  lu.assertFalse(ok)
  lu.assertTrue(rawequal(message, thrown))
end

-- The line is the user's although the fault is found deep in the library.
function T.test_the_line_is_the_users ()
  local function line_of (f, ...)
    local _, message = pcall(f, ...)
    return tonumber(message:match "test_bad_input.lua:(%d+): ")
  end
  local first = debug.getinfo(1, "l").currentline
  lu.assertEquals(line_of(function ()
    local x = neap.data.standardize(neap.zeros(0, 2))
    return x
  end), first + 2)
  lu.assertEquals(line_of(function ()
    local E = neap.energy.mlp {sizes = {2, 3}}
    local history = neap.train(E, neap.zeros(4, 3), {loss = neap.loss.dsm {sigma = 1}, steps = 1})
    return history
  end), first + 7)
  lu.assertEquals(line_of(function ()
    local g = neap.grad(function (x) return x end)(neap.zeros(3))
    return g
  end), first + 11)
end

return T
