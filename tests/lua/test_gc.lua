-- Lua's collector sees tensor bytes: peak memory stays near what is live, in both of its modes.
local lu = require "luaunit"

local T = {}
local raises = lu.assertErrorMsgContains
local MB = 1 << 20

local function peak_rss ()
  for line in io.lines "/proc/self/status" do
    local kb = line:match "^VmHWM:%s*(%d+)"
    if kb then return tonumber(kb) / 1024 end
  end
end

local function megabyte () return neap.zeros(2^18) end

local function fifty ()
  local live = {}
  for i = 1, 50 do live[i] = megabyte() end
  return live
end

local function temporaries (replace)
  local live = fifty()
  for i = 1, 2000 do
    local x = megabyte()
    if replace then live[i % 50 + 1] = x end
  end
  return #live
end

local function check (mode, replace)
  collectgarbage(mode)
  local n = temporaries(replace)
  collectgarbage "incremental"
  lu.assertEquals(n, 50)
  if os.getenv "NEAP_SANITIZER" ~= "" and os.getenv "NEAP_SANITIZER" then return end
  local peak = peak_rss()
  lu.assertTrue(peak < 200, ("peak RSS %.0f MB"):format(peak))
end

function T.test_temporaries_incremental () check("incremental", false) end
function T.test_live_set_replaced_incremental () check("incremental", true) end
function T.test_temporaries_generational () check("generational", false) end
function T.test_live_set_replaced_generational () check("generational", true) end

function T.test_bytes_return_when_collected ()
  collectgarbage()
  local m = neap.memory()
  do
    local x = neap.zeros(5 * MB // 4)
    lu.assertTrue(neap.memory().live >= m.live - m.cached + 5 * MB)
    x:close()
  end
  collectgarbage()
  m = neap.memory()
  lu.assertTrue(m.live - m.cached < 5 * MB)
end

function T.test_short_of_memory_collects_and_tries_again ()
  collectgarbage()
  local m = neap.memory()
  collectgarbage "stop"
  neap.core.memory_cap(m.live - m.cached + 40 * MB)
  local ok, e = pcall(function ()
    for _ = 1, 100 do neap.zeros(MB) end                   -- 4 MB each: a collection now and then makes room
  end)
  neap.core.memory_cap(0)
  collectgarbage "restart"
  lu.assertTrue(ok, e)
end

function T.test_over_the_cap_is_an_error_and_the_state_works_on ()
  collectgarbage()
  local m = neap.memory()
  neap.core.memory_cap(m.live - m.cached + MB)
  local ok, e = pcall(neap.zeros, 2^22)
  local small = pcall(neap.ones, 3)
  neap.core.memory_cap(0)
  lu.assertFalse(ok)
  lu.assertStrContains(e, "not enough memory")
  lu.assertTrue(small)
  lu.assertEquals(neap.ones(2^20):sum():item(), 1 << 20)
end

function T.test_too_large_a_shape ()
  raises("not enough memory", neap.zeros, 2^40, 2^40)
  lu.assertEquals(neap.ones(2):sum():item(), 2)
end

-- A finaliser may run after the context's own: closing a Lua state with everything alive must be clean.
function T.test_finalisers_at_the_end_of_a_state ()
  local script = [[
    local early = setmetatable({}, {__gc = function () pcall(function () return neap.ones(3) + 1 end) end})
    neap = neap or require "neap"
    keep = {early, neap.ones(10):requires_grad(), neap.rng(1)}
    keep[4] = (keep[2] ^ 2):sum()
    late = setmetatable({}, {__gc = function ()
      local ok = pcall(function () return neap.ones(3):exp() end)
      io.write(tostring(ok))
    end})
  ]]
  local path = os.tmpname()
  local f = assert(io.open(path, "w"))
  f:write(script)
  f:close()
  local build = os.getenv "NEAP_BUILD" or "build"
  local p = io.popen(build .. "/neap " .. path .. " 2>&1; echo ' '$?")
  local out = p:read "a"
  p:close()
  os.remove(path)
  lu.assertEquals(out, "true 0\n")
end

return T
