-- near.lua -- what the tests of ops share: comparing tensors and errors.
local lu = require "luaunit"
local M = {}

function M.same (x, want) lu.assertEquals(x:totable(), want) end

-- the largest absolute difference of two tensors of one shape
function M.apart (a, b)
  lu.assertEquals(a.shape, b.shape)
  return a:numel() == 0 and 0 or (a - b):abs():amax():item()
end

M.fails = require("errors").raises

return M
