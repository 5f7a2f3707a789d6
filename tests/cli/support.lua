-- support.lua -- running programs from tests: commands, scratch folders, the pty driver.

local M = {}

M.build = os.getenv "NEAP_BUILD" or "build"
M.sanitizer = os.getenv "NEAP_SANITIZER" or ""

function M.quote (s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function slurp (path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read "a"
end

local function spill (path, text)
  local f <close> = assert(io.open(path, "wb"))
  f:write(text)
end
M.spill = spill

-- command -> stdout, stderr, exit code; input is what it reads.
function M.run (command, input)
  local out, err, inp = os.tmpname(), os.tmpname(), os.tmpname()
  spill(inp, input or "")
  local _, _, code = os.execute(("{ %s\n} < %s > %s 2> %s"):format(command, inp, out, err))
  local o, e = slurp(out), slurp(err)
  os.remove(out) os.remove(err) os.remove(inp)
  return o, e, code
end

function M.absolute (path)
  return (M.run("readlink -f " .. M.quote(path)):gsub("\n$", ""))
end

-- A new empty folder; remove it with M.remove.
function M.folder ()
  return (M.run "mktemp -d":gsub("\n$", ""))
end

function M.remove (folder)
  assert(folder:match "^/tmp/")
  os.execute("rm -rf " .. M.quote(folder))
end

-- Talks to a program on a terminal (see tool_pty.c): transcript, exit code of the driver.
function M.talk (command, script)
  local out, err, code = M.run(("%s/tests/cli/tool_pty %s"):format(M.quote(M.build), command), script)
  return out .. err, code
end

return M
