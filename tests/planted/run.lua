-- run.lua [pattern] -- plants each fault of faults.lua (those whose name matches) into a copy of its source, builds the
-- program with it and expects the fault's test to fail there, and to pass in the program as it is.
-- Run by `make faults`; MAKE, BUILD and NEAP_JOBS from the environment.  Prints "N passed, N failed".
-- Invariant: a fault counts as caught only if its test began and did not pass; edits that do not apply, a build that
-- fails and a test that is not there are failures.

local here = arg[0]:match "^(.*)/[^/]*$"
package.path = here .. "/?.lua;" .. here .. "/../?.lua;" .. package.path
local faults = require "faults"
local jobs = require "jobs"
local make, build = os.getenv "MAKE" or "make", os.getenv "BUILD" or "build"
local root = build .. "/planted/faults"
local quote, slurp, verdict = jobs.quote, jobs.slurp, jobs.verdict

local function count (text, what)
  local n, at = 0, 1
  while true do
    at = text:find(what, at, true)
    if not at then return n end
    n, at = n + 1, at + #what
  end
end

-- The source with the fault in it; nil and the edit that does not apply.
local function altered (fault)
  local text = slurp(fault.file)
  for _, edit in ipairs(fault.edits) do
    local n = count(text, edit[1])
    if n ~= 1 then
      return nil, ("  write this fault anew: %s has this %d times:\n    %s"):format(fault.file, n, edit[1])
    end
    local at = text:find(edit[1], 1, true)
    text = text:sub(1, at - 1) .. edit[2] .. text:sub(at + #edit[1])
  end
  return text
end

local function test_command (program, test, base)
  return jobs.test_command(test, {program = program, build = build, result = base .. "result",
                                  output = base .. "output"})
end

-- The test of a program without any fault must pass.
local function sound_job (test, i)
  local base = ("%s/sound%d."):format(root, i)
  return {command = test_command(build .. "/neap", test, base), finish = function ()
    local how = jobs.outcome(base .. "result", test)
    verdict("without a fault: " .. test.name, how == "pass", "  " .. how .. "\n" .. slurp(base .. "output"))
  end}
end

local function planted_job (fault, i, source)
  local out = ("%s/%d"):format(root, i)
  os.execute("rm -rf " .. quote(out) .. " && mkdir -p " .. quote(out))
  local f = assert(io.open(out .. "/" .. fault.file:match "[^/]*$", "wb"))
  f:write(source)
  f:close()
  local compile = ("%s --no-print-directory altered BUILD=%s SOURCE=%s OUT=%s > %s/make 2>&1 && "):format(make,
    quote(build), quote(fault.file), quote(out), quote(out))
  return {command = compile .. test_command(out .. "/neap", fault.test, out .. "/"),
    finish = function ()
      local how = jobs.outcome(out .. "/result", fault.test)
      local caught = how == "fail" or how == "start"
      verdict("caught: " .. fault.name, caught, ("  %s in %s: %s\n%s"):format(fault.test.name, fault.test.file, how,
        slurp(out .. "/make")))
      os.remove(out .. "/neap")
    end}
end

local list, seen = {}, {}
os.execute("mkdir -p " .. quote(root))
for i, fault in ipairs(faults) do
  if not arg[1] or fault.name:find(arg[1]) then
    local source, why = altered(fault)
    if source then list[#list + 1] = planted_job(fault, i, source)
    else verdict("planted: " .. fault.name, false, why) end
    local test = fault.test
    local key = test.file .. ":" .. test.name
    if not seen[key] then list[#list + 1] = sound_job(test, i) end
    seen[key] = true
  end
end
jobs.run(list)
jobs.close()
