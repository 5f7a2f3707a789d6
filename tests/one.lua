-- one.lua -- runs the tests of one Lua file; tests/run.lua starts it in a process of its own.
--
--   neap tests/one.lua FILE [pattern [watcher]]
--
-- FILE returns a table of test functions, {test_name = function () ... end}, run in the order of their names.  Each starts from the
-- same seed and defaults.  A test that calls none of luaunit's assertions is an error: it would prove nothing.
-- watcher is a module, loaded before FILE, whose start(name) and stop(name, passed) are called around each test.

local lu = require "luaunit"
local here = arg[0]:match "^(.*)/[^/]*$" or "."
package.path = here .. "/?.lua;" .. package.path

local file, pattern = arg[1], arg[2]
local watcher = arg[3] and require(arg[3])
local assertions = 0

local function counted (f)
  return function (...)
    assertions = assertions + 1
    return f(...)
  end
end

for name, f in pairs(lu) do
  if type(f) == "function" and (name:match "^[aA]ssert" or name:match "^fail") then lu[name] = counted(f) end
end

local result = assert(io.open(os.getenv "NEAP_TEST_RESULT" or "/dev/null", "w"))
result:setvbuf "line"
local function note (verdict, name) result:write(verdict, " ", name, "\n") end

local function describe (err)
  local text = tostring(err)
  local _, skip = text:find(lu.SKIP_PREFIX, 1, true)
  if skip then return {skip = text:sub(skip + 1)} end
  return {text = debug.traceback((text:gsub(lu.FAILURE_PREFIX, "")), 2)}
end

local function run_one (tests, name)
  assertions = 0
  if neap.seed then neap.seed(1) end
  if neap.default_dtype then neap.default_dtype "float32" end
  if tests.setUp then tests.setUp() end
  tests[name]()
  if tests.tearDown then tests.tearDown() end
  if assertions == 0 then error("this test asserts nothing", 0) end
end

local function judge (tests, name)
  note("start", name)
  if watcher then watcher.start(name) end
  local ok, problem = xpcall(run_one, describe, tests, name)
  if watcher then watcher.stop(name, ok) end
  if ok then return note("pass", name) end
  if problem.skip then
    print(("skipped %s: %s %s"):format(file, name, problem.skip))
    return note("skip", name)
  end
  print(("FAILED %s: %s\n%s\n"):format(file, name, problem.text))
  note("fail", name)
end

note("start", "loading " .. file)
local tests = dofile(file)
assert(type(tests) == "table", file .. " must return a table of test functions")
local names = {}
for name, f in pairs(tests) do
  if type(f) == "function" and name:match "^test" and (not pattern or name:find(pattern)) then names[#names + 1] = name end
end
table.sort(names)
for _, name in ipairs(names) do judge(tests, name) end
note("done", file)
tests, names = nil, nil
result:close()
os.exit(true, true)          -- closes the state, so that leak checkers see what was left
