-- jobs.lua -- what the tests of tests share (make faults, make stubs): single tests as commands, run several at a time,
-- and how they ended.
-- Invariant: jobs finish in the order in which they were given; finish may add further ones at the end.

local M = {passed = 0, failed = 0}
io.stdout:setvbuf "line"                   -- a log can be followed

function M.quote (s) return "'" .. s:gsub("'", "'\\''") .. "'" end
local quote = M.quote

function M.slurp (path)
  local f = io.open(path, "rb")
  local text = f and f:read "a" or ""
  if f then f:close() end
  return text
end

-- A line for what was checked, with details where it is not as it should be.
function M.verdict (what, good, detail)
  print(("%-66s %s"):format(what, good and "ok" or "FAILED"))
  if not good then io.write(detail or "", "\n") end
  local which = good and "passed" or "failed"
  M[which] = M[which] + 1
end

-- Prints "N passed, N failed"; the exit code is zero only if something passed and nothing failed.
function M.close ()
  print(("%d passed, %d failed"):format(M.passed, M.failed))
  os.exit(M.failed == 0 and M.passed > 0)
end

-- The command that runs a test {file =, name =} of a program built under build, or the whole file without a name.
-- o: {program =, build =, result = path, output = path, seconds =, environment = "A=1 …", watcher = module}.
function M.test_command (test, o)
  local command = "NEAP_BUILD=%s NEAP_TEST_RESULT=%s %s timeout -k 5 %d %s tests/one.lua %s %s %s > %s 2>&1 "
                  .. "< /dev/null; true"
  return command:format(quote(o.build), quote(o.result), o.environment or "", o.seconds or 60, quote(o.program),
    quote(test.file), quote(test.name and "^" .. test.name .. "$" or ""), o.watcher or "", quote(o.output))
end

-- How a test ended: "pass", "fail", or "start" when it never ended.
function M.outcome (result, test)
  local last
  for word, name in M.slurp(result):gmatch "(%l+) ([^\n]*)\n" do if name == test.name then last = word end end
  return last or "no such test"
end

local function processors ()
  local pipe <close> = io.popen "nproc"
  return pipe:read "n"
end

-- jobs: {command =, finish = function}
function M.run (jobs)
  local width, running, next_job = tonumber(os.getenv "NEAP_JOBS") or processors(), {}, 1
  while next_job <= #jobs or #running > 0 do
    while #running < width and next_job <= #jobs do
      local job = jobs[next_job]
      job.pipe, next_job = assert(io.popen(job.command)), next_job + 1
      running[#running + 1] = job
    end
    local job = table.remove(running, 1)
    job.pipe:read "a"
    job.pipe:close()
    job.finish()
  end
end

return M
