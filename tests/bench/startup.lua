-- startup.lua -- how long a process takes from its start to a first result and its end, and the most memory it held.
-- Invariant: both sides are started the same way, by a shell, and both say their peak themselves.

local startup = {}

local LUA = [[local _ = neap.tensor(1) + neap.tensor(1)
for line in io.lines '/proc/self/status' do local kb = line:match '^VmHWM:%s*(%d+)' if kb then print(kb) end end]]
local PYTHON = [[import torch; torch.tensor(1.) + torch.tensor(1.)
print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))]]

local function quote (s) return "'" .. s:gsub("'", "'\\''") .. "'" end

-- The program that runs this script.
function startup.program ()
  local i = 0
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

function startup.neap () return quote(startup.program()) .. " -e " .. quote(LUA:gsub("\n", " ")) end
function startup.peer (python) return quote(python) .. " -c " .. quote(PYTHON) end

-- run(command) -> seconds, peak resident memory in MB
function startup.run (command)
  local began = neap.clock()
  local pipe = assert(io.popen(command))
  local kilobytes = pipe:read "n"
  local ok = pipe:close()
  local seconds = neap.clock() - began
  if not (ok and kilobytes) then error("startup: the command failed: " .. command, 0) end
  return seconds, kilobytes / 1024
end

return startup
