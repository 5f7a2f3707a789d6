-- errors.lua -- what tests of errors and warnings share.
local lu = require "luaunit"
local M = {}

-- the error that f(…) must raise, as text
function M.message (f, ...)
  local ok, message = pcall(f, ...)
  lu.assertFalse(ok, "an error was expected")
  return tostring(message)
end

-- f(…) raises an error that holds text
function M.raises (text, f, ...)
  local ok, message = pcall(f, ...)
  lu.assertFalse(ok, "an error was expected: " .. text)
  lu.assertStrContains(tostring(message), text)
end

-- what programs warn of while f(…) runs, as a list, then what pcall(f, …) gives
function M.warnings (f, ...)
  local program, heard = neap.core._program, {}
  local warn = program.warn
  program.warn = function (text) heard[#heard + 1] = text end
  local results = table.pack(pcall(f, ...))
  program.warn = warn
  return heard, table.unpack(results, 1, results.n)
end

return M
