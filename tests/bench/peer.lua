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

-- A command that answers on its standard output -> the peer, or nil and why there is none.
local function start (command)
  local folder = first_line "mktemp -d"
  local fifo = folder .. "/answers"
  assert(os.execute("mkfifo " .. quote(fifo)))
  local requests = assert(io.popen(command .. " > " .. quote(fifo), "w"))
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

-- PyTorch.  Both libraries' threads are told: its own by an argument, OpenBLAS's by a variable.  The OpenMP flavour of
-- that, where there is one, shares PyTorch's threads.
function peer.torch (script, threads, python)
  local flavour = first_line "ls -d /usr/lib/*/openblas-openmp 2>/dev/null"
  local environment = ("OPENBLAS_NUM_THREADS=%d OMP_NUM_THREADS=%d"):format(threads, threads)
  if flavour then environment = environment .. " LD_LIBRARY_PATH=" .. quote(flavour) end
  return start(("%s exec %s %s %d"):format(environment, quote(python or "/usr/bin/python3"), quote(script), threads))
end

-- rstan; folder is where compiled models are kept.
function peer.stan (script, folder, rscript)
  rscript = rscript or "Rscript"
  if not first_line("command -v " .. quote(rscript)) then return nil, "r-cran-rstan is not installed" end
  return start(("exec %s --vanilla %s %s"):format(quote(rscript), quote(script), quote(folder)))
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
  local words = {...}
  for i, word in ipairs(words) do words[i] = math.type(word) == "float" and ("%.17g"):format(word) or word end
  self.requests:write(table.concat(words, " "), "\n")
  self.requests:flush()
  local numbers = {}
  for i, word in ipairs(self:answer()) do numbers[i] = assert(tonumber(word), word) end
  return numbers
end

-- data by name, numbers or lists of them, for the workload of that name
function peer:give (name, data)
  for field, value in pairs(data) do
    if type(value) == "table" then self:ask("data", name, field, "list", table.unpack(value))
    else self:ask("data", name, field, "number", value) end
  end
end

function peer:close ()
  self.requests:close()
  self.answers:close()
end

return peer
