-- The program's own resume, wrap and close behave as Lua's: one script, run by both, prints the same.
local lu = require "luaunit"

local T = {}

local script = [==[
local function show (...) print(select("#", ...), ...) end
local co = coroutine.create(function (a, b)
  local c = coroutine.yield(a + b, nil)
  local d, e = coroutine.yield(c)
  return d, e, nil
end)
show(coroutine.resume(co, 1, 2))
show(coroutine.resume(co, 3))
show(coroutine.resume(co, 4, 5))
show(coroutine.resume(co))
show(coroutine.status(co))
show(coroutine.resume(coroutine.create(function () error "text" end)))
show(coroutine.resume(coroutine.create(function () error({}, 0) end)) == false)
show(pcall(coroutine.resume, 3))
show(pcall(coroutine.wrap, 3))
local w = coroutine.wrap(function (...) for i = 1, select("#", ...) do coroutine.yield((select(i, ...))) end end)
show(w(7, 8)) show(w()) show(w()) show(pcall(w))
show(pcall(coroutine.wrap(function () error "inside" end)))
show(pcall(coroutine.wrap(function () error(42) end)))
local closed = {}
local c2 = coroutine.create(function ()
  local x <close> = setmetatable({}, {__close = function () closed[1] = coroutine.running() end})
  coroutine.yield()
end)
coroutine.resume(c2)
show(coroutine.close(c2), coroutine.status(c2), closed[1] == c2)
local c3 = coroutine.create(function ()
  local x <close> = setmetatable({}, {__close = function () error "closing" end})
  coroutine.yield()
end)
coroutine.resume(c3)
show(coroutine.close(c3))
show(pcall(coroutine.close, coroutine.running()))
show(coroutine.isyieldable(), coroutine.wrap(function () return coroutine.isyieldable() end)())
local depth = 0
local function nest () depth = depth + 1 return coroutine.wrap(nest)() end
show(pcall(nest))
print(depth > 150)
show(coroutine.resume(coroutine.create(function () return table.unpack({}, 1, 100) end)))
local self
self = coroutine.wrap(function () return pcall(self) end)
show(self())
show(coroutine.wrap(function () return coroutine.wrap(function () return coroutine.yield(1) end)() end)())
for k in string.gmatch("a b c", "%a") do io.write(k) end
print(debug.traceback(coroutine.create(function () end)))
]==]

local function output (command)
  local path = os.tmpname()
  local f = assert(io.open(path, "w"))
  f:write(script)
  f:close()
  local p = io.popen(command .. " " .. path .. " 2>&1")
  local out = p:read "a"
  p:close()
  os.remove(path)
  return (out:gsub(path:gsub("%p", "%%%0"), "script"):gsub("0x%x+", "0x"))
end

function T.test_coroutines_as_in_stock_lua ()
  local expected = output "lua5.4"
  lu.assertStrContains(expected, "cannot resume dead coroutine")
  lu.assertEquals(output((os.getenv "NEAP_BUILD" or "build") .. "/neap"), expected)
end

function T.test_ops_inside_coroutines_of_any_depth ()
  local function deep (n, x)
    if n == 0 then return (x * 2):sum():item() end
    return coroutine.wrap(deep)(n - 1, x + 1)
  end
  lu.assertEquals(deep(50, neap.zeros(2)), 200)
  local x = neap.tensor({1, 2}, {dtype = "float64"})
  local g = coroutine.wrap(function () return neap.grad(function (v) return (v ^ 2):sum() end)(x) end)()
  lu.assertEquals(g:totable(), {2, 4})
end

-- The same may be asked for in any state: coroutines are neap's own from then on.
function T.test_interrupt_hook ()
  local before = {coroutine.resume, coroutine.wrap, coroutine.close}
  neap.interrupt_hook()
  local after = {coroutine.resume, coroutine.wrap, coroutine.close}
  for i = 1, 3 do lu.assertFalse(rawequal(before[i], after[i])) end
  lu.assertEquals({coroutine.resume(coroutine.create(function (x) return x + 1 end), 1)}, {true, 2})
  coroutine.resume, coroutine.wrap, coroutine.close = table.unpack(before)
end

return T
