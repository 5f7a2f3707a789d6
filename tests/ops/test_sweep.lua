-- Every differentiable row of the op table, to third order, in float64.
local lu = require "luaunit"
local sweep = require "ops.sweep"

local T = {}
local BOUND = 1e-6

function T.test_every_row_has_cases()
  for _, row in ipairs(neap.core.ops()) do
    lu.assertTrue(row.cases ~= "" or row.kind == "zero", row.name .. " has no cases")
  end
end

function T.test_derivatives_to_third_order()
  local worst, worst_where, rows, checks = 0, "", 0, 0
  for _, row in ipairs(neap.core.ops()) do
    if sweep.differentiable(row) then
      local e, where, n = sweep.check_row(row)
      rows, checks = rows + 1, checks + n
      lu.assertTrue(e < BOUND, ("%s: relative error %.1e"):format(where, e))
      if e > worst then worst, worst_where = e, where end
    end
  end
  local text = "sweep: %d rows, %d cases, orders 1 to 3, worst relative error %.1e at %s"
  print(text:format(rows, checks, worst, worst_where))
  lu.assertTrue(rows > 90)
end

-- ---- the testers are tested: a wrong derivative is a row whose rule belongs to another function

local function row_of(name)
  for _, row in ipairs(neap.core.ops()) do if row.name == name then return row end end
end

-- value of good, derivative of bad: what a wrong rule looks like from outside
local function with_derivative_of(good, bad)
  return function(x, ...)
    local b = bad(x, ...)
    return b + (good(x, ...) - b):detach()
  end
end

function T.test_wrong_derivative_is_caught()
  local e = sweep.check_row(row_of "sin", with_derivative_of(neap.sin, function(x) return x:sin() * 1.001 end))
  lu.assertTrue(e > BOUND)
end

function T.test_wrong_second_derivative_is_caught()
  -- right to first order: the cosine is computed, but as a constant
  local function op(x)
    local slope = x:cos():detach()
    return x:sin():detach() + slope * (x - x:detach())
  end
  local e = sweep.check_row(row_of "sin", op)
  lu.assertTrue(e > BOUND)
end

return T
