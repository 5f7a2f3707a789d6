-- run.lua -- runs the test files, each in a process of its own, and closes with "N passed, N failed".
--
--   lua5.4 tests/run.lua [--check] [--c] [pattern]
--
-- A Lua file is run by tests/one.lua under the neap program, a C file as the cmocka program the Makefile made
-- of it.  Invariant: whatever is not known to have passed has failed, be it an assertion, an error, a test that
-- asserts nothing, a crash or a timeout; the exit code is zero only if something passed and nothing failed.
-- Environment: NEAP_BUILD (default build), NEAP_TESTS (default tests), NEAP_JOBS, NEAP_TEST_TIMEOUT in seconds,
-- NEAP_TEST_WRAP (a command that runs the C tests, such as valgrind), NEAP_TEST_EXCEPT (a pattern of files to leave out).

local build = os.getenv "NEAP_BUILD" or "build"
local root = os.getenv "NEAP_TESTS" or "tests"
local timeout = os.getenv "NEAP_TEST_TIMEOUT" or "150"
local wrap = os.getenv "NEAP_TEST_WRAP" or ""
local except = os.getenv "NEAP_TEST_EXCEPT"
local here = arg[0]:match "^(.*)/[^/]*$" or "."

local function quote (s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function lines_of (command)
  local pipe, lines = assert(io.popen(command)), {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

local function options ()
  local o = {}
  for _, a in ipairs(arg) do
    if a == "--check" then o.check = true elseif a == "--c" then o.c = true else o.pattern = a end
  end
  return o
end

-- Which files: test_*.c and test_*.lua, or only the slow check_*.lua, or only the C ones.
local function discover (o)
  local names = o.check and "-name 'check_*.lua'" or o.c and "-name 'test_*.c'" or "-name 'test_*.lua' -o -name 'test_*.c'"
  local files = lines_of(("find %s -type f \\( %s \\) | LC_ALL=C sort"):format(quote(root), names))
  return files
end

local function command_for (file, result, pattern)
  if file:match "%.c$" then
    local path = file:match("^(.*)%.c$")
    return ("CMOCKA_MESSAGE_OUTPUT=TAP %s %s/%s"):format(wrap, quote(build), quote(path))
  end
  return ("NEAP_TEST_RESULT=%s %s/neap %s/one.lua %s %s"):format(quote(result), quote(build), quote(here), quote(file),
    pattern and quote(pattern) or "")
end

local function spill (path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

-- A file's job; its script ends with a line "number status begun ended".
local function prepare (file, number, o)
  local job = {file = file, result = os.tmpname(), output = os.tmpname(), script = os.tmpname()}
  local by_name = o.pattern and not file:find(o.pattern) and not file:match "%.c$"
  local command = command_for(file, job.result, by_name and o.pattern)
  spill(job.script, ("begun=$(date +%%s.%%N)\ntimeout -k 5 %s env %s > %s 2>&1 < /dev/null\necho %d $? $begun $(date +%%s.%%N)\n")
    :format(timeout, command, quote(job.output), number))
  return job
end

local function slurp (path)
  local f = io.open(path, "rb")
  local text = f and f:read "a" or ""
  if f then f:close() end
  os.remove(path)
  return text
end

-- tests/one.lua writes a line "start name", then "pass|fail|skip name", then the next.
local function count_lua (job, text, tally)
  local running
  for verdict, name in text:gmatch "(%l+) ([^\n]*)\n" do
    running = verdict == "start" and name or nil
    if verdict ~= "start" then tally[verdict] = tally[verdict] + 1 end
    if verdict == "done" then job.done = true end
  end
  if running then job.died_in = running end
end

local function count_c (job, output, tally)
  for line in output:gmatch "[^\n]+" do
    if line:match "^n?o?t? ?ok %d+.*# SKIP" then tally.skip = tally.skip + 1
    elseif line:match "^ok %d+" then tally.pass = tally.pass + 1
    elseif line:match "^not ok %d+" then tally.fail = tally.fail + 1 end
  end
  job.done = true
end

local function explain_end (job, code)
  local how = (code == "124" or code == "137") and ("no end after %s s"):format(timeout) or "status " .. code
  return job.died_in and ("died in %s: %s"):format(job.died_in, how) or how
end

local function finish (job, code)
  os.remove(job.script)
  local tally = {pass = 0, fail = 0, skip = 0, done = 0}
  local output, result = slurp(job.output), slurp(job.result)
  if job.file:match "%.c$" then count_c(job, output, tally) else count_lua(job, result, tally) end
  if code ~= "0" and tally.fail == 0 or not job.done then
    tally.fail = tally.fail + 1
    output = output .. job.file .. ": " .. explain_end(job, code) .. "\n"
  end
  return tally, output
end

local function report (job, tally, output, seconds)
  local skipped = tally.skip > 0 and (", %d skipped"):format(tally.skip) or ""
  if tally.fail > 0 then io.write(output, output:sub(-1) == "\n" and "" or "\n") end
  if tally.pass + tally.fail + tally.skip > 0 then
    print(("%-4s %-44s %4d passed%s%s  %.1f s"):format(tally.fail > 0 and "FAIL" or "ok", job.file, tally.pass,
      tally.fail > 0 and (", %d failed"):format(tally.fail) or "", skipped, seconds))
    if tally.fail == 0 and tally.skip > 0 then io.write((output:gsub("[^\n]*\n?", function (l) return l:match "^skipped" and l or "" end))) end
  end
end

-- Runs the jobs, as many at once as there are cores; -> an iterator over number, status and seconds of each that ended.
local function run (jobs)
  local list, scripts = os.tmpname(), {}
  for i, job in ipairs(jobs) do scripts[i] = job.script .. "\n" end
  spill(list, table.concat(scripts))
  local width = os.getenv "NEAP_JOBS" or lines_of("nproc")[1]
  local pipe = assert(io.popen(("xargs -r -a %s -P %d -n 1 sh; rm %s"):format(quote(list), width, quote(list))))
  return function ()
    local number, code, begun, ended = (pipe:read "l" or ""):match "^(%d+) (%d+) (%S+) (%S+)$"
    if number then return tonumber(number), code, ended - begun end
    pipe:close()
  end
end

local function main ()
  local o, jobs, passed, failed = options(), {}, 0, 0
  for _, f in ipairs(discover(o)) do
    local wanted = not (o.pattern and f:match "%.c$") or f:find(o.pattern)
    if wanted and not (except and f:find(except)) then jobs[#jobs + 1] = prepare(f, #jobs + 1, o) end
  end
  local left = #jobs
  for number, code, seconds in run(jobs) do
    local tally, output = finish(jobs[number], code)
    report(jobs[number], tally, output, seconds)
    passed, failed, left = passed + tally.pass, failed + tally.fail, left - 1
  end
  if left > 0 then print(left .. " files were not run to their end") end
  print(("%d passed, %d failed"):format(passed, failed + left))
  os.exit(failed == 0 and left == 0 and passed > 0)
end

main()
