-- peer.lua -- the peer as a process that lives as long as the benchmark: requests over a pipe, answers over a fifo.
-- Invariant: a request has exactly one answer, and an answer that does not come makes the peer nil or raises an error,
-- never a number.

local peer = {}
peer.__index = peer

local function quote (s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function first_line (command)
  local pipe = assert(io.popen(command))
  local line = pipe:read "l"
  pipe:close()
  return line
end

-- Both libraries' threads are told: PyTorch by its argument, OpenBLAS by its variable.  Its OpenMP flavour, where there
-- is one, shares PyTorch's threads.
local function command (python, script, threads, fifo)
  local flavour = first_line "ls -d /usr/lib/*/openblas-openmp 2>/dev/null"
  local environment = ("OPENBLAS_NUM_THREADS=%d OMP_NUM_THREADS=%d"):format(threads, threads)
  if flavour then environment = environment .. " LD_LIBRARY_PATH=" .. quote(flavour) end
  return ("%s exec %s %s %d > %s"):format(environment, quote(python), quote(script), threads, quote(fifo))
end

-- start(script, threads [, python]) -> the peer, or nil and why there is none.
function peer.start (script, threads, python)
  local folder = first_line "mktemp -d"
  local fifo = folder .. "/answers"
  assert(os.execute("mkfifo " .. quote(fifo)))
  local requests = assert(io.popen(command(python or "/usr/bin/python3", script, threads, fifo), "w"))
  local answers = assert(io.open(fifo))
  os.execute("rm -r " .. quote(folder))
  local self = setmetatable({requests = requests, answers = answers}, peer)
  local ok, version = pcall(self.answer, self)
  if not ok then
    self:close()
    return nil, version
  end
  self.version = version[1]
  return self
end

-- -> what follows "ok", as words
function peer:answer ()
  local line = self.answers:read "l"
  if not line then error("the peer did not answer", 0) end
  local verdict, rest = line:match "^(%a+) ?(.*)$"
  if verdict ~= "ok" then error("the peer: " .. (rest or line), 0) end
  local words = {}
  for word in rest:gmatch "%S+" do words[#words + 1] = word end
  return words
end

-- ask("run", name, units) -> numbers
function peer:ask (...)
  self.requests:write(table.concat({...}, " "), "\n")
  self.requests:flush()
  local numbers = {}
  for i, word in ipairs(self:answer()) do numbers[i] = assert(tonumber(word), word) end
  return numbers
end

function peer:close ()
  self.requests:close()
  self.answers:close()
end

return peer
