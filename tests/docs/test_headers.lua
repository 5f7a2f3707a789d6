-- test_headers.lua -- the C headers: every function says what it does, and a C test calls it.
local lu = require "luaunit"

local T = {}

local function lines_of (command)
  local pipe <close>, lines = assert(io.popen(command)), {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  return lines
end

local function slurp (path)
  local f <close> = assert(io.open(path))
  return f:read "a"
end

-- The functions of a header, {name =, described =}: a comment ends on the line above, or stands beside.
local function functions_of (path)
  local lines, out = {}, {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  for i, line in ipairs(lines) do
    local name = line:match "^NEAP_API.-(neap_[%w_]+) %("
    if name then
      local last = i
      while not lines[last]:find ";" do last = last + 1 end
      local above = lines[i - 1]
      out[#out + 1] = {name = name,
        described = lines[last]:find "/%*" or above:find "^[/*]%*" and above:find "%*/$" and true or false}
    end
  end
  return out
end

local function all ()
  local out = {}
  for _, path in ipairs(lines_of "ls runtime/neap*.h") do
    for _, f in ipairs(functions_of(path)) do out[#out + 1] = f end
  end
  return out
end

function T.test_every_function_is_described ()
  local functions = all()
  lu.assertTrue(#functions > 200, tostring(#functions))
  for _, f in ipairs(functions) do lu.assertTrue(f.described and true, f.name) end
end

function T.test_every_function_is_called_by_a_test ()
  local text = {}
  for _, path in ipairs(lines_of "find tests -name 'test_*.c'") do text[#text + 1] = slurp(path) end
  local tests = table.concat(text, "\n")
  for _, f in ipairs(all()) do lu.assertNotNil(tests:find("%f[%w_]" .. f.name .. " ?%("), f.name) end
end

return T
