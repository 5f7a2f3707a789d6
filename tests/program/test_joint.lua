-- Several steps in one pass give, bit for bit, what they give one after the other; and are one pass only where nobody
-- else reads what lies between them.
local lu = require "luaunit"
local neap = require "neap"
local T = {}

local PASS = "in one pass with the next (%d)"

-- silu and its slope by their parts, op by op
local function parts (x)
  local s = x:sigmoid()
  local y = x * s
  return y, neap.lerp(s, 1, y)
end

local function same (a, b) return neap.all(a:eq(b):logical_or(a:isnan():logical_and(b:isnan()))):item() end

local function inputs (dtype)
  local x = neap.randn(67, 5, {rng = neap.rng(3), dtype = dtype}) * 30
  local ends = {0, -0.0, 1e-30, -1e-30, 88, -88, 104, -104, 1e30, -1e30, math.huge, -math.huge, 0 / 0}
  for i, v in ipairs(ends) do x[i][1] = v end
  return x, neap.randn(5, {rng = neap.rng(4), dtype = dtype})
end

-- f(x, b) as a program has so many passes of that length more than one step, and the bits of f itself
local function check (f, lengths, dtype)
  local x, b = inputs(dtype)
  local found = {}
  for n in neap.explain(f, x, b):gmatch(PASS) do found[#found + 1] = tonumber(n) end
  lu.assertEquals(found, lengths)
  local compiled = neap.compile(f)
  for _, rows in ipairs {67, 1, 16, 64} do
    local z = x:slice(1, 1, rows)
    local want, got = {f(z, b)}, {compiled(z, b)}
    for i = 1, #want do lu.assertTrue(same(want[i], got[i])) end
  end
end

for _, dtype in ipairs {"float32", "float64"} do
  T["test_" .. dtype] = function ()
    check(function (x, b) return parts(x + b) end, {3}, dtype)
    check(function (x) return parts(x) end, {2}, dtype)
    check(function (x, b) local y, d = parts(x + b) return (y * d):sum(2) end, {3}, dtype)
    check(function (x, b) return neap.silu_d1(x + b) end, {1}, dtype)
    check(function (x, b) local z = x + b return x * neap.silu_d1(z), z end, {2}, dtype)
    check(function (x, b) return neap.silu(x) * b end, {1}, dtype)
    check(function (x, b) return neap.fma(neap.silu(x), b, x) end, {1}, dtype)
    check(function (x, b) return neap.fma(neap.silu(x), x, b) end, {1}, dtype)
  end

  T["test_what_others_read_" .. dtype] = function ()
    check(function (x, b) local z = x + b return z, parts(z) end, {2}, dtype)
    check(function (x, b) local z = x + b local y, d = parts(z) return y, d * z end, {2}, dtype)
    check(function (x, b) local z = x + b return neap.silu_d1(z), z end, {1}, dtype)
    check(function (x, b) local d = neap.silu_d1(x + b) return x * d, d end, {1}, dtype)
    check(function (x) local s = x:sigmoid() return s, x * s, neap.lerp(s, 1, x * s) end, {}, dtype)
    check(function (x) local s = x:sigmoid() local y = x * s return neap.lerp(s, 1, y) * s end, {}, dtype)
    check(function (x, b) local s = x:sigmoid() return neap.lerp(s, b, x * s) end, {2}, dtype)
    check(function (x, b) local s = x:sigmoid() return neap.lerp(s, b, b * s) end, {}, dtype)
    check(function (x, b) local s = neap.silu(x) return s * b, s end, {}, dtype)
    check(function (x) local s = neap.silu(x) return s * s end, {}, dtype)
  end
end

return T
