-- example.lua -- runs a script in a process of its own, as a reader would.

local lu = require "luaunit"
local folder = require "files.folder"

local M = {}
local build = os.getenv "NEAP_BUILD" or "build"

local function set (name) return (os.getenv(name) or "") ~= "" end

-- Where everything is checked at every step, only the quick examples run.
local slow_build = set "NEAP_SANITIZER" or set "NEAP_HOSTILE"
function M.skip_if_slow () lu.skipIf(slow_build, "takes minutes in this build") end

function M.skip_without_fashion ()
  local one = io.open "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"
  lu.skipIf(not one, "no dataset-fashion-mnist")
  one:close()
end

-- Runs a script under neap, with a folder for its pictures, and an option -> what it printed.  It must end well.
function M.run (path, option)
  local line = "'%s/neap' '%s' '%s' %s 2>&1; echo status $?"
  local command = line:format(build, path, folder.file "", option or "")
  local pipe = assert(io.popen(command))
  local out = pipe:read "a"
  pipe:close()
  lu.assertStrContains(out, "status 0\n", false, path)
  return (out:gsub("neap: OpenBLAS[^\n]*\n", ""))                         -- what the serial flavour has said of it
end

-- The numbers after a text in what was printed.
function M.numbers (out, text)
  local _, last = out:find(text, 1, true)
  lu.assertNotNil(last, ("'%s' is not in\n%s"):format(text, out))
  local found = {}
  for n in out:sub(last + 1):gmatch "[-+]?%d+%.?%d*" do found[#found + 1] = tonumber(n) end
  return found
end

-- The picture that the last script made is one.
function M.assert_picture (name)
  local picture = neap.image.load(folder.file(name))
  lu.assertTrue(picture:size(-1) >= 100 and picture:to("float32"):std():item() > .1, name)
end

M.clean, M.file = folder.clean, folder.file
return M
