-- Gradients by vectors that are cut up: pieces that fill a dimension are put side by side, all others are added up;
-- both give what the function itself gives.
local lu = require "luaunit"
local compare = require "program.compare"
local T = {}

local function count (plan, what) return select(2, plan:gsub("= " .. what .. " ", "")) end

-- f(x) [B]; its gradient's plan has so many cats and unslices, and the same bits as the gradient op by op
local function check (f, x, cats, unslices)
  local function gradient (y) return neap.grad(function (z) return f(z):sum() end)(y) end
  local plan = neap.explain(gradient, x)
  lu.assertEquals({count(plan, "cat"), count(plan, "unslice")}, {cats, unslices}, plan)
  lu.assertTrue(compare.same(neap.compile(gradient)(x), gradient(x)), plan)
end

local function part (x, first, last) return x:slice(2, first, last) end
local function square (x) return x:square():sum(2) end

function T.test_pieces_that_fill_a_dimension ()
  for _, dtype in ipairs{"float32", "float64"} do
    local x = neap.randn(7, 6, {dtype = dtype})
    check(function (u) return square(part(u, 1, 2)) + part(u, 3, 6):exp():sum(2) end, x, 1, 0)
    check(function (u) return part(u, 3, 6):exp():sum(2) * (part(u, 1, 1) * part(u, 2, 2)):squeeze(2) end, x, 1, 0)
    check(function (u)
      local sum = u:select(2, 4):sin()
      for i = 6, 1, -1 do if i ~= 4 then sum = sum + i * u:select(2, i):exp() end end
      return sum
    end, x, 1, 0)
    check(function (u)
      local rest = part(u, 3, 6)
      return square(part(u, 1, 2) * part(rest, 1, 2)) + square(part(rest, 3, 4))
    end, x, 2, 0)
  end
end

function T.test_other_pieces_are_added ()
  local x = neap.randn(7, 6)
  check(function (u) return square(part(u, 1, 2)) + part(u, 4, 6):exp():sum(2) end, x, 0, 2)               -- a gap
  check(function (u) return square(part(u, 1, 4)) + part(u, 4, 6):exp():sum(2) end, x, 0, 2)               -- an overlap
  check(function (u) return square(part(u, 1, 2)) + square(part(u, 3, 5)):exp() end, x, 0, 2)              -- an end
  check(function (u) return square(u:slice(2, 1, 6, 2)) + u:slice(2, 2, 6, 2):exp():sum(2) end, x, 0, 2)  -- every other
  check(function (u) return square(part(u, 1, 3)) + part(u, 4, 6):exp():sum(2) + u:sin():sum(2) end, x, 0, 2)
  local y = neap.randn(3, 2, 2)
  check(function (u) return (u:slice(2, 1, 1):square() * u:slice(3, 2, 2)):sum({2, 3}) end, y, 0, 2)
end

-- What is gone through step by step, whose steps all depend on x.
function T.test_recursions ()
  local x = neap.randn(5, 40, {dtype = "float64"})
  check(function (u)
    return (neap.scan(function (carry, now) return .9 * carry + now:sin() end, u:select(2, 1) * 0, u:t()))
  end, x, 1, 1)
end

return T
