-- Steps make no system call and ask for no memory: what there is of both is for recording and chunks of steps (25 ms).
local lu = require "luaunit"
local T = {}

local build = os.getenv "NEAP_BUILD" or "build"

local function lines_of (command)
  local pipe, lines = assert(io.popen(command)), {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  pipe:close()
  return lines
end

-- The numbers of calls between the marks, of all threads.
local function calls_between_marks (path)
  local counts, n = {}, nil
  for line in io.lines(path) do
    if line:find("/nowhere/begin", 1, true) then n = 0
    elseif line:find("/nowhere/end", 1, true) then counts[#counts + 1], n = n, nil
    elseif n and not line:find("resumed>", 1, true) then n = n + 1 end
  end
  return counts
end

-- Bounds far below the 10^5 steps, whatever the speed: a chunk may be several times shorter than it should be.
local function check (sampler, chains, threads)
  if not os.execute "strace -f -o /dev/null true 2> /dev/null" then lu.skip "strace is missing or may not trace" end
  local path = os.tmpname()
  local command = "strace -f -o %s %s/neap tests/program/quiet.lua %s %d %d"
  local told = lines_of(command:format(path, build, sampler, chains, threads))
  local calls = calls_between_marks(path)
  os.remove(path)
  lu.assertEquals({#told, #calls}, {2, 2})
  for i, line in ipairs(told) do
    local steps, allocations, seconds = line:match "(%d+)%s+(%d+)%s+(%S+)"
    local chunks = 20 + tonumber(seconds) / .01
    print(("%s, %d chains, %d threads, %s steps in %.2f s: %d system calls, %s allocations"):format(sampler, chains,
      threads, steps, seconds, calls[i], allocations))
    lu.assertTrue(calls[i] <= (threads > 1 and 20 * chunks or 40), line)
    lu.assertTrue(tonumber(allocations) <= 1000 + 10 * chunks, line)
  end
end

for _, chains in ipairs{16, 100} do
  for threads = 1, 2 do
    local name = ("test_langevin_%d_chains_%d_threads"):format(chains, threads)
    T[name] = function () check("langevin", chains, threads) end
  end
end
function T.test_hmc () check("hmc", 16, 1) end
function T.test_custom () check("custom", 16, 1) end

return T
