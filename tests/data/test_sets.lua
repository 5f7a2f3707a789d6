local lu = require "luaunit"
local data = neap.data

local T = {}
local N = 20000

-- The mean of a tensor as a number.
local function mean (x) return x:to("float64"):mean():item() end
local function column (x, j) return x:select(2, j) end

local SETS = {"moons", "circles", "pinwheel", "swiss_roll", "eight_gaussians", "checkerboard", "rings", "grid",
              "two_spirals", "bars_and_stripes"}

function T.test_shapes_seeds_and_default_stream ()
  for _, name in ipairs(SETS) do
    local x = data[name](7, {seed = 3})
    lu.assertEquals(x.shape, {7, name == "bars_and_stripes" and 16 or 2}, name)
    lu.assertEquals(x.dtype, "float32")
    lu.assertEquals(data[name](7, {seed = 3}):totable(), x:totable(), name)
    lu.assertNotEquals(data[name](7, {seed = 4}):totable(), x:totable(), name)
    neap.seed(5)
    local a = data[name](7)
    neap.seed(5)
    lu.assertEquals(data[name](7):totable(), a:totable(), name)
    lu.assertEquals(#data[name](0), 0)
  end
end

-- Distance of each moon's points from its half circle is |noise| normal; means are 0 by symmetry.
function T.test_moons_law ()
  local x = data.moons(N, {noise = 0, seed = 1})
  local a, b = column(x, 1) + .5, column(x, 2) + .25
  local upper = (a:square() + b:square() - 1):abs()
  local lower = ((1 - a):square() + (.5 - b):square() - 1):abs()
  lu.assertTrue(neap.minimum(upper, lower):amax():item() < 1e-5)
  lu.assertAlmostEquals(mean(upper:lt(1e-5):to "float32"), .5, 4 * .5 / math.sqrt(N) + .01)
  lu.assertAlmostEquals(mean(column(x, 1)), 0, 4 * .87 / math.sqrt(N))
  -- E y = ½ (2/π) + ½ (½ − 2/π) − ¼ = 0
  lu.assertAlmostEquals(mean(column(x, 2)), 0, 4 * .5 / math.sqrt(N))
  local noisy = data.moons(N, {seed = 1})
  lu.assertAlmostEquals((noisy - x):std():item(), .1, .002)
end

function T.test_radii ()
  local function radius (x) return x:square():sum(2):sqrt() end
  local r = radius(data.circles(N, {noise = 0, seed = 1}))
  lu.assertAlmostEquals(mean(r), .75, .01)
  lu.assertTrue(neap.minimum((r - 1):abs(), (r - .5):abs()):amax():item() < 1e-5)
  r = radius(data.rings(N, {noise = 0, seed = 1})) / .75
  lu.assertTrue((r - r:round()):abs():amax():item() < 1e-5)
  lu.assertAlmostEquals(mean(r), 2.5, 4 * 1.12 / math.sqrt(N))
  r = radius(data.eight_gaussians(N, {noise = 0, seed = 1}))
  lu.assertTrue((r - 2):abs():amax():item() < 1e-5)
  r = radius(data.swiss_roll(N, {noise = 0, seed = 1})) * 5 / math.pi
  lu.assertTrue(r:amin():item() >= 1.499 and r:amax():item() <= 4.501)
  lu.assertAlmostEquals(mean(r), 3, .03)
end

function T.test_checkerboard_and_grid ()
  local x = data.checkerboard(N, {seed = 1})
  local cell = (x / 2):floor()
  lu.assertEquals(((column(cell, 1) + column(cell, 2)) % 2):sum():item(), 0)
  lu.assertAlmostEquals(mean(x), 0, 4 * 2.4 / math.sqrt(N))
  lu.assertTrue(x:abs():amax():item() <= 4)
  local g = data.grid(N, {noise = 0, seed = 1})
  lu.assertEquals((g - g:round()):abs():amax():item(), 0)
  lu.assertAlmostEquals(mean(g:square()), 2, .05)
end

function T.test_bars_and_stripes ()
  local x = data.bars_and_stripes(N, {seed = 1})
  local p = x:reshape(N, 4, 4)
  local same_rows = p:eq(p[{{}, {1, 1}, {}}]):all({2, 3})
  local same_columns = p:eq(p[{{}, {}, {1, 1}}]):all({2, 3})
  lu.assertTrue(neap.logical_or(same_rows, same_columns):all():item())
  local full = mean(x:sum(2):eq(16):to "float32")
  lu.assertAlmostEquals(full, 1 / 16, 4 * math.sqrt(1 / 16 / N))
  lu.assertAlmostEquals(mean(data.bars_and_stripes(N, {noise = 1, seed = 1}) + x), 1, 1e-6)
end

function T.test_bad_options ()
  local function fails (pattern, f, ...)
    local ok, message = pcall(f, ...)
    lu.assertFalse(ok)
    lu.assertStrMatches(message, ".*" .. pattern .. ".*")
  end
  fails("data.moons: unknown option 'nose' %(did you mean 'noise'%?%)", data.moons, 3, {nose = 1})
  fails("option 'noise': number expected, got string", data.moons, 3, {noise = "1"})
  fails("option 'noise': a number of at least 0", data.moons, 3, {noise = -1})
  fails("n: an integer of at least 0 expected, got %-1", data.rings, -1)
  fails("n: an integer of at least 0 expected, got nil", data.rings)
  fails("table of options expected, got integer", data.rings, 3, 4)
  fails("the key 1", data.rings, 3, {4})
end

return T
