-- near.lua -- what the tests of energies share: comparing numbers, tensors and errors.
local lu = require "luaunit"
local M = {}

-- numbers, tables and tensors within tol of each other
function M.near (got, want, tol)
  local to = function (v) return type(v) == "userdata" and v:to "float64" or neap.tensor(v, {dtype = "float64"}) end
  local g, w = to(got), to(want)
  lu.assertEquals(g.shape, w.shape)
  if g:numel() == 0 then return end
  local worst = (g - w):abs():max():item()
  lu.assertTrue(worst <= (tol or 1e-10), ("differs by %g, at most %g allowed"):format(worst, tol or 1e-10))
end

M.raises = require("errors").raises

function M.points (n, d) return neap.randn(n, d, {dtype = "float64"}) end

-- E's value, gradient and curvature agree with differences at x
function M.smooth (E, x, order)
  local ok, report = neap.gradcheck(function (y) return E(y) end, {x}, {order = order or 3})
  lu.assertTrue(ok, ("%s: worst relative error %g at order %d"):format(tostring(E), report.worst, report.order))
end

return M
