-- folder.lua -- a folder for the files of a test, raw bytes in them, and files that must not load.

local lu = require "luaunit"

local folder = {}
local path

-- PATH/name, in a folder of this process.
function folder.file (name)
  if not path then
    path = os.tmpname()
    os.remove(path)
    assert(os.execute("mkdir -p '" .. path .. "'"))
  end
  return path .. "/" .. name
end

function folder.write (name, bytes)
  local f = assert(io.open(folder.file(name), "wb"))
  f:write(bytes)
  f:close()
  return folder.file(name)
end

function folder.read (name)
  local f = assert(io.open(folder.file(name), "rb"))
  local bytes = f:read "a"
  f:close()
  return bytes
end

-- The names in the folder, sorted, in one string.
function folder.list ()
  local pipe = assert(io.popen("ls '" .. folder.file "" .. "'"))
  local out = pipe:read "a"
  pipe:close()
  return out
end

-- neap.load refuses the file with a message that names it and matches pattern.
function folder.refused (pattern, file)
  local ok, message = pcall(neap.load, file)
  lu.assertFalse(ok)
  lu.assertStrContains(message, file)
  lu.assertStrMatches(message, ".*" .. pattern .. ".*")
end

-- Removes all of it.
function folder.clean ()
  if path then os.execute("rm -rf '" .. path .. "'") end
  path = nil
end

return folder
