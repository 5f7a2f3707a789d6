-- neap.help, and the parts of the library that load on first use.
local lu = require "luaunit"
local help = require "neap.help"

local T = {}

local function printed (...)
  local lines, old = {}, print
  print = function (s) lines[#lines + 1] = s end
  local ok, e = pcall(neap.help, ...)
  print = old
  return ok and table.concat(lines, "\n") or e
end

function T.test_every_op_is_described ()
  for _, row in ipairs(neap.core.ops()) do
    local how, what = help.describe(row.name)
    lu.assertStrContains(how, row.name .. "(")
    lu.assertEquals(what, row.doc)
  end
end

function T.test_usage ()
  lu.assertEquals(printed "softplus", "x:softplus([{beta=1}])\n  log(1 + e^(βx)) / β, without overflow")
  lu.assertEquals((help.describe "clamp"), "x:clamp([min], [max])")
  lu.assertStrContains(printed "neap.tensor", "nested table | number")
  lu.assertStrContains(printed(), "softmax")
  lu.assertStrContains(printed "sofmax", "did you mean 'softmax'?")
  lu.assertStrContains(printed(3), "string expected, got number")
end

function T.test_every_public_function_is_described ()
  for name, f in pairs(neap.core) do
    if type(f) == "function" and not name:find "^_" then
      local known = help.describe(name) or name:find "_like$" or
        ({is_tensor = 1, is_tracked = 1, is_contiguous = 1, ops = 1, memory_cap = 1, set_threads = 1,
          interrupt_hook = 1, rng_state = 1, set_rng_state = 1})[name]
      lu.assertTrue(known and true, name)
    end
  end
end

function T.test_parts_load_on_first_use ()
  local script = [[
    local neap = require "neap"
    local before = 0
    for name in pairs(package.loaded) do if name:find "^neap%." then before = before + 1 end end
    local grad = type(neap.grad)
    io.write(before, " ", grad, " ", tostring(package.loaded["neap.grad"] ~= nil), " ", tostring(neap.nonsense))
  ]]
  local path = os.tmpname()
  local f = assert(io.open(path, "w"))
  f:write(script)
  f:close()
  local build = os.getenv "NEAP_BUILD" or "build"
  local p = io.popen(("LUA_PATH='%s/lua/?.lua' LUA_CPATH='%s/lua/?.so' lua5.4 %s 2>&1"):format(build, build, path))
  local out = p:read "a"
  p:close()
  os.remove(path)
  if os.getenv "NEAP_SANITIZER" and os.getenv "NEAP_SANITIZER" ~= "" then lu.skip "stock lua5.4 lacks the sanitizer" end
  lu.assertEquals(out, "1 function true nil")
end

return T
