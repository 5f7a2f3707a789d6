-- run.lua [pattern] -- puts a stub in the place of each public function (those whose name matches) and expects a test
-- to fail there.
-- First every Lua test runs once and tells which public functions it calls and how long it takes; then, for each
-- function and each kind of stub (see plant.lua), the tests that call it, the likeliest first, until one fails.
-- Run by `make stubs`; BUILD and NEAP_JOBS from the environment.  Prints "N passed, N failed".
-- Invariant: a stub counts as caught only by a test that passes without it and, where the stub calls the function,
-- with the function called in the same way; a function that no test calls, and one of which a stub goes unnoticed, are
-- failures.

local here = arg[0]:match "^(.*)/[^/]*$"
package.path = here .. "/../?.lua;" .. package.path
local jobs = require "jobs"
local build = os.getenv "BUILD" or "build"
local root = build .. "/stubs"
local TRIES = 40                           -- tests that are asked about one stub

-- Stubs may make loops that do not end, but seconds of the processor and memory do.
local function command (test, stub, base, seconds)
  return ("ulimit -v 6000000; ulimit -t %d; "):format(seconds) .. jobs.test_command(test, {program = build .. "/neap", build = build, result = base .. ".result",
    output = base .. ".output", seconds = 10 * seconds, watcher = "stubs.plant",
    environment = ("NEAP_STUB=%s NEAP_STUB_LOG=%s"):format(jobs.quote(stub), jobs.quote(base .. ".log"))})
end

-- ---- which test calls what ----

local targets, calls, order = {}, {}, {}   -- names; name -> tests; names in order

local function read_calls (file, log)
  local test
  for word, rest in log:gmatch "(%l+) ([^\n]*)\n" do
    if word == "target" and not targets[rest] then
      targets[rest], calls[rest] = true, {}
      order[#order + 1] = rest
    elseif word == "test" then
      local seconds, name = rest:match "^(%S+) (.*)$"
      test = {file = file, name = name, seconds = tonumber(seconds)}
    elseif word == "call" then table.insert(calls[rest], test) end
  end
end

-- A file that takes long is not waited for: what its tests told until then is enough.
local function calls_job (file, i)
  local base = ("%s/calls%d"):format(root, i)
  return {command = command({file = file}, "calls", base, 10), finish = function ()
    read_calls(file, jobs.slurp(base .. ".log"))
  end}
end

local function test_files ()
  local pipe <close>, files = assert(io.popen "find tests -name 'test_*.lua' | LC_ALL=C sort"), {}
  for file in pipe:lines() do files[#files + 1] = file end
  return files
end

-- ---- which test notices ----

local texts = {}

-- How likely a test is to notice, for the time it takes: one whose name, or whose file, has the function's name in it
-- says something about the function.
local function worth (test, word)
  texts[test.file] = texts[test.file] or jobs.slurp(test.file)
  local mentions = texts[test.file]:find("%f[%w_]" .. word .. "%f[^%w_]")
  local likely = test.name:find(word, 1, true) and 20 or mentions and 4 or 1
  return likely / (test.seconds + .05)
end

local function candidates (target)
  local word = target:match "([%w_]+)[()]*$":gsub("^__", "")
  local list, value = {}, {}
  for i, test in ipairs(calls[target]) do list[i], value[test] = test, worth(test, word) end
  table.sort(list, function (a, b)
    if value[a] ~= value[b] then return value[a] > value[b] end
    return a.file .. a.name < b.file .. b.name
  end)
  return list
end

local list = {}

-- Each kind of stub ends as "caught", "missed" (it changed results, and no test noticed) or "same" (it never did).
local kinds = {"first", "zero"}

-- What these hold is not specified, so that zeros will do.
local unspecified = {empty = true, empty_like = true}

local function finish_target (target, ended, tests)
  if unspecified[target] then ended.zero = "same" end
  local caught, missed = false, false
  for _, kind in ipairs(kinds) do
    caught, missed = caught or ended[kind] == "caught", missed or ended[kind] == "missed"
  end
  local told = {}
  for _, kind in ipairs(kinds) do told[#told + 1] = kind .. ": " .. ended[kind] end
  local asked = tests[1] and ("asked of %d tests, first %s in %s"):format(#tests, tests[1].name, tests[1].file)
                or "no test calls it"
  jobs.verdict(target, caught and not missed, ("  %s; %s"):format(asked, table.concat(told, ", ")))
end

local count = 0

-- A run of the test; done(noticed, effective)
local function try_job (test, stub, done)
  count = count + 1
  local base = ("%s/try%d"):format(root, count)
  list[#list + 1] = {command = command(test, stub, base, 10), finish = function ()
    local how = jobs.outcome(base .. ".result", test)
    local effective = jobs.slurp(base .. ".log"):find "effective" ~= nil
    for _, ending in ipairs {".result", ".output", ".log"} do os.remove(base .. ending) end
    done(how == "fail" or how == "start", effective)
  end}
end

local function try_kind (target, kind, tests, done)
  local i, any_effect = 0, false
  local function next_test ()
    i = i + 1
    if i > math.min(#tests, TRIES) then return done(any_effect and "missed" or "same") end
    try_job(tests[i], kind .. ":" .. target, function (noticed, effective)
      any_effect = any_effect or effective
      if not noticed then return next_test() end
      if kind == "first" then return done "caught" end
      try_job(tests[i], "through:" .. target, function (broken)
        if broken then return next_test() end
        done "caught"
      end)
    end)
  end
  next_test()
end

local function try_target (target)
  local tests, ended, left = candidates(target), {}, #kinds
  for _, kind in ipairs(kinds) do
    try_kind(target, kind, tests, function (how)
      ended[kind], left = how, left - 1
      if left == 0 then finish_target(target, ended, tests) end
    end)
  end
end

os.execute("rm -rf " .. jobs.quote(root) .. " && mkdir -p " .. jobs.quote(root))
local noting = {}
for i, file in ipairs(test_files()) do noting[i] = calls_job(file, i) end
jobs.run(noting)
for _, target in ipairs(order) do
  if not arg[1] or target:find(arg[1]) then try_target(target) end
end
jobs.run(list)
jobs.close()
