-- neap.scan in all its forms against the loop that it stands for: over steps and over tensors, with results of each step,
-- with numbers that change.  Bounds: 1e-12 of the largest element in float64, 1e-5 in float32; draws to the bit.
local lu = require "luaunit"
local neap = require "neap"
local tree = require "neap.tree"
local T = {}

local bounds = {float32 = 1e-5, float64 = 1e-12}

local function close (a, b, what)
  a, b = tree.leaves{a}, tree.leaves{b}
  lu.assertEquals(#a, #b, what)
  for i = 1, #a do
    lu.assertEquals(a[i].shape, b[i].shape, what)
    lu.assertEquals(a[i].dtype, b[i].dtype, what)
    if a[i]:numel() > 0 and bounds[a[i].dtype] then
      local scale = math.max(1, b[i]:abs():amax():item())
      local d = (a[i] - b[i]):abs():amax():item()
      lu.assertTrue(d <= bounds[a[i].dtype] * scale, ("%s: %g apart"):format(what, d))
    elseif a[i]:numel() > 0 then
      lu.assertTrue(a[i]:eq(b[i]):all():item(), what)
    end
  end
end

-- what scan stands for
local function loop (step, carry, xs)
  local n = math.tointeger(xs) or tree.leaves{xs}[1].shape[1]
  local ys = {}
  for t = 1, n do
    local x
    if not math.tointeger(xs) then x = tree.map(xs, function (v) return v[t] end) end
    carry, ys[t] = step(carry, x, t)
  end
  if #ys == 0 then return carry end
  local lists = {}
  for t, y in ipairs(ys) do lists[t] = tree.leaves{y} end
  local k = 0
  return carry, tree.map(ys[1], function ()
    k = k + 1
    local column = {}
    for t = 1, n do column[t] = lists[t][k] end
    return neap.stack(column)
  end)
end

local function counting (f)
  local n = {calls = 0, full = 0}
  return function (c, x, t)
    n.calls = n.calls + 1
    local first = tree.leaves{c}[1]
    if first.ndim > 0 and first.shape[1] > 20 then n.full = n.full + 1 end
    return f(c, x, t)
  end, n
end

-- The same from scan and loop; how often the step was called with more than 20 rows.
local function agree (what, step, carry, xs)
  local counted, n = counting(step)
  local info = debug.getinfo(step, "u")
  -- luacheck: push ignore 431
  local faces = {[1] = function (c) return counted(c) end, [2] = function (c, x) return counted(c, x) end}
  -- luacheck: pop
  local got = table.pack(neap.scan(faces[info.nparams] or counted, carry, xs))
  close(got, table.pack(loop(step, carry, xs)), what)
  return n.full
end

for _, dtype in ipairs{"float32", "float64"} do
  local o = {dtype = dtype}
  local function randn (...) return neap.randn({...}, o) end

  T["test_over_tensors_" .. dtype] = function ()
    for _, rows in ipairs{1, 2, 50, 300} do
      for _, n in ipairs{1, 4, 5, 40} do
        local w = randn(3, 3) * .3
        local what = ("%d rows, %d steps"):format(rows, n)
        local full = agree(what, function (c, x) return (neap.matmul(c, w) + x):tanh() end, randn(rows, 3),
                           randn(n, rows, 3))
        lu.assertTrue(full <= 8 or n <= 8, what)                    -- a loop ran, not the step
        agree(what .. ", shared", function (c, x) return c * .5 + x end, randn(rows, 3), randn(n, 3))
        agree(what .. ", numbers", function (c, x) return c * x end, randn(rows, 3), randn(n))
      end
    end
  end

  T["test_results_of_each_step_" .. dtype] = function ()
    for _, rows in ipairs{1, 50, 300} do
      local function step (c, x)
        local v = c.v * .9 - c.x * .1 + x.force
        return {x = c.x + v * .1, v = v, name = c.name}, {energy = (c.x ^ 2):sum(2), total = v:sum(), x = c.x, k = 3}
      end
      local carry = {x = randn(rows, 2), v = randn(rows, 2), name = "oscillator"}
      local full = agree(rows .. " rows", step, carry, {force = randn(60, rows, 2)})
      lu.assertTrue(full <= 8)
      local after, ys = neap.scan(step, carry, {force = randn(60, rows, 2)})
      lu.assertEquals({after.name, ys.k}, {"oscillator", 3})
    end
  end

  T["test_the_number_of_the_step_" .. dtype] = function ()
    for _, rows in ipairs{2, 50, 20000} do
      local n, full = 60, 0
      local function run (what, step, ...)
        full = math.max(full, agree(("%d rows, %s"):format(rows, what), step, randn(rows, 2), ...))
      end
      run("affine", function (c, _, t) return c * .9 + t end, n)
      run("rate", function (c, _, t) return c - c * (.1 / t) end, n)
      run("schedule", function (c, _, t) return c * math.cos(.01 * t), c * (1 - t / n) end, n)
      run("constant", function (c, _, t) return c * .9, c * (t > 0 and 1 or 2) end, n)
      run("with tensors", function (c, x, t) return c * .5 + x / t, x * t end, randn(n, rows, 2))
      lu.assertTrue(rows < 20000 or full <= 8, rows .. " rows: a loop ran, not the step")
    end
  end

  T["test_steps_that_branch_on_their_number_" .. dtype] = function ()
    local n = 80
    local function late (c, _, t) if t > 47 then return c * .5 + t end return c + 1 end
    local function once (c, _, t) if t == 60 then return c * 0 end return c + .1 * t end
    local function often (c, _, t) if t % 10 == 0 then return -c end return c * .99 + t end
    local function always (c, _, t) if t % 2 == 0 then return c + 1 end return c * .5 end
    local function drop (c, _, t) if t > 70 then return c.x and {x = c.x * 2} end return {x = c.x + 1} end
    for _, rows in ipairs{3, 20000} do
      for name, step in pairs{late = late, once = once, often = often, always = always} do
        agree(("%s, %d rows"):format(name, rows), step, randn(rows, 2), n)
      end
      agree("drop", drop, {x = randn(rows, 2)}, n)
    end
  end

  T["test_numbers_that_are_carried_" .. dtype] = function ()
    local function step (c)
      local rate = c.rate * .97
      return {x = c.x * (1 - rate), rate = rate, count = c.count + 1}
    end
    for _, rows in ipairs{3, 40000} do
      local carry = {x = randn(rows, 2), rate = .5, count = 0}
      local full = agree(rows .. " rows", step, carry, 100)
      lu.assertTrue(rows < 40000 or full <= 8)
      local after = neap.scan(step, carry, 100)
      lu.assertEquals(after.count, 100)
      lu.assertAlmostEquals(after.rate, .5 * .97 ^ 100, 1e-15)
    end
  end
end

function T.test_long_scans_go_by_segments ()
  local full = 0
  local step = function (c, _, t)
    if c.shape[1] > 20 then full = full + 1 end
    return c + t
  end
  local x = neap.scan(step, neap.zeros({70000}, {dtype = "float64"}), 5000)
  lu.assertEquals(x[40]:item(), 5000 * 5001 / 2)
  lu.assertTrue(full <= 8)
end

function T.test_draws ()
  for _, rows in ipairs{3, 100, 20000} do
    local a, b = neap.rng(1), neap.rng(1)
    local function step (rng)
      return function (c, x, t) return c + rng:normal(rows, 2) * t, rng:uniform(rows) + x end
    end
    local x, ys = neap.scan(step(a), neap.zeros(rows, 2), neap.zeros(60, 1))
    local y, zs = loop(step(b), neap.zeros(rows, 2), neap.zeros(60, 1))
    lu.assertTrue((x - y):abs():amax():item() < 1e-2)
    lu.assertTrue(ys:eq(zs):all():item())
    lu.assertTrue(a:normal(9):eq(b:normal(9)):all():item())
  end
end

-- ---- derivatives ----

function T.test_derivatives ()
  local o = {dtype = "float64"}
  local w = neap.full({2}, .9, o):requires_grad()
  local xs = neap.randn({12, 40, 2}, o)
  local function value (scan, c0, over)
    local c, ys = scan(function (c, x, t) return (c * w + x):tanh(), c * t end, c0, over)
    return c:sum() + (ys ^ 2):sum()
  end
  for _, which in ipairs{"w", "carry", "xs"} do
    local function gradient (scan)
      local c0, over = neap.ones({40, 2}, o), xs:clone()
      if which ~= "w" then w:requires_grad(false) end
      if which == "carry" then c0:requires_grad() end
      if which == "xs" then over:requires_grad() end
      local by = {w = w, carry = c0, xs = over}
      local d = neap.gradients(value(scan, c0, over), by[which])
      w:requires_grad()
      return d
    end
    close(gradient(neap.scan), gradient(loop), which)
  end
  neap.no_grad(function () lu.assertFalse(value(neap.scan, neap.ones({40, 2}, o), xs):is_tracked()) end)
end

-- a variable that the first steps do not read
function T.test_variables_read_late ()
  local w = neap.full({2}, .9):requires_grad()
  local function step (c, _, t) if t > 20 then return c * w end return c + 1, nil end
  local function results (c, _, t) return c, t > 20 and c * w or c + 0 end
  for _, scan in ipairs{neap.scan, loop} do
    w.grad = nil
    scan(step, neap.ones(50, 2), 30):sum():backward()
    local _, ys = scan(results, neap.ones(50, 2), 30)
    ys:sum():backward()
    lu.assertAlmostEquals(w.grad[1]:item(), 50 * 21 * 10 * .9 ^ 9 + 500, 1)
  end
end

-- What is carried comes from a tensor that the step reads elsewhere, as long as it is at the start: a loop all the same.
function T.test_carries_from_outside ()
  local phi, theta = neap.randn(50), neap.randn(50, 2)
  local heard, ok, message = require("errors").warnings(function ()
    local full = agree("alone", function (_) return phi * 2 end, neap.zeros(50), 40)
    full = math.max(full, agree("beside another", function (c, x)
      return {m = phi * x, l = c.l + (x - c.m):square() / 2}
    end, {m = neap.zeros(50), l = neap.zeros(50)}, neap.randn(40)))
    full = math.max(full, agree("rows of two", function (c, x)
      return {m = theta * x, l = c.l + c.m}, c.m:sum(2)
    end, {m = neap.zeros(50, 2), l = neap.zeros(50, 2)}, neap.randn(40, 2)))
    lu.assertTrue(full <= 8, tostring(full))
  end)
  lu.assertTrue(ok, message)
  lu.assertEquals(heard, {})
end

-- ---- what cannot be a loop ----

local warnings = require("errors").warnings

function T.test_steps_that_look_at_values ()
  local line
  local function step (c)
    line = debug.getinfo(1, "l").currentline + 1
    if c:sum():item() > 100 then return c * .5 end
    return c + 1
  end
  local heard, ok, got = warnings(neap.scan, step, neap.zeros(40, 2), 30)
  lu.assertTrue(ok)
  lu.assertEquals(#heard, 1)
  lu.assertStrContains(heard[1], ("test_scan.lua:%d: looks at values (item)"):format(line))
  close(got, (loop(step, neap.zeros(40, 2), 30)), "values")
end

function T.test_steps_that_change_shapes ()
  local function grow (c) return neap.cat({c, c:slice(1, 1, 1)}, 1) end
  local x = neap.randn(40, 2)
  local heard, ok, got = warnings(neap.scan, grow, x, 8)
  lu.assertTrue(ok)
  lu.assertEquals(#heard, 1)
  lu.assertStrContains(heard[1], "changes the shape or dtype of tensor 1 of its carry")
  close(got, (loop(grow, x, 8)), "shapes")
end

function T.test_steps_that_fail ()
  local function step (c, _, t)
    if t == 30 then error "no step today" end
    return c + t
  end
  local _, ok, message = warnings(neap.scan, step, neap.zeros(40, 2), 50)
  lu.assertFalse(ok)
  lu.assertStrContains(message, "no step today")
end

function T.test_wrong_arguments ()
  local function message (...) return select(3, warnings(neap.scan, ...)) end
  local step, c = function (x) return x end, neap.zeros(2)
  lu.assertStrContains(message(3, c, 4), "function expected, got integer")
  lu.assertStrContains(message(step, c, -1), "at least 0 expected, got -1")
  lu.assertStrContains(message(step, c, 1.5), "got 1.5")
  lu.assertStrContains(message(step, c), "got nil")
  lu.assertStrContains(message(step, c, {}), "got table")
  lu.assertStrContains(message(step, c, neap.ones(3):sum()), "has no dimensions")
  lu.assertStrContains(message(step, c, {neap.ones(3), neap.ones(4)}), "3 and 4 rows")
  lu.assertStrContains(message(function (x) return x, 5 end, c, 4), "gives integer besides its carry")
  lu.assertStrContains(message(function (x, _, t) return x, t < 3 and x or nil end, c, 4), "step 3 gives something else")
  lu.assertStrContains(message(function () end, c, 4), "step 1 gives no carry (a tensor expected, as it was given)")
  lu.assertStrContains(message(function (x, _, t) if t < 3 then return x end end, {c}, 9),
                       "step 3 gives no carry (a table expected, as it was given)")
  lu.assertEquals({neap.scan(step, c, 0)}, {c})
end

function T.test_carries_without_tensors ()
  local after, ys = neap.scan(function (c, x) return c + 1, x * c end, 0, neap.ones(6))
  lu.assertEquals(after, 6)
  lu.assertEquals(ys:totable(), {0, 1, 2, 3, 4, 5})
end

return T
